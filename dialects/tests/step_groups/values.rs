//! References, conditions and where values come from.

use serde_json::{Value as Json, json};
use windlass_dialects::{
    GroupResult, Mode, PlaybookFile, Severity, import, run_notes, start_refusals,
};

use crate::checks::{codes, lenient, listing, options};
use crate::play::{Played, gives, idle, play, run, run_leniently};

/// Codes of errors in strict mode; of errors and warnings in lenient mode.
fn check(text: &str, strict: &[&str], errors: &[&str], warnings: &[&str]) {
    let imported = import(text, &options());
    assert_eq!(
        codes(&imported, Severity::Error),
        strict,
        "{}",
        listing(&imported)
    );
    let imported = import(text, &lenient());
    assert_eq!(codes(&imported, Severity::Error), errors, "{text}");
    assert_eq!(codes(&imported, Severity::Warning), warnings, "{text}");
}

/// The same for a second step beside `build` of type terraform.
fn check_step(field: &str, strict: &[&str], errors: &[&str], warnings: &[&str]) {
    let text = format!(
        "variables: {{TAG: x}}\nsteps:\n- {{name: build, type: terraform}}\n- {{name: a, type: t, {field}}}\n"
    );
    check(&text, strict, errors, warnings);
}

#[test]
fn what_nothing_declares_is_told() {
    let unknown: &[&str] = &["unknown-reference"];
    for field in [
        "env: {V: '${workflow.TAGG}'}",
        "env: {V: '$TAGG'}",
        "config: {x: '${ghost.key}'}",
        "config: {x: '${open'}",
        "setVariables: {V: '${parameters.p}'}",
        "path: '${resources.db.host}'",
        "if: '${ghost.key} == 1'",
        "unless: $SKIP",
        "config: {x: '${terraform.key}', script: 'echo ${gh.b.c}'}",
    ] {
        check_step(field, unknown, &[], unknown);
    }
    check_step(
        "env: {N: '1'}, config: {x: '${workflow.N}'}",
        unknown,
        &[],
        &["workflow-prefix-on-env"],
    );
    for field in [
        "config: {script: 'echo $HOME ${USER} ${X:-y}'}",
        "env: {V: '${workflow.TAG}${variables.TAG}$TAG$build.k${steps.build.output.k}'}",
        "config: {x: '${metadata.name}${environment.a}${application.b}${timestamp}'}",
        "config: {x: '{{ .steps.build.output.k }}'}",
        "if: build.skipped",
        "if: TAG",
    ] {
        check_step(field, &[], &[], &[]);
    }
}

#[test]
fn conditions_that_have_no_truth_value() {
    for field in [
        "if: '$TAG ='",
        "if: '$TAG =='",
        "if: '== 1'",
        "if: two words",
        "if: '$TAG matches ['",
        "if: '$TAG matches (?=x)'",
    ] {
        check_step(field, &["condition-syntax"], &["condition-syntax"], &[]);
    }
    check_step(
        "if: 'workflow.TAG == x'",
        &["bare-reference"],
        &[],
        &["bare-reference"],
    );
    check_step(
        "when: '$TAG == x'",
        &["unknown-when"],
        &[],
        &["unknown-when"],
    );
    check_step("when: sometimes", &["unknown-when"], &["unknown-when"], &[]);
    check_step(
        "config: {m: '{{ if eq .parameters.x 1 }}'}",
        &["template-unsupported"],
        &[],
        &["template-unsupported"],
    );
}

#[test]
fn a_step_that_has_not_settled_cannot_be_read() {
    let not_ready: &[&str] = &["reference-not-ready"];
    let text = |field: &str| {
        format!(
            "steps:\n- {{name: a, type: t, parallelGroup: 1}}\n- {{name: b, type: t, parallelGroup: 1, {field}}}\n- {{name: c, type: t}}\n"
        )
    };
    for field in [
        "env: {V: '${a.k}'}",
        "if: a.failed",
        "env: {V: '${b.k}'}",
        "env: {V: '${c.k}'}",
    ] {
        check(&text(field), not_ready, not_ready, &[]);
    }
    check(&text("env: {V: '${a.k}'}, dependsOn: [a]"), &[], &[], &[]);
}

