//! The checkpoint: the one atomic write that ends an attempt.
//!
//! Valid only under the newest lock of its job (I3). The branch's own row goes first: when the guard
//! on it does not hold, nothing else has been written.

use windlass_workflow_model::{
    BranchId, Child, Fault, FencingToken, Next, OwnerId, Position, RunId, Timestamp, codes,
};

use super::{Apply, Verdict};
use crate::backend::{Guard, JoinKey, Loose, Result, Tables};
use crate::change::{Aside, AttemptRecord, Checkpoint, Then};
use crate::error::WriteError;
use crate::record::{BranchRow, ChildRange, Extras, Flow, Membership, Record, Role, State, flags};
use crate::sync::Arc;

impl<T: Tables> Apply<'_, T> {
    pub(super) fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Verdict<()> {
        if self.is_simple(checkpoint) && self.write_move(checkpoint, &checkpoint.job.row, true)? {
            return Ok(Ok(()));
        }
        let job = &checkpoint.job.row;
        let stored = self.tables.branch(job.id)?;
        let holds = stored
            .as_ref()
            .is_some_and(|stored| stored.key() == job.key() && stored.state == State::Ready);
        if !holds || self.is_withdrawn(job)? {
            if job.is_unstarted() {
                self.effects.recorded_starts += 1;
            }
            let aside = checkpoint.aside.as_ref();
            if !aside.is_some_and(|aside| aside.still_running) {
                match stored.filter(|_| holds) {
                    Some(stored) => self.withdraw_idle(stored)?,
                    None => self.returned(job.run, job.key())?,
                }
            }
            return Ok(Err(WriteError::Fenced {
                branch: job.id,
                ours: job.token,
            }));
        }
        // Others may have changed these while the attempt was made.
        let (flags, parent) = stored.map_or((job.flags, job.parent), |row| (row.flags, row.parent));
        let job = BranchRow {
            parent,
            flags,
            ..job.clone()
        };
        match self.refused(checkpoint)? {
            None => self.write_move(checkpoint, &job, false)?,
            Some(instead) => self.write_move(&instead, &job, false)?,
        };
        Ok(Ok(()))
    }

    /// Carries out the statements of the step. If they are refused: what is written instead.
    fn refused(&mut self, checkpoint: &Checkpoint) -> Result<Option<Checkpoint>> {
        let Some(aside) = checkpoint.aside.as_ref() else {
            return Ok(None);
        };
        let outcome = match &aside.effects_refused {
            Some(why) => Err(why.clone()),
            None => self
                .tables
                .run_effects(checkpoint.job.row.id, &aside.effects)?,
        };
        let (Err(why), Some(then)) = (outcome, &aside.if_refused) else {
            return Ok(None);
        };
        let text = format!("what the step wrote to the database was refused: {why}");
        Ok(Some(Checkpoint {
            job: Arc::clone(&checkpoint.job),
            attempt: None,
            passed: None,
            skipped: Vec::new(),
            detached: Vec::new(),
            then: then.clone(),
            merged: None,
            schedules: Vec::new(),
            aside: Some(Box::new(Aside {
                rounds: aside.rounds.clone(),
                effects_refused: Some(text),
                ..Aside::default()
            })),
            reply: None,
        }))
    }

    /// Whether the guarded write of one row is all that is needed, so that nothing has to be read.
    fn is_simple(&self, checkpoint: &Checkpoint) -> bool {
        let job = &checkpoint.job.row;
        let one_row = match &checkpoint.then {
            Then::Move(Next::Run { gated: false, .. } | Next::Sleep { .. })
            | Then::Retry { .. } => true,
            Then::Move(Next::End { .. }) => {
                job.parent.is_none() && job.flags & (flags::BRANCHED | flags::EVENTS) == 0
            }
            Then::Move(_)
            | Then::Begin { .. }
            | Then::Hold { .. }
            | Then::Undone { .. }
            | Then::GiveBack => false,
        };
        one_row
            && checkpoint.merged.is_none()
            && checkpoint.detached.is_empty()
            && checkpoint.schedules.is_empty()
            && checkpoint.aside.is_none()
            && job.record.flow.is_none()
            && job.flags & (flags::LIMITED | flags::GATED) == 0
            && !(self.ledger.sweeping && job.parent.is_some())
    }

    /// Writes everything that follows from the attempt. `false`: the guard did not hold and nothing
    /// was written.
    fn write_move(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        guarded: bool,
    ) -> Result<bool> {
        if let Then::GiveBack = checkpoint.then {
            self.effects.recorded_starts += u64::from(job.is_unstarted());
            self.unlock(job.key(), true)?;
            return Ok(true);
        }
        let guard = if guarded {
            Guard::Lock(job.key(), job.flags)
        } else {
            self.leave_slot(job)?;
            Guard::Read
        };
        let ids = self.ledger.meta.next_id;
        let mut row = after_attempt(job, checkpoint, self.now);
        if let Some(aside) = &checkpoint.aside {
            self.set_aside(job, aside, &mut row)?;
        }
        self.place(checkpoint, job, &mut row)?;
        if !self.tables.update(&row, guard)? {
            // Nothing was written; what was taken for the row goes back.
            self.ledger.meta.next_id = ids;
            self.effects.unused_credits += u64::from(row.owner != OwnerId(0));
            return Ok(false);
        }
        if job.is_unstarted() {
            self.ledger.meta.unstarted -= 1;
            self.ledger.droppable.remove(&row.id);
            self.effects.recorded_starts += 1;
        }
        self.note_timer(&row);
        if row.data.is_some() {
            self.dispatch(&row, None);
        } else {
            self.dispatch_loaded(&row)?;
        }
        self.write_history(checkpoint, job)?;
        self.follow_up(checkpoint, job, &row)?;
        if row.state.is_end() {
            self.announce(&row)?;
        }
        Ok(true)
    }

    /// What has to be true before the branch itself moves.
    fn set_aside(&mut self, job: &BranchRow, aside: &Aside, row: &mut BranchRow) -> Result<()> {
        for (milestone, reached) in &aside.milestones {
            self.set_milestone(row, milestone, *reached)?;
        }
        if aside.still_running {
            self.note_returning(job)?;
        }
        if let Some((node, activation, data)) = &aside.undo {
            self.note_undo(job, *node, *activation, data)?;
        }
        if let Some(details) = &aside.details {
            row.record.flow_mut().details = Some(details.as_bytes().to_vec());
        }
        if let Some(why) = &aside.effects_refused {
            let fault = Fault::new(codes::EFFECT_FAILED, why);
            row.record.flow_mut().refused = Some(fault);
        }
        Ok(())
    }

    /// Writes what goes with the branch's own row: branches, arrivals, subscriptions, clean-ups, runs.
    fn follow_up(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        row: &BranchRow,
    ) -> Result<()> {
        let mut ends = false;
        match &checkpoint.then {
            Then::Move(Next::Await { events, .. }) if row.state == State::Event => {
                for wanted in events {
                    let name =
                        super::events::subscription(&wanted.event, wanted.correlation.as_deref());
                    self.tables.subscribe(row.run, &name, row.id, wanted.arm)?;
                }
            }
            Then::Move(Next::Split {
                join,
                scope,
                children,
                max_parallelism,
                is_scope,
                ..
            }) => {
                let template = Membership {
                    scope: *scope,
                    join: Some(*join),
                    index: 0,
                    of: u32::try_from(children.len()).expect("bounded by SPLIT_BRANCHES_MAX"),
                    max_parallelism: max_parallelism.unwrap_or(0),
                    resumed: false,
                    name: String::new(),
                };
                if *is_scope {
                    self.insert_tokens(row, row.id, children, &template)?;
                } else {
                    self.insert_children(row, children, &template)?;
                }
            }
            Then::Move(Next::Map { .. }) => self.begin_map(row, &checkpoint.then)?,
            Then::Move(Next::Counted {
                counted,
                upto,
                enough,
            }) => self.note_counted(row, counted, *upto, *enough)?,
            Then::Move(Next::End { .. }) => ends = true,
            Then::Move(
                Next::Terminate { .. }
                | Next::Await { .. }
                | Next::Run { .. }
                | Next::Sleep { .. }
                | Next::Call { .. }
                | Next::Meet { .. }
                | Next::Acquire { .. },
            )
            | Then::Retry { .. }
            | Then::Begin { .. }
            | Then::Hold { .. }
            | Then::GiveBack => {}
            Then::Undone { .. } => {
                ends = row.record.flow().undoing.is_none()
                    && row.parent.is_some()
                    && job.record.flow().undoing.is_some();
            }
        }
        // The end of a run has seen to its last branches itself, since it waits for them.
        let ends_run = ends && row.parent.is_none();
        self.insert_detached(row, checkpoint, ends_run)?;
        if let Some(range) = checkpoint.merged.filter(|_| !ends_run) {
            self.discard(job, range)?;
        }
        self.discard_met(job)?;
        if let Some(aside) = &checkpoint.aside {
            if let Some(membership) = row.record.membership.clone()
                && let Some(parent) = row.parent
            {
                self.insert_tokens(row, parent, &aside.forked, &membership)?;
            }
            for called in &aside.called {
                self.call_detached(row, called)?;
            }
        }
        let is_instance = row.record.flow().role == Role::Instance;
        if ends && is_instance && row.state != State::Ending {
            let fault = match &checkpoint.then {
                Then::Move(Next::End { result, .. }) => result.as_ref().err(),
                _ => None,
            };
            self.after_instance(row, fault)?;
        } else if ends && !ends_run && row.state == State::Arrived {
            self.arrive(row)?;
        } else if row.state == State::Meeting {
            // After its own fork: what can still come is judged with all its tokens.
            self.come_to_meet(row)?;
        } else if row.record.flow().role == Role::Token {
            self.look_ahead(row)?;
        }
        for target in checkpoint.aside.iter().flat_map(|aside| &aside.cancels) {
            let definition = self.definition(row.workflow)?;
            let by = &definition.node(job.position.node).name;
            let reason = format!("withdrawn by the workflow, after {by:?}");
            self.withdraw_node(row.run, *target, &reason)?;
        }
        for admit in &checkpoint.schedules {
            let known = match &admit.attributes.dedupe_key {
                Some(key) => self.tables.dedupe(key)?,
                None => None,
            };
            if known.is_none() {
                self.begin_run(admit, 0, None)?;
            }
        }
        // Last, so that nothing is begun in a run that has ended.
        if let Then::Move(Next::Terminate { data, .. }) = &checkpoint.then {
            self.terminate(row, data)?;
        }
        Ok(())
    }

    fn insert_children(
        &mut self,
        parent: &BranchRow,
        children: &[Child],
        template: &Membership,
    ) -> Result<()> {
        let Some(range) = parent.record.children else {
            return Ok(());
        };
        let rule = self.rule(parent.workflow, template.join)?;
        // A branch that outlives the wait for it cannot look up data at the one that waited.
        let copy = rule.needed().is_some();
        for (id, child) in (range.first.0..).zip(children) {
            let membership = Membership {
                index: child.index,
                name: child.name.clone(),
                ..template.clone()
            };
            let free = template.max_parallelism == 0 || child.index < template.max_parallelism;
            let mut row = child_row(parent, BranchId(id), child, membership, self.now);
            if copy && row.data.is_none() {
                row.data.clone_from(&parent.data);
            }
            if free {
                self.make_ready(&mut row)?;
            } else {
                row.state = State::Held;
            }
            self.tables.insert(&row)?;
            self.dispatch(&row, Some(parent));
        }
        if rule.needed() == Some(0) {
            self.reconsider(parent.id)?;
        }
        Ok(())
    }

    /// Tokens of the scope in which `parent` waits; `like` is that row, or another token of it.
    pub(super) fn insert_tokens(
        &mut self,
        like: &BranchRow,
        parent: BranchId,
        children: &[Child],
        template: &Membership,
    ) -> Result<()> {
        let Some(join) = template.join.filter(|_| !children.is_empty()) else {
            return Ok(());
        };
        let more = u32::try_from(children.len()).unwrap_or(u32::MAX);
        let key = JoinKey::of_split(like.run, join, template.scope);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.expected += more;
        self.tables.set_join(key, count)?;
        for child in children {
            let id = BranchId(self.new_ids(1));
            let membership = Membership {
                index: child.index,
                name: child.name.clone(),
                of: 0,
                ..template.clone()
            };
            let mut row = child_row(like, id, child, membership, self.now);
            row.parent = Some(parent);
            row.record.flow_mut().role = Role::Token;
            self.make_ready(&mut row)?;
            self.tables.insert(&row)?;
            self.tables.add_loose(&Loose {
                run: row.run,
                parent,
                range: ChildRange {
                    first: id,
                    count: 1,
                    scope: template.scope,
                },
            })?;
            self.dispatch(&row, Some(like));
        }
        Ok(())
    }

    /// `counted`: the branches are already expected by the run's end.
    fn insert_detached(
        &mut self,
        parent: &BranchRow,
        checkpoint: &Checkpoint,
        counted: bool,
    ) -> Result<()> {
        if checkpoint.detached.is_empty() {
            return Ok(());
        }
        if !counted {
            self.count_detached(parent.run, checkpoint.detached.len())?;
        }
        for child in &checkpoint.detached {
            let id = BranchId(self.new_ids(1));
            let membership = Membership {
                scope: child.activation,
                join: None,
                index: 0,
                of: 1,
                max_parallelism: 0,
                resumed: false,
                name: child.name.clone(),
            };
            let mut row = child_row(parent, id, child, membership, self.now);
            row.parent = Some(parent.run.root());
            self.make_ready(&mut row)?;
            self.tables.insert(&row)?;
            self.tables.add_loose(&Loose {
                run: row.run,
                parent: row.run.root(),
                range: ChildRange {
                    first: id,
                    count: 1,
                    scope: child.activation,
                },
            })?;
            self.dispatch(&row, Some(parent));
        }
        Ok(())
    }

    pub(super) fn count_detached(&mut self, run: RunId, more: usize) -> Result<()> {
        let key = JoinKey::of_loose(run, run.root());
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.expected += u32::try_from(more).unwrap_or(u32::MAX);
        self.tables.set_join(key, count)
    }
}

