//! Random graphs, on which the engine's look ahead is asked the same as the oracle.

use windlass::{Definition, Draft, ForkArm, Need, NodeId, Rest, StepSpec};
use windlass_workflow_model::{BranchId, MeetMove, MeetRule, Meeting, Situation, can_come};

use super::oracle::{Meet, Net, Place, State, Waits};

/// Numbers that look random, the same for one seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// A graph as the oracle knows it and as the engine does, with the names of places and meets there.
struct Both {
    net: Net,
    definition: Definition,
    places: Vec<NodeId>,
    meets: Vec<NodeId>,
}

/// A random graph, or `None` if it is not a valid one.
fn random(dice: &mut Dice) -> Option<Both> {
    let count = 6 + dice.below(5);
    // What each node is, in an order that ways mostly follow.
    let kinds: Vec<_> = (0..count)
        .map(|nth| match if nth == 0 { 9 } else { dice.below(10) } {
            0..=2 => 's',
            3 => 'c',
            4..=7 => 'm',
            _ => 'f',
        })
        .collect();
    let mut net = Net {
        places: Vec::new(),
        meets: Vec::new(),
    };
    // The places at which a token comes to each node; for a meet one of its inputs.
    let mut entries: Vec<Vec<usize>> = Vec::new();
    let place = |net: &mut Net, of: Place| {
        net.places.push(of);
        net.places.len() - 1
    };
    for kind in &kinds {
        if *kind == 'm' {
            let inputs = if dice.percent(20) {
                1
            } else {
                2 + dice.below(2)
            };
            let (need, rest) = match dice.below(9) {
                _ if inputs == 1 => (Need::AtLeast(2), Rest::Queue),
                0 => (Need::All, Rest::Queue),
                1 => (Need::First, Rest::Absorb),
                2 => (Need::First, Rest::Block),
                3 => (Need::AtLeast(2), Rest::Block),
                4 | 5 => (Need::ActiveLocal, Rest::Queue),
                _ => (Need::ActiveGlobal, Rest::Queue),
            };
            let meet = net.meets.len();
            net.meets.push(Meet {
                inputs,
                need,
                rest,
                next: 0,
            });
            let all = (0..inputs).map(|input| place(&mut net, Place::Input(meet, input)));
            entries.push(all.collect());
        } else {
            // A merge before each node, so that tokens of one fork may come to it.
            let merge = place(&mut net, Place::Merge(0));
            place(&mut net, Place::Step(None));
            entries.push(vec![merge]);
        }
    }
    let mut meet = 0;
    for (nth, kind) in kinds.iter().enumerate() {
        let mut way = || {
            let back = nth > 0 && dice.percent(12);
            let to = match nth + 1 {
                after if back || after == count => dice.below(nth.max(1)),
                after => after + dice.below((count - after).min(4)),
            };
            let entries = &entries[to];
            entries[dice.below(entries.len())]
        };
        let of = match kind {
            'm' => {
                net.meets[meet].next = way();
                meet += 1;
                continue;
            }
            's' => Place::Step(Some(way())),
            'c' => Place::Choice(vec![way(), way()]),
            _ => {
                let ways = [way(), way(), way()];
                let otherwise = way();
                let count = 2 + dice.below(2);
                let ways = ways[..count].iter().map(|way| (*way, dice.percent(40)));
                Place::Fork(ways.collect(), otherwise)
            }
        };
        let of = match of {
            Place::Step(_) if nth + 1 == count || dice.percent(15) => Place::Step(None),
            other => other,
        };
        let merge = entries[nth][0];
        net.places[merge] = Place::Merge(merge + 1);
        net.places[merge + 1] = of;
    }
    let ways = net.ways();
    if (1..net.places.len()).any(|place| !ways.contains(&place)) {
        return None;
    }
    draft(net)
}

/// The same graph for the engine.
fn draft(net: Net) -> Option<Both> {
    let mut draft = Draft::new("random", "1");
    let (scope, _) = draft.scope("scope", None);
    let names = ["0", "1", "2"];
    let mut meets = Vec::new();
    let mut inputs = Vec::new();
    for (nth, meet) in net.meets.iter().enumerate() {
        let names = &names[..meet.inputs];
        let (meet, of) = draft.meet(format!("m{nth}"), names, meet.need, meet.rest);
        meets.push(meet);
        inputs.push(of);
    }
    let places: Vec<_> = net
        .places
        .iter()
        .enumerate()
        .map(|(nth, place)| match place {
            Place::Step(_) => draft.step(format!("s{nth}"), StepSpec::new("h")),
            Place::Choice(_) => draft.choice(format!("c{nth}")),
            Place::Fork(..) => draft.fork(format!("f{nth}")),
            Place::Merge(_) => draft.merge_point(format!("p{nth}"), true),
            Place::Input(meet, input) => inputs[*meet][*input],
        })
        .collect();
    for (node, place) in places.iter().zip(&net.places) {
        match place {
            Place::Step(Some(to)) | Place::Merge(to) => draft.connect(*node, places[*to]),
            Place::Step(None) | Place::Input(..) => {}
            Place::Choice(ways) => {
                draft.arm(*node, "way", "when", Some(places[ways[0]]));
                draft.otherwise(*node, places[ways[1]]);
            }
            Place::Fork(ways, otherwise) => {
                for (nth, (to, conditional)) in ways.iter().enumerate() {
                    let arm = ForkArm {
                        name: format!("way {nth}"),
                        when: conditional.then(|| "when".to_owned()),
                        copies: 1,
                        to: places[*to],
                    };
                    draft.fork_arm(*node, arm);
                }
                if ways.iter().all(|(_, conditional)| *conditional) {
                    draft.otherwise(*node, places[*otherwise]);
                }
            }
        }
    }
    for (node, meet) in meets.iter().zip(&net.meets) {
        draft.connect(*node, places[meet.next]);
    }
    draft.body(scope, places[0]);
    draft.start_at(scope);
    let definition = draft.finish().ok()?;
    Some(Both {
        net,
        definition,
        places,
        meets,
    })
}

