//! What a match's hash holds, authenticated as a whole: one code over its state and what it was created with, bound to the
//! match, the ownership that wrote it and the tick. Every commit writes it, so it is kept up to date field by field.
//!
//! The code is over the sum of a code for each field, which nobody without the key can compute: the same fields have the same
//! sum in any order, and a field that is written changes it by what is new less what was there. The field `~mac` is
//! `KEY:EPOCH:NONCE:CODE`, with the key's number and the code in hex digits.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tickcast_protocol::{Epoch, Fence, MatchId, Nonce, Tick};

use super::envelope;
use super::{ClusterKey, ClusterKeys, Code, KeyNumber, Subject};
use crate::backplane::{Channel, Commit, FieldName, MatchFields, fields};

/// What every field adds to the sum.
type Term = u128;

/// The sum of a match's fields, under one key.
#[derive(Debug, Clone)]
pub struct Digest {
    terms: BTreeMap<FieldName, Term>,
    sum: Term,
    number: KeyNumber,
}

/// What a commit makes of a digest.
#[derive(Debug, Clone)]
pub struct Change {
    gone: Vec<FieldName>,
    set: Vec<(FieldName, Term)>,
    sum: Term,
}

/// What was found of a match's hash.
#[derive(Debug, Clone)]
pub enum Judged {
    /// It has no code.
    Unsigned,
    /// Its code is of a key that is none of ours.
    UnknownKey,
    /// Its code does not fit.
    Wrong,
    /// A live key wrote it: the sum of its fields, under the first one.
    Right(Digest),
}

/// Whether a field is part of what is authenticated. The others are written by the store's scripts, on their own account or in
/// the store's time, or are for people: who owns the match, until when, how often that failed.
pub fn is_covered(name: &[u8]) -> bool {
    const FREE: [&str; 13] = [
        fields::MAC,
        fields::STATUS,
        fields::CRASHES,
        fields::HISTORY,
        fields::HEIR,
        // Bound by the code itself.
        fields::TICK,
        fields::EPOCH,
        fields::NONCE,
        fields::CLAIMS,
        fields::OWNER,
        fields::LEASE_MS,
        fields::COMMITTED_MS,
        fields::STATS,
    ];
    !FREE.iter().any(|free| free.as_bytes() == name)
}

impl Digest {
    /// Of these fields, under the first key.
    pub fn of(keys: &ClusterKeys, id: &MatchId, stored: &MatchFields) -> Digest {
        Digest::under(keys.first(), id, stored)
    }

    fn under(key: &ClusterKey, id: &MatchId, stored: &MatchFields) -> Digest {
        let covered = stored.iter().filter(|(name, _)| is_covered(name));
        let terms: BTreeMap<FieldName, Term> =
            covered.map(|(name, value)| (name.clone(), term(key, id, name, value))).collect();
        let sum = terms.values().fold(0, |sum: Term, term| sum.wrapping_add(*term));
        Digest { terms, sum, number: key.number }
    }

    /// What a commit with these bytes for its ring field makes of it. As in the store, what it deletes is gone whatever it sets.
    pub fn change(&self, keys: &ClusterKeys, id: &MatchId, commit: &Commit, message: &[u8]) -> Change {
        let key = keys.first();
        debug_assert_eq!(self.number, key.number, "a digest is one of the first key");
        let mut gone: BTreeSet<&FieldName> = commit.delete.iter().collect();
        let written = commit.set.iter().map(|(name, value)| (name, &value[..]));
        let written = written.chain([(&commit.ring_field, message)]);
        let written = written.filter(|(name, _)| is_covered(name) && !gone.contains(name));
        // Of a field that is written twice the last value stays.
        let set: BTreeMap<&FieldName, Term> =
            written.map(|(name, value)| (name, term(key, id, name, value))).collect();
        if commit.whole {
            gone.extend(self.terms.keys().filter(|name| fields::is_state(name) && !set.contains_key(name)));
        }
        let before = gone.iter().chain(set.keys()).filter_map(|name| self.terms.get(*name));
        let sum = before.fold(self.sum, |sum, term| sum.wrapping_sub(*term));
        let sum = set.values().fold(sum, |sum, term| sum.wrapping_add(*term));
        let gone = gone.into_iter().cloned().collect();
        Change { gone, set: set.into_iter().map(|(name, term)| (name.clone(), term)).collect(), sum }
    }

    /// Takes in what a commit has made of it. Twice is as good as once.
    pub fn apply(&mut self, change: Change) {
        for name in &change.gone {
            self.terms.remove(name);
        }
        self.terms.extend(change.set);
        self.sum = change.sum;
    }

    /// The field `~mac` as of a tick.
    pub fn mac(&self, keys: &ClusterKeys, id: &MatchId, fence: Fence, tick: Tick) -> Bytes {
        mac(keys, id, fence, tick, self.sum)
    }
}

