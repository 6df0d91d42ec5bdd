//! A case: a workflow, its input, its handlers, what the outside does, and what is expected.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass::{EngineBuilder, Handler, Payload, Request, Timestamp, Workflow};

use crate::blank;
use crate::clock::{START, TestClock};
use crate::crashes::CrashReport;
use crate::effects;
use crate::evidence::{End, Evidence, rows};
use crate::failure::{Failure, Scene, test_name};
use crate::outside::{Act, Look, Outside};
use crate::recorder::Recorder;
use crate::seeds::Simulated;
use crate::simulation::{Setting, Simulation};
use crate::trouble::Trouble;

/// Under which key the run of a case is scheduled, so that it is found again after a crash.
const KEY: &str = "the run of the case";

/// Times that nothing more happened after which a run is not expected to go on.
const IDLE_MAX: u32 = 400;

/// What may come of a run that was disturbed by time.
const OF_TIME: [&str; 6] = [
    "step-timeout",
    "heartbeat-missed",
    "start-too-late",
    "wait-timeout",
    "scope-timeout",
    "run-deadline",
];

type Serve = Arc<dyn Fn(EngineBuilder) -> EngineBuilder + Send + Sync>;
type Expected = Arc<dyn Fn(&End) -> bool + Send + Sync>;

