//! A process of our own to be killed: this test binary again, told what to do by its environment.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use windlass::{CommitPoint, Engine, EngineBuilder, RunOutcome, Workflow};

/// What the child does; also its role's name in the environment.
pub(crate) const ROLE: &str = "WINDLASS_TEST_ROLE";
pub(crate) const DATABASE: &str = "WINDLASS_TEST_DATABASE";
const KILL_AT: &str = "WINDLASS_TEST_KILL_AT";

/// Runs this binary's test `child::act` in a role, to be killed at a commit (`before 3`).
pub(crate) fn start(role: &str, database: &Path, kill_at: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child::act", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DATABASE, database)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(kill_at) = kill_at {
        command.env(KILL_AT, kill_at);
    }
    command.spawn().unwrap()
}

/// Kills this process as the kernel does, at once.
pub(crate) fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// The numbers of a run: which steps have put their mark, in the order of the merge.
pub(crate) type Marks = Vec<String>;

/// A sequence, a split with a split inside, a join each, and a wait.
pub(crate) fn workflow() -> Workflow<Marks> {
    let mark = |flow: windlass::Flow<Marks>, name: &'static str| {
        flow.step(name, move |_, marks: &mut Marks| {
            marks.push(name.to_owned());
            Ok(())
        })
    };
    let merge = |before: &mut Marks, results: Vec<windlass::BranchResult<Marks>>| {
        let known = before.len();
        before.extend(
            results
                .into_iter()
                .flat_map(|result| result.data.into_iter().skip(known)),
        );
        Ok(())
    };
    Workflow::build("sweep", "1", |flow| {
        let flow = mark(mark(flow, "a"), "b");
        let flow = flow.split("outer", |split| {
            split
                .branch("left", |flow| mark(mark(flow, "l1"), "l2"))
                .branch("right", |flow| {
                    let flow = mark(flow, "r1").split("inner", |split| {
                        split
                            .branch("x", |flow| mark(flow, "x1"))
                            .branch("y", |flow| mark(flow, "y1"))
                            .join(merge)
                    });
                    mark(flow, "r2")
                })
                .join(merge)
        });
        mark(flow.sleep("nap", Duration::from_millis(5)), "z")
    })
    .unwrap()
}

/// What every unharmed run gives.
pub(crate) const EXPECTED: [&str; 9] = ["a", "b", "l1", "l2", "r1", "x1", "y1", "r2", "z"];

pub(crate) fn builder(database: &Path) -> EngineBuilder {
    Engine::builder().database(database).runners(2).capacity(4)
}

/// Schedules the run of this database, once, and sees it to its end.
pub(crate) fn see_through(builder: EngineBuilder) -> Marks {
    let workflow = workflow();
    let engine = builder.workflow(&workflow).open().unwrap();
    let request = workflow.request(&Vec::new()).unwrap().dedupe_key("the one");
    let run = engine.scheduler().schedule_blocking(request).unwrap();
    let outcome = run.wait_blocking(Some(Duration::from_mins(1))).unwrap();
    let RunOutcome::Succeeded(data) = outcome else {
        panic!("it cannot fail: {outcome:?}")
    };
    engine.shutdown(Duration::from_secs(5));
    data.decode().unwrap()
}

#[test]
fn act() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let database = std::path::PathBuf::from(std::env::var_os(DATABASE).unwrap());
    let mut builder = builder(&database);
    if let Ok(kill_at) = std::env::var(KILL_AT) {
        let (phase, number) = kill_at.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let at = if phase == "before" {
            CommitPoint::Before(number)
        } else {
            CommitPoint::After(number)
        };
        builder = builder.commit_hook(Arc::new(move |point| {
            if point == at {
                die();
            }
        }));
    }
    match role.as_str() {
        "see-through" => assert_eq!(see_through(builder), EXPECTED),
        "serve" => {
            let _engine = builder.workflow(&workflow()).open().unwrap();
            loop {
                std::thread::park();
            }
        }
        "effects" => drop(super::effects::see_through(&database, builder)),
        "map" => super::map::play(&database),
        "soak load" => super::soak::produce(builder, &database),
        "soak serve" => super::soak::serve(builder),
        "stray engine" => super::stray_close::work_and_copy(builder, &database),
        "stray connection" => super::stray_close::write_and_copy(&database),
        "everything" => super::trace::do_everything(builder, &database),
        "everything twice" => super::trace::do_everything_twice(&database),
        "suffer" => super::poison::suffer(builder),
        "work" => super::two_processes::work(builder),
        other => panic!("no role {other}"),
    }
}
