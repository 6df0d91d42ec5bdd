//! The write budgets of each transition, counted in rows and transactions on SQLite.
//!
//! An engine on one thread, so that each transition is one transaction of its own.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use windlass::{Engine, Flow, History, RunHandle, SteppedEngine, Workflow};

/// One row for the ids, epoch and counters in each transaction.
const META: u64 = 1;

struct Counted {
    engine: SteppedEngine,
    workflow: Workflow<u32>,
    _folder: tempfile::TempDir,
}

impl Counted {
    fn new(history: History, body: impl FnOnce(Flow<u32>) -> Flow<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workflow = Workflow::build("counted", "1", body).unwrap();
        let engine = Engine::builder()
            .database(folder.path().join("w.db"))
            .runners(1)
            .history(history)
            .workflow(&workflow)
            .open_stepped()
            .unwrap();
        let mut counted = Self {
            engine,
            workflow,
            _folder: folder,
        };
        counted.engine.settle();
        counted
    }

    /// Admits a run; says what that wrote.
    fn admit(&mut self) -> (u64, u64) {
        let scheduler = self.engine.scheduler();
        let before = self.engine.written();
        let mut admission = pin!(scheduler.schedule(self.workflow.request(&0).unwrap()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(admission.as_mut().poll(&mut context).is_pending());
        self.engine.step_writer();
        self.engine.step_dispatcher();
        let Poll::Ready(Ok(_)) = admission.as_mut().poll(&mut context) else {
            panic!("admitted in one transaction")
        };
        self.since(before)
    }

    /// Lets the Runner take one job and the writer write it; says what that wrote.
    fn one_job(&mut self) -> (u64, u64) {
        let before = self.engine.written();
        assert!(self.engine.step_runner(0), "there is a job on the channel");
        self.engine.step_writer();
        self.engine.step_dispatcher();
        self.since(before)
    }

    fn since(&self, before: (u64, u64)) -> (u64, u64) {
        let (transactions, rows) = self.engine.written();
        (transactions - before.0, rows - before.1)
    }
}

fn step(flow: Flow<u32>, name: &str) -> Flow<u32> {
    flow.step(name, |_, number| {
        *number += 1;
        Ok(())
    })
}

fn split(flow: Flow<u32>, branches: u32) -> Flow<u32> {
    flow.split("split", |split| {
        (0..branches).fold(split, |split, index| {
            let name = format!("b{index}");
            split.branch(&name, |flow| step(flow, &name))
        })
    })
}

#[test]
fn admitting_a_run_a_step_of_a_sequence_and_the_end_write_one_row_each() {
    let mut counted = Counted::new(History::Off, |flow| step(step(flow, "a"), "b"));
    assert_eq!(counted.admit(), (1, 1 + META));
    assert_eq!(
        counted.one_job(),
        (1, 1 + META),
        "the first step also clears its admission"
    );
    assert_eq!(
        counted.one_job().1,
        1,
        "finish: one row, and the ids have not moved"
    );
}

#[test]
fn a_one_step_run_is_admitted_and_finished_with_one_row_each() {
    let mut counted = Counted::new(History::Off, |flow| step(flow, "only"));
    assert_eq!(counted.admit(), (1, 1 + META));
    assert_eq!(counted.one_job(), (1, 1 + META));
}

#[test]
fn history_adds_one_row_for_each_attempt() {
    let mut counted = Counted::new(History::All, |flow| step(flow, "only"));
    assert_eq!(counted.admit(), (1, 1 + META));
    assert_eq!(counted.one_job(), (1, 1 + 1 + META));
}

#[test]
fn a_split_into_n_writes_n_rows_and_its_own() {
    for n in [1, 2, 7] {
        let mut counted = Counted::new(History::Off, |flow| split(step(flow, "a"), n));
        counted.admit();
        assert_eq!(
            counted.one_job(),
            (1, u64::from(n) + 1 + META),
            "split into {n}"
        );
    }
}

#[test]
fn arriving_at_a_join_writes_two_rows_and_the_last_arrival_three() {
    let mut counted = Counted::new(History::Off, |flow| step(split(step(flow, "a"), 3), "z"));
    counted.admit();
    counted.one_job();
    assert_eq!(counted.one_job().1, 2, "the first of three");
    assert_eq!(counted.one_job().1, 2, "the second of three");
    assert_eq!(counted.one_job().1, 3, "the last of three");
    // The step after the join merges: its own row, and the three branches go.
    assert_eq!(counted.one_job(), (1, 1 + 3));
}

#[test]
fn locking_in_a_batch_writes_one_row_for_each_job() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = Workflow::<u32>::build("counted", "1", |flow| step(flow, "only")).unwrap();
    let path = folder.path().join("w.db");
    let schedule = |count: usize| {
        let engine = Engine::builder()
            .database(&path)
            .runners(0)
            .workflow(&workflow)
            .open()
            .unwrap();
        let requests = (0..count).map(|_| workflow.request(&0).unwrap()).collect();
        let handles: Vec<RunHandle> = engine.scheduler().schedule_all_blocking(requests).unwrap();
        assert_eq!(handles.len(), count);
        engine.shutdown(Duration::ZERO);
    };
    schedule(5);
    let mut engine = Engine::builder()
        .database(&path)
        .runners(5)
        .workflow(&workflow)
        .open_stepped()
        .unwrap();
    let before = engine.written();
    engine.step_writer();
    let (transactions, rows) = engine.written();
    assert_eq!((transactions - before.0, rows - before.1), (1, 5));
}

#[test]
fn with_one_change_per_commit_each_change_is_a_transaction_of_its_own() {
    for (per_commit, transactions) in [(None, 1), (Some(1), 3), (Some(0), 3)] {
        let workflow = Workflow::<u32>::build("one", "1", |flow| flow.step("a", |_, _| Ok(())));
        let workflow = workflow.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let builder = Engine::builder()
            .database(folder.path().join("w.db"))
            .runners(1)
            .workflow(&workflow);
        let builder = match per_commit {
            Some(changes) => builder.changes_per_commit(changes),
            None => builder,
        };
        let mut engine = builder.open_stepped().unwrap();
        engine.settle();
        let scheduler = engine.scheduler();
        let request = || workflow.request(&0).unwrap();
        let mut runs = [(); 3].map(|()| Box::pin(scheduler.schedule(request())));
        let mut context = Context::from_waker(Waker::noop());
        for run in &mut runs {
            assert!(run.as_mut().poll(&mut context).is_pending());
        }
        let (before, _) = engine.written();
        while engine.step_writer() {}
        assert_eq!(engine.written().0 - before, transactions, "{per_commit:?}");
    }
}