#[test]
fn values_come_from_where_the_page_says() {
    let text = "
variables: {STAGE: qa, BIG: 9007199254740993, FLAG: true, NONE: }
parameters:
- {name: size, type: string, default: small}
- {name: count, type: number, default: 2}
resources: {db: {}}
steps:
- {name: make, type: t, resource: s3, env: {OWN: 'own-$STAGE'}, setVariables: {SET: '$OWN'}}
- name: use
  type: t
  env: {STAGE: mine}
  path: ${STAGE}/${workflow.STAGE}/$BIG/$FLAG/$NONE/
  config:
    one: ${parameters.size}-${parameters.count}
    two: [$SET, '${make.deep.list.0}', '${make.deep}', '$${literal}']
    three: ${resources.s3.url}
    four: ${metadata.name}-${timestamp}
    script: echo $STAGE $HOME ${make.text}
";
    let mut options = options();
    options.step_groups.process_env = vec!["LANG".to_owned()];
    let input = json!({
        "variables": {"STAGE": "prod"},
        "parameters": {"count": 3},
        "context": {"metadata": {"name": "app"}, "timestamp": "now"},
    });
    let played = play(text, &options, &input, &|step, _| match step {
        "make" => gives(json!({"deep": {"list": [1.5]}, "text": "t", "url": "u"})),
        _ => Ok(GroupResult::default()),
    });
    let given = &played.inputs["use"];
    assert_eq!(given["fields"]["path"], "mine/prod/9007199254740993/true//");
    assert_eq!(
        given["config"],
        json!({
            "one": "small-3",
            "two": ["own-prod", "1.5", "{\"list\":[1.5]}", "${literal}"],
            "three": "u",
            "four": "app-now",
            "script": "echo mine $HOME t",
        })
    );
    assert_eq!(played.inputs["make"]["env"]["OWN"], "own-prod");
    assert_eq!(given["all_env"]["SET"], "own-prod");
}

#[test]
fn what_is_missing_when_it_is_needed_fails_the_step_or_is_empty() {
    let text = |field: &str| {
        format!(
            "
steps:
- {{name: gate, type: t, if: 'false', setVariables: {{GO: 'yes'}}}}
- {{name: build, type: t}}
- {{name: use, type: t, {field}}}
"
        )
    };
    for (field, code) in [
        ("env: {V: '${workflow.GO}'}", "reference-unset"),
        ("env: {V: '${gate.key}'}", "reference-unset"),
        ("config: {v: '${build.image}'}", "output-missing"),
        ("setVariables: {V: '${build.image}'}", "output-missing"),
        ("outputFile: '${build.image}'", "output-missing"),
    ] {
        let played = run(&text(field), &|_, _| gives(json!({"version": 1})));
        assert_eq!(played.done, ["build"], "{field}");
        assert_eq!(played.errors(), [format!("use: {code}")]);
        let played = run_leniently(&text(field), &|_, _| gives(json!({"version": 1})));
        assert_eq!(played.done, ["build", "use"], "{field}");
        assert!(
            played.warnings[0].starts_with(code),
            "{:?}",
            played.warnings
        );
    }
    let compared = text("if: '${build.image} == x'");
    assert_eq!(run(&compared, &idle).errors(), ["use: condition-error"]);
    assert_eq!(run_leniently(&compared, &idle).skipped[1], "use: if-false");
    let pattern = text("if: '$P matches ${P}', env: {P: '['}");
    assert_eq!(run(&pattern, &idle).errors(), ["use: condition-error"]);
    assert_eq!(
        run_leniently(&pattern, &idle).skipped[1],
        "use: condition-error"
    );
    for condition in ["${workflow.GO} == null", "${build.image}x == x"] {
        let text = text(&format!("if: '{condition}'"));
        let played = run_leniently(&text, &idle);
        assert_eq!(played.done, ["build", "use"], "{condition}");
    }
    let played = run(&text("unless: '${build.image}'"), &idle);
    assert_eq!(played.done, ["build", "use"]);
}

#[test]
fn a_reference_may_not_stand_too_deep() {
    let text = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(
            "variables: {{V: v}}\nsteps: [{{name: a, type: t, config: {{x: {open}$V{close}}}}}]"
        )
    };
    let played = run(&text(22), &idle);
    assert!(played.inputs["a"]["config"].to_string().contains("[\"v\"]"));
    let imported = import(&text(23), &options());
    assert_eq!(codes(&imported, Severity::Error), ["reference-too-deep"]);
}

