//! Which dialects there are, and how to tell them apart.

use std::fmt;
use std::str::FromStr;

use crate::{cacao, parallel_json, step_groups, workflow_json};

/// A kind of workflow file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Step lists in YAML whose groups run side by side, as innominatus reads them.
    StepGroupsYaml,
    /// Graphs of steps in JSON with parallel, fork-join, loop and conditional blocks, as `LiteCone`
    /// Studio reads them.
    ParallelJson,
    /// OASIS CACAO security playbooks in JSON.
    Cacao,
    /// The engine's own form: JSON with named nodes and expressions.
    WorkflowJson,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::StepGroupsYaml,
        Self::ParallelJson,
        Self::Cacao,
        Self::WorkflowJson,
    ];

    /// Its stable name, as it is written in definitions and on command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StepGroupsYaml => "step-groups-yaml",
            Self::ParallelJson => "parallel-json",
            Self::Cacao => "cacao",
            Self::WorkflowJson => "workflow-json",
        }
    }

    /// The dialect that a text is written in, as far as can be seen; also for texts that have
    /// errors. Bounded like an import.
    pub fn recognise(text: &str) -> Option<Self> {
        if workflow_json::recognises(text) {
            return Some(Self::WorkflowJson);
        }
        if cacao::recognises(text) {
            return Some(Self::Cacao);
        }
        if parallel_json::recognises(text) {
            return Some(Self::ParallelJson);
        }
        step_groups::recognises(text).then_some(Self::StepGroupsYaml)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no dialect's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no dialect, so nothing can read the file; use {known}", known = Dialect::ALL.map(Dialect::as_str).join(", "))]
pub struct UnknownDialect(pub String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL
            .into_iter()
            .find(|dialect| dialect.as_str() == name);
        named.ok_or_else(|| UnknownDialect(name.to_owned()))
    }
}
