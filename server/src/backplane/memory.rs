//! The backplane of a single process: the model in `store.rs` behind a lock, and its subscribers.
//! It publishes under that lock, so that the order of publications is the order of commits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Fence, MatchId, NodeId};

use super::outlet::Outlet;
use super::spent::{SPENT_MAX, Spent};
use super::store::{Publication, Store};
use super::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, Guarded, MatchFields, Release, Subscription,
    Unavailable, fields,
};

/// Reads a clock: milliseconds since 1970.
pub type ClockMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A backplane without a server; its clones share one store.
#[derive(Clone)]
pub struct MemoryBackplane {
    shared: Arc<Mutex<Shared>>,
    clock_ms: ClockMs,
}

#[derive(Default)]
struct Shared {
    store: Store,
    nodes: BTreeMap<NodeId, Bytes>,
    spent: Spent,
    bans: BTreeMap<Subject, Bytes>,
    /// By the channel's name.
    outlets: BTreeMap<String, Vec<Outlet>>,
}

impl MemoryBackplane {
    /// An empty store that judges leases by this clock.
    pub fn new(clock_ms: ClockMs) -> MemoryBackplane {
        let mut shared = Shared::default();
        shared.store.set_history("memory");
        MemoryBackplane { shared: Arc::new(Mutex::new(shared)), clock_ms }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nothing under this lock panics")
    }
}

impl Shared {
    fn deliver(&mut self, channel: &str, message: &Bytes) {
        for outlet in self.outlets.get_mut(channel).into_iter().flatten() {
            outlet.deliver(message.clone());
        }
    }

    /// Publishes what a step of the store put out, and answers what it answered.
    fn finish<R>(&mut self, (reply, publication): (R, Option<Publication>)) -> R {
        if let Some(Publication { id, channel, message }) = publication {
            self.deliver(&fields::channel(&id, channel), &message);
        }
        reply
    }

    fn subscribe(&mut self, channel: String) -> Subscription {
        self.outlets.retain(|_, outlets| {
            outlets.retain(|outlet| !outlet.is_closed());
            !outlets.is_empty()
        });
        let (outlet, subscription) = Outlet::new();
        self.outlets.entry(channel).or_default().push(outlet);
        subscription
    }
}

impl Backplane for MemoryBackplane {
    async fn create(&self, id: &MatchId, fields: MatchFields) -> Result<bool, Unavailable> {
        Ok(self.lock().store.create(id, fields))
    }

    async fn claim(&self, id: &MatchId, claim: Claim) -> Result<ClaimReply, Unavailable> {
        let mut shared = self.lock();
        Ok(shared.store.claim(id, &claim, (self.clock_ms)()))
    }

    async fn commit(&self, id: &MatchId, commit: &Commit) -> Result<CommitReply, Unavailable> {
        let mut shared = self.lock();
        let step = shared.store.commit(id, commit, (self.clock_ms)());
        Ok(shared.finish(step))
    }

    async fn release(
        &self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
    ) -> Result<Guarded, Unavailable> {
        let mut shared = self.lock();
        let step = shared.store.release(id, fence, release, message, (self.clock_ms)());
        Ok(shared.finish(step))
    }

    async fn revive(&self, id: &MatchId) -> Result<Guarded, Unavailable> {
        Ok(self.lock().store.revive(id))
    }

    async fn notify(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let mut shared = self.lock();
        let step = shared.store.notify(id, fence, message);
        Ok(shared.finish(step))
    }

    async fn end(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let mut shared = self.lock();
        let step = shared.store.end(id, fence, message);
        Ok(shared.finish(step))
    }

    async fn load(&self, id: &MatchId) -> Result<Option<MatchFields>, Unavailable> {
        Ok(self.lock().store.load(id))
    }

    async fn read(&self, id: &MatchId, fields: &[&str]) -> Result<Option<MatchFields>, Unavailable> {
        Ok(self.lock().store.read(id, fields))
    }

    async fn list(&self, fields: &[&str]) -> Result<Vec<(MatchId, MatchFields)>, Unavailable> {
        Ok(self.lock().store.list(fields))
    }

    async fn enter(&self, _id: &MatchId) -> Result<(), Unavailable> {
        // The list is made of the matches themselves.
        Ok(())
    }

    async fn send_input(&self, id: &MatchId, message: Bytes) -> Result<(), Unavailable> {
        self.lock().deliver(&fields::channel(id, Channel::Input), &message);
        Ok(())
    }

    async fn subscribe(&self, id: &MatchId, channel: Channel) -> Result<Subscription, Unavailable> {
        Ok(self.lock().subscribe(fields::channel(id, channel)))
    }

    async fn enlist(&self, node: &NodeId, entry: Option<Bytes>) -> Result<(), Unavailable> {
        let nodes = &mut self.lock().nodes;
        match entry {
            Some(entry) => nodes.insert(node.clone(), entry),
            None => nodes.remove(node),
        };
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<(NodeId, Bytes)>, Unavailable> {
        Ok(self.lock().nodes.clone().into_iter().collect())
    }

    async fn send_order(&self, node: &NodeId, message: Bytes) -> Result<(), Unavailable> {
        self.lock().deliver(&fields::orders(node), &message);
        Ok(())
    }

    async fn subscribe_orders(&self, node: &NodeId) -> Result<Subscription, Unavailable> {
        Ok(self.lock().subscribe(fields::orders(node)))
    }

    async fn spend_ticket(&self, id: TicketId, remembered: Duration) -> Result<bool, Unavailable> {
        let now_ms = (self.clock_ms)();
        let until_ms = now_ms.saturating_add(remembered.as_millis() as u64);
        let spent = self.lock().spent.spend(id, until_ms, now_ms);
        spent.ok_or_else(|| Unavailable(format!("{SPENT_MAX} used tickets are remembered, and no more")))
    }

    async fn set_ban(&self, subject: &Subject, ban: Option<Bytes>) -> Result<(), Unavailable> {
        let bans = &mut self.lock().bans;
        match ban {
            Some(ban) => bans.insert(subject.clone(), ban),
            None => bans.remove(subject),
        };
        Ok(())
    }

    async fn ban(&self, subject: &Subject) -> Result<Option<Bytes>, Unavailable> {
        Ok(self.lock().bans.get(subject).cloned())
    }

    async fn bans(&self) -> Result<Vec<(Subject, Bytes)>, Unavailable> {
        Ok(self.lock().bans.clone().into_iter().collect())
    }

    fn distrust_subscriptions(&self) {
        self.lock().outlets.values_mut().flatten().for_each(Outlet::lose);
    }

    async fn now_ms(&self) -> Result<u64, Unavailable> {
        Ok((self.clock_ms)())
    }
}

impl fmt::Debug for MemoryBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackplane").finish_non_exhaustive()
    }
}
