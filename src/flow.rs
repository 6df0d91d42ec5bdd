//! The typed builder: sequences, splits, choices and waits, lowered to the graph.

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
    Arrival, BranchOutcome, BranchSeed, Definition, Delay, Draft, Fault, Function, Functions,
    InvalidWorkflow, NodeId, Payload, Problem, RetryPolicy, StepSpec, codes,
};

/// What one branch of a split brought to its join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchResult<T> {
    /// The branch's name.
    pub name: String,
    /// Its data at the end.
    pub data: T,
}

/// What is being built, shared by all flows of one workflow.
struct Parts {
    draft: Draft,
    functions: Functions,
    handlers: Handlers,
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

fn decode<T: DeserializeOwned>(data: &Payload) -> Result<T, Fault> {
    data.decode().map_err(|error| {
        let text = format!("the data is not what this workflow expects: {error}");
        Fault::new(codes::DATA_INVALID, text).permanent()
    })
}

fn encode<T: Serialize>(data: &T) -> Result<Payload, Fault> {
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
        };
        let parts = Rc::new(RefCell::new(parts));
        let flow = body(Self::empty(Rc::clone(&parts)));
        if let Some(first) = flow.first {
            parts.borrow_mut().draft.start_at(first);
        }
        let (draft, functions, handlers) = {
            let mut parts = parts.borrow_mut();
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

    fn branch(&self, body: impl FnOnce(Self) -> Self) -> Self {
        body(Self::empty(Rc::clone(&self.parts)))
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
        let name = format!("{node}/{role}");
        self.parts
            .borrow_mut()
            .functions
            .insert(name.clone(), function);
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

    /// Exclusive choice: the first arm whose predicate holds is taken, else `otherwise`.
    #[must_use]
    pub fn choice(self, name: &str, arms: impl FnOnce(Arms<T>) -> Arms<T>) -> Self {
        let choice = self.parts.borrow_mut().draft.choice(name);
        let flow = self.branch(|flow| flow);
        let name = name.to_owned();
        let made = arms(Arms {
            choice,
            name,
            count: 0,
            flow,
            open: vec![choice],
            ends: Vec::new(),
        });
        let mut flow = self.then(choice, made.open);
        flow.ends.extend(made.ends);
        flow
    }

    /// Parallel split: each branch gets a copy of the data; they meet before what follows.
    #[must_use]
    pub fn split(self, name: &str, body: impl FnOnce(Split<T>) -> Split<T>) -> Self {
        let (split, join) = self.parts.borrow_mut().draft.split(name, None);
        let flow = self.branch(|flow| flow);
        let _ = body(Split {
            node: split,
            join,
            name: name.to_owned(),
            flow,
        });
        self.then(split, vec![join])
    }

    /// Parallel split into as many branches as `items` finds in the data, each with a name and data
    /// of its own, and all on the steps of `each`. `join` makes the data after it, from the results
    /// in branch order.
    #[must_use]
    pub fn split_each(
        self,
        name: &str,
        max_parallelism: Option<u32>,
        items: impl Fn(&T) -> Vec<(String, T)> + Send + Sync + 'static,
        each: impl FnOnce(Self) -> Self,
        join: impl Fn(&mut T, Vec<BranchResult<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let items = Function::Items(Arc::new(move |data| {
            let seed = |(name, data): (String, T)| {
                Ok(BranchSeed {
                    name,
                    data: encode(&data)?,
                })
            };
            items(&decode(data)?).into_iter().map(seed).collect()
        }));
        let items = self.function(name, "items", items);
        self.split(name, |split| {
            let body = split.flow.branch(each);
            match body.first {
                Some(first) => {
                    let draft = &mut split.flow.parts.borrow_mut().draft;
                    draft.computed_branches(split.node, items, first);
                    body.open
                        .iter()
                        .chain(&body.ends)
                        .for_each(|end| draft.connect(*end, split.join));
                }
                None => split.report_empty("each"),
            }
            let split = match max_parallelism {
                Some(limit) => split.max_parallelism(limit),
                None => split,
            };
            split.join(join)
        })
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

    /// Waits for `duration`, across restarts too.
    #[must_use]
    pub fn sleep(self, name: &str, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.add(|draft| draft.sleep(name, Delay::FixedMs(ms)))
    }

    /// Waits for as long as the data says.
    #[must_use]
    pub fn sleep_for(
        self,
        name: &str,
        duration: impl Fn(&T) -> Duration + Send + Sync + 'static,
    ) -> Self {
        let delay = Function::Delay(Arc::new(move |data| Ok(duration(&decode(data)?))));
        let delay = self.function(name, "delay", delay);
        self.add(|draft| draft.sleep(name, Delay::Computed(delay)))
    }

    /// Waits for the event `event` of its run; `reply` puts what came with it into the data. An
    /// event that is a fault takes the fault path, which [`on_fault`](Self::on_fault) gives.
    #[must_use]
    pub fn wait_event<R: DeserializeOwned>(
        self,
        name: &str,
        event: &str,
        reply: impl Fn(&mut T, R) + Send + Sync + 'static,
    ) -> Self {
        let reply = Function::Reply(Arc::new(move |data, event| {
            let mut data: T = decode(data)?;
            reply(&mut data, decode(&event.payload)?);
            encode(&data)
        }));
        let reply = self.function(name, "reply", reply);
        self.add(|draft| draft.await_event(name, event, Some(reply)))
    }

    /// How many jobs of one run may be ready or running at once.
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

fn fault_of(error: StepError) -> Fault {
    Fault::from(error)
}

/// The arms of a choice in the making.
pub struct Arms<T> {
    choice: NodeId,
    name: String,
    count: usize,
    flow: Flow<T>,
    open: Vec<NodeId>,
    ends: Vec<NodeId>,
}

impl<T> fmt::Debug for Arms<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arms")
            .field("choice", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Arms<T> {
    /// One more arm: taken if `when` holds and no arm before it was.
    #[must_use]
    pub fn when(
        mut self,
        arm: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Flow<T>) -> Flow<T>,
    ) -> Self {
        let predicate = Function::Predicate(Arc::new(move |data| Ok(when(&decode(data)?))));
        let role = format!("when-{}", self.count);
        let when = self.flow.function(&self.name, &role, predicate);
        let body = self.flow.branch(body);
        self.flow
            .parts
            .borrow_mut()
            .draft
            .arm(self.choice, arm, when, body.first);
        self.open.extend(body.open);
        self.ends.extend(body.ends);
        self.count += 1;
        self
    }

    /// Taken if no arm is. Without it, what follows the choice is.
    #[must_use]
    pub fn otherwise(mut self, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        let body = self.flow.branch(body);
        if let Some(first) = body.first {
            self.flow
                .parts
                .borrow_mut()
                .draft
                .otherwise(self.choice, first);
        }
        self.open.extend(body.open);
        self.ends.extend(body.ends);
        self
    }
}

/// The branches of a split in the making.
pub struct Split<T> {
    node: NodeId,
    join: NodeId,
    name: String,
    flow: Flow<T>,
}

impl<T> fmt::Debug for Split<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Split")
            .field("split", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Split<T> {
    /// One more branch.
    #[must_use]
    pub fn branch(self, name: &str, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        let body = self.flow.branch(body);
        match body.first {
            Some(first) => {
                let draft = &mut self.flow.parts.borrow_mut().draft;
                draft.branch(self.node, name, first);
                body.open
                    .iter()
                    .chain(&body.ends)
                    .for_each(|end| draft.connect(*end, self.join));
            }
            None => self.report_empty(name),
        }
        self
    }

    fn report_empty(&self, branch: &str) {
        let text = format!("branch {branch:?} has no step; add one, or leave the branch out");
        let problem = Problem::new("no-steps", Some(self.name.clone()), text);
        self.flow.parts.borrow_mut().draft.problem(problem);
    }

    /// How many branches may be on their way at once.
    #[must_use]
    pub fn max_parallelism(self, limit: u32) -> Self {
        self.flow
            .parts
            .borrow_mut()
            .draft
            .split_parallelism(self.node, limit);
        self
    }

    /// Makes the data after the join: `merge` gets the data from before the split and the results in
    /// branch order, whichever branch finished first. Without it the data from before is kept.
    #[must_use]
    pub fn join(
        self,
        merge: impl Fn(&mut T, Vec<BranchResult<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let merge = Function::Merge(Arc::new(move |before, arrivals| {
            let result = |Arrival { name, outcome, .. }: Arrival| match outcome {
                BranchOutcome::Succeeded(data) => {
                    Some(decode(&data).map(|data| BranchResult { name, data }))
                }
                BranchOutcome::Failed(_) | BranchOutcome::Cancelled(_) => None,
            };
            let mut data: T = decode(before)?;
            let results = arrivals.filter_map(result).collect::<Result<_, _>>()?;
            merge(&mut data, results).map_err(fault_of)?;
            encode(&data)
        }));
        let merge = self.flow.function(&self.name, "join", merge);
        self.flow.parts.borrow_mut().draft.merge(self.join, merge);
        self
    }
}
