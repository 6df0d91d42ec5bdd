//! What people and tools ask of a store: which runs, how far, why not further.
//!
//! Derived from the definition, the live branches, locks and history; nothing is written ahead for
//! it. Reads only, on connections of its own, from any process.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, ErrorEntry, FencingToken, NodeId, NodeKind, OwnerId,
    Payload, RunId, RunStatus, StepStatus, Timestamp,
};

use crate::backend::{Reader, Result, RunFilter};
use crate::change::RunOutcome;
use crate::error::{OpenError, StorageError};
use crate::owner::{OwnerFiles, OwnerLife, Proof};
use crate::record::{BranchRow, HistoryRow, State};
use crate::store::{Store, StoreKind, open_reader};
use crate::sync::Arc;

/// Live branches that one answer looks at; of a larger run the rest is left out.
pub const BRANCHES_SHOWN_MAX: usize = 10_000;

/// Names that one answer lists.
const NAMES_SHOWN_MAX: usize = 100;

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// Its workflow's name.
    pub workflow: String,
    /// Its workflow's version.
    pub version: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it is cancelled or parked.
    pub reason: Option<String>,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One run in full.
#[derive(Clone, Debug)]
pub struct RunDetail {
    /// The line in the list.
    pub summary: RunSummary,
    /// The last data of its first branch.
    pub data: Option<Payload>,
    /// Why it failed, all of it.
    pub errors: Vec<ErrorEntry>,
    /// Its steps and blocks, in the order of the definition.
    pub steps: Vec<StepView>,
    /// Its workflow.
    pub definition: Arc<Definition>,
    /// What was stored with it.
    pub note: Option<String>,
}

/// One activation of a step, or a step that was not reached, or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// One word for what it is.
    pub kind: String,
    /// The block around it.
    pub parent: Option<String>,
    /// The branch it is on.
    pub branch: Option<String>,
    /// How the block around it joins its branches.
    pub join_policy: Option<String>,
    /// The activation; `None` if it was not reached.
    pub activation: Option<ActivationId>,
    /// The last attempt, from 1; 0 if there was none.
    pub attempt: u32,
    /// Where it stands.
    pub status: StepStatus,
    /// Why it was passed by, waits or was cancelled.
    pub reason: Option<String>,
    /// When the last attempt began.
    pub started_at: Option<Timestamp>,
    /// When the last attempt ended.
    pub ended_at: Option<Timestamp>,
    /// What it gave.
    pub output: Option<Payload>,
    /// Why the last attempt failed.
    pub error: Option<ErrorEntry>,
}

/// What keeps a run from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// Its live branches.
    pub branches: Vec<BranchWait>,
}

/// What one branch waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchWait {
    /// Its name; the first one of a run is `main`.
    pub branch: String,
    /// The step or gateway where it stands.
    pub step: String,
    /// That step's activation.
    pub activation: ActivationId,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a branch waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitsFor {
    /// One of `running`, `runner`, `channel`, `outbox`, `lock`, `retry`, `timer`, `event`, `join`,
    /// `handler`, `operator`.
    pub kind: &'static str,
    /// The engine that has the job: its process and machine.
    pub owner: Option<String>,
    /// When it goes on by itself.
    pub until: Option<Timestamp>,
    /// The event.
    pub event: Option<String>,
    /// The join.
    pub join: Option<String>,
    /// What is missing: branches, handlers, an operator's word.
    pub missing: Vec<String>,
}

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

/// Reads a store.
#[derive(Debug)]
pub struct Inspector {
    reader: Box<dyn Reader>,
    owners: Option<OwnerFiles>,
    /// Ours, where there are no files.
    life: Option<OwnerLife>,
}

/// The jobs that some Runner is in.
struct RunningJobs(HashSet<(BranchId, FencingToken)>);

