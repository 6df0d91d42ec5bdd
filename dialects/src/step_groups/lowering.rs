//! A workflow as a graph.
//!
//! A phase of one step is that step; a phase of several is a split with a branch per step, all of
//! them settled, then its join. Where steps of a phase wait for each other, it is a scope in which
//! tokens fork and meet.
//!
//! A phase that fails ends the run with all its errors in branch order. As long as a later phase has
//! a step that runs after failures, a failure is written into the data instead and the run goes on;
//! behind the last such phase it ends with all that was written.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::json;
use windlass_workflow_model::{
    Block, CallSpec, Definition, Delay, Draft, EventMatch, ForkArm, InvalidWorkflow, Need, NodeId,
    Place, Rest, Source, StepSpec,
};

use crate::dialect::Dialect;
use crate::import::ImportedWorkflow;
use crate::options::ImportOptions;
use crate::step_groups::begin::{Begin, ParameterKind};
use crate::step_groups::conditions::When;
use crate::step_groups::phase::Phase;
use crate::step_groups::resolve::{Resolution, Resolved, is_call};
use crate::step_groups::rule::{Repairing, Rule, Standing, functions};
use crate::step_groups::setters;
use crate::step_groups::step::Step;
use crate::step_groups::work::group_rehearsal;
use crate::step_groups::workflow::Workflow;
use crate::stored_rule::StoredRule;

/// How a phase joins its steps.
const JOIN_POLICY: &str = "all";

/// The reason that steps show which a failed run never reached.
const UNREACHED: &str = "run-already-failed";

/// A workflow that a step starts.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The types of its parameters.
    pub(crate) kinds: BTreeMap<String, ParameterKind>,
}

/// Everything that a graph is made of.
pub(crate) struct Plan<'p> {
    pub(crate) workflow: &'p Workflow<'p>,
    pub(crate) name: &'p str,
    pub(crate) resolution: Resolution,
    /// By the step that starts it.
    pub(crate) called: HashMap<usize, Called>,
    pub(crate) options: &'p ImportOptions,
    pub(crate) lenient: bool,
}

/// Makes a graph of a workflow whose steps have unique names and types.
pub(crate) fn lower(plan: &Plan<'_>, source: Source) -> Result<ImportedWorkflow, InvalidWorkflow> {
    let Plan {
        workflow, options, ..
    } = plan;
    let mut draft = Draft::new(plan.name, "");
    draft.run_parallelism(options.max_concurrent_steps.max(1));
    draft.unreached_reason(UNREACHED);
    let after_failure = |phase: &Phase| {
        phase.steps.iter().any(|step| {
            let when = plan.resolution.steps[*step].work.conditions.when;
            matches!(when, When::Always | When::OnFailure)
        })
    };
    let last = workflow.phases.iter().rposition(after_failure);
    let mut lowering = Lowering {
        plan,
        draft,
        ranks: setters::ranks(workflow.steps.len(), &workflow.phases, &workflow.waits),
        // Nothing can have failed before the first phase.
        captured: last.filter(|last| *last > 0),
        last: Vec::new(),
        failing: Vec::new(),
    };
    lowering.begin();
    for (number, phase) in workflow.phases.iter().enumerate() {
        lowering.phase(number, phase);
    }
    if !plan.resolution.outputs.is_empty() {
        let rule = Rule::Finish {
            outputs: plan.resolution.outputs.clone(),
            setters: plan.resolution.setters.clone(),
            lenient: plan.lenient,
        };
        let finish = lowering.draft.compute("run end", rule.name());
        lowering.go_on(finish, finish);
    }
    let definition = finish(lowering.draft, source)?;
    let functions = functions(&definition).unwrap_or_default();
    Ok(ImportedWorkflow {
        functions,
        rehearsal: group_rehearsal(&definition),
        definition,
    })
}

/// The version stands for the content: equal content, equal version, whatever file it came from.
fn finish(mut draft: Draft, source: Source) -> Result<Definition, InvalidWorkflow> {
    let fingerprint = format!("{:016x}", draft.fingerprint());
    draft.version(format!("sha-{}", &fingerprint[..12]));
    draft.source(source);
    draft.finish()
}

struct Lowering<'l> {
    plan: &'l Plan<'l>,
    draft: Draft,
    ranks: Vec<usize>,
    /// The last phase, from 0, with a step that runs after failures.
    captured: Option<usize>,
    /// The nodes that lead to what comes next; none before the first.
    last: Vec<NodeId>,
    /// Steps whose failure leads there, too.
    failing: Vec<(usize, Made)>,
}

