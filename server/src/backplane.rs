//! The port between nodes: the store of match hashes, and the two channels of each match.
//!
//! What every implementation promises (`backplane_contract.rs` in the tests checks it):
//! - A commit is one uninterrupted step: check the fence for equality and `tick = stored + 1`, write, then
//!   publish. A frame that was published was committed. A refused commit changes and publishes nothing.
//! - A claim succeeds only when the lease has expired by the store's own clock, or for the heir that the owner
//!   named; it makes a new fence. An expired lease permits a claim, it proves nothing: the old owner goes on
//!   until somebody claims. A claim that carries the nonce of a granted try is answered with that grant.
//! - A living owner whose store lost writes repairs it: a commit of the whole state may lead over any number of
//!   ticks, as long as the fence is still the stored one.
//! - A channel delivers in order or reports [`Delivery::Lost`]; it never drops in silence. Nothing is kept for
//!   the absent: subscribe first, load second, apply after.
//! - Where the cluster has a key, `authenticated` stands before the store: a message that no node sent arrives as an empty one,
//!   which is none of any channel's, and fields that no node wrote come with [`fields::MAC`]. Whoever finds that does not
//!   believe them.
//! - An operation that failed with [`Unavailable`] may have happened. Repeat it with the same bytes.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Fence, MatchId, NodeId, Nonce, Tick};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

pub mod authenticated;
pub mod fields;
pub mod mac;
pub mod memory;
mod name;
mod outlet;
pub mod redis;
pub mod spent;
pub mod store;

pub use name::FieldName;

/// A match's hash: field name to value, as stored.
pub type MatchFields = BTreeMap<FieldName, Bytes>;

/// The store did not answer, or answered that it cannot: what was asked may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the backplane is unavailable: {0}")]
pub struct Unavailable(pub String);

/// The two channels of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// From the owner to relays: what `logic::channel` encodes.
    Diff,
    /// From relays to the owner.
    Input,
}

/// What arrives from a subscribed channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A published message.
    Message(Bytes),
    /// Messages may be missing: the subscription was cut and renewed, or the receiver was too slow.
    Lost,
}

/// A subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    deliveries: mpsc::Receiver<Delivery>,
    /// Looks at what arrives, where the cluster has a key.
    reader: Option<authenticated::Reader>,
}

impl Subscription {
    /// The next delivery; `None` when the backplane has ended.
    pub async fn recv(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.recv().await?;
        Some(self.read(delivery))
    }

    /// The next delivery, if there is one by now.
    pub fn try_recv(&mut self) -> Result<Delivery, TryRecvError> {
        let delivery = self.deliveries.try_recv()?;
        Ok(self.read(delivery))
    }

    /// How many deliveries wait at this moment.
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    fn read(&mut self, delivery: Delivery) -> Delivery {
        match (&mut self.reader, delivery) {
            (Some(reader), Delivery::Message(message)) => Delivery::Message(reader.read(&message)),
            (_, delivery) => delivery,
        }
    }
}

impl From<mpsc::Receiver<Delivery>> for Subscription {
    fn from(deliveries: mpsc::Receiver<Delivery>) -> Subscription {
        Subscription { deliveries, reader: None }
    }
}

/// Deliveries a subscription holds before it reports [`Delivery::Lost`].
pub const DELIVERIES_QUEUED_MAX: usize = 1024;

/// By which part of a lease it is written longer than it is promised, so that not every tick has to write it.
const LEASE_AHEAD_PART: u32 = 8;
/// By how much at most. So old at most is what tells of the last tick's moment, too.
pub const LEASE_AHEAD_MAX: Duration = Duration::from_millis(250);

/// Nonces of unanswered tries that a claim carries.
pub const UNANSWERED_MAX: usize = 8;

/// A node's wish to own a match.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who claims.
    pub node: NodeId,
    /// Drawn at random for this try. Each has its own: a store that lost the grant of one try would make the same
    /// fence again, of another past.
    pub nonce: Nonce,
    /// The nonces of earlier tries that were not answered, at most [`UNANSWERED_MAX`].
    pub unanswered: Vec<Nonce>,
    /// For how long after each commit nobody else may claim, at least.
    pub lease: Duration,
    /// Ownerships that may fail one after another, before the match is quarantined.
    pub crashes_max: u32,
}

/// Answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimReply {
    /// The match is ours; the state is in the fields.
    Claimed {
        /// The new ownership.
        fence: Fence,
        /// The whole hash, as of the claim.
        fields: MatchFields,
    },
    /// Another node's lease is good for this long.
    Held {
        /// Until the lease expires, by the store's clock. A store that was replaced since the lease was granted extends it
        /// once: a living owner is first.
        left: Duration,
    },
    /// Its ownerships failed too often, one after another: nobody may own it until an operator says so.
    Quarantined,
    /// There is no such match.
    NoMatch,
}

/// One tick to be committed. A repetition after [`Unavailable`] uses the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The ownership that commits.
    pub fence: Fence,
    /// The tick; the store must hold the one before.
    pub tick: Tick,
    /// How long the lease is good from now on, at least; at most [`Commit::lease_longest`].
    pub lease: Duration,
    /// Ring field the message goes to, for example `~d17`; also compared to tell a repetition.
    pub ring_field: FieldName,
    /// What is published on the diff channel and kept in the ring.
    pub message: Bytes,
    /// Fields to write besides: `~hash`, `~players`, and in a snapshot tick the changed entities.
    pub set: Vec<(FieldName, Bytes)>,
    /// Fields to delete: entities that went since the last snapshot.
    pub delete: Vec<FieldName>,
    /// The fields to write are all that the state consists of: the tick need not follow on the stored one, and
    /// whatever else the store has of the state goes ([`fields::is_state`]).
    pub whole: bool,
    /// A try of it was not answered: the store may be another one now.
    pub again: bool,
}

