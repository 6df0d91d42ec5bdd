//! How neighbouring steps become phases, and phases a graph.

use std::time::Duration;

use serde_json::json;
use windlass_dialects::{Severity, import};
use windlass_workflow_model::{Block, Definition, Node, NodeKind, StepSpec};

use crate::checks::{codes, listing, options, shape, workflow};

fn steps(lines: &[&str]) -> String {
    lines.iter().fold("steps:\n".to_owned(), |text, line| {
        text + "  - {" + line + "}\n"
    })
}

fn check(lines: &[&str], expected: &str) {
    let definition = workflow(&steps(lines)).definition;
    assert_eq!(shape(&definition), expected);
    let phases = expected.split(" → ").count();
    assert_eq!(definition.blocks().len(), phases, "a block per phase");
}

fn node<'a>(definition: &'a Definition, name: &str) -> &'a Node {
    let found = definition.nodes().iter().find(|node| node.name == name);
    found.expect(name)
}

fn spec<'a>(definition: &'a Definition, name: &str) -> &'a StepSpec {
    match &node(definition, name).kind {
        NodeKind::Step(spec) => spec,
        other => panic!("{name} is a {}", other.word()),
    }
}

#[test]
fn interleaved_groups_run_where_they_stand() {
    let lines = [
        "name: lint, type: t, parallelGroup: 1",
        "name: unit, type: t, parallelGroup: 1",
        "name: db, type: t",
        "name: api, type: t, parallelGroup: 7",
        "name: web, type: t, parallelGroup: 7, parallel: true",
        "name: probe, type: t",
    ];
    check(&lines, "[lint|unit] → db → [api|web] → probe");
    let definition = workflow(&steps(&lines)).definition;
    let labels: Vec<_> = definition
        .blocks()
        .iter()
        .map(|block| block.label.as_deref())
        .collect();
    assert_eq!(
        labels,
        [
            Some("group-1"),
            Some("single"),
            Some("group-7"),
            Some("single")
        ]
    );
    let first = Block {
        name: "phase-1".to_owned(),
        kind: "phase".to_owned(),
        label: Some("group-1".to_owned()),
        parent: None,
        join_policy: Some("all".to_owned()),
    };
    assert_eq!(definition.blocks()[0], first);
}

#[test]
fn neighbours_that_say_parallel_are_one_phase() {
    check(
        &[
            "name: a, type: t, parallel: true",
            "name: b, type: t, parallel: true",
            "name: c, type: t",
            "name: d, type: t, parallel: true",
            "name: e, type: t, parallel: true",
        ],
        "[a|b] → c → [d|e]",
    );
    check(
        &[
            "name: a, type: t, parallel: true",
            "name: b, type: t, parallelGroup: 1",
        ],
        "a → b",
    );
}

#[test]
fn different_groups_and_single_steps_do_not_mix() {
    check(
        &[
            "name: a, type: t, parallelGroup: 2",
            "name: b, type: t, parallelGroup: 5",
            "name: c, type: t, parallelGroup: 0",
            "name: d, type: t, parallel: false",
            "name: e, type: t, parallel:",
        ],
        "a → b → c → d → e",
    );
}

#[test]
fn a_group_counts_whatever_parallel_says() {
    check(
        &[
            "name: a, type: t, parallelGroup: 2, parallel: false",
            "name: b, type: t, parallelGroup: 2, parallel: true",
            "name: c, type: t, parallelGroup: 2",
        ],
        "[a|b|c]",
    );
}

