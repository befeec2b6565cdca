//! The process from outside: how it starts, what survives it, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "it polls another process")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A process that hangs fails its test rather than the whole run.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(10);
const FREE_PORTS: [&str; 8] =
    ["--port", "0", "--sync-port", "0", "--ofrep-port", "0", "--management-port", "0"];

struct Sidecar {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    banner: String,
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.current_dir(home).args(arguments).env_clear();
    command
}

/// Runs to the end, which is expected: exit code and standard error.
fn outcome(home: &Path, arguments: &[&str]) -> (i32, String) {
    let output = command(home, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

impl Sidecar {
    /// Starts and reads the banner, which is printed when the process is ready.
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut process = command(home, &[arguments, &FREE_PORTS].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("\n  try ") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let mut errors = String::new();
                process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
                panic!("it ended: {banner}{errors}");
            }
        }
        Self { process, _stdout: stdout, banner }
    }

    /// The address after this word of the banner.
    fn address(&self, word: &str) -> SocketAddr {
        let mut words = self.banner.split_whitespace().skip_while(|found| *found != word);
        words.nth(1).unwrap().trim_start_matches("http://").parse().unwrap()
    }

    fn ofrep(&self, flag: &str) -> String {
        let body = r#"{"context":{"targetingKey":"user-1"}}"#;
        let path = format!("POST /ofrep/v1/evaluate/flags/{flag}");
        exchange(self.address("ofrep"), &path, body)
    }

    fn readiness(&self) -> String {
        exchange(self.address("manage"), "GET /readyz", "")
    }

    fn epoch(&self) -> u64 {
        let scrape = exchange(self.address("manage"), "GET /metrics", "");
        let mut lines = scrape.lines();
        let value = lines.find_map(|line| line.strip_prefix("outrigger_snapshot_epoch "));
        value.unwrap().parse().unwrap()
    }

    /// Waits until the answer contains the text; the sidecar gives no other sign of a reload.
    fn until(&self, text: &str, ask: impl Fn(&Self) -> String) {
        let mut answer = String::new();
        for _ in 0..2_000 {
            answer = ask(self);
            if answer.contains(text) {
                return;
            }
            std::thread::sleep(POLL_EVERY);
        }
        panic!("{text:?} never came: {answer}");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.process.wait().unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It has ended already where a test ended it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exchange(address: SocketAddr, request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn home_with(file: &str, variant: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    write_flag(&home.path().join(file), variant);
    home
}

fn write_flag(path: &Path, variant: &str) {
    let document = format!(
        r#"{{"flags":{{"color":{{"state":"ENABLED","variants":{{"red":"RED","blue":"BLUE"}},
            "defaultVariant":"{variant}"}}}}}}"#
    );
    let beside = path.with_extension("next");
    fs::write(&beside, document).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn serves_reloads_and_ends_with_0() {
    let home = home_with("flags.json", "red");
    let sidecar = Sidecar::start(home.path(), &["serve", "--flags", "flags.json"]);
    assert!(sidecar.readiness().starts_with("HTTP/1.1 200 "));
    assert!(sidecar.ofrep("color").contains("RED"));
    write_flag(&home.path().join("flags.json"), "blue");
    sidecar.until("BLUE", |sidecar| sidecar.ofrep("color"));
    assert_eq!(sidecar.end("-TERM").code(), Some(0));
}

#[test]
fn a_stream_is_told_of_the_end_and_does_not_hold_it_up() {
    let home = home_with("flags.json", "red");
    let arguments = ["start", "--uri", "file:flags.json", "--bind", "127.0.0.1"];
    let sidecar = Sidecar::start(home.path(), &arguments);
    let mut stream = TcpStream::connect(sidecar.address("rpc")).unwrap();
    stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
    let frame = b"\0\0\0\0\x02{}";
    write!(
        stream,
        "POST /flagd.evaluation.v1.Service/EventStream HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/connect+json\r\nContent-Length: {}\r\n\r\n",
        frame.len()
    )
    .unwrap();
    stream.write_all(frame).unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("provider_ready") {
        let mut chunk = [0; 1_024];
        let length = stream.read(&mut chunk).unwrap();
        assert_ne!(length, 0, "ended early: {}", String::from_utf8_lossy(&seen));
        seen.extend(chunk.iter().take(length));
    }
    sidecar.signal("-TERM");
    stream.read_to_end(&mut seen).unwrap();
    assert!(String::from_utf8_lossy(&seen).contains("provider_shutdown"));
    assert_eq!(sidecar.end("-CONT").code(), Some(0));
}

