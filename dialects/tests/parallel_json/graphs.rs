//! The graphs that files become, what rows show of them, and how files are recognised.

use std::time::Duration;

use serde_json::json;
use windlass_dialects::{AgentOptions, Dialect, ImportOptions, import};
use windlass_workflow_model::{
    Block, Definition, FailurePolicy, Need, Node, NodeKind, Place, RetryPolicy, StepSpec,
};

use crate::checks::{file, listing, options, workflow_with};

fn node<'a>(definition: &'a Definition, name: &str) -> &'a Node {
    let found = definition.nodes().iter().find(|node| node.name == name);
    found.unwrap_or_else(|| panic!("no node {name}"))
}

fn spec<'a>(definition: &'a Definition, name: &str) -> &'a StepSpec {
    match &node(definition, name).kind {
        NodeKind::Step(spec) => spec,
        other => panic!("{name} is a {}", other.word()),
    }
}

const OK: &str = r#""agent_name": "ok""#;

fn blocks() -> String {
    file(&[
        (
            "f",
            r#""type": "fork_join", "next_step": "l", "fork_join_config": {"branches": {"east": {"steps": ["p", "e"]}, "west": {"steps": ["w"], "timeout_seconds": 7}}, "join_policy": "n_of_m", "n_required": 1}"#,
        ),
        (
            "p",
            r#""type": "parallel", "parallel_steps": ["x", "y"], "max_parallelism": 1"#,
        ),
        ("x", OK),
        ("y", OK),
        ("e", OK),
        ("w", OK),
        (
            "l",
            r#""type": "loop", "next_step": "c", "loop_config": {"collection": [1], "loop_body": ["b"], "execution_mode": "parallel", "on_error": "collect"}"#,
        ),
        ("b", OK),
        (
            "c",
            r#""type": "conditional", "condition": {"expression": "${w.output.ok}"}, "if_true_step": "t", "if_false_step": "o""#,
        ),
        ("t", OK),
        ("o", OK),
    ])
}

#[test]
fn every_step_knows_its_block_its_branch_and_the_join_policy() {
    let definition = workflow_with(&blocks(), &options()).definition;
    for (name, parent, branch, policy) in [
        ("p", "f", "east", "n_of_m:1"),
        ("e", "f", "east", "n_of_m:1"),
        ("w", "f", "west", "n_of_m:1"),
        ("f/branch/west", "f", "west", "n_of_m:1"),
        ("x", "p", "x", "all"),
        ("y", "p", "y", "all"),
        ("b", "l", "iteration", "collect"),
        ("t", "c", "then", "exclusive"),
        ("o", "c", "else", "exclusive"),
    ] {
        let text = |text: &str| Some(text.to_owned());
        let expected = Place {
            parent: text(parent),
            branch: text(branch),
            join_policy: text(policy),
        };
        assert_eq!(node(&definition, name).place, expected, "{name}");
    }
    assert_eq!(node(&definition, "f").place, Place::default());
    let shown = |block: &Block| {
        let label = block.label.clone().unwrap_or_default();
        let policy = block.join_policy.clone().unwrap_or_default();
        let parent = block.parent.clone().unwrap_or_default();
        format!("{} {} {policy} {parent} {label}", block.name, block.kind)
    };
    let blocks: Vec<_> = definition.blocks().iter().map(shown).collect();
    assert_eq!(
        blocks,
        [
            "f fork_join n_of_m:1  ",
            "p parallel all f east",
            "l loop collect  ",
            "c conditional exclusive  "
        ]
    );
    assert_eq!(definition.unreached_reason(), "chain-failed");
}

