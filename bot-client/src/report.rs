//! The report of a run: the tally in a person's units, the verdict, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};
use tickcast_protocol::MatchId;

use crate::histogram::Percentiles;
use crate::plan::{Plan, Thresholds};
use crate::tally::{Checks, Connections, Recovery, Tally, Traffic};

/// Microseconds in a millisecond.
const MS: f64 = 1000.0;
/// Said in every report, so that nobody has to guess.
const METHOD: &str = "times and traffic are measured from the moment all bots have joined; checks are made from the \
                      first frame; times are corrected for coordinated omission; bytes are WebSocket payloads; a prior, which \
                      tells how later diffs are coded, is no update, and its bytes are part of the next one's";

/// Everything about a run. Its JSON is the `--json` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether the run passed.
    pub passed: bool,
    /// Why not; empty when it passed.
    pub reasons: Vec<String>,
    /// How it was measured.
    pub method: String,
    /// Whether it was stopped before its time.
    pub stopped_early: bool,
    /// What was asked for.
    pub load: Load,
    /// How long it was measured, seconds.
    pub measured_seconds: f64,
    /// Connections.
    pub connections: Connections,
    /// Failed connections by reason.
    pub failures: BTreeMap<String, u64>,
    /// Lost connections by reason; the bots came back, or they are among the failures.
    pub losses: BTreeMap<String, u64>,
    /// Where states were wrong whose hash was not the owner's, and for how many clients.
    pub differences: BTreeMap<String, u64>,
    /// Whether the server kept its promises.
    pub checks: Checks,
    /// What went over the wire.
    pub traffic: Traffic,
    /// What became of bots that lost their connection.
    pub recovery: Recovery,
    /// The same as rates.
    pub rates: Rates,
    /// Time between two updates of a client, milliseconds.
    pub update_gap_ms: Percentiles,
    /// From when an input was due to when its client saw it in the state, milliseconds.
    pub input_latency_ms: Percentiles,
    /// The same until another client saw it, milliseconds.
    pub view_latency_ms: Percentiles,
    /// From the loss of a connection to the state on the next one, milliseconds.
    pub time_away_ms: Percentiles,
    /// Size of an update with the priors before it, bytes.
    pub update_bytes: Percentiles,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// The nodes.
    pub urls: Vec<String>,
    /// The matches.
    pub match_ids: Vec<MatchId>,
    /// Players per match.
    pub players: u32,
    /// Spectators per match.
    pub spectators: u32,
    /// Seconds to measure.
    pub seconds: u32,
    /// Seed of the bots.
    pub seed: u64,
    /// Processes.
    pub processes: u32,
    /// Whether frames were counted instead of decoded.
    pub light: bool,
    /// Whether ticks that a snapshot jumps over were merged instead of lost.
    pub slow_clients_allowed: bool,
    /// For how long bots tried to connect again after a loss, seconds.
    pub reconnect_seconds: u32,
    /// What else the run fails on.
    pub thresholds: Thresholds,
}

/// Traffic per second, and means.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Updates per second, all clients together.
    pub updates_per_second: f64,
    /// Megabits of updates per second, all clients together.
    pub update_megabits_per_second: f64,
    /// Mean size of an update, priors included.
    pub bytes_per_update: f64,
    /// Bytes of priors among that.
    pub prior_bytes_per_update: f64,
    /// Inputs per second, all clients together.
    pub inputs_per_second: f64,
}

