//! `outrigger serve`: our own command line, secure by default.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use outrigger_flags::SourceName;

use super::options::SERVE;
use super::read::{Origin, Reader};
use super::{Config, ConfigErrors, Dialect, Given, source};
use crate::sources::FileSource;
use crate::sources::file::Names;

/// Where flags are looked for if nobody says where.
pub const DEFAULT_FLAGS: &str = "flags";
/// Whoever can reach the ports can read every flag, so only this host can.
const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Reads the settings of `serve`.
///
/// # Errors
/// All problems at once.
pub fn serve(given: &Given) -> Result<Config, ConfigErrors> {
    let mut reader = Reader::new(SERVE, given);
    let address = address(&mut reader);
    let sources = sources(&mut reader);
    let config = reader.config(Dialect::Own, Some(address), sources);
    reader.finish(config)
}

fn address(reader: &mut Reader<'_>) -> IpAddr {
    let address = reader.address().unwrap_or(DEFAULT_ADDRESS);
    if !address.is_loopback() {
        reader.problem(
            "--bind",
            format!(
                "{address} can be reached from other hosts, and this build has neither TLS nor \
                 authentication for that; bind a loopback address, use --socket-path, or run \
                 `outrigger start`, which listens as flagd does"
            ),
        );
    }
    address
}

fn sources(reader: &mut Reader<'_>) -> Vec<FileSource> {
    let Some(setting) = reader.setting("flags") else {
        let name = SourceName::new(DEFAULT_FLAGS);
        return vec![FileSource { name, path: PathBuf::from(DEFAULT_FLAGS), names: Names::Flagd }];
    };
    // A variable holds several with commas between them; on the command line each has its own word.
    let is_variable = matches!(setting.origin, Origin::Variable(_));
    let paths = setting.texts.iter().flat_map(|text| match is_variable {
        true => text.split(',').map(str::trim).collect(),
        false => vec![text.as_str()],
    });
    let mut sources = Vec::new();
    for path in paths {
        match source::from_path(path) {
            Ok(source) => sources.push(source),
            Err(message) => reader.problem(&setting.origin, message),
        }
    }
    source::without_repetitions(sources, reader)
}
