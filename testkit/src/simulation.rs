//! An engine on one thread whose parts take turns in an order drawn from a seed, and that dies and
//! is opened again.
//!
//! Owns what happens next: which part works, when time passes, when the engine dies. Never starts
//! a thread or reads the machine's clock, so the same seed gives the same history.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use windlass::{
    Clock as _, CommitPoint, Durability, EngineBuilder, EngineError, Inspector, RunFilter,
    Scheduler, SteppedEngine, Timestamp,
};

use crate::attempts::Attempts;
use crate::clock::TestClock;
use crate::kill::{CrashPoint, Killer, unless_killed};
use crate::trouble::Trouble;

/// Turns after which what was asked for must have been answered.
const TURNS_MAX: usize = 100_000;

/// Turns in which nothing moves before all that can be done is done in order.
const QUIET_TURNS: u32 = 24;

/// The engine dies in one turn of so many, and the clock jumps, while there is trouble left.
const CRASH_ONE_IN: u32 = 30;
const JUMP_ONE_IN: u32 = 40;

/// How far the wall clock is from where it would be, at most.
const JUMP_YEARS: i64 = 10;
const YEAR_US: i64 = 365 * 24 * 3_600 * 1_000_000;

/// What is due later than this is reached by setting the wall clock, as one does who corrects it.
const PATIENCE: Duration = Duration::from_hours(1);

/// Time that passes at once where nothing tells how long to wait.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// How long a step that waits for something outside of the process is waited for at once.
const OUTSIDE: Duration = Duration::from_millis(20);

/// How often nothing comes from outside before time passes all the same: two seconds.
const OUTSIDE_TIMES: u32 = 100;

/// What a simulation is made with.
#[derive(Clone, Debug)]
pub struct Setting {
    seed: u64,
    runners: usize,
    in_flight: usize,
    trouble: Trouble,
    database: Option<PathBuf>,
    clock: Arc<TestClock>,
}

impl Setting {
    /// One Runner with one seat, in memory, without trouble.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            runners: 1,
            in_flight: 1,
            trouble: Trouble::none(),
            database: None,
            clock: Arc::default(),
        }
    }

    /// So many Runners, each with so many steps in flight.
    #[must_use]
    pub fn runners(mut self, runners: usize, in_flight: usize) -> Self {
        (self.runners, self.in_flight) = (runners, in_flight);
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.trouble = trouble;
        self
    }

    /// A SQLite file: it can die. Written as [`Durability::Normal`], since no power is lost here.
    #[must_use]
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// The clock of the engine and of its steps.
    #[must_use]
    pub fn clock(mut self, clock: Arc<TestClock>) -> Self {
        self.clock = clock;
        self
    }
}

