//! Playbooks that call others.

use serde_json::{Value as Json, json};
use windlass_dialects::{Mode, PlaybookFile, import};

use super::changed;
use crate::play::{codes_of, options};

const CHILD: &str = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";

/// What is said of a playbook that calls another, which these files may hold.
fn calling(files: &[(&str, String)]) -> Vec<String> {
    let mut options = options(Mode::Strict);
    let files = files.iter().map(|(file, text)| PlaybookFile {
        file: (*file).to_owned(),
        text: text.clone(),
    });
    options.cacao.playbooks = files.collect();
    let text = changed(|p| {
        p["steps"]["A"] =
            json!({ "type": "playbook-action", "playbook_id": CHILD, "on_completion": "e1" });
    });
    let found = import(&text, &options).diagnostics;
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_called_playbook_that_cannot_be_read_is_told_with_its_errors() {
    let child = |name: &str| {
        changed(|p| {
            p["id"] = CHILD.into();
            p["name"] = name.into();
        })
    };
    let broken = child("one").replacen("\"type\": \"playbook\",", "\"type\": ,", 1);
    let notes = "no playbook".to_owned();
    let found = calling(&[("notes.txt", notes), ("broken.json", broken)]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("playbook-not-found"), "{found:#?}");
    assert!(
        found[0].ends_with("correct what cannot be read in broken.json, or add it"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("broken.json:"), "{found:#?}");
    assert!(found[1].contains("document-syntax"), "{found:#?}");
    assert!(calling(&[])[0].ends_with("it could not run; add it"));
}

#[test]
fn two_playbooks_of_one_id_and_version_are_ambiguous() {
    let child = |name: &str, modified: &str| {
        changed(|p| {
            p["id"] = CHILD.into();
            p["name"] = name.into();
            p["modified"] = modified.into();
        })
    };
    let (old, new) = ("2025-02-01T00:00:00.000Z", "2025-03-01T00:00:00.000Z");
    let one = ("a.json", child("one", new));
    let found = calling(&[one.clone(), ("b.json", child("two", new))]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("playbook-ambiguous"), "{found:#?}");
    assert!(found[0].contains("a.json") && found[0].contains("b.json"));
    // An older version, or the same file twice, leaves nothing open.
    let fine = [
        one.clone(),
        ("b.json", child("two", old)),
        ("c.json", one.1.clone()),
    ];
    assert_eq!(calling(&fine), Vec::<String>::new());
}

#[test]
fn playbooks_that_call_each_other_too_deep_are_refused() {
    let id = |number: usize| format!("playbook--767d859e-7387-4e0c-95c0-45{number:010}");
    let calls = |p: &mut Json, number: usize| {
        p["steps"]["A"] =
            json!({ "type": "playbook-action", "playbook_id": id(number), "on_completion": "e1" });
    };
    let mut options = options(Mode::Strict);
    let files = (1..=3).map(|number| PlaybookFile {
        file: format!("{number}.json"),
        text: changed(|p| {
            p["id"] = id(number).into();
            if number < 3 {
                calls(p, number + 1);
            }
        }),
    });
    options.cacao.playbooks = files.collect();
    let text = changed(|p| calls(p, 1));
    options.cacao.max_playbook_depth = 3;
    assert_eq!(codes_of(&text, &options), Vec::<&str>::new());
    options.cacao.max_playbook_depth = 2;
    let found = import(&text, &options).diagnostics;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, "call-depth");
    assert!(found[0].message.contains("nested 3 deep"), "{}", found[0]);
}