/// A run of a random graph, as both know it.
struct Run<'a> {
    of: &'a Both,
    state: State,
    meetings: Vec<Meeting>,
    last_token: i64,
}

impl Run<'_> {
    fn situation(&self) -> Situation {
        let mut situation = Situation::default();
        for token in &self.state.tokens {
            *situation.moving.entry(self.of.places[*token]).or_default() += 1;
        }
        for (node, meeting) in self.of.meets.iter().zip(&self.meetings) {
            if *meeting != Meeting::default() {
                situation.meets.insert(*node, meeting.clone());
            }
        }
        situation
    }

    /// Asks both of every active meet at which something waits, and lets it fire as the engine would.
    /// How often they agreed, or `None` if the oracle cannot say.
    fn judge(&mut self, seed: u64) -> Option<[usize; 2]> {
        let mut answers = [0; 2];
        for (nth, meet) in self.of.net.meets.iter().enumerate() {
            if !meet.is_active() || self.state.meets[nth].queue.is_empty() {
                continue;
            }
            let expected = self.of.net.can_come(&self.state, nth)?;
            let (node, situation) = (self.of.meets[nth], self.situation());
            let judged = can_come(&self.of.definition, &situation, node);
            assert_eq!(
                judged, expected,
                "seed {seed}: {node:?} in {situation:?} of {:#?}",
                self.of.definition
            );
            answers[usize::from(expected)] += 1;
            if !expected {
                self.state = self.of.net.fire(&self.state, nth);
                self.meetings[nth].release().expect("something waits there");
            }
        }
        Some(answers)
    }

    /// A token does something; `false`: none is on its way.
    fn go(&mut self, dice: &mut Dice) -> bool {
        if self.state.tokens.is_empty() || self.state.tokens.len() > 5 {
            return false;
        }
        let at = dice.below(self.state.tokens.len());
        if let Place::Input(meet, input) = self.of.net.places[self.state.tokens[at]] {
            let rule = MeetRule::of(&self.of.definition, self.of.meets[meet]).unwrap();
            self.last_token += 1;
            let token = BranchId(self.last_token);
            let input = u32::try_from(input).unwrap();
            let moves = self.meetings[meet].arrive(&rule, input, token);
            let fires = |done: &&MeetMove| matches!(done, MeetMove::Fire(..));
            let (firings, before) = (moves.iter().filter(fires).count(), self.state.tokens.len());
            self.state = self.of.net.moves(&self.state, at).remove(0);
            assert_eq!(self.state.tokens.len(), before - 1 + firings, "one rule");
            return true;
        }
        let mut after = self.of.net.moves(&self.state, at);
        self.state = after.swap_remove(dice.below(after.len()));
        true
    }
}

/// Plays so many random graphs, and asks the oracle and the engine at every turn.
pub(super) fn agree_with_the_oracle(graphs: usize) {
    let mut answers = [0; 2];
    let (mut agreed, mut seed) = (0, 0_u64);
    while agreed < graphs {
        seed += 1;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(2);
        let Some(both) = random(&mut dice) else {
            continue;
        };
        let of_graph = play(&both, &mut dice, seed);
        answers[0] += of_graph[0];
        answers[1] += of_graph[1];
        agreed += usize::from(of_graph != [0; 2]);
    }
    println!(
        "{agreed} graphs of {seed} seeds: none can come {}, one can {}",
        answers[0], answers[1]
    );
    assert!(
        answers.iter().all(|count| *count > graphs / 4),
        "both answers: {answers:?}"
    );
}

/// One run of a graph, as far as the oracle can tell; how often it said no and yes.
fn play(both: &Both, dice: &mut Dice, seed: u64) -> [usize; 2] {
    let mut run = Run {
        of: both,
        state: State {
            tokens: vec![0],
            meets: vec![Waits::default(); both.net.meets.len()],
        },
        meetings: vec![Meeting::default(); both.net.meets.len()],
        last_token: 0,
    };
    let mut answers = [0; 2];
    for _ in 0..25 {
        let Some(more) = run.judge(seed) else {
            break;
        };
        answers = [answers[0] + more[0], answers[1] + more[1]];
        if !run.go(dice) {
            break;
        }
    }
    answers
}
