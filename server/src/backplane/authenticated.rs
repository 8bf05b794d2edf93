//! The cluster's key before any backplane: what nodes write to it goes in with codes, what comes out is looked at. Nobody else
//! knows of keys. Without one everything passes as it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Fence, MatchId, NodeId, Tick};

use super::mac::envelope::{self, Flaw};
use super::mac::stored::{self, Change, Digest, Judged};
use super::mac::{ClusterMac, Stamp, Window};
use super::memory::ClockMs;
use super::store::newborn;
use super::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, Guarded, MatchFields, Release, Subscription,
    Unavailable, fields,
};

/// A backplane behind the cluster's key, if there is one.
#[derive(Clone)]
pub struct Authenticated<B> {
    inner: B,
    trust: Trust,
}

/// What is done about codes.
#[derive(Clone)]
enum Trust {
    /// Nothing: what has codes is not readable.
    Nothing,
    /// They are taken away and not looked at.
    Blind,
    /// They are written and looked at.
    Key(Arc<Shared>),
}

/// What the clones and subscriptions of a backplane share.
struct Shared {
    mac: ClusterMac,
    clock_ms: ClockMs,
    /// By how much the store's clock is ahead of ours, as last heard.
    ahead_ms: AtomicI64,
    /// This process, in stamps.
    sender: u64,
    /// When the last stamped message was sent.
    last_us: AtomicU64,
    /// What the matches hold that are owned here, by ownership.
    owned: DashMap<(MatchId, Fence), Held>,
}

/// What the next commit of an ownership builds on.
enum Held {
    /// The fields that were written, as of this tick.
    Digest(Digest, Tick),
    /// Nothing is signed; the match may have a code from before.
    Unsigned { has_mac: bool },
}

/// Whether the fields of a match are what a node wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticity {
    /// They have no code.
    Unsigned,
    /// They have one, and there was no key to look at it with.
    NotVerified,
    /// A live key wrote them.
    Verified,
}

impl<B: Backplane> Authenticated<B> {
    /// For a node or an operator: with a key, codes are written and looked at; without one, what has codes is left alone.
    pub async fn new(
        inner: B,
        mac: Option<ClusterMac>,
        clock_ms: ClockMs,
    ) -> Result<Authenticated<B>, Unavailable> {
        let Some(mac) = mac else { return Ok(Authenticated { inner, trust: Trust::Nothing }) };
        let shared = Shared {
            mac,
            clock_ms,
            ahead_ms: AtomicI64::new(0),
            sender: rand::random(),
            last_us: AtomicU64::new(0),
            owned: DashMap::new(),
        };
        shared.handle_time(inner.now_ms().await?);
        Ok(Authenticated { inner, trust: Trust::Key(Arc::new(shared)) })
    }

    /// For whoever has no key and only looks: codes are taken away. Nothing may be written through it.
    pub fn blind(inner: B) -> Authenticated<B> {
        Authenticated { inner, trust: Trust::Blind }
    }

    /// The whole hash of a match, and what is known of who wrote it. Fields that nobody of ours wrote have [`fields::MAC`].
    pub async fn load_judged(
        &self,
        id: &MatchId,
    ) -> Result<Option<(MatchFields, Authenticity)>, Unavailable> {
        let Some(loaded) = self.inner.load(id).await? else { return Ok(None) };
        let authenticity = match (loaded.contains_key(fields::MAC.as_bytes()), &self.trust) {
            (false, _) => Authenticity::Unsigned,
            (true, Trust::Key(_)) => Authenticity::Verified,
            (true, _) => Authenticity::NotVerified,
        };
        Ok(Some((self.read_whole(id, loaded), authenticity)))
    }

    fn key(&self) -> Option<&Arc<Shared>> {
        match &self.trust {
            Trust::Key(shared) => Some(shared),
            Trust::Nothing | Trust::Blind => None,
        }
    }

    fn read_whole(&self, id: &MatchId, stored: MatchFields) -> MatchFields {
        match &self.trust {
            Trust::Nothing => stored,
            Trust::Blind => stored::strip(stored),
            Trust::Key(shared) => shared.read_whole(id, stored).0,
        }
    }

