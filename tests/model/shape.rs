//! Random trees of constructs.
//!
//! Owns which workflows are played. What may depend on who is faster is left out here: a join that
//! does not wait for all makes its data without looking at who came.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How many constructs a tree has at most; the last bodies may bring some more.
const NODES_MAX: u32 = 25;

/// How deep bodies are nested at most.
const DEPTH_MAX: u32 = 3;

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
    Map {
        count: u32,
        parallelism: u32,
        each: Seq,
        join: Join,
    },
    Scope(Seq),
    Critical {
        mutex: u32,
        body: Seq,
    },
    Detach(Seq),
    /// A call of the second workflow, which fails when the number is divisible by 5.
    Call {
        safe: bool,
    },
    Wait,
    /// The outside sends the event, or never does.
    Select {
        sent: bool,
        event: Option<Seq>,
        timer: Option<Seq>,
    },
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
}

impl Shape {
    pub(crate) fn grow(rng: &mut Rng) -> Self {
        let nodes = rng.u32(3..=NODES_MAX);
        let n = rng.i64(0..100);
        let mut grower = Grower {
            rng,
            left: nodes,
            next: 0,
        };
        let mut body = Seq::new();
        let place = Place {
            depth: 0,
            may_fail: true,
            may_undo: grower.rng.bool(),
            mutexes: 0,
        };
        while grower.left > 0 {
            body.push(grower.node(place));
        }
        let trail = Vec::new();
        Self {
            input: Data { n, trail },
            body,
        }
    }
}

/// Where something grows.
#[derive(Clone, Copy)]
struct Place {
    depth: u32,
    may_fail: bool,
    /// Whether it is sure which steps are done there: none is withdrawn.
    may_undo: bool,
    /// How many critical sections are around it: each takes a mutex of its own level, so that no two
    /// are ever taken in opposite orders.
    mutexes: u32,
}

impl Place {
    fn inner(self) -> Self {
        let depth = self.depth + 1;
        Self { depth, ..self }
    }

    /// In a branch that is joined so.
    fn joined(self, join: Join) -> Self {
        let may_undo = self.may_undo && matches!(join, Join::All);
        Self { may_undo, ..self }
    }
}

struct Grower<'a> {
    rng: &'a mut Rng,
    left: u32,
    next: u32,
}

