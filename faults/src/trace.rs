//! What processes did with their files, call by call, and whether one of them let go of its locks.
//!
//! Owns the rule that no test of behaviour can show: nobody closes a descriptor of a file on which this
//! process holds locks, and that it has open once more. POSIX drops all of them then, also those of
//! other descriptors (<https://sqlite.org/howtocorrupt.html>, 2.2). Knows nothing of SQLite but that it
//! never follows a link to a database, so that its calls are told from those of everybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls that open, close, lock and name files, and those that begin processes.
const CALLS: &str = "trace=open,openat,creat,close,close_range,dup,dup2,dup3,fcntl,link,linkat,rename,\
    renameat,renameat2,unlink,unlinkat,clone,clone3,fork,vfork,execve";

/// The files of one database.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A command that traces the program that is to be its next argument, and all that this one starts,
/// into a file. `None`: there is no `strace` here.
pub fn strace(into: &Path) -> Option<Command> {
    let mut version = Command::new("strace");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().ok()?;
    let mut command = Command::new("strace");
    command
        .args(["-f", "--seccomp-bpf", "-qq", "-s", "0", "-e", CALLS, "-o"])
        .arg(into);
    Some(command)
}

/// What a trace shows of some databases.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Locking {
    /// Descriptors that were opened of their files.
    pub opened: usize,
    /// Processes that opened them.
    pub processes: usize,
    /// Locks that were taken on them.
    pub locks: usize,
    /// Calls that dropped locks in passing, or that could have; each as the trace has it, and why.
    pub strays: Vec<String>,
}

/// Reads a trace: what was done with the files of `databases`, which are absolute paths.
///
/// # Errors
/// The line that cannot be read.
pub fn locking(trace: &str, databases: &[&Path]) -> Result<Locking, String> {
    let files = databases.iter().flat_map(|database| {
        SUFFIXES.map(|suffix| {
            let mut path = database.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        })
    });
    let mut world = World {
        watched: files.collect(),
        ..World::default()
    };
    for call in calls(trace)? {
        world.see(&call);
    }
    world.found.processes = world.users.len();
    Ok(world.found)
}

/// A call that has returned.
#[derive(Debug)]
struct Call<'t> {
    thread: u32,
    name: &'t str,
    arguments: String,
    /// Negative if it failed.
    result: i64,
    /// The line of the trace at which its effect is there.
    line: usize,
}

/// The calls of a trace in the order of their effects. What was interrupted by another thread stands on
/// two lines: a descriptor is free once its close has begun, and a process is there once its making has.
fn calls(trace: &str) -> Result<Vec<Call<'_>>, String> {
    let mut begun: BTreeMap<u32, (usize, &str)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let unread = || format!("line {}: {text}", line + 1);
        let (thread, text) = text.split_once(' ').ok_or_else(unread)?;
        let thread = thread.parse().map_err(|_| unread())?;
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        if let Some(start) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, (line, start));
            continue;
        }
        let (first, whole) = match text.strip_prefix("<... ") {
            None => (line, text.to_owned()),
            Some(rest) => {
                let (_, rest) = rest.split_once(" resumed>").ok_or_else(unread)?;
                let (first, start) = begun.remove(&thread).ok_or_else(unread)?;
                (first, format!("{start}{rest}"))
            }
        };
        let name_length = whole.find('(').ok_or_else(unread)?;
        let (call, result) = whole.rsplit_once(" = ").ok_or_else(unread)?;
        let result = result.split([' ', '(']).next().unwrap_or_default();
        let name = CALLS
            .split(['=', ','])
            .find(|name| *name == &whole[..name_length])
            .ok_or_else(unread)?;
        let begins = matches!(
            name,
            "close" | "close_range" | "clone" | "clone3" | "fork" | "vfork"
        );
        calls.push(Call {
            thread,
            name,
            arguments: call[name_length + 1..]
                .trim_end()
                .trim_end_matches(')')
                .to_owned(),
            // A call that its process did not survive has no result.
            result: result.parse().unwrap_or(-1),
            line: if begins { first } else { line },
        });
    }
    calls.sort_by_key(|call| call.line);
    Ok(calls)
}

