//! Maps over data.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::StepError;
use windlass_store::sync::Arc;
use windlass_workflow_model::{
    Count, FailurePolicy, Function, MapSpec, Need, Payload, Problem, Rest,
};

use super::split::{BranchEnd, branch_end, merge_ends};
use super::{Flow, decode, encode, fault_of};

/// How many instances live at once if the map says nothing else.
const PARALLELISM: u32 = 16;

/// A map in the making.
pub struct Map<T> {
    name: String,
    flow: Flow<T>,
    spec: MapSpec,
    need: (Need, Rest),
    on_failure: FailurePolicy,
    merge: Option<String>,
    body: Option<Flow<T>>,
}

impl<T> fmt::Debug for Map<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("map", &self.name)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// The same steps for many items. Instances start as others end, so that never more than
    /// [`max_parallelism`](Map::max_parallelism) of them live, however many there are; what they give
    /// is kept in a table of its own.
    #[must_use]
    pub fn map(self, name: &str, body: impl FnOnce(Map<T>) -> Map<T>) -> Self {
        let flow = self.branch(|flow| flow);
        let made = body(Map {
            name: name.to_owned(),
            flow,
            spec: MapSpec {
                count: Count::Fixed(0),
                item: None,
                open: false,
                max_parallelism: PARALLELISM,
                tally: None,
            },
            need: (Need::All, Rest::Absorb),
            on_failure: FailurePolicy::SettleAll,
            merge: None,
            body: None,
        });
        let (map, join) = {
            let draft = &mut self.parts.borrow_mut().draft;
            let (map, join) = draft.map(name, made.spec, made.merge);
            draft.need(join, made.need.0, made.need.1);
            draft.on_failure(map, made.on_failure);
            match made
                .body
                .as_ref()
                .and_then(|body| Some((body, body.first?)))
            {
                Some((body, first)) => {
                    draft.body(map, first);
                    body.ends_at(draft, join);
                }
                None => draft.problem(Problem::new(
                    "no-steps",
                    Some(name.to_owned()),
                    "its instances have no step, so they would do nothing; give it `each`",
                )),
            }
            (map, join)
        };
        let mut flow = self.then(map, vec![join]);
        flow.last = Some(map);
        flow
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Map<T> {
    /// Always so many instances.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.spec.count = Count::Fixed(count);
        self
    }

    /// As many instances as `count` finds in the data when the map begins.
    #[must_use]
    pub fn count_of(mut self, count: impl Fn(&T) -> u32 + Send + Sync + 'static) -> Self {
        let count = Function::Count(Arc::new(move |data| Ok(count(&decode(data)?))));
        self.spec.count = Count::Computed(self.flow.function(&self.name, "count", count));
        self
    }

    /// The data of an instance, from the data when the map began and the instance's index. Without it
    /// each starts with a copy.
    #[must_use]
    pub fn item(mut self, item: impl Fn(T, u32) -> T + Send + Sync + 'static) -> Self {
        let item = Function::Item(Arc::new(move |data: &Payload, index| {
            encode(&item(decode(data)?, index))
        }));
        self.spec.item = Some(self.flow.function(&self.name, "item", item));
        self
    }

    /// More instances may be added from outside, until the map is closed.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.spec.open = true;
        self
    }

    /// How many instances live at once, at least 1. Default 16.
    #[must_use]
    pub fn max_parallelism(mut self, limit: u32) -> Self {
        self.spec.max_parallelism = limit;
        self
    }

    /// How many instances are waited for, and what becomes of the others. Default: all. With
    /// `AtLeast(0)` the flow goes on at once, and only the end of the run waits for the instances.
    #[must_use]
    pub fn need(mut self, need: Need, rest: Rest) -> Self {
        self.need = (need, rest);
        self
    }

    /// Waits until `enough` says so, which is asked once for each instance that succeeds, in the order
    /// in which they do: it changes what was counted so far. `rest` is what becomes of the others.
    #[must_use]
    pub fn until<S>(
        mut self,
        rest: Rest,
        enough: impl Fn(&mut S, T) -> bool + Send + Sync + 'static,
    ) -> Self
    where
        S: Serialize + DeserializeOwned + Default,
    {
        let tally = Function::Tally(Arc::new(move |counted, arrival| {
            let counted: Option<S> = decode(counted)?;
            let mut counted = counted.unwrap_or_default();
            let end: BranchEnd<T> = branch_end(arrival.clone())?;
            let done = end
                .ended
                .succeeded()
                .is_some_and(|data| enough(&mut counted, data));
            Ok((encode(&counted)?, done))
        }));
        self.spec.tally = Some(self.flow.function(&self.name, "tally", tally));
        self.need = (Need::All, rest);
        self
    }

    /// What a failed instance does to the others and to the map. Default: the others finish, then the
    /// map fails with all errors.
    #[must_use]
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.on_failure = policy;
        self
    }

    /// The steps of an instance.
    #[must_use]
    pub fn each(mut self, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        self.body = Some(self.flow.branch(body));
        self
    }

    /// Makes the data after the map from what all instances gave, in index order. They are all in
    /// memory at once: for many use [`reduce`](Self::reduce).
    #[must_use]
    pub fn join(
        mut self,
        merge: impl Fn(&mut T, Vec<BranchEnd<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        self.merge = Some(self.flow.function(&self.name, "join", merge_ends(merge)));
        self
    }

    /// Makes the data after the map from one instance after the other, in index order. They are read
    /// a page of 64 at a time, so that no more are in memory; those that come when the map is over are
    /// not among them. The same can be read from outside: `Inspector::results`.
    #[must_use]
    pub fn reduce(
        mut self,
        reduce: impl Fn(&mut T, BranchEnd<T>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let reduce = Function::Merge(Arc::new(move |before: &Payload, arrivals| {
            let mut data: T = decode(before)?;
            for arrival in arrivals {
                reduce(&mut data, branch_end(arrival)?).map_err(fault_of)?;
            }
            encode(&data)
        }));
        self.merge = Some(self.flow.function(&self.name, "join", reduce));
        self
    }
}
