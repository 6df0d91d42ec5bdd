//! What people and tools ask of a store: which runs, how far, why not further.
//!
//! Derived from the definition, the live branches, locks and history; nothing is written ahead for
//! it. Reads only, on connections of its own, from any process.

mod maps;
mod steps;
mod views;
mod why;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, FencingToken, NodeId, NodeKind, OwnerId, Payload, RunId,
    RunStatus, Timestamp,
};

use crate::apply::{MUTEX, correlation};
use crate::backend::{Reader, Result, RunFilter};
use crate::change::RunOutcome;
use crate::error::{OpenError, StorageError};
use crate::owner::{OwnerFiles, OwnerLife, Proof, Running};
use crate::record::{BranchRow, HistoryRow, State, Woken, flags};
use crate::store::{Store, StoreKind, open_reader};
use crate::sync::Arc;

pub use maps::{MapError, MapResult, MapResults, MapView};
pub use views::{BranchWait, Instance, RunDetail, RunSummary, StepView, WaitsFor, Why};

use steps::{Steps, Views};
use why::{Serving, waits_for};

/// Live branches that one answer looks at; of a larger run the rest is left out.
pub const BRANCHES_SHOWN_MAX: usize = 10_000;

/// Names that one answer lists.
const NAMES_SHOWN_MAX: usize = 100;

