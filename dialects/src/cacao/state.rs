//! The data of a run of a playbook.
//!
//! `{"variables": {"<scope>": {"<name>": value}}, "steps": {"<step>": {"outputs": …}}, …}`. A scope
//! is the id of a logic step, or `playbook`. Beside these stand what was decided (`choices`), the
//! failure that is on its way (`failure`), the one that the exception chain works on (`exception`),
//! what calls of one step have brought so far (`pending`), what a person is asked (`tasks`), and what
//! a run has to say when it ends (`handled_failures`, `warnings`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{ErrorEntry, Fault, Payload, codes};

use crate::run_data::{OUTPUTS, STEPS};

/// The scope of the variables of the playbook itself.
pub(crate) const PLAYBOOK: &str = "playbook";

const VARIABLES: &str = "variables";
const CHOICES: &str = "choices";
const FAILURE: &str = "failure";
const EXCEPTION: &str = "exception";
const PENDING: &str = "pending";
const TASKS: &str = "tasks";
const WARNINGS: &str = "warnings";
const HANDLED: &str = "handled_failures";
const ARRIVED: &str = "arrived";

/// The data of one branch of a run.
#[derive(Clone, Debug)]
pub(crate) struct State {
    data: Map<String, Json>,
}

/// A failure on its way to whoever handles it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) errors: Vec<ErrorEntry>,
    /// Whether it is the step's own, and not one of its branches'.
    pub(crate) own: bool,
    /// The id of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

impl State {
    /// A run before its first step.
    pub(crate) fn new() -> Self {
        let mut data = Map::new();
        data.insert(VARIABLES.to_owned(), json!({}));
        data.insert(STEPS.to_owned(), json!({}));
        Self { data }
    }

    /// # Errors
    /// A permanent [`Fault`] if it is not the data of such a run.
    pub(crate) fn read(data: &Payload) -> Result<Self, Fault> {
        let read: Result<Map<String, Json>, _> = data.decode();
        let is_object = |data: &Map<String, Json>, key| data.get(key).is_some_and(Json::is_object);
        match read {
            Ok(data) if is_object(&data, VARIABLES) && is_object(&data, STEPS) => Ok(Self { data }),
            _ => {
                let text = "the run's data is not that of a playbook any more; handlers must keep what they do not know";
                Err(Fault::new(codes::DATA_INVALID, text).permanent())
            }
        }
    }

    pub(crate) fn write(&self) -> Result<Payload, Fault> {
        Payload::encode(&self.data)
            .map_err(|error| Fault::new(codes::DATA_INVALID, error.to_string()).permanent())
    }

    /// What a variable holds; null if it has no value.
    pub(crate) fn value(&self, scope: &str, name: &str) -> &Json {
        let scope = self
            .data
            .get(VARIABLES)
            .and_then(|scopes| scopes.get(scope));
        scope
            .and_then(|scope| scope.get(name))
            .unwrap_or(&Json::Null)
    }

