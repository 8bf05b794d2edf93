//! The store as a pure model: what the scripts of `redis.rs` do to a match's hash, field by field.
//! It must never read a clock, wait, or send: `now_ms` comes in, what is to be published goes out.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::{Epoch, Fence, MatchId, Nonce, Tick};

use super::{Channel, Claim, ClaimReply, Commit, CommitReply, Guarded, MatchFields, Release, fields};

/// Ticks after which a match's fields are put into a new tree. Where fields come and go one by one, a tree's nodes are half
/// empty; one that is made at once is full.
const REBUILD_TICKS: u64 = 128;

/// A message for everybody who is subscribed at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Whose channel.
    pub id: MatchId,
    /// Which of its two.
    pub channel: Channel,
    /// What.
    pub message: Bytes,
}

/// All matches of a store.
#[derive(Debug, Clone, Default)]
pub struct Store {
    matches: BTreeMap<MatchId, MatchFields>,
    history: String,
}

impl Store {
    /// Gives the history of writes another name, as a restart or a promotion does.
    pub fn set_history(&mut self, history: &str) {
        history.clone_into(&mut self.history);
    }

    /// Creates an unowned match; `false` if it exists already.
    pub fn create(&mut self, id: &MatchId, given: MatchFields) -> bool {
        if self.matches.contains_key(id) {
            return false;
        }
        self.matches.insert(id.clone(), newborn(given));
        true
    }

    /// Makes a new ownership if the lease has expired or the claimant is the heir. The order of the checks is
    /// the order of the answers.
    pub fn claim(&mut self, id: &MatchId, claim: &Claim, now_ms: u64) -> ClaimReply {
        let here = self.history.clone();
        let Some((hash, fence)) = self.owned(id) else { return ClaimReply::NoMatch };
        if fence.nonce == claim.nonce || claim.unanswered.contains(&fence.nonce) {
            return ClaimReply::Claimed { fence, fields: hash.clone() };
        }
        if fields::text(hash, fields::STATUS) == Some(fields::QUARANTINED) {
            return ClaimReply::Quarantined;
        }
        let lease_ms = fields::number(hash, fields::LEASE_MS).unwrap_or(0);
        if lease_ms > now_ms && fields::text(hash, fields::HEIR) != Some(claim.node.as_str()) {
            return ClaimReply::Held { left: Duration::from_millis(lease_ms - now_ms) };
        }
        let moved = fields::text(hash, fields::HISTORY).is_some_and(|history| history != here);
        if (1..=now_ms).contains(&lease_ms) && moved {
            put(hash, fields::HISTORY, here);
            put(hash, fields::LEASE_MS, lease_end_ms(now_ms, claim.lease).to_string());
            return ClaimReply::Held { left: claim.lease };
        }
        let crashes = fields::number(hash, fields::CRASHES).unwrap_or(0);
        if crashes >= u64::from(claim.crashes_max) {
            put(hash, fields::STATUS, fields::QUARANTINED.to_owned());
            put(hash, fields::OWNER, String::new());
            return ClaimReply::Quarantined;
        }
        let fence = Fence { epoch: Epoch(fence.epoch.0 + 1), nonce: claim.nonce };
        put(hash, fields::EPOCH, fence.epoch.0.to_string());
        put(hash, fields::NONCE, fields::nonce_text(fence.nonce));
        put(hash, fields::OWNER, claim.node.to_string());
        put(hash, fields::LEASE_MS, lease_end_ms(now_ms, claim.lease).to_string());
        put(hash, fields::CRASHES, (crashes + 1).to_string());
        put(hash, fields::CLAIMS, claims_with(hash, fence));
        put(hash, fields::HISTORY, here);
        hash.remove(fields::HEIR.as_bytes());
        ClaimReply::Claimed { fence, fields: hash.clone() }
    }

