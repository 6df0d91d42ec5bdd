//! `windlass.toml`, variables and flags from the outside.

use crate::lab::{Lab, ended};

#[test]
fn unknown_keys_stop_every_command_and_name_the_nearest() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write("windlass.toml", "runers = 2\n[admission]\nmax_pendng = 5\n");
    for words in [
        &["run", "w.yaml"][..],
        &["config"],
        &["runs"],
        &["check", "w.yaml"],
    ] {
        lab.call(words).expect(2).says(&[
            "windlass.toml:1",
            "\"runners\"",
            "windlass.toml:3",
            "\"admission.max_pending\"",
        ]);
    }
    std::fs::remove_file(lab.path("windlass.toml")).unwrap();
    let mut command = lab.command(&["config"]);
    ended(command.env("WINDLASS_RUNERS", "2").spawn().unwrap())
        .expect(2)
        .says(&["WINDLASS_RUNNERS"]);
    let refused = |name: &str| {
        let mut command = lab.command(&["config"]);
        ended(command.env(name, "2").spawn().unwrap()).expect(2).err
    };
    assert!(refused("WINDLASS_DB").contains("\"WINDLASS_DATABASE\""));
    assert!(!refused("WINDLASS_COLOURS").contains("did you mean"));
    let mut command = lab.command(&["config"]);
    ended(command.env("WINDLASS_CTX_RUN", "2").spawn().unwrap()).expect(0);
}

#[test]
fn the_database_comes_from_file_variable_or_flag() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: shell, config: {command: 'true'}}]\n");
    lab.write("other.toml", "database = 'file.db'\nallow = ['shell']\n");
    lab.call(&["run", "w.yaml", "--config", "other.toml"])
        .expect(0);
    let mut command = lab.command(&["run", "w.yaml", "--config", "other.toml"]);
    ended(
        command
            .env("WINDLASS_DATABASE", "variable.db")
            .spawn()
            .unwrap(),
    )
    .expect(0);
    lab.call(&["run", "w.yaml", "--config", "other.toml", "--db", "flag.db"])
        .expect(0);
    for name in ["file.db", "variable.db", "flag.db"] {
        let runs = lab.call(&["runs", "--db", name, "--json"]).expect(0).json();
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn a_handlers_file_with_mistakes_tells_all_of_them() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write(
        "h.toml",
        "[handlers.t]\ncomand = ['x']\ntimeout = 5\n[handlers.u]\nsimulate = 'soon'\n",
    );
    lab.call(&["run", "w.yaml", "--handlers", "h.toml"])
        .expect(2)
        .says(&[
            "h.toml:2",
            "\"command\"",
            "h.toml:3",
            "h.toml:5",
            "\"soon\"",
        ]);
}

#[test]
fn values_that_mean_nothing_are_refused_with_their_source() {
    let lab = Lab::new();
    lab.write(
        "windlass.toml",
        "runners = '3'\nlog = 'wran'\ndatabase = ''\n",
    );
    lab.call(&["config"]).expect(2).says(&[
        "windlass.toml:1: runners must be a whole number, found \"3\" (text); remove the quotes",
        "windlass.toml:2: log: \"wran\" is no level; levels are off, error, warn",
        "windlass.toml:3: database is empty",
    ]);
}
