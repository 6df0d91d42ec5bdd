//! Workflows that are data: JSON with named nodes and expressions, run by handlers of the engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use windlass::{
    EngineBuilder, Event, Handler, Json, MapChange, MapOutcome, Payload, StepError, StepOutput,
    Workflow,
};

use crate::harness::{Stepped, codes, on_each};

/// `note` adds its step's name to `data.trail`, `fail` fails, `double` doubles `data.n`.
fn handlers(builder: EngineBuilder) -> EngineBuilder {
    let change = |change: fn(&mut Value, &str)| {
        Handler::blocking(move |context, data| {
            let mut data: Value = data.decode().map_err(|error| broken(&error))?;
            change(&mut data, context.step());
            let data = Payload::encode(&data).map_err(|error| broken(&error))?;
            Ok(StepOutput::data(data))
        })
    };
    let note = change(|data, step| {
        if let Some(trail) = data["trail"].as_array_mut() {
            trail.push(step.into());
        }
    });
    let double = change(|data, _| data["n"] = json!(data["n"].as_i64().unwrap_or(0) * 2));
    builder
        .handler("note", note)
        .handler("double", double)
        .handler(
            "fail",
            Handler::blocking(|_, _| Err(StepError::failed("no"))),
        )
}

fn broken(error: &serde_json::Error) -> StepError {
    StepError::failed(error.to_string()).permanent()
}

fn workflow(nodes: &Value, start: &str) -> Workflow<Json> {
    let text = json!({ "name": "w", "version": "1", "start": start, "nodes": nodes });
    Workflow::from_json(&text.to_string()).unwrap()
}

fn step(name: &str, handler: &str, next: Option<&str>) -> Value {
    json!({ "name": name, "kind": { "step": { "handler": handler } }, "next": next })
}

