//! The engine as the settings want it.

use std::path::Path;
use std::time::Duration;

use windlass::{
    Admission, Durability, Engine, History, Inspector, Retention, RunDetail, RunId, ShedPolicy,
};

use crate::config::{AdmissionPolicy, Config, DurabilityName, HistoryName};
use crate::failure::Failure;
use crate::rows;

/// How long running steps may go on after Ctrl-C before they are given back.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(5);

/// Opens the database and starts Runners; serves no workflow yet.
pub(crate) fn open(config: &Config) -> Result<Engine, Failure> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let admission = config.admission;
    let max_pending = admission.max_pending;
    let shed = |policy| Admission::Shed {
        max_pending,
        policy,
    };
    Engine::builder()
        .database(config.database.clone())
        .durability(durability(config.durability))
        .history(match config.history {
            HistoryName::All => History::All,
            HistoryName::Failures => History::Failures,
            HistoryName::Off => History::Off,
        })
        .runners(count(config.runners))
        .in_flight(count(config.in_flight))
        .capacity(count(config.capacity))
        .admission(match admission.policy {
            AdmissionPolicy::Backpressure => Admission::Backpressure {
                max_pending,
                timeout: admission.timeout,
            },
            AdmissionPolicy::RejectNew => shed(ShedPolicy::RejectNew),
            AdmissionPolicy::DropOldest => shed(ShedPolicy::DropOldest),
        })
        .retention(config.retention.map(|keep| Retention { keep }))
        .max_crashes(config.max_crashes)
        .open()
        .map_err(|error| Failure::refused_by(&error))
}

/// The engine's word for a durability.
pub(crate) fn durability(name: DurabilityName) -> Durability {
    match name {
        DurabilityName::Full => Durability::Full,
        DurabilityName::Normal => Durability::Normal,
    }
}

/// Opens the database for reading only; it must exist.
pub(crate) fn inspect(database: &Path) -> Result<Inspector, Failure> {
    Inspector::open(database).map_err(|error| Failure::refused_by(&error))
}

/// The run that a word on the command line names.
pub(crate) fn find(inspector: &mut Inspector, text: &str) -> Result<RunId, Failure> {
    inspector
        .find(text)
        .map_err(|error| Failure::refused_by(&error))
}

/// A run in full.
pub(crate) fn show(inspector: &mut Inspector, run: RunId) -> Result<RunDetail, Failure> {
    let shown = inspector
        .show(run)
        .map_err(|error| Failure::broken_off(&error))?;
    let mut detail = shown.ok_or_else(|| {
        Failure::refused(format!("there is no run {run}: retention has removed it"))
    })?;
    rows::settle(inspector, &mut detail)?;
    Ok(detail)
}
