//! `tickcast check`: proves the guarantees over histories that nodes and clients wrote, however the run went.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use tickcast_protocol::MatchId;
use tickcast_protocol::history::Record;

use self::findings::{Findings, Place};
use self::report::Report;
use self::story::Story;

mod findings;
mod reader;
mod report;
mod rules;
mod seqs;
mod session;
mod story;

#[cfg(test)]
mod tests;

/// The flags of `tickcast check`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code: 0 proven, 1 a guarantee is violated, 2 a file cannot be read, 3 nothing is violated and \
                  something needed for the proof is missing."
)]
pub struct CheckArgs {
    /// Histories of all nodes and clients of a run, in any order: `tickcast --history`, `tickcast-bots --history`
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,

    /// By how many milliseconds the clocks of the writers may differ; those of one machine do not
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub skew_ms: u64,

    /// The store may have lost writes: then ticks may be undone, if every client that saw them is told
    #[arg(long)]
    pub store_may_lose: bool,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every guarantee holds over all that was written down.
    Proven,
    /// One does not.
    Violated,
    /// None is violated, and something is missing.
    NotProven,
}

impl Verdict {
    /// The exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Proven => 0,
            Verdict::Violated => 1,
            Verdict::NotProven => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Proven => "proven",
            Verdict::Violated => "violated",
            Verdict::NotProven => "not proven",
        })
    }
}

/// Checks the files, and returns what is to be printed. The error is for a person.
pub fn run(args: &CheckArgs) -> Result<(String, Verdict), String> {
    let mut check = Check::default();
    for (number, path) in args.files.iter().enumerate() {
        reader::read(path, |line, record| check.take(Place { file: number, line }, record))
            .map(|torn| check.torn += torn)?;
    }
    let report = check.conclude(args);
    Ok((if args.json { report.json() } else { report.text() }, report.verdict()))
}

/// All that was read so far.
#[derive(Debug, Default)]
struct Check {
    stories: BTreeMap<MatchId, Story>,
    findings: Findings,
    torn: u64,
}

impl Check {
    fn take(&mut self, place: Place, record: Record) {
        self.findings.count(&record.event);
        let story = self.stories.entry(record.match_id.clone()).or_default();
        story.take(place, record, &mut self.findings);
    }

    fn conclude(mut self, args: &CheckArgs) -> Report {
        let mut report = Report { torn_lines: self.torn, matches: self.stories.len(), ..Report::default() };
        let rules =
            rules::Rules { skew_us: args.skew_ms.saturating_mul(1000), store_may_lose: args.store_may_lose };
        for (id, story) in std::mem::take(&mut self.stories) {
            rules.conclude(&id, story, &mut self.findings, &mut report);
        }
        if report.claims == 0 {
            self.findings.missing("no node's history is among the files".to_owned());
        }
        if report.states_seen == 0 {
            self.findings
                .missing("no client's history is among the files: what clients saw is not known".to_owned());
        }
        report.finish(args, self.findings);
        report
    }
}
