//! What a caller may choose about an import.

use std::time::Duration;

use crate::dialect::Dialect;

/// How strictly a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// What the dialect's page calls an error is one.
    #[default]
    Strict,
    /// The repairs that the dialect's page lists are made, and no others, each with a warning.
    Lenient,
}

/// Which step types have a handler where the workflow is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HandlerTypes {
    /// Not known here, so no type is refused. The engine still finds out when a run begins.
    #[default]
    Any,
    /// These; `"*"` among them stands for every type.
    Known(Vec<String>),
}

impl HandlerTypes {
    /// Whether a step of this type can do its work.
    pub(crate) fn accepts(&self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Known(types) => types.iter().any(|known| known == kind || known == "*"),
        }
    }
}

/// The choices of one import. [`new`](Self::new) gives the defaults; change its fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The file's name, for messages and for workflows that have no name of their own.
    pub file: String,
    /// Default strict.
    pub mode: Mode,
    /// The dialect of the file; default `None`, which finds it out.
    pub dialect: Option<Dialect>,
    /// Imports only the workflow of this name, and reports on nothing else but what makes the file
    /// unreadable. Default `None`, all of them.
    pub document: Option<String>,
    /// Steps of one run that may work at once, at least 1; default 5. Low numbers make wide phases
    /// slow, high ones let one run take all Runners.
    pub max_concurrent_steps: u32,
    /// Limit for one attempt of a step that sets none; default 30 min. `None` and zero are no
    /// limit, and then a step that hangs holds its run until someone cancels it.
    pub step_timeout: Option<Duration>,
    /// Which step types have a handler; default any.
    pub handlers: HandlerTypes,
}

impl ImportOptions {
    /// The defaults, for a file of this name.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            mode: Mode::Strict,
            dialect: None,
            document: None,
            max_concurrent_steps: 5,
            step_timeout: Some(Duration::from_mins(30)),
            handlers: HandlerTypes::Any,
        }
    }
}
