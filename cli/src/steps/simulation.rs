//! A handler that only pretends: takes its time, then gives a fixed output or fails.

use serde_json::{Map, Value as Json};
use windlass::Context;

use super::outcome::Setback;
use crate::handlers_file::Simulation;

/// Pretends one attempt.
pub(super) async fn pretend(
    simulation: &Simulation,
    ctx: &Context,
) -> Result<Map<String, Json>, Setback> {
    tokio::select! {
        () = tokio::time::sleep(simulation.takes) => {}
        () = ctx.cancelled() => {
            return Err(Setback::Failed {
                code: "stopped",
                message: "the simulation was stopped: its run was cancelled, or the engine shuts down".to_owned(),
                permanent: false,
            });
        }
    }
    result(simulation, ctx.attempt())
}

fn result(simulation: &Simulation, attempt: u32) -> Result<Map<String, Json>, Setback> {
    match &simulation.fail {
        Some(message)
            if simulation
                .fail_attempts
                .is_none_or(|fails| attempt <= fails) =>
        {
            Err(Setback::Failed {
                code: "handler-failed",
                message: message.clone(),
                permanent: false,
            })
        }
        _ => Ok(simulation.output.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_as_often_as_it_should() {
        let check = |fail: Option<&str>, fail_attempts, expected: [bool; 3]| {
            let simulation = Simulation {
                fail: fail.map(str::to_owned),
                fail_attempts,
                ..Simulation::default()
            };
            let found = [1, 2, 3].map(|attempt| result(&simulation, attempt).is_ok());
            assert_eq!(found, expected);
        };
        check(None, None, [true; 3]);
        check(Some("no"), None, [false; 3]);
        check(Some("no"), Some(1), [false, true, true]);
        check(Some("no"), Some(0), [true; 3]);
    }
}
