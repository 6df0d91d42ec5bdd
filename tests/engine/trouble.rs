//! Bad days: other engines, other files, no room. Each gives a clear error, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use windlass::{
    AdmitError, EngineError, Inspector, OpenError, RunOutcome, ScheduleError, StepError,
    StorageError, Workflow,
};
use windlass_store::{Options, Store};

use crate::harness::*;

fn one_step() -> Workflow<Trail> {
    Workflow::build("one", "1", |flow| flow.step("a", mark("a"))).expect("it is sound")
}

#[test]
fn two_engines_on_one_file_share_the_work() {
    // Two runs whose steps wait for each other, and one Runner in each engine: both must take one.
    // Both are awaited where they were scheduled.
    let place = Place::file();
    let meeting = Meeting::new();
    let meet = meeting.clone();
    let flow = Workflow::<Trail>::build("pair", "1", |flow| {
        flow.step("meet", move |_, _| {
            meet.arrive();
            if meet.wait_for(2) {
                Ok(())
            } else {
                Err(StepError::failed("the other engine did not come"))
            }
        })
        .step("after", mark("after"))
    })
    .unwrap();
    let first = place.builder().workflow(&flow).open().unwrap();
    let second = place.builder().workflow(&flow).open().unwrap();
    let runs = [(); 2].map(|()| begin(&first, &flow, &Trail::new()));
    for run in &runs {
        assert_eq!(data::<Trail>(end_of(run)), ["after"]);
    }
    second.shutdown(PATIENCE);
    assert_no_leftovers(&first);
}

#[test]
fn a_step_is_withdrawn_from_another_engine_though_its_branch_is_stored_at_the_wait_before_it() {
    let place = Place::file();
    let flow = Workflow::<Trail>::build("other", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("one", |flow| {
                    flow.wait_event("wait", "go", |_, _: String| {}).step_async(
                        "task",
                        |context, trail| async move {
                            context.cancelled().await;
                            Ok(trail)
                        },
                    )
                })
                .branch("two", |flow| flow.step("two", mark("two")))
                .join(gather)
        })
    })
    .unwrap();
    let clock = standing_clock();
    let builder = place.builder().clock(clock.clone());
    let mut works = Stepped::open(builder.clone().workflow(&flow));
    let mut asks = Stepped::open(builder);
    let run = works.begin(&flow, &Trail::new());
    works.settle();
    works.signal(event(run, "go", "1", "now"));
    works.settle();
    let scheduler = asks.scheduler.clone();
    let wait = asks
        .ask(scheduler.cancel_node(run, "wait", "test"))
        .unwrap();
    assert_eq!(wait, 0, "it is over");
    let task = asks
        .ask(scheduler.cancel_node(run, "task", "test"))
        .unwrap();
    assert_eq!(task, 1);
    // When the other one looks what was written beside it, it tells its step.
    clock.advance(Duration::from_millis(50));
    works.settle();
    assert_eq!(works.data::<Trail>(run), ["two"]);
    works.assert_no_leftovers();
}

#[test]
fn an_engine_goes_on_with_the_jobs_of_one_that_is_gone() {
    // Jobs that the first engine had locked are free as soon as the second one has opened.
    let place = Place::file();
    let flow = one_step();
    let mut first = Stepped::open(place.builder().workflow(&flow));
    let runs: Vec<_> = (0..10).map(|_| first.begin(&flow, &Trail::new())).collect();
    drop(first);
    let mut second = Stepped::open(place.builder().workflow(&flow));
    second.settle();
    for run in runs {
        assert_eq!(second.data::<Trail>(run), ["a"]);
    }
    second.assert_no_leftovers();
}

