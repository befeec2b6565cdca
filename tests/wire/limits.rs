//! The limits of every listener, read off the wire.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use outrigger_tests::document;
use outrigger_tests::http1::{self, Connection, Reply};
use outrigger_tests::http2::{self, grpc_message};
use outrigger_tests::sidecar::{Sidecar, Start};
use outrigger_tests::wait::eventually;
use serde_json::json;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, Http2,
    MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, REFUSED_STREAM, RST_STREAM, encode, error_code,
    post,
};

pub const CONNECT: &str = "/flagd.evaluation.v1.Service/ResolveBoolean";
const EVENTS: &str = "/flagd.evaluation.v1.Service/EventStream";
const OFREP: &str = "/ofrep/v1/evaluate/flags/answer";
const JSON: (&str, &str) = ("content-type", "application/json");
const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// A sidecar with the boolean flag `answer`, and the directory that its flags are in.
pub fn serve(start: Start, option: &str) -> (tempfile::TempDir, Sidecar) {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, document::of([("answer", document::on())])).expect("writable");
    let source = match option {
        "--uri" => format!("file:{}", path.display()),
        _ => path.display().to_string(),
    };
    (home, start.arg(option).arg(source).expect())
}

pub fn own() -> (tempfile::TempDir, Sidecar) {
    serve(Start::serve(), "--flags")
}

fn flagd() -> (tempfile::TempDir, Sidecar) {
    serve(Start::flagd(), "--uri")
}

