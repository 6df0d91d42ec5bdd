//! A handler that only pretends: takes its time, then gives a fixed output or fails.

use serde_json::{Value as Json, json};
use windlass::Context;

use super::outcome::Setback;
use crate::handlers_file::Simulation;

/// Pretends one attempt; `made_up` is what the file reads of the step's output.
pub(super) async fn pretend(
    simulation: &Simulation,
    ctx: &Context,
    made_up: Option<&Json>,
) -> Result<Json, Setback> {
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
    result(simulation, ctx.attempt(), made_up)
}

fn result(simulation: &Simulation, attempt: u32, made_up: Option<&Json>) -> Result<Json, Setback> {
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
        _ => Ok(output(simulation.output.as_ref(), made_up)),
    }
}

/// What was set, and whatever else the file reads made up.
fn output(set: Option<&Json>, made_up: Option<&Json>) -> Json {
    match (set, made_up) {
        (Some(Json::Object(set)), Some(Json::Object(made_up))) => {
            let mut whole = set.clone();
            for (key, value) in made_up {
                let inner = output(set.get(key), Some(value));
                whole.insert(key.clone(), inner);
            }
            Json::Object(whole)
        }
        (Some(set), _) => set.clone(),
        (None, Some(made_up)) => made_up.clone(),
        (None, None) => json!({}),
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
            let found = [1, 2, 3].map(|attempt| result(&simulation, attempt, None).is_ok());
            assert_eq!(found, expected);
        };
        check(None, None, [true; 3]);
        check(Some("no"), None, [false; 3]);
        check(Some("no"), Some(1), [false, true, true]);
        check(Some("no"), Some(0), [true; 3]);
    }

    #[test]
    fn what_is_set_wins_and_the_rest_is_made_up() {
        let made_up = json!({"a": "s.a", "b": {"c": "s.b.c", "d": "s.b.d"}, "l": ["s.l", "s.l"]});
        for (set, expected) in [
            (None, made_up.clone()),
            (
                Some(json!({"b": {"c": 1}, "l": [], "x": null})),
                json!({"b": {"c": 1, "d": "s.b.d"}, "l": [], "x": null, "a": "s.a"}),
            ),
            (Some(json!("text")), json!("text")),
        ] {
            assert_eq!(output(set.as_ref(), Some(&made_up)), expected);
        }
        assert_eq!(output(None, None), json!({}));
    }
}
