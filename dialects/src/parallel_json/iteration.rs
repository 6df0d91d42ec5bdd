//! What a `loop` does in a run: which items it goes through, and what its iterations have given.
//!
//! A loop is a map, and its merge judges what its iterations came to, also when the engine has
//! stopped it at the first failure.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use windlass_workflow_model::{Arrivals, BranchOutcome, ErrorEntry, Fault, Function, Payload};

use crate::parallel_json::block::{Standing, error_of, fault_of};
use crate::parallel_json::decision::decisions_kept;
use crate::parallel_json::evaluation::{fill, kind};
use crate::parallel_json::mapping::Mapping;
use crate::parallel_json::run_state::RunState;
use crate::parallel_json::step::OnError;

/// A loop as runs know it.
#[derive(Debug)]
pub(crate) struct Iterations {
    pub(crate) standing: Standing,
    pub(crate) collection: Mapping,
    /// Items that are kept; `None` is all of them.
    pub(crate) most: Option<u32>,
    pub(crate) on_error: OnError,
    /// The last step of the body, and what it was given.
    pub(crate) last: String,
    pub(crate) last_input: Option<Mapping>,
    /// Whether its failure is handed over, and so kept in the data.
    pub(crate) hands_over: bool,
    /// The steps inside it.
    pub(crate) inside: HashSet<String>,
}

/// The items that a loop goes through.
struct Items {
    kept: Vec<Json>,
    /// How many there were before some were cut off.
    length: usize,
}

/// What has become of the iterations of a loop.
struct Settled {
    /// By index.
    entries: Vec<Json>,
    /// The failed iterations, in index order, and their errors.
    failed: Vec<u64>,
    errors: Vec<ErrorEntry>,
}

impl Iterations {
    pub(crate) fn count(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Count(Arc::new(move |data| {
            let items = of.items(&RunState::read(data)?)?;
            // More than the engine takes is refused there, with its own words.
            Ok(u32::try_from(items.kept.len()).unwrap_or(u32::MAX))
        }))
    }

    pub(crate) fn item(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Item(Arc::new(move |data, index| {
            let state = RunState::read(data)?;
            let items = of.items(&state)?;
            let index = index as usize;
            let item = items.kept.get(index).unwrap_or(&Json::Null);
            state.in_iteration(item, index, items.kept.len()).write()
        }))
    }

    pub(crate) fn merge(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Merge(Arc::new(move |before, arrivals| {
            of.settle(before, arrivals)
        }))
    }

    /// Makes of the data of an iteration what the loop needs of it: the engine keeps that of each until
    /// the run is forgotten, and each has all that the run knows.
    pub(crate) fn ended(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Compute(Arc::new(move |data| {
            let state = RunState::read(data)?;
            let entry = of.completed(index_of(&state), &state, state.options().bare_outputs);
            state.ended(entry, &of.inside).write()
        }))
    }

    /// Writes the error of a loop that failed before its iterations into the data.
    pub(crate) fn fold(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Fold(Arc::new(move |before, fault| {
            let mut state = RunState::read(before)?;
            state.set_error(&of.standing.id, &error_of(fault, &of.standing.id));
            state.write()
        }))
    }

    /// Keeps the failure of an iteration, for [`raise`](Self::raise).
    pub(crate) fn keep() -> Function {
        Function::Fold(Arc::new(|data, fault| {
            let mut state = RunState::read(data)?;
            state.set_failing(&fault.errors);
            state.write()
        }))
    }

    /// Fails an iteration, with its index as the branch: a graph does not know that.
    pub(crate) fn raise(self: &Arc<Self>) -> Function {
        let of = Arc::clone(self);
        Function::Compute(Arc::new(move |data| {
            let state = RunState::read(data)?;
            let branch = branch(index_of(&state));
            let mut errors = state.failing();
            for (n, error) in errors.iter_mut().enumerate() {
                if n == 0 || error.parent.as_deref() == Some(&of.standing.id) {
                    error.parent = Some(of.standing.id.clone());
                    error.branch = Some(branch.clone());
                }
            }
            Err(Fault {
                errors,
                retryable: false,
                output: decisions_kept(data, &of.inside).map(Box::new),
            })
        }))
    }

    fn items(&self, state: &RunState) -> Result<Items, Fault> {
        let mut warnings = Vec::new();
        let found = fill(state, &self.collection, "collection", &mut warnings);
        let place = |fault: Fault| {
            fault.at(
                &self.standing.id,
                self.standing.parent(),
                self.standing.branch(),
            )
        };
        let found = match found.map_err(place)? {
            Some(Json::Array(items)) => items,
            other => {
                let shown = match &self.collection {
                    Mapping::Reference(reference) => format!("${{{}}}", reference.text),
                    _ => "the collection".to_owned(),
                };
                let is = other.as_ref().map_or("absent", kind);
                let text =
                    format!("{shown} is {is}; a loop needs a list; let the step before return one");
                return Err(self.standing.fault("collection-not-a-list", &text));
            }
        };
        let length = found.len();
        let mut kept = found;
        if let Some(most) = self.most {
            kept.truncate(most as usize);
        }
        Ok(Items { kept, length })
    }

