//! Parallel splits, their joins, and what the branches bring there.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::StepError;
use windlass_store::sync::Arc;
use windlass_workflow_model::{
    Arrival, BranchOutcome, BranchSeed, FailurePolicy, Fault, Function, Need, NodeId, Payload,
    Problem, Rest,
};

use super::{Flow, decode, encode, fault_of};

/// What one branch of a split brought to its join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchResult<T> {
    /// The branch's name.
    pub name: String,
    /// Its data at the end.
    pub data: T,
}

/// How one branch came to its join, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchEnd<T> {
    /// The branch's name.
    pub name: String,
    /// How it ended.
    pub ended: Ended<T>,
}

/// How a branch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// Well, with its last data.
    Succeeded(T),
    /// With all its errors.
    Failed(Fault),
    /// Withdrawn, for this reason.
    Cancelled(String),
}

impl<T> Ended<T> {
    /// Its data, if it ended well.
    pub fn succeeded(self) -> Option<T> {
        match self {
            Self::Succeeded(data) => Some(data),
            Self::Failed(_) | Self::Cancelled(_) => None,
        }
    }
}

/// What came to a join, typed.
pub(super) fn branch_end<T: DeserializeOwned>(arrival: Arrival) -> Result<BranchEnd<T>, Fault> {
    Ok(BranchEnd {
        name: arrival.name,
        ended: match arrival.outcome {
            BranchOutcome::Succeeded(data) => Ended::Succeeded(decode(&data)?),
            BranchOutcome::Failed(fault) => Ended::Failed(fault),
            BranchOutcome::Cancelled(reason) => Ended::Cancelled(reason),
        },
    })
}

/// A merge that sees every branch that came, in branch order.
pub(super) fn merge_ends<T: Serialize + DeserializeOwned + 'static>(
    merge: impl Fn(&mut T, Vec<BranchEnd<T>>) -> Result<(), StepError> + Send + Sync + 'static,
) -> Function {
    Function::Merge(Arc::new(move |before: &Payload, arrivals| {
        let mut data: T = decode(before)?;
        let ends = arrivals.map(branch_end).collect::<Result<_, _>>()?;
        merge(&mut data, ends).map_err(fault_of)?;
        encode(&data)
    }))
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
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
                    body.ends_at(draft, split.join);
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

    /// Parallel split into `count` branches named by their index, all on the steps of `each`. `join`
    /// makes the data after it.
    #[must_use]
    pub fn copies(
        self,
        name: &str,
        count: u32,
        each: impl FnOnce(Self) -> Self,
        join: impl Fn(&mut T, Vec<BranchResult<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        self.split(name, |split| {
            let body = split.flow.branch(each);
            match body.first {
                Some(first) => {
                    let draft = &mut split.flow.parts.borrow_mut().draft;
                    draft.copies(split.node, count, first);
                    body.ends_at(draft, split.join);
                }
                None => split.report_empty("each"),
            }
            split.join(join)
        })
    }

    /// Multi-choice: every branch whose predicate holds is taken, with a copy of the data, or
    /// `otherwise` if none does. They meet before what follows.
    #[must_use]
    pub fn multi(self, name: &str, body: impl FnOnce(Multi<T>) -> Multi<T>) -> Self {
        let (split, join) = self.parts.borrow_mut().draft.split(name, None);
        let flow = self.branch(|flow| flow);
        let made = body(Multi {
            split: Split {
                node: split,
                join,
                name: name.to_owned(),
                flow,
            },
            arms: Vec::new(),
            otherwise: None,
        });
        made.finish();
        self.then(split, vec![join])
    }

    /// Speculative execution: all variants begin, the first that succeeds gives the data after it,
    /// the others are withdrawn. It fails, with all errors, if all do.
    #[must_use]
    pub fn race(self, name: &str, variants: impl FnOnce(Split<T>) -> Split<T>) -> Self {
        self.split(name, |split| {
            variants(split)
                .need(Need::First, Rest::Cancel)
                .join(|data, winners| {
                    if let Some(winner) = winners.into_iter().next() {
                        *data = winner.data;
                    }
                    Ok(())
                })
        })
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
                body.ends_at(draft, self.join);
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

    /// How many branches the join waits for, and what becomes of the others. Default: all.
    #[must_use]
    pub fn need(self, need: Need, rest: Rest) -> Self {
        self.flow
            .parts
            .borrow_mut()
            .draft
            .need(self.join, need, rest);
        self
    }

    /// What a failed branch does to the others and to the split. Default: the others finish, then
    /// the split fails with all errors.
    #[must_use]
    pub fn on_failure(self, policy: FailurePolicy) -> Self {
        self.flow
            .parts
            .borrow_mut()
            .draft
            .on_failure(self.node, policy);
        self
    }

    /// Like [`join`](Self::join), but `merge` sees the branches that failed or were withdrawn too,
    /// where the join waits for fewer than all or tolerates failures.
    #[must_use]
    pub fn join_ends(
        self,
        merge: impl Fn(&mut T, Vec<BranchEnd<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let merge = self.flow.function(&self.name, "join", merge_ends(merge));
        self.flow.parts.borrow_mut().draft.merge(self.join, merge);
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

/// The branches of a multi-choice in the making.
pub struct Multi<T> {
    split: Split<T>,
    arms: Vec<(String, String, NodeId)>,
    otherwise: Option<(String, NodeId)>,
}

impl<T> fmt::Debug for Multi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multi")
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Multi<T> {
    /// One more branch: taken if `when` holds, whatever the others say.
    #[must_use]
    pub fn when(
        mut self,
        name: &str,
        when: impl Fn(&T) -> bool + Send + Sync + 'static,
        body: impl FnOnce(Flow<T>) -> Flow<T>,
    ) -> Self {
        let predicate = Function::Predicate(Arc::new(move |data| Ok(when(&decode(data)?))));
        let role = format!("when-{}", self.arms.len());
        let when = self.split.flow.function(&self.split.name, &role, predicate);
        if let Some(first) = self.body(name, body) {
            self.arms.push((name.to_owned(), when, first));
        }
        self
    }

    /// Taken if no other branch is.
    #[must_use]
    pub fn otherwise(mut self, name: &str, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Self {
        self.otherwise = self.body(name, body).map(|first| (name.to_owned(), first));
        self
    }

    /// See [`Split::need`].
    #[must_use]
    pub fn need(mut self, need: Need, rest: Rest) -> Self {
        self.split = self.split.need(need, rest);
        self
    }

    /// See [`Split::on_failure`].
    #[must_use]
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.split = self.split.on_failure(policy);
        self
    }

    /// See [`Split::join`].
    #[must_use]
    pub fn join(
        mut self,
        merge: impl Fn(&mut T, Vec<BranchResult<T>>) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        self.split = self.split.join(merge);
        self
    }

    fn body(&self, name: &str, body: impl FnOnce(Flow<T>) -> Flow<T>) -> Option<NodeId> {
        let body = self.split.flow.branch(body);
        if body.first.is_none() {
            self.split.report_empty(name);
        }
        let draft = &mut self.split.flow.parts.borrow_mut().draft;
        body.ends_at(draft, self.split.join);
        body.first
    }

    fn finish(self) {
        let draft = &mut self.split.flow.parts.borrow_mut().draft;
        match self.otherwise {
            Some(otherwise) => draft.chosen_branches(self.split.node, self.arms, otherwise),
            None => draft.problem(Problem::new(
                "no-default",
                Some(self.split.name.clone()),
                "when none of its branches is taken there is no way on; say what happens `otherwise`",
            )),
        }
    }
}
