//! Selectors: which part of a snapshot a client asks about.
//!
//! The grammar is flagd's: one `key=value` pair with the keys `flagSetId` and `source`; text without
//! `=` names a source; empty text selects everything.

use std::fmt;

use crate::key::{FlagSetId, SourceName};

/// Which flags a client sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Selector {
    /// Every flag; where flag sets share a key, the source of highest priority wins.
    #[default]
    Any,
    /// The flags of one set; `None` selects the flags that belong to no set.
    FlagSet(Option<FlagSetId>),
    /// The flags of one source.
    Source(SourceName),
}

impl Selector {
    /// Reads a selector as sent in the `Flagd-Selector` header.
    ///
    /// # Errors
    /// [`InvalidSelector`] if the text has a key other than `flagSetId` and `source`.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        match text.split_once('=') {
            None if text.is_empty() => Ok(Self::Any),
            None => Ok(Self::Source(SourceName::new(text))),
            Some(("flagSetId", "")) => Ok(Self::FlagSet(None)),
            Some(("flagSetId", set)) => Ok(Self::FlagSet(Some(FlagSetId::new(set)))),
            Some(("source", source)) => Ok(Self::Source(SourceName::new(source))),
            Some((key, _)) => Err(InvalidSelector { key: key.to_owned() }),
        }
    }

    /// The metadata member that reflects this selector in answers, as `(name, value)`.
    pub fn reflection(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Any => None,
            Self::FlagSet(set) => Some(("flagSetId", set.as_ref().map_or("", FlagSetId::as_str))),
            Self::Source(source) => Some(("source", source.as_str())),
        }
    }
}

/// A selector with an unknown key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSelector {
    key: String,
}

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid selector key {:?}, valid keys: \"flagSetId\", \"source\"", self.key)
    }
}

impl std::error::Error for InvalidSelector {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_flagd_s_grammar() {
        let set = |id: &str| Selector::FlagSet(Some(FlagSetId::new(id)));
        assert_eq!(Selector::parse(""), Ok(Selector::Any));
        assert_eq!(Selector::parse("flagSetId=a"), Ok(set("a")));
        assert_eq!(Selector::parse("flagSetId=a=b"), Ok(set("a=b")));
        assert_eq!(Selector::parse("flagSetId="), Ok(Selector::FlagSet(None)));
        assert_eq!(Selector::parse("a.json"), Ok(Selector::Source(SourceName::new("a.json"))));
        assert_eq!(Selector::parse("source=a.json"), Selector::parse("a.json"));
        let error = Selector::parse("team=x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid selector key \"team\", valid keys: \"flagSetId\", \"source\""
        );
    }
}
