//! The system calls of the binary: no command opens a database but by SQLite, or drops its own locks.

use windlass_faults::{locking, strace};

use crate::lab::Lab;

/// Each engine says that it is at work, and works until it may end.
const WAITS: &str = "\
name: w
steps:
  - {name: a, type: shell, config: {command: 'touch at-work-$$; until [ -e end ]; do sleep 0.02; done'}}
  - {name: b, type: shell, config: {command: 'true'}}
";

/// Two engines on one file, and every command that looks at it or copies it.
const SCRIPT: &str = r#"
set -e
run() { "$windlass" run w.yaml --allow shell --db "$db" >&2 & }
run; first=$!
run; second=$!
tries=0
until [ "$(ls at-work-* 2>/dev/null | wc -l)" = 2 ]; do
    tries=$((tries + 1)); [ $tries -lt 1000 ]; sleep 0.02
done
for command in runs 'show last' 'why last' doctor "backup $copy" 'cancel last'; do
    "$windlass" $command --db "$db" >&2
done
touch end
wait $first || [ $? != 101 ]
wait $second || [ $? != 101 ]
"$windlass" restore "$copy" --db "$db" >&2
"$windlass" show last --db "$db" >&2
"$windlass" doctor --db "$db" >&2 || [ $? = 1 ]
run; wait $!
"#;

#[test]
fn no_command_drops_the_locks_of_its_process() {
    let lab = Lab::with(WAITS);
    let place = lab.path("").canonicalize().unwrap();
    let Some(mut command) = strace(&place.join("trace")) else {
        eprintln!("skipped: there is no strace here; install it to see our system calls");
        return;
    };
    let (db, copy) = (place.join("windlass.db"), place.join("copy.db"));
    let done = command
        .args(["sh", "-c", SCRIPT])
        .current_dir(&place)
        .env("windlass", env!("CARGO_BIN_EXE_windlass"))
        .env("db", &db)
        .env("copy", &copy)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let trace = lab.read("trace");
    let locking = locking(&trace, &[&db, &copy]).unwrap();
    eprintln!("{locking:#?}");
    assert!(locking.strays.is_empty(), "{:#?}", locking.strays);
    // The trace has seen something: each command opens the database.
    assert!(
        locking.processes >= 12 && locking.locks > 100,
        "{locking:?}"
    );
}
