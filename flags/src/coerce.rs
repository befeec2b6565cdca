//! Conversions between types, by the two rules that flagd's engine mixes.
//!
//! Comparisons read a value as JavaScript would (`true` is 1, blank text is 0, other text that is no
//! number is "not a number"). Arithmetic reads text that is no number as 0, and refuses what is
//! neither text nor number.

/// The number that a whole text stands for: decimal, with an exponent if you like, `inf`,
/// `infinity` and, without a sign, `nan` in any case; `_` may stand between digits. No blanks.
pub(crate) fn number_of_text(text: &str) -> Option<f64> {
    if !text.contains('_') {
        let is_signed = text.starts_with(['+', '-']);
        return text.parse().ok().filter(|number: &f64| !(is_signed && number.is_nan()));
    }
    let bytes = text.as_bytes();
    let is_digit =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let separates = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let well_placed = (0..bytes.len()).all(|at| bytes.get(at) != Some(&b'_') || separates(at));
    if !well_placed {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// A text as arithmetic reads it.
pub(crate) fn arithmetic_number(text: &str) -> f64 {
    number_of_text(text).unwrap_or(0.0)
}

/// A text as comparisons read it; possibly not a number, which digits beyond any double are not
/// either.
pub(crate) fn comparison_number(text: &str) -> f64 {
    match number_of_text(text) {
        None if text.trim().is_empty() => 0.0,
        Some(number) if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
            f64::NAN
        }
        number => number.unwrap_or(f64::NAN),
    }
}

/// A number as `cat` writes it: decimal, never with an exponent.
pub(crate) fn text_of_number(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}

/// A number as flagd's JSON writer prints it, which is how a number names a variant: an exponent
/// below 1e-6 and from 1e21 on.
pub(crate) fn json_text_of_number(number: f64) -> String {
    const PLAIN_FROM: f64 = 1e-6;
    const PLAIN_TO: f64 = 1e21;
    let magnitude = number.abs();
    if magnitude == 0.0 || (PLAIN_FROM..PLAIN_TO).contains(&magnitude) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// A number as flagd prints it where a version is wanted: an exponent, which no version has, below
/// 1e-4 and from a million on.
pub(crate) fn version_text_of_number(number: f64) -> String {
    const PLAIN_FROM: f64 = 1e-4;
    const PLAIN_TO: f64 = 1e6;
    let magnitude = number.abs();
    if magnitude == 0.0 || (PLAIN_FROM..PLAIN_TO).contains(&magnitude) {
        return number.to_string();
    }
    format!("{number:e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_flagd_does() {
        assert_eq!(number_of_text("1_000"), Some(1000.0));
        assert_eq!(number_of_text("_1"), None);
        assert_eq!(number_of_text("1__0"), None);
        assert_eq!(number_of_text(" 1"), None);
        assert_eq!(number_of_text("0x10"), None);
        assert_eq!(arithmetic_number("abc"), 0.0);
        assert_eq!(comparison_number(" "), 0.0);
        assert!(comparison_number("abc").is_nan());
    }

    #[test]
    fn writes_numbers_as_flagd_does() {
        assert_eq!(text_of_number(1e21), "1000000000000000000000");
        assert_eq!(text_of_number(1e-7), "0.0000001");
        assert_eq!(text_of_number(-0.0), "-0");
        assert_eq!(json_text_of_number(1e21), "1e+21");
        assert_eq!(json_text_of_number(1e-7), "1e-7");
        assert_eq!(json_text_of_number(1e6), "1000000");
        assert_eq!(json_text_of_number(-0.0), "-0");
    }
}
