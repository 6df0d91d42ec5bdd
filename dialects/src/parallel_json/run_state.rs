//! The data of a run: `{"input": …, "options": …, "steps": {"<id>": {"outputs": …}}, …}`.
//!
//! Beside the outputs of steps it holds what went wrong with a block until that is raised or
//! handled (`steps.<id>.error`), the values of the loop that an iteration is in (`loop`), and what a
//! run has to say when it ends (`warnings`, `handled_failures`).

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{ErrorEntry, Fault, Payload, codes};

use crate::run_data::{OUTPUTS, STEPS};

const INPUT: &str = "input";
const OPTIONS: &str = "options";
const LOOP: &str = "loop";
const ERROR: &str = "error";
/// What an iteration is in the output of its loop.
const ENTRY: &str = "entry";
const WARNINGS: &str = "warnings";
const HANDLED: &str = "handled_failures";
/// Stands beside the output of a conditional: the rest of that is found when it is asked for.
const CONDITIONAL: &str = "conditional";
const CONDITION_ERROR: &str = "condition_error";
const BRANCH_STEP: &str = "branch_step_id";
const BRANCH_OUTPUT: &str = "branch_output";

/// The data of a run of this dialect.
#[derive(Clone, Debug)]
pub(crate) struct RunState {
    data: Map<String, Json>,
}

/// What the file was imported with, as far as runs need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunOptions {
    pub(crate) lenient: bool,
    pub(crate) strict_conditions: bool,
    /// Entries of `iterations` are outputs and no records.
    pub(crate) bare_outputs: bool,
}

impl RunOptions {
    /// Every combination: a run is gone on with by another process, which does not know with what
    /// options the file was imported.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            lenient: bits & 1 != 0,
            strict_conditions: bits & 2 != 0,
            bare_outputs: bits & 4 != 0,
        })
    }

    /// The name of the function that begins a run with them.
    pub(crate) fn begin(self) -> String {
        let flag = |set: bool, name: &'static str| if set { name } else { "" };
        format!(
            "begin{}{}{}",
            flag(self.lenient, "/lenient"),
            flag(self.strict_conditions, "/strict-conditions"),
            flag(self.bare_outputs, "/bare-outputs")
        )
    }
}

impl RunState {
    /// A run that begins with this input.
    pub(crate) fn begin(input: &Payload, options: RunOptions) -> Result<Self, Fault> {
        let input: Json = input.decode().map_err(|error| {
            invalid(&format!(
                "the run's input is no JSON ({error}); start the run with JSON"
            ))
        })?;
        let mut data = Map::new();
        data.insert(INPUT.to_owned(), input);
        let options = json!({
            "lenient": options.lenient,
            "strict_conditions": options.strict_conditions,
            "bare_outputs": options.bare_outputs,
        });
        data.insert(OPTIONS.to_owned(), options);
        data.insert(STEPS.to_owned(), json!({}));
        Ok(Self { data })
    }

    /// # Errors
    /// A permanent [`Fault`] if it is not the data of such a run.
    pub(crate) fn read(data: &Payload) -> Result<Self, Fault> {
        let data: Map<String, Json> = data
            .decode()
            .map_err(|error| invalid(&format!("the run's data is no JSON object ({error}); handlers must keep what they do not know")))?;
        if data.get(STEPS).is_some_and(Json::is_object) {
            return Ok(Self { data });
        }
        Err(invalid(
            "the run's data has no object under \"steps\" any more; handlers must keep what they do not know",
        ))
    }

    pub(crate) fn write(&self) -> Result<Payload, Fault> {
        Payload::encode(&self.data).map_err(|error| invalid(&error.to_string()))
    }

    pub(crate) fn options(&self) -> RunOptions {
        let is = |name: &str| {
            self.data.get(OPTIONS).and_then(|o| o.get(name)) == Some(&Json::Bool(true))
        };
        RunOptions {
            lenient: is("lenient"),
            strict_conditions: is("strict_conditions"),
            bare_outputs: is("bare_outputs"),
        }
    }

    pub(crate) fn input(&self) -> &Json {
        self.data.get(INPUT).unwrap_or(&Json::Null)
    }

