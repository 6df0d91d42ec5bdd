//! The shapes that `--json` prints. Fields are only ever added.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value as Json};
use windlass::{
    Block, BranchOutcome, Definition, ErrorEntry, Graph, MapResult, MapView, Payload, RunDetail,
    RunStatus, RunSummary, StepStatus, StepView, Timestamp, Why,
};
use windlass_dialects::{Diagnostic, Dialect, Imported, group_run_secrets, run_notes, run_outputs};

use crate::failure::Failure;
use crate::masks::Masks;
use crate::rows::{Conditions, Judgement, StepErrorJson, with_exception_handled};
use crate::tasks::Waiting;
use crate::time_text::rfc3339;

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| rfc3339(at.0))
}

fn value(payload: &Payload) -> Json {
    payload.decode().unwrap_or(Json::Null)
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunJson {
    pub(crate) run: String,
    pub(crate) workflow: String,
    pub(crate) version: String,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) ended_at: Option<String>,
}

impl From<&RunSummary> for RunJson {
    fn from(run: &RunSummary) -> Self {
        Self {
            run: run.run.to_string(),
            workflow: run.workflow.clone(),
            version: run.version.clone(),
            status: run.status.as_str(),
            reason: run.reason.clone(),
            created_at: rfc3339(run.created_at.0),
            started_at: text(run.started_at),
            ended_at: text(run.ended_at),
        }
    }
}

/// `runs`.
#[derive(Debug, Serialize)]
pub(crate) struct RunsJson {
    pub(crate) runs: Vec<RunJson>,
}

/// A run that was followed to its end.
#[derive(Debug, Serialize)]
pub(crate) struct FinishedJson {
    #[serde(flatten)]
    pub(crate) run: RunJson,
    pub(crate) outputs: Json,
    pub(crate) errors: Vec<StepErrorJson>,
    #[serde(flatten)]
    pub(crate) notes: NotesJson,
}

/// What a run of a file has to say beside the outputs of its steps.
#[derive(Debug, Serialize)]
pub(crate) struct NotesJson {
    pub(crate) warnings: Vec<String>,
    pub(crate) handled_failures: Json,
    pub(crate) workflow_outputs: Json,
}

impl From<&RunDetail> for NotesJson {
    fn from(detail: &RunDetail) -> Self {
        let is_imported = dialect_of(detail).is_some();
        let data = detail.data.as_ref().filter(|_| is_imported);
        let mut notes = data.map(run_notes).unwrap_or_default();
        let dialect = dialect_of(detail);
        if let Some(Dialect::Cacao | Dialect::StepGroupsYaml) = dialect {
            notes.warnings.extend(failed_steps_warned(detail));
        }
        if dialect == Some(Dialect::Cacao) {
            with_exception_handled(&mut notes.handled_failures);
        }
        let masks = masks(detail);
        Self {
            warnings: notes
                .warnings
                .iter()
                .map(|text| masks.hide(text).into_owned())
                .collect(),
            handled_failures: masks.hide_in(Json::Array(notes.handled_failures)),
            workflow_outputs: masks.hide_in(notes.workflow_outputs),
        }
    }
}

impl From<&RunDetail> for FinishedJson {
    fn from(detail: &RunDetail) -> Self {
        Self {
            run: RunJson::from(&detail.summary),
            outputs: outputs(detail),
            errors: StepErrorJson::all(detail),
            notes: NotesJson::from(detail),
        }
    }
}

/// `run`, `resume` and `retry`.
#[derive(Debug, Serialize)]
pub(crate) struct FinishedRunsJson {
    pub(crate) runs: Vec<FinishedJson>,
}

/// `show`.
#[derive(Debug, Serialize)]
pub(crate) struct ShowJson {
    pub(crate) run: RunJson,
    pub(crate) outputs: Json,
    pub(crate) errors: Vec<StepErrorJson>,
    #[serde(flatten)]
    pub(crate) notes: NotesJson,
    pub(crate) steps: Vec<StepJson>,
    pub(crate) graph: Graph,
    pub(crate) maps: Vec<MapJson>,
    /// What people are asked.
    pub(crate) tasks: Vec<TaskJson>,
}

/// A step that waits for a person.
#[derive(Debug, Serialize)]
pub(crate) struct TaskJson {
    run: String,
    step: String,
    text: String,
    target: Json,
    out_args: BTreeMap<String, String>,
    owner: Option<String>,
    choices: Vec<String>,
}