/// A file, whatever its names are.
type File = usize;

/// A process, by its first thread.
type Process = u32;

/// Processes, their descriptors and their locks, and the names of files.
#[derive(Debug, Default)]
struct World {
    watched: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, File>,
    files: usize,
    /// The files that had one of the watched names.
    databases: BTreeSet<File>,
    /// Threads that are not the first of their process.
    threads: BTreeMap<u32, Process>,
    descriptors: BTreeMap<(Process, i64), File>,
    /// The locked bytes, from and to.
    locks: BTreeMap<(Process, File), Vec<(u64, u64)>>,
    users: BTreeSet<Process>,
    found: Locking,
}

impl World {
    fn see(&mut self, call: &Call<'_>) {
        if call.result < 0 {
            return;
        }
        let process = self.process_of(call.thread);
        let arguments = call.arguments.as_str();
        let number = |index: usize| -> i64 {
            let argument = arguments.split(", ").nth(index).unwrap_or_default();
            argument.parse().unwrap_or(-1)
        };
        let paths = paths(arguments);
        match (call.name, paths.as_slice()) {
            ("open" | "openat" | "creat", [path]) => self.open(process, path, call),
            ("close", _) => self.close(process, number(0), call),
            ("close_range", _) if !arguments.contains("CLOEXEC") => {
                let range = number(0)..=number(1);
                let open = self.open_in(process);
                let closed = open.filter(|(at, _)| range.contains(at));
                for (at, _) in closed.collect::<Vec<_>>() {
                    self.close(process, at, call);
                }
            }
            ("dup", _) => self.duplicate(process, number(0), call),
            ("dup2" | "dup3", _) if number(0) != number(1) => {
                self.close(process, number(1), call);
                self.duplicate(process, number(0), call);
            }
            ("fcntl", _) if arguments.contains("F_DUPFD") => {
                self.duplicate(process, number(0), call);
            }
            ("fcntl", _) if arguments.contains("F_SETLK") => {
                self.lock(process, number(0), arguments);
            }
            ("link" | "linkat", [old, new]) => self.name(old, new),
            ("rename" | "renameat" | "renameat2", [old, new]) => {
                self.name(old, new);
                self.names.remove(old);
            }
            ("unlink" | "unlinkat", [path]) => drop(self.names.remove(path)),
            ("clone" | "clone3" | "fork" | "vfork", _) => self.begin(process, call),
            // All of ours are closed by it, and with the old program nobody is left who relies on locks.
            ("execve", _) => {
                self.descriptors.retain(|(owner, _), _| *owner != process);
                self.locks.retain(|(owner, _), _| *owner != process);
            }
            _ => {}
        }
    }

    fn process_of(&self, thread: u32) -> Process {
        self.threads.get(&thread).copied().unwrap_or(thread)
    }

    fn begin(&mut self, process: Process, call: &Call<'_>) {
        let Ok(thread) = u32::try_from(call.result) else {
            return;
        };
        if call.arguments.contains("CLONE_FILES") {
            self.threads.insert(thread, process);
            return;
        }
        // It inherits the descriptors, but no locks.
        let inherited: Vec<_> = self.open_in(process).collect();
        for (at, file) in inherited {
            self.descriptors.insert((thread, at), file);
        }
    }

    fn open_in(&self, process: Process) -> impl Iterator<Item = (i64, File)> {
        let range = (process, i64::MIN)..=(process, i64::MAX);
        let open = self.descriptors.range(range);
        open.map(|((_, at), file)| (*at, *file))
    }

