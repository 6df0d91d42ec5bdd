//! What a file is, before any workflow is read of it.

use windlass_dialects::{Severity, import};

use crate::checks::{codes, listing, options};
use crate::diagnostics::{check, check_step};

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
