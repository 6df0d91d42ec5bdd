//! Allocations per job on the hot path, counted on one thread; those of SQLite itself are not seen.
//!
//! A bound that is exceeded is either a mistake or a price to be named: then the note here changes
//! with it. One test, since whatever else ran at the same time would be counted along.

use windlass_bench::jobs_on_one_thread;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Allocations per job from admission to checkpoint, as counted when this was last changed.
const NOTED_ON_DISK: f64 = 5.2;
const NOTED_IN_MEMORY: f64 = 5.44;

#[test]
fn a_job_allocates_no_more_than_is_noted() {
    let profiler = dhat::Profiler::builder().testing().build();
    for (disk, noted) in [(true, NOTED_ON_DISK), (false, NOTED_IN_MEMORY)] {
        let each = (blocks(20_000, disk) - blocks(5_000, disk)) / 15_000.0;
        assert!(
            each <= noted * 1.05,
            "{each:.2} allocations per job instead of {noted} (disk: {disk})"
        );
        assert!(
            each >= noted * 0.8,
            "only {each:.2} allocations per job instead of {noted} (disk: {disk}): note it"
        );
    }
    drop(profiler);
}

/// Blocks allocated while `jobs` are done.
fn blocks(jobs: u64, disk: bool) -> f64 {
    let before = dhat::HeapStats::get().total_blocks;
    jobs_on_one_thread(jobs, disk).expect("the jobs are done");
    let allocated = dhat::HeapStats::get().total_blocks - before;
    f64::from(u32::try_from(allocated).expect("fewer than 2^32"))
}
