//! B: a workflow of eight durable steps: three in a row, a split into four branches of one step each,
//! and one step behind their join.
//!
//! The rate counts steps: eight for each run. Raw SQLite writes the rows that the engine writes for
//! a run (recorded, see [`crate::raw`]), 256 runs to a transaction.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{
    Draft, Functions, Handler, Handlers, Json, Request, StepOutput, StepSpec, Workflow,
};

use crate::child::{Role, call};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{Channel as _, Progress, builder, check_all_ended, payload};
use crate::raw::rows::{Kind, RawRows, Took as RawTook};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::per_second;

/// Durable steps of one run.
pub(crate) const STEPS: u64 = 8;

/// Runs in one transaction of raw SQLite.
pub(crate) const RAW_BATCH: u64 = 256;

const NAME: &str = "split-join";

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.5),
    },
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::AtLeast(50_000.0),
    },
];

/// Three steps, a split into four of one step each, a step behind the join. The last one counts.
pub(crate) fn workflow(progress: &Arc<Progress>) -> Result<Workflow<Json>> {
    let mut draft = Draft::new(NAME, "1");
    let steps = ["one", "two", "three"].map(|name| draft.step(name, StepSpec::new("pass")));
    let (split, join) = draft.split("split", None);
    let last = draft.step("last", StepSpec::new("last"));
    draft.start_at(steps[0]);
    draft.connect(steps[0], steps[1]);
    draft.connect(steps[1], steps[2]);
    draft.connect(steps[2], split);
    for name in ["a", "b", "c", "d"] {
        let step = draft.step(name, StepSpec::new("pass"));
        draft.branch(split, name, step);
        draft.connect(step, join);
    }
    draft.connect(join, last);
    let progress = Arc::clone(progress);
    let handlers = Handlers::new()
        .with(
            "pass",
            Handler::blocking(|_, data| Ok(StepOutput::data(data.clone()))),
        )
        .with(
            "last",
            Handler::blocking(move |context, data| {
                progress.begin(context.run());
                Ok(StepOutput::data(data.clone()))
            }),
        );
    Ok(Workflow::from_parts(
        draft.finish()?,
        Functions::new(),
        handlers,
    ))
}

pub(crate) fn request() -> Request {
    Request::new(NAME, payload(PAYLOAD_BYTES))
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SplitJoin {
    folder: PathBuf,
    durability: Durability,
    runners: usize,
    capacity: Option<usize>,
    runs: u64,
    bulk: u64,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    steps_per_s: f64,
    rows_per_run: f64,
}

impl SplitJoin {
    pub(crate) fn measure(&self) -> Result<Took> {
        let folder = new_folder(&self.folder)?;
        let progress = Progress::of(self.runs);
        let engine = builder(
            Some(&folder.path().join("bench.db")),
            self.durability,
            self.runs,
        )
        .runners(self.runners)
        .channel(self.capacity)
        .workflow(&workflow(&progress)?)
        .open()?;
        let scheduler = engine.scheduler();
        let before = engine.stats();
        let watch = Stopwatch::start();
        let mut accepted = 0;
        while accepted < self.runs {
            let bulk = self.bulk.clamp(1, self.runs - accepted);
            scheduler.schedule_all_blocking((0..bulk).map(|_| request()).collect())?;
            accepted += bulk;
        }
        progress.wait(&scheduler)?;
        let elapsed = watch.elapsed();
        let rows = engine.stats().rows_written - before.rows_written;
        check_all_ended(&engine)?;
        engine.shutdown(Duration::from_secs(5));
        let second = Duration::from_secs(1);
        Ok(Took {
            steps_per_s: per_second(self.runs * STEPS, elapsed),
            rows_per_run: per_second(rows, second) / per_second(self.runs, second),
        })
    }
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let ours = || {
        call::<Took>(&Role::SplitJoin(SplitJoin {
            folder: setting.folder.clone(),
            durability: setting.durability,
            runners: setting.runners,
            capacity: setting.capacity,
            runs: setting.sizes.workflows,
            bulk: setting.sizes.bulk,
        }))
    };
    let raw = || {
        call::<RawTook>(&Role::RawRows(RawRows {
            folder: setting.folder.clone(),
            durability: setting.durability,
            kind: Kind::SplitJoin,
            runs: setting.sizes.workflows,
            batch: RAW_BATCH,
        }))
    };
    let (ours, raw) = super::in_turns(setting, ours, raw)?;
    let raw_steps = raw.rate * per_second(STEPS, Duration::from_secs(1));
    Ok(vec![
        Figure::new("rate", "steps/s", ours.steps_per_s).against("raw SQLite", raw_steps),
        Figure::new("rows per run", "rows", ours.rows_per_run)
            .against("raw SQLite", raw.rows_per_run),
    ])
}