impl From<&Waiting> for TaskJson {
    fn from(waiting: &Waiting) -> Self {
        let task = &waiting.task;
        Self {
            run: waiting.run.to_string(),
            step: task.step.clone(),
            text: waiting.text().to_owned(),
            target: waiting.asked["target"].clone(),
            out_args: task.out_args.clone(),
            owner: task.owner.clone(),
            choices: task.choices.clone(),
        }
    }
}

impl ShowJson {
    /// A run, the maps that it has begun, and what people are asked.
    pub(crate) fn of(
        detail: &RunDetail,
        maps: &[MapView],
        tasks: &[Waiting],
        conditions: &Conditions,
    ) -> Self {
        Self {
            run: RunJson::from(&detail.summary),
            outputs: outputs(detail),
            errors: StepErrorJson::all(detail),
            notes: NotesJson::from(detail),
            steps: StepJson::all(detail, conditions),
            graph: Graph::of(&detail.definition),
            maps: maps.iter().map(MapJson::from).collect(),
            tasks: tasks.iter().map(TaskJson::from).collect(),
        }
    }
}

/// One time that a run was in a map.
#[derive(Debug, Serialize)]
pub(crate) struct MapJson {
    map: String,
    activation: String,
    begun_at: String,
    open: bool,
    added: u64,
    waiting: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
}

impl From<&MapView> for MapJson {
    fn from(map: &MapView) -> Self {
        Self {
            map: map.map.clone(),
            activation: map.activation.to_string(),
            begun_at: rfc3339(map.begun_at.0),
            open: map.is_open,
            added: map.added(),
            waiting: map.waiting,
            running: map.running,
            succeeded: map.succeeded,
            failed: map.failed,
            cancelled: map.cancelled,
        }
    }
}

/// A line of `results`.
#[derive(Debug, Serialize)]
pub(crate) struct ResultJson<'r> {
    index: u32,
    status: &'static str,
    /// Whether the map had gone on without it.
    late: bool,
    output: Option<Json>,
    errors: &'r [ErrorEntry],
    /// Why it was withdrawn.
    reason: Option<&'r str>,
}

impl<'r> From<&'r MapResult> for ResultJson<'r> {
    fn from(result: &'r MapResult) -> Self {
        let (output, errors, reason): (_, &[ErrorEntry], _) = match &result.outcome {
            BranchOutcome::Succeeded(data) => (Some(value(data)), &[], None),
            BranchOutcome::Failed(fault) => (None, &fault.errors, None),
            BranchOutcome::Cancelled(reason) => (None, &[], Some(reason.as_str())),
        };
        Self {
            index: result.index,
            status: status_of(&result.outcome).as_str(),
            late: result.is_late,
            output,
            errors,
            reason,
        }
    }
}

/// The status of a branch that has ended like this.
pub(crate) fn status_of(outcome: &BranchOutcome) -> StepStatus {
    match outcome {
        BranchOutcome::Succeeded(_) => StepStatus::Succeeded,
        BranchOutcome::Failed(_) => StepStatus::Failed,
        BranchOutcome::Cancelled(_) => StepStatus::Cancelled,
    }
}

/// One step of a run.
#[derive(Debug, Serialize)]
pub(crate) struct StepJson {
    step: String,
    kind: String,
    parent: Option<String>,
    branch: Option<String>,
    /// The parent once more, as the dialects call it.
    parent_step_id: Option<String>,
    /// The branch once more, as the dialects call it.
    branch_name: Option<String>,
    join_policy: Option<String>,
    /// Of the innermost loop that it is in.
    iteration_index: Option<u32>,
    /// The round of the loop around it, from 1.
    iteration: Option<u32>,
    /// Empty while the step has not been reached.
    activation: String,
    attempt: u32,
    status: &'static str,
    reason: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    input: Option<Json>,
    output: Option<Json>,
    error: Option<StepErrorJson>,
    /// Of conditionals.
    #[serde(flatten)]
    condition: Option<Judgement>,
}

