//! What a tree means: one construct after the other, and the branches of a block one after the other.

use std::collections::BTreeMap;
use std::mem::{replace, take};

use crate::shape::{Called, Comes, Data, Join, Kind, Map, Node, Open, Seq, Shape, reply};
use crate::undo::{Done, Group};

/// How often each construct that is a step has succeeded, by number.
pub(crate) type Steps = BTreeMap<u32, usize>;

/// Why a way ended early: the sorted codes, or `None` where they depend on who is faster.
pub(crate) type Codes = Option<Vec<String>>;

/// Why a way ends before its end.
enum Stop {
    Fails(Codes),
    /// It ends the run.
    Ends(Data),
}

/// What must come of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) end: Result<Data, Codes>,
    /// `None` where they depend on who is faster.
    pub(crate) steps: Option<Steps>,
    /// What is undone, each of them as one.
    pub(crate) undone: Vec<Group>,
    /// What the runs begin with that live on by themselves; certain if the steps are.
    pub(crate) asides: Vec<Data>,
}

/// The code of an ordinary failure.
pub(crate) const FAIL: &str = "fail";

pub(crate) fn interpret(shape: &Shape) -> Expected {
    let mut interpreter = Interpreter::default();
    let mut data = shape.input.clone();
    let end = interpreter.seq(&shape.body, &mut data);
    let mut failed = interpreter.failed_aside;
    match end {
        Ok(()) => {}
        Err(Stop::Fails(codes)) => failed.push(codes),
        Err(Stop::Ends(last)) => {
            data = last;
            // The others may have come as far as they like.
            interpreter.is_racy |= interpreter.detaches;
        }
    }
    let end = if failed.is_empty() {
        Ok(data)
    } else {
        let mut done = vec![interpreter.done];
        done.append(&mut interpreter.done_aside);
        interpreter.undone.push(vec![Done::Together(done)]);
        Err(together(failed))
    };
    let steps = interpreter.steps;
    interpreter.undone.append(&mut interpreter.undone_below);
    Expected {
        end,
        steps: (!interpreter.is_racy).then_some(steps),
        undone: interpreter.undone,
        asides: interpreter.asides,
    }
}

#[derive(Default)]
struct Interpreter {
    steps: Steps,
    is_racy: bool,
    /// Whether there was a detached branch.
    detaches: bool,
    /// Failures of detached branches, which fail the run at its end.
    failed_aside: Vec<Codes>,
    /// What the innermost scope and branch has done so far.
    done: Vec<Done>,
    /// What detached branches have done.
    done_aside: Vec<Vec<Done>>,
    undone: Vec<Group>,
    /// What called runs have undone.
    undone_below: Vec<Group>,
    /// What runs have begun with that live on by themselves.
    asides: Vec<Data>,
}

fn failure(code: &str) -> Result<(), Stop> {
    Err(Stop::Fails(Some(vec![code.to_owned()])))
}

/// All failures in one.
fn together(failures: Vec<Codes>) -> Codes {
    let failures: Option<Vec<_>> = failures.into_iter().collect();
    let mut codes: Vec<_> = failures?.into_iter().flatten().collect();
    codes.sort_unstable();
    Some(codes)
}

impl Interpreter {
    fn seq(&mut self, seq: &Seq, data: &mut Data) -> Result<(), Stop> {
        seq.iter().try_for_each(|node| self.node(node, data))
    }

    fn maybe(&mut self, seq: Option<&Seq>, data: &mut Data) -> Result<(), Stop> {
        seq.map_or(Ok(()), |seq| self.seq(seq, data))
    }

    fn node(&mut self, node: &Node, data: &mut Data) -> Result<(), Stop> {
        let end = self.kind(node, data);
        match &node.recover {
            // The path of a loop is only for its limit, not for what fails in a round.
            Some(path)
                if matches!(end, Err(Stop::Fails(_)))
                    && !matches!(node.kind, Kind::Loop { .. }) =>
            {
                data.pass(node.number);
                self.seq(path, data)
            }
            _ => end,
        }
    }