impl Change {
    /// The field `~mac` that a commit writes.
    pub fn mac(&self, keys: &ClusterKeys, id: &MatchId, commit: &Commit) -> Bytes {
        mac(keys, id, commit.fence, commit.tick, self.sum)
    }
}

/// Looks whether a live key wrote what a match's hash holds.
pub fn judge(keys: &ClusterKeys, id: &MatchId, stored: &MatchFields) -> Judged {
    let Some(text) = stored.get(fields::MAC.as_bytes()) else { return Judged::Unsigned };
    let Some(Written { number, fence, code }) = Written::parse(text) else { return Judged::Wrong };
    let Some(key) = keys.0.iter().find(|key| key.number == number) else { return Judged::UnknownKey };
    let (Some(tick), Some(owned)) = (fields::number(stored, fields::TICK), fields::fence(stored)) else {
        return Judged::Wrong;
    };
    let digest = Digest::under(key, id, stored);
    let [epoch, nonce, tick, sum] = bound(fence, Tick(tick), digest.sum);
    let fits = key.made(&code, Subject::Hash, id.as_str().as_bytes(), &[&epoch, &nonce, &tick, &sum]);
    if !fits || fence.epoch > owned.epoch || !ring_fits(keys, id, stored) {
        return Judged::Wrong;
    }
    Judged::Right(if number == keys.first().number { digest } else { Digest::of(keys, id, stored) })
}

/// The number of the key that wrote a match's hash, if it says so.
pub fn key_number(stored: &MatchFields) -> Option<KeyNumber> {
    Written::parse(stored.get(fields::MAC.as_bytes())?).map(|written| written.number)
}

/// Whether every tick of the ring that has a code has a good one. Of these the sum has the code only.
fn ring_fits(keys: &ClusterKeys, id: &MatchId, stored: &MatchFields) -> bool {
    let channel = fields::channel(id, Channel::Diff);
    let ticks = ring_of(stored).filter(|(_, value)| envelope::tick_code(value).is_some());
    ticks.into_iter().all(|(_, value)| envelope::open(keys, &channel, value).is_ok())
}

fn ring_of(stored: &MatchFields) -> impl Iterator<Item = (&FieldName, &Bytes)> {
    stored.iter().filter(|(name, _)| is_ring(name))
}

fn is_ring(name: &[u8]) -> bool {
    matches!(name, [b'~', b'd', b'0'..=b'9', ..])
}

/// The fields without codes, as whoever knows of no key writes them. Nothing is looked at.
pub fn strip(mut stored: MatchFields) -> MatchFields {
    stored.remove(fields::MAC.as_bytes());
    for (name, value) in &mut stored {
        if is_ring(name) {
            *value = envelope::strip(value);
        }
    }
    stored
}

/// What a field adds to the sum: for a tick of the ring its code, which is over all of it.
fn term(key: &ClusterKey, id: &MatchId, name: &[u8], value: &[u8]) -> Term {
    let tick = envelope::tick_code(value).filter(|_| is_ring(name));
    let value = tick.as_ref().map_or(value, |code| &code[..]);
    let kind = [u8::from(tick.is_some())];
    let length = (name.len() as u32).to_le_bytes();
    let parts: [&[u8]; 4] = [&kind, &length, name, value];
    Term::from_le_bytes(key.code(Subject::Field, id.as_str().as_bytes(), &parts))
}

fn mac(keys: &ClusterKeys, id: &MatchId, fence: Fence, tick: Tick, sum: Term) -> Bytes {
    let key = keys.first();
    let [epoch, nonce, tick, sum] = bound(fence, tick, sum);
    let code = key.code(Subject::Hash, id.as_str().as_bytes(), &[&epoch, &nonce, &tick, &sum]);
    Written { number: key.number, fence, code }.to_text().into()
}

/// What the code of a hash is over, besides the match; each in 16 bytes.
fn bound(fence: Fence, tick: Tick, sum: Term) -> [[u8; 16]; 4] {
    [u128::from(fence.epoch.0), u128::from(fence.nonce.0), u128::from(tick.0), sum].map(u128::to_le_bytes)
}

/// The field `~mac`.
struct Written {
    number: KeyNumber,
    fence: Fence,
    code: Code,
}

impl Written {
    fn to_text(&self) -> String {
        let Written { number, fence, code } = self;
        let code = HEXLOWER.encode(code);
        format!("{number}:{}:{}:{code}", fence.epoch.0, fields::nonce_text(fence.nonce))
    }

    /// It has one spelling.
    fn parse(text: &[u8]) -> Option<Written> {
        let text = std::str::from_utf8(text).ok()?;
        let [number, epoch, nonce, code]: [&str; 4] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
        let number = KeyNumber(u32::from_str_radix(number, 16).ok()?);
        let nonce = Nonce(u64::from_str_radix(nonce, 16).ok()?);
        let code = HEXLOWER.decode(code.as_bytes()).ok()?.try_into().ok()?;
        let written = Written { number, fence: Fence { epoch: Epoch(epoch.parse().ok()?), nonce }, code };
        (written.to_text() == text).then_some(written)
    }
}
