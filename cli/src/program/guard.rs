//! The guard process: one program, its lock, and the pipe to the engine.
//!
//! Knows no database and no workflow. Ends when the program has ended and nothing of it is left,
//! and kills the program at once when the engine lets go of the pipe.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::lock_file::JobLock;
use super::order::{End, Order, Report};
use super::{ERROR_BYTES_MAX, OUTPUT_BYTES_MAX, descendants};

/// How long after its end a program's output is awaited. Only something that left the program's
/// process group on purpose can still hold the pipe then.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs the guard; returns its exit code.
pub(crate) fn main() -> u8 {
    let mut lifeline = BufReader::new(io::stdin());
    let Ok((order, input)) = Order::read(&mut lifeline) else {
        return 1; // The engine died while it gave the order, or somebody called us by hand.
    };
    let stage = Stage::default();
    stage.keep_in_mind(order.private.clone());
    watch_lifeline(lifeline, stage.clone());
    watch_signals(stage.clone());
    descendants::adopt();

    let report = attend(&order, input, &stage);
    stage.clean_up();
    // Nobody reads it when the engine is gone.
    let _ = report.write(io::stdout().lock());
    0
}

fn attend(order: &Order, input: Vec<u8>, stage: &Stage) -> Report {
    let lock = match JobLock::take(&order.lock) {
        Ok(lock) => lock,
        Err(error) => {
            let lock = order.lock.display();
            return Report::not_started(format!("its lock file {lock} cannot be taken: {error}"));
        }
    };
    let report = match lock.share_with_children().and_then(|()| stage.start(order)) {
        Ok((child, group)) => {
            let input = Input {
                bytes: input,
                is_held: order.holds_input,
            };
            see_through(child, group, input, stage)
        }
        Err(error) => Report::not_started(error),
    };
    lock.give_back();
    report
}

/// Follows a started program to its end.
fn see_through(mut child: Child, group: Pid, input: Input, stage: &Stage) -> Report {
    let fed = input.feed(child.stdin.take());
    let output = Collected::of(child.stdout.take(), OUTPUT_BYTES_MAX, Keep::Start, {
        let stage = stage.clone();
        move || stage.end_now()
    });
    let errors = Collected::of(child.stderr.take(), ERROR_BYTES_MAX, Keep::End, || ());

    let end = end_of(wait_without_reaping(group));
    drop(fed);
    let cut_short = stage.finish();
    if end == End::Exited(0) && !cut_short {
        // What left the group of a program that did its work was meant to stay.
        descendants::end_group(group);
    } else {
        // Nothing of it may run beside the next attempt.
        descendants::end_all(group);
    }
    let (output, too_large) = output.take();
    let (errors, _) = errors.take();
    Report {
        end: if too_large { End::OutputTooLarge } else { end },
        output: if too_large { Vec::new() } else { output },
        errors,
    }
}

fn end_of(status: Option<WaitIdStatus>) -> End {
    let exited = status
        .and_then(|status| status.exit_status())
        .map(End::Exited);
    let killed = || {
        status
            .and_then(|status| status.terminating_signal())
            .map(End::Killed)
    };
    exited.or_else(killed).unwrap_or(End::Killed(0))
}

/// Waits for the program but leaves its number taken, so that its group can still be killed.
fn wait_without_reaping(program: Pid) -> Option<WaitIdStatus> {
    loop {
        match waitid(
            WaitId::Pid(program),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            ended => return ended.ok().flatten(),
        }
    }
}

/// How far the guard has come, shared with whoever may end it early.
#[derive(Clone, Debug, Default)]
struct Stage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The program's process group while it runs.
    group: Option<Pid>,
    /// The program has ended by itself.
    finished: bool,
    /// Somebody ended it.
    cut_short: bool,
    /// What is removed at the end.
    private: Option<PathBuf>,
}

