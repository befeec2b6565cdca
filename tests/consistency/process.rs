//! Over the wire: bulk answers of every protocol while the flag file is replaced.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outrigger_proto::flagd::evaluation::v1;
use outrigger_proto::flagd::sync::v1::{FetchAllFlagsRequest, FetchAllFlagsResponse};
use outrigger_tests::sidecar::Start;
use outrigger_tests::{document, http1, http2};
use prost::Message;
use serde_json::Value as Json;

const FLAGS: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Of each protocol.
const READS_MIN: usize = 2_000;
const REVISIONS_MIN: i64 = 30;

/// Every flag has the value `revision`.
fn write(path: &Path, revision: i64) {
    document::rename_into_place(path, &document::many(FLAGS, revision.unsigned_abs()));
}

/// The one value that all flags of an answer have.
fn revision(values: impl ExactSizeIterator<Item = i64>) -> i64 {
    assert_eq!(values.len(), FLAGS);
    let values: Vec<i64> = values.collect();
    assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "torn: {values:?}");
    values[0]
}

#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    reads: [AtomicUsize; 4],
    /// The newest revision that any reader has seen.
    newest: AtomicI64,
}

impl Progress {
    /// Reads until told to stop. Revisions never go back.
    fn read(&self, protocol: usize, mut bulk: impl FnMut() -> i64) {
        let mut newest = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let revision = bulk();
            assert!(revision >= newest, "revision {revision} after {newest}");
            newest = revision;
            self.newest.fetch_max(revision, Ordering::Relaxed);
            self.reads[protocol].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_enough(&self) -> bool {
        self.reads.iter().all(|reads| reads.load(Ordering::Relaxed) >= READS_MIN)
            && self.newest.load(Ordering::Relaxed) >= REVISIONS_MIN
    }
}

#[test]
fn r2_bulk_answers_of_every_protocol_are_each_of_one_revision() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    write(&path, 0);
    let mut sidecar = Start::serve().flags(&path).expect();
    let progress = Progress::default();
    let (rpc, sync, ofrep) = (sidecar.rpc, sidecar.sync, sidecar.ofrep);
    thread::scope(|scope| {
        let progress = &progress;
        let readers = [
            scope.spawn(move || progress.read(0, ofrep_bulk(ofrep))),
            scope.spawn(move || progress.read(1, connect_all(rpc))),
            scope.spawn(move || progress.read(2, grpc_all(rpc))),
            scope.spawn(move || progress.read(3, sync_all(sync))),
        ];
        let mut value = 0;
        // Each revision is seen before the next is written: a file that never rests is not read.
        // A reader that ends early has failed, and says why when it is joined.
        while !progress.is_enough() && !readers.iter().any(|reader| reader.is_finished()) {
            if progress.newest.load(Ordering::Relaxed) == value {
                value += 1;
                write(&path, value);
            }
            thread::sleep(LOOK_EVERY);
        }
        progress.stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("whole answers"));
    });
    println!("r2: {progress:?}");
    sidecar.assert_unharmed();
}

#[test]
fn a_value_that_differs_is_noticed() {
    let mut values = vec![1; FLAGS];
    assert_eq!(revision(values.clone().into_iter()), 1);
    values[FLAGS - 1] = 2;
    assert!(std::panic::catch_unwind(|| revision(values.into_iter())).is_err());
}

fn ofrep_bulk(address: SocketAddr) -> impl FnMut() -> i64 {
    let mut connection = http1::Connection::open(address).expect("reachable");
    move || {
        let path = "/ofrep/v1/evaluate/flags";
        let reply = connection.exchange("POST", path, &[], b"{}").expect("an answer");
        let body = reply.json().expect("JSON");
        let flags = body["flags"].as_array().expect("flags");
        revision(flags.iter().map(|flag| flag["value"].as_i64().expect("a number")))
    }
}

fn connect_all(address: SocketAddr) -> impl FnMut() -> i64 {
    let mut connection = http1::Connection::open(address).expect("reachable");
    move || {
        let headers = [("content-type", "application/json")];
        let path = "/flagd.evaluation.v1.Service/ResolveAll";
        let reply = connection.exchange("POST", path, &headers, b"{}").expect("an answer");
        let body = reply.json().expect("JSON");
        let flags: Vec<&Json> = body["flags"].as_object().expect("flags").values().collect();
        let number = |flag: &&Json| flag["doubleValue"].as_f64().expect("a number") as i64;
        revision(flags.iter().map(number))
    }
}

fn grpc_all(address: SocketAddr) -> impl FnMut() -> i64 {
    let request = v1::ResolveAllRequest::default().encode_to_vec();
    let mut ask = grpc(address, "/flagd.evaluation.v1.Service/ResolveAll", request);
    move || {
        let answer = v1::ResolveAllResponse::decode(ask().as_slice()).expect("a message");
        let flags: Vec<v1::AnyFlag> = answer.flags.into_values().collect();
        revision(flags.iter().map(|flag| match flag.value {
            Some(v1::any_flag::Value::DoubleValue(value)) => value as i64,
            ref other => panic!("{other:?}"),
        }))
    }
}

fn sync_all(address: SocketAddr) -> impl FnMut() -> i64 {
    let request = FetchAllFlagsRequest::default().encode_to_vec();
    let mut ask = grpc(address, "/flagd.sync.v1.FlagSyncService/FetchAllFlags", request);
    move || {
        let answer = FetchAllFlagsResponse::decode(ask().as_slice()).expect("a message");
        let document: Json = serde_json::from_str(&answer.flag_configuration).expect("JSON");
        let flags: Vec<&Json> = document["flags"].as_object().expect("flags").values().collect();
        revision(flags.iter().map(|flag| flag["variants"]["it"].as_i64().expect("a number")))
    }
}

/// Asks the same thing again and again over one connection; each answer's message.
fn grpc(address: SocketAddr, path: &'static str, request: Vec<u8>) -> impl FnMut() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let connection = runtime.block_on(http2::Connection::open(address));
    let mut connection = connection.expect("reachable");
    let body = bytes::Bytes::from(http2::grpc_message(&request));
    move || {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        let request = http2::post(address, path, &headers, body.clone());
        let answer = runtime.block_on(connection.exchange(request, http1::DEADLINE));
        let answer = answer.expect("an answer");
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
        answer.body[5..].to_vec()
    }
}