    /// Leaves the data of before when a block fails.
    fn kind(&mut self, node: &Node, data: &mut Data) -> Result<(), Stop> {
        let number = node.number;
        match &node.kind {
            Kind::Step | Kind::Gated | Kind::Careful { .. } | Kind::Flaky(_) => {
                *self.steps.entry(number).or_default() += 1;
                data.pass(number);
                if node.undo.is_some() {
                    self.done.push(Done::Step(data.clone()));
                }
                Ok(())
            }
            Kind::Fail => failure(FAIL),
            Kind::Overdue => failure("scope-timeout"),
            Kind::Late | Kind::Endless => failure("run-deadline"),
            Kind::Passed => failure("milestone-passed"),
            Kind::Terminate { divisor } => {
                if data.divides(*divisor) {
                    return Err(Stop::Ends(data.clone()));
                }
                Ok(())
            }
            Kind::Aside => {
                self.asides.push(data.clone());
                Ok(())
            }
            Kind::Change { fails_on } => {
                if fails_on.is_some_and(|divisor| data.divides(divisor)) {
                    return failure(FAIL);
                }
                data.pass(number);
                Ok(())
            }
            Kind::Sleep { .. } => Ok(()),
            Kind::Wait(wait) => match wait.comes {
                Comes::Event => {
                    data.take(number, reply(number, wait.correlation(data)));
                    Ok(())
                }
                Comes::Fault => failure("fault-reply"),
                Comes::Nothing => failure("wait-timeout"),
            },
            Kind::Choice {
                divisor,
                then,
                otherwise,
            } => {
                if data.divides(*divisor) {
                    self.seq(then, data)
                } else {
                    self.maybe(otherwise.as_ref(), data)
                }
            }
            Kind::Split { branches, join, .. } => {
                let branches: Vec<_> = branches.iter().collect();
                self.block(number, *join, &branches, data)
            }
            Kind::Multi {
                arms,
                otherwise,
                join,
            } => {
                let taken = arms.iter().filter(|(divisor, _)| data.divides(*divisor));
                let mut taken: Vec<_> = taken.map(|(_, seq)| seq).collect();
                if taken.is_empty() {
                    taken.push(otherwise);
                }
                self.block(number, *join, &taken, data)
            }
            Kind::Copies { count, each } => {
                self.block(number, Join::All, &vec![each; *count as usize], data)
            }
            Kind::Each { count, each, .. } => {
                let items = 0..count.of(data);
                let items = items.map(|index| Way::new(each, data.clone().item(index), data));
                let block = Block::new(number, Join::All, items.collect());
                self.join(&block, data)
            }
            Kind::Loop {
                until,
                rounds,
                rounds_max,
                body,
            } => {
                for round in 0.. {
                    let asks = !*until || round > 0;
                    if asks && !data.wants_round(number, *rounds) {
                        break;
                    }
                    if round == *rounds_max {
                        let Some(path) = &node.recover else {
                            return failure("loop-limit");
                        };
                        data.pass(number);
                        return self.seq(path, data);
                    }
                    data.pass(number);
                    self.seq(body, data)?;
                }
                Ok(())
            }
            Kind::Map(map) => self.map(number, map, data),
            Kind::Scope(body) | Kind::Critical { body, .. } => {
                let (end, mut done) = self.apart(body, data);
                match end {
                    Ok(inner) => {
                        *data = inner;
                        self.done.append(&mut done);
                        Ok(())
                    }
                    Err(stop) => {
                        // Of a run that has ended well nothing is undone.
                        if matches!(stop, Stop::Fails(_)) {
                            self.undone.push(done);
                        }
                        Err(stop)
                    }
                }
            }
            Kind::Detach(body) => {
                let (end, done) = self.apart(body, data);
                self.detaches = true;
                if let Err(Stop::Fails(codes)) = end {
                    self.failed_aside.push(codes);
                }
                self.done_aside.push(done);
                Ok(())
            }
            Kind::Call { safe, noted } => {
                let (n, safe, noted) = (data.n, *safe, *noted);
                let Some(n) = self.call(Called { n, safe, noted }) else {
                    return failure(FAIL);
                };
                data.n = n;
                data.pass(number);
                Ok(())
            }
            Kind::Meet(meet) => {
                let (mut came, mut all_done) = (Vec::new(), Vec::new());
                for arm in meet.taken(data) {
                    let (end, done) = self.apart(arm, data);
                    came.push(end?);
                    all_done.push(done);
                }
                self.done.push(Done::Together(all_done));
                if !came.is_empty() {
                    *data = Data::met(number, came);
                }
                self.seq(&meet.after, data)
            }
            Kind::Merge { arms, after } => {
                let (mut came, mut all_done) = (Vec::new(), Vec::new());
                for arm in arms {
                    let (end, mut done) = self.apart(arm, data);
                    let (end, done_after) = self.apart(after, &end?);
                    came.push(end?);
                    done.extend(done_after);
                    all_done.push(done);
                }
                self.done.push(Done::Together(all_done));
                *data = Data::merged(number, came);
                Ok(())
            }
            Kind::Withdraw { held, .. } => {
                let (end, done) = self.apart(held, data);
                end?;
                self.undone.push(done);
                *self.steps.entry(number).or_default() += 1;
                let before = data.trail.len();
                let mut other = data.clone();
                other.pass(number);
                data.gather(before, other);
                data.pass(number);
                Ok(())
            }
            Kind::Cycle {
                rounds,
                body,
                after,
            } => loop {
                data.pass(number);
                self.seq(body, data)?;
                if !data.wants_round(number, *rounds) {
                    return self.seq(after, data);
                }
            },
            Kind::Select { sent, event, timer } => {
                if *sent {
                    data.take(number, reply(number, 0));
                }
                let taken = if *sent { event } else { timer };
                self.maybe(taken.as_ref(), data)
            }
        }
    }

