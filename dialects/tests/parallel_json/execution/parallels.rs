//! What a `parallel` gives, and how it fails.

use serde_json::json;

use super::{BAD, OK, run};

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
