//! How a `parallel` or `fork_join` is judged when its branches have settled, and how a step that
//! failed hands over.
//!
//! The join of a block tolerates failed branches, so its merge sees all of them and decides: it
//! writes the block's output into the data, or fails the block, which an operator can then retry.
//! With `on_failure` it writes the error into the data instead, because what the other branches have
//! given must outlive it, and the node behind the join leads there.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{
    Arrivals, BranchOutcome, Definition, ErrorEntry, Fault, Function, NodeKind, Payload, codes,
};

use crate::parallel_json::run_state::RunState;
use crate::parallel_json::step::Policy;

/// A step or block where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) id: String,
    /// The block around it, and its branch of that.
    pub(crate) within: Option<(String, String)>,
}

impl Standing {
    pub(crate) fn parent(&self) -> Option<&str> {
        self.within.as_ref().map(|(parent, _)| parent.as_str())
    }

    pub(crate) fn branch(&self) -> Option<&str> {
        self.within.as_ref().map(|(_, branch)| branch.as_str())
    }

    /// An error of its own.
    pub(crate) fn fault(&self, code: &str, message: &str) -> Fault {
        let fault = Fault::new(code, message).permanent();
        fault.at(&self.id, self.parent(), self.branch())
    }
}

/// A block as runs know it.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) standing: Standing,
    pub(crate) rule: Rule,
    /// In document order.
    pub(crate) branches: Vec<BlockBranch>,
    /// For every step inside it: which branch it belongs to.
    pub(crate) branch_of: HashMap<String, usize>,
    /// Whether its failure is handed over, and so kept in the data.
    pub(crate) hands_over: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Every child must complete.
    Parallel,
    /// So many branches must.
    ForkJoin(Policy),
}

#[derive(Debug)]
pub(crate) struct BlockBranch {
    pub(crate) name: String,
    /// The step whose output is the branch's.
    pub(crate) last: String,
    pub(crate) limit: Option<Limit>,
}

/// How long a branch may take.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The node that holds to it.
    pub(crate) node: String,
    pub(crate) seconds: u32,
}

/// What has become of the branches of a block.
struct Settled {
    outputs: Map<String, Json>,
    succeeded: usize,
    /// The failed branches, in document order.
    failed: Vec<String>,
    errors: Vec<ErrorEntry>,
}

impl Block {
    pub(crate) fn merge(self: &Arc<Self>) -> Function {
        let block = Arc::clone(self);
        Function::Merge(Arc::new(move |before, arrivals| {
            block.settle(before, arrivals)
        }))
    }

    /// For a block that failed before its branches were merged.
    pub(crate) fn fold(self: &Arc<Self>) -> Function {
        let block = Arc::clone(self);
        Function::Fold(Arc::new(move |before, fault| {
            let mut state = RunState::read(before)?;
            let errors = block.told(fault);
            let failed = block.failed_in(&errors);
            let error = if failed.is_empty() {
                error_of(fault, &block.standing.id)
            } else {
                let most = block.branches.len() - failed.len();
                let succeeded = format!("{most} at most can succeed");
                block.error(&failed, &errors, &succeeded)
            };
            state.set_error(&block.standing.id, &error);
            state.write()
        }))
    }

    fn settle(&self, before: &Payload, arrivals: Arrivals<'_>) -> Result<Payload, Fault> {
        let mut state = RunState::read(before)?;
        let settled = self.gather(&mut state, arrivals)?;
        let id = &self.standing.id;
        if settled.succeeded >= self.needed() {
            for branch in &settled.failed {
                state.warn(format!(
                    "step {id}: branch {branch} failed, and the others are enough"
                ));
            }
            if !settled.errors.is_empty() {
                state.note_handled(id, &settled.errors);
            }
            state.set_output(id, &Json::Object(settled.outputs));
        } else {
            let succeeded = format!("{} succeeded", settled.succeeded);
            let error = self.error(&settled.failed, &settled.errors, &succeeded);
            if !self.hands_over {
                return Err(fault_of(&self.standing, &error));
            }
            state.set_error(id, &error);
        }
        state.write()
    }

