//! Ending everything that a program started.
//!
//! The program's process group is killed first. What left the group (`timeout`, `setsid`, job
//! control) is found by its parent: the guard is the subreaper of its descendants, so whoever loses
//! its parent becomes a child of the guard. Children of ours are never waited for before they are
//! killed, so no process number can have passed to a stranger.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpgid};

/// Pause between two looks at what is left; a killed process is usually gone in less.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Makes orphaned descendants children of this process, where the system can do that.
pub(super) fn adopt() {
    #[cfg(target_os = "linux")]
    // Without it only the process group is found, which holds almost every program.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills every process of the group.
pub(super) fn kill_group(group: Pid) {
    // It fails when nothing is left of the group, which is the aim.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Kills what is left of the group and returns when it is gone. Its leader may be waited for
/// already only by `WNOWAIT`.
pub(super) fn end_group(group: Pid) {
    kill_group(group);
    // All members of a killed group become our children, one after another.
    while waitpgid(group, WaitOptions::empty()).is_ok() {}
}

/// Kills the group and every other descendant, and returns when all are gone.
pub(super) fn end_all(group: Pid) {
    kill_group(group);
    loop {
        let children = children();
        for child in &children {
            let _ = kill_process(*child, Signal::KILL);
        }
        if children.is_empty() {
            break;
        }
        pause(LOOK_AGAIN);
    }
    end_group(group);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the guard waits for the kernel, not for a clock"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Our children that still live.
fn children() -> Vec<Pid> {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = numbers.filter(|number| {
        std::fs::read_to_string(format!("/proc/{number}/stat"))
            .ok()
            .and_then(|stat| state_and_parent(&stat))
            .is_some_and(|(state, parent)| parent == me && !matches!(state, 'Z' | 'X'))
    });
    ours.filter_map(Pid::from_raw).collect()
}

/// Out of `/proc/PID/stat`: `12 (the name) S 7 …`, where the name may hold anything.
fn state_and_parent(stat: &str) -> Option<(char, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_cannot_confuse() {
        assert_eq!(state_and_parent("12 (a) Z 1 (b) S 7 7"), Some(('S', 7)));
        assert_eq!(state_and_parent("12 (sh) Z 34 12 12"), Some(('Z', 34)));
        assert_eq!(state_and_parent("nonsense"), None);
    }
}
