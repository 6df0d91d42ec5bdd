//! Plays a script on an engine of one thread, and writes down what the engine has acknowledged.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use windlass::{
    AdmitError, Durability, EngineError, Event, ManualClock, OpenError, Payload, RunHandle, RunId,
    RunOutcome, ScheduleError, Scheduler, SteppedEngine, StorageError, Timestamp, WaitError,
    WriteError,
};
use windlass_faults::Disk;

use crate::workload::{Act, Key, NOTES, SAID, Workload};

/// Rounds after which whoever asked must have been answered, and all work be done.
const ROUNDS_MAX: usize = 5_000;

/// Rounds in which calls fail, after which the disk works again.
const TROUBLED_ROUNDS: u32 = 2;

/// What somebody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<T> {
    /// It is stored.
    Done(T),
    /// It is not stored.
    Refused,
    /// It may be stored, or nothing was told at all.
    Unknown,
}

/// All that the engine has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged {
    pub(crate) runs: BTreeMap<Key, Told<RunId>>,
    pub(crate) signals: BTreeMap<Key, Told<()>>,
    pub(crate) cancels: BTreeMap<Key, Told<()>>,
    pub(crate) ends: BTreeMap<Key, RunOutcome>,
}

impl Acknowledged {
    pub(crate) fn run(&self, key: Key) -> Option<RunId> {
        match self.runs.get(&key) {
            Some(Told::Done(run)) => Some(*run),
            _ => None,
        }
    }
}

type End = Pin<Box<dyn Future<Output = Result<RunOutcome, WaitError>>>>;

/// A living engine, and who waits for what of it.
struct Living {
    engine: SteppedEngine,
    scheduler: Scheduler,
    ends: BTreeMap<Key, End>,
}

/// A script being played.
pub(crate) struct Play<'a> {
    workload: &'a Workload,
    database: &'a Path,
    disk: &'a Disk,
    pub(crate) clock: Arc<ManualClock>,
    living: Option<Living>,
    pub(crate) acknowledged: Acknowledged,
    /// What was acknowledged by each mark in the recording, from the first.
    pub(crate) by_mark: Vec<Acknowledged>,
    troubled: u32,
    /// The script ends when a call has failed: nobody opens the store once more.
    pub(crate) ends_when_struck: bool,
}

impl<'a> Play<'a> {
    pub(crate) fn new(workload: &'a Workload, database: &'a Path, disk: &'a Disk) -> Self {
        Self {
            workload,
            database,
            disk,
            clock: Arc::new(ManualClock::at(Timestamp(1_700_000_000_000_000))),
            living: None,
            acknowledged: Acknowledged::default(),
            by_mark: vec![Acknowledged::default()],
            troubled: 0,
            ends_when_struck: false,
        }
    }

    /// Plays the script to its end, or until an engine does not open. Then the engine goes, and the
    /// disk works again.
    pub(crate) fn script(&mut self) {
        let workload = self.workload;
        if self.open() {
            for act in &workload.script {
                let ends = self.ends_when_struck && self.disk.struck() > 0;
                if ends || !self.act(act) {
                    break;
                }
            }
        }
        if workload.heals_early {
            self.disk.heal();
            self.settle();
        }
        self.living = None;
        self.disk.heal();
    }

    /// An engine with threads opens the store and is shut down: it empties the log into the database.
    pub(crate) fn shut_down(&mut self) {
        let builder = self.workload.builder(self.database).runners(0);
        let engine = builder.clock(self.clock.clone()).open();
        engine.expect("the disk works").shutdown(Duration::ZERO);
    }

    /// Sees every run to its end on a disk that works: asks for what was not acknowledged, once more.
    pub(crate) fn finish(&mut self) {
        assert!(self.open(), "the disk works");
        let workload = self.workload;
        for key in &workload.keys {
            let before = self.acknowledged.run(*key);
            self.schedule(&[*key]);
            let run = self.acknowledged.run(*key).expect("the disk works");
            assert!(before.is_none_or(|before| before == run), "{key:?}: twice");
        }
        self.settle();
        for key in &workload.keys {
            match key {
                Key::Order(_) if self.acknowledged.signals.get(key) != Some(&Told::Done(())) => {
                    self.signal(*key);
                }
                Key::Waits if self.acknowledged.cancels.get(key) != Some(&Told::Done(())) => {
                    self.cancel(*key);
                }
                _ => {}
            }
        }
        self.settle();
        for _ in 0..2 {
            self.clock.advance(Duration::from_secs(11));
            self.settle();
        }
        self.look_at_ends();
        self.living = None;
    }