    /// Commits a tick; publishes exactly if it answers [`CommitReply::Ok`].
    pub fn commit(
        &mut self,
        id: &MatchId,
        commit: &Commit,
        now_ms: u64,
    ) -> (CommitReply, Option<Publication>) {
        let here = (commit.whole || commit.again).then(|| self.history.clone());
        let Some((hash, fence)) = self.owned(id) else { return (CommitReply::NoMatch, None) };
        if let Some(refusal) = refusal(hash, fence, commit) {
            return (refusal, None);
        }
        if commit.whole {
            hash.retain(|name, _| !fields::is_state(name));
        }
        for (name, value) in &commit.set {
            write(hash, name, value.clone());
        }
        write(hash, &commit.ring_field, commit.message.clone());
        put(hash, fields::TICK, commit.tick.0.to_string());
        let longest_ms = lease_end_ms(now_ms, commit.lease_longest());
        let until_ms = fields::number(hash, fields::LEASE_MS).unwrap_or(0);
        if until_ms <= lease_end_ms(now_ms, commit.lease) || longest_ms < until_ms {
            put(hash, fields::LEASE_MS, longest_ms.to_string());
            put(hash, fields::COMMITTED_MS, now_ms.to_string());
        }
        for name in &commit.delete {
            hash.remove(name);
        }
        if let Some(here) = here {
            put(hash, fields::HISTORY, here);
        }
        if commit.tick.0.is_multiple_of(REBUILD_TICKS) {
            *hash = std::mem::take(hash).into_iter().collect();
        }
        (CommitReply::Ok, Some(on_diff(id, commit.message.clone())))
    }

    /// Lets the lease expire now, or after the heir's grace, and publishes on the diff channel.
    pub fn release(
        &mut self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
        now_ms: u64,
    ) -> (Guarded, Option<Publication>) {
        let Some(hash) = self.guarded(id, fence) else { return (Guarded::Refused, None) };
        hash.remove(fields::HEIR.as_bytes());
        let mut lease_ms = 0;
        if let Some(heir) = &release.heir {
            put(hash, fields::HEIR, heir.to_string());
            lease_ms = lease_end_ms(now_ms, release.grace);
        }
        put(hash, fields::LEASE_MS, lease_ms.to_string());
        put(hash, fields::OWNER, String::new());
        if release.clean {
            put(hash, fields::CRASHES, "0".to_owned());
            put(hash, fields::STATUS, fields::OPEN.to_owned());
        }
        (Guarded::Done, Some(on_diff(id, message)))
    }

    /// Lets a quarantined match be claimed again.
    pub fn revive(&mut self, id: &MatchId) -> Guarded {
        let quarantined =
            |hash: &&mut MatchFields| fields::text(hash, fields::STATUS) == Some(fields::QUARANTINED);
        let Some(hash) = self.matches.get_mut(id).filter(quarantined) else { return Guarded::Refused };
        put(hash, fields::STATUS, fields::OPEN.to_owned());
        put(hash, fields::CRASHES, "0".to_owned());
        put(hash, fields::LEASE_MS, "0".to_owned());
        Guarded::Done
    }

    /// Publishes on the diff channel if the fence is the stored one.
    pub fn notify(&mut self, id: &MatchId, fence: Fence, message: Bytes) -> (Guarded, Option<Publication>) {
        match self.guarded(id, fence) {
            Some(_) => (Guarded::Done, Some(on_diff(id, message))),
            None => (Guarded::Refused, None),
        }
    }

    /// Deletes the match and publishes on its diff channel.
    pub fn end(&mut self, id: &MatchId, fence: Fence, message: Bytes) -> (Guarded, Option<Publication>) {
        if self.guarded(id, fence).is_none() {
            return (Guarded::Refused, None);
        }
        self.matches.remove(id);
        (Guarded::Done, Some(on_diff(id, message)))
    }

    /// The whole hash of a match.
    pub fn load(&self, id: &MatchId) -> Option<MatchFields> {
        self.matches.get(id).cloned()
    }

