//! The hot pieces on a job's way, each alone: where a token goes, an admission, a batch of
//! checkpoints, and reading records back.
//!
//! `cargo bench -p windlass-bench`. The engine is stepped on one thread, so that each figure holds one
//! piece and no waiting. Commits are not synced here (NORMAL): the disk is what the workloads measure.

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use windlass::{
    Draft, Durability, Engine, EngineBuilder, Functions, Handler, Handlers, Json, Payload, Request,
    RunHandle, StepOutput, StepSpec, SteppedEngine, Workflow,
};
use windlass_store::{Extras, Membership};
use windlass_workflow_model::{
    ActivationId, Inputs, NodeId, Position, Rounds, Timestamp, Token, advance, after_step,
};

/// The allocator of our binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: u64 = 256;
const BRANCHES: u64 = 100;

fn workflow(name: &str, first: impl FnOnce(&mut Draft)) -> Workflow<Json> {
    let mut draft = Draft::new(name, "1");
    first(&mut draft);
    let pass = Handler::blocking(|_, data| Ok(StepOutput::data(data.clone())));
    let handlers = Handlers::new().with("pass", pass);
    let definition = draft.finish().expect("the workflow is valid");
    Workflow::from_parts(definition, Functions::new(), handlers)
}

fn one_step() -> Workflow<Json> {
    workflow("one-step", |draft| {
        let step = draft.step("step", StepSpec::new("pass"));
        draft.start_at(step);
    })
}

/// A step, and behind it a split into so many branches of one step each.
fn split(branches: u64) -> Workflow<Json> {
    workflow("split", |draft| {
        let step = draft.step("step", StepSpec::new("pass"));
        let (split, join) = draft.split("split", None);
        draft.start_at(step);
        draft.connect(step, split);
        for number in 0..branches {
            let name = format!("b{number}");
            let body = draft.step(name.clone(), StepSpec::new("pass"));
            draft.branch(split, name, body);
            draft.connect(body, join);
        }
    })
}

fn payload() -> Payload {
    Payload::from_json(format!(r#"{{"text":"{}"}}"#, "x".repeat(89)).into_bytes())
}

/// A stepped engine that has found its pace: its Runner is known to be quick.
struct Stepped {
    engine: SteppedEngine,
    _folder: Option<tempfile::TempDir>,
}

impl Stepped {
    fn on_disk(runners: usize, workflow: &Workflow<Json>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let builder = Engine::builder()
            .database(folder.path().join("bench.db"))
            .durability(Durability::Normal);
        Self::open(builder, Some(folder), runners, workflow)
    }

    fn in_memory(runners: usize, workflow: &Workflow<Json>) -> Self {
        Self::open(Engine::builder().in_memory(), None, runners, workflow)
    }

    fn open(
        builder: EngineBuilder,
        folder: Option<tempfile::TempDir>,
        runners: usize,
        workflow: &Workflow<Json>,
    ) -> Self {
        let engine = builder
            .runners(runners)
            .admission(windlass::Admission::Backpressure {
                max_pending: u64::from(u32::MAX),
                timeout: Duration::from_secs(1),
            })
            .workflow(workflow)
            .open_stepped()
            .expect("the engine opens");
        let mut stepped = Self {
            engine,
            _folder: folder,
        };
        stepped.engine.settle();
        if runners > 0 {
            stepped.admit(requests(workflow, BATCH));
            stepped.engine.settle();
        }
        stepped
    }

    fn admit(&mut self, requests: Vec<Request>) -> Vec<RunHandle> {
        let scheduler = self.engine.scheduler();
        let mut admission = pin!(scheduler.schedule_all(requests));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(handles) = admission.as_mut().poll(&mut context) {
                return handles.expect("there is room");
            }
            self.engine.step_writer();
            self.engine.step_dispatcher();
        }
    }

    /// Lets the Runner do all that is on the channel; its outcomes wait for the writer then.
    fn attempt_all(&mut self) -> u64 {
        let mut done = 0;
        while self.engine.step_runner(0) {
            done += 1;
        }
        done
    }
}

fn requests(workflow: &Workflow<Json>, count: u64) -> Vec<Request> {
    let payload = payload();
    (0..count)
        .map(|_| Request::new(workflow.definition().name(), payload.clone()))
        .collect()
}

/// From a step to what follows it, without any effect.
fn moves(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("advance");
    for (name, workflow) in [("to the end", one_step()), ("into a split of 4", split(4))] {
        let definition = workflow.definition();
        let functions = Functions::new();
        let data = payload();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let token = Token {
                    position: Position::before(definition.start()),
                    activation: ActivationId(1),
                    data: data.clone(),
                    rounds: Rounds::new(),
                };
                let now = Timestamp(0);
                let came_to = advance(definition, &functions, token, Inputs::Nothing, now);
                let windlass_workflow_model::Advance::Attempt(step) = came_to else {
                    unreachable!("it begins with a step")
                };
                black_box(after_step(
                    definition,
                    &functions,
                    &step,
                    Ok(data.clone()),
                    now,
                ))
            });
        });
    }
    group.finish();
}