impl Grower<'_> {
    fn seq(&mut self, place: Place) -> Seq {
        let length = self.rng.usize(1..=3);
        (0..length).map(|_| self.node(place.inner())).collect()
    }

    fn maybe(&mut self, place: Place) -> Option<Seq> {
        self.rng.bool().then(|| self.seq(place))
    }

    fn node(&mut self, place: Place) -> Node {
        self.left = self.left.saturating_sub(1);
        self.next += 1;
        let number = self.next;
        let is_leaf = self.left == 0 || place.depth >= DEPTH_MAX;
        let wants_recovery = self.rng.u32(0..3) == 0;
        // What is recovered from may fail wherever it stands.
        let may_fail = place.may_fail || wants_recovery;
        let within = Place { may_fail, ..place };
        let kind = if is_leaf || self.rng.u32(0..3) == 0 {
            self.leaf(within)
        } else {
            self.block(place, within)
        };
        let can_recover = matches!(
            kind,
            Kind::Fail
                | Kind::Change { .. }
                | Kind::Split { .. }
                | Kind::Multi { .. }
                | Kind::Copies { .. }
                | Kind::Map { .. }
                | Kind::Scope(_)
                | Kind::Critical { .. }
                | Kind::Call { .. }
                | Kind::Loop { .. }
        );
        let is_step = matches!(kind, Kind::Step | Kind::Flaky(_) | Kind::Fail);
        let undo = (is_step && place.may_undo && self.rng.bool()).then(|| {
            if self.rng.u32(0..4) == 0 {
                Undo::AtLast
            } else {
                Undo::AtOnce
            }
        });
        let recover = (can_recover && wants_recovery).then(|| self.seq(place));
        Node {
            number,
            kind,
            undo,
            recover,
        }
    }

    fn leaf(&mut self, place: Place) -> Kind {
        match self.rng.u32(0..12) {
            // A failure ends most of what follows, so it is rare where nothing recovers from it.
            0 if place.may_fail && self.rng.bool() => Kind::Fail,
            1 => Kind::Flaky(self.rng.u32(1..=2)),
            2 | 3 => Kind::Change {
                fails_on: (place.may_fail && self.rng.bool()).then(|| self.rng.u32(2..=5)),
            },
            4 => Kind::Sleep {
                ms: self.rng.u64(0..50),
            },
            5 => Kind::Wait,
            6 => Kind::Call {
                safe: !place.may_fail || self.rng.bool(),
            },
            _ => Kind::Step,
        }
    }

    /// `within` is where the bodies grow from whose failures the construct's own fault path sees.
    fn block(&mut self, place: Place, within: Place) -> Kind {
        match self.rng.u32(0..11) {
            0 => Kind::Choice {
                divisor: self.rng.u32(2..=3),
                then: self.seq(place),
                otherwise: self.maybe(place),
            },
            1 | 2 => {
                let count = self.rng.usize(2..=3);
                let join = self.join(within, count);
                let branch = within.joined(join);
                let branches = (0..count).map(|_| self.seq(branch)).collect();
                let parallelism = self.rng.bool().then(|| self.rng.u32(1..=2));
                Kind::Split {
                    branches,
                    join,
                    parallelism,
                }
            }
            3 => {
                let join = if within.may_fail && self.rng.bool() {
                    Join::Tolerate(self.rng.u32(1..=2))
                } else {
                    Join::All
                };
                let branch = within.joined(join);
                let mut arms = Vec::new();
                for _ in 0..self.rng.u32(1..=3) {
                    arms.push((self.rng.u32(1..=3), self.seq(branch)));
                }
                Kind::Multi {
                    arms,
                    otherwise: self.seq(branch),
                    join,
                }
            }
            4 => Kind::Copies {
                count: self.rng.u32(1..=3),
                each: self.seq(within),
            },
            5 => {
                let rounds = self.rng.u32(1..=3);
                let short = within.may_fail && self.rng.u32(0..4) == 0;
                Kind::Loop {
                    until: self.rng.bool(),
                    rounds,
                    rounds_max: if short { 1 } else { rounds + 1 },
                    body: self.seq(place),
                }
            }
            6 => {
                let count = self.rng.u32(0..=4);
                let join = self.join(within, count as usize);
                Kind::Map {
                    count,
                    parallelism: self.rng.u32(1..=3),
                    each: self.seq(within.joined(join)),
                    join,
                }
            }
            7 => Kind::Scope(self.seq(within)),
            8 => Kind::Critical {
                mutex: place.mutexes,
                body: self.seq(Place {
                    mutexes: place.mutexes + 1,
                    ..within
                }),
            },
            // Nobody recovers from a detached branch; and in a block that may be withdrawn it would
            // depend on who is faster whether it fails the run.
            9 => {
                let may_fail = place.depth == 0 && self.rng.u32(0..3) == 0;
                Kind::Detach(self.seq(Place { may_fail, ..place }))
            }
            _ => Kind::Select {
                sent: self.rng.bool(),
                event: self.maybe(place),
                timer: self.maybe(place),
            },
        }
    }

    fn join(&mut self, place: Place, branches: usize) -> Join {
        let cancel = self.rng.bool();
        match self.rng.u32(0..8) {
            0 if branches > 0 => Join::First { cancel },
            1 if branches > 0 => Join::AtLeast {
                needed: self.rng.u32(1..=u32::try_from(branches).unwrap()),
                cancel,
            },
            2 if place.may_fail => Join::Tolerate(1),
            3 if place.may_fail => Join::FailFast,
            _ => Join::All,
        }
    }
}
