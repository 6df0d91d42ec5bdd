//! The load of a soak: runs of many shapes, so many at once that the processes are busy all along.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass::{Engine, EngineBuilder, Event, Payload, RunOutcome, Scheduler, StepError, Workflow};

/// Where the load says how many jobs are done, and where what is wrong.
pub(super) const DONE: &str = "done";
pub(super) const WRONG: &str = "wrong";
/// Once it is there, no more runs are scheduled.
pub(super) const END: &str = "end";

/// How long ended runs stay.
pub(super) const KEEP: Duration = Duration::from_secs(3);

/// So little that it is full soon, and memory is level from then on.
const PAGE_CACHE_BYTES: usize = 8 << 20;

/// Those who schedule runs, wait for their ends and schedule the next ones; and what each schedules at
/// once of every shape.
const PRODUCERS: u64 = 8;
const OF_EACH: u64 = 4;

/// No run takes longer, also if its engine is killed.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Well: its steps have counted up to this.
    Succeeded(u64),
    Failed,
    Cancelled,
}

/// A workflow, how its runs end, and the jobs of each.
struct Shape {
    workflow: Workflow<u64>,
    end: End,
    jobs: u64,
}

fn shapes() -> Vec<Shape> {
    let shape = |workflow: Result<Workflow<u64>, _>, end, jobs| Shape {
        workflow: workflow.map_err(|_: windlass::InvalidWorkflow| ()).unwrap(),
        end,
        jobs,
    };
    let step = |flow: windlass::Flow<u64>, name: &str| {
        flow.step(name, |_, count| {
            *count += 1;
            Ok(())
        })
    };
    let merge = |count: &mut u64, results: Vec<windlass::BranchResult<u64>>| {
        let before = *count;
        *count += results
            .iter()
            .map(|result| result.data - before)
            .sum::<u64>();
        Ok(())
    };
    let short = Workflow::build("short", "1", |flow| step(flow, "a"));
    let split = Workflow::build("split", "1", |flow| {
        let flow = step(flow, "a").split("outer", |split| {
            split
                .branch("left", |flow| step(step(flow, "l1"), "l2"))
                .branch("right", |flow| {
                    flow.split("inner", |split| {
                        split
                            .branch("x", |flow| step(flow, "x1"))
                            .branch("y", |flow| step(flow, "y1"))
                            .join(merge)
                    })
                })
                .join(merge)
        });
        step(flow, "z")
    });
    let timer = Workflow::build("timer", "1", |flow| {
        step(step(flow, "a").sleep("nap", Duration::from_millis(20)), "b")
    });
    let signal = Workflow::build("signal", "1", |flow| {
        let flow = step(flow, "a").wait_event("wait", "go", |count, more: u64| *count += more);
        step(flow, "b")
    });
    let retry = Workflow::build("retry", "1", |flow| {
        flow.step("a", |context, count| {
            if context.attempt() < 3 {
                return Err(StepError::failed("not yet"));
            }
            *count += 1;
            Ok(())
        })
        // A kill may cost attempts, too.
        .retry(20, Duration::from_millis(5))
    });
    let map = Workflow::build("map", "1", |flow| {
        flow.map("many", |map| {
            map.count(20)
                .max_parallelism(5)
                .item(|_, _| 0)
                .each(|flow| step(flow, "item"))
                .reduce(|count, end| {
                    *count += end.ended.succeeded().unwrap_or_default();
                    Ok(())
                })
        })
    });
    let fails = Workflow::build("fails", "1", |flow| {
        flow.step("a", |_, _| Err(StepError::failed("no")))
    });
    let cancelled = Workflow::build("cancelled", "1", |flow| {
        step(flow, "a").sleep("long", Duration::from_hours(1))
    });
    vec![
        shape(short, End::Succeeded(1), 1),
        shape(split, End::Succeeded(6), 6),
        shape(timer, End::Succeeded(2), 3),
        shape(signal, End::Succeeded(12), 2),
        shape(retry, End::Succeeded(1), 3),
        shape(map, End::Succeeded(20), 20),
        shape(fails, End::Failed, 1),
        shape(cancelled, End::Cancelled, 1),
    ]
}

fn open(builder: EngineBuilder, shapes: &[Shape], keeps: bool) -> Engine {
    let builder = shapes
        .iter()
        .fold(builder, |builder, shape| builder.workflow(&shape.workflow));
    let builder = if keeps { builder.keep(KEEP) } else { builder };
    let builder = builder.page_cache(PAGE_CACHE_BYTES).capacity(256);
    builder.open().unwrap()
}

