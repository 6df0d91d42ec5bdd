//! The data of a run of step groups.
//!
//! A JSON object beside whatever the run began with: `steps` (what each completed step gave),
//! `variables`, `setters` (which step set each, so that branches can be joined), `parameters`,
//! `resources`, `context`, `process_env`, `failures` that were captured, `approvals`, `warnings` of what
//! lenient mode repaired, and `digits` of numbers in parameters, resources and context; those of
//! outputs stand beside them.
//! A settled step that has neither given something nor failed was skipped.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{Arrivals, BranchOutcome, ErrorEntry, Fault, Payload, codes};

use crate::run_data::{OUTPUTS, STEPS, object};
use crate::step_groups::digits;
use crate::step_groups::evaluation::text_of;

pub(crate) const VARIABLES: &str = "variables";
pub(crate) const PARAMETERS: &str = "parameters";
pub(crate) const RESOURCES: &str = "resources";
pub(crate) const CONTEXT: &str = "context";
pub(crate) const PROCESS_ENV: &str = "process_env";
/// What the workflow gives back.
pub(crate) const RESULTS: &str = "outputs";
/// Digits of numbers, by the key under which these stand.
pub(crate) const DIGITS: &str = "digits";
const SETTERS: &str = "setters";
const FAILURES: &str = "failures";
const APPROVALS: &str = "approvals";
const WARNINGS: &str = "warnings";

/// A step that failed in a run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Its place in the document.
    pub(crate) index: usize,
    /// Its phase, from 1.
    pub(crate) phase: usize,
    /// The name of the step that failed.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) error: ErrorEntry,
}

/// How a settled step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Completed,
    Failed,
    Skipped,
}

/// The data of one branch.
#[derive(Clone, Debug)]
pub(crate) struct State {
    data: Map<String, Json>,
}

impl State {
    /// # Errors
    /// A permanent [`Fault`] if it is not the data of such a run.
    pub(crate) fn read(data: &Payload) -> Result<Self, Fault> {
        let data = object(data)?;
        let wrong = [
            STEPS,
            VARIABLES,
            PARAMETERS,
            RESOURCES,
            CONTEXT,
            PROCESS_ENV,
            DIGITS,
        ]
        .into_iter()
        .find(|key| data.get(*key).is_some_and(|value| !value.is_object()));
        match wrong {
            None => Ok(Self { data }),
            Some(key) => Err(invalid(&format!(
                "the run's data has a key {key:?} that is no object, so nothing in it has a name; start the run with an object there"
            ))),
        }
    }

    pub(crate) fn write(&self) -> Result<Payload, Fault> {
        Payload::encode(&self.data).map_err(|error| invalid(&error.to_string()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        self.data.get(key)
    }

    pub(crate) fn set(&mut self, key: &str, value: Json) {
        self.data.insert(key.to_owned(), value);
    }

    pub(crate) fn status(&self, step: &str) -> Status {
        if self.failures().iter().any(|failure| failure.name == step) {
            return Status::Failed;
        }
        match self.outputs(step) {
            Some(_) => Status::Completed,
            None => Status::Skipped,
        }
    }

    /// What a completed step gave.
    pub(crate) fn outputs(&self, step: &str) -> Option<&Json> {
        self.data.get(STEPS)?.get(step)?.get(OUTPUTS)
    }

    /// The digits of numbers in what it gave.
    pub(crate) fn output_digits(&self, step: &str) -> Option<&Json> {
        self.data.get(STEPS)?.get(step)?.get(DIGITS)
    }

    /// The digits of numbers under a key of the data.
    pub(crate) fn digits(&self, key: &str) -> Option<&Json> {
        self.data.get(DIGITS)?.get(key)
    }

    pub(crate) fn set_digits(&mut self, key: &str, name: &str, digits: Json) {
        let tables = self.object(DIGITS);
        let table = tables.entry(key).or_insert_with(|| json!({}));
        if let Json::Object(table) = table {
            table.insert(name.to_owned(), digits);
        }
    }

    pub(crate) fn record(&mut self, step: &str, outputs: &Json, digits: &Json) {
        let mut settled = json!({ OUTPUTS: outputs });
        if !digits.is_null() {
            settled[DIGITS] = digits.clone();
        }
        self.object(STEPS).insert(step.to_owned(), settled);
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: &str, rank: usize) {
        self.object(VARIABLES).insert(name.to_owned(), value.into());
        self.object(SETTERS).insert(name.to_owned(), rank.into());
    }

    /// Adds what a step gave to the resource that it makes.
    pub(crate) fn provide(&mut self, resource: &str, outputs: &Json, digits: Option<&Json>) {
        self.provide_digits(resource, outputs, digits);
        let resources = self.object(RESOURCES);
        let known = resources
            .entry(resource.to_owned())
            .or_insert_with(|| json!({}));
        if !known.is_object() {
            *known = json!({});
        }
        if let (Json::Object(known), Json::Object(new)) = (known, outputs) {
            known.extend(new.clone());
        }
    }

    fn provide_digits(&mut self, resource: &str, outputs: &Json, digits: Option<&Json>) {
        let known = self.digits(RESOURCES).and_then(|all| all.get(resource));
        if known.is_none() && digits.is_none() {
            return;
        }
        let mut own = known.and_then(Json::as_object).cloned().unwrap_or_default();
        own.retain(|name, _| outputs.get(name).is_none());
        let new = digits.and_then(Json::as_object).into_iter().flatten();
        own.extend(new.map(|(name, digits)| (name.clone(), digits.clone())));
        self.set_digits(RESOURCES, resource, Json::Object(own));
    }

    /// The values that stand under these names, as text, wherever a run has names; none is empty.
    pub(crate) fn secrets(&self, names: &[String]) -> Vec<String> {
        let tables = [VARIABLES, PROCESS_ENV, PARAMETERS, RESULTS];
        let tables = tables.into_iter();
        let tables = tables.filter_map(|key| Some((self.data.get(key)?, self.digits(key))));
        let steps = self.data.get(STEPS).and_then(Json::as_object);
        let steps = steps.into_iter().flat_map(Map::values);
        let outputs = steps.filter_map(|step| Some((step.get(OUTPUTS)?, step.get(DIGITS))));
        let in_table = |(table, digits): (&Json, Option<&Json>)| -> Vec<String> {
            let values = names.iter().filter_map(|name| {
                let value = table.get(name)?;
                let digits = digits.and_then(|digits| digits.get(name));
                Some([text_of(value), digits::text(value, digits)])
            });
            let mut texts: Vec<String> = values.flatten().collect();
            texts.retain(|text| !text.is_empty());
            texts.dedup();
            texts
        };
        tables.chain(outputs).flat_map(in_table).collect()
    }

    /// In document order.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failures = self.data.get(FAILURES).cloned().unwrap_or_default();
        serde_json::from_value(failures).unwrap_or_default()
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        let mut failures = self.failures();
        failures.retain(|known| known.name != failure.name);
        failures.push(failure);
        failures.sort_by_key(|failure| failure.index);
        self.set(FAILURES, json!(failures));
    }

    /// What became of the wait for a person.
    pub(crate) fn approval(&self, step: &str) -> Option<&Json> {
        self.data.get(APPROVALS)?.get(step)
    }

    pub(crate) fn note_approval(&mut self, step: &str, answer: Json) {
        self.object(APPROVALS).insert(step.to_owned(), answer);
    }

    /// What was repaired so far.
    fn warnings(&self) -> Vec<String> {
        let warnings = self.data.get(WARNINGS).cloned().unwrap_or_default();
        serde_json::from_value(warnings).unwrap_or_default()
    }

    /// Notes what was repaired, each once.
    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        let known = self.warnings();
        let mut all = known.clone();
        for warning in warnings {
            if !all.contains(&warning) {
                all.push(warning);
            }
        }
        if all.len() > known.len() {
            self.set(WARNINGS, json!(all));
        }
    }

