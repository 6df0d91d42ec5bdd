//! Workflows, their fields, and options for all of them.

use windlass_dialects::import;

use crate::checks::{listing, options};
use crate::diagnostics::check;

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
fn options_that_would_start_nothing() {
    let mut options = options();
    options.max_concurrent_steps = 0;
    let imported = import("steps: [{name: a, type: t}]", &options);
    assert_eq!(
        listing(&imported),
        "ship.yaml: error[limit-invalid]: option max_concurrent_steps is 0; no step could ever start; use 1 or more"
    );
}
