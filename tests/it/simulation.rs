//! The whole cluster in one thread under faults from a seed: `SEED=4711 cargo test -p tests simulation`.

use std::time::Duration;

use harness::sim::{Cluster, Faults};

/// Seeds of the short form; `SEEDS=1000` runs more, `SEED=n` one.
const SEEDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_client_stays_in_step_whatever_the_network_does() {
    let first = number("SEED").unwrap_or(1);
    let count = if number("SEED").is_some() { 1 } else { number("SEEDS").unwrap_or(SEEDS) };
    let mut total = Faults::default();
    let (mut comparisons, mut owners) = (0, 0);
    for seed in first..first + count {
        println!("SEED={seed}");
        let mut cluster = Cluster::new(seed);
        cluster.run(Duration::from_secs(20));
        let faults = cluster.faults;
        total.lost += faults.lost;
        total.repeated += faults.repeated;
        total.reordered += faults.reordered;
        total.unanswered += faults.unanswered;
        total.killed += faults.killed;
        total.fenced += faults.fenced;
        total.killed_at_priors += faults.killed_at_priors;
        total.stalled += faults.stalled;
        total.caught_up += faults.caught_up;
        total.given_snapshots += faults.given_snapshots;
        comparisons += cluster.oracle.comparisons;
        owners += cluster.oracle.owners();
    }
    println!("{count} seeds, {comparisons} states compared, {owners} ownerships, {total:?}");
    if count > 1 {
        let network = [total.lost, total.repeated, total.reordered, total.unanswered];
        let owners = [total.killed, total.fenced, total.killed_at_priors];
        let clients = [total.stalled, total.caught_up, total.given_snapshots];
        let mut all = network.iter().chain(&owners).chain(&clients);
        assert!(all.all(|times| *times > 0), "a fault that never happened tests nothing: {total:?}");
    }
}
