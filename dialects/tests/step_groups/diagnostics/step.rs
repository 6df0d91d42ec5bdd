//! Steps: names, types, keys and their values.

use windlass_dialects::{Severity, import};

use crate::checks::{codes, lenient, listing, options, shape};
use crate::diagnostics::{check, check_step};

#[test]
fn names_and_types_of_steps() {
    check_step(
        "type: t",
        &[
            "ship.yaml:2:3: error[step-name-missing]: step 1: no name; rows and references need it; add one",
        ],
    );
    check_step(
        "name: '', type: t",
        &[
            "ship.yaml:2:3: error[step-name-missing]: step 1: no name; rows and references need it; add one",
        ],
    );
    check_step(
        "name: [], type: t",
        &[
            "ship.yaml:2:4: error[field-type]: step 1: name is a list; it must be text; write one text",
        ],
    );
    check_step(
        "name: a",
        &[
            "ship.yaml:2:3: error[step-type-missing]: step \"a\": no type; it chooses the handler; add one, e.g. validation",
        ],
    );
    check_step(
        "name: a b, type: t",
        &[
            "ship.yaml:2:4: error[step-name-invalid]: step \"a b\": step name \"a b\" holds a blank; ${a b.x} could not be read; use a-b",
        ],
    );
    check_step(
        "name: steps, type: t",
        &[
            "ship.yaml:2:4: error[step-name-invalid]: step \"steps\": \"steps\" begins references to something else; ${steps.x} could not be read; use steps-step",
        ],
    );
    for name in [
        "a$b".to_owned(),
        "a{b".to_owned(),
        "a}b".to_owned(),
        "a\\tb".to_owned(),
        "x".repeat(257),
    ] {
        let imported = import(
            &format!("steps: [{{name: \"{name}\", type: t}}]"),
            &options(),
        );
        assert_eq!(
            codes(&imported, Severity::Error),
            ["step-name-invalid"],
            "{name}"
        );
    }
    check_step(
        "name: a, type: tt",
        &[
            "ship.yaml:2:13: error[no-handler]: step \"a\": no handler for type \"tt\" (registered: t, u); the step could not work; register one or change the type",
        ],
    );
    check_step(
        "name: a, type: \"t\\n\"",
        &[
            "ship.yaml:2:3: error[workflow-invalid]: step \"a\": its handler's name holds a control character; remove it",
            "ship.yaml:2:13: error[no-handler]: step \"a\": no handler for type \"t\\n\" (registered: t, u); the step could not work; register one or change the type",
        ],
    );
    check(
        "name: \"a\\tb\"\nsteps: [{name: a, type: t}]\n",
        &[
            "ship.yaml:1:1: error[workflow-invalid]: the workflow's name holds a control character; remove it",
        ],
    );
}

#[test]
fn fields_that_say_nothing_and_those_that_nothing_reads() {
    check_step(
        "name: a, type: t, dependsOn: [], env: {}, outputs: [], when:, if:, setVariables:, resource:, config:, timeout:",
        &[],
    );
    check_step(
        "name: a, type: t, workflow: w, parameters: {p: 1}, variables: {k: v}",
        &[],
    );
    check_step(
        "name: a, type: t, config: !Ref {<<: {x: 1}, y: 2}",
        &[
            "ship.yaml:2:35: error[construct-unsupported]: step \"a\": tag !Ref is not supported; what it asks for would not happen; write the value without it",
            "ship.yaml:2:36: error[construct-unsupported]: step \"a\": merge key << is not supported; what it adds would be lost; write the keys out",
        ],
    );
}

