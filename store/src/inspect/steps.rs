//! The steps of a run, put together from its definition, history and live branches.

mod blocks;
mod instances;
mod loops;
mod maps;
mod times;

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{
    ActivationId, Block, BranchId, Definition, FencingToken, Node, NodeId, NodeKind, Payload,
    Place, Rounds, RunStatus, StepStatus, Timestamp,
};

use super::RunningJobs;
use super::maps::BegunMap;
use super::views::{RunSummary, StepView};
use crate::record::{BranchRow, HistoryRow, State, UNDO};

use blocks::{Blocks, NOT_TAKEN};
use instances::{At, Instances};
use loops::{InRound, Loops, in_rounds};
use maps::{All, Bodies, Left, Maps, name_instance};
use times::Times;

/// Puts the steps of a run together from its definition, history and live branches.
pub(super) struct Steps<'a> {
    pub(super) definition: &'a Definition,
    pub(super) summary: &'a RunSummary,
    pub(super) running: &'a RunningJobs,
    /// The maps that are blocks, as often as they were begun.
    pub(super) maps: &'a [BegunMap],
    /// Whether attempts of this run may have left no row.
    pub(super) is_partial: bool,
}

/// What is shown of a run.
pub(super) struct Views {
    /// Its steps and blocks.
    pub(super) steps: Vec<StepView>,
    /// The branches of blocks.
    pub(super) branches: Vec<StepView>,
    /// Changes of the data that were noted.
    pub(super) notes: Vec<StepView>,
}

