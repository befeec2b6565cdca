//! Entity tags: a hash of the answer's bytes, compared weakly.

use std::fmt::Write;

use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The tag of these bytes, with its quotes.
pub(super) fn of(body: &[u8]) -> String {
    let mut tag = String::with_capacity(66);
    tag.push('"');
    for byte in Sha256::digest(body) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether `If-None-Match` lists the tag. Tags hold no comma here, so a list splits at commas. A tag
/// without its quotes is understood, as flagd does.
pub(super) fn is_listed<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>, tag: &str) -> bool {
    let bare = tag.trim_matches('"');
    let listed = |candidate: &str| {
        let candidate = candidate.trim();
        let candidate = candidate.strip_prefix("W/").unwrap_or(candidate);
        candidate == "*" || candidate.trim_matches('"') == bare
    };
    headers
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .any(|list| list.split(',').any(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_quoted_hash_of_the_body() {
        let empty = "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
        assert_eq!(of(b""), empty);
    }

    #[test]
    fn compares_weakly_and_through_lists() {
        let tag = of(b"x");
        let listed = |text: &str| is_listed([&HeaderValue::try_from(text).unwrap()], &tag);
        assert!(listed(&tag));
        assert!(listed("*"));
        assert!(listed(&format!("W/{tag}")));
        assert!(listed(&format!("\"a\" , W/\"b\",{tag}")));
        assert!(!listed(""));
        assert!(!listed("\"x\""));
        assert!(listed(tag.trim_matches('"')), "some clients leave the quotes out");
        assert!(!listed("\"\""));
        assert!(!is_listed([], &tag));
    }
}
