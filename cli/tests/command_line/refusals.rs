//! What is refused before anything runs: exit code 2, every reason at once, and no run stored.

use crate::lab::Lab;

fn nothing_ran(lab: &Lab) {
    assert!(
        !lab.path("windlass.db").exists(),
        "refused before the database was opened"
    );
}

#[test]
fn missing_handlers_and_kinds_that_are_not_allowed_are_all_listed() {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: helm}\n  - {name: b, type: shell, config: {command: ls}}\n  - {name: c, type: tf}\n  - {name: d, type: shell, config: {}}\n",
    );
    let done = lab.call(&["run", "w.yaml"]).expect(2);
    let done = done.says(&[
        "helm",
        "tf",
        "no-handler",
        "--allow shell",
        "config.command",
    ]);
    assert_eq!(done.out, "");
    nothing_ran(&lab);
}

#[test]
fn input_and_parameters_that_nobody_takes_are_refused() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write("h.toml", "[handlers.t]\nsimulate = '1ms'\n");
    let run = ["run", "w.yaml", "--handlers", "h.toml"];
    for (flags, word) in [
        (["--input", "[1]"], "no object"),
        (["--input", "{"], "no JSON"),
        (["--input", "@gone.json"], "gone.json"),
        (["--param", "size=5"], "declares no parameter \"size\""),
        (["--document", "x"], "x"),
    ] {
        lab.call(&[&run[..], &flags].concat())
            .expect(2)
            .says(&[word]);
    }
    nothing_ran(&lab);
}

#[test]
fn words_that_are_no_words_of_the_command_line_exit_with_2() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.call(&["rum"]).expect(2).says(&["run"]);
    lab.call(&["run", "w.yaml", "--allow", "shel"])
        .expect(2)
        .says(&["\"shell\""]);
    lab.call(&["run", "gone.yaml"])
        .expect(2)
        .says(&["gone.yaml", "cannot be read"]);
    lab.call(&["run", "w.yaml", "--handlers", "gone.toml"])
        .expect(2)
        .says(&["gone.toml"]);
    lab.call(&["runs", "--status", "runing"])
        .expect(2)
        .says(&["\"running\""]);
    lab.call(&["--help"]).expect(0);
    nothing_ran(&lab);
}

#[test]
fn a_run_that_is_not_there_is_refused() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: shell, config: {command: 'true'}}]\n");
    for words in [
        &["show", "last"][..],
        &["why", "last"],
        &["cancel", "last"],
        &["signal", "last", "e"],
        &["retry", "last"],
        &["resume", "last"],
    ] {
        lab.call(words).expect(2).says(&["windlass.db"]);
    }
    nothing_ran(&lab);
    lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(0);
    for words in [
        &["show", "zz"][..],
        &["why", "zz"],
        &["cancel", "zz"],
        &["signal", "zz", "e"],
        &["retry", "zz"],
        &["resume", "zz"],
    ] {
        lab.call(words).expect(2).says(&["zz"]);
    }
}

#[test]
fn with_json_a_refusal_is_an_object_on_stdout_too() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    let message = |words: &[&str]| {
        let done = lab.call(&[words, &["--json"]].concat()).expect(2);
        let json = done.json();
        let message = json["error"]["message"].as_str().unwrap().to_owned();
        assert!(done.err.contains(&message), "{done:?}");
        (message, json)
    };
    let (_, json) = message(&["run", "w.yaml"]);
    assert_eq!(json["diagnostics"][0]["code"], "no-handler");
    let (found, json) = message(&["check", "gone.yaml"]);
    assert!(found.contains("gone.yaml") && json.get("diagnostics").is_none());
    lab.write("h.toml", "[handlers.t]\nsimulate = '1ms'\n");
    lab.call(&["run", "w.yaml", "--handlers", "h.toml"])
        .expect(0);
    assert!(message(&["show", "zz"]).0.contains("zz"));
    assert!(message(&["retry", "last"]).0.contains("has ended"));
}

#[test]
fn a_full_stdout_takes_nothing_from_the_run() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write("h.toml", "[handlers.t]\nsimulate = '1ms'\n");
    let mut command = lab.command(&["run", "w.yaml", "--handlers", "h.toml"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let done = crate::lab::ended(command.stdout(full.unwrap()).spawn().unwrap()).expect(1);
    done.says(&[
        "stdout could not be written",
        "itself ended (succeeded)",
        "windlass show ",
    ]);
}
