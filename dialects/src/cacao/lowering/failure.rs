//! Where failures go: `on_failure`, then the exception chain, then the branch fails.

use windlass_workflow_model::{NodeId, Place};

use super::frame::Unhandled;
use super::{Lowering, Work};
use crate::cacao::rule::{Folding, Rule, Standing, Wording};
use crate::stored_rule::StoredRule;

impl Lowering<'_> {
    /// Where a failure of the step goes, with the failure in the data; `None` fails the branch.
    pub(super) fn failing(&mut self, work: &Work) -> Option<NodeId> {
        if let Some(handled) = self.handled(work) {
            return Some(handled);
        }
        let Some(exception) = self.exception(work.frame) else {
            return self.unhandled(work.frame);
        };
        if !self.playbook.steps[work.step].kind.is_logic() {
            return Some(exception);
        }
        // Failures of branches have been through the chain.
        let gate = self.names.take(&format!("{}/failed", work.name));
        self.nodes += 1;
        // It has no place in the branch for those who look at blocks: what leads here has failed.
        let gate = self.draft.choice(gate);
        self.draft
            .arm(gate, "own", Rule::IsOwn.name(), Some(exception));
        let elsewhere = self.unhandled(work.frame);
        let elsewhere = elsewhere.unwrap_or_else(|| self.raise(work));
        self.draft.otherwise(gate, elsewhere);
        Some(gate)
    }

    /// Where a failure goes that nobody in a frame handles; `None` fails the branch.
    fn unhandled(&mut self, frame: usize) -> Option<NodeId> {
        let mut frame = frame;
        loop {
            match self.frames[frame].fault.clone() {
                Unhandled::Fails => return None,
                Unhandled::Goes(node) => return Some(node),
                Unhandled::Rises(around, step, name) => {
                    // Of a logic step only its own `on_failure` is asked then.
                    let work = Work {
                        frame: around,
                        step,
                        name,
                    };
                    if let Some(handled) = self.handled(&work) {
                        return Some(handled);
                    }
                    frame = around;
                }
            }
        }
    }

    /// The node before `on_failure`; the same for everything that fails in a step.
    fn handled(&mut self, work: &Work) -> Option<NodeId> {
        let way = self.playbook.steps[work.step].failure.as_ref()?;
        let key = (self.frames[work.frame].group, work.step);
        if let Some(handled) = self.handled.get(&key) {
            return Some(*handled);
        }
        let rule = Rule::Handled {
            step: work.name.clone(),
        };
        let handled = self.compute(work.frame, &format!("{}/handled", work.name), &rule);
        if self.playbook.steps[work.step].kind.is_logic() {
            let shown = Rule::ShowHandled {
                step: work.name.clone(),
            };
            self.draft.note(handled, shown.name());
        }
        self.handled.insert(key, handled);
        if let Some(next) = self.resolve(work.frame, Some(work.step), Some(way)) {
            // Blocks show a failure as handled if something of the branch follows it.
            let follows = self.compute(
                work.frame,
                &format!("{}/on_failure", work.name),
                &Rule::Pass,
            );
            self.draft.connect(handled, follows);
            self.draft.connect(follows, next);
        }
        Some(handled)
    }

    /// A node that fails the branch with what is on its way.
    pub(super) fn raise(&mut self, work: &Work) -> NodeId {
        self.raising(work.frame, &format!("{}/raise", work.name), &Rule::Raise)
    }

    /// A node that always fails; what follows it is there for the graph alone.
    fn raising(&mut self, frame: usize, name: &str, rule: &Rule) -> NodeId {
        let raise = self.compute(frame, name, rule);
        // It is no part of the branch for those who look at blocks: what leads here has failed.
        self.draft.place(raise, Place::default());
        if let Some(after) = self.frames[frame].after {
            self.draft.connect(raise, after);
        }
        raise
    }

    /// The beginning of the exception chain in a frame, if there is one and it is not in it.
    pub(super) fn exception(&mut self, frame: usize) -> Option<NodeId> {
        let way = self.playbook.exception.as_ref()?;
        if self.frames[frame].in_exception {
            return None;
        }
        let group = self.frames[frame].group;
        if let Some(begin) = self.exceptions.get(&group) {
            return Some(*begin);
        }
        let begin = self.compute(frame, "workflow_exception", &Rule::BeginException);
        self.draft.place(begin, Place::default());
        self.exceptions.insert(group, begin);
        let raise = self.raising(frame, "workflow_exception/raise", &Rule::RaiseException);
        if let Some(fault) = self.unhandled(frame) {
            let at = Standing {
                step: "workflow_exception".to_owned(),
                parent: None,
                branch: None,
            };
            let fold = Folding {
                id: None,
                wording: Wording::of(at),
            };
            self.on_fault(raise, fault, fold);
        }
        let mut chain = self.frames[frame].clone();
        chain.group = self.new_group();
        chain.after = Some(raise);
        chain.fault = Unhandled::Goes(raise);
        chain.stops = Vec::new();
        chain.in_exception = true;
        self.frames.push(chain);
        let chain = self.frames.len() - 1;
        if let Some(first) = self.resolve(chain, None, Some(way)) {
            self.draft.connect(begin, first);
        }
        Some(begin)
    }

    /// A failure of `node` is written down and goes to `to`.
    pub(super) fn on_fault(&mut self, node: NodeId, to: NodeId, fold: Folding) {
        self.draft.on_fault(node, to, Some(Rule::Fail(fold).name()));
    }

    /// How a failure is written down as that of a step.
    pub(super) fn folding(&self, work: &Work) -> Folding {
        Folding {
            id: Some(self.playbook.steps[work.step].id.clone()),
            wording: Wording::of(self.standing(work)),
        }
    }

    /// Whatever `node` fails with is told in these words.
    pub(super) fn words(&mut self, node: NodeId, wording: Wording) {
        self.draft.wording(node, Rule::Words(wording).name());
    }

    pub(super) fn new_group(&mut self) -> usize {
        self.groups += 1;
        self.groups - 1
    }
}