    fn gather(&self, state: &mut RunState, arrivals: Arrivals<'_>) -> Result<Settled, Fault> {
        let known = state.notes();
        let names = self.branches.iter();
        let mut settled = Settled {
            // A branch that has given nothing is null, in its place.
            outputs: names
                .map(|branch| (branch.name.clone(), Json::Null))
                .collect(),
            succeeded: 0,
            failed: Vec::new(),
            errors: Vec::new(),
        };
        for arrival in arrivals {
            let Some(branch) = self.branches.get(arrival.index as usize) else {
                continue;
            };
            match &arrival.outcome {
                BranchOutcome::Succeeded(data) => {
                    let arrived = RunState::read(data)?;
                    let output = arrived.output(&branch.last);
                    let output = output.map_or(Json::Null, std::borrow::Cow::into_owned);
                    settled.outputs.insert(branch.name.clone(), output);
                    settled.succeeded += 1;
                    state.take_steps(&arrived);
                    state.take_notes(&arrived, known);
                }
                BranchOutcome::Failed(fault) => {
                    settled.failed.push(branch.name.clone());
                    settled.errors.extend(self.told(fault));
                }
                BranchOutcome::Cancelled(_) => {}
            }
        }
        Ok(settled)
    }

    fn needed(&self) -> usize {
        match self.rule {
            Rule::Parallel => self.branches.len(),
            Rule::ForkJoin(policy) => policy.needs(self.branches.len()) as usize,
        }
    }

    /// The errors of a fault, in the dialect's words.
    fn told(&self, fault: &Fault) -> Vec<ErrorEntry> {
        let tell = |error: &ErrorEntry| {
            let of = |branch: &&BlockBranch| {
                branch
                    .limit
                    .as_ref()
                    .is_some_and(|limit| limit.node == error.step)
            };
            let mut error = error.clone();
            let branch = self.branches.iter().find(of);
            let limit = branch.and_then(|branch| branch.limit.as_ref());
            if let (Some(branch), Some(limit), codes::SCOPE_TIMEOUT) =
                (branch, limit, error.code.as_str())
            {
                too_late(&mut error, &self.standing.id, &branch.name, limit.seconds);
            }
            error
        };
        fault.errors.iter().map(tell).collect()
    }

    /// The branches that errors come from, in document order.
    fn failed_in(&self, errors: &[ErrorEntry]) -> Vec<String> {
        let mut failed: Vec<usize> = errors
            .iter()
            .filter_map(|error| {
                let own = error.parent.as_deref() == Some(&self.standing.id);
                let named = error.branch.as_deref().filter(|_| own);
                let named = named
                    .and_then(|name| self.branches.iter().position(|branch| branch.name == name));
                named.or_else(|| self.branch_of.get(&error.step).copied())
            })
            .collect();
        failed.sort_unstable();
        failed.dedup();
        failed
            .into_iter()
            .map(|branch| self.branches[branch].name.clone())
            .collect()
    }

    fn error(&self, failed: &[String], errors: &[ErrorEntry], succeeded: &str) -> Json {
        let names = failed.join(", ");
        let (code, message) = match self.rule {
            Rule::Parallel => (
                "children-failed",
                format!(
                    "Parallel execution failed: {} step(s) failed: {names}",
                    failed.len()
                ),
            ),
            Rule::ForkJoin(policy) => {
                let (needed, all) = (self.needed(), self.branches.len());
                let word = match policy {
                    Policy::AtLeast(_) => "n_of_m".to_owned(),
                    Policy::All | Policy::Any | Policy::Majority => policy.shown(),
                };
                let text = format!(
                    "Fork-join failed: policy {word} needs {needed} of {all} branch(es), {succeeded}; failed: {names}"
                );
                ("policy-not-met", text)
            }
        };
        json!({ "code": code, "message": message, "failed": failed, "errors": errors })
    }
}