/// What is run, and what is expected of it however it is disturbed.
///
/// One case can be played in each way: [`crash_everywhere`](Self::crash_everywhere),
/// [`kill_everywhere`](Self::kill_everywhere), [`simulate`](Self::simulate). Each way first plays it
/// undisturbed; the end of that run is what is expected, unless [`ends`](Self::ends) says something
/// else.
#[derive(Clone)]
pub struct Case {
    pub(crate) name: String,
    pub(crate) request: Request,
    serve: Serve,
    pub(crate) outside: Outside,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) runners: usize,
    pub(crate) in_flight: usize,
    pub(crate) seed: u64,
    pub(crate) trouble: Trouble,
    expected: Option<Expected>,
    is_racy: bool,
    tables: Vec<String>,
    queries: Vec<String>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// A run of `workflow` with `input`, on two Runners with four steps in flight each.
    ///
    /// # Panics
    /// When the input has no JSON form.
    pub fn new<T>(workflow: &Workflow<T>, input: &T) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
    {
        let request = workflow.request(input);
        let request = request.expect("the input has a JSON form").dedupe_key(KEY);
        let workflow = workflow.clone();
        Self {
            name: workflow.definition().name().to_owned(),
            request,
            serve: Arc::new(move |builder| builder.workflow(&workflow)),
            outside: Outside::default(),
            recorder: Recorder::new(),
            clock: Arc::default(),
            runners: 2,
            in_flight: 4,
            seed: 0,
            trouble: Trouble::all(),
            expected: None,
            is_racy: false,
            tables: Vec::new(),
            queries: Vec::new(),
        }
    }

    /// A handler for the steps that name it.
    #[must_use]
    pub fn handler(self, name: impl Into<String>, handler: Handler) -> Self {
        let name = name.into();
        self.engine(move |engine| engine.handler(name.clone(), handler.clone()))
    }

    /// One more workflow to serve, that is called or scheduled by a step.
    #[must_use]
    pub fn workflow<T: 'static>(self, workflow: &Workflow<T>) -> Self {
        let workflow = workflow.clone();
        self.engine(move |engine| engine.workflow(&workflow))
    }

    /// Other settings of the engine. Where it stores, its
    /// clock, its Runners, its commit hook and the wrapping of its handlers are the kit's own.
    #[must_use]
    pub fn engine(
        mut self,
        change: impl Fn(EngineBuilder) -> EngineBuilder + Send + Sync + 'static,
    ) -> Self {
        let serve = self.serve;
        self.serve = Arc::new(move |builder| change(serve(builder)));
        self
    }

    /// So many Runners, each with so many steps in flight. Default: 2 and 4.
    #[must_use]
    pub fn runners(mut self, runners: usize, in_flight: usize) -> Self {
        (self.runners, self.in_flight) = (runners, in_flight);
        self
    }

    /// Draws the order of things in [`crash_everywhere`](Self::crash_everywhere). Default 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What goes wrong in a simulation. Default: [`Trouble::all`].
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.trouble = trouble;
        self
    }

    /// Where the steps note what they do to the world. It is cleared before each run of the workflow, and
    /// checked after.
    #[must_use]
    pub fn recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = recorder.clone();
        self
    }

    /// The clock that steps are to take, instead of the machine's: it stands at 14 November 2023 when
    /// a run begins, and moves when nothing else does.
    #[must_use]
    pub fn clock(mut self, clock: &Arc<TestClock>) -> Self {
        self.clock = Arc::clone(clock);
        self
    }

    /// Whoever waits for `event` gets it, with `payload`. For waits without a correlation.
    ///
    /// # Panics
    /// When the payload has no JSON form.
    #[must_use]
    pub fn answers(mut self, event: impl Into<String>, payload: &impl Serialize) -> Self {
        let payload = Payload::encode(payload).expect("the payload has a JSON form");
        self.outside.answer(event.into(), payload);
        self
    }

    /// What the outside does when nothing moves by itself; asked again and again.
    #[must_use]
    pub fn driven_by(mut self, driver: impl Fn(&Look) -> Vec<Act> + Send + Sync + 'static) -> Self {
        self.outside.add(driver);
        self
    }

    /// Which ends are right, instead of only that of the undisturbed run, which must be among them.
    #[must_use]
    pub fn ends(mut self, expected: impl Fn(&End) -> bool + Send + Sync + 'static) -> Self {
        self.expected = Some(Arc::new(expected));
        self
    }

    /// Who is faster may decide what is done: other steps than in the undisturbed run are right, as long as
    /// the run ends as it did, or [as it may](Self::ends). That each outcome counts once, leaves nothing
    /// over and has its declared effects is checked all the same.
    #[must_use]
    pub fn racy(mut self) -> Self {
        self.is_racy = true;
        self
    }

    /// A table of the user's own, for transactional steps: `create` is SQL that makes it if it is not
    /// there, `query` gives rows in an order of its own. They must be those of the undisturbed run.
    #[must_use]
    pub fn table(mut self, create: impl Into<String>, query: impl Into<String>) -> Self {
        self.tables.push(create.into());
        self.queries.push(query.into());
        self
    }

    /// An engine for this case, without a place to store.
    pub(crate) fn builder(&self) -> EngineBuilder {
        // Each change is a commit of its own: every state between two of them is seen.
        (self.serve)(windlass::Engine::builder()).changes_per_commit(1)
    }

    /// Makes the user's own tables.
    pub(crate) fn make_tables(&self, database: &Path) {
        if !self.tables.is_empty() {
            let connection = Connection::open(database).expect("the database can be opened");
            for create in &self.tables {
                let made = connection.execute_batch(create);
                made.expect("the table can be made");
            }
        }
    }

    /// Plays one scene and says what is left; the undisturbed one without `plain`.
    pub(crate) fn play(
        &self,
        scene: Scene,
        trouble: Trouble,
        plain: Option<&Evidence>,
    ) -> Result<(Evidence, Vec<String>), Box<Failure>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Stage {
            database: folder.path().join("case.db"),
            began: START,
            trouble,
        };
        blank::put(&stage.database);
        self.recorder.keep_in(None);
        self.recorder.clear();
        self.play_on(&stage, scene, false, plain)
    }

    /// The same where something may have happened already.
    pub(crate) fn play_on(
        &self,
        stage: &Stage,
        scene: Scene,
        is_in_processes: bool,
        plain: Option<&Evidence>,
    ) -> Result<(Evidence, Vec<String>), Box<Failure>> {
        self.clock.begin_at(stage.began);
        let setting = Setting::new(scene.seed)
            .runners(self.runners, self.in_flight)
            .trouble(stage.trouble)
            .database(&stage.database)
            .clock(Arc::clone(&self.clock));
        let mut simulation = Simulation::prepare(self.builder(), &setting);
        if let Some(point) = scene.crash.filter(|_| !is_in_processes) {
            simulation.killer().arm(point);
        }
        let played = catch_unwind(AssertUnwindSafe(|| {
            let evidence = self.see_through(&mut simulation, &stage.database)?;
            let judged = match plain {
                Some(plain) => self.judge(plain, &evidence, stage.trouble),
                None => self.judge_undisturbed(&evidence),
            };
            judged.map_err(|what| (what, evidence.snapshot.clone()))?;
            Ok(evidence)
        }));
        let played = played.unwrap_or_else(|panic| Err((said(panic.as_ref()), String::new())));
        let disturbances = simulation.log().to_vec();
        match played {
            Ok(evidence) => Ok((evidence, disturbances)),
            Err((what, snapshot)) => Err(Box::new(Failure {
                workflow: self.name.clone(),
                what,
                scene,
                is_in_processes,
                disturbances,
                snapshot,
                test: test_name(),
            })),
        }
    }

    /// Begins the run, or finds it again, and goes on until nothing moves any more.
    fn see_through(
        &self,
        simulation: &mut Simulation,
        database: &Path,
    ) -> Result<Evidence, (String, String)> {
        simulation.reopen().map_err(|error| {
            (
                format!("the engine cannot be opened: {error}"),
                String::new(),
            )
        })?;
        self.make_tables(database);
        let handle = simulation.ask_again(|scheduler| {
            let request = self.request.clone();
            async move { scheduler.schedule(request).await }
        });
        let run = handle
            .map_err(|error| (format!("the run is not admitted: {error}"), String::new()))?
            .id();
        let (mut idle, mut before) = (0, None);
        loop {
            if !simulation.turn() {
                continue;
            }
            let look = Look::at(simulation.inspector(), run);
            let acts = self.outside.acts(&look);
            let is_over = look.unfinished.is_empty();
            if is_over || (look.is_parked() && acts.is_empty()) {
                return Ok(self.evidence(simulation, &look, database));
            }
            let mut acted = false;
            for act in acts {
                acted |= simulation.ask_again(|scheduler| act.clone().act(scheduler));
            }
            // Where it goes on while time passes, it stands elsewhere after a while.
            idle = if before.as_ref() == Some(&look) {
                idle + 1
            } else {
                0
            };
            if idle > IDLE_MAX {
                let what = format!("the run does not go on: {:?}", look.unfinished);
                return Err((what, self.evidence(simulation, &look, database).snapshot));
            }
            before = Some(look);
            if !acted || idle > 0 {
                simulation.pass_time();
            }
        }
    }

    fn evidence(&self, simulation: &mut Simulation, look: &Look, database: &Path) -> Evidence {
        let (notes, rows) = (self.recorder.notes(), rows(database, &self.queries));
        let mut evidence = Evidence::of(simulation.inspector(), look, notes, rows);
        evidence.commits = simulation.commits();
        evidence
    }

    fn judge_undisturbed(&self, plain: &Evidence) -> Result<(), String> {
        plain.check()?;
        match &self.expected {
            Some(expected) if !expected(&plain.end) => {
                Err(format!("undisturbed it {}, which is not right", plain.end))
            }
            _ => Ok(()),
        }
    }

    /// Whether a disturbed run did what it should.
    fn judge(&self, plain: &Evidence, got: &Evidence, trouble: Trouble) -> Result<(), String> {
        got.check()?;
        let is_same_end = got.end == plain.end;
        let may_end_so = if let Some(expected) = &self.expected {
            expected(&got.end)
        } else {
            let is_late = trouble != Trouble::none() && Self::is_late(&got.end);
            is_same_end || is_late || Self::is_parked_rightly(got)
        };
        if !may_end_so {
            let (got, plain) = (&got.end, &plain.end);
            return Err(format!("it {got}, and undisturbed it {plain}"));
        }
        let is_comparable = is_same_end && !self.is_racy;
        if is_comparable {
            got.check_same(plain)?;
        }
        effects::check(plain, got, is_comparable)
    }

    /// Where nobody knows whether a step has happened that must not happen twice, an operator decides.
    fn is_parked_rightly(got: &Evidence) -> bool {
        let End::Parked(steps) = &got.end else {
            return false;
        };
        let is_unknown = |step: &String| {
            let of_step = got.effects.iter().filter(|((_, name), _)| name == step);
            let mut effects = of_step.map(|(_, effect)| effect);
            effects.any(|effect| matches!(effect, windlass::Effect::AtMostOnce { .. }))
        };
        !steps.is_empty() && steps.iter().all(is_unknown)
    }

    /// Whether it failed because it took too long, where time is disturbed.
    fn is_late(end: &End) -> bool {
        let End::Failed(errors) = end else {
            return false;
        };
        errors
            .iter()
            .any(|(_, code)| OF_TIME.contains(&code.as_str()))
    }
}

