//! The exit codes, the same for every verb.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the answer is yes.
    Ok,
    /// The answer is no: invalid, not ready, roll back. Never a failure to find out.
    No,
    /// The command line makes no sense.
    Usage,
    /// The sidecar cannot be reached.
    Unreachable,
    /// An internal fault, or the operating system said no.
    Internal,
    /// There is no answer yet.
    Undecided,
    /// The configuration is wrong.
    Config,
}

impl Exit {
    /// The number: from sysexits.h where it has one.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Internal => 70,
            Self::Undecided => 75,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
