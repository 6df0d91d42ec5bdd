//! What becomes of each attempt in a simulation: handlers are wrapped, and their fates drawn.

use std::collections::hash_map::DefaultHasher;
use std::future::pending;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use windlass::{Context, Handler, StepError, Supervisor, WrapHandlers};

use crate::clock::TestClock;
use crate::trouble::Trouble;

/// One attempt in so many is slow, stuck or dies with its engine, as long as there is trouble left.
const ONE_IN: u32 = 12;

/// What becomes of an attempt.
enum Fate {
    Plain,
    /// Takes that much longer, before or after it does its work.
    Slow(Duration, When),
    /// Does not go on by itself, and perhaps listens when it is told to stop.
    Stuck {
        listens: bool,
    },
    /// The engine dies before or after the step does its work.
    Killed(When),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

/// See the module. Clones are one.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Shared>);

struct Shared {
    clock: Arc<TestClock>,
    fates: Mutex<Fates>,
}

struct Fates {
    rng: Rng,
    left: Trouble,
    /// Whether the engine can die at all.
    can_crash: bool,
    /// Of this life.
    supervisor: Option<Supervisor>,
    /// The engine is to die before anything else happens.
    kills: bool,
    /// Attempts of this life that nothing but a crash may end.
    stuck: u32,
}

impl Attempts {
    pub(crate) fn new(rng: Rng, clock: Arc<TestClock>, trouble: Trouble, can_crash: bool) -> Self {
        let left = Trouble {
            crashes: if can_crash { trouble.crashes } else { 0 },
            ..trouble
        };
        let fates = Mutex::new(Fates {
            rng,
            left,
            can_crash,
            supervisor: None,
            kills: false,
            stuck: 0,
        });
        Self(Arc::new(Shared { clock, fates }))
    }

    /// A new life begins, with this supervisor.
    pub(crate) fn begin_life(&self, supervisor: Option<Supervisor>) {
        let mut fates = self.lock();
        (fates.supervisor, fates.kills, fates.stuck) = (supervisor, false, 0);
    }

    /// Takes one of what may still go wrong, with a chance of one in `one_in`. `false`: not now.
    pub(crate) fn crashes_now(&self, one_in: u32) -> bool {
        self.lock().takes(one_in, |left| &mut left.crashes)
    }

    /// See [`crashes_now`](Self::crashes_now).
    pub(crate) fn jumps_now(&self, one_in: u32) -> bool {
        self.lock().takes(one_in, |left| &mut left.clock_jumps)
    }

    /// Whether an attempt kills the engine now.
    pub(crate) fn kills(&self) -> bool {
        self.lock().kills
    }

    /// Whether there are attempts that perhaps only a crash ends.
    pub(crate) fn is_stuck(&self) -> bool {
        self.lock().stuck > 0
    }

    /// Wraps the handlers of one life. Some of those that block become asynchronous: then they can be
    /// in flight when something else happens.
    pub(crate) fn wrapper(&self, seed: u64, wraps: bool) -> WrapHandlers {
        let attempts = self.clone();
        Arc::new(move |name, handler| {
            if !wraps {
                return handler;
            }
            // Not drawn one after the other: handlers come in no order.
            let mut hasher = DefaultHasher::new();
            (seed, name).hash(&mut hasher);
            let flies = hasher.finish().is_multiple_of(2);
            let attempts = attempts.clone();
            match handler {
                Handler::Blocking(call) if flies => Handler::future(move |context, data| {
                    let (attempts, call) = (attempts.clone(), Arc::clone(&call));
                    async move {
                        let fate = attempts.fate(&context, true);
                        attempts.begin(&fate, &context).await?;
                        let result = call(&context, &data);
                        attempts.end(&fate).await;
                        result
                    }
                }),
                Handler::Blocking(call) => Handler::blocking(move |context, data| {
                    let fate = attempts.fate(context, false);
                    if !attempts.block(&fate, When::Before) {
                        // Nobody will read it: the engine dies.
                        return Err(StepError::failed("killed"));
                    }
                    let result = call(context, data);
                    attempts.block(&fate, When::After);
                    result
                }),
                Handler::Future(call) => Handler::future(move |context, data| {
                    let (attempts, call) = (attempts.clone(), Arc::clone(&call));
                    async move {
                        let fate = attempts.fate(&context, true);
                        attempts.begin(&fate, &context).await?;
                        let result = call(context, data).await;
                        attempts.end(&fate).await;
                        result
                    }
                }),
            }
        })
    }

    fn fate(&self, context: &Context, flies: bool) -> Fate {
        let mut fates = self.lock();
        if fates.takes(ONE_IN, |left| &mut left.crashes) {
            return Fate::Killed(fates.when());
        }
        if fates.takes(ONE_IN, |left| &mut left.slow_steps) {
            let by = fates.left.slow_max.mul_f64(fates.rng.f64());
            return Fate::Slow(by, fates.when());
        }
        let can_end = context.timeout().is_some() || fates.can_crash;
        if flies && can_end && fates.takes(ONE_IN, |left| &mut left.stuck_steps) {
            fates.stuck += 1;
            let listens = fates.rng.bool();
            return Fate::Stuck { listens };
        }
        Fate::Plain
    }

    async fn begin(&self, fate: &Fate, context: &Context) -> Result<(), StepError> {
        match fate {
            Fate::Slow(by, When::Before) => self.0.clock.sleep(*by).await,
            Fate::Stuck { listens: true } => {
                context.cancelled().await;
                return Err(StepError::failed("told to stop"));
            }
            Fate::Stuck { listens: false } => pending().await,
            Fate::Killed(When::Before) => self.die().await,
            Fate::Plain | Fate::Slow(..) | Fate::Killed(_) => {}
        }
        Ok(())
    }

    async fn end(&self, fate: &Fate) {
        match fate {
            Fate::Slow(by, When::After) => self.0.clock.sleep(*by).await,
            Fate::Killed(When::After) => self.die().await,
            Fate::Plain | Fate::Slow(..) | Fate::Stuck { .. } | Fate::Killed(_) => {}
        }
    }

    async fn die(&self) {
        self.lock().kills = true;
        pending::<()>().await;
    }

    /// The same for an attempt that occupies its thread. `false`: the engine dies.
    fn block(&self, fate: &Fate, now: When) -> bool {
        match fate {
            Fate::Slow(by, when) if *when == now => {
                let supervisor = self.lock().supervisor.clone();
                self.0.clock.advance(*by);
                // It runs beside the step, and may find that its time is over.
                if let Some(supervisor) = supervisor {
                    supervisor.look();
                }
            }
            Fate::Killed(when) if *when == now => {
                self.lock().kills = true;
                return false;
            }
            Fate::Plain | Fate::Slow(..) | Fate::Stuck { .. } | Fate::Killed(_) => {}
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Fates> {
        self.0.fates.lock().expect("nobody panics here")
    }
}

impl Fates {
    fn takes(&mut self, one_in: u32, of: impl Fn(&mut Trouble) -> &mut u32) -> bool {
        let left = of(&mut self.left);
        let taken = *left > 0 && self.rng.u32(0..one_in) == 0;
        *left -= u32::from(taken);
        taken
    }

    fn when(&mut self) -> When {
        if self.rng.bool() {
            When::Before
        } else {
            When::After
        }
    }
}
