//! The typed builder: sequences, splits, choices, loops and waits, lowered to the graph.

mod choice;
mod effect;
mod map;
mod net;
mod repeat;
mod scope;
mod split;
mod wait;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::{Context, Handler, Handlers, StepError, StepOutput};
use windlass_store::sync::Arc;
use windlass_workflow_model::{
    Definition, Draft, Fault, Function, Functions, InvalidWorkflow, NodeId, Payload, Problem,
    RetryPolicy, StepSpec, codes,
};

pub use choice::Arms;
pub use map::Map;
pub use net::{Net, Part};
pub use split::{BranchEnd, BranchResult, Ended, Multi, Split};
pub use wait::Select;

/// What is being built, shared by all flows of one workflow.
struct Parts {
    draft: Draft,
    functions: Functions,
    handlers: Handlers,
    /// Withdrawals whose targets are known only by name yet.
    cancels: Vec<(NodeId, String)>,
}

/// A sequence of steps and gateways in the making. Every method adds one after the last one.
pub struct Flow<T> {
    parts: Rc<RefCell<Parts>>,
    first: Option<NodeId>,
    /// Nodes whose way on is still open.
    open: Vec<NodeId>,
    /// Nodes after which the branch ends, whatever follows here.
    ends: Vec<NodeId>,
    last: Option<NodeId>,
    data: PhantomData<fn(T) -> T>,
}

#[expect(
    clippy::missing_fields_in_debug,
    reason = "its start says which flow it is"
)]
impl<T> fmt::Debug for Flow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("first", &self.first)
            .field("open", &self.open)
            .finish()
    }
}

pub(crate) fn decode<T: DeserializeOwned>(data: &Payload) -> Result<T, Fault> {
    data.decode().map_err(|error| {
        let text = format!("the data is not what this workflow expects: {error}");
        Fault::new(codes::DATA_INVALID, text).permanent()
    })
}

