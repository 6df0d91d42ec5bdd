//! References and templates.

use windlass_dialects::{Severity, import};

use crate::checks::{codes, handlers, lenient, listing, options};
use crate::diagnostics::{check, check_step};

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