impl RunningJobs {
    fn has(&self, row: &BranchRow) -> bool {
        self.0.contains(&(row.id, row.token))
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

    /// The run that `text` names: a whole id, a unique beginning of one, or `last`.
    ///
    /// # Errors
    /// [`FindError`] if it names none or several.
    pub fn find(&mut self, text: &str) -> std::result::Result<RunId, FindError> {
        if text == "last" {
            let newest = self.reader.runs(None, 1)?;
            return newest
                .first()
                .map(|root| root.run)
                .ok_or(FindError::None(text.to_owned()));
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
        Ok(self.root(run)?.map(|root| crate::apply::outcome(&root)))
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
        let fault = root.record.fault.clone();
        let mut errors: Vec<_> = fault.into_iter().flat_map(|fault| fault.errors).collect();
        errors.extend(
            self.reader
                .run_faults(run)?
                .into_iter()
                .flat_map(|fault| fault.errors),
        );
        let steps = Steps {
            definition: &definition,
            summary: &summary,
            running: &running,
        }
        .views(&history, &live);
        let note = root
            .record
            .attributes
            .and_then(|attributes| attributes.note);
        Ok(Some(RunDetail {
            summary,
            data: root.data,
            errors,
            steps,
            definition,
            note,
        }))
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
        for row in self.live(&root)? {
            if row.state.is_end() || row.state == State::Arrived {
                continue;
            }
            let mut waits_for = waits_for(&row, &definition, &running, serving);
            waits_for.owner = owners.get(&row.owner).cloned();
            if row.state == State::Joining {
                waits_for.missing = self.missing(&row)?;
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
                step: definition.node(row.position.node).name.clone(),
                activation: row.activation,
                waits_for,
            });
        }
        Ok(Some(Why {
            run,
            status,
            branches,
        }))
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
                let owners = self.reader.owners()?;
                owners
                    .iter()
                    .flat_map(|owner| files.running(&owner.file))
                    .collect()
            }
            None => self.life.iter().flat_map(OwnerLife::running).collect(),
        };
        Ok(RunningJobs(
            slots
                .into_iter()
                .map(|slot| (slot.branch, slot.token))
                .collect(),
        ))
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
            started_at: root.started_at,
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
            | State::Ending => {
                let live = self.live(root)?;
                let any = |state: State| live.iter().any(|row| row.state == state);
                let parked = live.iter().find(|row| row.state == State::Parked);
                if any(State::Ready) || any(State::Held) {
                    (RunStatus::Running, None)
                } else if let Some(parked) = parked {
                    (RunStatus::Parked, parked.record.reason.clone())
                } else if any(State::Timer) || any(State::Event) {
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
        for id in self.reader.detached(root.run)? {
            rows.extend(self.reader.branch(id)?);
        }
        let mut next = 0;
        while next < rows.len() && rows.len() < BRANCHES_SHOWN_MAX {
            if let (State::Joining, Some(range)) = (rows[next].state, rows[next].record.children) {
                let left = u32::try_from(BRANCHES_SHOWN_MAX - rows.len()).unwrap_or(u32::MAX);
                rows.extend(self.reader.range(range, 0, left)?);
            }
            next += 1;
        }
        Ok(rows)
    }

    fn missing(&mut self, row: &BranchRow) -> Result<Vec<String>> {
        let Some(range) = row.record.children else {
            return Ok(Vec::new());
        };
        let mut missing = Vec::new();
        let mut from = 0;
        while from < range.count && missing.len() < NAMES_SHOWN_MAX {
            for child in self.reader.range(range, from, 1_024)? {
                if child.state != State::Arrived {
                    missing.extend(child.record.membership.map(|membership| membership.name));
                }
            }
            from += 1_024;
        }
        missing.truncate(NAMES_SHOWN_MAX);
        Ok(missing)
    }
}

/// Whether a living engine serves a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    Yes,
    NoHandler,
    NoEngine,
}

