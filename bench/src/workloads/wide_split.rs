//! F: one run that splits into very many branches of one step each and joins them.
//!
//! From the schedule to the end of the run, and so with the clean-up of all branches. Narrower
//! splits are run several times over, so that all rates stand on as many branches. Compared with A
//! in the same round, a branch with a job.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{
    BranchSeed, Draft, Fault, Function, Functions, Handler, Handlers, Json, Payload, Request,
    RunOutcome, StepOutput, StepSpec, Workflow,
};

use crate::child::{Role, call};
use crate::clock::Stopwatch;
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{Channel as _, builder, payload};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::per_second;

const NAME: &str = "wide-split";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.5),
    },
    Goal {
        figure: "linearity",
        under: Durability::Full,
        bound: Bound::AtLeast(0.8),
    },
];

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WideSplit {
    folder: PathBuf,
    durability: Durability,
    runners: usize,
    capacity: Option<usize>,
    branches: u64,
    runs: u64,
}

impl WideSplit {
    /// Branches per second.
    pub(crate) fn measure(&self) -> Result<f64> {
        let folder = new_folder(&self.folder)?;
        let engine = builder(Some(&folder.path().join("bench.db")), self.durability, 1)
            .runners(self.runners)
            .channel(self.capacity)
            .workflow(&workflow()?)
            .open()?;
        let scheduler = engine.scheduler();
        let watch = Stopwatch::start();
        for _ in 0..self.runs {
            let request = Request::new(NAME, Payload::encode(&self.branches)?);
            let outcome = scheduler.schedule_blocking(request)?.wait_blocking(None)?;
            if !matches!(outcome, RunOutcome::Succeeded(_)) {
                return Err(BenchError::Unsound(format!(
                    "the split ended so: {outcome:?}"
                )));
            }
        }
        let elapsed = watch.elapsed();
        engine.shutdown(Duration::from_secs(5));
        Ok(per_second(self.runs * self.branches, elapsed))
    }
}

/// As many branches as the data says, each with a payload of the usual length.
fn workflow() -> Result<Workflow<Json>> {
    let mut draft = Draft::new(NAME, "1");
    let (split, join) = draft.split("split", None);
    let body = draft.step("branch", StepSpec::new("pass"));
    draft.start_at(split);
    draft.computed_branches(split, "branches", body);
    draft.connect(body, join);
    let mut functions = Functions::new();
    let items = |data: &Payload| {
        let count: u64 = data
            .decode()
            .map_err(|error| Fault::new("data-invalid", error.to_string()))?;
        let payload = payload(PAYLOAD_BYTES);
        let seed = |number| BranchSeed {
            name: format!("b{number}"),
            data: payload.clone(),
        };
        Ok((0..count).map(seed).collect())
    };
    functions.insert("branches", Function::Items(Arc::new(items)));
    let pass = Handler::blocking(|_, data| Ok(StepOutput::data(data.clone())));
    let handlers = Handlers::new().with("pass", pass);
    Ok(Workflow::from_parts(draft.finish()?, functions, handlers))
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let sizes = &setting.sizes.branches;
    let most = sizes.last().copied().unwrap_or(1);
    let ours = || {
        let mut rates = Vec::new();
        for branches in sizes {
            let branches = (*branches).max(1);
            rates.push(call::<f64>(&Role::WideSplit(WideSplit {
                folder: setting.folder.clone(),
                durability: setting.durability,
                runners: setting.runners,
                capacity: setting.capacity,
                branches,
                runs: (most / branches).max(1),
            }))?);
        }
        Ok(rates)
    };
    let (rates, of_a) = super::in_turns(setting, ours, || super::noop_jobs::rate(setting))?;
    let mut figures = Vec::new();
    for (branches, rate) in sizes.iter().zip(&rates).rev() {
        let name = if *branches == most {
            "rate".to_owned()
        } else {
            format!("rate at {branches}")
        };
        figures.push(Figure::new(name, "branches/s", *rate).against("A", of_a));
    }
    if let [.., narrower, widest] = rates.as_slice() {
        figures.push(Figure::new("linearity", "×", widest / narrower));
    }
    Ok(figures)
}
