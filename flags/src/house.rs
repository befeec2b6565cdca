//! Our own settings in a flag's metadata, and the house rules that `validate --strict` checks.
//!
//! Flag files stay pure flagd documents; what we need to know beyond flagd travels as primitives in
//! `metadata`: `owner`, `expires` (a date), `safeVariant`.

use crate::evaluate::UnixSeconds;
use crate::flag::{Flag, Variant};
use crate::value::{Object, Value};

const SECONDS_PER_DAY: i64 = 86_400;
/// The names that a variant which means "off" goes by.
const SAFE_NAMES: [&str; 3] = ["off", "disabled", "control"];

impl Flag {
    /// The variant that is safe to serve to everyone: `metadata.safeVariant`; else, of a boolean
    /// flag, its only `false` variant; else a variant named off, disabled or control; else none.
    pub fn safe_variant(&self) -> Option<&Variant> {
        let place = safe_variant(
            &self.metadata,
            self.variants().iter().map(|variant| (variant.name(), variant.value())),
        )?;
        self.variants().get(place)
    }
}

/// The place of the safe variant.
pub(crate) fn safe_variant<'v>(
    metadata: &Object,
    variants: impl Iterator<Item = (&'v str, &'v Value)> + Clone,
) -> Option<usize> {
    if let Some(Value::String(wanted)) = metadata.get("safeVariant") {
        let mut variants = variants;
        return variants.position(|(name, _)| *name == **wanted);
    }
    let is_boolean = variants.clone().all(|(_, value)| matches!(value, Value::Bool(_)));
    if is_boolean {
        let mut off =
            variants.clone().enumerate().filter(|(_, (_, value))| **value == Value::Bool(false));
        if let (Some((place, _)), None) = (off.next(), off.next()) {
            return Some(place);
        }
    }
    let mut names = SAFE_NAMES.iter();
    names.find_map(|safe| variants.clone().position(|(name, _)| name == *safe))
}

/// The first day on which a flag counts as expired, in days since the Unix epoch: the day after the
/// date at the start of `text` (`2026-12-31`, with a time after it if you like).
pub(crate) fn expiry_day(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    let rest_is_time = matches!(text.as_bytes().get(10), None | Some(b'T' | b't' | b' '));
    let mut parts = date.split('-');
    let mut number = |digits: usize| -> Option<i64> {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let is_valid =
        rest_is_time && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    is_valid.then(|| days_since_epoch(year, month, day) + 1)
}

/// The day of a moment, in days since the Unix epoch.
pub(crate) const fn day_of(now: UnixSeconds) -> i64 {
    now.0.div_euclid(SECONDS_PER_DAY)
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, with years that begin in March so that the leap
/// day comes last (the method of H. Hinnant, "chrono-compatible low-level date algorithms").
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_PER_ERA: i64 = 146_097;
    const EPOCH_FROM_ERA_0: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_ERA_0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_the_epoch() {
        assert_eq!(expiry_day("1970-01-01"), Some(1));
        assert_eq!(expiry_day("2000-02-29"), Some(11_017));
        assert_eq!(expiry_day("2026-12-31T23:59:59Z"), Some(20_819));
        for invalid in ["", "2026-13-01", "2026-02-29", "2026-1-1", "31.12.2026", "2026-12-31x"] {
            assert_eq!(expiry_day(invalid), None, "{invalid}");
        }
        assert_eq!(day_of(UnixSeconds(1_798_675_200)), 20_818);
    }

    #[test]
    fn the_safe_variant_is_found_in_order() {
        let place = |metadata: &str, variants: &str| {
            let read = |text: &str| match crate::json::read(text.as_bytes(), 9).unwrap() {
                Value::Object(object) => object,
                _ => panic!("an object"),
            };
            let (metadata, variants) = (read(metadata), read(variants));
            safe_variant(&metadata, variants.iter().collect::<Vec<_>>().into_iter())
        };
        assert_eq!(place(r#"{"safeVariant":"b"}"#, r#"{"a":1,"b":2,"off":3}"#), Some(1));
        assert_eq!(place(r#"{"safeVariant":"nope"}"#, r#"{"off":1}"#), None);
        assert_eq!(place("{}", r#"{"x":true,"y":false}"#), Some(1));
        assert_eq!(place("{}", r#"{"x":false,"y":false,"control":false}"#), Some(2));
        assert_eq!(place("{}", r#"{"a":"1","disabled":"2","control":"3"}"#), Some(1));
        assert_eq!(place("{}", r#"{"a":"1","b":"2"}"#), None);
    }
}
