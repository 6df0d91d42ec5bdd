//! What is wrong with playbooks, by code: strict refuses, lenient repairs what its table lists.

mod calls;
mod conditions;
mod definitions;
mod documents;
mod flow;
mod policy;
mod start;

use serde_json::{Value as Json, json};
use windlass_dialects::{Mode, import};

use crate::play::{codes_of, options};
use crate::short::playbook;

fn small() -> Json {
    json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" }, "__s__": { "type": "string" }, "__b__": { "type": "bool" }, "__ip__": { "type": "ipv4-addr" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "on_completion": "e1" },
        },
    })
}

fn changed(change: impl Fn(&mut Json)) -> String {
    let mut short = small();
    change(&mut short);
    playbook(&short)
}

/// The codes in strict and in lenient mode.
fn codes(text: &str) -> (String, String) {
    let mut all = options(Mode::Strict);
    all.cacao.parallelizable = Some(true);
    let strict = codes_of(text, &all).join(" ");
    (strict, codes_of(text, &options(Mode::Lenient)).join(" "))
}

fn check(what: &str, text: &str, strict: &str, lenient: &str) {
    let found = codes(text);
    let shown: Vec<_> = import(text, &options(Mode::Strict))
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        (strict.to_owned(), lenient.to_owned()),
        "{what}: {shown:#?}"
    );
}

/// What is said of a playbook, without the place.
fn said(text: &str, mode: Mode) -> Vec<String> {
    let found = import(text, &options(mode)).diagnostics;
    let plain = |message: &str| message.split_once(' ').unwrap().1.to_owned();
    found.iter().map(|found| plain(&found.message)).collect()
}
