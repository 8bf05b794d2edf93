//! What histories say, by match: gathered in any order of files, bounded by matches, ticks and inputs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tickcast_protocol::history::{At, Event, Line};
use tickcast_protocol::{InputSeq, MatchId, PlayerId, SessionId};

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) line: u32,
}

/// One ownership's version of a tick.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    /// The first try to commit it: when, its hash, where it says so.
    pub(super) committing: Option<(u64, u32, Place)>,
    pub(super) inputs: Vec<(PlayerId, InputSeq)>,
    pub(super) committed: Option<(u64, Place)>,
    /// The first client that had it: when, and what hash.
    pub(super) seen: Option<(u64, u32, Place)>,
    /// A client that had another hash than the first.
    pub(super) seen_otherwise: Option<(u32, Place)>,
}

/// What a node went on from.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) at: At,
    pub(super) hash: u32,
    pub(super) place: Place,
}

/// A connection's last state.
#[derive(Debug, Clone, Default)]
struct Session {
    player: Option<PlayerId>,
    /// The last state, unless what follows need not be the next one.
    last: Option<(At, Place)>,
}

/// A breach that shows as soon as the line is read.
#[derive(Debug, Clone)]
pub(super) struct Breach {
    pub(super) guarantee: u8,
    pub(super) text: String,
    pub(super) places: Vec<Place>,
}

/// One match.
#[derive(Debug, Default)]
pub(super) struct MatchBook {
    /// By tick, then by epoch and nonce.
    pub(super) ticks: BTreeMap<u64, BTreeMap<(u64, u64), Version>>,
    pub(super) claims: Vec<Claim>,
    /// Ticks after `to` up to `from` that clients were told to forget.
    pub(super) resets: Vec<(u64, u64)>,
    /// The last input of each player that a client's state acknowledged.
    pub(super) acked: BTreeMap<PlayerId, (InputSeq, Place)>,
    pub(super) breaches: Vec<Breach>,
    sessions: BTreeMap<SessionId, Session>,
}

/// How much was read.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) matches: usize,
    pub(super) ticks: usize,
    pub(super) ownerships: usize,
    pub(super) states_seen: u64,
    pub(super) inputs_sent: u64,
    pub(super) inputs_applied: u64,
    pub(super) joins: u64,
    pub(super) losses: u64,
    pub(super) resets: u64,
    pub(super) repairs: u64,
    pub(super) torn: u64,
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) matches: BTreeMap<MatchId, MatchBook>,
    pub(super) counts: Counts,
    pub(super) torn: u64,
}

impl Book {
    /// Takes a line in; the lines of one client come in the order in which it wrote them.
    pub(super) fn add(&mut self, place: Place, line: Line) {
        let Line { at_us, id, event, .. } = line;
        self.counts.events += 1;
        let book = self.matches.entry(id).or_default();
        match event {
            Event::Claimed { at, hash } => book.claims.push(Claim { at, hash, place }),
            Event::Committing { at, hash, inputs } => {
                let version = book.version(at);
                version.committing = Some((at_us, hash, place));
                version.inputs = inputs;
            }
            Event::Committed { at } => book.version(at).committed = Some((at_us, place)),
            Event::Repairing { .. } => self.counts.repairs += 1,
            Event::Disowned { .. } => {}
            Event::Joined { session, player, .. } => {
                self.counts.joins += 1;
                book.sessions.insert(session, Session { player, last: None });
            }
            Event::Seen { session, at, hash, acked, jumped } => {
                self.counts.states_seen += 1;
                book.see(at_us, session, at, hash, jumped, place);
                let player = book.sessions.get(&session).and_then(|session| session.player);
                if let (Some(player), Some(acked)) = (player, acked) {
                    let before = book.acked.entry(player).or_insert((acked, place));
                    if before.0 < acked {
                        *before = (acked, place);
                    }
                }
            }
            Event::Sent { .. } => self.counts.inputs_sent += 1,
            Event::Reset { session, from, to } => {
                self.counts.resets += 1;
                book.resets.push((from, to));
                book.sessions.entry(session).or_default().last = None;
            }
            Event::Lost { session, .. } => {
                self.counts.losses += 1;
                book.sessions.remove(&session);
            }
        }
    }
}

impl MatchBook {
    fn version(&mut self, at: At) -> &mut Version {
        self.ticks.entry(at.tick).or_default().entry((at.epoch, at.nonce)).or_default()
    }

    fn see(&mut self, at_us: u64, session: SessionId, at: At, hash: u32, jumped: bool, place: Place) {
        let version = self.version(at);
        match version.seen {
            Some((first_us, first, first_place)) => {
                if first != hash {
                    version.seen_otherwise = Some((hash, place));
                }
                version.seen = Some((first_us.min(at_us), first, first_place));
            }
            None => version.seen = Some((at_us, hash, place)),
        }
        let session = self.sessions.entry(session).or_default();
        let mut breach = None;
        if let Some((last, last_place)) = session.last {
            let next = at.tick == last.tick + 1 || (jumped && at.tick > last.tick);
            if !next {
                let text = format!("a client that had tick {} is shown tick {} next", last.tick, at.tick);
                breach = Some((text, vec![last_place, place]));
            }
        }
        session.last = Some((at, place));
        if let Some((text, places)) = breach {
            self.breaches.push(Breach { guarantee: 3, text, places });
        }
    }

    /// Epochs and nonces of all ownerships.
    pub(super) fn ownerships(&self) -> BTreeSet<(u64, u64)> {
        let of_ticks = self.ticks.values().flat_map(|versions| versions.keys().copied());
        of_ticks.chain(self.claims.iter().map(|claim| (claim.at.epoch, claim.at.nonce))).collect()
    }
}