impl Steps<'_> {
    /// All that there is to show.
    pub(super) fn views(&self, history: &[HistoryRow], live: &[BranchRow]) -> Views {
        let bodies = Bodies::of(self.definition);
        let loops = Loops::of(self.definition);
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
                    views[*index] = self.ended_view(row, &bodies, &loops);
                    last.insert(place, row);
                }
            } else {
                seen.insert(place, views.len());
                last.insert(place, row);
                views.push(self.ended_view(row, &bodies, &loops));
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
                let mut over = StepView {
                    activation: Some(row.activation),
                    status: StepStatus::Succeeded,
                    ..self.blank(row.position.node, None)
                };
                tell_wait(&mut over, row);
                let rounds = &row.record.flow().rounds;
                let over = loops.counted(over, row.position.node, rounds);
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
                let view = bodies.named(self.blank(node, name), node, name);
                views.push(loops.counted(view, node, &row.record.flow().rounds));
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
            if activation == row.activation {
                tell_wait(view, row);
            }
        }
        let maps = Maps::new(self.definition);
        let instances = self.instances(&maps, history, live);
        for (node, views) in &mut by_node {
            for view in views {
                let at = view.activation.and_then(|to| instances.at((*node, to)));
                view.instance = at.map(|at| instances.instance(at));
            }
        }
        let blocks = Blocks::new(self.definition, live, self.running, &by_node, begun_anew);
        let left = self.left_by_instances(&instances, history, live, &by_node);
        let came_by = self.came_by(history, live);
        let rounds = loops.rounds(&by_node, came_by);
        let times = Times::new(self.definition, &by_node);
        let unreached = self.definition.unreached_reason();
        let all = All {
            instances: &instances,
            left: &left,
            inside: maps.inside(&instances, &blocks, &left, unreached),
            rounds: loops.inside(&blocks, &rounds),
            loops: &loops,
            maps: &maps,
            blocks: &blocks,
            times: &times,
        };
        let (mut views, mut branches) = (Vec::new(), Vec::new());
        let notes = self.notes(&by_node);
        for block in self.definition.blocks() {
            views.extend(self.block_views(block, &all));
            branches.extend(self.branch_views(block, &all));
        }
        let mut copies: HashMap<&str, Vec<NodeId>> = HashMap::new();
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            if let Some(original) = &node.copy_of {
                copies.entry(original).or_default().push(id);
            }
        }
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            // Where there are blocks, what a gateway came to is said by them.
            // One that was noted and has not failed is no step either.
            let is_lost = |view: &StepView| view.status != StepStatus::Succeeded;
            let left = || {
                by_node
                    .get(&id)
                    .is_some_and(|views| views.iter().any(is_lost))
            };
            let has_failed = || self.definition.blocks().is_empty() && left();
            if node.copy_of.is_none() && (is_work(&node.kind) || has_failed()) {
                let mut own = by_node.remove(&id).unwrap_or_default();
                for copy in copies.remove(node.name.as_str()).unwrap_or_default() {
                    own.extend(by_node.remove(&copy).unwrap_or_default());
                }
                views.extend(self.step_views(id, own, &all));
            }
        }
        Views {
            steps: views,
            branches,
            notes,
        }
    }

    /// What changes of the data have noted.
    fn notes(&self, by_node: &HashMap<NodeId, Vec<StepView>>) -> Vec<StepView> {
        let nodes = (0..).map(NodeId).zip(self.definition.nodes());
        let noted =
            nodes.filter(|(_, node)| matches!(node.kind, NodeKind::Compute { noted: Some(_), .. }));
        noted
            .flat_map(|(id, _)| by_node.get(&id).into_iter().flatten().cloned())
            .collect()
    }

    /// The instances of the maps that are blocks. Of a run that leaves gaps they cannot be followed.
    fn instances(&self, maps: &Maps<'_>, history: &[HistoryRow], live: &[BranchRow]) -> Instances {
        if self.maps.is_empty() || self.is_partial {
            return Instances::default();
        }
        let left = history.iter().map(|row| (row.node, row.activation));
        let stand = live.iter().map(|row| self.running.place(row));
        let stored = live.iter().map(|row| (row.position.node, row.activation));
        let begun = self.maps.iter().map(|map| (map.row.map, map.row.scope));
        let been = left.chain(stand).chain(stored).chain(begun).collect();
        Instances::new(self.definition, self.maps, maps, &been)
    }

    /// What each instance of a map, with those inside it, has left behind and where it lives.
    fn left_by_instances(
        &self,
        instances: &Instances,
        history: &[HistoryRow],
        live: &[BranchRow],
        by_node: &HashMap<NodeId, Vec<StepView>>,
    ) -> HashMap<usize, Left> {
        let mut left: HashMap<usize, Left> = HashMap::new();
        let around = |at: At| {
            let at = instances.at(at).into_iter();
            at.flat_map(|at| instances.with_around(at))
        };
        for (node, views) in by_node {
            let is_gateway = !is_work(&self.definition.node(*node).kind);
            for view in views
                .iter()
                .filter(|view| is_gateway && view.output.is_some())
            {
                let at = view.activation.and_then(|to| instances.at((*node, to)));
                if let Some(at) = at {
                    left.entry(at).or_default().given.clone_from(&view.output);
                }
            }
            for view in views {
                for at in view
                    .activation
                    .into_iter()
                    .flat_map(|to| around((*node, to)))
                {
                    let of = left.entry(at).or_default().by_node.entry(*node);
                    of.or_default().push(StepView {
                        output: None,
                        ..view.clone()
                    });
                }
            }
        }
        for row in history {
            for error in row.detail.fault.iter().flat_map(|fault| &fault.errors) {
                for at in around((row.node, row.activation)) {
                    left.entry(at).or_default().errors.push(error.clone());
                }
            }
        }
        for row in live {
            if !row.state.is_end() && row.state != State::Arrived {
                let place = self.running.place(row);
                for at in around(place) {
                    left.entry(at).or_default().living.push(place.0);
                }
            }
        }
        left
    }

    /// The errors that branches left behind and the nodes at which they live, each with the rounds there.
    fn came_by(
        &self,
        history: &[HistoryRow],
        live: &[BranchRow],
    ) -> impl Iterator<Item = (NodeId, Rounds, Left)> {
        let failed = history.iter().filter_map(|row| {
            let errors = row.detail.fault.as_ref()?.errors.clone();
            let left = Left {
                errors,
                ..Left::default()
            };
            Some((row.node, row.detail.rounds.clone(), left))
        });
        let is_alive = |row: &&BranchRow| !row.state.is_end() && row.state != State::Arrived;
        let living = live.iter().filter(is_alive).map(|row| {
            let node = self.running.place(row).0;
            let left = Left {
                living: vec![node],
                ..Left::default()
            };
            (node, row.record.flow().rounds.clone(), left)
        });
        // A gateway behind a step that fails leaves no row, and is why the run has failed.
        let root = live.first().and_then(|root| {
            let errors = root.record.fault.as_ref()?.errors.clone();
            let left = Left {
                errors,
                ..Left::default()
            };
            Some((root.position.node, root.record.flow().rounds.clone(), left))
        });
        failed.chain(root).chain(living)
    }

    /// A block: once, or in a loop once for each iteration or round.
    fn block_views(&self, block: &Block, all: &All<'_>) -> Vec<StepView> {
        let parent = block.parent.as_deref();
        let (around, instances) = all.around(parent);
        if instances.is_empty() {
            let (of, rounds) = all.rounds_around(parent);
            if rounds.is_empty() {
                return vec![self.block_view(block, all.blocks, all.times)];
            }
            let view = |round: &InRound<'_>| {
                let view = self.block_view(block, &round.blocks, &round.times);
                in_rounds(view, round.numbers.to_vec(), parent == of)
            };
            return rounds.iter().map(view).collect();
        }
        let view = |at: &usize| {
            let (blocks, times) = &*all.inside[at];
            let mut view = self.block_view(block, blocks, times);
            let instance = all.instances.instance(*at);
            if block.parent.as_deref() == around {
                name_instance(&mut view, &instance.index.to_string());
            }
            view.instance = Some(instance);
            view
        };
        instances.iter().map(view).collect()
    }

    /// The branches of a block; of a loop, its iterations.
    fn branch_views(&self, block: &Block, all: &All<'_>) -> Vec<StepView> {
        let mut views = Vec::new();
        if let Some((name, map)) = all
            .maps
            .around(&block.name)
            .filter(|(n, _)| *n == block.name)
        {
            for at in all.instances.of_map(map, all.maps.size(map)) {
                let (blocks, times) = &*all.inside[at];
                let instance = all.instances.instance(*at);
                for branch in blocks.branches(name) {
                    let mut view = self.branch_view(block, branch, blocks, times);
                    name_instance(&mut view, &instance.index.to_string());
                    view.instance = Some(instance);
                    view.output = all.left.get(at).and_then(|left| left.given.clone());
                    views.push(view);
                }
            }
            return views;
        }
        let (_, instances) = all.around(block.parent.as_deref());
        let (_, rounds) = all.rounds_around(block.parent.as_deref());
        for branch in all.blocks.branches(&block.name) {
            if instances.is_empty() && rounds.is_empty() {
                views.push(self.branch_view(block, branch, all.blocks, all.times));
            }
            for round in rounds.iter().filter(|_| instances.is_empty()) {
                let view = self.branch_view(block, branch, &round.blocks, &round.times);
                views.push(in_rounds(view, round.numbers.to_vec(), false));
            }
            for at in instances {
                let (blocks, times) = &*all.inside[at];
                let mut view = self.branch_view(block, branch, blocks, times);
                view.instance = Some(all.instances.instance(*at));
                views.push(view);
            }
        }
        views
    }

    fn branch_view(
        &self,
        block: &Block,
        branch: &str,
        blocks: &Blocks<'_>,
        times: &Times<'_>,
    ) -> StepView {
        let place = Place {
            parent: Some(block.name.clone()),
            branch: Some(branch.to_owned()),
            join_policy: block.join_policy.clone(),
        };
        let standing = blocks.standing(&block.name);
        let standing = standing.and_then(|standing| standing.branch(branch));
        let (status, reason, error) = if let Some((status, error)) = standing {
            (status, None, error)
        } else {
            let (status, reason) = self.passed_by(&place, None, blocks);
            (status, reason, None)
        };
        let (started_at, ended_at) = times.of_branch(&block.name, branch);
        // One of its steps is over, and the next one not begun.
        let status = match status {
            StepStatus::Pending if started_at.is_some() => StepStatus::Running,
            status => status,
        };
        StepView {
            status,
            reason,
            started_at,
            ended_at: ended_at.filter(|_| is_over(status)),
            error,
            ..empty(&block.name, "branch", place)
        }
    }

    /// A step: its activations, and that it was not reached; in a loop that for each iteration or round.
    fn step_views(&self, id: NodeId, mut own: Vec<StepView>, all: &All<'_>) -> Vec<StepView> {
        let parent = self.definition.node(id).place.parent.as_deref();
        let (around, instances) = all.around(parent);
        if instances.is_empty() {
            self.add_rounds(id, &mut own, all);
            if own.is_empty() {
                own.push(self.unreached(id, all.blocks));
            }
            return own;
        }
        let mut order = HashMap::new();
        let reached: HashSet<_> = own.iter().filter_map(|view| view.instance).collect();
        for at in instances {
            let instance = all.instances.instance(*at);
            order.insert(Some(instance), order.len() + 1);
            if !reached.contains(&instance) {
                let mut view = self.unreached(id, &all.inside[at].0);
                if parent == around {
                    name_instance(&mut view, &instance.index.to_string());
                }
                view.instance = Some(instance);
                own.push(view);
            }
        }
        own.sort_by_key(|view| order.get(&view.instance).copied().unwrap_or(0));
        own
    }

    /// The rounds in which a step was not reached.
    fn add_rounds(&self, id: NodeId, own: &mut Vec<StepView>, all: &All<'_>) {
        let parent = self.definition.node(id).place.parent.as_deref();
        let (of, rounds) = all.rounds_around(parent);
        let reached: HashSet<Vec<u32>> = own.iter().map(|view| view.rounds.clone()).collect();
        let missed = rounds
            .iter()
            .filter(|round| !reached.contains(round.numbers));
        for round in missed {
            let view = self.unreached(id, &round.blocks);
            own.push(in_rounds(view, round.numbers.to_vec(), parent == of));
        }
        if !rounds.is_empty() {
            own.sort_by(|one, other| one.rounds.cmp(&other.rounds));
        }
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
        // Rows of one token are of one checkpoint, in which a failure is the last that happens.
        let last = last.map(|row| row.token).max();
        let goes_on = self.summary.status != RunStatus::Failed;
        let of_root = history.iter().filter(failed).filter(|row| {
            let is_past = last.is_some_and(|last| row.token < last);
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
        let branch = node.place.branch.clone().or(branch.map(str::to_owned));
        let place = Place {
            branch,
            ..node.place.clone()
        };
        empty(node.step_name(), node.kind.word(), place)
    }

    fn ended_view(&self, row: &HistoryRow, bodies: &Bodies, loops: &Loops<'_>) -> StepView {
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
        let blank = loops.counted(blank, row.node, &row.detail.rounds);
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
        let (started_at, ended_at) = times.of(&block.name);
        // It shows how it joins its own branches.
        let shown = Place {
            join_policy: block.join_policy.clone(),
            ..place
        };
        StepView {
            status,
            reason,
            started_at,
            ended_at: ended_at.filter(|_| is_over(status)),
            error: standing.and_then(|standing| standing.error.clone()),
            ..empty(&block.name, &block.kind, shown)
        }
    }
}

/// Since when a branch waits, or waited until now, and what it asked for.
fn tell_wait(view: &mut StepView, row: &BranchRow) {
    if let Some(wait) = &row.record.wait {
        view.started_at = Some(wait.since);
        view.input = wait.input.clone().map(Payload::from_json);
    }
}

fn is_over(status: StepStatus) -> bool {
    !matches!(status, StepStatus::Pending | StepStatus::Running)
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

/// A row of what has not been reached.
fn empty(step: &str, kind: &str, place: Place) -> StepView {
    StepView {
        step: step.to_owned(),
        kind: kind.to_owned(),
        parent: place.parent,
        branch: place.branch,
        join_policy: place.join_policy,
        instance: None,
        rounds: Vec::new(),
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
