//! What a person reads when the process is ready: where everything is, and what to try.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use outrigger_flags::{Selector, Snapshot};

use super::bind::{Address, Addresses};
use crate::config::{Config, Dialect};

/// Most sources that are named; the rest is counted.
const SOURCES_NAMED_MAX: usize = 3;

/// Prints the banner. Standard output may be closed; that stops nothing.
pub(super) fn print(
    out: &mut dyn Write,
    config: &Config,
    addresses: &Addresses,
    snapshot: &Snapshot,
    state: Option<&Path>,
) {
    let text = banner(config, addresses, snapshot, state);
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn banner(
    config: &Config,
    addresses: &Addresses,
    snapshot: &Snapshot,
    state: Option<&Path>,
) -> String {
    let Addresses { rpc, sync, ofrep, management } = addresses;
    let state = match state {
        Some(path) => format!("in {}", path.display()),
        None => "in memory only (no --state-dir): nothing survives a restart".to_owned(),
    };
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<10} {value}");
    };
    line("flags", &flags(snapshot));
    line("rpc", &format!("{rpc}   sync {sync}   ofrep {ofrep}"));
    line("manage", &format!("http://{management}  (/healthz /readyz /metrics)"));
    if config.dialect == Dialect::Flagd {
        line("reach", &reach(addresses));
    }
    line("fractional", config.generation.as_str());
    line("state", &state);
    line("try", &try_it(ofrep, snapshot));
    text
}

fn flags(snapshot: &Snapshot) -> String {
    let count = snapshot.view(&Selector::Any).len();
    let sources: BTreeSet<&str> =
        snapshot.layers().iter().map(|layer| layer.source().as_str()).collect();
    let named: Vec<&str> = sources.iter().copied().take(SOURCES_NAMED_MAX).collect();
    let rest = match sources.len().saturating_sub(SOURCES_NAMED_MAX) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    let revision = snapshot.revision();
    format!("{count} from {}{rest} (revision {revision}, watching)", named.join(", "))
}

/// Under flagd's command line it matters who can get in.
fn reach(addresses: &Addresses) -> String {
    let Addresses { rpc, sync, ofrep, management } = addresses;
    let all = [("rpc", rpc), ("sync", sync), ("ofrep", ofrep), ("manage", management)];
    let is_open = |address: &Address| match address {
        Address::Tcp(address) => !address.ip().is_loopback(),
        Address::Unix(_) => false,
    };
    let open: Vec<&str> =
        all.into_iter().filter(|(_, address)| is_open(address)).map(|(name, _)| name).collect();
    if open.is_empty() {
        "this host only".to_owned()
    } else {
        format!("{}: other hosts too, without TLS or authentication, as flagd", open.join(", "))
    }
}

/// A command that works when pasted.
fn try_it(ofrep: &Address, snapshot: &Snapshot) -> String {
    let Address::Tcp(address) = ofrep else { return "an OpenFeature provider".to_owned() };
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { host(address) };
    let port = address.port();
    let is_plain =
        |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let view = snapshot.view(&Selector::Any);
    let key = view.flags().iter().map(|flag| flag.key()).find(|key| is_plain(key));
    let flag = key.map(|key| format!("/{key}")).unwrap_or_default();
    format!(
        "curl -s http://{host}:{port}/ofrep/v1/evaluate/flags{flag} \
         -d '{{\"context\":{{\"targetingKey\":\"user-1\"}}}}'"
    )
}

fn host(address: &std::net::SocketAddr) -> String {
    match address {
        std::net::SocketAddr::V4(address) => address.ip().to_string(),
        std::net::SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outrigger_flags::{Format, Generation, LoadOptions, Revision, SourceName, load};

    use super::*;

    fn snapshot(keys: &[&str]) -> Snapshot {
        let flag = r#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
        let members: Vec<String> = keys.iter().map(|key| format!("{key:?}:{flag}")).collect();
        let document = format!(r#"{{"flags":{{{}}}}}"#, members.join(","));
        let options = LoadOptions { source: SourceName::new("f"), generation: Generation::V2 };
        let layer = load(document.as_bytes(), Format::Json, &options, None).unwrap().layer;
        Snapshot::compose(Revision { epoch: 1, seq: 1 }, &[Arc::new(layer)])
    }

    fn tcp(address: &str) -> Address {
        Address::Tcp(address.parse().unwrap())
    }

    #[test]
    fn the_command_to_try_works_when_pasted() {
        let flags = snapshot(&["a'; rm -rf /", "b c", "d.e-f_1"]);
        let command = try_it(&tcp("[::]:8016"), &flags);
        assert!(
            command.starts_with("curl -s http://127.0.0.1:8016/ofrep/v1/evaluate/flags/d.e-f_1 ")
        );
        let command = try_it(&tcp("[::1]:9"), &snapshot(&["b c"]));
        assert!(
            command.starts_with("curl -s http://[::1]:9/ofrep/v1/evaluate/flags -d"),
            "{command}"
        );
    }

    #[test]
    fn who_can_get_in_is_said() {
        let mut addresses = Addresses {
            rpc: Address::Unix("/run/s".into()),
            sync: tcp("127.0.0.1:1"),
            ofrep: tcp("[::1]:2"),
            management: tcp("127.0.0.1:3"),
        };
        assert_eq!(reach(&addresses), "this host only");
        addresses.management = tcp("[::]:3");
        addresses.ofrep = tcp("10.0.0.7:2");
        assert!(reach(&addresses).starts_with("ofrep, manage: other hosts too, without TLS"));
    }
}
