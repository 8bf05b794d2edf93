//! What each task of `load` does: who is measured how, in which turns, and what is made of it.

use std::fs;
use std::io;
use std::process::Command;

use serde::Serialize;

use super::budget::{self, Budget};
use super::churn;
use super::cli::{Common, Flags, Task};
use super::client::Load;
use super::commit;
use super::growth;
use super::html;
use super::knee::{self, Knee};
use super::process::{self, Cores};
use super::report::{Kind, Report};
use super::run::{Outcome, Plan, Trial};
use super::swarm;
use super::systems::System;
use super::text;

/// Ticks per second of those who have nothing to tell and must: the least that tickcast takes.
const IDLE_TICK_RATE: u32 = 10;

/// Runs a task. False when something that was asked for could not be measured, or is not within its budget.
pub fn run(flags: Flags) -> io::Result<bool> {
    match flags.task {
        Task::Cpu(common) => {
            let plan = common.plan(prepare(&common)?);
            compare(&common, Kind::Cpu, plan).map(|(complete, _)| complete)
        }
        Task::Latency { common, probes } => {
            let plan = common.plan(prepare(&common)?);
            let load = Load { probes, ..plan.load };
            compare(&common, Kind::Latency, Plan { load, ..plan }).map(|(complete, _)| complete)
        }
        Task::Idle(common) => {
            let plan = common.plan(prepare(&common)?);
            let load = Load { sends_inputs: false, tick_rate: IDLE_TICK_RATE, ..plan.load };
            compare(&common, Kind::Idle, Plan { load, is_idle: true, ..plan }).map(|(complete, _)| complete)
        }
        Task::Knee { common, from, to, growth } => {
            let plan = common.plan(prepare(&common)?);
            grow(&common, plan, &knee::steps(from, to, growth))
        }
        Task::Growth { common, flags } => {
            let plan = common.plan(prepare(&common)?);
            let (complete, report) =
                growth::grow(&flags, plan, &systems(&common, &growth::SYSTEMS), common.turns)?;
            tell(&common, &report, &report.text(), || report.page()).map(|()| complete)
        }
        Task::Churn { common, flags } => {
            let plan = common.plan(prepare(&common)?);
            let (good, report) = churn::churn(flags, plan, &systems(&common, &churn::SYSTEMS), common.turns)?;
            tell(&common, &report, &report.text(), || report.page()).map(|()| good)
        }
        Task::Swarm { common, flags } => {
            let plan = common.plan(prepare(&common)?);
            let (complete, report) =
                swarm::compare(&flags, plan, &systems(&common, &swarm::SYSTEMS), common.turns)?;
            tell(&common, &report, &report.text(), || report.page()).map(|()| complete)
        }
        Task::Check { mut common, budget } => {
            let budget = Budget::read(&budget)?;
            if common.systems.is_empty() {
                common.systems = budget.systems();
            }
            let plan = common.plan(prepare(&common)?);
            let (complete, report) = compare(&common, Kind::Cpu, plan)?;
            let verdicts = budget.judge(&report.summaries);
            println!("{}", budget::table(&verdicts));
            Ok(complete && verdicts.iter().all(budget::Verdict::holds))
        }
        Task::Commit(flags) => commit::compare(&flags, place(flags.priority)).map(|()| true),
    }
}

/// Builds what is measured and finds a place for it.
fn prepare(common: &Common) -> io::Result<Cores> {
    let cargo = std::env::var_os("CARGO").filter(|_| !common.no_build);
    if let Some(cargo) = cargo {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "tickcast-server", "-p", "benches", "--bins"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        if !build.status()?.success() {
            return Err(io::Error::other("what is measured could not be built"));
        }
    }
    Ok(place(common.priority))
}

