//! The connection loop against clients that misbehave, over real sockets.

use std::net::SocketAddr;
use tokio::time::Instant;

use http::Response;
use http::request::Parts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::telemetry::metrics::Metrics;
use crate::transport::body::{Body, full};
use crate::transport::browser::BrowserPolicy;
use crate::transport::failure::Failure;
use crate::transport::testing::{PATIENCE, loopback, read_reply, soon};

/// Answers at once, when told to, or with a panic.
#[derive(Clone, Default)]
struct Desk {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Room for Desk {
    async fn serve(&self, head: &Parts, _: &mut Incoming) -> Result<Response<Body>, Failure> {
        match head.uri.path() {
            "/slow" => {
                self.entered.notify_one();
                self.release.notified().await;
            }
            "/panic" => panic!("on purpose"),
            _ => {}
        }
        Ok(Response::new(full("served")))
    }

    fn refuse(&self, _: &Parts, failure: &Failure) -> Response<Body> {
        let mut response = Response::new(full(failure.message()));
        *response.status_mut() = failure.http();
        response
    }
}

struct Running {
    desk: Desk,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    task: JoinHandle<io::Result<()>>,
}

fn start(listener: Listener, limits: ServerLimits) -> Running {
    let (desk, shutdown) = (Desk::default(), Shutdown::default());
    let metrics = Arc::new(Metrics::new().unwrap());
    let boundary = Boundary {
        room: desk.clone(),
        browsers: BrowserPolicy::default(),
        metrics: Arc::clone(&metrics),
    };
    let told = shutdown.clone();
    let task = tokio::spawn(async move { run("test", listener, &limits, boundary, told).await });
    Running { desk, metrics, shutdown, task }
}

async fn start_tcp(limits: ServerLimits) -> (Running, SocketAddr) {
    let (listener, address) = loopback().await;
    (start(Listener::Tcp(listener), limits), address)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(get(path).as_bytes()).await.unwrap();
    let reply = read_reply(&mut socket).await;
    (reply.status, reply.text().to_owned())
}

/// What the server still sends until it closes.
async fn until_closed(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = soon(socket.read_to_end(&mut bytes)).await;
    bytes
}

#[tokio::test]
async fn c1_a_client_that_sends_its_head_slowly_is_closed() {
    let limits =
        ServerLimits { header_read_timeout: Duration::from_millis(150), ..ServerLimits::default() };
    let (running, address) = start_tcp(limits).await;
    for opening in ["", "P", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: 1\r\n"] {
        let began = Instant::now();
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(opening.as_bytes()).await.unwrap();
        until_closed(&mut socket).await;
        assert!(began.elapsed() < PATIENCE / 2, "{opening:?}");
    }
    let scrape = running.metrics.scrape().unwrap();
    let hits = "outrigger_limit_hits_total{limit=\"preface_timeout\"} 2";
    assert!(scrape.contains(hits), "{scrape}");
    assert_eq!(fetch(address, "/").await.0, 200);
}

#[tokio::test]
async fn c7_a_connection_above_the_cap_is_closed_at_once_and_a_freed_place_is_reused() {
    let (running, address) =
        start_tcp(ServerLimits { connections: 2, ..ServerLimits::default() }).await;
    let one = TcpStream::connect(address).await.unwrap();
    let two = TcpStream::connect(address).await.unwrap();
    let mut three = TcpStream::connect(address).await.unwrap();
    assert!(until_closed(&mut three).await.is_empty());
    let hits = "outrigger_limit_hits_total{limit=\"connections\"} 1";
    assert!(running.metrics.scrape().unwrap().contains(hits));
    drop((one, two));
    soon(async {
        while running
            .metrics
            .scrape()
            .unwrap()
            .contains("outrigger_connections{listener=\"test\"} 2")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(fetch(address, "/").await.0, 200);
}

#[tokio::test]
async fn c6_malformed_and_oversized_heads_get_an_answer() {
    let (_running, address) = start_tcp(ServerLimits::default()).await;
    let send = async |bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        read_reply(&mut socket).await.status
    };
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "y".repeat(40_000));
    assert_eq!(send(large.as_bytes()).await, 431);
    assert_eq!(
        send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n").await,
        400
    );
    assert_eq!(send(b"GET / HTTP/9.9\r\n\r\n                ").await, 400);
}

#[tokio::test]
async fn a_panic_is_answered_and_counted() {
    let (running, address) = start_tcp(ServerLimits::default()).await;
    assert_eq!(fetch(address, "/panic").await, (500, "internal error".to_owned()));
    assert!(running.metrics.scrape().unwrap().contains("outrigger_panics_total 1"));
    assert_eq!(fetch(address, "/").await.0, 200);
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_takes_no_more() {
    let (running, address) = start_tcp(ServerLimits::default()).await;
    let slow = tokio::spawn(async move { fetch(address, "/slow").await });
    soon(running.desk.entered.notified()).await;
    let idle = TcpStream::connect(address).await.unwrap();
    running.shutdown.drain.cancel();
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!running.task.is_finished());
    running.desk.release.notify_one();
    assert_eq!(soon(slow).await.unwrap(), (200, "served".to_owned()));
    soon(running.task).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn stopping_drops_what_is_still_open() {
    let (running, address) = start_tcp(ServerLimits::default()).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(get("/slow").as_bytes()).await.unwrap();
    soon(running.desk.entered.notified()).await;
    running.shutdown.drain.cancel();
    running.shutdown.stop.cancel();
    soon(running.task).await.unwrap().unwrap();
    assert!(until_closed(&mut socket).await.is_empty());
}

#[tokio::test]
async fn serves_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let _running =
        start(Listener::Unix(UnixListener::bind(&path).unwrap()), ServerLimits::default());
    let mut socket = UnixStream::connect(&path).await.unwrap();
    socket.write_all(get("/").as_bytes()).await.unwrap();
    let mut text = String::new();
    soon(socket.read_to_string(&mut text)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("served"), "{text}");
}

/// HTTP/2 by hand: what a well-behaved client library would not send.
mod raw_http2 {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const WINDOW_UPDATE: u8 = 8;
    const END_HEADERS: u8 = 4;
    /// `GET http://x/`, from HPACK's static table and one literal.
    const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
        socket
    }

