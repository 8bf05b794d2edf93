//! What many sizes come to: the mean and exact percentiles, from every value and not from buckets.

use serde::Serialize;

/// Mean and percentiles of sizes; the unit is that of the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// The smallest size that at least half of the sizes do not exceed.
    pub p50: usize,
    /// The smallest size that at least 99 of 100 sizes do not exceed.
    pub p99: usize,
}

impl Summary {
    /// Summary of the sizes, in any order; none of nothing.
    pub fn of(mut sizes: Vec<usize>) -> Option<Summary> {
        sizes.sort_unstable();
        let (p50, p99) = (nearest_rank(&sizes, 50)?, nearest_rank(&sizes, 99)?);
        let sum: u64 = sizes.iter().map(|size| *size as u64).sum();
        Some(Summary { mean: sum as f64 / sizes.len() as f64, p50, p99 })
    }
}

/// The value at this percentile (1 to 100) of ascending values: that of rank `len * percent / 100`, rounded up.
fn nearest_rank(sorted: &[usize], percent: usize) -> Option<usize> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occur() {
        let summary = Summary::of((1..=200).rev().collect()).unwrap();
        assert_eq!(summary, Summary { mean: 100.5, p50: 100, p99: 198 });
        assert_eq!(Summary::of(vec![3, 1, 2]).unwrap(), Summary { mean: 2.0, p50: 2, p99: 3 });
        assert_eq!(Summary::of(vec![7]).unwrap(), Summary { mean: 7.0, p50: 7, p99: 7 });
        assert_eq!(Summary::of(vec![]), None);
    }
}