impl BranchRow {
    /// The number of the attempt that was made at `activation`: a Runner may have gone on from where
    /// the branch was locked to its next step, whose attempts begin anew.
    pub(super) fn attempt_of(&self, activation: windlass_workflow_model::ActivationId) -> u32 {
        if activation == self.activation {
            self.attempt
        } else {
            1
        }
    }
}

/// The row as it is when an attempt has ended and before it is known where it goes.
fn after_attempt(job: &BranchRow, checkpoint: &Checkpoint, now: Timestamp) -> BranchRow {
    let attempt: Option<&AttemptRecord> = checkpoint.attempt.as_ref();
    let began = attempt.map_or(now, |attempt| attempt.started_at);
    BranchRow {
        flags: job.flags & !(flags::UNSTARTED | flags::GATED | flags::PLACELESS),
        rank: job.rank.started(),
        owner: OwnerId(0),
        attempt: 1,
        crashes: 0,
        suspect: 0,
        due: None,
        record: Record::from(Extras {
            membership: job.record.membership.clone(),
            attributes: job.record.attributes.clone(),
            max_parallelism: job.record.max_parallelism,
            flow: flow_after(job, checkpoint),
            ..Extras::default()
        }),
        started_at: job.started_at.or(Some(began)),
        ..job.clone()
    }
}

