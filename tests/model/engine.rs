//! Plays a tree on an engine: a random order of its parts, and now and then it dies, the wall clock
//! jumps, or a step is slow or stuck.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use fastrand::Rng;
use windlass::{
    Engine, Event, Inspector, MapChange, MapOutcome, NodeKind, Payload, RunFilter, RunId,
    RunOutcome, SignalOutcome, StepStatus,
};
use windlass_testkit::{RunHistory, Setting, Simulation, Trouble, snapshot};

use crate::build::{self, HELD, SENT};
use crate::reference::{Expected, Steps};
use crate::shape::{Comes, Data, Open, Shape, Wait, reply};
use crate::undo::Undone;

/// Turns after which a run must have ended.
const TURNS_MAX: usize = 50_000;

/// How slow a slow step is at most. Longer than what comes soon, shorter than what never comes.
const SLOW_MAX: Duration = Duration::from_secs(2);

/// Why a run is withdrawn.
const CANCELLED: &str = "the outside wants it so";

/// The number of the construct with this name.
fn number_of(name: &str) -> u32 {
    name.trim_start_matches('n').parse().unwrap()
}

/// Plays `shape` and says so if it is not what was expected. Gives what was done as text.
pub(crate) fn play(shape: &Shape, expected: &Expected, rng: &mut Rng) -> String {
    let (undone, asides) = (Undone::default(), Undone::default());
    let workflow = build::workflow(shape, &undone);
    let builder = Engine::builder()
        .workflow(&workflow)
        .workflow(&build::second_workflow(&undone))
        .workflow(&build::aside_workflow(&asides))
        .workflow(&build::late_workflow());
    let setting = Setting::new(rng.u64(..))
        .runners(rng.usize(1..=4), rng.usize(1..=3))
        .trouble(trouble(rng));
    let folder = (rng.u32(0..3) == 0).then(|| tempfile::tempdir().unwrap());
    let setting = match &folder {
        Some(folder) => setting.database(folder.path().join("model.db")),
        None => setting,
    };
    let mut stage = Stage {
        simulation: Simulation::open(builder, &setting).unwrap(),
        events: 0,
        cancelled_after: (rng.u32(0..4) == 0).then(|| rng.usize(0..200)),
        is_cancelled: false,
        early_left: rng.u32(0..=6),
        waits: shape.waits.clone(),
        maps: shape.open.iter().map(OpenMap::of).collect(),
    };
    let request = workflow.request(&shape.input).unwrap();
    let scheduler = stage.simulation.scheduler();
    let run = stage.simulation.ask(scheduler.schedule(request));
    let run = run.unwrap().id();
    stage.send_too_early(run);
    stage.finish(run, rng);
    let asserted = catch_unwind(AssertUnwindSafe(|| {
        stage.assert(run, expected, &undone, &asides);
    }));
    let told = stage.told(run);
    if let Err(panic) = asserted {
        eprintln!("{told}");
        resume_unwind(panic);
    }
    told
}

/// What goes wrong in a case: often nothing of one kind, so that the others have their effects alone.
fn trouble(rng: &mut Rng) -> Trouble {
    let mut up_to = |most: u32| {
        let none = rng.u32(0..3) == 0;
        if none { 0 } else { rng.u32(0..=most) }
    };
    Trouble::none()
        .crashes(up_to(6))
        .clock_jumps(up_to(3))
        .slow_steps(up_to(4), SLOW_MAX)
        .stuck_steps(up_to(2))
}

struct Stage {
    simulation: Simulation,
    /// How many events were sent.
    events: u32,
    /// The turn after which the run is withdrawn, if it has not ended by then.
    cancelled_after: Option<usize>,
    is_cancelled: bool,
    /// How many more are sent before anybody waits for them.
    early_left: u32,
    waits: BTreeMap<u32, Wait>,
    maps: Vec<OpenMap>,
}

/// A map that the outside changes.
struct OpenMap {
    name: String,
    open: Open,
    /// What is still to be done to it, or again and again if it is begun more than once.
    left: VecDeque<MapChange>,
}

impl OpenMap {
    fn of((number, open): &(u32, Open)) -> Self {
        let add = |data: Data| MapChange::Add(vec![Payload::encode(&data).unwrap()]);
        let end = if open.completes {
            MapChange::Complete
        } else {
            MapChange::Close
        };
        Self {
            name: format!("n{number}"),
            open: open.clone(),
            left: open.data().map(add).chain([end]).collect(),
        }
    }
}

impl Stage {
    fn inspector(&mut self) -> &mut Inspector {
        self.simulation.inspector()
    }

