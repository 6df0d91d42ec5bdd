//! What makes a graph a workflow; all problems are found at once.

mod edges;
mod kinds;
mod nets;
mod scopes;

use std::collections::HashSet;
use std::fmt;

use crate::definition::{Definition, NodeKind};
use crate::ids::NodeId;
use crate::limits::{NAME_BYTES_MAX, NODES_MAX};

pub(crate) use edges::edges;

/// One thing that is wrong with a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable, for machines.
    pub code: &'static str,
    /// The node it is about.
    pub node: Option<String>,
    /// What, why and how to fix it.
    pub message: String,
}

impl Problem {
    /// A problem at `node`.
    pub fn new(code: &'static str, node: Option<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            node,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{:?}: {} [{}]", node, self.message, self.code),
            None => write!(f, "{} [{}]", self.message, self.code),
        }
    }
}

/// A workflow that cannot be used, with everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("workflow {workflow:?} has {} problem(s): {}", problems.len(), list(problems))]
pub struct InvalidWorkflow {
    /// Its name.
    pub workflow: String,
    /// All problems, in the order of the nodes.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| {
        list + "\n  - " + &problem.to_string()
    })
}

pub(crate) fn validate(definition: &Definition) -> Vec<Problem> {
    let mut check = Check {
        definition,
        problems: Vec::new(),
    };
    check.name(
        None,
        "name-invalid",
        "the workflow's name",
        &definition.name,
    );
    check.name(
        None,
        "name-invalid",
        "the workflow's version",
        &definition.version,
    );
    if definition.nodes.is_empty() {
        check.report(
            "no-steps",
            None,
            "it has no step, so a run would do nothing; add one",
        );
        return check.problems;
    }
    if definition.nodes.len() > NODES_MAX {
        let count = definition.nodes.len();
        let text =
            format!("{count} nodes are more than {NODES_MAX}; split it into several workflows");
        check.report("too-many-nodes", None, &text);
        return check.problems;
    }
    if definition.max_parallelism == Some(0) {
        let text = "a run's max_parallelism of 0 would start nothing; use 1 or more";
        check.report("limit-invalid", None, text);
    }
    check.names();
    if definition.deadline_ms == Some(0) {
        let text = "a deadline of 0 ends every run before it begins; use 1 ms or more, or none";
        check.report("limit-invalid", None, text);
    }
    for id in check.ids() {
        check.kind(id);
    }
    if check.edges_lead_somewhere() {
        check.scopes();
        check.nets();
    }
    check.problems
}

struct Check<'a> {
    definition: &'a Definition,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, code: &'static str, node: Option<&str>, message: &str) {
        self.problems
            .push(Problem::new(code, node.map(str::to_owned), message));
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.definition.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    fn name(&mut self, node: Option<&str>, code: &'static str, what: &str, name: &str) {
        if name.trim().is_empty() {
            self.report(
                code,
                node,
                &format!("{what} is empty; rows and errors need it; give one"),
            );
        } else if name.len() > NAME_BYTES_MAX {
            let text = format!(
                "{what} has {} bytes, the limit is {NAME_BYTES_MAX}; shorten it",
                name.len()
            );
            self.report(code, node, &text);
        } else if name.chars().any(char::is_control) {
            self.report(
                code,
                node,
                &format!("{what} holds a control character; remove it"),
            );
        }
    }

    fn names(&mut self) {
        let mut seen = HashSet::new();
        for node in &self.definition.nodes {
            self.name(Some(&node.name), "name-invalid", "its name", &node.name);
            if !seen.insert(&node.name) {
                let text = "two nodes have this name, so rows and errors could not tell them apart; rename one";
                self.report("duplicate-name", Some(&node.name), text);
            }
        }
    }

    fn edges_lead_somewhere(&mut self) -> bool {
        let count = self.definition.nodes.len();
        let mut sound = (self.definition.start.0 as usize) < count;
        for id in self.ids() {
            let node = self.definition.node(id);
            let named = match &node.kind {
                NodeKind::Split { join, .. }
                | NodeKind::Scope { join, .. }
                | NodeKind::Map { join, .. } => Some(*join),
                NodeKind::Join { split, .. } => Some(*split),
                NodeKind::Cancel { target } => Some(*target),
                _ => None,
            };
            let ways = edges(self.definition, id).into_iter().map(|(to, _)| to);
            for to in ways.chain(named) {
                if to.0 as usize >= count {
                    let name = self.definition.node(id).name.clone();
                    self.report(
                        "edge-nowhere",
                        Some(&name),
                        "it leads to a node that does not exist",
                    );
                    sound = false;
                }
            }
        }
        sound
    }
}