impl Report {
    /// Judges a run.
    pub fn new(plan: &Plan, match_ids: Vec<MatchId>, tally: Tally) -> Report {
        let reasons = reasons(plan, &tally);
        let seconds = tally.measured.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let traffic = &tally.traffic;
        let rates = Rates {
            updates_per_second: per_second(traffic.updates),
            update_megabits_per_second: per_second(traffic.update_bytes * 8) / 1e6,
            bytes_per_update: traffic.update_bytes as f64 / traffic.updates.max(1) as f64,
            prior_bytes_per_update: traffic.prior_bytes as f64 / traffic.updates.max(1) as f64,
            inputs_per_second: per_second(traffic.inputs),
        };
        Report {
            passed: reasons.is_empty(),
            reasons,
            method: METHOD.to_owned(),
            stopped_early: tally.stopped_early,
            load: Load {
                urls: plan.targets.iter().map(ToString::to_string).collect(),
                match_ids,
                players: plan.players,
                spectators: plan.spectators,
                seconds: plan.seconds,
                seed: plan.seed,
                processes: plan.processes,
                light: plan.light,
                slow_clients_allowed: plan.slow_clients_allowed,
                reconnect_seconds: plan.reconnect_seconds,
                thresholds: plan.thresholds,
            },
            measured_seconds: seconds,
            rates,
            update_gap_ms: tally.gap.percentiles(MS),
            input_latency_ms: tally.latency.percentiles(MS),
            view_latency_ms: tally.view_latency.percentiles(MS),
            time_away_ms: tally.away.percentiles(MS),
            update_bytes: tally.update_bytes.percentiles(1.0),
            connections: tally.connections,
            failures: tally.failures,
            losses: tally.losses,
            differences: tally.differences,
            checks: tally.checks,
            traffic: tally.traffic,
            recovery: tally.recovery,
        }
    }

    /// The last line: whether the run passed, and why not.
    pub fn verdict(&self) -> String {
        let stopped = if self.stopped_early { " (stopped early)" } else { "" };
        if !self.passed {
            return format!("FAILED{stopped}: {}", self.reasons.join("; "));
        }
        // A light bot decodes no state, so nothing is known about desyncs.
        match self.load.light {
            true => format!(
                "PASSED{stopped}: no lost tick, no failed connection{}; states were not checked",
                self.returns()
            ),
            false => {
                format!("PASSED{stopped}: no desync, no lost tick, no failed connection{}", self.returns())
            }
        }
    }

    fn returns(&self) -> String {
        match self.recovery.reconnects {
            0 => String::new(),
            count => format!(", {count} reconnects"),
        }
    }

    /// The tables, for a person.
    pub fn tables(&self) -> String {
        let mut text = format!("{}\n{}\n", self.distributions(), self.counts());
        for (reason, count) in &self.failures {
            writeln!(text, "{count} x {reason}").expect("a string takes any text");
        }
        for (reason, count) in &self.losses {
            writeln!(text, "{count} lost by {reason}").expect("a string takes any text");
        }
        for (told, clients) in &self.differences {
            writeln!(text, "desync of {clients}: {told}").expect("a string takes any text");
        }
        write!(text, "Measured {:.1} s: {METHOD}.", self.measured_seconds).expect("a string takes any text");
        text
    }

    fn distributions(&self) -> Table {
        let mut table = table(["", "count", "p50", "p90", "p99", "p99.9", "max"]);
        for (name, values, decimals) in [
            ("update gap, ms", self.update_gap_ms, 1),
            ("input to own view, ms", self.input_latency_ms, 1),
            ("input to other's view, ms", self.view_latency_ms, 1),
            ("time away, ms", self.time_away_ms, 1),
            ("bytes per update", self.update_bytes, 0),
        ] {
            let cells = [values.p50, values.p90, values.p99, values.p999, values.max];
            let cells = cells.map(|value| match values.count {
                0 => "-".to_owned(),
                _ => format!("{value:.decimals$}"),
            });
            table.add_row([name.to_owned(), values.count.to_string()].into_iter().chain(cells));
        }
        table
    }

