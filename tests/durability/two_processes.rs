//! Two processes on one file: they share the work, and one takes over when the other is killed.

use std::path::Path;
use std::time::Duration;

use windlass::{
    Clock as _, Engine, EngineBuilder, Handler, Inspector, RunFilter, RunStatus, StepOutput,
    SystemClock, Workflow,
};

/// Steps that write down which process began them, then wait.
fn workflow(database: &Path) -> Workflow<u32> {
    let folder = database.parent().unwrap().to_owned();
    let slow = Handler::future(move |context, data| {
        let folder = folder.clone();
        async move {
            let name = format!(
                "{}-{}-{}",
                context.run(),
                context.attempt(),
                std::process::id()
            );
            std::fs::write(folder.join(name), "").unwrap();
            if !folder.join("go").exists() {
                context.cancelled().await;
            }
            Ok(StepOutput::data(data))
        }
    });
    let built = Workflow::<u32>::build("slow", "1", |flow| flow.call("slow", "slow")).unwrap();
    let definition = built.definition().clone();
    let handlers = windlass::Handlers::new().with("slow", slow);
    Workflow::from_parts(definition, windlass::Functions::new(), handlers)
}

/// The child's part: works until it is killed.
pub(crate) fn work(builder: EngineBuilder) {
    let database = std::path::PathBuf::from(std::env::var_os("WINDLASS_TEST_DATABASE").unwrap());
    let _engine = builder.workflow(&workflow(&database)).open().unwrap();
    loop {
        std::thread::park();
    }
}

fn begun_by(folder: &Path, pid: u32) -> usize {
    let suffix = format!("-{pid}");
    std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(&suffix))
        .count()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = SystemClock::new();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::yield_now();
    }
    began.elapsed()
}

#[test]
fn two_processes_share_the_work_and_the_other_takes_over_within_500_ms() {
    // Four jobs that wait; each process has two seats. One is killed; the other takes its jobs.
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut child = crate::child::start("work", &database, None);
    let workflow = workflow(&database);
    let engine = Engine::builder()
        .database(&database)
        .runners(1)
        .in_flight(2)
        .workflow(&workflow)
        .open()
        .unwrap();
    let requests = (0..4).map(|_| workflow.request(&0).unwrap()).collect();
    let runs = engine.scheduler().schedule_all_blocking(requests).unwrap();
    until("the other process takes its share", || {
        begun_by(folder.path(), child.id()) == 2
    });
    until("we take ours", || {
        begun_by(folder.path(), std::process::id()) == 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    engine.set_runners(3);
    let took = until("its jobs begin here", || {
        begun_by(folder.path(), std::process::id()) == 4
    });
    println!("taken over after {took:?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    for run in &runs {
        engine
            .scheduler()
            .cancel_blocking(run.id(), "the test is over")
            .unwrap();
    }
    engine.shutdown(Duration::from_secs(2));
}

#[test]
fn a_killed_engine_runs_its_job_again_within_100_ms_of_opening() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let workflow = workflow(&database);
    {
        let engine = Engine::builder()
            .database(&database)
            .runners(0)
            .workflow(&workflow)
            .open()
            .unwrap();
        engine
            .scheduler()
            .schedule_blocking(workflow.request(&0).unwrap())
            .unwrap();
    }
    let mut child = crate::child::start("work", &database, None);
    until("the child runs it", || {
        begun_by(folder.path(), child.id()) == 1
    });
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(folder.path().join("go"), "").unwrap();
    let began = SystemClock::new();
    let engine = Engine::builder()
        .database(&database)
        .runners(1)
        .workflow(&workflow)
        .open()
        .unwrap();
    until("it runs again", || {
        begun_by(folder.path(), std::process::id()) == 1
    });
    let took = began.elapsed();
    println!("running again after {took:?}");
    assert!(took < Duration::from_millis(100), "{took:?}");
    engine.shutdown(Duration::from_secs(2));
    let mut inspector = Inspector::open(&database).unwrap();
    let runs = inspector.runs(RunFilter::All, 2).unwrap();
    assert_eq!(runs[0].status, RunStatus::Succeeded);
}
