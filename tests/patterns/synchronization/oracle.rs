//! A brute-force oracle of what can still come to a meet: all that tokens could do, played out with no
//! thought for speed.
//!
//! Shares no code with the engine's look ahead. The rule is the same: conditions may turn out in any
//! way, a step may fail, and another active meet may fire whenever something waits at it.

use std::collections::BTreeSet;

use windlass::{Need, Rest};

/// Where a token can stand.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Step(Option<usize>),
    Choice(Vec<usize>),
    /// Ways with whether they are conditional, and where it leads when none is taken.
    Fork(Vec<(usize, bool)>, usize),
    Input(usize, usize),
    Merge(usize),
}

/// A meet: how many inputs, its rule, and what comes after.
#[derive(Clone, Debug)]
pub(super) struct Meet {
    pub(super) inputs: usize,
    pub(super) need: Need,
    pub(super) rest: Rest,
    pub(super) next: usize,
}

impl Meet {
    pub(super) fn is_active(&self) -> bool {
        matches!(self.need, Need::ActiveLocal | Need::ActiveGlobal)
    }
}

#[derive(Debug)]
pub(super) struct Net {
    pub(super) places: Vec<Place>,
    pub(super) meets: Vec<Meet>,
}

/// What has come to a meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waits {
    /// The inputs of tokens that wait, in order.
    pub(super) queue: Vec<usize>,
    blocked: Vec<usize>,
    used: BTreeSet<usize>,
    fired: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    /// Where tokens are on their way, sorted.
    pub(super) tokens: Vec<usize>,
    pub(super) meets: Vec<Waits>,
}

/// States beyond which a graph is not judged: its tokens may become more and more.
const STATES_MAX: usize = 300;

impl Net {
    /// Where any way leads.
    pub(super) fn ways(&self) -> BTreeSet<usize> {
        let places = self.places.iter().flat_map(|place| match place {
            Place::Step(to) => to.iter().copied().collect(),
            Place::Merge(to) => vec![*to],
            Place::Choice(ways) => ways.clone(),
            Place::Fork(ways, otherwise) => {
                let ways = ways.iter().map(|(to, _)| *to);
                ways.chain([*otherwise]).collect()
            }
            Place::Input(..) => Vec::new(),
        });
        places
            .chain(self.meets.iter().map(|meet| meet.next))
            .collect()
    }

    /// Lets a token come to a meet; says how many go on.
    fn arrive(&self, waits: &mut Waits, meet: usize, input: usize) -> usize {
        let meet = &self.meets[meet];
        let counts = meet.inputs == 1 && matches!(meet.need, Need::AtLeast(_));
        if meet.is_active() {
            waits.queue.push(input);
            return 0;
        }
        if counts || meet.rest == Rest::Queue {
            waits.queue.push(input);
            let enough = match meet.need {
                Need::AtLeast(needed) if counts => waits.queue.len() == needed as usize,
                _ => (0..meet.inputs).all(|input| waits.queue.contains(&input)),
            };
            if enough && counts {
                waits.queue.clear();
            } else if enough {
                take_one_of_each(&mut waits.queue);
            }
            return usize::from(enough);
        }
        let needed = match meet.need {
            Need::First => 1,
            Need::AtLeast(needed) => needed as usize,
            _ => meet.inputs,
        };
        let (mut coming, mut firings) = (vec![input], 0);
        while !coming.is_empty() {
            let input = coming.remove(0);
            if !waits.used.insert(input) {
                if meet.rest == Rest::Block {
                    waits.blocked.push(input);
                }
                continue;
            }
            if !waits.fired {
                waits.queue.push(input);
                if waits.used.len() == needed {
                    waits.queue.clear();
                    waits.fired = true;
                    firings += 1;
                }
            }
            if waits.used.len() == meet.inputs {
                (waits.fired, waits.used) = (false, BTreeSet::new());
                coming.append(&mut waits.blocked);
            }
        }
        firings
    }

    /// All that a token at `place` may do, as the states after it; which come to `input` of a meet is
    /// said by the caller.
    pub(super) fn moves(&self, state: &State, at: usize) -> Vec<State> {
        let mut without = state.clone();
        let place = without.tokens.remove(at);
        let go = |to: &[usize]| {
            let mut after = without.clone();
            after.tokens.extend(to);
            after.tokens.sort_unstable();
            after
        };
        match &self.places[place] {
            Place::Step(next) => vec![go(next.as_slice()), go(&[])],
            Place::Merge(next) => vec![go(&[*next])],
            Place::Choice(ways) => ways.iter().map(|way| go(&[*way])).collect(),
            Place::Fork(ways, otherwise) => (0..1_usize << ways.len())
                .filter_map(|chosen| {
                    let taken = |nth: usize| chosen & (1 << nth) != 0;
                    // What has no condition is always taken.
                    let fits = (0..ways.len()).all(|nth| ways[nth].1 || taken(nth));
                    let to: Vec<_> = (0..ways.len())
                        .filter(|nth| taken(*nth))
                        .map(|nth| ways[nth].0)
                        .collect();
                    fits.then(|| {
                        if to.is_empty() {
                            go(&[*otherwise])
                        } else {
                            go(&to)
                        }
                    })
                })
                .collect(),
            Place::Input(meet, input) => {
                let firings = self.arrive(&mut without.meets[*meet], *meet, *input);
                let mut after = without;
                after.tokens.extend(vec![self.meets[*meet].next; firings]);
                after.tokens.sort_unstable();
                vec![after]
            }
        }
    }

    /// Whether a token can come to an input of `meet` at which none waits; `None`: too much to say.
    pub(super) fn can_come(&self, state: &State, meet: usize) -> Option<bool> {
        let present = &state.meets[meet].queue;
        let mut seen = BTreeSet::from([state.clone()]);
        let mut open = vec![state.clone()];
        while let Some(state) = open.pop() {
            for at in 0..state.tokens.len() {
                if let Place::Input(of, input) = self.places[state.tokens[at]]
                    && of == meet
                    && !present.contains(&input)
                {
                    return Some(true);
                }
            }
            let mut after: Vec<_> = (0..state.tokens.len())
                .flat_map(|at| self.moves(&state, at))
                .collect();
            for (other, rule) in self.meets.iter().enumerate() {
                if other != meet && rule.is_active() && !state.meets[other].queue.is_empty() {
                    after.push(self.fire(&state, other));
                }
            }
            for mut state in after {
                // What comes where one waits already changes nothing.
                state.meets[meet].queue.clone_from(present);
                if seen.insert(state.clone()) {
                    open.push(state);
                }
            }
            if seen.len() > STATES_MAX {
                return None;
            }
        }
        Some(false)
    }

    /// An active meet lets through what waits, one of each input.
    pub(super) fn fire(&self, state: &State, meet: usize) -> State {
        let mut after = state.clone();
        take_one_of_each(&mut after.meets[meet].queue);
        after.tokens.push(self.meets[meet].next);
        after.tokens.sort_unstable();
        after
    }
}

fn take_one_of_each(queue: &mut Vec<usize>) {
    let mut taken = BTreeSet::new();
    queue.retain(|input| !taken.insert(*input));
}
