//! What runs do: the specification's test cases, played by the model's own rules.

use serde_json::{Value, json};
use windlass_dialects::{
    EarlyExit, HandlerTypes, ImportOptions, IterationShape, LoopStop, ResolveAgents,
};
use windlass_workflow_model::Fault;

use crate::checks::{file, lenient, options, workflow_with};
use crate::play::{Order, Played, agents, play};

fn run(steps: &[(&str, &str)]) -> Played {
    run_with(steps, &options(), &Value::Null, Order::Last)
}

fn run_with(
    steps: &[(&str, &str)],
    options: &ImportOptions,
    input: &Value,
    order: Order,
) -> Played {
    play(&workflow_with(&file(steps), options), input, order, &agents)
}

const OK: &str = r#""agent_name": "ok""#;
const BAD: &str = r#""agent_name": "bad""#;
const HANG: &str = r#""agent_name": "hang""#;

#[test]
fn a_parallel_gives_outputs_in_list_order_whoever_is_first() {
    let par = r#""type": "parallel", "parallel_steps": ["a", "b", "c"], "max_parallelism": 2, "next_step": "end""#;
    let end = r#""agent_name": "ok", "input_mapping": {"all": "${par.output}", "b": "${steps.b.output.v}"}"#;
    let played = run(&[("par", par), ("a", OK), ("b", OK), ("c", OK), ("end", end)]);
    assert_eq!(played.called, ["c", "b", "a", "end"]);
    let expected = r#"{"a":{"v":"a"},"b":{"v":"b"},"c":{"v":"c"}}"#;
    assert_eq!(played.outputs()["par"].to_string(), expected);
    let given = format!(r#"{{"all":{expected},"b":"b"}}"#);
    assert_eq!(played.input_of("end").to_string(), given);
}

#[test]
fn a_parallel_settles_all_children_and_tells_of_every_failure() {
    let par =
        |more: &str| format!(r#""type": "parallel", "parallel_steps": ["a", "b", "c", "d"]{more}"#);
    let children = [("a", OK), ("b", BAD), ("c", OK), ("d", BAD)];
    let plain = par("");
    let mut steps = vec![("par", plain.as_str())];
    steps.extend(children);
    let played = run(&steps);
    assert_eq!(played.called.len(), 4);
    assert_eq!(
        played.errors(),
        [
            "par (-) children-failed: Parallel execution failed: 2 step(s) failed: b, d",
            "b (b) handler-failed: boom",
            "d (d) handler-failed: boom",
        ]
    );

    let handled = par(r#", "on_failure": "fix""#);
    let fix = r#""agent_name": "ok", "input_mapping": {"ok": "${a.output.v}", "who": "${par.error.failed}"}"#;
    steps[0] = ("par", &handled);
    steps.push(("fix", fix));
    let played = run(&steps);
    assert_eq!(
        *played.input_of("fix"),
        json!({"ok": "a", "who": ["b", "d"]})
    );
    let data = played.data();
    let noted = data["handled_failures"].as_array().unwrap();
    assert_eq!((noted.len(), &noted[0]["step"]), (1, &json!("par")));
    assert_eq!(noted[0]["errors"].as_array().unwrap().len(), 2);
}

/// The fork of three branches, of which the third takes too long.
fn two_of_three(policy: &str) -> Vec<(&'static str, String)> {
    let branches = r#""branches": {"east": {"steps": ["e1", "e2"]}, "west": {"steps": ["w1"]}, "north": {"steps": ["n1"], "timeout_seconds": 1}}"#;
    let fork = format!(
        r#""type": "fork_join", "next_step": "use", "fork_join_config": {{{branches}, {policy}}}"#
    );
    let given = r#""agent_name": "ok", "input_mapping": {"r": "${fj.output}"}"#;
    let mut steps = vec![("fj", fork)];
    steps.extend(["e1", "e2", "w1"].map(|id| (id, OK.to_owned())));
    steps.extend([("n1", HANG.to_owned()), ("use", given.to_owned())]);
    steps
}

fn borrowed<'s>(steps: &'s [(&'s str, String)]) -> Vec<(&'s str, &'s str)> {
    steps
        .iter()
        .map(|(id, fields)| (*id, fields.as_str()))
        .collect()
}

#[test]
fn a_fork_join_judges_its_branches_by_its_policy() {
    let enough = two_of_three(r#""join_policy": "n_of_m", "n_required": 2"#);
    let played = run(&borrowed(&enough));
    let expected = r#"{"r":{"east":{"v":"e2"},"west":{"v":"w1"},"north":null}}"#;
    assert_eq!(played.input_of("use").to_string(), expected);
    assert_eq!(
        played.data()["warnings"],
        json!(["step fj: branch north failed, and the others are enough"])
    );
    let all = two_of_three(r#""join_policy": "all""#);
    let played = run(&borrowed(&all));
    assert_eq!(
        played.errors(),
        [
            "fj (-) policy-not-met: Fork-join failed: policy all needs 3 of 3 branch(es), 2 succeeded; failed: north",
            "fj (north) branch-timeout: branch north was not finished after 1 s; it was cancelled; raise timeout_seconds",
        ]
    );
    assert_eq!(
        played.called.iter().filter(|step| *step == "use").count(),
        0
    );
}

/// A fork of one step per branch, and what comes of it.
fn fork(agents: &[&str], config: &str, options: &ImportOptions) -> Played {
    let ids: Vec<_> = (0..agents.len()).map(|n| format!("s{n}")).collect();
    let branches: Vec<_> = ids
        .iter()
        .map(|id| format!(r#""b{id}": {{"steps": ["{id}"]}}"#))
        .collect();
    let fork = format!(
        r#""type": "fork_join", "fork_join_config": {{"branches": {{{}}}, {config}}}"#,
        branches.join(", ")
    );
    let steps: Vec<_> = agents
        .iter()
        .map(|agent| format!(r#""agent_name": "{agent}""#))
        .collect();
    let mut all = vec![("f", fork.as_str())];
    all.extend(
        ids.iter()
            .map(String::as_str)
            .zip(steps.iter().map(String::as_str)),
    );
    run_with(&all, options, &Value::Null, Order::First)
}

#[test]
fn majorities_and_single_winners_count_completed_branches() {
    let majority = r#""join_policy": "majority""#;
    let played = fork(&["ok", "bad", "ok", "bad"], majority, &options());
    assert_eq!(
        played.errors()[0],
        "f (-) policy-not-met: Fork-join failed: policy majority needs 3 of 4 branch(es), 2 succeeded; failed: bs1, bs3"
    );
    let played = fork(&["ok", "bad", "ok", "bad", "ok"], majority, &options());
    assert_eq!(played.outputs()["f"]["bs3"], Value::Null);
    let any = r#""join_policy": "any""#;
    let played = fork(&["bad", "bad", "ok"], any, &options());
    assert_eq!(played.outputs()["f"]["bs2"], json!({"v": "s2"}));
    let played = fork(&["bad", "bad"], any, &options());
    assert_eq!(
        played.errors()[0],
        "f (-) policy-not-met: Fork-join failed: policy any needs 1 of 2 branch(es), 0 succeeded; failed: bs0, bs1"
    );
}

#[test]
fn an_early_exit_leaves_unsettled_branches_null() {
    for early in ["cancel", "absorb"] {
        let config = format!(r#""join_policy": "any", "early_exit": "{early}""#);
        let played = fork(&["ok", "ok"], &config, &options());
        assert_eq!(
            played.outputs()["f"],
            json!({"bs0": {"v": "s0"}, "bs1": null})
        );
        assert_eq!(played.called, ["s0"]);
    }
    let mut by_option = options();
    by_option.parallel_json.early_exit = EarlyExit::Cancel;
    let played = fork(&["ok", "ok"], r#""join_policy": "any""#, &by_option);
    assert_eq!(played.called, ["s0"]);
    let none = r#""join_policy": "any", "early_exit": "none""#;
    let played = fork(&["ok", "ok"], none, &by_option);
    assert_eq!(played.outputs()["f"]["bs1"], json!({"v": "s1"}));
    let hopeless = r#""join_policy": "n_of_m", "n_required": 2, "early_exit": "cancel""#;
    let played = fork(&["bad", "bad", "ok"], hopeless, &options());
    assert_eq!(played.called, ["s0", "s1"]);
    assert_eq!(
        played.errors(),
        [
            "f (-) policy-not-met: Fork-join failed: policy n_of_m needs 2 of 3 branch(es), 1 at most can succeed; failed: bs0, bs1",
            "s0 (bs0) handler-failed: boom",
            "s1 (bs1) handler-failed: boom",
        ]
    );
}

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

/// The conditional of the specification: s, c, then t1 and t2, and z behind it.
fn conditional(next: &str, t2: &str, input: &Value) -> Played {
    let c = format!(
        r#""type": "conditional", "condition": {{"expression": "${{s.output.n}} >= 3"}}, "if_true_step": "t1", "if_false_step": null, "next_step": {next}"#
    );
    let t2 = format!(r#""agent_name": "ok"{t2}"#);
    let steps = [
        ("s", r#""agent_name": "echo", "next_step": "c""#),
        ("c", c.as_str()),
        ("t1", r#""agent_name": "ok", "next_step": "t2""#),
        ("t2", t2.as_str()),
        ("z", r#""agent_name": "ok", "input_mapping": {}"#),
    ];
    let given = input.clone();
    let work = move |agent: &str, step: &str, input: &Value| match agent {
        "echo" => Ok(given.clone()),
        _ => agents(agent, step, input),
    };
    play(
        &workflow_with(&file(&steps), &options()),
        &Value::Null,
        Order::First,
        &work,
    )
}

#[test]
fn a_conditional_takes_a_branch_and_goes_on_behind_it() {
    let z = "\"z\"";
    let played = conditional(z, "", &json!({"n": 4}));
    assert_eq!(played.called, ["s", "t1", "t2", "z"]);
    assert_eq!(
        played.outputs()["c"],
        json!({"condition_result": true, "branch_taken": "then", "branch_step_id": "t1", "branch_output": {"v": "t1"}})
    );
    let played = conditional(z, "", &json!({"n": 1}));
    assert_eq!(played.called, ["s", "z"]);
    assert_eq!(
        played.outputs()["c"],
        json!({"condition_result": false, "branch_taken": "else", "branch_step_id": null, "branch_output": null})
    );
    let played = conditional(z, "", &json!({"m": 1}));
    assert_eq!(played.called, ["s", "z"]);
    let data = played.data();
    let error = data["steps"]["c"]["condition_error"].as_str().unwrap();
    assert_eq!(error, "${s.output.n} is absent (s has: m)");
    let marked = conditional(z, r#", "next_step": "z""#, &json!({"n": 4}));
    assert_eq!(marked.called, ["s", "t1", "t2", "z"]);
    let open = r#", "next_step": "z""#;
    assert_eq!(
        conditional("null", open, &json!({"n": 4})).called,
        ["s", "t1", "t2", "z"]
    );
    assert_eq!(conditional("null", open, &json!({"n": 1})).called, ["s"]);
}

#[test]
fn branches_of_conditionals_may_share_their_tail() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "a", "if_false_step": "d""#;
    let d = r#""type": "conditional", "condition": {"expression": "${workflow.input} == null"}, "if_true_step": "b", "if_false_step": "tail""#;
    let to_tail = r#""agent_name": "ok", "next_step": "tail""#;
    let steps = [
        ("c", c),
        ("a", to_tail),
        ("d", d),
        ("b", to_tail),
        ("tail", OK),
    ];
    for (input, expected) in [
        (json!(1), vec!["a", "tail"]),
        (json!(null), vec!["b", "tail"]),
        (json!(0), vec!["tail"]),
    ] {
        let played = run_with(&steps, &options(), &input, Order::First);
        assert_eq!(played.called, expected);
    }
    let played = run_with(&steps, &options(), &json!(null), Order::First);
    let nested = &played.outputs()["c"]["branch_output"];
    assert_eq!(
        (&nested["branch_step_id"], &nested["branch_output"]["v"]),
        (&json!("b"), &json!("b"))
    );
}

#[test]
fn a_tail_that_goes_on_differently_is_copied_for_each_way() {
    let on = |key: &str, more: &str| {
        format!(
            r#""type": "conditional", "condition": {{"expression": "${{workflow.input.{key}}}"}}, {more}"#
        )
    };
    let (c, d) = (
        on(
            "c",
            r#""if_true_step": "d", "if_false_step": "t", "next_step": "y""#,
        ),
        on("d", r#""if_true_step": "t", "next_step": "x""#),
    );
    let e = on(
        "e",
        r#""if_true_step": "p", "if_false_step": "u", "next_step": "u""#,
    );
    let steps = [
        ("c", &*c),
        ("d", &*d),
        (
            "t",
            r#""agent_name": "ok", "next_step": "e", "on_failure": "fix""#,
        ),
        ("e", &*e),
        (
            "p",
            r#""type": "parallel", "parallel_steps": ["q", "l"], "on_failure": "fix""#,
        ),
        (
            "q",
            r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "q2""#,
        ),
        ("q2", OK),
        (
            "l",
            r#""type": "loop", "loop_config": {"collection": [1, 2], "loop_body": ["each"]}"#,
        ),
        (
            "each",
            r#""agent_name": "ok", "input_mapping": {"t": "${t.output.v}", "i": "${loop.index}"}"#,
        ),
        ("fix", OK),
        (
            "u",
            r#""agent_name": "ok", "input_mapping": {"p": "${e.output.branch_taken}"}"#,
        ),
        (
            "x",
            r#""agent_name": "ok", "input_mapping": {"u": "${u.output.v}"}"#,
        ),
        (
            "y",
            r#""agent_name": "ok", "input_mapping": {"u": "${t.output.v}"}"#,
        ),
    ];
    let imported = workflow_with(&file(&steps), &options());
    for (input, expected) in [
        (
            json!({"c": false, "d": true, "e": false}),
            &["t", "u", "y"][..],
        ),
        (
            json!({"c": false, "d": true, "e": true}),
            &["t", "q2", "each", "each", "u", "y"],
        ),
        (
            json!({"c": true, "d": true, "e": false}),
            &["t", "u", "x", "y"],
        ),
        (
            json!({"c": true, "d": true, "e": true}),
            &["t", "q2", "each", "each", "u", "x", "y"],
        ),
    ] {
        let played = play(&imported, &input, Order::First, &agents);
        assert_eq!(played.called, expected, "{input}");
        let outputs = played.outputs();
        assert_eq!(outputs["u"], json!({"v": "u"}));
        if input["e"] == true {
            assert_eq!(outputs["p"]["l"]["total_count"], 2);
        }
    }
    // What fails in a copy is told of the step, and handled behind it.
    let broken = |agent: &str, step: &str, input: &Value| match step {
        "each" => Err(Fault::new("handler-failed", "boom")),
        _ => agents(agent, step, input),
    };
    for c in [false, true] {
        let input = json!({"c": c, "d": true, "e": true});
        let played = play(&imported, &input, Order::First, &broken);
        let noted = &played.data()["handled_failures"][0];
        assert_eq!(noted["step"], "p", "{noted}");
        assert_eq!(noted["errors"][0]["step"], "l");
        let all = if c {
            &["t", "q2", "each", "fix", "u", "x", "y"][..]
        } else {
            &["t", "q2", "each", "fix", "u", "y"]
        };
        assert_eq!(played.called, all);
    }
}

#[test]
fn a_conditional_in_a_block_ends_where_the_block_says() {
    let par = r#""type": "parallel", "parallel_steps": ["c", "x"], "next_step": "end""#;
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "next_step": "mark""#;
    let t = r#""agent_name": "ok", "next_step": "mark""#;
    let end = r#""agent_name": "ok", "next_step": "mark", "input_mapping": {"t": "${t.output}", "c": "${par.output.c.branch_taken}"}"#;
    let steps = [
        ("par", par),
        ("c", c),
        ("x", OK),
        ("t", t),
        ("end", end),
        ("mark", OK),
    ];
    let played = run_with(&steps, &options(), &json!(true), Order::First);
    assert_eq!(played.called, ["t", "x", "end", "mark"]);
    assert_eq!(
        *played.input_of("end"),
        json!({"t": {"v": "t"}, "c": "then"})
    );
    let played = run_with(&steps, &options(), &json!(false), Order::First);
    assert!(played.errors()[0].contains("${t.output} is absent (t has given no output)"));
    let played = run_with(&steps, &lenient(), &json!(false), Order::First);
    assert_eq!(*played.input_of("end"), json!({"c": "else"}));
}

#[test]
fn a_failure_may_lead_to_the_end_of_its_branch() {
    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "next_step": "END""#;
    let par = r#""type": "parallel", "parallel_steps": ["c", "x"], "next_step": "mark""#;
    let loops = r#""type": "loop", "loop_config": {"collection": [1], "loop_body": ["c"]}, "next_step": "mark""#;
    let fork = r#""type": "fork_join", "fork_join_config": {"branches": {"one": {"steps": ["c"], "timeout_seconds": 9}, "two": {"steps": ["x"]}}}, "next_step": "mark""#;
    let t = r#""agent_name": "bad", "next_step": "u", "on_failure": "END""#;
    // The step behind the block, or the block itself.
    for (block, end) in [(par, "mark"), (par, "b"), (loops, "mark"), (fork, "mark")] {
        let (c, t) = (c.replace("END", end), t.replace("END", end));
        let mut steps = vec![
            ("b", block),
            ("c", &*c),
            ("t", &*t),
            ("u", OK),
            ("mark", OK),
        ];
        if block != loops {
            steps.push(("x", OK));
        }
        let played = run_with(&steps, &options(), &Value::Null, Order::First);
        let called: Vec<_> = played.called.iter().filter(|step| *step != "x").collect();
        assert_eq!(called, ["t", "mark"], "{block} {end}");
        assert!(played.outputs()["b"].is_object());
        if block != loops {
            assert_eq!(played.data()["handled_failures"][0]["step"], "t");
        }
    }
    // A conditional hands over the failures of its branches there, and a block is handled so.
    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "d", "next_step": "mark""#;
    let d = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "on_failure": "mark", "next_step": "q""#;
    let q = r#""type": "parallel", "parallel_steps": ["q1", "q2"], "on_failure": "mark""#;
    for (t, expected) in [
        (BAD, &["t", "x", "mark"][..]),
        (OK, &["t", "q1", "q2", "x", "mark"]),
    ] {
        let steps = [
            ("b", par),
            ("c", c),
            ("x", OK),
            ("d", d),
            ("t", t),
            ("q", q),
            ("q1", BAD),
            ("q2", OK),
            ("mark", OK),
        ];
        let played = run_with(&steps, &options(), &Value::Null, Order::First);
        assert_eq!(played.called, expected);
    }
}

#[test]
fn a_branch_may_name_the_block_around_it_as_its_end() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "if_false_step": "p", "next_step": "p""#;
    let steps = [
        (
            "p",
            r#""type": "parallel", "parallel_steps": ["c", "d"], "next_step": "z""#,
        ),
        ("c", c),
        ("d", OK),
        ("t", r#""agent_name": "ok", "next_step": "t2""#),
        ("t2", r#""agent_name": "ok", "next_step": "p""#),
        ("z", OK),
    ];
    for (input, expected) in [(true, &["d", "t", "t2", "z"][..]), (false, &["d", "z"])] {
        let played = run_with(&steps, &options(), &json!(input), Order::Last);
        assert_eq!(played.called, expected);
    }
}

#[test]
fn failures_go_to_the_nearest_on_failure_and_else_fail_their_scope() {
    let a = r#""agent_name": "bad", "next_step": "b", "on_failure": "fix""#;
    let fix = r#""agent_name": "ok", "next_step": "b", "input_mapping": {"code": "${a.error.code}", "text": "${a.error.message}", "who": "${a.error.failed}"}"#;
    let played = run(&[("a", a), ("b", OK), ("fix", fix)]);
    assert_eq!(played.called, ["a", "fix", "b"]);
    assert_eq!(
        *played.input_of("fix"),
        json!({"code": "handler-failed", "text": "boom", "who": ["a"]})
    );
    assert_eq!(played.data()["handled_failures"][0]["step"], "a");

    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "next_step": "end", "on_failure": "fix""#;
    let fix =
        r#""agent_name": "ok", "next_step": "end", "input_mapping": {"who": "${c.error.failed}"}"#;
    let t = r#""agent_name": "ok", "next_step": "u""#;
    let played = run(&[("c", c), ("t", t), ("u", BAD), ("fix", fix), ("end", OK)]);
    assert_eq!(played.called, ["t", "u", "fix", "end"]);
    assert_eq!(*played.input_of("fix"), json!({"who": ["u"]}));

    let f = r#""type": "fork_join", "fork_join_config": {"branches": {"one": {"steps": ["x", "y", "w"]}, "two": {"steps": ["v"]}}, "join_policy": "any"}"#;
    let played = run(&[("f", f), ("x", OK), ("y", BAD), ("w", OK), ("v", OK)]);
    assert_eq!(
        played.called,
        ["v", "x", "y"],
        "later steps of the branch are skipped"
    );
    assert_eq!(
        played.outputs()["f"],
        json!({"one": null, "two": {"v": "v"}})
    );
}

#[test]
fn strict_conditions_fail_their_step() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input.a} < 3"}, "if_true_step": "t""#;
    let mut strict = options();
    strict.parallel_json.strict_conditions = true;
    let input = json!({"a": "5"});
    let played = run_with(&[("c", c), ("t", OK)], &strict, &input, Order::First);
    assert_eq!(
        played.errors(),
        [
            "c (-) condition-error: text is compared with a number, but only two numbers or two texts have an order; convert one; with strict_conditions the step fails"
        ]
    );
    let played = run_with(&[("c", c), ("t", OK)], &options(), &input, Order::First);
    assert!(played.called.is_empty());
}

#[test]
fn what_was_said_before_a_block_is_said_once_after_it() {
    let a = r#""agent_name": "bad", "next_step": "par", "on_failure": "par""#;
    let par = r#""type": "parallel", "parallel_steps": ["x", "l"]"#;
    let x = r#""type": "conditional", "condition": {"expression": "${workflow.input.no}"}, "if_true_step": "t""#;
    let l = r#""type": "loop", "loop_config": {"collection": [1, 2], "loop_body": ["each"], "on_error": "continue"}"#;
    let steps = [
        ("a", a),
        ("par", par),
        ("x", x),
        ("t", OK),
        ("l", l),
        ("each", BAD),
    ];
    let played = run_with(&steps, &options(), &json!({}), Order::First);
    let data = played.data();
    let handled = data["handled_failures"].as_array().unwrap();
    let steps: Vec<_> = handled
        .iter()
        .map(|noted| noted["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["a", "l"]);
    assert_eq!(data["warnings"].as_array().unwrap().len(), 1, "{data}");
}

#[test]
fn an_agent_that_is_looked_up_late_and_unknown_fails_its_step() {
    let mut late = options();
    late.handlers = HandlerTypes::Known(vec!["ok".to_owned()]);
    late.parallel_json.resolve_agents = ResolveAgents::Run;
    let a = r#""agent_name": "Scorer", "next_step": "z""#;
    let played = run_with(&[("a", a), ("z", OK)], &late, &Value::Null, Order::First);
    assert_eq!(
        played.errors(),
        [
            "a (-) agent-unknown: no handler \"Scorer\"; the step cannot work; register it and start again"
        ]
    );
    let fix = r#""agent_name": "Scorer", "on_failure": "z""#;
    let played = run_with(&[("a", fix), ("z", OK)], &late, &Value::Null, Order::First);
    assert_eq!(played.called, ["z"]);
}
