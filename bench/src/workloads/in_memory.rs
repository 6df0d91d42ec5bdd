//! I: no-op jobs as in A, on the store that is gone with the process.

use crate::child::{Role, call};
use crate::error::Result;
use crate::figure::{Bound, Figure, Goal};
use crate::setting::{Durability, Setting};

use super::noop_jobs::{NoopJobs, Took};

pub(crate) const GOALS: &[Goal] = &[Goal {
    figure: "rate",
    under: Durability::Full,
    bound: Bound::AtLeast(500_000.0),
}];

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let took: Took = call(&Role::NoopJobs(NoopJobs {
        folder: None,
        ..NoopJobs::standard(setting)
    }))?;
    Ok(vec![Figure::new("rate", "jobs/s", took.rate)])
}
