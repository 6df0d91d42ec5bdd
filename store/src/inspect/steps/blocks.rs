//! What has become of the blocks of a run: groups of steps for people to see.
//!
//! No row is kept for a block. Whether it goes on follows from where live branches stand; what it
//! came to, from its steps, from how it joins its branches, and from the errors of the run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use windlass_workflow_model::{
    Block, Definition, ErrorEntry, Node, NodeId, NodeKind, Place, StepStatus, Timestamp,
};

use super::super::RunningJobs;
use super::super::maps::Stopped;
use super::super::views::StepView;
use super::is_work;
use super::maps::Left;
use crate::record::{BranchRow, State};

/// Why a step is skipped whose branch failed before it.
const BRANCH_FAILED: &str = "branch-failed";

/// Why a step is skipped that its branch did not come by.
pub(super) const NOT_TAKEN: &str = "not-taken";

/// How a conditional joins its branches: there is but one, and its failure is that of the chain.
const EXCLUSIVE: &str = "exclusive";

/// What is known of the blocks of one run.
pub(super) struct Blocks<'a> {
    definition: &'a Definition,
    /// By name, with the nodes and blocks right inside each.
    by_name: Rc<HashMap<&'a str, Inside<'a>>>,
    /// The nodes that have the name of a block.
    begins: Rc<HashMap<&'a str, &'a Node>>,
    /// Those in which a live branch is.
    occupied: HashSet<&'a str>,
    /// Why the run, or the instance of a map, failed.
    errors: &'a [ErrorEntry],
    /// Gateways that a retry has begun anew, with the time up to which failures in them are over.
    begun_anew: Rc<HashMap<NodeId, Timestamp>>,
    standings: HashMap<&'a str, Standing>,
    /// What there is to say of all of them, where nothing was begun.
    passed_by: Option<(StepStatus, Option<String>)>,
}

struct Inside<'a> {
    block: &'a Block,
    nodes: Vec<NodeId>,
    blocks: Vec<&'a str>,
    /// Where it begins and ends itself: gateways of its name, or right in it but in no branch.
    gateways: Vec<NodeId>,
}

/// What a block came to, and why.
#[derive(Default)]
pub(super) struct Standing {
    /// Missing if nothing in it was begun.
    pub(super) status: Option<StepStatus>,
    pub(super) error: Option<ErrorEntry>,
    /// Whether any step in it has.
    has_begun: bool,
    /// How each of its branches stands that was begun.
    branches: BTreeMap<Option<String>, StepStatus>,
    /// What branches failed with first.
    errors: BTreeMap<Option<String>, ErrorEntry>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(
        definition: &'a Definition,
        live: &'a [BranchRow],
        running: &RunningJobs,
        by_node: &HashMap<NodeId, Vec<StepView>>,
        begun_anew: HashMap<NodeId, Timestamp>,
    ) -> Self {
        let mut blocks: HashMap<&str, Inside<'_>> = HashMap::new();
        for block in definition.blocks() {
            let inside = Inside {
                block,
                nodes: Vec::new(),
                blocks: Vec::new(),
                gateways: Vec::new(),
            };
            blocks.insert(&block.name, inside);
        }
        for (id, node) in (0..).map(NodeId).zip(definition.nodes()) {
            let parent = node.place.parent.as_deref();
            if let Some(inside) = parent.and_then(|parent| blocks.get_mut(parent)) {
                inside.nodes.push(id);
            }
        }
        for (id, node) in (0..).map(NodeId).zip(definition.nodes()) {
            let opens = match &node.kind {
                NodeKind::Split { .. } | NodeKind::Map { .. } | NodeKind::Scope { .. } => node,
                NodeKind::Join { split, .. } => definition.node(*split),
                NodeKind::Compute { .. } if blocks.contains_key(node.step_name()) => node,
                _ => continue,
            };
            let around = opens.place.parent.as_deref();
            let around = around.filter(|_| opens.place.branch.is_none());
            for name in [Some(opens.step_name()), around].into_iter().flatten() {
                if let Some(inside) = blocks.get_mut(name) {
                    inside.gateways.push(id);
                    break;
                }
            }
        }
        for block in definition.blocks() {
            let parent = block.parent.as_deref();
            if let Some(inside) = parent.and_then(|parent| blocks.get_mut(parent)) {
                inside.blocks.push(&block.name);
            }
        }
        let root = live.first();
        let fault = root.and_then(|root| root.record.fault.as_ref());
        let nodes = definition.nodes().iter();
        let begins = nodes.map(|node| (node.name.as_str(), node));
        let begins = begins.filter(|(name, _)| blocks.contains_key(name));
        let mut found = Self {
            definition,
            begins: Rc::new(begins.collect()),
            by_name: Rc::new(blocks),
            occupied: HashSet::new(),
            errors: fault.map_or(&[], |fault| &fault.errors),
            begun_anew: Rc::new(begun_anew),
            standings: HashMap::new(),
            passed_by: None,
        };
        for row in live {
            if !row.state.is_end() && row.state != State::Arrived {
                found.occupy(running.place(row).0);
            }
        }
        for block in definition.blocks() {
            found.stand(&block.name, by_node);
        }
        found
    }