    fn settle(&self, before: &Payload, arrivals: Arrivals<'_>) -> Result<Payload, Fault> {
        let mut state = RunState::read(before)?;
        let items = self.items(&state)?;
        let settled = gather(&mut state, items.kept.len(), arrivals)?;
        let id = &self.standing.id;
        let mut result = json!({
            "iterations": settled.entries,
            "total_count": items.kept.len(),
            "failed_count": settled.failed.len(),
        });
        if items.length > items.kept.len() {
            result["truncated_from"] = items.length.into();
            state.warn(format!(
                "step {id}: only the first {} of {} items were taken",
                items.kept.len(),
                items.length
            ));
        }
        if settled.failed.is_empty() || self.on_error == OnError::Continue {
            if !settled.errors.is_empty() {
                state.note_handled(id, &settled.errors);
            }
            state.set_output(id, &result);
        } else {
            let error = json!({
                "code": "loop-failed",
                "message": self.message(&settled, items.kept.len()),
                "failed": settled.failed,
                "result": result,
                "errors": settled.errors,
            });
            if !self.hands_over {
                return Err(fault_of(&self.standing, &error));
            }
            state.set_error(id, &error);
        }
        state.write()
    }

    /// Why the loop failed.
    fn message(&self, settled: &Settled, total: usize) -> String {
        if self.on_error == OnError::Stop
            && let (Some(first), Some(error)) = (settled.failed.first(), settled.errors.first())
        {
            return format!(
                "Loop failed: iteration {first} of {total}: {}",
                error.message
            );
        }
        let names: Vec<_> = settled.failed.iter().map(u64::to_string).collect();
        format!(
            "Loop failed: {} of {total} iteration(s) failed: {}",
            names.len(),
            names.join(", ")
        )
    }

    fn completed(&self, index: u64, arrived: &RunState, bare: bool) -> Json {
        let output = arrived.output(&self.last);
        let output = output.map_or(Json::Null, std::borrow::Cow::into_owned);
        if bare {
            return output;
        }
        let mut warnings = Vec::new();
        let input = self.last_input.as_ref();
        // It was resolved when the step ran, from the same data.
        let input = input.and_then(|input| fill(arrived, input, "", &mut warnings).ok().flatten());
        json!({
            "index": index,
            "step_id": self.last,
            "status": "COMPLETED",
            "input": input,
            "output_data": output,
        })
    }
}

/// What has become of each of `count` iterations. Those that a stopped loop did not come to, or
/// broke off, bring nothing.
fn gather(state: &mut RunState, count: usize, arrivals: Arrivals<'_>) -> Result<Settled, Fault> {
    let bare = state.options().bare_outputs;
    let nothing = |index| if bare { Json::Null } else { not_run(index) };
    let mut settled = Settled {
        entries: (0..count as u64).map(nothing).collect(),
        failed: Vec::new(),
        errors: Vec::new(),
    };
    for arrival in arrivals {
        let Some(entry) = settled.entries.get_mut(arrival.index as usize) else {
            continue;
        };
        let index = u64::from(arrival.index);
        match &arrival.outcome {
            BranchOutcome::Succeeded(data) => {
                let arrived = RunState::read(data)?;
                *entry = arrived.entry();
                state.take_notes(&arrived, (0, 0));
            }
            BranchOutcome::Failed(fault) => {
                if !bare {
                    *entry = failed_record(index, fault);
                }
                settled.failed.push(index);
                settled.errors.extend(fault.errors.iter().cloned());
            }
            BranchOutcome::Cancelled(_) => {}
        }
    }
    Ok(settled)
}

/// Which iteration of the innermost loop this is.
fn index_of(state: &RunState) -> u64 {
    let index = state.loop_values(0).and_then(|values| values.get("index"));
    index.and_then(Json::as_u64).unwrap_or(0)
}

const BRANCH: &str = "iteration-";

/// What rows call an iteration.
pub(crate) fn branch(index: u64) -> String {
    format!("{BRANCH}{index}")
}

fn failed_record(index: u64, fault: &Fault) -> Json {
    let first = fault.errors.first();
    json!({
        "index": index,
        "step_id": first.map(|error| &error.step),
        "status": "FAILED",
        "input": null,
        "output_data": null,
        "error": first.map(|error| json!({ "code": error.code, "message": error.message })),
    })
}

fn not_run(index: u64) -> Json {
    json!({ "index": index, "step_id": null, "status": "NOT_RUN", "input": null, "output_data": null })
}
