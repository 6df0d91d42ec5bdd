//! A playbook as a graph.
//!
//! Steps are met one after the other from the start; each adds its nodes, and leads to nodes of
//! steps that may not have been met yet. No recursion: chains may be of any length.

mod action;
mod failure;
mod frame;
mod logic;
mod names;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use windlass_workflow_model::{
    Block, Definition, Delay, Draft, InvalidWorkflow, NodeId, Place, Source,
};

use crate::cacao::binding::{Binding, Bindings};
use crate::cacao::playbook::{Kind, Playbook, Pointer, Step};
use crate::cacao::read::Reader;
use crate::cacao::rule::{BEGIN, Begin, Declared, Entered, Rule, Standing, Wording};
use crate::cacao::state::PLAYBOOK;
use crate::dialect::Dialect;
use crate::limits::PLAYBOOK_NODES_MAX;
use crate::options::{ImportOptions, Mode};
use crate::stored_rule::StoredRule;
use frame::{Frame, Unhandled};
use names::Names;

/// The reason that steps show which a failed run never reached.
const UNREACHED: &str = "chain-failed";

/// A called playbook: its name, and the name and version of its workflow.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) playbook: String,
    pub(crate) workflow: String,
    pub(crate) version: String,
}

/// Everything that a graph is made of.
pub(crate) struct Plan<'p> {
    pub(crate) playbook: &'p Playbook,
    pub(crate) options: &'p ImportOptions,
    /// By the step that calls.
    pub(crate) called: HashMap<usize, Called>,
    /// Ways that end an iteration (rule L3).
    pub(crate) cut: HashSet<(usize, usize)>,
    /// The implied joins of parallels (rule L2).
    pub(crate) joins: HashMap<usize, usize>,
}

/// Makes the graph of a playbook without errors.
pub(crate) fn lower(
    plan: &Plan<'_>,
    reader: &mut Reader<'_>,
) -> Result<Option<Definition>, InvalidWorkflow> {
    let playbook = plan.playbook;
    let mut draft = Draft::new(playbook.id.as_str(), "");
    draft.unreached_reason(UNREACHED);
    if let Some(limit) = plan.options.cacao.max_parallel_branches {
        draft.run_parallelism(limit);
    }
    let top = Frame {
        group: 0,
        after: None,
        fault: Unhandled::Fails,
        scopes: Vec::new(),
        parent: None,
        join_policy: None,
        stops: Vec::new(),
        in_exception: false,
    };
    let mut lowering = Lowering {
        plan,
        playbook,
        lenient: plan.options.mode == Mode::Lenient,
        draft,
        names: Names::default(),
        frames: vec![top],
        groups: 1,
        entries: HashMap::new(),
        first: HashMap::new(),
        copied: BTreeSet::new(),
        open: VecDeque::new(),
        exceptions: HashMap::new(),
        handled: HashMap::new(),
        nodes: 0,
    };
    let begin = lowering.begin();
    let start = playbook.start.as_ref();
    if let Some(first) = lowering.resolve(0, None, start) {
        lowering.draft.connect(begin, first);
    }
    while let Some((frame, step, opened)) = lowering.open.pop_front() {
        if lowering.nodes > PLAYBOOK_NODES_MAX {
            let what = format!(
                "its graph has more than {PLAYBOOK_NODES_MAX} nodes, because branches share steps and each gets its own copy; give parallels a join"
            );
            reader.error("playbook-too-large", &playbook.spot, what);
            return Ok(None);
        }
        lowering.fill(frame, step, opened);
    }
    for step in &lowering.copied {
        let step = &playbook.steps[*step];
        let what = "reached by several branches; runs in each; give the parallel a join";
        reader.warning("shared-step-copied", &step.spot, what);
    }
    let mut draft = lowering.draft;
    let fingerprint = format!("{:016x}", draft.fingerprint());
    draft.version(format!("sha-{}", &fingerprint[..12]));
    // Its functions stand in the definition, so nobody has to read the text again.
    draft.source(Source {
        dialect: Dialect::Cacao.as_str().to_owned(),
        file: plan.options.file.clone(),
        text: String::new(),
    });
    draft.finish().map(Some)
}

struct Lowering<'l> {
    plan: &'l Plan<'l>,
    playbook: &'l Playbook,
    lenient: bool,
    draft: Draft,
    names: Names,
    frames: Vec<Frame>,
    groups: usize,
    /// The first node of a step in a group of frames.
    entries: HashMap<(usize, usize), NodeId>,
    /// The group that a step was lowered in first.
    first: HashMap<usize, usize>,
    copied: BTreeSet<usize>,
    /// Steps whose nodes are still to be made behind their first one.
    open: VecDeque<(usize, usize, Opened)>,
    /// The first node of the exception chain, by group.
    exceptions: HashMap<usize, NodeId>,
    /// The node before `on_failure`, by group and step.
    handled: HashMap<(usize, usize), NodeId>,
    nodes: usize,
}

