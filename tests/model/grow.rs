//! Random trees of constructs.
//!
//! Owns which workflows are played. What may depend on who is faster is left out here: a join that
//! does not wait for all makes its data without looking at who came.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::shape::{
    Comes, Count, Data, Join, Kind, Map, Meet, MeetWaits, Node, Open, Seq, Shape, Undo, Wait,
    Withdrawer,
};

/// How many constructs a tree has at most; the last bodies may bring some more.
const NODES_MAX: u32 = 25;

/// How deep bodies are nested at most.
const DEPTH_MAX: u32 = 3;

impl Shape {
    pub(crate) fn grow(rng: &mut Rng) -> Self {
        let nodes = rng.u32(3..=NODES_MAX);
        let n = rng.i64(0..100);
        let ends = (rng.u32(0..4) == 0).then(|| rng.bool());
        let mut grower = Grower {
            rng,
            left: nodes,
            next: 0,
            ends_early: ends.is_some(),
            open: Vec::new(),
            waits: BTreeMap::new(),
        };
        let mut body = Seq::new();
        let place = Place {
            depth: 0,
            may_fail: true,
            may_undo: grower.rng.u32(0..4) > 0,
            is_once: true,
            may_end: ends == Some(true),
            mutexes: 0,
        };
        while grower.left > 0 {
            body.push(grower.node(place));
        }
        let is_endless = ends == Some(false);
        if is_endless {
            body.push(Node {
                number: grower.next + 1,
                kind: Kind::Endless,
                undo: None,
                recover: None,
            });
        }
        let trail = Vec::new();
        Self {
            input: Data { n, trail },
            body,
            open: grower.open,
            waits: grower.waits,
            has_deadline: is_endless || n % 4 == 0,
        }
    }
}

/// Where something grows.
#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of a place whether something may be there, whatever the others say"
)]
struct Place {
    depth: u32,
    may_fail: bool,
    /// Whether it is sure which steps are done there: none is withdrawn.
    may_undo: bool,
    /// Whether it is come to once at most.
    is_once: bool,
    /// Whether the run may be ended there: nobody else might end or fail it at the same time.
    may_end: bool,
    /// How many critical sections are around it: each takes a mutex of its own level, so that no two
    /// are ever taken in opposite orders.
    mutexes: u32,
}

impl Place {
    fn inner(self) -> Self {
        let depth = self.depth + 1;
        Self { depth, ..self }
    }

    /// Where many may be, at once or one after the other.
    fn repeated(self) -> Self {
        Self {
            is_once: false,
            ..self
        }
    }

    /// In a branch that is joined so.
    fn joined(self, join: Join) -> Self {
        let may_undo = self.may_undo && matches!(join, Join::All);
        Self { may_undo, ..self }.beside()
    }

    /// Beside others that go on at the same time.
    fn beside(self) -> Self {
        Self {
            may_end: false,
            ..self
        }
    }

    /// One of several tokens in a graph: no failure of one meets another's.
    fn token(self) -> Self {
        Self {
            may_fail: false,
            ..self
        }
        .beside()
    }
}