    fn open(&mut self, process: Process, path: &Path, call: &Call<'_>) {
        let file = self.names.get(path).copied().unwrap_or_else(|| {
            self.files += 1;
            self.files
        });
        self.names.insert(path.to_owned(), file);
        self.descriptors.insert((process, call.result), file);
        if !self.watched.contains(path) {
            return;
        }
        self.databases.insert(file);
        self.users.insert(process);
        self.found.opened += 1;
        if !call.arguments.contains("O_NOFOLLOW") {
            self.stray(call, process, "not SQLite opened it");
        }
    }

    fn duplicate(&mut self, process: Process, from: i64, call: &Call<'_>) {
        if let Some(file) = self.descriptors.get(&(process, from)).copied() {
            self.descriptors.insert((process, call.result), file);
            if self.databases.contains(&file) {
                self.stray(call, process, "SQLite has one descriptor of each kind");
            }
        }
    }

    fn close(&mut self, process: Process, at: i64, call: &Call<'_>) {
        let Some(file) = self.descriptors.remove(&(process, at)) else {
            return;
        };
        let locked = self.locks.remove(&(process, file));
        let locked = locked.is_some_and(|ranges| !ranges.is_empty());
        if locked && self.open_in(process).any(|(_, other)| other == file) {
            let names = self.names.iter().filter(|(_, named)| **named == file);
            let names: Vec<_> = names.map(|(name, _)| name.display().to_string()).collect();
            let why = format!("it dropped the locks on {}", names.join(" and "));
            self.stray(call, process, &why);
        }
    }

    fn lock(&mut self, process: Process, at: i64, arguments: &str) {
        let Some(file) = self.descriptors.get(&(process, at)).copied() else {
            return;
        };
        let field = |name: &str| -> u64 {
            let after = arguments.split(name).nth(1).unwrap_or_default();
            let digits = after.split([',', '}']).next().unwrap_or_default();
            digits.parse().unwrap_or(0)
        };
        let (start, length) = (field("l_start="), field("l_len="));
        let end = if length == 0 {
            u64::MAX
        } else {
            start + length
        };
        let ranges = self.locks.entry((process, file)).or_default();
        let rest = ranges.drain(..).flat_map(|(from, to)| {
            let (before, after) = ((from, to.min(start)), (from.max(end), to));
            [before, after].into_iter().filter(|(from, to)| from < to)
        });
        *ranges = rest.collect();
        if !arguments.contains("F_UNLCK") {
            ranges.push((start, end));
            self.found.locks += usize::from(self.databases.contains(&file));
        }
    }

    fn name(&mut self, old: &Path, new: &Path) {
        if let Some(file) = self.names.get(old).copied() {
            self.names.insert(new.to_owned(), file);
        }
    }

    fn stray(&mut self, call: &Call<'_>, process: Process, why: &str) {
        let Call {
            name,
            arguments,
            line,
            ..
        } = call;
        let line = line + 1;
        let stray = format!("line {line}, process {process}: {name}({arguments}): {why}");
        self.found.strays.push(stray);
    }
}

