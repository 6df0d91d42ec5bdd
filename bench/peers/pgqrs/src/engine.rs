//! The store, its producers, and what it runs with.

use peer_harness::{Pragmas, Run, payload};
use pgqrs::store::AnyStore;
use pgqrs::{Config, Producer, Store as _};
use serde_json::{Value, json};

/// Jobs in one call of the producer.
pub const BULK: u64 = 500;

/// The only queue, which is also the name of the workflow.
pub const QUEUE: &str = "noop";

/// Opens the store and creates the queue.
pub async fn open(run: &Run) -> AnyStore {
    let mut config = Config::from_dsn(format!("sqlite://{}?mode=rwc", run.database().display()));
    config.validation_config.max_enqueue_per_second = None;
    let store = pgqrs::connect_with_config(&config).await;
    let store = store.expect("the store should open");
    let installed = pgqrs::admin(&store).install().await;
    installed.expect("the schema should be created");
    let created = store.workflow(QUEUE).await;
    created.expect("the workflow and its queue should be created");
    store
}

/// A producer under a name of its own.
pub async fn producer(store: &AnyStore, name: &str) -> Producer {
    let producer = pgqrs::producer(name, QUEUE).create(store).await;
    producer.expect("the producer should be created")
}

/// Enqueues `jobs` in batches. A workflow expects its input in a field of that name.
pub async fn enqueue_all(store: &AnyStore, jobs: u64) {
    let producer = producer(store, "producer").await;
    let batch: Vec<Value> = (0..BULK).map(|_| payload()).collect();
    let mut added = 0;
    while added < jobs {
        let bulk = BULK.min(jobs - added);
        let enqueued = producer.batch_enqueue(&batch[..bulk as usize]).await;
        enqueued.expect("the jobs should be enqueued");
        added += bulk;
    }
}

/// Enqueues workflows in batches, as the trigger of a workflow does one by one.
pub async fn enqueue_workflows(store: &AnyStore, workflows: u64) {
    let producer = producer(store, "producer").await;
    let batch: Vec<Value> = (0..workflows)
        .map(|_| json!({ "input": payload() }))
        .collect();
    for bulk in batch.chunks(BULK as usize) {
        let enqueued = producer.batch_enqueue(bulk).await;
        enqueued.expect("the workflows should be enqueued");
    }
}

/// Read back from a connection of the pool.
pub async fn pragmas(store: &AnyStore) -> Pragmas {
    let ask = async |sql| {
        let answer = store.query_string(sql).await;
        answer.expect("SQLite should answer")
    };
    Pragmas::new(
        &ask("SELECT sqlite_version()").await,
        &ask("PRAGMA journal_mode").await,
        &ask("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await,
    )
}