#[test]
fn blocks_become_splits_and_maps_with_their_limits() {
    let definition = workflow_with(&blocks(), &options()).definition;
    let NodeKind::Split {
        max_parallelism,
        on_failure,
        join,
        ..
    } = &node(&definition, "p").kind
    else {
        panic!("a split")
    };
    assert_eq!(
        (*max_parallelism, *on_failure),
        (Some(1), FailurePolicy::Tolerate(2))
    );
    assert_eq!(definition.join_rule(*join).unwrap().need, Need::All);
    let NodeKind::Scope { timeout_ms, .. } = &node(&definition, "f/branch/west").kind else {
        panic!("a scope")
    };
    assert_eq!(*timeout_ms, Some(7_000));
    let NodeKind::Map {
        max_parallelism, ..
    } = &node(&definition, "l").kind
    else {
        panic!("a map")
    };
    assert_eq!(
        *max_parallelism,
        windlass_dialects::limits::ITERATIONS_AT_ONCE
    );
    let sequential = blocks().replace(r#""execution_mode": "parallel", "#, "");
    let definition = workflow_with(&sequential, &options()).definition;
    assert!(matches!(
        node(&definition, "l").kind,
        NodeKind::Map {
            max_parallelism: 1,
            ..
        }
    ));
}

#[test]
fn agents_get_their_limits_and_retries_from_the_options() {
    let text = file(&[
        (
            "a",
            r#""agent_name": "slow", "next_step": "b", "input_mapping": {"x": 1}"#,
        ),
        ("b", OK),
    ]);
    let mut chosen = options();
    let retry = RetryPolicy::new(4, Duration::from_millis(10)).factor(3.0);
    let slow = AgentOptions {
        timeout_ms: Some(9),
        retry: Some(retry.clone()),
        ..AgentOptions::default()
    };
    chosen.parallel_json.agents.insert("slow".to_owned(), slow);
    chosen.parallel_json.max_concurrent_steps = Some(3);
    let definition = workflow_with(&text, &chosen).definition;
    assert_eq!(definition.max_parallelism(), Some(3));
    let a = spec(&definition, "a");
    assert_eq!(
        (a.timeout_ms, &a.retry, a.kind.as_str()),
        (Some(9), &retry, "agent")
    );
    assert_eq!(
        a.config,
        json!({"dialect": "parallel-json", "step": "a", "type": "slow", "workflow": "test",
            "parent_step_id": null, "branch_name": null,
            "config": {"input_mapping": {"x": 1}}, "fields": {}})
    );
    assert_eq!(spec(&definition, "b").timeout_ms, Some(300_000));
    chosen.parallel_json.step_timeout = None;
    let definition = workflow_with(&text, &chosen).definition;
    assert_eq!(spec(&definition, "b").timeout_ms, None);
    assert_eq!(
        workflow_with(&text, &options())
            .definition
            .max_parallelism(),
        None
    );
}

#[test]
fn a_workflow_has_the_identity_that_its_file_gives_it() {
    let named = |name: &str, more: &str| {
        let text = format!(
            r#"{{"name": "{name}", {more}"start_step": "a", "steps": {{"a": {{"id": "a", "agent_name": "x"}}}}}}"#
        );
        workflow_with(&text, &options())
            .definition
            .name()
            .to_owned()
    };
    assert_eq!(named("Two of  Three!", ""), "two-of-three");
    assert_eq!(named("n", "\"workflow_id\": \"My Id\", "), "My Id");
    assert_eq!(named("!!", ""), "workflow");
    assert_eq!(named("Größe 2", ""), "größe-2");
}

#[test]
fn equal_content_is_an_equal_version_and_is_imported_again_from_its_source() {
    let text = blocks();
    let first = workflow_with(&text, &options());
    let mut other = options();
    other.file = "g.json".to_owned();
    let again = workflow_with(&text, &other);
    assert_eq!(first.definition.version(), again.definition.version());
    let mut lenient = options();
    lenient.mode = windlass_dialects::Mode::Lenient;
    let lenient = workflow_with(&text, &lenient);
    assert_ne!(first.definition.version(), lenient.definition.version());

    // Whoever goes on with a run does not know the options, and still has every function.
    let source = lenient.definition.source().unwrap();
    let mut options = ImportOptions::new(source.file.clone());
    options.dialect = Some(source.dialect.parse().unwrap());
    options.document = Some(lenient.definition.name().to_owned());
    let found = import(&source.text, &options);
    let functions = &found.workflows[0].functions;
    for (name, role) in lenient.definition.functions() {
        assert!(functions.has(name, role), "{name}");
    }
}

#[test]
fn a_lenient_file_can_be_gone_on_with_by_a_strict_reader() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "then_step": "b", "note": 1"#;
    let text = file(&[("a", c), ("b", OK), ("old", OK)]);
    let strict = import(&text, &options());
    assert!(!strict.ok());
    assert_eq!(strict.workflows.len(), 1, "{}", listing(&strict));
    assert!(strict.workflows[0].definition.find("b").is_some());
}

#[test]
fn the_dialect_is_recognised_also_in_broken_files() {
    for (text, recognised) in [
        (blocks().as_str(), Some(Dialect::ParallelJson)),
        ("\u{feff}{\"steps\": {}}", Some(Dialect::ParallelJson)),
        ("{\"start_step\": \"a\"", Some(Dialect::ParallelJson)),
        (
            "{\"start_step\": \"a\", \"nodes\": []}",
            Some(Dialect::WorkflowJson),
        ),
        ("{\"steps\": []}", Some(Dialect::ParallelJson)),
        (
            "{\"kind\": \"Workflow\", \"steps\": []}",
            Some(Dialect::StepGroupsYaml),
        ),
        ("{\"topic\": \"x\"}", None),
        ("{\"type\": \"playbook\"}", Some(Dialect::Cacao)),
        ("{\"name\": 1", None),
        ("start_step: a\nsteps: {a: {}}", None),
    ] {
        assert_eq!(Dialect::recognise(text), recognised, "{text}");
        if recognised == Some(Dialect::ParallelJson) {
            let imported = import(text, &ImportOptions::new("f.json"));
            assert_eq!(imported.dialect, Dialect::ParallelJson, "{text}");
        }
    }
    assert_eq!("parallel-json".parse(), Ok(Dialect::ParallelJson));
}

#[test]
fn a_block_fails_where_it_stands_so_that_a_retry_begins_it_again() {
    // Behind its join there is a node of its own only where something is decided.
    let par = |more: &str| format!(r#""type": "parallel", "parallel_steps": ["x", "y"]{more}"#);
    let fork = |more: &str| {
        format!(
            r#""type": "fork_join", "fork_join_config": {{"branches": {{"x": {{"steps": ["x"]}}, "y": {{"steps": ["y"]}}}}{more}}}"#
        )
    };
    for (fields, expected) in [
        (par(""), false),
        (par(r#", "on_failure": "z""#), true),
        (fork(""), false),
        (fork(r#", "early_exit": "cancel""#), true),
    ] {
        let failure = fields.contains("on_failure");
        let mut steps = vec![("b", fields.as_str()), ("x", OK), ("y", OK)];
        steps.extend(failure.then_some(("z", OK)));
        let definition = workflow_with(&file(&steps), &options()).definition;
        assert_eq!(definition.find("b/outcome").is_some(), expected, "{fields}");
        assert_eq!(
            node(&definition, "b").on_fault.is_some(),
            expected,
            "{fields}"
        );
    }
}