    /// `false`: there is no engine to go on with.
    fn act(&mut self, act: &Act) -> bool {
        match act {
            Act::Schedule(keys) => self.schedule(keys),
            Act::Signal(key) => self.signal(*key),
            Act::Cancel(key) => self.cancel(*key),
            Act::Settle => {
                self.settle();
                self.look_at_ends();
            }
            Act::Advance => self.clock.advance(Duration::from_secs(1)),
            Act::EmptyLog => {
                let synchronous = match self.workload.durability {
                    Durability::Full => 2,
                    Durability::Normal => 1,
                };
                // Whether it works is nothing to us; that it harms nothing is.
                let _ = rusqlite::Connection::open(self.database).and_then(|db| {
                    db.pragma_update(None, "synchronous", synchronous)?;
                    db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
                });
            }
            Act::Reopen => {
                self.living = None;
                return self.open();
            }
        }
        true
    }

    /// Opens an engine, and makes the user's table. `false` if the disk did not let us.
    fn open(&mut self) -> bool {
        let builder = self.workload.builder(self.database);
        match builder.clock(self.clock.clone()).open_stepped() {
            Ok(engine) => {
                let scheduler = engine.scheduler();
                self.living = Some(Living {
                    engine,
                    scheduler,
                    ends: BTreeMap::new(),
                });
            }
            Err(error) => {
                assert_open_error(&error);
                assert!(self.disk.struck() > 0, "for no reason: {error:?}");
                return false;
            }
        }
        let made = rusqlite::Connection::open(self.database).and_then(|db| db.execute_batch(NOTES));
        self.mark();
        made.is_ok()
    }

    /// One round of writer, dispatcher and Runner. `false`: nothing moved.
    fn round(&mut self) -> bool {
        let Some(living) = &mut self.living else {
            return false;
        };
        let before = self.disk.struck();
        let mut moved = living.engine.step_writer();
        living.engine.step_dispatcher();
        moved |= living.engine.step_runner(0);
        self.troubled += u32::from(self.disk.struck() > before);
        if self.troubled > TROUBLED_ROUNDS {
            self.disk.heal();
        }
        moved
    }

    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            quiet = if self.round() { 0 } else { quiet + 1 };
            if quiet == 2 {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets writer and dispatcher work until `asked` is answered. `None`: nobody lives to answer.
    fn ask<F: Future>(&mut self, asked: F) -> F::Output {
        let mut asked = pin!(asked);
        let mut context = std::task::Context::from_waker(Waker::noop());
        for _ in 0..ROUNDS_MAX {
            if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                return answer;
            }
            let living = self.living.as_mut().expect("there is an engine");
            living.engine.step_writer();
            living.engine.step_dispatcher();
        }
        panic!("there is no answer");
    }

    fn scheduler(&self) -> Scheduler {
        let living = self.living.as_ref().expect("there is an engine");
        living.scheduler.clone()
    }

    fn schedule(&mut self, keys: &[Key]) {
        let requests = keys.iter().map(|key| self.workload.request(*key)).collect();
        let scheduler = self.scheduler();
        let told: Vec<Told<RunHandle>> = match self.ask(scheduler.schedule_all(requests)) {
            Ok(handles) => handles.into_iter().map(Told::Done).collect(),
            Err(error) => {
                let refused = match &error {
                    ScheduleError::Refused(AdmitError::Storage { source, .. }) => {
                        assert_storage_error(source);
                        true
                    }
                    ScheduleError::Refused(AdmitError::Unknown(unknown)) => {
                        assert_storage_error(&unknown.0);
                        false
                    }
                    other => panic!("not about the disk: {other:?}"),
                };
                assert!(self.disk.struck() > 0, "for no reason: {error:?}");
                let told = |_: &Key| {
                    if refused {
                        Told::Refused
                    } else {
                        Told::Unknown
                    }
                };
                keys.iter().map(told).collect()
            }
        };
        for (key, told) in keys.iter().zip(told) {
            let told = match told {
                Told::Done(handle) => {
                    let run = handle.id();
                    let end = Box::pin(async move { handle.wait().await });
                    let living = self.living.as_mut().expect("it has answered");
                    living.ends.insert(*key, end);
                    Told::Done(run)
                }
                Told::Refused => Told::Refused,
                Told::Unknown => Told::Unknown,
            };
            self.acknowledged.runs.insert(*key, told);
        }
        self.mark();
    }