/// The nodes of one step.
#[derive(Clone, Copy)]
struct Made {
    first: NodeId,
    /// The one that does the work.
    work: NodeId,
    /// The one that leads on.
    last: NodeId,
}

impl<'l> Lowering<'l> {
    fn begin(&mut self) {
        let plan = self.plan;
        let begin = Begin {
            workflow: plan.name.to_owned(),
            variables: plan
                .workflow
                .variables
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            parameters: plan.workflow.parameters.clone(),
            context: plan.resolution.context.clone(),
            process_env: plan.options.step_groups.process_env.clone(),
            secrets: plan.options.step_groups.secret_names.clone(),
        };
        if !begin.is_void() {
            let rule = Rule::Begin(begin).name();
            let node = self.draft.compute("run start", rule);
            self.go_on(node, node);
        }
    }

    /// Leads on to `first`; what comes after goes on from `last`.
    fn go_on(&mut self, first: NodeId, last: NodeId) {
        if self.last.is_empty() {
            self.draft.start_at(first);
        }
        for before in std::mem::replace(&mut self.last, vec![last]) {
            self.draft.connect(before, first);
        }
        for (step, made) in std::mem::take(&mut self.failing) {
            self.capture(step, made, first);
        }
    }

    /// Adds the nodes of a phase.
    fn phase(&mut self, number: usize, phase: &Phase) {
        let block = format!("phase-{}", number + 1);
        self.draft.block(Block {
            name: block.clone(),
            kind: "phase".to_owned(),
            label: Some(phase.label.to_string()),
            parent: None,
            join_policy: Some(JOIN_POLICY.to_owned()),
        });
        let waits = &self.plan.workflow.waits;
        let is_graph = phase.steps.iter().any(|step| !waits[*step].is_empty());
        let captures = self.captured.is_some_and(|last| number <= last) || is_graph;
        if let [step] = phase.steps[..] {
            let made = self.step(step, &block);
            self.go_on(made.first, made.last);
            if captures {
                // What follows is not known yet, and a failure goes there too.
                self.failing.push((step, made));
            }
        } else {
            let (first, last) = if is_graph {
                self.graph(number, phase, &block)
            } else {
                self.side_by_side(number, phase, &block, captures)
            };
            self.go_on(first, last);
        }
        let raises = match self.captured {
            Some(last) => number == last || (number > last && is_graph),
            None => is_graph,
        };
        if raises {
            let raise = self
                .draft
                .compute(format!("{block} failures"), Rule::Raise.name());
            self.go_on(raise, raise);
        }
    }

    fn side_by_side(
        &mut self,
        number: usize,
        phase: &Phase,
        block: &str,
        captures: bool,
    ) -> (NodeId, NodeId) {
        // No step has a name with a blank, so these two nodes never share one with a step.
        let name = format!("phase {}", number + 1);
        let (split, join) = self.draft.split(name, Some(Rule::Join.name()));
        for node in [split, join] {
            self.draft.place(node, place(block, None));
        }
        for step in &phase.steps {
            let made = self.step(*step, block);
            self.draft.branch(split, self.name(*step), made.first);
            self.draft.connect(made.last, join);
            if captures {
                self.capture(*step, made, join);
            }
        }
        (split, join)
    }

