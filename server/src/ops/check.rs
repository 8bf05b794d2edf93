//! `tickcast check`: proves from the histories of nodes and clients that what was promised was kept. What each
//! promise means here is in `docs/history.md`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tickcast_protocol::history::{LINE_BYTES_MAX, Line};

mod book;
mod verdict;

use book::{Book, Place};
use verdict::{Verdict, judge};

/// Violations that are shown; all are counted.
const SHOWN_MAX: usize = 10;

/// The flags of `tickcast check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Histories written by `tickcast serve --history` and `tickcast-bots --history`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// By how much the clocks of the machines may differ, milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    skew_ms: u64,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the histories and judges them: 0 is proven, 1 violated, 2 unreadable, 3 not proven for lack of data.
pub fn run(args: &CheckArgs) -> ExitCode {
    let mut book = Book::default();
    for (number, path) in args.files.iter().enumerate() {
        if let Err(problem) = read(&mut book, number, path) {
            eprintln!("tickcast: {problem}");
            return ExitCode::from(2);
        }
    }
    let verdict = judge(book, Duration::from_millis(args.skew_ms).as_micros() as u64);
    match args.json {
        true => println!("{:#}", as_json(&verdict, args)),
        false => print!("{}", as_text(&verdict, args)),
    }
    ExitCode::from(match (verdict.violations.is_empty(), verdict.unproven.is_empty()) {
        (false, _) => 1,
        (true, false) => 3,
        (true, true) => 0,
    })
}

fn read(book: &mut Book, file: usize, path: &PathBuf) -> Result<(), String> {
    let shown = path.display();
    let opened = File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut lines = BufReader::with_capacity(1 << 20, opened);
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let mut bounded = (&mut lines).take(LINE_BYTES_MAX as u64 + 1);
        let count =
            bounded.read_until(b'\n', &mut bytes).map_err(|error| format!("cannot read {shown}: {error}"))?;
        if count == 0 {
            break;
        }
        // A writer that was killed may have begun a line.
        if bytes.pop_if(|last| *last == b'\n').is_none() && count <= LINE_BYTES_MAX {
            book.torn += 1;
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| format!("{shown}:{number}: {error}"))?;
        let line = Line::from_line(text).map_err(|error| format!("{shown}:{number}: {error}"))?;
        book.add(Place { file: file as u32, line: number }, line);
    }
    Ok(())
}

fn shown_place(place: Place, args: &CheckArgs) -> String {
    format!("{}:{}", args.files[place.file as usize].display(), place.line)
}

fn as_text(verdict: &Verdict, args: &CheckArgs) -> String {
    let counts = &verdict.counts;
    let mut out = format!(
        "{} events of {} matches: {} ticks committed under {} ownerships, {} states seen by clients\n",
        counts.events, counts.matches, counts.ticks, counts.ownerships, counts.states_seen
    );
    out.push_str(&format!(
        "inputs: {} sent, {} applied; {} joins and resumes, {} connections lost, {} resets told, {} repairs\n",
        counts.inputs_sent,
        counts.inputs_applied,
        counts.joins,
        counts.losses,
        counts.resets,
        counts.repairs
    ));
    if counts.torn > 0 {
        out.push_str(&format!("{} lines were torn: their writers were killed\n", counts.torn));
    }
    if let Some([p50, p99, max]) = verdict.pauses() {
        let takeovers = verdict.pauses_us.len();
        out.push_str(&format!(
            "changes of owner: {takeovers}, pause p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms\n"
        ));
    }
    for violation in verdict.violations.iter().take(SHOWN_MAX) {
        let places: Vec<String> = violation.places.iter().map(|place| shown_place(*place, args)).collect();
        out.push_str(&format!(
            "VIOLATED, guarantee {}: match {}: {} ({})\n",
            violation.guarantee,
            violation.id,
            violation.text,
            places.join(", ")
        ));
    }
    if verdict.violations.len() > SHOWN_MAX {
        out.push_str(&format!("... and {} more\n", verdict.violations.len() - SHOWN_MAX));
    }
    for missing in &verdict.unproven {
        out.push_str(&format!("NOT PROVEN: {missing}\n"));
    }
    out.push_str(match (verdict.violations.is_empty(), verdict.unproven.is_empty()) {
        (false, _) => "VIOLATED\n",
        (true, false) => "nothing is violated, not all is proven\n",
        (true, true) => "PROVEN: guarantees 1 to 6\n",
    });
    out
}

fn as_json(verdict: &Verdict, args: &CheckArgs) -> serde_json::Value {
    let violations: Vec<_> = verdict
        .violations
        .iter()
        .map(|violation| {
            json!({
                "guarantee": violation.guarantee,
                "match": violation.id,
                "text": violation.text,
                "places": violation.places.iter().map(|place| shown_place(*place, args)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let pauses = verdict.pauses().map(|[p50, p99, max]| json!({ "p50": p50, "p99": p99, "max": max }));
    json!({
        "counts": verdict.counts,
        "changes_of_owner": verdict.pauses_us.len(),
        "pause_ms": pauses,
        "violations": violations,
        "unproven": verdict.unproven,
    })
}