impl StepJson {
    /// The rows of a run. What a later step has made a secret may stand in the settings of an earlier
    /// one.
    fn all(detail: &RunDetail, conditions: &Conditions) -> Vec<Self> {
        let (dialect, masks) = (dialect_of(detail), masks(detail));
        let whole = |step: &StepView| {
            let row = Self::of(dialect, step);
            let input = row.input.map(|input| masks.hide_in(input));
            let condition = conditions.at(step).cloned();
            Self {
                input,
                condition,
                ..row
            }
        };
        detail.steps.iter().map(whole).collect()
    }

    fn of(dialect: Option<Dialect>, step: &StepView) -> Self {
        Self {
            step: step.step.clone(),
            kind: step.kind.clone(),
            parent: step.parent.clone(),
            branch: step.branch.clone(),
            parent_step_id: step.parent.clone(),
            branch_name: step.branch.clone(),
            join_policy: step.join_policy.clone(),
            iteration_index: step.instance.map(|instance| instance.index),
            iteration: step.rounds.last().copied(),
            activation: step.activation.map(|id| id.to_string()).unwrap_or_default(),
            attempt: step.attempt,
            status: step.status.as_str(),
            reason: step.reason.clone(),
            started_at: text(step.started_at),
            ended_at: text(step.ended_at),
            input: step.input.as_ref().map(value),
            output: step.output.as_ref().map(value),
            error: step
                .error
                .as_ref()
                .map(|error| StepErrorJson::of(dialect, error)),
            condition: None,
        }
    }
}

/// What the last attempts of steps warned of before they failed. Those that succeeded have
/// put theirs into the data.
fn failed_steps_warned(detail: &RunDetail) -> Vec<String> {
    let failed = detail.steps.iter();
    let failed = failed.filter(|row| row.status == StepStatus::Failed);
    let said = failed.filter_map(|row| row.output.as_ref()).map(value);
    said.flat_map(|said| match &said["warnings"] {
        Json::Array(warnings) => warnings.clone(),
        _ => Vec::new(),
    })
    .filter_map(|warning| warning.as_str().map(str::to_owned))
    .collect()
}

/// What a run gave: the outputs of its steps by name if it was imported from a dialect that keeps
/// them so, else its data.
///
/// The steps of a failed run that did succeed count too.
pub(crate) fn outputs(detail: &RunDetail) -> Json {
    match dialect_of(detail) {
        Some(Dialect::Cacao) => playbook_outputs(detail),
        Some(_) => masks(detail).hide_in(step_outputs(detail)),
        None => detail
            .data
            .as_ref()
            .map_or_else(|| Json::Object(Map::new()), value),
    }
}

/// The dialect that a run was imported from, if it is one that keeps outputs by step.
pub(crate) fn dialect_of(detail: &RunDetail) -> Option<Dialect> {
    let source = detail.definition.source()?;
    let dialects = [
        Dialect::Cacao,
        Dialect::StepGroupsYaml,
        Dialect::ParallelJson,
    ];
    dialects
        .into_iter()
        .find(|dialect| source.dialect == dialect.as_str())
}

/// Hides the values of the secret names of step groups.
fn masks(detail: &RunDetail) -> Masks {
    let data = detail.data.as_ref();
    let secrets = data.map(|data| group_run_secrets(&detail.definition, data));
    let secrets = secrets.unwrap_or_default();
    Masks::of(secrets.iter().map(String::as_str))
}

/// The variables of a playbook, what its steps gave, and what the run has to say beside that.
fn playbook_outputs(detail: &RunDetail) -> Json {
    let data = detail.data.as_ref().map(value).unwrap_or_default();
    let mut outputs = Map::new();
    outputs.insert(
        "variables".to_owned(),
        data["variables"]["playbook"].clone(),
    );
    outputs.insert("steps".to_owned(), step_outputs(detail));
    for key in ["handled_failures", "warnings"] {
        if let Some(said) = data.get(key) {
            outputs.insert(key.to_owned(), said.clone());
        }
    }
    Json::Object(outputs)
}

fn step_outputs(detail: &RunDetail) -> Json {
    let data = detail.data.as_ref().map(run_outputs);
    let mut outputs = match data {
        Some(Json::Object(outputs)) => outputs,
        _ => Map::new(),
    };
    if detail.summary.status == RunStatus::Succeeded {
        return Json::Object(outputs);
    }
    // The data of branches that are gone with a failure is only in their rows. What a step of a loop
    // gave has no single value.
    let loops = loops(&detail.definition);
    let rows = detail.steps.iter();
    for row in rows.filter(|row| row.status == StepStatus::Succeeded) {
        let is_repeated = row
            .parent
            .as_deref()
            .is_some_and(|parent| loops.contains(parent));
        if let (Some(output), false) = (&row.output, is_repeated) {
            outputs
                .entry(row.step.clone())
                .or_insert_with(|| value(output));
        }
    }
    Json::Object(outputs)
}

