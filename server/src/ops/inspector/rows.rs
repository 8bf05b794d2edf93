//! The matches of a cluster as a node last saw them, a row each, and what changed from one look to the next. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tickcast_protocol::MatchId;

use super::journal::What;
use crate::backplane::{MatchFields, fields};
use crate::logic::tick_stats::TickStats;

/// What a row is made of.
pub const FIELDS: [&str; 14] = [
    fields::GAME,
    fields::STATUS,
    fields::OWNER,
    fields::EPOCH,
    fields::NONCE,
    fields::TICK,
    fields::TICK_RATE,
    fields::PLAYERS,
    fields::PLAYERS_MAX,
    fields::COMMITTED_MS,
    fields::CREATED_MS,
    fields::LEASE_MS,
    fields::CRASHES,
    fields::STATS,
];

/// Whether a match is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its owner's lease is good.
    Running,
    /// The lease is over and nobody has claimed it yet.
    Expired,
    /// It has no owner.
    Free,
    /// Nobody may own it.
    Quarantined,
}

impl Standing {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Running => "running",
            Standing::Expired => "expired",
            Standing::Free => "free",
            Standing::Quarantined => "quarantined",
        }
    }
}

/// A match; what is not known is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Name of the game.
    pub game: Option<String>,
    /// The last owner; empty if it gave the match up.
    pub owner: Option<String>,
    /// Whether nobody may own it.
    pub quarantined: bool,
    /// Number of the ownership.
    pub epoch: Option<u64>,
    /// Random part of the ownership.
    pub nonce: Option<String>,
    /// Last committed tick.
    pub tick: Option<u64>,
    /// Ticks per second.
    pub tick_rate: Option<u64>,
    /// Players in it.
    pub players: Option<u64>,
    /// Players it takes.
    pub players_max: Option<u64>,
    /// When the last tick was committed.
    pub committed_ms: Option<u64>,
    /// When the match was made.
    pub created_ms: Option<u64>,
    /// When the lease ends.
    pub lease_ms: Option<u64>,
    /// Ownerships since it last ran well.
    pub crashes: Option<u64>,
    /// How the owner's last ticks went.
    pub stats: Option<TickStats>,
}

impl Row {
    /// Takes in those of the fields that are there.
    pub fn update(&mut self, stored: &MatchFields) {
        self.describe(stored);
        number(stored, fields::EPOCH, &mut self.epoch);
        number(stored, fields::TICK, &mut self.tick);
        number(stored, fields::COMMITTED_MS, &mut self.committed_ms);
        number(stored, fields::LEASE_MS, &mut self.lease_ms);
        text(stored, fields::OWNER, &mut self.owner);
        text(stored, fields::NONCE, &mut self.nonce);
        if let Some(status) = fields::text(stored, fields::STATUS) {
            self.quarantined = status == fields::QUARANTINED;
        }
    }

    /// Takes in what says nothing of who owns the match and where it stands.
    fn describe(&mut self, stored: &MatchFields) {
        number(stored, fields::TICK_RATE, &mut self.tick_rate);
        number(stored, fields::PLAYERS, &mut self.players);
        number(stored, fields::PLAYERS_MAX, &mut self.players_max);
        number(stored, fields::CREATED_MS, &mut self.created_ms);
        number(stored, fields::CRASHES, &mut self.crashes);
        text(stored, fields::GAME, &mut self.game);
        if let Some(stats) = fields::text(stored, fields::STATS) {
            self.stats = TickStats::from_text(stats);
        }
    }

    /// Whether it is run, by the store's clock.
    pub fn standing(&self, store_ms: u64) -> Standing {
        match &self.owner {
            _ if self.quarantined => Standing::Quarantined,
            Some(owner) if owner.is_empty() => Standing::Free,
            _ if self.lease_ms.is_some_and(|until| until <= store_ms) => Standing::Expired,
            _ => Standing::Running,
        }
    }

