//! The workloads that effectum can do.

use std::time::{Duration, Instant};

use effectum::Queue;
use peer_harness::{
    Done, Figures, Measured, PRODUCERS, Run, Starts, TICK, Workload, drain, idle_latencies,
};
use tokio::runtime::Runtime;

use crate::queue::{self, BULK, Concurrency, Told};

/// Under load: large batches, fetched when half is done.
const BUSY: Concurrency = Concurrency { min: 256, max: 512 };

/// Idle: any job that comes is fetched at once.
const IDLE: Concurrency = Concurrency { min: 8, max: 8 };

/// The figures, or why effectum cannot do the workload.
pub fn measure(run: &Run) -> Result<Figures, &'static str> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(run.workers)
        .enable_all()
        .build()
        .expect("the runtime should start");
    // Workers and queue spawn a task when they are dropped.
    let _entered = runtime.enter();
    let opened = queue::open(run, &runtime);
    let bench = Bench {
        run,
        runtime: &runtime,
        queue: &opened,
    };
    let (measured, concurrency) = match run.workload {
        Workload::A => (bench.throughput(|| bench.add_in_bulk()), BUSY),
        Workload::B => return Err("has no workflows, only single jobs"),
        Workload::C => (bench.idle(), IDLE),
        Workload::D => (bench.backlog(), BUSY),
        Workload::E => (bench.throughput(|| bench.add_one_by_one()), BUSY),
    };
    let pragmas = queue::pragmas(run);
    let _ = runtime.block_on(opened.close(Duration::from_secs(5)));
    Ok(Figures {
        pragmas,
        measured,
        settings: format!(
            "add_jobs of {BULK} (A, D), {} workers with min_concurrency {} and max_concurrency {}, \
             synchronous fixed by the crate",
            run.workers, concurrency.min, concurrency.max
        ),
    })
}

struct Bench<'b> {
    run: &'b Run,
    runtime: &'b Runtime,
    queue: &'b Queue,
}

impl Bench<'_> {
    fn throughput(&self, add_all: impl FnOnce()) -> Measured {
        let told = Told {
            done: Done::default(),
            start: None,
        };
        let _workers = queue::workers(self.run, self.runtime, self.queue, &told, BUSY);
        let begin = Instant::now();
        add_all();
        told.done.wait_for(self.run.jobs);
        while queue::active(self.runtime, self.queue) > 0 {
            std::thread::sleep(TICK);
        }
        Measured::rate(self.run.jobs, "jobs/s", begin.elapsed())
    }

    fn add_in_bulk(&self) {
        let mut added = 0;
        while added < self.run.jobs {
            let bulk = BULK.min(self.run.jobs - added);
            let jobs = (0..bulk).map(|_| queue::job()).collect();
            let ids = self.runtime.block_on(self.queue.add_jobs(jobs));
            ids.expect("the jobs should be added");
            added += bulk;
        }
    }

    fn add_one_by_one(&self) {
        let jobs_each = self.run.jobs / PRODUCERS;
        let producer = || async move {
            for _ in 0..jobs_each {
                let id = self.queue.add_job(queue::job()).await;
                id.expect("the job should be added");
            }
        };
        let producers = (0..PRODUCERS).map(|_| producer());
        self.runtime.block_on(futures::future::join_all(producers));
    }

    fn backlog(&self) -> Measured {
        self.add_in_bulk();
        let done = Done::default();
        let told = Told {
            done: done.clone(),
            start: None,
        };
        let mut workers = Vec::new();
        drain(self.run.jobs, &done, || {
            workers = queue::workers(self.run, self.runtime, self.queue, &told, BUSY);
        })
    }

    fn idle(&self) -> Measured {
        let (start, starts) = Starts::new();
        let told = Told {
            done: Done::default(),
            start: Some(start),
        };
        let _workers = queue::workers(self.run, self.runtime, self.queue, &told, IDLE);
        idle_latencies(
            self.run.jobs,
            &starts,
            || {
                let id = self.runtime.block_on(self.queue.add_job(queue::job()));
                id.expect("the job should be added");
            },
            || (),
        )
    }
}