/// A step whose first nodes are there.
struct Opened {
    /// The step's name here.
    name: String,
    /// The node before its branches; of an action all that it does.
    made: Made,
}

/// What an action does, or what a logic step begins with.
#[derive(Clone, Debug)]
struct Made {
    first: NodeId,
    last: NodeId,
    /// The nodes whose failure is the step's.
    failing: Vec<NodeId>,
    /// The names of those, as far as they are not the step's.
    own: Vec<String>,
    limit_ms: Option<u64>,
}

impl Made {
    fn one(node: NodeId) -> Self {
        Self {
            first: node,
            last: node,
            failing: Vec::new(),
            own: Vec::new(),
            limit_ms: None,
        }
    }
}

impl Lowering<'_> {
    /// The node that makes the data of a run.
    fn begin(&mut self) -> NodeId {
        let playbook = self.playbook;
        let secrets = &self.plan.options.cacao.secrets;
        let variables = playbook.variables.iter().map(|variable| Declared {
            name: variable.name.clone(),
            kind: variable.kind,
            value: variable.value.clone(),
            external: variable.external,
            secret: secrets.contains(&variable.name),
        });
        let begin = Rule::Begin(Begin {
            playbook: playbook.name.clone(),
            lenient: self.lenient,
            variables: variables.collect(),
            revoked: playbook.revoked,
            valid_from: playbook.valid_from.clone(),
            valid_until: playbook.valid_until.clone(),
            ignore_validity: self.plan.options.cacao.ignore_validity,
        });
        let begin = self.compute(0, BEGIN, &begin);
        self.draft.start_at(begin);
        begin
    }

    /// Where a way leads in a frame; `None` ends the run. `from` is the step that it leaves.
    fn resolve(
        &mut self,
        frame: usize,
        from: Option<usize>,
        way: Option<&Pointer>,
    ) -> Option<NodeId> {
        let mut target = way.and_then(|way| way.target);
        let mut from = from;
        loop {
            let Some(step) = target else {
                return self.frames[frame].after;
            };
            if let Some(node) = self.frames[frame].stop(step) {
                return Some(node);
            }
            if from.is_some_and(|from| self.plan.cut.contains(&(from, step))) {
                return self.frames[frame].after;
            }
            let at = &self.playbook.steps[step];
            match at.kind {
                Kind::End if at.delay_ms == 0 => return self.frames[frame].after,
                Kind::Start if at.delay_ms == 0 => {
                    from = Some(step);
                    target = at.success.as_ref().and_then(|way| way.target);
                }
                _ => return Some(self.entry(frame, step)),
            }
        }
    }

    /// The first node of a step in a frame.
    fn entry(&mut self, frame: usize, step: usize) -> NodeId {
        let group = self.frames[frame].group;
        if let Some(entry) = self.entries.get(&(group, step)) {
            return *entry;
        }
        let first = *self.first.entry(step).or_insert(group);
        if first != group && !self.frames[frame].in_exception {
            self.copied.insert(step);
        }
        let playbook = self.playbook;
        let at = &playbook.steps[step];
        let work = Work {
            frame,
            step,
            name: self.names.take(&at.name),
        };
        let made = match &at.kind {
            Kind::Action(action) => Some(self.action(&work, action)),
            Kind::Playbook(action) => self.playbook_action(&work, action),
            Kind::Parallel { .. } | Kind::If { .. } | Kind::While { .. } | Kind::Switch { .. } => {
                let rule = self.enter(step);
                Some(Made::one(self.compute(
                    frame,
                    &format!("{}/enter", work.name),
                    &rule,
                )))
            }
            Kind::Start | Kind::End | Kind::Unknown => None,
        };
        let delay = (at.delay_ms > 0).then(|| {
            let name = self.names.take(&format!("{}/delay", work.name));
            self.nodes += 1;
            let delay = self.draft.sleep(name, Delay::FixedMs(at.delay_ms));
            self.place(frame, delay);
            delay
        });
        if let (Some(delay), Some(made)) = (delay, &made) {
            self.draft.connect(delay, made.first);
        }
        // A step without work of its own stands for its delay.
        let made = made.or(delay.map(Made::one)).unwrap_or_else(|| {
            Made::one(self.compute(frame, &format!("{}/enter", work.name), &Rule::Pass))
        });
        let entry = delay.unwrap_or(made.first);
        self.entries.insert((group, step), entry);
        self.open.push_back((
            frame,
            step,
            Opened {
                name: work.name,
                made,
            },
        ));
        entry
    }

    /// What a step begins with: its variables, if it is a logic step.
    fn enter(&self, step: usize) -> Rule {
        let at = &self.playbook.steps[step];
        if at.variables.is_empty() {
            return Rule::Pass;
        }
        let variables = at
            .variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.value.clone()));
        Rule::Enter(Entered {
            scope: at.id.clone(),
            variables: variables.collect(),
        })
    }

    /// Leads a step to what it contains, to what follows it, and to where its failures go.
    fn fill(&mut self, frame: usize, step: usize, opened: Opened) {
        let playbook = self.playbook;
        let at = &playbook.steps[step];
        let work = Work {
            frame,
            step,
            name: opened.name,
        };
        if at.kind.is_logic() {
            self.logic(&work, opened.made.last);
            return;
        }
        if let Some(next) = self.resolve(frame, Some(step), at.success.as_ref()) {
            self.draft.connect(opened.made.last, next);
        }
        if opened.made.failing.is_empty() {
            return;
        }
        let Made {
            failing,
            own,
            limit_ms,
            ..
        } = opened.made;
        if limit_ms.is_some() || !own.is_empty() {
            let wording = Wording {
                limit_ms,
                own,
                ..Wording::of(self.standing(&work))
            };
            for node in &failing {
                self.words(*node, wording.clone());
            }
        }
        if let Some(to) = self.failing(&work) {
            let fold = self.folding(&work);
            for node in failing {
                self.on_fault(node, to, fold.clone());
            }
        }
    }

    fn compute(&mut self, frame: usize, name: &str, rule: &Rule) -> NodeId {
        let name = self.names.take(name);
        self.nodes += 1;
        let node = self.draft.compute(name, rule.name());
        self.place(frame, node);
        node
    }

    fn place(&mut self, frame: usize, node: NodeId) {
        let place = self.place_of(frame);
        self.draft.place(node, place);
    }

    fn place_of(&self, frame: usize) -> Place {
        let frame = &self.frames[frame];
        let (parent, branch) = frame.parent.clone().unzip();
        Place {
            parent,
            branch,
            join_policy: frame.join_policy.map(str::to_owned),
        }
    }

    /// Where nodes stand that are the step's own and in none of its branches.
    fn inside(work: &Work) -> Place {
        Place {
            parent: Some(work.name.clone()),
            ..Place::default()
        }
    }

    fn standing(&self, work: &Work) -> Standing {
        let (parent, branch) = self.frames[work.frame].parent.clone().unzip();
        Standing {
            step: work.name.clone(),
            parent,
            branch,
        }
    }

    fn block(&mut self, work: &Work, kind: &str, join_policy: Option<&str>, label: Option<String>) {
        let place = self.place_of(work.frame);
        self.draft.block(Block {
            name: work.name.clone(),
            kind: kind.to_owned(),
            label: label.or(place.branch),
            parent: place.parent,
            join_policy: join_policy.map(str::to_owned),
        });
    }

    /// The limit of a step; those that only people do have none by default.
    fn limit(&self, step: &Step, by_hand: bool) -> Option<u64> {
        let default = self
            .plan
            .options
            .cacao
            .default_step_timeout_ms
            .filter(|_| !by_hand);
        step.timeout_ms.or(default).filter(|limit| *limit > 0)
    }

    /// What these names stand for at a step: its own variables, those around it, the playbook's.
    fn bindings<'n>(
        &self,
        frame: usize,
        step: usize,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Bindings {
        let mut found = Bindings::default();
        for name in names {
            if let Some(binding) = self.binding(frame, step, name) {
                found.0.insert(name.to_owned(), binding);
            }
        }
        found
    }

    fn binding(&self, frame: usize, step: usize, name: &str) -> Option<Binding> {
        let at = &self.playbook.steps[step];
        let own = at.variable(name);
        if let (Some(own), false) = (own, at.kind.is_logic()) {
            return Some(Binding {
                scope: None,
                kind: own.kind,
                constant: own.constant,
                value: own.value.clone(),
            });
        }
        let own = own.map(|variable| (at.id.as_str(), variable));
        let around = self.frames[frame].scopes.iter().filter_map(|scope| {
            let scope = &self.playbook.steps[*scope];
            Some((scope.id.as_str(), scope.variable(name)?))
        });
        let global = self
            .playbook
            .variables
            .iter()
            .find(|variable| variable.name == name);
        let global = global.map(|variable| (PLAYBOOK, variable));
        let (scope, variable) = own.into_iter().chain(around).chain(global).next()?;
        Some(Binding {
            scope: Some(scope.to_owned()),
            kind: variable.kind,
            constant: variable.constant,
            value: serde_json::Value::Null,
        })
    }
}

/// A step that is being lowered.
struct Work {
    frame: usize,
    step: usize,
    /// Its name in rows.
    name: String,
}
