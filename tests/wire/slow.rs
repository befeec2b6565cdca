//! Clients that take their time. Each waits in a thread of its own, so that the whole takes as long
//! as the longest limit.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::frames::{DATA, END_HEADERS, GOAWAY, HEADERS, Http2, PING, post};
use crate::limits::{CONNECT, own};

/// The limits, as they are documented.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
const BODY_WITHIN: Duration = Duration::from_secs(10);
const PING_AFTER: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// What a busy machine may add, and timers may lack.
const LATE: Duration = Duration::from_secs(5);
const EARLY: Duration = Duration::from_millis(500);

#[test]
fn c1_whoever_takes_too_long_is_closed_at_the_limit_and_not_before() {
    let (_home, mut sidecar) = own();
    let all = [sidecar.rpc, sidecar.sync, sidecar.ofrep, sidecar.management];
    thread::scope(|scope| {
        for address in all {
            scope.spawn(move || silent(address));
            scope.spawn(move || half_a_head(address));
            scope.spawn(move || a_byte_a_second(address));
            scope.spawn(move || idle_after_an_answer(address));
            scope.spawn(move || half_a_preface(address));
            scope.spawn(move || no_pong(address));
        }
        let (rpc, ofrep) = (sidecar.rpc, sidecar.ofrep);
        scope.spawn(move || half_a_body(rpc, CONNECT));
        scope.spawn(move || half_a_body(ofrep, "/ofrep/v1/evaluate/flags"));
        scope.spawn(move || half_a_grpc_body(rpc));
        // Meanwhile everybody else is served.
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(sidecar.value("answer"), true);
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
    });
    assert!(sidecar.metric("outrigger_limit_hits_total{limit=\"preface_timeout\"}") >= 8.0);
    assert!(sidecar.metric("outrigger_limit_hits_total{limit=\"body_timeout\"}") >= 3.0);
    sidecar.assert_unharmed();
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("reachable");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    socket
}

/// Reads until the server closes; what it said, and that it came at the limit.
fn closed_at(limit: Duration, began: Instant, socket: &mut impl Read, what: &str) -> String {
    let mut said = Vec::new();
    let outcome = socket.read_to_end(&mut said);
    let taken = began.elapsed();
    let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(outcome.is_ok() || outcome.as_ref().is_err_and(is_reset), "{what}: {outcome:?}");
    assert!(taken + EARLY > limit && taken < limit + LATE, "{what}: closed after {taken:?}");
    String::from_utf8_lossy(&said).into_owned()
}

fn silent(address: SocketAddr) {
    closed_at(HEAD_WITHIN, Instant::now(), &mut connect(address), "silence");
}

fn half_a_head(address: SocketAddr) {
    let (mut socket, began) = (connect(address), Instant::now());
    socket.write_all(b"POST /healthz HTTP/1.1\r\nhost: localhost\r\nx-half: ").expect("open");
    closed_at(HEAD_WITHIN, began, &mut socket, "half a head");
}

fn half_a_preface(address: SocketAddr) {
    let (mut socket, began) = (connect(address), Instant::now());
    socket.write_all(b"PRI * HTTP/2.0\r\n").expect("open");
    closed_at(HEAD_WITHIN, began, &mut socket, "half a preface");
}

/// Bytes that keep coming do not buy more time.
fn a_byte_a_second(address: SocketAddr) {
    let (mut socket, began) = (connect(address), Instant::now());
    let mut writer = socket.try_clone().expect("a socket");
    let head = b"POST /healthz HTTP/1.1\r\nhost: localhost\r\n";
    thread::scope(|scope| {
        scope.spawn(move || {
            for byte in head {
                if writer.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
            panic!("a head of {} s was waited for", head.len());
        });
        closed_at(HEAD_WITHIN, began, &mut socket, "a byte a second");
    });
}

fn idle_after_an_answer(address: SocketAddr) {
    let mut socket = connect(address);
    socket.write_all(b"GET /no-such HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("open");
    let began = Instant::now();
    let said = closed_at(HEAD_WITHIN, began, &mut socket, "idle");
    assert!(said.starts_with("HTTP/1.1 404"), "{said}");
}

fn half_a_body(address: SocketAddr, path: &str) {
    let (mut socket, began) = (connect(address), Instant::now());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{\"flagKey\":"
    );
    socket.write_all(head.as_bytes()).expect("open");
    let mut said = [0; 12];
    socket.read_exact(&mut said).expect("an answer");
    let taken = began.elapsed();
    assert_eq!(&said, b"HTTP/1.1 408", "{}", String::from_utf8_lossy(&said));
    assert!(taken + EARLY > BODY_WITHIN && taken < BODY_WITHIN + LATE, "after {taken:?}");
}

fn half_a_grpc_body(address: SocketAddr) {
    let (mut connection, began) = (Http2::open(address).expect("reachable"), Instant::now());
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    connection.send(HEADERS, END_HEADERS, 1, &post(CONNECT, &grpc)).expect("open");
    connection.send(DATA, 0, 1, &[0, 0, 0, 0, 100, 1, 2, 3]).expect("open");
    connection.read_until(HEADERS).expect("an answer");
    let taken = began.elapsed();
    assert!(taken + EARLY > BODY_WITHIN && taken < BODY_WITHIN + LATE, "after {taken:?}");
}

/// An HTTP/2 connection may idle as long as somebody is there: it is asked, and must answer.
fn no_pong(address: SocketAddr) {
    let mut connection = Http2::open(address).expect("reachable");
    connection.socket().set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let began = Instant::now();
    connection.send(4, 1, 0, &[]).expect("open");
    loop {
        let frame = connection.read().expect("asked before it is closed");
        assert_ne!(frame.kind, GOAWAY, "closed without being asked");
        if frame.kind == PING {
            break;
        }
    }
    let asked = began.elapsed();
    assert!(asked + EARLY > PING_AFTER && asked < PING_AFTER + LATE, "asked after {asked:?}");
    let waiting = Instant::now();
    while connection.read().is_ok() {}
    let taken = waiting.elapsed();
    assert!(taken + EARLY > PONG_WITHIN && taken < PONG_WITHIN + LATE, "closed after {taken:?}");
}
