//! Trees of constructs: what there is to be played, and what each construct does to the data.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What the numbers of instances begin with; no tree has so many constructs.
const ITEM: u32 = 1_000;

/// What every step works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) n: i64,
    /// The numbers of the constructs that were passed, in order.
    pub(crate) trail: Vec<u32>,
}

impl Data {
    /// What construct `number` does to the data when it is passed.
    pub(crate) fn pass(&mut self, number: u32) {
        self.n = (self.n * 3 + i64::from(number)) % 1_009;
        self.trail.push(number);
    }

    /// Whether `n` has remainder 0 by `divisor`.
    pub(crate) fn divides(&self, divisor: u32) -> bool {
        self.n % i64::from(divisor) == 0
    }

    /// Whether loop `number`, which is passed in each round, wants another one: until it was passed
    /// `rounds` times, and at most one more when it is entered again.
    pub(crate) fn wants_round(&self, number: u32, rounds: u32) -> bool {
        let passed = self.trail.iter().filter(|passed| **passed == number);
        passed.count() % (rounds as usize + 1) != rounds as usize
    }

    /// What instance `index` begins with where that depends on it.
    pub(crate) fn item(mut self, index: u32) -> Self {
        self.pass(ITEM + index);
        self
    }

    /// What construct `number` does to the data when it is passed with something from outside, or
    /// from below.
    pub(crate) fn take(&mut self, number: u32, n: i64) {
        self.n = (self.n + n) % 1_009;
        self.pass(number);
    }

    /// Adds what one of the instances of map `number` has made; the order matters.
    pub(crate) fn reduce(&mut self, number: u32, instance: &Self) {
        self.take(number, instance.n);
    }

    /// What comes of tokens that meet in construct `number`, in the order of its inputs.
    pub(crate) fn met(number: u32, tokens: Vec<Self>) -> Self {
        let mut tokens = tokens.into_iter();
        let mut data = tokens.next().unwrap_or_default();
        tokens.for_each(|token| data.reduce(number, &token));
        data
    }

    /// What comes of tokens that have gone through construct `number` each by itself.
    pub(crate) fn merged(number: u32, mut tokens: Vec<Self>) -> Self {
        tokens.sort_unstable();
        Self::met(number, tokens)
    }

    /// Adds what a branch that began with `self` of length `before` has made.
    pub(crate) fn gather(&mut self, before: usize, branch: Self) {
        self.n = (self.n + branch.n) % 1_009;
        self.trail.extend(branch.trail.into_iter().skip(before));
    }
}

/// Constructs one after the other; never empty.
pub(crate) type Seq = Vec<Node>;

/// A construct and its number, which is unique in the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// Whether what it did can be undone; only for steps.
    pub(crate) undo: Option<Undo>,
    /// The way taken, and rejoined, when it fails.
    pub(crate) recover: Option<Seq>,
}

/// How a step is undone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undo {
    AtOnce,
    /// The first attempt fails.
    AtLast,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Step,
    /// Reaches a milestone of its own, and then a step that may start only there.
    Gated,
    /// A step with a key of its own, or one that must not happen twice: whoever is asked after a crash
    /// says that it has not.
    Careful {
        once: bool,
    },
    /// A scope that waits for what never comes, and whose time is over.
    Overdue,
    /// Calls a workflow that waits for what never comes, and whose time is over.
    Late,
    /// A step that may start only in a milestone that has passed.
    Passed,
    /// Waits for what never comes, until the time of the run is over.
    Endless,
    /// Ends the run, well, when the number is divisible.
    Terminate {
        divisor: u32,
    },
    /// Starts a run of another workflow that lives on by itself.
    Aside,
    /// Fails with code `fail`.
    Fail,
    /// Fails so many times, then does what a step does.
    Flaky(u32),
    /// A change fails when the number is divisible.
    Change {
        fails_on: Option<u32>,
    },
    Sleep {
        ms: u64,
    },
    Choice {
        divisor: u32,
        then: Seq,
        otherwise: Option<Seq>,
    },
    Split {
        branches: Vec<Seq>,
        join: Join,
        parallelism: Option<u32>,
    },
    Multi {
        arms: Vec<(u32, Seq)>,
        otherwise: Seq,
        join: Join,
    },
    Copies {
        count: u32,
        each: Seq,
    },
    /// Each round passes the number of the loop first. See [`Data::wants_round`].
    Loop {
        until: bool,
        rounds: u32,
        rounds_max: u32,
        body: Seq,
    },
    /// A split into as many branches as the data says.
    Each {
        count: Count,
        parallelism: Option<u32>,
        each: Seq,
    },
    Map(Map),
    Scope(Seq),
    Critical {
        mutex: u32,
        body: Seq,
    },
    Detach(Seq),
    /// A call of the second workflow; see [`Called`].
    Call {
        safe: bool,
        /// Whether it is noted what the called run undoes.
        noted: bool,
    },
    /// Tokens that fork and meet, and go on as one. See [`Meet`].
    Meet(Meet),
    /// Tokens that fork, and go on by themselves after the same point.
    Merge {
        arms: Vec<Seq>,
        after: Seq,
    },
    /// Of two branches one does `held` in a scope, and then waits for what never comes: the scope is
    /// withdrawn. The other is a step.
    Withdraw {
        held: Seq,
        by: Withdrawer,
    },
    /// A way back in a graph. Each round passes the number first, see [`Data::wants_round`].
    Cycle {
        rounds: u32,
        body: Seq,
        after: Seq,
    },
    Wait(Wait),
    /// The outside sends the event, or never does.
    Select {
        sent: bool,
        event: Option<Seq>,
        timer: Option<Seq>,
    },
}