#[test]
fn values_of_the_wrong_type() {
    for (field, message) in [
        (
            "parallel: yes",
            "parallel is \"yes\"; it must be true or false; write true or false without quotes",
        ),
        (
            "parallel: 'true'",
            "parallel is \"true\"; it must be true or false; write true",
        ),
        (
            "parallel: 1",
            "parallel is 1; it must be true or false; write true or false",
        ),
        (
            "parallelGroup: one",
            "parallelGroup is \"one\"; it must be a whole number; write a whole number without quotes",
        ),
        (
            "parallelGroup: '2'",
            "parallelGroup is \"2\"; it must be a whole number; write 2",
        ),
        (
            "parallelGroup: 1.5",
            "parallelGroup is 1.5; it must be a whole number up to 4294967295; write the number of the group",
        ),
        (
            "parallelGroup: 4294967296",
            "parallelGroup is 4294967296; it must be a whole number up to 4294967295; write the number of the group",
        ),
        (
            "timeout: 0",
            "timeout is 0; it must be whole seconds from 1 to 4294967295; write such a number, or leave it out for the default",
        ),
        (
            "timeout: -1",
            "timeout is -1; it must be whole seconds from 1 to 4294967295; write such a number, or leave it out for the default",
        ),
        (
            "timeout: soon",
            "timeout is \"soon\"; it must be whole seconds; write whole seconds without quotes",
        ),
        (
            "config: text",
            "config is \"text\"; it must be a map; write the settings as keys and values",
        ),
        (
            "config: [1]",
            "config is a list; it must be a map; write the settings as keys and values",
        ),
    ] {
        let expected = format!("ship.yaml:2:24: error[field-type]: step \"a\": {message}");
        check_step(&format!("name: a, type: t,   {field}"), &[&expected]);
    }
    for field in [
        "dependsOn: b",
        "dependsOn: [[b]]",
        "env: [1]",
        "env: {A: {}}",
        "outputs: k",
        "if: [x]",
        "setVariables: x",
        "setVariables: {A: []}",
    ] {
        let text = format!("steps: [{{name: b, type: t}}, {{name: a, type: t, {field}}}]");
        let imported = import(&text, &options());
        assert_eq!(codes(&imported, Severity::Error), ["field-type"], "{text}");
    }
}

#[test]
fn lenient_mode_repairs_what_is_listed_and_says_so() {
    let text = "
steps:
  - {name: a, type: t, parallel: 'True'}
  - {name: b, type: t, parallel: 'true', timeout: '30s'}
  - {name: c, type: t, parallelGroup: '2', timeout: 45}
  - {name: d, type: t, parallelGroup: 2, timeout: '60'}
  - {name: e, type: t, parallel_group: 2}
";
    let strict = import(text, &options());
    assert_eq!(
        codes(&strict, Severity::Error),
        ["field-type", "misspelt-key"]
    );
    assert_eq!(shape(&strict.workflows[0].definition), "a → b → c → d → e");
    let imported = import(text, &lenient());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(
        codes(&imported, Severity::Warning),
        ["field-type", "misspelt-key"]
    );
    assert_eq!(imported.diagnostics.len(), strict.diagnostics.len());
    let definition = &imported.workflows[0].definition;
    assert_eq!(shape(definition), "[a|b] → [c|d] → e");
    let json = serde_json::to_string(definition).unwrap();
    assert!(json.contains("\"timeout_ms\":30000") && json.contains("\"timeout_ms\":60000"));
    assert!(
        json.contains(r#""fields":{"parallel_group":2}"#),
        "passed to the handler"
    );

    let beyond =
        "steps: [{name: a, type: t, parallel: on, timeout: 5m, when: maybe, parallelGroup: two}]";
    let imported = import(beyond, &lenient());
    assert_eq!(
        codes(&imported, Severity::Error),
        ["field-type", "unknown-when"]
    );
    assert_eq!(imported.diagnostics.len(), 4);
}

#[test]
fn short_keys_that_are_misspelt_are_found_too() {
    let found = |key: &str| {
        let text = format!("steps: [{{name: a, type: t, {key}: x}}]");
        let found = import(&text, &options()).diagnostics;
        let mut found = found.into_iter();
        let slip = found.find(|found| found.code == "misspelt-key");
        slip.map(|found| found.message.rsplit(' ').next().unwrap().to_owned())
    };
    for (key, meant) in [
        ("unles", "unless"),
        ("iff", "if"),
        ("fi", "if"),
        ("whn", "when"),
        ("wehn", "when"),
        ("confg", "config"),
        ("enviroment", "env"),
        ("evn", "env"),
        ("typ", "type"),
        ("tpye", "type"),
        ("nmae", "name"),
        ("setVariable", "setVariables"),
    ] {
        assert_eq!(found(key).as_deref(), Some(meant), "{key}");
    }
    for key in [
        "path",
        "name2",
        "output",
        "of",
        "id",
        "in",
        "is",
        "end",
        "then",
        "where",
        "time",
        "tape",
        "types",
        "game",
        "node",
        "configs",
        "resources",
        "source",
        "environment",
        "namespace",
        "playbook",
        "repo",
        "inputs",
    ] {
        assert_eq!(found(key), None, "{key}");
    }
}

#[test]
fn an_output_file_needs_a_name() {
    check_step(
        "name: a, type: t, outputFile: ''",
        &[
            "ship.yaml:2:22: error[field-type]: step \"a\": outputFile is \"\"; it must be the path of a file; write one, or leave it out",
        ],
    );
}
