//! The specification's enumerations: why a value was returned, and what went wrong.

use std::fmt;

/// Why a resolution has its value, in OpenFeature's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The flag has no targeting: the same answer for everyone.
    Static,
    /// Targeting matched nothing: the default variant, or the code default.
    Default,
    /// A targeting rule chose the variant.
    TargetingMatch,
    /// A pseudo-random assignment chose the variant.
    Split,
    /// The value comes from a client's cache.
    Cached,
    /// The flag is switched off.
    Disabled,
    /// Nobody knows.
    Unknown,
    /// The value may be out of date.
    Stale,
    /// An error; the value is the code default.
    Error,
}

impl Reason {
    /// The text on flagd's and OFREP's wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Cached => "CACHED",
            Self::Disabled => "DISABLED",
            Self::Unknown => "UNKNOWN",
            Self::Stale => "STALE",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the subject came to its variant. Internal: the wire keeps flagd's reasons.
///
/// The decision engine never pools split-assigned and targeted requests in one test, because a
/// targeted cohort is not comparable with the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignment {
    /// Nobody was selected: no targeting, or targeting that fell through to the default.
    Static,
    /// A rule over the context chose.
    Targeted,
    /// `fractional` chose, pseudo-randomly.
    Split,
}

impl Assignment {
    /// A lower-case word for logs, traces and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Targeted => "targeted",
            Self::Split => "split",
        }
    }
}

/// What went wrong, in OpenFeature's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No flags have been loaded yet.
    ProviderNotReady,
    /// No such flag, or no such flag in the selected set.
    FlagNotFound,
    /// The flag's definition cannot be evaluated.
    ParseError,
    /// The value is not of the type that was asked for.
    TypeMismatch,
    /// The rule needs a targeting key and the context has none.
    TargetingKeyMissing,
    /// The evaluation context cannot be read.
    InvalidContext,
    /// Anything else.
    General,
}

impl ErrorCode {
    /// The text on OFREP's wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderNotReady => "PROVIDER_NOT_READY",
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::General => "GENERAL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
