//! What an attempt says that it works on, in its row.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::limits::runner::INPUT_SHOWN_BYTES_MAX;
use windlass::{
    CallSpec, Context, Draft, Fault, Function, Functions, Handlers, Payload, RunId, StepError,
    StepStatus, Workflow,
};

use super::harness::{Stepped, event, on_each, standing_clock};

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

fn in_json(value: &Value) -> Payload {
    Payload::encode(value).expect("a value has a JSON form")
}

/// A call of `called` with a limit, and the functions that make what it is given and what its row shows.
fn calling(shown: Option<&str>) -> Workflow<Value> {
    let mut draft = Draft::new("calls", shown.unwrap_or("plain"));
    let call = CallSpec {
        input: Some("input".to_owned()),
        shown: shown.map(str::to_owned),
        timeout_ms: Some(60_000),
        ..CallSpec::new("called")
    };
    let call = draft.call("call", call);
    draft.start_at(call);
    let compute = |make: fn(&Payload) -> Result<Payload, Fault>| Function::Compute(Arc::new(make));
    let mut functions = Functions::new();
    let input = compute(|_| Ok(in_json(&json!("all of it"))));
    let masked = compute(|data| {
        let data: Value = data.decode().expect("the data is JSON");
        Ok(in_json(&json!({ "key": "***", "of": data })))
    });
    let broken = compute(|_| Err(Fault::new("broken", "no")));
    let large = compute(|_| Ok(in_json(&json!("x".repeat(INPUT_SHOWN_BYTES_MAX)))));
    for (name, function) in [
        ("input", input),
        ("masked", masked),
        ("broken", broken),
        ("large", large),
    ] {
        functions.insert(name, function);
    }
    let definition = draft.finish().expect("one call");
    Workflow::from_parts(definition, functions, Handlers::new())
}

#[test]
fn a_call_shows_what_its_function_says_while_it_waits_and_however_it_ends() {
    let called = Workflow::<Value>::build("called", "1", |flow| {
        flow.wait_event("go", "go", |_: &mut Value, _: String| {})
    })
    .unwrap();
    let masked = json!({ "key": "***", "of": 7 });
    let much = json!({ "bytes": INPUT_SHOWN_BYTES_MAX + 2 });
    for (shown, expected) in [
        (None, None),
        (Some("masked"), Some(masked)),
        (Some("broken"), None),
        (Some("large"), Some(much)),
    ] {
        let workflow = calling(shown);
        on_each(|place| {
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow).workflow(&called));
            let row = |stepped: &Stepped, run: RunId| {
                let row = stepped.show(run).steps.remove(0);
                let input = row.input.map(|input| input.decode::<Value>().unwrap());
                (row.status, input)
            };
            for end in [
                StepStatus::Succeeded,
                StepStatus::Failed,
                StepStatus::Cancelled,
            ] {
                let run = stepped.begin(&workflow, &json!(7));
                stepped.settle();
                let waits = (StepStatus::Waiting, expected.clone());
                assert_eq!(row(&stepped, run), waits, "{shown:?}");
                match end {
                    StepStatus::Failed => clock.advance(Duration::from_mins(1)),
                    StepStatus::Cancelled => assert!(stepped.cancel(run, "enough")),
                    _ => {
                        let inner = stepped.inspector().runs(windlass::RunFilter::Unfinished, 9);
                        let inner = inner.unwrap();
                        let inner = inner.iter().find(|found| found.workflow == "called");
                        stepped.signal(event(inner.unwrap().run, "go", "1", "x"));
                    }
                }
                stepped.settle();
                let over = (end, expected.clone());
                assert_eq!(row(&stepped, run), over, "{shown:?}");
            }
        });
    }
}

#[test]
fn an_attempt_that_fails_or_takes_too_long_shows_what_it_noted_unless_its_error_says_more() {
    let note = |context: &Context| context.note_output(&json!("noted")).unwrap();
    let workflow = Workflow::<u32>::build("w", "1", move |flow| {
        flow.split("all", |split| {
            split
                .branch("done", move |flow| {
                    flow.step("done", move |context, _| {
                        note(context);
                        Ok(())
                    })
                })
                .branch("fails", move |flow| {
                    flow.step("fails", move |context, _| {
                        note(context);
                        Err(StepError::failed("no"))
                    })
                })
                .branch("says", move |flow| {
                    flow.step("says", move |context, _| {
                        note(context);
                        let said = Payload::encode(&json!("said")).unwrap();
                        Err(StepError::failed("no").with_output(said))
                    })
                })
                .branch("late", move |flow| {
                    flow.step_async("late", move |context: Context, _| async move {
                        note(&context);
                        std::future::pending().await
                    })
                    .timeout(Duration::from_secs(1))
                })
        })
    })
    .unwrap();
    on_each(|place| {
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone()).in_flight(4);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &7);
        stepped.settle();
        clock.advance(Duration::from_secs(1));
        stepped.settle();
        let rows = stepped.show(run).steps;
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                let output = row.output.as_ref();
                let output = output.map(|output| output.decode::<Value>().unwrap());
                (row.step.as_str(), row.status, output)
            })
            .collect();
        let expected = [
            ("all", StepStatus::Failed, None),
            ("done", StepStatus::Succeeded, None),
            ("fails", StepStatus::Failed, Some(json!("noted"))),
            ("says", StepStatus::Failed, Some(json!("said"))),
            ("late", StepStatus::Failed, Some(json!("noted"))),
        ];
        assert_eq!(shown, expected);
    });
}