    /// A message for a channel that does not say itself which one it is.
    fn sealed(&self, channel: &str, message: Bytes) -> Bytes {
        match self.key().filter(|shared| shared.mac.policy.writes()) {
            Some(shared) => envelope::seal(&shared.mac.keys, channel, shared.stamp(), &message),
            None => message,
        }
    }

    fn looked_at(&self, subscription: Subscription, channel: String) -> Subscription {
        let reader = self.key().map(|shared| Reader {
            shared: Arc::clone(shared),
            channel,
            window: Window::default(),
            refused: 0,
        });
        Subscription { reader, ..subscription }
    }

    /// Learns what an ownership builds on that was not claimed through this backplane. The answer is that of its commit, if that
    /// cannot be.
    async fn adopt(
        &self,
        shared: &Shared,
        id: &MatchId,
        fence: Fence,
    ) -> Result<Option<CommitReply>, Unavailable> {
        let Some(loaded) = self.inner.load(id).await? else { return Ok(Some(CommitReply::NoMatch)) };
        if fields::fence(&loaded) != Some(fence) {
            return Ok(Some(CommitReply::Fenced));
        }
        let (_, Some(held)) = shared.read_whole(id, loaded) else {
            return Err(Unavailable("no key of this node wrote what the match holds".to_owned()));
        };
        shared.owned.insert((id.clone(), fence), held);
        Ok(None)
    }
}

impl Shared {
    /// Time by the store's clock.
    fn now_us(&self) -> u64 {
        (self.clock_ms)().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)).saturating_mul(1000)
    }

    /// The store has told its time.
    fn handle_time(&self, store_ms: u64) {
        let ahead = store_ms.cast_signed().wrapping_sub((self.clock_ms)().cast_signed());
        self.ahead_ms.store(ahead, Ordering::Relaxed);
    }

    fn stamp(&self) -> Stamp {
        let now_us = self.now_us();
        let later = |last: u64| Some(now_us.max(last.saturating_add(1)));
        let before =
            self.last_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).unwrap_or_default();
        Stamp { sender: self.sender, sent_us: now_us.max(before.saturating_add(1)) }
    }

    /// What a reader gets of a match's hash, and what its owner would build on.
    fn read_whole(&self, id: &MatchId, mut stored: MatchFields) -> (MatchFields, Option<Held>) {
        let ClusterMac { keys, policy } = &self.mac;
        let judged = stored::judge(keys, id, &stored);
        let held = |digest: &dyn Fn(&MatchFields) -> Digest, has_mac| match policy.writes() {
            true => Held::Digest(digest(&stored), Tick(fields::number(&stored, fields::TICK).unwrap_or(0))),
            false => Held::Unsigned { has_mac },
        };
        let held = match &judged {
            Judged::Right(digest) => held(&|_| digest.clone(), true),
            Judged::Unsigned if policy.takes_unsigned() => {
                held(&|stored| Digest::of(keys, id, stored), false)
            }
            // It is told by whom the fields say that they are.
            Judged::UnknownKey => return (stored, None),
            Judged::Unsigned | Judged::Wrong => {
                stored.insert(fields::MAC.into(), Bytes::new());
                return (stored, None);
            }
        };
        (stored::strip(stored), Some(held))
    }

    /// The commit as the store gets it, and what it makes of what is held; `None` if this ownership is not known.
    fn sign(&self, id: &MatchId, commit: &Commit) -> Option<(Commit, Option<Change>)> {
        let held = self.owned.get(&(id.clone(), commit.fence))?;
        let keys = &self.mac.keys;
        let mut signed = commit.clone();
        let change = match held.value() {
            Held::Digest(digest, _) => {
                let channel = fields::channel(id, Channel::Diff);
                signed.message = envelope::seal_tick(keys, &channel, &commit.message);
                let change = digest.change(keys, id, commit, &signed.message);
                signed.set.push((fields::MAC.into(), change.mac(keys, id, commit)));
                Some(change)
            }
            Held::Unsigned { has_mac } => {
                signed.delete.extend(has_mac.then(|| fields::MAC.into()));
                None
            }
        };
        Some((signed, change))
    }

    /// The store has written a commit, now or at an earlier try, which may have been answered: what it does not write again
    /// changes nothing.
    fn handle_committed(&self, id: &MatchId, commit: &Commit, change: Option<Change>, is_new: bool) {
        let Some(mut held) = self.owned.get_mut(&(id.clone(), commit.fence)) else { return };
        match (held.value_mut(), change) {
            (Held::Digest(digest, tick), Some(change)) if is_new || *tick < commit.tick => {
                *tick = commit.tick;
                digest.apply(change);
            }
            (Held::Digest(..), _) => {}
            (held, _) => *held = Held::Unsigned { has_mac: false },
        }
    }

    fn forget(&self, id: &MatchId, fence: Fence) {
        self.owned.remove(&(id.clone(), fence));
    }
}

