//! What players leave behind who come and go: beside a load that plays on, others join and leave at a steady rate, and
//! the servers' memory, files and keys are held against what they were before.

use std::io;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::client::Load;
use super::clock;
use super::procfs;
use super::run::{Outcome, Plan, Trial};
use super::systems::System;
use super::tally::Percentiles;
use super::tasks::say;

use self::visitors::{Tour, Visits};

mod report;
mod visitors;

pub(super) use report::Report;

/// Whom it takes where nobody else is named.
pub(super) const SYSTEMS: [System; 2] = [System::Tickcast, System::TickcastRedis];
/// Places that each match has: as many as the arena has at most.
const PLACES: u32 = 64;
/// How long the load plays by itself and is measured, before anybody comes and goes.
const BEFORE: Duration = Duration::from_secs(10);
/// Between two looks whether everything is as it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// By how much memory may have grown and still count as back.
const GROWTH_MAX: f64 = 0.05;

/// What `churn` takes besides.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ChurnFlags {
    /// Joins per second, and as many leaves
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(crate) rate: u32,
    /// Seconds for which each of them stays
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub(crate) stay: f64,
    /// Seconds that memory, files and keys have at most to be as before, once the last one has left
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub(crate) settle: f64,
}

/// What the servers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Held {
    /// Resident memory, KiB.
    resident_kb: u64,
    /// Open files.
    files: u64,
    /// Keys in Redis.
    keys: Option<u64>,
}

impl Held {
    fn of(trial: &Trial) -> io::Result<Held> {
        let files = trial.servers().into_iter().map(procfs::open_files).sum::<io::Result<u64>>()?;
        Ok(Held { resident_kb: trial.resident()?.all, files, keys: trial.keys()? })
    }

    /// By what part memory has grown since.
    fn growth(&self, before: &Held) -> f64 {
        self.resident_kb as f64 / before.resident_kb.max(1) as f64 - 1.0
    }

    /// Whether nothing is left of what has happened since.
    fn is_back(&self, before: &Held) -> bool {
        self.resident_kb as f64 <= before.resident_kb as f64 * (1.0 + GROWTH_MAX)
            && self.files <= before.files
            && self.keys <= before.keys
    }
}

/// One system that people came to and left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Churn {
    system: System,
    /// The load by itself, and with others who come and go.
    quiet: Outcome,
    busy: Outcome,
    /// Who got in, and who did not.
    joined: u64,
    failed: u64,
    /// Why the first one did not.
    failure: Option<String>,
    /// From the first step of connecting to the first state.
    join_ms: Percentiles,
    before: Held,
    /// Most memory meanwhile, KiB.
    peak_kb: u64,
    after: Held,
    /// Seconds until everything was as before, or until nobody waited any more.
    settled_seconds: f64,
}

impl Churn {
    fn is_back(&self) -> bool {
        self.after.is_back(&self.before)
    }
}

/// Measures every system, then again, as often as wanted. Whether everything could be measured and nothing is left behind.
pub(super) fn churn(
    flags: ChurnFlags,
    plan: Plan,
    systems: &[System],
    turns: u32,
) -> io::Result<(bool, Report)> {
    let (mut churns, mut good) = (Vec::new(), true);
    for turn in 1..=turns {
        for system in systems {
            let said = format!("{turn}/{turns} {}", system.name());
            match measure(flags, *system, plan, &said) {
                Ok(churn) => {
                    good &= churn.is_back() && churn.failed == 0;
                    churns.push(churn);
                }
                Err(error) => {
                    good = false;
                    say(&format!("{said} failed: {error}"));
                }
            }
        }
    }
    Ok((good, Report::new(flags, plan, churns)))
}

fn measure(flags: ChurnFlags, system: System, plan: Plan, said: &str) -> io::Result<Churn> {
    let load = Load { guests: PLACES.saturating_sub(plan.load.players), ..plan.load };
    let plan = Plan { load, ..plan };
    let mut trial = Trial::start(system, Plan { time: BEFORE.min(plan.time), ..plan })?;
    let quiet = trial.measure(plan.matches)?;
    let before = Held::of(&trial)?;
    say(&format!("{said}: {} KB, {} files before", before.resident_kb, before.files));
    let tour = Tour {
        load,
        matches: plan.matches,
        rate: system.ramp(flags.rate),
        stay: Duration::from_secs_f64(flags.stay),
        time: plan.time,
        servers: trial.servers(),
        said: said.to_owned(),
    };
    let visits = tour.start(trial.fork_protocol());
    let busy = trial.measure_for(plan.time)?;
    // Whoever waits for the last of them plays on: a client that does not read for a few seconds is sent away.
    while !visits.is_finished() {
        trial.play(LOOK_EVERY)?;
    }
    let Visits { tally, failed, failure, peak_kb } =
        visits.join().expect("nobody who comes and goes panics")?;
    let (after, settled_seconds) = settle(&mut trial, &before, Duration::from_secs_f64(flags.settle), said)?;
    let (joined, join_ms) = (tally.joined(), tally.joins());
    Ok(Churn {
        system,
        quiet,
        busy,
        joined,
        failed,
        failure,
        join_ms,
        before,
        peak_kb,
        after,
        settled_seconds,
    })
}

/// Plays on until everything is as before, or for so long.
fn settle(trial: &mut Trial, before: &Held, longest: Duration, said: &str) -> io::Result<(Held, f64)> {
    let begun = clock::now();
    loop {
        trial.play(LOOK_EVERY)?;
        let now = Held::of(trial)?;
        let waited = begun.elapsed();
        if now.is_back(before) || waited >= longest {
            return Ok((now, waited.as_secs_f64()));
        }
        if waited.as_secs().is_multiple_of(10) {
            say(&format!("{said}: everybody has left, {} KB, {} files", now.resident_kb, now.files));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_memory_above_a_twentieth_or_a_file_or_a_key() {
        let before = Held { resident_kb: 1000, files: 20, keys: Some(3) };
        assert!(before.is_back(&before));
        assert!(Held { resident_kb: 1050, files: 19, ..before }.is_back(&before));
        assert!(!Held { resident_kb: 1051, ..before }.is_back(&before));
        assert!(!Held { files: 21, ..before }.is_back(&before));
        assert!(!Held { keys: Some(4), ..before }.is_back(&before));
        assert!(Held { resident_kb: 900, keys: None, ..before }.growth(&before) < 0.0);
    }
}
