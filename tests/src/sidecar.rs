//! The real process, started as a user would and killed when the test is over.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use serde_json::Value as Json;

use crate::http1::{self, Reply};
use crate::wait::eventually;

/// How to start a sidecar. Every listener gets a free loopback port unless it is said otherwise.
#[derive(Debug, Clone)]
pub struct Start {
    arguments: Vec<String>,
    uid: Option<u32>,
}

/// A process that serves.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    /// Evaluation over gRPC and Connect.
    pub rpc: SocketAddr,
    /// Definitions for in-process providers.
    pub sync: SocketAddr,
    /// OFREP.
    pub ofrep: SocketAddr,
    /// Health, readiness and metrics.
    pub management: SocketAddr,
}

/// How a process ended, and what it had said by then.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard error.
    pub log: String,
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Start {
    /// `outrigger serve`.
    pub fn serve() -> Self {
        Self::verb("serve")
    }

    /// `outrigger start`, flagd's command line.
    pub fn flagd() -> Self {
        Self::verb("start").arg("--bind").arg("127.0.0.1")
    }

    fn verb(verb: &str) -> Self {
        let ports = ["--port", "--sync-port", "--ofrep-port", "--management-port"];
        let ports = ports.into_iter().flat_map(|option| [option, "0"]);
        let arguments = std::iter::once(verb).chain(ports).map(str::to_owned).collect();
        Self { arguments, uid: None }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<Path>) -> Self {
        self.arguments.push(argument.as_ref().display().to_string());
        self
    }

    /// A source of flags, by `serve`'s option.
    #[must_use]
    pub fn flags(self, path: impl AsRef<Path>) -> Self {
        self.arg("--flags").arg(path)
    }

    /// The state directory.
    #[must_use]
    pub fn state(self, path: impl AsRef<Path>) -> Self {
        self.arg("--state-dir").arg(path)
    }

    /// Runs as this user, which only root can ask for.
    #[must_use]
    pub fn as_user(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts the process and waits until it serves.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn expect(&self) -> Sidecar {
        self.run().unwrap_or_else(|ended| panic!("the sidecar did not start: {ended:#?}"))
    }

    /// Starts the process and waits until it ends by itself.
    ///
    /// # Panics
    /// If it serves instead.
    pub fn expect_end(&self) -> Ended {
        match self.run() {
            Err(ended) => ended,
            Ok(sidecar) => panic!("the sidecar started: {}", sidecar.log()),
        }
    }

    fn run(&self) -> Result<Sidecar, Ended> {
        let mut command = Command::new(binary());
        command
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        let mut child = command.spawn().expect("the binary runs");
        let mut banner = BufReader::new(child.stdout.take().expect("piped"));
        let mut process = Process { log: collect(child.stderr.take().expect("piped")), child };
        let mut text = String::new();
        // The banner is printed at once when everything is served, and `try` is its last line.
        while !text.contains("\n  try ") {
            if banner.read_line(&mut text).expect("UTF-8") == 0 {
                let status = process.child.wait().expect("a child");
                return Err(process.ended(status));
            }
        }
        thread::spawn(move || std::io::copy(&mut banner, &mut std::io::sink()));
        let words: Vec<&str> = text.split_whitespace().collect();
        let address = |label: &str| {
            let at = words.iter().position(|word| *word == label).expect("a line of the banner");
            words[at + 1].trim_start_matches("http://").parse().expect("an address")
        };
        let [rpc, sync] = ["rpc", "sync"].map(address);
        let [ofrep, management] = ["ofrep", "manage"].map(address);
        Ok(Sidecar { process, rpc, sync, ofrep, management })
    }
}

impl Sidecar {
    /// Everything on standard error so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.child.try_wait(), Ok(None))
    }

    /// Ends it like an out-of-memory killer: at once.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(mut self) {
        self.process.child.kill().expect("it runs");
        self.process.child.wait().expect("a child");
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Panics
    /// If it does not end.
    pub fn terminate(mut self) -> Ended {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal was sent to {pid}");
        let (status, _) =
            eventually("the process ends", || self.process.child.try_wait().expect("a child"));
        self.process.ended(status)
    }

    /// What OFREP says about a flag, in an empty context.
    ///
    /// # Panics
    /// If there is no JSON answer.
    pub fn resolve(&self, key: &str) -> Json {
        let path = format!("/ofrep/v1/evaluate/flags/{key}");
        let reply = http1::once(self.ofrep, "POST", &path, &[], b"{}").expect("an answer");
        reply.json().unwrap_or_else(|| panic!("{key}: {reply:?}"))
    }

    /// The value of a flag; null if there is none.
    pub fn value(&self, key: &str) -> Json {
        self.resolve(key).get("value").cloned().unwrap_or_default()
    }

    /// The answers to all flags by their keys.
    ///
    /// # Panics
    /// If there is no bulk answer.
    pub fn resolve_all(&self) -> Vec<(String, Json)> {
        let path = "/ofrep/v1/evaluate/flags";
        let reply = http1::once(self.ofrep, "POST", path, &[], b"{}").expect("an answer");
        let body = reply.json().expect("JSON");
        let flags = body["flags"].as_array().expect("flags");
        let key = |flag: &Json| flag["key"].as_str().expect("a key").to_owned();
        flags.iter().map(|flag| (key(flag), flag.clone())).collect()
    }

    /// Waits until the flag has this value.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_value(&self, key: &str, value: impl Into<Json>) -> std::time::Duration {
        let value = value.into();
        let what = format!("{key} = {value}");
        eventually(&what, || (self.value(key) == value).then_some(())).1
    }

    /// What the management listener answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn management(&self, path: &str) -> Reply {
        http1::once(self.management, "GET", path, &[], b"").expect("an answer")
    }

    /// What `/readyz` says; one line for each source.
    pub fn readiness(&self) -> String {
        self.management("/readyz").text()
    }

    /// Waits until `/readyz` says this.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_readiness(&self, text: &str) -> String {
        eventually(text, || Some(self.readiness()).filter(|said| said.contains(text))).0
    }

    /// Waits until standard error says this.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_log(&self, text: &str) {
        eventually(text, || self.log().contains(text).then_some(()));
    }

    /// A metric, by its name with labels as in the scrape; 0 if it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let scrape = self.management("/metrics").text();
        let line = scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    /// Fails unless the process is alive and never panicked.
    ///
    /// # Panics
    /// As it says.
    pub fn assert_unharmed(&mut self) {
        assert!(self.is_alive(), "the process ended: {}", self.log());
        assert_eq!(self.metric("outrigger_panics_total"), 0.0, "{}", self.log());
        assert!(!self.log().contains("panicked at"), "{}", self.log());
    }
}

impl Process {
    fn log(&self) -> String {
        self.log.lock().expect("the reader does not panic").clone()
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        // The pipe may hold a last line that the reader has not read yet.
        let (log, _) = eventually("the end of the log", || {
            (Arc::strong_count(&self.log) == 1).then(|| self.log())
        });
        Ended { code: status.code(), log }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what a pipe says until it is closed; the reader then lets go of the text.
fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&log);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]);
            shared.lock().expect("nobody panics with it").push_str(&text);
        }
    });
    log
}

/// The binary under test: `OUTRIGGER_BIN`, else the one beside this test, built now if need be.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("OUTRIGGER_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test.ancestors().nth(2).expect("<target>/<profile>/deps/<test>");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package", "outrigger", "--message-format", "json"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command.arg("--target-dir").arg(profile.parent().expect("<target>"));
    command.arg("--manifest-path").arg(crate::public_data::repository().join("Cargo.toml"));
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let executable = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Json>(line).ok())
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    executable.expect("cargo says where the binary is")
}