    /// For the page.
    pub fn to_json(&self, id: &MatchId, store_ms: u64) -> Value {
        json!({
            "id": id,
            "game": self.game,
            "owner": self.owner,
            "status": self.standing(store_ms).word(),
            "epoch": self.epoch,
            "tick": self.tick,
            "tick_rate": self.tick_rate,
            "players": self.players,
            "players_max": self.players_max,
            "crashes": self.crashes,
            "created_ms": self.created_ms,
            "last_tick_age_ms": self.last_tick_age_ms(store_ms),
            "lease_left_ms": self.lease_ms.map(|until| until.saturating_sub(store_ms)),
            "stats": self.stats,
        })
    }

    /// How long ago the last tick was committed.
    pub fn last_tick_age_ms(&self, store_ms: u64) -> Option<u64> {
        self.committed_ms.map(|at| store_ms.saturating_sub(at))
    }

    /// What happened between an earlier row and this one.
    fn changes_since(&self, before: &Row) -> Vec<(What, String)> {
        let mut changes = Vec::new();
        let tick = self.tick.unwrap_or(0);
        let of = |owner: &Option<String>| {
            owner.as_deref().filter(|name| !name.is_empty()).unwrap_or("nobody").to_owned()
        };
        if self.quarantined != before.quarantined {
            let what = if self.quarantined { What::Quarantined } else { What::Revived };
            changes.push((what, format!("at tick {tick}, after {}", of(&before.owner))));
        }
        let known = before.epoch.is_some();
        if known && (self.epoch, &self.nonce) != (before.epoch, &before.nonce) {
            let epoch = self.epoch.unwrap_or(0);
            let text = format!("{} -> {}, epoch {epoch}, tick {tick}", of(&before.owner), of(&self.owner));
            changes.push((What::Owned, text));
        }
        let gave_up = self.owner.as_deref() == Some("") && before.owner.as_deref() != Some("");
        if known && gave_up && !self.quarantined {
            changes.push((What::Released, format!("by {} at tick {tick}", of(&before.owner))));
        }
        if before.tick.is_some_and(|before| before > tick) {
            changes.push((What::SetBack, format!("tick {} -> {tick}", before.tick.unwrap_or(0))));
        }
        changes
    }
}

fn number(stored: &MatchFields, name: &str, into: &mut Option<u64>) {
    *into = fields::number(stored, name).or(*into);
}

fn text(stored: &MatchFields, name: &str, into: &mut Option<String>) {
    if let Some(text) = fields::text(stored, name)
        && into.as_deref() != Some(text)
    {
        *into = Some(text.to_owned());
    }
}

/// All matches at a look.
#[derive(Debug, Default)]
pub struct Rows {
    /// By id.
    pub rows: BTreeMap<MatchId, Row>,
    /// The store's clock then.
    pub store_ms: u64,
    looked: bool,
}

/// Something that happened to a match.
pub type Change = (MatchId, What, String);

