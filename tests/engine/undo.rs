//! Undoing: what a scope or run has done, when it fails or is withdrawn.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{
    Durability, Event, FailurePolicy, Flow, MapChange, MapOutcome, Need, Payload, Rest, RunId,
    RunOutcome, RunStatus, SignalOutcome, StepError, Workflow,
};

use crate::harness::{Counter, Stepped, Trail, codes, fail, gather, mark, on_each, standing_clock};

const MINUTE: Duration = Duration::from_mins(1);

/// A sequence of steps that can be undone; each undoing leaves its mark on `undone`.
fn saga(undone: &Arc<Mutex<Trail>>) -> Workflow<Trail> {
    let undo = |name: &'static str| {
        let undone = Arc::clone(undone);
        move |_: &windlass::Context, _: &Trail| {
            undone.lock().unwrap().push(name.to_owned());
            Ok(())
        }
    };
    Workflow::build("saga", "1", |flow| {
        flow.step("a", mark("a"))
            .undo(undo("a"))
            .scope("inner", |flow| {
                flow.step("b", mark("b"))
                    .undo(undo("b"))
                    .step("c", mark("c"))
                    .undo(undo("c"))
            })
            .wait_event("wait", "go", |_, (): ()| {})
            .step("fails", |_, _| Err(StepError::failed("no")))
            .undo(undo("fails"))
    })
    .unwrap()
}

#[test]
fn a_failed_run_undoes_what_was_done_in_reverse_order() {
    on_each(|place| {
        let undone = Arc::default();
        let workflow = saga(&undone);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(undone.lock().unwrap().len(), 0);
        let go = Event::new(run, "go", "1", Payload::null());
        stepped.signal(go);
        stepped.settle();
        assert_eq!(codes(&stepped.fault(run)), ["step-failed"]);
        assert_eq!(*undone.lock().unwrap(), ["c", "b", "a"]);
        stepped.assert_no_leftovers();
        let scheduler = stepped.scheduler.clone();
        let again = stepped.ask(scheduler.retry(run)).unwrap_err();
        assert!(again.to_string().contains("was undone"), "{again}");
    });
}