/// A text that names no run, or several.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// None.
    #[error("no run matches {0:?}: list them with `runs`")]
    None(String),
    /// More than one.
    #[error("{text:?} matches {} runs ({}): give more of its digits", runs.len(), list(runs))]
    Ambiguous {
        /// What was given.
        text: String,
        /// What it matches, at most a few.
        runs: Vec<RunId>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn list(runs: &[RunId]) -> String {
    runs.iter()
        .map(RunId::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The nodes that live branches name.
fn places<'a>(
    live: &'a [BranchRow],
    running: &'a RunningJobs,
) -> impl Iterator<Item = NodeId> + 'a {
    live.iter()
        .flat_map(|row| [row.position.node, running.place(row).0])
}

/// What is stored may be damaged, and name a node that its workflow does not have.
fn all_known(definition: &Definition, nodes: impl IntoIterator<Item = NodeId>) -> Result<()> {
    let count = definition.nodes().len();
    match nodes.into_iter().find(|node| node.0 as usize >= count) {
        None => Ok(()),
        Some(node) => Err(StorageError::Corrupt {
            what: "position".to_owned(),
            why: format!(
                "it names node {}, and workflow {:?} has {count}",
                node.0,
                definition.name()
            ),
        }),
    }
}

/// What the first branch of a run waits for at its end: branches that no join waits for.
fn name_rest(live: &[BranchRow], waits_for: &mut WaitsFor) {
    let rest = live.iter().filter(|row| {
        let is_done = row.state.is_end() || row.state == State::Arrived;
        row.parent.is_some() && !is_done
    });
    let names = rest.filter_map(|row| Some(row.record.membership.as_ref()?.name.clone()));
    let names: Vec<_> = names.take(NAMES_SHOWN_MAX).collect();
    if !names.is_empty() {
        waits_for.missing = names;
    }
}

/// Reads a store.
#[derive(Debug)]
pub struct Inspector {
    reader: Box<dyn Reader>,
    owners: Option<OwnerFiles>,
    /// Ours, where there are no files.
    life: Option<OwnerLife>,
}

/// The jobs that some Runner of a living engine is in, and since when.
struct RunningJobs(HashMap<(BranchId, FencingToken), Running>);

impl RunningJobs {
    fn since(&self, row: &BranchRow) -> Option<Timestamp> {
        self.0
            .get(&(row.id, row.token))
            .map(|running| running.started_at)
    }

    /// Where the branch is: further than its row says, if its Runner went on from there.
    fn place(&self, row: &BranchRow) -> (NodeId, ActivationId) {
        let stored = (row.position.node, row.activation);
        let running = self
            .0
            .get(&(row.id, row.token))
            .filter(|_| row.state == State::Ready);
        running.and_then(|running| running.step).unwrap_or(stored)
    }

    fn has(&self, row: &BranchRow) -> bool {
        self.since(row).is_some()
    }
}

impl Inspector {
    /// Opens a database for reading, from any process.
    ///
    /// # Errors
    /// [`OpenError`] if there is no database of ours at `path`.
    pub fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let (reader, owners) = open_reader(path)?;
        Ok(Self {
            reader,
            owners: Some(owners),
            life: None,
        })
    }

    /// Reads an open store.
    ///
    /// # Errors
    /// [`StorageError`] if it cannot be opened once more.
    pub fn of(store: &Store) -> Result<Self> {
        let owners = match store.kind() {
            StoreKind::Sqlite { owners, .. } => Some(owners.clone()),
            StoreKind::Memory { .. } => None,
        };
        Ok(Self {
            reader: store.reader()?,
            owners,
            life: store.life(),
        })
    }

    /// Runs, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be read; so for all calls.
    pub fn runs(&mut self, filter: RunFilter, limit: u32) -> Result<Vec<RunSummary>> {
        let rows = match filter {
            RunFilter::All => self.reader.runs(None, limit)?,
            RunFilter::Unfinished => self.reader.unfinished(limit)?,
        };
        let running = self.running()?;
        rows.iter()
            .map(|root| self.summary(root, &running))
            .collect()
    }

    /// The run that `text` names: a whole id, a unique beginning of one, or `last`
    /// for the newest that no other run called.
    ///
    /// # Errors
    /// [`FindError`] if it names none or several.
    pub fn find(&mut self, text: &str) -> std::result::Result<RunId, FindError> {
        if text == "last" {
            return self.last()?.ok_or(FindError::None(text.to_owned()));
        }
        if let Ok(run) = text.parse() {
            let known = self
                .reader
                .run(run)?
                .is_some_and(|row| row.parent.is_none());
            return if known {
                Ok(run)
            } else {
                Err(FindError::None(text.to_owned()))
            };
        }
        let wanted = text.to_ascii_lowercase();
        let mut found = Vec::new();
        let mut before = None;
        loop {
            let rows = self.reader.runs(before, 4_096)?;
            let Some(last) = rows.last() else { break };
            before = Some(last.run);
            let matches = |run: &RunId| run.to_string().starts_with(&wanted);
            found.extend(rows.iter().map(|row| row.run).filter(matches));
            if found.len() > 5 {
                break;
            }
        }
        match found.as_slice() {
            [] => Err(FindError::None(text.to_owned())),
            [run] if !wanted.is_empty() => Ok(*run),
            _ => {
                found.truncate(5);
                Err(FindError::Ambiguous {
                    text: text.to_owned(),
                    runs: found,
                })
            }
        }
    }

    /// The newest run that no other run called, or if there is none, the newest.
    fn last(&mut self) -> Result<Option<RunId>> {
        let (mut newest, mut before) = (None, None);
        loop {
            let rows = self.reader.runs(before, 64)?;
            let Some(end) = rows.last() else {
                return Ok(newest);
            };
            before = Some(end.run);
            newest = newest.or(rows.first().map(|row| row.run));
            let mut own = rows.iter().filter(|row| row.record.flow().caller.is_none());
            if let Some(row) = own.next() {
                return Ok(Some(row.run));
            }
        }
    }

    /// How a run has ended; `None` while it has not, or if there is no such run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn outcome(&mut self, run: RunId) -> Result<Option<RunOutcome>> {
        Ok(self.end_of(run)?.flatten())
    }

    /// How a run has ended: `Some(None)` while it has not, `None` if there is no such run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn end_of(&mut self, run: RunId) -> Result<Option<Option<RunOutcome>>> {
        Ok(self.root(run)?.map(|root| crate::apply::outcome_of(&root)))
    }

    /// One run in full; `None` if there is no such run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn show(&mut self, run: RunId) -> Result<Option<RunDetail>> {
        let Some(root) = self.root(run)? else {
            return Ok(None);
        };
        let running = self.running()?;
        let definition = self.definition(&root)?;
        let summary = self.summary(&root, &running)?;
        let live = self.live(&root)?;
        let history = self.reader.history(run)?;
        all_known(&definition, places(&live, &running))?;
        all_known(&definition, history.iter().map(|row| row.node))?;
        let fault = root.record.fault.clone();
        let mut errors: Vec<_> = fault.into_iter().flat_map(|fault| fault.errors).collect();
        errors.extend(
            self.reader
                .run_faults(run)?
                .into_iter()
                .flat_map(|fault| fault.errors),
        );
        let maps = self.maps_begun(run, &definition)?;
        let Views {
            steps,
            branches,
            notes,
        } = Steps {
            definition: &definition,
            summary: &summary,
            running: &running,
            maps: &maps,
            is_partial: root.flags & flags::PARTIAL != 0,
        }
        .views(&history, &live);
        let retries_at = crate::apply::retries_at(&root)?;
        all_known(&definition, retries_at.iter().copied())?;
        let retries_at = retries_at.into_iter();
        let retries_at = retries_at.map(|node| definition.node(node).step_name().to_owned());
        let retries_at = retries_at.collect();
        let called_by = root.record.flow().caller.map(|caller| caller.run);
        let note = root
            .record
            .into_extras()
            .attributes
            .and_then(|attributes| attributes.note);
        Ok(Some(RunDetail {
            summary,
            data: root.data,
            errors,
            steps,
            branches,
            notes,
            definition,
            note,
            called_by,
            retries_at,
        }))
    }

    /// What a run has left behind so far: one row for each attempt that has ended, wait that is over
    /// and step that was passed by, in the order in which they ended by the wall clock. Those of one
    /// branch are in their order even if the clock was set back in between. Empty if there is no such
    /// run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn history(&mut self, run: RunId) -> Result<Vec<HistoryRow>> {
        self.reader.history(run)
    }

    /// What exactly each live branch of a run waits for; `None` if there is no such run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn why(&mut self, run: RunId) -> Result<Option<Why>> {
        let Some(root) = self.root(run)? else {
            return Ok(None);
        };
        let running = self.running()?;
        let status = self.summary(&root, &running)?.status;
        let definition = self.definition(&root)?;
        let serving = self.serving(&root)?;
        let owners: HashMap<OwnerId, String> = self
            .reader
            .owners()?
            .into_iter()
            .map(|owner| (owner.id, format!("process {} on {}", owner.pid, owner.host)))
            .collect();
        let mut branches = Vec::new();
        let live = self.live(&root)?;
        all_known(&definition, places(&live, &running))?;
        let subscriptions: HashMap<BranchId, String> =
            if live.iter().any(|row| row.state == State::Event) {
                self.reader.subscriptions(run)?.into_iter().collect()
            } else {
                HashMap::new()
            };
        for row in &live {
            if row.state.is_end() || row.state == State::Arrived {
                continue;
            }
            let (node, activation) = running.place(row);
            let mut waits_for = waits_for(row, &definition, &running, serving);
            waits_for.owner = owners.get(&row.owner).cloned();
            match row.state {
                State::Event if waits_for.event.is_some() => {
                    let name = subscriptions.get(&row.id);
                    let correlation = name.and_then(|name| correlation(name));
                    waits_for.correlation = correlation.map(str::to_owned);
                }
                State::Joining => {
                    waits_for.missing = self.missing(row)?;
                    self.add_to_come(row, &definition, &mut waits_for)?;
                }
                State::Blocked => waits_for.missing = self.blocked_by(row, &definition)?,
                State::Ending => name_rest(&live, &mut waits_for),
                State::Meeting => waits_for.missing = self.unmet(row, &definition)?,
                _ => {}
            }
            if waits_for.kind == "handler" {
                waits_for.missing = definition
                    .handlers()
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
            }
            let name = row
                .record
                .membership
                .as_ref()
                .map(|membership| membership.name.clone());
            branches.push(BranchWait {
                branch: name.unwrap_or_else(|| "main".to_owned()),
                step: definition.node(node).name.clone(),
                activation,
                waits_for,
            });
        }
        Ok(Some(Why {
            run,
            status,
            deadline: (!root.state.is_end())
                .then(|| root.record.flow().deadline)
                .flatten(),
            branches,
        }))
    }

    /// The branches of a run that wait for an event, each with the step that waits and its data there,
    /// in branch order. Empty if there is no such run.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn awaiting(&mut self, run: RunId) -> Result<Vec<(String, Payload)>> {
        let Some(root) = self.root(run)? else {
            return Ok(Vec::new());
        };
        let definition = self.definition(&root)?;
        let mut live = self.live(&root)?;
        live.retain(|row| row.state == State::Event);
        all_known(&definition, live.iter().map(|row| row.position.node))?;
        let waits = live.into_iter().map(|row| {
            let step = definition.node(row.position.node).name.clone();
            (step, row.data.unwrap_or_else(Payload::null))
        });
        Ok(waits.collect())
    }

    /// The workflow of this name and version, if it is stored.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn workflow(&mut self, name: &str, version: &str) -> Result<Option<Arc<Definition>>> {
        let Some(key) = self.reader.workflow(name, version)? else {
            return Ok(None);
        };
        self.reader.definition(key)
    }

    /// What only unfinished work has, by table: all zero when every run has ended.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn leftovers(&mut self) -> Result<Vec<(&'static str, u64)>> {
        self.reader.leftovers()
    }

    /// Admitted runs that have not started, and runs that load shedding dropped, ever.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn admission(&mut self) -> Result<(u64, u64)> {
        self.reader.admission()
    }

    fn root(&mut self, run: RunId) -> Result<Option<BranchRow>> {
        Ok(self.reader.run(run)?.filter(|row| row.parent.is_none()))
    }

    fn definition(&mut self, root: &BranchRow) -> Result<Arc<Definition>> {
        self.reader
            .definition(root.workflow)?
            .ok_or_else(|| StorageError::Corrupt {
                what: "workflow".to_owned(),
                why: format!("run {} names one that is not stored", root.run),
            })
    }

    /// The jobs that Runners are in now.
    fn running(&mut self) -> Result<RunningJobs> {
        let slots: Vec<_> = match &self.owners {
            Some(files) => {
                let mut owners = self.reader.owners()?;
                owners.retain(|owner| matches!(files.probe(&owner.file), Proof::Alive));
                owners
                    .iter()
                    .flat_map(|owner| files.running(&owner.file))
                    .collect()
            }
            None => self.life.iter().flat_map(OwnerLife::running).collect(),
        };
        let jobs = slots
            .into_iter()
            .map(|slot| ((slot.branch, slot.token), slot));
        Ok(RunningJobs(jobs.collect()))
    }

    fn serving(&mut self, root: &BranchRow) -> Result<Serving> {
        let Some(files) = self.owners.clone() else {
            return Ok(Serving::Yes);
        };
        let alive: HashSet<_> = self
            .reader
            .owners()?
            .into_iter()
            .filter(|owner| matches!(files.probe(&owner.file), Proof::Alive))
            .map(|owner| owner.id)
            .collect();
        if alive.is_empty() {
            return Ok(Serving::NoEngine);
        }
        let served_by = self.reader.served_by(root.workflow)?;
        let served = served_by.iter().any(|owner| alive.contains(owner));
        Ok(if served {
            Serving::Yes
        } else {
            Serving::NoHandler
        })
    }

    fn summary(&mut self, root: &BranchRow, running: &RunningJobs) -> Result<RunSummary> {
        let definition = self.definition(root)?;
        let (status, reason) = self.status(root, running)?;
        Ok(RunSummary {
            run: root.run,
            workflow: definition.name().to_owned(),
            version: definition.version().to_owned(),
            status,
            reason,
            created_at: root.created_at,
            started_at: root.started_at.or(running.since(root)),
            ended_at: root.ended_at,
        })
    }

    fn status(
        &mut self,
        root: &BranchRow,
        running: &RunningJobs,
    ) -> Result<(RunStatus, Option<String>)> {
        let reason = root.record.reason.clone();
        Ok(match root.state {
            State::Succeeded => (RunStatus::Succeeded, reason),
            State::Failed => (RunStatus::Failed, reason),
            State::Cancelled => (RunStatus::Cancelled, reason),
            State::Timer if root.is_unstarted() => (RunStatus::Scheduled, None),
            State::Ready if root.is_unstarted() && !running.has(root) => (RunStatus::Pending, None),
            State::Ready
            | State::Held
            | State::Timer
            | State::Event
            | State::Joining
            | State::Arrived
            | State::Parked
            | State::Meeting
            | State::Calling
            | State::Blocked
            | State::Ending => {
                let live = self.live(root)?;
                let any = |state: State| live.iter().any(|row| row.state == state);
                let parked = live.iter().find(|row| row.state == State::Parked);
                if any(State::Ready) || any(State::Held) {
                    (RunStatus::Running, None)
                } else if let Some(parked) = parked {
                    (RunStatus::Parked, parked.parked_for())
                } else if [
                    State::Timer,
                    State::Event,
                    State::Meeting,
                    State::Calling,
                    State::Blocked,
                ]
                .into_iter()
                .any(any)
                {
                    (RunStatus::Waiting, None)
                } else {
                    (RunStatus::Running, reason)
                }
            }
        })
    }

    /// The first branch and all that came of it and has a row still, parents first.
    fn live(&mut self, root: &BranchRow) -> Result<Vec<BranchRow>> {
        let mut rows = vec![root.clone()];
        let mut next = 0;
        while next < rows.len() && rows.len() < BRANCHES_SHOWN_MAX {
            let row = &rows[next];
            let mut below = if row.state.is_end() {
                Vec::new()
            } else {
                self.reader.loose(row.id)?
            };
            // One that counts what its map has so far is ready, while the map goes on.
            let counts = matches!(row.record.flow().woken, Some(Woken::Count(..)));
            if let (true, Some(range)) =
                (row.state == State::Joining || counts, row.record.children)
            {
                below.insert(0, range);
            }
            for range in below {
                let left = u32::try_from(BRANCHES_SHOWN_MAX - rows.len()).unwrap_or(0);
                rows.extend(self.reader.range(range, 0, left)?);
            }
            next += 1;
        }
        Ok(rows)
    }

    /// At the join of a map: what has not begun, and whether more may come.
    fn add_to_come(
        &mut self,
        row: &BranchRow,
        definition: &Definition,
        waits_for: &mut WaitsFor,
    ) -> Result<()> {
        let (NodeKind::Join { split, .. }, Some(range)) = (
            &definition.node(row.position.node).kind,
            row.record.children,
        ) else {
            return Ok(());
        };
        let join = row.position.node;
        let Some(map) = self.reader.map_standing(row.run, join, range.scope)? else {
            return Ok(());
        };
        let to_come = map.expected.saturating_sub(map.begun);
        if to_come > 0 && !map.is_withdrawing {
            waits_for
                .missing
                .push(format!("{to_come} that have not begun"));
        }
        if map.is_open {
            waits_for.open_map = Some(definition.node(*split).name.clone());
        }
        Ok(())
    }

    /// Who holds the mutex that a branch waits for.
    fn blocked_by(&mut self, row: &BranchRow, definition: &Definition) -> Result<Vec<String>> {
        let NodeKind::Scope {
            mutex: Some(mutex), ..
        } = &definition.node(row.position.node).kind
        else {
            return Ok(Vec::new());
        };
        let name = format!("{MUTEX}{mutex}");
        let marks = self.reader.marks(row.run, &name)?;
        let held = marks.into_iter().find(|(of, _)| *of == name);
        let Some((_, holder)) = held.filter(|(_, holder)| *holder != 0) else {
            let text = "an attempt that was withdrawn and has not returned";
            return Ok(vec![text.to_owned()]);
        };
        let holder = self.reader.branch(BranchId(holder))?;
        all_known(definition, holder.iter().map(|row| row.position.node))?;
        let holds = holder.map(|holder| {
            let node = definition.node(holder.position.node);
            match &node.kind {
                NodeKind::Join { split, .. } => definition.node(*split).name.clone(),
                _ => node.name.clone(),
            }
        });
        Ok(holds.into_iter().collect())
    }

    /// The inputs of a meet at which nothing waits.
    fn unmet(&mut self, row: &BranchRow, definition: &Definition) -> Result<Vec<String>> {
        let meet = row.position.node;
        let NodeKind::Meet { inputs, .. } = &definition.node(meet).kind else {
            return Ok(Vec::new());
        };
        let Some(membership) = &row.record.membership else {
            return Ok(Vec::new());
        };
        let meeting = self.reader.meeting(row.run, meet, membership.scope)?;
        let meeting = meeting.unwrap_or_default();
        let empty = (0..).zip(inputs).filter(|(input, _)| !meeting.has(*input));
        Ok(empty.map(|(_, name)| name.clone()).collect())
    }

    fn missing(&mut self, row: &BranchRow) -> Result<Vec<String>> {
        let Some(range) = row.record.children else {
            return Ok(Vec::new());
        };
        let mut missing = Vec::new();
        let mut from = 0;
        while from < range.count && missing.len() < NAMES_SHOWN_MAX {
            let children = self.reader.range(range, from, 1_024)?;
            let Some(last) = children.last() else { break };
            from = u32::try_from(last.id.0 - range.first.0).map_or(range.count, |last| last + 1);
            let on_their_way = children
                .into_iter()
                .filter(|child| child.state != State::Arrived);
            let names = on_their_way.filter_map(|child| child.record.into_extras().membership);
            missing.extend(names.map(|membership| membership.name));
        }
        for loose in self.reader.loose(row.id)? {
            if loose.scope == range.scope && range.count == 0 && missing.len() < NAMES_SHOWN_MAX {
                let token = self.reader.branch(loose.first)?;
                let token = token.filter(|token| token.state != State::Arrived);
                let token = token.and_then(|token| token.record.into_extras().membership);
                missing.extend(token.map(|membership| membership.name));
            }
        }
        missing.truncate(NAMES_SHOWN_MAX);
        Ok(missing)
    }
}
