//! Programs that steps start, each under a guard.
//!
//! A program never outlives its engine to run beside the retry. It runs under a small guard
//! process (this binary again), which holds a lock of its own for the job and a pipe to the engine.
//! When the pipe closes (the engine let go, or died) the guard kills the program with all it
//! started, and only then gives the lock back; the next attempt of that job waits for the lock.
//! Guard and program stand in process groups of their own, so Ctrl-C at the terminal reaches
//! neither.

mod descendants;
mod guard;
mod lock_file;
mod order;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

pub(crate) use guard::main as guard_main;
pub(crate) use order::{End, Report};

use order::Order;

/// The hidden subcommand that makes this binary a guard.
pub(crate) const GUARD: &str = "guard";

/// Bytes of a program's output: what a step gives is stored with the run. More ends the program.
pub(crate) const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the end of a program's error output that are kept for the message.
pub(crate) const ERROR_BYTES_MAX: usize = 4 * 1024;

/// The path of this binary for other processes, also after it was replaced on disk.
pub(crate) fn own_binary() -> PathBuf {
    let link = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if link.exists() {
        link
    } else {
        std::env::current_exe().unwrap_or(link)
    }
}

/// Starts programs for the jobs of one database.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    binary: PathBuf,
    locks: PathBuf,
}

/// One program to be run. What it is given may be secret, so `Debug` only names it.
#[derive(Clone)]
pub(crate) struct Call {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// What is added to our own environment.
    pub(crate) variables: Vec<(String, String)>,
    /// The variables of our own environment that it does not get.
    pub(crate) hidden: Vec<String>,
    /// What it finds on stdin.
    pub(crate) input: Vec<u8>,
    /// Whether stdin stays open after that, until the program has ended.
    pub(crate) holds_input: bool,
    /// A folder with what only this program may read, removed after its end, also if we die.
    pub(crate) private: Option<PathBuf>,
    /// The same for every attempt of one job, and for no other job.
    pub(crate) job: String,
    /// Shown in process lists.
    pub(crate) label: String,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut call = f.debug_struct("Call");
        call.field("job", &self.job).field("label", &self.label);
        call.finish_non_exhaustive()
    }
}

/// Why nothing can be said about a program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// The guard could not be started.
    #[error("the guard process cannot be started: {0}; check process and memory limits")]
    NoGuard(#[source] io::Error),
    /// The guard ended without a report.
    #[error(
        "the guard of the program ended without a report ({0}), so its result is unknown; somebody killed it, or memory ran out"
    )]
    GuardLost(String),
    /// It was asked to stop.
    #[error("the program was stopped: its run was cancelled, or the engine shuts down")]
    Stopped,
}

impl Programs {
    /// Programs of a database whose job locks live in `locks`, a folder that is made here.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(locks: &Path) -> io::Result<Self> {
        lock_file::make_folder(locks)?;
        lock_file::sweep(locks);
        // The link leads to the running binary even after it was replaced on disk.
        let link = PathBuf::from("/proc/self/exe");
        let binary = if link.exists() {
            link
        } else {
            std::env::current_exe()?
        };
        Ok(Self {
            binary,
            locks: locks.to_path_buf(),
        })
    }

    /// Runs a program to its end, or until `stop`; then kills it with all it started, and returns
    /// when that is gone. Dropping the future kills it too.
    ///
    /// First waits until nothing of an earlier attempt of the same job is left.
    pub(crate) async fn run(
        &self,
        call: Call,
        stop: impl Future<Output = ()>,
    ) -> Result<Report, ProgramError> {
        let order = Order {
            lock: self.locks.join(lock_file::name_of(&call.job)),
            command: call.command,
            folder: call.folder,
            input_bytes: call.input.len(),
            holds_input: call.holds_input,
            private: call.private,
        };
        let mut command = Command::new(&self.binary);
        for name in &call.hidden {
            command.env_remove(name);
        }
        let mut guard = command
            .arg0("windlass")
            .args([GUARD, &call.label])
            .envs(call.variables)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ProgramError::NoGuard)?;
        let lost = |why: &dyn std::fmt::Display| ProgramError::GuardLost(why.to_string());
        let (Some(mut lifeline), Some(mut answers)) = (guard.stdin.take(), guard.stdout.take())
        else {
            return Err(lost(&"no pipes"));
        };
        // A guard that is gone already says so by ending without a report.
        let _ = lifeline.write_all(&order.to_line()).await;
        let _ = lifeline.write_all(&call.input).await;
        let mut answer = Vec::new();
        let stopped = tokio::select! {
            read = answers.read_to_end(&mut answer) => { read.map_err(|error| lost(&error))?; false }
            () = stop => true,
        };
        drop(lifeline);
        let status = guard.wait().await.map_err(|error| lost(&error))?;
        if stopped {
            return Err(ProgramError::Stopped);
        }
        Report::parse(&answer).ok_or_else(|| lost(&status))
    }
}
