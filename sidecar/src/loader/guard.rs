//! The guard against documents that lost flags nobody removed.
//!
//! A YAML document cut off in the middle is often a valid, shorter document; a wiped one is a valid
//! empty one. So a YAML document that lacks many flags of the one before is *held*: the old one stays
//! live until the removal is confirmed, either by a later version that brings none of the missing
//! flags back, or by [`HOLD`] without any new version. A version that merely continues the held
//! bytes is the same write going on: it confirms nothing and starts the clock again.
//!
//! JSON is never held: no proper prefix of a JSON document is a JSON document, so one that parses is
//! what somebody meant, `{"flags":{}}` included.
//!
//! Small removals pass at once, because removing a flag by hand is everyday work.

use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::{Format, Layer};

/// How long a removal waits for confirmation. Three times the polling interval of files, so that
/// "no new version" has been looked for and is not just a missed event.
pub(super) const HOLD: Duration = Duration::from_secs(10);
/// A document with at most this many flags is too small to judge by shares.
const SMALL_DOCUMENT_FLAGS: usize = 10;
/// Up to this many flags may go at once, whatever the share.
const SMALL_REMOVAL_FLAGS: usize = 5;
/// More than this many flags gone is always held.
const LARGE_REMOVAL_FLAGS: usize = 50;
/// More than this share of the flags gone is held, percent.
const LARGE_REMOVAL_PERCENT: usize = 20;

/// A document that was read, compiled and found valid, and is not live yet.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) layer: Arc<Layer>,
    /// How many flags of the live document it lacks; not counted where that holds nothing up.
    pub(super) removed: usize,
    format: Format,
    bytes: Vec<u8>,
}

impl Offer {
    /// An offer to replace `live`. Comparing large documents takes long: not for the control thread.
    pub(super) fn new(layer: Layer, format: Format, bytes: Vec<u8>, live: Option<&Layer>) -> Self {
        let removed = match (format, live) {
            (Format::Yaml, Some(live)) => layer.removed_since(live),
            _ => 0,
        };
        Self { layer: Arc::new(layer), removed, format, bytes }
    }
}

/// What becomes of an offer.
#[derive(Debug)]
pub(super) enum Judgement {
    /// It goes live.
    Live(Offer),
    /// It waits for confirmation.
    Hold(Offer),
}

/// Judges an offer against the document that is live, if one is, and the one that waits already.
pub(super) fn judge(offer: Offer, live_flags: usize, waiting: Option<&Offer>) -> Judgement {
    let confirmed = waiting
        .is_some_and(|held| offer.removed >= held.removed && !offer.bytes.starts_with(&held.bytes));
    if confirmed || offer.format == Format::Json || is_small(offer.removed, live_flags) {
        Judgement::Live(offer)
    } else {
        Judgement::Hold(offer)
    }
}

fn is_small(removed: usize, of: usize) -> bool {
    of <= SMALL_DOCUMENT_FLAGS
        || removed <= SMALL_REMOVAL_FLAGS
        || (removed <= LARGE_REMOVAL_FLAGS && removed * 100 <= of * LARGE_REMOVAL_PERCENT)
}

#[cfg(test)]
mod tests {
    use outrigger_flags::{Generation, LoadOptions, SourceName, load};

    use super::*;

    fn yaml(flags: std::ops::Range<usize>) -> String {
        let flag = |i| {
            format!(
                "  flag-{i:03}:\n    state: ENABLED\n    variants: {{ on: true }}\n    defaultVariant: on\n"
            )
        };
        format!("flags:\n{}", flags.map(flag).collect::<String>())
    }

    fn layer(text: &str) -> Layer {
        let options = LoadOptions { source: SourceName::new("f"), generation: Generation::V2 };
        load(text.as_bytes(), Format::Yaml, &options, None).unwrap().layer
    }

    /// Judges a text against the live document and the one that waits.
    fn judged(text: &str, format: Format, live: &Layer, waiting: Option<&Offer>) -> Judgement {
        let offer = Offer::new(layer(text), format, text.as_bytes().to_vec(), Some(live));
        judge(offer, live.len(), waiting)
    }

    fn held(judgement: Judgement) -> Option<Offer> {
        match judgement {
            Judgement::Live(_) => None,
            Judgement::Hold(held) => Some(held),
        }
    }

    fn is_held(before: usize, after: usize) -> bool {
        let live = layer(&yaml(0..before));
        held(judged(&yaml(0..after), Format::Yaml, &live, None)).is_some()
    }

    #[test]
    fn large_removals_are_held_and_small_ones_are_not() {
        assert!(!is_held(100, 100));
        assert!(!is_held(100, 80), "20 % is allowed");
        assert!(is_held(100, 79));
        assert!(!is_held(300, 250), "50 flags are allowed");
        assert!(is_held(300, 249));
        assert!(!is_held(20, 15), "five flags are always allowed");
        assert!(is_held(20, 14));
        assert!(!is_held(10, 1), "a small document may lose nearly everything");
    }

    #[test]
    fn the_first_document_and_json_are_never_held() {
        let first = Offer::new(layer(&yaml(0..1)), Format::Yaml, Vec::new(), None);
        assert!(held(judge(first, 0, None)).is_none());
        let live = layer(&yaml(0..100));
        assert!(held(judged(r#"{"flags":{}}"#, Format::Json, &live, None)).is_none());
    }

    #[test]
    fn a_later_version_confirms_unless_it_continues_the_held_one_or_brings_flags_back() {
        let live = layer(&yaml(0..100));
        let offered = |text: &str, waiting| held(judged(text, Format::Yaml, &live, waiting));
        let waiting = offered(&yaml(0..40), None).unwrap();
        assert_eq!(waiting.removed, 60);

        let continued = offered(&yaml(0..60), Some(&waiting));
        assert_eq!(continued.unwrap().removed, 40, "a write that goes on");
        assert!(offered(&format!("{}  # more", yaml(0..40)), Some(&waiting)).is_some());
        assert!(offered(&yaml(60..100), Some(&waiting)).is_none(), "confirmed");
    }

    #[test]
    fn every_prefix_of_a_document_that_parses_is_held_or_loses_next_to_nothing() {
        let whole = yaml(0..60);
        let live = layer(&whole);
        let options = LoadOptions { source: SourceName::new("f"), generation: Generation::V2 };
        let (mut parsed, mut stopped) = (0, 0);
        for end in (0..whole.len()).step_by(7) {
            let bytes = &whole.as_bytes()[..end];
            let Ok(loaded) = load(bytes, Format::Yaml, &options, Some(&live)) else { continue };
            parsed += 1;
            let removed = loaded.layer.removed_since(&live);
            let offer = Offer::new(loaded.layer, Format::Yaml, bytes.to_vec(), Some(&live));
            match judge(offer, live.len(), None) {
                Judgement::Hold(_) => stopped += 1,
                Judgement::Live(_) => assert!(removed <= 12, "{removed} flags lost at byte {end}"),
            }
        }
        assert!(parsed > 100 && stopped > 50, "{parsed} prefixes parsed, {stopped} held");
    }
}
