//! The workloads, all of which apalis can do.

use std::time::{Duration, Instant};

use apalis::prelude::TaskSink as _;
use apalis_sqlite::SqlitePool;
use peer_harness::{
    Done, Figures, Measured, PRODUCERS, Run, STEPS, Starts, Workload, drain, idle_latencies,
    payload,
};
use tokio::runtime::Runtime;

use crate::graph;
use crate::storage::{self, BATCH, BULK, POOL};
use crate::workers::{self, POLL};

/// How often the measuring thread asks whether all is on disk, once all handlers are through.
const ASK: Duration = Duration::from_millis(2);

pub fn measure(run: &Run) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(run.workers)
        .enable_all()
        .build()
        .expect("the runtime should start");
    // Workers are spawned from here.
    let entered = runtime.enter();
    let bench = Bench {
        run,
        runtime: &runtime,
        pool: runtime.block_on(storage::open(run)),
    };
    let measured = match run.workload {
        Workload::A => bench.jobs(),
        Workload::B => bench.workflows(),
        Workload::C => bench.idle(),
        Workload::D => bench.backlog(),
        Workload::E => bench.producers(),
    };
    let figures = Figures {
        pragmas: runtime.block_on(storage::pragmas(&bench.pool)),
        measured,
        settings: format!(
            "push_all of {BULK} (A, D), {} workers with batch_size {BATCH}, lock_tasks(false), \
             poll_with_interval of {} ms, pool of {POOL}",
            run.workers,
            POLL.as_millis()
        ),
    };
    drop(entered);
    // The workers are cut off: nothing is measured any more, and the folder goes.
    runtime.shutdown_background();
    figures
}

struct Bench<'b> {
    run: &'b Run,
    runtime: &'b Runtime,
    pool: SqlitePool,
}

impl Bench<'_> {
    fn jobs(&self) -> Measured {
        let done = Done::default();
        workers::start(self.run, &self.pool, &done, None);
        let begin = Instant::now();
        let pushed = storage::push_all(&self.pool, self.run.jobs);
        self.runtime.block_on(pushed);
        self.wait_for(&done, self.run.jobs);
        Measured::rate(self.run.jobs, "jobs/s", begin.elapsed())
    }

    fn workflows(&self) -> Measured {
        let done = Done::default();
        graph::start(self.run, &self.pool, &done);
        let (begin, steps) = (Instant::now(), self.run.jobs * STEPS);
        self.runtime
            .block_on(graph::push_all(&self.pool, self.run.jobs));
        self.wait_for(&done, steps);
        Measured::rate(steps, "steps/s", begin.elapsed())
    }

    fn producers(&self) -> Measured {
        let done = Done::default();
        workers::start(self.run, &self.pool, &done, None);
        let begin = Instant::now();
        let jobs_each = self.run.jobs / PRODUCERS;
        let producer = async |_| {
            let mut storage = storage::storage(&self.pool);
            for _ in 0..jobs_each {
                let pushed = storage.push(payload()).await;
                pushed.expect("the job should be pushed");
            }
        };
        let producers = (0..PRODUCERS).map(producer);
        self.runtime.block_on(futures::future::join_all(producers));
        self.wait_for(&done, jobs_each * PRODUCERS);
        Measured::rate(jobs_each * PRODUCERS, "jobs/s", begin.elapsed())
    }

    fn wait_for(&self, done: &Done, handled: u64) {
        done.wait_for(handled);
        while self.runtime.block_on(storage::unfinished(&self.pool)) > 0 {
            std::thread::sleep(ASK);
        }
    }

    fn backlog(&self) -> Measured {
        let pushed = storage::push_all(&self.pool, self.run.jobs);
        self.runtime.block_on(pushed);
        let done = Done::default();
        drain(self.run.jobs, &done, || {
            workers::start(self.run, &self.pool, &done, None);
        })
    }

    fn idle(&self) -> Measured {
        let (start, starts) = Starts::new();
        workers::start(self.run, &self.pool, &Done::default(), Some(&start));
        let mut storage = storage::storage(&self.pool);
        let push = || {
            let pushed = self.runtime.block_on(storage.push(payload()));
            pushed.expect("the job should be pushed");
        };
        idle_latencies(self.run.jobs, &starts, push, || ())
    }
}