impl State {
    fn clean_up(&mut self) {
        if let Some(private) = self.private.take() {
            // The engine may have been faster.
            let _ = std::fs::remove_dir_all(private);
        }
    }
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program in a process group of its own.
    fn start(&self, order: &Order) -> io::Result<(Child, Pid)> {
        let mut state = self.state();
        let (program, arguments) = order
            .command
            .split_first()
            .ok_or_else(|| io::Error::other("its command is empty"))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(&order.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let folder = order.folder.display();
                io::Error::other(format!(
                    "{program:?} cannot be started in {folder}: {error}"
                ))
            })?;
        let group = Pid::from_child(&child);
        state.group = Some(group);
        Ok((child, group))
    }

    fn keep_in_mind(&self, private: Option<PathBuf>) {
        self.state().private = private;
    }

    fn clean_up(&self) {
        self.state().clean_up();
    }

    /// The engine let go: ends the program, or this process if there is none yet.
    fn end_now(&self) {
        let mut state = self.state();
        match state.group {
            _ if state.finished => {}
            Some(group) => {
                state.cut_short = true;
                descendants::kill_group(group);
            }
            // Still waiting for the lock: nothing runs.
            None => {
                state.clean_up();
                std::process::exit(1)
            }
        }
    }

    /// The program has ended; whether somebody ended it.
    fn finish(&self) -> bool {
        let mut state = self.state();
        state.finished = true;
        state.cut_short
    }
}

/// The engine keeps its end open and sends nothing more; the end of the pipe is its word to stop.
fn watch_lifeline(mut lifeline: impl Read + Send + 'static, stage: Stage) {
    thread::spawn(move || {
        let _ = io::copy(&mut lifeline, &mut io::sink());
        stage.end_now();
    });
}

/// Somebody who asks the guard to go means the program.
fn watch_signals(stage: Stage) {
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]) else {
        return; // The defaults then end the guard, and its lock stays with the program.
    };
    thread::spawn(move || {
        for _ in signals.forever() {
            stage.end_now();
        }
    });
}

/// What the program finds on stdin.
struct Input {
    bytes: Vec<u8>,
    /// Whether stdin then stays open.
    is_held: bool,
}

impl Input {
    /// Writes it; the program need not read it. A held pipe is closed when the answer is dropped.
    fn feed(self, to: Option<impl Write + Send + 'static>) -> mpsc::Sender<()> {
        let (ended, until_end) = mpsc::channel();
        if let Some(mut to) = to {
            thread::spawn(move || {
                let _ = to.write_all(&self.bytes);
                if self.is_held {
                    let _ = until_end.recv();
                }
            });
        }
        ended
    }
}

#[derive(Clone, Copy)]
enum Keep {
    Start,
    End,
}

/// What a pipe brings, up to a bound.
struct Collected {
    bytes: Arc<Mutex<(VecDeque<u8>, bool)>>,
    ended: mpsc::Receiver<()>,
}

impl Collected {
    /// Reads in the background; `overflow` is called once when there is more than `max`.
    fn of(
        from: Option<impl Read + Send + 'static>,
        max: usize,
        keep: Keep,
        overflow: impl FnOnce() + Send + 'static,
    ) -> Self {
        let bytes = Arc::new(Mutex::new((VecDeque::new(), false)));
        let (tell, ended) = mpsc::channel();
        if let Some(from) = from {
            let bytes = Arc::clone(&bytes);
            thread::spawn(move || {
                collect(from, max, keep, &bytes, overflow);
                let _ = tell.send(());
            });
        }
        Self { bytes, ended }
    }

    /// All that came, and whether there was more than allowed.
    fn take(self) -> (Vec<u8>, bool) {
        // At the end of the pipe there is an answer; if somebody still holds it, only silence.
        let _ = self.ended.recv_timeout(DRAIN);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let (collected, overflowed) = std::mem::take(&mut *bytes);
        (collected.into(), overflowed)
    }
}

fn collect(
    mut from: impl Read,
    max: usize,
    keep: Keep,
    bytes: &Mutex<(VecDeque<u8>, bool)>,
    overflow: impl FnOnce(),
) {
    let mut overflow = Some(overflow);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.0.extend(&buffer[..count]);
        let excess = bytes.0.len().saturating_sub(max);
        if excess > 0 {
            bytes.1 = true;
            match keep {
                Keep::Start => bytes.0.truncate(max),
                Keep::End => drop(bytes.0.drain(..excess)),
            }
            drop(bytes);
            if let Some(overflow) = overflow.take() {
                overflow();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keep: Keep, expected: (&[u8], bool, u32)) {
        let bytes = Mutex::new((VecDeque::new(), false));
        let mut overflows = 0;
        collect(&b"0123456789"[..], 4, keep, &bytes, || overflows += 1);
        let (collected, overflowed) = bytes.into_inner().unwrap();
        assert_eq!((&Vec::from(collected)[..], overflowed, overflows), expected);
    }

    #[test]
    fn output_keeps_its_start_and_errors_their_end() {
        check(Keep::Start, (b"0123", true, 1));
        check(Keep::End, (b"6789", true, 1));
    }
}
