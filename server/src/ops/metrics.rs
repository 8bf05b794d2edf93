//! Every counter of a node, and their text for Prometheus. The unit is last in the name; no match ids.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tickcast_protocol::CloseCode;

use crate::logic::laggards::Counts;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts.
    pub fn add(&self, amount: u64) {
        if amount > 0 {
            self.0.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// The sum so far.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($name:ident: $help:literal,)*) => {
        /// The counters of a node.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: Counter,)*
            closes: [Counter; CloseCode::ALL.len()],
        }

        impl Metrics {
            fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name.value()),)*]
            }
        }
    };
}

counters! {
    ticks: "Ticks of owned matches that were committed.",
    ticks_skipped: "Ticks left out because the node was late for them.",
    ticks_waited: "Ticks of matches at rest that were made late and together, as nothing happened in them.",
    step_us: "Time spent in steps and diffs, microseconds.",
    commit_us: "Time spent waiting for commits, microseconds.",
    commits_unknown: "Commits that were not answered and repeated.",
    fenced: "Matches lost to another owner.",
    repairs: "Times the store had lost ticks of an owned match and got them back.",
    takeovers: "Matches claimed here that had ticked elsewhere, or here before.",
    handovers: "Matches handed to another node.",
    claims_deferred: "Claims put off because of many others.",
    claims_unfit: "Matches not claimed because this node cannot host them.",
    claims_failed: "Claimed matches that could not be restored.",
    index_restored: "Owned matches that the index of matches had lost, entered again.",
    match_panics: "Ticks over which a game panicked.",
    inputs_applied: "Inputs that a tick applied.",
    inputs_dropped: "Inputs that were repeated, too far ahead, displaced or of nobody.",
    inputs_lost: "Upstream messages that a full queue or an unreachable store swallowed.",
    chat_lines: "Lines of chat that owned matches committed.",
    chat_refused: "Lines of chat that were not said, and whose player was told so.",
    tickets_spent: "Tickets with which somebody came in.",
    tickets_refused: "Hellos without a ticket, or with one that was not good.",
    banned_refused: "Joins and resumes of accounts that are banned.",
    commands_dropped: "Client messages that a full relay refused.",
    foreign_messages: "Messages on a match's channels that nobody of ours could have sent.",
    accepts_failed: "Connections that the system could not accept, mostly for want of file descriptors.",
    sockets_refused: "Sockets closed at once, because their address or the node had too many.",
    requests_refused: "Requests answered with 429 or 503, because their address or the node had too many.",
    answers_not_taken: "HTTP answers that a client did not read in time; its connection was ended.",
    frames_in: "Client frames received.",
    bytes_in: "Bytes of client frames received.",
    frames_out: "Ticks, catch-ups and snapshots sent to clients.",
    bytes_out: "Bytes of state frames sent to clients, with their WebSocket headers.",
    catch_ups: "Catch-ups sent to slow clients.",
    snapshots_for_slow: "Snapshots that brought a slow client up again.",
    priors: "Priors that owned matches published.",
    reloads: "Times a relay lost its place and loaded the match anew.",
    resets: "Times players were told that ticks they saw are lost.",
    deaf: "Times a followed match ticked and was not heard.",
    tls_refused: "Connections that ended before their TLS handshake did.",
    certificates_refused: "New certificates that could not be used.",
    desyncs: "Times a relay's state did not have its owner's hash.",
}

impl Metrics {
    /// A client's frame arrived.
    pub fn frame_received(&self, bytes: usize) {
        self.frames_in.add(1);
        self.bytes_in.add(bytes as u64);
    }

    /// A relay sent so much.
    pub fn add_sent(&self, sent: Counts) {
        self.frames_out.add(sent.frames);
        self.bytes_out.add(sent.bytes);
        self.catch_ups.add(sent.catch_ups);
        self.snapshots_for_slow.add(sent.snapshots_for_slow);
    }

    /// A connection was closed by this side.
    pub fn count_close(&self, code: CloseCode) {
        if let Some(index) = CloseCode::ALL.iter().position(|known| *known == code) {
            self.closes[index].add(1);
        }
    }

    /// The text for Prometheus, with these gauges besides.
    pub fn render(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = String::new();
        for (name, help, value) in self.rows() {
            let _ =
                writeln!(out, "# HELP tickcast_{name}_total {help}\n# TYPE tickcast_{name}_total counter");
            let _ = writeln!(out, "tickcast_{name}_total {value}");
        }
        for (name, help, value) in gauges {
            let _ = writeln!(out, "# HELP tickcast_{name} {help}\n# TYPE tickcast_{name} gauge");
            let _ = writeln!(out, "tickcast_{name} {value}");
        }
        let _ = writeln!(out, "# HELP tickcast_closes_total Connections closed by this node, by close code.");
        let _ = writeln!(out, "# TYPE tickcast_closes_total counter");
        for (code, counter) in CloseCode::ALL.iter().zip(&self.closes) {
            let (number, value) = (code.number(), counter.value());
            let _ = writeln!(out, "tickcast_closes_total{{code=\"{number}\",name=\"{code:?}\"}} {value}");
        }
        out
    }
}
