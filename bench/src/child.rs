//! Processes of our own: this binary again, told by its arguments what to measure.
//!
//! Each figure comes from a fresh process, so that memory, caches and threads of an earlier
//! measurement cannot touch it. A role goes in as JSON, figures come out as JSON.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};
use crate::raw::{commits::Commits, rows::RawRows};
use crate::workloads::{
    backlog, idle_latency, noop_jobs, processes, producers, recovery, split_join, wide_split,
};

/// The first argument of a process that measures. A binary that uses this library hands over to
/// [`child_main`] when it finds it.
pub const CHILD: &str = "__measure";

/// What a process of ours measures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    NoopJobs(noop_jobs::NoopJobs),
    SplitJoin(split_join::SplitJoin),
    IdleLatency(idle_latency::IdleLatency),
    ServeLatency(idle_latency::ServeLatency),
    AskLatency(idle_latency::AskLatency),
    FillBacklog(backlog::FillBacklog),
    DrainBacklog(backlog::DrainBacklog),
    Producers(producers::Producers),
    WideSplit(wide_split::WideSplit),
    HoldJobs(recovery::HoldJobs),
    RunAgain(recovery::RunAgain),
    Share(processes::Share),
    RawRows(RawRows),
    Commits(Commits),
}

impl Role {
    fn act(self) -> Result<()> {
        match self {
            Self::NoopJobs(piece) => tell(&piece.measure()?),
            Self::SplitJoin(piece) => tell(&piece.measure()?),
            Self::IdleLatency(piece) => tell(&piece.measure()?),
            Self::ServeLatency(piece) => tell(&piece.measure()?),
            Self::AskLatency(piece) => tell(&piece.ask()?),
            Self::FillBacklog(piece) => tell(&piece.fill()?),
            Self::DrainBacklog(piece) => tell(&piece.measure()?),
            Self::Producers(piece) => tell(&piece.measure()?),
            Self::WideSplit(piece) => tell(&piece.measure()?),
            Self::HoldJobs(piece) => piece.hold(),
            Self::RunAgain(piece) => tell(&piece.measure()?),
            Self::Share(piece) => tell(&piece.measure()?),
            Self::RawRows(piece) => tell(&piece.measure()?),
            Self::Commits(piece) => tell(&piece.measure()?),
        }
    }
}

/// Takes the role in our second argument; for binaries whose first argument is [`CHILD`].
pub fn child_main() -> ExitCode {
    let role = std::env::args().nth(2).unwrap_or_default();
    let acted = serde_json::from_str::<Role>(&role)
        .map_err(BenchError::from)
        .and_then(Role::act);
    match acted {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a stderr there is nobody to tell; the exit code says it too.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Says one thing to the process that started us.
pub(crate) fn tell<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Waits for one line of the process that started us.
pub(crate) fn hear() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

/// Measures in a process of its own.
pub(crate) fn call<T: DeserializeOwned>(role: &Role) -> Result<T> {
    let mut other = Other::start(role)?;
    let answer = other.answer();
    let ended = other.child.wait()?;
    match answer {
        Ok(answer) if ended.success() => Ok(answer),
        Err(error) if ended.success() => Err(error),
        _ => Err(BenchError::Child(ended.to_string())),
    }
}

/// A process of ours to talk with. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Other {
    child: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    pub(crate) fn start(role: &Role) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .arg(serde_json::to_string(role)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || BenchError::Child("it has no stdin and stdout".to_owned());
        let ask = child.stdin.take().ok_or_else(missing)?;
        let answers = child.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            child,
            ask,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Says one line to it.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.ask, "{line}")?;
        Ok(self.ask.flush()?)
    }

    /// The next thing it says; waits for it.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let ended = || BenchError::Child("it ended before it said its figures".to_owned());
        let line = self.answers.next().ok_or_else(ended)??;
        Ok(serde_json::from_str(&line)?)
    }

    /// Ends it as the kernel does, at once.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> Result<()> {
        let ended = self.child.wait()?;
        if ended.success() {
            Ok(())
        } else {
            Err(BenchError::Child(ended.to_string()))
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
