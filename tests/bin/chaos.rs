//! Kills, freezes and restarts parts of a real cluster under load, and proves from the histories that its players
//! lost nothing. Bounded in time and in faults; everything it starts ends with it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use harness::chaos::{self, Fault, Plan};

/// Runs a cluster of real nodes, a Redis and bots, and does harm to it.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Args {
    /// What is done
    #[arg(long, value_enum, default_value = "kill")]
    fault: FaultName,

    /// How often (rounds of a rolling restart)
    #[arg(long, alias = "kills", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,

    /// Decides who is hit and when
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=16))]
    nodes: u16,

    /// Matches
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=500))]
    matches: u16,

    /// Players in each match
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=16))]
    players: u16,

    /// Lease of the nodes, milliseconds
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(200..=60_000))]
    lease_ms: u64,

    /// Keep the histories in this folder, which must be empty or absent [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FaultName {
    /// kill -9 a node that owns matches, start it again
    Kill,
    /// Freeze a node that owns matches until others have taken them, let it go on
    Freeze,
    /// kill -9 Redis, start it again with its append-only file
    Redis,
    /// Stop each node in good order, one after another, and start it again
    Rolling,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let temporary = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    if let Err(error) = std::fs::create_dir_all(&folder) {
        eprintln!("chaos: --keep {}: {error}", folder.display());
        return ExitCode::from(2);
    }
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        eprintln!("chaos: --keep {}: the folder is not empty", folder.display());
        return ExitCode::from(2);
    }
    let fault = match args.fault {
        FaultName::Kill => Fault::Kill,
        FaultName::Freeze => Fault::Freeze,
        FaultName::Redis => Fault::Redis,
        FaultName::Rolling => Fault::Rolling,
    };
    let plan = Plan {
        fault,
        times: args.times,
        seed: args.seed,
        nodes: args.nodes.into(),
        matches: args.matches.into(),
        players: args.players.into(),
        lease_ms: args.lease_ms,
        folder,
    };
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let outcome = runtime.block_on(chaos::run(plan.clone(), |line| eprintln!("chaos: {line}")));
    match args.json {
        true => println!("{:#}", outcome.json(&plan)),
        false => print!("{}", outcome.text(&plan)),
    }
    if outcome.is_good(&plan) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
