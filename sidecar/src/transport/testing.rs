//! What the transport tests share: flags that can be republished, and listeners on loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger_flags::{
    Format, Generation, Layer, LoadOptions, Revision, Snapshot, SnapshotStore, SnapshotWriter,
    SourceName, load,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::Listener;
use super::ofrep::OfrepSettings;
use super::rpc::RpcSettings;
use super::sync::SyncSettings;
use crate::evaluation::{Enrichment, Evaluation};
use crate::runtime::{Clock, Shutdown};
use crate::telemetry::metrics::Metrics;

/// No wait in a test is longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Flags of every sort.
pub(crate) const FLAGS: &str = r#"{
  "metadata": {"team": "float"},
  "flags": {
    "boolean": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on",
      "metadata": {"owner": "ada"}},
    "string": {"state": "ENABLED", "variants": {"hi": "hello \"you\""}, "defaultVariant": "hi"},
    "float": {"state": "ENABLED", "variants": {"half": 0.5, "zero": 0.0}, "defaultVariant": "half"},
    "whole": {"state": "ENABLED", "variants": {"zero": 0.0}, "defaultVariant": "zero"},
    "int": {"state": "ENABLED", "variants": {"big": 9007199254740993}, "defaultVariant": "big"},
    "fraction": {"state": "ENABLED", "variants": {"x": -1.9}, "defaultVariant": "x"},
    "object": {"state": "ENABLED", "variants": {"o": {"a": [1, {"b": null}]}}, "defaultVariant": "o"},
    "list": {"state": "ENABLED", "variants": {"l": [1, 2]}, "defaultVariant": "l"},
    "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
    "no-default": {"state": "ENABLED", "variants": {"on": true}},
    "targeted": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [{"==": [{"var": "tier"}, "gold"]}, "on", null]}},
    "astray": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
      "targeting": {"cat": ["no", "where"]}},
    "unparsable": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
      "targeting": {"no-such-operator": []}},
    "in/set": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
      "metadata": {"flagSetId": "s1"}}
  }
}"#;

/// Flags, and what serves them.
pub(crate) struct World {
    writer: SnapshotWriter,
    announce: watch::Sender<Arc<Snapshot>>,
    seq: u64,
    pub(crate) evaluation: Evaluation,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: Shutdown,
}

impl World {
    pub(crate) fn new(document: &str) -> Self {
        Self::enriched(document, Enrichment::default())
    }

    pub(crate) fn enriched(document: &str, enrichment: Enrichment) -> Self {
        let (writer, reader) = SnapshotStore::new(Snapshot::empty());
        let (announce, announcements) = watch::channel(Arc::new(Snapshot::empty()));
        let metrics = Arc::new(Metrics::new().unwrap());
        let evaluation =
            Evaluation::new(reader, announcements, Clock, enrichment, Arc::clone(&metrics));
        let shutdown = Shutdown::default();
        let mut world = Self { writer, announce, seq: 0, evaluation, metrics, shutdown };
        world.publish(document);
        world
    }

    /// Swaps, then announces, as `publish` does.
    pub(crate) fn publish(&mut self, document: &str) {
        self.seq += 1;
        let layer = Arc::new(layer(document));
        let revision = Revision { epoch: 1, seq: self.seq };
        let snapshot = Arc::new(Snapshot::compose(revision, &[layer]));
        self.writer.publish(Arc::clone(&snapshot));
        self.announce.send_replace(snapshot);
    }

    pub(crate) async fn rpc(&self, settings: RpcSettings) -> Served {
        let (listener, address) = loopback().await;
        let (evaluation, shutdown) = (self.evaluation.clone(), self.shutdown.clone());
        let task = tokio::spawn(super::rpc::serve(
            Listener::Tcp(listener),
            settings,
            evaluation,
            shutdown,
        ));
        Served::new(address, task)
    }

    pub(crate) async fn sync(&self, settings: SyncSettings) -> Served {
        let (listener, address) = loopback().await;
        let (evaluation, shutdown) = (self.evaluation.clone(), self.shutdown.clone());
        let task = tokio::spawn(super::sync::serve(
            Listener::Tcp(listener),
            settings,
            evaluation,
            shutdown,
        ));
        Served::new(address, task)
    }

    pub(crate) async fn ofrep(&self, settings: OfrepSettings) -> Served {
        let (listener, address) = loopback().await;
        let (evaluation, shutdown) = (self.evaluation.clone(), self.shutdown.clone());
        let served = super::ofrep::serve(Listener::Tcp(listener), settings, evaluation, shutdown);
        Served::new(address, tokio::spawn(served))
    }
}

fn layer(document: &str) -> Layer {
    let options = LoadOptions { source: SourceName::new("flags.json"), generation: Generation::V2 };
    load(document.as_bytes(), Format::Json, &options, None).unwrap().layer
}

pub(crate) async fn loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A running listener.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) fn new(address: SocketAddr, task: JoinHandle<std::io::Result<()>>) -> Self {
        Self { address, task }
    }

    /// A gRPC channel to it.
    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// One HTTP/1.1 exchange.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.exchange("POST", path, headers, body.as_bytes()).await
    }

    pub(crate) async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
        self.send(&[head.as_bytes(), body].concat()).await
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Reply {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        read_reply(&mut socket).await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

pub(crate) async fn read_reply(socket: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.unwrap().unwrap();
    Reply::parse(&bytes)
}

/// An HTTP/1.1 response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let split =
            bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
                panic!("no HTTP response: {:?}", String::from_utf8_lossy(bytes));
            });
        let head = std::str::from_utf8(&bytes[..split]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { status, headers, bytes: bytes[split + 4..].to_vec() }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

/// Waits for a future, but not for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}
