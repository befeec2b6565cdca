//! Measuring in rounds: everyone runs a short batch in turn, many times over.
//!
//! On a machine that others use too, a quiet minute and a busy one then fall on everyone alike. Of
//! the rounds the median counts; ratios are taken within each round.

use crate::clock::{nanoseconds_each, time};
use crate::contenders::Contender;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// Evaluations of each contender in a round.
    pub batch: usize,
    /// Evaluations before each batch that are not timed, to bring its data back into the caches.
    pub warm_up: usize,
}

/// What was measured: for each contender the nanoseconds of an evaluation, round by round.
#[derive(Debug)]
pub struct Samples(Vec<Vec<f64>>);

impl Samples {
    /// Measures everyone.
    pub fn take(plan: Plan, contenders: &mut [Contender]) -> Self {
        let mut samples = vec![Vec::with_capacity(plan.rounds); contenders.len()];
        for _ in 0..plan.rounds {
            for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
                contender.run(plan.warm_up);
                let (duration, _) = time(|| contender.run(plan.batch));
                samples.push(nanoseconds_each(duration, plan.batch));
            }
        }
        Self(samples)
    }

    /// The median time of a contender.
    pub fn median(&self, contender: usize) -> f64 {
        median(self.0.get(contender).cloned().unwrap_or_default())
    }

    /// The median of the ratios of one contender to another.
    pub fn ratio(&self, contender: usize, to: usize) -> f64 {
        match (self.0.get(contender), self.0.get(to)) {
            (Some(these), Some(those)) => {
                median(these.iter().zip(those).map(|(this, that)| this / that).collect())
            }
            _ => f64::NAN,
        }
    }
}

/// The median; not a number if there is nothing to take it of.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