/// What of it a branch carries on from one move to the next.
fn flow_after(job: &BranchRow, checkpoint: &Checkpoint) -> Option<Box<Flow>> {
    if job.record.flow.is_none() && checkpoint.aside.is_none() {
        return None;
    }
    let rounds = checkpoint.aside.as_ref().map(|aside| aside.rounds.clone());
    let before = job.record.flow();
    let flow = Flow {
        rounds: rounds.unwrap_or_default(),
        role: before.role,
        caller: before.caller,
        deadline: before.deadline,
        ..Flow::default()
    };
    (flow != Flow::default()).then(|| Box::new(flow))
}

/// A branch is in the loops that its parent is in, for whoever looks at it.
fn rounds_around(parent: &BranchRow) -> Option<Box<Flow>> {
    let rounds = parent.record.flow().rounds.clone();
    (!rounds.is_empty()).then(|| {
        Box::new(Flow {
            rounds,
            ..Flow::default()
        })
    })
}

/// A new branch of `parent`, not ready yet.
pub(super) fn child_row(
    parent: &BranchRow,
    id: BranchId,
    child: &Child,
    membership: Membership,
    now: Timestamp,
) -> BranchRow {
    BranchRow {
        id,
        run: parent.run,
        parent: Some(parent.id),
        position: Position::before(child.node),
        activation: child.activation,
        state: State::Ready,
        flags: parent.flags & flags::LIMITED,
        owner: OwnerId(0),
        token: FencingToken(0),
        data: child.data.clone(),
        record: Record::from(Extras {
            membership: Some(membership),
            flow: rounds_around(parent),
            ..Extras::default()
        }),
        created_at: now,
        started_at: None,
        ended_at: None,
        due: None,
        ..parent.clone()
    }
}
