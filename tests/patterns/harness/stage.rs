//! Where the steps of a pattern meet the outside and each other: latches, meetings, and a log of
//! when each step was at work.
//!
//! Lives in one process: a kill empties it, as it does all that is not in the store.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use windlass::{Context, RunId, StepError};

use super::{PATIENCE, Trail};

/// How long a step lingers: some turns of a Runner, and of others.
const LINGERING: Duration = Duration::from_millis(5);

/// Data that remembers which steps it has passed.
pub(crate) trait Noted: Send + 'static {
    /// A step was passed.
    fn note(&mut self, step: &str);
}

impl Noted for Trail {
    fn note(&mut self, step: &str) {
        self.push(step.to_owned());
    }
}

/// When one attempt of a step was at work, on a clock that ticks with every beginning and end: so two
/// spans overlap here exactly if they overlapped in fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// `None` for what is no step.
    pub(crate) run: Option<RunId>,
    pub(crate) step: String,
    pub(crate) start: u64,
    /// `None` while it goes on. One that failed or was dropped is over, too.
    pub(crate) finish: Option<u64>,
}

impl Span {
    /// Whether both were at work at one moment.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ends = |span: &Self| span.finish.unwrap_or(u64::MAX);
        self.start < ends(other) && other.start < ends(self)
    }

    /// Whether this one had ended when the other one began.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        self.finish.is_some_and(|finish| finish <= other.start)
    }
}

/// What a step does, as the builder takes it.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, StepError>> + Send>>;

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    /// Whether all who are to meet are sure to come: after a kill those who came before do not come
    /// again.
    all_come: bool,
    latches: Mutex<HashMap<&'static str, watch::Sender<bool>>>,
    meetings: Mutex<HashMap<&'static str, watch::Sender<usize>>>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    clock: u64,
    spans: Vec<Span>,
}

impl Log {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// A step at work, until it returns or is dropped.
struct AtWork {
    stage: Stage,
    span: usize,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut log = self.stage.0.log.lock().expect("nobody panics here");
        let finish = log.tick();
        log.spans[self.span].finish = Some(finish);
    }
}

impl Stage {
    /// A stage where meetings take place.
    pub(crate) fn new() -> Self {
        Self::with(true)
    }

    /// A stage for runs that are interrupted: nobody waits for others at a meeting.
    pub(crate) fn interrupted() -> Self {
        Self::with(false)
    }

    fn with(all_come: bool) -> Self {
        Self(Arc::new(Inner {
            all_come,
            latches: Mutex::default(),
            meetings: Mutex::default(),
            log: Mutex::default(),
        }))
    }

