//! The writer: takes whatever changes have queued up, commits them at once, then tells everyone.
//!
//! The same loop for every backend. It runs no code of the user but a commit hook for tests; it never
//! decodes a payload, wakes a foreign task or waits for the channel. Batches grow by themselves under
//! load: while one commit is being synced the next one fills.
//! Why: ADRs/0003-group-commit-with-pipelining.md.

mod answers;
mod size;

use std::collections::VecDeque;
use std::time::Duration;

use windlass_workflow_model::{BranchId, OwnerId};

use answers::{answer, refuse, said};
use size::{is_internal, size};

use crate::apply::{Answered, Apply, AtWork, Effects, Ledger, Refused, Rules};
use crate::backend::{Backend, Result, Tables};
use crate::change::{Admit, Admitted, Answer, Change, Committed, Reply};
use crate::clock::Clock;
use crate::error::{AdmitError, StorageError};
use crate::limits::{BATCH_BYTES_MAX, BATCH_CHANGES_MAX, BATCH_TIME_MAX};
use crate::meter::Meter;
use crate::owner::OwnerLife;
use crate::store::{Admission, Options};
use crate::sync::{
    Arc, AtomicBool, Mutex, Ordering, Receiver, RecvTimeoutError, Sender, TryRecvError,
};

/// How long to wait before a write that failed for want of room is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How often what is left is tried to be written at the end.
const LAST_TRIES: u32 = 10;

/// The longest the writer rests while nothing is asked of it.
const REST: Duration = Duration::from_millis(100);

/// A moment in the life of a transaction that writes something. Transactions are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPoint {
    /// All is applied, nothing is durable.
    Before(u64),
    /// All is durable, nobody has been told.
    After(u64),
}

/// Called by the writer at every [`CommitPoint`]; for crash tests and measurements. Whatever it does
/// holds up all writing.
pub type CommitHook = Arc<dyn Fn(CommitPoint) + Send + Sync>;

/// What one turn of the writer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was written or answered.
    Worked,
    /// There was nothing to do.
    Idle,
    /// Everybody has gone and all is written: there will be no more turns.
    Ended,
}

/// The one thread that writes.
#[derive(Debug)]
pub struct Writer(Box<dyn Turning>);

trait Turning: Send + std::fmt::Debug {
    fn turn(&mut self, rest: Duration) -> Turn;
}

impl Writer {
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, by the store that makes them all"
    )]
    pub(crate) fn new(
        mut backend: impl Backend + 'static,
        changes: Receiver<Change>,
        committed: Sender<Committed>,
        meter: Arc<Meter>,
        nudged: Arc<AtomicBool>,
        clock: Arc<dyn Clock>,
        options: Options,
        life: Arc<Mutex<Option<OwnerLife>>>,
        hook: Option<CommitHook>,
    ) -> Result<Self> {
        let meta = backend.begin()?.0.meta()?;
        let rules = Rules {
            admission: options.admission,
            history: options.history,
        };
        Ok(Self(Box::new(Loop {
            backend,
            ledger: Ledger::new(meta),
            rules,
            changes,
            committed,
            meter,
            nudged,
            clock,
            life,
            hook,
            changes_max: options.changes_per_commit.clamp(1, BATCH_CHANGES_MAX),
            waiting: VecDeque::new(),
            retained: Vec::new(),
            reload: true,
            poison: None,
            last_tries: 0,
        })))
    }

    /// Turns until everybody who could send a change has gone.
    pub fn run(mut self) {
        while self.turn(REST) != Turn::Ended {}
    }

    /// Commits one batch; waits up to `rest` for a first change.
    pub fn turn(&mut self, rest: Duration) -> Turn {
        self.0.turn(rest)
    }
}

/// A producer that waits for room.
#[derive(Debug)]
struct Waiting {
    runs: Vec<Admit>,
    since: Duration,
    give_up_at: Duration,
    reply: Reply<Vec<Admitted>, AdmitError<Vec<Admit>>>,
}

