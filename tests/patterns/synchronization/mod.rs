//! Advanced branching and synchronization: WCP-6 to WCP-9, WCP-28 to WCP-33, 37, 38, 41 and 42.

mod active;
mod choices;
mod oracle;
mod partial;
mod random_graphs;
mod rounds;
mod threads;

pub(crate) use active::{wcp_37_local_synchronizing_merge, wcp_38_general_synchronizing_merge};
pub(crate) use choices::{wcp_06_multi_choice, wcp_07_structured_synchronizing_merge};
pub(crate) use partial::{
    wcp_09_structured_discriminator, wcp_29_cancelling_discriminator,
    wcp_30_structured_partial_join, wcp_32_cancelling_partial_join,
};
pub(crate) use rounds::{wcp_28_blocking_discriminator, wcp_31_blocking_partial_join};
pub(crate) use threads::{
    wcp_08_multi_merge, wcp_33_generalised_and_join, wcp_41_thread_merge, wcp_42_thread_split,
};

use windlass::{BranchEnd, StepError};

use crate::harness::Trail;

/// The trails of tokens one after the other, sorted: which one came first does not matter.
#[expect(clippy::unnecessary_wraps, reason = "a merge can fail")]
fn one_by_one(trail: &mut Trail, ends: Vec<BranchEnd<Trail>>) -> Result<(), StepError> {
    let mut trails: Vec<_> = ends
        .into_iter()
        .filter_map(|end| end.ended.succeeded())
        .collect();
    trails.sort();
    *trail = trails.concat();
    Ok(())
}
