//! `wire`: measures the wire format on the traces in a folder. Flags in, tables or JSON out; everything else goes
//! to standard error.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use benches::measure::Models;
use benches::report::Report;
use benches::synthetic;
use benches::traces::folder::traces_in;
use benches::traces::reference::Reference;
use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
#[command(
    name = "wire",
    about = "Measures the wire format on recorded games: codes, decodes and compares every tick",
    long_about = "Reads every NAME.gtr.zst in a folder in the order of their names, codes every tick, decodes it, \
                  compares it with the trace, and tells sizes and times of the last 80 % of the ticks. Sizes are \
                  compared with those in the folder's REFERENCE.json, if it is there.",
    after_help = "Exit code: 0 everything was measured, 1 something could not be, 2 the flags make no sense."
)]
struct Flags {
    /// The folder with the traces
    #[arg(value_name = "DIR", required_unless_present = "synthetic")]
    folder: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// How long the coder's models stay as they are
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Lifetime::Published)]
    models: Lifetime,
    /// Measure loads made for single costs too: 1,000 moving entities, and one more idle one
    #[arg(long)]
    synthetic: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lifetime {
    /// From one published prior to the next, as on the wire
    Published,
    /// One tick, with priors that cost nothing: what tables that adapt on both ends would come to
    EveryTick,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let mut complete = true;
    let mut report = match &flags.folder {
        None => Report::default(),
        Some(folder) => {
            let files = traces_in(folder).unwrap_or_else(|error| {
                complete = false;
                tell(&format!("error: {error}"));
                Vec::new()
            });
            let reference = Reference::read(folder).unwrap_or_else(|error| {
                // A folder that is no folder was told of already.
                if !files.is_empty() {
                    complete = false;
                    tell(&format!("error: {error}; the traces are measured without it"));
                }
                Reference::default()
            });
            let models = match flags.models {
                Lifetime::Published => Models::Published,
                Lifetime::EveryTick => Models::EveryTick,
            };
            Report::of_traces(&files, &reference, models, tell)
        }
    };
    if flags.synthetic {
        report.synthetic = Some(synthetic::run(tell));
    }
    let text = match flags.json {
        true => serde_json::to_string_pretty(&report).expect("plain data is JSON") + "\n",
        false => report.tables(),
    };
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        tell(&format!("error: the result cannot be written: {error}"));
        return ExitCode::FAILURE;
    }
    if complete && report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says on standard error what comes next, or what went wrong.
fn tell(text: &str) {
    eprintln!("wire: {text}");
}
