//! R6: every malformed request is answered in the words of its protocol: no reset, no hang, no
//! answer without a type, no panic. `CASES` says how many requests, `SEED` which ones.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use outrigger_tests::http1;
use outrigger_tests::http2;
use outrigger_tests::random::Random;
use outrigger_tests::sidecar::{Sidecar, Start};
use outrigger_tests::wait::eventually;

use crate::cases::{Case, Targets};
use crate::generate;
use crate::judge::{Answer, judge};

const CASES_DEFAULT: usize = 100_000;
/// Connections at the same time over each version of HTTP.
const HTTP1_WORKERS: usize = 4;
const HTTP2_WORKERS: usize = 4;
/// Answers that only a whole and readable request gets.
const EVALUATED: [&str; 9] = [
    "json 200",
    "grpc 0",
    "proto 200",
    "connect not_found 404",
    "grpc 5",
    "ofrep FLAG_NOT_FOUND 404",
    "ofrep PARSE_ERROR 400",
    "connect data_loss 500",
    "grpc 15",
];
/// What a stream is listened to after its first message.
const STREAM_FOR: Duration = Duration::from_millis(1);

/// How many answers of each kind there were, and what was wrong.
#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeMap<String, usize>,
    wrong: Vec<String>,
    /// Connections that the server closed after an answer without saying so.
    closed_between: usize,
}

impl Tally {
    fn note(&mut self, case: &Case, answer: Result<Answer, String>) {
        let verdict = answer.and_then(|answer| {
            judge(&answer, case.method)
                .map_err(|problem| format!("{problem}: {}", describe(&answer)))
        });
        match verdict {
            Ok(kind) => *self.kinds.entry(kind).or_default() += 1,
            Err(problem) => self.wrong.push(format!("{case:?}: {problem}")),
        }
    }

    fn add(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.wrong.extend(other.wrong);
        self.closed_between += other.closed_between;
    }

    fn cases(&self) -> usize {
        self.kinds.values().sum::<usize>() + self.wrong.len()
    }
}

fn describe(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(200)]).into_owned();
    format!("{} {:?} {body:?}", answer.status, answer.headers)
}

#[test]
fn r6_every_malformed_request_is_answered_in_the_words_of_its_protocol() {
    let cases =
        std::env::var("CASES").map_or(CASES_DEFAULT, |text| text.parse().expect("a number"));
    let seed = Random::seed("r6", 6);
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, generate::flags()).expect("writable");
    let mut sidecar = Start::serve().flags(&path).expect();
    let targets = Targets {
        rpc: sidecar.rpc,
        sync: sidecar.sync,
        ofrep: sidecar.ofrep,
        management: sidecar.management,
    };
    let began = Instant::now();
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        let tally = &tally;
        for worker in 0..HTTP1_WORKERS {
            let random = Random::new(seed.wrapping_mul(1_000).wrapping_add(worker as u64));
            scope.spawn(move || {
                let done = over_http1(targets, random, cases * 6 / 10 / HTTP1_WORKERS);
                tally.lock().expect("no panic").add(done);
            });
        }
        let random = Random::new(seed.wrapping_mul(1_000).wrapping_add(999));
        scope.spawn(move || {
            let done = over_http2(targets, random, cases - cases * 6 / 10);
            tally.lock().expect("no panic").add(done);
        });
    });
    report(&tally.into_inner().expect("no panic"), cases, began.elapsed());
    assert_nothing_is_left(&sidecar);
    sidecar.assert_unharmed();
}

fn report(tally: &Tally, cases: usize, taken: Duration) {
    println!(
        "r6: {} requests in {taken:?}, {} connections closed between two of them",
        tally.cases(),
        tally.closed_between
    );
    for (kind, count) in &tally.kinds {
        println!("r6: {count:>7} {kind}");
    }
    let first: Vec<&String> = tally.wrong.iter().take(5).collect();
    assert!(tally.wrong.is_empty(), "{} wrong answers, such as {first:#?}", tally.wrong.len());
    assert!(tally.cases() * 100 >= cases * 99, "only {} of {cases}", tally.cases());
    // A campaign that is refused at the door tries nothing.
    let evaluated: usize = EVALUATED.iter().filter_map(|kind| tally.kinds.get(*kind)).sum();
    assert!(evaluated * 10 > cases, "only {evaluated} requests came as far as the flags");
    assert!(tally.kinds.len() > 15, "{:?}", tally.kinds);
}

