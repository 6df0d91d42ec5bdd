//! What loops go through, give and stop at.

use serde_json::{Value, json};
use windlass_dialects::{ImportOptions, IterationShape, LoopStop};
use windlass_workflow_model::Fault;

use super::{run, run_with};
use crate::checks::{file, options, workflow_with};
use crate::play::{Order, Played, agents, play};

/// A loop whose body is one agent that fails on 20, with a step behind it or behind its failure.
fn looped(config: &str, more: &str, order: Order, options: &ImportOptions) -> Played {
    let each = r#""agent_name": "item", "input_mapping": {"n": "${loop.item}", "last": "${loop.is_last}", "of": "${loop.total}"}"#;
    let each_loop = format!(
        r#""type": "loop"{more}, "loop_config": {{"collection": "${{workflow.input.list}}", "loop_body": ["each"], {config}}}"#
    );
    let fix = r#""agent_name": "ok", "input_mapping": {"r": "${l.error.result}"}"#;
    let mut steps = vec![("l", each_loop.as_str()), ("each", each)];
    if more.contains("fix") {
        steps.push(("fix", fix));
    }
    let work = |agent: &str, step: &str, input: &Value| {
        if agent == "item" && input["n"] == 20 {
            return Err(Fault::new("handler-failed", "boom"));
        }
        agents(agent, step, input)
    };
    let input = json!({"list": [10, 20, 30]});
    play(&workflow_with(&file(&steps), options), &input, order, &work)
}

