//! Reading one setting after the other, and gathering what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use outrigger_flags::Generation;

use super::options::Spec;
use super::{
    Config, ConfigErrors, DEFAULT_GENERATION, Dialect, Endpoint, Given, Log, LogFormat,
    MANAGEMENT_PORT, OFREP_PORT, Problem, RPC_PORT, RequestSizes, SYNC_PORT,
};
use crate::sources::FileSource;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Argument(&'static str),
    Variable(String),
    File(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => write!(f, "--{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(key) => write!(f, "{key} in the configuration file"),
        }
    }
}

/// A setting's values, and where they come from.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// Looks settings up by precedence.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    specs: &'static [Spec],
    given: &'a Given,
    /// The keys of a configuration file, in lower case.
    pub(super) file: BTreeMap<String, Vec<String>>,
    problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(specs: &'static [Spec], given: &'a Given) -> Self {
        let (file, problems, warnings) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { specs, given, file, problems, warnings }
    }

    /// What both command lines have; the rest is as under `serve`, where it cannot be set.
    pub(super) fn config(
        &mut self,
        dialect: Dialect,
        address: Option<IpAddr>,
        sources: Vec<FileSource>,
    ) -> Config {
        Config {
            dialect,
            sources,
            rpc: self.endpoint_or_socket(address, ("port", RPC_PORT), "socket-path"),
            sync: self.endpoint_or_socket(address, ("sync-port", SYNC_PORT), "sync-socket-path"),
            ofrep: self.endpoint(address, "ofrep-port", OFREP_PORT),
            management: self.endpoint(address, "management-port", MANAGEMENT_PORT),
            generation: self.generation(),
            state_directory: self.state_directory(),
            log: self.log(),
            context_values: self.pairs("context-value"),
            context_headers: self.pairs("context-from-header"),
            cors_origins: self.cors_origins(),
            request: RequestSizes::default(),
            stream_deadline: None,
            sync_metadata: true,
            warnings: Vec::new(),
        }
    }

    /// The outcome: what was read, with its warnings, unless there were problems.
    pub(super) fn finish(self, config: Config) -> Result<Config, ConfigErrors> {
        match self.problems.is_empty() {
            true => Ok(Config { warnings: self.warnings, ..config }),
            false => Err(ConfigErrors(self.problems)),
        }
    }

    pub(super) fn problem(&mut self, place: impl fmt::Display, message: impl Into<String>) {
        self.problems.push(Problem { place: place.to_string(), message: message.into() });
    }

    /// The setting, from wherever has it first: command line, environment, file.
    pub(super) fn setting(&mut self, name: &'static str) -> Option<Setting> {
        let spec = self.specs.iter().find(|spec| spec.name == name)?;
        if let Some(texts) = self.given.arguments.get(name) {
            return Some(Setting { texts: texts.clone(), origin: Origin::Argument(name) });
        }
        let variable = spec.variable();
        if let Some(text) = self.given.environment.get(&variable).filter(|text| !text.is_empty()) {
            if is_service_link(&variable, text) {
                self.warnings.push(format!(
                    "{variable} was ignored: Kubernetes sets it for a Service of that name \
                     (enableServiceLinks: false turns that off)"
                ));
            } else {
                let texts = vec![text.clone()];
                return Some(Setting { texts, origin: Origin::Variable(variable) });
            }
        }
        let texts = self.file.get(name)?.clone();
        Some(Setting { texts, origin: Origin::File(name) })
    }

    /// The one value of a setting; empty text is no value, as in flagd.
    pub(super) fn text(&mut self, name: &'static str) -> Option<(String, Origin)> {
        let Setting { texts, origin } = self.setting(name)?;
        let text = texts.into_iter().next_back().filter(|text| !text.is_empty())?;
        Some((text, origin))
    }

    /// A value that `read` understands; `what` describes such values.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (text, origin) = self.text(name)?;
        let value = read(text.trim());
        if value.is_none() {
            self.problem(origin, format!("{text:?} is not {what}"));
        }
        value
    }

    pub(super) fn switch(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, "true or false", |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        })
        .unwrap_or(default)
    }

    /// All values of a setting; a text holds several with commas between them.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<(String, Origin)> {
        let Some(Setting { texts, origin }) = self.setting(name) else { return Vec::new() };
        let pieces = |text: String| -> Vec<String> {
            match origin {
                Origin::Argument(_) => text.split(',').map(str::to_owned).collect(),
                Origin::Variable(_) => {
                    text.split([',', ' ', '\n', '\t']).map(str::to_owned).collect()
                }
                Origin::File(_) => vec![text],
            }
        };
        let pieces = texts.into_iter().flat_map(pieces).map(|piece| piece.trim().to_owned());
        pieces.filter(|piece| !piece.is_empty()).map(|piece| (piece, origin.clone())).collect()
    }

    /// A setting of `key=value` pairs.
    pub(super) fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let Some(Setting { texts, origin }) = self.setting(name) else { return Vec::new() };
        let mut pairs = Vec::new();
        for text in texts {
            match read_pairs(&text, &origin) {
                Some(found) => pairs.extend(found),
                None => {
                    // The text may hold a secret; its place is enough.
                    self.problem(&origin, "a value is not of the form key=value");
                }
            }
        }
        pairs
    }

    pub(super) fn endpoint(
        &mut self,
        address: Option<IpAddr>,
        option: &'static str,
        default: u16,
    ) -> Endpoint {
        let port = self
            .parsed(option, "a port: a number from 0 (any free one) to 65535", |text| {
                text.parse().ok()
            })
            .unwrap_or(default);
        Endpoint::Tcp { address, port, option }
    }

    /// A Unix socket if `socket` names one, else the port.
    pub(super) fn endpoint_or_socket(
        &mut self,
        address: Option<IpAddr>,
        (option, default): (&'static str, u16),
        socket: &'static str,
    ) -> Endpoint {
        let tcp = self.endpoint(address, option, default);
        match self.text(socket) {
            Some((path, _)) => Endpoint::Unix { path: PathBuf::from(path), option: socket },
            None => tcp,
        }
    }

    /// An IP address.
    pub(super) fn address(&mut self) -> Option<IpAddr> {
        self.parsed("bind", "an IP address such as 127.0.0.1 or ::1", |text| {
            let text = if text == "localhost" { "127.0.0.1" } else { text };
            text.trim_matches(['[', ']']).parse().ok()
        })
    }

    pub(super) fn generation(&mut self) -> Generation {
        self.parsed("fractional", "a generation: v2 or v3", |text| match text {
            "v2" => Some(Generation::V2),
            "v3" => Some(Generation::V3),
            _ => None,
        })
        .unwrap_or(DEFAULT_GENERATION)
    }

    pub(super) fn log(&mut self) -> Log {
        let format =
            self.parsed("log-format", "a log format: console or json", |text| match text {
                "console" => Some(LogFormat::Console),
                "json" => Some(LogFormat::Json),
                _ => None,
            });
        Log { format: format.unwrap_or(LogFormat::Console), debug: self.switch("debug", false) }
    }

    pub(super) fn state_directory(&mut self) -> Option<PathBuf> {
        self.text("state-dir").map(|(path, _)| PathBuf::from(path))
    }

    pub(super) fn cors_origins(&mut self) -> Vec<String> {
        self.list("cors-origin").into_iter().map(|(origin, _)| origin).collect()
    }

    /// One warning for each option that was given and does nothing.
    pub(super) fn warn_of_ignored(&mut self) {
        for spec in self.specs.iter().filter(|spec| spec.ignored) {
            // The operator sets FLAGD_EVALUATOR=json in every pod; that is not worth a line.
            let usual = |setting: &Setting| spec.name == "evaluator" && setting.texts == ["json"];
            if let Some(setting) = self.setting(spec.name).filter(|setting| !usual(setting)) {
                let warning = format!("{} has no effect here: {}", setting.origin, spec.help);
                self.warnings.push(warning);
            }
        }
    }

    /// One warning for each key of the configuration file that means nothing.
    pub(super) fn warn_of_unknown_keys(&mut self) {
        let known = |key: &String| self.specs.iter().any(|spec| spec.name == key);
        let unknown: Vec<_> = self.file.keys().filter(|key| !known(key)).cloned().collect();
        let warning = |key| format!("{key} in the configuration file was ignored: no such option");
        self.warnings.extend(unknown.into_iter().map(warning));
    }
}

/// Kubernetes sets `NAME_PORT=tcp://…` for every Service of the namespace.
fn is_service_link(variable: &str, text: &str) -> bool {
    variable.ends_with("_PORT") && text.starts_with("tcp://")
}

/// `a=b`, `a=b,c=d`, or from the environment also `{"a":"b"}`. A text with one `=` is one pair, so
/// that its value may hold commas.
fn read_pairs(text: &str, origin: &Origin) -> Option<Vec<(String, String)>> {
    if matches!(origin, Origin::Variable(_)) && text.trim_start().starts_with('{') {
        let map: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        return Some(map.into_iter().collect());
    }
    let whole = matches!(origin, Origin::File(_)) || text.matches('=').count() == 1;
    let pieces = if whole { vec![text] } else { text.split(',').collect() };
    pieces
        .into_iter()
        .map(|piece| {
            let (key, value) = piece.split_once('=')?;
            (!key.is_empty()).then(|| (key.trim().to_owned(), value.trim_matches('"').to_owned()))
        })
        .collect()
}