/// Looks at what arrives over one channel.
pub struct Reader {
    shared: Arc<Shared>,
    channel: String,
    window: Window,
    refused: u64,
}

impl Reader {
    /// What was sealed; an empty message in place of what nobody of ours sent.
    pub(super) fn read(&mut self, message: &Bytes) -> Bytes {
        let ClusterMac { keys, policy } = &self.shared.mac;
        let opened = match envelope::open(keys, &self.channel, message) {
            Err(Flaw::Unsigned) if policy.takes_unsigned() => Ok(message.clone()),
            Err(flaw) => Err(flaw),
            Ok(opened) => match opened.stamp {
                Some(stamp) => self.window.admit(stamp, self.shared.now_us()).map(|()| opened.message),
                None => Ok(opened.message),
            },
        };
        opened.unwrap_or_else(|flaw| {
            // Whoever reads it counts it. One line tells what is wrong where a node has another key, or another time.
            if self.refused == 0 {
                tracing::warn!(channel = self.channel, %flaw, "a message was refused; further ones are counted only");
            }
            self.refused += 1;
            Bytes::new()
        })
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("channel", &self.channel).field("refused", &self.refused).finish()
    }
}

impl<B: Backplane> Backplane for Authenticated<B> {
    async fn create(&self, id: &MatchId, fields: MatchFields) -> Result<bool, Unavailable> {
        let Some(shared) = self.key().filter(|shared| shared.mac.policy.writes()) else {
            return self.inner.create(id, fields).await;
        };
        let mut fields = newborn(fields);
        let keys = &shared.mac.keys;
        let (fence, tick) = (fields::fence(&fields), fields::number(&fields, fields::TICK));
        let (fence, tick) = (fence.unwrap_or_default(), Tick(tick.unwrap_or(0)));
        let mac = Digest::of(keys, id, &fields).mac(keys, id, fence, tick);
        fields.insert(fields::MAC.into(), mac);
        // Of one that has ended here, and is another one now.
        shared.forget(id, fence);
        self.inner.create(id, fields).await
    }

    async fn claim(&self, id: &MatchId, claim: Claim) -> Result<ClaimReply, Unavailable> {
        let reply = self.inner.claim(id, claim).await?;
        let (Some(shared), ClaimReply::Claimed { fence, fields }) = (self.key(), &reply) else {
            return Ok(reply);
        };
        let (fields, held) = shared.read_whole(id, fields.clone());
        held.map(|held| shared.owned.insert((id.clone(), *fence), held));
        Ok(ClaimReply::Claimed { fence: *fence, fields })
    }

    async fn commit(&self, id: &MatchId, commit: &Commit) -> Result<CommitReply, Unavailable> {
        let Some(shared) = self.key() else { return self.inner.commit(id, commit).await };
        let signed = match shared.sign(id, commit) {
            Some(signed) => Some(signed),
            None => match self.adopt(shared, id, commit.fence).await? {
                Some(refused) => return Ok(refused),
                None => shared.sign(id, commit),
            },
        };
        // Between the two lines another commit of the same ownership has found that it is none any more.
        let Some((signed, change)) = signed else { return Ok(CommitReply::Fenced) };
        let reply = self.inner.commit(id, &signed).await;
        match &reply {
            Ok(CommitReply::Ok) => shared.handle_committed(id, commit, change, true),
            Ok(CommitReply::DupSame) => shared.handle_committed(id, commit, change, false),
            Ok(CommitReply::Behind(_)) | Err(_) => {}
            Ok(_) => shared.forget(id, commit.fence),
        }
        reply
    }