    /// These of a match's fields.
    pub fn read(&self, id: &MatchId, names: &[&str]) -> Option<MatchFields> {
        self.matches.get(id).map(|hash| selected(hash, names))
    }

    /// Every match with these of its fields, by ascending id.
    pub fn list(&self, names: &[&str]) -> Vec<(MatchId, MatchFields)> {
        self.matches.iter().map(|(id, hash)| (id.clone(), selected(hash, names))).collect()
    }

    /// A match's hash and the ownership stored in it.
    fn owned(&mut self, id: &MatchId) -> Option<(&mut MatchFields, Fence)> {
        let hash = self.matches.get_mut(id)?;
        let fence = fields::fence(hash)?;
        Some((hash, fence))
    }

    /// A match's hash, if this is the ownership stored in it.
    fn guarded(&mut self, id: &MatchId, fence: Fence) -> Option<&mut MatchFields> {
        self.owned(id).filter(|(_, stored)| *stored == fence).map(|(hash, _)| hash)
    }
}

/// The hash of a match that nobody has owned yet: a creator chooses neither its ownership nor its status.
pub fn newborn(given: MatchFields) -> MatchFields {
    let mut hash = given;
    put(&mut hash, fields::EPOCH, "0".to_owned());
    put(&mut hash, fields::NONCE, fields::nonce_text(Nonce(0)));
    put(&mut hash, fields::OWNER, String::new());
    put(&mut hash, fields::LEASE_MS, "0".to_owned());
    put(&mut hash, fields::STATUS, fields::OPEN.to_owned());
    put(&mut hash, fields::CRASHES, "0".to_owned());
    for name in [fields::CLAIMS, fields::HISTORY] {
        hash.remove(name.as_bytes());
    }
    for name in [fields::TICK, fields::SNAPSHOT_TICK] {
        hash.entry(name.into()).or_insert(Bytes::from_static(b"0"));
    }
    hash
}

/// Why a commit may not be written, if so. The order of the checks is the order of the answers.
fn refusal(hash: &MatchFields, stored: Fence, commit: &Commit) -> Option<CommitReply> {
    if stored != commit.fence {
        return Some(CommitReply::Fenced);
    }
    let tick = Tick(fields::number(hash, fields::TICK).unwrap_or(0));
    if commit.tick == tick {
        let same = hash.get(&commit.ring_field) == Some(&commit.message);
        return Some(if same { CommitReply::DupSame } else { CommitReply::DupDiff });
    }
    if tick.next() < commit.tick && !commit.whole {
        return Some(CommitReply::Behind(tick));
    }
    if commit.tick < tick {
        return Some(CommitReply::Stale(tick));
    }
    None
}

/// The list of the last ownerships with a new one, which begins at the stored tick.
fn claims_with(hash: &MatchFields, fence: Fence) -> String {
    let entry = fields::claim_entry(fence, fields::number(hash, fields::TICK).unwrap_or(0));
    let mut claims: Vec<&str> = fields::text(hash, fields::CLAIMS).unwrap_or("").split_whitespace().collect();
    claims.push(&entry);
    claims[claims.len().saturating_sub(fields::CLAIMS_KEPT)..].join(" ")
}

fn selected(hash: &MatchFields, names: &[&str]) -> MatchFields {
    let pick = |name: &&str| hash.get_key_value(name.as_bytes());
    names.iter().filter_map(pick).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn lease_end_ms(now_ms: u64, lease: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX))
}

fn put(hash: &mut MatchFields, name: &str, value: String) {
    write(hash, name.as_bytes(), Bytes::from(value));
}

/// Sets a field; the name of one that is there is not made anew, as most of a tick's are.
fn write(hash: &mut MatchFields, name: &[u8], value: Bytes) {
    match hash.get_mut(name) {
        Some(held) => *held = value,
        None => drop(hash.insert(name.into(), value)),
    }
}

fn on_diff(id: &MatchId, message: Bytes) -> Publication {
    Publication { id: id.clone(), channel: Channel::Diff, message }
}

#[cfg(test)]
mod tests;
