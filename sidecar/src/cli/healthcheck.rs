//! `outrigger healthcheck`: for exec probes, in images that have nothing but this binary.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Exit, complain};
use crate::config::MANAGEMENT_PORT;

/// The longest answer that is read; only its first line matters.
const ANSWER_BYTES_MAX: u64 = 1_024;
/// A sidecar answers in microseconds; Kubernetes waits one second.
const TIMEOUT_MS: u64 = 900;

/// Ask a running sidecar whether it is ready
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes\n  0 ready · 1 not ready · 69 unreachable\n\n\
    The port is also read from OUTRIGGER_MANAGEMENT_PORT and FLAGD_MANAGEMENT_PORT.")]
pub(super) struct HealthcheckArgs {
    /// The sidecar's management port [8014]
    #[arg(long, value_name = "PORT")]
    management_port: Option<u16>,
    /// The address it listens on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Ask whether it is alive rather than ready
    #[arg(long)]
    live: bool,
    /// How long to wait
    #[arg(long, value_name = "MS", default_value_t = TIMEOUT_MS, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

pub(super) fn run(args: &HealthcheckArgs, environment: &BTreeMap<String, String>) -> Exit {
    let variables = ["OUTRIGGER_MANAGEMENT_PORT", "FLAGD_MANAGEMENT_PORT"];
    let from_environment =
        || variables.iter().find_map(|name| environment.get(*name)?.parse().ok());
    let port = args.management_port.or_else(from_environment).unwrap_or(MANAGEMENT_PORT);
    let address = SocketAddr::new(args.address, port);
    let path = if args.live { "/healthz" } else { "/readyz" };
    match ask(address, path, Duration::from_millis(args.timeout_ms)) {
        Ok(true) => Exit::Ok,
        Ok(false) => {
            complain(format_args!("http://{address}{path} says no"));
            Exit::No
        }
        Err(error) => {
            complain(format_args!("http://{address}{path} does not answer: {error}"));
            Exit::Unreachable
        }
    }
}

/// Whether the answer is 200.
fn ask(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let host = address.ip();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let status = answer.split(|byte| *byte == b' ').nth(1);
    if answer.starts_with(b"HTTP/1.1 ") {
        Ok(status == Some(b"200"))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "what answers there is no sidecar"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn against(answer: &'static str) -> Exit {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let environment = BTreeMap::from([("FLAGD_MANAGEMENT_PORT".to_owned(), port.to_string())]);
        let args = HealthcheckArgs {
            management_port: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            live: false,
            timeout_ms: 5_000,
        };
        let exit = run(&args, &environment);
        assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        exit
    }

    #[test]
    fn the_answer_is_the_exit_code() {
        assert_eq!(against("HTTP/1.1 200 OK\r\n\r\n"), Exit::Ok);
        assert_eq!(against("HTTP/1.1 412 Precondition Failed\r\n\r\n"), Exit::No);
        assert_eq!(against("SSH-2.0-x 200 \r\n"), Exit::Unreachable);
    }

    #[test]
    fn nobody_there_is_not_a_no() {
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        assert!(ask(address, "/readyz", Duration::from_secs(1)).is_err());
    }
}
