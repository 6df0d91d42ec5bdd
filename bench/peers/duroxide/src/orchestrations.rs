//! The orchestration of one activity, and the one of eight.

use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{ActivityContext, OrchestrationContext, OrchestrationRegistry};
use peer_harness::{Done, Start};

/// Workloads A, C, D and E.
pub const NOOP: &str = "Noop";

/// Workload B.
pub const SPLIT: &str = "Split";

/// The only activity.
const STEP: &str = "Step";

/// An activity that hands its input on and tells.
pub fn activities(done: &Done, start: Option<&Start>) -> ActivityRegistry {
    let (done, start) = (done.clone(), start.cloned());
    ActivityRegistry::builder()
        .register(STEP, move |_: ActivityContext, input: String| {
            if let Some(start) = &start {
                start.now();
            }
            done.add();
            async move { Ok(input) }
        })
        .build()
}

pub fn orchestrations() -> OrchestrationRegistry {
    OrchestrationRegistry::builder()
        .register(NOOP, noop)
        .register(SPLIT, split)
        .build()
}

async fn noop(context: OrchestrationContext, input: String) -> Result<String, String> {
    context.schedule_activity(STEP, input).await
}

/// Three steps, a split of four, and a step that joins their results.
async fn split(context: OrchestrationContext, input: String) -> Result<String, String> {
    let mut carried = input;
    for _ in 0..3 {
        carried = context.schedule_activity(STEP, carried).await?;
    }
    let branch = |_| context.schedule_activity(STEP, carried.clone());
    let branches = (0..4).map(branch).collect();
    let results: Result<Vec<_>, _> = context.join(branches).await.into_iter().collect();
    context.schedule_activity(STEP, results?.concat()).await
}
