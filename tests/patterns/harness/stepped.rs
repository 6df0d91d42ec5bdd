//! An engine on this thread that serves one pattern: nothing happens unless it is stepped.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use windlass::{Clock as _, Durability, Engine, RunId, RunOutcome, SteppedEngine, SystemClock};

use super::driver::Look;
use super::pattern::Pattern;
use super::{PATIENCE, Stage};

/// Rounds after which what was asked for must have been answered.
const ROUNDS_MAX: usize = 100_000;

/// See the module.
pub(crate) struct Stepped<'a> {
    pub(crate) engine: SteppedEngine,
    pub(crate) stage: Stage,
    pattern: &'a Pattern,
}

impl<'a> Stepped<'a> {
    /// An engine on a file, with one Runner and seats for all steps of a pattern: for those that wait for
    /// each other, and so that none is left to an engine that is taken for dead, which would lock it and
    /// not begin it.
    pub(crate) fn open(pattern: &'a Pattern, database: &Path) -> Self {
        let stage = Stage::interrupted();
        let builder = Engine::builder()
            .database(database)
            .durability(Durability::Normal)
            .runners(1)
            .in_flight(16);
        let builder = pattern.workflow(&stage).serve(builder);
        let engine = builder.open_stepped().expect("the engine opens");
        Self {
            engine,
            stage,
            pattern,
        }
    }

    /// Lets writer and dispatcher work until `asked` is answered; no Runner takes a job.
    pub(crate) fn ask<F: Future>(&mut self, asked: F) -> F::Output {
        let mut asked = pin!(asked);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..ROUNDS_MAX {
            if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                return answer;
            }
            self.engine.step_writer();
            self.engine.step_dispatcher();
        }
        panic!("the engine does not answer");
    }

    /// Begins the pattern's own run, or finds it again.
    pub(crate) fn begin(&mut self) -> RunId {
        let workflow = self.pattern.workflow(&self.stage);
        let request = self.pattern.the_run(workflow.definition());
        let scheduler = self.engine.scheduler();
        let run = self.ask(scheduler.schedule(request));
        run.expect("the run is admitted").id()
    }

    /// Begins one more run with the pattern's input.
    pub(crate) fn begin_another(&mut self) -> RunId {
        let workflow = self.pattern.workflow(&self.stage);
        let request = Pattern::request(workflow.definition(), &self.pattern.input);
        let scheduler = self.engine.scheduler();
        let run = self.ask(scheduler.schedule(request));
        run.expect("the run is admitted").id()
    }

    /// How a run has ended.
    pub(crate) fn outcome(&self, run: RunId) -> Option<RunOutcome> {
        let mut inspector = self.engine.inspector().expect("the store can be read");
        inspector.outcome(run).expect("the store can be read")
    }

    /// Writes what has come, and hands over what became ready; no Runner takes a job.
    pub(crate) fn write_all(&mut self) {
        while self.engine.step_writer() {
            self.engine.step_dispatcher();
        }
        self.engine.step_dispatcher();
    }

    /// What can be seen of a run.
    pub(crate) fn look(&self, run: RunId) -> Look {
        let mut inspector = self.engine.inspector().expect("the store can be read");
        Look::at(&mut inspector, run).expect("the run is stored")
    }

    /// Does what the outside does now.
    pub(crate) fn drive(&mut self, run: RunId) {
        if !self.pattern.is_driven() {
            return;
        }
        let look = self.look(run);
        for act in self.pattern.acts(&look) {
            let (scheduler, stage) = (self.engine.scheduler(), self.stage.clone());
            self.ask(act.act(scheduler, &stage, run));
        }
    }

    /// Goes on until the Runner has taken or ended a step `turns` times; what the last turn brought
    /// is not written. `false`: the run has ended before.
    pub(crate) fn go_on(&mut self, run: RunId, turns: usize) -> bool {
        self.go_on_with(run, turns, Self::drive)
    }

    fn go_on_with(
        &mut self,
        run: RunId,
        turns: usize,
        mut drive: impl FnMut(&mut Self, RunId),
    ) -> bool {
        let clock = SystemClock::new();
        let mut done = 0;
        while done < turns {
            self.write_all();
            if self.outcome(run).is_some() {
                return false;
            }
            drive(self, run);
            if self.outcome(run).is_some() {
                return false; // The outside has ended it.
            }
            done += usize::from(self.engine.step_runner(0));
            let patience = clock.elapsed() < PATIENCE;
            assert!(patience, "the run does not go on: {:?}", self.look(run).why);
        }
        true
    }

    /// Goes on until the run has ended.
    pub(crate) fn finish(&mut self, run: RunId) -> RunOutcome {
        self.go_on(run, usize::MAX);
        self.outcome(run).expect("it has ended")
    }

    /// Goes on until the run has ended, while the outside does nothing.
    pub(crate) fn finish_undriven(&mut self, run: RunId) -> RunOutcome {
        self.go_on_with(run, usize::MAX, |_, _| {});
        self.outcome(run).expect("it has ended")
    }
}
