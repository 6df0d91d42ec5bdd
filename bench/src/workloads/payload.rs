//! J: no-op jobs with larger payloads, as bytes of payload per second.
//!
//! Each job carries its payload once; what is written for it is more. Raw SQLite writes the same
//! rows in the same round. Bulks and batches are bounded in bytes, as the engine's are.

use crate::child::{Role, call};
use crate::error::Result;
use crate::figure::{Figure, Goal};
use crate::raw::rows::{Kind, RawRows, Took as RawTook};
use crate::setting::Setting;

use super::noop_jobs::{NoopJobs, RAW_BATCH, Took};

/// Sizes of the payload, in bytes, with their names.
const SIZES: [(usize, &str); 2] = [(1 << 10, "1 KiB"), (100 << 10, "100 KiB")];

/// Bytes of payload in one bulk or batch: half of what the engine takes into one transaction.
const BATCH_BYTES: u64 = 4 << 20;

/// The issue asks for the figures and sets no bound.
pub(crate) const GOALS: &[Goal] = &[];

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (bytes, name) in SIZES {
        let each = bytes as u64;
        let jobs = (setting.sizes.payload_volume / each).max(1);
        let most = (BATCH_BYTES / each).max(1);
        let ours = || {
            call::<Took>(&Role::NoopJobs(NoopJobs {
                jobs,
                bulk: setting.sizes.bulk.min(most),
                payload_bytes: bytes,
                ..NoopJobs::standard(setting)
            }))
        };
        let raw = || {
            call::<RawTook>(&Role::RawRows(RawRows {
                folder: setting.folder.clone(),
                durability: setting.durability,
                kind: Kind::NoopJobs {
                    payload_bytes: bytes,
                    direct: true,
                },
                runs: jobs,
                batch: RAW_BATCH.min(most),
            }))
        };
        let (ours, raw) = super::in_turns(setting, ours, raw)?;
        #[expect(clippy::cast_precision_loss, reason = "a size of a few digits")]
        let megabytes = bytes as f64 / 1_000_000.0;
        figures.push(
            Figure::new(name, "MB/s", ours.rate * megabytes)
                .against("raw SQLite", raw.rate * megabytes),
        );
    }
    Ok(figures)
}
