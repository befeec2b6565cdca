//! Durations as flagd's command line writes them: `30s`, `1h30m`, `250ms`, `0`.

use std::time::Duration;

/// Units, longest spelling first where one begins with another.
const UNITS_NS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// Reads a duration.
pub(super) fn read(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, unit_ns) = UNITS_NS.iter().find(|(name, _)| *name == unit)?;
        let seconds = number.parse::<f64>().ok()? * unit_ns / 1e9;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_s_durations() {
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("30s"), Some(Duration::from_secs(30)));
        assert_eq!(read("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(read("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "30", "s", "1 s", "-1s", "1d", "1e9s", "1.2.3s"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
