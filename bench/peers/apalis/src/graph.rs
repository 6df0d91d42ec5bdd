//! The workflow of workload B: three steps, a split of four, the join.

use apalis::prelude::{
    BackendExt as _, BoxDynError, IntervalStrategy, PollWith, WorkerBuilder, task_fn,
};
use apalis_sqlite::{SqlitePool, SqliteStorage};
use apalis_workflow::{GraphFlow, WorkflowSink as _};
use peer_harness::{Done, Run, payload};
use tokio::runtime::Handle;

use crate::storage::storage;
use crate::workers::POLL;

/// What the workflow is polled through, which is a part of its type.
type Polled = PollWith<SqliteStorage<Vec<u8>>, IntervalStrategy>;

/// What the join gets: a graph carries text, not any JSON.
type Results = (String, String, String, String);

/// Starts workers that advance the workflow, on the runtime that this is called in.
pub fn start(run: &Run, pool: &SqlitePool, done: &Done) {
    for id in 0..run.workers {
        let (pool, done, runtime) = (pool.clone(), done.clone(), Handle::current());
        std::thread::spawn(move || {
            let worker = WorkerBuilder::new(format!("worker-{id}"))
                .backend(storage(&pool).poll_with_interval(POLL))
                .build(graph(&done));
            let ended = runtime.block_on(worker.run());
            ended.expect("a worker should not fail");
        });
    }
}

/// Starts `workflows`, one after another: there is no way to start many at once.
pub async fn push_all(pool: &SqlitePool, workflows: u64) {
    let mut storage = storage::<Vec<u8>>(pool);
    for _ in 0..workflows {
        let pushed = storage.push_start(payload().to_string()).await;
        pushed.expect("the workflow should start");
    }
}

fn graph(done: &Done) -> GraphFlow<Polled> {
    let step = || {
        let done = done.clone();
        task_fn(move |data: String| {
            done.add();
            async { Ok::<String, BoxDynError>(data) }
        })
    };
    let join = {
        let done = done.clone();
        task_fn(move |results: Results| {
            done.add();
            async { Ok::<String, BoxDynError>(results.0) }
        })
    };
    let graph = GraphFlow::new("split");
    let first = graph.add_node("first", step());
    let second = graph.add_node("second", step()).depends_on(&first);
    let third = graph.add_node("third", step()).depends_on(&second);
    let a = graph.add_node("a", step()).depends_on(&third);
    let b = graph.add_node("b", step()).depends_on(&third);
    let c = graph.add_node("c", step()).depends_on(&third);
    let d = graph.add_node("d", step()).depends_on(&third);
    let _ = graph.add_node("join", join).depends_on((&a, &b, &c, &d));
    graph
}
