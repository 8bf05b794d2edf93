//! What a check tells: the verdict and what it rests on, as text or JSON.

use serde_json::{Value, json};

use super::findings::{Findings, Violation};
use super::{CheckArgs, Verdict};

/// The numbers and findings of a check.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) files: Vec<String>,
    pub(super) torn_lines: u64,
    pub(super) matches: usize,
    pub(super) claims: u64,
    pub(super) takeovers: u64,
    pub(super) rollbacks: u64,
    pub(super) ticks_committed: u64,
    pub(super) states_seen: u64,
    /// Inputs of the clients whose history is there.
    pub(super) inputs_sent: u64,
    pub(super) inputs_applied: u64,
    pub(super) inputs_never_applied: u64,
    /// Never applied, though a later one of the same player is acknowledged.
    pub(super) inputs_skipped: u64,
    /// Applied inputs of other players.
    pub(super) inputs_of_others: u64,
    pub(super) pauses_us: Vec<u64>,
    pub(super) away_us: Vec<u64>,
    pub(super) findings: Findings,
}

impl Report {
    /// Nothing more comes.
    pub(super) fn finish(&mut self, args: &CheckArgs, mut findings: Findings) {
        self.files = args.files.iter().map(|path| path.display().to_string()).collect();
        self.pauses_us.sort_unstable();
        self.away_us.sort_unstable();
        findings.violations.sort_by_key(|violation| violation.rule);
        self.findings = findings;
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (self.findings.violated.is_empty(), self.findings.missing_count) {
            (false, _) => Verdict::Violated,
            (true, 0) => Verdict::Proven,
            (true, _) => Verdict::NotProven,
        }
    }

    fn place(&self, violation: &Violation) -> String {
        let file = self.files.get(violation.place.file).map_or("?", String::as_str);
        format!("{file}:{}", violation.place.line)
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut say = |line: String| out.push_str(&(line + "\n"));
        say(format!(
            "{} matches, {} ticks committed, {} states seen, {} torn lines",
            self.matches, self.ticks_committed, self.states_seen, self.torn_lines
        ));
        let events = self.findings.events.iter().map(|(name, count)| format!("{count} {name}"));
        say(format!("events: {}", events.collect::<Vec<_>>().join(", ")));
        say(format!(
            "inputs: {} sent, {} applied, {} never applied ({} of them skipped), {} applied of other clients",
            self.inputs_sent,
            self.inputs_applied,
            self.inputs_never_applied,
            self.inputs_skipped,
            self.inputs_of_others
        ));
        say(format!("takeovers: {}, pauses {}", self.takeovers, times(&self.pauses_us)));
        say(format!("clients that came back: {}, away {}", self.away_us.len(), times(&self.away_us)));
        if self.rollbacks > 0 {
            say(format!("the store lost writes: {} claims went on from an earlier tick", self.rollbacks));
        }
        for violation in &self.findings.violations {
            let number = violation.rule as u8;
            say(format!("guarantee {number} violated: {}: {}", self.place(violation), violation.text));
        }
        for (rule, count) in &self.findings.violated {
            say(format!("guarantee {}, {}: violated {count} times", *rule as u8, rule.text()));
        }
        for text in &self.findings.missing {
            say(format!("missing: {text}"));
        }
        if self.findings.missing_count > self.findings.missing.len() as u64 {
            say(format!("missing: {} things in all", self.findings.missing_count));
        }
        out + &self.verdict().to_string()
    }

    pub(super) fn json(&self) -> String {
        let violation = |violation: &Violation| {
            json!({
                "guarantee": violation.rule as u8,
                "file": self.files.get(violation.place.file),
                "line": violation.place.line,
                "text": violation.text,
            })
        };
        let violated =
            self.findings.violated.iter().map(|(rule, count)| ((*rule as u8).to_string(), json!(count)));
        let value = json!({
            "verdict": self.verdict().to_string(),
            "files": self.files,
            "torn_lines": self.torn_lines,
            "matches": self.matches,
            "events": self.findings.events,
            "claims": self.claims,
            "ticks_committed": self.ticks_committed,
            "states_seen": self.states_seen,
            "inputs": {
                "sent": self.inputs_sent,
                "applied": self.inputs_applied,
                "never_applied": self.inputs_never_applied,
                "skipped": self.inputs_skipped,
                "of_others": self.inputs_of_others,
            },
            "takeovers": self.takeovers,
            "takeover_pauses_ms": times_json(&self.pauses_us),
            "reconnects_ms": times_json(&self.away_us),
            "rollbacks": self.rollbacks,
            "violated": violated.collect::<serde_json::Map<String, Value>>(),
            "violations": self.findings.violations.iter().map(violation).collect::<Vec<Value>>(),
            "missing": self.findings.missing,
            "missing_count": self.findings.missing_count,
        });
        serde_json::to_string_pretty(&value).expect("values are JSON")
    }
}

/// The value that this share of the sorted values does not exceed, in milliseconds.
fn quantile_ms(sorted: &[u64], hundredths: usize) -> Option<f64> {
    let at = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(at).map(|us| *us as f64 / 1000.0)
}

fn times(sorted: &[u64]) -> String {
    match (quantile_ms(sorted, 50), quantile_ms(sorted, 99), quantile_ms(sorted, 100)) {
        (Some(p50), Some(p99), Some(max)) => format!("p50 {p50:.1} ms, p99 {p99:.1} ms, longest {max:.1} ms"),
        _ => "none".to_owned(),
    }
}

fn times_json(sorted: &[u64]) -> Value {
    json!({
        "count": sorted.len(),
        "p50": quantile_ms(sorted, 50),
        "p99": quantile_ms(sorted, 99),
        "max": quantile_ms(sorted, 100),
    })
}