/// Says in the words of the dialect that a branch of a block was not finished in time.
fn too_late(error: &mut ErrorEntry, block: &str, branch: &str, seconds: u32) {
    *error = ErrorEntry {
        step: block.to_owned(),
        parent: Some(block.to_owned()),
        branch: Some(branch.to_owned()),
        code: BRANCH_TIMEOUT.to_owned(),
        message: format!(
            "branch {branch} was not finished after {seconds} s; it was cancelled; raise timeout_seconds"
        ),
    };
}

/// The code of a branch that was not finished in time.
const BRANCH_TIMEOUT: &str = "branch-timeout";

/// Says in the words of the dialect what the limit of a branch left in a run's rows; whether it was
/// one.
pub fn tell_branch_timeout(definition: &Definition, error: &mut ErrorEntry) -> bool {
    let node = definition.find(&error.step).map(|id| definition.node(id));
    let Some((node, ms)) = node.and_then(|node| match node.kind {
        NodeKind::Scope {
            timeout_ms: Some(ms),
            ..
        } if error.code == codes::SCOPE_TIMEOUT => Some((node, ms)),
        _ => None,
    }) else {
        return false;
    };
    let (Some(block), Some(branch)) = (&node.place.parent, &node.place.branch) else {
        return false;
    };
    let seconds = u32::try_from(ms / 1_000).unwrap_or(u32::MAX);
    too_late(error, block, branch, seconds);
    true
}

/// The error of a step that failed with `fault`.
pub(crate) fn error_of(fault: &Fault, step: &str) -> Json {
    let first = fault.errors.first();
    let code = first.map_or("", |error| &error.code);
    let message = first.map_or("", |error| &error.message);
    json!({ "code": code, "message": message, "failed": [step], "errors": fault.errors })
}

/// The fault of a block with this error: its own first, then all below.
pub(crate) fn fault_of(standing: &Standing, error: &Json) -> Fault {
    let text = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
    let own = standing.fault(text("code"), text("message"));
    // What the block itself failed with need not be said twice.
    let is_own = |entry: &ErrorEntry| own.errors.contains(entry);
    let below = Fault {
        errors: RunState::errors(error)
            .into_iter()
            .filter(|entry| !is_own(entry))
            .collect(),
        retryable: false,
        output: None,
    };
    Fault::join([own, below])
}

/// Raises what has gone wrong with a block, if anything has.
pub(crate) fn raise(standing: Standing) -> Function {
    Function::Compute(Arc::new(move |data| {
        let state = RunState::read(data)?;
        match state.error(&standing.id) {
            Some(error) => Err(fault_of(&standing, error)),
            None => Ok(data.clone()),
        }
    }))
}

/// Whether something has gone wrong with the block `id`.
pub(crate) fn has_failed(id: String) -> Function {
    Function::Predicate(Arc::new(move |data| {
        Ok(RunState::read(data)?.error(&id).is_some())
    }))
}

/// Notes that the failure of the block `id` is handled by its `on_failure`.
pub(crate) fn note_handled(id: String) -> Function {
    Function::Compute(Arc::new(move |data| {
        let mut state = RunState::read(data)?;
        let errors = state.error(&id).map(RunState::errors).unwrap_or_default();
        state.note_handled(&id, &errors);
        state.write()
    }))
}

/// Writes the failure of `id`, or of a step in its branches, into the data, as handled.
pub(crate) fn hand_over(id: String) -> Function {
    Function::Fold(Arc::new(move |data, fault| {
        let mut state = RunState::read(data)?;
        let failed = fault
            .errors
            .first()
            .map_or(id.as_str(), |error| &error.step);
        state.set_error(&id, &error_of(fault, failed));
        state.note_handled(&id, &fault.errors);
        state.write()
    }))
}