    fn counts(&self) -> Table {
        let (connections, checks, traffic, rates) =
            (&self.connections, &self.checks, &self.traffic, self.rates);
        let recovery = &self.recovery;
        let mut table = table(["count", "", ""]);
        let mut row = |name: &str, count: u64, note: String| {
            table.add_row([name.to_owned(), count.to_string(), note]);
        };
        row("connections joined", connections.joined, format!("of {}", connections.planned));
        row("connections failed", connections.failed, String::new());
        row("connections lost", recovery.lost, format!("{} moved on request", recovery.moved));
        row("reconnects", recovery.reconnects, format!("{} players resumed", recovery.resumed_players));
        row("updates", traffic.updates, format!("{:.0} per second", rates.updates_per_second));
        row(
            "update bytes",
            traffic.update_bytes,
            format!(
                "{:.1} per update, {:.2} Mbit/s",
                rates.bytes_per_update, rates.update_megabits_per_second
            ),
        );
        row(
            "of them in priors",
            traffic.prior_bytes,
            format!("{} priors, {:.1} per update", traffic.priors, rates.prior_bytes_per_update),
        );
        row("snapshots", traffic.snapshots, String::new());
        row("catch-ups", traffic.catch_ups, format!("{} ticks merged, not lost", traffic.merged_ticks));
        row("quiet ticks", traffic.quiet_ticks, "told by the update behind them".to_owned());
        row("inputs", traffic.inputs, format!("{:.0} per second", rates.inputs_per_second));
        row("inputs applied", traffic.inputs_applied, String::new());
        row("inputs sent again", recovery.inputs_sent_again, String::new());
        row("desyncs", checks.desyncs, String::new());
        row("lost ticks", checks.lost_ticks, String::new());
        row("undone ticks", checks.undone, String::new());
        row("broken frames", checks.broken_frames, String::new());
        row("states compared", checks.state_comparisons, format!("{} too late", checks.state_too_late));
        row("states different", checks.state_mismatches, String::new());
        if checks.chat_lines > 0 {
            let wrong = checks.chat_missing + checks.chat_mismatches + checks.chat_unheard;
            row("lines of chat heard", checks.chat_lines, format!("{} refused", checks.chat_refused));
            row("lines missing, different or unheard", wrong, String::new());
        }
        row("resets, owner gaps", checks.resets + checks.owner_gaps, "allowed".to_owned());
        table
    }
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn reasons(plan: &Plan, tally: &Tally) -> Vec<String> {
    let (checks, traffic, connections) = (&tally.checks, &tally.traffic, &tally.connections);
    let mut reasons = Vec::new();
    for (count, what) in [
        (checks.desyncs, "desyncs"),
        (checks.state_mismatches, "different states at the same tick"),
        (checks.lost_ticks, "lost ticks"),
        (checks.undone, "ticks seen and undone"),
        (checks.broken_frames, "broken frames"),
        (checks.chat_missing, "lines of chat missing or out of order"),
        (checks.chat_mismatches, "lines of chat heard differently or twice"),
        (checks.chat_unheard, "lines of chat never heard"),
        (connections.failed, "failed connections"),
        (connections.planned.saturating_sub(connections.joined), "bots had not joined"),
    ] {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    }
    reasons.extend(tally.failures.iter().map(|(reason, count)| format!("{count} x {reason}")));
    if traffic.updates == 0 {
        reasons.push("no update was measured".to_owned());
    }
    if !plan.light && traffic.inputs > 0 && traffic.inputs_applied == 0 {
        reasons.push("no input had an effect".to_owned());
    }
    if plan.chat && checks.chat_lines == 0 {
        reasons.push("no line of chat was heard".to_owned());
    }
    let thresholds = [
        ("99th percentile of input latency", plan.thresholds.p99_latency_ms_max, {
            let latency = tally.latency.percentiles(MS);
            (latency.count, latency.p99)
        }),
        ("longest update gap", plan.thresholds.gap_ms_max, {
            let gap = tally.gap.percentiles(MS);
            (gap.count, gap.max)
        }),
    ];
    for (what, limit, (count, value)) in thresholds {
        match limit {
            Some(_) if count == 0 => reasons.push(format!("{what} was not measured")),
            Some(limit) if value > limit => reasons.push(format!("{what} {value:.1} ms is above {limit} ms")),
            _ => {}
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::plan::Flags;
    use crate::tally::{Marks, Sample};

    fn plan(flags: &str) -> Plan {
        let words = std::iter::once("tickcast-bots").chain(flags.split_whitespace());
        Plan::try_from(Flags::try_parse_from(words).unwrap()).unwrap()
    }

    fn good_tally() -> Tally {
        let ms = Duration::from_millis;
        let traffic = Traffic {
            updates: 100,
            update_bytes: 2500,
            prior_bytes: 300,
            priors: 2,
            catch_ups: 4,
            merged_ticks: 36,
            inputs: 99,
            inputs_applied: 98,
            ..Traffic::default()
        };
        let samples = (1..=100).flat_map(|time| [Sample::Latency(ms(time)), Sample::Gap(ms(10), ms(10))]);
        let mut tally = Tally { measured: Duration::from_secs(10), ..Tally::default() };
        tally.connections = Connections { planned: 8, joined: 8, failed: 0 };
        tally.absorb(Marks { traffic, samples: samples.collect(), ..Marks::default() });
        tally
    }

    /// The verdict on a good run with these flags and one thing changed.
    fn verdict(flags: &str, change: impl FnOnce(&mut Tally)) -> String {
        let mut tally = good_tally();
        change(&mut tally);
        Report::new(&plan(flags), Vec::new(), tally).verdict()
    }

    #[test]
    fn a_good_run_passes_and_each_fault_fails_it() {
        assert!(verdict("--max-p99-latency-ms 100 --max-gap-ms 11", |_| {}).starts_with("PASSED"));
        let failed = |flags: &str, change: fn(&mut Tally), reason: &str| {
            let verdict = verdict(flags, change);
            assert!(verdict.starts_with("FAILED") && verdict.contains(reason), "{verdict}");
        };
        failed("", |tally| tally.checks.desyncs = 2, "2 desyncs");
        failed("", |tally| tally.checks.lost_ticks = 1, "1 lost ticks");
        failed("", |tally| tally.checks.undone = 4, "4 ticks seen and undone");
        failed("", |tally| tally.checks.state_mismatches = 1, "different states");
        failed("", |tally| tally.checks.broken_frames = 1, "broken frames");
        failed("", |tally| tally.checks.chat_missing = 2, "2 lines of chat missing");
        failed("", |tally| tally.checks.chat_mismatches = 1, "heard differently or twice");
        failed("", |tally| tally.checks.chat_unheard = 1, "never heard");
        failed("--chat", |_| {}, "no line of chat");
        failed("", |tally| tally.fail("close 4002 Slow".to_owned()), "1 failed connections");
        failed("", |tally| tally.fail("close 4002 Slow".to_owned()), "1 x close 4002 Slow");
        failed("", |tally| tally.connections.joined = 5, "3 bots had not joined");
        failed("", |tally| tally.traffic.updates = 0, "no update");
        failed("", |tally| tally.traffic.inputs_applied = 0, "no input had an effect");
        failed("--max-p99-latency-ms 90", |_| {}, "99.0 ms is above 90 ms");
        failed("--max-gap-ms 9.5", |_| {}, "10.0 ms is above 9.5 ms");
        failed("--max-gap-ms 9", |tally| tally.gap = Default::default(), "was not measured");
    }

    #[test]
    fn light_bots_claim_nothing_about_states() {
        assert!(verdict("--light", |_| {}).ends_with("states were not checked"));
    }

    #[test]
    fn a_failover_is_allowed() {
        let verdict = verdict("", |tally| {
            tally.checks.resets = 3;
            tally.lose("close 4001 Shutdown".to_owned());
            tally.recovery.reconnects = 1;
        });
        assert!(verdict.starts_with("PASSED") && verdict.ends_with("1 reconnects"), "{verdict}");
    }

    #[test]
    fn the_tables_and_the_json_tell_the_same() {
        let mut tally = good_tally();
        tally.fail("close 4002 Slow".to_owned());
        tally.lose("closed without a code".to_owned());
        tally.recovery.resumed_players = 6;
        tally.away.record_time(Duration::from_millis(250));
        tally.differences.insert("match m1, tick 7: player:0 field `x` is 0, should be 7".to_owned(), 3);
        let report = Report::new(&plan("--seed 9"), vec!["m1".parse().unwrap()], tally);
        let tables = report.tables();
        for text in [
            "1 x close 4002 Slow",
            "1 lost by closed without a code",
            "6 players resumed",
            "250.",
            "25.0 per update",
            "2 priors, 3.0 per update",
            "36 ticks merged, not lost",
            "desync of 3: match m1, tick 7: player:0 field `x`",
            "10 per second",
            "p99.9",
            "of 8",
        ] {
            assert!(tables.contains(text), "{text} is missing in\n{tables}");
        }
        let json = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!((report.input_latency_ms.p99 - 99.0).abs() < 0.1);
        assert_eq!(report.rates.bytes_per_update, 25.0);
    }
}
