//! The steps of a run, put together from its definition, history and live branches.

mod blocks;
mod instances;

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{
    ActivationId, Block, BranchId, Definition, ErrorEntry, FencingToken, Node, NodeId, NodeKind,
    Payload, Place, Rounds, RunStatus, StepStatus, Timestamp,
};

use super::RunningJobs;
use super::views::{RunSummary, StepView};
use crate::backend::MapRow;
use crate::record::{BranchRow, HistoryRow, State, UNDO};

use blocks::{Blocks, NOT_TAKEN};
use instances::{At, Instances};

/// Puts the steps of a run together from its definition, history and live branches.
pub(super) struct Steps<'a> {
    pub(super) definition: &'a Definition,
    pub(super) summary: &'a RunSummary,
    pub(super) running: &'a RunningJobs,
    /// The maps that are blocks, as often as they were begun, and how many instances have begun.
    pub(super) maps: &'a [(MapRow, u32)],
    /// Whether attempts of this run may have left no row.
    pub(super) is_partial: bool,
}

impl Steps<'_> {
    /// The steps and blocks, and the branches of blocks.
    pub(super) fn views(
        &self,
        history: &[HistoryRow],
        live: &[BranchRow],
    ) -> (Vec<StepView>, Vec<StepView>) {
        let bodies = Bodies::of(self.definition);
        let loops = Repeats::of(self.definition);
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
                let over = StepView {
                    activation: Some(row.activation),
                    status: StepStatus::Succeeded,
                    ..self.blank(row.position.node, None)
                };
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
        }
        let instances = self.instances(history, live);
        for (node, views) in &mut by_node {
            for view in views {
                let at = view.activation.and_then(|to| instances.at((*node, to)));
                view.instance = at.map(|at| instances.instance(at));
            }
        }
        let blocks = Blocks::new(self.definition, live, self.running, &by_node, begun_anew);
        let left = self.left_by_instances(&instances, history, live, &by_node);
        let loops = Loops::new(self.definition);
        let times = Times::new(self.definition, &by_node);
        let all = All {
            instances: &instances,
            inside: loops.inside(&instances, &blocks, &left),
            loops: &loops,
            blocks: &blocks,
            times: &times,
        };
        let (mut views, mut branches) = (Vec::new(), Vec::new());
        for block in self.definition.blocks() {
            views.extend(self.block_views(block, &all));
            branches.extend(self.branch_views(block, &all));
        }
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            // Where there are blocks, what a gateway came to is said by them.
            let has_failed = || by_node.contains_key(&id) && self.definition.blocks().is_empty();
            if is_work(&node.kind) || has_failed() {
                let own = by_node.remove(&id).unwrap_or_default();
                views.extend(self.step_views(id, own, &all));
            }
        }
        (views, branches)
    }

    /// The instances of the maps that are blocks. Of a run that leaves gaps they cannot be followed.
    fn instances(&self, history: &[HistoryRow], live: &[BranchRow]) -> Instances {
        if self.maps.is_empty() || self.is_partial {
            return Instances::default();
        }
        let left = history.iter().map(|row| (row.node, row.activation));
        let stand = live.iter().map(|row| self.running.place(row));
        let stored = live.iter().map(|row| (row.position.node, row.activation));
        let begun = self.maps.iter().map(|(map, _)| (map.map, map.scope));
        let been = left.chain(stand).chain(stored).chain(begun).collect();
        Instances::new(self.definition, self.maps, &been)
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

    /// A block: once, or in a loop once for each iteration.
    fn block_views(&self, block: &Block, all: &All<'_>) -> Vec<StepView> {
        let (around, instances) = all.around(block.parent.as_deref());
        if instances.is_empty() {
            return vec![self.block_view(block, all.blocks, all.times)];
        }
        let view = |at: &usize| {
            let (blocks, times) = &all.inside[at];
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
            .loops
            .around(&block.name)
            .filter(|(n, _)| *n == block.name)
        {
            for at in all.instances.of_map(map, all.loops.size(map)) {
                let (blocks, times) = &all.inside[at];
                let instance = all.instances.instance(*at);
                for branch in blocks.branches(name) {
                    let mut view = self.branch_view(block, branch, blocks, times);
                    name_instance(&mut view, &instance.index.to_string());
                    view.instance = Some(instance);
                    views.push(view);
                }
            }
            return views;
        }
        let (_, instances) = all.around(block.parent.as_deref());
        for branch in all.blocks.branches(&block.name) {
            if instances.is_empty() {
                views.push(self.branch_view(block, branch, all.blocks, all.times));
            }
            for at in instances {
                let (blocks, times) = &all.inside[at];
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
        let (status, reason, error) = match standing.and_then(|standing| standing.branch(branch)) {
            Some((status, error)) => (status, None, error),
            None => {
                let (status, reason) = self.passed_by(&place, None, blocks);
                (status, reason, None)
            }
        };
        let (started_at, ended_at) = times.of_branch(&block.name, branch);
        // One of its steps is over, and the next one not begun.
        let status = match status {
            StepStatus::Pending if started_at.is_some() => StepStatus::Running,
            status => status,
        };
        StepView {
            step: block.name.clone(),
            kind: "branch".to_owned(),
            parent: place.parent,
            branch: place.branch,
            join_policy: place.join_policy,
            instance: None,
            round: None,
            activation: None,
            attempt: 0,
            status,
            reason,
            started_at,
            ended_at: ended_at.filter(|_| is_over(status)),
            input: None,
            output: None,
            error,
        }
    }

    /// A step: its activations, and that it was not reached; in a loop that for each iteration.
    fn step_views(&self, id: NodeId, mut own: Vec<StepView>, all: &All<'_>) -> Vec<StepView> {
        let parent = self.definition.node(id).place.parent.as_deref();
        let (around, instances) = all.around(parent);
        if instances.is_empty() {
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
            instance: None,
            round: None,
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

    fn ended_view(&self, row: &HistoryRow, bodies: &Bodies, loops: &Repeats) -> StepView {
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
        StepView {
            step: block.name.clone(),
            kind: block.kind.clone(),
            parent: block.parent.clone(),
            branch: block.label.clone(),
            join_policy: block.join_policy.clone(),
            instance: None,
            round: None,
            activation: None,
            attempt: 0,
            status,
            reason,
            started_at,
            ended_at: ended_at.filter(|_| is_over(status)),
            input: None,
            output: None,
            error: standing.and_then(|standing| standing.error.clone()),
        }
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
        if let (Some(instance), true) = (instance, self.0.contains(&node)) {
            name_instance(&mut view, instance);
        }
        view
    }
}

/// Says in a view which instance its branch is.
fn name_instance(view: &mut StepView, instance: &str) {
    if let Some(branch) = &mut view.branch {
        branch.push('-');
        branch.push_str(instance);
    }
}

/// What an instance of a map has left behind, with those inside it.
#[derive(Default)]
struct Left {
    by_node: HashMap<NodeId, Vec<StepView>>,
    errors: Vec<ErrorEntry>,
    /// Where it has living branches.
    living: Vec<NodeId>,
}

/// What the views of a run are made of.
struct All<'a> {
    blocks: &'a Blocks<'a>,
    times: &'a Times<'a>,
    loops: &'a Loops<'a>,
    instances: &'a Instances,
    /// By instance: how the blocks in it stand.
    inside: HashMap<usize, (Blocks<'a>, Times<'a>)>,
}

impl<'a> All<'a> {
    /// The loop around what stands right in the block `parent`, and its instances in order. None where
    /// rows are not told apart by them.
    fn around(&self, parent: Option<&str>) -> (Option<&'a str>, &'a [usize]) {
        let around = parent.and_then(|parent| self.loops.around(parent));
        match around {
            Some((name, map)) => (Some(name), self.instances.of_map(map, self.loops.size(map))),
            None => (None, &[]),
        }
    }
}

/// The maps of a workflow that are blocks.
struct Loops<'a> {
    /// For each block: the map that it is, or else the innermost that it is in.
    around: HashMap<&'a str, (&'a str, NodeId)>,
    /// How many nodes and blocks there are for each map that are in no map inside it.
    sizes: HashMap<NodeId, usize>,
}

impl<'a> Loops<'a> {
    fn new(definition: &'a Definition) -> Self {
        let blocks = definition.blocks().iter();
        let parents: HashMap<&str, Option<&str>> = blocks
            .map(|block| (block.name.as_str(), block.parent.as_deref()))
            .collect();
        let nodes = (0..).map(NodeId).zip(definition.nodes());
        let maps = nodes.filter(|(_, node)| matches!(node.kind, NodeKind::Map { .. }));
        let maps: HashMap<&str, NodeId> = maps.map(|(id, node)| (&*node.name, id)).collect();
        let mut found = Self {
            around: HashMap::new(),
            sizes: HashMap::new(),
        };
        if maps.is_empty() {
            return found;
        }
        for block in definition.blocks() {
            let mut at = Some(block.name.as_str());
            // As many levels as there are blocks, whatever is stored.
            for _ in 0..parents.len() {
                let Some(name) = at else { break };
                if let Some((name, map)) = maps.get_key_value(name) {
                    found.around.insert(&block.name, (name, *map));
                    break;
                }
                at = parents.get(name).copied().flatten();
            }
        }
        let nodes = definition.nodes().iter();
        let nodes = nodes.filter_map(|node| node.place.parent.as_deref());
        let blocks = definition.blocks().iter();
        let blocks = blocks.filter_map(|block| block.parent.as_deref());
        for parent in nodes.chain(blocks) {
            if let Some((_, map)) = found.around.get(parent) {
                *found.sizes.entry(*map).or_default() += 1;
            }
        }
        found
    }

    fn around(&self, block: &str) -> Option<(&'a str, NodeId)> {
        self.around.get(block).copied()
    }

    fn size(&self, map: NodeId) -> usize {
        self.sizes.get(&map).copied().unwrap_or(0)
    }

    /// How the blocks in each instance stand.
    fn inside(
        &self,
        instances: &Instances,
        blocks: &Blocks<'a>,
        left: &'a HashMap<usize, Left>,
    ) -> HashMap<usize, (Blocks<'a>, Times<'a>)> {
        static NOTHING: std::sync::LazyLock<Left> = std::sync::LazyLock::new(Left::default);
        let mut inside = HashMap::new();
        for (name, map) in self.around.values() {
            for at in instances.of_map(*map, self.size(*map)) {
                let left = left.get(at).unwrap_or(&NOTHING);
                inside.entry(*at).or_insert_with(|| {
                    let standing = blocks.within(name, &left.living, &left.by_node, &left.errors);
                    (standing, Times::new(blocks.definition(), &left.by_node))
                });
            }
        }
        inside
    }
}

/// The loops that are blocks, and what stands in them.
struct Repeats {
    /// The innermost loop around a node, and whether the node is right in it.
    around: HashMap<NodeId, (NodeId, bool)>,
}

impl Repeats {
    fn of(definition: &Definition) -> Self {
        let nodes = || (0..).map(NodeId).zip(definition.nodes());
        let blocks = definition.blocks().iter();
        let blocks: HashMap<&str, &Block> = blocks.map(|block| (&*block.name, block)).collect();
        let is_loop = |node: &Node| matches!(node.kind, NodeKind::Loop { .. });
        let loops = nodes().filter(|(_, node)| is_loop(node));
        let loops: HashMap<&str, NodeId> = loops.map(|(id, node)| (&*node.name, id)).collect();
        let mut around = HashMap::new();
        if loops.is_empty() {
            return Self { around };
        }
        for (id, node) in nodes() {
            let mut at = node.place.parent.as_deref();
            // As many levels as there are blocks, whatever is stored.
            for level in 0..blocks.len() {
                let Some(block) = at.and_then(|name| blocks.get(name)) else {
                    break;
                };
                if let Some(found) = loops.get(&*block.name) {
                    around.insert(id, (*found, level == 0));
                    break;
                }
                at = block.parent.as_deref();
            }
        }
        Self { around }
    }

    /// The view of a node with the number of its round; right in a loop its branch is that round.
    fn counted(&self, mut view: StepView, node: NodeId, rounds: &Rounds) -> StepView {
        let Some((around, is_right_in)) = self.around.get(&node) else {
            return view;
        };
        let done = rounds.iter().find(|(of, _)| of == around);
        let Some((_, done)) = done else { return view };
        let round = done.saturating_add(1);
        view.round = Some(round);
        if let (Some(branch), true) = (&mut view.branch, *is_right_in) {
            *branch = format!("{branch}-{round}");
        }
        view
    }
}

/// When the first step of each block, and of each branch of it, began, and when the last one ended.
#[derive(Default)]
struct Times<'a> {
    blocks: HashMap<&'a str, Span>,
    branches: HashMap<(&'a str, &'a str), Span>,
}

type Span = (Option<Timestamp>, Option<Timestamp>);

impl<'a> Times<'a> {
    fn new(definition: &'a Definition, by_node: &HashMap<NodeId, Vec<StepView>>) -> Self {
        let blocks = definition.blocks().iter();
        let places: HashMap<&str, (Option<&str>, Option<&str>)> = blocks
            .map(|block| {
                let place = (block.parent.as_deref(), block.label.as_deref());
                (block.name.as_str(), place)
            })
            .collect();
        let mut times = Self::default();
        for (id, views) in by_node {
            let Node { name, place, .. } = definition.node(*id);
            let own = places.get_key_value(name.as_str()).map(|(name, _)| *name);
            for view in views {
                // What a block failed with itself.
                if let Some(name) = own {
                    extend(times.blocks.entry(name).or_default(), view);
                }
                let mut at = (place.parent.as_deref(), place.branch.as_deref());
                // As many levels as there are blocks, whatever is stored.
                for _ in 0..places.len() {
                    let (Some(name), branch) = at else { break };
                    extend(times.blocks.entry(name).or_default(), view);
                    if let Some(branch) = branch {
                        extend(times.branches.entry((name, branch)).or_default(), view);
                    }
                    at = places.get(name).copied().unwrap_or_default();
                }
            }
        }
        times
    }

    fn of(&self, name: &str) -> Span {
        self.blocks.get(name).copied().unwrap_or_default()
    }

    fn of_branch(&self, block: &str, branch: &str) -> Span {
        self.branches
            .get(&(block, branch))
            .copied()
            .unwrap_or_default()
    }
}

fn extend((began, ended): &mut Span, view: &StepView) {
    *began = [*began, view.started_at].into_iter().flatten().min();
    *ended = [*ended, view.ended_at].into_iter().flatten().max();
}
