//! What refuses the start of a run.

use serde_json::{Value as Json, json};
use windlass_dialects::{Mode, start_refusals};

use super::changed;
use crate::play::{accepted, options};

/// C11, and what else refuses a start.
#[test]
fn a_start_is_refused_for_what_the_playbook_or_its_input_says() {
    let year = |year: i64| (year - 1970) * 31_557_600_000;
    let refusals = |change: fn(&mut Json), input: Json, ignore: bool| {
        let mut options = options(Mode::Strict);
        options.cacao.ignore_validity = ignore;
        let imported = accepted(&changed(change), &options);
        let found = start_refusals(&imported.workflows[0].definition, &input, year(2026));
        found
            .into_iter()
            .map(|refusal| refusal.code)
            .collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(refusals(|_| {}, Json::Null, false), none);
    let expired: fn(&mut Json) = |p| p["valid_until"] = "2023-12-31T00:00:00Z".into();
    assert_eq!(refusals(expired, Json::Null, false), ["playbook-expired"]);
    assert_eq!(refusals(expired, Json::Null, true), none);
    assert_eq!(
        refusals(
            |p| p["valid_from"] = "2033-12-31T00:00:00Z".into(),
            Json::Null,
            false
        ),
        ["playbook-not-yet-valid"]
    );
    let revoked: fn(&mut Json) = |p| {
        p["revoked"] = true.into();
        p["valid_until"] = "2023-12-31T00:00:00Z".into();
    };
    assert_eq!(refusals(revoked, Json::Null, false), ["playbook-revoked"]);
    let external: fn(&mut Json) =
        |p| p["playbook_variables"]["__host__"] = json!({ "type": "integer", "external": true });
    assert_eq!(refusals(external, Json::Null, false), ["external-missing"]);
    assert_eq!(refusals(external, json!({ "__host__": 5 }), false), none);
    assert_eq!(
        refusals(external, json!({ "__host__": "five" }), false),
        ["variable-type"]
    );
    assert_eq!(
        refusals(|_| {}, json!({ "__n__": "1", "__gone__": "1" }), false),
        ["variable-not-external", "variable-not-external"]
    );
    assert_eq!(refusals(|_| {}, json!([1]), false), ["data-invalid"]);
}

#[test]
fn an_input_is_told_once_and_as_a_whole() {
    let external = changed(|p| {
        p["playbook_variables"]["__hot__"] = json!({ "type": "bool", "external": true });
    });
    let imported = accepted(&external, &options(Mode::Strict));
    let refusals = |input: Json| {
        let found = start_refusals(&imported.workflows[0].definition, &input, 0);
        let found = found.into_iter();
        let found = found.map(|refusal| format!("{}: {}", refusal.code, refusal.message));
        found.collect::<Vec<_>>()
    };
    let wrong = refusals(json!({ "__hot__": "maybe" }));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("variable-type"), "{wrong:?}");
    let beside = refusals(json!({ "variables": { "__hot__": "true" }, "__n__": "1" }));
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert!(
        beside[0].contains("data-invalid") && beside[0].contains("\"__n__\""),
        "{beside:?}"
    );
    let none = refusals(json!({ "variables": { "__hot__": "true" } }));
    assert_eq!(none, Vec::<String>::new());
}
