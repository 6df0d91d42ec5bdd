//! Logic steps: a decision and its branches.

use std::collections::BTreeSet;

use windlass_workflow_model::{FailurePolicy, NodeId};

use super::frame::{Frame, Unhandled};
use super::{Lowering, Work};
use crate::cacao::binding::Bindings;
use crate::cacao::branches::CHOICE;
use crate::cacao::playbook::{Kind, Pointer};
use crate::cacao::rule::{By, Decision, Merging, ON_FALSE, ON_TRUE, Reading, Rule, Wording};
use crate::cacao::template;
use crate::stored_rule::StoredRule;

/// Where a logic step stands once what surrounds it is made.
#[derive(Clone)]
struct Around {
    /// The frame that its own nodes stand in: that of the step, or one inside its limit.
    frame: usize,
    /// The node before its decision.
    before: NodeId,
    /// Where its branches close, and where it goes on without one.
    after: Option<NodeId>,
    /// Where a failure of its own goes.
    own_fault: Option<NodeId>,
    /// Where one of a branch goes.
    branch_fault: Unhandled,
}

/// What takes the branch: name and way.
type Taken<'p> = (String, Option<&'p Pointer>);

impl Lowering<'_> {
    /// Leads a logic step on from `before`.
    pub(super) fn logic(&mut self, work: &Work, before: NodeId) {
        let playbook = self.playbook;
        let step = &playbook.steps[work.step];
        let (kind, policy) = match &step.kind {
            Kind::Parallel { .. } => ("parallel", "all"),
            Kind::While { .. } => ("while-condition", "loop"),
            Kind::Switch { .. } => ("switch-condition", "exclusive"),
            _ => ("if-condition", "exclusive"),
        };
        let label = match &step.kind {
            Kind::Parallel { label, .. } => label.clone(),
            _ => None,
        };
        self.block(work, kind, Some(policy), label);
        let around = self.around(work, before);
        match &step.kind {
            Kind::Parallel { next, .. } => self.parallel(work, &around, next),
            Kind::If {
                condition,
                on_true,
                on_false,
            } => {
                let by = condition.clone().map(By::Condition);
                let taken = vec![
                    (ON_TRUE.to_owned(), on_true.as_ref()),
                    (ON_FALSE.to_owned(), on_false.as_ref()),
                ];
                self.choice(work, &around, by, &taken);
            }
            Kind::Switch { switch, cases } => {
                let names = cases.iter().map(|(name, _)| name.clone()).collect();
                let by = switch.clone().map(|variable| By::Switch {
                    variable,
                    cases: names,
                });
                let taken: Vec<Taken<'_>> = cases
                    .iter()
                    .map(|(name, way)| (name.clone(), Some(way)))
                    .collect();
                self.choice(work, &around, by, &taken);
            }
            Kind::While { condition, on_true } => {
                let by = condition.clone().map(By::Condition);
                self.repeat(work, &around, by, on_true.as_ref());
            }
            _ => {}
        }
    }

    /// The end of the step's scope and its limit, as far as it has them.
    fn around(&mut self, work: &Work, before: NodeId) -> Around {
        let playbook = self.playbook;
        let step = &playbook.steps[work.step];
        // What follows a parallel with an implied join is decided behind that.
        let next = self.resolve(work.frame, Some(work.step), step.success.as_ref());
        let own_fault = self.failing(work);
        let mut around = Around {
            frame: work.frame,
            before,
            after: next,
            own_fault,
            branch_fault: Unhandled::Rises(work.frame, work.step, work.name.clone()),
        };
        // The default is for work that is done, and people may be asked in its branches.
        if let Some(limit) = self.limit(step, true) {
            let name = self.names.take(&format!("{}/limit", work.name));
            self.nodes += 2;
            let (scope, join) = self.draft.scope(name.clone(), None);
            for node in [scope, join] {
                self.draft.place(node, Self::inside(work));
            }
            self.draft.scope_timeout(scope, limit);
            self.draft.connect(around.before, scope);
            if let Some(next) = around.after {
                self.draft.connect(join, next);
            }
            let wording = Wording {
                limit_ms: Some(limit),
                own: vec![name.clone()],
                ..Wording::of(self.standing(work))
            };
            self.words(scope, wording);
            if let Some(fault) = around.own_fault {
                let fold = self.folding(work);
                self.on_fault(scope, fault, fold);
            }
            let inside = self.compute(work.frame, &format!("{name}/enter"), &Rule::Pass);
            self.draft.body(scope, inside);
            let mut frame = self.frames[work.frame].clone();
            frame.group = self.new_group();
            (frame.after, frame.fault, frame.stops) = (Some(join), Unhandled::Fails, Vec::new());
            self.frames.push(frame);
            around = Around {
                frame: self.frames.len() - 1,
                before: inside,
                after: Some(join),
                own_fault: None,
                branch_fault: Unhandled::Fails,
            };
        }
        if !step.variables.is_empty() {
            let rule = Rule::Leave {
                scope: step.id.clone(),
            };
            let leave = self.compute(work.frame, &format!("{}/leave", work.name), &rule);
            if let Some(after) = around.after {
                self.draft.connect(leave, after);
            }
            around.after = Some(leave);
        }
        around
    }

    /// The frame of a branch.
    fn branch(
        &mut self,
        work: &Work,
        around: &Around,
        group: usize,
        branch: String,
        policy: &'static str,
    ) -> usize {
        let mut scopes = self.frames[around.frame].scopes.clone();
        if !self.playbook.steps[work.step].variables.is_empty() {
            scopes.insert(0, work.step);
        }
        let mut stops = self.frames[around.frame].stops.clone();
        let next = self.playbook.steps[work.step]
            .success
            .as_ref()
            .and_then(|way| way.target);
        if let (true, Some(next), Some(after)) = (self.lenient, next, around.after) {
            stops.insert(0, (next, after));
        }
        self.frames.push(Frame {
            group,
            after: around.after,
            fault: around.branch_fault.clone(),
            scopes,
            parent: Some((work.name.clone(), branch)),
            join_policy: Some(policy),
            stops,
            in_exception: self.frames[around.frame].in_exception,
        });
        self.frames.len() - 1
    }

    /// The nodes that decide: from, to.
    fn decide(
        &mut self,
        work: &Work,
        around: &Around,
        name: &str,
        by: Option<By>,
        choices: &[String],
    ) -> (NodeId, NodeId) {
        let mut read = Bindings::default();
        let (first, last, failing) = match by {
            Some(by) => {
                let names: Vec<String> = match &by {
                    By::Condition(condition) => condition
                        .variables()
                        .into_iter()
                        .map(str::to_owned)
                        .collect(),
                    By::Switch { variable, .. } => vec![variable.clone()],
                };
                let bindings =
                    self.bindings(work.frame, work.step, names.iter().map(String::as_str));
                read = bindings.clone();
                let rule = Rule::Decide(Decision {
                    at: self.standing(work),
                    step: self.playbook.steps[work.step].id.clone(),
                    by,
                    bindings,
                    lenient: self.lenient,
                });
                let node = self.compute(around.frame, name, &rule);
                (node, node, vec![node])
            }
            None => self.question(work, name, choices),
        };
        let shown = Rule::Show(self.reading(work, &work.name, read));
        self.draft.note(last, shown.name());
        let wording = Wording {
            own: vec![name.to_owned()],
            ..Wording::of(self.standing(work))
        };
        for node in &failing {
            self.words(*node, wording.clone());
        }
        if let Some(fault) = around.own_fault {
            let fold = self.folding(work);
            for node in failing {
                self.on_fault(node, fault, fold.clone());
            }
        }
        (first, last)
    }

    /// What a row shows of these variables.
    pub(super) fn reading(&self, work: &Work, row: &str, bindings: Bindings) -> Reading {
        let credentials = self.playbook.credentials.values();
        let credentials: Vec<String> = credentials.map(ToString::to_string).collect();
        let names = credentials.iter().flat_map(|text| template::names(text));
        let hidden: BTreeSet<&str> = names.filter(|name| bindings.get(name).is_some()).collect();
        Reading {
            at: row.to_owned(),
            step: self.playbook.steps[work.step].id.clone(),
            hidden: hidden.into_iter().map(str::to_owned).collect(),
            bindings,
        }
    }

    /// At most one branch runs.
    fn choice(&mut self, work: &Work, around: &Around, by: Option<By>, taken: &[Taken<'_>]) {
        let choices: Vec<String> =
            if matches!(self.playbook.steps[work.step].kind, Kind::Switch { .. }) {
                taken.iter().map(|(name, _)| name.clone()).collect()
            } else {
                vec![ON_TRUE.to_owned(), ON_FALSE.to_owned()]
            };
        let (first, last) =
            self.decide(work, around, &format!("{}/decide", work.name), by, &choices);
        self.draft.connect(around.before, first);
        if taken.iter().all(|(_, way)| way.is_none()) {
            self.lead(last, around.after);
            return;
        }
        let name = self.names.take(&format!("{}{CHOICE}", work.name));
        self.nodes += 1;
        let choice = self.draft.choice(name);
        self.place(around.frame, choice);
        self.draft.connect(last, choice);
        self.lead(choice, around.after);
        let group = self.choice_group(work, around);
        let step_id = self.playbook.steps[work.step].id.clone();
        for (branch, way) in taken {
            let Some(way) = way else { continue };
            let frame = self.branch(work, around, group, branch.clone(), "exclusive");
            let to = self.resolve(frame, Some(work.step), Some(way));
            let rule = Rule::Branch {
                step: step_id.clone(),
                branch: branch.clone(),
            };
            self.draft.arm(choice, branch.clone(), rule.name(), to);
        }
    }

    /// Branches of a choice that end, fail and see variables as what surrounds it does are no frame of
    /// their own: steps that they share with others there are the same nodes.
    fn choice_group(&mut self, work: &Work, around: &Around) -> usize {
        let step = &self.playbook.steps[work.step];
        let outer = &self.frames[work.frame];
        let is_alike = around.frame == work.frame
            && around.after == outer.after
            && step.success.is_none()
            && step.failure.is_none()
            && step.variables.is_empty();
        if is_alike {
            outer.group
        } else {
            self.new_group()
        }
    }

    fn lead(&mut self, from: NodeId, to: Option<NodeId>) {
        if let Some(to) = to {
            self.draft.connect(from, to);
        }
    }

    fn repeat(&mut self, work: &Work, around: &Around, by: Option<By>, on_true: Option<&Pointer>) {
        let choices = [ON_TRUE.to_owned(), ON_FALSE.to_owned()];
        let (first, last) = self.decide(
            work,
            around,
            &format!("{}/decide", work.name),
            by.clone(),
            &choices,
        );
        self.draft.connect(around.before, first);
        let Some(body) = on_true else {
            self.lead(last, around.after);
            return;
        };
        let test = Rule::Branch {
            step: self.playbook.steps[work.step].id.clone(),
            branch: ON_TRUE.to_owned(),
        };
        let most = self.plan.options.cacao.max_loop_iterations;
        self.nodes += 2;
        let (of, again) = self
            .draft
            .repeat(work.name.clone(), test.name(), false, most);
        self.place(around.frame, of);
        self.place(around.frame, again);
        self.draft.connect(last, of);
        self.lead(of, around.after);
        let wording = Wording {
            iterations_max: Some(most),
            ..Wording::of(self.standing(work))
        };
        self.words(of, wording);
        if let Some(fault) = around.own_fault {
            let fold = self.folding(work);
            self.on_fault(of, fault, fold);
        }
        let (asked, decided) = self.decide(
            work,
            around,
            &format!("{}/decide again", work.name),
            by,
            &choices,
        );
        self.draft.connect(decided, again);
        // It ends the round.
        self.draft.place(decided, Self::inside(work));
        let group = self.new_group();
        let iteration = Around {
            after: Some(asked),
            ..around.clone()
        };
        let frame = self.branch(work, &iteration, group, "iteration".to_owned(), "loop");
        // A way back to the step itself ends the iteration (rule L3).
        self.frames[frame].stops.insert(0, (work.step, asked));
        // The end of a body is not the end of the loop: what follows that is no part of it.
        let first = self.resolve(frame, Some(work.step), Some(body));
        self.draft.body(of, first.unwrap_or(asked));
    }

    fn parallel(&mut self, work: &Work, around: &Around, next: &[Pointer]) {
        let step_id = self.playbook.steps[work.step].id.clone();
        let hands_over = around.own_fault.is_some();
        let merge = Rule::Merge(Merging {
            at: self.standing(work),
            step: step_id.clone(),
            lenient: self.lenient,
            hands_over,
        });
        self.nodes += 2;
        let (split, join) = self.draft.split(work.name.clone(), Some(merge.name()));
        self.place(around.frame, split);
        self.place(around.frame, join);
        self.draft.connect(around.before, split);
        let branches = u32::try_from(next.len()).unwrap_or(u32::MAX);
        self.draft
            .on_failure(split, FailurePolicy::Tolerate(branches));
        let implied = self.plan.joins.get(&work.step).copied();
        let inside = Around {
            after: Some(join),
            branch_fault: Unhandled::Fails,
            ..around.clone()
        };
        for (number, way) in (1..).zip(next) {
            let group = self.new_group();
            let label = format!("{number}:{}", way.id);
            let frame = self.branch(work, &inside, group, label.clone(), "all");
            // What surrounds the parallel is out of reach from inside its branches.
            let stops = std::mem::take(&mut self.frames[frame].stops);
            self.frames[frame].stops = stops.into_iter().map(|(step, _)| (step, join)).collect();
            if let Some(implied) = implied {
                let rule = Rule::Arrive {
                    parallel: step_id.clone(),
                };
                let arrive = self.compute(frame, &format!("{}/arrive", work.name), &rule);
                self.draft.connect(arrive, join);
                self.frames[frame].stops.insert(0, (implied, arrive));
            }
            let begin = self.compute(frame, &format!("{}/{number}", work.name), &Rule::Pass);
            let first = self
                .resolve(frame, Some(work.step), Some(way))
                .unwrap_or(join);
            self.draft.connect(begin, first);
            self.draft.branch(split, label, begin);
        }
        let mut last = join;
        if let Some(to) = around.own_fault {
            last = self.outcome(work, around, last, to);
            // Merging hands failures over in the data. This says where they go to those who look.
            let fold = self.folding(work);
            self.on_fault(split, to, fold);
        }
        if let Some(implied) = implied {
            last = self.arrivals(work, around, last, implied, step_id);
        }
        self.lead(last, around.after);
    }

    /// Behind the join: failures go their way.
    fn outcome(&mut self, work: &Work, around: &Around, join: NodeId, to: NodeId) -> NodeId {
        let name = self.names.take(&format!("{}/outcome", work.name));
        self.nodes += 1;
        let choice = self.draft.choice(name);
        self.place(around.frame, choice);
        self.draft.connect(join, choice);
        self.draft
            .arm(choice, "failed", Rule::HasFailed.name(), Some(to));
        choice
    }

    /// Behind that: the step that the branches lead to together, if any has come there.
    fn arrivals(
        &mut self,
        work: &Work,
        around: &Around,
        last: NodeId,
        implied: usize,
        parallel: String,
    ) -> NodeId {
        let name = self.names.take(&format!("{}/arrived", work.name));
        self.nodes += 1;
        let choice = self.draft.choice(name);
        self.place(around.frame, choice);
        self.draft.connect(last, choice);
        let to = match self.frames[around.frame].stop(implied) {
            Some(stop) => stop,
            None => self.entry(around.frame, implied),
        };
        self.draft.arm(
            choice,
            "arrived",
            Rule::HasArrived { parallel }.name(),
            Some(to),
        );
        choice
    }
}
