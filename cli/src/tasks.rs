//! What people are asked by the steps of playbooks.

use serde_json::Value as Json;
use windlass::{Inspector, RunId, StorageError};
use windlass_dialects::{ManualTask, asked, manual_tasks};

use crate::failure::Failure;

/// How deep playbooks are followed that call each other.
const DEPTH_MAX: u32 = 64;

/// A step that waits for a person now.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Its run: the one that was asked for, or one that this called.
    pub(crate) run: RunId,
    pub(crate) task: ManualTask,
    /// What it asks, with all values filled in: `text`, `target`, `out_args` and `owner`.
    pub(crate) asked: Json,
}

impl Waiting {
    /// The question in one text.
    pub(crate) fn text(&self) -> &str {
        self.asked["text"].as_str().unwrap_or(&self.task.text)
    }

    /// What is to be acted on, by name and type; `None` if the step names nothing.
    pub(crate) fn target(&self) -> Option<String> {
        let target = &self.asked["target"];
        match (target["name"].as_str(), target["type"].as_str()) {
            (Some(name), Some(kind)) => Some(format!("{name} ({kind})")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }
}

/// Every step of a run, and of the runs that it called, that waits for a person.
pub(crate) fn waiting(inspector: &mut Inspector, run: RunId) -> Result<Vec<Waiting>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![(run, 0)];
    while let Some((run, depth)) = open.pop() {
        found.extend(of_run(inspector, run)?);
        if depth < DEPTH_MAX {
            let called = called(inspector, run)?;
            open.extend(called.into_iter().map(|called| (called, depth + 1)));
        }
    }
    Ok(found)
}

fn of_run(inspector: &mut Inspector, run: RunId) -> Result<Vec<Waiting>, Failure> {
    let waits = inspector
        .awaiting(run)
        .map_err(|error| broken_off(&error))?;
    if waits.is_empty() {
        return Ok(Vec::new());
    }
    let Some(detail) = inspector.show(run).map_err(|error| broken_off(&error))? else {
        return Ok(Vec::new());
    };
    let tasks = manual_tasks(&detail.definition);
    let waiting = waits.into_iter().filter_map(|(step, data)| {
        let task = tasks.iter().find(|task| task.step == step)?;
        Some(Waiting {
            run,
            task: task.clone(),
            asked: asked(&data, &step).unwrap_or_default(),
        })
    });
    Ok(waiting.collect())
}

fn called(inspector: &mut Inspector, run: RunId) -> Result<Vec<RunId>, Failure> {
    let why = inspector.why(run).map_err(|error| broken_off(&error))?;
    let branches = why.into_iter().flat_map(|why| why.branches);
    Ok(branches.filter_map(|branch| branch.waits_for.run).collect())
}

fn broken_off(error: &StorageError) -> Failure {
    Failure::broken_off(error)
}
