// SPDX-License-Identifier: GPL-2.0

//! The statistics that the reports use, and no more.
//!
//! Percentiles are of the nearest rank: always a value that was measured, never
//! one between two. The spread is the sample's standard deviation (n - 1).

use std::collections::BTreeSet;

/// Each of `values` once, in order.
pub fn distinct(values: impl Iterator<Item = u32>) -> Vec<u32> {
    let values: BTreeSet<u32> = values.collect();
    values.into_iter().collect()
}

/// The mean of `values`; zero if there are none.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the sample; zero if it has fewer than two values.
pub fn stddev(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The smallest value that at least `percent` of all values do not exceed;
/// `None` if there are none.
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// `value` over `peer`; `None` where that says nothing.
pub fn ratio(value: f64, peer: f64) -> Option<f64> {
    let ratio = value / peer;
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_few() {
        assert_eq!(mean(&[]), 0.0);
        assert_eq!(mean(&[7.0]), 7.0);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn stddev_is_of_the_sample() {
        assert_eq!(stddev(&[]), 0.0);
        assert_eq!(stddev(&[5.0]), 0.0);
        assert_eq!(stddev(&[4.0, 4.0, 4.0]), 0.0);
        assert_eq!(stddev(&[1.0, 3.0]), 2.0_f64.sqrt());
        // Squares of the distances from 5: 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16.
        let known = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert!((stddev(&known) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn percentile_is_a_measured_value() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (percent, expected) in [(0.0, 1.0), (1.0, 1.0), (50.0, 50.0), (99.0, 99.0)] {
            assert_eq!(percentile(&hundred, percent), Some(expected));
        }
        assert_eq!(percentile(&hundred, 100.0), Some(100.0));
        assert_eq!(percentile(&[3.0], 50.0), Some(3.0));
        assert_eq!(percentile(&[1.0, 2.0], 50.0), Some(1.0));
        assert_eq!(percentile(&[1.0, 2.0], 50.1), Some(2.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn ratio_needs_a_peer() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(0.0, 2.0), Some(0.0));
        assert_eq!(ratio(3.0, 0.0), None);
        assert_eq!(ratio(0.0, 0.0), None);
    }
}
