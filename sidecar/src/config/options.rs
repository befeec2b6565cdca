//! The options of `serve` and `start`: one table each, from which the command line, the names of the
//! environment variables, the keys of the configuration file and the help are made.

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The long name, without dashes.
    pub name: &'static str,
    /// flagd's short form.
    pub short: Option<char>,
    /// How many values it takes.
    pub shape: Shape,
    /// The heading in the help.
    pub group: Group,
    /// One line of help.
    pub help: &'static str,
    /// Whose option it is, which says how its environment variable begins.
    pub owner: Owner,
    /// Accepted for flagd's sake and without effect here.
    pub ignored: bool,
}

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One; its name in the help.
    One(&'static str),
    /// Several: the option may be repeated.
    Many(&'static str),
    /// True if it is there, or `=true` or `=false`.
    Switch,
}

/// Headings in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Where flags come from.
    Flags,
    /// Where to listen.
    Listeners,
    /// What requests may do.
    Requests,
    /// How the process behaves.
    Process,
    /// Accepted for flagd's sake.
    Ignored,
}

impl Group {
    /// The heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Flags => "Flags",
            Self::Listeners => "Listeners",
            Self::Requests => "Requests",
            Self::Process => "Process",
            Self::Ignored => "Accepted from flagd's command line, without effect",
        }
    }
}

/// Whose option it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Ours: `OUTRIGGER_…`.
    Outrigger,
    /// flagd's: `FLAGD_…`.
    Flagd,
}

