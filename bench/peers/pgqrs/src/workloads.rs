//! The workloads, all of which pgqrs can do.

use std::time::Instant;

use peer_harness::{
    Done, Figures, Measured, PRODUCERS, Run, STEPS, Starts, Workload, drain, idle_latencies,
    payload,
};
use pgqrs::store::AnyStore;
use tokio::runtime::Runtime;

use crate::engine::{self, BULK};
use crate::workers::{self, BATCH, POLL};

pub fn measure(run: &Run) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(run.workers)
        .enable_all()
        .build()
        .expect("the runtime should start");
    let bench = Bench {
        run,
        runtime: &runtime,
        store: runtime.block_on(engine::open(run)),
    };
    let measured = match run.workload {
        Workload::A => bench.jobs(),
        Workload::B => bench.workflows(),
        Workload::C => bench.idle(),
        Workload::D => bench.backlog(),
        Workload::E => bench.producers(),
    };
    let figures = Figures {
        pragmas: runtime.block_on(engine::pragmas(&bench.store)),
        measured,
        settings: format!(
            "batch_enqueue of {BULK} (A, B, D), {} consumers with dequeue_many and delete_many of \
             {BATCH}, asking again after {} ms, the store's own pool of 4",
            run.workers,
            POLL.as_millis()
        ),
    };
    // The consumers are cut off: nothing is measured any more, and the folder goes.
    runtime.shutdown_background();
    figures
}

struct Bench<'b> {
    run: &'b Run,
    runtime: &'b Runtime,
    store: AnyStore,
}

impl Bench<'_> {
    fn start(&self, done: &Done) {
        workers::start(self.run, self.runtime, &self.store, done, None);
    }

    fn jobs(&self) -> Measured {
        let done = Done::default();
        self.start(&done);
        let begin = Instant::now();
        self.runtime
            .block_on(engine::enqueue_all(&self.store, self.run.jobs));
        done.wait_for(self.run.jobs);
        Measured::rate(self.run.jobs, "jobs/s", begin.elapsed())
    }

    fn workflows(&self) -> Measured {
        let done = Done::default();
        workers::start_workflows(self.run, self.runtime, &self.store, &done);
        let begin = Instant::now();
        self.runtime
            .block_on(engine::enqueue_workflows(&self.store, self.run.jobs));
        done.wait_for(self.run.jobs);
        Measured::rate(self.run.jobs * STEPS, "steps/s", begin.elapsed())
    }

    fn producers(&self) -> Measured {
        let done = Done::default();
        self.start(&done);
        // One handle for all: registering a worker is not what is measured.
        let shared = engine::producer(&self.store, "producer");
        let (shared, job) = (self.runtime.block_on(shared), payload());
        let begin = Instant::now();
        let jobs_each = self.run.jobs / PRODUCERS;
        let producer = async |_| {
            for _ in 0..jobs_each {
                let enqueued = shared.enqueue(&job).await;
                enqueued.expect("the job should be enqueued");
            }
        };
        let producers = (0..PRODUCERS).map(producer);
        self.runtime.block_on(futures::future::join_all(producers));
        done.wait_for(jobs_each * PRODUCERS);
        Measured::rate(jobs_each * PRODUCERS, "jobs/s", begin.elapsed())
    }

    fn backlog(&self) -> Measured {
        self.runtime
            .block_on(engine::enqueue_all(&self.store, self.run.jobs));
        let done = Done::default();
        drain(self.run.jobs, &done, || self.start(&done))
    }

    fn idle(&self) -> Measured {
        let (start, starts) = Starts::new();
        let done = Done::default();
        workers::start(self.run, self.runtime, &self.store, &done, Some(&start));
        let producer = engine::producer(&self.store, "producer");
        let (producer, job) = (self.runtime.block_on(producer), payload());
        let enqueue = || {
            let enqueued = self.runtime.block_on(producer.enqueue(&job));
            enqueued.expect("the job should be enqueued");
        };
        idle_latencies(self.run.jobs, &starts, enqueue, || ())
    }
}
