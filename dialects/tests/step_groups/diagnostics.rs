//! Every diagnostic: when it is given, where it points, what it says.

use windlass_dialects::{Severity, import};

use crate::checks::{codes, handlers, lenient, listing, options, shape};

/// A text gives exactly these lines in strict mode. `t` and `u` have handlers.
fn check(text: &str, expected: &[&str]) {
    let imported = import(text, &handlers(&["t", "u"]));
    assert_eq!(listing(&imported), expected.join("\n"), "\n{text}");
}

/// The same for one step at line 2, of the text within its braces.
fn check_step(step: &str, expected: &[&str]) {
    check(&format!("steps:\n- {{{step}}}\n"), expected);
}

#[test]
fn mistakes_that_are_found_before_a_run_come_in_one_report() {
    let text = include_str!("../data/load-errors.yaml");
    let imported = import(text, &handlers(&["t"]));
    assert_eq!(
        codes(&imported, Severity::Error),
        [
            "duplicate-step",
            "group-order-descending",
            "group-reappears",
            "no-handler",
            "unknown-dependency",
            "unknown-when",
        ]
    );
    assert_eq!(imported.diagnostics.len(), 6, "{}", listing(&imported));
}

#[test]
fn ten_mistakes_are_reported_at_once() {
    let text = include_str!("../data/ten-mistakes.yaml");
    let imported = import(text, &handlers(&["validation"]));
    let lines: Vec<_> = imported
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        r"ship.yaml:3:1: error[name-missing]: metadata.name is missing; runs and sub-workflows need it; add one",
        r"ship.yaml:6:3: error[variable-not-scalar]: variables.REGIONS: value is a list; variables hold one text each; join it",
        r#"ship.yaml:11:7: error[field-type]: step "lint": timeout is "30s"; it must be whole seconds; write 30"#,
        r#"ship.yaml:12:7: error[step-name-invalid]: step "api.v2": step name "api.v2" holds a dot; ${api.v2.x} could not be read; use api-v2"#,
        r"ship.yaml:14:7: error[step-name-missing]: step 3: no name; rows and references need it; add one",
        r#"ship.yaml:15:7: error[step-type-missing]: step "clean": no type; it chooses the handler; add one, e.g. validation"#,
        r#"ship.yaml:18:7: error[misspelt-key]: step "push": key parallel_group has no effect here; it would only be passed to the handler; write parallelGroup"#,
        r#"ship.yaml:19:7: error[duplicate-step]: step 6: name "lint" belongs to step 1; references would be ambiguous; rename one"#,
        r#"ship.yaml:22:7: error[no-handler]: step "scan": no handler for type "sbom" (registered: validation); the step could not work; register one or change the type"#,
        r#"ship.yaml:23:7: error[negative-group]: step "scan": parallelGroup is -1; groups start at 1 and 0 means none; use a positive number"#,
        r#"ship.yaml:26:7: error[unknown-when]: step "ship": when "on-success" is no keyword; the step might never run; did you mean "on_success"?"#,
        r#"ship.yaml:29:19: error[unknown-dependency]: step "tell": dependsOn "shp" names no step; it would wait for nothing; did you mean "ship"?"#,
    ];
    let mut missing = expected
        .iter()
        .filter(|line| !lines.iter().any(|found| found == *line));
    assert_eq!(missing.next(), None, "\n{}", lines.join("\n"));
    assert_eq!(lines.len(), expected.len() + 1, "and an unknown reference");
}

#[test]
fn a_diagnostic_points_at_document_pointer_line_column_and_step() {
    let text = "a: 1\n---\nkind: Workflow\nmetadata: {name: ship}\nspec:\n  steps:\n    - name: scan\n      type: t\n      timeout: 30s\n";
    let imported = import(text, &options());
    let found = imported.diagnostics.last().unwrap();
    assert_eq!(
        (found.code, found.severity),
        ("field-type", Severity::Error)
    );
    assert_eq!(found.file, "ship.yaml");
    assert_eq!(found.document, Some(2));
    assert_eq!(found.pointer.as_deref(), Some("/spec/steps/0/timeout"));
    assert_eq!((found.line, found.column), (Some(9), Some(7)));
    assert_eq!(found.step.as_deref(), Some("scan"));
    assert_eq!(
        found.message,
        "ship.yaml:9 step \"scan\": timeout is \"30s\"; it must be whole seconds; write 30"
    );
}

