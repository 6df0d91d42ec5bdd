//! The bounds of the Runners (I12), each with its unit and its reason.

use std::time::Duration;

/// Runner threads of one engine.
pub const RUNNERS_MAX: usize = 1_024;

/// Steps that one Runner has in flight.
pub const IN_FLIGHT_MAX: usize = 10_000;

/// Threads whose step outlived its timeout and never came back. At the bound they are not replaced
/// any more: the engine takes less work, and says so.
pub const ABANDONED_MAX: usize = 64;

/// How long a step that was told to stop may take before its thread is replaced. Where orders of threads
/// are played it is short, so that little else happens until then.
pub const STOP_GRACE: Duration =
    Duration::from_millis(if cfg!(windlass_shuttle) { 10 } else { 500 });

/// Branches read at once when they are merged.
pub const ARRIVALS_AT_ONCE: u32 = 4_096;

/// Runs that one attempt may schedule.
pub const SCHEDULES_PER_ATTEMPT_MAX: usize = 10_000;

/// Statements that one attempt of a transactional step adds to its checkpoint.
pub const EFFECTS_PER_ATTEMPT_MAX: usize = 1_000;

/// Bytes of what an attempt says that it works on, for people to read. More is only counted.
pub const INPUT_SHOWN_BYTES_MAX: usize = 64 * 1024;

/// How often the details of a heartbeat are stored, at most: each is a write.
pub const DETAILS_EVERY: Duration = Duration::from_millis(500);