#[test]
fn a_loop_that_continues_completes_with_records_in_index_order() {
    for order in [Order::First, Order::Last] {
        let parallel =
            r#""on_error": "continue", "execution_mode": "parallel", "max_parallelism": 3"#;
        let played = looped(parallel, "", order, &options());
        let output = &played.outputs()["l"];
        assert_eq!(
            (&output["total_count"], &output["failed_count"]),
            (&json!(3), &json!(1))
        );
        let record = |index: u64, n: u64, last: bool| {
            json!({"index": index, "step_id": "each", "status": "COMPLETED",
                "input": {"n": n, "last": last, "of": 3}, "output_data": {"v": "each"}})
        };
        let failed = json!({"index": 1, "step_id": "each", "status": "FAILED", "input": null,
            "output_data": null, "error": {"code": "handler-failed", "message": "boom"}});
        assert_eq!(
            output["iterations"],
            json!([record(0, 10, false), failed, record(2, 30, true)])
        );
        assert_eq!(played.data()["handled_failures"][0]["step"], "l");
    }
    let mut bare = options();
    bare.parallel_json.iteration_shape = IterationShape::Output;
    let played = looped(r#""on_error": "continue""#, "", Order::First, &bare);
    assert_eq!(
        played.outputs()["l"]["iterations"],
        json!([{"v": "each"}, null, {"v": "each"}])
    );
}

#[test]
fn a_loop_that_collects_runs_all_and_then_fails() {
    let played = looped(r#""on_error": "collect""#, "", Order::First, &options());
    assert_eq!(played.called.len(), 3);
    assert_eq!(
        played.errors(),
        [
            "l (-) loop-failed: Loop failed: 1 of 3 iteration(s) failed: 1",
            "each (iteration-1) handler-failed: boom",
        ]
    );
    let fix = r#", "on_failure": "fix""#;
    let played = looped(r#""on_error": "collect""#, fix, Order::First, &options());
    let result = &played.input_of("fix")["r"];
    assert_eq!(result["failed_count"], 1);
    assert_eq!(result["iterations"][2]["output_data"], json!({"v": "each"}));
}

#[test]
fn a_loop_that_stops_starts_no_further_iteration() {
    let played = looped(r#""on_error": "stop""#, "", Order::First, &options());
    assert_eq!(played.called, ["each", "each"]);
    assert_eq!(
        played.errors(),
        [
            "l (-) loop-failed: Loop failed: iteration 1 of 3: boom",
            "each (iteration-1) handler-failed: boom",
        ]
    );
    let played = looped(
        r#""on_error": "stop""#,
        r#", "on_failure": "fix""#,
        Order::First,
        &options(),
    );
    let statuses = statuses(&played.input_of("fix")["r"]);
    assert_eq!(statuses, ["COMPLETED", "FAILED", "NOT_RUN"]);
    let mut cancels = options();
    cancels.parallel_json.parallel_loop_stop = LoopStop::Cancel;
    let parallel = r#""execution_mode": "parallel""#;
    let played = looped(parallel, "", Order::Last, &cancels);
    assert_eq!(played.called.len(), 2);
    assert_eq!(
        played.errors(),
        [
            "l (-) loop-failed: Loop failed: iteration 1 of 3: boom",
            "each (iteration-1) handler-failed: boom",
        ]
    );
}

fn statuses(result: &Value) -> Vec<Value> {
    let iterations = result["iterations"].as_array().expect("a list").iter();
    iterations.map(|record| record["status"].clone()).collect()
}

#[test]
fn a_loop_that_stops_tells_its_chain_what_every_iteration_came_to() {
    let mut cancels = options();
    cancels.parallel_json.parallel_loop_stop = LoopStop::Cancel;
    let fix = r#", "on_failure": "fix""#;
    let record = |index: u64, n: u64, last: bool| {
        json!({"index": index, "step_id": "each", "status": "COMPLETED",
            "input": {"n": n, "last": last, "of": 3}, "output_data": {"v": "each"}})
    };
    let failed = json!({"index": 1, "step_id": "each", "status": "FAILED", "input": null,
        "output_data": null, "error": {"code": "handler-failed", "message": "boom"}});
    let not_run = |index: u64| json!({"index": index, "step_id": null, "status": "NOT_RUN", "input": null, "output_data": null});
    let parallel = r#""execution_mode": "parallel", "max_parallelism": 2"#;
    let one_by_one = r#""execution_mode": "sequential""#;
    let (first, last) = (record(0, 10, false), record(2, 30, true));
    for (config, order, options, iterations) in [
        (
            one_by_one,
            Order::First,
            &options(),
            [first.clone(), failed.clone(), not_run(2)],
        ),
        (
            parallel,
            Order::First,
            &options(),
            [first, failed.clone(), not_run(2)],
        ),
        (
            parallel,
            Order::Last,
            &options(),
            [not_run(0), failed.clone(), last.clone()],
        ),
        (parallel, Order::Last, &cancels, [not_run(0), failed, last]),
    ] {
        let played = looped(config, fix, order, options);
        let expected = json!({"iterations": iterations, "total_count": 3, "failed_count": 1});
        assert_eq!(played.input_of("fix")["r"], expected, "{config} {order:?}");
    }
}

fn over(collection: &str, more: &str, input: &Value) -> Played {
    let l = format!(
        r#""type": "loop", "loop_config": {{"collection": {collection}, "loop_body": ["each"]{more}}}"#
    );
    let each = r#""agent_name": "ok", "input_mapping": {"i": "${loop.index}", "first": "${loop.is_first}", "last": "${loop.is_last}"}"#;
    run_with(
        &[("l", &l), ("each", each)],
        &options(),
        input,
        Order::First,
    )
}

#[test]
fn loops_take_what_is_a_list_and_no_more_than_they_may() {
    let played = over("[]", "", &Value::Null);
    let expected = r#"{"iterations":[],"total_count":0,"failed_count":0}"#;
    assert_eq!(played.outputs()["l"].to_string(), expected);
    let played = over("[1, 2, 3, 4, 5]", r#", "max_iterations": 2"#, &Value::Null);
    let output = &played.outputs()["l"];
    assert_eq!(
        (&output["total_count"], &output["truncated_from"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(
        played.inputs[1],
        json!({"i": 1, "first": false, "last": true})
    );
    assert_eq!(
        played.data()["warnings"],
        json!(["step l: only the first 2 of 5 items were taken"])
    );
    for (input, is) in [
        (json!({"x": null}), "null"),
        (json!({"x": "a"}), "text"),
        (json!({"x": {}}), "an object"),
    ] {
        let played = over(r#""${workflow.input.x}""#, "", &input);
        let expected = format!(
            "l (-) collection-not-a-list: ${{workflow.input.x}} is {is}; a loop needs a list; let the step before return one"
        );
        assert_eq!(played.errors(), [expected]);
    }
    let played = over(r#""${workflow.input.x}""#, "", &json!({}));
    assert!(played.errors()[0].starts_with(
        "l (-) reference-unresolved: field collection: ${workflow.input.x} is absent"
    ));
}

#[test]
fn loops_in_loops_know_the_item_outside_and_keep_outputs_apart() {
    let outer = r#""type": "loop", "loop_config": {"collection": [["a", "b"], ["c"]], "loop_body": ["inner"]}"#;
    let inner = r#""type": "loop", "loop_config": {"collection": "${loop.item}", "loop_body": ["x", "y"], "execution_mode": "parallel", "on_error": "collect"}"#;
    let x = r#""agent_name": "ok""#;
    let y = r#""agent_name": "ok", "input_mapping": {"it": "${loop.parent.index}${x.output.v}"}"#;
    let given = r#""agent_name": "ok", "input_mapping": {"it": ["${loop.parent.index}", "${loop.item}", "${x.output.v}"]}"#;
    let played = run(&[("outer", outer), ("inner", inner), ("x", x), ("y", given)]);
    let mut inputs: Vec<_> = played
        .called
        .iter()
        .zip(&played.inputs)
        .filter(|(step, _)| *step == "y")
        .map(|(_, input)| input["it"].to_string())
        .collect();
    inputs.sort();
    assert_eq!(
        inputs,
        [r#"[0,"a","x"]"#, r#"[0,"b","x"]"#, r#"[1,"c","x"]"#]
    );
    let output = &played.outputs()["outer"];
    assert_eq!(output["iterations"][0]["output_data"]["total_count"], 2);
    assert!(
        played.outputs().get("x").is_none(),
        "body outputs stay inside"
    );

    let played = run(&[("outer", outer), ("inner", inner), ("x", x), ("y", y)]);
    let errors = played.errors();
    assert_eq!(
        errors[0],
        format!(
            "outer (-) loop-failed: Loop failed: iteration {} of 2: Loop failed: {}",
            1, "1 of 1 iteration(s) failed: 0"
        )
    );
    assert!(
        errors[2].starts_with("y (iteration-0) embedded-not-text"),
        "{errors:#?}"
    );
}