/// A bulk of runs, from the call to the acknowledgement: queued, applied, committed, answered.
fn admissions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission of 256 runs");
    group.throughput(Throughput::Elements(BATCH));
    let workflow = one_step();
    for (name, stepped) in [
        ("on disk", Stepped::on_disk(0, &workflow)),
        ("in memory", Stepped::in_memory(0, &workflow)),
    ] {
        let stepped = RefCell::new(stepped);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || requests(&workflow, BATCH),
                |requests| stepped.borrow_mut().admit(requests),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// One transaction with the outcomes of many attempts.
fn checkpoints(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checkpoint");
    let cases = [
        ("256 ends of runs", one_step(), BATCH, BATCH),
        ("a split into 100", split(BRANCHES), 1, BRANCHES),
    ];
    for (name, workflow, runs, elements) in &cases {
        group.throughput(Throughput::Elements(*elements));
        for (place, stepped) in [
            ("on disk", Stepped::on_disk(1, workflow)),
            ("in memory", Stepped::in_memory(1, workflow)),
        ] {
            let stepped = RefCell::new(stepped);
            group.bench_function(format!("{name}, {place}"), |bencher| {
                bencher.iter_batched(
                    || {
                        let mut stepped = stepped.borrow_mut();
                        stepped.engine.settle();
                        stepped.admit(requests(workflow, *runs));
                        let done = stepped.attempt_all();
                        assert!(done >= *runs, "all jobs went straight to the channel");
                    },
                    |()| assert!(stepped.borrow_mut().engine.step_writer()),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

/// Reading a run back: a hundred branches with their records.
/// The record of a branch of a split, which is what most records are.
fn codec(criterion: &mut Criterion) {
    let extras = Extras {
        membership: Some(Membership {
            scope: ActivationId(0x1234_5678_9abc_def0),
            join: Some(NodeId(7)),
            index: 3,
            of: 4,
            max_parallelism: 0,
            resumed: false,
            name: "branch 3".to_owned(),
        }),
        ..Extras::default()
    };
    let bytes = extras.encode();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode a record", |bencher| {
        bencher.iter(|| black_box(&extras).encode());
    });
    group.bench_function("decode a record", |bencher| {
        bencher.iter(|| Extras::decode(black_box(&bytes)).expect("it was just encoded"));
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let workflow = split(BRANCHES);
    let mut stepped = Stepped::on_disk(1, &workflow);
    let handles = stepped.admit(requests(&workflow, 1));
    assert!(stepped.engine.step_runner(0));
    stepped.engine.step_writer();
    let mut inspector = stepped.engine.inspector().expect("the database is there");
    let run = handles[0].id();
    criterion.bench_function("show a run of 100 branches", |bencher| {
        bencher.iter(|| black_box(inspector.show(run).expect("it can be read")));
    });
}

criterion_group!(pieces, moves, codec, admissions, checkpoints, records);
criterion_main!(pieces);