    /// A phase whose steps wait for each other.
    fn graph(&mut self, number: usize, phase: &Phase, block: &str) -> (NodeId, NodeId) {
        let workflow = self.plan.workflow;
        let waits = &workflow.waits;
        let name = format!("phase {}", number + 1);
        let (scope, join) = self.draft.scope(name.clone(), Some(Rule::Join.name()));
        let begin = self.draft.fork(format!("{name}/start"));
        self.draft.body(scope, begin);
        for node in [scope, join, begin] {
            self.draft.place(node, place(block, None));
        }
        // What each step waits for in this phase, and what waits for it.
        let mut needs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut follows: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for step in &phase.steps {
            let own = needs.entry(*step).or_default();
            for (name, _) in &workflow.steps[*step].depends_on {
                let on = workflow.numbers.get(name).copied();
                let on = on.filter(|on| waits[*step].contains(on) && !own.contains(on));
                if let Some(on) = on {
                    follows.entry(on).or_default().push((*step, own.len()));
                    own.push(on);
                }
            }
        }
        let mut made: BTreeMap<usize, Made> = BTreeMap::new();
        let mut entries: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
        for (step, needs) in &needs {
            let nodes = self.step(*step, block);
            made.insert(*step, nodes);
            let name = self.name(*step).to_owned();
            let inputs = match needs.len() {
                0 => {
                    self.draft.fork_arm(begin, arm(&name, nodes.first));
                    Vec::new()
                }
                1 => vec![nodes.first],
                _ => {
                    let names: Vec<&str> = needs.iter().map(|on| self.name(*on)).collect();
                    let meet_name = format!("{name} ready");
                    let (meet, inputs) =
                        self.draft.meet(meet_name, &names, Need::All, Rest::Absorb);
                    self.draft.merge(meet, Rule::Meet.name());
                    self.draft.connect(meet, nodes.first);
                    for node in inputs.iter().chain([&meet]) {
                        self.draft.place(*node, place(block, None));
                    }
                    inputs
                }
            };
            entries.insert(*step, inputs);
        }
        // Those that nobody waits for meet before the phase is over.
        let ends: Vec<usize> = made
            .keys()
            .copied()
            .filter(|step| !follows.contains_key(step))
            .collect();
        let names: Vec<&str> = ends.iter().map(|step| self.name(*step)).collect();
        let all = format!("{name} settled");
        let (all, inputs) = self.draft.meet(all, &names, Need::All, Rest::Absorb);
        self.draft.merge(all, Rule::Meet.name());
        self.draft.connect(all, join);
        for node in inputs.iter().chain([&all]) {
            self.draft.place(*node, place(block, None));
        }
        let ends: BTreeMap<usize, NodeId> = ends.into_iter().zip(inputs).collect();
        for (step, nodes) in &made {
            let follows = follows.get(step).cloned().unwrap_or_default();
            let to = |(follower, input): &(usize, usize)| entries[follower][*input];
            let next = match &follows[..] {
                [] => ends[step],
                [only] => to(only),
                several => {
                    let fork = self.draft.fork(format!("{} settled", self.name(*step)));
                    self.draft.place(fork, place(block, None));
                    for follower in several {
                        let name = self.name(follower.0).to_owned();
                        self.draft.fork_arm(fork, arm(&name, to(follower)));
                    }
                    fork
                }
            };
            self.draft.connect(nodes.last, next);
            self.capture(*step, *nodes, next);
        }
        (scope, join)
    }

    /// A failure of the step is written into the data and goes on as if it were settled.
    fn capture(&mut self, step: usize, made: Made, to: NodeId) {
        let conditions = &self.plan.resolution.steps[step].work.conditions;
        let rule = Rule::Fail(Standing {
            step: conditions.step.clone(),
            index: step,
            phase: conditions.phase,
        });
        self.draft.on_fault(made.work, to, Some(rule.name()));
    }