struct Loop<B> {
    backend: B,
    ledger: Ledger,
    rules: Rules,
    changes: Receiver<Change>,
    committed: Sender<Committed>,
    meter: Arc<Meter>,
    nudged: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    life: Arc<Mutex<Option<OwnerLife>>>,
    hook: Option<CommitHook>,
    /// Changes that one batch takes at most.
    changes_max: usize,
    /// Producers under backpressure, first come first served.
    waiting: VecDeque<Waiting>,
    /// Internal changes of a batch that could not be written for now: outcomes are never dropped.
    retained: Vec<Change>,
    /// What is known of the rows may be wrong.
    reload: bool,
    poison: Option<StorageError>,
    /// How often the end could not be written.
    last_tries: u32,
}

impl<B> std::fmt::Debug for Loop<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loop")
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}

/// The outcome of a batch, change by change, in the order of the changes.
struct Batch {
    answered: Vec<Option<Answered>>,
    /// Verdicts on the producers that waited, from the front of the queue on.
    admitted: Vec<std::result::Result<Vec<Admitted>, Refused>>,
    effects: Effects,
}

impl<B: Backend> Turning for Loop<B> {
    fn turn(&mut self, rest: Duration) -> Turn {
        let (mut changes, open) = self.gather(rest);
        let ends = !open || changes.iter().any(|change| matches!(change, Change::Close));
        if let Some(poison) = self.poison.clone() {
            let turn = self.refuse_all(changes, &poison, !ends);
            if ends && matches!(poison, StorageError::LogLost { .. }) {
                self.end();
            }
            return turn;
        }
        self.expire();
        if changes.is_empty() && self.waiting.is_empty() && !self.is_due() && !ends {
            return Turn::Idle;
        }
        let outcome = if changes.is_empty() && ends {
            Ok(None)
        } else {
            self.commit_all(&mut changes).map(Some)
        };
        match outcome {
            Ok(batch) => {
                if let Some(batch) = batch {
                    let taken_for_dead = batch.effects.taken_for_dead;
                    self.publish(changes, batch);
                    if let Err(error) = self.backend.tidy() {
                        self.close(error, false);
                    } else if taken_for_dead {
                        // Our row is gone, so there is nothing that the file could prove.
                        self.close(StorageError::TakenForDead, true);
                    }
                }
                if ends {
                    self.end();
                    return Turn::Ended;
                }
            }
            Err(error) => {
                self.fail(changes, &error);
                self.last_tries += u32::from(ends);
                if ends && (self.poison.is_some() || self.last_tries > LAST_TRIES) {
                    // What is not written stays locked on disk; the next opening frees it.
                    self.end();
                    return Turn::Ended;
                }
            }
        }
        Turn::Worked
    }
}