    fn signal(&mut self, key: Key) {
        let Some(run) = self.acknowledged.run(key) else {
            return;
        };
        let payload = Payload::encode(&SAID).expect("text is JSON");
        let scheduler = self.scheduler();
        let answer = self.ask(scheduler.signal(Event::new(run, "go", "1", payload)));
        let told = self.told(answer.map(|_| ()));
        self.acknowledged.signals.insert(key, told);
        self.mark();
    }

    fn cancel(&mut self, key: Key) {
        let Some(run) = self.acknowledged.run(key) else {
            return;
        };
        let scheduler = self.scheduler();
        let answer = self.ask(scheduler.cancel(run, "nobody comes"));
        let told = self.told(answer.map(|_| ()));
        self.acknowledged.cancels.insert(key, told);
        self.mark();
    }

    fn told(&self, answer: Result<(), WriteError>) -> Told<()> {
        let error = match answer {
            Ok(()) => return Told::Done(()),
            Err(error) => error,
        };
        assert!(self.disk.struck() > 0, "for no reason: {error:?}");
        match &error {
            WriteError::Storage(error) => {
                assert_storage_error(error);
                Told::Refused
            }
            WriteError::Unknown(unknown) => {
                assert_storage_error(&unknown.0);
                Told::Unknown
            }
            other => panic!("not about the disk: {other:?}"),
        }
    }

    /// Writes down which ends the engine tells.
    fn look_at_ends(&mut self) {
        let Some(living) = &mut self.living else {
            return;
        };
        let mut context = std::task::Context::from_waker(Waker::noop());
        let mut told = Vec::new();
        living.ends.retain(|key, end| {
            let Poll::Ready(answer) = end.as_mut().poll(&mut context) else {
                return true;
            };
            told.push((*key, answer));
            false
        });
        for (key, answer) in told {
            match answer {
                Ok(outcome) => {
                    let before = self.acknowledged.ends.insert(key, outcome.clone());
                    assert!(
                        before.is_none_or(|before| before == outcome),
                        "{key:?} has ended twice"
                    );
                }
                Err(WaitError::Closed) => {}
                Err(WaitError::Storage(error)) => assert_storage_error(&error),
                Err(other) => panic!("not about the disk: {other:?}"),
            }
        }
        self.mark();
    }

    /// Notes in the recording what is acknowledged by now.
    fn mark(&mut self) {
        let newest = self.by_mark.len() as u64;
        self.by_mark.push(self.acknowledged.clone());
        self.disk.mark(newest);
    }
}

/// A disk that fails is no damaged database, and nobody is to restore a backup for it.
fn assert_storage_error(error: &StorageError) {
    let honest = matches!(
        error,
        StorageError::Full
            | StorageError::ReadOnly { .. }
            | StorageError::Poisoned { .. }
            | StorageError::Closed
    );
    assert!(honest, "{error:?}");
}

fn assert_open_error(error: &EngineError) {
    match error {
        EngineError::Open(OpenError::Storage { source, .. }) | EngineError::Storage(source) => {
            assert_storage_error(source);
        }
        EngineError::Write(WriteError::Storage(source)) => assert_storage_error(source),
        EngineError::Write(WriteError::Unknown(unknown)) => assert_storage_error(&unknown.0),
        EngineError::Open(OpenError::Open { .. }) => {}
        other => panic!("not about the disk: {other:?}"),
    }
}