    fn name(&self, step: usize) -> &'l str {
        self.plan.workflow.steps[step].name.unwrap_or_default()
    }

    /// The nodes of a step: a wait for a person where one is asked, then its work.
    fn step(&mut self, index: usize, block: &str) -> Made {
        let plan = self.plan;
        let (step, resolved) = (&plan.workflow.steps[index], &plan.resolution.steps[index]);
        let name = step.name.unwrap_or_default();
        let here = place(block, Some(name));
        let (mut first, work, last) = if is_call(step) {
            self.call(index, step, resolved, &here)
        } else {
            let node = self.work(index, step, resolved);
            self.draft.place(node, here.clone());
            (node, node, node)
        };
        if let Some(rule) = self.repairs(step, resolved) {
            let node = self.draft.compute(format!("{name} repairs"), rule.name());
            self.draft.place(node, here.clone());
            self.draft.connect(node, first);
            first = node;
        }
        let conditions = &resolved.work.conditions;
        if conditions.when == When::Manual {
            let asked = format!("{name} approval");
            let answer = Rule::Answer {
                step: name.to_owned(),
            };
            let wait = self
                .draft
                .await_event(asked.clone(), asked.clone(), Some(answer.name()));
            self.draft
                .change_matching(wait, |matching: &mut EventMatch| {
                    matching.transient = true;
                });
            if let Some(limit) = plan.options.step_groups.approval_timeout {
                self.draft.await_timeout(wait, Delay::FixedMs(ms(limit)));
                let late = Rule::Late {
                    step: name.to_owned(),
                    after_ms: Some(ms(limit)),
                };
                self.draft.on_fault(wait, first, Some(late.name()));
            }
            let choice = self.draft.choice(format!("{name} asked"));
            let runs = Rule::Runs(conditions.clone());
            self.draft.arm(choice, "asked", runs.name(), Some(wait));
            self.draft.otherwise(choice, first);
            self.draft.connect(choice, first);
            self.draft.connect(wait, first);
            for node in [wait, choice] {
                self.draft.place(node, here.clone());
            }
            first = choice;
        }
        Made { first, work, last }
    }

    fn work(&mut self, index: usize, step: &Step<'_>, resolved: &Resolved) -> NodeId {
        let name = step.name.unwrap_or_default();
        let kind = step.kind.unwrap_or_default();
        let mut work = resolved.work.clone();
        work.rank = self.ranks[index];
        let spec = StepSpec {
            kind: kind.to_owned(),
            timeout_ms: timeout_ms(step, self.plan.options.step_timeout),
            guard: self
                .is_judged(resolved)
                .then(|| Rule::Judge(work.conditions.clone()).name()),
            config: json!({
                "dialect": Dialect::StepGroupsYaml.as_str(),
                "step": name,
                "type": kind,
                "workflow": self.plan.name,
                "config": resolved.config,
                "fields": resolved.fields,
                "work": work,
            }),
            ..StepSpec::new(kind)
        };
        self.draft.step(name, spec)
    }

    /// What notes repairs before the step, where there can be any that the step itself does not note.
    fn repairs(&self, step: &Step<'_>, resolved: &Resolved) -> Option<Rule> {
        let conditions = &resolved.work.conditions;
        let tests = !conditions.ifs.is_empty() || conditions.unless.is_some();
        let call = is_call(step).then(|| Repairing {
            work: resolved.work.clone(),
            parameters: resolved.parameters.clone(),
        });
        let is_needed = self.plan.lenient && (tests || call.is_some());
        is_needed.then(|| Rule::Repairs {
            conditions: conditions.clone(),
            call: call.map(Box::new),
        })
    }

    /// Whether anything can keep the step from running where it stands.
    fn is_judged(&self, resolved: &Resolved) -> bool {
        let conditions = &resolved.work.conditions;
        let goes_on = self
            .captured
            .is_some_and(|last| conditions.phase <= last + 1);
        let may_be_failing = goes_on && conditions.phase > 1;
        let tests = !conditions.ifs.is_empty() || conditions.unless.is_some();
        tests
            || !conditions.depends_on.is_empty()
            || conditions.when == When::OnFailure
            || (may_be_failing && conditions.when != When::Always)
    }

    /// The nodes of a step that starts another workflow: first, work and last. The call stands in a
    /// scope, so that it has failed whatever goes on from there.
    fn call(
        &mut self,
        index: usize,
        step: &Step<'_>,
        resolved: &Resolved,
        here: &Place,
    ) -> (NodeId, NodeId, NodeId) {
        let name = step.name.unwrap_or_default();
        let mut work = Box::new(resolved.work.clone());
        work.rank = self.ranks[index];
        let called = self.plan.called.get(&index);
        let kinds = called.map_or_else(BTreeMap::new, |called| called.kinds.clone());
        let input = Rule::Call {
            work: work.clone(),
            parameters: resolved.parameters.clone(),
            digits: resolved.digits.clone(),
            kinds: kinds.clone(),
        };
        let shown = Rule::Shown {
            work: work.clone(),
            parameters: resolved.parameters.clone(),
            kinds,
        };
        let output = Rule::Returned { work };
        let node = self.draft.call(
            name,
            CallSpec {
                version: called.map(|called| called.version.clone()),
                guard: self
                    .is_judged(resolved)
                    .then(|| Rule::Judge(resolved.work.conditions.clone()).name()),
                input: Some(input.name()),
                shown: Some(shown.name()),
                output: Some(output.name()),
                timeout_ms: timeout_ms(step, self.plan.options.step_timeout),
                ..CallSpec::new(called.map_or("", |called| called.name.as_str()))
            },
        );
        self.draft.place(node, here.clone());
        let rule = Rule::Join.name();
        let (scope, join) = self.draft.scope(format!("{name} call"), Some(rule));
        for node in [scope, join] {
            self.draft.place(node, here.clone());
        }
        self.draft.body(scope, node);
        self.draft.connect(node, join);
        (scope, scope, join)
    }
}

fn arm(name: &str, to: NodeId) -> ForkArm {
    ForkArm {
        name: name.to_owned(),
        when: None,
        copies: 1,
        to,
    }
}

fn place(block: &str, branch: Option<&str>) -> Place {
    Place {
        parent: Some(block.to_owned()),
        branch: branch.map(str::to_owned),
        join_policy: Some(JOIN_POLICY.to_owned()),
    }
}

fn timeout_ms(step: &Step<'_>, default: Option<Duration>) -> Option<u64> {
    let own = step
        .timeout_seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    let limit = own.or(default).filter(|limit| !limit.is_zero())?;
    Some(ms(limit))
}

fn ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
}
