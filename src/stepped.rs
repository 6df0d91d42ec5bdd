//! An engine on one thread: nothing happens until it is told to, so that tests decide the order.

use std::time::Duration;

use windlass_runner::{Crew, Pump, PumpTurn};
use windlass_scheduler::{Dispatcher, Scheduler};
use windlass_store::inspect::Inspector;
use windlass_store::sync::{Arc, bounded};
use windlass_store::{StorageError, Turn, Writer};

use crate::builder::{EngineBuilder, EngineError};
use crate::engine::{Core, Opening, dispatcher};

/// See the module. Blocking calls of its [`Scheduler`] would wait for ever: poll the futures between
/// steps instead.
#[derive(Debug)]
pub struct SteppedEngine {
    core: Core,
    writer: Writer,
    dispatcher: Dispatcher,
    crew: Arc<Crew>,
    pumps: Vec<Pump>,
}

impl SteppedEngine {
    pub(crate) fn start(builder: &EngineBuilder) -> Result<Self, EngineError> {
        let Opening {
            core,
            writer,
            committed,
            recovery,
        } = Opening::new(builder)?;
        let (send, jobs) = bounded(builder.capacity.max(1));
        let serving = Arc::clone(&core.serving);
        let crew = Arc::new(Crew::new(
            core.store.clone(),
            serving,
            jobs,
            builder.in_flight,
        ));
        let dispatcher = dispatcher(&core, committed, send, &crew, recovery, builder)?;
        core.store
            .meter()
            .set_seats(builder.runners * builder.in_flight.max(1));
        let pumps = (0..builder.runners)
            .map(|number| crew.pump(number))
            .collect();
        core.store.nudge();
        Ok(Self {
            core,
            writer,
            dispatcher,
            crew,
            pumps,
        })
    }

    /// The way in.
    pub fn scheduler(&self) -> Scheduler {
        self.core.scheduler.clone()
    }

    /// Reads the engine's store.
    ///
    /// # Errors
    /// When it cannot be opened once more.
    pub fn inspector(&self) -> Result<Inspector, StorageError> {
        Inspector::of(&self.core.store)
    }

    /// Transactions that wrote something so far, and the rows that they wrote.
    pub fn written(&self) -> (u64, u64) {
        self.core.store.meter().written()
    }

    /// Lets the writer commit one batch. `false`: there was nothing to write.
    pub fn step_writer(&mut self) -> bool {
        self.writer.turn(Duration::ZERO) == Turn::Worked
    }

    /// Lets the dispatcher hand over one commit and look around.
    pub fn step_dispatcher(&mut self) {
        self.dispatcher.turn(Duration::ZERO);
    }

    /// Lets Runner `number` take one job. `false`: there was none.
    pub fn step_runner(&mut self, number: usize) -> bool {
        self.pumps
            .get_mut(number)
            .is_some_and(|pump| pump.turn(Duration::ZERO) == PumpTurn::Worked)
    }

    /// Lets the supervisor look once.
    pub fn step_supervisor(&mut self) {
        self.crew.look();
    }

    /// Like [`step_runner`](Self::step_runner), but waits up to `rest` for a job, or for an asynchronous
    /// step that waits for something outside of this process.
    pub fn rest_runner(&mut self, number: usize, rest: Duration) -> bool {
        self.pumps
            .get_mut(number)
            .is_some_and(|pump| pump.turn(rest) == PumpTurn::Worked)
    }

    /// How many steps are in flight: between two turns only asynchronous ones.
    pub fn in_flight(&self) -> usize {
        self.crew.seats().in_flight().len()
    }

    /// A supervisor that can be turned while this engine is, from inside of a blocking step.
    pub fn supervisor(&self) -> Supervisor {
        Supervisor(Arc::clone(&self.crew))
    }

    /// Ends it as if its process had been killed: nothing is given back, nobody is told, its row and
    /// its owner file stay and say which jobs its Runners were in. Steps in flight are dropped. Whoever
    /// still has a [`Scheduler`] or context of it does not keep it alive, as a drop would let them.
    pub fn crash(self) {
        if let Some(life) = self.core.store.life() {
            life.end(false);
        }
    }

    /// Steps everything in turn until nothing moves any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let mut moved = self.step_writer();
            self.step_dispatcher();
            for number in 0..self.pumps.len() {
                moved |= self.step_runner(number);
            }
            quiet = if moved { 0 } else { quiet + 1 };
        }
    }
}

/// The supervisor of a [`SteppedEngine`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supervisor(Arc<Crew>);

impl Supervisor {
    /// Looks once: ends steps whose time is over.
    pub fn look(&self) {
        self.0.look();
    }
}
