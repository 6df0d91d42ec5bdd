//! A playbook as it was read: every pointer looked up, every text checked as far as it can be alone.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};

use crate::cacao::condition::Condition;
use crate::cacao::value::Type;
use crate::diagnostic::Spot;

/// A whole playbook.
#[derive(Clone, Debug, Default)]
pub(crate) struct Playbook {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its version.
    pub(crate) modified: String,
    pub(crate) revoked: bool,
    pub(crate) valid_from: Option<String>,
    pub(crate) valid_until: Option<String>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) agents: BTreeMap<String, Json>,
    pub(crate) targets: BTreeMap<String, Json>,
    pub(crate) credentials: BTreeMap<String, Json>,
    pub(crate) steps: Vec<Step>,
    pub(crate) by_id: HashMap<String, usize>,
    pub(crate) start: Option<Pointer>,
    pub(crate) exception: Option<Pointer>,
    /// Flags of the summary that it declares.
    pub(crate) declared: Vec<(String, bool, Spot)>,
    /// Flags that do not follow from what its steps do, each with the steps and definitions that set
    /// it; none is the playbook itself.
    pub(crate) marked: BTreeMap<&'static str, Vec<String>>,
    pub(crate) spot: Spot,
}

/// A variable as it is declared.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// Text, or an object of a dictionary; null is no value.
    pub(crate) value: Json,
    pub(crate) constant: bool,
    pub(crate) external: bool,
}

/// A way to another step.
#[derive(Clone, Debug)]
pub(crate) struct Pointer {
    pub(crate) id: String,
    /// `None` if there is no such step.
    pub(crate) target: Option<usize>,
    pub(crate) spot: Spot,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) delay_ms: u64,
    /// 0 is no limit.
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) variables: Vec<Variable>,
    /// Where success leads.
    pub(crate) success: Option<Pointer>,
    pub(crate) failure: Option<Pointer>,
    /// Marked to run beside the step after it.
    pub(crate) parallelizable: Option<Spot>,
    pub(crate) kind: Kind,
    pub(crate) spot: Spot,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Start,
    End,
    Action(Action),
    Playbook(PlaybookAction),
    Parallel {
        next: Vec<Pointer>,
        /// The label of a chain that was rewritten to it.
        label: Option<String>,
    },
    If {
        condition: Option<Condition>,
        on_true: Option<Pointer>,
        on_false: Option<Pointer>,
    },
    While {
        condition: Option<Condition>,
        on_true: Option<Pointer>,
    },
    Switch {
        /// The variable whose text decides.
        switch: Option<String>,
        cases: Vec<(String, Pointer)>,
    },
    /// Something else; files with it are refused.
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) commands: Vec<Command>,
    pub(crate) agent: Option<String>,
    pub(crate) targets: Vec<String>,
    pub(crate) in_args: Vec<Named>,
    pub(crate) out_args: Vec<Named>,
}

#[derive(Clone, Debug)]
pub(crate) struct PlaybookAction {
    pub(crate) playbook: String,
    pub(crate) version: Option<String>,
    pub(crate) in_args: Vec<Named>,
    pub(crate) out_args: Vec<Named>,
    pub(crate) spot: Spot,
}

/// The name of a variable, where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) spot: Spot,
}

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) kind: String,
    /// Decoded; before substitution.
    pub(crate) text: String,
    /// By name, in the order of the file.
    pub(crate) headers: Vec<(String, Vec<String>)>,
    /// Decoded, if it is text; before substitution.
    pub(crate) content: Option<String>,
    /// As it stands in the file, base64, if it is no text.
    pub(crate) content_bytes: Option<String>,
    /// All its fields.
    pub(crate) fields: Map<String, Json>,
    pub(crate) spot: Spot,
}

impl Kind {
    /// Whether it opens frames.
    pub(crate) fn is_logic(&self) -> bool {
        matches!(
            self,
            Self::Parallel { .. } | Self::If { .. } | Self::While { .. } | Self::Switch { .. }
        )
    }

    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Action(_) => "action",
            Self::Playbook(_) => "playbook-action",
            Self::Parallel { .. } => "parallel",
            Self::If { .. } => "if-condition",
            Self::While { .. } => "while-condition",
            Self::Switch { .. } => "switch-condition",
            Self::Unknown => "unknown",
        }
    }
}

impl Step {
    /// The ways into its branches, in the order of the file.
    pub(crate) fn branches(&self) -> Vec<&Pointer> {
        match &self.kind {
            Kind::Parallel { next, .. } => next.iter().collect(),
            Kind::If {
                on_true, on_false, ..
            } => on_true.iter().chain(on_false).collect(),
            Kind::While { on_true, .. } => on_true.iter().collect(),
            Kind::Switch { cases, .. } => cases.iter().map(|(_, pointer)| pointer).collect(),
            Kind::Start | Kind::End | Kind::Action(_) | Kind::Playbook(_) | Kind::Unknown => {
                Vec::new()
            }
        }
    }

    /// The same ways, to be changed.
    pub(crate) fn branches_mut(&mut self) -> Vec<&mut Pointer> {
        match &mut self.kind {
            Kind::Parallel { next, .. } => next.iter_mut().collect(),
            Kind::If {
                on_true, on_false, ..
            } => on_true.iter_mut().chain(on_false).collect(),
            Kind::While { on_true, .. } => on_true.iter_mut().collect(),
            Kind::Switch { cases, .. } => cases.iter_mut().map(|(_, pointer)| pointer).collect(),
            Kind::Start | Kind::End | Kind::Action(_) | Kind::Playbook(_) | Kind::Unknown => {
                Vec::new()
            }
        }
    }

    /// Every way out of it.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &Pointer> {
        let after = self.success.iter().chain(&self.failure);
        after.chain(self.branches())
    }

    /// The steps that follow it, also those that its branches begin with.
    pub(crate) fn successors(&self) -> impl Iterator<Item = usize> {
        self.ways().filter_map(|way| way.target)
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}
