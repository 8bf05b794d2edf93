//! The backplane of a single process: the model in `store.rs` behind a lock, and its subscribers.
//! It publishes under that lock, so that the order of publications is the order of commits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tickcast_protocol::{Fence, MatchId};

use super::outlet::Outlet;
use super::store::{Publication, Store};
use super::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, Guarded, MatchFields, Subscription,
    Unavailable,
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
    outlets: BTreeMap<(MatchId, Channel), Vec<Outlet>>,
}

impl MemoryBackplane {
    /// An empty store that judges leases by this clock.
    pub fn new(clock_ms: ClockMs) -> MemoryBackplane {
        MemoryBackplane { shared: Arc::default(), clock_ms }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nothing under this lock panics")
    }
}

impl Shared {
    fn publish(&mut self, publication: Publication) {
        let Publication { id, channel, message } = publication;
        if let Some(outlets) = self.outlets.get_mut(&(id, channel)) {
            for outlet in outlets {
                outlet.deliver(message.clone());
            }
        }
    }

    /// Publishes what a step of the store put out, and answers what it answered.
    fn finish<R>(&mut self, (reply, publication): (R, Option<Publication>)) -> R {
        if let Some(publication) = publication {
            self.publish(publication);
        }
        reply
    }

    fn subscribe(&mut self, id: &MatchId, channel: Channel) -> Subscription {
        self.outlets.retain(|_, outlets| {
            outlets.retain(|outlet| !outlet.is_closed());
            !outlets.is_empty()
        });
        let (outlet, subscription) = Outlet::new();
        self.outlets.entry((id.clone(), channel)).or_default().push(outlet);
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

    async fn release(&self, id: &MatchId, fence: Fence) -> Result<Guarded, Unavailable> {
        Ok(self.lock().store.release(id, fence))
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

    async fn list(&self, fields: &[&str]) -> Result<Vec<(MatchId, MatchFields)>, Unavailable> {
        Ok(self.lock().store.list(fields))
    }

    async fn send_input(&self, id: &MatchId, message: Bytes) -> Result<(), Unavailable> {
        self.lock().publish(Publication { id: id.clone(), channel: Channel::Input, message });
        Ok(())
    }

    async fn subscribe(&self, id: &MatchId, channel: Channel) -> Result<Subscription, Unavailable> {
        Ok(self.lock().subscribe(id, channel))
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
