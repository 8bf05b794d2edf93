//! `tickcast-bots`: flags in, report and exit code out.

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use tickcast_bots::api::{self, ApiError};
use tickcast_bots::clock::Clock;
use tickcast_bots::plan::{Flags, Plan};
use tickcast_bots::progress::Progress;
use tickcast_bots::report::Report;
use tickcast_bots::share::divide;
use tickcast_bots::swarm::{self, Command};
use tickcast_bots::tally::Tally;
use tickcast_bots::workers;
use tickcast_client::Trust;
use tickcast_protocol::MatchId;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The flags make no sense together; clap uses the same code for each alone.
const EXIT_FLAGS: u8 = 2;
/// Commands and pulses under way.
const QUEUED_MAX: usize = 64;

fn main() -> ExitCode {
    let clock = Clock::start();
    let flags = Flags::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), ExitCode::FAILURE),
    };
    if flags.worker {
        return match runtime.block_on(workers::serve(clock)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string(), ExitCode::FAILURE),
        };
    }
    let plan = match Plan::try_from(flags) {
        Ok(plan) => plan,
        Err(error) => return fail(&error.to_string(), ExitCode::from(EXIT_FLAGS)),
    };
    let trust = match plan.trust() {
        Ok(trust) => trust,
        Err(error) => return fail(&format!("--tls-ca {error}"), ExitCode::from(EXIT_FLAGS)),
    };
    match runtime.block_on(run(clock, &plan, &trust)) {
        Ok(report) => conclude(&plan, &report),
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

fn fail(text: &str, code: ExitCode) -> ExitCode {
    eprintln!("error: {text}");
    code
}

/// Prints and writes the report.
fn conclude(plan: &Plan, report: &Report) -> ExitCode {
    if !plan.quiet {
        println!("{}", report.tables());
    }
    println!("{}", report.verdict());
    if let Some(file) = &plan.json {
        let json = serde_json::to_string_pretty(report).expect("plain data is JSON");
        if let Err(error) = fs::write(file, json + "\n") {
            return fail(&format!("{} cannot be written: {error}", file.display()), ExitCode::FAILURE);
        }
    }
    if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(clock: Clock, plan: &Plan, trust: &Trust) -> Result<Report, String> {
    let match_ids = match plan.match_ids.is_empty() {
        true => create_matches(plan, trust).await.map_err(|error| error.to_string())?,
        false => plan.match_ids.clone(),
    };
    let tally = conduct(clock, plan, &match_ids).await?;
    Ok(Report::new(plan, match_ids, tally))
}

async fn create_matches(plan: &Plan, trust: &Trust) -> Result<Vec<MatchId>, ApiError> {
    let mut ids = Vec::new();
    for target in plan.targets.iter().cycle().take(plan.matches as usize) {
        ids.push(api::create_match(plan, target, trust).await?);
    }
    Ok(ids)
}

/// Lets the bots loose, shows the progress, and stops them at Ctrl-C.
async fn conduct(clock: Clock, plan: &Plan, match_ids: &[MatchId]) -> Result<Tally, String> {
    let progress = Progress::new(plan.seconds, plan.quiet);
    let (command, commands) = mpsc::channel(QUEUED_MAX);
    let (pulse, mut pulses) = mpsc::channel(QUEUED_MAX);
    let mut shares = divide(plan, match_ids);
    let bots = async {
        if plan.processes > 1 {
            return workers::run(plan, shares, commands, pulse).await.map_err(|error| error.to_string());
        }
        let share = shares.swap_remove(0);
        swarm::run(clock, plan.clone(), share, commands, pulse).await.map_err(|error| error.to_string())
    };
    command.try_send(Command::Measure).expect("the channel is empty");
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(bots, interrupt);
    let mut interrupted = false;
    let result = loop {
        tokio::select! {
            result = &mut bots => break result,
            Some(pulse) = pulses.recv() => progress.show(pulse),
            _ = &mut interrupt, if !interrupted => {
                interrupted = true;
                command.try_send(Command::Stop).expect("one command is in the channel at most");
            }
        }
    };
    progress.clear();
    result
}