#[test]
fn a_withdrawn_run_undoes_what_was_done_and_then_is_cancelled() {
    on_each(|place| {
        let undone = Arc::default();
        let workflow = saga(&undone);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert!(stepped.cancel(run, "enough"));
        stepped.settle();
        let end = stepped.outcome(run);
        assert_eq!(end, Some(RunOutcome::Cancelled("enough".to_owned())));
        assert_eq!(*undone.lock().unwrap(), ["c", "b", "a"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_failed_scope_undoes_its_own_steps_and_the_run_goes_on_by_its_fault_path() {
    on_each(|place| {
        let undone: Arc<Mutex<Trail>> = Arc::default();
        let noted = Arc::clone(&undone);
        let workflow = Workflow::build("w", "1", |flow| {
            flow.step("before", mark("before"))
                .undo(|_, _: &Trail| panic!("it stays as it is"))
                .scope("scope", |flow| {
                    flow.step("book", mark("book"))
                        .undo(move |_, _| {
                            noted.lock().unwrap().push("book".to_owned());
                            Ok(())
                        })
                        .step("fails", |_, _| Err(StepError::failed("no")))
                })
                .recover(
                    |trail, _| trail.push("sorry".to_owned()),
                    |flow| flow.step("other", mark("other")),
                )
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["before", "sorry", "other"]);
        assert_eq!(*undone.lock().unwrap(), ["book"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn an_undoing_that_fails_parks_the_run_until_somebody_has_seen_to_it() {
    on_each(|place| {
        let calls = Counter::default();
        let counted = calls.clone();
        let workflow = Workflow::build("w", "1", |flow| {
            flow.step("book", mark("book"))
                .undo(move |_, _: &Trail| match counted.up() {
                    1 | 2 => Err(StepError::failed("the hotel does not answer")),
                    _ => Ok(()),
                })
                .retry(2, MINUTE)
                .step("fails", |_, _| Err(StepError::failed("no")))
        })
        .unwrap();
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(calls.get(), 1);
        clock.advance(MINUTE);
        stepped.settle();
        assert_eq!((calls.get(), stepped.status(run)), (2, RunStatus::Parked));
        let why = stepped.inspector().why(run).unwrap().unwrap();
        let reason = &why.branches[0].waits_for.missing[0];
        assert!(reason.contains("\"book\" could not be undone"), "{reason}");
        assert_eq!(stepped.retry(run), 1);
        stepped.settle();
        assert_eq!(codes(&stepped.fault(run)), ["step-failed"]);
        assert_eq!(calls.get(), 3);
        stepped.assert_no_leftovers();
    });
}

/// Notes what is undone.
#[derive(Clone, Default)]
struct Undone(Arc<Mutex<Trail>>);

impl Undone {
    /// A step that can be undone.
    fn step(&self, flow: Flow<Trail>, name: &'static str) -> Flow<Trail> {
        let undone = self.clone();
        flow.step(name, mark(name)).undo(move |_, _| {
            undone.0.lock().unwrap().push(name.to_owned());
            Ok(())
        })
    }

    /// Two steps that can be undone, in a scope that then waits for the event `go`.
    fn waits(&self, flow: Flow<Trail>, scope: &str, steps: [&'static str; 2]) -> Flow<Trail> {
        flow.scope(scope, |flow| {
            let flow = self.step(self.step(flow, steps[0]), steps[1]);
            flow.wait_event(&format!("{scope}-waits"), "go", |_, (): ()| {})
        })
    }

    fn names(&self) -> Trail {
        self.0.lock().unwrap().clone()
    }
}

fn send(stepped: &mut Stepped, run: RunId, event: &str) {
    let event = Event::new(run, event, event, Payload::null());
    stepped.signal(event);
    stepped.settle();
}

#[test]
fn a_scope_that_loses_a_race_is_undone_before_the_winner_goes_on() {
    on_each(|place| {
        let undone = Undone::default();
        let workflow = Workflow::build("w", "1", |flow| {
            let flow = flow.race("race", |race| {
                race.branch("slow", |flow| {
                    undone.waits(flow, "trip", ["hotel", "flight"])
                })
                .branch("fast", |flow| {
                    let flow = flow.wait_event("ready", "fast", |_, (): ()| {});
                    undone.step(flow, "stay")
                })
            });
            let seen = undone.clone();
            flow.step("after", move |_, trail: &mut Trail| {
                trail.extend(seen.names());
                Ok(())
            })
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        send(&mut stepped, run, "fast");
        assert_eq!(stepped.data::<Trail>(run), ["stay", "flight", "hotel"]);
        assert_eq!(undone.names(), ["flight", "hotel"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_scope_that_a_failure_beside_it_withdraws_is_undone_before_the_one_around_it() {
    on_each(|place| {
        let undone = Undone::default();
        let workflow = Workflow::build("w", "1", |flow| {
            flow.scope("outer", |flow| {
                undone.step(flow, "first").split("both", |split| {
                    split
                        .branch("books", |flow| {
                            flow.split("inner", |split| {
                                split
                                    .branch("one", |flow| undone.waits(flow, "one", ["a", "b"]))
                                    .join(gather)
                            })
                        })
                        .branch("fails", |flow| {
                            flow.wait_event("ready", "now", |_, (): ()| {})
                                .step("fails", fail("no"))
                        })
                        .on_failure(FailurePolicy::FailFast)
                        .join(gather)
                })
            })
            .recover(|_, _| {}, |flow| flow.step("sorry", mark("sorry")))
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        send(&mut stepped, run, "now");
        assert_eq!(stepped.data::<Trail>(run), ["sorry"]);
        assert_eq!(undone.names(), ["b", "a", "first"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_map_that_is_completed_undoes_what_its_instances_were_in() {
    // More than are withdrawn at once, too; on disk that takes long.
    for instances in [3, 4_100] {
        on_each(|place| {
            if instances > 3 && place.is_file() {
                return;
            }
            let undone = Undone::default();
            let workflow = Workflow::build("w", "1", |flow| {
                flow.map("all", |map| {
                    map.count(instances)
                        .max_parallelism(instances)
                        .each(|flow| undone.waits(flow, "trip", ["hotel", "flight"]))
                })
            })
            .unwrap();
            let builder = place.builder().durability(Durability::Normal);
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            stepped.settle();
            let scheduler = stepped.scheduler.clone();
            let change = scheduler.change_map(run, "all", MapChange::Complete);
            assert_eq!(stepped.ask(change).unwrap(), MapOutcome::Done);
            stepped.settle();
            assert_eq!(stepped.data::<Trail>(run), Trail::new());
            let mut of_each = BTreeMap::new();
            for name in undone.names() {
                *of_each.entry(name).or_insert(0) += 1;
            }
            let expected = ["flight", "hotel"].map(|name| (name.to_owned(), instances));
            assert_eq!(of_each, BTreeMap::from(expected));
            stepped.assert_no_leftovers();
        });
    }
}

#[test]
fn what_undoes_is_withdrawn_with_its_run_and_then_undone_by_that() {
    on_each(|place| {
        let undone = Undone::default();
        let calls = Counter::default();
        let counted = calls.clone();
        let workflow = Workflow::build("w", "1", |flow| {
            undone.step(flow, "before").race("race", |race| {
                race.branch("slow", |flow| {
                    flow.scope("trip", |flow| {
                        undone
                            .step(flow, "hotel")
                            .step("flight", mark("flight"))
                            .undo(move |_, _| match counted.up() {
                                1 => Err(StepError::failed("the airline does not answer")),
                                _ => Ok(()),
                            })
                            .wait_event("waits", "go", |_, (): ()| {})
                    })
                })
                .branch("fast", |flow| {
                    flow.wait_event("ready", "fast", |_, (): ()| {})
                })
            })
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        send(&mut stepped, run, "fast");
        assert_eq!((calls.get(), stepped.status(run)), (1, RunStatus::Parked));
        assert!(stepped.cancel(run, "enough"));
        stepped.settle();
        let end = stepped.outcome(run);
        assert_eq!(end, Some(RunOutcome::Cancelled("enough".to_owned())));
        assert_eq!(
            (calls.get(), undone.names()),
            (2, vec!["hotel".into(), "before".into()])
        );
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_withdrawn_scope_whose_undoing_failed_goes_on_when_it_is_tried_again() {
    on_each(|place| {
        let calls = Counter::default();
        let counted = calls.clone();
        let workflow = Workflow::build("w", "1", |flow| {
            flow.race("race", |race| {
                race.branch("slow", |flow| {
                    flow.scope("trip", |flow| {
                        flow.step("flight", mark("flight"))
                            .undo(move |_, _| match counted.up() {
                                1 => Err(StepError::failed("the airline does not answer")),
                                _ => Ok(()),
                            })
                            .wait_event("waits", "go", |_, (): ()| {})
                    })
                })
                .branch("fast", |flow| {
                    flow.wait_event("ready", "fast", |_, (): ()| {})
                        .step("won", mark("won"))
                })
            })
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        send(&mut stepped, run, "fast");
        assert_eq!((calls.get(), stepped.status(run)), (1, RunStatus::Parked));
        assert_eq!(stepped.retry(run), 1);
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["won"]);
        assert_eq!(calls.get(), 2);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_scope_does_not_undo_what_a_branch_does_that_began_before_it() {
    // While the run is in the scope that will fail, a detached branch and one that is late for its
    // join each do a step.
    on_each(|place| {
        let workflow = Workflow::build("w", "1", |flow| {
            let late = |name: &'static str| {
                move |flow: Flow<Trail>| {
                    flow.wait_event(&format!("{name}-waits"), "late", |_, (): ()| {})
                        .step(name, mark(name))
                        .undo(|_, _| panic!("it stays as it is"))
                }
            };
            let flow = flow.detach("detached", late("aside"));
            let flow = flow.split("split", |split| {
                let split = split.branch("slow", late("slow"));
                let split = split.branch("fast", |flow| flow.step("fast", mark("fast")));
                split.need(Need::First, Rest::Absorb)
            });
            let flow = flow.scope("scope", |flow| {
                flow.wait_event("waits", "go", |_, (): ()| {})
                    .step("fails", |_, _| Err(StepError::failed("no")))
            });
            flow.recover(|_, _| {}, |flow| flow.step("other", mark("other")))
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        for (id, event) in ["late", "late", "go"].into_iter().enumerate() {
            let event = Event::new(run, event, id.to_string(), Payload::null());
            assert_eq!(stepped.signal(event), SignalOutcome::Delivered);
            stepped.settle();
        }
        assert_eq!(stepped.data::<Trail>(run), ["other"]);
        stepped.assert_no_leftovers();
    });
}
