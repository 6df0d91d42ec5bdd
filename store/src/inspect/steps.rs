//! The steps of a run, put together from its definition, history and live branches.

mod blocks;

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{
    ActivationId, Block, BranchId, Definition, FencingToken, Node, NodeId, NodeKind, Payload,
    Place, RunStatus, StepStatus, Timestamp,
};

use super::RunningJobs;
use super::views::{RunSummary, StepView};
use crate::record::{BranchRow, HistoryRow, State, UNDO};

use blocks::{Blocks, NOT_TAKEN};

/// Puts the steps of a run together from its definition, history and live branches.
pub(super) struct Steps<'a> {
    pub(super) definition: &'a Definition,
    pub(super) summary: &'a RunSummary,
    pub(super) running: &'a RunningJobs,
    /// Whether attempts of this run may have left no row.
    pub(super) is_partial: bool,
}

impl Steps<'_> {
    pub(super) fn views(&self, history: &[HistoryRow], live: &[BranchRow]) -> Vec<StepView> {
        let bodies = Bodies::of(self.definition);
        let mut by_node: HashMap<NodeId, Vec<StepView>> = HashMap::new();
        let mut seen: HashMap<(NodeId, ActivationId), usize> = HashMap::new();
        let mut last: HashMap<(NodeId, ActivationId), &HistoryRow> = HashMap::new();
        let overtaken = self.overtaken(history);
        let mut begun_anew: HashMap<NodeId, Timestamp> = HashMap::new();
        for row in history {
            if overtaken.contains(&(row.branch, row.token, row.ordinal)) {
                let at = begun_anew.entry(row.node).or_insert(row.ended_at);
                *at = row.ended_at.max(*at);
                continue;
            }
            let views = by_node.entry(row.node).or_default();
            let place = (row.node, row.activation);
            if let Some(index) = seen.get(&place) {
                if last[&place].precedes(row) {
                    views[*index] = self.ended_view(row, &bodies);
                    last.insert(place, row);
                }
            } else {
                seen.insert(place, views.len());
                last.insert(place, row);
                views.push(self.ended_view(row, &bodies));
            }
        }
        for row in live {
            let (node, activation) = self.running.place(row);
            let stored = self.definition.node(row.position.node);
            if activation != row.activation
                && matches!(
                    stored.kind,
                    NodeKind::Sleep { .. }
                        | NodeKind::Await { .. }
                        | NodeKind::Select { .. }
                        | NodeKind::Call(_)
                )
            {
                // Its wait is over, and is written down with the step that it went on to.
                let over = StepView {
                    activation: Some(row.activation),
                    status: StepStatus::Succeeded,
                    ..self.blank(row.position.node, None)
                };
                by_node.entry(row.position.node).or_default().push(over);
            }
            let Some(status) = self.live_status(row, node) else {
                continue;
            };
            let views = by_node.entry(node).or_default();
            let name = row
                .record
                .membership
                .as_ref()
                .map(|membership| membership.name.as_str());
            let index = *seen.entry((node, activation)).or_insert_with(|| {
                views.push(bodies.named(self.blank(node, name), node, name));
                views.len() - 1
            });
            let view = &mut views[index];
            let begun = matches!(status, StepStatus::Running);
            (view.status, view.attempt) = (
                status,
                row.attempt
                    .saturating_sub(u32::from(status == StepStatus::Pending)),
            );
            (view.activation, view.ended_at) = (Some(activation), None);
            view.reason.clone_from(&row.record.reason);
            view.started_at = self.running.since(row).filter(|_| begun);
        }
        let mut views = Vec::new();
        let blocks = Blocks::new(self.definition, live, self.running, &by_node, begun_anew);
        let times = Times::new(self.definition, &by_node);
        for block in self.definition.blocks() {
            views.push(self.block_view(block, &blocks, &times));
        }
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            // Where there are blocks, what a gateway came to is said by them.
            let has_failed = || by_node.contains_key(&id) && self.definition.blocks().is_empty();
            if is_work(&node.kind) || has_failed() {
                let unreached = || vec![self.unreached(id, &blocks)];
                views.extend(by_node.remove(&id).unwrap_or_else(unreached));
            }
        }
        views
    }

    /// The failures of gateways that a retry has got over. A gateway that comes through leaves no row,
    /// so that its last one may be of a failure before.
    fn overtaken(&self, history: &[HistoryRow]) -> HashSet<(BranchId, FencingToken, u32)> {
        let root = self.summary.run.root();
        // A branch that failed at a gateway goes no further unless somebody retries it.
        let failed = |row: &&HistoryRow| {
            let node = self.definition.node(row.node);
            row.status == StepStatus::Failed && !is_work(&node.kind) && node.on_fault.is_none()
        };
        let last = history.iter().filter(|row| row.branch == root);
        let last = last.map(|row| (row.token, row.ordinal)).max();
        let goes_on = self.summary.status != RunStatus::Failed;
        let of_root = history.iter().filter(failed).filter(|row| {
            let is_past = last.is_some_and(|last| (row.token, row.ordinal) < last);
            row.branch == root && (goes_on || is_past)
        });
        // What failed inside before has begun anew with it.
        let Some(retried) = of_root.map(|row| row.ended_at).max() else {
            return HashSet::new();
        };
        let before = history.iter().filter(failed);
        before
            .filter(|row| row.ended_at <= retried)
            .map(|row| (row.branch, row.token, row.ordinal))
            .collect()
    }

    fn blank(&self, id: NodeId, branch: Option<&str>) -> StepView {
        let node = self.definition.node(id);
        StepView {
            step: node.name.clone(),
            kind: node.kind.word().to_owned(),
            parent: node.place.parent.clone(),
            branch: node.place.branch.clone().or(branch.map(str::to_owned)),
            join_policy: node.place.join_policy.clone(),
            activation: None,
            attempt: 0,
            status: StepStatus::Pending,
            reason: None,
            started_at: None,
            ended_at: None,
            input: None,
            output: None,
            error: None,
        }
    }

    fn ended_view(&self, row: &HistoryRow, bodies: &Bodies) -> StepView {
        let withdrawn = row.detail.again && self.summary.status == RunStatus::Cancelled;
        let error = row
            .detail
            .fault
            .as_ref()
            .and_then(|fault| fault.errors.first().cloned());
        let blank = bodies.named(
            self.blank(row.node, row.branch_name.as_deref()),
            row.node,
            row.branch_name.as_deref(),
        );
        let reason = row.detail.reason.clone();
        let is_undo = reason.as_deref() == Some(UNDO);
        let kind = if is_undo { UNDO.to_owned() } else { blank.kind };
        StepView {
            kind,
            activation: Some(row.activation),
            attempt: row.attempt,
            status: if withdrawn {
                StepStatus::Cancelled
            } else {
                row.status
            },
            reason: reason.filter(|_| !is_undo),
            started_at: row.started_at,
            ended_at: Some(row.ended_at),
            input: row.detail.input.clone().map(Payload::from_json),
            output: row.detail.output.clone().map(Payload::from_json),
            error,
            ..blank
        }
    }

    /// The status of the step that a live branch stands in; `None` if it stands in a gateway or has
    /// come to its end.
    fn live_status(&self, row: &BranchRow, node: NodeId) -> Option<StepStatus> {
        match row.state {
            _ if !is_work(&self.definition.node(node).kind) => None,
            State::Ready if self.running.has(row) => Some(StepStatus::Running),
            State::Ready | State::Held => Some(StepStatus::Pending),
            State::Timer
            | State::Event
            | State::Parked
            | State::Meeting
            | State::Calling
            | State::Blocked => Some(StepStatus::Waiting),
            State::Joining
            | State::Arrived
            | State::Ending
            | State::Succeeded
            | State::Failed
            | State::Cancelled => None,
        }
    }

    fn unreached(&self, id: NodeId, blocks: &Blocks<'_>) -> StepView {
        let blank = self.blank(id, None);
        let (status, reason) = self.passed_by(&self.definition.node(id).place, Some(id), blocks);
        StepView {
            status,
            reason,
            ..blank
        }
    }

    /// What there is to say of a step or block that was not begun.
    fn passed_by(
        &self,
        place: &Place,
        step: Option<NodeId>,
        blocks: &Blocks<'_>,
    ) -> (StepStatus, Option<String>) {
        let may_be_missing = || step.is_none_or(|step| self.is_optional(step));
        let unreached = self.definition.unreached_reason();
        match self.summary.status {
            RunStatus::Succeeded if self.is_partial && !may_be_missing() => {
                (StepStatus::Succeeded, Some("not-recorded".to_owned()))
            }
            _ if self.is_partial => (StepStatus::Pending, Some("not-recorded".to_owned())),
            RunStatus::Cancelled => (StepStatus::Cancelled, self.summary.reason.clone()),
            RunStatus::Failed => blocks
                .passed(place, unreached)
                .unwrap_or_else(|| (StepStatus::Skipped, Some(unreached.to_owned()))),
            RunStatus::Succeeded => blocks
                .passed(place, unreached)
                .unwrap_or_else(|| (StepStatus::Skipped, Some(NOT_TAKEN.to_owned()))),
            RunStatus::Scheduled
            | RunStatus::Pending
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::Parked => blocks
                .passed(place, unreached)
                .unwrap_or((StepStatus::Pending, None)),
        }
    }

    /// Whether a run can come to its end without this step: it stands behind a choice or on a fault
    /// path.
    fn is_optional(&self, id: NodeId) -> bool {
        let definition = self.definition;
        let skipped = |node: &Node| match &node.kind {
            NodeKind::Step(step) => step.guard.is_some(),
            NodeKind::Call(call) => call.guard.is_some(),
            _ => false,
        };
        let branches =
            |node: &Node| matches!(node.kind, NodeKind::Choice { .. }) || node.on_fault.is_some();
        skipped(definition.node(id)) || definition.nodes().iter().any(branches)
    }

    fn block_view(&self, block: &Block, blocks: &Blocks<'_>, times: &Times<'_>) -> StepView {
        let place = blocks.place_of(block);
        let standing = blocks.standing(&block.name);
        let status = standing.and_then(|standing| standing.status);
        let (status, reason) = match status {
            Some(status) => (status, None),
            None => self.passed_by(&place, None, blocks),
        };
        let is_over = !matches!(status, StepStatus::Pending | StepStatus::Running);
        let (started_at, ended_at) = times.of(&block.name);
        StepView {
            step: block.name.clone(),
            kind: block.kind.clone(),
            parent: block.parent.clone(),
            branch: block.label.clone(),
            join_policy: block.join_policy.clone(),
            activation: None,
            attempt: 0,
            status,
            reason,
            started_at,
            ended_at: ended_at.filter(|_| is_over),
            input: None,
            output: None,
            error: standing.and_then(|standing| standing.error.clone()),
        }
    }
}

