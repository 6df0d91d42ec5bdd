//! What steps did to the world: a list that no crash of the engine takes anything from.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use windlass::{Context, Handler};

/// One thing that a step did to the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The workflow of the step.
    pub workflow: String,
    /// The step.
    pub step: String,
    /// Its run, as the store numbers it.
    pub run: i64,
    /// Its branch.
    pub branch: i64,
    /// Its activation: the same in every attempt, and after a crash.
    pub activation: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The key that the step gave to what it called.
    pub key: String,
    /// What it did.
    pub what: String,
    /// Whether it undid what the step had done.
    pub is_undo: bool,
}

/// Records what steps do to the world. Cheap to clone; all clones are one.
///
/// A handler calls [`note`](Self::note) at the place where it would send its mail or call its bank.
/// The notes survive the crash of the engine, as mails do; a [`Case`](crate::Case) that knows the
/// recorder clears them before each run of the workflow and then checks what each step has
/// declared: `idempotent` that all notes of one activation have one key and the same content,
/// at most once that there is at most one of them, `undo` that it happened in reverse order.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
struct Place {
    notes: Vec<Note>,
    /// Where processes that are killed write theirs down.
    file: Option<PathBuf>,
}

impl Recorder {
    /// A recorder without notes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the step did `what`, with the key that its context has.
    pub fn note(&self, context: &Context, what: impl Into<String>) {
        self.note_keyed(context, context.idempotency_key(), what);
    }

    /// Notes that the step did `what`, with the key that it really gave to what it called.
    pub fn note_keyed(&self, context: &Context, key: impl Into<String>, what: impl Into<String>) {
        self.add(&note(context, key.into(), what.into(), false));
    }

    /// Notes that what the step had done was undone. For [`Flow::undo`](windlass::Flow::undo).
    pub fn note_undo(&self, context: &Context, what: impl Into<String>) {
        self.add(&note(context, context.idempotency_key(), what.into(), true));
    }

    /// Notes that this step undid what `step` had done, for undoing that is a step of its own.
    pub fn note_undo_of(&self, context: &Context, step: &str, what: impl Into<String>) {
        let undone = note(context, context.idempotency_key(), what.into(), true);
        let step = step.to_owned();
        self.add(&Note { step, ..undone });
    }

    /// The same handler, recorded: each call notes the name of its step first.
    #[must_use]
    pub fn recorded(&self, handler: Handler) -> Handler {
        let recorder = self.clone();
        match handler {
            Handler::Blocking(call) => Handler::blocking(move |context, data| {
                recorder.note(context, context.step());
                call(context, data)
            }),
            Handler::Future(call) => Handler::future(move |context, data| {
                recorder.note(&context, context.step());
                call(context, data)
            }),
        }
    }

    /// Everything that was noted, in order.
    ///
    /// # Panics
    /// When the file of a case with processes cannot be read.
    pub fn notes(&self) -> Vec<Note> {
        let place = self.lock();
        let Some(file) = &place.file else {
            return place.notes.clone();
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        // A kill may have cut the last line off.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }

    /// What was noted of one step, in order.
    pub fn of(&self, step: &str) -> Vec<String> {
        let notes = self.notes().into_iter();
        let of_step = notes.filter(|note| note.step == step && !note.is_undo);
        of_step.map(|note| note.what).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut place = self.lock();
        place.notes.clear();
        if let Some(file) = &place.file {
            // One that is not there has no notes.
            let _ = fs::remove_file(file);
        }
    }

    /// From now on notes are in that file, where other processes add theirs.
    pub(crate) fn keep_in(&self, file: Option<&Path>) {
        self.lock().file = file.map(Path::to_owned);
    }

    fn add(&self, note: &Note) {
        let mut place = self.lock();
        let Some(file) = &place.file else {
            place.notes.push(note.clone());
            return;
        };
        let line = serde_json::to_string(note).expect("a note has a JSON form");
        let file = OpenOptions::new().create(true).append(true).open(file);
        let mut file = file.expect("the folder of the case can be written");
        file.write_all(format!("{line}\n").as_bytes())
            .expect("the notes can be written");
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        // A step that panicked while it took a note has taken it or not.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn note(context: &Context, key: String, what: String, is_undo: bool) -> Note {
    Note {
        workflow: context.workflow().to_owned(),
        step: context.step().to_owned(),
        run: context.run().0,
        branch: context.branch().0,
        activation: context.activation().0,
        attempt: context.attempt(),
        key,
        what,
        is_undo,
    }
}
