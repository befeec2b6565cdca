//! The latency of an evaluation, by handle and by name, beside the limits.
//!
//! `cargo bench -p outrigger-benches --bench evaluate [-- --json]`

use std::error::Error;

use outrigger_benches::contenders::{BY_NAME, Contender, engine, limits};
use outrigger_benches::report::{Arguments, Cell, Table};
use outrigger_benches::rounds::{Plan, Samples};
use outrigger_benches::workload::{FLAGS, Workload};

/// Who is compared with which limit, and how many times as long it may take.
const COMPARISONS: [(Workload, &str, &str, Option<f64>); 7] = [
    (Workload::Static, "by handle", "L1", None),
    (Workload::Static, "by name", "L2", Some(1.3)),
    (Workload::Rule, "by handle", "L3h", None),
    (Workload::Rule, "by name", "L3v", Some(2.0)),
    (Workload::Split, "by handle", "L4h", None),
    (Workload::Split, "by name", "L4", None),
    (Workload::Split, "by name", "L4p", Some(1.6)),
];

const COLUMNS: &[&str] =
    &["workload", "evaluation", "ns", "limit", "limit ns", "ratio", "target", "met", "allocations"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let rounds = if arguments.measure { 1_000 } else { 1 };
    let mut contenders = engine()?;
    contenders.extend(limits());
    check_answers(&mut contenders)?;

    let plan = Plan { rounds, batch: 2 * FLAGS, warm_up: FLAGS };
    let samples = Samples::take(plan, &mut contenders);
    let mut table = Table::new("evaluate", COLUMNS);
    for (workload, name, limit, target) in COMPARISONS {
        let place =
            |name: &str| contenders.iter().position(|c| c.workload == workload && c.name == name);
        let (ours, theirs) = place(name).zip(place(limit)).ok_or("a contender is missing")?;
        let ratio = samples.ratio(ours, theirs);
        let allocations = contenders.get_mut(ours).map_or(0, allocations);
        table.push([
            workload.name().into(),
            name.into(),
            Cell::Number(samples.median(ours), 1),
            limit.into(),
            Cell::Number(samples.median(theirs), 1),
            Cell::Number(ratio, 2),
            target.map_or(Cell::Nothing, |target| Cell::Number(target, 1)),
            target.map_or(Cell::Nothing, |target| {
                if ratio <= target && allocations == 0 { "yes" } else { "no" }.into()
            }),
            Cell::count(allocations),
        ]);
    }
    table.print(arguments.json);
    Ok(())
}

/// Everyone has to answer as the engine does by name; only then does speed mean anything. `L4`
/// hashes less than the rest and is another chain.
fn check_answers(contenders: &mut [Contender]) -> Result<(), Box<dyn Error>> {
    for workload in Workload::ALL {
        let mut right = None;
        let mut rivals: Vec<_> = contenders.iter_mut().filter(|c| c.workload == workload).collect();
        rivals.sort_by_key(|contender| contender.name != BY_NAME);
        for contender in rivals {
            let place = contender.run(100 * FLAGS);
            if *right.get_or_insert(place) != place && contender.name != "L4" {
                return Err(format!("{contender:?} gives other answers than the engine").into());
            }
        }
    }
    Ok(())
}

/// Allocations in as many evaluations as there are flags.
fn allocations(contender: &mut Contender) -> u64 {
    allocation_counter::measure(|| {
        contender.run(FLAGS);
    })
    .count_total
}