    pub(crate) fn set_value(&mut self, scope: &str, name: &str, value: Json) {
        let scopes = self.object(VARIABLES);
        let scope = scopes.entry(scope).or_insert_with(|| json!({}));
        if let Json::Object(scope) = scope {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Begins a scope anew with these variables.
    pub(crate) fn enter(&mut self, scope: &str, variables: Map<String, Json>) {
        self.object(VARIABLES)
            .insert(scope.to_owned(), Json::Object(variables));
    }

    pub(crate) fn leave(&mut self, scope: &str) {
        self.object(VARIABLES).remove(scope);
    }

    /// All variables: scope, name and value.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str, &Json)> {
        let scopes = self.data.get(VARIABLES).and_then(Json::as_object);
        scopes.into_iter().flatten().flat_map(|(scope, variables)| {
            let variables = variables.as_object().into_iter().flatten();
            variables.map(move |(name, value)| (scope.as_str(), name.as_str(), value))
        })
    }

    pub(crate) fn record(&mut self, step: &str, outputs: &Json) {
        self.object(STEPS)
            .insert(step.to_owned(), json!({ OUTPUTS: outputs }));
    }

    /// Takes what the steps of a branch have given.
    pub(crate) fn take_steps(&mut self, branch: &Self) {
        let taken = branch.data.get(STEPS).and_then(Json::as_object);
        for (step, entry) in taken.into_iter().flatten() {
            self.object(STEPS).insert(step.clone(), entry.clone());
        }
    }

    /// Takes what was decided in a branch, for whoever looks at it.
    pub(crate) fn take_choices(&mut self, branch: &Self) {
        let taken = branch.data.get(CHOICES).and_then(Json::as_object);
        for (step, choice) in taken.into_iter().flatten() {
            self.object(CHOICES).insert(step.clone(), choice.clone());
        }
    }

    pub(crate) fn choice(&self, step: &str) -> Option<&str> {
        self.data.get(CHOICES)?.get(step)?.as_str()
    }

    pub(crate) fn choose(&mut self, step: &str, branch: &str) {
        self.object(CHOICES).insert(step.to_owned(), branch.into());
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        serde_json::from_value(self.data.get(FAILURE)?.clone()).ok()
    }

    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.data.insert(FAILURE.to_owned(), json!(failure));
        self.data.remove(PENDING);
    }

    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        let failure = self.failure();
        self.data.remove(FAILURE);
        failure
    }

    /// What the exception chain was started for.
    pub(crate) fn exception(&self) -> Option<&Json> {
        self.data.get(EXCEPTION)
    }

    pub(crate) fn exception_errors(&self) -> Vec<ErrorEntry> {
        let errors = self
            .exception()
            .and_then(|exception| exception.get("errors"));
        errors
            .and_then(|errors| serde_json::from_value(errors.clone()).ok())
            .unwrap_or_default()
    }

    pub(crate) fn begin_exception(&mut self, exception: Json) {
        self.data.insert(EXCEPTION.to_owned(), exception);
    }

    pub(crate) fn pending(&self) -> Map<String, Json> {
        let pending = self.data.get(PENDING).and_then(Json::as_object);
        pending.cloned().unwrap_or_default()
    }

    pub(crate) fn set_pending(&mut self, pending: Map<String, Json>) {
        self.data.insert(PENDING.to_owned(), Json::Object(pending));
    }

    pub(crate) fn clear_pending(&mut self) {
        self.data.remove(PENDING);
    }

    pub(crate) fn ask(&mut self, step: &str, task: Json) {
        self.object(TASKS).insert(step.to_owned(), task);
    }

    pub(crate) fn task(&self, step: &str) -> Option<&Json> {
        self.data.get(TASKS)?.get(step)
    }

    pub(crate) fn answered(&mut self, step: &str) {
        self.object(TASKS).remove(step);
        if self.object(TASKS).is_empty() {
            self.data.remove(TASKS);
        }
    }

    /// Notes that the branch has come to the join of this parallel.
    pub(crate) fn arrive(&mut self, parallel: &str) {
        self.object(ARRIVED)
            .insert(parallel.to_owned(), true.into());
    }

    pub(crate) fn has_arrived(&self, parallel: &str) -> bool {
        let arrived = self
            .data
            .get(ARRIVED)
            .and_then(|arrived| arrived.get(parallel));
        arrived == Some(&Json::Bool(true))
    }

    pub(crate) fn forget_arrivals(&mut self, parallel: &str) {
        self.object(ARRIVED).remove(parallel);
        if self.object(ARRIVED).is_empty() {
            self.data.remove(ARRIVED);
        }
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.list(WARNINGS).push(Json::String(warning.into()));
    }

    pub(crate) fn note_handled(&mut self, step: &str, errors: &[ErrorEntry]) {
        self.list(HANDLED)
            .push(json!({ "step": step, "errors": errors }));
    }

    /// What the failure began with that was handled last.
    pub(crate) fn last_handled(&self) -> Option<ErrorEntry> {
        let last = self.data.get(HANDLED)?.as_array()?.last()?;
        serde_json::from_value(last.get("errors")?.get(0)?.clone()).ok()
    }

    /// What it has warned of, but for the first `known`.
    pub(crate) fn warnings_from(&self, known: usize) -> Vec<String> {
        let warnings = self.data.get(WARNINGS).and_then(Json::as_array);
        let new = warnings.into_iter().flatten().skip(known);
        new.filter_map(|warning| warning.as_str().map(str::to_owned))
            .collect()
    }

    /// How much it has to say so far.
    pub(crate) fn notes(&self) -> (usize, usize) {
        let length = |name: &str| {
            self.data
                .get(name)
                .and_then(Json::as_array)
                .map_or(0, Vec::len)
        };
        (length(WARNINGS), length(HANDLED))
    }

    /// Takes what a branch has to say, but for the first `known`, which were said before it began.
    pub(crate) fn take_notes(&mut self, branch: &Self, known: (usize, usize)) {
        for (name, known) in [(WARNINGS, known.0), (HANDLED, known.1)] {
            let said = branch.data.get(name).and_then(Json::as_array);
            let new: Vec<_> = said.into_iter().flatten().skip(known).cloned().collect();
            if !new.is_empty() {
                self.list(name).extend(new);
            }
        }
    }

    fn object(&mut self, name: &str) -> &mut Map<String, Json> {
        let entry = self.data.entry(name).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        match entry {
            Json::Object(object) => object,
            _ => unreachable!("it was made an object"),
        }
    }

    fn list(&mut self, name: &str) -> &mut Vec<Json> {
        let entry = self.data.entry(name).or_insert_with(|| json!([]));
        if !entry.is_array() {
            *entry = json!([]);
        }
        match entry {
            Json::Array(list) => list,
            _ => unreachable!("it was made a list"),
        }
    }
}
