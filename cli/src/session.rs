//! One engine at work for one command, from its opening to its end.

use windlass::{Engine, Inspector, Json, RunId, Workflow};
use windlass_dialects::ImportedWorkflow;

use crate::config::Config;
use crate::engine::{self, SHUTDOWN};
use crate::failure::Failure;
use crate::follow::{Ending, Followed};
use crate::interrupt::Interrupt;
use crate::program::Programs;
use crate::progress::Progress;
use crate::report::go_on;
use crate::steps::Serving;

/// An engine that Ctrl-C stops gracefully.
pub(crate) struct Session {
    engine: Engine,
    interrupt: Interrupt,
    database: std::path::PathBuf,
    guards: std::path::PathBuf,
}

impl Session {
    /// Opens the database and starts Runners.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let interrupt = Interrupt::watch()?;
        let engine = engine::open(config)?;
        Ok(Self {
            engine,
            interrupt,
            database: config.database.clone(),
            guards: config.guards(),
        })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether somebody asked to stop.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Somebody who stops us at once is told how to go on with these runs.
    pub(crate) fn promise(&self, open: impl Iterator<Item = RunId>) {
        let lines = open.map(|run| go_on(run, &self.database));
        self.interrupt.set_last_words(lines.collect());
    }

    /// Reads the same database.
    pub(crate) fn inspector(&self) -> Result<Inspector, Failure> {
        self.engine
            .inspector()
            .map_err(|error| Failure::refused_by(&error))
    }

    /// What starts programs for the jobs of this database.
    pub(crate) fn programs(&self) -> Result<Programs, Failure> {
        Programs::new(&self.guards).map_err(|error| {
            let guards = self.guards.display();
            Failure::refused(format!(
                "folder {guards} for the locks of running programs cannot be used ({error}); check its permissions"
            ))
        })
    }

    /// From now on the engine takes jobs of this workflow.
    pub(crate) fn serve(
        &self,
        workflow: ImportedWorkflow,
        serving: &Serving,
    ) -> Result<(), Failure> {
        let handlers = serving.handlers(&workflow);
        let ImportedWorkflow {
            definition,
            functions,
            ..
        } = workflow;
        let workflow = Workflow::<Json>::from_parts(definition, functions, handlers);
        self.engine
            .register(&workflow)
            .map_err(|error| Failure::refused_by(&error))
    }
    /// Stops the engine, which has nothing running.
    pub(crate) fn stop(self) {
        self.engine.shutdown(SHUTDOWN);
    }

    /// Stops the engine: running steps may finish within some seconds, and are given back then.
    ///
    /// Runs that were interrupted are looked at once more, for they may have ended meanwhile.
    pub(crate) fn close(
        self,
        mut followed: Vec<Followed>,
        inspector: &mut Inspector,
        progress: &mut Progress,
    ) -> Result<Vec<Followed>, Failure> {
        if followed.iter().any(|run| run.ending == Ending::Interrupted) {
            progress.say(&format!(
                "interrupted: running steps have {} s to finish",
                SHUTDOWN.as_secs()
            ));
        }
        self.engine.shutdown(SHUTDOWN);
        for run in followed
            .iter_mut()
            .filter(|run| run.ending == Ending::Interrupted)
        {
            run.detail = engine::show(inspector, run.detail.summary.run)?;
            progress.look(&run.detail);
            if run.detail.summary.status.is_end() {
                run.ending = Ending::Ended;
            }
        }
        Ok(followed)
    }
}
