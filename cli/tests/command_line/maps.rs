//! Maps from another process: `map add`, `close` and `complete`, what `show` says, and `results`.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::lab::{Lab, ended, eventually};

/// Two instances that take no time, and as many more as come; after it their data as a list.
const OPEN: &str = r#"{"name": "w", "version": "1", "start": "pages", "nodes": [
    {"name": "pages", "kind": {"map": {"count": {"fixed": 2}, "max_parallelism": 4, "body": "read",
        "join": "all", "open": true, "item": "={'page': index}", "on_failure": {"tolerate": 9}}}},
    {"name": "read", "kind": {"step": {"handler": "read"}}, "next": "all"},
    {"name": "all", "kind": {"join": {"split": "pages",
        "merge": "={'pages': branches.filter(b, has(b.data)).map(b, b.data.page)}"}}, "next": "after"},
    {"name": "after", "kind": {"await": {"event": "go"}}}
]}"#;

const RUN: [&str; 5] = ["run", "w.json", "--handlers", "h.toml", "--json"];

fn lab(handler: &str) -> Lab {
    let lab = Lab::new();
    lab.write("w.json", OPEN);
    lab.write("h.toml", &format!("[handlers.read]\n{handler}\n"));
    lab
}

/// Calls `map` with `--json` and gives its exit code and what it says.
fn change(lab: &Lab, words: &[&str]) -> (Option<i32>, Value) {
    let done = lab.call(&[&["map"], words, &["--json"]].concat());
    (done.code, done.json())
}

/// The map waits for items.
fn begun(lab: &Lab) {
    eventually("the map has begun", || {
        let why = lab.call(&["why", "last", "--json"]);
        why.code == Some(0) && why.out.contains("\"step\": \"all\"")
    });
}

#[test]
fn an_open_map_takes_items_until_it_is_closed() {
    let lab = lab("simulate = '1ms'");
    let engine = lab.start(&RUN);
    begun(&lab);
    let why = lab.call(&["why", "last"]).expect(0).out;
    let says = "; map \"pages\" is open to more items: windlass map add ";
    assert!(why.contains(says), "{why}");
    let why = lab.call(&["why", "last", "--json"]).expect(0).json();
    assert_eq!(why["branches"][0]["waits_for"]["open_map"], "pages");
    lab.write("items", "{\"page\": 12}\n\n{\"page\": 13}\n");
    let item = "{\"page\": 11}";
    let (code, told) = change(
        &lab,
        &["add", "last", "pages", "--item", item, "--items", "items"],
    );
    assert_eq!(code, Some(0));
    let run = lab.last_run()["run"]["run"].clone();
    assert_eq!(
        told,
        json!({"run": run, "map": "pages", "change": "add", "outcome": "done", "added": 3})
    );
    let added = lab.call(&["map", "add", "last", "pages", "--item", "{\"page\": 14}"]);
    assert!(
        added
            .expect(0)
            .out
            .starts_with("1 item is added to map \"pages\"")
    );
    let closed = lab.call(&["map", "close", "last", "pages"]).expect(0).out;
    assert!(closed.contains("is closed"), "{closed}");
    // It is over now, or no longer open: both change nothing.
    for words in [
        &["add", "last", "pages", "--item", "1"][..],
        &["close", "last", "pages"],
    ] {
        let (code, told) = change(&lab, words);
        assert_eq!(code, Some(2), "{told}");
        let outcome = told["outcome"].as_str().unwrap();
        assert!(["closed", "not-there"].contains(&outcome), "{told}");
    }
    eventually("the map is over", || {
        change(&lab, &["complete", "last", "pages"]).1["outcome"] == "not-there"
    });
    let late = lab.call(&["map", "complete", "last", "pages"]).expect(2);
    assert!(late.out.contains("nothing changed"), "{late:?}");
    lab.call(&["signal", "last", "go"]).expect(0);
    let run = ended(engine).expect(0).json()["runs"][0].clone();
    let pages = &run["outputs"]["pages"];
    assert_eq!(*pages, json!([0, 1, 11, 12, 13, 14]), "in index order");
    let (code, told) = change(&lab, &["add", "last", "pages", "--item", "1"]);
    assert_eq!((code, &told["outcome"]), (Some(2), &json!("run-ended")));
    assert_eq!(told["added"], 0);
}

#[test]
fn a_completed_map_goes_on_with_what_is_done() {
    let lab = lab("simulate = '100s'");
    let engine = lab.start(&RUN);
    begun(&lab);
    let done = lab.call(&["map", "complete", "last", "pages"]).expect(0);
    assert!(done.out.contains("is completed"), "{done:?}");
    lab.call(&["signal", "last", "go"]).expect(0);
    let run = ended(engine).expect(0).json()["runs"][0].clone();
    assert_eq!(run["outputs"]["pages"], json!([]), "all was withdrawn");
}

