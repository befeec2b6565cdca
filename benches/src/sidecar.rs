//! The release binary, started for a bench, and the processor time it takes.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::client::Failure;

/// A process that serves one file of flags on free loopback ports, and ends with this value.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    /// Evaluation over gRPC and Connect.
    pub rpc: SocketAddr,
    /// OFREP.
    pub ofrep: SocketAddr,
}

impl Sidecar {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If the binary is missing or ends instead.
    pub fn start(flags: &Path) -> Result<Self, Failure> {
        let binary = binary()?;
        let mut child = Command::new(&binary)
            .args(["serve", "--port", "0", "--sync-port", "0"])
            .args(["--ofrep-port", "0", "--management-port", "0", "--flags"])
            .arg(flags)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}; build it first", binary.display()))?;
        let mut banner = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut text = String::new();
        // `try` begins the banner's last line, which is printed when everything is served.
        while !text.contains("\n  try ") {
            if banner.read_line(&mut text)? == 0 {
                return Err(format!("the sidecar has ended: {}", child.wait()?).into());
            }
        }
        let address = |label: &str| -> Result<SocketAddr, Failure> {
            let mut words = text.split_whitespace().skip_while(|word| *word != label).skip(1);
            Ok(words.next().ok_or("a line of the banner is missing")?.parse()?)
        };
        let (rpc, ofrep) = (address("rpc")?, address("ofrep")?);
        Ok(Self { child, rpc, ofrep })
    }

    /// The processor time that its threads have taken so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn processor_time(&self) -> Result<Duration, Failure> {
        let mut total = Duration::ZERO;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let statistics = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = statistics.split_whitespace().next().ok_or("no statistics")?;
            total += Duration::from_nanos(nanoseconds.parse()?);
        }
        Ok(total)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `target/release/outrigger`, found from `target/release/deps/…`, which is this bench.
fn binary() -> Result<PathBuf, Failure> {
    let bench = std::env::current_exe()?;
    let folder = bench.parent().and_then(Path::parent).ok_or("no folder of binaries")?;
    Ok(folder.join("outrigger"))
}
