//! Strings in, one typed tree out, every problem at once.
//!
//! Settings come from the command line, the environment and (under `start`) a file, in this order of
//! precedence; this module is handed all three as strings and reads nothing itself. What comes out
//! is checked: a [`Config`] can be run. Each default is a constant here with its reason.
//!
//! Two command lines lead to the same tree: [`serve`] is our own, secure by default; [`start`] is
//! flagd's, so that the image can be swapped.

mod duration;
mod file;
pub mod options;
mod read;
mod serve;
mod source;
mod start;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use outrigger_flags::Generation;

use crate::sources::FileSource;
pub use serve::{DEFAULT_FLAGS, serve};
pub use start::start;

/// flagd's port for evaluation. Providers look there.
pub const RPC_PORT: u16 = 8013;
/// flagd's port for health, readiness and metrics. Probes and scrapers look there.
pub const MANAGEMENT_PORT: u16 = 8014;
/// flagd's port for in-process providers.
pub const SYNC_PORT: u16 = 8015;
/// flagd's port for OFREP.
pub const OFREP_PORT: u16 = 8016;
/// How `fractional` hashes unless told otherwise: as flagd's released servers do. Another default
/// would move every user into another bucket on the day the image is swapped.
pub const DEFAULT_GENERATION: Generation = Generation::V2;
/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which command line it came from.
    pub dialect: Dialect,
    /// Evaluation over gRPC and Connect.
    pub rpc: Endpoint,
    /// Definitions for in-process providers.
    pub sync: Endpoint,
    /// OFREP.
    pub ofrep: Endpoint,
    /// Health, readiness, metrics.
    pub management: Endpoint,
    /// Where flags come from, lowest priority first. Never empty.
    pub sources: Vec<FileSource>,
    /// How `fractional` hashes.
    pub generation: Generation,
    /// What survives a restart is kept here.
    pub state_directory: Option<PathBuf>,
    /// How to log.
    pub log: Log,
    /// Laid over the evaluation context of every request.
    pub context_values: Vec<(String, String)>,
    /// Request header to context key; laid over everything else.
    pub context_headers: Vec<(String, String)>,
    /// Browser origins that may call; `*` is any.
    pub cors_origins: Vec<String>,
    /// Request sizes, if set.
    pub request: RequestSizes,
    /// How long a stream may live; `None` is without end.
    pub stream_deadline: Option<Duration>,
    /// Whether `GetMetadata` of the sync service answers.
    pub sync_metadata: bool,
    /// What the operator should know and that keeps nothing from working; one line each.
    pub warnings: Vec<String>,
}

/// Whose command line it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `outrigger serve`.
    Own,
    /// `outrigger start`.
    Flagd,
}

/// Where a listener is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A port; 0 is any free one.
    Tcp {
        /// The address, or `None` for every interface, with both versions of IP.
        address: Option<IpAddr>,
        /// The port.
        port: u16,
        /// The option that names the port.
        option: &'static str,
    },
    /// A Unix socket instead of a port.
    Unix {
        /// Where it is made.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Whether to log what only developers need.
    pub debug: bool,
}

/// flagd's two formats, under flagd's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    Console,
    /// One JSON object each.
    Json,
}

/// The largest request; `None` is the listener's own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestSizes {
    /// Body, bytes.
    pub body_bytes: Option<usize>,
    /// All headers together, bytes.
    pub header_bytes: Option<u32>,
}

/// The strings that a command was given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Command line: option name without dashes, and its values in order.
    pub arguments: BTreeMap<String, Vec<String>>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// The problems, in the order of the options.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the setting was made, or which one is missing.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests;