/// Runs `nodes` from the first one on with `input`; the data at the end.
#[track_caller]
fn check(nodes: &Value, input: &Value, expected: &Value) {
    let start = nodes[0]["name"].as_str().unwrap();
    let workflow = workflow(nodes, start);
    on_each(|place| {
        let builder = handlers(place.builder()).workflow(&workflow);
        let mut stepped = Stepped::open(builder);
        let run = stepped.begin(&workflow, input);
        stepped.settle();
        assert_eq!(stepped.data::<Value>(run), *expected);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn an_expression_chooses() {
    let nodes = json!([
        { "name": "check", "kind": { "choice": {
            "arms": [{ "name": "big", "when": "=data.n > 10", "to": "big" }],
            "otherwise": "small" } } },
        step("big", "note", None),
        step("small", "note", None),
    ]);
    check(
        &nodes,
        &json!({ "n": 11, "trail": [] }),
        &json!({ "n": 11, "trail": ["big"] }),
    );
    check(
        &nodes,
        &json!({ "n": 10, "trail": [] }),
        &json!({ "n": 10, "trail": ["small"] }),
    );
}

#[test]
fn a_multi_choice_takes_what_holds_and_a_merge_puts_it_together() {
    let nodes = json!([
        { "name": "any", "kind": { "split": {
            "branches": { "chosen": {
                "arms": [
                    { "name": "a", "when": "=data.n > 1", "to": "a" },
                    { "name": "b", "when": "=data.n > 2", "to": "b" } ],
                "otherwise": ["none", "c"] } },
            "join": "meet" } } },
        step("a", "note", Some("meet")),
        step("b", "note", Some("meet")),
        step("c", "note", Some("meet")),
        { "name": "meet", "kind": { "join": { "split": "any", "need": "active-local",
            "merge": "=branches.map(b, b.data.trail[0])" } } },
    ]);
    for (n, trail) in [(3, json!(["a", "b"])), (2, json!(["a"])), (1, json!(["c"]))] {
        check(&nodes, &json!({ "n": n, "trail": [] }), &trail);
    }
}

#[test]
fn the_first_of_a_race_wins_and_a_loop_goes_round_until_it_holds() {
    let nodes = json!([
        { "name": "loop", "kind": { "loop": { "test": "=data.n >= 40", "until": true, "body": "double" } },
          "next": "race" },
        step("double", "double", Some("again")),
        { "name": "again", "kind": { "again": { "of": "loop" } } },
        { "name": "race", "kind": { "split": {
            "branches": { "static": [["bad", "bad"], ["good", "good"]] }, "join": "won" } } },
        step("bad", "fail", Some("won")),
        step("good", "double", Some("won")),
        { "name": "won", "kind": { "join": { "split": "race", "need": "first", "rest": "cancel",
            "merge": "=branches.filter(b, has(b.data))[0].data" } } },
    ]);
    check(&nodes, &json!({ "n": 5 }), &json!({ "n": 80 }));
}

#[test]
fn a_map_is_counted_made_and_merged_by_expressions() {
    let nodes = json!([
        { "name": "map", "kind": { "map": {
            "count": { "computed": "=size(data.items)" }, "item": "={'n': data.items[index]}",
            "max_parallelism": 2, "body": "double", "join": "sum" } } },
        step("double", "double", Some("sum")),
        { "name": "sum", "kind": { "join": { "split": "map", "merge": "=branches.map(b, b.data.n)" } } },
    ]);
    check(
        &nodes,
        &json!({ "items": [1, 2, 3, 4, 5] }),
        &json!([2, 4, 6, 8, 10]),
    );
    check(&nodes, &json!({ "items": [] }), &json!([]));
}

#[test]
fn an_open_map_takes_items_until_a_tally_has_enough() {
    let nodes = json!([
        { "name": "map", "kind": { "map": {
            "count": { "fixed": 0 }, "open": true, "max_parallelism": 1, "body": "double", "join": "sum",
            "tally": "={'counted': (counted == null ? 0 : counted) + instance.data.n, 'enough': (counted == null ? 0 : counted) + instance.data.n >= 10}" } } },
        step("double", "double", Some("sum")),
        { "name": "sum", "kind": { "join": { "split": "map", "rest": "cancel",
            "merge": "=branches.filter(b, has(b.data)).map(b, b.data.n)" } } },
    ]);
    let workflow = workflow(&nodes, "map");
    on_each(|place| {
        let mut stepped = Stepped::open(handlers(place.builder()).workflow(&workflow));
        let run = stepped.begin(&workflow, &Value::Null);
        stepped.settle();
        let scheduler = stepped.scheduler.clone();
        for (n, outcome) in [(2, MapOutcome::Done), (3, MapOutcome::Done)] {
            let item = Payload::encode(&json!({ "n": n })).unwrap();
            let added = scheduler.change_map(run, "map", MapChange::Add(vec![item]));
            assert_eq!(stepped.ask(added).unwrap(), outcome);
            stepped.settle();
        }
        assert_eq!(stepped.data::<Value>(run), json!([4, 6]));
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_deferred_choice_is_made_by_the_event_that_comes_first() {
    let nodes = json!([
        { "name": "which", "kind": { "select": { "arms": [
            { "name": "yes", "on": { "event": { "event": "yes", "reply": "=with(data, {'by': event})" } }, "to": "ship" },
            { "name": "no", "on": { "event": { "event": "no", "reply": null } }, "to": "stop" },
            { "name": "late", "on": { "timer": { "fixed-ms": 60000 } }, "to": "stop" } ] } } },
        step("ship", "note", None),
        step("stop", "note", None),
    ]);
    let workflow = workflow(&nodes, "which");
    on_each(|place| {
        let mut stepped = Stepped::open(handlers(place.builder()).workflow(&workflow));
        let run = stepped.begin(&workflow, &json!({ "trail": [] }));
        stepped.settle();
        let by = Payload::encode(&"kim").unwrap();
        stepped.signal(Event::new(run, "yes", "1", by));
        stepped.settle();
        let expected = json!({ "trail": ["ship"], "by": "kim" });
        assert_eq!(stepped.data::<Value>(run), expected);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn tokens_of_a_scope_fork_and_meet() {
    let nodes = json!([
        { "name": "net", "kind": { "scope": { "body": "fork", "join": "end", "mutex": "m" } } },
        { "name": "fork", "kind": { "fork": { "arms": [
            { "name": "a", "when": null, "to": "a" },
            { "name": "b", "when": "=data.n > 1", "to": "b" } ] } } },
        step("a", "note", Some("in-a")),
        step("b", "note", Some("in-b")),
        { "name": "in-a", "kind": { "input": { "meet": "meet", "index": 0 } } },
        { "name": "in-b", "kind": { "input": { "meet": "meet", "index": 1 } } },
        { "name": "meet", "kind": { "meet": { "inputs": ["a", "b"], "need": "active-local", "rest": "queue",
            "merge": "={'trail': branches.map(b, b.data.trail[0])}" } }, "next": "last" },
        step("last", "note", None),
        { "name": "end", "kind": { "join": { "split": "net" } } },
    ]);
    let both = json!({ "trail": ["a", "b", "last"] });
    check(&nodes, &json!({ "n": 2, "trail": [] }), &both);
    let one = json!({ "trail": ["a", "last"] });
    check(&nodes, &json!({ "n": 1, "trail": [] }), &one);
}

#[test]
fn a_failing_expression_is_a_fault_of_its_node_and_a_wrong_one_is_refused_at_the_door() {
    let nodes = json!([
        { "name": "check", "kind": { "choice": {
            "arms": [{ "name": "big", "when": "=data.amount > 10", "to": "big" }] } } },
        step("big", "note", None),
    ]);
    let failing = workflow(&nodes, "check");
    on_each(|place| {
        let mut stepped = Stepped::open(handlers(place.builder()).workflow(&failing));
        let run = stepped.begin(&failing, &json!({ "n": 1 }));
        stepped.settle();
        let fault = stepped.fault(run);
        assert_eq!(codes(&fault), ["expression-failed"]);
        assert_eq!(fault.errors[0].step, "check");
    });
    let wrong = nodes
        .to_string()
        .replace("data.amount > 10", "datum + now(");
    let wrong = workflow(&serde_json::from_str(&wrong).unwrap(), "check");
    on_each(|place| {
        let error = handlers(place.builder())
            .workflow(&wrong)
            .open()
            .unwrap_err();
        assert!(error.to_string().contains("expression"), "{error}");
    });
}

#[test]
fn the_example_of_the_documentation_is_a_workflow() {
    let page = include_str!("../../docs/workflow-data.md");
    let (_, example) = page.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let workflow = Workflow::<Json>::from_json(example).unwrap();
    on_each(|place| {
        let builder = place.builder().handler(
            "ship",
            Handler::blocking(|_, data| Ok(StepOutput::data(data.clone()))),
        );
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &json!({ "amount": 500 }));
        stepped.settle();
        let approved = Payload::encode(&json!({ "by": "kim" })).unwrap();
        stepped.signal(Event::new(run, "approved", "1", approved));
        stepped.settle();
        let expected = json!({ "amount": 500, "by": "kim" });
        assert_eq!(stepped.data::<Value>(run), expected);
    });
}