fn listeners(sidecar: &Sidecar) -> [(&'static str, SocketAddr); 4] {
    [
        ("rpc", sidecar.rpc),
        ("sync", sidecar.sync),
        ("ofrep", sidecar.ofrep),
        ("management", sidecar.management),
    ]
}

#[test]
fn c2_every_listener_announces_its_streams_and_the_size_of_its_headers() {
    for ((_home, sidecar), header_list) in [(own(), 16 << 10), (flagd(), 1_000_000)] {
        for (name, address) in listeners(&sidecar) {
            let setting = |identifier| {
                Http2::open(address).expect("reachable").setting(identifier).expect("settings")
            };
            assert_eq!(setting(MAX_CONCURRENT_STREAMS), Some(128), "{name}");
            assert_eq!(setting(MAX_HEADER_LIST_SIZE), Some(header_list), "{name}");
        }
    }
}

#[test]
fn c2_the_129th_stream_of_a_connection_is_refused_and_the_others_live() {
    let (_home, mut sidecar) = own();
    let mut connection = Http2::open(sidecar.rpc).expect("reachable");
    for i in 0..129 {
        let stream = 2 * i + 1;
        connection.send(HEADERS, END_HEADERS, stream, &post(EVENTS, &GRPC)).expect("open");
        connection.send(DATA, END_STREAM, stream, &grpc_message(&[])).expect("open");
    }
    let refused = connection.read_until(RST_STREAM).expect("refused");
    assert_eq!((refused.stream, error_code(&refused)), (257, REFUSED_STREAM));
    let streams = "outrigger_streams{kind=\"event\"}";
    eventually("128 streams", || (sidecar.metric(streams) == 128.0).then_some(()));
    drop(connection);
    eventually("the streams end", || (sidecar.metric(streams) == 0.0).then_some(()));
    sidecar.assert_unharmed();
}

#[test]
fn c3_a_flood_of_requests_that_are_reset_at_once_ends_its_connection_only() {
    let (_home, mut sidecar) = own();
    let mut connection = Http2::open(sidecar.rpc).expect("reachable");
    let block = post(CONNECT, &GRPC);
    let (mut sent, mut goaway) = (0_u32, None);
    while goaway.is_none() && sent < 100_000 {
        let batch: Vec<u8> = (0..50)
            .flat_map(|i| {
                let stream = 2 * (sent + i) + 1;
                let cancel = 8_u32.to_be_bytes();
                [
                    encode(HEADERS, END_HEADERS, stream, &block),
                    encode(RST_STREAM, 0, stream, &cancel),
                ]
                .concat()
            })
            .collect();
        sent += 50;
        if connection.send_bytes(&batch).is_err() {
            goaway = connection.read_until(GOAWAY).ok();
            break;
        }
        connection.socket().set_nonblocking(true).expect("a socket");
        goaway = connection.read_until(GOAWAY).ok();
        connection.socket().set_nonblocking(false).expect("a socket");
    }
    println!("c3: the connection was ended after at most {sent} streams");
    if let Some(goaway) = &goaway {
        assert_eq!(error_code(goaway), ENHANCE_YOUR_CALM);
    }
    assert!(sent < 100_000, "the flood was borne");
    assert_eq!(sidecar.value("answer"), true);
    sidecar.assert_unharmed();
}

#[test]
fn c4_a_flood_of_malformed_streams_ends_its_connection_only() {
    let (_home, mut sidecar) = own();
    let mut connection = Http2::open(sidecar.rpc).expect("reachable");
    // A request that announces a body and ends without one: the server resets the stream, and counts.
    let block = post(CONNECT, &[("content-length", "5")]);
    for i in 0..2_000 {
        if connection.send(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, &block).is_err() {
            break;
        }
    }
    let goaway = connection.read_until(GOAWAY).expect("the flood is borne");
    assert_eq!(error_code(&goaway), ENHANCE_YOUR_CALM);
    assert_eq!(sidecar.value("answer"), true);
    sidecar.assert_unharmed();
}

#[test]
fn c4_refusals_that_come_before_the_body_do_not_add_up_against_an_honest_client() {
    const REFUSALS: u32 = 500;
    let (_home, mut sidecar) = own();
    let doors = [
        (sidecar.rpc, "/flagd.evaluation.v1.Service/NoSuch"),
        (sidecar.sync, "/flagd.sync.v1.FlagSyncService/NoSuch"),
        (sidecar.ofrep, "/no-such"),
        (sidecar.management, "/grpc.health.v1.Health/NoSuch"),
    ];
    for (address, path) in doors {
        let mut connection = Http2::open(address).expect("reachable");
        for i in 0..REFUSALS {
            let stream = 2 * i + 1;
            connection.send(HEADERS, END_HEADERS, stream, &post(path, &GRPC)).expect("open");
            connection.send(DATA, END_STREAM, stream, &grpc_message(&[0; 64])).expect("open");
            let answer = loop {
                let frame = connection.read().expect("open");
                assert_ne!(frame.kind, GOAWAY, "{path}: the end of {i} requests: {frame:?}");
                if frame.kind == HEADERS && frame.stream == stream {
                    break frame;
                }
            };
            assert!(!answer.payload.is_empty());
        }
    }
    sidecar.assert_unharmed();
}

#[test]
fn c5_a_flood_of_continuations_ends_its_connection_only() {
    let (_home, mut sidecar) = own();
    let mut connection = Http2::open(sidecar.rpc).expect("reachable");
    connection.send(HEADERS, 0, 1, &post(CONNECT, &GRPC)).expect("open");
    let more = [&[0x00, 1, b'x', 0x7f, 0x81, 0x7f][..], &[b'y'; 16_256]].concat();
    let mut sent = 0;
    while sent < 10_000 && connection.send(CONTINUATION, 0, 1, &more).is_ok() {
        sent += 1;
    }
    println!("c5: the connection was ended after at most {sent} continuations of 16 KiB");
    assert!(sent < 10_000, "160 MB of headers were borne");
    assert_eq!(sidecar.value("answer"), true);
    sidecar.assert_unharmed();
}

/// A context that makes a request of more than this many bytes.
fn large_request(bytes: usize) -> Vec<u8> {
    let text = "x".repeat(bytes);
    json!({"flagKey": "answer", "context": {"text": text}}).to_string().into_bytes()
}

fn exchange(address: SocketAddr, path: &str, body: &[u8]) -> io::Result<Reply> {
    http1::once(address, "POST", path, &[JSON], body)
}

#[test]
fn c6_a_body_over_the_limit_is_refused_in_the_words_of_its_protocol() {
    for ((_home, mut sidecar), limit) in [(own(), 256 << 10), (flagd(), 1_000_000)] {
        let envelope = large_request(0).len();
        let fits = large_request(limit - envelope);
        assert_eq!(fits.len(), limit);
        for over in [limit + 1, 2 * limit, 8 << 20] {
            let over = large_request(over - envelope);
            let connect = exchange(sidecar.rpc, CONNECT, &over).expect("an answer");
            assert_eq!(connect.status, 429, "{connect:?}");
            assert_eq!(connect.json().expect("JSON")["code"], "resource_exhausted");
            let ofrep = exchange(sidecar.ofrep, OFREP, &over).expect("an answer");
            assert_eq!(ofrep.status, 413, "{ofrep:?}");
            assert_eq!(ofrep.json().expect("JSON")["errorCode"], "GENERAL");
        }
        assert_eq!(exchange(sidecar.rpc, CONNECT, &fits).expect("an answer").status, 200);
        assert_eq!(exchange(sidecar.ofrep, OFREP, &fits).expect("an answer").status, 200);
        assert_eq!(sidecar.metric("outrigger_limit_hits_total{limit=\"body_bytes\"}"), 6.0);
        sidecar.assert_unharmed();
    }
}

#[test]
fn c6_an_announced_body_beyond_all_measure_is_refused_without_waiting_for_it() {
    let (_home, mut sidecar) = own();
    for (address, path, status) in [(sidecar.rpc, CONNECT, 429), (sidecar.ofrep, OFREP, 413)] {
        let mut connection = Connection::open(address).expect("reachable");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: 999999999999\r\n\r\n"
        );
        connection.send(head.as_bytes()).expect("open");
        assert_eq!(connection.reply(false).expect("an answer").status, status);
    }
    sidecar.assert_unharmed();
}

