//! What the engine does while its disk fails: a few workflows, and a script that is chosen by a seed.

use std::path::Path;
use std::time::Duration;

use windlass::{
    BranchResult, Context, Durability, Engine, EngineBuilder, Request, StepError, Workflow,
};

/// The data of all workflows: the run's key, its ballast, then the steps passed.
pub(crate) type Trail = Vec<String>;

fn mark(
    name: &'static str,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    move |_, trail| {
        trail.push(name.to_owned());
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
fn gather(trail: &mut Trail, branches: Vec<BranchResult<Trail>>) -> Result<(), StepError> {
    let before = trail.len();
    for branch in branches {
        trail.extend(branch.data.into_iter().skip(before));
    }
    Ok(())
}

/// A statement in a checkpoint, a split and its join, a timer, a wait for an event.
fn order() -> Workflow<Trail> {
    Workflow::build("order", "1", |flow| {
        flow.step("note", |context, trail: &mut Trail| {
            let sql = "INSERT INTO notes (run, rows) SELECT ?1, count(*) FROM notes";
            context
                .execute(sql, [trail[0].as_str().into()])
                .map_err(|error| StepError::failed(error.to_string()))?;
            trail.push("note".to_owned());
            Ok(())
        })
        .transactional()
        .split("both", |split| {
            split
                .branch("left", |flow| flow.step("left", mark("left")))
                .branch("right", |flow| {
                    flow.step("right", mark("right")).step("more", mark("more"))
                })
                .join(gather)
        })
        .sleep("nap", Duration::from_secs(1))
        .wait_event("go", "go", |trail: &mut Trail, said: String| {
            trail.push(said);
        })
        .step("last", mark("last"))
    })
    .expect("it is sound")
}

fn short() -> Workflow<Trail> {
    Workflow::build("short", "1", |flow| flow.step("only", mark("only"))).expect("it is sound")
}

fn waits() -> Workflow<Trail> {
    Workflow::build("waits", "1", |flow| {
        flow.wait_event("never", "never", |_, (): ()| {})
    })
    .expect("it is sound")
}

/// The runs of a script, by their dedupe keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Order(usize),
    Short(usize),
    /// Waits until it is cancelled.
    Waits,
}

impl Key {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Order(number) => format!("order {number}"),
            Self::Short(number) => format!("short {number}"),
            Self::Waits => "waits".to_owned(),
        }
    }
}

/// One thing the script does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Schedule(Vec<Key>),
    Signal(Key),
    Cancel(Key),
    /// The engine works until nothing moves.
    Settle,
    /// A second passes.
    Advance,
    /// Somebody empties the log.
    EmptyLog,
    /// The engine goes, as if it were killed, and another one comes.
    Reopen,
}

/// One of many scripts, with the settings of its engine.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) durability: Durability,
    page_cache: Option<usize>,
    changes_per_commit: usize,
    ballast: usize,
    pub(crate) keys: Vec<Key>,
    pub(crate) script: Vec<Act>,
    /// The disk works again before the engine goes, not after.
    pub(crate) heals_early: bool,
}

impl Workload {
    /// The script of a seed: the first ones are small, later ones have more runs and larger data.
    pub(crate) fn of(seed: u64, durability: Durability) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let orders = 1 + random.usize(0..2);
        let shorts = 1 + random.usize(0..3);
        let mut keys = vec![Key::Waits];
        keys.extend((0..orders).map(Key::Order));
        keys.extend((0..shorts).map(Key::Short));
        let mut script = vec![Act::Schedule(vec![Key::Waits])];
        let mut asked: Vec<_> = keys[1..].iter().map(|key| vec![*key]).collect();
        if random.bool() {
            asked = vec![keys[1..].to_vec()];
        }
        random.shuffle(&mut asked);
        for some in asked {
            script.push(Act::Schedule(some));
            if random.bool() {
                script.push(Act::Settle);
            }
        }
        let mut rest: Vec<_> = (0..orders).map(|n| Act::Signal(Key::Order(n))).collect();
        rest.push(Act::Cancel(Key::Waits));
        rest.push(Act::Advance);
        if random.bool() {
            rest.push(Act::EmptyLog);
        }
        if random.u8(0..3) == 0 {
            rest.push(Act::Reopen);
        }
        random.shuffle(&mut rest);
        for act in rest {
            script.push(act);
            script.push(Act::Settle);
        }
        Self {
            durability,
            page_cache: [None, Some(1)][random.usize(0..2)],
            changes_per_commit: [1, 2_048][random.usize(0..2)],
            ballast: [0, 1_000, 6_000][random.usize(0..3)],
            keys,
            script,
            heals_early: random.bool(),
        }
    }

    /// One after the other so many short runs, of which an engine itself empties its log in between.
    pub(crate) fn lasting(runs: usize, durability: Durability) -> Self {
        let keys: Vec<_> = (0..runs).map(Key::Short).collect();
        let one = |key: &Key| [Act::Schedule(vec![*key]), Act::Settle];
        Self {
            durability,
            page_cache: None,
            changes_per_commit: 1,
            ballast: 0,
            script: keys.iter().flat_map(one).collect(),
            keys,
            heals_early: false,
        }
    }

    pub(crate) fn builder(&self, database: &Path) -> EngineBuilder {
        let builder = Engine::builder()
            .database(database)
            .durability(self.durability)
            .changes_per_commit(self.changes_per_commit)
            .runners(1)
            .workflow(&order())
            .workflow(&short())
            .workflow(&waits());
        match self.page_cache {
            Some(bytes) => builder.page_cache(bytes),
            None => builder,
        }
    }

    pub(crate) fn request(&self, key: Key) -> Request {
        let workflow = match key {
            Key::Order(_) => order(),
            Key::Short(_) => short(),
            Key::Waits => waits(),
        };
        let request = workflow.request(&vec![key.text(), "x".repeat(self.ballast)]);
        request.expect("text is JSON").dedupe_key(key.text())
    }

    /// The data at the end; `None` where the run is cancelled.
    pub(crate) fn expected(&self, key: Key) -> Option<Trail> {
        let steps: &[&str] = match key {
            Key::Order(_) => &["note", "left", "right", "more", "gone", "last"],
            Key::Short(_) => &["only"],
            Key::Waits => return None,
        };
        let mut trail = vec![key.text(), "x".repeat(self.ballast)];
        trail.extend(steps.iter().map(|step| (*step).to_owned()));
        Some(trail)
    }
}

/// What the event of an order says.
pub(crate) const SAID: &str = "gone";

/// The table of the user's own.
pub(crate) const NOTES: &str = "CREATE TABLE IF NOT EXISTS notes (run TEXT, rows INTEGER) STRICT";
