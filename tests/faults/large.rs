//! Documents at the edge of what is allowed.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_flags::{Code, Format, Value, limits};
use outrigger_tests::http1::Connection;
use outrigger_tests::sidecar::Start;
use outrigger_tests::{document, wait};
use serde_json::json;

use crate::engine::{codes, loaded, resolve, try_load};

#[test]
fn a7_100_000_flags_are_reloaded_while_every_request_is_answered() {
    const FLAGS: usize = 100_000;
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, document::many(FLAGS, 0)).expect("writable");
    let mut sidecar = Start::serve().flags(&path).expect();
    let size = fs::metadata(&path).expect("there").len();

    let stop = AtomicBool::new(false);
    let (answers, slowest) = thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&stop, sidecar.ofrep));
        for value in 1..=3 {
            document::rename_into_place(&path, &document::many(FLAGS, value));
            let taken = sidecar.wait_for_value("flag-099999", value);
            println!("a7: {FLAGS} flags in {size} bytes were live after {taken:?}");
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("every request was answered")
    });
    println!("a7: {answers} answers meanwhile, the slowest after {slowest:?}");
    assert!(answers > 1_000);
    // Loading takes far longer than this: no request waited for it.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(sidecar.metric("outrigger_flags"), FLAGS as f64);
    sidecar.assert_unharmed();
}

/// Evaluates until told to stop; how often, and the longest wait.
fn read_until(stop: &AtomicBool, ofrep: std::net::SocketAddr) -> (usize, Duration) {
    let mut connection = Connection::open(ofrep).expect("reachable");
    let (mut answers, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/ofrep/v1/evaluate/flags/flag-{:06}", answers % 100_000);
        let began = Instant::now();
        let reply = connection.exchange("POST", &path, &[], b"{}").expect("an answer");
        slowest = slowest.max(began.elapsed());
        assert_eq!(reply.status, 200, "{}", reply.text());
        answers += 1;
    }
    (answers, slowest)
}

/// A flag of about this many bytes, beside a plain one.
fn flag_of(bytes: usize) -> String {
    let words: Vec<String> = (0..bytes / 1_024).map(|i| format!("{i:01021}")).collect();
    document::of([
        ("answer", document::constant(42)),
        (
            "large",
            json!({"state": "ENABLED", "variants": {"on": true, "off": false},
            "defaultVariant": "off",
            "targeting": {"if": [{"in": [{"var": "id"}, words]}, "on", null]}}),
        ),
    ])
}

#[test]
fn a8_a_rule_of_a_megabyte_is_served_up_to_the_limit_and_isolated_above() {
    let fits = loaded(&flag_of(limits::FLAG_BYTES_MAX * 9 / 10), Format::Json);
    assert_eq!(codes(&fits), []);
    let hit = json!({"id": format!("{:01021}", 7)}).to_string();
    assert_eq!(resolve(fits.layer, "large", &hit), Ok(Value::from(true)));

    let over = loaded(&flag_of(limits::FLAG_BYTES_MAX * 11 / 10), Format::Json);
    assert_eq!(codes(&over), [Code::FlagTooLarge]);
    assert_eq!(resolve(over.layer, "answer", "{}"), Ok(Value::from(42_i64)));
}

#[test]
fn a8_a_rule_of_too_many_nodes_is_isolated() {
    let items = vec![1; limits::FLAG_NODES_MAX + 1];
    let text = document::of([
        ("answer", document::constant(42)),
        (
            "large",
            json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
            "targeting": {"in": [1, items.iter().map(|i| json!({"var": i.to_string()}))
                .collect::<Vec<_>>()]}}),
        ),
    ]);
    let over = loaded(&text, Format::Json);
    assert_eq!(codes(&over), [Code::FlagTooLarge]);
    assert_eq!(resolve(over.layer, "answer", "{}"), Ok(Value::from(42_i64)));
}

#[test]
fn a25_more_flags_than_allowed_refuse_the_document() {
    let flags: String = (0..=limits::FLAGS_MAX).map(|i| format!(",\"f{i}\":{{}}")).collect();
    let over = format!("{{\"flags\":{{{}}}}}", &flags[1..]);
    let refused = try_load(over.as_bytes(), Format::Json, None).expect_err("too many");
    assert_eq!(refused.diagnostics()[0].code, Code::TooManyFlags);
}

#[test]
fn a25_a_file_over_the_size_limit_is_not_even_read() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.json");
    fs::write(&path, document::answer(1)).expect("writable");
    let mut sidecar = Start::serve().flags(&path).expect();
    let before = resident_bytes(sidecar.pid());
    // Sparse: it takes no room, but reading it would.
    let huge = fs::File::options().write(true).open(&path).expect("writable");
    huge.set_len(8 << 30).expect("sparse files");
    let said = sidecar.wait_for_readiness("stale");
    assert!(said.contains("larger than 64 MiB"), "{said}");
    assert_eq!(sidecar.value("answer"), 1);
    let grown = resident_bytes(sidecar.pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more in memory");
    document::rename_into_place(&path, &document::answer(2));
    sidecar.wait_for_value("answer", 2);
    sidecar.assert_unharmed();
}

/// What a process holds in memory.
fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

#[test]
fn a9_an_alias_bomb_costs_little_memory() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("flags.yaml");
    fs::write(&path, document::yaml(0..3)).expect("writable");
    let mut sidecar = Start::serve().flags(&path).expect();
    let peak = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    };
    let before = peak(sidecar.pid());
    let mut bomb = String::from("x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n");
    for i in 1..12 {
        let below = vec![format!("*x{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("x{i}: &x{i} [{below}]\n"));
    }
    document::rename_into_place(&path, &format!("{bomb}flags: {{}}\n"));
    let (_, taken) =
        wait::eventually("it is refused", || sidecar.readiness().contains("refused").then_some(()));
    let grown = peak(sidecar.pid()) - before;
    println!("a9: refused after {taken:?}, at a peak of {} KiB more", grown >> 10);
    assert!(grown < 256 << 20, "{grown} bytes");
    assert_eq!(sidecar.resolve_all().len(), 3);
    sidecar.assert_unharmed();
}