/// No stream and no connection outlives its client.
fn assert_nothing_is_left(sidecar: &Sidecar) {
    for kind in ["event", "sync"] {
        let streams = format!("outrigger_streams{{kind=\"{kind}\"}}");
        eventually(&format!("{kind} streams end"), || {
            (sidecar.metric(&streams) == 0.0).then_some(())
        });
    }
    for listener in ["rpc", "sync", "ofrep"] {
        let open = format!("outrigger_connections{{listener=\"{listener}\"}}");
        eventually(&format!("{listener} is empty"), || {
            (sidecar.metric(&open) == 0.0).then_some(())
        });
    }
}

fn over_http1(targets: Targets, mut random: Random, cases: usize) -> Tally {
    let mut connections = BTreeMap::new();
    let mut tally = Tally::default();
    for _ in 0..cases {
        let case = targets.http1_case(&mut random);
        let outcome = exchange_http1(&mut connections, &case, &mut tally);
        tally.note(&case, outcome.map_err(|error| error.to_string()));
    }
    tally
}

fn exchange_http1(
    connections: &mut BTreeMap<SocketAddr, http1::Connection>,
    case: &Case,
    tally: &mut Tally,
) -> io::Result<Answer> {
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let kept = connections.remove(&case.address);
    let mut ask = |mut connection: http1::Connection| {
        let reply = connection.exchange(case.method, &case.path, &headers, &case.body)?;
        // Of a stream the first message is enough; its connection is of no further use.
        if !reply.closes() && !reply.is_stream() {
            connections.insert(case.address, connection);
        }
        let http1::Reply { status, headers, body } = reply;
        Ok(Answer { status, headers, body })
    };
    // A server may close a connection between two requests; whoever then asks again, asks on a new
    // one, where nothing but an answer will do.
    if let Some(connection) = kept {
        match ask(connection) {
            Err(error) if is_closed(&error) => tally.closed_between += 1,
            answered => return answered,
        }
    }
    ask(http1::Connection::open(case.address)?)
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn over_http2(targets: Targets, random: Random, cases: usize) -> Tally {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..HTTP2_WORKERS {
            let mut random = random.clone();
            for _ in 0..worker {
                random.bits();
            }
            let random = Random::new(random.bits());
            workers.spawn(http2_worker(targets, random, cases / HTTP2_WORKERS));
        }
        let mut tally = Tally::default();
        while let Some(done) = workers.join_next().await {
            tally.add(done.expect("no panic"));
        }
        tally
    })
}

async fn http2_worker(targets: Targets, mut random: Random, cases: usize) -> Tally {
    let mut connections: BTreeMap<SocketAddr, http2::Connection> = BTreeMap::new();
    let mut tally = Tally::default();
    for _ in 0..cases {
        let case = targets.http2_case(&mut random);
        let connection = match connections.remove(&case.address) {
            Some(connection) => Ok(connection),
            None => http2::Connection::open(case.address).await,
        };
        let outcome = match connection {
            Ok(connection) => exchange_http2(connection, &case, &mut connections).await,
            Err(error) => Err(error),
        };
        tally.note(&case, outcome);
    }
    tally
}

async fn exchange_http2(
    mut connection: http2::Connection,
    case: &Case,
    connections: &mut BTreeMap<SocketAddr, http2::Connection>,
) -> Result<Answer, String> {
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = http2::post(case.address, &case.path, &headers, case.body.clone().into());
    let answer = connection.exchange(request, STREAM_FOR).await?;
    connections.insert(case.address, connection);
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Answer {
        status: answer.status,
        headers: answer.headers.iter().map(header).collect(),
        body: answer.body.to_vec(),
    })
}