    /// A run of the second workflow: what it gives, or nothing if it fails.
    fn call(&mut self, called: Called) -> Option<i64> {
        let given = if called.fails() {
            None
        } else if called.calls() {
            self.call(called.below())
        } else {
            Some(called.n)
        };
        if given.is_none() && called.noted {
            self.undone_below.push(vec![Done::Step(called.trace())]);
        }
        given.map(|n| Called { n, ..called }.doubled())
    }

    /// A way with a copy of the data: how it ends, and what it has done by then.
    fn apart(&mut self, seq: &Seq, data: &Data) -> (Result<Data, Stop>, Vec<Done>) {
        let around = take(&mut self.done);
        let mut own = data.clone();
        let end = self.seq(seq, &mut own).map(|()| own);
        (end, replace(&mut self.done, around))
    }

    fn block(
        &mut self,
        number: u32,
        join: Join,
        branches: &[&Seq],
        data: &mut Data,
    ) -> Result<(), Stop> {
        let ways = branches.iter();
        let ways = ways.map(|branch| Way::new(branch, data.clone(), data));
        let block = Block::new(number, join, ways.collect());
        self.join(&block, data)
    }

    fn map(&mut self, number: u32, map: &Map, data: &mut Data) -> Result<(), Stop> {
        let item = |index| {
            if map.by_index {
                data.clone().item(index)
            } else {
                data.clone()
            }
        };
        let begun = (0..map.count.of(data)).map(|index| Way::new(&map.each, item(index), data));
        let added = map.open.iter().flat_map(Open::data).map(|data| Way {
            seq: &map.each,
            data,
            before: 0,
        });
        let block = Block {
            number,
            join: map.join,
            gathers: map.gathers(),
            reduces: map.reduces,
            ways: begun.chain(added).collect(),
        };
        self.join(&block, data)
    }

    fn join(&mut self, block: &Block<'_>, data: &mut Data) -> Result<(), Stop> {
        let join = block.join;
        let (mut ended, mut failed, mut all_done) = (Vec::new(), Vec::new(), Vec::new());
        let mut ends = None;
        for way in &block.ways {
            let (end, done) = self.apart(way.seq, &way.data);
            match end {
                Ok(own) => ended.push((way.before, own)),
                Err(Stop::Fails(codes)) => failed.push(codes),
                Err(stop) => ends = Some(stop),
            }
            all_done.push(done);
        }
        if let Some(stop) = ends {
            self.is_racy = true;
            return Err(stop);
        }
        self.done.push(Done::Together(all_done));
        // Whoever is not waited for may be withdrawn before its steps.
        let gives_up = match join {
            Join::All | Join::First { .. } | Join::AtLeast { .. } => false,
            Join::Tolerate(failures) => failed.len() > failures as usize,
            Join::FailFast => !failed.is_empty(),
        };
        self.is_racy |= gives_up || !block.gathers;
        let fails = match join.needed() {
            Some(needed) => ended.len() < needed as usize,
            None => gives_up || (!failed.is_empty() && matches!(join, Join::All)),
        };
        if fails {
            let is_exact = !gives_up || block.ways.len() == 1;
            return Err(Stop::Fails(together(failed).filter(|_| is_exact)));
        }
        for (before, own) in ended.into_iter().filter(|_| block.gathers) {
            if block.reduces {
                data.reduce(block.number, &own);
            } else {
                data.gather(before, own);
            }
        }
        if !block.reduces {
            data.pass(block.number);
        }
        Ok(())
    }
}

/// A branch or instance.
struct Way<'a> {
    seq: &'a Seq,
    /// What it begins with.
    data: Data,
    /// How much of the trail is not its own.
    before: usize,
}

impl<'a> Way<'a> {
    fn new(seq: &'a Seq, data: Data, split: &Data) -> Self {
        let before = split.trail.len();
        Self { seq, data, before }
    }
}

/// What splits and joins again.
struct Block<'a> {
    number: u32,
    join: Join,
    /// Whether what comes to the join counts.
    gathers: bool,
    /// See [`Map::reduces`].
    reduces: bool,
    ways: Vec<Way<'a>>,
}

impl<'a> Block<'a> {
    fn new(number: u32, join: Join, ways: Vec<Way<'a>>) -> Self {
        Self {
            number,
            join,
            gathers: join.needed().is_none(),
            reduces: false,
            ways,
        }
    }
}
