//! What histories tell of one match. Lines of one writer come in its order, those of several in any: here is checked
//! what one writer's lines say by themselves, and the rest is gathered, bounded by ticks, claims and connections.

use std::collections::BTreeMap;

use tickcast_protocol::history::{Event, Record};
use tickcast_protocol::{Fence, InputSeq, PlayerId, SessionId, Tick};

use super::findings::{Findings, Place, Rule};
use super::seqs::Seqs;
use super::session::Session;

/// A claim and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) fence: Fence,
    pub(super) node: String,
    /// The restored tick.
    pub(super) tick: Tick,
    pub(super) hash: u32,
    pub(super) at_us: u64,
    pub(super) place: Place,
    /// The last tick that its owner knows to be committed.
    pub(super) last: Tick,
    /// The tick that is on its way.
    open: Option<Tick>,
    over: bool,
    pub(super) first_commit_us: Option<u64>,
    pub(super) last_commit_us: Option<u64>,
}

/// A tick as one owner made it.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) fence: Fence,
    pub(super) hash: u32,
    pub(super) at_us: u64,
    pub(super) inputs: Vec<(PlayerId, InputSeq)>,
    pub(super) place: Place,
    /// Whether something shows that the store has it.
    pub(super) committed: bool,
}

/// A state as clients saw it: the first to see it stands for all.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) fence: Fence,
    pub(super) hash: u32,
    pub(super) at_us: u64,
    pub(super) place: Place,
}

/// What is known of a player's inputs.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) sent: Seqs,
    pub(super) acked: u32,
    pub(super) acked_at: Place,
}

/// Where a client was last, for how long it was away.
#[derive(Debug, Default)]
struct Presence {
    last_seen_us: Option<u64>,
    returning: bool,
}

/// A match.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) claims: Vec<Claim>,
    pub(super) attempts: BTreeMap<Tick, Vec<Attempt>>,
    pub(super) sightings: BTreeMap<Tick, Vec<Sighting>>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// The players whose client's history is there.
    pub(super) players: BTreeMap<PlayerId, Inputs>,
    presences: BTreeMap<(usize, String), Presence>,
    /// How long clients were away, microseconds.
    pub(super) away_us: Vec<u64>,
    pub(super) states_seen: u64,
}

impl Story {
    /// Takes in a line.
    pub(super) fn take(&mut self, place: Place, record: Record, findings: &mut Findings) {
        let Record { at_us, by, event, .. } = record;
        match event {
            Event::Claimed { fence, tick, hash } => {
                let fence = Fence::from(fence);
                if self.claim(fence).is_some() {
                    let text = format!("claim {fence} is there twice: is a file given twice?");
                    findings.violation(Rule::OneOwner, place, text);
                    return;
                }
                self.claims.push(Claim {
                    fence,
                    node: by,
                    tick,
                    hash,
                    at_us,
                    place,
                    last: tick,
                    open: None,
                    over: false,
                    first_commit_us: None,
                    last_commit_us: None,
                });
            }
            Event::Committing { fence, tick, hash, inputs } => {
                let fence = Fence::from(fence);
                self.begin(fence, tick, at_us, place, findings);
                let attempt = Attempt { fence, hash, at_us, inputs, place, committed: false };
                self.attempts.entry(tick).or_default().push(attempt);
            }
            Event::Committed { fence, tick } => self.commit(fence.into(), tick, at_us, place, findings),
            Event::Repaired { fence, from, to } => self.repair(fence.into(), from, to, place, findings),
            Event::Fenced(fence) | Event::Released(fence) | Event::Ended(fence) => {
                match self.claim(fence.into()) {
                    Some(claim) => claim.over = true,
                    None => unclaimed(fence.into(), "ends", place, findings),
                }
            }
            event => self.take_of_client(at_us, by, event, place, findings),
        }
    }

    pub(super) fn claim(&mut self, fence: Fence) -> Option<&mut Claim> {
        self.claims.iter_mut().rev().find(|claim| claim.fence == fence)
    }

    /// An owner is about to commit a tick: it is the next one, and nothing else is on its way.
    fn begin(&mut self, fence: Fence, tick: Tick, at_us: u64, place: Place, findings: &mut Findings) {
        let Some(claim) = self.claim(fence) else {
            return unclaimed(fence, &format!("commits tick {tick}"), place, findings);
        };
        let wrong = match claim.open {
            _ if claim.over => Some("its ownership was over".to_owned()),
            Some(open) => Some(format!("tick {open} was not known to be committed")),
            None if tick != claim.last.next() => Some(format!("the last one was {}", claim.last)),
            None => None,
        };
        if let Some(wrong) = wrong {
            let text = format!("{} under {fence} commits tick {tick}, but {wrong}", claim.node);
            findings.violation(Rule::OneOwner, place, text);
            claim.last = Tick(tick.0.saturating_sub(1));
        }
        claim.open = Some(tick);
        claim.last_commit_us.get_or_insert(at_us);
    }

