//! Medians, spreads and percentiles.

/// The middle one, or between the middle two; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    upper
        .zip(lower)
        .map_or(0.0, |(upper, lower)| f64::midpoint(*upper, *lower))
}

/// The least; 0 of none.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::min).unwrap_or(0.0)
}

/// The most; 0 of none.
pub fn most(values: &[f64]) -> f64 {
    values.iter().copied().reduce(f64::max).unwrap_or(0.0)
}

/// From the least to the most, as a part of the median.
pub fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle > 0.0 {
        (most(values) - least(values)) / middle
    } else {
        0.0
    }
}

/// The smallest value that at least `percent` of a hundred are not above; 0 of none.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of samples, far below 2^52 and not negative"
    )]
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted
        .get(place.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

/// In order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Three decimals, without a tail that only the machine's arithmetic knows.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// How many in a second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per_second(count: u64, elapsed: std::time::Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_median_ignores_an_outlier_and_the_spread_does_not() {
        assert!(close(median(&[9.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[1.0, 3.0]), 2.0));
        assert!(close(spread(&[9.0, 1.0, 2.0]), 4.0));
        assert!(close(median(&[]), 0.0) && close(spread(&[]), 0.0));
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!(close(percentile(&samples, 50.0), 50.0));
        assert!(close(percentile(&samples, 99.0), 99.0));
        assert!(close(percentile(&samples, 100.0), 100.0));
        assert!(close(percentile(&[], 50.0), 0.0));
    }
}
