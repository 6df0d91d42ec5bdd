//! A meet: where tokens of a scope come together, round after round.
//!
//! A pure state machine. The store keeps its state, feeds it with arrivals in the transaction in
//! which they happen, and does what it says. The rounds of discriminators and partial joins follow
//! Russell, ter Hofstede, van der Aalst, Mulyar 2006 (BPM-06-22): a join that has let one through is
//! as new only when every input has been used once.

use serde::{Deserialize, Serialize};

use crate::definition::{Definition, Need, NodeKind, Rest};
use crate::ids::{BranchId, NodeId};

/// How a meet decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeetRule {
    /// How many ways lead into it.
    pub inputs: u32,
    /// How many tokens it waits for.
    pub need: Need,
    /// What becomes of the others.
    pub rest: Rest,
}

/// A token at one of the inputs.
pub type Waiting = (u32, BranchId);

/// What has come to a meet and not left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Meeting {
    /// How often it has let a token through.
    pub firings: u32,
    /// Whether it has done so in this round.
    fired: bool,
    /// The inputs that were used in this round.
    used: Vec<u32>,
    /// Tokens that will be met, in the order in which they came.
    held: Vec<Waiting>,
    /// Tokens that wait for the next round.
    blocked: Vec<Waiting>,
}

/// What follows from an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetMove {
    /// These meet and one goes on: the firing's number, from 1, and the tokens by input.
    Fire(u32, Vec<Waiting>),
    /// This one ends without effect.
    Absorb(BranchId),
}

impl MeetRule {
    /// The rule of the meet `node`; `None` for any other kind.
    pub fn of(definition: &Definition, node: NodeId) -> Option<Self> {
        let NodeKind::Meet {
            inputs, need, rest, ..
        } = &definition.node(node).kind
        else {
            return None;
        };
        Some(Self {
            inputs: u32::try_from(inputs.len()).unwrap_or(u32::MAX),
            need: *need,
            rest: *rest,
        })
    }

    /// Whether it waits for what can still come, so that every move in its scope concerns it.
    pub fn is_active(&self) -> bool {
        matches!(self.need, Need::ActiveLocal | Need::ActiveGlobal)
    }

    /// Whether tokens queue for the next firing, instead of rounds in which each input counts once.
    fn queues(&self) -> bool {
        let counts_tokens = self.inputs == 1 && matches!(self.need, Need::AtLeast(_));
        self.is_active() || counts_tokens || self.rest == Rest::Queue
    }

    fn needed(&self) -> usize {
        let needed = match self.need {
            Need::All | Need::ActiveLocal | Need::ActiveGlobal => self.inputs,
            Need::First => 1,
            Need::AtLeast(needed) => needed.max(1),
        };
        needed as usize
    }
}

impl Meeting {
    /// A token comes by `input`.
    pub fn arrive(&mut self, rule: &MeetRule, input: u32, token: BranchId) -> Vec<MeetMove> {
        let mut moves = Vec::new();
        if rule.queues() {
            self.held.push((input, token));
            if !rule.is_active() {
                moves.extend(self.take_queued(rule));
            }
            return moves;
        }
        let mut coming = vec![(input, token)];
        while !coming.is_empty() {
            for (input, token) in std::mem::take(&mut coming) {
                coming.extend(self.take_in_round(rule, input, token, &mut moves));
            }
        }
        moves
    }

    fn take_queued(&mut self, rule: &MeetRule) -> Option<MeetMove> {
        let counts_tokens = rule.inputs == 1;
        let mut taken: Vec<Waiting> = Vec::new();
        for waiting in &self.held {
            let is_new = taken.iter().all(|(input, _)| *input != waiting.0);
            if (counts_tokens || is_new) && taken.len() < rule.needed() {
                taken.push(*waiting);
            }
        }
        (taken.len() >= rule.needed()).then(|| self.fire(taken))
    }

    fn fire(&mut self, mut taken: Vec<Waiting>) -> MeetMove {
        self.held.retain(|waiting| !taken.contains(waiting));
        self.firings += 1;
        // By input, and at one input in the order in which they came.
        taken.sort_by_key(|(input, _)| *input);
        MeetMove::Fire(self.firings, taken)
    }

    /// One arrival in a meet with rounds; gives back what waited for the round after.
    fn take_in_round(
        &mut self,
        rule: &MeetRule,
        input: u32,
        token: BranchId,
        moves: &mut Vec<MeetMove>,
    ) -> Vec<Waiting> {
        if self.used.contains(&input) {
            match rule.rest {
                Rest::Block => self.blocked.push((input, token)),
                Rest::Absorb | Rest::Cancel | Rest::Queue => moves.push(MeetMove::Absorb(token)),
            }
            return Vec::new();
        }
        self.used.push(input);
        if self.fired {
            moves.push(MeetMove::Absorb(token));
        } else {
            self.held.push((input, token));
            if self.used.len() >= rule.needed() {
                let all = self.held.clone();
                moves.push(self.fire(all));
                self.fired = true;
            }
        }
        if self.used.len() < rule.inputs as usize {
            return Vec::new();
        }
        self.used.clear();
        self.fired = false;
        std::mem::take(&mut self.blocked)
    }