    /// Reads frames until one of this kind.
    async fn read_until(socket: &mut TcpStream, wanted: u8) -> Vec<u8> {
        soon(async {
            loop {
                let mut head = [0; 9];
                socket.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                socket.read_exact(&mut payload).await.unwrap();
                if head[3] == wanted {
                    return payload;
                }
            }
        })
        .await
    }

    #[tokio::test]
    async fn c2_streams_are_bounded() {
        let (_running, address) = start_tcp(ServerLimits::default()).await;
        let mut socket = connect(address).await;
        let settings = read_until(&mut socket, SETTINGS).await;
        let value = |id: u16| {
            let entry = settings.chunks(6).find(|entry| entry[..2] == id.to_be_bytes());
            entry.map(|entry| u32::from_be_bytes(entry[2..].try_into().unwrap()))
        };
        assert_eq!(value(3), Some(128), "SETTINGS_MAX_CONCURRENT_STREAMS");
        assert_eq!(value(6), Some(16 << 10), "SETTINGS_MAX_HEADER_LIST_SIZE");
    }

    #[tokio::test]
    async fn c3_a_flood_of_reset_requests_ends_the_connection() {
        let (_running, address) = start_tcp(ServerLimits::default()).await;
        let mut socket = connect(address).await;
        let flood: Vec<u8> = (0..500_u32)
            .flat_map(|index| {
                let stream = index * 2 + 1;
                let open = frame(HEADERS, END_HEADERS, stream, REQUEST);
                [open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            })
            .collect();
        socket.write_all(&flood).await.unwrap();
        read_until(&mut socket, GOAWAY).await;
        assert_eq!(fetch(address, "/").await.0, 200);
    }

    #[tokio::test]
    async fn c4_a_flood_of_streams_that_the_server_must_reset_ends_the_connection() {
        let (_running, address) = start_tcp(ServerLimits::default()).await;
        let mut socket = connect(address).await;
        for index in 0..500_u32 {
            let stream = index * 2 + 1;
            let open = frame(HEADERS, END_HEADERS, stream, REQUEST);
            // A window update of nothing is a fault of the stream.
            let fault = frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
            if socket.write_all(&[open, fault].concat()).await.is_err() {
                break;
            }
        }
        read_until(&mut socket, GOAWAY).await;
        assert_eq!(fetch(address, "/").await.0, 200);
    }

    #[tokio::test]
    async fn draining_says_goaway() {
        let (running, address) = start_tcp(ServerLimits::default()).await;
        let mut socket = connect(address).await;
        read_until(&mut socket, SETTINGS).await;
        running.shutdown.drain.cancel();
        read_until(&mut socket, GOAWAY).await;
        drop(socket);
        soon(running.task).await.unwrap().unwrap();
    }
}