#[test]
fn c6_headers_over_the_limit_are_refused() {
    let (_home, mut sidecar) = own();
    for (name, address) in listeners(&sidecar) {
        let long = "x".repeat(64 << 10);
        let reply = http1::once(address, "GET", "/healthz", &[("x-long", &long)], b"");
        assert_eq!(reply.expect("an answer").status, 431, "{name}");
        let longer_than_allowed = &"x".repeat(17 << 10)[..];
        let request =
            http2::post(address, "/healthz", &[("x-long", longer_than_allowed)], Bytes::new());
        let answer = block_on(async {
            let mut connection = http2::Connection::open(address).await?;
            connection.exchange(request, Duration::ZERO).await
        });
        assert_eq!(answer.expect("an answer").status, 431, "{name}");
    }
    sidecar.assert_unharmed();
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn c6_a_context_over_its_limits_is_refused_and_not_evaluated() {
    let (_home, mut sidecar) = own();
    let attributes = |count: usize| {
        let context: serde_json::Map<_, _> =
            (0..count).map(|i| (format!("a{i}"), json!(i))).collect();
        json!({"flagKey": "answer", "context": context}).to_string().into_bytes()
    };
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"flagKey\":\"answer\",\"context\":{{\"a\":{open}1{close}}}}}").into_bytes()
    };
    for (address, path) in [(sidecar.rpc, CONNECT), (sidecar.ofrep, OFREP)] {
        let status = |body: &[u8]| exchange(address, path, body).expect("an answer").status;
        assert_eq!(status(&attributes(512)), 200, "{path}");
        assert_eq!(status(&attributes(513)), 400, "{path}");
        assert_eq!(status(&nested(14)), 200, "{path}");
        assert_eq!(status(&nested(15)), 400, "{path}");
        assert_eq!(status(&nested(100_000)), 400, "{path}");
    }
    sidecar.assert_unharmed();
}

#[test]
fn c7_a_connection_above_the_cap_is_closed_and_everyone_else_is_served() {
    const CAP: usize = 4_096;
    const TOO_MANY_FILES: i32 = 24;
    let (_home, mut sidecar) = own();
    // An HTTP/1.1 connection may not idle; an HTTP/2 connection may, until it is asked.
    let mut held = Vec::with_capacity(CAP);
    while held.len() < CAP {
        match Http2::open(sidecar.ofrep) {
            Ok(connection) => held.push(connection),
            Err(error) if error.raw_os_error() == Some(TOO_MANY_FILES) => {
                println!("c7: SKIPPED: only {} files may be open here", held.len());
                return;
            }
            Err(error) => panic!("connection {}: {error}", held.len()),
        }
    }
    // The kernel accepts before the server does: wait until it has taken in as many as it will.
    let open = "outrigger_connections{listener=\"ofrep\"}";
    eventually("the cap is reached", || (sidecar.metric(open) == CAP as f64).then_some(()));
    let mut above = Connection::open(sidecar.ofrep).expect("the kernel accepts");
    // Closed without an answer.
    assert!(above.until_closed().is_ok_and(|bytes| bytes.is_empty()));
    assert!(sidecar.metric("outrigger_limit_hits_total{limit=\"connections\"}") >= 1.0);
    let reply = exchange(sidecar.rpc, CONNECT, b"{\"flagKey\":\"answer\"}").expect("an answer");
    assert_eq!(reply.status, 200, "another listener has places of its own");

    held.truncate(CAP - 1);
    let served = || exchange(sidecar.ofrep, OFREP, b"{}").ok().filter(|reply| reply.status == 200);
    eventually("a freed place is given again", served);
    drop(held);
    sidecar.assert_unharmed();
}
