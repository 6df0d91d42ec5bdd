//! Databases that cannot be used: each a clear error, and nothing is lost.

use std::os::unix::fs::PermissionsExt;

use crate::lab::Lab;

const GOOD: &str = "name: w\nsteps: [{name: a, type: shell, config: {command: 'true'}}]\n";
const RUN: [&str; 4] = ["run", "w.yaml", "--allow", "shell"];

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let lab = Lab::with(GOOD);
    lab.write("windlass.db", &"this is no database ".repeat(500));
    let before = lab.read("windlass.db");
    lab.call(&RUN).expect(2).says(&["windlass.db", "database"]);
    lab.call(&["runs"]).expect(2).says(&["windlass.db"]);
    assert_eq!(lab.read("windlass.db"), before);
}

#[test]
fn a_newer_schema_is_refused_with_both_numbers() {
    let lab = Lab::with(GOOD);
    lab.call(&RUN).expect(0);
    let db = rusqlite::Connection::open(lab.path("windlass.db")).unwrap();
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    for words in [&RUN[..], &["runs"], &["resume"], &["cancel", "last"]] {
        lab.call(words).expect(2).says(&["1000", "newer"]);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let lab = Lab::with(GOOD);
    let db = rusqlite::Connection::open(lab.path("windlass.db")).unwrap();
    db.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')")
        .unwrap();
    drop(db);
    lab.call(&RUN).expect(2).says(&["windlass.db"]);
    let db = rusqlite::Connection::open(lab.path("windlass.db")).unwrap();
    let text: String = db
        .query_row("SELECT text FROM notes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(text, "mine");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_clear_refusal() {
    let lab = Lab::with(GOOD);
    let folder = lab.path("closed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Permissions do not bind the superuser; nobody can make files in /proc.
    let bound = std::fs::write(folder.join("probe"), "").is_err();
    let path = if bound {
        folder.join("w.db")
    } else {
        "/proc/w.db".into()
    };
    let path = path.to_str().unwrap();
    lab.call(&[&RUN[..], &["--db", path]].concat())
        .expect(2)
        .says(&[path]);
    lab.call(&["runs", "--db", path]).expect(2).says(&[path]);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    lab.call(&[&RUN[..], &["--db", "gone/w.db"]].concat())
        .expect(2)
        .says(&["gone/w.db"]);
}