    /// A step that leaves its name in the data.
    pub(crate) fn mark<T: Noted>(&self) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(|_| {}, |_, _, _| async { Ok(()) })
    }

    /// A step that leaves its name in the data and changes it.
    pub(crate) fn work<T: Noted>(
        &self,
        change: impl Fn(&mut T) + Send + Sync + 'static,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(change, |_, _, _| async { Ok(()) })
    }

    /// A step that goes on when `latch` is open.
    pub(crate) fn held<T: Noted>(
        &self,
        latch: &'static str,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.held_if(latch, |_| true)
    }

    /// A step that goes on when `latch` is open, if it is on the branch named `branch`.
    pub(crate) fn held_on<T: Noted>(
        &self,
        branch: &'static str,
        latch: &'static str,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.held_on_any([branch], latch)
    }

    /// A step that goes on when `latch` is open, if it is on a branch with one of these names.
    pub(crate) fn held_on_any<T: Noted, const N: usize>(
        &self,
        branches: [&'static str; N],
        latch: &'static str,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.held_if(latch, move |context| {
            let name = context.branch_name();
            name.is_some_and(|name| branches.contains(&name))
        })
    }

    fn held_if<T: Noted>(
        &self,
        latch: &'static str,
        held: impl Fn(&Context) -> bool + Send + Sync + 'static,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(
            |_| {},
            move |stage, context, _| {
                let latch = held(&context).then_some(latch);
                stage.wait_for(latch, context)
            },
        )
    }

    /// A step that goes on when the latch is open that its data names.
    pub(crate) fn held_by<T: Noted>(
        &self,
        latch: impl Fn(&T) -> &'static str + Send + Sync + 'static,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(
            |_| {},
            move |stage, context, data| stage.wait_for(Some(latch(data)), context),
        )
    }

    async fn wait_for(
        self,
        latch: Option<&'static str>,
        context: Context,
    ) -> Result<(), StepError> {
        let Some(latch) = latch else {
            return Ok(());
        };
        let mut latch = self.latch(latch).subscribe();
        tokio::select! {
            open = latch.wait_for(|open| *open) => {
                open.expect("a latch stays as long as its stage");
                Ok(())
            }
            () = context.cancelled() => Err(StepError::failed("told to stop")),
        }
    }

    /// A step that goes on when `latch` is open, and does not listen when it is told to stop.
    pub(crate) fn deaf<T: Noted>(
        &self,
        latch: &'static str,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(
            |_| {},
            move |stage, _, _| async move {
                let mut latch = stage.latch(latch).subscribe();
                let open = latch.wait_for(|open| *open).await;
                open.expect("a latch stays as long as its stage");
                Ok(())
            },
        )
    }

    /// A step that gives way to all others again and again, so that any that may be at work at the
    /// same time will be: for what must not overlap.
    pub(crate) fn lingers<T: Noted>(
        &self,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(
            |_| {},
            |_, _, _| async {
                tokio::time::sleep(LINGERING).await;
                Ok(())
            },
        )
    }

    /// A step that goes on when `how_many` are in steps of this `meeting` at once.
    pub(crate) fn meets<T: Noted>(
        &self,
        meeting: &'static str,
        how_many: usize,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static {
        self.step(
            |_| {},
            move |stage, _, _| async move {
                if !stage.0.all_come {
                    return Ok(());
                }
                let here = stage.meeting(meeting);
                here.send_modify(|count| *count += 1);
                let mut here = here.subscribe();
                let all = here.wait_for(|count| *count >= how_many);
                match tokio::time::timeout(PATIENCE / 4, all).await {
                    Ok(_) => Ok(()),
                    Err(_) => Err(StepError::failed("nobody else came to the meeting")),
                }
            },
        )
    }

    fn step<T: Noted, F>(
        &self,
        change: impl Fn(&mut T) + Send + Sync + 'static,
        before: impl Fn(Self, Context, &T) -> F + Send + Sync + 'static,
    ) -> impl Fn(Context, T) -> Work<T> + Send + Sync + 'static
    where
        F: Future<Output = Result<(), StepError>> + Send + 'static,
    {
        let stage = self.clone();
        let change = Arc::new(change);
        move |context, mut data| {
            let (stage, change) = (stage.clone(), Arc::clone(&change));
            let waiting = before(stage.clone(), context.clone(), &data);
            Box::pin(async move {
                let _at_work = stage.begin(&context);
                waiting.await?;
                change(&mut data);
                data.note(context.step());
                Ok(data)
            })
        }
    }

    fn begin(&self, context: &Context) -> AtWork {
        let mut log = self.0.log.lock().expect("nobody panics here");
        let start = log.tick();
        log.spans.push(Span {
            run: Some(context.run()),
            step: context.step().to_owned(),
            start,
            finish: None,
        });
        AtWork {
            stage: self.clone(),
            span: log.spans.len() - 1,
        }
    }

    /// Notes that something other than a step has happened: an attempt of `what` without length.
    pub(crate) fn saw(&self, what: &str) {
        let mut log = self.0.log.lock().expect("nobody panics here");
        let start = log.tick();
        log.spans.push(Span {
            run: None,
            step: what.to_owned(),
            start,
            finish: Some(start),
        });
    }

    /// Opens a latch.
    pub(crate) fn open(&self, latch: &'static str) {
        self.latch(latch).send_replace(true);
    }

    /// Opens all latches that a step has come to.
    pub(crate) fn open_all(&self) {
        self.set_all(true);
    }

    /// Closes all latches again, for another run.
    pub(crate) fn close_all(&self) {
        self.set_all(false);
    }

    fn set_all(&self, open: bool) {
        let latches = self.0.latches.lock().expect("nobody panics here");
        for latch in latches.values() {
            latch.send_replace(open);
        }
    }

    fn latch(&self, latch: &'static str) -> watch::Sender<bool> {
        let mut latches = self.0.latches.lock().expect("nobody panics here");
        latches.entry(latch).or_default().clone()
    }

    fn meeting(&self, meeting: &'static str) -> watch::Sender<usize> {
        let mut meetings = self.0.meetings.lock().expect("nobody panics here");
        meetings.entry(meeting).or_default().clone()
    }

    /// Every attempt of `step`, in the order in which they began.
    pub(crate) fn spans(&self, step: &str) -> Vec<Span> {
        let log = self.0.log.lock().expect("nobody panics here");
        let of_step = log.spans.iter().filter(|span| span.step == step);
        of_step.cloned().collect()
    }

    /// Every attempt of every step of a run, in the order in which they began.
    pub(crate) fn spans_of(&self, run: RunId) -> Vec<Span> {
        let log = self.0.log.lock().expect("nobody panics here");
        let of_run = log.spans.iter().filter(|span| span.run == Some(run));
        of_run.cloned().collect()
    }

    /// The one attempt of `step`.
    #[track_caller]
    pub(crate) fn span(&self, step: &str) -> Span {
        let mut spans = self.spans(step);
        assert_eq!(spans.len(), 1, "{step:?} is attempted once: {spans:?}");
        spans.remove(0)
    }
}
