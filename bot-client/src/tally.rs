//! What bots counted and measured. Bots hand over [`Marks`]; a process adds them to its [`Tally`]; tallies of
//! processes merge.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// Differences that a report names; further ones show among the desyncs.
pub const DIFFERENCES_MAX: usize = 16;

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $name {
            /// Adds another's counts.
            pub fn merge(&mut self, other: &$name) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counters! {
    /// What the server promised and whether it held: counted from the first frame to the last.
    Checks {
        /// States whose hash was not the owner's.
        desyncs,
        /// Ticks that frames left out, without a reset or a new owner to explain it, and ticks that an unasked
        /// snapshot jumped over, unless slow clients are allowed.
        lost_ticks,
        /// Frames that could not be decoded or applied.
        broken_frames,
        /// Equal states of two clients at the same tick.
        state_comparisons,
        /// Different states of two clients at the same tick.
        state_mismatches,
        /// Ticks that a client had seen and that were undone later, without a reset to tell it.
        undone,
        /// States that came too late to be compared.
        state_too_late,
        /// Lines of chat that were heard.
        chat_lines,
        /// Places in the chat at which a client heard nothing, or something else than what was next.
        chat_missing,
        /// Lines that two clients heard differently, and lines that were said twice.
        chat_mismatches,
        /// Lines that their own player never heard.
        chat_unheard,
        /// Lines that were refused; the server may.
        chat_refused,
        /// Times a match was set back; the server may.
        resets,
        /// Times a match changed its owner without an announcement; the server may.
        owner_gaps,
    }
}

counters! {
    /// What went over the wire while it was measured, in payload bytes of WebSocket messages.
    Traffic {
        /// State frames that brought a new tick.
        updates,
        /// Their bytes, and those of priors.
        update_bytes,
        /// Updates that were snapshots.
        snapshots,
        /// Updates that led a slow client over more than one tick: catch-ups, or snapshots where those are allowed.
        catch_ups,
        /// Ticks that those passed over: merged into the last of each, not lost.
        merged_ticks,
        /// Ticks that changed nothing and were told by the update behind them.
        quiet_ticks,
        /// Frames that told how the diffs after them are coded; they are no updates.
        priors,
        /// The bytes of those.
        prior_bytes,
        /// Inputs sent.
        inputs,
        /// Inputs that were seen to be part of the state.
        inputs_applied,
    }
}

counters! {
    /// What became of clients that lost their connection: counted from the first frame to the last.
    Recovery {
        /// Connections that ended unasked after the client had been let in.
        lost,
        /// Connections that were left because the node said that it stops.
        moved,
        /// Clients that held the state again, on another connection.
        reconnects,
        /// Those of them that were the same player again, with their entity in the state.
        resumed_players,
        /// Inputs that were sent again, after that or to a new owner; an input counts each time.
        inputs_sent_again,
    }
}

counters! {
    /// Connections.
    Connections {
        /// That were to be made.
        planned,
        /// That were let in and saw the state.
        joined,
        /// That could not be made, or ended unasked and were not made again.
        failed,
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Time between two updates of one client, which come once per period.
    Gap(Duration, Duration),
    /// Time from when an input was due to when its own client saw it in the state.
    Latency(Duration),
    /// The same until another client of the match saw it.
    ViewLatency(Duration),
    /// Time from the loss of a connection to the state on the next one.
    Away(Duration),
    /// Bytes of an update, and of the priors that came since the one before.
    UpdateBytes(usize),
}

/// What one bot has to hand over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Its checks.
    pub checks: Checks,
    /// Its traffic.
    pub traffic: Traffic,
    /// Its ways back.
    pub recovery: Recovery,
    /// Its measurements.
    pub samples: Vec<Sample>,
    /// What was wrong with states whose hash was not the owner's, as far as the snapshots after them showed.
    pub differences: Vec<String>,
}

/// What a process counted and measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Connections made.
    pub connections: Connections,
    /// Failed connections by reason.
    pub failures: BTreeMap<String, u64>,
    /// Lost connections by reason.
    pub losses: BTreeMap<String, u64>,
    /// Where states were wrong, and for how many clients; the first [`DIFFERENCES_MAX`] texts.
    pub differences: BTreeMap<String, u64>,
    /// Checks of the server's promises.
    pub checks: Checks,
    /// Traffic while it was measured.
    pub traffic: Traffic,
    /// Ways back after a loss.
    pub recovery: Recovery,
    /// How long it was measured; of several processes the longest.
    pub measured: Duration,
    /// Whether it was stopped before its time.
    pub stopped_early: bool,
    /// [`Sample::Gap`], microseconds, corrected for coordinated omission.
    pub gap: Histogram,
    /// [`Sample::Latency`], microseconds.
    pub latency: Histogram,
    /// [`Sample::ViewLatency`], microseconds.
    pub view_latency: Histogram,
    /// [`Sample::Away`], microseconds.
    pub away: Histogram,
    /// [`Sample::UpdateBytes`].
    pub update_bytes: Histogram,
}

