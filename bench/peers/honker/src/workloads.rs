//! The workloads that honker can do.

use std::time::Instant;

use honker::{Database, EnqueueOpts};
use peer_harness::{
    Done, Figures, Measured, PRODUCERS, Run, Starts, Workload, drain, idle_latencies, payload,
};

use crate::queue::{self, BATCH, BULK, WATCH, Workers};

/// Stack of a producer's thread; a thousand of them should be small.
const STACK_BYTES: usize = 256 * 1024;

/// The figures, or why honker cannot do the workload.
pub fn measure(run: &Run) -> Result<Figures, &'static str> {
    let watch = (run.workload == Workload::C).then_some(WATCH);
    let db = queue::open(run, watch);
    let (measured, settings) = match run.workload {
        Workload::A => {
            let own = || queue::open(run, None);
            let measured = throughput(run, own, || queue::enqueue_all(&db, run.jobs));
            (measured, batches())
        }
        Workload::B => return Err("has no workflows: \"deliberately not built\", says its README"),
        Workload::C => {
            let watched = format!(
                "one connection, claim_waker, watcher every {} µs",
                WATCH.as_micros()
            );
            (idle(run, &db), watched)
        }
        Workload::D => (backlog(run, &db), batches()),
        Workload::E => {
            let shared = || db.clone();
            let measured = throughput(run, shared, || enqueue_one_by_one(run, &db));
            let settings = format!("{PRODUCERS} threads, one connection, ack_batch of {BATCH}");
            (measured, settings)
        }
    };
    Ok(Figures {
        pragmas: queue::pragmas(&db),
        measured,
        settings,
    })
}

fn batches() -> String {
    format!(
        "a connection for each worker, {BULK} enqueue_tx per transaction, claim_batch and \
         ack_batch of {BATCH}"
    )
}

fn throughput(
    run: &Run,
    connection: impl Fn() -> Database,
    enqueue_all: impl FnOnce(),
) -> Measured {
    let done = Done::default();
    let _workers = Workers::start(run, &done, connection);
    let begin = Instant::now();
    enqueue_all();
    done.wait_for(run.jobs);
    Measured::rate(run.jobs, "jobs/s", begin.elapsed())
}

fn enqueue_one_by_one(run: &Run, db: &Database) {
    let producer = |_| {
        let (queue, payload, jobs) = (queue::queue(db), payload(), run.jobs / PRODUCERS);
        let enqueue = move || {
            for _ in 0..jobs {
                let id = queue.enqueue(&payload, EnqueueOpts::default());
                id.expect("the job should be enqueued");
            }
        };
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(enqueue).expect("a thread should start")
    };
    let producers: Vec<_> = (0..PRODUCERS).map(producer).collect();
    for producer in producers {
        producer.join().expect("a producer should not panic");
    }
}

fn backlog(run: &Run, db: &Database) -> Measured {
    queue::enqueue_all(db, run.jobs);
    let done = Done::default();
    let mut workers = None;
    drain(run.jobs, &done, || {
        workers = Some(Workers::start(run, &done, || queue::open(run, None)));
    })
}

fn idle(run: &Run, db: &Database) -> Measured {
    let (start, starts) = Starts::new();
    queue::start_waiting(run, db, &start);
    let (queue, payload) = (queue::queue(db), payload());
    let enqueue = || {
        let id = queue.enqueue(&payload, EnqueueOpts::default());
        id.expect("the job should be enqueued");
    };
    idle_latencies(run.jobs, &starts, enqueue, || ())
}
