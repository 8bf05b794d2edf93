//! Drives the abuse of `docs/abuse.md` against real nodes, row by row and as hard as it goes, while honest bots play, and measures
//! what these and the nodes notice. Bounded in time; everything it starts ends with it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harness::abuse::catalogue::{self, Row};
use harness::abuse::run::{self, Plan};

/// Attacks nodes of its own in every way that the catalogue has, and tells whether honest players noticed.
///
/// Exit code: 0 every outcome was as it must be, 1 one was not, memory grew, or honest players' updates came more than 1 ms later
/// (p99; a release build), 2 the flags make no sense.
#[derive(Debug, Parser)]
#[command(name = "abuse")]
struct Args {
    /// Rows, with commas between [default: all; --list tells which there are]
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    rows: Vec<String>,

    /// Tells which rows there are, and does nothing
    #[arg(long)]
    list: bool,

    /// Honest bots, in matches of ten
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=500))]
    bots: u32,

    /// Seconds for which each row is driven, and the phases without abuse are measured
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Decides what the bots do
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Two nodes on a Redis, of which the first is attacked, in place of one alone
    #[arg(long)]
    redis: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let all = catalogue::rows();
    if args.list {
        all.iter().for_each(|row| println!("{:<6} {}", row.id, row.what));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = args.rows.iter().find(|wanted| all.iter().all(|row| row.id != **wanted)) {
        eprintln!("abuse: --rows {unknown}: there is no such row; --list tells which there are");
        return ExitCode::from(2);
    }
    let is_wanted = |row: &Row| args.rows.is_empty() || args.rows.iter().any(|wanted| row.id == wanted);
    let rows: Vec<Row> = all.into_iter().filter(is_wanted).collect();
    if cfg!(debug_assertions) {
        eprintln!("abuse: a debug build: times mean nothing and are not judged; run it with --release");
    }
    let plan =
        Plan { bots: args.bots, time: Duration::from_secs(args.seconds), seed: args.seed, redis: args.redis };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .expect("the runtime starts")
        .block_on(run::run(plan, &rows, |line| eprintln!("abuse: {line}")));
    match args.json {
        true => println!("{:#}", outcome.json()),
        false => print!("{}", outcome.text()),
    }
    if outcome.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