/// Where servers and load run.
fn place(priority: bool) -> Cores {
    if cfg!(debug_assertions) {
        say("a debug build: its figures mean nothing; run it with --release");
    }
    let cores = Cores::of_this_machine();
    process::settle(cores, priority);
    if cores.server.is_none() {
        say("one core, or no taskset: servers and load share what there is");
    }
    cores
}

/// The systems that were asked for, or these, as far as they are here.
fn systems(common: &Common, otherwise: &[System]) -> Vec<System> {
    let wanted = if common.systems.is_empty() { otherwise.to_vec() } else { common.systems.clone() };
    let (here, missing): (Vec<System>, Vec<System>) =
        wanted.into_iter().partition(|system| system.is_installed());
    for system in missing {
        say(&format!("{} is left out: it is not installed (docs/performance.md)", system.name()));
    }
    here
}

/// Measures every system once, then every system again, as often as wanted.
fn compare(common: &Common, kind: Kind, plan: Plan) -> io::Result<(bool, Report)> {
    let (mut outcomes, mut complete) = (Vec::new(), true);
    let systems = systems(common, &System::all());
    for turn in 1..=common.turns {
        for system in &systems {
            let name = system.name();
            match Trial::start(*system, plan).and_then(|mut trial| trial.measure(plan.matches)) {
                Ok(outcome) => {
                    say(&format!("{turn}/{} {name}: {}", common.turns, progress(&outcome)));
                    outcomes.push(outcome);
                }
                Err(error) => {
                    complete = false;
                    say(&format!("{turn}/{} {name} failed: {error}", common.turns));
                }
            }
        }
    }
    let report = Report::new(kind, plan, outcomes, Vec::new());
    tell(common, &report, &report.text(), || html::page(&report))?;
    Ok((complete, report))
}

/// Adds matches to each system until it cannot follow; then the next turn.
fn grow(common: &Common, plan: Plan, steps: &[u32]) -> io::Result<bool> {
    let (mut outcomes, mut knees, mut complete) = (Vec::new(), Vec::new(), true);
    let systems = systems(common, &System::all());
    for turn in 1..=common.turns {
        for system in &systems {
            let grown = Trial::start(*system, plan).map(|mut trial| {
                knee::grow(steps, |matches| {
                    let measured = trial.measure(matches);
                    let told = measured.as_ref().map_or_else(ToString::to_string, progress);
                    say(&format!("{turn}/{} {}, {matches} matches: {told}", common.turns, system.name()));
                    measured
                })
            });
            match grown {
                Ok(steps) => {
                    knees.push(Knee::of(*system, plan.load.tick_rate, &steps));
                    outcomes.extend(steps);
                }
                Err(error) => {
                    complete = false;
                    say(&format!("{turn}/{} {} failed: {error}", common.turns, system.name()));
                }
            }
        }
    }
    let report = Report::new(Kind::Knee, plan, outcomes, knees);
    tell(common, &report, &report.text(), || html::page(&report))?;
    Ok(complete)
}

pub(super) fn progress(outcome: &Outcome) -> String {
    if outcome.updates == 0 {
        return format!("{:.1} KB per connection, no updates", outcome.resident_kb);
    }
    format!(
        "{:.2} us per update, gap p99 {:.1} ms, {} delivered, others' CPU {}",
        outcome.cpu_us(),
        outcome.gap_ms.p99,
        text::percent(outcome.delivered),
        text::percent(outcome.foreign)
    )
}

/// Tells what was found: on the terminal, and in the files that were asked for.
fn tell(
    common: &Common,
    report: &impl Serialize,
    text: &str,
    page: impl FnOnce() -> String,
) -> io::Result<()> {
    println!("{text}");
    if let Some(path) = &common.json {
        fs::write(path, serde_json::to_string_pretty(report).expect("plain data is JSON") + "\n")?;
    }
    if let Some(path) = &common.html {
        fs::write(path, page())?;
    }
    Ok(())
}

pub(super) fn say(text: &str) {
    eprintln!("load: {text}");
}