#[test]
fn a_value_never_adds_an_operator() {
    let text = "
variables: {A: 'x == x'}
steps:
- {name: a, type: t, if: '$A == x'}
- {name: b, type: t, if: '\"$A\" == \"x == x\"'}
";
    let played = run(text, &idle);
    assert_eq!(played.skipped, ["a: if-false"]);
    assert_eq!(played.done, ["b"]);
}

#[test]
fn an_output_file_that_cannot_be_used_fails_its_step() {
    let text = "steps: [{name: a, type: t, outputFile: o}]";
    for content in [Err("it is gone".to_owned()), Ok("[1]".to_owned())] {
        let work = |_: &str, _: &Json| {
            Ok(GroupResult {
                outputs: json!({}),
                output_file: Some(content.clone()),
            })
        };
        assert_eq!(run(text, &work).errors(), ["a: output-file-invalid"]);
        let played = run_leniently(text, &work);
        assert!(played.result.is_ok());
        assert!(played.warnings[0].starts_with("output-file-invalid"));
    }
}

#[test]
fn a_start_without_what_it_needs_is_refused() {
    let text = "
parameters:
- {name: app, type: string, required: true}
- {name: count, type: number}
steps: [{name: a, type: t, config: {x: '${environment.type}'}}]
";
    let definition = import(text, &options()).workflows.remove(0).definition;
    let refused = |input: Json| {
        let refusals = start_refusals(&definition, &input, 0).into_iter();
        refusals.map(|refusal| refusal.code).collect::<Vec<_>>()
    };
    assert_eq!(refused(json!({})), ["parameter-missing", "context-missing"]);
    let context = json!({"environment": {"type": "dev"}});
    assert_eq!(
        refused(json!({"parameters": {"app": 1, "count": "x", "more": 1}, "context": context})),
        ["parameter-invalid"; 3]
    );
    assert_eq!(
        refused(json!({"parameters": {"app": "a"}, "context": context})),
        [""; 0]
    );
}

const CHILD: &str = "
kind: Workflow
metadata: {name: db}
parameters: [{name: size, type: string}]
steps: [{name: make, type: t, env: {SIZE: '${parameters.size}'}}]
outputs: {host: '${make.host}'}
";

#[test]
fn a_workflow_starts_another_one() {
    let text = "
kind: Workflow
metadata: {name: ship}
variables: {S: big}
steps:
- {name: db, type: workflow, workflow: db, parameters: {size: $S}, resource: pg, setVariables: {DONE: 'yes'}}
- {name: use, type: t, env: {A: '${db.host}', B: '${resources.pg.host}', C: $DONE}}
- {name: tell, type: t, when: always}
---";
    let text = format!("{text}{CHILD}");
    let mut options = options();
    options.document = Some("ship".to_owned());
    let work = |step: &str, input: &Json| match step {
        "make" => {
            assert_eq!(input["env"]["SIZE"], "big");
            gives(json!({"host": "h"}))
        }
        _ => idle(step, input),
    };
    let played = play(&text, &options, &json!({}), &work);
    assert_eq!(played.done, ["make", "use", "tell"]);
    let expected = json!({"A": "h", "B": "h", "C": "yes"});
    assert_eq!(played.inputs["use"]["env"], expected);
    let broken = |step: &str, _: &Json| match step {
        "make" => Err(windlass_workflow_model::Fault::new("handler-failed", "no")),
        _ => Ok(GroupResult::default()),
    };
    let played = play(&text, &options, &json!({}), &broken);
    assert_eq!(played.done, ["make", "tell"]);
    assert_eq!(played.errors(), ["db: handler-failed"]);
}

