//! What is made up for a run without agents: enough of everything that the file reads.

use serde_json::{Value, json};
use windlass_dialects::{ImportOptions, IterationShape};
use windlass_workflow_model::Fault;

use crate::checks::{file, options, workflow_with};
use crate::play::{Order, Played, play};

/// What is made up for these steps, and the run with it.
fn rehearse(steps: &[(&str, &str)], options: &ImportOptions) -> (Value, Played) {
    let workflow = workflow_with(&file(steps), options);
    let made_up = |_: &str, step: &str, _: &Value| -> Result<Value, Fault> {
        Ok(workflow.rehearsal.get(step).cloned().unwrap_or(json!({})))
    };
    let played = play(&workflow, &Value::Null, Order::First, &made_up);
    (json!(workflow.rehearsal), played)
}

fn check(steps: &[(&str, &str)], expected: &Value) -> Played {
    let (made_up, played) = rehearse(steps, &options());
    assert_eq!(made_up, *expected);
    assert!(played.result.is_ok(), "{:?}", played.errors());
    assert_eq!(played.data().get("warnings"), None);
    played
}

const A: &str = r#""agent_name": "a", "next_step": "b""#;

fn reading(mapping: &str) -> String {
    format!(r#""agent_name": "b", "input_mapping": {mapping}"#)
}

#[test]
fn what_is_read_is_made_up_with_its_shape() {
    for (mapping, expected) in [
        (r#"{"x": "${a.output.k}"}"#, json!({"a": {"k": "a.k"}})),
        (
            r#"{"x": ["${a.output.k.l}", {"y": "${a.output.m}"}]}"#,
            json!({"a": {"k": {"l": "a.k.l"}, "m": "a.m"}}),
        ),
        (r#"{"x": "say ${a.output}"}"#, json!({"a": "a"})),
        (r#"{"x": "${a.output}"}"#, json!({})),
        (r#"{"x": "fixed"}"#, json!({})),
        (
            r#"{"x": "${a.output.l[2].k}"}"#,
            json!({"a": {"l": ["a.l", "a.l", {"k": "a.l.k"}]}}),
        ),
        (
            r#"{"x": "${a.output.rates[a.output.kind].low}"}"#,
            json!({"a": {"kind": "a.kind", "rates": {"a.kind": {"low": "a.rates.a.kind.low"}}}}),
        ),
    ] {
        check(&[("a", A), ("b", &reading(mapping))], &expected);
    }
}

#[test]
fn a_loop_has_a_list_of_what_its_body_reads() {
    let each = r#""type": "loop", "next_step": "b", "loop_config": {"collection": "${a.output.items}", "loop_body": ["in"]}"#;
    let inner = r#""type": "loop", "loop_config": {"collection": "${loop.item.parts}", "loop_body": ["do"]}"#;
    let work = r#""agent_name": "w", "input_mapping": {"n": "${loop.item.n}", "id": "${loop.parent.item.id}"}"#;
    let sum = reading(
        r#"{"x": "${each.output.iterations[2].output_data.iterations[0].output_data.sum}"}"#,
    );
    let steps = [
        ("a", r#""agent_name": "a", "next_step": "each""#),
        ("each", each),
        ("in", inner),
        ("do", work),
        ("b", &sum),
    ];
    let part = json!({"n": "a.items.parts.n"});
    let item = json!({"id": "a.items.id", "parts": [part, part]});
    let mut expected = json!({"a": {"items": [item, item, item]}, "do": {"sum": "do.sum"}});
    // The third is there because somebody reads what comes of it.
    let played = check(&steps, &expected);
    assert_eq!(played.called.iter().filter(|step| *step == "do").count(), 6);
    // With bare outputs the same value stands elsewhere.
    let sum = reading(r#"{"x": "${each.output.iterations[0].iterations[0].sum}"}"#);
    let mut bare = options();
    bare.parallel_json.iteration_shape = IterationShape::Output;
    let (made_up, played) = rehearse(&[&steps[..4], &[("b", &*sum)]].concat(), &bare);
    assert!(played.result.is_ok(), "{:?}", played.errors());
    expected["a"]["items"].as_array_mut().unwrap().pop();
    assert_eq!(made_up, expected);
}

#[test]
fn blocks_and_conditionals_lead_to_the_agents_in_them() {
    let par = r#""type": "parallel", "parallel_steps": ["c", "f"], "next_step": "if""#;
    let fork = r#""type": "fork_join", "fork_join_config": {"branches": {"east": {"steps": ["e1", "e2"]}, "west": {"steps": ["w"]}}}"#;
    let decide = r#""type": "conditional", "condition": {"expression": "${par.output.c.n} >= 3 and 'x' in ${c.output.tags} and 4 in ${c.output.list} and len(${c.output.len}) > ${c.output.size}"}, "if_true_step": "t", "if_false_step": "e", "next_step": "b""#;
    let read =
        reading(r#"{"x": "${par.output.f.east.k}", "y": "${steps.if.output.branch_output.z}"}"#);
    let agent = r#""agent_name": "x""#;
    let mut strict = options();
    strict.parallel_json.strict_conditions = true;
    let steps = [
        ("par", par),
        ("c", agent),
        ("f", fork),
        ("e1", agent),
        ("e2", agent),
        ("w", agent),
        ("if", decide),
        ("t", agent),
        ("e", agent),
        ("b", &read),
    ];
    let (made_up, played) = rehearse(&steps, &strict);
    let c =
        json!({"len": "c.len", "list": ["c.list", "c.list"], "n": 3, "size": 1, "tags": "c.tags"});
    let expected = json!({"c": c, "e": {"z": "e.z"}, "e2": {"k": "e2.k"}, "t": {"z": "t.z"}});
    assert_eq!(made_up, expected);
    assert!(played.result.is_ok(), "{:?}", played.errors());
    assert_eq!(*played.input_of("b"), json!({"x": "e2.k", "y": "e.z"}));
}

#[test]
fn what_multiplies_is_bounded() {
    // Lists in lists, thirty levels deep.
    let body = |n: usize| {
        let list = if n == 0 {
            "a.output.l".to_owned()
        } else {
            "loop.item.l".to_owned()
        };
        format!(
            r#""type": "loop", "loop_config": {{"collection": "${{{list}}}", "loop_body": ["l{}"]}}"#,
            n + 1
        )
    };
    let loops: Vec<_> = (0..30).map(|n| (format!("l{n}"), body(n))).collect();
    let mut steps = vec![("a", r#""agent_name": "a", "next_step": "l0""#)];
    steps.extend(loops.iter().map(|(id, text)| (id.as_str(), text.as_str())));
    steps.push(("l30", r#""agent_name": "a""#));
    let made_up = workflow_with(&file(&steps), &options()).rehearsal;
    let made_up = json!(made_up).to_string();
    assert!(
        (1_000..10_000).contains(&made_up.len()),
        "{}",
        made_up.len()
    );

    // A path that is longer than any value is deep, and an index beyond any list.
    let long = format!("${{a.output{}}}", ".k".repeat(100_000));
    for reference in [&long, "${a.output.x[999999999]}"] {
        let mapping = format!(r#"{{"x": "{reference}"}}"#);
        let workflow = workflow_with(&file(&[("a", A), ("b", &reading(&mapping))]), &options());
        assert_eq!(json!(workflow.rehearsal), json!({}));
    }
}
