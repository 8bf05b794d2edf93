//! `sim`: the whole cluster in one thread under faults, for many seeds. Counts on standard output; everything else
//! goes to standard error.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use harness::sim::{Batch, Plan, Report, run_one};
use tickcast_server::io::clock;

/// A batch of at least so many seeds must have seen every fault.
const SEEDS_FOR_ALL: u64 = 200;

#[derive(Debug, Parser)]
#[command(
    name = "sim",
    about = "Runs a simulated cluster under faults that come from seeds",
    long_about = "Three nodes, one or two matches and a few clients in one thread with a pretended clock: the server's \
                  decisions and the client are the real ones. Each seed has faults of its own. For a seed that fails, \
                  the faults are told without which it does not.",
    after_help = "Exit code: 0 all is well, 1 a seed failed or a fault never happened, 2 the flags make no sense."
)]
struct Flags {
    /// How many seeds to run
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Players have secrets of each other, and whatever a client is sent is held against what it may see
    #[arg(long)]
    secrets: bool,
    /// Run this one and tell all that happens
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "seconds"])]
    seed: Option<u64>,
    /// Begin no more seeds after this time
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(seed) = flags.seed {
        return run_verbose(seed, flags.secrets);
    }
    let threads = available_parallelism().map_or(1, usize::from);
    let batch = Batch {
        seeds: (flags.from..flags.from.saturating_add(flags.seeds)).collect(),
        threads,
        secrets: flags.secrets,
    };
    let (begun, looked_at) = (clock::now(), stderr().is_terminal());
    let until = flags.seconds.map(|seconds| begun + Duration::from_secs(seconds));
    // What a panicking run has to say is in its failure.
    std::panic::set_hook(Box::new(|_| {}));
    let report = batch.run(|done| {
        if looked_at && done.is_multiple_of(20) {
            eprint!("\r{done} of {} seeds", flags.seeds);
        }
        until.is_none_or(|until| clock::now() < until)
    });
    if looked_at {
        eprintln!("\r{} of {} seeds", report.seeds, flags.seeds);
    }
    conclude(&report, begun.elapsed())
}

fn conclude(report: &Report, took: Duration) -> ExitCode {
    print!("{}", report.counters.table());
    println!(
        "{} seeds in {:.1} s, {} ticks committed, {} states compared, {} seeds failed",
        report.seeds,
        took.as_secs_f64(),
        report.counters.commits,
        report.counters.comparisons,
        report.failures.len()
    );
    for failure in &report.failures {
        eprintln!("error: seed {}: {}", failure.seed, failure.message);
        eprintln!("  of {} faults these are needed:", failure.planned);
        failure.needed.iter().for_each(|line| eprintln!("  {line}"));
    }
    let missing = report.counters.missing();
    let tested = report.seeds < SEEDS_FOR_ALL || missing.is_empty();
    if !tested {
        eprintln!("error: never happened, so nothing is known of it: {}", missing.join("; "));
    }
    if tested && report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_verbose(seed: u64, secrets: bool) -> ExitCode {
    let plan = Plan::of(seed);
    let plan = if secrets { plan.with_secrets() } else { plan };
    plan.lines().iter().for_each(|line| println!("{line}"));
    match run_one(&plan, true).0 {
        Ok(trace) => {
            println!("seed {seed} is well, trace {trace:016x}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("seed {seed} failed: {message}");
            ExitCode::FAILURE
        }
    }
}
