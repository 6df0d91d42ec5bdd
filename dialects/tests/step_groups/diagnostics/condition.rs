//! Conditions.

use windlass_dialects::import;

use crate::checks::{listing, options};
use crate::diagnostics::{check, check_step};

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