impl Tally {
    /// Takes in what a bot handed over.
    pub fn absorb(&mut self, marks: Marks) {
        self.checks.merge(&marks.checks);
        self.traffic.merge(&marks.traffic);
        self.recovery.merge(&marks.recovery);
        marks.differences.into_iter().for_each(|told| self.tell_difference(told, 1));
        for sample in marks.samples {
            match sample {
                Sample::Gap(gap, period) => self.gap.record_gap(gap, period),
                Sample::Latency(time) => self.latency.record_time(time),
                Sample::ViewLatency(time) => self.view_latency.record_time(time),
                Sample::Away(time) => self.away.record_time(time),
                Sample::UpdateBytes(bytes) => self.update_bytes.record(bytes as u64),
            }
        }
    }

    /// Counts a failed connection.
    pub fn fail(&mut self, reason: String) {
        self.connections.failed += 1;
        *self.failures.entry(reason).or_default() += 1;
    }

    /// Counts a lost connection; what becomes of it is told later.
    pub fn lose(&mut self, reason: String) {
        self.recovery.lost += 1;
        *self.losses.entry(reason).or_default() += 1;
    }

    fn tell_difference(&mut self, told: String, clients: u64) {
        if self.differences.len() < DIFFERENCES_MAX || self.differences.contains_key(&told) {
            *self.differences.entry(told).or_default() += clients;
        }
    }

    /// Adds another process's tally.
    pub fn merge(&mut self, other: &Tally) {
        self.connections.merge(&other.connections);
        for (reason, count) in &other.failures {
            *self.failures.entry(reason.clone()).or_default() += count;
        }
        for (reason, count) in &other.losses {
            *self.losses.entry(reason.clone()).or_default() += count;
        }
        for (told, clients) in &other.differences {
            self.tell_difference(told.clone(), *clients);
        }
        self.checks.merge(&other.checks);
        self.traffic.merge(&other.traffic);
        self.recovery.merge(&other.recovery);
        self.measured = self.measured.max(other.measured);
        self.stopped_early |= other.stopped_early;
        self.gap.merge(&other.gap);
        self.latency.merge(&other.latency);
        self.view_latency.merge(&other.view_latency);
        self.away.merge(&other.away);
        self.update_bytes.merge(&other.update_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_make_one_tally() {
        let mut one = Tally { measured: Duration::from_secs(10), ..Tally::default() };
        one.connections.planned = 2;
        one.fail("close 4002 Slow".to_owned());
        one.lose("close 4001 Shutdown".to_owned());
        let marks = Marks {
            checks: Checks { lost_ticks: 3, ..Checks::default() },
            traffic: Traffic { updates: 2, update_bytes: 40, ..Traffic::default() },
            recovery: Recovery { reconnects: 1, inputs_sent_again: 5, ..Recovery::default() },
            samples: vec![
                Sample::UpdateBytes(20),
                Sample::UpdateBytes(20),
                Sample::Latency(Duration::from_millis(7)),
                Sample::Away(Duration::from_millis(300)),
            ],
            differences: vec!["x is 1".to_owned(), "x is 1".to_owned()],
        };
        one.absorb(marks);
        let text = serde_json::to_string(&one).unwrap();
        let mut both: Tally = serde_json::from_str(&text).unwrap();
        assert_eq!(both, one);
        both.merge(&one);
        assert_eq!((both.connections.planned, both.connections.failed), (4, 2));
        assert_eq!(both.failures, BTreeMap::from([("close 4002 Slow".to_owned(), 2)]));
        assert_eq!((both.checks.lost_ticks, both.traffic.updates, both.measured.as_secs()), (6, 4, 10));
        let Recovery { lost, reconnects, inputs_sent_again, .. } = both.recovery;
        assert_eq!((lost, reconnects, inputs_sent_again, both.away.count()), (2, 2, 10, 2));
        assert_eq!(both.losses, BTreeMap::from([("close 4001 Shutdown".to_owned(), 2)]));
        assert_eq!((both.update_bytes.count(), both.latency.count()), (4, 2));
        assert_eq!(both.differences, BTreeMap::from([("x is 1".to_owned(), 4)]));
    }

    #[test]
    fn a_world_gone_wrong_fills_no_report() {
        let mut tally = Tally::default();
        let differences = (0..100).map(|field| format!("field {:02}", field % 50)).collect();
        tally.absorb(Marks { differences, ..Marks::default() });
        assert_eq!(tally.differences.len(), DIFFERENCES_MAX);
        assert!(tally.differences.values().all(|clients| *clients == 2));
    }
}