impl Commit {
    /// For how long the lease is written, by a tick that finds less left than it promises, or more than this: a tick that
    /// finds enough leaves it alone.
    pub fn lease_longest(&self) -> Duration {
        self.lease.saturating_add((self.lease / LEASE_AHEAD_PART).min(LEASE_AHEAD_MAX))
    }
}

/// How an ownership is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who is to go on; for the time of the grace nobody else may claim.
    pub heir: Option<NodeId>,
    /// How long the heir has.
    pub grace: Duration,
    /// The match did not fail: earlier failures are forgotten.
    pub clean: bool,
}

/// Answer to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitReply {
    /// Written and published.
    Ok,
    /// The same tick with the same message was there already: an earlier try had succeeded.
    DupSame,
    /// The same tick with another message: a bug of the owner, which must stop.
    DupDiff,
    /// Another ownership: the owner stops at once.
    Fenced,
    /// The match is gone.
    NoMatch,
    /// The store is further behind than one tick: it lost writes.
    Behind(Tick),
    /// The store is ahead: a bug of the owner, which must stop.
    Stale(Tick),
}

/// Whether a guarded operation was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// Done.
    Done,
    /// The fence is not the stored one, or the match is gone: nothing happened.
    Refused,
}

/// What nodes share. Every future may be dropped at any time; the operation may still happen.
pub trait Backplane: Clone + Send + Sync + 'static {
    /// Creates a match from these fields, unowned (`~epoch` 0, lease expired). `false` if it exists already.
    fn create(
        &self,
        id: &MatchId,
        fields: MatchFields,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Asks for the ownership of a match.
    fn claim(
        &self,
        id: &MatchId,
        claim: Claim,
    ) -> impl Future<Output = Result<ClaimReply, Unavailable>> + Send;

    /// Commits a tick: all of it or nothing, published last.
    fn commit(
        &self,
        id: &MatchId,
        commit: &Commit,
    ) -> impl Future<Output = Result<CommitReply, Unavailable>> + Send;

    /// Gives an ownership up and publishes `message` on the diff channel. Without an heir the lease expires now.
    fn release(
        &self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
    ) -> impl Future<Output = Result<Guarded, Unavailable>> + Send;

    /// Lets a quarantined match be claimed again; refused if it is not quarantined.
    fn revive(&self, id: &MatchId) -> impl Future<Output = Result<Guarded, Unavailable>> + Send;

    /// Publishes a message on the diff channel if the fence is the stored one.
    fn notify(
        &self,
        id: &MatchId,
        fence: Fence,
        message: Bytes,
    ) -> impl Future<Output = Result<Guarded, Unavailable>> + Send;

    /// Deletes a match and publishes `message` on its diff channel.
    fn end(
        &self,
        id: &MatchId,
        fence: Fence,
        message: Bytes,
    ) -> impl Future<Output = Result<Guarded, Unavailable>> + Send;

    /// The whole hash of a match; `None` if there is none.
    fn load(&self, id: &MatchId) -> impl Future<Output = Result<Option<MatchFields>, Unavailable>> + Send;

    /// These of a match's fields, without those that are absent; `None` if there is no such match.
    fn read(
        &self,
        id: &MatchId,
        fields: &[&str],
    ) -> impl Future<Output = Result<Option<MatchFields>, Unavailable>> + Send;

    /// Every match with these of its fields, by ascending id. Absent fields are left out.
    fn list(
        &self,
        fields: &[&str],
    ) -> impl Future<Output = Result<Vec<(MatchId, MatchFields)>, Unavailable>> + Send;

    /// Enters a match into the list again, which may have lost it: the list is a hint.
    fn enter(&self, id: &MatchId) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Sends a message on the input channel.
    fn send_input(
        &self,
        id: &MatchId,
        message: Bytes,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Subscribes; when this returns, every later message is delivered.
    fn subscribe(
        &self,
        id: &MatchId,
        channel: Channel,
    ) -> impl Future<Output = Result<Subscription, Unavailable>> + Send;

    /// Says what a node is like now, in place of what it said before; `None` takes it out. Such entries are
    /// hints: nothing is owned by being listed.
    fn enlist(
        &self,
        node: &NodeId,
        entry: Option<Bytes>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// What the nodes said of themselves, by ascending name.
    fn nodes(&self) -> impl Future<Output = Result<Vec<(NodeId, Bytes)>, Unavailable>> + Send;

    /// Sends an order to a node.
    fn send_order(
        &self,
        node: &NodeId,
        message: Bytes,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Subscribes to the orders for a node.
    fn subscribe_orders(
        &self,
        node: &NodeId,
    ) -> impl Future<Output = Result<Subscription, Unavailable>> + Send;

    /// Uses a ticket up, and remembers that for so long; `false` if it was used before, on whatever node.
    fn spend_ticket(
        &self,
        id: TicketId,
        remembered: Duration,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Says until when and why a subject may not join; `None` lets it in again.
    fn set_ban(
        &self,
        subject: &Subject,
        ban: Option<Bytes>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// What was said of a subject.
    fn ban(&self, subject: &Subject) -> impl Future<Output = Result<Option<Bytes>, Unavailable>> + Send;

    /// All of that, by ascending subject.
    fn bans(&self) -> impl Future<Output = Result<Vec<(Subject, Bytes)>, Unavailable>> + Send;

    /// Makes every subscription anew: messages were sent and not heard. All receivers are told
    /// [`Delivery::Lost`].
    fn distrust_subscriptions(&self);

    /// Time by the store's clock, milliseconds since 1970.
    fn now_ms(&self) -> impl Future<Output = Result<u64, Unavailable>> + Send;
}