impl<B: Backend> Loop<B> {
    /// What has queued up, within the bounds of one batch. `false`: there will be no more.
    fn gather(&mut self, rest: Duration) -> (Vec<Change>, bool) {
        let mut changes = std::mem::take(&mut self.retained);
        let mut open = true;
        if changes.is_empty() {
            match self.changes.recv_timeout(self.rest(rest)) {
                Ok(change) => changes.push(change),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        }
        self.nudged.store(false, Ordering::SeqCst);
        let until = self.clock.elapsed() + BATCH_TIME_MAX;
        let mut bytes: usize = changes.iter().map(size).sum();
        while changes.len() < self.changes_max && bytes < BATCH_BYTES_MAX {
            match self.changes.try_recv() {
                Ok(change) => {
                    bytes += size(&change);
                    changes.push(change);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    open = false;
                    break;
                }
            }
            if changes.len().is_multiple_of(256) && self.clock.elapsed() > until {
                break;
            }
        }
        (changes, open)
    }

    /// How long to wait for a first change: not beyond the next timer or a producer's patience. Once
    /// nothing is written any more nothing is due.
    fn rest(&self, rest: Duration) -> Duration {
        if self.poison.is_some() {
            return rest;
        }
        let now = self.clock.elapsed();
        let patience = self
            .waiting
            .iter()
            .map(|w| w.give_up_at.saturating_sub(now))
            .min();
        let due = self.ledger.next_due.map(|due| due.since(self.clock.now()));
        let sweep = self.ledger.sweeping.then_some(Duration::ZERO);
        [patience, due, sweep]
            .into_iter()
            .flatten()
            .fold(rest, Duration::min)
    }

    fn is_due(&self) -> bool {
        self.ledger.sweeping
            || self
                .ledger
                .next_due
                .is_some_and(|due| due <= self.clock.now())
    }

    /// Producers whose patience is over get their verdict here and nowhere else, so it is never
    /// ambiguous; those who have gone are forgotten.
    fn expire(&mut self) {
        let now = self.clock.elapsed();
        let max_pending = self.rules.admission.max_pending();
        let depth = u64::try_from(self.ledger.meta.unstarted)
            .unwrap_or(0)
            .saturating_sub(self.meter.started_unrecorded());
        let mut answers = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.reply.is_closed() {
                continue;
            }
            if waiting.give_up_at > now {
                self.waiting.push_back(waiting);
                continue;
            }
            let waited = now.saturating_sub(waiting.since);
            let error = AdmitError::TimedOut {
                value: waiting.runs,
                depth,
                max_pending,
                waited,
            };
            answers.push(said(waiting.reply, Err(error)));
        }
        self.meter.set_producers_wait(!self.waiting.is_empty());
        self.tell(Committed {
            answers,
            ..Committed::default()
        });
    }

    /// Commits a batch; where a statement of a step has ended the transaction, once more without it.
    fn commit_all(&mut self, changes: &mut [Change]) -> Result<Batch> {
        loop {
            match self.commit(changes) {
                Err(StorageError::EffectEndedTransaction(branch))
                    if refuse_effects(changes, branch) => {}
                outcome => return outcome,
            }
        }
    }

    fn commit(&mut self, changes: &[Change]) -> Result<Batch> {
        let before = self.ledger.clone();
        let mut effects = Effects::default();
        let outcome = self.try_commit(changes, &mut effects);
        match outcome {
            Ok((answered, admitted)) => {
                self.meter.record_started(effects.recorded_starts);
                self.meter.give_back(effects.unused_credits);
                Ok(Batch {
                    answered,
                    admitted,
                    effects,
                })
            }
            Err(error) => {
                self.meter.give_back(effects.credits);
                self.ledger = before;
                self.reload = true;
                if !effects.taken_back.is_empty() {
                    self.retained.push(Change::Unlock(effects.taken_back));
                }
                Err(error)
            }
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "the two halves of a batch, named where they land"
    )]
    fn try_commit(
        &mut self,
        changes: &[Change],
        effects: &mut Effects,
    ) -> Result<(
        Vec<Option<Answered>>,
        Vec<std::result::Result<Vec<Admitted>, Refused>>,
    )> {
        let (mut tables, foreign) = self.backend.begin()?;
        if foreign || self.reload {
            let meta = tables.meta()?;
            let ours = self.ledger.meta.epoch;
            if meta.epoch != ours && !ours.is_over() {
                let (ours, found) = (ours.0, meta.epoch.0);
                return Err(StorageError::Epoch { ours, found });
            }
            self.ledger.forget(meta);
            self.reload = false;
            effects.taken_for_dead =
                self.ledger.owner != OwnerId(0) && !tables.owners()?.contains(&self.ledger.owner);
        }
        if effects.taken_for_dead {
            // A lock of an owner without a row is found by nobody, so it would stay for ever. What we
            // were asked for is judged by its tokens once more, then we close.
            self.ledger.owner = OwnerId(0);
        }
        let meta_before = self.ledger.meta.clone();
        let owner = self.ledger.owner;
        let mut apply = Apply {
            tables: &mut tables,
            ledger: &mut self.ledger,
            effects,
            meter: &self.meter,
            rules: self.rules,
            at_work: AtWork::of(&self.life, owner),
            now: self.clock.now(),
        };
        let mut admitted = Vec::new();
        let mut answered = Vec::with_capacity(changes.len());
        let waits = matches!(self.rules.admission, Admission::Backpressure { .. });
        let mut blocked = false;
        // Outcomes first: they make room, and work in progress goes before new work.
        for change in changes {
            let is_admit = matches!(change, Change::Admit { .. });
            answered.push(if is_admit {
                None
            } else {
                Some(apply.change(change)?)
            });
        }
        for waiting in &self.waiting {
            let verdict = apply.admit(&waiting.runs)?;
            blocked = matches!(verdict, Err(Refused::NoRoom { .. }));
            if blocked {
                break;
            }
            admitted.push(verdict);
        }
        for (change, answer) in changes.iter().zip(&mut answered) {
            let Change::Admit { .. } = change else {
                continue;
            };
            if blocked && waits {
                continue;
            }
            let verdict = apply.change(change)?;
            blocked = matches!(verdict, Answered::Admit(Err(Refused::NoRoom { .. })));
            if !blocked {
                *answer = Some(verdict);
            }
        }
        apply.upkeep()?;
        if self.ledger.meta != meta_before {
            tables.set_meta(&self.ledger.meta)?;
        }
        let rows = tables.rows_written()?;
        let number = self.meter.written().0 + 1;
        let tell = |point| {
            if let Some(hook) = self.hook.as_ref().filter(|_| rows > 0) {
                hook(point);
            }
        };
        tell(CommitPoint::Before(number));
        tables.commit()?;
        if rows > 0 {
            self.meter.note_commit(rows);
        }
        tell(CommitPoint::After(number));
        Ok((answered, admitted))
    }