#[test]
fn a_started_workflow_may_stand_in_another_file_and_must_stand_somewhere() {
    let text = "steps: [{name: db, type: workflow, workflow: db}]";
    let imported = import(text, &options());
    assert_eq!(codes(&imported, Severity::Error), ["unknown-workflow"]);
    let mut options = options();
    let file = |text: &str| PlaybookFile {
        file: "db.yaml".to_owned(),
        text: text.to_owned(),
    };
    options.step_groups.workflows = vec![file(CHILD)];
    let imported = import(text, &options);
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(imported.called[0].definition.name(), "db");
    options.step_groups.workflows = vec![file(&CHILD.replace("make.host", "ghost.host"))];
    let imported = import(text, &options);
    assert_eq!(
        codes(&imported, Severity::Error),
        ["unknown-reference", "workflow-invalid"]
    );
    let ring =
        "kind: Workflow\nmetadata: {name: a}\nsteps: [{name: s, type: workflow, workflow: a}]";
    options.mode = Mode::Lenient;
    let imported = import(ring, &options);
    assert_eq!(codes(&imported, Severity::Error), ["workflow-recursion"]);
}

#[test]
fn a_template_for_the_handler_is_flagged_wherever_it_stands() {
    for field in [
        "config: {x: '{{ now }}'}",
        "path: '{{ now }}'",
        "env: {X: '{{ now }}'}",
        "setVariables: {X: '{{ now }}'}",
        "outputFile: '{{ now }}'",
    ] {
        let text = format!("steps: [{{name: a, type: t, {field}}}, {{name: b, type: t}}]");
        let played = run_leniently(&text, &idle);
        assert_eq!(played.inputs["a"]["template"], true, "{field}");
        assert_eq!(played.inputs["b"]["template"], false, "{field}");
    }
    let played = run_leniently("steps: [{name: a, type: t, if: 'x != {{ now }}'}]", &idle);
    assert_eq!(played.inputs["a"]["template"], false, "no handler gets it");
}

#[test]
fn a_command_in_parts_is_script_text_too() {
    let text = "
variables: {V: v}
steps:
- {name: build, type: t}
- name: a
  type: t
  config:
    command: [sh, -c, 'echo $X $V ${Y} $1 ${build.k}', {deep: $X}]
";
    for played in [run as fn(&str, crate::play::Work<'_>) -> _, run_leniently] {
        let played = played(text, &|_, _| gives(json!({"k": 1})));
        let expected = json!({"command": ["sh", "-c", "echo $X v ${Y} $1 1", {"deep": "$X"}]});
        assert_eq!(played.inputs["a"]["config"], expected);
    }
    let imported = import(&text.replace("build.k", "ghost.k"), &options());
    assert_eq!(codes(&imported, Severity::Error), ["unknown-reference"]);
}

#[test]
fn what_has_no_value_is_told_with_its_reason_and_its_cure() {
    let text = |field: &str| {
        format!(
            "
parameters: [{{name: p, type: string}}]
steps:
- {{name: gate, type: t, if: 'false', setVariables: {{GO: 'yes'}}}}
- {{name: broken, type: t, setVariables: {{B: 'yes'}}}}
- {{name: use, type: t, when: always, env: {{V: '{field}'}}, setVariables: {{LATER: x}}}}
"
        )
    };
    let mut options = options();
    options.step_groups.process_env = vec!["HOME".to_owned()];
    options.step_groups.known_resources = vec!["db".to_owned()];
    for (field, why) in [
        (
            "${workflow.GO}",
            "because \"gate\" was skipped; nothing can be put in; give GO a default",
        ),
        (
            "$GO",
            "because \"gate\" was skipped; nothing can be put in; give GO a default",
        ),
        (
            "$B",
            "because \"broken\" failed; nothing can be put in; give B a default",
        ),
        (
            "$LATER",
            "because no step has set it yet; nothing can be put in; give LATER a default",
        ),
        (
            "${broken.k}",
            "because \"broken\" failed; nothing can be put in; let it succeed first, or test its status in a condition",
        ),
        (
            "$HOME",
            "because the environment has none; nothing can be put in; set HOME where the run is started",
        ),
        (
            "${resources.db.host}",
            "because the start gave none; nothing can be put in; pass it in resources",
        ),
        (
            "${parameters.p}",
            "because the start gave none; nothing can be put in; pass it in parameters, or give p a default",
        ),
    ] {
        let played = play(&text(field), &options, &json!({}), &|step, _| match step {
            "broken" => Err(windlass_workflow_model::Fault::new("handler-failed", "no")),
            _ => Ok(GroupResult::default()),
        });
        let errors = played.result.unwrap_err().errors;
        let said = errors.iter().find(|error| error.step == "use").unwrap();
        assert_eq!(said.code, "reference-unset", "{field}");
        assert_eq!(said.message, format!("env.V: {field} has no value {why}"));
    }
}

#[test]
fn a_start_is_refused_for_what_nothing_reads_and_for_values_of_another_type() {
    let refused = |text: &str, input: Json| {
        let definition = import(text, &options()).workflows.remove(0).definition;
        let refusals = start_refusals(&definition, &input, 0).into_iter();
        refusals
            .map(|refusal| (refusal.code.to_owned(), refusal.message))
            .collect::<Vec<_>>()
    };
    let plain = "name: ship\nsteps: [{name: a, type: t}]";
    let typed = "name: ship\nparameters: [{name: n, type: number}]\nsteps: [{name: a, type: t}]";
    for text in [plain, typed] {
        assert_eq!(
            refused(text, json!({"param": {}, "resources": {}, "context": {}, "variables": {"v": 1}, "process_env": {}})),
            [("input-invalid".to_owned(), "start of \"ship\": param is no key of an input (known: variables, parameters, resources, context); no reference would find what it holds; remove it or correct its name".to_owned())]
        );
        assert_eq!(
            refused(text, json!({"variables": {"v": [1], "w": {}, "x": null}})),
            [
                ("variable-not-scalar".to_owned(), "start of \"ship\": variable v is a list; variables hold one text each; join it".to_owned()),
                ("variable-not-scalar".to_owned(), "start of \"ship\": variable w is an object; variables hold one text each; join it".to_owned()),
            ]
        );
    }
    let told = refused(typed, json!({"parameters": {"n": "3"}}));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "parameter-invalid");
    assert_eq!(refused(typed, json!({"parameters": {"n": 3}})), []);
}

