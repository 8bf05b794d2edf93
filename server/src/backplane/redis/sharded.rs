//! Subscriptions in a Redis Cluster. A message of a match stays within the shard that has the match, so each
//! master that serves subscribed channels gets a feed: a connection of its own, shared with no command. This
//! part moves channels from feed to feed as their slots move; it never touches a message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::feed::Feed;
use super::Timing;
use super::address::{HostPort, Login};
use super::router::{Hints, Map, Router};
use super::slots::slot;
use crate::backplane::outlet::Outlet;
use crate::backplane::{Subscription, Unavailable};

mod feed;
mod resp;

/// Orders that wait in one queue.
const ORDERS_QUEUED_MAX: usize = 256;
/// Between two attempts to find a place for channels that no feed takes.
const PLACE_INTERVAL: Duration = Duration::from_millis(50);

/// A handle on the subscriptions.
#[derive(Debug)]
pub(super) struct ShardSubscriber {
    orders: mpsc::Sender<Order>,
    distrusted: Arc<Notify>,
    timing: Timing,
}

/// A channel that is to be heard.
#[derive(Debug)]
struct Order {
    channel: String,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Somebody new wants to hear it.
    Subscribe(oneshot::Sender<Result<Subscription, Unavailable>>),
    /// These have heard it from another feed, and are to be told of a loss.
    Adopt(Vec<Outlet>),
}

impl Order {
    /// Whether nobody waits for it any more.
    fn is_void(&self) -> bool {
        match &self.what {
            What::Subscribe(reply) => reply.is_closed(),
            What::Adopt(outlets) => outlets.iter().all(Outlet::is_closed),
        }
    }
}

/// Finds each channel its feed: owned by a task that runs [`Supervisor::run`].
pub(super) struct Supervisor {
    login: Login,
    timing: Timing,
    map: watch::Receiver<Arc<Map>>,
    hints: Hints,
    orders: mpsc::Receiver<Order>,
    distrusted: Arc<Notify>,
    /// Where feeds give back what is not theirs.
    strays: mpsc::Sender<Order>,
    strayed: mpsc::Receiver<Order>,
    feeds: BTreeMap<HostPort, Handle>,
    /// What no feed takes at the moment.
    parked: Vec<Order>,
    tasks: JoinSet<()>,
}

/// A feed as seen from here; dropping it ends the feed, which gives its channels back first.
struct Handle {
    orders: mpsc::Sender<Order>,
    distrusted: Arc<Notify>,
}

/// A handle and its supervisor.
pub(super) fn supervised(router: &Router, login: Login, timing: Timing) -> (ShardSubscriber, Supervisor) {
    let (orders_tx, orders) = mpsc::channel(ORDERS_QUEUED_MAX);
    let (strays, strayed) = mpsc::channel(ORDERS_QUEUED_MAX);
    let distrusted = Arc::new(Notify::new());
    let subscriber = ShardSubscriber { orders: orders_tx, distrusted: distrusted.clone(), timing };
    let (map, hints) = (router.map(), router.hints());
    let (feeds, parked, tasks) = (BTreeMap::new(), Vec::new(), JoinSet::new());
    let supervisor =
        Supervisor { login, timing, map, hints, orders, distrusted, strays, strayed, feeds, parked, tasks };
    (subscriber, supervisor)
}

impl ShardSubscriber {
    /// Has every connection replaced.
    pub(super) fn distrust(&self) {
        self.distrusted.notify_one();
    }

    /// Subscribes; returns when the server has confirmed it.
    pub(super) async fn subscribe(&self, channel: String) -> Result<Subscription, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let wait = self.timing.call_time_max;
        let asked = timeout(wait, async {
            let closed = || Unavailable("the subscriber is closed".to_owned());
            let order = Order { channel, what: What::Subscribe(reply) };
            self.orders.send(order).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => Err(Unavailable(format!("the subscription was not confirmed within {wait:?}"))),
        }
    }
}

impl Supervisor {
    /// Hands channels out; ends with the last handle.
    pub(super) async fn run(mut self) {
        let mut places = interval(PLACE_INTERVAL);
        places.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.place(order),
                    None => return,
                },
                Some(order) = self.strayed.recv() => self.parked.push(order),
                _ = places.tick(), if !self.parked.is_empty() => {
                    let parked = std::mem::take(&mut self.parked);
                    parked.into_iter().for_each(|order| self.place(order));
                }
                changed = self.map.changed() => match changed {
                    Ok(()) => self.forget_masters(),
                    Err(_) => return,
                },
                () = self.distrusted.notified() => {
                    self.feeds.values().for_each(|feed| feed.distrusted.notify_one());
                }
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Gives an order to the feed of the master that serves its slot.
    fn place(&mut self, order: Order) {
        if order.is_void() {
            return;
        }
        let owner = self.map.borrow().owner(slot(order.channel.as_bytes())).map(|node| node.address.clone());
        let Some(owner) = owner else {
            self.hints.look();
            self.parked.push(order);
            return;
        };
        let sent = self.feed(&owner).orders.try_send(order);
        if let Err(mpsc::error::TrySendError::Full(order) | mpsc::error::TrySendError::Closed(order)) = sent {
            self.parked.push(order);
        }
    }

    fn feed(&mut self, owner: &HostPort) -> &Handle {
        self.feeds.entry(owner.clone()).or_insert_with(|| {
            let (orders_tx, orders) = mpsc::channel(ORDERS_QUEUED_MAX);
            let distrusted = Arc::new(Notify::new());
            let feed = Feed {
                address: owner.clone(),
                login: self.login.clone(),
                timing: self.timing,
                map: self.map.clone(),
                hints: self.hints.clone(),
                orders,
                distrusted: distrusted.clone(),
                strays: self.strays.clone(),
                outlets: BTreeMap::new(),
                sent: std::collections::VecDeque::new(),
                waiting: BTreeMap::new(),
            };
            self.tasks.spawn(feed.run());
            Handle { orders: orders_tx, distrusted }
        })
    }

    /// Ends the feeds of nodes that serve nothing any more.
    fn forget_masters(&mut self) {
        let map = self.map.borrow_and_update().clone();
        self.feeds.retain(|address, _| map.serves(address));
    }
}