fn waits_for(
    row: &BranchRow,
    definition: &Definition,
    running: &RunningJobs,
    serving: Serving,
) -> WaitsFor {
    let kind = |kind| WaitsFor {
        kind,
        ..WaitsFor::default()
    };
    let node = definition.node(row.position.node);
    match row.state {
        State::Ready if row.owner == OwnerId(0) => match serving {
            Serving::Yes => kind("outbox"),
            Serving::NoHandler => kind("handler"),
            Serving::NoEngine => WaitsFor {
                missing: vec!["a running engine".to_owned()],
                ..kind("runner")
            },
        },
        State::Ready if running.has(row) => kind("running"),
        State::Ready if serving == Serving::NoEngine => WaitsFor {
            missing: vec!["its engine is gone".to_owned()],
            ..kind("lock")
        },
        State::Ready => kind("channel"),
        State::Held => WaitsFor {
            missing: vec!["a place under max_parallelism".to_owned()],
            ..kind("runner")
        },
        State::Timer if row.attempt > 1 => WaitsFor {
            until: row.due,
            ..kind("retry")
        },
        State::Timer => WaitsFor {
            until: row.due,
            ..kind("timer")
        },
        State::Event => {
            let event = match &node.kind {
                NodeKind::Await { event, .. } => Some(event.clone()),
                _ => None,
            };
            WaitsFor {
                event,
                ..kind("event")
            }
        }
        State::Joining => WaitsFor {
            join: Some(node.name.clone()),
            ..kind("join")
        },
        State::Ending => WaitsFor {
            missing: vec!["the rest of its branches".to_owned()],
            ..kind("join")
        },
        State::Parked => WaitsFor {
            missing: row.record.reason.clone().into_iter().collect(),
            ..kind("operator")
        },
        State::Arrived | State::Succeeded | State::Failed | State::Cancelled => WaitsFor::default(),
    }
}

/// Puts the steps of a run together from its definition, history and live branches.
struct Steps<'a> {
    definition: &'a Definition,
    summary: &'a RunSummary,
    running: &'a RunningJobs,
}

