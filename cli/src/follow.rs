//! Watching runs until nothing more happens to them here.

use std::time::Duration;

use windlass::{Inspector, RunDetail, RunHandle, RunId, RunStatus, WaitError};

use crate::clock::Stopwatch;
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::session::Session;

/// Between two looks: short at first so that a short run ends at once.
const LOOK_FIRST: Duration = Duration::from_millis(10);
const LOOK_LATER: Duration = Duration::from_millis(150);

/// Ctrl-C is noticed within this.
const NOTICE: Duration = Duration::from_millis(20);

/// Why nothing more happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The run has ended.
    Ended,
    /// It waits for an operator, and no branch can go on without one.
    Parked,
    /// Somebody asked this process to stop.
    Interrupted,
}

/// A run that is followed no more.
#[derive(Debug)]
pub(crate) struct Followed {
    /// How it was at the last look.
    pub(crate) detail: RunDetail,
    /// Why it is followed no more.
    pub(crate) ending: Ending,
}

impl Followed {
    /// The exit code that stands for it.
    pub(crate) fn exit(&self) -> Exit {
        match (self.ending, self.detail.summary.status) {
            (Ending::Interrupted, _) => Exit::Interrupted,
            (Ending::Parked, _) => Exit::Parked,
            (Ending::Ended, RunStatus::Succeeded) => Exit::Succeeded,
            (Ending::Ended, _) => Exit::Failed,
        }
    }
}

/// Follows all runs at once until each has ended or is parked, or somebody asks to stop. In the
/// order given.
pub(crate) fn follow(
    session: &Session,
    inspector: &mut Inspector,
    runs: &[RunId],
    progress: &mut Progress,
) -> Result<Vec<Followed>, Failure> {
    let mut over: Vec<Option<Followed>> = runs.iter().map(|_| None).collect();
    let mut look_again = LOOK_FIRST;
    let (scheduler, interrupt) = (session.engine().scheduler(), session.interrupt());
    loop {
        let watch = Stopwatch::start();
        let interrupted = interrupt.is_asked();
        for (run, slot) in runs
            .iter()
            .zip(&mut over)
            .filter(|(_, slot)| slot.is_none())
        {
            let detail = engine::show(inspector, *run)?;
            progress.look(&detail);
            let ending = ending(inspector, &detail)?;
            let ending = ending.or(interrupted.then_some(Ending::Interrupted));
            *slot = ending.map(|ending| Followed { detail, ending });
        }
        let goes_on = |slot: &Option<Followed>| {
            slot.as_ref()
                .is_none_or(|run| run.ending == Ending::Interrupted)
        };
        let open = runs.iter().zip(&over).filter(|(_, slot)| goes_on(slot));
        session.promise(open.map(|(run, _)| *run));
        if over.iter().all(Option::is_some) {
            return Ok(over.into_iter().flatten().collect());
        }
        // A run with very many steps is looked at less often.
        let first_open = runs.iter().zip(&over).find(|(_, slot)| slot.is_none());
        if let Some((run, _)) = first_open {
            let until = look_again.max(watch.elapsed() * 5);
            rest(&scheduler.handle(*run), until, interrupt)?;
        }
        look_again = (look_again * 2).min(LOOK_LATER);
    }
}

/// Waits until it is time to look again: earlier if the run ends or somebody wants us to stop.
///
/// # Errors
/// The store is closed after an error, so the run will not go on here.
fn rest(run: &RunHandle, duration: Duration, interrupt: &Interrupt) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    while watch.elapsed() < duration && !interrupt.is_asked() {
        match run.wait_blocking(Some(NOTICE.min(duration))) {
            Ok(_) => break,
            Err(WaitError::TimedOut(_)) => {}
            Err(error) => return Err(Failure::broken_off(&error)),
        }
    }
    Ok(())
}

/// `None` while the run goes on.
fn ending(inspector: &mut Inspector, detail: &RunDetail) -> Result<Option<Ending>, Failure> {
    let summary = &detail.summary;
    if summary.status.is_end() {
        return Ok(Some(Ending::Ended));
    }
    if summary.status != RunStatus::Parked {
        return Ok(None);
    }
    let why = inspector
        .why(summary.run)
        .map_err(|error| Failure::broken_off(&error))?;
    let stands_still = |kind: &str| {
        matches!(
            kind,
            "operator" | "join" | "event" | "meet" | "mutex" | "milestone"
        )
    };
    let still = why.is_none_or(|why| {
        why.branches
            .iter()
            .all(|branch| stands_still(branch.waits_for.kind))
    });
    Ok(still.then_some(Ending::Parked))
}
