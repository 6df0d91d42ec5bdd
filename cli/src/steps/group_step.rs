//! A step of step groups: its settings with their values, and what it has given.

use std::path::Path;

use serde_json::{Value as Json, json};
use windlass::{Context, Fault, Payload, StepError, StepOutput};
use windlass_dialects::{GroupInput, GroupResult, group_input, group_record, group_secrets};

use super::outcome::note_warnings;
use super::step_input;
use crate::masks::Masks;

/// Bytes of one output file; a larger one holds no values for other steps.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What the step is given, if it is one of step groups; its fault is the step's.
pub(super) fn input(
    ctx: &Context,
    data: &Payload,
    masks: &Masks,
) -> Result<Option<GroupInput>, StepError> {
    let given = group_input(ctx.config(), data).map_err(|fault| refused(masks, &fault))?;
    let warnings = given.iter().flat_map(|given| &given.warnings);
    warn(ctx, masks, warnings.clone());
    let told = warnings.map(|warning| format!("step {}: {}", ctx.step(), masks.hide(warning)));
    note_warnings(ctx, &told.collect::<Vec<_>>());
    Ok(given)
}

/// Hides the values of secret names.
pub(super) fn masks(ctx: &Context, data: &Payload) -> Masks {
    let secrets = group_secrets(ctx.config(), data);
    Masks::of(secrets.iter().map(String::as_str))
}

fn warn<'w>(ctx: &Context, masks: &Masks, warnings: impl IntoIterator<Item = &'w String>) {
    for warning in warnings {
        let warning = masks.hide(warning);
        tracing::warn!(run = %ctx.run(), step = ctx.step(), "{warning}");
    }
}

/// The JSON input of a program with everything that only a run knows.
pub(super) fn completed(ctx: &Context, mut input: Json, given: &GroupInput) -> Json {
    input["config"] = given.config.clone();
    input["fields"] = given.fields.clone();
    input["env"] = json!(given.env);
    input["outputs"] = json!(given.outputs);
    input["output_file"] = json!(given.output_file);
    input["resource"] = json!(given.resource);
    input["template"] = given.template.into();
    input["deadline"] = json!(step_input::deadline(ctx));
    input
}

/// The settings with their values as the step's row shows them.
pub(super) fn shown(given: &GroupInput, masks: &Masks) -> Json {
    masks.hide_in(json!({ "config": given.config, "fields": given.fields, "env": given.env }))
}

/// Puts what the step has given into the run's data and into the history. `folder` is where its
/// output file is looked for; without one nothing has written any.
pub(super) fn record(
    ctx: &Context,
    data: &Payload,
    before: &Masks,
    given: &GroupInput,
    outputs: Json,
    folder: Option<&Path>,
) -> Result<StepOutput, StepError> {
    let file = given.output_file.as_deref().zip(folder);
    let output_file = file.map(|(file, folder)| read(&folder.join(file)));
    let result = GroupResult {
        outputs,
        output_file,
    };
    let recorded = group_record(ctx.config(), data, &result);
    let recorded = recorded.map_err(|fault| refused(before, &fault))?;
    let Some((data, outputs, warnings)) = recorded else {
        return Err(StepError::new("internal", "this is no step of step groups").permanent());
    };
    // Now with those that the step itself has given.
    let masks = masks(ctx, &data);
    warn(ctx, &masks, &warnings);
    let output = Payload::encode(&masks.hide_in(outputs))
        .map_err(|error| StepError::new("data-invalid", error.to_string()).permanent())?;
    Ok(StepOutput {
        data,
        output: Some(output),
    })
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map(|found| found.len());
    if size.is_ok_and(|size| size > FILE_BYTES_MAX) {
        return Err(format!(
            "{shown} has more than {FILE_BYTES_MAX} bytes; nothing was taken; write the values alone"
        ));
    }
    std::fs::read_to_string(path).map_err(|error| {
        format!("{shown} cannot be read ({error}); nothing was taken; let the step write it")
    })
}

/// The fault with which the step fails, all of it in one text.
fn refused(masks: &Masks, fault: &Fault) -> StepError {
    let code = fault
        .errors
        .first()
        .map_or("data-invalid", |error| error.code.as_str());
    let texts: Vec<&str> = fault
        .errors
        .iter()
        .map(|error| error.message.as_str())
        .collect();
    StepError::new(code, masks.hide(&texts.join("; "))).permanent()
}
