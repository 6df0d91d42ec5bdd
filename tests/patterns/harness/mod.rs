//! How a workflow pattern is written down, and the modes in which every one is run.
//!
//! A [`Pattern`] says what it is; [`plain`], [`kill_sweep`] and [`stale_writer`] run it; [`page`]
//! writes down what came of it. A mode knows no pattern, a pattern knows no mode.

mod committed;
mod driver;
pub(crate) mod kill_sweep;
mod live;
pub(crate) mod page;
mod pattern;
pub(crate) mod plain;
mod stage;
pub(crate) mod stale_writer;
mod stepped;
mod tree;
pub(crate) mod trials;

use std::time::Duration;

pub(crate) use committed::{Committed, End, results};
pub(crate) use driver::{Act, Look};
pub(crate) use kill_sweep::Wreck;
pub(crate) use live::{Live, Setting};
pub(crate) use pattern::{Built, Pattern};
pub(crate) use stage::{Noted, Stage};
pub(crate) use stepped::Stepped;

/// How long a test waits for what must happen before it says that it did not.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The key under which a pattern's run is found again.
pub(crate) const THE_RUN: &str = "the run";

/// The data of most patterns: the names of the steps passed, in order.
pub(crate) type Trail = Vec<String>;

/// Like [`gather`], for joins that some branches come to without data: they have added nothing.
#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
pub(crate) fn gather_ends(
    trail: &mut Trail,
    branches: Vec<windlass::BranchEnd<Trail>>,
) -> Result<(), windlass::StepError> {
    let before = trail.len();
    let data = branches
        .into_iter()
        .filter_map(|branch| branch.ended.succeeded());
    trail.extend(data.flat_map(|data| data.into_iter().skip(before)));
    Ok(())
}

/// A join that appends what each branch has added to the trail, in branch order.
#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
pub(crate) fn gather(
    trail: &mut Trail,
    branches: Vec<windlass::BranchResult<Trail>>,
) -> Result<(), windlass::StepError> {
    let before = trail.len();
    for branch in branches {
        trail.extend(branch.data.into_iter().skip(before));
    }
    Ok(())
}