#[test]
fn a_wide_phase_is_one_split_under_the_limit_of_the_run() {
    let names: Vec<_> = (1..=7)
        .map(|n| format!("name: s{n}, type: t, parallel: true"))
        .collect();
    let text = steps(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut options = options();
    options.max_concurrent_steps = 3;
    let imported = import(&text, &options);
    let definition = &imported.workflows[0].definition;
    assert_eq!(shape(definition), "[s1|s2|s3|s4|s5|s6|s7]");
    assert_eq!(definition.max_parallelism(), Some(3));
    assert_eq!(definition.blocks().len(), 1);
    assert_eq!(definition.blocks()[0].label.as_deref(), Some("run"));
    assert_eq!(definition.handlers(), ["t"]);
}

#[test]
fn a_step_knows_its_phase_its_branch_and_the_join_policy() {
    let text = steps(&[
        "name: a, type: t, parallel: true",
        "name: b, type: t, parallel: true",
        "name: phase-1, type: t",
    ]);
    let definition = workflow(&text).definition;
    for (name, parent) in [("a", "phase-1"), ("b", "phase-1"), ("phase-1", "phase-2")] {
        let place = &node(&definition, name).place;
        assert_eq!(place.parent.as_deref(), Some(parent));
        assert_eq!(place.branch.as_deref(), Some(name));
        assert_eq!(place.join_policy.as_deref(), Some("all"));
    }
    assert_eq!(definition.unreached_reason(), "run-already-failed");
}

#[test]
fn a_handler_gets_config_and_the_steps_own_keys() {
    let text = r#"
kind: Workflow
metadata: {name: ship}
steps:
  - name: apply
    type: kubernetes
    namespace: prod
    path: ./k8s
    timeout: 90
    config:
      replicas: 3
      ratio: 1.50
      big: 123456789012345678901234567890
      mode: 0644
      on: yes
      off: false
      none: ~
      text: "5"
      tagged: [!!str 6, ! 7, !!int 8]
      price: a $${literal}
      list: [1, {deep: x}]
      script: |
        echo "$HOME ${USER}" && exit $?
      command: ls $PWD
      nested:
        notes: "first\n$SECOND"
"#;
    let imported = import(text, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    let kept = imported
        .diagnostics
        .iter()
        .filter(|d| d.code == "number-kept-as-text");
    let kept: Vec<_> = kept
        .map(|d| (d.severity, d.line, d.pointer.as_deref()))
        .collect();
    assert_eq!(
        kept,
        [
            (Severity::Warning, Some(13), Some("/steps/0/config/big")),
            (Severity::Warning, Some(14), Some("/steps/0/config/mode")),
        ]
    );
    let spec = spec(&imported.workflows[0].definition, "apply");
    assert_eq!(
        (spec.handler.as_str(), spec.kind.as_str()),
        ("kubernetes", "kubernetes")
    );
    assert_eq!(spec.timeout_ms, Some(90_000));
    let mut settings = spec.config.clone();
    settings.as_object_mut().unwrap().remove("work");
    assert_eq!(
        settings,
        json!({
            "dialect": "step-groups-yaml", "step": "apply", "type": "kubernetes", "workflow": "ship",
            "fields": {"namespace": "prod", "path": "./k8s"},
            "config": {
                "replicas": 3, "ratio": 1.5, "big": "123456789012345678901234567890",
                "mode": "0644", "on": "yes", "off": false, "none": null, "text": "5", "tagged": ["6", "7", 8],
                "price": "a ${literal}", "list": [1, {"deep": "x"}],
                "script": "echo \"$HOME ${USER}\" && exit $?\n", "command": "ls $PWD",
                "nested": {"notes": "first\n$SECOND"},
            },
        })
    );
}

const CALLS: &str = "
kind: Workflow
metadata: {name: db}
steps: [{name: make, type: t}]
---
kind: Workflow
metadata: {name: ship}
steps: [{name: call, type: workflow, workflow: db}]
";

#[test]
fn the_option_limits_steps_that_set_no_limit() {
    for (limit, expected) in [
        (Some(Duration::from_secs(7)), Some(7_000)),
        (Some(Duration::ZERO), None),
        (None, None),
    ] {
        let mut options = options();
        options.step_timeout = limit;
        let imported = import(&steps(&["name: a, type: t"]), &options);
        assert_eq!(
            spec(&imported.workflows[0].definition, "a").timeout_ms,
            expected
        );
        // A step that starts a workflow is a step.
        let imported = import(CALLS, &options);
        let ship = imported.workflows.iter();
        let mut nodes = ship.flat_map(|workflow| workflow.definition.nodes());
        let call = nodes.find_map(|node| match &node.kind {
            NodeKind::Call(call) => Some(call.timeout_ms),
            _ => None,
        });
        assert_eq!(call, Some(expected));
    }
    let definition = workflow(&steps(&["name: a, type: t"])).definition;
    assert_eq!(spec(&definition, "a").timeout_ms, Some(30 * 60 * 1000));
    assert_eq!(definition.max_parallelism(), Some(5));
}

#[test]
fn the_version_stands_for_the_content() {
    let version = |text: &str| workflow(text).definition.version().to_owned();
    let first = version("steps: [{name: a, type: t, config: {k: 1}}]");
    assert_eq!(first.len(), "sha-".len() + 12);
    assert!(first.starts_with("sha-") && first[4..].bytes().all(|b| b.is_ascii_hexdigit()));
    let same = version("# a comment\nsteps:\n  - name: a\n    type: t\n    config: {k: 1}\n");
    let other = version("steps: [{name: a, type: t, config: {k: 2}}]");
    assert_eq!(first, same);
    assert_ne!(first, other);
}

#[test]
fn a_definition_keeps_its_file_and_comes_out_of_it_again() {
    let text = steps(&["name: a, type: t"]);
    let definition = workflow(&text).definition;
    let source = definition.source().unwrap();
    assert_eq!(
        (source.dialect.as_str(), source.file.as_str()),
        ("step-groups-yaml", "ship.yaml")
    );
    assert_eq!(source.text, text);
    let mut options = options();
    options.document = Some(definition.name().to_owned());
    options.dialect = Some(source.dialect.parse().unwrap());
    assert_eq!(
        import(&source.text, &options).workflows[0].definition,
        definition
    );
}

#[test]
fn a_file_with_errors_can_still_be_drawn() {
    let text = steps(&[
        "name: a, type: t, parallel: true",
        "name: b, type: t, parallel: true",
        "name: c, type: t, when: sometimes",
    ]);
    let imported = import(&text, &options());
    assert!(!imported.ok());
    assert_eq!(codes(&imported, Severity::Error), ["unknown-when"]);
    assert_eq!(shape(&imported.workflows[0].definition), "[a|b] → c");
}