#[test]
fn a_called_workflow_gets_values_of_the_types_that_it_declares() {
    let text = "
name: ship
steps:
- {name: build, type: t}
- {name: sub, type: workflow, workflow: sub, parameters: {n: '${build.n}', b: '${build.b}', o: '${build.o}', s: '${build.n}', l: 2.0}}
---
name: sub
parameters: [{name: n, type: number}, {name: b, type: boolean}, {name: o, type: object}, {name: s, type: string}, {name: l, type: number}]
steps: [{name: make, type: t, env: {V: '${parameters.n} ${parameters.b} ${parameters.o.k} ${parameters.s} ${parameters.l}'}}]
";
    let mut options = options();
    options.document = Some("ship".to_owned());
    let played = play(text, &options, &json!({}), &|_, _| {
        Ok(GroupResult {
            outputs: json!({"b": true}),
            output_file: Some(Ok("{\"n\": 1.50, \"o\": {\"k\": [1e3]}}".to_owned())),
        })
    });
    assert_eq!(
        played.inputs["make"]["env"]["V"],
        "1.50 true [1e3] 1.50 2.0"
    );
}

#[test]
fn numbers_keep_the_digits_of_the_file_they_were_read_from() {
    let text = "
parameters:
- {name: n, type: number, default: 2.0}
- {name: o, type: object, default: {b: [1.50, 1e3, x], c: 0x1F}}
- {name: given, type: number}
steps:
- {name: build, type: t, outputFile: o.json, resource: r}
- name: use
  type: t
  config: {l: '${build.l}', one: '${build.l.1}', big: '${build.o.c}', o: '${build.o}', r: '${resources.r.l}', n: '${parameters.n}', p: '${parameters.o}', pb: '${parameters.o.b.1}', g: '${parameters.given}', h: '${build.h}'}
";
    let content = r#"{"l":[1.50,2.0,1e3],"o":{"c":12345678901234567890123,"t":"1.0"}}"#;
    // What a caller read of a file, it tells beside the values.
    let input = json!({"parameters": {"given": 3.5}, "digits": {"parameters": {"given": "3.50"}}});
    let played = play(text, &options(), &input, &|_, _| {
        Ok(GroupResult {
            outputs: json!({"h": [2.0, 1e21]}),
            output_file: Some(Ok(content.to_owned())),
        })
    });
    assert_eq!(
        played.inputs["use"]["config"],
        json!({
            "l": "[1.50,2.0,1e3]",
            "one": "2.0",
            "big": "12345678901234567890123",
            "o": r#"{"c":12345678901234567890123,"t":"1.0"}"#,
            "r": "[1.50,2.0,1e3]",
            "n": "2.0",
            "p": r#"{"b":[1.50,1e3,"x"],"c":0x1F}"#,
            "pb": "1e3",
            "g": "3.50",
            "h": "[2,1000000000000000000000]",
        })
    );
}