/// A file with a run that waits, written by an engine that has gone; `edit` may damage it.
fn edited(edit: impl Fn(&mut Vec<u8>)) -> (Place, windlass::RunId) {
    let place = Place::file();
    let flow = one_step();
    let run = Stepped::open(place.builder().workflow(&flow)).begin(&flow, &Trail::new());
    // Only a connection that may write empties the log when it is the last one to go.
    drop(Store::open(&place.path(), Options::default(), standing_clock(), None).expect("it opens"));
    let wal = place.path().with_extension("db-wal");
    assert!(!wal.exists(), "all is in the file itself");
    let mut bytes = fs::read(place.path()).expect("it is there");
    edit(&mut bytes);
    fs::write(place.path(), bytes).expect("it is ours");
    (place, run)
}

/// The number at `offset` of a SQLite header.
fn set(bytes: &mut [u8], offset: usize, number: i32) {
    bytes[offset..offset + 4].copy_from_slice(&number.to_be_bytes());
}

const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

#[track_caller]
fn refused(place: &Place) -> OpenError {
    let before = fs::read(place.path()).ok();
    let error = place
        .builder()
        .workflow(&one_step())
        .open()
        .expect_err("it is refused");
    assert_eq!(fs::read(place.path()).ok(), before, "it was not changed");
    let view = Inspector::open(&place.path());
    assert!(view.is_err(), "nor can it be looked into");
    let EngineError::Open(error) = error else {
        panic!("not about opening: {error:?}");
    };
    let text = error.to_string();
    assert!(text.contains("windlass.db"), "it says which file: {text}");
    error
}

#[test]
fn a_file_of_a_newer_schema_is_refused_and_kept_as_it_is() {
    let (place, run) = edited(|bytes| set(bytes, USER_VERSION, 9_999));
    let error = refused(&place);
    let OpenError::NewerSchema { found, known, .. } = error else {
        panic!("it is newer: {error:?}");
    };
    assert!(found == 9_999 && known < found);
    // With its own version again everything is there.
    let mut bytes = fs::read(place.path()).unwrap();
    set(&mut bytes, USER_VERSION, i32::try_from(known).unwrap());
    fs::write(place.path(), bytes).unwrap();
    let mut engine = Stepped::open(place.builder().workflow(&one_step()));
    engine.settle();
    assert_eq!(engine.data::<Trail>(run), ["a"]);
    engine.assert_no_leftovers();
}

#[test]
fn a_database_of_another_program_is_refused_and_kept_as_it_is() {
    for id in [0x4f54_4852, 0] {
        let (place, _) = edited(|bytes| set(bytes, APPLICATION_ID, id));
        let error = refused(&place);
        let OpenError::Foreign { found, .. } = error else {
            panic!("it is not ours: {error:?}");
        };
        assert_eq!(found, i64::from(id));
    }
}

#[test]
fn a_corrupt_file_is_refused_and_kept_as_it_is() {
    let damages: [(&str, fn(&mut Vec<u8>)); 3] = [
        ("no database at all", |bytes| {
            *bytes = b"shopping list\n".repeat(400);
        }),
        ("a damaged schema", |bytes| bytes[100..4_000].fill(0x5a)),
        ("cut off", |bytes| bytes.truncate(4_096 * 2)),
    ];
    for (what, damage) in damages {
        let (place, _) = edited(damage);
        let error = refused(&place);
        assert!(
            matches!(error, OpenError::NotADatabase { .. }),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_a_clear_error() {
    // Who may write everywhere (root) is shown a path below a file instead of a read-only folder.
    let place = Place::file();
    let folder = place.path().with_file_name("locked");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let mut path = folder.join("windlass.db");
    if fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("this user may write anywhere: a path below a file stands in");
        path = folder.join("probe").join("windlass.db");
    }
    let missing = place.path().with_file_name("nowhere").join("windlass.db");
    for path in [path, missing] {
        let error = place.builder().database(&path).open().unwrap_err();
        let EngineError::Open(OpenError::Open { path: named, why }) = error else {
            panic!("not about opening: {error:?}");
        };
        assert_eq!(named, path);
        assert!(why.contains(';'), "it says what to do: {why}");
        assert!(!path.exists(), "nothing was made");
    }
}

/// Set for the copy of this program that has to live with a limit, to its database.
const CHILD: &str = "WINDLASS_TEST_CHILD";

/// Runs the test `name` of this program once more, as a child that finds its database in [`CHILD`];
/// `shell` is what a shell does before it.
fn child(name: &str, shell: &str, database: &Path) -> std::process::Output {
    let program = std::env::current_exe().expect("this program");
    Command::new("sh")
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" --exact {name} --nocapture"))
        .arg(program)
        .env(CHILD, database)
        .output()
        .expect("there is a shell")
}

