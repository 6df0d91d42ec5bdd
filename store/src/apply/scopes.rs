//! Scopes: tokens that fork, meet and end, and when none of them can go on.
//!
//! The tokens of a scope are loose branches of the one that waits at its join. What a meet decides is
//! decided in `workflow-model`; here it is done, in the transaction in which a token came.

use windlass_workflow_model::{
    BranchId, Decision, Definition, JoinRule, MeetMove, MeetRule, Meeting, NodeId, NodeKind,
    OwnerId, Payload, Position, Situation, can_come,
};

use super::Apply;
use super::arrivals::{note, over};
use crate::backend::{Guard, JoinCount, JoinKey, Loose, Phase, Result, Tables};
use crate::record::{BranchRow, ChildRange, Membership, State, flags};

/// The scope that a token is in.
#[derive(Clone, Copy)]
struct Around {
    /// Who waits at its join.
    parent: BranchId,
    /// How its tokens are counted.
    key: JoinKey,
}

impl Around {
    fn of(row: &BranchRow, membership: &Membership) -> Option<Self> {
        let (join, parent) = (membership.join?, row.parent?);
        Some(Self {
            parent,
            key: JoinKey::of_split(row.run, join, membership.scope),
        })
    }

    /// Where the tokens of one of its meets are kept.
    fn meet(&self, meet: NodeId) -> JoinKey {
        JoinKey {
            node: i64::from(meet.0),
            ..self.key
        }
    }
}

