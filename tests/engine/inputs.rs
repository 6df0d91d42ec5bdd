//! What an attempt says that it works on, in its row.

use serde_json::{Value, json};
use windlass::limits::runner::INPUT_SHOWN_BYTES_MAX;
use windlass::{StepError, StepStatus, Workflow};

use super::harness::{Stepped, on_each};

#[test]
fn each_attempt_shows_what_it_said_last_whether_or_not_it_worked_out() {
    let workflow = Workflow::<u32>::build("w", "1", |flow| {
        flow.step("silent", |_, _: &mut u32| Ok(()))
            .step("tells", |context, n: &mut u32| {
                context.note_input(&"too early").unwrap();
                context.note_input(&json!({ "n": *n })).unwrap();
                *n += 1;
                Ok(())
            })
            .step("much", |context, _: &mut u32| {
                let much = "x".repeat(INPUT_SHOWN_BYTES_MAX);
                context.note_input(&much).unwrap();
                Ok(())
            })
            .step("fails", |context, n: &mut u32| {
                context.note_input(n).unwrap();
                Err(StepError::failed("no"))
            })
    })
    .unwrap();
    on_each(|place| {
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &7);
        stepped.settle();
        let steps = stepped.show(run).steps;
        let input = |name: &str| {
            let step = steps.iter().find(|step| step.step == name).unwrap();
            let input = step.input.as_ref();
            (
                step.status,
                input.map(|input| input.decode::<Value>().unwrap()),
            )
        };
        let done = StepStatus::Succeeded;
        assert_eq!(input("silent"), (done, None));
        assert_eq!(input("tells"), (done, Some(json!({ "n": 7 }))));
        let much = json!({ "bytes": INPUT_SHOWN_BYTES_MAX + 2 });
        assert_eq!(input("much"), (done, Some(much)));
        assert_eq!(input("fails"), (StepStatus::Failed, Some(json!(8))));
    });
}