/// Whether a branch works or waits at such a node, and does not just pass it.
fn is_work(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Step(_)
            | NodeKind::Sleep { .. }
            | NodeKind::Await { .. }
            | NodeKind::Select { .. }
            | NodeKind::Call(_)
    )
}

/// The nodes right in the body of a map that is a block. Their branch is one of its instances; which
/// one, only the rows of a run say.
struct Bodies(HashSet<NodeId>);

impl Bodies {
    fn of(definition: &Definition) -> Self {
        let is_map = |node: &&Node| matches!(node.kind, NodeKind::Map { .. });
        let maps = definition.nodes().iter().filter(is_map);
        let maps: HashSet<&str> = maps.map(|node| node.name.as_str()).collect();
        let inside = |node: &Node| {
            let parent = node.place.parent.as_deref();
            parent.is_some_and(|parent| maps.contains(parent))
        };
        let nodes = (0..).map(NodeId).zip(definition.nodes());
        Self(
            nodes
                .filter(|(_, node)| inside(node))
                .map(|(id, _)| id)
                .collect(),
        )
    }

    /// The view of a node with the name of its instance in it.
    fn named(&self, mut view: StepView, node: NodeId, instance: Option<&str>) -> StepView {
        if let (Some(branch), Some(instance), true) =
            (&mut view.branch, instance, self.0.contains(&node))
        {
            branch.push('-');
            branch.push_str(instance);
        }
        view
    }
}

