//! What the process says about its sources: read by the management listener, written by the loader.
//!
//! Stale is not the same as not ready: a process whose sources are all gone goes on serving what it
//! last knew, and says here how old that is.

use std::fmt;

use outrigger_flags::{SourceName, UnixSeconds};

/// The state of every source, in order of priority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// One entry for each document.
    pub sources: Vec<SourceStatus>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SourceStatus { source, health, flags } in &self.sources {
            writeln!(f, "{source}: {flags} flags, {health}")?;
        }
        Ok(())
    }
}

/// The state of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The document's source.
    pub source: SourceName,
    /// How good what is served is.
    pub health: Health,
    /// Flags served from this source.
    pub flags: usize,
}

/// How good the flags are that a source contributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The newest document that was seen is served.
    Fresh,
    /// The source cannot be read; what it said last is served.
    Stale {
        /// When it was last readable.
        since: UnixSeconds,
        /// What is wrong.
        reason: String,
    },
    /// The newest document was refused; the one before is served.
    Refused {
        /// When it was refused.
        since: UnixSeconds,
        /// What is wrong.
        reason: String,
    },
    /// The newest document lacks so many flags that it waits for confirmation.
    Held {
        /// Since when it waits.
        since: UnixSeconds,
        /// How many flags it would remove.
        removed: usize,
    },
    /// Not seen since this process started; the flags come from the state directory.
    LastKnownGood {
        /// When they were written there.
        written: UnixSeconds,
        /// Why the source was not seen.
        reason: String,
    },
}

impl Health {
    /// A lower-case word for logs, answers and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale { .. } => "stale",
            Self::Refused { .. } => "refused",
            Self::Held { .. } => "held",
            Self::LastKnownGood { .. } => "last-known-good",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Fresh => Ok(()),
            Self::Stale { reason, .. } | Self::Refused { reason, .. } => write!(f, ": {reason}"),
            Self::Held { removed, .. } => {
                write!(f, ": the newest document lacks {removed} flags and waits for confirmation")
            }
            Self::LastKnownGood { written, reason } => {
                write!(f, ", written at Unix time {}: {reason}", written.0)
            }
        }
    }
}
