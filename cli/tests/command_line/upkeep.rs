//! `backup`, `restore` and `doctor`.

use serde_json::{Value, json};

use crate::lab::{Lab, ended, eventually, number, send};

const QUICK: &str = "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'true'}}\n";
const LONG: &str =
    "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'echo $$ > pid; sleep 100'}}\n";

fn runs(lab: &Lab) -> usize {
    let runs = lab.call(&["runs", "--json"]).expect(0).json();
    runs["runs"].as_array().or(runs.as_array()).unwrap().len()
}

/// The findings of one check.
fn findings(examination: &Value, check: &str) -> Vec<Value> {
    let all = examination["findings"].as_array().unwrap();
    let of_check = all.iter().filter(|finding| finding["check"] == check);
    of_check.cloned().collect()
}

#[test]
fn a_backup_can_be_put_back_and_what_was_there_is_kept() {
    let lab = Lab::with(QUICK);
    let run = ["run", "w.yaml", "--allow", "shell", "--json"];
    lab.call(&["backup", "copy.db"])
        .expect(2)
        .says(&["windlass.db"]);
    lab.call(&run).expect(0);
    lab.call(&["backup", "copy.db"]).expect(0);
    lab.call(&["backup", "copy.db"]).expect(2).says(&["exists"]);
    lab.call(&run).expect(0);
    assert_eq!(runs(&lab), 2);
    let restored = lab.call(&["restore", "copy.db", "--json"]).expect(0).json();
    assert_eq!(runs(&lab), 1);
    let replaced = restored["replaced"].as_str().unwrap();
    let before = lab.call(&["runs", "--json", "--db", replaced]).expect(0);
    assert_eq!(before.out.matches("succeeded").count(), 2);
    lab.call(&["restore", "nothing.db"])
        .expect(2)
        .says(&["nothing.db"]);
    lab.call(&["restore", "w.yaml"]).expect(2).says(&["w.yaml"]);
    assert_eq!(runs(&lab), 1);
}

#[test]
fn doctor_is_content_with_a_database_that_is_well() {
    let lab = Lab::with(QUICK);
    lab.call(&["doctor"]).expect(2).says(&["windlass.db"]);
    lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(0);
    let examination = lab.call(&["doctor", "--json"]).expect(0).json();
    assert_eq!(examination["severity"], "ok");
    for check in [
        "integrity",
        "log",
        "disk",
        "locks",
        "service",
        "joins",
        "parked",
    ] {
        assert_eq!(findings(&examination, check).len(), 1, "{check}");
    }
    let text = lab.call(&["doctor"]).expect(0).out;
    assert!(text.contains("ok      integrity"), "{text}");
}

#[test]
fn doctor_names_what_stands_still_since_its_engine_was_killed() {
    let lab = Lab::with(LONG);
    let engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("a runs", || number(&lab.path("pid")).is_some());
    let living = lab.call(&["doctor", "--json"]).expect(0).json();
    assert_eq!(
        (&living["engines"], &living["severity"]),
        (&json!(1), &json!("ok"))
    );
    send("KILL", &engine.id().to_string());
    ended(engine);
    let dead = lab.call(&["doctor", "--json"]).expect(0).json();
    assert_eq!(
        (&dead["engines"], &dead["severity"]),
        (&json!(0), &json!("warning"))
    );
    let (locks, service) = (findings(&dead, "locks"), findings(&dead, "service"));
    assert!(
        locks[0]["what"].as_str().unwrap().contains("which is dead"),
        "{locks:?}"
    );
    assert_eq!(
        service[0]["runs"].as_array().unwrap().len(),
        1,
        "{service:?}"
    );
    let compat = lab.call(&["doctor", "--compat", "--json"]).expect(0).json();
    assert_eq!(findings(&compat, "compat")[0]["severity"], "ok");
    // Without its owner file nothing proves that it is dead.
    std::fs::remove_dir_all(lab.path("windlass.db.owners")).unwrap();
    let unknown = lab.call(&["doctor", "--json"]).expect(1).json();
    let locks = findings(&unknown, "locks");
    assert_eq!(locks[0]["severity"], "problem", "{locks:?}");
    // As it advises:
    lab.call(&["backup", "copy.db"]).expect(0);
    lab.call(&["restore", "copy.db"]).expect(0);
    let cancelled = lab.call(&["cancel", "last", "--json"]).expect(0).json();
    assert_eq!(cancelled["cancelled"], true);
    lab.call(&["doctor"]).expect(0);
}

#[test]
fn doctor_and_a_new_engine_notice_that_the_log_of_a_living_one_is_gone() {
    let lab = Lab::with(LONG);
    let engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("a runs", || number(&lab.path("pid")).is_some());
    std::fs::remove_file(lab.path("windlass.db-wal")).unwrap();
    let lost = lab.call(&["doctor", "--json"]).expect(1).json();
    let log = findings(&lost, "log");
    assert_eq!(log[0]["severity"], "problem", "{log:?}");
    let refused = lab.call(&["cancel", "last"]).expect(2);
    assert!(refused.err.contains("is gone"), "{refused:?}");
    send("KILL", &engine.id().to_string());
    ended(engine);
}

#[test]
fn doctor_finds_a_damaged_file() {
    let lab = Lab::with(QUICK);
    lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(0);
    let path = lab.path("windlass.db");
    // Who looked on while the engine ended may have kept it from emptying its log, and what stands there
    // would be read in the place of what is damaged.
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(lab.path(&format!("windlass.db{suffix}")));
    }
    let mut bytes = std::fs::read(&path).unwrap();
    // Some pages may be free, and what stands there is nobody's; so all but the first.
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..2048].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    let examination = lab.call(&["doctor", "--json"]);
    assert!(
        examination.code == Some(1) || examination.code == Some(2),
        "{examination:?}"
    );
    assert!(
        examination.out.contains("restore a backup")
            || examination.err.contains("restore a backup"),
        "{examination:?}"
    );
}
