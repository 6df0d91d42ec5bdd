//! Plays runs of step groups, the tokens of a split or fork last first.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use windlass_dialects::{GroupResult, ImportOptions, Mode, group_input, group_record, import};
use windlass_workflow_model::{Fault, Payload, StepSpec};

use crate::checks::listing;
use crate::player::{Order, World, run_first};

/// What a handler brings for a step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &Json) -> Result<GroupResult, Fault>;

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps that were done, in order; waits for people as `step approval`.
    pub(crate) done: Vec<String>,
    /// What handlers were given, by step.
    pub(crate) inputs: BTreeMap<String, Json>,
    /// `step: reason`, in order.
    pub(crate) skipped: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Played {
    /// The errors of a run that failed: step and code.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        let errors = fault.errors.iter();
        errors
            .map(|error| format!("{}: {}", error.step, error.code))
            .collect()
    }
}

/// Steps that succeed without giving anything.
#[expect(clippy::unnecessary_wraps, reason = "handlers may fail")]
pub(crate) fn idle(_: &str, _: &Json) -> Result<GroupResult, Fault> {
    Ok(GroupResult::default())
}

/// Steps of which these fail.
pub(crate) fn failing(
    steps: &'static [&'static str],
) -> impl Fn(&str, &Json) -> Result<GroupResult, Fault> {
    move |step, _| {
        if steps.contains(&step) {
            return Err(Fault::new("handler-failed", format!("{step} broke")));
        }
        Ok(GroupResult::default())
    }
}

/// A result with these outputs.
#[expect(clippy::unnecessary_wraps, reason = "handlers may fail")]
pub(crate) fn gives(outputs: Json) -> Result<GroupResult, Fault> {
    Ok(GroupResult {
        outputs,
        output_file: None,
    })
}

/// Plays the first workflow of a text in strict mode.
pub(crate) fn run(text: &str, work: Work<'_>) -> Played {
    play(text, &ImportOptions::new("ship.yaml"), &json!({}), work)
}

/// The same in lenient mode.
pub(crate) fn run_leniently(text: &str, work: Work<'_>) -> Played {
    let mut options = ImportOptions::new("ship.yaml");
    options.mode = Mode::Lenient;
    play(text, &options, &json!({}), work)
}

/// Plays the first workflow of a text.
pub(crate) fn play(text: &str, options: &ImportOptions, input: &Json, work: Work<'_>) -> Played {
    play_answered(text, options, input, work, &json!({ "status": "success" }))
}

/// Plays it with this answer for everything that people are asked.
pub(crate) fn play_answered(
    text: &str,
    options: &ImportOptions,
    input: &Json,
    work: Work<'_>,
    answer: &Json,
) -> Played {
    let imported = import(text, options);
    assert!(imported.ok(), "{}", listing(&imported));
    let mut stage = Stage {
        work,
        answer,
        played: Seen::default(),
    };
    let result = run_first(&mut stage, Order::Last, &imported, input);
    let Seen {
        done,
        inputs,
        skipped,
        warnings,
    } = stage.played;
    Played {
        result,
        done,
        inputs,
        skipped,
        warnings,
    }
}

/// The steps of a run and the people it asks.
struct Stage<'a> {
    work: Work<'a>,
    answer: &'a Json,
    played: Seen,
}

/// What a run has shown.
#[derive(Default)]
struct Seen {
    done: Vec<String>,
    inputs: BTreeMap<String, Json>,
    skipped: Vec<String>,
    warnings: Vec<String>,
}

impl World for Stage<'_> {
    fn work(&mut self, step: &str, spec: &StepSpec, data: &Payload) -> Result<Payload, Fault> {
        let input = group_input(&spec.config, data)?.expect("a step of this dialect");
        self.played.warnings.extend(input.warnings);
        self.played.done.push(step.to_owned());
        let input = json!({
            "config": input.config,
            "fields": input.fields,
            "env": input.own_env,
            "all_env": input.env,
            "output_file": input.output_file,
            "outputs": input.outputs,
            "resource": input.resource,
            "template": input.template,
        });
        self.played.inputs.insert(step.to_owned(), input.clone());
        let result = (self.work)(step, &input)?;
        let recorded = group_record(&spec.config, data, &result)?;
        let (data, _, warnings) = recorded.expect("a step of this dialect");
        self.played.warnings.extend(warnings);
        Ok(data)
    }

    fn answer(&mut self, step: &str) -> Json {
        self.played.done.push(step.to_owned());
        self.answer.clone()
    }

    fn skipped(&mut self, step: &str, reason: &str) {
        self.played.skipped.push(format!("{step}: {reason}"));
    }
}
