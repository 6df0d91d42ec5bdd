//! `one_thread disk|memory JOBS`: a fixed workload to count instructions on, see `.ci/instructions`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [place, jobs] = words.as_slice() else {
        eprintln!("usage: one_thread disk|memory JOBS");
        return ExitCode::FAILURE;
    };
    let Ok(jobs) = jobs.parse() else {
        eprintln!("{jobs} is no number of jobs");
        return ExitCode::FAILURE;
    };
    match windlass_bench::jobs_on_one_thread(jobs, place == "disk") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
