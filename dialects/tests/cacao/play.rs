//! Plays runs of playbooks in a chosen order of branches.

use serde_json::{Value as Json, json};
use windlass_dialects::{
    CommandResult, HandlerTypes, ImportOptions, Imported, Mode, command_call, import, record_result,
};
use windlass_workflow_model::{Delay, Fault, NodeKind, Payload, StepSpec, codes};

use crate::player::{HANG, Order, World, run_first};

/// What a handler brings for a step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &Json) -> Result<CommandResult, Fault>;

/// What a person answers.
pub(crate) type Answer<'a> = &'a dyn Fn(&str) -> Json;

/// How a run is played.
#[derive(Clone, Copy)]
pub(crate) struct Play<'a> {
    pub(crate) work: Work<'a>,
    pub(crate) answer: Answer<'a>,
    /// Whether the last branch of a parallel is played first.
    pub(crate) backwards: bool,
}

impl Default for Play<'_> {
    fn default() -> Self {
        Self {
            work: &|_, _| Ok(CommandResult::default()),
            answer: &|_| json!({ "status": "success" }),
            backwards: false,
        }
    }
}

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps that were done, in order; delays as `step/delay N`.
    pub(crate) done: Vec<String>,
    /// What handlers were given.
    pub(crate) inputs: Vec<Json>,
}

impl Played {
    pub(crate) fn data(&self) -> Json {
        match &self.result {
            Ok(data) => data.decode().expect("JSON"),
            Err(fault) => panic!("it fails: {}", fault.summary()),
        }
    }

    /// The value of a variable of the playbook.
    pub(crate) fn variable(&self, name: &str) -> Json {
        self.data()["variables"]["playbook"][name].clone()
    }

    /// The errors of a run that failed: step and code.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        fault
            .errors
            .iter()
            .map(|error| format!("{}: {}", error.step, error.code))
            .collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.data()["warnings"].clone();
        serde_json::from_value(warnings).unwrap_or_default()
    }
}

/// Options of tests: a stub does manual commands.
pub(crate) fn options(mode: Mode) -> ImportOptions {
    let mut options = ImportOptions::new("pb.json");
    options.mode = mode;
    options.handlers = HandlerTypes::Known(vec!["manual".to_owned(), "*".to_owned()]);
    options
}

/// Imports a text that has no errors.
pub(crate) fn accepted(text: &str, options: &ImportOptions) -> Imported {
    let imported = import(text, options);
    let said: Vec<_> = imported
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(imported.ok() && imported.workflows.len() == 1, "{said:#?}");
    imported
}

/// The codes of everything there is to say.
pub(crate) fn codes_of(text: &str, options: &ImportOptions) -> Vec<&'static str> {
    let imported = import(text, options);
    let mut codes: Vec<_> = imported
        .diagnostics
        .iter()
        .map(|found| found.code)
        .collect();
    codes.sort_unstable();
    codes
}

/// Plays a run of the only workflow.
pub(crate) fn play(imported: &Imported, input: &Json, how: Play<'_>) -> Played {
    let order = if how.backwards {
        Order::Last
    } else {
        Order::First
    };
    let mut scene = Scene {
        how,
        done: Vec::new(),
        inputs: Vec::new(),
    };
    let result = run_first(&mut scene, order, imported, input);
    Played {
        result,
        done: scene.done,
        inputs: scene.inputs,
    }
}

/// The commands of a run and the people it asks.
struct Scene<'a> {
    how: Play<'a>,
    done: Vec<String>,
    inputs: Vec<Json>,
}

impl World for Scene<'_> {
    fn work(&mut self, step: &str, spec: &StepSpec, data: &Payload) -> Result<Payload, Fault> {
        let call = command_call(&spec.config, data)?.expect("a step of this dialect");
        self.done.push(step.to_owned());
        let input = Json::Object(call.input);
        self.inputs.push(input.clone());
        let result = (self.how.work)(step, &input);
        let late = |fault: Fault| match (fault.errors[0].code.as_str(), spec.timeout_ms) {
            (HANG, Some(_)) => Fault::new(codes::STEP_TIMEOUT, "too late"),
            _ => fault,
        };
        let recorded = record_result(&spec.config, data, step, &result.map_err(late)?)?;
        Ok(recorded.expect("a step of this dialect"))
    }

    fn answer(&mut self, step: &str) -> Json {
        self.done.push(step.to_owned());
        (self.how.answer)(step)
    }

    fn slept(&mut self, step: &str, ms: u64) {
        self.done.push(format!("{step} {ms}"));
    }
}

/// The limit of a wait, in milliseconds.
pub(crate) fn wait_limit(imported: &Imported, node: &str) -> Option<u64> {
    let definition = &imported.workflows[0].definition;
    match &definition.node(definition.find(node)?).kind {
        NodeKind::Await {
            timeout: Some(Delay::FixedMs(limit)),
            ..
        } => Some(*limit),
        _ => None,
    }
}
