//! The workloads, all of which duroxide can do.

use std::time::{Duration, Instant};

use peer_harness::{
    Done, Figures, Measured, PRODUCERS, Run, STEPS, Starts, Workload, drain, idle_latencies,
};

use crate::engine::{Engine, poll};
use crate::orchestrations::{NOOP, SPLIT, activities};

/// How often the measuring thread asks for completions: the question scans all instances, so it is
/// put only once all activities are through.
const ASK: Duration = Duration::from_millis(10);

pub fn measure(run: &Run) -> Figures {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(run.workers)
        .enable_all()
        .build()
        .expect("the runtime should start");
    let bench = Bench {
        run,
        runtime: &runtime,
        engine: runtime.block_on(Engine::open(run)),
    };
    let measured = match run.workload {
        Workload::A => bench.throughput(NOOP, 1, "jobs/s"),
        Workload::B => bench.throughput(SPLIT, STEPS, "steps/s"),
        Workload::C => bench.idle(),
        Workload::D => bench.backlog(),
        Workload::E => bench.producers(),
    };
    let figures = Figures {
        pragmas: runtime.block_on(bench.engine.pragmas()),
        measured,
        settings: format!(
            "orchestration_concurrency {0}, worker_concurrency {0}, dispatcher_min_poll_interval \
             {1} ms, the provider's own pool of 5",
            run.workers,
            poll(run).as_millis()
        ),
    };
    // The dispatchers are cut off: nothing is measured any more, and the folder goes.
    runtime.shutdown_background();
    figures
}

struct Bench<'b> {
    run: &'b Run,
    runtime: &'b tokio::runtime::Runtime,
    engine: Engine,
}

impl Bench<'_> {
    fn start(&self, done: &Done) {
        let started = self.engine.start(self.run, activities(done, None));
        drop(self.runtime.block_on(started));
    }

    /// One producer beside the dispatchers, until everything is recorded as completed.
    fn throughput(&self, name: &str, steps: u64, unit: &'static str) -> Measured {
        let done = Done::default();
        self.start(&done);
        let begin = Instant::now();
        self.runtime.block_on(self.schedule_all(name));
        self.wait_for_all(&done, steps);
        Measured::rate(self.run.jobs * steps, unit, begin.elapsed())
    }

    async fn schedule_all(&self, name: &str) {
        for id in 0..self.run.jobs {
            self.engine.schedule(name, id).await;
        }
    }

    fn wait_for_all(&self, done: &Done, steps: u64) {
        done.wait_for(self.run.jobs * steps);
        while self.runtime.block_on(self.engine.completed()) < self.run.jobs {
            std::thread::sleep(ASK);
        }
    }

    fn producers(&self) -> Measured {
        let done = Done::default();
        self.start(&done);
        let begin = Instant::now();
        let producer = async |first: u64| {
            for id in (first..self.run.jobs).step_by(PRODUCERS as usize) {
                self.engine.schedule(NOOP, id).await;
            }
        };
        let producers = (0..PRODUCERS).map(producer);
        self.runtime.block_on(futures::future::join_all(producers));
        self.wait_for_all(&done, 1);
        Measured::rate(self.run.jobs, "jobs/s", begin.elapsed())
    }

    fn backlog(&self) -> Measured {
        self.runtime.block_on(self.schedule_all(NOOP));
        let done = Done::default();
        drain(self.run.jobs, &done, || self.start(&done))
    }

    fn idle(&self) -> Measured {
        let (start, starts) = Starts::new();
        let registry = activities(&Done::default(), Some(&start));
        drop(self.runtime.block_on(self.engine.start(self.run, registry)));
        let (mut scheduled, mut settled) = (0, 0);
        idle_latencies(
            self.run.jobs,
            &starts,
            || {
                self.runtime.block_on(self.engine.schedule(NOOP, scheduled));
                scheduled += 1;
            },
            || {
                self.runtime.block_on(self.engine.wait_for(settled));
                settled += 1;
            },
        )
    }
}
