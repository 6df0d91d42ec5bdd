//! What makes a graph a workflow; all problems are found at once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use crate::definition::{Branches, Definition, NodeKind};
use crate::ids::NodeId;
use crate::limits::{ATTEMPTS_MAX, NAME_BYTES_MAX, NODES_MAX};

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
    for id in check.ids() {
        check.node(id);
    }
    if check.edges_lead_somewhere() {
        check.scopes();
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

    fn node(&mut self, id: NodeId) {
        let definition = self.definition;
        let node = definition.node(id);
        let name = Some(node.name.as_str());
        match &node.kind {
            NodeKind::Step(step) => {
                self.name(name, "handler-invalid", "its handler's name", &step.handler);
                if step.retry.attempts == 0 || step.retry.attempts > ATTEMPTS_MAX {
                    let text = format!("{} attempts; use 1 to {ATTEMPTS_MAX}", step.retry.attempts);
                    self.report("limit-invalid", name, &text);
                }
                if step.timeout_ms == Some(0) {
                    self.report("limit-invalid", name, "a timeout of 0 ends every attempt before it begins; use 1 ms or more, or none");
                }
            }
            NodeKind::Choice { arms, .. } if arms.is_empty() => {
                self.report(
                    "no-branches",
                    name,
                    "a choice without arms decides nothing; add one",
                );
            }
            NodeKind::Split {
                branches,
                max_parallelism,
                join,
                ..
            } => {
                if matches!(branches, Branches::Static(list) if list.is_empty()) {
                    self.report(
                        "no-branches",
                        name,
                        "a split without branches does nothing; add one",
                    );
                }
                if *max_parallelism == Some(0) {
                    self.report(
                        "limit-invalid",
                        name,
                        "a max_parallelism of 0 would start nothing; use 1 or more",
                    );
                }
                let joins = definition.nodes.get(join.0 as usize).map(|node| &node.kind);
                if !matches!(joins, Some(NodeKind::Join { split, .. }) if *split == id) {
                    self.report(
                        "join-missing",
                        name,
                        "its join does not belong to it; its branches could never meet",
                    );
                }
                let Branches::Static(list) = branches else {
                    return;
                };
                let mut seen = HashSet::new();
                for (branch, _) in list {
                    self.name(name, "name-invalid", "a branch's name", branch);
                    if !seen.insert(branch) {
                        let text = format!("two branches are named {branch:?}; rename one");
                        self.report("duplicate-branch", name, &text);
                    }
                }
            }
            NodeKind::Await { event, .. } => {
                self.name(name, "name-invalid", "its event's name", event);
            }
            NodeKind::Choice { .. }
            | NodeKind::Join { .. }
            | NodeKind::Detach { .. }
            | NodeKind::Sleep { .. }
            | NodeKind::Compute { .. } => {}
        }
    }

    fn edges_lead_somewhere(&mut self) -> bool {
        let count = self.definition.nodes.len();
        let mut sound = (self.definition.start.0 as usize) < count;
        for id in self.ids() {
            for (to, _) in edges(self.definition, id) {
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

    /// Every node belongs to one scope (the run, a split or a detached branch); branches of a split
    /// end at its join and nowhere else, and nothing is out of reach.
    fn scopes(&mut self) {
        let definition = self.definition;
        let mut scope_of: HashMap<NodeId, Option<NodeId>> = HashMap::new();
        let mut queue = VecDeque::from([(definition.start, None)]);
        while let Some((id, scope)) = queue.pop_front() {
            let node = definition.node(id);
            if let NodeKind::Join { split, .. } = &node.kind {
                // A branch that comes to its join ends there; its split goes on behind the join.
                if scope != Some(*split) {
                    let text = format!(
                        "a branch that is not of split {:?} leads into its join; join it where it was split",
                        definition.node(*split).name
                    );
                    self.report("crossing-branches", Some(&node.name), &text);
                }
                continue;
            }
            match scope_of.insert(id, scope) {
                None => {}
                Some(before) if before == scope => continue,
                Some(before) => {
                    scope_of.insert(id, before);
                    let text = "two branches that run side by side lead into it; join them first";
                    self.report("crossing-branches", Some(&node.name), text);
                    continue;
                }
            }
            if node.next.is_none() && self.must_reach_join(id, scope) {
                let split = scope
                    .map(|split| definition.node(split).name.clone())
                    .unwrap_or_default();
                let text = format!(
                    "its branch of split {split:?} ends here; connect it to the split's join"
                );
                self.report("branch-without-join", Some(&node.name), &text);
            }
            match &node.kind {
                NodeKind::Split { branches, join, .. } => {
                    let firsts: Vec<NodeId> = match branches {
                        Branches::Static(list) => list.iter().map(|(_, first)| *first).collect(),
                        Branches::Computed { body, .. } => vec![*body],
                    };
                    queue.extend(firsts.into_iter().map(|first| (first, Some(id))));
                    scope_of.insert(*join, scope);
                    let join_node = definition.node(*join);
                    if join_node.next.is_none()
                        && scope.is_some()
                        && self.must_reach_join(*join, scope)
                    {
                        let text = "it ends inside a branch of another split; connect it to that split's join";
                        self.report("branch-without-join", Some(&join_node.name), text);
                    }
                    queue.extend(join_node.next.map(|next| (next, scope)));
                    queue.extend(node.on_fault.as_ref().map(|path| (path.to, scope)));
                }
                NodeKind::Detach { body } => {
                    queue.push_back((*body, Some(id)));
                    queue.extend(node.next.map(|next| (next, scope)));
                    queue.extend(node.on_fault.as_ref().map(|path| (path.to, scope)));
                }
                _ => queue.extend(edges(definition, id).into_iter().map(|(to, _)| (to, scope))),
            }
        }
        let reached: HashSet<_> = scope_of.keys().copied().collect();
        for id in self.ids().filter(|id| !reached.contains(id)) {
            let name = definition.node(id).name.clone();
            self.report(
                "unreachable",
                Some(&name),
                "no way leads to it from the start; connect or remove it",
            );
        }
    }

    /// Whether a branch that ends at `id` never arrives anywhere: only branches of a split must.
    fn must_reach_join(&self, id: NodeId, scope: Option<NodeId>) -> bool {
        let Some(scope) = scope else { return false };
        let node = self.definition.node(id);
        let leaves_elsewhere = matches!(&node.kind, NodeKind::Choice { arms, otherwise } if
            otherwise.is_some() && arms.iter().all(|arm| arm.to.is_some()));
        matches!(self.definition.node(scope).kind, NodeKind::Split { .. })
            && !leaves_elsewhere
            && !matches!(node.kind, NodeKind::Split { .. })
    }
}

/// All edges out of a node, with their labels.
pub(crate) fn edges(definition: &Definition, id: NodeId) -> Vec<(NodeId, Option<String>)> {
    let node = definition.node(id);
    let mut edges: Vec<(NodeId, Option<String>)> = Vec::new();
    match &node.kind {
        NodeKind::Choice { arms, otherwise } => {
            let to_next = |to: &Option<NodeId>| to.or(node.next);
            edges.extend(
                arms.iter()
                    .filter_map(|arm| Some((to_next(&arm.to)?, Some(arm.name.clone())))),
            );
            edges.extend(to_next(otherwise).map(|to| (to, Some("otherwise".to_owned()))));
        }
        NodeKind::Split {
            branches: Branches::Static(list),
            ..
        } => {
            edges.extend(list.iter().map(|(name, to)| (*to, Some(name.clone()))));
        }
        NodeKind::Split {
            branches: Branches::Computed { body, .. },
            ..
        } => {
            edges.push((*body, Some("each".to_owned())));
        }
        NodeKind::Detach { body } => {
            edges.push((*body, Some("detached".to_owned())));
            edges.extend(node.next.map(|to| (to, None)));
        }
        NodeKind::Step(_)
        | NodeKind::Join { .. }
        | NodeKind::Sleep { .. }
        | NodeKind::Await { .. }
        | NodeKind::Compute { .. } => edges.extend(node.next.map(|to| (to, None))),
    }
    edges.extend(
        node.on_fault
            .as_ref()
            .map(|path| (path.to, Some("fault".to_owned()))),
    );
    edges
}
