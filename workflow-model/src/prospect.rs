//! What can still come to a meet: the check behind a join that waits for all that are active.
//!
//! Pure: looks at the graph and at where the tokens of a scope stand, and plays out what they could
//! do. Of conditions it knows nothing, so every arm may be taken; a meet lets through only what its
//! rule lets through. Semantics of the OR-join after Wynn, Edmond, van der Aalst, ter Hofstede 2005;
//! why both kinds of active joins are decided so: ADRs/0015-active-joins-look-ahead.md.

use std::collections::{BTreeMap, HashSet};

use crate::definition::{Definition, NodeKind};
use crate::ids::{BranchId, NodeId};
use crate::meet::{MeetMove, MeetRule, Meeting};
use crate::validate::edges;

/// Situations that one look plays out. Beyond it whatever a way leads to is taken to be possible,
/// so that the meet waits rather than fires too early.
const SITUATIONS_MAX: usize = 5_000;

/// The tokens of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Situation {
    /// Where tokens stand that are on their way: how many at each node.
    pub moving: BTreeMap<NodeId, u32>,
    /// The meets at which tokens wait.
    pub meets: BTreeMap<NodeId, Meeting>,
}

/// Whether a token can still come to an input of `meet` at which none waits.
pub fn can_come(definition: &Definition, situation: &Situation, meet: NodeId) -> bool {
    let Some(rule) = MeetRule::of(definition, meet) else {
        return false;
    };
    let waits = situation.meets.get(&meet).cloned().unwrap_or_default();
    let look = Look {
        definition,
        meet,
        missing: (0..rule.inputs)
            .filter(|input| !waits.has(*input))
            .collect(),
    };
    let moving = || situation.moving.keys().copied();
    if look.leads(moving(), false) {
        return true;
    }
    let waiting_elsewhere = situation
        .meets
        .iter()
        .filter(|(node, meeting)| **node != meet && meeting.waiting().next().is_some());
    let all = moving().chain(waiting_elsewhere.map(|(node, _)| *node));
    look.leads(all, true) && look.plays_out(situation)
}

/// The ways of a token from `node` inside its scope: what stands in between, such as a split with all
/// its branches, counts as one node.
fn ways(definition: &Definition, node: NodeId) -> Vec<NodeId> {
    let at = definition.node(node);
    let around = match &at.kind {
        NodeKind::Split { join, .. }
        | NodeKind::Scope { join, .. }
        | NodeKind::Map { join, .. } => Some((node, *join)),
        NodeKind::Join { split, .. } => Some((*split, node)),
        _ => None,
    };
    if let Some((split, join)) = around {
        let on_fault = definition.node(split).on_fault.as_ref();
        let next = definition.node(join).next;
        return next
            .into_iter()
            .chain(on_fault.map(|path| path.to))
            .collect();
    }
    if let NodeKind::Detach { body } = at.kind {
        let all = edges(definition, node).into_iter();
        return all.map(|(to, _)| to).filter(|to| *to != body).collect();
    }
    let mut ways: Vec<_> = edges(definition, node)
        .into_iter()
        .map(|(to, _)| to)
        .collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}

struct Look<'a> {
    definition: &'a Definition,
    meet: NodeId,
    missing: Vec<u32>,
}