#[test]
fn an_output_file_is_named_and_one_without_a_name_is_no_file() {
    let text = "variables: {NONE: ''}\nsteps: [{name: a, type: t, outputFile: 'out/${NONE}.json'}]";
    let work = |_: &str, _: &Json| {
        Ok(GroupResult {
            outputs: json!({}),
            output_file: Some(Ok("[1]".to_owned())),
        })
    };
    let fault = run(text, &work).result.unwrap_err();
    assert_eq!(
        fault.errors[0].message,
        "out/.json holds a list; outputs need names; write one JSON object"
    );
    let text = text.replace("out/${NONE}.json", "$NONE");
    let played = run(&text, &work);
    assert_eq!(played.errors(), ["a: output-file-invalid"]);
    assert_eq!(played.done, [""; 0], "before its work");
    let played = run_leniently(&text, &idle);
    assert_eq!(played.inputs["a"]["output_file"], Json::Null);
    assert!(played.warnings[0].starts_with("output-file-invalid"));
}

#[test]
fn text_output_is_searched_and_has_to_be_text() {
    let text = "steps: [{name: a, type: t}, {name: b, type: t, env: {R: '${a.R}'}}]";
    let played = run(text, &|step, _| match step {
        "a" => gives(json!({"stdout": " OUTPUT_R=5\n"})),
        _ => Ok(GroupResult::default()),
    });
    assert_eq!(played.inputs["b"]["env"]["R"], "5");
    let outputs = windlass_dialects::run_outputs(&played.result.unwrap());
    assert_eq!(outputs["a"], json!({"stdout": " OUTPUT_R=5\n", "R": "5"}));
    let played = run("steps: [{name: a, type: t}]", &|_, _| {
        gives(json!({"stdout": 5}))
    });
    assert_eq!(
        played.warnings,
        ["stdout is 5, no text; nothing was read of it; return text"]
    );
}

#[test]
fn one_missing_value_is_warned_about_once() {
    let text = "
steps:
- {name: gate, type: t, if: 'false', setVariables: {GO: 'yes'}}
- {name: use, type: t, if: 'true', env: {V: $GO}}
";
    let played = run_leniently(text, &idle);
    assert_eq!(played.warnings.len(), 1, "{:?}", played.warnings);
}

#[test]
fn what_is_repaired_in_a_phase_comes_together_in_document_order_and_once() {
    let text = "
steps:
  - {name: gate, type: t, if: 'false', setVariables: {GO: 'yes'}}
  - {name: l, type: t, parallelGroup: 1, env: {V: $GO}}
  - {name: off, type: t, parallelGroup: 1, env: {V: $GO}, unless: $V == ''}
  - {name: both, type: t, parallelGroup: 1, dependsOn: [l, gate], env: {V: $GO}}
  - {name: last, type: t, parallelGroup: 1, dependsOn: [l, off], env: {V: $GO}}
  - {name: p, type: t, parallelGroup: 2, env: {V: $GO}}
  - {name: q, type: t, parallelGroup: 2, env: {V: $GO}}
  - {name: idle, type: t, env: {V: $GO}}
outputs: {go: $GO}
";
    let noted = |played: Played| {
        let warnings = run_notes(&played.result.expect("it succeeds")).warnings;
        let at = |text: &String| text.split("reference-unset").next().unwrap().to_owned();
        warnings.iter().map(at).collect::<Vec<_>>()
    };
    assert_eq!(
        noted(run_leniently(text, &idle)),
        [
            "step l: ",
            "step off: ",
            "step p: ",
            "step q: ",
            "step idle: ",
            ""
        ]
    );
    let strict = text.replace("env: {V: $GO}", "env: {V: x}");
    let strict = strict.replace("outputs: {go: $GO}", "");
    assert_eq!(noted(run(&strict, &idle)), [""; 0]);
}