    pub(super) fn definition(&self) -> &'a Definition {
        self.definition
    }

    /// The same of one instance of the map `name` and of what is inside it, from what that has left. A
    /// retry begins a map anew, with other instances.
    pub(super) fn within(&self, name: &'a str, left: &'a Left) -> Self {
        self.part(name, left, Rc::default())
    }

    /// The same of one round of the loop `name`.
    pub(super) fn within_round(&self, name: &'a str, left: &'a Left) -> Self {
        self.part(name, left, Rc::clone(&self.begun_anew))
    }

    fn part(
        &self,
        name: &'a str,
        left: &'a Left,
        begun_anew: Rc<HashMap<NodeId, Timestamp>>,
    ) -> Self {
        let mut found = Self {
            errors: &left.errors,
            begun_anew,
            ..self.none()
        };
        for node in &left.living {
            found.occupy(*node);
        }
        found.stand(name, &left.by_node);
        found
    }

    /// The same of an instance that never began, because its map was stopped. Where a failure stopped it,
    /// `unreached` is why.
    pub(super) fn passed_by(&self, stopped: Stopped, unreached: &str) -> Self {
        Self {
            passed_by: Some(match stopped {
                Stopped::Failed => (StepStatus::Skipped, Some(unreached.to_owned())),
                Stopped::Withdrawn => (StepStatus::Cancelled, None),
            }),
            ..self.none()
        }
    }

    /// The blocks of the same definition, of which nothing is known.
    fn none(&self) -> Self {
        Self {
            definition: self.definition,
            by_name: Rc::clone(&self.by_name),
            begins: Rc::clone(&self.begins),
            occupied: HashSet::new(),
            errors: &[],
            begun_anew: Rc::default(),
            standings: HashMap::new(),
            passed_by: None,
        }
    }

    /// How a block of the run stands.
    pub(super) fn standing(&self, name: &str) -> Option<&Standing> {
        self.standings.get(name)
    }

    /// Notes that a branch is at a node, and so in every block around that.
    fn occupy(&mut self, node: NodeId) {
        let node = self.definition.node(node);
        // Who waits for the branches of a block stands at its end.
        let begins = match &node.kind {
            NodeKind::Join { split, .. } => self.definition.node(*split),
            _ => node,
        };
        let own = Some(begins.step_name()).filter(|name| self.by_name.contains_key(name));
        let mut at = own.or(node.place.parent.as_deref());
        let by_name = Rc::clone(&self.by_name);
        while let Some(inside) = at.and_then(|name| by_name.get(name)) {
            if !self.occupied.insert(&inside.block.name) {
                return;
            }
            at = inside.block.parent.as_deref();
        }
    }

    /// Finds out how a block stands, after those in it.
    fn stand(&mut self, name: &'a str, by_node: &HashMap<NodeId, Vec<StepView>>) {
        // What stands there already also ends the way through blocks that would be in each other.
        if self.standings.contains_key(name) {
            return;
        }
        self.standings.insert(name, Standing::default());
        let Some(inside) = self.by_name.get(name) else {
            return;
        };
        for inner in inside.blocks.clone() {
            self.stand(inner, by_node);
        }
        let standing = self.found(name, by_node);
        self.standings.insert(name, standing);
    }

    fn found(&self, name: &str, by_node: &HashMap<NodeId, Vec<StepView>>) -> Standing {
        let mut standing = Standing {
            error: self.error(name).cloned(),
            ..Standing::default()
        };
        let Some(inside) = self.by_name.get(name) else {
            return standing;
        };
        for id in &inside.gateways {
            let views = by_node.get(id).into_iter().flatten();
            let mut errors = views.filter_map(|view| view.error.as_ref());
            standing.error = standing.error.or_else(|| errors.next_back().cloned());
        }
        let since = self.since(inside);
        for id in &inside.nodes {
            let node = self.definition.node(*id);
            if !is_work(&node.kind) && !self.is_limit(node) {
                continue;
            }
            for view in by_node.get(id).into_iter().flatten() {
                let is_over = view.ended_at.is_some() && view.ended_at <= since;
                let is_lost = matches!(view.status, StepStatus::Failed | StepStatus::Cancelled);
                if !(is_over && is_lost) && self.counts(node, view.status) {
                    let branch = node.place.branch.as_deref();
                    standing.note(branch, view.status, view.error.as_ref());
                }
            }
        }
        for name in &inside.blocks {
            let Some(inner) = self.standing(name) else {
                continue;
            };
            let node = self.begins.get(name);
            if let Some(status) = inner.status
                && node.is_none_or(|node| self.counts(node, status))
            {
                // A conditional fails with the failure of its branch.
                let error = inner.error.as_ref().or(inner.errors.values().next());
                standing.note(self.label(name), status, error);
            }
        }
        standing.status = self.judge(inside, &standing);
        standing
    }

    /// Up to when failures in a block are over, because a retry has begun it anew or one around it.
    fn since(&self, inside: &Inside<'_>) -> Option<Timestamp> {
        if self.begun_anew.is_empty() {
            return None;
        }
        let (mut at, mut since) = (Some(inside), None);
        // As many levels as there are blocks, whatever is stored.
        for _ in 0..self.by_name.len() {
            let Some(inside) = at else { break };
            let anew = inside
                .gateways
                .iter()
                .filter_map(|id| self.begun_anew.get(id));
            since = since.max(anew.max().copied());
            let around = inside.block.parent.as_deref();
            at = around.and_then(|name| self.by_name.get(name));
        }
        since
    }

    fn judge(&self, inside: &Inside<'_>, standing: &Standing) -> Option<StepStatus> {
        let block = inside.block;
        let any = |status| standing.branches.values().any(|found| *found == status);
        if self.occupied.contains(block.name.as_str()) {
            return Some(if standing.has_begun {
                StepStatus::Running
            } else {
                StepStatus::Pending
            });
        }
        if standing.error.is_some() {
            return Some(StepStatus::Failed);
        }
        if standing.branches.is_empty() {
            return None;
        }
        let lost =
            |status: &&StepStatus| matches!(status, StepStatus::Failed | StepStatus::Cancelled);
        let lost = standing.branches.values().filter(lost).count();
        let branches = self.branches_of(inside);
        let left = branches.saturating_sub(lost);
        Some(if left >= needed(block, branches) {
            StepStatus::Succeeded
        } else if any(StepStatus::Failed) {
            StepStatus::Failed
        } else {
            StepStatus::Cancelled
        })
    }

    /// How many branches a block has.
    fn branches_of(&self, inside: &Inside<'_>) -> usize {
        let nodes = inside.nodes.iter();
        let nodes = nodes.map(|id| self.definition.node(*id).place.branch.as_deref());
        let blocks = inside.blocks.iter().map(|name| self.label(name));
        nodes.chain(blocks).collect::<HashSet<_>>().len()
    }

    /// Whether what a step or block came to counts for the branch that it is on: a failure does not if
    /// the same branch goes on from it.
    fn counts(&self, node: &Node, status: StepStatus) -> bool {
        let Some(path) = node
            .on_fault
            .as_ref()
            .filter(|_| status == StepStatus::Failed)
        else {
            return true;
        };
        let to = self.definition.node(path.to);
        let goes_on = match &to.kind {
            NodeKind::Step(_) | NodeKind::Choice { .. } => true,
            // One that leads to a join at once only says there what has failed.
            NodeKind::Compute { .. } => {
                let next = to.next.map(|next| &self.definition.node(next).kind);
                next.is_some_and(|next| !matches!(next, NodeKind::Join { .. }))
            }
            _ => self.by_name.contains_key(to.step_name()),
        };
        !goes_on || to.place.parent != node.place.parent || to.place.branch != node.place.branch
    }

    /// Whether a node is a limit around steps of a branch: it leaves a row when their time is over.
    fn is_limit(&self, node: &Node) -> bool {
        matches!(node.kind, NodeKind::Scope { .. }) && !self.by_name.contains_key(&*node.name)
    }

    /// The names of a block's branches, in the order of the definition.
    pub(super) fn branches(&self, name: &str) -> Vec<&'a str> {
        let mut found = Vec::new();
        let nodes = self.by_name.get(name).map(|inside| inside.nodes.as_slice());
        for id in nodes.unwrap_or_default() {
            let branch = self.definition.node(*id).place.branch.as_deref();
            found.extend(branch.filter(|branch| !found.contains(branch)));
        }
        found
    }

    fn label(&self, name: &str) -> Option<&'a str> {
        self.by_name.get(name)?.block.label.as_deref()
    }

    /// What the block itself failed with.
    fn error(&self, name: &str) -> Option<&'a ErrorEntry> {
        self.errors.iter().find(|error| error.step == name)
    }

    /// What there is to say of a step or block that was not begun, if one around it was and is over.
    pub(super) fn passed(
        &self,
        place: &Place,
        unreached: &str,
    ) -> Option<(StepStatus, Option<String>)> {
        if self.passed_by.is_some() {
            return self.passed_by.clone();
        }
        let mut place = place.clone();
        // As many levels as there are blocks, whatever is stored.
        for _ in 0..self.by_name.len() {
            let parent = place.parent.as_deref()?;
            let (inside, standing) = (self.by_name.get(parent)?, self.standing(parent)?);
            if self.occupied.contains(parent) {
                return None;
            }
            if !standing.branches.is_empty() {
                let is_chain = inside.block.join_policy.as_deref() == Some(EXCLUSIVE);
                let skipped = |reason: &str| (StepStatus::Skipped, Some(reason.to_owned()));
                return Some(match standing.branches.get(&place.branch) {
                    Some(StepStatus::Failed) if is_chain => skipped(unreached),
                    Some(StepStatus::Failed) => skipped(BRANCH_FAILED),
                    Some(StepStatus::Cancelled) => (StepStatus::Cancelled, None),
                    _ => skipped(NOT_TAKEN),
                });
            }
            place = self.place_of(inside.block);
        }
        None
    }

    /// Where a block stands itself.
    pub(super) fn place_of(&self, block: &Block) -> Place {
        let around = block.parent.as_deref();
        let around = around.and_then(|name| self.by_name.get(name));
        Place {
            parent: block.parent.clone(),
            branch: block.label.clone(),
            join_policy: around.and_then(|around| around.block.join_policy.clone()),
        }
    }
}

