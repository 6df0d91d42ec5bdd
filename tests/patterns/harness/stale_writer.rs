//! The stale writer: an engine is taken for dead while its Runner has done a step; another one takes
//! the job over; then the first one writes its outcome.
//!
//! Both are on one thread, so the late checkpoint waits in the first one's queue exactly as long as
//! it is meant to, at every step of the pattern, and comes once before the other engine has done the
//! step and once after it has ended the run. It is the second delivery of one completion, too.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass::{Inspector, RunFilter, SystemClock};
use windlass_store::sync::{Receiver, oneshot};
use windlass_store::{Change, Options, Store, Writer};

use super::committed::{Committed, End, assert_no_leftovers, history};
use super::live::database;
use super::pattern::Pattern;
use super::tree::RUNS_MAX;
use super::{Stepped, plain};

/// When the late checkpoint comes.
#[derive(Clone, Copy, Debug)]
enum Late {
    /// When the other engine has locked the job, and not begun it.
    BeforeTheOther,
    /// When the other engine has ended the run.
    AfterTheEnd,
}

/// What came of taking a run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// A late outcome was written.
    Over,
    /// What the Runner had ended was withdrawn, and it had nothing else.
    WithNothing,
    /// It had ended before.
    NotBeforeTheEnd,
}

/// A checkpoint that is late is refused at every step; says how many there were.
pub(crate) fn run(pattern: &Pattern) -> usize {
    let plain = plain::committed(pattern);
    let mut late = 0;
    for turns in 1.. {
        let taken_over = [Late::BeforeTheOther, Late::AfterTheEnd]
            .map(|when| take_over(pattern, turns, when, &plain));
        if taken_over == [Taken::NotBeforeTheEnd; 2] {
            break;
        }
        late += taken_over
            .iter()
            .filter(|taken| **taken == Taken::Over)
            .count();
    }
    assert!(
        late >= 2 * pattern.steps_min(&plain),
        "{late} late outcomes"
    );
    late
}

/// Takes a run over after so many turns of its Runner.
fn take_over(pattern: &Pattern, turns: usize, when: Late, plain: &Committed) -> Taken {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = database(&folder);
    let what = format!("taken over after {turns} turns, late outcome {when:?}");
    let mut stale = Stepped::open(pattern, &database);
    let run = stale.begin();
    if !stale.go_on(run, turns) {
        return Taken::NotBeforeTheEnd;
    }
    let freed = declare_dead(&database);
    if freed == 0 && stale.look(run).any_cancelled() {
        return Taken::WithNothing;
    }
    assert!(freed > 0, "{what}: it had a lock");
    let mut other = Stepped::open(pattern, &database);
    if let Late::BeforeTheOther = when {
        other.write_all();
        // A timer may be due meanwhile, and is fired by whoever sees it: only outcomes must not be new.
        let before = histories(&database);
        write_late(&mut stale);
        let after = histories(&database);
        assert_eq!(before, after, "{what}: an outcome was taken");
    }
    let end = End::from(other.finish(run));
    if let Late::AfterTheEnd = when {
        let written = |stale: &Stepped| (stale.engine.written(), histories(&database));
        let before = written(&stale);
        write_late(&mut stale);
        let after = written(&stale);
        assert_eq!(before, after, "{what}: something was written");
        let outcome = other.outcome(run).map(End::from);
        assert_eq!(outcome.as_ref(), Some(&end), "{what}: another end");
    }
    let committed = Committed::of_rows(&database);
    pattern.assert_allowed(&end, &committed, plain, &what);
    let mut inspector = Inspector::open(&database).expect("the file is a store");
    assert_no_leftovers(&mut inspector, &what);
    Taken::Over
}

/// What was done in all runs of a file.
fn histories(database: &Path) -> Vec<String> {
    let mut inspector = Inspector::open(database).expect("the file is a store");
    let runs = inspector.runs(RunFilter::All, RUNS_MAX);
    let runs = runs.expect("the store can be read").into_iter();
    runs.map(|summary| format!("{:?}", history(database, summary.run)))
        .collect()
}

/// Lets the stale engine end all steps that it is in, then write what came of them: at once, for with
/// that it learns that it is taken for dead, and writes no more.
fn write_late(stale: &mut Stepped) {
    stale.stage.open_all();
    until_quiet(|| stale.engine.step_runner(0));
    until_quiet(|| stale.engine.step_writer());
}

fn until_quiet(mut step: impl FnMut() -> bool) {
    let mut quiet = 0;
    while quiet < 3 {
        quiet = if step() { 0 } else { quiet + 1 };
    }
}

/// Frees what every engine on the file has locked, as is done for those that are proven dead; says how
/// much it was.
fn declare_dead(database: &Path) -> u32 {
    let (store, mut writer, committed) = open(database);
    let mut reader = store.reader().expect("the store can be read");
    let mut freed = 0;
    for owner in reader.owners().expect("the store can be read") {
        let (reply, mut answer) = oneshot::channel();
        let change = Change::Recover {
            owner: owner.id,
            running: Vec::new(),
            crashed: true,
            max_crashes: 3,
            reply,
        };
        store.submit(change).expect("its writer is there");
        writer.turn(Duration::ZERO);
        while let Ok(mut committed) = committed.try_recv() {
            committed.tell();
        }
        let recovered = answer.try_recv().expect("answered in one turn");
        freed += recovered.expect("it can be written").freed;
    }
    freed
}

fn open(database: &Path) -> (Store, Writer, Receiver<windlass_store::Committed>) {
    let clock = Arc::new(SystemClock::new());
    let opened = Store::open(database, Options::default(), clock, None);
    opened.expect("the file is a store")
}