    /// The same of one step.
    pub(crate) fn warn_of(&mut self, step: &str, warnings: &[String]) {
        let warnings = warnings.iter();
        self.warn(warnings.map(|warning| format!("step {step}: {warning}")));
    }

    /// Takes everything that a branch has added since `before`.
    fn take(&mut self, before: &Self, branch: &Self) {
        for key in [STEPS, APPROVALS] {
            for (name, value) in branch.entries(key) {
                if before
                    .data
                    .get(key)
                    .and_then(|known| known.get(name))
                    .is_none()
                {
                    self.object(key).insert(name.clone(), value.clone());
                }
            }
        }
        for (name, value) in branch.entries(RESOURCES) {
            let known = before.data.get(RESOURCES).and_then(|known| known.get(name));
            if known != Some(value) {
                let digits = branch.digits(RESOURCES).and_then(|all| all.get(name));
                self.provide(name, value, digits);
            }
        }
        for (name, value) in branch.entries(VARIABLES) {
            // Of two that set a variable, one waits for the other; its step has the higher rank.
            if branch.rank(name) > self.rank(name) {
                let (value, rank) = (value.clone(), branch.rank(name).unwrap_or_default());
                self.object(VARIABLES).insert(name.clone(), value);
                self.object(SETTERS).insert(name.clone(), rank.into());
            }
        }
        for failure in branch.failures() {
            self.fail(failure);
        }
        self.warn(branch.warnings());
    }

    fn rank(&self, variable: &str) -> Option<u64> {
        self.data.get(SETTERS)?.get(variable)?.as_u64()
    }

    fn entries(&self, key: &str) -> impl Iterator<Item = (&String, &Json)> {
        let object = self.data.get(key).and_then(Json::as_object);
        object.into_iter().flatten()
    }

    fn object(&mut self, key: &str) -> &mut Map<String, Json> {
        let entry = self.data.entry(key).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        match entry {
            Json::Object(object) => object,
            _ => unreachable!("it was made an object"),
        }
    }
}

/// The data before the split with what all branches added, whatever order they came in.
pub(crate) fn merge(before: &Payload, arrivals: Arrivals<'_>) -> Result<Payload, Fault> {
    let before = State::read(before)?;
    let mut merged = before.clone();
    for arrival in arrivals {
        if let BranchOutcome::Succeeded(data) = &arrival.outcome {
            merged.take(&before, &State::read(data)?);
        }
    }
    merged.write()
}

/// Joins what came to one step from those that it waits for.
pub(crate) fn meet(_: &Payload, arrivals: Arrivals<'_>) -> Result<Payload, Fault> {
    let mut merged: Option<State> = None;
    for arrival in arrivals {
        if let BranchOutcome::Succeeded(data) = &arrival.outcome {
            let came = State::read(data)?;
            match &mut merged {
                None => merged = Some(came),
                Some(merged) => {
                    let before = merged.clone();
                    merged.take(&before, &came);
                }
            }
        }
    }
    merged.map_or_else(|| Ok(Payload::null()), |merged| merged.write())
}

pub(crate) fn invalid(text: &str) -> Fault {
    Fault::new(codes::DATA_INVALID, text).permanent()
}