impl Standing {
    /// What has become of a branch, if it was begun.
    pub(super) fn branch(&self, name: &str) -> Option<(StepStatus, Option<ErrorEntry>)> {
        let name = Some(name.to_owned());
        let status = *self.branches.get(&name)?;
        let error = self.errors.get(&name).cloned();
        Some((status, error.filter(|_| status == StepStatus::Failed)))
    }

    /// Of all that a branch has done the worst counts, and what goes on above all.
    fn note(&mut self, branch: Option<&str>, status: StepStatus, error: Option<&ErrorEntry>) {
        let rank = |status: StepStatus| match status {
            StepStatus::Running => 6,
            StepStatus::Waiting => 5,
            StepStatus::Pending => 4,
            StepStatus::Failed => 3,
            StepStatus::Cancelled => 2,
            StepStatus::Succeeded => 1,
            StepStatus::Skipped => 0,
        };
        self.has_begun |= status != StepStatus::Pending;
        let branch = branch.map(str::to_owned);
        if let (StepStatus::Failed, Some(error)) = (status, error) {
            let errors = self.errors.entry(branch.clone());
            errors.or_insert_with(|| error.clone());
        }
        let found = self.branches.entry(branch).or_insert(status);
        if rank(status) > rank(*found) {
            *found = status;
        }
    }
}