    async fn release(
        &self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
    ) -> Result<Guarded, Unavailable> {
        let message = self.sealed(&fields::channel(id, Channel::Diff), message);
        self.key().into_iter().for_each(|shared| shared.forget(id, fence));
        self.inner.release(id, fence, release, message).await
    }

    async fn revive(&self, id: &MatchId) -> Result<Guarded, Unavailable> {
        self.inner.revive(id).await
    }

    async fn notify(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let message = self.sealed(&fields::channel(id, Channel::Diff), message);
        self.inner.notify(id, fence, message).await
    }

    async fn end(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let message = self.sealed(&fields::channel(id, Channel::Diff), message);
        self.key().into_iter().for_each(|shared| shared.forget(id, fence));
        self.inner.end(id, fence, message).await
    }

    async fn load(&self, id: &MatchId) -> Result<Option<MatchFields>, Unavailable> {
        let loaded = self.inner.load(id).await?;
        Ok(loaded.map(|loaded| self.read_whole(id, loaded)))
    }

    /// Of a match with a key, what has a code is read with all that the code is over.
    async fn read(&self, id: &MatchId, names: &[&str]) -> Result<Option<MatchFields>, Unavailable> {
        if self.key().is_none() || !names.iter().any(|name| stored::is_covered(name.as_bytes())) {
            return self.inner.read(id, names).await;
        }
        let wanted = |name: &[u8]| {
            name == fields::MAC.as_bytes() || names.iter().any(|wanted| wanted.as_bytes() == name)
        };
        Ok(self.load(id).await?.map(|mut loaded| {
            loaded.retain(|name, _| wanted(name));
            loaded
        }))
    }

    async fn list(&self, fields: &[&str]) -> Result<Vec<(MatchId, MatchFields)>, Unavailable> {
        self.inner.list(fields).await
    }

    async fn enter(&self, id: &MatchId) -> Result<(), Unavailable> {
        self.inner.enter(id).await
    }

    async fn send_input(&self, id: &MatchId, message: Bytes) -> Result<(), Unavailable> {
        let message = self.sealed(&fields::channel(id, Channel::Input), message);
        self.inner.send_input(id, message).await
    }

    async fn subscribe(&self, id: &MatchId, channel: Channel) -> Result<Subscription, Unavailable> {
        let subscription = self.inner.subscribe(id, channel).await?;
        Ok(self.looked_at(subscription, fields::channel(id, channel)))
    }

    async fn enlist(&self, node: &NodeId, entry: Option<Bytes>) -> Result<(), Unavailable> {
        self.inner.enlist(node, entry).await
    }

    async fn nodes(&self) -> Result<Vec<(NodeId, Bytes)>, Unavailable> {
        self.inner.nodes().await
    }

    async fn send_order(&self, node: &NodeId, message: Bytes) -> Result<(), Unavailable> {
        let message = self.sealed(&fields::orders(node), message);
        self.inner.send_order(node, message).await
    }

    async fn subscribe_orders(&self, node: &NodeId) -> Result<Subscription, Unavailable> {
        let subscription = self.inner.subscribe_orders(node).await?;
        Ok(self.looked_at(subscription, fields::orders(node)))
    }

    async fn spend_ticket(&self, id: TicketId, remembered: Duration) -> Result<bool, Unavailable> {
        self.inner.spend_ticket(id, remembered).await
    }

    async fn set_ban(&self, subject: &Subject, ban: Option<Bytes>) -> Result<(), Unavailable> {
        self.inner.set_ban(subject, ban).await
    }

    async fn ban(&self, subject: &Subject) -> Result<Option<Bytes>, Unavailable> {
        self.inner.ban(subject).await
    }

    async fn bans(&self) -> Result<Vec<(Subject, Bytes)>, Unavailable> {
        self.inner.bans().await
    }

    fn distrust_subscriptions(&self) {
        self.inner.distrust_subscriptions();
    }

    async fn now_ms(&self) -> Result<u64, Unavailable> {
        let now_ms = self.inner.now_ms().await?;
        self.key().into_iter().for_each(|shared| shared.handle_time(now_ms));
        Ok(now_ms)
    }
}