#[test]
fn what_cannot_be_added_is_refused_with_its_place() {
    let lab = lab("simulate = '1ms'");
    lab.call(&["map", "close", "last", "pages"])
        .expect(2)
        .says(&["windlass.db"]);
    let mut engine = lab.start(&RUN);
    begun(&lab);
    lab.write("items", "1\n{\n");
    let add = ["map", "add", "last", "pages"];
    for (words, says) in [
        (&["--item", "a"][..], "--item: the item is no JSON"),
        (&["--items", "items"], "items:2: the item is no JSON"),
        (&["--items", "gone"], "gone cannot be read"),
        (&[], "--item"),
    ] {
        lab.call(&[&add[..], words].concat())
            .expect(2)
            .says(&[says]);
    }
    for (map, says) in [
        ("page", "name one of its maps (pages)"),
        ("read", "has no map \"read\""),
    ] {
        lab.call(&["map", "close", "last", map])
            .expect(2)
            .says(&[says]);
    }
    lab.call(&["map", "close", "zz", "pages"])
        .expect(2)
        .says(&["zz"]);
    let shown = lab.last_run();
    let steps = shown["steps"].as_array().unwrap();
    let read = steps.iter().filter(|step| step["step"] == "read");
    assert_eq!(read.count(), 2, "nothing was added: {steps:?}");
    lab.call(&["cancel", "last"]).expect(0);
    engine.wait().unwrap();
}

#[test]
fn results_are_printed_while_the_map_goes_on_and_after_the_run() {
    let lab = lab("command = ['sh', '-c', 'grep -q page.:1 && exit 1; echo {}']");
    let engine = lab.start(&RUN);
    begun(&lab);
    eventually("the first two have ended", || {
        lab.last_run()["maps"][0]["running"] == 0
    });
    let show = lab.last_run();
    let map = &show["maps"][0];
    for (field, value) in [
        ("map", json!("pages")),
        ("open", json!(true)),
        ("added", json!(2)),
        ("waiting", json!(0)),
        ("succeeded", json!(1)),
        ("failed", json!(1)),
        ("cancelled", json!(0)),
    ] {
        assert_eq!(map[field], value, "{field} of {map}");
    }
    let text = lab.call(&["show", "last"]).expect(0).out;
    let says = "pages: 2 items, open to more: 1 succeeded, 1 failed\n    windlass results ";
    assert!(text.contains(says), "{text}");
    let lines = |words: &[&str]| {
        let words = [&["results", "last", "pages", "--json"], words].concat();
        let out = lab.call(&words).expect(0).out;
        let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let found = lines(&[]);
    assert_eq!(found.len(), 2);
    let first = json!({"index": 0, "status": "succeeded", "late": false,
        "output": {"page": 0, "steps": {"read": {"outputs": {}}}}, "errors": [], "reason": null});
    assert_eq!(found[0], first);
    let failed = &found[1];
    assert_eq!(
        (
            &failed["status"],
            &failed["output"],
            &failed["errors"][0]["step"]
        ),
        (&json!("failed"), &Value::Null, &json!("read"))
    );
    let text = lab.call(&["results", "last", "pages"]).expect(0).out;
    assert!(text.starts_with("0  succeeded  {\"page\":0"), "{text}");
    assert!(text.contains("\n1  failed  read: exit code 1"), "{text}");

    lab.call(&["map", "close", "last", "pages"]).expect(0);
    lab.call(&["signal", "last", "go"]).expect(0);
    ended(engine).expect(0);
    assert_eq!(lines(&[]), found);
    let activation = map["activation"].as_str().unwrap();
    assert_eq!(lines(&["--activation", activation]), found);
    for (words, says) in [
        (
            &["pages", "--activation", "1"][..],
            "under activation 0000000000000001",
        ),
        (&["pages", "--activation", "x"], "up to 16 digits"),
        (&["all"], "name one of its maps (pages)"),
    ] {
        let words = [&["results", "last"], words].concat();
        lab.call(&words).expect(2).says(&[says]);
    }
}

#[test]
fn results_of_a_map_that_was_not_begun_are_refused_and_nobody_reading_is_no_error() {
    let lab = lab("simulate = '1ms'");
    let waits = OPEN.replace("\"start\": \"pages\"", "\"start\": \"wait\"").replace(
        "\"nodes\": [",
        "\"nodes\": [{\"name\": \"wait\", \"kind\": {\"await\": {\"event\": \"begin\"}}, \"next\": \"pages\"},",
    );
    lab.write(
        "w.json",
        &waits.replace("{\"fixed\": 2}", "{\"fixed\": 3000}"),
    );
    // Nobody reads the lines of three thousand steps, so they may not fill a pipe.
    let mut engine = lab.command(&RUN).stderr(Stdio::null()).spawn().unwrap();
    eventually("it waits", || {
        lab.call(&["why", "last"]).out.contains("event \"begin\"")
    });
    lab.call(&["results", "last", "pages"])
        .expect(2)
        .says(&["has not begun map \"pages\"", "windlass why"]);
    lab.call(&["signal", "last", "begin"]).expect(0);
    eventually("all have ended", || {
        lab.last_run()["maps"][0]["succeeded"] == 3_000
    });
    let all = lab.call(&["results", "last", "pages"]).expect(0).out;
    assert_eq!(all.lines().count(), 3_000);
    let mut reader = lab.start(&["results", "last", "pages"]);
    drop(reader.stdout.take());
    ended(reader).expect(0);
    lab.call(&["cancel", "last"]).expect(0);
    engine.wait().unwrap();
}
