//! The workers of single jobs. They go with the process.

use std::time::Duration;

use apalis::prelude::{BackendExt as _, BoxDynError, WorkerBuilder};
use apalis_sqlite::SqlitePool;
use peer_harness::{Done, Run, Start};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::storage::storage;

/// How often a worker looks for jobs while there are none. With a millisecond wake-ups are lost: a
/// timer that fires during a fetch is started again without anybody waiting for it.
pub const POLL: Duration = Duration::from_millis(5);

/// Starts the workers, a thread each, on the runtime that this is called in.
pub fn start(run: &Run, pool: &SqlitePool, done: &Done, start: Option<&Start>) {
    for id in 0..run.workers {
        let (done, start) = (done.clone(), start.cloned());
        let (pool, runtime) = (pool.clone(), Handle::current());
        std::thread::spawn(move || {
            let noop = move |_: Value| {
                if let Some(start) = &start {
                    start.now();
                }
                done.add();
                async { Ok::<(), BoxDynError>(()) }
            };
            let worker = WorkerBuilder::new(format!("worker-{id}"))
                .backend(storage(&pool).poll_with_interval(POLL))
                .build(noop);
            let ended = runtime.block_on(worker.run());
            ended.expect("a worker should not fail");
        });
    }
}
