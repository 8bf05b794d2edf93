//! The whole cluster in one thread under faults from seeds, in a short form; `cargo run --release -p tests --bin sim`
//! is the long one, and tells of one seed all that happens.

use harness::sim::Batch;

/// Seeds that once failed, a line each, with what they found.
const ONCE_FAILED: &str = include_str!("../harness/sim/seeds.txt");
/// Seeds that are run besides.
const SEEDS: u64 = 50;

#[test]
fn no_fault_sets_a_match_back_or_keeps_it_from_going_on() {
    let known = ONCE_FAILED.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    run(known.chain(1..=SEEDS).collect(), false);
}

/// Of matches whose players have secrets of each other: whatever a client is sent is held against what it may see.
#[test]
fn no_fault_tells_anybody_a_secret() {
    run((1..=SEEDS).collect(), true);
}

fn run(seeds: Vec<u64>, secrets: bool) {
    let report = Batch { seeds, threads: 2, secrets }.run(|_| true);
    println!("{}", report.counters.table());
    for failure in &report.failures {
        println!("SEED={}: {}", failure.seed, failure.message);
        failure.needed.iter().for_each(|line| println!("  {line}"));
    }
    assert!(report.failures.is_empty(), "cargo run --release -p tests --bin sim -- --seed N tells more");
    assert!(report.counters.commits > 5_000, "matches went on");
}
