//! The variables that a command's script finds in its environment.

use super::limits::{ENVIRONMENT_BYTES_MAX, VARIABLE_BYTES_MAX};
use super::work::Work;
use crate::steps::Setback;

/// The playbook's variables under their own names: those that the step lists or the text refers to,
/// also secrets. Values in the environment never become syntax, as those in the text do.
///
/// # Errors
/// No environment can hold them.
pub(super) fn of_playbook(work: &Work<'_>) -> Result<Vec<(String, String)>, Setback> {
    let (call, secrets) = (work.call, &work.equipment.secrets);
    let text = call.command.text.as_deref().unwrap_or_default();
    let named = secrets.named_in(text).into_iter();
    let named = named.filter_map(|name| Some((name, secrets.get(name)?.to_owned())));
    let mut values = call.values();
    values.extend(named);
    let mut bytes = 0;
    for (name, value) in &values {
        if !is_name(name) || value.contains('\0') {
            return Err(refused(name, "cannot stand in an environment"));
        }
        let length = name.len() + value.len();
        bytes += length;
        if length > VARIABLE_BYTES_MAX || bytes > ENVIRONMENT_BYTES_MAX {
            return Err(refused(name, "is too large for an environment"));
        }
    }
    let values = values.into_iter();
    Ok(values
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// The same as every step's program gets, so that a script can tell attempts apart.
pub(super) fn of_attempt(work: &Work<'_>) -> Vec<(String, String)> {
    let call = work.call;
    let step = call.step_name.as_ref().unwrap_or(&call.step_id);
    [
        ("RUN", call.run_id.clone()),
        ("STEP", step.replace('\0', "")),
        ("ATTEMPT", call.attempt.to_string()),
        ("IDEMPOTENCY_KEY", call.idempotency_key.clone()),
    ]
    .map(|(name, value)| (format!("WINDLASS_CTX_{name}"), value))
    .into()
}

/// Only names of variables of playbooks, so that no value can stand under a name such as `PATH`.
fn is_name(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__") && !name.contains(['=', '\0'])
}

fn refused(name: &str, why: &str) -> Setback {
    Setback::permanent(
        "variable-unusable",
        format!(
            "variable {name} {why}, so the script could not read it; put its value into a file and pass the path"
        ),
    )
}