impl Look<'_> {
    /// Whether a way leads from one of `nodes` to a missing input; through other meets only if said
    /// so.
    fn leads(&self, nodes: impl Iterator<Item = NodeId>, through_meets: bool) -> bool {
        let mut open: Vec<_> = nodes.collect();
        let mut seen: HashSet<_> = open.iter().copied().collect();
        while let Some(node) = open.pop() {
            let next = match &self.definition.node(node).kind {
                NodeKind::Input { meet, index } if *meet == self.meet => {
                    if self.missing.contains(index) {
                        return true;
                    }
                    continue;
                }
                NodeKind::Input { meet, .. } if through_meets => vec![*meet],
                NodeKind::Input { .. } => continue,
                _ => ways(self.definition, node),
            };
            open.extend(next.into_iter().filter(|to| seen.insert(*to)));
        }
        false
    }

    /// Plays out all that can happen, until a token comes to a missing input or nothing is new.
    fn plays_out(&self, situation: &Situation) -> bool {
        let mut start = situation.clone();
        start.meets.remove(&self.meet);
        start.meets.values_mut().for_each(Meeting::forget_names);
        let mut seen = HashSet::from([start.clone()]);
        let mut open = vec![start];
        while let Some(situation) = open.pop() {
            let mut next = Vec::new();
            for node in situation.moving.keys() {
                if self.step(&situation, *node, &mut next) {
                    return true;
                }
            }
            for (node, meeting) in &situation.meets {
                let rule = MeetRule::of(self.definition, *node);
                // Another active meet may fire whenever something waits there.
                if rule.is_some_and(|rule| rule.is_active()) && meeting.waiting().next().is_some() {
                    let mut after = situation.clone();
                    let moves = after.meets.get_mut(node).and_then(Meeting::release);
                    self.settle(&mut after, *node, moves);
                    next.push(after);
                }
            }
            for after in next {
                if seen.len() >= SITUATIONS_MAX {
                    return true;
                }
                if seen.insert(after.clone()) {
                    open.push(after);
                }
            }
        }
        false
    }

    /// All that a token at `node` can do next. `true`: it comes to a missing input.
    fn step(&self, from: &Situation, node: NodeId, next: &mut Vec<Situation>) -> bool {
        let mut without = from.clone();
        take(&mut without.moving, node);
        match &self.definition.node(node).kind {
            NodeKind::Input { meet, index } if *meet == self.meet => {
                if self.missing.contains(index) {
                    return true;
                }
                next.push(without);
            }
            NodeKind::Input { meet, index } => {
                let Some(rule) = MeetRule::of(self.definition, *meet) else {
                    return false;
                };
                let meeting = without.meets.entry(*meet).or_default();
                // Tokens are all alike here; a number that nobody else has tells them apart.
                let number = meeting.waiting().map(|(_, token)| token.0).max();
                let moves = meeting.arrive(&rule, *index, BranchId(number.unwrap_or(0) + 1));
                self.settle(&mut without, *meet, moves);
                next.push(without);
            }
            NodeKind::Fork { arms, otherwise } => {
                // Conditional arms may be taken in any combination.
                let conditional = arms.iter().filter(|arm| arm.when.is_some()).count().min(12);
                for taken in 0_u32..1 << conditional {
                    let mut after = without.clone();
                    let (mut nth, mut any) = (0, false);
                    for arm in arms {
                        let goes = arm.when.is_none() || taken & (1 << nth) != 0;
                        nth += u32::from(arm.when.is_some()).min(11);
                        if goes {
                            any = true;
                            *after.moving.entry(arm.to).or_default() += arm.copies;
                        }
                    }
                    if !any {
                        let to = otherwise.or(self.definition.node(node).next);
                        if let Some(to) = to {
                            *after.moving.entry(to).or_default() += 1;
                        }
                    }
                    next.push(after);
                }
            }
            _ => {
                let to = ways(self.definition, node);
                next.extend(to.into_iter().map(|to| {
                    let mut after = without.clone();
                    *after.moving.entry(to).or_default() += 1;
                    after
                }));
                next.push(without);
            }
        }
        false
    }

    /// Does what a meet says: one token goes on for each firing.
    fn settle(
        &self,
        situation: &mut Situation,
        meet: NodeId,
        moves: impl IntoIterator<Item = MeetMove>,
    ) {
        for done in moves {
            if let (MeetMove::Fire(..), Some(to)) = (done, self.definition.node(meet).next) {
                *situation.moving.entry(to).or_default() += 1;
            }
        }
        if let Some(meeting) = situation.meets.get_mut(&meet) {
            meeting.forget_names();
            if *meeting == Meeting::default() {
                situation.meets.remove(&meet);
            }
        }
    }
}

fn take(moving: &mut BTreeMap<NodeId, u32>, node: NodeId) {
    if let Some(count) = moving.get_mut(&node) {
        *count -= 1;
        if *count == 0 {
            moving.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{ForkArm, Need, Rest, StepSpec};
    use crate::draft::Draft;

    /// A token that goes round through an active meet at which others wait for ever makes situations
    /// that differ only in which tokens wait: nothing new. The meet asked about must fire.
    #[test]
    fn a_loop_through_another_active_meet_is_played_out_once() {
        let mut draft = Draft::new("loop", "1");
        let (scope, _) = draft.scope("scope", None);
        let fork = draft.fork("fork");
        let (asked, to_asked) = draft.meet("asked", &["a", "b"], Need::ActiveGlobal, Rest::Queue);
        let (both, to_both) = draft.meet("both", &["a", "b"], Need::All, Rest::Queue);
        let (other, to_other) = draft.meet("other", &["a", "b"], Need::ActiveGlobal, Rest::Queue);
        let [never, round] = ["never", "round"].map(|name| draft.step(name, StepSpec::new("h")));
        let whither = draft.choice("whither");
        for (name, to) in [
            ("asked", to_asked[0]),
            ("never", never),
            ("a", to_other[0]),
            ("b", to_other[1]),
        ] {
            let name = name.to_owned();
            let (when, copies) = (None, 1);
            draft.fork_arm(
                fork,
                ForkArm {
                    name,
                    when,
                    copies,
                    to,
                },
            );
        }
        draft.connect(never, to_both[0]);
        draft.connect(other, round);
        draft.connect(round, whither);
        draft.arm(whither, "again", "when", Some(to_other[1]));
        draft.otherwise(whither, to_both[1]);
        draft.connect(both, to_asked[1]);
        let end = draft.step("end", StepSpec::new("h"));
        draft.connect(asked, end);
        draft.body(scope, fork);
        draft.start_at(scope);
        let definition = draft.finish().unwrap();
        let waits = |node: NodeId, inputs: &[u32]| {
            let rule = MeetRule::of(&definition, node).unwrap();
            let mut meeting = Meeting::default();
            for (token, input) in (1..).zip(inputs) {
                assert_eq!(meeting.arrive(&rule, *input, BranchId(token)), []);
            }
            (node, meeting)
        };
        let mut situation = Situation {
            moving: BTreeMap::new(),
            meets: BTreeMap::from([waits(asked, &[0]), waits(other, &[0, 1, 1])]),
        };
        assert!(
            !can_come(&definition, &situation, asked),
            "`never` has not come"
        );
        situation.moving.insert(never, 1);
        assert!(can_come(&definition, &situation, asked));
    }
}
