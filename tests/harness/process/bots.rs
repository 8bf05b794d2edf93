//! `tickcast-bots` as a process: a run from its start to its report.

use std::fs;
use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, program, under};
use crate::signals;

/// Within this a run of bots ends, however long it was told to play.
pub const BOTS_WITHIN: Duration = Duration::from_secs(120);

/// How a run of bots ended.
#[derive(Debug)]
pub struct BotsRun {
    /// Exit status: success when the run met its thresholds.
    pub status: ExitStatus,
    /// The report; null when none was written.
    pub json: serde_json::Value,
    /// Everything the bots printed, the newest lines.
    pub output: String,
}

/// Bots that play. They end when this is dropped.
pub struct Bots {
    process: Process,
    folder: TempDir,
}

impl Bots {
    /// Starts bots against these nodes, run by another program where there are `words`: `chrt -f 10`.
    ///
    /// # Panics
    /// When they do not start.
    pub fn start(words: &[&str], urls: &[&str], args: &[&str]) -> Bots {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = program("tickcast-bots");
        for url in urls {
            command.args(["--url", url]);
        }
        command.args(args).arg("--json").arg(folder.path().join("report.json"));
        if !words.is_empty() {
            command = under(words, &command);
        }
        Bots { process: Process::start("tickcast-bots", command), folder }
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Asks them to come home now, as Ctrl-C does.
    pub fn interrupt(&self) {
        signals::send(self.pid(), "INT");
    }

    /// Waits until they have ended.
    ///
    /// # Panics
    /// When they do not within the deadline, or their report is no JSON.
    pub async fn ended(mut self, deadline: Duration) -> BotsRun {
        let status = self.process.wait_exit(deadline).await;
        let json = match fs::read(self.folder.path().join("report.json")) {
            Ok(json) => serde_json::from_slice(&json).expect("the report is JSON"),
            Err(_) => serde_json::Value::Null,
        };
        BotsRun { status, json, output: self.process.output.to_string() }
    }
}

/// Runs the bots against these nodes until they end.
///
/// # Panics
/// When they do not end within [`BOTS_WITHIN`], or their report is no JSON.
pub async fn bots(urls: &[&str], args: &[&str]) -> BotsRun {
    bots_within(urls, args, BOTS_WITHIN).await
}

/// As [`bots`], for runs that take longer.
///
/// # Panics
/// As [`bots`], after `deadline`.
pub async fn bots_within(urls: &[&str], args: &[&str], deadline: Duration) -> BotsRun {
    Bots::start(&[], urls, args).ended(deadline).await
}
