//! Graphs whose tokens fork, merge and meet freely.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::StepError;
use windlass_store::sync::Arc;
use windlass_workflow_model::{ForkArm, Function, Need, NodeId, Rest};

use super::split::{BranchEnd, merge_ends};
use super::{Flow, decode};

/// A graph in the making, inside a scope. Its parts are made first and connected then, in any way:
/// back too.
pub struct Net<T> {
    flow: Flow<T>,
    scope: NodeId,
    join: NodeId,
    name: String,
}

impl<T> fmt::Debug for Net<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net")
            .field("scope", &self.name)
            .finish_non_exhaustive()
    }
}

/// A part of a [`Net`]: where it begins, and its open ends.
#[derive(Clone, Debug)]
pub struct Part {
    first: NodeId,
    open: Vec<NodeId>,
}

impl Part {
    fn node(node: NodeId) -> Self {
        Self {
            first: node,
            open: vec![node],
        }
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// A graph of parts that are connected freely. It is over when none of its tokens is left; where
    /// they wait for each other for ever, the run is parked as `stuck`.
    #[must_use]
    pub fn net(self, name: &str, body: impl FnOnce(&mut Net<T>)) -> Self {
        let (scope, join) = self.parts.borrow_mut().draft.scope(name, None);
        let mut net = Net {
            flow: self.branch(|flow| flow),
            scope,
            join,
            name: name.to_owned(),
        };
        body(&mut net);
        let mut flow = self.then(scope, vec![join]);
        flow.last = Some(scope);
        flow
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Net<T> {
    /// A part made of steps, waits and gateways in a row, at least one.
    ///
    /// # Panics
    /// If `body` adds nothing: there would be nothing to connect.
    pub fn part(&mut self, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Part {
        let body = self.flow.branch(body);
        Part {
            first: body.first.expect("a part of a net has at least one node"),
            open: body.open,
        }
    }

    /// Where the first token begins.
    pub fn start(&mut self, at: &Part) {
        self.flow
            .parts
            .borrow_mut()
            .draft
            .body(self.scope, at.first);
    }

    /// All open ends of `from` lead to `to`.
    pub fn connect(&mut self, from: &Part, to: &Part) {
        let draft = &mut self.flow.parts.borrow_mut().draft;
        from.open
            .iter()
            .for_each(|end| draft.connect(*end, to.first));
    }

    /// A fork: one token becomes as many as its arms say. See [`arm`](Self::arm).
    pub fn fork(&mut self, name: &str) -> Part {
        Part::node(self.flow.parts.borrow_mut().draft.fork(name))
    }

    /// A way out of a fork that is always taken.
    pub fn arm(&mut self, fork: &Part, name: &str, to: &Part) {
        self.add_arm(fork, name, None, 1, to);
    }

    /// A way out of a fork that is always taken, by `copies` tokens.
    pub fn arm_copies(&mut self, fork: &Part, name: &str, copies: u32, to: &Part) {
        self.add_arm(fork, name, None, copies, to);
    }

    /// A way out of a fork that is taken if `when` holds, whatever the others say.
    pub fn arm_when(
        &mut self,
        fork: &Part,
        name: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
        to: &Part,
    ) {
        let when = self.predicate(fork, name, when);
        self.add_arm(fork, name, Some(when), 1, to);
    }

    fn add_arm(&mut self, fork: &Part, name: &str, when: Option<String>, copies: u32, to: &Part) {
        let arm = ForkArm {
            name: name.to_owned(),
            when,
            copies,
            to: to.first,
        };
        self.flow.parts.borrow_mut().draft.fork_arm(fork.first, arm);
    }

    fn predicate(
        &self,
        of: &Part,
        name: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
    ) -> String {
        let when = Function::Predicate(Arc::new(move |data| Ok(when(&decode(data)?))));
        self.flow.function(&format!("n{}", of.first), name, when)
    }

    /// Where a fork or choice leads when no arm is taken.
    pub fn otherwise(&mut self, of: &Part, to: &Part) {
        let draft = &mut self.flow.parts.borrow_mut().draft;
        draft.otherwise(of.first, to.first);
    }

    /// An exclusive choice. See [`way`](Self::way).
    pub fn choice(&mut self, name: &str) -> Part {
        Part::node(self.flow.parts.borrow_mut().draft.choice(name))
    }

    /// A way out of a choice that is taken if `when` holds and no way before it was taken.
    pub fn way(
        &mut self,
        choice: &Part,
        name: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
        to: &Part,
    ) {
        let when = self.predicate(choice, name, when);
        let draft = &mut self.flow.parts.borrow_mut().draft;
        draft.arm(choice.first, name, when, Some(to.first));
    }

    /// Where tokens meet that come by its inputs: gives the inputs, in order, and what comes after.
    pub fn meet(
        &mut self,
        name: &str,
        inputs: &[&str],
        need: Need,
        rest: Rest,
    ) -> (Vec<Part>, Part) {
        let draft = &mut self.flow.parts.borrow_mut().draft;
        let (meet, inputs) = draft.meet(name, inputs, need, rest);
        (
            inputs.into_iter().map(Part::node).collect(),
            Part::node(meet),
        )
    }

    /// Makes the data after a meet: `merge` gets the data of the first token, and what came by each
    /// input, in the order of the inputs. Without it the data of the first is kept.
    pub fn meet_join(
        &mut self,
        meet: &Part,
        merge: impl Fn(&mut T, Vec<BranchEnd<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) {
        let of = format!("n{}", meet.first);
        let merge = self.flow.function(&of, "join", merge_ends(merge));
        self.flow.parts.borrow_mut().draft.merge(meet.first, merge);
    }

    /// A point where several tokens may come, each going on by itself.
    pub fn multi_merge(&mut self, name: &str) -> Part {
        Part::node(self.flow.parts.borrow_mut().draft.merge_point(name, true))
    }

    /// A point where alternative ways come together: of those only one is taken.
    pub fn simple_merge(&mut self, name: &str) -> Part {
        Part::node(self.flow.parts.borrow_mut().draft.merge_point(name, false))
    }

    /// Makes the data after the whole graph from what its tokens brought to their ends, by where they
    /// ended. Without it: the data of the token, if only one came to an end, else that from before.
    pub fn join(
        &mut self,
        merge: impl Fn(&mut T, Vec<BranchEnd<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) {
        let merge = self.flow.function(&self.name, "join", merge_ends(merge));
        self.flow.parts.borrow_mut().draft.merge(self.join, merge);
    }
}