/// The paths among the arguments of a call.
fn paths(arguments: &str) -> Vec<PathBuf> {
    let quoted = arguments.split('"').skip(1).step_by(2);
    quoted.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite opens a database twice in one process and locks it.
    const TWO: &str = "\
7 openat(AT_FDCWD, \"/w.db\", O_RDWR|O_NOFOLLOW|O_CLOEXEC) = 4
7 openat(AT_FDCWD, \"/w.db\", O_RDONLY|O_NOFOLLOW|O_CLOEXEC) = 5
7 fcntl(4, F_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=10, l_len=5}) = 0
";

    fn strays(more: &str) -> Vec<String> {
        let trace = format!("{TWO}{more}");
        locking(&trace, &[Path::new("/w.db")]).unwrap().strays
    }

    #[track_caller]
    fn check(more: &str, expected: &[&str]) {
        let strays = strays(more);
        assert_eq!(strays.len(), expected.len(), "{strays:#?}");
        for (stray, expected) in strays.iter().zip(expected) {
            assert!(stray.contains(expected), "{stray}");
        }
    }

    #[test]
    fn what_was_opened_and_locked_is_counted() {
        let found = locking(TWO, &[Path::new("/w.db")]).unwrap();
        let (opened, processes, locks) = (2, 1, 1);
        let strays = Vec::new();
        let expected = Locking {
            opened,
            processes,
            locks,
            strays,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_close_beside_another_descriptor_is_stray_only_while_something_is_locked() {
        check("7 close(5) = 0\n", &["dropped the locks on /w.db"]);
        let unlock = |from: u32, length: u32| {
            format!(
                "7 fcntl(5, F_SETLK, {{l_type=F_UNLCK, l_whence=SEEK_SET, l_start={from}, l_len={length}}}) = 0\n7 close(5) = 0\n"
            )
        };
        check(&unlock(10, 4), &["dropped"]);
        check(&unlock(10, 5), &[]);
        check(&unlock(0, 0), &[]);
        // Of the last descriptor, and of one that failed.
        check(&format!("{}7 close(4) = 0\n", unlock(0, 0)), &[]);
        check("7 close(6) = -1 EBADF (Bad file descriptor)\n", &[]);
    }

    #[test]
    fn others_than_sqlite_are_told_by_the_links_that_they_follow() {
        let copied = "7 openat(AT_FDCWD, \"/w.db\", O_RDONLY|O_CLOEXEC) = 6\n7 close(6) = 0\n";
        check(copied, &["not SQLite", "dropped"]);
        let beside = "7 openat(AT_FDCWD, \"/w.db-shm\", O_RDONLY|O_CLOEXEC) = 6\n7 close(6) = 0\n";
        check(beside, &["not SQLite"]);
        check("7 dup(4) = 6\n", &["one descriptor"]);
        check("7 fcntl(4, F_DUPFD_CLOEXEC, 3) = 6\n", &["one descriptor"]);
        let replaced = "7 openat(AT_FDCWD, \"/a\", O_RDONLY) = 6\n7 dup2(6, 5) = 5\n";
        check(replaced, &["dropped"]);
    }

    #[test]
    fn a_file_is_known_by_all_its_names() {
        let linked = "7 linkat(AT_FDCWD, \"/w.db\", AT_FDCWD, \"/b\", 0) = 0
7 openat(AT_FDCWD, \"/b\", O_RDONLY|O_CLOEXEC) = 6
7 close(6) = 0\n";
        check(linked, &["dropped"]);
        let moved = "7 rename(\"/w.db\", \"/b\") = 0
7 openat(AT_FDCWD, \"/w.db\", O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600) = 6
7 close(6) = 0\n";
        check(moved, &[]);
    }

    #[test]
    fn threads_share_descriptors_and_processes_do_not() {
        let thread =
            "7 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD}, 88) = 8\n8 close(5) = 0\n";
        check(thread, &["process 7"]);
        // A new process is there before the call that made it has returned.
        let process = "7 clone3({flags=CLONE_VM|CLONE_VFORK} <unfinished ...>
8 close(5) = 0
8 execve(\"/bin/true\", [...], 0x7ffc /* 3 vars */ <unfinished ...>
7 <... clone3 resumed>, 88) = 8
8 <... execve resumed>) = 0
8 +++ exited with 0 +++\n";
        check(process, &[]);
    }

    #[test]
    fn a_descriptor_is_free_as_soon_as_its_close_begins() {
        let reused = "7 clone(child_stack=NULL, flags=CLONE_FILES|SIGCHLD) = 8
7 openat(AT_FDCWD, \"/a\", O_RDONLY) = 6
7 close(6 <unfinished ...>
8 openat(AT_FDCWD, \"/w.db\", O_RDONLY|O_NOFOLLOW|O_CLOEXEC) = 6
7 <... close resumed>) = 0\n";
        check(reused, &[]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for wrong in [
            "7",
            "x close(5) = 0",
            "7 close",
            "7 sync() = 0",
            "7 <... close resumed>) = 0",
        ] {
            let found = locking(wrong, &[]);
            assert_eq!(found, Err(format!("line 1: {wrong}")));
        }
    }
}
