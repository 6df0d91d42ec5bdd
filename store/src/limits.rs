//! The bounds of a store (I12), each with its unit and its reason.

use std::time::Duration;

/// Changes in one transaction, so that no caller waits long behind others.
pub const BATCH_CHANGES_MAX: usize = 2_048;

/// Payload bytes of the jobs on a channel, about: it is judged by the mean size of the last jobs.
pub const CHANNEL_BYTES_MAX: u64 = 64 << 20;

/// Payload bytes in one transaction, so that one giant batch does not stall the rest.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// How long changes are gathered into one transaction.
pub const BATCH_TIME_MAX: Duration = Duration::from_millis(10);

/// Changes that wait for the writer. A submitter blocks beyond it. Where orders of threads are played it
/// is so small that they do.
pub const QUEUE_CHANGES_MAX: usize = if cfg!(windlass_shuttle) { 2 } else { 8_192 };

/// Bytes of one payload: input, data of a branch, output, event.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Runs in one `schedule_all`; they are one transaction.
pub const BULK_RUNS_MAX: usize = 1_000_000;

/// Rows that one clean-up deletes in one transaction.
pub const SWEEP_ROWS_MAX: u32 = 4_096;

/// Timers that one transaction fires.
pub const TIMERS_FIRED_MAX: u32 = 512;

/// Jobs that one transaction locks beyond those dispatched directly.
pub const LOCKED_ROWS_MAX: u32 = 2_048;

/// Every so many picks take the oldest job whatever its priority, so that nothing starves.
pub const OLDEST_EVERY: u64 = 8;

/// Events kept for one run, consumed ones included (their ids make duplicates no-ops).
pub const EVENTS_PER_RUN_MAX: u32 = 10_000;

/// Locks of one branch, the last ones, whose attempts keep their rows of history. A loop or a map goes
/// round more often than anybody reads, and would fill the disk.
pub const HISTORY_ATTEMPTS_PER_BRANCH_MAX: i64 = 1_000;

/// Instances that one call adds to an open map; they are one transaction.
pub const MAP_ADD_MAX: usize = 10_000;

/// Bytes of the file's pages in memory, unless somebody asks for something else: the rows of some
/// 100,000 runs.
pub const PAGE_CACHE_BYTES: usize = 64 << 20;

/// Results of a map that a reader holds at once.
pub const RESULTS_AT_ONCE: u32 = 64;

/// Maps of one run that inspection looks at: a map inside a map begins anew for each instance.
pub const MAPS_SHOWN_MAX: u32 = 10_000;

/// Instances of maps of one run of which rows say which they stand in; those after them do not.
pub const INSTANCES_SHOWN_MAX: u32 = 100_000;

/// Places that an instance of a map may have come by, of which it is asked whether it did. There are
/// many only where alternative ways come together again and again without a step between.
pub const INSTANCE_PLACES_WALKED_MAX: usize = 10_000;

/// Rows that are made of a map's instances or a loop's rounds, by the steps and blocks in its body. Of a
/// larger one there is a row for what has happened, and one for each of its blocks in all. Instances that
/// a map which was stopped did not come to have rows as far as there is room.
pub const INSTANCE_ROWS_MAX: usize = 100_000;

/// Size of the write-ahead log at which it is emptied actively, in bytes.
pub const WAL_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a dedupe key or an event id.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Bytes of the state kept in a failed run so that a retry can go on in the middle of a split;
/// beyond it a retry begins at the split.
pub const FRONTIER_BYTES_MAX: usize = 4 << 20;

/// Operations of SQLite's machine that the statements of one step may take; they hold up all other
/// writes.
pub const EFFECT_OPERATIONS_MAX: u32 = 10_000_000;

/// Operations between two looks at how many there were.
pub const EFFECT_OPERATIONS_STEP: u32 = 10_000;

/// Branches around a branch. Each level is a node of its workflow, so no sound file has more; branches
/// of a damaged one may be each other's parents.
pub const BRANCHES_DEEP_MAX: u32 = 100_000;
