//! A job that kills its process each time is parked, and never an innocent one that ran beside it.

use std::path::Path;
use std::time::Duration;

use windlass::{
    Engine, EngineBuilder, Event, Handler, Inspector, Payload, RunStatus, StepOutput, Workflow,
};

use crate::child::{die, start};

/// Kills the process it runs in.
fn poison() -> Workflow<u32> {
    Workflow::build("poison", "1", |flow| {
        flow.step("poison", |_, _| {
            die();
            Ok(())
        })
    })
    .unwrap()
}

/// Waits until it is not beside the poison any more; it does nothing wrong.
fn innocent() -> Workflow<u32> {
    let built = Workflow::<u32>::build("innocent", "1", |flow| flow.call("wait", "wait")).unwrap();
    let wait = Handler::future(|context, data| async move {
        let beside = Duration::from_millis(300);
        tokio::select! {
            () = tokio::time::sleep(beside) => {}
            () = context.cancelled() => {}
        }
        Ok(StepOutput::data(data))
    });
    let handlers = windlass::Handlers::new().with("wait", wait);
    Workflow::from_parts(
        built.definition().clone(),
        windlass::Functions::new(),
        handlers,
    )
}

/// The child's part: works until all is done or parked, or it is killed.
pub(crate) fn suffer(builder: EngineBuilder) {
    let engine = builder
        .workflow(&poison())
        .workflow(&innocent())
        .open()
        .unwrap();
    let mut inspector = engine.inspector().unwrap();
    loop {
        let runs = inspector.runs(windlass::RunFilter::Unfinished, 10).unwrap();
        if runs.iter().all(|run| run.status == RunStatus::Parked) {
            return;
        }
        windlass_store::sync::pause(Duration::from_millis(5));
    }
}

fn crashes_until_quiet(database: &Path) -> u32 {
    for crashes in 0..20 {
        let status = start("suffer", database, None).wait().unwrap();
        if status.success() {
            return crashes;
        }
    }
    panic!("it goes on crashing for ever")
}

#[test]
fn a_poison_job_is_parked_and_an_innocent_one_beside_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let (poison, innocent) = (poison(), innocent());
    let engine = Engine::builder()
        .database(&database)
        .runners(0)
        .workflow(&poison)
        .workflow(&innocent)
        .open()
        .unwrap();
    let scheduler = engine.scheduler();
    let good = scheduler
        .schedule_blocking(innocent.request(&0).unwrap())
        .unwrap()
        .id();
    let bad = scheduler
        .schedule_blocking(poison.request(&0).unwrap())
        .unwrap()
        .id();
    engine.shutdown(Duration::ZERO);

    let crashes = crashes_until_quiet(&database);
    println!("parked after {crashes} crashes");
    assert!(
        (3..=5).contains(&crashes),
        "{crashes}: three alone, at most two beside the other"
    );

    let mut inspector = Inspector::open(&database).unwrap();
    let status = |inspector: &mut Inspector, run| inspector.show(run).unwrap().unwrap().summary;
    assert_eq!(status(&mut inspector, good).status, RunStatus::Succeeded);
    let parked = status(&mut inspector, bad);
    assert_eq!(parked.status, RunStatus::Parked);
    assert!(parked.reason.unwrap().contains("crashed 3 times"));
    let why = inspector.why(bad).unwrap().unwrap();
    assert_eq!(why.branches[0].waits_for.kind, "operator");

    // An operator looks at it and cancels it; an event for it changes nothing by itself.
    let engine = Engine::builder()
        .database(&database)
        .runners(0)
        .open()
        .unwrap();
    let event = Event::new(bad, "hello", "1", Payload::null());
    assert!(engine.scheduler().signal_blocking(event).is_ok());
    assert!(
        engine
            .scheduler()
            .cancel_blocking(bad, "it is poison")
            .unwrap()
    );
    assert_eq!(status(&mut inspector, bad).status, RunStatus::Cancelled);
    assert!(
        inspector
            .leftovers()
            .unwrap()
            .iter()
            .all(|(_, count)| *count == 0)
    );
}
