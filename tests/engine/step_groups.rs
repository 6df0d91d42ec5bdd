//! Imported step groups on the engine: what their rules of concurrency come to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass::{Handler, Handlers, ImportOptions, StepOutput, StepStatus, Workflow, import};

use crate::harness::{Gate, Stepped, on_each, standing_clock};

const STEPS: usize = 7;
const WIDTH: usize = 3;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn t3_no_more_steps_work_at_once_than_the_width_allows_and_they_start_in_document_order() {
    // Steps take a second each, as long as the gate is closed; all rows are there before the first.
    on_each(|place| {
        let names: Vec<String> = (1..=STEPS).map(|number| format!("s{number}")).collect();
        let steps = names.iter();
        let steps = steps.map(|name| format!("  - {{name: {name}, type: t, parallel: true}}\n"));
        let text = format!("steps:\n{}", steps.collect::<String>());
        let mut options = ImportOptions::new("ship.yaml");
        options.max_concurrent_steps = 3;
        let mut imported = import(&text, &options);
        assert!(imported.ok(), "{:?}", imported.diagnostics);
        let groups = imported.workflows.remove(0);

        let (gate, started) = (Gate::closed(), Arc::new(Mutex::new(Vec::new())));
        let (inside, starts) = (gate.clone(), Arc::clone(&started));
        let handler = Handler::future(move |ctx, data| {
            starts.lock().unwrap().push(ctx.step().to_owned());
            let gate = inside.clone();
            async move {
                gate.pass().await;
                Ok(StepOutput::data(data))
            }
        });
        let handlers = Handlers::new().with("t", handler);
        let workflow = Workflow::<Json>::from_parts(groups.definition, groups.functions, handlers);
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone()).in_flight(2 * STEPS);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &json!({}));

        let rows = stepped.show(run).steps;
        let shown: Vec<_> = rows.iter().map(|row| row.step.as_str()).collect();
        let all: Vec<_> = ["phase-1"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        assert_eq!(shown, all);
        assert!(rows.iter().all(|row| row.status == StepStatus::Pending));
        assert!(started.lock().unwrap().is_empty());

        stepped.settle();
        for second in 0..STEPS.div_ceil(WIDTH) {
            let over = second * WIDTH;
            let works = WIDTH.min(STEPS - over);
            assert_eq!(gate.waiting(), works, "in second {second}");
            assert_eq!(*started.lock().unwrap(), names[..over + works]);
            clock.advance(SECOND);
            for _ in 0..works {
                gate.let_pass(1);
                stepped.settle();
                assert!(gate.waiting() <= WIDTH);
            }
        }
        let detail = stepped.show(run);
        let rows = &detail.steps[1..];
        assert!(rows.iter().all(|row| row.status == StepStatus::Succeeded));
        let began = detail.steps[0].started_at.unwrap();
        for (row, second) in rows.iter().zip([0, 0, 0, 1, 1, 1, 2]) {
            let second = SECOND * second;
            assert_eq!(row.started_at, Some(began.after(second)), "{}", row.step);
            assert_eq!(
                row.ended_at,
                Some(began.after(second + SECOND)),
                "{}",
                row.step
            );
        }
        stepped.assert_no_leftovers();
    });
}