impl Steps<'_> {
    fn views(&self, history: &[HistoryRow], live: &[BranchRow]) -> Vec<StepView> {
        let mut by_node: HashMap<NodeId, Vec<StepView>> = HashMap::new();
        let mut seen: HashMap<(NodeId, ActivationId), usize> = HashMap::new();
        for row in history {
            let views = by_node.entry(row.node).or_default();
            let view = self.ended_view(row);
            if let Some(index) = seen.get(&(row.node, row.activation)) {
                views[*index] = view;
            } else {
                seen.insert((row.node, row.activation), views.len());
                views.push(view);
            }
        }
        for row in live {
            let node = row.position.node;
            let Some(status) = self.live_status(row) else {
                continue;
            };
            let views = by_node.entry(node).or_default();
            let name = row
                .record
                .membership
                .as_ref()
                .map(|membership| membership.name.as_str());
            let index = *seen.entry((node, row.activation)).or_insert_with(|| {
                views.push(self.blank(node, name));
                views.len() - 1
            });
            let view = &mut views[index];
            let begun = matches!(status, StepStatus::Running);
            (view.status, view.attempt) = (
                status,
                row.attempt - u32::from(status == StepStatus::Pending),
            );
            (view.activation, view.ended_at) = (Some(row.activation), None);
            view.reason.clone_from(&row.record.reason);
            if !begun {
                view.started_at = None;
            }
        }
        let mut views = Vec::new();
        for block in self.definition.blocks() {
            views.push(self.block_view(&block.name, &by_node));
        }
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            if matches!(
                node.kind,
                NodeKind::Step(_) | NodeKind::Sleep { .. } | NodeKind::Await { .. }
            ) || by_node.contains_key(&id)
            {
                let unreached = || vec![self.unreached(id)];
                views.extend(by_node.remove(&id).unwrap_or_else(unreached));
            }
        }
        views
    }

    fn blank(&self, id: NodeId, branch: Option<&str>) -> StepView {
        let node = self.definition.node(id);
        StepView {
            step: node.name.clone(),
            kind: node.kind.word().to_owned(),
            parent: node.place.parent.clone(),
            branch: node.place.branch.clone().or(branch.map(str::to_owned)),
            join_policy: node.place.join_policy.clone(),
            activation: None,
            attempt: 0,
            status: StepStatus::Pending,
            reason: None,
            started_at: None,
            ended_at: None,
            output: None,
            error: None,
        }
    }

    fn ended_view(&self, row: &HistoryRow) -> StepView {
        let error = row
            .detail
            .fault
            .as_ref()
            .and_then(|fault| fault.errors.first().cloned());
        StepView {
            activation: Some(row.activation),
            attempt: row.attempt,
            status: row.status,
            reason: row.detail.reason.clone(),
            started_at: row.started_at,
            ended_at: Some(row.ended_at),
            output: row.detail.output.clone().map(Payload::from_json),
            error,
            ..self.blank(row.node, row.branch_name.as_deref())
        }
    }

    /// The status of the step that a live branch stands in; `None` if it stands in a gateway or has
    /// come to its end.
    fn live_status(&self, row: &BranchRow) -> Option<StepStatus> {
        let waits = matches!(
            self.definition.node(row.position.node).kind,
            NodeKind::Step(_) | NodeKind::Sleep { .. } | NodeKind::Await { .. }
        );
        match row.state {
            _ if !waits => None,
            State::Ready if self.running.has(row) => Some(StepStatus::Running),
            State::Ready | State::Held => Some(StepStatus::Pending),
            State::Timer | State::Event | State::Parked => Some(StepStatus::Waiting),
            State::Joining
            | State::Arrived
            | State::Ending
            | State::Succeeded
            | State::Failed
            | State::Cancelled => None,
        }
    }

    fn unreached(&self, id: NodeId) -> StepView {
        let (status, reason) = match self.summary.status {
            RunStatus::Cancelled => (StepStatus::Cancelled, self.summary.reason.clone()),
            RunStatus::Failed => (
                StepStatus::Skipped,
                Some(self.definition.unreached_reason().to_owned()),
            ),
            RunStatus::Succeeded => (StepStatus::Skipped, Some("not-taken".to_owned())),
            RunStatus::Scheduled
            | RunStatus::Pending
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::Parked => (StepStatus::Pending, None),
        };
        StepView {
            status,
            reason,
            ..self.blank(id, None)
        }
    }

    fn block_view(&self, name: &str, by_node: &HashMap<NodeId, Vec<StepView>>) -> StepView {
        let mut members = Vec::new();
        for (id, node) in (0..).map(NodeId).zip(self.definition.nodes()) {
            if node.place.parent.as_deref() == Some(name) {
                match by_node.get(&id) {
                    Some(views) => members.extend(views.iter().cloned()),
                    None if matches!(node.kind, NodeKind::Step(_)) => {
                        members.push(self.unreached(id));
                    }
                    None => {}
                }
            }
        }
        let all = |status: StepStatus| members.iter().all(|member| member.status == status);
        let any = |status: StepStatus| members.iter().any(|member| member.status == status);
        let open = any(StepStatus::Running) || any(StepStatus::Waiting) || any(StepStatus::Pending);
        let status = if members.is_empty() || all(StepStatus::Pending) {
            StepStatus::Pending
        } else if all(StepStatus::Skipped) {
            StepStatus::Skipped
        } else if open {
            StepStatus::Running
        } else if any(StepStatus::Failed) {
            StepStatus::Failed
        } else if any(StepStatus::Cancelled) {
            StepStatus::Cancelled
        } else {
            StepStatus::Succeeded
        };
        let block = self
            .definition
            .blocks()
            .iter()
            .find(|block| block.name == name);
        let over = !matches!(status, StepStatus::Pending | StepStatus::Running);
        let ends = members.iter().filter_map(|member| member.ended_at);
        StepView {
            step: name.to_owned(),
            kind: block.map(|block| block.kind.clone()).unwrap_or_default(),
            parent: block.and_then(|block| block.parent.clone()),
            branch: block.and_then(|block| block.label.clone()),
            join_policy: block.and_then(|block| block.join_policy.clone()),
            activation: None,
            attempt: 0,
            status,
            reason: members
                .first()
                .filter(|_| status == StepStatus::Skipped)
                .and_then(|m| m.reason.clone()),
            started_at: members.iter().filter_map(|member| member.started_at).min(),
            ended_at: ends.max().filter(|_| over),
            output: None,
            error: None,
        }
    }
}