/// A child's part: runs what there is until it is killed.
pub(crate) fn serve(builder: EngineBuilder) {
    let _engine = open(builder.runners(2), &shapes(), true);
    loop {
        std::thread::park();
    }
}

/// A child's part: schedules, signals and withdraws until it is to end, and looks at every outcome.
pub(crate) fn produce(builder: EngineBuilder, database: &Path) {
    let shapes: Arc<[Shape]> = shapes().into();
    let engine = open(builder.runners(0), &shapes, false);
    let done = Arc::new(Done {
        jobs: AtomicU64::new(0),
        file: File::create(database.with_file_name(DONE)).unwrap(),
    });
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let outcome = runtime.block_on(async {
        let mut producers = tokio::task::JoinSet::new();
        for _ in 0..PRODUCERS {
            let (scheduler, shapes) = (engine.scheduler(), Arc::clone(&shapes));
            let (done, end) = (Arc::clone(&done), database.with_file_name(END));
            producers.spawn(async move {
                while !end.exists() {
                    round(&scheduler, &shapes).await?;
                    done.add(OF_EACH * shapes.iter().map(|shape| shape.jobs).sum::<u64>());
                }
                Ok(())
            });
        }
        while let Some(ended) = producers.join_next().await {
            ended.map_err(|error| error.to_string()).flatten()?;
        }
        Ok::<_, String>(())
    });
    if let Err(wrong) = outcome {
        std::fs::write(database.with_file_name(WRONG), &wrong).unwrap();
        panic!("{wrong}");
    }
    engine.shutdown(PATIENCE);
}

/// The count of jobs that are done, for whoever watches.
struct Done {
    jobs: AtomicU64,
    file: File,
}

impl Done {
    fn add(&self, jobs: u64) {
        let jobs = self.jobs.fetch_add(jobs, Ordering::SeqCst) + jobs;
        self.file.write_all_at(&jobs.to_le_bytes(), 0).unwrap();
    }
}

/// So many runs of each shape, from their beginning to their end.
async fn round(scheduler: &Scheduler, shapes: &Arc<[Shape]>) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let mut waits = tokio::task::JoinSet::new();
    for (index, shape) in shapes.iter().enumerate() {
        let requests = (0..OF_EACH).map(|_| shape.workflow.request(&0).unwrap());
        let runs = scheduler.schedule_all(requests.collect()).await;
        for run in runs.map_err(|error| said(&error))? {
            let id = run.id();
            let shapes = Arc::clone(shapes);
            // From the beginning on, or retention may have removed it before we ask.
            waits.spawn(async move {
                let Shape { workflow, end, .. } = &shapes[index];
                let outcome = tokio::time::timeout(PATIENCE, run.wait()).await;
                let outcome = outcome.map_err(|_| {
                    let name = workflow.definition().name();
                    format!("run {id} of {name} has not ended within {PATIENCE:?}")
                })?;
                let outcome = outcome.map_err(|error| error.to_string())?;
                judge(*end, &outcome).ok_or_else(|| {
                    let name = workflow.definition().name();
                    format!("run {id} of {name} should have ended as {end:?}: {outcome:?}")
                })
            });
            match shape.workflow.definition().name() {
                "signal" => {
                    let more = Payload::encode(&10).unwrap();
                    let sent = scheduler.signal(Event::new(id, "go", "1", more)).await;
                    sent.map_err(|error| said(&error)).map(drop)?;
                }
                "cancelled" => {
                    let cancelled = scheduler.cancel(id, "soaked").await;
                    cancelled.map_err(|error| said(&error)).map(drop)?;
                }
                _ => {}
            }
        }
    }
    while let Some(waited) = waits.join_next().await {
        waited.map_err(|error| said(&error)).flatten()?;
    }
    Ok(())
}

/// Whether a run has ended as it should.
fn judge(end: End, outcome: &RunOutcome) -> Option<()> {
    let is_right = match (end, outcome) {
        (End::Succeeded(count), RunOutcome::Succeeded(data)) => {
            data.decode().is_ok_and(|found: u64| found == count)
        }
        (End::Failed, RunOutcome::Failed(_)) | (End::Cancelled, RunOutcome::Cancelled(_)) => true,
        _ => false,
    };
    is_right.then_some(())
}
