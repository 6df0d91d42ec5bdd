//! Consumers of single jobs, and of workflows. They go with the runtime.

use std::time::Duration;

use peer_harness::{Done, Run, Start};
use pgqrs::store::AnyStore;
use pgqrs::{Consumer, workflow_handler, workflow_step};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::engine::QUEUE;

/// Jobs that a consumer takes at once.
pub const BATCH: usize = 500;

/// The pause of a consumer that found nothing.
pub const POLL: Duration = Duration::from_millis(1);

async fn consumer(store: &AnyStore, id: usize) -> Consumer {
    let name = format!("consumer-{id}");
    let consumer = pgqrs::consumer(&name, QUEUE).create(store).await;
    consumer.expect("the consumer should be created")
}

/// A job counts as done when its deletion is committed.
pub fn start(run: &Run, runtime: &Runtime, store: &AnyStore, done: &Done, start: Option<&Start>) {
    for id in 0..run.workers {
        let consumer = runtime.block_on(consumer(store, id));
        let (done, start) = (done.clone(), start.cloned());
        runtime.spawn(async move {
            loop {
                if !take(&consumer, &done, start.as_ref()).await {
                    tokio::time::sleep(POLL).await;
                }
            }
        });
    }
}

/// Whether there was anything to do. An error is a conflict on the lock of the file: again.
async fn take(consumer: &Consumer, done: &Done, start: Option<&Start>) -> bool {
    let Ok(jobs) = consumer.dequeue_many(BATCH).await else {
        return false;
    };
    if let Some(start) = start {
        jobs.iter().for_each(|_| start.now());
    }
    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
    if ids.is_empty() {
        return false;
    }
    loop {
        if let Ok(deleted) = consumer.delete_many(ids.clone()).await {
            deleted
                .iter()
                .filter(|gone| **gone)
                .for_each(|_| done.add());
            return true;
        }
    }
}

/// A workflow counts as done when its message is.
pub fn start_workflows(run: &Run, runtime: &Runtime, store: &AnyStore, done: &Done) {
    for id in 0..run.workers {
        let consumer = runtime.block_on(consumer(store, id));
        let (store, done) = (store.clone(), done.clone());
        runtime.spawn(async move {
            let handler = workflow_handler(store, split);
            loop {
                let Ok(messages) = consumer.dequeue_many(1).await else {
                    continue;
                };
                if messages.is_empty() {
                    tokio::time::sleep(POLL).await;
                }
                for message in messages {
                    let id = message.id;
                    handler(message)
                        .await
                        .expect("the workflow should end well");
                    while consumer.archive(id).await.is_err() {}
                    done.add();
                }
            }
        });
    }
}

/// Three steps, a split of four, and a step that joins their results.
async fn split(run: pgqrs::Run, input: Value) -> pgqrs::Result<Value> {
    let mut carried = input;
    for name in ["first", "second", "third"] {
        carried = workflow_step(&run, name, || async { Ok(carried.clone()) }).await?;
    }
    let branch = |name| workflow_step(&run, name, || async { Ok(carried.clone()) });
    let branches = ["a", "b", "c", "d"].map(branch);
    let results = futures::future::try_join_all(branches).await?;
    workflow_step(&run, "join", || async { Ok(Value::from(results)) }).await
}