/// When the first step of each block began, and when the last one ended.
struct Times<'a>(HashMap<&'a str, (Option<Timestamp>, Option<Timestamp>)>);

impl<'a> Times<'a> {
    fn new(definition: &'a Definition, by_node: &HashMap<NodeId, Vec<StepView>>) -> Self {
        let parents: HashMap<&str, &str> = definition
            .blocks()
            .iter()
            .filter_map(|block| Some((block.name.as_str(), block.parent.as_deref()?)))
            .collect();
        let mut times = Self(HashMap::new());
        for (id, node) in (0..).map(NodeId).zip(definition.nodes()) {
            for view in by_node.get(&id).into_iter().flatten() {
                let mut at = node.place.parent.as_deref();
                // As many levels as there are blocks, whatever is stored.
                for _ in 0..definition.blocks().len() {
                    let Some(name) = at else { break };
                    let (began, ended) = times.0.entry(name).or_default();
                    *began = [*began, view.started_at].into_iter().flatten().min();
                    *ended = [*ended, view.ended_at].into_iter().flatten().max();
                    at = parents.get(name).copied();
                }
            }
        }
        times
    }

    fn of(&self, name: &str) -> (Option<Timestamp>, Option<Timestamp>) {
        self.0.get(name).copied().unwrap_or_default()
    }
}