/// See the module.
pub struct Simulation {
    /// `None` only between two lives.
    engine: Option<SteppedEngine>,
    /// Of this life. To open one costs more than to look.
    inspector: Option<Inspector>,
    builder: EngineBuilder,
    clock: Arc<TestClock>,
    /// Where the wall clock would be if nobody had set it, less what has passed.
    began: Timestamp,
    rng: Rng,
    seed: u64,
    runners: usize,
    can_crash: bool,
    wraps: bool,
    killer: Killer,
    attempts: Attempts,
    lives: u32,
    quiet: u32,
    pause: Duration,
    /// How often nothing came from outside, one time after the other.
    waited: u32,
    log: Vec<String>,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // The supervisor knows the handlers, which know it: together they would stay for ever.
        self.attempts.begin_life(None);
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.seed)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Opens an engine of `builder`, whose database, clock, Runners, commit hook and wrapping of handlers
    /// are the simulation's own.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(builder: EngineBuilder, setting: &Setting) -> Result<Self, EngineError> {
        let mut simulation = Self::prepare(builder, setting);
        simulation.reopen()?;
        Ok(simulation)
    }

    /// All but the opening, so that it can be killed there too.
    pub(crate) fn prepare(builder: EngineBuilder, setting: &Setting) -> Self {
        let mut rng = Rng::with_seed(setting.seed);
        let (killer, clock) = (Killer::default(), Arc::clone(&setting.clock));
        let can_crash = setting.database.is_some();
        let attempts = Attempts::new(rng.fork(), Arc::clone(&clock), setting.trouble, can_crash);
        let builder = match &setting.database {
            Some(path) => builder.database(path).durability(Durability::Normal),
            None => builder.in_memory(),
        };
        Self {
            engine: None,
            inspector: None,
            builder: builder
                .clock(clock.clone())
                .runners(setting.runners)
                .in_flight(setting.in_flight)
                // A job that is alone whenever the engine dies is not to blame.
                .max_crashes(u32::MAX)
                .commit_hook(killer.hook()),
            began: Timestamp(clock.now().0 - micros(clock.elapsed())),
            clock,
            rng,
            seed: setting.seed,
            runners: setting.runners,
            can_crash,
            wraps: setting.trouble != Trouble::none(),
            killer,
            attempts,
            lives: 0,
            quiet: 0,
            pause: PAUSE_MIN,
            waited: 0,
            log: Vec::new(),
        }
    }

    /// The engine of this life.
    ///
    /// # Panics
    /// Never: there is one between two calls.
    pub fn engine(&mut self) -> &mut SteppedEngine {
        self.engine.as_mut().expect("it lives")
    }

    /// The way in, of this life.
    pub fn scheduler(&mut self) -> Scheduler {
        self.engine().scheduler()
    }

    /// Reads the store, in this life.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn inspector(&mut self) -> &mut Inspector {
        let engine = self.engine.as_ref().expect("it lives");
        self.inspector
            .get_or_insert_with(|| engine.inspector().expect("the store can be read"))
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<TestClock> {
        &self.clock
    }

    /// What went wrong so far, in order, for people.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// The commits of this life so far.
    pub fn commits(&self) -> u64 {
        self.killer.commits()
    }

    pub(crate) fn killer(&self) -> &Killer {
        &self.killer
    }

    /// Lets writer and dispatcher work until `asked` is answered. The engine does not die meanwhile.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn ask<F: Future>(&mut self, asked: F) -> F::Output {
        self.killer.spare(true);
        let answer = self.await_answer(asked).expect("it was spared");
        self.killer.spare(false);
        answer
    }

    /// The same for what does no harm when it is asked twice: when the engine dies over it, it is asked
    /// again in the next life.
    ///
    /// # Panics
    /// When there is no answer, or the engine cannot be opened again.
    pub fn ask_again<F: Future>(&mut self, mut ask: impl FnMut(Scheduler) -> F) -> F::Output {
        loop {
            let asked = ask(self.scheduler());
            if let Some(answer) = self.await_answer(asked) {
                return answer;
            }
            self.die("in a commit");
        }
    }

    /// `None`: it was killed.
    fn await_answer<F: Future>(&mut self, asked: F) -> Option<F::Output> {
        let engine = self.engine();
        unless_killed(move || {
            let mut asked = pin!(asked);
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..TURNS_MAX {
                if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                    return answer;
                }
                engine.step_writer();
                engine.step_dispatcher();
            }
            panic!("the engine does not answer");
        })
    }

    /// One part does one thing, or something goes wrong. `true`: for some time nothing has moved.
    ///
    /// # Panics
    /// When the engine cannot be opened again after a crash.
    pub fn turn(&mut self) -> bool {
        let moved = self.turn_once();
        self.quiet = if moved { 0 } else { self.quiet + 1 };
        if self.attempts.jumps_now(JUMP_ONE_IN) {
            self.jump();
        }
        if !self.killer.is_armed() && self.attempts.crashes_now(CRASH_ONE_IN) {
            self.crash_somehow();
        }
        if self.quiet < QUIET_TURNS {
            return false;
        }
        self.quiet = 0;
        self.settle();
        true
    }

    /// `false`: there was nothing to do.
    fn turn_once(&mut self) -> bool {
        let part = self.rng.usize(0..self.runners + 4);
        self.part(part).unwrap_or_else(|| {
            self.die("in a commit");
            true
        })
    }

    /// `None`: it was killed.
    fn part(&mut self, part: usize) -> Option<bool> {
        let engine = self.engine();
        let moved = match part {
            0 | 1 => unless_killed(|| engine.step_writer())?,
            2 => {
                engine.step_dispatcher();
                false
            }
            3 => {
                engine.step_supervisor();
                false
            }
            runner => engine.step_runner(runner - 4),
        };
        if self.attempts.kills() {
            self.die("in a step");
        }
        Some(moved)
    }

    /// Every part in turn until nothing moves any more.
    ///
    /// # Panics
    /// When the engine cannot be opened again after a crash.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let mut moved = false;
            for part in 1..self.runners + 4 {
                moved |= self.part(part).unwrap_or_else(|| {
                    self.die("in a commit");
                    true
                });
            }
            quiet = if moved { 0 } else { quiet + 1 };
            if moved {
                self.pause = PAUSE_MIN;
            }
        }
    }

    /// Lets time pass up to what is due next, or a while where nothing is. Where nothing but a stuck
    /// step is left, the engine dies of it.
    ///
    /// # Panics
    /// When the store cannot be read, or the engine not be opened again after a crash.
    pub fn pass_time(&mut self) {
        if self.await_outside() {
            return;
        }
        let waking = self.clock.next_waking();
        let due = self.next_due();
        let is_alone = waking.is_none() && due.is_none();
        if is_alone && self.can_crash && self.attempts.is_stuck() && self.pause >= PAUSE_MAX {
            self.die("over a stuck step");
            return;
        }
        let left = due.map(|due| due.since(self.clock.now()));
        if let (Some(due), None) = (due.filter(|_| left > Some(PATIENCE)), waking) {
            self.log
                .push("the wall clock is set to what is due".to_owned());
            self.clock.jump_to(due);
            return;
        }
        let next = waking.into_iter().chain(left).min();
        let pause = next.unwrap_or(self.pause).min(PATIENCE);
        if next.is_none() {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        // Now and then somewhat less, so that something else can come in between.
        let share = if self.rng.u8(0..4) == 0 {
            self.rng.f64()
        } else {
            1.0
        };
        // What is overdue waits for something that looks every few milliseconds.
        self.clock
            .advance(pause.mul_f64(share).max(Duration::from_millis(1)));
    }

    /// Steps may wait for what no clock of ours tells: a socket, a timer of their runtime. Meanwhile the
    /// clock stands, or their time would be over before it began. `false`: nobody does.
    fn await_outside(&mut self) -> bool {
        let is_ours = self.attempts.is_stuck() || self.clock.next_waking().is_some();
        if is_ours || self.engine().in_flight() == 0 {
            return false;
        }
        for number in 0..self.runners {
            if self.engine().rest_runner(number, OUTSIDE) {
                if self.attempts.kills() {
                    self.die("in a step");
                }
                self.waited = 0;
                return true;
            }
        }
        self.waited += 1;
        self.waited <= OUTSIDE_TIMES
    }

    /// When the first branch of an unfinished run goes on by itself.
    fn next_due(&mut self) -> Option<Timestamp> {
        let inspector = self.inspector();
        let unfinished = inspector.runs(RunFilter::Unfinished, 1_000);
        let unfinished = unfinished.expect("the store can be read");
        let whys = unfinished
            .into_iter()
            .filter_map(|run| inspector.why(run.run).expect("the store can be read"));
        let whys: Vec<_> = whys.collect();
        let branches = whys.iter().flat_map(|why| &why.branches);
        let waits = branches.map(|branch| &branch.waits_for);
        // What is in somebody's hands goes on by itself, long before any deadline.
        let in_hand = ["running", "channel", "outbox", "lock"];
        let is_idle = !waits.clone().any(|waits| in_hand.contains(&waits.kind));
        let deadlines = whys.iter().filter_map(|why| why.deadline);
        let due = waits.filter_map(|waits| waits.until);
        let due = due.chain(deadlines.filter(|_| is_idle));
        due.min_by_key(|due| due.0)
    }

    fn jump(&mut self) {
        let years = JUMP_YEARS * YEAR_US;
        let offset = self.rng.i64(-years..=years);
        let now = self.began.0 + micros(self.clock.elapsed()) + offset;
        self.log.push(format!("the wall clock is set to {now} µs"));
        self.clock.jump_to(Timestamp(now));
    }

    fn crash_somehow(&mut self) {
        let how = self.rng.u8(0..4);
        if how == 0 {
            self.crash();
            return;
        }
        // The last one dies once more while it is opened.
        let from = if how == 1 { 0 } else { self.killer.commits() };
        let number = from + self.rng.u64(1..=3);
        let point = if self.rng.bool() {
            CommitPoint::Before(number)
        } else {
            CommitPoint::After(number)
        };
        self.killer.arm(CrashPoint(point));
        if how == 1 {
            self.crash();
        }
    }

    /// The engine dies, as if its process were killed, and another one takes the file.
    ///
    /// # Panics
    /// When it cannot be opened again. In memory, where nothing would be left.
    pub fn crash(&mut self) {
        self.die("between two turns");
    }

    fn die(&mut self, when: &str) {
        assert!(
            self.can_crash,
            "what is in memory does not outlive its engine"
        );
        let commits = self.killer.commits();
        self.log.push(format!(
            "crash {when}, {commits} commits after it was opened"
        ));
        self.inspector = None;
        if let Some(engine) = self.engine.take() {
            engine.crash();
        }
        self.reopen().expect("what a crash left can be opened");
    }

    /// A new life begins, at the second try if it is killed in the first.
    pub(crate) fn reopen(&mut self) -> Result<(), EngineError> {
        loop {
            self.lives += 1;
            self.killer.begin_life();
            self.attempts.begin_life(None);
            self.clock.forget_sleepers();
            let seed = self.seed.wrapping_add(u64::from(self.lives) << 32);
            let wrapper = self.attempts.wrapper(seed, self.wraps);
            let builder = self.builder.clone().wrap_handlers(wrapper);
            match unless_killed(move || builder.open_stepped()) {
                Some(engine) => {
                    let engine = self.engine.insert(engine?);
                    self.attempts.begin_life(Some(engine.supervisor()));
                    return Ok(());
                }
                None => self.log.push("crash while it was opened".to_owned()),
            }
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