/// Schedules runs with large inputs until one is refused; gives what was acknowledged, and the
/// refusal.
fn fill(
    engine: &windlass::Engine,
    flow: &Workflow<Trail>,
) -> (Vec<windlass::RunHandle>, ScheduleError) {
    let large = vec!["x".repeat(64 << 10)];
    let mut acknowledged = Vec::new();
    for _ in 0..10_000 {
        let request = flow.request(&large).expect("text is JSON");
        match engine.scheduler().schedule_blocking(request) {
            Ok(run) => acknowledged.push(run),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("there is no limit");
}

#[test]
fn a_full_disk_refuses_at_the_door_and_work_resumes_when_there_is_room() {
    // A real one of 16 MiB, in a mount namespace of the child's own; where the system does not allow
    // that the test says so and shows nothing. A large file beside the database takes the room and
    // gives it back.
    if let Some(database) = std::env::var_os(CHILD) {
        let database = Path::new(&database);
        let flow = one_step();
        let builder = windlass::Engine::builder().database(database).runners(0);
        let engine = builder.workflow(&flow).open().unwrap();
        let ballast = database.with_extension("ballast");
        fs::write(&ballast, vec![0; 12 << 20]).unwrap();
        let (runs, error) = fill(&engine, &flow);
        let ScheduleError::Refused(AdmitError::Storage { value, source }) = error else {
            panic!("a full disk is a refusal: {error:?}");
        };
        assert!(matches!(source, StorageError::Full), "{source:?}");
        assert_eq!(value.len(), 1, "handed back");
        assert!(!runs.is_empty(), "some fitted");
        fs::remove_file(ballast).unwrap();
        engine.set_runners(1);
        for run in &runs {
            assert!(matches!(end_of(run), RunOutcome::Succeeded(_)));
        }
        let late = begin(&engine, &flow, &Trail::new());
        assert_eq!(
            data::<Trail>(end_of(&late)),
            ["a"],
            "the door is open again"
        );
        assert_no_leftovers(&engine);
        return;
    }
    let place = Place::file();
    let folder = place.path().with_file_name("small");
    fs::create_dir(&folder).unwrap();
    let name = "trouble::a_full_disk_refuses_at_the_door_and_work_resumes_when_there_is_room";
    let database = folder.join("windlass.db");
    let mount = format!(
        "mount -t tmpfs -o size=16m tmpfs '{}' || exit 77;",
        folder.display()
    );
    let inner = format!(
        "unshare --mount --map-root-user sh -c '{}' || exit 77;",
        "true"
    );
    if !Command::new("sh")
        .arg("-c")
        .arg(inner)
        .status()
        .unwrap()
        .success()
    {
        eprintln!("no mount namespaces here: a full disk is not shown");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg(format!("{mount} exec \"$0\" --exact {name} --nocapture"))
        .arg(program)
        .env(CHILD, &database)
        .output()
        .unwrap();
    if output.status.code() == Some(77) {
        eprintln!("no small disk can be mounted here: a full disk is not shown");
        return;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_write_that_fails_closes_the_store_and_loses_nothing_that_was_acknowledged() {
    // Stands for an I/O error: the child may not make files beyond 4 MiB. The store is closed with a
    // typed error; a new engine without the limit finds every acknowledged run.
    if let Some(database) = std::env::var_os(CHILD) {
        let flow = one_step();
        let builder = windlass::Engine::builder().database(Path::new(&database));
        let engine = builder.runners(0).workflow(&flow).open().unwrap();
        let (runs, error) = fill(&engine, &flow);
        let ScheduleError::Refused(error) = error else {
            panic!("not a refusal of the store: {error:?}");
        };
        let typed = matches!(error, AdmitError::Unknown(_) | AdmitError::Storage { .. });
        assert!(typed, "{error:?}");
        for run in &runs {
            eprintln!("acknowledged {}", run.id());
        }
        engine.shutdown(Duration::ZERO);
        return;
    }
    let place = Place::file();
    let name =
        "trouble::a_write_that_fails_closes_the_store_and_loses_nothing_that_was_acknowledged";
    // In blocks of 512 bytes; and the signal must not end the child.
    let output = child(name, "trap '' XFSZ; ulimit -f 8192;", &place.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let acknowledged: Vec<windlass::RunId> = said
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "))
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(!acknowledged.is_empty(), "{said}");
    let mut engine = Stepped::open(place.builder().workflow(&one_step()));
    engine.settle();
    for run in acknowledged {
        assert_eq!(engine.data::<Trail>(run).len(), 2);
    }
    engine.assert_no_leftovers();
}

struct Bomb;

impl std::task::Wake for Bomb {
    fn wake(self: std::sync::Arc<Self>) {
        panic!("a waker of the caller's own");
    }
}

#[test]
fn a_caller_whose_waker_panics_harms_nobody_else() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("w", "1", |flow| flow.step("a", mark("a"))).unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let scheduler = engine.scheduler();
        let waker = std::task::Waker::from(std::sync::Arc::new(Bomb));
        let mut context = std::task::Context::from_waker(&waker);
        let request = flow.request(&Trail::new()).unwrap();
        let mut asked = std::pin::pin!(scheduler.schedule(request));
        let _ = std::future::Future::poll(asked.as_mut(), &mut context);
        for _ in 0..3 {
            let run = begin(&engine, &flow, &Trail::new());
            assert_eq!(data::<Trail>(end_of(&run)), ["a"]);
        }
    });
}

#[test]
fn a_long_step_that_was_there_in_two_crashes_does_not_hold_up_the_rest_for_ever() {
    let place = Place::file();
    let gate = Gate::closed();
    let at_gate = gate.clone();
    let flow = Workflow::<Trail>::build("long", "1", |flow| {
        flow.step_async("long", move |_, trail| {
            let gate = at_gate.clone();
            async move {
                gate.pass().await;
                Ok(trail)
            }
        })
    })
    .unwrap();
    let clock = standing_clock();
    let builder = place.builder().in_flight(2).clock(clock.clone());
    let builder = builder.workflow(&flow);
    let mut engine = Stepped::open(builder.clone());
    for _ in 0..2 {
        engine.begin(&flow, &Trail::new());
    }
    for crash in 1..=2 {
        engine.settle();
        assert_eq!(gate.waiting(), 2 * crash, "both are at work");
        // As if it were killed: nobody is asked, and nothing is written.
        drop(engine);
        engine = Stepped::open(builder.clone());
    }
    let before = gate.waiting();
    engine.settle();
    assert_eq!(gate.waiting(), before + 1, "one runs alone");
    clock.advance(Duration::from_secs(7));
    engine.settle();
    assert_eq!(gate.waiting(), before + 1, "for a while");
    // New work goes on beside it.
    let run = engine.begin(&flow, &Trail::new());
    clock.advance(Duration::from_secs(1));
    engine.settle();
    assert_eq!(gate.waiting(), before + 2);
    gate.let_pass(8);
    engine.settle();
    // And the other suspect has its turn when nothing else is at work.
    clock.advance(Duration::from_secs(10));
    engine.settle();
    assert_eq!(engine.data::<Trail>(run), Trail::new());
    engine.assert_no_leftovers();
}
