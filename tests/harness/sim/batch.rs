//! Many runs, on all cores: counts, repetitions that must come out the same, and the shortest list of faults that
//! still fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cluster::Cluster;
use super::counters::Counters;
use super::plan::Plan;

/// Each seed that this divides is run twice.
const REPEAT_EVERY: u64 = 50;
/// Failing seeds after which a batch stops.
const FAILURES_MAX: usize = 5;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How many at a time.
    pub threads: usize,
    /// Whether players have secrets of each other.
    pub secrets: bool,
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What was wrong.
    pub message: String,
    /// The faults of its plan, a line each.
    pub planned: usize,
    /// Those without which it does not fail.
    pub needed: Vec<String>,
}

/// What came of a batch.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// What happened in them.
    pub counters: Counters,
    /// What failed.
    pub failures: Vec<Failure>,
}

/// Runs one plan; its trace's hash, or what was wrong.
pub fn run_one(plan: &Plan, verbose: bool) -> (Result<u64, String>, Counters) {
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut cluster = Cluster::new(plan, verbose);
        let result = cluster.run();
        (result, cluster.counters)
    }));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        (Err(format!("panic: {}", text.unwrap_or_default())), Counters::default())
    })
}

/// Leaves out one fault after another, first whole halves, as long as it still fails.
fn shrink(plan: &Plan) -> Plan {
    let mut best = plan.clone();
    let mut size = best.faults.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < best.faults.len() {
            let mut fewer = best.faults.clone();
            fewer.drain(from..(from + size).min(best.faults.len()));
            let candidate = best.with(&fewer);
            if run_one(&candidate, false).0.is_err() {
                best = candidate;
            } else {
                from += size;
            }
        }
        if size == 1 {
            return best;
        }
        size = size.div_ceil(2);
    }
}

fn run_seed(seed: u64, secrets: bool) -> (Option<Failure>, Counters) {
    let plan = Plan::of(seed);
    let plan = if secrets { plan.with_secrets() } else { plan };
    let (result, counters) = run_one(&plan, false);
    let failure = match result {
        Ok(trace) if seed.is_multiple_of(REPEAT_EVERY) => {
            let again = run_one(&plan, false).0;
            let same = again == Ok(trace);
            (!same)
                .then(|| (format!("the second run went another way: {again:?}, not {trace}"), plan.clone()))
        }
        Ok(_) => None,
        Err(message) => Some((message, shrink(&plan))),
    };
    let planned = plan.faults.len();
    let failure =
        failure.map(|(message, shortest)| Failure { seed, message, planned, needed: shortest.lines() });
    (failure, counters)
}

impl Batch {
    /// Runs all, as long as `goes_on` says so when it is told how many are done.
    pub fn run(&self, goes_on: impl Fn(u64) -> bool + Sync) -> Report {
        let report = Mutex::new(Report::default());
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(seed) = self.seeds.get(index as usize) else { return };
                let (failure, counters) = run_seed(*seed, self.secrets);
                let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                report.seeds += 1;
                report.counters.merge(&counters);
                report.failures.extend(failure);
                let enough = report.failures.len() >= FAILURES_MAX;
                if enough || !goes_on(report.seeds) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
        report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
