//! The stale writer: an engine is taken for dead while its Runner has done a step; another one takes
//! the job over; then the first one writes its outcome.
//!
//! Both are on one thread, so the late checkpoint waits in the first one's queue exactly as long as
//! it is meant to, at every step of the pattern, and comes once before the other engine has done the
//! step and once after it has ended the run. It is the second delivery of one completion, too.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass::{Inspector, SystemClock};
use windlass_store::sync::{Receiver, oneshot};
use windlass_store::{Change, Options, Store, Writer};
use windlass_workflow_model::OwnerId;

use super::committed::{Committed, End, assert_no_leftovers, history};
use super::live::database;
use super::pattern::Pattern;
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
    let dead = owners(&database);
    let freed = declare_dead(&database, &dead);
    if freed == 0 && stale.look(run).any_cancelled() {
        return Taken::WithNothing;
    }
    assert!(freed > 0, "{what}: it had a lock");
    let mut other = Stepped::open(pattern, &database);
    if let Late::BeforeTheOther = when {
        other.write_all();
        write_late(&mut stale);
        // A timer may have been due meanwhile: what the dead one locked then is free again, too.
        declare_dead(&database, &dead);
    }
    let end = End::from(other.finish(run));
    if let Late::AfterTheEnd = when {
        let written = |stale: &Stepped| {
            let history = format!("{:?}", history(&database, run));
            (stale.engine.written(), history)
        };
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

/// Lets the stale engine end the steps that it is in, and write what came of them.
fn write_late(stale: &mut Stepped) {
    stale.stage.open_all();
    let mut quiet = 0;
    while quiet < 3 {
        let moved = stale.engine.step_runner(0) | stale.engine.step_writer();
        quiet = if moved { 0 } else { quiet + 1 };
    }
}

/// Every engine on the file.
fn owners(database: &Path) -> Vec<OwnerId> {
    let (store, ..) = open(database);
    let mut reader = store.reader().expect("the store can be read");
    let owners = reader.owners().expect("the store can be read");
    owners.into_iter().map(|owner| owner.id).collect()
}

/// Frees what these engines have locked, as is done for those that are proven dead; says how much it
/// was.
fn declare_dead(database: &Path, dead: &[OwnerId]) -> u32 {
    let (store, mut writer, committed) = open(database);
    let mut freed = 0;
    for owner in dead {
        let (reply, mut answer) = oneshot::channel();
        let change = Change::Recover {
            owner: *owner,
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