impl Spec {
    /// The environment variable with the same meaning.
    pub fn variable(&self) -> String {
        let prefix = match self.owner {
            Owner::Outrigger => "OUTRIGGER_",
            Owner::Flagd => "FLAGD_",
        };
        format!("{prefix}{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn ours(self) -> Self {
        Self { owner: Owner::Outrigger, ..self }
    }

    const fn flagd(self) -> Self {
        Self { owner: Owner::Flagd, ..self }
    }
}

const fn spec(group: Group, name: &'static str, shape: Shape, help: &'static str) -> Spec {
    let owner = Owner::Outrigger;
    Spec { name, short: None, shape, group, help, owner, ignored: false }
}

const fn ignored(name: &'static str, shape: Shape, help: &'static str) -> Spec {
    Spec { ignored: true, ..spec(Group::Ignored, name, shape, help).flagd() }
}

use Group::{Flags, Listeners, Process, Requests};
use Shape::{Many, One, Switch};

const PORT: Spec =
    spec(Listeners, "port", One("PORT"), "evaluation: gRPC, gRPC-Web, Connect [8013]");
const MANAGEMENT_PORT: Spec =
    spec(Listeners, "management-port", One("PORT"), "health, readiness, metrics [8014]");
const SYNC_PORT: Spec =
    spec(Listeners, "sync-port", One("PORT"), "definitions for in-process providers [8015]");
const OFREP_PORT: Spec = spec(Listeners, "ofrep-port", One("PORT"), "OFREP over HTTP [8016]");
const SOCKET_PATH: Spec =
    spec(Listeners, "socket-path", One("PATH"), "Unix socket instead of the evaluation port");
const SYNC_SOCKET_PATH: Spec =
    spec(Listeners, "sync-socket-path", One("PATH"), "Unix socket instead of the sync port");
const CONTEXT_VALUE: Spec =
    spec(Requests, "context-value", Many("KEY=VALUE"), "laid over the context of every request");
const CONTEXT_FROM_HEADER: Spec =
    spec(Requests, "context-from-header", Many("HEADER=KEY"), "context key from a request header");
const CORS_ORIGIN: Spec =
    spec(Requests, "cors-origin", Many("ORIGIN"), "browser origin that may call; * is any");
const LOG_FORMAT: Spec = spec(Process, "log-format", One("FORMAT"), "console or json [console]");
const DEBUG: Spec = spec(Process, "debug", Switch, "log what developers need");
const FRACTIONAL: Spec =
    spec(Process, "fractional", One("GENERATION"), "how fractional hashes: v2 or v3 [v2]");
const STATE_DIR: Spec =
    spec(Process, "state-dir", One("DIR"), "keep here what must survive a restart [memory only]");

/// The options of `outrigger serve`.
pub const SERVE: &[Spec] = &[
    spec(
        Flags,
        "flags",
        Many("PATH"),
        "file, or directory of .json, .yaml and .yml; later ones win [flags/*.flagd.*]",
    ),
    PORT,
    SYNC_PORT,
    OFREP_PORT,
    MANAGEMENT_PORT,
    SOCKET_PATH,
    SYNC_SOCKET_PATH,
    spec(Listeners, "bind", One("ADDRESS"), "loopback address of all ports [127.0.0.1]"),
    CONTEXT_VALUE,
    CONTEXT_FROM_HEADER,
    CORS_ORIGIN,
    FRACTIONAL,
    STATE_DIR,
    LOG_FORMAT,
    DEBUG,
];

/// The options of `outrigger start`: flagd's, and a few of ours.
pub const START: &[Spec] = &[
    spec(Flags, "uri", Many("URI"), "file:PATH; later ones win").short('f').flagd(),
    spec(Flags, "sources", Many("JSON"), "JSON array of {uri, provider}, after the URIs")
        .short('s')
        .flagd(),
    spec(Flags, "config", One("FILE"), "settings by their names here, in YAML or JSON").flagd(),
    PORT.short('p').flagd(),
    MANAGEMENT_PORT.short('m').flagd(),
    SYNC_PORT.short('g').flagd(),
    OFREP_PORT.short('r').flagd(),
    SOCKET_PATH.short('d').flagd(),
    SYNC_SOCKET_PATH.short('e').flagd(),
    spec(Listeners, "bind", One("ADDRESS"), "address of all ports [every interface]").ours(),
    spec(Listeners, "server-cert-path", One("PATH"), "TLS certificate; not served yet")
        .short('c')
        .flagd(),
    spec(Listeners, "server-key-path", One("PATH"), "TLS key; not served yet").short('k').flagd(),
    CONTEXT_VALUE.short('X').flagd(),
    CONTEXT_FROM_HEADER.short('H').flagd(),
    CORS_ORIGIN.short('C').flagd(),
    spec(Requests, "max-request-body", One("BYTES"), "largest request body [1000000]")
        .short('B')
        .flagd(),
    spec(Requests, "max-request-header", One("BYTES"), "largest request headers [1000000]")
        .short('R')
        .flagd(),
    spec(Requests, "stream-deadline", One("DURATION"), "longest life of a stream [0: no end]")
        .flagd(),
    spec(Requests, "disable-sync-metadata", Switch, "GetMetadata is not implemented").flagd(),
    FRACTIONAL.ours(),
    STATE_DIR.ours(),
    LOG_FORMAT.short('z').flagd(),
    DEBUG.short('x').flagd(),
    Spec {
        short: Some('t'),
        ..ignored("metrics-exporter", One("NAME"), "/metrics is always there")
    },
    Spec { short: Some('o'), ..ignored("otel-collector-uri", One("URI"), "nothing is pushed") },
    Spec { short: Some('D'), ..ignored("otel-cert-path", One("PATH"), "nothing is pushed") },
    Spec { short: Some('K'), ..ignored("otel-key-path", One("PATH"), "nothing is pushed") },
    Spec { short: Some('A'), ..ignored("otel-ca-path", One("PATH"), "nothing is pushed") },
    Spec {
        short: Some('I'),
        ..ignored("otel-reload-interval", One("DURATION"), "nothing is pushed")
    },
    ignored("keep-alive-min-time", One("DURATION"), "pings are never punished"),
    ignored("keep-alive-permit-without-stream", Switch, "pings are never punished"),
    ignored("ofrep-sse-enabled", Switch, "no event stream is offered; clients poll"),
    ignored("ofrep-sse-inactivity-delay", One("SECONDS"), "no event stream is offered"),
    ignored("ofrep-sse-public-url", One("URL"), "no event stream is offered"),
    ignored("sync-provider", One("NAME"), "gone from flagd; the URI says it"),
    ignored("sync-provider-args", Many("KEY=VALUE"), "gone from flagd"),
    ignored("evaluator", One("NAME"), "gone from flagd; there is one"),
];
