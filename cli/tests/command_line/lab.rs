//! A folder of its own for each test, and the binary in it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A folder in which `windlass` is called.
pub(crate) struct Lab {
    folder: TempDir,
}

/// What a call left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The result as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, which must have ended with this code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The same, whose words beside the result must hold these.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {}", self.err);
        }
        self
    }
}

impl Lab {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// A folder with one workflow file, `w.yaml`.
    pub(crate) fn with(workflow: &str) -> Self {
        let lab = Self::new();
        lab.write("w.yaml", workflow);
        lab
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A call that is still to be made, in a process group of its own.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WINDLASS_") {
                command.env_remove(name);
            }
        }
        command
            .args(words)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// Calls it and waits for its end.
    pub(crate) fn call(&self, words: &[&str]) -> Done {
        ended(self.command(words).spawn().unwrap())
    }

    /// Calls it and does not wait.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }

    /// Calls it, and kills it when a program of it has left the file `stuck`.
    pub(crate) fn kill_when_stuck(&self, words: &[&str]) {
        let engine = self.start(words);
        eventually("it is stuck", || self.path("stuck").exists());
        kill(engine);
    }

    /// The run's id when there is one.
    pub(crate) fn last_run(&self) -> Value {
        self.call(&["show", "last", "--json"]).expect(0).json()
    }
}

/// Waits for the end of a call; one that takes a minute hangs.
pub(crate) fn ended(child: Child) -> Done {
    let process = child.id().to_string();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let output = told
        .recv_timeout(Duration::from_mins(1))
        .unwrap_or_else(|_| {
            send("KILL", &process);
            panic!("it hangs: {:?}", told.recv());
        });
    let output = output.unwrap();
    Done {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Kills a call in the middle.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Sends a signal to a process, or with `-` in front to a group.
pub(crate) fn send(signal: &str, to: &str) {
    let status = Command::new("kill").args(["-s", signal, "--", to]).status();
    assert!(status.unwrap().success(), "{signal} to {to}");
}

/// Waits until `true`, at most twenty seconds.
pub(crate) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if check() {
            return;
        }
        pause(5);
    }
    panic!("never: {what}");
}

/// Waits for another process.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// The number a program wrote into a file.
pub(crate) fn number(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