    /// Everything is durable: tell whoever asked, and hand the jobs over.
    fn publish(&mut self, changes: Vec<Change>, batch: Batch) {
        let Batch {
            answered,
            admitted,
            effects,
        } = batch;
        let mut answers: Vec<Box<dyn Answer>> = Vec::new();
        for verdict in admitted {
            if let Some(waiting) = self.waiting.pop_front() {
                let said_of = self.admission_answer(waiting.runs, verdict);
                answers.push(said(waiting.reply, said_of));
            }
        }
        for (change, answered) in changes.into_iter().zip(answered) {
            match (change, answered) {
                (
                    Change::Admit {
                        runs,
                        give_up_at,
                        reply,
                    },
                    None,
                ) => {
                    let since = self.clock.elapsed();
                    self.waiting.push_back(Waiting {
                        runs,
                        since,
                        give_up_at,
                        reply,
                    });
                }
                (Change::Admit { runs, reply, .. }, Some(Answered::Admit(verdict))) => {
                    let said_of = self.admission_answer(runs, verdict);
                    answers.push(said(reply, said_of));
                }
                (change, Some(answered)) => answers.extend(answer(change, answered)),
                (_, None) => unreachable!("only producers wait"),
            }
        }
        self.meter.set_producers_wait(!self.waiting.is_empty());
        self.meter.set_backlog(self.ledger.has_backlog());
        self.tell(Committed {
            dispatch: effects.dispatch,
            ended: effects.ended,
            withdrawn: effects.withdrawn,
            answers,
            trouble: None,
            closed: None,
        });
    }

    fn admission_answer(
        &self,
        value: Vec<Admit>,
        verdict: std::result::Result<Vec<Admitted>, Refused>,
    ) -> std::result::Result<Vec<Admitted>, AdmitError<Vec<Admit>>> {
        let max_pending = self.rules.admission.max_pending();
        verdict.map_err(|refused| match refused {
            Refused::NoRoom { depth } | Refused::Shed { depth } => {
                let retry_after = self.meter.next_start();
                AdmitError::Shed {
                    value,
                    depth,
                    max_pending,
                    retry_after,
                }
            }
            Refused::TooMany { asked, bound } => AdmitError::TooMany {
                value,
                asked,
                bound,
            },
            Refused::TooLarge { what, bytes, max } => AdmitError::TooLarge {
                value,
                what,
                bytes,
                max,
            },
        })
    }

