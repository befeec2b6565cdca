//! `sem_ver`: semantic versions by flagd's rules.
//!
//! Precedence is that of Semantic Versioning 2.0.0 §11. Beyond the standard, one leading `v` or `V`
//! is allowed, and `1` and `1.2` stand for `1.0.0` and `1.2.0` (but take neither a pre-release nor
//! build metadata).

use std::cmp::Ordering;

/// A version that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    /// Without its hyphen; empty for a release.
    pre_release: &'a str,
}

impl<'a> Version<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = cut(text, '+');
        let (core, pre_release) = cut(text, '-');
        let mut parts = core.split('.');
        let (major, minor, patch) = (parts.next()?, parts.next(), parts.next());
        let is_whole = patch.is_some();
        if parts.next().is_some() || (!is_whole && (pre_release.is_some() || build.is_some())) {
            return None;
        }
        let version = Self {
            major,
            minor: minor.unwrap_or("0"),
            patch: patch.unwrap_or("0"),
            pre_release: pre_release.unwrap_or_default(),
        };
        let numbers_valid =
            [version.major, version.minor, version.patch].into_iter().all(is_number);
        let pre_valid = pre_release.is_none_or(|text| {
            identifiers(text).all(|id| is_identifier(id) && (!is_digits(id) || is_number(id)))
        });
        let build_valid = build.is_none_or(|text| identifiers(text).all(is_identifier));
        (numbers_valid && pre_valid && build_valid).then_some(version)
    }

    fn compare(&self, other: &Self) -> Ordering {
        compare_numbers(self.major, other.major)
            .then_with(|| compare_numbers(self.minor, other.minor))
            .then_with(|| compare_numbers(self.patch, other.patch))
            .then_with(|| compare_pre_releases(self.pre_release, other.pre_release))
    }
}

/// Applies one of flagd's version operators; `None` if there is no such operator.
pub(crate) fn satisfies(
    version: &Version<'_>,
    operator: &str,
    target: &Version<'_>,
) -> Option<bool> {
    let order = version.compare(target);
    Some(match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "^" => version.major == target.major,
        "~" => version.major == target.major && version.minor == target.minor,
        _ => return None,
    })
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split('.')
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits without a leading zero.
fn is_number(text: &str) -> bool {
    is_digits(text) && (text.len() == 1 || !text.starts_with('0'))
}

/// Numbers of any length: the longer one is larger, as neither has leading zeros.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn compare_pre_releases(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut a, mut b) = (identifiers(a), identifiers(b));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (is_digits(a), is_digits(b)) {
                (true, true) => compare_numbers(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(a: &str, operator: &str, b: &str) -> Option<bool> {
        satisfies(&Version::parse(a)?, operator, &Version::parse(b)?)
    }

    #[test]
    fn orders_by_precedence() {
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2.0",
            "2.0.0",
            "10.0.0",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(holds(a, "<", b), Some(i < j), "{a} < {b}");
                assert_eq!(holds(a, ">=", b), Some(i >= j), "{a} >= {b}");
                assert_eq!(holds(a, "=", b), Some(i == j), "{a} = {b}");
            }
        }
    }

    #[test]
    fn reads_flagd_s_forms() {
        assert_eq!(holds("v1.2.3", "=", "V1.2.3+build.7"), Some(true));
        assert_eq!(holds("1", "=", "1.0.0"), Some(true));
        assert_eq!(holds("1.2", "~", "1.2.9"), Some(true));
        assert_eq!(holds("1.9.9", "^", "1"), Some(true));
        assert_eq!(holds("2.0.0", "^", "1.9.9"), Some(false));
        for invalid in [
            "",
            "v",
            "vv1",
            "01.0.0",
            "1.2-rc1",
            "1+b",
            "1.0.0-01",
            "1.0.0-",
            "1.0.0+",
            "1.0.0.0",
            "1..0",
            "a.b.c",
            "1.0.0-a..b",
            " 1.0.0",
        ] {
            assert_eq!(Version::parse(invalid), None, "{invalid}");
        }
        assert_eq!(holds("1.0.0", "==", "1.0.0"), None);
    }
}