/// The blocks that are loops or inside one.
fn loops(definition: &Definition) -> HashSet<&str> {
    let blocks = definition.blocks();
    let by_name: HashMap<&str, &Block> = blocks.iter().map(|block| (&*block.name, block)).collect();
    let is_in_loop = |block: &&Block| {
        let mut at = Some(*block);
        // As many levels as there are blocks, whatever is stored.
        for _ in 0..blocks.len() {
            let Some(block) = at else { return false };
            if block.kind == "loop" {
                return true;
            }
            at = block
                .parent
                .as_deref()
                .and_then(|name| by_name.get(name))
                .copied();
        }
        false
    };
    blocks
        .iter()
        .filter(is_in_loop)
        .map(|block| &*block.name)
        .collect()
}

/// `why`.
#[derive(Debug, Serialize)]
pub(crate) struct WhyJson {
    run: String,
    status: &'static str,
    deadline: Option<String>,
    branches: Vec<BranchJson>,
}

#[derive(Debug, Serialize)]
struct BranchJson {
    branch: String,
    step: String,
    activation: String,
    waits_for: WaitJson,
}

#[derive(Debug, Serialize)]
struct WaitJson {
    kind: String,
    owner: Option<String>,
    until: Option<String>,
    event: Option<String>,
    correlation: Option<String>,
    join: Option<String>,
    open_map: Option<String>,
    mutex: Option<String>,
    milestone: Option<String>,
    run: Option<String>,
    missing: Vec<String>,
}

impl From<&Why> for WhyJson {
    fn from(why: &Why) -> Self {
        let branches = why.branches.iter().map(|branch| BranchJson {
            branch: branch.branch.clone(),
            step: branch.step.clone(),
            activation: branch.activation.to_string(),
            waits_for: WaitJson {
                kind: branch.waits_for.kind.to_string(),
                owner: branch.waits_for.owner.clone(),
                until: text(branch.waits_for.until),
                event: branch.waits_for.event.clone(),
                correlation: branch.waits_for.correlation.clone(),
                join: branch.waits_for.join.clone(),
                open_map: branch.waits_for.open_map.clone(),
                mutex: branch.waits_for.mutex.clone(),
                milestone: branch.waits_for.milestone.clone(),
                run: branch.waits_for.run.map(|run| run.to_string()),
                missing: branch.waits_for.missing.clone(),
            },
        });
        Self {
            run: why.run.to_string(),
            status: why.status.as_str(),
            deadline: text(why.deadline),
            branches: branches.collect(),
        }
    }
}

/// A command that ends with problems instead of its result.
#[derive(Debug, Serialize)]
pub(crate) struct FailureJson<'f> {
    error: ErrorJson,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    diagnostics: &'f [Diagnostic],
}

#[derive(Debug, Serialize)]
struct ErrorJson {
    /// A line per problem.
    message: String,
}

impl<'f> From<&'f Failure> for FailureJson<'f> {
    fn from(failure: &'f Failure) -> Self {
        let message = failure.problems.join("\n");
        Self {
            error: ErrorJson { message },
            diagnostics: &failure.diagnostics,
        }
    }
}

/// `check`.
#[derive(Debug, Serialize)]
pub(crate) struct CheckJson<'i> {
    file: &'i str,
    dialect: &'static str,
    ok: bool,
    handlers_needed: &'i [String],
    /// Processing flags of a playbook, with the steps that set them.
    features: &'i BTreeMap<String, Vec<String>>,
    workflows: Vec<WorkflowJson<'i>>,
    diagnostics: &'i [Diagnostic],
}

#[derive(Debug, Serialize)]
struct WorkflowJson<'i> {
    name: &'i str,
    graph: Graph,
}