    /// Nothing of the batch is written, or nobody knows.
    fn fail(&mut self, changes: Vec<Change>, error: &StorageError) {
        if let StorageError::LogLost { .. } = error {
            // Our lock stays: whoever opened the file now would make a log of its own beside ours.
            self.shut(error.clone());
            self.refuse_all(changes, error, true);
            return;
        }
        if !error.is_passing() {
            // Our jobs are free for others from now on: the file stays, to prove that we are gone.
            self.close(error.clone(), false);
            self.refuse_all(changes, error, true);
            return;
        }
        let mut answers = Vec::new();
        for change in changes {
            if is_internal(&change) {
                self.retained.push(change);
            } else {
                answers.extend(refuse(change, error, false));
            }
        }
        answers.extend(self.refuse_waiting(error));
        self.tell(Committed {
            answers,
            trouble: Some(error.clone()),
            ..Committed::default()
        });
        crate::sync::pause(RETRY_AFTER);
    }

    /// Nothing of what producers wait for has been tried: it is not stored.
    fn refuse_waiting(&mut self, error: &StorageError) -> Vec<Box<dyn Answer>> {
        let refuse = |waiting: Waiting| {
            let (value, source) = (waiting.runs, error.clone());
            said(waiting.reply, Err(AdmitError::Storage { value, source }))
        };
        self.waiting.drain(..).map(refuse).collect()
    }

    fn close(&mut self, error: StorageError, remove: bool) {
        if let Some(life) = &*self.life.lock() {
            life.end(remove);
        }
        self.shut(error);
    }

    /// From now on nothing is written.
    fn shut(&mut self, error: StorageError) {
        self.poison = Some(error.clone());
        self.tell(Committed {
            closed: Some(error),
            ..Committed::default()
        });
    }

    fn refuse_all(&mut self, changes: Vec<Change>, error: &StorageError, open: bool) -> Turn {
        let turn = match (open, changes.is_empty() && self.waiting.is_empty()) {
            (false, _) => Turn::Ended,
            (true, true) => return Turn::Idle,
            (true, false) => Turn::Worked,
        };
        let unknown = error.is_unknown();
        let mut answers: Vec<Box<dyn Answer>> = changes
            .into_iter()
            .filter_map(|change| refuse(change, error, unknown))
            .collect();
        answers.extend(self.refuse_waiting(error));
        self.tell(Committed {
            answers,
            ..Committed::default()
        });
        turn
    }

    fn end(&mut self) {
        // After a clean end there is nothing to prove: our row is gone.
        let clean = self.poison.is_none() && self.last_tries <= LAST_TRIES;
        let saves = matches!(self.poison, Some(StorageError::LogLost { .. }));
        if clean || saves {
            self.backend.finish();
        }
        self.close(StorageError::Closed, clean);
        let mut rest = std::mem::take(&mut self.retained);
        rest.extend(self.changes.try_iter());
        self.refuse_all(rest, &StorageError::Closed, false);
    }

    fn tell(&self, committed: Committed) {
        let nothing = committed.dispatch.is_empty()
            && committed.ended.is_empty()
            && committed.withdrawn.is_empty()
            && committed.answers.is_empty()
            && committed.trouble.is_none()
            && committed.closed.is_none();
        if !nothing {
            // Nobody listens any more only when the engine is gone.
            let _ = self.committed.send(committed);
        }
    }
}

/// The statements of that branch's step are not carried out any more. `false`: there are none.
fn refuse_effects(changes: &mut [Change], branch: BranchId) -> bool {
    for change in changes {
        if let Change::Checkpoint(checkpoint) = change
            && checkpoint.job.row.id == branch
            && let Some(aside) = &mut checkpoint.aside
            && aside.effects_refused.is_none()
        {
            let why = "it took too long, or rolled back the whole transaction (OR ROLLBACK, RAISE(ROLLBACK))";
            aside.effects_refused = Some(why.to_owned());
            return true;
        }
    }
    false
}
