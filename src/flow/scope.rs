//! Scopes, mutexes, milestones, calls and withdrawal.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_store::sync::Arc;
use windlass_workflow_model::{CallSpec, Function, Problem};

use super::{Flow, decode, encode};

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// A part that is entered and left as one, and can be withdrawn as one by its name. After it the
    /// data is what its way has made.
    #[must_use]
    pub fn scope(self, name: &str, body: impl FnOnce(Self) -> Self) -> Self {
        let body = self.branch(body);
        let (scope, join) = {
            let draft = &mut self.parts.borrow_mut().draft;
            let (scope, join) = draft.scope(name, None);
            match body.first {
                Some(first) => draft.body(scope, first),
                None => draft.problem(Problem::new(
                    "no-steps",
                    Some(name.to_owned()),
                    "a scope without a step does nothing; add one",
                )),
            }
            (scope, join)
        };
        let mut flow = self.then(scope, vec![join]);
        flow.last = Some(scope);
        flow
    }

    /// Critical section: a [`scope`](Self::scope) that no other branch of the run is in while it is in
    /// one of the same mutex. Taking mutexes in opposite orders fails with code `deadlock`.
    #[must_use]
    pub fn critical(self, name: &str, mutex: &str, body: impl FnOnce(Self) -> Self) -> Self {
        let flow = self.scope(name, body);
        flow.of_last(|draft, scope| draft.mutex(scope, mutex))
    }

    /// After that long the scope before is withdrawn and fails with code `scope-timeout`.
    #[must_use]
    pub fn scope_timeout(self, timeout: Duration) -> Self {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.of_last(|draft, scope| draft.scope_timeout(scope, ms))
    }

    /// The run enters the state `milestone`.
    #[must_use]
    pub fn milestone(self, name: &str, milestone: &str) -> Self {
        self.add(|draft| draft.milestone(name, milestone, true))
    }

    /// The run leaves the state `milestone` for ever.
    #[must_use]
    pub fn milestone_passed(self, name: &str, milestone: &str) -> Self {
        self.add(|draft| draft.milestone(name, milestone, false))
    }

    /// The step before may start only while the run is in the state `milestone`: it waits for it, and
    /// fails with code `milestone-passed` when it has passed.
    #[must_use]
    pub fn only_while(self, milestone: &str) -> Self {
        self.of_last(|draft, step| {
            draft.change_step(step, |step| step.gate = Some(milestone.to_owned()));
        })
    }

    /// Ends the run here, well, with the data of this branch; whatever else goes on is withdrawn.
    /// Nothing is undone, as in any run that ends well: not what withdrawn scopes had done either.
    #[must_use]
    pub fn terminate(self, name: &str) -> Self {
        let node = self.parts.borrow_mut().draft.terminate(name);
        let mut flow = self.then(node, Vec::new());
        flow.ends.push(node);
        flow
    }

    /// Withdraws all that goes on in the step, wait, scope, split or map named `target`.
    #[must_use]
    pub fn cancel(self, name: &str, target: &str) -> Self {
        let node = {
            let mut parts = self.parts.borrow_mut();
            let start = windlass_workflow_model::NodeId(0);
            let node = parts.draft.cancel(name, start);
            parts.cancels.push((node, target.to_owned()));
            node
        };
        self.then(node, vec![node])
    }

    /// Runs the workflow named `workflow` as a run of its own and waits for its end: `input` makes its
    /// data from ours, `output` puts its last data into ours. Calls may be nested 64 deep, itself
    /// included; see [`call_depth`](Self::call_depth).
    #[must_use]
    pub fn run<I: Serialize, O: DeserializeOwned>(
        self,
        name: &str,
        workflow: &str,
        input: impl Fn(&T) -> I + Send + Sync + 'static,
        output: impl Fn(&mut T, O) + Send + Sync + 'static,
    ) -> Self {
        let output = Function::Reply(Arc::new(move |data, event| {
            let mut data: T = decode(data)?;
            output(&mut data, decode(&event.payload)?);
            encode(&data)
        }));
        let output = self.function(name, "output", output);
        self.start(name, workflow, input, Some(output))
    }

    /// Starts the workflow named `workflow` as a run of its own, and goes on at once: it lives on
    /// when this run ends or is withdrawn.
    #[must_use]
    pub fn run_detached<I: Serialize>(
        self,
        name: &str,
        workflow: &str,
        input: impl Fn(&T) -> I + Send + Sync + 'static,
    ) -> Self {
        self.start(name, workflow, input, None)
    }

    fn start<I: Serialize>(
        self,
        name: &str,
        workflow: &str,
        input: impl Fn(&T) -> I + Send + Sync + 'static,
        output: Option<String>,
    ) -> Self {
        let input = Function::Compute(Arc::new(move |data| encode(&input(&decode(data)?))));
        let call = CallSpec {
            input: Some(self.function(name, "input", input)),
            detached: output.is_none(),
            output,
            ..CallSpec::new(workflow)
        };
        self.add(|draft| draft.call(name, call))
    }

    /// How deep calls may be nested for the run before, itself included. Beyond it the call fails
    /// with code `call-depth`.
    #[must_use]
    pub fn call_depth(self, depth: u32) -> Self {
        self.of_last(|draft, call| draft.call_depth(call, depth))
    }

    /// How long the run before may take: then it is withdrawn, and the call fails with code
    /// `step-timeout`.
    #[must_use]
    pub fn call_timeout(self, timeout: Duration) -> Self {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.of_last(|draft, call| draft.call_timeout(call, ms))
    }

    /// How long a run may take from when it may begin; then it fails with code `run-deadline`, and
    /// what is left of it is withdrawn.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.parts.borrow_mut().draft.run_deadline(ms);
        self
    }
}