    fn commit(&mut self, fence: Fence, tick: Tick, at_us: u64, place: Place, findings: &mut Findings) {
        let Some(claim) = self.claim(fence) else {
            return unclaimed(fence, &format!("has committed tick {tick}"), place, findings);
        };
        if claim.open != Some(tick) {
            let text =
                format!("{} has committed tick {tick} under {fence} without having sent it", claim.node);
            findings.violation(Rule::OneOwner, place, text);
        }
        (claim.open, claim.last) = (None, tick);
        claim.first_commit_us.get_or_insert(at_us);
        claim.last_commit_us = Some(at_us);
        if let Some(attempt) = self.attempt(tick, fence) {
            attempt.committed = true;
        }
    }

    fn repair(&mut self, fence: Fence, from: Tick, to: Tick, place: Place, findings: &mut Findings) {
        let Some(claim) = self.claim(fence) else {
            return unclaimed(fence, &format!("repairs tick {to}"), place, findings);
        };
        if claim.open != Some(to) || from >= to {
            let text = format!("{} repairs ticks {from} to {to}, which is not what it commits", claim.node);
            findings.violation(Rule::OneOwner, place, text);
        }
    }

    fn attempt(&mut self, tick: Tick, fence: Fence) -> Option<&mut Attempt> {
        self.attempts.get_mut(&tick)?.iter_mut().find(|attempt| attempt.fence == fence)
    }

    fn take_of_client(
        &mut self,
        at_us: u64,
        by: String,
        event: Event,
        place: Place,
        findings: &mut Findings,
    ) {
        match event {
            Event::Joined { session, player, resumed, .. } => {
                let told = self.sessions.entry(session).or_default();
                (told.joined, told.player) = (true, player);
                if let Some(player) = player {
                    self.players.entry(player).or_default();
                }
                let presence = self.presences.entry((place.file, by)).or_default();
                presence.returning = resumed;
            }
            Event::Seen { session, fence, tick, hash, acked, merged } => {
                let told = self.session(session, place, findings);
                told.handle_seen(fence.into(), tick, merged, place, findings);
                let player = told.player;
                if let (Some(player), Some(acked)) = (player, acked) {
                    let inputs = self.players.entry(player).or_default();
                    if acked.0 > inputs.acked {
                        (inputs.acked, inputs.acked_at) = (acked.0, place);
                    }
                }
                self.states_seen += 1;
                self.sight(tick, Sighting { fence: fence.into(), hash, at_us, place });
                let presence = self.presences.entry((place.file, by)).or_default();
                let before = presence.last_seen_us.replace(at_us);
                if let Some(before) = before.filter(|_| std::mem::take(&mut presence.returning)) {
                    self.away_us.push(at_us.saturating_sub(before));
                }
            }
            Event::Sent { session, player, seq } => {
                self.session(session, place, findings);
                self.players.entry(player).or_default().sent.insert(seq.0);
            }
            Event::Reset { session, .. } => self.session(session, place, findings).handle_reset(),
            Event::Lost { session, .. } => self.session(session, place, findings).handle_lost(),
            // It says no more than that nothing follows.
            _ => {}
        }
    }

    fn session(&mut self, session: SessionId, place: Place, findings: &mut Findings) -> &mut Session {
        let told = self.sessions.entry(session).or_default();
        if !told.joined {
            told.joined = true;
            let text = format!("a client acts on connection {session} on which it was not let in");
            findings.violation(Rule::NothingUndone, place, text);
        }
        told
    }

    fn sight(&mut self, tick: Tick, sighting: Sighting) {
        let seen = self.sightings.entry(tick).or_default();
        let same = |known: &&mut Sighting| known.fence == sighting.fence && known.hash == sighting.hash;
        match seen.iter_mut().find(same) {
            Some(known) if known.at_us <= sighting.at_us => {}
            Some(known) => *known = sighting,
            None => seen.push(sighting),
        }
    }
}

fn unclaimed(fence: Fence, does: &str, place: Place, findings: &mut Findings) {
    findings.violation(
        Rule::OneOwner,
        place,
        format!("a node {does} under {fence}, which it has not claimed"),
    );
}