    /// Goes on until nothing is unfinished.
    fn finish(&mut self, run: RunId, rng: &mut Rng) {
        for turn in 0..TURNS_MAX {
            if self.cancelled_after == Some(turn) {
                let scheduler = self.simulation.scheduler();
                self.is_cancelled = self
                    .simulation
                    .ask(scheduler.cancel(run, CANCELLED))
                    .unwrap();
            }
            let is_quiet = self.simulation.turn();
            if !self.maps.is_empty() && rng.u32(0..20) == 0 {
                let map = rng.usize(0..self.maps.len());
                if self.maps[map].open.is_once {
                    self.change_map(run, map);
                }
            }
            if self.early_left > 0 && rng.u32(0..10) == 0 {
                self.early_left -= 1;
                self.send_early(run, rng);
            }
            if !is_quiet {
                continue;
            }
            let unfinished = self.inspector().runs(RunFilter::Unfinished, 1).unwrap();
            if unfinished.is_empty() {
                return;
            }
            let sent = self.send_events(run, rng);
            if !self.change_maps(run) && !sent {
                self.simulation.pass_time();
            }
        }
        let why = self.inspector().why(run);
        let log = self.simulation.log();
        panic!("the run does not end: {why:#?} {log:#?}");
    }

    /// Does to all maps what is to be done to them next. `false`: they are not there.
    fn change_maps(&mut self, run: RunId) -> bool {
        let mut changed = false;
        for map in 0..self.maps.len() {
            if self.maps[map].open.is_once {
                changed |= self.change_map(run, map);
                continue;
            }
            // All at once: the next time it may be another one of the same name.
            let left = self.maps[map].left.clone();
            while !self.maps[map].left.is_empty() && self.change_map(run, map) {
                changed = true;
            }
            self.maps[map].left = left;
        }
        changed
    }

    /// Does one thing to a map. `false`: it is not there, or over.
    fn change_map(&mut self, run: RunId, map: usize) -> bool {
        let OpenMap { name, left, .. } = &self.maps[map];
        let (name, Some(what)) = (name.clone(), left.front().cloned()) else {
            return false;
        };
        let scheduler = self.simulation.scheduler();
        let changed = self
            .simulation
            .ask(scheduler.change_map(run, &name, what))
            .unwrap();
        if changed == MapOutcome::Done {
            self.maps[map].left.pop_front();
        }
        changed == MapOutcome::Done
    }

    /// Sends what nobody may take: it comes before anybody waits.
    fn send_too_early(&mut self, run: RunId) {
        let waits = self.waits.clone();
        for (number, wait) in waits {
            let (name, payload) = (format!("{SENT}{number}"), Payload::encode(&-1).unwrap());
            let event = Event::new(run, &name, "lost", payload.clone());
            let lost = [
                event.clone().transient(),
                event.correlation("0").transient(),
            ];
            for event in lost {
                let scheduler = self.simulation.scheduler();
                let sent = self.simulation.ask(scheduler.signal(event)).unwrap();
                assert_eq!(sent, SignalOutcome::Lost);
            }
            if wait.transient {
                let event = Event::new(run, &name, "too-early", payload);
                let scheduler = self.simulation.scheduler();
                self.simulation.ask(scheduler.signal(event)).unwrap();
            }
        }
    }

    /// Sends one event of those that are kept, whether or not somebody waits for it.
    fn send_early(&mut self, run: RunId, rng: &mut Rng) {
        let kept = self.waits.iter().filter(|(_, wait)| !wait.transient);
        let kept: Vec<_> = kept.map(|(number, wait)| (*number, *wait)).collect();
        if let Some((number, wait)) = rng.choice(kept) {
            self.send(
                run,
                number,
                rng.i64(wait.correlations()),
                rng.u32(0..4) == 0,
            );
        }
    }

    /// Sends an event for construct `number`, perhaps twice.
    fn send(&mut self, run: RunId, number: u32, correlation: i64, twice: bool) {
        let wait = self.waits[&number];
        self.events += 1;
        let (name, id) = (format!("{SENT}{number}"), format!("e{}", self.events));
        let payload = Payload::encode(&reply(number, correlation)).unwrap();
        let mut event = Event::new(run, name, id, payload);
        if wait.correlated {
            event = event.correlation(correlation.to_string());
        }
        if wait.comes == Comes::Fault {
            event = event.fault();
        }
        let scheduler = self.simulation.scheduler();
        self.simulation
            .ask(scheduler.signal(event.clone()))
            .unwrap();
        if twice {
            let again = self.simulation.ask(scheduler.signal(event)).unwrap();
            let is_nothing = matches!(again, SignalOutcome::Duplicate | SignalOutcome::RunEnded);
            assert!(is_nothing, "{again:?}");
        }
    }

