//! The steps of a run, put together from its definition, history and live branches.

use std::collections::HashMap;

use windlass_workflow_model::{
    ActivationId, Definition, Node, NodeId, NodeKind, Payload, RunStatus, StepStatus,
};

use super::RunningJobs;
use super::views::{RunSummary, StepView};
use crate::record::{BranchRow, HistoryRow, State, UNDO};

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
        let mut by_node: HashMap<NodeId, Vec<StepView>> = HashMap::new();
        let mut seen: HashMap<(NodeId, ActivationId), usize> = HashMap::new();
        let mut last: HashMap<(NodeId, ActivationId), &HistoryRow> = HashMap::new();
        for row in history {
            let views = by_node.entry(row.node).or_default();
            let place = (row.node, row.activation);
            if let Some(index) = seen.get(&place) {
                if last[&place].precedes(row) {
                    views[*index] = self.ended_view(row);
                    last.insert(place, row);
                }
            } else {
                seen.insert(place, views.len());
                last.insert(place, row);
                views.push(self.ended_view(row));
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
                views.push(self.blank(node, name));
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
        for block in self.definition.blocks() {
            views.push(self.block_view(&block.name, &by_node));
        }
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            if matches!(
                node.kind,
                NodeKind::Step(_)
                    | NodeKind::Sleep { .. }
                    | NodeKind::Await { .. }
                    | NodeKind::Select { .. }
                    | NodeKind::Call(_)
            ) || by_node.contains_key(&id)
            {
                let unreached = || vec![self.unreached(id)];
                views.extend(by_node.remove(&id).unwrap_or_else(unreached));
            }
        }
        views
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
            output: None,
            error: None,
        }
    }

    fn ended_view(&self, row: &HistoryRow) -> StepView {
        let withdrawn = row.detail.again && self.summary.status == RunStatus::Cancelled;
        let error = row
            .detail
            .fault
            .as_ref()
            .and_then(|fault| fault.errors.first().cloned());
        let blank = self.blank(row.node, row.branch_name.as_deref());
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
            output: row.detail.output.clone().map(Payload::from_json),
            error,
            ..blank
        }
    }

    /// The status of the step that a live branch stands in; `None` if it stands in a gateway or has
    /// come to its end.
    fn live_status(&self, row: &BranchRow, node: NodeId) -> Option<StepStatus> {
        let waits = matches!(
            self.definition.node(node).kind,
            NodeKind::Step(_)
                | NodeKind::Sleep { .. }
                | NodeKind::Await { .. }
                | NodeKind::Select { .. }
                | NodeKind::Call(_)
        );
        match row.state {
            _ if !waits => None,
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

    fn unreached(&self, id: NodeId) -> StepView {
        let (status, reason) = match self.summary.status {
            RunStatus::Succeeded if self.is_partial && !self.is_optional(id) => {
                (StepStatus::Succeeded, Some("not-recorded".to_owned()))
            }
            _ if self.is_partial => (StepStatus::Pending, Some("not-recorded".to_owned())),
            RunStatus::Cancelled => (StepStatus::Cancelled, self.summary.reason.clone()),
            RunStatus::Failed => (
                StepStatus::Skipped,
                Some(self.definition.unreached_reason().to_owned()),
            ),
            RunStatus::Succeeded => (StepStatus::Skipped, Some("not-taken".to_owned())),
            RunStatus::Scheduled
            | RunStatus::Pending
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::Parked => (StepStatus::Pending, None),
        };
        StepView {
            status,
            reason,
            ..self.blank(id, None)
        }
    }

    /// Whether a run can come to its end without this step: it stands behind a choice or on a fault
    /// path.
    fn is_optional(&self, id: NodeId) -> bool {
        let definition = self.definition;
        let skipped =
            |node: &Node| matches!(&node.kind, NodeKind::Step(step) if step.guard.is_some());
        let branches =
            |node: &Node| matches!(node.kind, NodeKind::Choice { .. }) || node.on_fault.is_some();
        skipped(definition.node(id)) || definition.nodes().iter().any(branches)
    }

    fn block_view(&self, name: &str, by_node: &HashMap<NodeId, Vec<StepView>>) -> StepView {
        let mut members = Vec::new();
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            if node.place.parent.as_deref() == Some(name) {
                match by_node.get(&id) {
                    Some(views) => members.extend(views.iter().cloned()),
                    None if matches!(node.kind, NodeKind::Step(_)) => {
                        members.push(self.unreached(id));
                    }
                    None => {}
                }
            }
        }
        let all = |status: StepStatus| members.iter().all(|member| member.status == status);
        let any = |status: StepStatus| members.iter().any(|member| member.status == status);
        let open = any(StepStatus::Running) || any(StepStatus::Waiting) || any(StepStatus::Pending);
        let status = if members.is_empty() || all(StepStatus::Pending) {
            StepStatus::Pending
        } else if all(StepStatus::Skipped) {
            StepStatus::Skipped
        } else if open {
            StepStatus::Running
        } else if any(StepStatus::Failed) {
            StepStatus::Failed
        } else if any(StepStatus::Cancelled) {
            StepStatus::Cancelled
        } else {
            StepStatus::Succeeded
        };
        let block = self
            .definition
            .blocks()
            .iter()
            .find(|block| block.name == name);
        let over = !matches!(status, StepStatus::Pending | StepStatus::Running);
        let ends = members.iter().filter_map(|member| member.ended_at);
        StepView {
            step: name.to_owned(),
            kind: block.map(|block| block.kind.clone()).unwrap_or_default(),
            parent: block.and_then(|block| block.parent.clone()),
            branch: block.and_then(|block| block.label.clone()),
            join_policy: block.and_then(|block| block.join_policy.clone()),
            activation: None,
            attempt: 0,
            status,
            reason: members
                .first()
                .filter(|_| status == StepStatus::Skipped)
                .and_then(|m| m.reason.clone()),
            started_at: members.iter().filter_map(|member| member.started_at).min(),
            ended_at: ends.max().filter(|_| over),
            output: None,
            error: None,
        }
    }
}
