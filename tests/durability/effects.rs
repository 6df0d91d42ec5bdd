//! Effects and undoing through the kill sweep: what steps do to the world, each class of effect as it
//! says, and a saga that goes on undoing where it was.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::{
    Context, Durability, EngineBuilder, Fault, Inspector, RunId, RunOutcome, StepError, StepStatus,
    StepView, Workflow,
};

use crate::child::{Marks, builder, start};

/// What steps have done to the outside: a file to which each adds a line. It outlives every process.
#[derive(Clone)]
struct World(PathBuf);

impl World {
    fn beside(database: &Path) -> Self {
        Self(database.with_extension("world"))
    }

    fn add(&self, line: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(&self.0).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// What was added after `prefix`, in order.
    fn lines(&self, prefix: &str) -> Vec<String> {
        let all = fs::read_to_string(&self.0).unwrap_or_default();
        let of_prefix = all.lines().filter_map(|line| line.strip_prefix(prefix));
        of_prefix.map(str::to_owned).collect()
    }
}

fn mark(name: &'static str) -> impl Fn(&Context, &mut Marks) -> Result<(), StepError> {
    move |_, marks| {
        marks.push(name.to_owned());
        Ok(())
    }
}

fn fail(_: &Context, _: &mut Marks) -> Result<(), StepError> {
    Err(StepError::failed("no"))
}

/// A step of each class of effect, a scope that fails and is recovered from, a race, and a failure
/// that undoes the rest.
fn workflow(world: &World) -> Workflow<Marks> {
    let undo = |name: &'static str| {
        let world = world.clone();
        move |context: &Context, _: &Marks| {
            world.add(&format!("undo {name} {}", context.idempotency_key()));
            Ok(())
        }
    };
    let (calls, pays, paid) = (world.clone(), world.clone(), world.clone());
    Workflow::build("effects", "1", |flow| {
        flow.step("write", |context, marks: &mut Marks| {
            context
                .execute("INSERT INTO notes (note) VALUES ('written')", [])
                .map_err(|error| StepError::failed(error.to_string()))?;
            mark("write")(context, marks)
        })
        .transactional()
        .undo(undo("write"))
        .step("call", move |context, marks: &mut Marks| {
            calls.add(&format!("call {}", context.idempotency_key()));
            mark("call")(context, marks)
        })
        .idempotent(|marks| format!("after {marks:?}"))
        .step("pay", move |context, marks: &mut Marks| {
            pays.add("pay");
            mark("pay")(context, marks)
        })
        .at_most_once_or(move |context, marks| {
            if paid.lines("pay").is_empty() {
                return Err(StepError::not_done());
            }
            mark("pay")(context, marks)
        })
        .undo(undo("pay"))
        .scope("trip", |flow| {
            flow.step("hotel", mark("hotel"))
                .undo(undo("hotel"))
                .step("flight", mark("flight"))
                .undo(undo("flight"))
                .step("no-car", fail)
        })
        .recover(|_, _| {}, |flow| flow.step("stay", mark("stay")))
        .race("ride", |race| {
            race.branch("taxi", |flow| {
                flow.scope("called", |flow| {
                    flow.step("taxi", mark("taxi"))
                        .undo(undo("taxi"))
                        .milestone("on-its-way", "on-its-way")
                        .wait_event("arrives", "arrives", |_, (): ()| {})
                })
            })
            .branch("friend", |flow| {
                flow.step("friend", mark("friend")).only_while("on-its-way")
            })
        })
        .scope("dinner", |flow| {
            flow.step("table", mark("table")).undo(undo("table"))
        })
        .step("no-guests", fail)
    })
    .unwrap()
}

/// What is undone, in this order: what the failed scope did, what the losing one did, the rest when
/// the run fails.
const UNDONE: [&str; 6] = ["flight", "hotel", "taxi", "table", "pay", "write"];

/// The steps that succeed.
const DONE: [&str; 9] = [
    "write", "call", "pay", "hotel", "flight", "stay", "taxi", "friend", "table",
];

/// Schedules the run of this database, once, and sees it to its end.
pub(crate) fn see_through(database: &Path, builder: EngineBuilder) -> (RunId, Fault) {
    let workflow = workflow(&World::beside(database));
    let builder = builder.durability(Durability::Normal).changes_per_commit(1);
    let engine = builder.workflow(&workflow).open().unwrap();
    let own = rusqlite::Connection::open(database).unwrap();
    own.execute_batch("CREATE TABLE IF NOT EXISTS notes (note TEXT NOT NULL)")
        .unwrap();
    let request = workflow.request(&Vec::new()).unwrap().dedupe_key("the one");
    let run = engine.scheduler().schedule_blocking(request).unwrap();
    let outcome = run.wait_blocking(Some(Duration::from_mins(1))).unwrap();
    let RunOutcome::Failed(fault) = outcome else {
        panic!("its last step fails: {outcome:?}")
    };
    engine.shutdown(Duration::from_secs(5));
    (run.id(), fault)
}

/// Kills a child at one commit and resumes. `None` when that was not reached, else how many lines
/// the world has seen more than once.
fn kill_once(kill_at: &str) -> Option<usize> {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut child = start("effects", &database, Some(kill_at));
    let status = child.wait().unwrap();
    let killed = status.signal() == Some(9);
    assert!(
        killed || status.success(),
        "{kill_at}: the child failed by itself: {status:?}"
    );
    let (run, fault) = see_through(&database, builder(&database));
    assert_eq!(fault.errors.len(), 1, "{kill_at}: {fault:?}");
    assert_eq!(fault.errors[0].step, "no-guests", "{kill_at}");

    let own = rusqlite::Connection::open(&database).unwrap();
    let notes: i64 = own
        .query_row("SELECT count(*) FROM notes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(notes, 1, "{kill_at}: a transactional effect counts once");

    let world = World::beside(&database);
    let paid = world.lines("pay");
    assert_eq!(paid.len(), 1, "{kill_at}: what is done at most once");
    let calls = world.lines("call ");
    let mut keys = calls.clone();
    keys.dedup();
    assert_eq!(keys.len(), 1, "{kill_at}: each attempt gives the same key");
    let undone = world.lines("undo ");
    let mut once = undone.clone();
    // A crash repeats an undoing only before the next one begins.
    once.dedup();
    let names: Vec<_> = once
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, UNDONE, "{kill_at}: reverse order, the same keys");

    let mut inspector = Inspector::open(&database).unwrap();
    let left = inspector.leftovers().unwrap();
    assert!(
        left.iter().all(|(_, count)| *count == 0),
        "{kill_at}: {left:?}"
    );
    let detail = inspector.show(run).unwrap().unwrap();
    let succeeded = |step: &&StepView| step.kind == "step" && step.status == StepStatus::Succeeded;
    let done: Vec<_> = detail.steps.iter().filter(succeeded).collect();
    let done: Vec<_> = done.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(done, DONE, "{kill_at}: each outcome once");
    killed.then(|| calls.len() + undone.len() - keys.len() - once.len())
}

#[test]
fn effects_and_undoing_hold_what_they_say_when_killed_at_any_commit() {
    let (mut kills, mut repeated) = (0, 0);
    for phase in ["before", "after"] {
        for commit in 1.. {
            let Some(more) = kill_once(&format!("{phase} {commit}")) else {
                break;
            };
            kills += 1;
            repeated += more;
        }
    }
    println!("killed {kills} times; {repeated} attempts were made again");
    assert!(kills >= 36, "{kills} kills");
    // Before the commit of each outcome: the call and six undoings.
    assert!(repeated >= 7, "{repeated} attempts made again");
}