    /// What a step has given; `None` if it has not run.
    pub(crate) fn output(&self, step: &str) -> Option<Cow<'_, Json>> {
        let entry = self.step(step)?;
        let output = entry.get(OUTPUTS)?;
        if entry.get(CONDITIONAL).is_none() {
            return Some(Cow::Borrowed(output));
        }
        let mut output = output.clone();
        if let Some(branch) = output.get(BRANCH_STEP).and_then(Json::as_str) {
            // A branch may begin with a conditional, whose own output is made like this one.
            let given = self.output(branch).map_or(Json::Null, Cow::into_owned);
            output[BRANCH_OUTPUT] = given;
        }
        Some(Cow::Owned(output))
    }

    /// What all steps have given that have run.
    pub(crate) fn outputs(&self) -> Json {
        let steps = self.data.get(STEPS).and_then(Json::as_object);
        let outputs = steps.into_iter().flatten().filter_map(|(step, _)| {
            let output = self.output(step)?;
            Some((step.clone(), output.into_owned()))
        });
        Json::Object(outputs.collect())
    }

    pub(crate) fn error(&self, step: &str) -> Option<&Json> {
        self.step(step)?.get(ERROR)
    }

    fn step(&self, step: &str) -> Option<&Json> {
        self.data.get(STEPS)?.get(step)
    }

    fn set(&mut self, step: &str, entry: Json) {
        let steps = self.data.get_mut(STEPS).and_then(Json::as_object_mut);
        if let Some(steps) = steps {
            steps.insert(step.to_owned(), entry);
        }
    }

    pub(crate) fn set_output(&mut self, step: &str, output: &Json) {
        self.set(step, json!({ OUTPUTS: output }));
    }

    /// What a conditional has decided, and why its condition could not be judged, if so.
    pub(crate) fn set_decision(
        &mut self,
        step: &str,
        result: bool,
        branch_step: Option<&str>,
        error: Option<&str>,
    ) {
        let output = json!({
            "condition_result": result,
            "branch_taken": if result { "then" } else { "else" },
            BRANCH_STEP: branch_step,
            BRANCH_OUTPUT: null,
        });
        let mut entry = json!({ OUTPUTS: output, CONDITIONAL: true });
        if let Some(error) = error {
            entry[CONDITION_ERROR] = error.into();
            self.warn(format!(
                "step {step}: the condition is taken as false: {error}"
            ));
        }
        self.set(step, entry);
    }

    pub(crate) fn set_error(&mut self, step: &str, error: &Json) {
        self.set(step, json!({ ERROR: error }));
    }

    /// The errors of steps that a block has gathered.
    pub(crate) fn errors(error: &Json) -> Vec<ErrorEntry> {
        let errors = error.get("errors").cloned().unwrap_or_default();
        serde_json::from_value(errors).unwrap_or_default()
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.list(WARNINGS).push(Json::String(warning));
    }

    /// Notes a failure that the flow goes on from.
    pub(crate) fn note_handled(&mut self, step: &str, errors: &[ErrorEntry]) {
        self.list(HANDLED)
            .push(json!({ "step": step, "errors": errors }));
    }

    fn list(&mut self, name: &str) -> &mut Vec<Json> {
        let list = self.data.entry(name).or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
        match list {
            Json::Array(list) => list,
            _ => unreachable!("it was made a list"),
        }
    }

    /// Values of the loop so many levels out.
    pub(crate) fn loop_values(&self, out: usize) -> Option<&Json> {
        let mut values = self.data.get(LOOP)?;
        for _ in 0..out {
            values = values.get("parent")?;
        }
        Some(values).filter(|values| values.is_object())
    }

    /// The same run in one iteration of a loop.
    pub(crate) fn in_iteration(mut self, item: &Json, index: usize, total: usize) -> Self {
        let parent = self.data.remove(LOOP).unwrap_or_default();
        let values = json!({ "item": item, "index": index, "total": total, "parent": parent });
        self.data.insert(LOOP.to_owned(), values);
        self.data.remove(WARNINGS);
        self.data.remove(HANDLED);
        self
    }

    /// What is left of an iteration that has ended: its entry in the output of the loop, what it has to
    /// say, which of the steps `inside` it have given something, and what those have decided that are
    /// conditionals.
    pub(crate) fn ended(mut self, entry: Json, inside: &HashSet<String>) -> Self {
        self.data
            .retain(|name, _| matches!(&**name, STEPS | WARNINGS | HANDLED));
        let steps = self.data.get_mut(STEPS).and_then(Json::as_object_mut);
        if let Some(steps) = steps {
            steps.retain(|step, entry| inside.contains(step) && entry.get(OUTPUTS).is_some());
            let given = steps.values_mut();
            for entry in given.filter(|entry| entry.get(CONDITIONAL).is_none()) {
                *entry = json!({ OUTPUTS: null });
            }
        }
        self.data.insert(ENTRY.to_owned(), entry);
        self
    }

    /// The entry of an iteration that has [`ended`](Self::ended).
    pub(crate) fn entry(&self) -> Json {
        self.data.get(ENTRY).cloned().unwrap_or_default()
    }

    /// Takes what the steps of a branch have given that began with a copy of this data.
    pub(crate) fn take_steps(&mut self, branch: &Self) {
        let taken = branch.data.get(STEPS).and_then(Json::as_object);
        for (step, entry) in taken.into_iter().flatten() {
            if self.step(step).is_none() {
                self.set(step, entry.clone());
            }
        }
    }

    /// Takes what a branch has to say, but for the first `known`, which were said before it began.
    pub(crate) fn take_notes(&mut self, branch: &Self, known: (usize, usize)) {
        for (list, known) in [(WARNINGS, known.0), (HANDLED, known.1)] {
            let said = branch.data.get(list).and_then(Json::as_array);
            let new: Vec<_> = said.into_iter().flatten().skip(known).cloned().collect();
            if !new.is_empty() {
                self.list(list).extend(new);
            }
        }
    }

    /// How much a run has to say so far.
    pub(crate) fn notes(&self) -> (usize, usize) {
        let length = |list| {
            self.data
                .get(list)
                .and_then(Json::as_array)
                .map_or(0, Vec::len)
        };
        (length(WARNINGS), length(HANDLED))
    }

    /// Keeps the errors of an iteration until they are raised.
    pub(crate) fn set_failing(&mut self, errors: &[ErrorEntry]) {
        self.data.insert("failing".to_owned(), json!(errors));
    }

    pub(crate) fn failing(&self) -> Vec<ErrorEntry> {
        let errors = self.data.get("failing").cloned().unwrap_or_default();
        serde_json::from_value(errors).unwrap_or_default()
    }
}

fn invalid(why: &str) -> Fault {
    Fault::new(codes::DATA_INVALID, why).permanent()
}
