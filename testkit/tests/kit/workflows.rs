//! Workflows that do right, for all ways to play them.

use std::time::Duration;

use windlass::{BranchResult, Context, Flow, StepError, Workflow};
use windlass_testkit::{Case, Recorder};

pub(crate) type Trail = Vec<String>;

pub(crate) fn mark(
    name: &'static str,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    move |_, trail| {
        trail.push(name.to_owned());
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
pub(crate) fn gather(
    trail: &mut Trail,
    results: Vec<BranchResult<Trail>>,
) -> Result<(), StepError> {
    let before = trail.len();
    for result in results {
        trail.extend(result.data.into_iter().skip(before));
    }
    Ok(())
}

pub(crate) fn build(name: &str, body: impl FnOnce(Flow<Trail>) -> Flow<Trail>) -> Workflow<Trail> {
    Workflow::build(name, "1", body).unwrap()
}

/// A split, a nap, an answer from outside and an asynchronous step.
pub(crate) fn everyday() -> Case {
    let workflow = build("everyday", |flow| {
        flow.step("begin", mark("begin"))
            .split("both", |split| {
                split
                    .branch("left", |flow| {
                        flow.step("l1", mark("l1")).step("l2", mark("l2"))
                    })
                    .branch("right", |flow| flow.step("r1", mark("r1")))
                    .join(gather)
            })
            .sleep("nap", Duration::from_hours(30))
            .wait_event("asked", "answer", |trail, answer: String| {
                trail.push(answer);
            })
            .step_async("end", |_, mut trail: Trail| async move {
                trail.push("end".to_owned());
                Ok(trail)
            })
    });
    Case::new(&workflow, &Trail::new()).answers("answer", &"yes")
}

pub(crate) const NOTES: &str = "CREATE TABLE IF NOT EXISTS notes (note TEXT NOT NULL)";
pub(crate) const NOTED: &str = "SELECT note FROM notes ORDER BY note";

/// A step of each class of effect, and a failure that undoes them.
pub(crate) fn effects(recorder: &Recorder) -> Case {
    let undo = |name: &'static str| {
        let recorder = recorder.clone();
        move |context: &Context, _: &Trail| {
            recorder.note_undo(context, name);
            Ok(())
        }
    };
    let [calls, pays, paid] = [(); 3].map(|()| recorder.clone());
    let workflow = build("effects", |flow| {
        flow.step("write", |context, trail: &mut Trail| {
            context
                .execute("INSERT INTO notes (note) VALUES ('written')", [])
                .map_err(|error| StepError::failed(error.to_string()))?;
            mark("write")(context, trail)
        })
        .transactional()
        .undo(undo("write"))
        .step("call", move |context, trail| {
            calls.note(context, "called");
            mark("call")(context, trail)
        })
        .idempotent(|trail| format!("after {trail:?}"))
        .undo(undo("call"))
        .step("pay", move |context, trail| {
            pays.note(context, "paid");
            mark("pay")(context, trail)
        })
        .at_most_once_or(move |context, trail| {
            if paid.of("pay").is_empty() {
                return Err(StepError::not_done());
            }
            mark("pay")(context, trail)
        })
        .undo(undo("pay"))
        .step("fail", |_, _| Err(StepError::failed("no")))
    });
    Case::new(&workflow, &Trail::new())
        .recorder(recorder)
        .table(NOTES, NOTED)
}