impl Rows {
    /// Takes in a look that another one has overtaken: too old to tell what happened, and still the newest to tell
    /// what the other did not ask for.
    pub fn describe<'a>(&mut self, listed: impl IntoIterator<Item = (&'a MatchId, &'a MatchFields)>) {
        for (id, stored) in listed {
            if let Some(row) = self.rows.get_mut(id) {
                row.describe(stored);
            }
        }
    }

    /// Takes a look in, and tells what happened since the one before; nothing after the first.
    pub fn update<'a>(
        &mut self,
        listed: impl IntoIterator<Item = (&'a MatchId, &'a MatchFields)>,
        store_ms: u64,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut there = BTreeSet::new();
        for (id, stored) in listed {
            there.insert(id);
            match self.rows.get_mut(id) {
                Some(row) => {
                    let before = row.clone();
                    row.update(stored);
                    let happened = row.changes_since(&before).into_iter();
                    changes.extend(happened.map(|(what, text)| (id.clone(), what, text)));
                }
                None => {
                    let mut row = Row::default();
                    row.update(stored);
                    let text = format!("first seen on {}", row.owner.as_deref().unwrap_or_default());
                    changes.push((id.clone(), What::Created, text));
                    self.rows.insert(id.clone(), row);
                }
            }
        }
        self.rows.retain(|id, row| {
            if there.contains(id) {
                return true;
            }
            changes.push((id.clone(), What::Ended, format!("after tick {}", row.tick.unwrap_or(0))));
            false
        });
        self.store_ms = store_ms;
        if !std::mem::replace(&mut self.looked, true) {
            changes.clear();
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stored(pairs: &[(&str, &str)]) -> MatchFields {
        pairs.iter().map(|(name, value)| ((*name).into(), Bytes::from(value.to_string()))).collect()
    }

    fn owned(owner: &str, epoch: &str, tick: &str) -> MatchFields {
        stored(&[("~owner", owner), ("~epoch", epoch), ("~tick", tick), ("~status", "open")])
    }

    fn look(rows: &mut Rows, listed: &[(&MatchId, MatchFields)]) -> Vec<(String, What)> {
        let changes = rows.update(listed.iter().map(|(id, stored)| (*id, stored)), 1000);
        changes.into_iter().map(|(id, what, _)| (id.to_string(), what)).collect()
    }

    #[test]
    fn what_changed_between_two_looks_is_told_once() {
        let (a, b): (MatchId, MatchId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut rows = Rows::default();
        let told = |what| vec![("a".to_owned(), what)];
        assert_eq!(look(&mut rows, &[(&a, owned("n1", "1", "5"))]), [], "what was there before is no news");
        assert_eq!(look(&mut rows, &[(&a, owned("n1", "1", "9"))]), []);
        assert_eq!(look(&mut rows, &[(&a, owned("n2", "2", "9"))]), told(What::Owned));
        assert_eq!(look(&mut rows, &[(&a, owned("n2", "2", "8"))]), told(What::SetBack));
        assert_eq!(look(&mut rows, &[(&a, owned("", "2", "8"))]), told(What::Released));
        let quarantined =
            || stored(&[("~status", "quarantined"), ("~owner", ""), ("~epoch", "2"), ("~tick", "8")]);
        assert_eq!(look(&mut rows, &[(&a, quarantined())]), told(What::Quarantined));
        assert_eq!(look(&mut rows, &[(&a, quarantined())]), []);
        assert_eq!(look(&mut rows, &[(&a, owned("", "2", "8"))]), told(What::Revived));
        let both = [(&a, owned("", "2", "8")), (&b, owned("n1", "1", "1"))];
        assert_eq!(look(&mut rows, &both), [("b".to_owned(), What::Created)]);
        assert_eq!(look(&mut rows, &both[1..]), told(What::Ended));
    }

    #[test]
    fn a_row_keeps_what_a_smaller_look_does_not_tell() {
        let stats = r#"{"tick_us_p50":1,"tick_us_p99":2,"commit_us_p50":3,"commit_us_p99":4,"bytes_per_s":5,"overruns":6}"#;
        let mut row = Row::default();
        row.update(&stored(&[("~game", "arena"), ("~owner", "n1"), ("~lease_ms", "900"), ("~stats", stats)]));
        row.update(&stored(&[("~tick", "7"), ("~lease_ms", "1100")]));
        assert_eq!((row.game.as_deref(), row.tick), (Some("arena"), Some(7)));
        assert_eq!((row.standing(1099), row.standing(1100)), (Standing::Running, Standing::Expired));
        assert_eq!(row.to_json(&"m".parse().unwrap(), 1000)["stats"]["tick_us_p99"], 2);
        row.update(&stored(&[("~owner", "")]));
        assert_eq!(row.standing(1099), Standing::Free);
    }
}
