//! A histogram of nanoseconds that records without allocating: 64 steps to each power of two, so
//! that what is read from it is at most 2 % too low.

/// Steps to a power of two.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = STEPS * (64 - STEP_BITS as usize + 1);

/// Counts of durations.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, max_ns: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket_of(nanoseconds)) {
            *count += 1;
        }
        self.total += 1;
        self.max_ns = self.max_ns.max(nanoseconds);
    }

    /// How many were counted.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The duration below which so many of a million lie.
    pub fn quantile_ns(&self, parts_per_million: u64) -> u64 {
        let rank = u128::from(self.total) * u128::from(parts_per_million) / 1_000_000;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen > rank
        });
        bucket.map_or(self.max_ns, start_of)
    }
}

/// Below `STEPS` a bucket for each nanosecond, then `STEPS` for each power of two.
#[inline]
fn bucket_of(nanoseconds: u64) -> usize {
    let exponent = (nanoseconds | 1).ilog2().saturating_sub(STEP_BITS);
    let mantissa = usize::try_from(nanoseconds >> exponent).unwrap_or(usize::MAX);
    exponent as usize * STEPS + mantissa
}

fn start_of(bucket: usize) -> u64 {
    let exponent = (bucket / STEPS).saturating_sub(1);
    ((bucket - exponent * STEPS) as u64) << exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_bucket_close_below() {
        for exponent in 0..63 {
            for offset in [0, 1, 3, 17] {
                let duration = (1_u64 << exponent) + offset;
                let start = start_of(bucket_of(duration));
                assert!(bucket_of(duration) < BUCKETS);
                assert!(start <= duration && duration - start <= duration / 50, "{duration}");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        (0..=1_000).for_each(|duration| histogram.record(duration));
        assert_eq!(histogram.quantile_ns(0), 0);
        assert!((490..=500).contains(&histogram.quantile_ns(500_000)));
        assert!((980..=990).contains(&histogram.quantile_ns(990_000)));
        assert_eq!(histogram.max_ns(), 1_000);
    }
}
