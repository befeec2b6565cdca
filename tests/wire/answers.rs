//! The table of refusals: what each door says to the wrong method, type, protocol or size.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use outrigger_tests::http1::{self, Connection, Reply};
use outrigger_tests::http2;
use outrigger_tests::sidecar::Sidecar;
use serde_json::json;

use crate::generate;
use crate::limits::{CONNECT, block_on, own};

const BULK: &str = "/ofrep/v1/evaluate/flags";
const SINGLE: &str = "/ofrep/v1/evaluate/flags/answer";
const JSON: &str = "application/json";
const REQUEST: &[u8] = b"{\"flagKey\":\"answer\"}";

/// One row: door, method, path, content type, body; status, and a word of the body.
type Row = (Door, &'static str, &'static str, &'static str, &'static [u8], u16, &'static str);

#[derive(Debug, Clone, Copy)]
enum Door {
    Rpc,
    Sync,
    Ofrep,
    Management,
}

#[rustfmt::skip]
const TABLE: [Row; 36] = [
    (Door::Rpc, "POST", CONNECT, JSON, REQUEST, 200, "\"value\":true"),
    (Door::Rpc, "POST", CONNECT, "application/json; charset=utf-8", REQUEST, 200, "\"value\":true"),
    (Door::Rpc, "GET", CONNECT, JSON, b"", 405, "unimplemented"),
    (Door::Rpc, "PUT", CONNECT, JSON, REQUEST, 405, "unimplemented"),
    (Door::Rpc, "POST", CONNECT, "text/plain", REQUEST, 415, "content type"),
    (Door::Rpc, "POST", CONNECT, "", REQUEST, 415, "content type"),
    (Door::Rpc, "POST", CONNECT, "application/grpc", b"\0\0\0\0\0", 505, "HTTP/2"),
    (Door::Rpc, "POST", CONNECT, JSON, b"", 400, "zero-length payload is not a valid JSON object"),
    (Door::Rpc, "POST", CONNECT, JSON, b"[]", 400, "invalid_argument"),
    (Door::Rpc, "POST", CONNECT, JSON, b"{\"flagKey\":\"no-such\"}", 404, "not_found"),
    (Door::Rpc, "POST", "/flagd.evaluation.v1.Service/ResolveString", JSON, REQUEST, 400, "Type mismatch"),
    (Door::Rpc, "POST", "/flagd.evaluation.v1.Service/NoSuch", JSON, REQUEST, 404, "unimplemented"),
    (Door::Rpc, "POST", "/flagd.evaluation.v2.Service/ResolveAll", JSON, b"{}", 404, "unimplemented"),
    (Door::Rpc, "POST", "/flagd.evaluation.v9.Service/ResolveBoolean", JSON, REQUEST, 404, "unimplemented"),
    (Door::Rpc, "POST", "/flagd.evaluation.v1.Service/EventStream", JSON, b"{}", 415, "content type"),
    (Door::Rpc, "GET", "/", "", b"", 404, "unimplemented"),
    (Door::Ofrep, "POST", SINGLE, JSON, b"{}", 200, "\"value\":true"),
    (Door::Ofrep, "POST", SINGLE, "", b"", 200, "\"value\":true"),
    (Door::Ofrep, "POST", SINGLE, "text/plain", b"{}", 200, "\"value\":true"),
    (Door::Ofrep, "POST", BULK, JSON, b"{}", 200, "\"flags\":["),
    (Door::Ofrep, "POST", "/ofrep/v1/evaluate/flags/", JSON, b"{}", 200, "\"flags\":["),
    (Door::Ofrep, "GET", SINGLE, "", b"", 405, "errorCode"),
    (Door::Ofrep, "GET", BULK, "", b"", 405, "errorCode"),
    (Door::Ofrep, "POST", SINGLE, JSON, b"{", 400, "INVALID_CONTEXT"),
    (Door::Ofrep, "POST", SINGLE, JSON, b"7", 400, "INVALID_CONTEXT"),
    (Door::Ofrep, "POST", "/ofrep/v1/evaluate/flags/no-such", JSON, b"{}", 404, "FLAG_NOT_FOUND"),
    (Door::Ofrep, "POST", "/ofrep/v1/evaluate/flags/a/b", JSON, b"{}", 404, "no such route"),
    (Door::Ofrep, "POST", "/ofrep/v1/evaluate/flags/%ff", JSON, b"{}", 400, "errorCode"),
    (Door::Ofrep, "POST", "/ofrep/v1/configuration", JSON, b"{}", 404, "no such route"),
    (Door::Management, "GET", "/healthz", "", b"", 200, ""),
    (Door::Management, "GET", "/readyz", "", b"", 200, "ready"),
    (Door::Management, "GET", "/metrics", "", b"", 200, "outrigger_flags 1"),
    (Door::Management, "POST", "/healthz", "", b"", 405, "method"),
    (Door::Management, "GET", "/no-such", "", b"", 404, "nothing"),
    (Door::Sync, "POST", "/flagd.sync.v1.FlagSyncService/FetchAllFlags", JSON, b"{}", 415, "content type"),
    (Door::Sync, "GET", "/", "", b"", 404, "nothing"),
];

fn ask(sidecar: &Sidecar, (door, method, path, content_type, body, _, _): Row) -> Reply {
    let address = match door {
        Door::Rpc => sidecar.rpc,
        Door::Sync => sidecar.sync,
        Door::Ofrep => sidecar.ofrep,
        Door::Management => sidecar.management,
    };
    let headers: &[(&str, &str)] =
        if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
    http1::once(address, method, path, headers, body).expect("an answer")
}

#[test]
fn c6_every_door_answers_what_it_does_not_serve() {
    let (_home, mut sidecar) = own();
    for row in TABLE {
        let reply = ask(&sidecar, row);
        let (door, method, path, _, _, status, word) = row;
        let row = format!("{door:?} {method} {path}: {} {}", reply.status, reply.text());
        assert_eq!(reply.status, status, "{row}");
        assert!(reply.text().contains(word), "{row}");
        match (status, door) {
            (405, Door::Rpc | Door::Ofrep) => {
                assert_eq!(reply.header("allow"), Some("POST"), "{row}")
            }
            (405, _) => assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{row}"),
            (415, Door::Rpc) => assert!(reply.header("accept-post").is_some(), "{row}"),
            _ => {}
        }
    }
    sidecar.assert_unharmed();
}

#[test]
fn c6_compressed_bodies_are_refused_and_never_unpacked() {
    let (_home, mut sidecar) = own();
    for (address, path) in [(sidecar.rpc, CONNECT), (sidecar.ofrep, SINGLE)] {
        for encoding in ["gzip", "br", "zstd", "deflate"] {
            let headers = [("content-type", JSON), ("content-encoding", encoding)];
            let reply = http1::once(address, "POST", path, &headers, &[0x1f, 0x8b, 8, 0]);
            let reply = reply.expect("an answer");
            assert!(matches!(reply.status, 415 | 501), "{path} {encoding}: {reply:?}");
            assert!(reply.text().contains("compressed"), "{path} {encoding}: {reply:?}");
        }
    }
    sidecar.assert_unharmed();
}

/// gRPC: path, content type, body; the status code.
#[test]
fn c6_grpc_faults_have_grpc_codes() {
    const UNIMPLEMENTED: u32 = 12;
    const INVALID_ARGUMENT: u32 = 3;
    const RESOURCE_EXHAUSTED: u32 = 8;
    let (_home, mut sidecar) = own();
    let rpc = sidecar.rpc;
    let good = http2::grpc_message(&[0x0a, 6, b'a', b'n', b's', b'w', b'e', b'r']);
    let mut lie = good.clone();
    lie[4] = 200;
    let mut compressed = good.clone();
    compressed[0] = 1;
    let huge = http2::grpc_message(&vec![0; 300 << 10]);
    let garbage = [good.as_slice(), b"rest"].concat();
    let rows: [(&str, &[u8], u32); 8] = [
        (CONNECT, &good, 0),
        ("/flagd.evaluation.v1.Service/NoSuch", &good, UNIMPLEMENTED),
        (CONNECT, b"", INVALID_ARGUMENT),
        (CONNECT, &lie, INVALID_ARGUMENT),
        (CONNECT, &compressed, UNIMPLEMENTED),
        (CONNECT, &garbage, INVALID_ARGUMENT),
        (CONNECT, &good[..good.len() - 1], INVALID_ARGUMENT),
        (CONNECT, &huge, RESOURCE_EXHAUSTED),
    ];
    block_on(async {
        let mut connection = http2::Connection::open(rpc).await.expect("reachable");
        for (path, body, code) in rows {
            let headers = [("content-type", "application/grpc"), ("te", "trailers")];
            let request = http2::post(rpc, path, &headers, Bytes::copy_from_slice(body));
            let answer = connection.exchange(request, Duration::ZERO).await.expect("an answer");
            assert_eq!(
                (answer.status, answer.grpc_status()),
                (200, Some(code)),
                "{path} {answer:?}"
            );
        }
    });
    sidecar.assert_unharmed();
}

#[test]
fn c6_a_head_that_is_not_http_is_answered_or_closed_and_never_waited_for() {
    let (_home, mut sidecar) = own();
    let heads: [&[u8]; 12] = [
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get / http/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\x00: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client says hello to plain text",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame of HTTP/2, whatever it may be",
    ];
    for address in [sidecar.rpc, sidecar.sync, sidecar.ofrep, sidecar.management] {
        for head in heads {
            let mut connection = Connection::open(address).expect("reachable");
            connection.send(head).expect("open");
            connection.finish().expect("open");
            let said = connection.until_closed().expect("closed, not reset");
            let text = String::from_utf8_lossy(&said);
            let is_http1 = text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5");
            // HTTP/2's last word is a GOAWAY frame; to an empty line there is nothing to say.
            let is_http2 = head.starts_with(b"PRI") && said.windows(4).any(|w| w == [0, 0, 8, 7]);
            let is_nothing = said.is_empty();
            assert!(is_http1 || is_http2 || is_nothing, "{head:?}: {text}");
        }
    }
    sidecar.assert_unharmed();
}

/// A page on the web must not reach the sidecar through its visitor's browser.
#[test]
fn c12_foreign_pages_and_foreign_names_are_refused() {
    let (_home, mut sidecar) = own();
    let doors = [
        (sidecar.rpc, "POST", CONNECT),
        (sidecar.ofrep, "POST", SINGLE),
        (sidecar.management, "GET", "/metrics"),
    ];
    for (address, method, path) in doors {
        let status = |headers: &str| {
            let mut connection = Connection::open(address).expect("reachable");
            let head = format!(
                "{method} {path} HTTP/1.1\r\n{headers}content-type: {JSON}\r\ncontent-length: {}\r\n\r\n",
                REQUEST.len()
            );
            connection.send(&[head.as_bytes(), REQUEST].concat()).expect("open");
            connection.reply(false).expect("an answer").status
        };
        assert_eq!(status("host: localhost\r\n"), 200, "{path}");
        assert_eq!(status("host: LOCALHOST:1234\r\n"), 200, "{path}");
        assert_eq!(status("host: 127.0.0.1\r\norigin: http://localhost:3000\r\n"), 200, "{path}");
        assert_eq!(status("host: rebound.example\r\n"), 403, "{path}");
        assert_eq!(status("host: localhost.evil.example\r\n"), 403, "{path}");
        assert_eq!(status("host: localhost\r\norigin: https://evil.example\r\n"), 403, "{path}");
        assert_eq!(status("host: localhost\r\norigin: null\r\n"), 403, "{path}");
    }
    sidecar.assert_unharmed();
}

#[test]
fn b1_strange_contexts_never_harm_an_evaluation() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, generate::flags()).expect("writable");
    let mut sidecar = outrigger_tests::sidecar::Start::serve().flags(&path).expect();
    let long = "9".repeat(60_000);
    for context in [
        json!({"a": long, "b": long, "c": long}),
        json!({"a": "1.2.3-".to_owned() + &long, "b": 1e308, "c": -1e308, "d": 0, "e": 0}),
        json!({"a": vec![1; 20_000], "b": vec![1; 2_000]}),
        json!({"targetingKey": long}),
        json!({"a": "\u{0}", "b": "\u{10ffff}", "c": i64::MIN, "d": u64::MAX, "e": 5e-324}),
    ] {
        let body = json!({ "context": context }).to_string();
        let reply = http1::once(sidecar.ofrep, "POST", BULK, &[], body.as_bytes());
        let reply = reply.expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let flags = reply.json().expect("JSON")["flags"].as_array().expect("flags").len();
        assert_eq!(flags, 17);
    }
    sidecar.assert_unharmed();
}
