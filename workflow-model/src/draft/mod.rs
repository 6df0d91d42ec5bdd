//! Puts a definition together, node by node; builders and importers stand on it.

mod gateways;

pub use gateways::MapSpec;

use crate::definition::{
    Arm, Block, Branches, Definition, Delay, EventMatch, FailurePolicy, FaultPath, Need, Node,
    NodeKind, Place, Rest, Source, StepSpec,
};
use crate::ids::NodeId;
use crate::limits::NAME_BYTES_MAX;
use crate::validate::{InvalidWorkflow, Problem, validate};

/// The name of a node that belongs to the node `name`: `<name>/<what>`. Where that would be longer than
/// a name may be, it begins with the first bytes of it and ends in a hash of all of it.
pub fn name_beside(name: &str, what: &str) -> String {
    let full = format!("{name}/{what}");
    // A join beside it has a name, too.
    let most = NAME_BYTES_MAX - "/join".len();
    if full.len() <= most || (what == "join" && full.len() <= NAME_BYTES_MAX) {
        return full;
    }
    let hash = fnv(full.as_bytes());
    let kept = full.floor_char_boundary(most - 17);
    format!("{}~{hash:016x}", &full[..kept])
}

/// FNV-1a (Fowler, Noll, Vo): the same in every version.
fn fnv(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// A definition in the making. Nothing is checked before [`finish`](Self::finish), which then
/// reports all problems at once.
#[derive(Clone, Debug)]
pub struct Draft {
    definition: Definition,
    problems: Vec<Problem>,
    started: bool,
}

impl Draft {
    /// An empty graph.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        let definition = Definition {
            name: name.into(),
            version: version.into(),
            nodes: Vec::new(),
            start: NodeId(0),
            max_parallelism: None,
            deadline_ms: None,
            blocks: Vec::new(),
            unreached_reason: "not-reached".to_owned(),
            source: None,
        };
        Self {
            definition,
            problems: Vec::new(),
            started: false,
        }
    }

    /// Adds a step. It leads nowhere yet, as all nodes do when they are added.
    pub fn step(&mut self, name: impl Into<String>, step: StepSpec) -> NodeId {
        self.add(name, NodeKind::Step(step))
    }

    /// Adds an exclusive choice without arms.
    pub fn choice(&mut self, name: impl Into<String>) -> NodeId {
        self.add(
            name,
            NodeKind::Choice {
                arms: Vec::new(),
                otherwise: None,
            },
        )
    }

    /// Adds a split and its join, which is named `<name>/join`. Use [`branch`](Self::branch) or
    /// [`computed_branches`](Self::computed_branches) to give it branches; connect the join to
    /// what follows.
    pub fn split(&mut self, name: impl Into<String>, merge: Option<String>) -> (NodeId, NodeId) {
        self.joined(name, merge, |join| NodeKind::Split {
            branches: Branches::Static(Vec::new()),
            join,
            max_parallelism: None,
            on_failure: FailurePolicy::SettleAll,
        })
    }

    /// A node and its join, which is the node after it.
    fn joined(
        &mut self,
        name: impl Into<String>,
        merge: Option<String>,
        kind: impl FnOnce(NodeId) -> NodeKind,
    ) -> (NodeId, NodeId) {
        let name = name.into();
        let join_name = name_beside(&name, "join");
        let join = NodeId(u32::try_from(self.definition.nodes.len() + 1).unwrap_or(u32::MAX));
        let split = self.add(name, kind(join));
        let (need, rest) = (Need::All, Rest::Absorb);
        let join = self.add(
            join_name,
            NodeKind::Join {
                split,
                need,
                rest,
                merge,
                judges: false,
            },
        );
        (split, join)
    }

    /// Adds a timer.
    pub fn sleep(&mut self, name: impl Into<String>, delay: Delay) -> NodeId {
        self.add(name, NodeKind::Sleep { delay })
    }

    /// Adds a wait for an event; `reply` names a function of that role.
    pub fn await_event(
        &mut self,
        name: impl Into<String>,
        event: impl Into<String>,
        reply: Option<String>,
    ) -> NodeId {
        self.add(
            name,
            NodeKind::Await {
                event: event.into(),
                reply,
                matching: EventMatch::default(),
                timeout: None,
            },
        )
    }

    /// Adds a fire-and-forget branch that begins at `body`.
    pub fn detach(&mut self, name: impl Into<String>, body: NodeId) -> NodeId {
        self.add(name, NodeKind::Detach { body })
    }

    /// Adds a change of the data by a function of role `Compute`.
    pub fn compute(&mut self, name: impl Into<String>, function: impl Into<String>) -> NodeId {
        self.add(
            name,
            NodeKind::Compute {
                function: function.into(),
                noted: None,
            },
        )
    }

    /// Lets a change of the data leave a row of history; the function of role `Compute` makes what that
    /// shows of the data behind it.
    pub fn note(&mut self, compute: NodeId, function: impl Into<String>) {
        match &mut self.node(compute).kind {
            NodeKind::Compute { noted, .. } => *noted = Some(function.into()),
            _ => self.misuse(compute, "only a change of the data is noted"),
        }
    }

    /// Adds an arm to a choice; `to: None` leads to what follows the choice.
    pub fn arm(
        &mut self,
        choice: NodeId,
        name: impl Into<String>,
        when: impl Into<String>,
        to: Option<NodeId>,
    ) {
        let arm = Arm {
            name: name.into(),
            when: when.into(),
            to,
        };
        match &mut self.node(choice).kind {
            NodeKind::Choice { arms, .. } => arms.push(arm),
            _ => self.misuse(choice, "arms belong to a choice"),
        }
    }

    /// Where a choice or fork leads when no arm is taken.
    pub fn otherwise(&mut self, choice: NodeId, to: NodeId) {
        match &mut self.node(choice).kind {
            NodeKind::Choice { otherwise, .. } | NodeKind::Fork { otherwise, .. } => {
                *otherwise = Some(to);
            }
            _ => self.misuse(choice, "only a choice or fork has an otherwise"),
        }
    }

    /// Adds a branch to a split; its last node must lead to the join.
    pub fn branch(&mut self, split: NodeId, name: impl Into<String>, first: NodeId) {
        let name = name.into();
        match &mut self.node(split).kind {
            NodeKind::Split {
                branches: Branches::Static(list),
                ..
            } => list.push((name, first)),
            _ => self.misuse(
                split,
                "static branches belong to a split without computed ones",
            ),
        }
    }

    /// Gives a split as many branches as `items`, a function of that role, finds in the data.
    pub fn computed_branches(&mut self, split: NodeId, items: impl Into<String>, body: NodeId) {
        let computed = Branches::Computed {
            items: items.into(),
            body,
        };
        match &mut self.node(split).kind {
            NodeKind::Split { branches, .. } => *branches = computed,
            _ => self.misuse(split, "computed branches belong to a split"),
        }
    }

    /// How many branches of a split may be on their way at once, at least 1.
    pub fn split_parallelism(&mut self, split: NodeId, limit: u32) {
        match &mut self.node(split).kind {
            NodeKind::Split {
                max_parallelism, ..
            } => *max_parallelism = Some(limit),
            _ => self.misuse(split, "only a split has a parallelism of its own"),
        }
    }

    /// How many jobs of one run may be ready or running at once, at least 1. To begin a call or to come to
    /// another wait takes no place.
    pub fn run_parallelism(&mut self, limit: u32) {
        self.definition.max_parallelism = Some(limit);
    }

    /// The function of role `Merge` that makes the data after a join or meet.
    pub fn merge(&mut self, join: NodeId, function: impl Into<String>) {
        match &mut self.node(join).kind {
            NodeKind::Join { merge, .. } | NodeKind::Meet { merge, .. } => {
                *merge = Some(function.into());
            }
            _ => self.misuse(join, "only a join or meet merges"),
        }
    }

    /// `from` leads to `to`.
    pub fn connect(&mut self, from: NodeId, to: NodeId) {
        self.node(from).next = Some(to);
    }

    /// When `from` fails, the token goes to `to`; `fold` names a function that puts the fault into
    /// the data.
    pub fn on_fault(&mut self, from: NodeId, to: NodeId, fold: Option<String>) {
        self.node(from).on_fault = Some(FaultPath { to, fold });
    }

    /// Function of role `Wording` that puts what `node` fails with into words.
    pub fn wording(&mut self, node: NodeId, wording: impl Into<String>) {
        self.node(node).wording = Some(wording.into());
    }

    /// Changes a step's settings.
    pub fn change_step(&mut self, step: NodeId, change: impl FnOnce(&mut StepSpec)) {
        match &mut self.node(step).kind {
            NodeKind::Step(spec) => change(spec),
            _ => self.misuse(step, "attempts and timeouts belong to a step"),
        }
    }

    /// Says where a node stands in the eyes of its author.
    pub fn place(&mut self, node: NodeId, place: Place) {
        self.node(node).place = place;
    }

    /// Lets a node be a copy of another one, for another way through the graph.
    pub fn copy_of(&mut self, node: NodeId, original: impl Into<String>) {
        self.node(node).copy_of = Some(original.into());
    }

    /// Adds a block for people to see.
    pub fn block(&mut self, block: Block) {
        self.definition.blocks.push(block);
    }

    /// The reason that steps show which a failed run never reached. Default `not-reached`.
    pub fn unreached_reason(&mut self, reason: impl Into<String>) {
        self.definition.unreached_reason = reason.into();
    }

    /// The file it comes from.
    pub fn source(&mut self, source: Source) {
        self.definition.source = Some(source);
    }

    /// Where a run begins.
    pub fn start_at(&mut self, node: NodeId) {
        self.definition.start = node;
        self.started = true;
    }

    /// Reports a problem that the caller found; [`finish`](Self::finish) returns it with the rest.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The version, changed after the fact: for versions that derive from the content.
    pub fn version(&mut self, version: impl Into<String>) {
        self.definition.version = version.into();
    }

    /// The fingerprint of what is drafted so far.
    pub fn fingerprint(&self) -> u64 {
        self.definition.fingerprint()
    }

    /// The finished, valid definition.
    ///
    /// # Errors
    /// [`InvalidWorkflow`] with all problems, each with where, what, why and how to fix it.
    pub fn finish(mut self) -> Result<Definition, InvalidWorkflow> {
        if !self.started && !self.definition.nodes.is_empty() {
            self.problems.push(Problem::new(
                "no-start",
                None,
                "no node is the start; call start_at",
            ));
        }
        self.problems.extend(validate(&self.definition));
        if self.problems.is_empty() {
            return Ok(self.definition);
        }
        Err(InvalidWorkflow {
            workflow: self.definition.name,
            problems: self.problems,
        })
    }

    fn add(&mut self, name: impl Into<String>, kind: NodeKind) -> NodeId {
        let id = NodeId(u32::try_from(self.definition.nodes.len()).unwrap_or(u32::MAX));
        let place = Place::default();
        let node = Node {
            name: name.into(),
            kind,
            next: None,
            on_fault: None,
            wording: None,
            place,
            copy_of: None,
        };
        self.definition.nodes.push(node);
        id
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.definition.nodes[id.0 as usize]
    }

    fn misuse(&mut self, node: NodeId, why: &str) {
        let name = self.node(node).name.clone();
        self.problems
            .push(Problem::new("wrong-node", Some(name), why));
    }
}
