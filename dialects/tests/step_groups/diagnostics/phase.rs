//! Groups, phases, and who waits for whom.

use windlass_dialects::{Severity, import};

use crate::checks::{codes, lenient, options};
use crate::diagnostics::{check, check_step};

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
