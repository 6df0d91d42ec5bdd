//! One watched database: what is to fail there, how many calls were made, and what was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fault::{Call, Fault, Times};
use crate::recording::{Event, FileId, Name, Recording};
use crate::vfs;

/// The files of one database (itself, its log, its rollback journal), watched until this is dropped.
/// Files that are open then stay watched until they are closed.
#[derive(Debug)]
pub struct Disk {
    database: PathBuf,
    watched: Arc<Watched>,
}

/// What calls on open files need of it.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<Call, u64>,
    plan: Option<Plan>,
    struck: u64,
    struck_max: Option<u64>,
    recording: Option<Vec<Event>>,
    /// The file that now has each name.
    named: BTreeMap<Name, FileId>,
    files: u32,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    call: Call,
    left: u64,
    fault: Fault,
    times: Times,
}

static WATCHED: Mutex<BTreeMap<PathBuf, Arc<Watched>>> = Mutex::new(BTreeMap::new());

fn watched() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Watched>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watched database that the file at `path` belongs to.
pub(crate) fn find(path: &Path) -> Option<(Arc<Watched>, Name)> {
    let all = watched();
    let text = path.to_str()?;
    Name::ALL.iter().find_map(|name| {
        let database = text.strip_suffix(name.suffix())?;
        let found = all.get(Path::new(database))?;
        Some((Arc::clone(found), *name))
    })
}

impl Disk {
    /// Watches the database at `database`, whose folder must be there. Opened connections are not
    /// watched.
    ///
    /// # Panics
    /// If the folder is not there, the database is watched already, or SQLite refuses the shim.
    pub fn watch(database: &Path) -> Self {
        vfs::install();
        let folder = database.parent().expect("a database is in a folder");
        let folder = folder.canonicalize().expect("the folder is there");
        let database = folder.join(database.file_name().expect("a database has a name"));
        let watched_here = Arc::<Watched>::default();
        let before = watched().insert(database.clone(), Arc::clone(&watched_here));
        assert!(
            before.is_none(),
            "{} is watched already",
            database.display()
        );
        Self {
            database,
            watched: watched_here,
        }
    }

    /// From now on the `nth` call of its kind fails, counted from 1. Takes the place of an earlier
    /// fault.
    pub fn fail(&self, call: Call, nth: u64, fault: Fault, times: Times) {
        let left = nth.max(1);
        self.watched.state().plan = Some(Plan {
            call,
            left,
            fault,
            times,
        });
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.watched.state().plan = None;
    }

    /// The disk heals by itself when so many calls have failed in all: where somebody tries for ever
    /// the test still comes to an end.
    pub fn heal_after(&self, struck_max: u64) {
        self.watched.state().struck_max = Some(struck_max);
    }

    /// How many calls have failed.
    pub fn struck(&self) -> u64 {
        self.watched.state().struck
    }

    /// Calls of a kind so far, failed ones included.
    pub fn calls(&self, call: Call) -> u64 {
        self.watched.state().calls.get(&call).copied().unwrap_or(0)
    }

    /// Writes down every write from now on. Files that are open already are not recorded.
    pub fn record(&self) {
        self.watched.state().recording = Some(Vec::new());
    }

    /// Says in the recording that the test has come so far; images tell how far it had come.
    pub fn mark(&self, so_far: u64) {
        self.watched.note(Event::Mark(so_far));
    }

    /// Ends the recording.
    ///
    /// # Panics
    /// If there is none.
    pub fn recorded(&self) -> Recording {
        let recording = self.watched.state().recording.take();
        Recording(recording.expect("it was begun"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        watched().remove(&self.database);
    }
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; how it is to fail, if it is.
    pub(crate) fn strike(&self, call: Call) -> Option<Fault> {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        let plan = state.plan.as_mut().filter(|plan| plan.call == call)?;
        plan.left = plan.left.saturating_sub(1);
        if plan.left > 0 {
            return None;
        }
        let Plan { fault, times, .. } = *plan;
        state.struck += 1;
        if times == Times::Once || state.struck_max.is_some_and(|max| state.struck >= max) {
            state.plan = None;
        }
        Some(fault)
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.state().recording.is_some()
    }

    pub(crate) fn note(&self, event: Event) {
        if let Some(recording) = &mut self.state().recording {
            recording.push(event);
        }
    }

    /// The file that has this name, if somebody has opened it before.
    pub(crate) fn known(&self, name: Name) -> Option<FileId> {
        self.state().named.get(&name).copied()
    }

    /// A file that SQLite has found (with what is in it) or made under this name.
    pub(crate) fn opened(&self, name: Name, found: Option<Vec<u8>>) -> FileId {
        let mut state = self.state();
        state.files += 1;
        let file = FileId(state.files);
        state.named.insert(name, file);
        if let Some(recording) = &mut state.recording {
            recording.push(match found {
                Some(bytes) => Event::Found { name, file, bytes },
                None => Event::Make { name, file },
            });
        }
        file
    }

    pub(crate) fn deleted(&self, name: Name, synced: bool) {
        let mut state = self.state();
        state.named.remove(&name);
        if let Some(recording) = &mut state.recording {
            recording.push(Event::Delete { name, synced });
        }
    }
}
