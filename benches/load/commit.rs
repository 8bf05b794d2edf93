//! What a commit costs Redis, beside a bare PUBLISH of the same bytes: CPU time of a `redis-server` that has nothing else to do,
//! both measured in turns on the same server.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime;

use super::cli::CommitFlags;
use super::clock;
use super::process::Cores;
use super::procfs;
use super::redis::{Keeps, Redis};
use super::report::Machine;

use self::recording::Recording;
use self::report::{Report, TickSize, rows};
use self::writer::{Writer, follow};

mod recording;
mod report;
mod writer;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Publish,
    Commit,
}

/// When it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Pace {
    /// At the tick rate.
    Paced,
    /// As fast as answers come.
    Saturating,
}

impl Pace {
    fn name(self) -> &'static str {
        match self {
            Pace::Paced => "paced",
            Pace::Saturating => "saturating",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Outcome {
    turn: u32,
    kind: Kind,
    changed: u32,
    keeps: Keeps,
    pace: Pace,
    /// CPU time of Redis for each that was written, microseconds.
    redis_us: f64,
    /// How busy Redis was, of one core.
    redis_cores: f64,
    per_second: f64,
}

/// Measures everything and tells it.
pub(super) fn compare(flags: &CommitFlags, cores: Cores) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let recordings: Vec<Recording> =
        flags.changed.iter().map(|changed| Recording::new(*changed, flags.hands, flags.tick_rate)).collect();
    let mut outcomes = Vec::new();
    for turn in 1..=flags.turns {
        for keeps in &flags.keeps {
            for (changed, recording) in flags.changed.iter().zip(&recordings) {
                let case = Case { flags, turn, changed: *changed, keeps: *keeps };
                let redis = Redis::start(cores.server, *keeps)?;
                let found = runtime.block_on(case.measure(&redis, recording))?;
                eprintln!(
                    "load: {turn}/{} {changed} changed, Redis keeps {}: {}",
                    flags.turns,
                    keeps.name(),
                    told(&found)
                );
                outcomes.extend(found);
            }
        }
    }
    let size = |recording: &Recording| TickSize {
        changed: recording.changed,
        message_bytes: recording.message_bytes(),
        fields_set: recording.fields_set(),
        field_bytes: recording.field_bytes(),
    };
    let report = Report {
        task: "commit",
        machine: Machine::this(cores),
        matches: flags.matches,
        hands: flags.hands,
        tick_rate: flags.tick_rate,
        seconds: flags.seconds,
        ticks: recordings.iter().map(size).collect(),
        rows: rows(&outcomes, flags.tick_rate),
        outcomes,
    };
    println!("{}", report.text());
    if let Some(path) = &flags.json {
        fs::write(path, serde_json::to_string_pretty(&report).expect("plain data is JSON") + "\n")?;
    }
    Ok(())
}

fn told(outcomes: &[Outcome]) -> String {
    let each = outcomes.iter().map(|outcome| {
        let kind = if outcome.kind == Kind::Publish { "PUBLISH" } else { "commit" };
        format!("{} {kind} {:.1} us", outcome.pace.name(), outcome.redis_us)
    });
    each.collect::<Vec<_>>().join(", ")
}

/// One Redis with matches of one size.
struct Case<'a> {
    flags: &'a CommitFlags,
    turn: u32,
    changed: u32,
    keeps: Keeps,
}

impl Case<'_> {
    async fn measure(&self, redis: &Redis, recording: &Recording) -> io::Result<Vec<Outcome>> {
        let [publish, commit] = Writer::both(&redis.url()).await?;
        let mut matches = commit.bring_up(recording, self.flags.matches).await?;
        follow(redis.address(), &matches)?;
        let mut writers = [(Kind::Publish, publish), (Kind::Commit, commit)];
        // What comes first may find a processor in another state.
        if self.turn.is_multiple_of(2) {
            writers.reverse();
        }
        let mut outcomes = Vec::new();
        for pace in [Pace::Paced, Pace::Saturating] {
            let period = (pace == Pace::Paced).then(|| Duration::from_secs(1) / self.flags.tick_rate);
            for (kind, writer) in &writers {
                let look = async |written: &AtomicU64| self.look(redis, *kind, pace, written).await;
                let (back, outcome) = writer.write(matches, period, look).await?;
                matches = back;
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// Waits until everything runs, then counts for a while.
    async fn look(&self, redis: &Redis, kind: Kind, pace: Pace, written: &AtomicU64) -> io::Result<Outcome> {
        let look =
            || io::Result::Ok((clock::now(), procfs::cpu_ns(redis.id())?, written.load(Ordering::Relaxed)));
        tokio::time::sleep(Duration::from_secs_f64(self.flags.warm_up)).await;
        let (begun, cpu_before, before) = look()?;
        tokio::time::sleep(Duration::from_secs_f64(self.flags.seconds)).await;
        let (ended, cpu, count) = look()?;
        let (seconds, cpu, count) =
            ((ended - begun).as_secs_f64(), (cpu - cpu_before) as f64 / 1000.0, (count - before) as f64);
        if count == 0.0 {
            return Err(io::Error::other("nothing was written: an owner failed, or Redis is silent"));
        }
        let Case { turn, changed, keeps, .. } = *self;
        let (redis_us, redis_cores, per_second) = (cpu / count, cpu / 1e6 / seconds, count / seconds);
        Ok(Outcome { turn, kind, changed, keeps, pace, redis_us, redis_cores, per_second })
    }
}