/// Crashes a run of `workflow` at each commit; `with` adds what surrounds it: handlers, workflows that
/// are called, answers from outside, a recorder. See [`Case::crash_everywhere`].
///
/// # Panics
/// When something is wrong; see there.
#[track_caller]
pub fn crash_everywhere<T>(
    workflow: &Workflow<T>,
    input: &T,
    with: impl FnOnce(Case) -> Case,
) -> CrashReport
where
    T: Serialize + DeserializeOwned + 'static,
{
    with(Case::new(workflow, input)).crash_everywhere()
}

/// Kills a process that runs `workflow` at each commit. See [`Case::kill_everywhere`].
///
/// # Panics
/// When something is wrong; see there.
#[track_caller]
pub fn kill_everywhere<T>(
    workflow: &Workflow<T>,
    input: &T,
    with: impl FnOnce(Case) -> Case,
) -> CrashReport
where
    T: Serialize + DeserializeOwned + 'static,
{
    with(Case::new(workflow, input)).kill_everywhere()
}

/// Runs `workflow` in the order, and with the trouble, that `seed` draws. See [`Case::simulate`].
///
/// # Panics
/// When something is wrong; see there.
#[track_caller]
pub fn simulate<T>(
    seed: u64,
    workflow: &Workflow<T>,
    input: &T,
    with: impl FnOnce(Case) -> Case,
) -> Simulated
where
    T: Serialize + DeserializeOwned + 'static,
{
    with(Case::new(workflow, input)).simulate(seed)
}

/// Where a scene is played.
pub(crate) struct Stage {
    pub(crate) database: PathBuf,
    pub(crate) began: Timestamp,
    pub(crate) trouble: Trouble,
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("without a word"))
}
