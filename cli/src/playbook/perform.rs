//! One command, from the call to what it gave.

use std::time::Duration;

use super::call::PlaybookCall;
use super::equipment::Equipment;
use super::kind::CommandKind;
use super::performed::Performed;
use super::work::Work;
use super::{http, script, ssh};
use crate::clock::now_micros;
use crate::masks::Masks;
use crate::steps::Setback;

/// Performs a command, until `stop` or its deadline.
///
/// The caller has asked whether its kind is allowed. Dropping the future ends what runs here; an
/// attempt after that begins when nothing of this one is left. What another machine has been asked
/// to do may go on there, but a script over `ssh` is ended when the connection is.
///
/// # Errors
/// Why it did not succeed, and whether another attempt may. No secret stands in it.
pub(crate) async fn perform(
    call: &PlaybookCall,
    equipment: &Equipment,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    let work = Work::of(call, equipment)?;
    let performed = tokio::select! {
        performed = by_kind(&work, stop) => performed,
        () = deadline(call) => Err(Setback::passing(
            "command-timeout",
            "the command did not end before its deadline and was stopped; give it more time",
        )),
    };
    match performed {
        Ok(performed) => Ok(performed.masked(&work.masks)),
        Err(setback) => Err(masked(placed(setback, call), &work.masks)),
    }
}

/// With which command failed, on what.
fn placed(setback: Setback, call: &PlaybookCall) -> Setback {
    match (setback, call.place()) {
        (
            Setback::Failed {
                code,
                message,
                permanent,
            },
            Some(place),
        ) => Setback::Failed {
            code,
            message: format!("{place}: {message}"),
            permanent,
        },
        (setback, _) => setback,
    }
}

async fn by_kind(work: &Work<'_>, stop: impl Future<Output = ()>) -> Result<Performed, Setback> {
    match work.call.kind()? {
        CommandKind::Bash => script::bash(work, stop).await,
        CommandKind::PowerShell => script::powershell(work, stop).await,
        CommandKind::Ssh => ssh::ssh(work, stop).await,
        CommandKind::HttpApi => http::http_api(work, stop).await,
        CommandKind::OpenC2Http => http::openc2(work, stop).await,
    }
}

/// Ends at the call's deadline; never, if it has none.
async fn deadline(call: &PlaybookCall) {
    match call.deadline {
        Some(deadline) => {
            let left = deadline.as_microsecond().saturating_sub(now_micros());
            let left = u64::try_from(left).unwrap_or(0);
            tokio::time::sleep(Duration::from_micros(left)).await;
        }
        None => std::future::pending().await,
    }
}

fn masked(setback: Setback, masks: &Masks) -> Setback {
    match setback {
        Setback::Failed {
            code,
            message,
            permanent,
        } => Setback::Failed {
            code,
            message: masks.hide(&message).into_owned(),
            permanent,
        },
        Setback::Later(message) => Setback::Later(masks.hide(&message).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::call::tests::call;

    #[test]
    fn a_failure_names_its_command_and_target() {
        let message = |more| {
            let call = call(&json!({ "type": "bash" }), &more);
            match placed(Setback::permanent("script-failed", "exit code 3"), &call) {
                Setback::Failed { message, .. } => message,
                Setback::Later(_) => panic!("it failed"),
            }
        };
        let target = json!({ "type": "linux", "name": "fw-1" });
        assert_eq!(
            message(json!({ "command_index": 1, "target": target })),
            "command 2 on fw-1: exit code 3"
        );
        assert_eq!(
            message(json!({ "command_index": 0 })),
            "command 1: exit code 3"
        );
        assert_eq!(message(json!({})), "exit code 3");
    }
}