#[test]
fn what_was_served_survives_a_kill_and_the_loss_of_the_source() {
    let home = home_with("flags.json", "red");
    let arguments = ["serve", "--flags", "flags.json", "--state-dir", "state"];
    let sidecar = Sidecar::start(home.path(), &arguments);
    write_flag(&home.path().join("flags.json"), "blue");
    sidecar.until("BLUE", |sidecar| sidecar.ofrep("color"));
    let remembered = home.path().join("state/last-known-good");
    let on_disk = || {
        let file = fs::read_dir(&remembered).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            (path.extension()? == "lkg").then(|| fs::read_to_string(path).unwrap())
        });
        file.unwrap_or_default()
    };
    sidecar.until(r#""defaultVariant":"blue""#, |_| on_disk());
    let epoch = sidecar.epoch();
    sidecar.end("-KILL");

    fs::remove_file(home.path().join("flags.json")).unwrap();
    let sidecar = Sidecar::start(home.path(), &arguments);
    assert!(sidecar.ofrep("color").contains("BLUE"));
    assert!(sidecar.epoch() > epoch, "a revision never repeats, however quick the restart");
    let readiness = sidecar.readiness();
    assert!(readiness.starts_with("HTTP/1.1 200 "), "{readiness}");
    assert!(readiness.contains("flags.json: 1 flags, last-known-good"), "{readiness}");

    write_flag(&home.path().join("flags.json"), "red");
    sidecar.until("RED", |sidecar| sidecar.ofrep("color"));
    sidecar.until("fresh", Sidecar::readiness);
}

#[test]
fn one_state_directory_serves_one_process() {
    let home = home_with("flags.json", "red");
    let arguments = ["serve", "--flags", "flags.json", "--state-dir", "state"];
    let first = Sidecar::start(home.path(), &arguments);
    let (code, errors) = outcome(home.path(), &[&arguments[..], &FREE_PORTS].concat());
    assert_eq!(code, 70, "{errors}");
    assert!(errors.contains("another outrigger uses it"), "{errors}");
    assert_eq!(first.end("-INT").code(), Some(0));
}

#[test]
fn a_port_in_use_is_named() {
    let home = home_with("flags.json", "red");
    let first = Sidecar::start(home.path(), &["serve", "--flags", "flags.json"]);
    let port = first.address("sync").port().to_string();
    let arguments = ["serve", "--flags", "flags.json", "--management-port", "0", "--port", &port];
    let (code, errors) = outcome(home.path(), &arguments);
    assert_eq!(code, 70, "{errors}");
    assert!(errors.contains(&format!("--port {port}: another program")), "{errors}");
}

#[test]
fn bad_configuration_exits_with_78_before_anything_is_served() {
    let home = home_with("broken.json", "no-such-variant");
    fs::write(home.path().join("broken.json"), "{").unwrap();
    for (arguments, reason) in [
        (vec!["serve", "--bind", "0.0.0.0"], "neither TLS nor authentication"),
        (vec!["start", "-f", "file:x.json", "-c", "cert.pem"], "TLS is not served yet"),
        (vec!["start", "-f", "s3://bucket/object"], "cannot read s3 sources"),
        (
            vec!["start", "-f", "file:missing.json", "--bind", "127.0.0.1"],
            "missing.json: there is no",
        ),
        (vec!["serve", "--flags", "broken.json"], "broken.json: refused: "),
    ] {
        let (code, errors) = outcome(home.path(), &[&arguments, &FREE_PORTS[..]].concat());
        assert_eq!(code, 78, "{arguments:?}: {errors}");
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
    }
}

#[test]
fn healthcheck_tells_ready_from_unreachable() {
    let home = home_with("flags.json", "red");
    let sidecar = Sidecar::start(home.path(), &["serve", "--flags", "flags.json"]);
    let port = sidecar.address("manage").port().to_string();
    let check = ["healthcheck", "--management-port", &port];
    assert_eq!(outcome(home.path(), &check).0, 0);
    sidecar.end("-KILL");
    assert_eq!(outcome(home.path(), &check).0, 69);
}

#[test]
fn a_unix_socket_is_made_and_cleared_away() {
    let home = home_with("flags.json", "red");
    let arguments = ["serve", "--flags", "flags.json", "--socket-path", "rpc.sock"];
    let sidecar = Sidecar::start(home.path(), &arguments);
    let socket = home.path().join("rpc.sock");
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    sidecar.end("-KILL");
    let sidecar = Sidecar::start(home.path(), &arguments);
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    assert_eq!(sidecar.end("-TERM").code(), Some(0));
    assert!(!socket.exists());

    let without_flags = ["serve", "--flags", "missing.json", "--socket-path", "rpc.sock"];
    let (code, errors) = outcome(home.path(), &[&without_flags, &FREE_PORTS[..]].concat());
    assert_eq!(code, 78, "{errors}");
    assert!(!socket.exists(), "a start that fails leaves nothing behind");
}
