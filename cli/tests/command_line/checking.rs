//! `check`: all problems of a file at once, or its graph.

use serde_json::Value;

use crate::lab::Lab;

const TEN_MISTAKES: &str = "
name: w
steps:
  - {name: a, type: t}
  - {name: a, type: t}
  - {name: b.c, type: t}
  - {type: t}
  - {name: d}
  - {name: e, type: t, parallelGroup: -1}
  - {name: f, type: t, parallelGroup: soon}
  - {name: g, type: t, parallel_group: 1}
  - {name: h, type: t, timeout: 0}
  - {name: i, type: t, dependsOn: [ghost]}
  - {name: j, type: t, when: maybe}
  - {name: k, type: t, parallelGroup: 3}
  - {name: l, type: t, parallelGroup: 2}
";

#[test]
fn a_file_with_ten_mistakes_tells_all_of_them() {
    let lab = Lab::with(TEN_MISTAKES);
    let check = lab.call(&["check", "w.yaml", "--json"]).expect(2).json();
    assert_eq!(
        (&check["file"], &check["dialect"], &check["ok"]),
        (&"w.yaml".into(), &"step-groups-yaml".into(), &false.into())
    );
    let diagnostics = check["diagnostics"].as_array().unwrap();
    let errors = diagnostics
        .iter()
        .filter(|found| found["severity"] == "error");
    assert!(errors.count() >= 10, "{diagnostics:#?}");
    for found in diagnostics {
        for field in [
            "code", "severity", "file", "document", "pointer", "line", "column", "step", "message",
        ] {
            assert!(found.get(field).is_some(), "{field} is not in {found}");
        }
        assert!(found["line"].is_u64(), "{found}");
    }
    let text = lab.call(&["check", "w.yaml"]).expect(2).out;
    assert_eq!(text.lines().count(), diagnostics.len());
    lab.call(&["run", "w.yaml"])
        .expect(2)
        .says(&["duplicate-step", "unknown-dependency"]);
}

#[test]
fn a_good_file_shows_its_graph_in_every_form() {
    let lab = Lab::with(
        "name: one\nsteps: [{name: a, type: t, parallel: true}, {name: b, type: t, parallel: true}]\n---\nname: two\nsteps: [{name: c, type: u}]\n",
    );
    let check = lab.call(&["check", "w.yaml", "--json"]).expect(0).json();
    assert_eq!(
        (&check["ok"], &check["handlers_needed"]),
        (&true.into(), &serde_json::json!(["t", "u"]))
    );
    let names: Vec<_> = check["workflows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["name"])
        .collect();
    assert_eq!(names, ["one", "two"]);
    let kinds: Vec<_> = check["workflows"][0]["graph"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["kind"])
        .collect();
    assert!(kinds.contains(&&Value::from("split")) && kinds.contains(&&Value::from("join")));
    let form = |format: &str| {
        lab.call(&["check", "w.yaml", "--format", format])
            .expect(0)
            .out
    };
    assert_eq!(form("mermaid").matches("flowchart").count(), 2);
    assert_eq!(form("dot").matches("digraph").count(), 2);
    assert_eq!(serde_json::from_str::<Value>(&form("json")).unwrap(), check);
    assert!(form("text").contains("handlers needed: t, u"));
    let one = lab
        .call(&["check", "w.yaml", "--document", "two", "--json"])
        .expect(0)
        .json();
    assert_eq!(one["workflows"].as_array().unwrap().len(), 1);
}

#[test]
fn with_handlers_at_hand_types_without_one_are_errors() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write("h.toml", "[handlers.other]\nsimulate = '1s'\n");
    lab.call(&["check", "w.yaml"]).expect(0);
    let check = lab
        .call(&["check", "w.yaml", "--handlers", "h.toml", "--json"])
        .expect(2)
        .json();
    assert_eq!(check["diagnostics"][0]["code"], "no-handler");
}

#[test]
fn what_the_shell_cannot_take_is_found_by_check_and_run_alike() {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: shell}\n  - name: b\n    type: shell\n    config: {command: [ls], env: {A-B: 1, 2C: x, OK: y}}\n  - {name: c, type: shell, config: {command: ls}}\n",
    );
    let check = lab.call(&["check", "w.yaml", "--json"]).expect(2).json();
    let found: Vec<_> = check["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            (
                found["step"].as_str().unwrap(),
                found["line"].as_u64(),
                found["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("a", Some(3), "shell-command-invalid"),
            ("b", Some(5), "shell-command-invalid"),
            ("b", Some(5), "shell-env-invalid"),
            ("b", Some(5), "shell-env-invalid"),
        ]
    );
    assert_eq!(
        check["diagnostics"][1]["pointer"],
        "/steps/1/config/command"
    );
    let text = lab.call(&["check", "w.yaml"]).expect(2).out;
    assert!(text.starts_with("w.yaml:3:"), "{text}");
    let run = lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(2);
    assert!(run.err.starts_with(&text), "{text} begins {}", run.err);
}

const NET: &str = r#"{"name": "net", "version": "1", "start": "net", "nodes": [
    {"name": "net", "kind": {"scope": {"body": "fork", "join": "end", "mutex": "m"}}},
    {"name": "fork", "kind": {"fork": {"arms": [
        {"name": "a", "when": null, "to": "a"}, {"name": "b", "when": "=data.n > 1", "to": "in-b"}]}}},
    {"name": "a", "kind": {"step": {"handler": "work"}}, "next": "in-a"},
    {"name": "in-a", "kind": {"input": {"meet": "meet", "index": 0}}},
    {"name": "in-b", "kind": {"input": {"meet": "meet", "index": 1}}},
    {"name": "meet", "kind": {"meet": {"inputs": ["a", "b"], "need": "active-local", "rest": "queue", "merge": null}}},
    {"name": "end", "kind": {"join": {"split": "net"}}}
]}"#;

#[test]
fn a_workflow_in_json_is_recognised_checked_and_drawn() {
    let lab = Lab::with(NET);
    let check = lab.call(&["check", "w.yaml", "--json"]).expect(0).json();
    assert_eq!(check["dialect"], "workflow-json");
    assert_eq!(check["handlers_needed"], serde_json::json!(["work"]));
    let drawn = lab
        .call(&["check", "w.yaml", "--format", "mermaid"])
        .expect(0)
        .out;
    for part in ["net (mutex m)", "meet (active-local, queue)", "|\"b\"|"] {
        assert!(drawn.contains(part), "{part} is not in {drawn}");
    }
    let text = lab.call(&["check", "w.yaml"]).expect(0).out;
    for part in ["net (mutex m) [scope]", "meet (active-local, queue) [meet]"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let lab = Lab::with(
        &NET.replace("data.n > 1", "datum.n >")
            .replace("\"end\"", "\"and\""),
    );
    let wrong = lab.call(&["check", "w.yaml"]).expect(2).out;
    assert!(
        wrong.contains("expression-invalid") || wrong.contains("expression"),
        "{wrong}"
    );
}
