//! The statuses of runs and steps, with the words that every surface uses.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word for it in output and schema.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

status!(
    /// Where a run stands.
    RunStatus {
        /// Admitted for a later time.
        Scheduled = "scheduled",
        /// Admitted; its first job has not started.
        Pending = "pending",
        /// At least one branch is ready or running.
        Running = "running",
        /// Every branch waits for a time or an event.
        Waiting = "waiting",
        /// A branch waits for an operator.
        Parked = "parked",
        /// Ended: all branches came to their end.
        Succeeded = "succeeded",
        /// Ended: with all its errors stored.
        Failed = "failed",
        /// Ended: withdrawn, with the reason stored.
        Cancelled = "cancelled",
    }
);

impl RunStatus {
    /// Whether nothing will happen any more (parked is not an end).
    pub fn is_end(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::Pending | Self::Running | Self::Waiting | Self::Parked => false,
        }
    }
}

status!(
    /// Where one activation of a step stands.
    StepStatus {
        /// Not reached yet, or ready and not started.
        Pending = "pending",
        /// Waits for a time, an event, a retry or its turn.
        Waiting = "waiting",
        /// An attempt is going on.
        Running = "running",
        /// Done.
        Succeeded = "succeeded",
        /// Its last attempt failed.
        Failed = "failed",
        /// Passed by, with the reason stored.
        Skipped = "skipped",
        /// Withdrawn.
        Cancelled = "cancelled",
    }
);