impl<'i> CheckJson<'i> {
    /// `file` as the caller named it.
    pub(crate) fn of(file: &'i str, imported: &'i Imported) -> Self {
        let workflow = |definition: &'i Definition| WorkflowJson {
            name: definition.name(),
            graph: Graph::of(definition),
        };
        Self {
            file,
            dialect: imported.dialect.as_str(),
            ok: imported.ok(),
            handlers_needed: &imported.handlers_needed,
            features: &imported.features,
            workflows: imported
                .called
                .iter()
                .chain(&imported.workflows)
                .map(|found| workflow(&found.definition))
                .collect(),
            diagnostics: &imported.diagnostics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use windlass::{ActivationId, Draft, RunId, Source, StepSpec};

    fn detail() -> RunDetail {
        let mut draft = Draft::new("w", "1");
        let a = draft.step("a", StepSpec::new("t"));
        draft.start_at(a);
        let view = |status, output| StepView {
            step: "a".to_owned(),
            kind: "t".to_owned(),
            parent: None,
            branch: None,
            join_policy: None,
            instance: None,
            rounds: Vec::new(),
            activation: Some(ActivationId(7)),
            attempt: 1,
            status,
            reason: None,
            started_at: Some(Timestamp(0)),
            ended_at: None,
            input: None,
            output,
            error: None,
        };
        let output = Payload::encode(&json!({"x": 1})).unwrap();
        RunDetail {
            summary: RunSummary {
                run: RunId(1),
                workflow: "w".to_owned(),
                version: "1".to_owned(),
                status: RunStatus::Running,
                reason: None,
                created_at: Timestamp(0),
                started_at: None,
                ended_at: None,
            },
            data: Some(Payload::encode(&json!({"k": true})).unwrap()),
            errors: Vec::new(),
            steps: vec![view(StepStatus::Succeeded, Some(output))],
            branches: Vec::new(),
            notes: Vec::new(),
            definition: Arc::new(draft.finish().unwrap()),
            note: None,
            called_by: None,
            retries_at: Vec::new(),
        }
    }

    fn keys(value: &Json) -> Vec<&str> {
        value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn a_run_and_its_steps_have_all_their_fields() {
        let show = ShowJson::of(&detail(), &[], &[], &Conditions::default());
        let show = serde_json::to_value(show).unwrap();
        assert_eq!(
            keys(&show),
            [
                "run",
                "outputs",
                "errors",
                "warnings",
                "handled_failures",
                "workflow_outputs",
                "steps",
                "graph",
                "maps",
                "tasks"
            ]
        );
        let run = [
            "run",
            "workflow",
            "version",
            "status",
            "reason",
            "created_at",
            "started_at",
            "ended_at",
        ];
        assert_eq!(keys(&show["run"]), run);
        let step = [
            "step",
            "kind",
            "parent",
            "branch",
            "parent_step_id",
            "branch_name",
            "join_policy",
            "iteration_index",
            "iteration",
            "activation",
            "attempt",
            "status",
            "reason",
            "started_at",
            "ended_at",
            "input",
            "output",
            "error",
        ];
        assert_eq!(keys(&show["steps"][0]), step);
        assert_eq!(show["steps"][0]["started_at"], "1970-01-01T00:00:00Z");
        assert_eq!(show["steps"][0]["activation"], "0000000000000007");
        let finished = serde_json::to_value(FinishedJson::from(&detail())).unwrap();
        assert_eq!(keys(&finished)[..8], run);
        assert_eq!(
            keys(&finished)[8..],
            [
                "outputs",
                "errors",
                "warnings",
                "handled_failures",
                "workflow_outputs"
            ]
        );
    }

    #[test]
    fn a_run_of_a_file_gives_what_its_dialect_keeps() {
        for (dialect, gives) in [
            (Dialect::WorkflowJson, json!({"k": true})),
            (Dialect::StepGroupsYaml, json!({"a": {"x": 1}})),
            (Dialect::ParallelJson, json!({"a": {"x": 1}})),
        ] {
            let mut detail = detail();
            let definition = Definition::clone(&detail.definition);
            detail.definition = Arc::new(definition.with_source(Source {
                dialect: dialect.as_str().to_owned(),
                file: String::new(),
                text: String::new(),
            }));
            assert_eq!(outputs(&detail), gives);
        }
    }

    #[test]
    fn a_run_of_a_program_gives_its_data() {
        assert_eq!(outputs(&detail()), json!({"k": true}));
    }
}
