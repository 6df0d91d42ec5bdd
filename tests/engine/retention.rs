//! Runs that ended long ago are deleted: as many as there are, and those, too, that ended late.

use std::sync::Arc;
use std::time::Duration;

use windlass::limits::scheduler::RETAIN_EVERY;
use windlass::limits::store::SWEEP_ROWS_MAX;
use windlass::{Retention, RunFilter, Workflow};

use super::harness::{Place, Stepped, begin, end_of, event, standing_clock};

const KEEP: Duration = Duration::from_mins(1);

#[test]
fn all_that_was_kept_long_enough_goes_before_the_next_look() {
    // More runs than one piece deletes. One that waits came before them, one that has just ended after
    // them; both stay, until it is their time.
    let quick = Workflow::<u32>::build("quick", "1", |flow| flow.step("a", |_, _| Ok(())));
    let waits = Workflow::<u32>::build("waits", "1", |flow| {
        flow.wait_event("wait", "go", |_, _: String| {})
    });
    let (quick, waits) = (quick.unwrap(), waits.unwrap());
    let (place, clock) = (Place::file(), standing_clock());
    let builder = place.builder().clock(Arc::clone(&clock) as Arc<_>);
    let builder = builder.workflow(&quick).workflow(&waits);
    let waiting = {
        let engine = builder.clone().open().unwrap();
        let waiting = begin(&engine, &waits, &0).id();
        let many = (0..SWEEP_ROWS_MAX + 500).map(|_| quick.request(&0).unwrap());
        let many = engine.scheduler().schedule_all_blocking(many.collect());
        many.unwrap().iter().for_each(|run| drop(end_of(run)));
        waiting
    };
    let retention = Some(Retention { keep: KEEP });
    let mut stepped = Stepped::open(builder.retention(retention));
    let runs = |stepped: &Stepped| -> Vec<_> {
        let runs = stepped.inspector().runs(RunFilter::All, u32::MAX);
        runs.unwrap().iter().map(|run| run.run).collect()
    };
    assert_eq!(runs(&stepped).len(), SWEEP_ROWS_MAX as usize + 501);

    clock.advance(KEEP + Duration::from_secs(1));
    let late = stepped.begin(&quick, &0);
    stepped.settle();
    clock.advance(RETAIN_EVERY);
    stepped.settle();
    assert_eq!(runs(&stepped), [late, waiting]);

    stepped.signal(event(waiting, "go", "1", "x"));
    stepped.settle();
    for _ in 0..2 {
        clock.advance(KEEP);
        stepped.settle();
    }
    assert_eq!(runs(&stepped), []);
}
