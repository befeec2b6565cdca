//! A `fractional` that is prepared when it is compiled: its entries are literals, so everything but
//! the bucket is known beforehand.

use crate::bucket::{Generation, WEIGHT_MAX};
use crate::rule::Rule;
use crate::value::Value;

/// A prepared `fractional`.
#[derive(Debug)]
pub(crate) struct Split {
    /// What to bucket by, unless by flag key and targeting key.
    pub(crate) bucket_by: Option<Rule>,
    pub(crate) entries: Box<[Entry]>,
    pub(crate) total: u32,
}

/// One share of a split.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) variant: Value,
    pub(crate) weight: u32,
}

/// The weight of all entries together; `None` if it is over the limit.
pub(crate) fn total_weight(entries: &[Entry]) -> Option<u32> {
    let total: u64 = entries.iter().map(|entry| u64::from(entry.weight)).sum();
    u32::try_from(total).ok().filter(|total| *total <= WEIGHT_MAX)
}

impl Entry {
    /// Reads a literal `[variant, weight?]`.
    pub(crate) fn of_value(item: &Value, generation: Generation) -> Option<Self> {
        let Value::Array(members) = item else { return None };
        Self::new(members.first()?, members.get(1).map(Some), generation)
    }

    /// An entry of these members; the weight may be left out.
    pub(crate) fn new(
        variant: &Value,
        weight: Option<Option<&Value>>,
        generation: Generation,
    ) -> Option<Self> {
        if matches!(variant, Value::Array(_) | Value::Object(_)) {
            return None;
        }
        let weight = match weight {
            None => 1,
            Some(Some(Value::Null)) if generation == Generation::V2 => 1,
            Some(Some(Value::Number(number))) => whole_weight(number.as_f64())?,
            Some(_) => return None,
        };
        Some(Self { variant: variant.clone(), weight })
    }
}

/// A weight: a whole number; a negative one counts as 0, because roll-out arithmetic yields such.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
fn whole_weight(weight: f64) -> Option<u32> {
    if weight < f64::from(i32::MIN) && weight.fract() == 0.0 && weight < -(2_f64.powi(63)) {
        // Beyond 64 bits flagd's conversion no longer gives the same number, and it gives up.
        return None;
    }
    (weight.fract() == 0.0 && weight <= f64::from(WEIGHT_MAX)).then(|| weight.max(0.0) as u32)
}