impl<T: Tables> Apply<'_, T> {
    /// A token has come to its end.
    pub(super) fn end_token(&mut self, row: &BranchRow, rule: &JoinRule) -> Result<()> {
        let Some(around) = row
            .record
            .membership
            .as_ref()
            .and_then(|membership| Around::of(row, membership))
        else {
            return Ok(());
        };
        let mut count = self.tables.join(around.key)?.unwrap_or_default();
        count.arrived += 1;
        note(&mut count, row);
        let phase = count.phase();
        let tally = count.tally();
        self.tables.set_join(around.key, count)?;
        if phase != Phase::Open {
            return Ok(());
        }
        match rule.decide(&tally) {
            Decision::Wait => self.settle(row, around),
            Decision::Over | Decision::OverAndAbsorb => self.leave_scope(around),
            Decision::OverAndCancel => {
                let reason = "another token of its scope failed";
                self.withdraw_tokens(around.parent, around.key, reason)?;
                self.leave_scope(around)
            }
        }
    }

    /// Nothing goes on in the scope any more: who waits for it goes on.
    fn leave_scope(&mut self, around: Around) -> Result<()> {
        let count = self.tables.join(around.key)?.unwrap_or_default();
        self.tables
            .delete_scope_joins(around.key.run, around.key.scope)?;
        self.wake(around.parent, Some(over(&count.tally())))
    }

    /// Withdraws all tokens of a scope that are on their way.
    pub(super) fn withdraw_tokens(
        &mut self,
        parent: BranchId,
        key: JoinKey,
        reason: &str,
    ) -> Result<()> {
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.more().phase = Phase::Withdrawing;
        for loose in self.tables.loose(parent)? {
            if loose.range.scope != key.scope {
                continue;
            }
            let Some(mut row) = self.tables.branch(loose.range.first)? else {
                continue;
            };
            if row.state != State::Arrived {
                if let Some(nested) = self.gather_undo(&row)? {
                    self.tables.hand_undo(row.run, nested, key.scope)?;
                }
                self.withdraw_row(&mut row, reason)?;
                self.tables.update(&row, Guard::Read)?;
                count.arrived += 1;
                count.more().cancelled += 1;
            }
        }
        self.tables.set_join(key, count)
    }

    /// The time of a scope is over before its tokens are.
    pub(super) fn end_scope_early(&mut self, row: &mut BranchRow) -> Result<()> {
        let Some(ChildRange { scope, .. }) = row.record.children else {
            return Ok(());
        };
        let key = JoinKey::of_split(row.run, row.position.node, scope);
        self.withdraw_tokens(row.id, key, "the time of its scope is over")?;
        self.tables.delete_scope_joins(row.run, scope)?;
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node);
        let name = node.map_or("its end", |node| &node.name);
        let text = format!("{name:?} was not reached in time: raise the timeout of its scope");
        let fault = windlass_workflow_model::Fault::new(
            windlass_workflow_model::codes::SCOPE_TIMEOUT,
            text,
        );
        row.record.flow_mut().refused = Some(fault.permanent());
        if let Some(mutex) = row.record.flow_mut().mutex.take() {
            self.release_mutex(row.run, &mutex)?;
        }
        self.make_ready(row)
    }

    /// A token has come to a meet; its row is written.
    pub(super) fn come_to_meet(&mut self, row: &BranchRow) -> Result<()> {
        let meet = row.position.node;
        let definition = self.definition(row.workflow)?;
        let (Some(around), Some(rule)) = (
            row.record
                .membership
                .as_ref()
                .and_then(|membership| Around::of(row, membership)),
            MeetRule::of(&definition, meet),
        ) else {
            return Ok(());
        };
        let mut meeting = self.meeting(around, meet)?;
        let moves = meeting.arrive(&rule, row.record.flow().input, row.id);
        let mut count = self.tables.join(around.key)?.unwrap_or_default();
        count.more().waiting += 1;
        if rule.is_active() && !count.more().active.contains(&meet) {
            count.more().active.push(meet);
        }
        self.tables.set_join(around.key, count)?;
        self.set_meeting(around, meet, meeting)?;
        for done in moves {
            self.do_at_meet(around, meet, done)?;
        }
        self.settle(row, around)
    }

    fn meeting(&mut self, around: Around, meet: NodeId) -> Result<Meeting> {
        let count = self.tables.join(around.meet(meet))?;
        let more = count.and_then(|count| count.more);
        Ok(more.and_then(|more| more.meeting).unwrap_or_default())
    }

    fn set_meeting(&mut self, around: Around, meet: NodeId, meeting: Meeting) -> Result<()> {
        let mut count = JoinCount::default();
        count.more().meeting = Some(meeting);
        self.tables.set_join(around.meet(meet), count)
    }

    fn do_at_meet(&mut self, around: Around, meet: NodeId, done: MeetMove) -> Result<()> {
        let (number, tokens) = match done {
            MeetMove::Absorb(token) => {
                if let Some(mut heir) = self.tables.branch(around.parent)? {
                    self.hand_late(token, &mut heir)?;
                    self.tables.update(&heir, Guard::Read)?;
                }
                self.tables.delete(token, 1)?;
                self.tables.remove_loose(around.parent, token)?;
                return self.count_met(around, 1, 1);
            }
            MeetMove::Fire(number, tokens) => (number, tokens),
        };
        let together = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        self.count_met(around, together, together - 1)?;
        let Some((_, goes_on)) = tokens.last() else {
            return Ok(());
        };
        let Some(mut row) = self.tables.branch(*goes_on)? else {
            return Ok(());
        };
        for (_, token) in &tokens[..tokens.len() - 1] {
            if let Some(mut ended) = self.tables.branch(*token)? {
                self.hand_late(*token, &mut row)?;
                ended.flags &= !flags::LOOSE;
                ended.state = State::Arrived;
                self.tables.update(&ended, Guard::Read)?;
            }
        }
        row.position = Position::at(meet);
        row.activation = around.key.scope.derive(meet, number);
        row.record.flow_mut().met = tokens;
        self.make_ready(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)
    }

    /// `token` ends here: the branches that were late for joins of its are waited for by `heir`.
    fn hand_late(&mut self, token: BranchId, heir: &mut BranchRow) -> Result<()> {
        let key = JoinKey::of_loose(heir.run, token);
        let Some(late) = self.tables.join(key)? else {
            return Ok(());
        };
        self.tables.delete_join(key)?;
        for loose in self.tables.loose(token)? {
            self.tables.remove_loose(token, loose.range.first)?;
            self.tables.hand_branches(loose.range, token, heir.id)?;
            self.tables.add_loose(&Loose {
                parent: heir.id,
                ..loose
            })?;
        }
        let key = JoinKey::of_loose(heir.run, heir.id);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.expected += late.expected;
        count.arrived += late.arrived;
        self.tables.set_join(key, count)?;
        heir.flags |= flags::LOOSE;
        Ok(())
    }

    /// So many tokens wait no more, of which so many have ended.
    fn count_met(&mut self, around: Around, left: u32, ended: u32) -> Result<()> {
        let mut count = self.tables.join(around.key)?.unwrap_or_default();
        count.arrived += ended;
        let more = count.more();
        more.waiting = more.waiting.saturating_sub(left);
        self.tables.set_join(around.key, count)
    }

    /// A token that waits at a meet is withdrawn.
    pub(super) fn leave_meet(&mut self, row: &BranchRow) -> Result<()> {
        let membership = row.record.membership.as_ref();
        let Some(around) = membership.and_then(|membership| Around::of(row, membership)) else {
            return Ok(());
        };
        let meet = row.position.node;
        let mut meeting = self.meeting(around, meet)?;
        meeting.withdraw(row.id);
        self.set_meeting(around, meet, meeting)?;
        self.count_met(around, 1, 0)
    }

    /// A token has moved: an active meet may have waited for just that.
    pub(super) fn look_ahead(&mut self, row: &BranchRow) -> Result<()> {
        let membership = row.record.membership.as_ref();
        let Some(around) = membership.and_then(|membership| Around::of(row, membership)) else {
            return Ok(());
        };
        let count = self.tables.join(around.key)?;
        let waits = count.is_some_and(|count| {
            let active = count.more.as_ref().map(|more| !more.active.is_empty());
            active == Some(true) && count.phase() == Phase::Open
        });
        if waits {
            self.settle(row, around)?;
        }
        Ok(())
    }

    /// Lets active meets fire to which nothing more can come, and parks what can never go on. `like`
    /// is any token of the scope.
    fn settle(&mut self, like: &BranchRow, around: Around) -> Result<()> {
        let definition = self.definition(like.workflow)?;
        while let Some(meet) = self.complete_active(&definition, around)? {
            let mut meeting = self.meeting(around, meet)?;
            let fires = meeting.release();
            let is_empty = meeting.waiting().next().is_none();
            self.set_meeting(around, meet, meeting)?;
            if is_empty && let Some(mut count) = self.tables.join(around.key)? {
                count.more().active.retain(|active| *active != meet);
                self.tables.set_join(around.key, count)?;
            }
            if let Some(fires) = fires {
                self.do_at_meet(around, meet, fires)?;
            }
        }
        let Some(count) = self.tables.join(around.key)? else {
            return Ok(());
        };
        let left = count.expected - count.arrived;
        if left == 0 && count.phase() == Phase::Open {
            // The last one was absorbed.
            return self.leave_scope(around);
        }
        let waiting = count.more.as_ref().map_or(0, |more| more.waiting);
        if left > 0 && waiting == left && count.phase() == Phase::Open {
            self.park_stuck(&definition, around)?;
        }
        Ok(())
    }

    /// An active meet at which something waits and to which nothing more can come.
    fn complete_active(
        &mut self,
        definition: &Definition,
        around: Around,
    ) -> Result<Option<NodeId>> {
        let count = self.tables.join(around.key)?.unwrap_or_default();
        let active = count.more.map(|more| more.active).unwrap_or_default();
        if active.is_empty() {
            return Ok(None);
        }
        let situation = self.situation(definition, around)?;
        let complete = |meet: &NodeId| !can_come(definition, &situation, *meet);
        Ok(active.into_iter().find(complete))
    }

    fn situation(&mut self, definition: &Definition, around: Around) -> Result<Situation> {
        let mut situation = Situation::default();
        for loose in self.tables.loose(around.parent)? {
            if loose.range.scope != around.key.scope {
                continue;
            }
            let row = self.tables.branch(loose.range.first)?;
            if let Some(row) = row
                && !matches!(row.state, State::Arrived | State::Meeting)
            {
                *situation.moving.entry(row.position.node).or_default() += 1;
            }
        }
        for (id, node) in (0..).map(NodeId).zip(definition.nodes()) {
            if matches!(node.kind, NodeKind::Meet { .. }) {
                let meeting = self.meeting(around, id)?;
                if meeting != Meeting::default() {
                    situation.meets.insert(id, meeting);
                }
            }
        }
        Ok(situation)
    }

    /// All tokens of the scope wait for each other, for ever.
    fn park_stuck(&mut self, definition: &Definition, around: Around) -> Result<()> {
        for loose in self.tables.loose(around.parent)? {
            let Some(mut row) = self.tables.branch(loose.range.first)? else {
                continue;
            };
            if row.state != State::Meeting || loose.range.scope != around.key.scope {
                continue;
            }
            let meeting = self.meeting(around, row.position.node)?;
            let Some(meet) = definition.get(row.position.node) else {
                continue;
            };
            let NodeKind::Meet { inputs, .. } = &meet.kind else {
                continue;
            };
            let missing: Vec<_> = (0..)
                .zip(inputs)
                .filter(|(input, _)| !meeting.has(*input))
                .map(|(_, name)| name.as_str())
                .collect();
            let here = meeting.waiting().count();
            let text = format!(
                "stuck: {here} token(s) wait at {:?}, where nothing more can come{}; cancel the run, or correct the workflow",
                meet.name,
                if missing.is_empty() {
                    String::new()
                } else {
                    format!(" (inputs without a token: {})", missing.join(", "))
                }
            );
            row.state = State::Parked;
            row.record.reason = Some(text);
            self.tables.update(&row, Guard::Read)?;
        }
        Ok(())
    }

    /// A parked token waits at its meet again; who knows what has changed.
    pub(super) fn wait_at_meet_again(&mut self, row: &mut BranchRow) -> Result<()> {
        row.state = State::Meeting;
        row.owner = OwnerId(0);
        self.tables.update(row, Guard::Read)?;
        Ok(())
    }

    /// Deletes the tokens that met when this one went on from their meet.
    pub(super) fn discard_met(&mut self, job: &BranchRow) -> Result<()> {
        for (_, token) in &job.record.flow().met {
            if *token != job.id {
                self.tables.delete(*token, 1)?;
                if let Some(parent) = job.parent {
                    self.tables.remove_loose(parent, *token)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the run of `last` well, with `data`, whatever goes on.
    pub(super) fn terminate(&mut self, last: &BranchRow, data: &Payload) -> Result<()> {
        if last.parent.is_some() {
            // It has arrived, and who withdraws a branch passes by what has arrived.
            self.clean(&mut last.clone())?;
        }
        if let Some(mut root) = self.tables.branch(last.run.root())? {
            root.data = Some(data.clone());
            self.withdraw_run(root)?;
        }
        Ok(())
    }
}
