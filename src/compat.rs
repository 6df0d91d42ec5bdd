//! Whether an engine can go on with the runs of a database, asked before it is deployed.

use std::collections::HashMap;
use std::path::Path;

use windlass_store::inspect::Inspector;
use windlass_store::{RunFilter, TemporaryCopy};
use windlass_workflow_model::RunId;

use crate::builder::{EngineBuilder, EngineError};
use crate::engine::Opening;

/// Unfinished runs that are looked at; those beyond are not judged.
const RUNS_MAX: u32 = 1_000_000;

/// An unfinished run that an engine could not go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: String,
    /// The version with which it was begun.
    pub version: String,
    /// Why not, and what to do.
    pub why: String,
}

impl EngineBuilder {
    /// The unfinished runs of the database that an engine with these workflows and handlers could not
    /// go on with: before it takes the place of another one. Opens a copy, beside whoever works on the
    /// database, so the migration of the file is tried too; the copy is gone afterwards. In memory
    /// there is nothing to break.
    ///
    /// # Errors
    /// [`EngineError`] if the database cannot be copied, or the copy not opened.
    pub fn broken_runs(&self) -> Result<Vec<Broken>, EngineError> {
        let Some(database) = &self.database else {
            return Ok(Vec::new());
        };
        let copy = TemporaryCopy::of(database)?;
        let verdicts = self.verdicts(copy.path())?;
        let mut inspector = Inspector::open(copy.path())?;
        let runs = inspector.runs(RunFilter::Unfinished, RUNS_MAX)?;
        let broken = runs.into_iter().filter_map(|run| {
            let why = match verdicts.get(&(run.workflow.clone(), run.version.clone())) {
                Some(verdict) => verdict.clone()?,
                None => "no workflow of this name and version is registered: register it, too, until its runs have ended".to_owned(),
            };
            Some(Broken {
                run: run.run,
                workflow: run.workflow,
                version: run.version,
                why,
            })
        });
        Ok(broken.collect())
    }

    /// By name and version, what is wrong with each of our workflows there; `None` if nothing.
    fn verdicts(
        &self,
        copy: &Path,
    ) -> Result<HashMap<(String, String), Option<String>>, EngineError> {
        let alone = Self {
            database: Some(copy.to_owned()),
            workflows: Vec::new(),
            retention: None,
            commit_hook: None,
            ..self.clone()
        };
        let mut opening = Opening::new(&alone)?;
        let mut verdicts = HashMap::new();
        for workflow in &self.workflows {
            let definition = workflow.definition();
            let key = (
                definition.name().to_owned(),
                definition.version().to_owned(),
            );
            let registered = opening.register(workflow);
            verdicts.insert(key, registered.err().map(|error| error.to_string()));
        }
        Ok(verdicts)
    }
}