/// How many of so many branches must not be lost.
fn needed(block: &Block, branches: usize) -> usize {
    let policy = block.join_policy.as_deref().unwrap_or_default();
    match policy {
        "any" => 1,
        "majority" => branches / 2 + 1,
        // Failures are data there.
        "continue" => 0,
        _ => {
            let number = policy.strip_prefix("n_of_m:");
            number
                .and_then(|number| number.parse().ok())
                .unwrap_or(branches)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_workflow_model::{ActivationId, Draft, StepSpec};

    use StepStatus::{Cancelled, Failed, Skipped, Succeeded};

    /// A block of one step per branch, under a policy.
    fn block(policy: &str, branches: usize) -> Definition {
        let mut draft = Draft::new("w", "1");
        let (split, join) = draft.split("f", None);
        draft.start_at(split);
        draft.block(Block {
            name: "f".to_owned(),
            kind: "fork_join".to_owned(),
            label: None,
            parent: None,
            join_policy: Some(policy.to_owned()),
        });
        for branch in 0..branches {
            let name = format!("s{branch}");
            let step = draft.step(&name, StepSpec::new("t"));
            draft.branch(split, &name, step);
            draft.connect(step, join);
            draft.place(step, place(&name, policy));
        }
        draft.finish().unwrap()
    }

    fn place(branch: &str, policy: &str) -> Place {
        Place {
            parent: Some("f".to_owned()),
            branch: Some(branch.to_owned()),
            join_policy: Some(policy.to_owned()),
        }
    }

    fn view(status: StepStatus) -> StepView {
        StepView {
            step: String::new(),
            kind: String::new(),
            parent: None,
            branch: None,
            join_policy: None,
            instance: None,
            rounds: Vec::new(),
            activation: Some(ActivationId(1)),
            attempt: 1,
            status,
            reason: None,
            started_at: None,
            ended_at: None,
            input: None,
            output: None,
            error: None,
        }
    }

    /// The views of steps that came to these ends; the rest was not begun.
    fn views(definition: &Definition, ends: &[StepStatus]) -> HashMap<NodeId, Vec<StepView>> {
        let ends = ends.iter().enumerate();
        let node = |branch| definition.find(&format!("s{branch}")).unwrap();
        ends.map(|(branch, status)| (node(branch), vec![view(*status)]))
            .collect()
    }

    #[test]
    fn a_block_that_is_over_is_judged_by_its_policy() {
        for (policy, ends, expected) in [
            ("all", &[Succeeded, Succeeded][..], Some(Succeeded)),
            ("all", &[Succeeded, Failed], Some(Failed)),
            ("all", &[Succeeded, Cancelled], Some(Cancelled)),
            ("all", &[Succeeded, Skipped], Some(Succeeded)),
            ("any", &[Failed, Succeeded], Some(Succeeded)),
            ("any", &[Succeeded, Cancelled], Some(Succeeded)),
            ("any", &[Failed, Failed], Some(Failed)),
            ("majority", &[Succeeded, Failed, Succeeded], Some(Succeeded)),
            ("majority", &[Succeeded, Failed], Some(Failed)),
            ("n_of_m:2", &[Succeeded, Failed, Succeeded], Some(Succeeded)),
            ("n_of_m:2", &[Failed, Failed, Succeeded], Some(Failed)),
            ("continue", &[Failed, Failed], Some(Succeeded)),
            ("collect", &[Succeeded, Failed], Some(Failed)),
            ("exclusive", &[Failed], Some(Failed)),
            ("all", &[], None),
        ] {
            let definition = block(policy, ends.len().max(1));
            let running = RunningJobs(HashMap::new());
            let blocks = Blocks::new(
                &definition,
                &[],
                &running,
                &views(&definition, ends),
                HashMap::new(),
            );
            let found = blocks.standing("f").unwrap().status;
            assert_eq!(found, expected, "{policy} {ends:?}");
        }
    }

    #[test]
    fn what_a_block_that_is_over_passed_by_says_why() {
        for (policy, status, expected) in [
            ("any", Failed, Some((Skipped, Some("branch-failed")))),
            ("exclusive", Failed, Some((Skipped, Some("chain")))),
            ("any", Cancelled, Some((Cancelled, None))),
            ("any", Succeeded, Some((Skipped, Some("not-taken")))),
        ] {
            let definition = block(policy, 2);
            let running = RunningJobs(HashMap::new());
            let views = views(&definition, &[status]);
            let blocks = Blocks::new(&definition, &[], &running, &views, HashMap::new());
            let found = blocks.passed(&place("s0", policy), "chain");
            let found = found
                .as_ref()
                .map(|(status, why)| (*status, why.as_deref()));
            assert_eq!(found, expected, "{policy} {status}");
            let other = blocks.passed(&place("s1", policy), "chain");
            assert_eq!(other, Some((Skipped, Some("not-taken".to_owned()))));
        }
        let definition = block("all", 2);
        let running = RunningJobs(HashMap::new());
        let blocks = Blocks::new(&definition, &[], &running, &HashMap::new(), HashMap::new());
        assert_eq!(blocks.passed(&place("s0", "all"), "chain"), None);
    }
}
