//! What is measured during a soak, and what is made of it.

use std::path::Path;
use std::time::Duration;

/// One look at the processes and their file.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// Resident memory of the processes that live all along, in KiB.
    pub(super) memory_kib: Vec<u64>,
    /// Bytes of the write-ahead log.
    pub(super) log_bytes: u64,
    /// Bytes of the database file: what was in use at the fullest moment, for a file does not shrink.
    pub(super) database_bytes: u64,
    /// Bytes of its pages that are in use.
    pub(super) used_bytes: u64,
    /// Jobs done so far.
    pub(super) jobs: u64,
    /// Processor time of all processes so far, in ticks of a hundredth of a second.
    pub(super) ticks: u64,
}

/// The length of a file, looked up without opening it: that would drop locks.
pub(super) fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The resident memory of a process, in KiB; 0 once it has ended.
pub(super) fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default()
}

/// The processor time of a process, in ticks; 0 once it has ended.
pub(super) fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name before it may have spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// By how much a value grows from the first sample to the last, by the line that fits them best: one
/// that jumps to and fro does not grow.
pub(super) fn growth(samples: &[Sample], value: impl Fn(&Sample) -> u64) -> f64 {
    let points: Vec<_> = samples
        .iter()
        .map(|sample| (sample.at.as_secs_f64(), real(value(sample))))
        .collect();
    let count = real(points.len() as u64);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (at, level) = (mean(|point| point.0), mean(|point| point.1));
    let together = points.iter().map(|(x, y)| (x - at) * (y - level));
    let apart = points.iter().map(|(x, _)| (x - at) * (x - at));
    let slope = together.sum::<f64>() / apart.sum::<f64>();
    slope * (points[points.len() - 1].0 - points[0].0)
}

/// The jobs per second of some samples.
pub(super) fn throughput(samples: &[Sample]) -> f64 {
    let (first, last) = (&samples[0], &samples[samples.len() - 1]);
    real(last.jobs - first.jobs) / last.at.saturating_sub(first.at).as_secs_f64()
}

/// The jobs per second of processor time: what others on the machine take does not count.
pub(super) fn jobs_per_cpu(samples: &[Sample]) -> f64 {
    let (first, last) = (&samples[0], &samples[samples.len() - 1]);
    real(last.jobs - first.jobs) * 100.0 / real(last.ticks - first.ticks)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "none of these numbers comes near to 2^52"
)]
pub(super) fn real(number: u64) -> f64 {
    number as f64
}

#[test]
fn growth_is_that_of_the_best_line_and_not_of_single_values() {
    let samples = |memory: &[u64]| -> Vec<Sample> {
        let each = memory.iter().zip(0..);
        let sample = |(kib, second): (&u64, u64)| Sample {
            at: Duration::from_secs(second),
            memory_kib: vec![*kib],
            log_bytes: 0,
            database_bytes: 0,
            used_bytes: 0,
            jobs: second * second,
            ticks: 50 * second,
        };
        each.map(sample).collect()
    };
    let check = |memory: &[u64], expected: f64| {
        let grown = growth(&samples(memory), |sample| sample.memory_kib[0]);
        assert!((grown - expected).abs() < 0.1, "{memory:?}: {grown}");
    };
    check(&[10, 12, 14, 16], 6.0);
    check(&[10, 90, 10, 90, 10], 0.0);
    check(&[16, 14, 12, 10], -6.0);
    let squares = samples(&[0; 4]);
    let jobs = [throughput(&squares), jobs_per_cpu(&squares)];
    assert!((jobs[0] - 3.0).abs() < 0.1, "{jobs:?}");
    assert!((jobs[1] - 6.0).abs() < 0.1, "{jobs:?}");
}