    /// Nothing more can come to an active meet: what is there meets, one token of each input.
    /// `None` if nothing is there.
    pub fn release(&mut self) -> Option<MeetMove> {
        let mut taken: Vec<Waiting> = Vec::new();
        for waiting in &self.held {
            if taken.iter().all(|(input, _)| *input != waiting.0) {
                taken.push(*waiting);
            }
        }
        (!taken.is_empty()).then(|| self.fire(taken))
    }

    /// All that wait here, in the order in which they came.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> + '_ {
        self.held.iter().chain(&self.blocked).copied()
    }

    /// Whether a token waits at this input.
    pub fn has(&self, input: u32) -> bool {
        self.held.iter().any(|(held, _)| *held == input)
    }

    /// Makes equal what differs only in which tokens wait, in their order and in past firings: for
    /// looking ahead, where tokens are all alike.
    pub(crate) fn forget_names(&mut self) {
        self.firings = 0;
        self.used.sort_unstable();
        self.held.sort_unstable();
        self.blocked.sort_unstable();
        let all = self.held.iter_mut().chain(&mut self.blocked);
        for (number, (_, token)) in (1..).zip(all) {
            *token = BranchId(number);
        }
    }

    /// A token that waits here was withdrawn. In a round its input stays used.
    pub fn withdraw(&mut self, token: BranchId) {
        self.held.retain(|(_, held)| *held != token);
        self.blocked.retain(|(_, blocked)| *blocked != token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays arrivals, written `a1 b2` (input, token); firings print as `(a1 b2)`, absorbed as `-a1`.
    fn play(need: Need, rest: Rest, inputs: u32, arrivals: &str) -> String {
        let rule = MeetRule { inputs, need, rest };
        let mut meeting = Meeting::default();
        let mut input_of = std::collections::HashMap::new();
        let name = |input: u32| char::from(b'a' + u8::try_from(input).unwrap());
        let mut log = Vec::new();
        for arrival in arrivals.split_whitespace() {
            let input = u32::from(arrival.as_bytes()[0] - b'a');
            let token = BranchId(arrival[1..].parse().unwrap());
            input_of.insert(token, input);
            for done in meeting.arrive(&rule, input, token) {
                log.push(match done {
                    MeetMove::Absorb(token) => format!("-{}{token}", name(input_of[&token])),
                    MeetMove::Fire(_, tokens) => {
                        let texts = tokens
                            .iter()
                            .map(|(input, token)| format!("{}{token}", name(*input)));
                        format!("({})", texts.collect::<Vec<_>>().join(" "))
                    }
                });
            }
        }
        let left: Vec<_> = meeting
            .waiting()
            .map(|(input, token)| format!("{}{token}", name(input)))
            .collect();
        format!("{} | {}", log.join(" "), left.join(" "))
    }

    #[test]
    fn a_meet_lets_through_what_its_rule_says() {
        use Need::{All, AtLeast, First};
        use Rest::{Absorb, Block, Queue};
        for (need, rest, inputs, arrivals, expected) in [
            (All, Queue, 2, "a1 a2 b3", "(a1 b3) | a2"),
            (All, Queue, 2, "a1 a2 a3 b4 b5", "(a1 b4) (a2 b5) | a3"),
            (
                All,
                Queue,
                2,
                "a1 a2 a3 b4 b5 b6",
                "(a1 b4) (a2 b5) (a3 b6) | ",
            ),
            (First, Absorb, 3, "b1 a2 c3", "(b1) -a2 -c3 | "),
            (First, Absorb, 2, "a1 b2 b3 a4", "(a1) -b2 (b3) -a4 | "),
            (First, Block, 2, "a1 a2 b3", "(a1) -b3 (a2) | "),
            (First, Block, 2, "a1 a2 a3 b4", "(a1) -b4 (a2) | a3"),
            (AtLeast(2), Absorb, 3, "a1 c2 b3", "(a1 c2) -b3 | "),
            (AtLeast(2), Block, 3, "a1 a2 b3 c4", "(a1 b3) -c4 | a2"),
            (
                AtLeast(2),
                Block,
                3,
                "a1 a2 b3 b4 c5",
                "(a1 b3) -c5 (a2 b4) | ",
            ),
            (AtLeast(3), Queue, 1, "a1 a2 a3 a4", "(a1 a2 a3) | a4"),
            (AtLeast(3), Absorb, 1, "a1 a2 a3 a4", "(a1 a2 a3) | a4"),
        ] {
            let played = play(need, rest, inputs, arrivals);
            assert_eq!(
                played.trim_start(),
                expected.trim_start(),
                "{need:?} {rest:?} {arrivals}"
            );
        }
    }

    #[test]
    fn an_active_meet_waits_until_it_is_released() {
        let rule = MeetRule {
            inputs: 2,
            need: Need::ActiveGlobal,
            rest: Rest::Queue,
        };
        let mut meeting = Meeting::default();
        assert_eq!(meeting.arrive(&rule, 0, BranchId(1)), []);
        assert_eq!(meeting.arrive(&rule, 0, BranchId(2)), []);
        assert_eq!(
            meeting.release(),
            Some(MeetMove::Fire(1, vec![(0, BranchId(1))]))
        );
        assert_eq!(
            meeting.release(),
            Some(MeetMove::Fire(2, vec![(0, BranchId(2))]))
        );
        assert_eq!(meeting.release(), None);
    }
}