    /// Sends what somebody waits for, and withdraws what is held. `false`: there is nothing.
    fn send_events(&mut self, run: RunId, rng: &mut Rng) -> bool {
        let Some(why) = self.inspector().why(run).unwrap() else {
            return false;
        };
        // A select waits for several.
        let waited_for = why.branches.into_iter().flat_map(|branch| {
            let waits = branch.waits_for;
            waits.event.into_iter().chain(waits.missing)
        });
        let waited_for: Vec<_> = waited_for.collect();
        let held = waited_for.iter().filter_map(|name| name.strip_prefix(HELD));
        let held: BTreeSet<_> = held.collect();
        for number in &held {
            let (scheduler, scope) = (self.simulation.scheduler(), format!("n{number}-held"));
            let withdrawn = self
                .simulation
                .ask(scheduler.cancel_node(run, &scope, "it is held"))
                .unwrap();
            assert!(withdrawn > 0, "{scope} goes on");
        }
        let is_any_held = !held.is_empty();
        let sent = waited_for.iter().filter(|name| name.starts_with(SENT));
        let mut sent: Vec<_> = sent.collect();
        rng.shuffle(&mut sent);
        for name in &sent {
            let number = name.trim_start_matches(SENT).parse().unwrap();
            // Nobody tells which one is waited for.
            for correlation in self.waits[&number].correlations() {
                self.send(run, number, correlation, rng.u32(0..4) == 0);
            }
        }
        !sent.is_empty() || is_any_held
    }

    fn assert(&mut self, run: RunId, expected: &Expected, undone: &Undone, asides: &Undone) {
        if self.is_cancelled {
            self.assert_cancelled(run, undone);
        } else {
            self.assert_end(run, expected);
            undone.assert_are(&expected.undone);
            if expected.steps.is_some() {
                let (mut found, mut expected) = (asides.all(), expected.asides.clone());
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "what lives on by itself");
            }
        }
        self.assert_nothing_is_left();
    }

    fn assert_end(&mut self, run: RunId, expected: &Expected) {
        let inspector = self.inspector();
        match (inspector.outcome(run).unwrap(), &expected.end) {
            (Some(RunOutcome::Succeeded(data)), Ok(expected)) => {
                assert_eq!(&data.decode::<Data>().unwrap(), expected);
            }
            (Some(RunOutcome::Failed(fault)), Err(expected)) => {
                let codes = fault.errors.into_iter().map(|error| error.code);
                let mut codes: Vec<_> = codes.collect();
                codes.sort_unstable();
                let expected = expected.as_ref().unwrap_or(&codes);
                assert_eq!(&codes, expected);
            }
            (outcome, expected) => panic!("{outcome:?} is not {expected:?}"),
        }
        if let Some(expected) = &expected.steps {
            let steps = inspector.show(run).unwrap().unwrap().steps;
            let mut done: Steps = BTreeMap::new();
            for step in steps {
                if step.kind == "step" && step.status == StepStatus::Succeeded {
                    *done.entry(number_of(&step.step)).or_default() += 1;
                }
            }
            assert_eq!(&done, expected);
        }
    }

    /// The run was withdrawn: all that was done by then, and can be undone, was undone.
    fn assert_cancelled(&mut self, run: RunId, undone: &Undone) {
        let inspector = self.inspector();
        let outcome = inspector.outcome(run).unwrap();
        let expected = RunOutcome::Cancelled(CANCELLED.to_owned());
        assert_eq!(outcome, Some(expected));
        let detail = inspector.show(run).unwrap().unwrap();
        let nodes = detail.definition.nodes().iter();
        let can_be_undone = nodes.filter(|node| match &node.kind {
            NodeKind::Step(step) => step.undo.is_some(),
            _ => false,
        });
        for node in can_be_undone {
            let succeeded = detail
                .steps
                .iter()
                .filter(|view| view.step == node.name && view.status == StepStatus::Succeeded);
            let undone = undone.all().into_iter().filter(|data| {
                let last = data.trail.last().copied();
                last == Some(number_of(&node.name))
            });
            // The step itself, and its undoing.
            assert_eq!(succeeded.count(), 2 * undone.count(), "{}", node.name);
        }
    }

    /// All that was done and went wrong, in order.
    fn told(&mut self, run: RunId) -> String {
        let log = self.simulation.log().join("\n");
        let history = RunHistory::of(self.inspector(), run);
        format!("{log}\n{history}{}", snapshot(self.inspector(), run))
    }

    fn assert_nothing_is_left(&mut self) {
        // A step that hangs keeps the mutexes that it is in, even those of a run that has failed.
        let hangs = self.simulation.engine().in_flight() > 0;
        let inspector = self.inspector();
        let left = inspector.leftovers().unwrap();
        let left = left.iter().filter(|(_, rows)| *rows > 0);
        let left: Vec<_> = left
            .filter(|(what, _)| !(hangs && *what == "marks"))
            .collect();
        assert!(left.is_empty(), "left over: {left:?}");
    }
}