/// Who withdraws a scope once its body is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawer {
    /// A construct in the branch beside it.
    Branch,
    Outside,
}

/// Where tokens meet.
#[derive(Clone, Debug)]
pub(crate) struct Meet {
    /// Each with the remainder that takes it, or taken in any case.
    pub(crate) arms: Vec<(Option<u32>, Seq)>,
    /// Whether all inputs are waited for, else the tokens that may still come.
    pub(crate) waits: MeetWaits,
    /// Also the way of a token for which no arm is taken.
    pub(crate) after: Seq,
}

impl Meet {
    /// The arms that are taken.
    pub(crate) fn taken(&self, data: &Data) -> impl Iterator<Item = &Seq> {
        let taken = |(divisor, _): &&(Option<u32>, Seq)| divisor.is_none_or(|by| data.divides(by));
        self.arms.iter().filter(taken).map(|(_, arm)| arm)
    }
}

/// What a meet waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MeetWaits {
    All,
    ActiveLocal,
    ActiveGlobal,
}

/// A wait for one event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) comes: Comes,
    /// Whether it takes only the event that is for its data.
    pub(crate) correlated: bool,
    /// Whether it takes only an event that comes while it waits.
    pub(crate) transient: bool,
    /// Whether it would not wait for ever.
    pub(crate) has_timeout: bool,
}

/// What comes of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    Event,
    Fault,
    /// Its time is over.
    Nothing,
}

impl Wait {
    /// A wait for an event that is sent, and no more than that.
    pub(crate) fn plain() -> Self {
        Self {
            comes: Comes::Event,
            correlated: false,
            transient: false,
            has_timeout: false,
        }
    }

    /// Which of its [`correlations`](Self::correlations) it takes.
    pub(crate) fn correlation(self, data: &Data) -> i64 {
        if self.correlated { data.n % 3 } else { 0 }
    }

    /// Which events are sent for it.
    pub(crate) fn correlations(self) -> Range<i64> {
        if self.correlated { 0..3 } else { 0..1 }
    }
}

/// What comes with the event of construct `number` that is sent with `correlation`.
pub(crate) fn reply(number: u32, correlation: i64) -> i64 {
    i64::from(number) * 7 + correlation + 1
}

/// What the second workflow works on: it fails if it may and the number is divisible by 5, calls
/// itself with a third of it if it can, and doubles what came of that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Called {
    pub(crate) n: i64,
    pub(crate) safe: bool,
    pub(crate) noted: bool,
}

impl Called {
    pub(crate) fn fails(self) -> bool {
        !self.safe && self.n % 5 == 0
    }

    pub(crate) fn calls(self) -> bool {
        self.n != 0 && self.n % 3 == 0
    }

    /// What it gives the one that it calls.
    pub(crate) fn below(self) -> Self {
        let n = self.n / 3;
        Self { n, ..self }
    }

    pub(crate) fn doubled(self) -> i64 {
        self.n * 2 % 1_009
    }

    /// What the first step leaves, as data of the tree that calls.
    pub(crate) fn trace(self) -> Data {
        let trail = vec![0];
        Data { n: self.n, trail }
    }
}

/// How many branches or instances there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Fixed(u32),
    /// What is left of `n` by this.
    Rest(u32),
}

impl Count {
    pub(crate) fn of(self, data: &Data) -> u32 {
        match self {
            Self::Fixed(count) => count,
            Self::Rest(divisor) => u32::try_from(data.n % i64::from(divisor)).unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) count: Count,
    /// Whether an instance begins with [`Data::item`], else with a copy.
    pub(crate) by_index: bool,
    pub(crate) parallelism: u32,
    pub(crate) each: Seq,
    pub(crate) join: Join,
    /// Whether the instances are taken one after the other, and the map is not passed itself.
    pub(crate) reduces: bool,
    /// How many must have succeeded, counted by a function; the others are withdrawn or not.
    pub(crate) until: Option<(u32, bool)>,
    pub(crate) open: Option<Open>,
}

impl Map {
    /// Whether what the instances make counts, and not only that the map is over.
    pub(crate) fn gathers(&self) -> bool {
        let completes = self.open.as_ref().is_some_and(|open| open.completes);
        self.join.needed().is_none() && self.until.is_none() && !completes
    }
}

/// What the outside does to a map.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// The numbers that the added instances begin with.
    pub(crate) items: Vec<i64>,
    /// Whether the map is begun once at most: else all is added whenever it is.
    pub(crate) is_once: bool,
    /// Whether it is ended with what is done, else closed.
    pub(crate) completes: bool,
}

impl Open {
    /// The data of the added instances.
    pub(crate) fn data(&self) -> impl Iterator<Item = Data> {
        let data = |n: &i64| Data {
            n: *n,
            trail: Vec::new(),
        };
        self.items.iter().map(data)
    }
}

/// How a block joins its branches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Join {
    All,
    Tolerate(u32),
    FailFast,
    First { cancel: bool },
    AtLeast { needed: u32, cancel: bool },
}

impl Join {
    /// How many must succeed, where not all are waited for.
    pub(crate) fn needed(self) -> Option<u32> {
        match self {
            Self::All | Self::Tolerate(_) | Self::FailFast => None,
            Self::First { .. } => Some(1),
            Self::AtLeast { needed, .. } => Some(needed),
        }
    }
}

/// A tree, and what it begins with.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) input: Data,
    pub(crate) body: Seq,
    /// The maps that the outside changes, by number.
    pub(crate) open: Vec<(u32, Open)>,
    /// What the outside sends events for, by number.
    pub(crate) waits: BTreeMap<u32, Wait>,
    /// Whether the run has a deadline. Nothing but [`Kind::Endless`] gets there.
    pub(crate) has_deadline: bool,
}