#[test]
fn texts_that_are_no_yaml() {
    check(
        "steps:\n  - name: a\n    type: t\n\ttimeout: 3\n",
        &[
            "ship.yaml:4:1: error[document-syntax]: a tab starts the line; YAML indents with blanks, so nothing after it in this document can be read; replace the tab",
        ],
    );
    let imported = import("steps: [{name: a, type: t}\n", &options());
    assert_eq!(codes(&imported, Severity::Error), ["document-syntax"]);
    check(
        "steps:\n- {name: a, type: t, config: {[x]: 1}}\n",
        &[
            "ship.yaml:2:31: error[document-syntax]: step \"a\": a key is a list or a map; it names nothing; write text, and quote it if it holds braces",
        ],
    );
    check(
        "steps:\n- {name: a, type: *kind}\n",
        &[
            "ship.yaml:2:19: error[document-syntax]: step \"a\": alias *kind has no anchor before it; it stands for nothing; define the anchor or quote the text",
        ],
    );
}

#[test]
fn keys_that_appear_twice() {
    let twice = import(
        "steps: [{name: a, type: t, config: {k: 1, k: 2}}]",
        &options(),
    );
    let json = serde_json::to_string(&twice.workflows[0].definition).unwrap();
    assert!(
        json.contains(r#""config":{"k":1}"#),
        "the first is kept: {json}"
    );
    assert_eq!(codes(&twice, Severity::Error), ["duplicate-key"]);
    check(
        "steps:\n- {name: a, type: t, env: {}, env: {}}\n",
        &[
            "ship.yaml:2:31: error[duplicate-key]: step \"a\": key env appears twice, first in line 2; one of them would be lost; merge them",
        ],
    );
    check(
        "kind: Workflow\nmetadata: {name: w}\nspec: {steps: [{name: a, type: t}]}\nsteps: [{name: b, type: t}]\n",
        &[
            "ship.yaml:3:8: error[duplicate-key]: steps stands at top level and under spec; one of them would be lost; merge them",
        ],
    );
}

#[test]
fn files_without_workflows() {
    check(
        "a: 1\n---\nb: 2\n",
        &[
            "ship.yaml:1:1: warning[document-without-workflow]: document 1: no workflow in it, only data; it is not imported; remove it or add steps",
            "ship.yaml:3:1: warning[document-without-workflow]: document 2: no workflow in it, only data; it is not imported; remove it or add steps",
            "ship.yaml: error[no-workflow-found]: none of its 2 documents has kind Workflow, steps, or a Score workflows map; nothing can be run; add steps or import another file",
        ],
    );
    let imported = import(
        "kind: Workflo\nspec: {}\n---\nSteps: []\n---\n- 1\n",
        &options(),
    );
    let text = listing(&imported);
    assert!(
        text.contains("kind is \"Workflo\", did you mean \"Workflow\"?"),
        "{text}"
    );
    assert!(text.contains("did you mean \"steps\"?"), "{text}");
    assert_eq!(codes(&imported, Severity::Error), ["no-workflow-found"]);
    for other in [
        "workflows: {x: {steps: [{name: a, type: t}]}}",
        "kind: Deployment\nsteps: [{name: a, type: t}]",
        "apiVersion: score.dev/v1b1\nworkflows: []",
    ] {
        let imported = import(other, &options());
        assert_eq!(codes(&imported, Severity::Error), ["no-workflow-found"]);
        assert_eq!(
            codes(&imported, Severity::Warning),
            ["document-without-workflow"]
        );
    }
    let empty = import("", &options());
    assert_eq!(codes(&empty, Severity::Error), ["no-workflow-found"]);
}

#[test]
fn workflows_without_names_or_steps() {
    let full = "kind: Workflow\nmetadata: {name: w}\n";
    check(
        "kind: Workflow\nsteps: [{name: a, type: t}]\n",
        &[
            "ship.yaml:1:1: error[name-missing]: metadata.name is missing; runs and sub-workflows need it; add one",
        ],
    );
    check(
        &format!(
            "{full}spec: {{steps: [{{name: a, type: t}}]}}\n---\n{full}steps: [{{name: a, type: t}}]\n"
        ),
        &[
            "ship.yaml:6:12: error[duplicate-workflow]: document 2: name \"w\" was used by document 1; one would hide the other; rename one",
        ],
    );
    check(
        full,
        &["ship.yaml:1:1: error[no-steps]: steps is missing; there is nothing to run; add a step"],
    );
    check(
        "steps: []\n",
        &["ship.yaml:1:1: error[no-steps]: steps is empty; there is nothing to run; add a step"],
    );
    check(
        "steps:\n",
        &["ship.yaml:1:1: error[no-steps]: steps is empty; there is nothing to run; add a step"],
    );
    check(
        "steps: 5\n",
        &[
            "ship.yaml:1:1: error[field-type]: steps is 5; it must be a list; begin each step with a dash",
        ],
    );
    check(
        "steps: {a: {}}\n",
        &[
            "ship.yaml:1:1: error[field-type]: steps is a map; it must be a list; begin each step with a dash",
        ],
    );
    check(
        "steps: [lint]\n",
        &[
            "ship.yaml:1:9: error[field-type]: step 1: the step is \"lint\"; it must be a map; write at least name and type",
        ],
    );
    check(
        &format!("{full}spec: later\nsteps: [{{name: a, type: t}}]\n"),
        &[
            "ship.yaml:3:1: error[field-type]: spec: it is \"later\"; it must be a map; write its fields as keys",
        ],
    );
}

#[test]
fn fields_of_a_workflow() {
    let steps = "steps: [{name: a, type: t}]\n";
    check(
        &format!("variables: {{A: 1}}\nspec: {{variables: {{A: 2, B: {{}}}}}}\n{steps}"),
        &[
            "ship.yaml:2:20: error[variable-twice]: A is \"1\" in line 1 and \"2\" here; which one counts is undefined; keep one",
            "ship.yaml:2:26: error[variable-not-scalar]: variables.B: value is a map; variables hold one text each; join it",
        ],
    );
    check(
        &format!(
            "parameters:\n- {{name: n, type: string, default: 3}}\n- {{name: n, type: number}}\n- {{name: k, type: list}}\n- {{type: object}}\n{steps}"
        ),
        &[
            "ship.yaml:2:3: error[parameter-invalid]: parameter n: default 3 is no string; the run would start with a wrong value; quote it or change type",
            "ship.yaml:3:3: error[parameter-invalid]: parameter n: the name is used in line 2; a value would be meant for both; rename one",
            "ship.yaml:4:3: error[parameter-invalid]: parameter k: type is \"list\"; values could not be checked; use string, number, boolean or object",
            "ship.yaml:5:3: error[parameter-invalid]: parameter 4: no name; nothing could be passed to it; add one",
        ],
    );
    check(&format!("outputs: {{host: h}}\n{steps}"), &[]);
    check(
        &format!("variables: {{}}\nparameters: []\noutputs:\n{steps}"),
        &[],
    );
    check(
        &format!("retries: 3\nVariables: {{A: 1}}\n{steps}"),
        &[
            "ship.yaml:1:1: info[not-workflow-content]: retries is kept but not run, because only workflows are run; nothing to do",
            "ship.yaml:2:1: error[misspelt-key]: key Variables has no effect here; what it holds would be lost; write variables",
        ],
    );
    check(
        "apiVersion: score.dev/v1b1\nmetadata: {name: s}\ncontainers: {main: {}}\nresources: {db: {}}\nworkflows: {x: {steps: [{name: a, type: t}]}}\n",
        &[
            "ship.yaml:3:1: info[not-workflow-content]: containers is kept but not run, because only workflows are run; nothing to do",
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
fn a_reference_is_found_where_it_stands() {
    let text =
        "steps:\n- name: a\n  type: t\n  config:\n    deep:\n    - x/y: v-${build.version}\n";
    let imported = import(text, &options());
    let found = &imported.diagnostics[0];
    assert_eq!(
        found.pointer.as_deref(),
        Some("/steps/0/config/deep/0/x~1y")
    );
    assert_eq!(
        found.message,
        "ship.yaml:6 step \"a\" config.deep.0.x/y: ${build.version} is declared nowhere (known: a); it could never have a value; correct it"
    );
}

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
fn groups_out_of_order() {
    check(
        "steps:\n- {name: a, type: t, parallelGroup: 5}\n- {name: b, type: t, parallelGroup: 2}\n- {name: c, type: t, parallelGroup: 5}\n",
        &[
            "ship.yaml:3:3: error[group-order-descending]: step \"b\": group 2 follows group 5; phases run in document order and ids must rise; renumber",
            "ship.yaml:4:3: error[group-reappears]: step \"c\": group 5 ended before step \"b\" (3); joining it would reorder steps; move the step up or use a new number",
        ],
    );
    check(
        "steps:\n- {name: a, type: t, parallelGroup: 1}\n- {name: b, type: t}\n- {name: c, type: t, parallelGroup: 1}\n- {name: d, type: t, parallelGroup: 1}\n",
        &[
            "ship.yaml:4:3: error[group-reappears]: step \"c\": group 1 ended before step \"b\" (3); joining it would reorder steps; move the step up or use a new number",
        ],
    );
    check_step(
        "name: x, type: t, parallel: false, parallelGroup: 2",
        &[
            "ship.yaml:2:3: warning[group-overrides-parallel]: step \"x\": parallel is false but group 2 is set; the group counts; remove one",
        ],
    );
    let imported = import(
        "steps: [{name: a, type: t, parallelGroup: 2}, {name: b, type: t, parallelGroup: 1}]",
        &lenient(),
    );
    assert_eq!(
        codes(&imported, Severity::Error),
        ["group-order-descending"]
    );
}

#[test]
fn dependencies_that_cannot_be_met() {
    let dependencies = |text: &str| {
        let imported = import(text, &options());
        let lines = imported.diagnostics.iter();
        lines.map(ToString::to_string).collect::<Vec<_>>()
    };
    let steps = "steps:
- {name: a, type: t, parallel: true, dependsOn: [b]}
- {name: b, type: t, parallel: true, dependsOn: [c, bild]}
- {name: c, type: t, parallel: true, dependsOn: [a]}
- {name: d, type: t, dependsOn: [d, a]}
- {name: e, type: t, dependsOn: [f]}
- {name: f, type: t, dependsOn: [a, e]}
- {name: build, type: t, dependsOn: [late]}
- {name: late, type: t}
";
    assert_eq!(
        dependencies(steps),
        [
            "ship.yaml:3:53: error[unknown-dependency]: step \"b\": dependsOn \"bild\" names no step; it would wait for nothing; did you mean \"build\"?",
            "ship.yaml:4:50: error[dependency-cycle]: a, b, c wait for each other in a ring; none could start; drop one dependency",
            "ship.yaml:5:34: error[dependency-cycle]: d waits for itself; it could not start; drop the dependency",
            "ship.yaml:7:37: error[dependency-cycle]: e, f wait for each other in a ring; none could start; drop one dependency",
            "ship.yaml:8:38: error[dependency-on-later-phase]: step \"build\" (phase 5): waits for \"late\" (phase 6); it would wait for ever; move late up or drop the dependency",
        ]
    );
    let sound = "steps: [{name: a, type: t, parallel: true}, {name: b, type: t, parallel: true, dependsOn: [a]}, {name: c, type: t, dependsOn: [a, b]}]";
    assert!(dependencies(sound).is_empty());
}

#[test]
fn options_that_would_start_nothing() {
    let mut options = options();
    options.max_concurrent_steps = 0;
    let imported = import("steps: [{name: a, type: t}]", &options);
    assert_eq!(
        listing(&imported),
        "ship.yaml: error[limit-invalid]: option max_concurrent_steps is 0; no step could ever start; use 1 or more"
    );
}

#[test]
fn keys_of_a_parameter_are_read_or_told() {
    let text = |parameter: &str| {
        format!("parameters:\n- {{{parameter}}}\nsteps: [{{name: a, type: t}}]\n")
    };
    for (required, fix) in [
        (
            "yes",
            "is \"yes\"; it must be true or false; write true or false without quotes",
        ),
        (
            "'yes'",
            "is \"yes\"; it must be true or false; write true or false without quotes",
        ),
        ("1", "is 1; it must be true or false; write true or false"),
        (
            "'true'",
            "is \"true\"; it must be true or false; write true",
        ),
    ] {
        check(
            &text(&format!("name: rq, type: string, required: {required}")),
            &[&format!(
                "ship.yaml:2:28: error[field-type]: parameter rq: required {fix}"
            )],
        );
    }
    check(
        &text("name: n, type: string, defualt: x, description: d, hint: h"),
        &[
            "ship.yaml:2:27: error[misspelt-key]: parameter n: key defualt has no effect here; what it holds would be lost; write default",
            "ship.yaml:2:55: info[not-workflow-content]: parameter n: hint is kept but not run, because only name, type, required, default and description are read; nothing to do",
        ],
    );
    let imported = import(
        &text("name: rq, type: string, required: 'true'"),
        &lenient(),
    );
    assert!(imported.ok(), "{}", listing(&imported));
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
fn a_quote_that_is_never_closed_leaves_a_condition_without_a_side() {
    for (text, whole) in [
        ("'abc == 1", "\"'abc == 1\""),
        ("$A == 'x", "\"$A == 'x\""),
        ("\"a == $A", "\"\\\"a == $A\""),
    ] {
        let text = text.replace('"', "\\\"");
        check(
            &format!("steps:\n- {{name: a, type: t, env: {{A: x}}, if: \"{text}\"}}\n"),
            &[&format!(
                "ship.yaml:2:35: error[condition-syntax]: step \"a\" if: if {whole} has a quote that is never closed; it has no truth value; complete it"
            )],
        );
    }
    check_step("name: a, type: t, if: \"it's == its'\"", &[]);
}

#[test]
fn a_default_of_another_type_is_told_with_its_cure() {
    for (kind, default, cure) in [
        (
            "string",
            "3",
            "default 3 is no string; the run would start with a wrong value; quote it or change type",
        ),
        (
            "number",
            "'3'",
            "default \"3\" is no number; the run would start with a wrong value; write it without quotes or change type",
        ),
        (
            "number",
            "many",
            "default \"many\" is no number; the run would start with a wrong value; write a number or change type",
        ),
        (
            "boolean",
            "'True'",
            "default \"True\" is no boolean; the run would start with a wrong value; write it without quotes or change type",
        ),
        (
            "boolean",
            "1",
            "default 1 is no boolean; the run would start with a wrong value; write true or false, or change type",
        ),
        (
            "object",
            "[1]",
            "default a list is no object; the run would start with a wrong value; write names and their values, or change type",
        ),
    ] {
        check(
            &format!(
                "parameters:\n- {{name: n, type: {kind}, default: {default}}}\nsteps: [{{name: a, type: t}}]\n"
            ),
            &[&format!(
                "ship.yaml:2:3: error[parameter-invalid]: parameter n: {cure}"
            )],
        );
    }
}

#[test]
fn every_template_action_is_told_with_what_becomes_of_it() {
    let text = "steps:\n- {name: a, type: t, config: {x: '{{ if .a }}b{{ end }} ${ghost}'}}\n";
    let told = |action: &str, fix: &str| {
        format!("template action \"{action}\" cannot be evaluated here; {fix}")
    };
    let messages = |options: &windlass_dialects::ImportOptions| {
        let found = import(text, options).diagnostics.into_iter();
        let texts = found.filter(|found| found.code == "template-unsupported");
        let prefix = "ship.yaml:2 step \"a\" config.x: ";
        texts
            .map(|found| found.message.strip_prefix(prefix).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let strict = "the text would be wrong; use step conditions or import leniently";
    assert_eq!(
        messages(&options()),
        [told("if .a", strict), told("end", strict)]
    );
    let repaired = "the handler gets the text as it is and has to; use step conditions";
    assert_eq!(
        messages(&lenient()),
        [told("if .a", repaired), told("end", repaired)]
    );
    assert_eq!(
        codes(&import(text, &options()), Severity::Error),
        ["template-unsupported", "unknown-reference"]
    );
    assert_eq!(
        codes(&import(text, &lenient()), Severity::Warning),
        ["template-unsupported"]
    );
}

#[test]
fn what_cannot_be_read_has_no_followers() {
    check(
        "base: &b {type: t}\nsteps:\n- {name: a, <<: *b}\n",
        &[
            "ship.yaml:1:1: info[not-workflow-content]: base is kept but not run, because only workflows are run; nothing to do",
            "ship.yaml:3:13: error[construct-unsupported]: step \"a\": merge key << is not supported; what it adds would be lost; write the keys out",
        ],
    );
    check_step(
        "name: a, type: t, timeout: !foo 3",
        &[
            "ship.yaml:2:36: error[construct-unsupported]: step \"a\": tag !foo is not supported; what it asks for would not happen; write the value without it",
        ],
    );
    check_step(
        "name: *nope, type: t",
        &[
            "ship.yaml:2:10: error[document-syntax]: alias *nope has no anchor before it; it stands for nothing; define the anchor or quote the text",
        ],
    );
    check(
        "steps: *nope\n",
        &[
            "ship.yaml:1:8: error[document-syntax]: alias *nope has no anchor before it; it stands for nothing; define the anchor or quote the text",
        ],
    );
}

#[test]
fn siblings_of_a_phase_without_a_group_are_told_by_its_number() {
    check(
        "steps:\n- {name: z, type: t}\n- {name: a, type: t, parallel: true, setVariables: {K: a}}\n- {name: b, type: t, parallel: true, setVariables: {K: b}}\n",
        &[
            "ship.yaml:4:53: error[sibling-variable-conflict]: step \"b\": \"a\" and \"b\" of phase 2 both set K; chance would decide; set it in one, or order them with dependsOn",
        ],
    );
    check(
        "steps:\n- {name: a, type: t, parallelGroup: 3, setVariables: {K: a}}\n- {name: b, type: t, parallelGroup: 3, setVariables: {K: b}}\n",
        &[
            "ship.yaml:3:55: error[sibling-variable-conflict]: step \"b\": \"a\" and \"b\" of group 3 both set K; chance would decide; set it in one, or order them with dependsOn",
        ],
    );
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

#[test]
fn what_stands_twice_or_is_no_name_is_told() {
    check(
        "kind: Workflow\nmetadata: {name: w}\noutputs: {a: x, b: y}\nspec: {outputs: {a: z, b: y, c: x}, steps: [{name: a, type: t}]}\n",
        &[
            "ship.yaml:4:18: error[duplicate-key]: outputs.a stands at top level (line 3) and under spec with other text; one of them would be lost; keep one",
        ],
    );
    check(
        "name: [x]\nsteps: [{name: a, type: t}]\n",
        &["ship.yaml:1:1: error[field-type]: name is a list; it must be text; write one text"],
    );
}

#[test]
fn unknown_names_are_told_with_all_that_are_known() {
    let mut options = handlers(&["t"]);
    options.step_groups.process_env = vec!["HOME_DIR".to_owned()];
    let imported = import(
        "variables: {V: v}\nsteps:\n- {name: a, type: t, env: {E: e}, config: {x: $HOME}}\n",
        &options,
    );
    assert_eq!(
        listing(&imported),
        "ship.yaml:3:47: error[unknown-reference]: step \"a\" config.x: $HOME is declared nowhere (known: E, HOME_DIR, V); it could never have a value; correct it"
    );
    check(
        "a: 1\n",
        &[
            "ship.yaml:1:1: warning[document-without-workflow]: document 1: no workflow in it, only data; it is not imported; remove it or add steps",
            "ship.yaml: error[no-workflow-found]: its only document has no kind Workflow, steps, or Score workflows map; nothing can be run; add steps or import another file",
        ],
    );
    check_step(
        "name: a, type: t, env: {A: {}}",
        &[
            "ship.yaml:2:28: error[field-type]: step \"a\" env.A: value is a map; env holds one text each; join it",
        ],
    );
}

#[test]
fn conditions_that_say_something_else_than_they_seem_to_are_doubted() {
    let doubts = |text: &str, expected: &[&str]| {
        let text = format!(
            "variables: {{A: x}}\nsteps:\n- {{name: a, type: t}}\n- {{name: b, type: t, when: always, if: '{text}'}}\n"
        );
        let imported = import(&text, &options());
        assert!(imported.ok(), "{}", listing(&imported));
        let found = imported.diagnostics.iter();
        let found: Vec<_> = found
            .map(|found| {
                (
                    found.code,
                    found
                        .message
                        .strip_prefix("ship.yaml:4 step \"b\" if: ")
                        .unwrap_or(&found.message),
                )
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|text| ("condition-doubtful", *text))
            .collect();
        assert_eq!(found, expected, "{text}");
    };
    let joined = "is part of a fixed text that is compared, because a condition has one operator; it may never hold; use when, unless and if together, or quote the text";
    doubts("$A == 1 && $A == 2", &[&format!("\"&&\" {joined}")]);
    doubts("$A == 1 || $A", &[&format!("\"||\" {joined}")]);
    doubts("$A == 1 and $A == 2", &[&format!("\"==\" {joined}")]);
    doubts("!$A == x", &[&format!("\"!\" {joined}")]);
    doubts("not $A == x", &[&format!("\"not\" {joined}")]);
    doubts("$A && $A == 2", &[&format!("\"&&\" {joined}")]);
    let status = "the status of step \"a\" is not compared; it may never hold; write a.failed alone, or a.success for the contrary";
    doubts(
        "a.failed == true",
        &[&format!("a.failed has no $ and is a fixed text; {status}")],
    );
    doubts(
        "${a.failed} == true",
        &[&format!(
            "${{a.failed}} is an output named failed; {status}"
        )],
    );
    for sound in [
        "$A == \"1 && 2\"",
        "$A matches a||b",
        "a.failed",
        "$A == b.c",
        "${a.image} != x",
    ] {
        doubts(sound, &[]);
    }
}