pub(crate) fn encode<T: Serialize>(data: &T) -> Result<Payload, Fault> {
    Payload::encode(data).map_err(|error| {
        let text = format!("the data has no JSON form: {error}");
        Fault::new(codes::DATA_INVALID, text).permanent()
    })
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    pub(crate) fn definition(
        name: impl Into<String>,
        version: impl Into<String>,
        body: impl FnOnce(Self) -> Self,
    ) -> Result<(Definition, Functions, Handlers), InvalidWorkflow> {
        let parts = Parts {
            draft: Draft::new(name, version),
            functions: Functions::new(),
            handlers: Handlers::new(),
            cancels: Vec::new(),
        };
        let parts = Rc::new(RefCell::new(parts));
        let flow = body(Self::empty(Rc::clone(&parts)));
        if let Some(first) = flow.first {
            parts.borrow_mut().draft.start_at(first);
        }
        let (draft, functions, handlers) = {
            let mut parts = parts.borrow_mut();
            for (cancel, target) in std::mem::take(&mut parts.cancels) {
                parts.draft.cancel_named(cancel, &target);
            }
            let handlers = std::mem::take(&mut parts.handlers);
            (parts.draft.clone(), parts.functions.clone(), handlers)
        };
        Ok((draft.finish()?, functions, handlers))
    }

    fn empty(parts: Rc<RefCell<Parts>>) -> Self {
        Self {
            parts,
            first: None,
            open: Vec::new(),
            ends: Vec::new(),
            last: None,
            data: PhantomData,
        }
    }

    /// A flow of its own, built by `body`.
    fn branch(&self, body: impl FnOnce(Self) -> Self) -> Self {
        body(Self::empty(Rc::clone(&self.parts)))
    }

    /// All ways of this flow lead to `join`.
    fn ends_at(&self, draft: &mut Draft, join: NodeId) {
        let ends = self.open.iter().chain(&self.ends);
        ends.for_each(|end| draft.connect(*end, join));
    }

    /// Puts `node` after what is open; `open` is what is open then.
    fn then(mut self, node: NodeId, open: Vec<NodeId>) -> Self {
        for from in self.open.drain(..) {
            self.parts.borrow_mut().draft.connect(from, node);
        }
        self.first.get_or_insert(node);
        self.open = open;
        self.last = Some(node);
        self
    }

    fn function(&self, node: &str, role: &str, function: Function) -> String {
        let functions = &mut self.parts.borrow_mut().functions;
        let mut name = format!("{node}/{role}");
        // Some are named after the number of their node, and that may be another one's name.
        while functions.contains(&name) {
            name.push('\'');
        }
        functions.insert(name.clone(), function);
        name
    }

    fn add(self, make: impl FnOnce(&mut Draft) -> NodeId) -> Self {
        let node = make(&mut self.parts.borrow_mut().draft);
        self.then(node, vec![node])
    }

    /// A step that changes the data on the Runner's thread.
    #[must_use]
    pub fn step(
        self,
        name: &str,
        work: impl Fn(&Context, &mut T) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let handler = Handler::blocking(move |context, data| {
            let mut data: T = decode(data)?;
            work(context, &mut data)?;
            Ok(StepOutput::data(encode(&data)?))
        });
        self.with_handler(name, handler)
    }

    /// An asynchronous step: while it waits its Runner can have others in flight.
    #[must_use]
    pub fn step_async<F>(
        self,
        name: &str,
        work: impl Fn(Context, T) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: Send,
        F: Future<Output = Result<T, StepError>> + Send + 'static,
    {
        let work = Arc::new(work);
        let handler = Handler::future(move |context, data| {
            let work = Arc::clone(&work);
            async move {
                let data = work(context, decode(&data)?).await?;
                Ok(StepOutput::data(encode(&data)?))
            }
        });
        self.with_handler(name, handler)
    }

    fn with_handler(self, name: &str, handler: Handler) -> Self {
        // A handler of the workflow's own; the prefix keeps it apart from those of the engine.
        let own = format!("{}{name}", own_prefix());
        self.parts
            .borrow_mut()
            .handlers
            .insert(own.clone(), handler);
        self.add(|draft| draft.step(name, StepSpec::new(own)))
    }

    /// A step done by the handler that the engine has under the name `handler`.
    #[must_use]
    pub fn call(self, name: &str, handler: &str) -> Self {
        self.add(|draft| draft.step(name, StepSpec::new(handler)))
    }

    /// Changes the data without a job of its own: quick, without effects.
    #[must_use]
    pub fn change(
        self,
        name: &str,
        change: impl Fn(&mut T) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let function = Function::Compute(Arc::new(move |data| {
            let mut data: T = decode(data)?;
            change(&mut data).map_err(fault_of)?;
            encode(&data)
        }));
        let function = self.function(name, "change", function);
        self.add(|draft| draft.compute(name, function))
    }

    fn of_last(self, change: impl FnOnce(&mut Draft, NodeId)) -> Self {
        {
            let draft = &mut self.parts.borrow_mut().draft;
            match self.last {
                Some(last) => change(draft, last),
                None => draft.problem(Problem::new(
                    "nothing-before",
                    None,
                    "a policy or fault path stands before the first step; put it after the step it is for",
                )),
            }
        }
        self
    }

    /// How the step before is tried again: pauses, bounds, and which errors.
    #[must_use]
    pub fn retry_policy(self, policy: RetryPolicy) -> Self {
        self.of_last(|draft, step| draft.change_step(step, |step| step.retry = policy))
    }

    /// How often the step before is tried, and how long to wait between.
    #[must_use]
    pub fn retry(self, attempts: u32, backoff: Duration) -> Self {
        self.of_last(|draft, step| {
            draft.change_step(step, |step| {
                step.retry = RetryPolicy::new(attempts, backoff);
            });
        })
    }

    /// How long one attempt of the step before may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.of_last(|draft, step| {
            draft.change_step(step, |step| step.timeout_ms = Some(timeout_ms));
        })
    }

    fn fault_path(
        self,
        fold: impl Fn(&mut T, &Fault) + Send + Sync + 'static,
        path: impl FnOnce(Self) -> Self,
        rejoin: bool,
    ) -> Self {
        let Some(last) = self.last else {
            return self.of_last(|_, _| {});
        };
        let body = self.branch(path);
        let Some(first) = body.first else {
            return self.of_last(|draft, _| {
                let text = "its fault path has no step; add one, or leave the path out";
                draft.problem(Problem::new("no-steps", None, text));
            });
        };
        let fold = Function::Fold(Arc::new(move |data, fault| {
            let mut data: T = decode(data)?;
            fold(&mut data, fault);
            encode(&data)
        }));
        let fold = self.function(&format!("n{last}"), "fault", fold);
        self.parts
            .borrow_mut()
            .draft
            .on_fault(last, first, Some(fold));
        let mut flow = self;
        flow.ends.extend(body.ends);
        if rejoin {
            flow.open.extend(body.open);
        } else {
            flow.ends.extend(body.open);
        }
        flow
    }

    /// When what stands before fails: `fold` puts the fault into the data, then `path` is taken
    /// instead of what follows, and the branch ends with it.
    #[must_use]
    pub fn on_fault(
        self,
        fold: impl Fn(&mut T, &Fault) + Send + Sync + 'static,
        path: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.fault_path(fold, path, false)
    }

    /// Like [`on_fault`](Self::on_fault), but after `path` the branch goes on with what follows.
    #[must_use]
    pub fn recover(
        self,
        fold: impl Fn(&mut T, &Fault) + Send + Sync + 'static,
        path: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.fault_path(fold, path, true)
    }

    /// Fire and forget: starts a branch that nothing waits for but the end of the run. If it fails,
    /// the run fails when all else is done.
    #[must_use]
    pub fn detach(self, name: &str, body: impl FnOnce(Self) -> Self) -> Self {
        let body = self.branch(body);
        let Some(first) = body.first else {
            let problem = Problem::new(
                "no-steps",
                Some(name.to_owned()),
                "a detached branch without a step does nothing; add one",
            );
            self.parts.borrow_mut().draft.problem(problem);
            return self;
        };
        self.add(|draft| draft.detach(name, first))
    }

    /// How many jobs of one run may be ready or running at once. To begin a call
    /// ([`run`](Self::run)) or to come to another wait takes no place.
    #[must_use]
    pub fn max_parallelism(self, limit: u32) -> Self {
        self.parts.borrow_mut().draft.run_parallelism(limit);
        self
    }
}

/// What keeps the handlers that a workflow brings along apart from those of the engine.
fn own_prefix() -> &'static str {
    "own:"
}

pub(crate) fn fault_of(error: StepError) -> Fault {
    Fault::from(error)
}