struct Grower<'a> {
    rng: &'a mut Rng,
    left: u32,
    next: u32,
    /// Whether the run may end before all that it began: then no detached branch may fail it.
    ends_early: bool,
    open: Vec<(u32, Open)>,
    waits: BTreeMap<u32, Wait>,
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
            self.leaf(number, within)
        } else {
            self.block(number, place, within)
        };
        let can_recover = matches!(
            kind,
            Kind::Fail
                | Kind::Overdue
                | Kind::Late
                | Kind::Passed
                | Kind::Wait(_)
                | Kind::Change { .. }
                | Kind::Split { .. }
                | Kind::Multi { .. }
                | Kind::Copies { .. }
                | Kind::Each { .. }
                | Kind::Map(_)
                | Kind::Scope(_)
                | Kind::Critical { .. }
                | Kind::Call { .. }
                | Kind::Loop { .. }
        );
        let is_step = matches!(
            kind,
            Kind::Step | Kind::Gated | Kind::Careful { .. } | Kind::Flaky(_) | Kind::Fail
        );
        let undo = (is_step && place.may_undo && self.rng.u32(0..4) > 0).then(|| {
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

    fn leaf(&mut self, number: u32, place: Place) -> Kind {
        match self.rng.u32(0..18) {
            // A failure ends most of what follows, so it is rare where nothing recovers from it.
            0 if place.may_fail && self.rng.bool() => Kind::Fail,
            1 => Kind::Flaky(self.rng.u32(1..=2)),
            2 | 3 => Kind::Change {
                fails_on: (place.may_fail && self.rng.bool()).then(|| self.rng.u32(2..=5)),
            },
            4 => Kind::Sleep {
                ms: self.rng.u64(0..50),
            },
            5 => Kind::Wait(self.wait(number, place)),
            6 => Kind::Call {
                safe: !place.may_fail || self.rng.bool(),
                noted: place.may_undo,
            },
            7 => Kind::Gated,
            8 => Kind::Careful {
                once: self.rng.bool(),
            },
            9 if place.may_fail && self.rng.bool() => Kind::Overdue,
            10 if place.may_fail && self.rng.bool() => Kind::Late,
            11 if place.may_fail && place.is_once && self.rng.bool() => Kind::Passed,
            12 => Kind::Aside,
            13 if place.may_end => Kind::Terminate {
                divisor: self.rng.u32(1..=2),
            },
            _ => Kind::Step,
        }
    }

    /// `within` is where the bodies grow from whose failures the construct's own fault path sees.
    fn block(&mut self, number: u32, place: Place, within: Place) -> Kind {
        match self.rng.u32(0..19) {
            0 => Kind::Choice {
                divisor: self.rng.u32(2..=3),
                then: self.seq(place),
                otherwise: self.maybe(place),
            },
            1 | 2 => {
                let count = self.rng.usize(2..=3);
                let join = self.join(within, count);
                let branch = within.joined(join);
                // One of them may end the run, whatever the others have done by then.
                let ends = within.may_end && matches!(join, Join::All);
                let first = Place {
                    may_end: ends,
                    ..branch
                };
                let rest = Place {
                    may_undo: branch.may_undo && !ends,
                    ..branch
                };
                let place = |index| if index == 0 { first } else { rest };
                let mut branches: Vec<_> = (0..count).map(|index| self.seq(place(index))).collect();
                self.rng.shuffle(&mut branches);
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
                each: self.seq(within.beside().repeated()),
            },
            5 => {
                let rounds = self.rng.u32(1..=3);
                let short = within.may_fail && self.rng.u32(0..4) == 0;
                Kind::Loop {
                    until: self.rng.bool(),
                    rounds,
                    rounds_max: if short { 1 } else { rounds + 1 },
                    body: self.seq(place.repeated()),
                }
            }
            6 | 11 => Kind::Map(self.map(number, within)),
            12 => Kind::Each {
                count: self.count(),
                parallelism: self.rng.bool().then(|| self.rng.u32(1..=2)),
                each: self.seq(within.beside().repeated()),
            },
            15 => Kind::Meet(self.meet(place.token())),
            16 => Kind::Cycle {
                rounds: self.rng.u32(1..=3),
                body: self.seq(place.token().repeated()),
                after: self.seq(place.token()),
            },
            17 => Kind::Merge {
                arms: self.arms(place.token()),
                after: self.seq(place.token().repeated()),
            },
            18 => self.withdraw(place),
            7 | 13 | 14 => Kind::Scope(self.seq(within)),
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
                let may_fail = place.depth == 0 && !self.ends_early && self.rng.u32(0..3) == 0;
                let may_undo = place.may_undo && !self.ends_early;
                let detached = Place {
                    may_fail,
                    may_undo,
                    ..place
                };
                Kind::Detach(self.seq(detached.beside()))
            }
            _ => Kind::Select {
                sent: self.event_of_select(number),
                event: self.maybe(place),
                timer: self.maybe(place),
            },
        }
    }

    fn arms(&mut self, token: Place) -> Vec<Seq> {
        let count = self.rng.usize(2..=3);
        (0..count).map(|_| self.seq(token)).collect()
    }

    fn meet(&mut self, token: Place) -> Meet {
        let waits = match self.rng.u32(0..4) {
            0 => MeetWaits::ActiveLocal,
            1 => MeetWaits::ActiveGlobal,
            _ => MeetWaits::All,
        };
        let mut when = || {
            let is_taken = matches!(waits, MeetWaits::All) || self.rng.u32(0..3) == 0;
            (!is_taken).then(|| self.rng.u32(2..=3))
        };
        let when = [when(), when(), when()];
        let arms = when.into_iter().zip(self.arms(token));
        Meet {
            arms: arms.collect(),
            waits,
            after: self.seq(token),
        }
    }

    fn withdraw(&mut self, place: Place) -> Kind {
        // Where there may be several of one name it is not sure how far they have come.
        if !place.is_once {
            return Kind::Withdraw {
                held: Seq::new(),
                by: Withdrawer::Outside,
            };
        }
        let held = Place {
            depth: DEPTH_MAX,
            ..place.token()
        };
        Kind::Withdraw {
            held: self.seq(held),
            by: if self.rng.bool() {
                Withdrawer::Branch
            } else {
                Withdrawer::Outside
            },
        }
    }

    fn wait(&mut self, number: u32, place: Place) -> Wait {
        let comes = match self.rng.u32(0..6) {
            0 if place.may_fail => Comes::Nothing,
            1 if place.may_fail => Comes::Fault,
            _ => Comes::Event,
        };
        let wait = Wait {
            comes,
            correlated: self.rng.bool(),
            transient: self.rng.u32(0..4) == 0,
            has_timeout: comes == Comes::Nothing || self.rng.bool(),
        };
        if comes != Comes::Nothing {
            self.waits.insert(number, wait);
        }
        wait
    }

    fn event_of_select(&mut self, number: u32) -> bool {
        let sent = self.rng.bool();
        if sent {
            self.waits.insert(number, Wait::plain());
        }
        sent
    }

    fn count(&mut self) -> Count {
        if self.rng.bool() {
            Count::Fixed(self.rng.u32(0..=4))
        } else {
            Count::Rest(self.rng.u32(2..=4))
        }
    }

    fn map(&mut self, number: u32, place: Place) -> Map {
        let count = self.count();
        let open = (self.rng.u32(0..3) == 0).then(|| Open {
            items: (0..self.rng.u32(0..=3))
                .map(|_| self.rng.i64(0..100))
                .collect(),
            is_once: place.is_once,
            completes: self.rng.u32(0..4) == 0,
        });
        let completes = open.as_ref().is_some_and(|open| open.completes);
        let until =
            (!completes && self.rng.u32(0..6) == 0).then(|| (self.rng.u32(1..=3), self.rng.bool()));
        let sure = match count {
            Count::Fixed(count) => count as usize,
            Count::Rest(_) => 0,
        };
        let added = open.as_ref().map_or(0, |open| open.items.len());
        // What is ended early does not fail with what would have come.
        let ends_early = completes || until.is_some();
        let join = if ends_early {
            Join::All
        } else {
            self.join(place, sure + added)
        };
        let each = place.joined(join).repeated();
        let each = Place {
            may_fail: each.may_fail && !ends_early,
            may_undo: each.may_undo && !ends_early,
            ..each
        };
        self.open.extend(open.clone().map(|open| (number, open)));
        Map {
            count,
            by_index: self.rng.bool(),
            parallelism: self.rng.u32(1..=3),
            each: self.seq(each),
            join,
            reduces: self.rng.bool(),
            until,
            open,
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
