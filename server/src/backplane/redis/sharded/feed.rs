//! The subscriptions at one master. Answers come in the order of the commands, and this connection carries
//! nothing else, so that a subscription that the server ends by itself is not taken for an answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::super::address::{HostPort, Login};
use super::super::connection::deadline;
use super::super::router::{Hints, Map};
use super::super::slots::slot;
use super::super::{Backoff, Timing};
use super::resp::{Link, Reply};
use super::{Order, What};
use crate::backplane::Unavailable;
use crate::backplane::outlet::Outlet;

/// The subscriptions at one master.
pub(super) struct Feed {
    pub(super) address: HostPort,
    pub(super) login: Login,
    pub(super) timing: Timing,
    pub(super) map: watch::Receiver<Arc<Map>>,
    pub(super) hints: Hints,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) distrusted: Arc<Notify>,
    pub(super) strays: mpsc::Sender<Order>,
    pub(super) outlets: BTreeMap<String, Vec<Outlet>>,
    /// Commands without an answer, in their order.
    pub(super) sent: VecDeque<Sent>,
    /// Orders for channels that are not confirmed yet.
    pub(super) waiting: BTreeMap<String, Vec<Order>>,
}

/// A command that waits for its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A channel that nobody has heard on this connection.
    Subscribe(String),
    /// A channel that is heard already: the answer tells a newcomer where to begin.
    Join(String),
    Unsubscribe(String),
    Ping,
}

/// Why a connection is given up.
struct Broken(String);

impl Feed {
    /// Serves the channels and renews the connection; ends with its handle, and gives back what it has.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let reason = match self.connect().await {
                Ok(link) => {
                    backoff = Backoff::default();
                    let Some(Broken(reason)) = self.serve(link).await else { break };
                    tracing::warn!(address = %self.address, %reason, "redis subscriptions cut");
                    reason
                }
                Err(Broken(reason)) => reason,
            };
            tracing::debug!(address = %self.address, %reason, "redis subscriptions to be renewed");
            self.hints.look();
            sleep(backoff.next()).await;
            if self.orders.is_closed() && self.orders.is_empty() {
                break;
            }
            self.give_away_foreign().await;
        }
        self.give_away(|_| true).await;
    }

    /// Connects, and asks for every channel anew.
    async fn connect(&mut self) -> Result<Link, Broken> {
        self.sent.clear();
        let wait = self.timing.call_time_max;
        let opened = timeout(wait, Link::open(&self.address, &self.login, self.timing)).await;
        let mut link = match opened {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return Err(Broken(error.to_string())),
            Err(_) => return Err(Broken(format!("no connection within {wait:?}"))),
        };
        self.drop_closed();
        let unconfirmed = self.waiting.keys().filter(|channel| !self.outlets.contains_key(*channel));
        let channels: Vec<String> = self.outlets.keys().chain(unconfirmed).cloned().collect();
        for channel in channels {
            self.ask(&mut link, channel);
        }
        self.flush(&mut link).await?;
        Ok(link)
    }

    /// Moves messages until the connection breaks; `None` when the handle is gone.
    async fn serve(&mut self, mut link: Link) -> Option<Broken> {
        let mut pings = interval(self.timing.ping_interval);
        let mut heard = deadline(self.timing.ping_interval + self.timing.silence_max);
        loop {
            let step = tokio::select! {
                read = link.read() => match read {
                    Ok(()) => {
                        heard = deadline(self.timing.ping_interval + self.timing.silence_max);
                        self.take_in(&mut link).await
                    }
                    Err(error) => Err(Broken(error.to_string())),
                },
                order = self.orders.recv() => match order {
                    Some(order) => self.admit(&mut link, order).await,
                    None => return None,
                },
                _ = pings.tick() => self.look_after(&mut link).await,
                () = silence(heard) => {
                    Err(Broken(format!("no answer to PING within {:?}", self.timing.silence_max)))
                }
                changed = self.map.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                    self.give_away_foreign().await;
                    Ok(())
                }
                () = self.distrusted.notified() => Err(Broken("messages were sent and not heard".to_owned())),
            };
            if let Err(broken) = step {
                return Some(broken);
            }
        }
    }

    /// Everything that has arrived as a whole.
    async fn take_in(&mut self, link: &mut Link) -> Result<(), Broken> {
        loop {
            let reply = match link.next() {
                Ok(Some(reply)) => reply,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Broken(error.to_string())),
            };
            match reply {
                Reply::Message { channel, payload } => {
                    for outlet in self.outlets.get_mut(&channel).into_iter().flatten() {
                        outlet.deliver(payload.clone());
                    }
                }
                Reply::Subscribed(channel) => {
                    let joined = Sent::Join(channel.clone());
                    if self.sent.front() == Some(&joined) {
                        self.sent.pop_front();
                        self.join(channel);
                    } else {
                        self.answered(&Sent::Subscribe(channel.clone()))?;
                        self.confirm(channel);
                    }
                }
                Reply::Unsubscribed(channel) => {
                    let ours = Sent::Unsubscribe(channel.clone());
                    if self.sent.front() == Some(&ours) {
                        self.sent.pop_front();
                    } else {
                        // The slot has gone to another master.
                        self.hints.look();
                        self.give_away(|own| own == channel).await;
                    }
                }
                Reply::Pong => self.answered(&Sent::Ping)?,
                Reply::Refusal(words) => self.refused(words).await?,
            }
        }
    }

    fn answered(&mut self, sent: &Sent) -> Result<(), Broken> {
        match self.sent.pop_front() {
            Some(front) if front == *sent => Ok(()),
            front => Err(Broken(format!("an answer to {sent:?} came for {front:?}"))),
        }
    }

    /// The server has confirmed a channel: whoever heard it before may have missed something.
    fn confirm(&mut self, channel: String) {
        let outlets = self.outlets.entry(channel.clone()).or_default();
        outlets.iter_mut().for_each(Outlet::lose);
        for order in self.waiting.remove(&channel).into_iter().flatten() {
            match order.what {
                What::Subscribe(reply) => {
                    let (outlet, subscription) = Outlet::new();
                    outlets.push(outlet);
                    // A caller that gave up leaves a closed outlet, which goes with the next look.
                    let _ = reply.send(Ok(subscription));
                }
                What::Adopt(mut adopted) => {
                    adopted.iter_mut().for_each(Outlet::lose);
                    outlets.append(&mut adopted);
                }
            }
        }
    }

    /// The server has refused the command that was sent first.
    async fn refused(&mut self, words: String) -> Result<(), Broken> {
        let Some(Sent::Subscribe(channel) | Sent::Join(channel)) = self.sent.pop_front() else {
            return Err(Broken(words));
        };
        match words.split_once(' ') {
            Some(("MOVED", detail)) => self.hints.redirected(detail),
            Some(("CLUSTERDOWN" | "LOADING" | "TRYAGAIN" | "MASTERDOWN" | "ASK", _)) => self.hints.look(),
            Some(_) | None => {
                // Nothing that time or another master heals: whoever asks now is told.
                let orders = self.waiting.get_mut(&channel).map(std::mem::take).unwrap_or_default();
                for order in orders {
                    match order.what {
                        What::Subscribe(reply) => drop(reply.send(Err(Unavailable(words.clone())))),
                        What::Adopt(_) => self.waiting.entry(channel.clone()).or_default().push(order),
                    }
                }
            }
        }
        self.give_away(|own| own == channel).await;
        Ok(())
    }

    /// Takes an order, and asks for its channel; also for one that is heard already, because what was sent
    /// before the order may not have been read yet.
    async fn admit(&mut self, link: &mut Link, order: Order) -> Result<(), Broken> {
        let channel = order.channel.clone();
        self.waiting.entry(channel.clone()).or_default().push(order);
        if self.sent.contains(&Sent::Subscribe(channel.clone())) {
            return Ok(());
        }
        if self.outlets.contains_key(&channel) {
            link.write(&["SSUBSCRIBE", &channel]);
            self.sent.push_back(Sent::Join(channel));
        } else {
            self.ask(link, channel);
        }
        self.flush(link).await
    }

    /// Lets those who wait for a channel listen with those who do already, and have missed nothing.
    fn join(&mut self, channel: String) {
        let listening = self.outlets.remove(&channel).unwrap_or_default();
        self.confirm(channel.clone());
        self.outlets.entry(channel).or_default().extend(listening);
    }

    fn ask(&mut self, link: &mut Link, channel: String) {
        link.write(&["SSUBSCRIBE", &channel]);
        self.sent.push_back(Sent::Subscribe(channel));
    }

    /// Asks whether the server is there, and leaves channels that nobody listens to any more.
    async fn look_after(&mut self, link: &mut Link) -> Result<(), Broken> {
        for channel in self.drop_closed() {
            link.write(&["SUNSUBSCRIBE", &channel]);
            self.sent.push_back(Sent::Unsubscribe(channel));
        }
        link.write(&["PING"]);
        self.sent.push_back(Sent::Ping);
        self.flush(link).await
    }

    async fn flush(&self, link: &mut Link) -> Result<(), Broken> {
        match timeout(self.timing.call_time_max, link.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken(error.to_string())),
            Err(_) => Err(Broken("the server takes nothing in".to_owned())),
        }
    }

    /// Drops outlets without a receiver; answers the channels that have none left and are not being asked for.
    fn drop_closed(&mut self) -> Vec<String> {
        let mut abandoned = Vec::new();
        let (waiting, sent) = (&self.waiting, &self.sent);
        self.outlets.retain(|channel, outlets| {
            outlets.retain(|outlet| !outlet.is_closed());
            let wanted = waiting.contains_key(channel) || sent.contains(&Sent::Subscribe(channel.clone()));
            if outlets.is_empty() && !wanted {
                abandoned.push(channel.clone());
            }
            !outlets.is_empty() || wanted
        });
        abandoned
    }

    /// Gives back the channels that another master serves by now.
    async fn give_away_foreign(&mut self) {
        let map = self.map.borrow_and_update().clone();
        let own = self.address.clone();
        self.give_away(|channel| {
            map.owner(slot(channel.as_bytes())).is_some_and(|owner| owner.address != own)
        })
        .await;
    }

    async fn give_away(&mut self, which: impl Fn(&str) -> bool) {
        for order in self.withdraw(which) {
            // Nobody is left to take it only when everything ends.
            let _ = self.strays.send(order).await;
        }
    }

    fn withdraw(&mut self, which: impl Fn(&str) -> bool) -> Vec<Order> {
        let mut withdrawn = Vec::new();
        let (outlets, waiting) = (std::mem::take(&mut self.outlets), std::mem::take(&mut self.waiting));
        for (channel, outlets) in outlets {
            if which(&channel) {
                withdrawn.push(Order { channel, what: What::Adopt(outlets) });
            } else {
                self.outlets.insert(channel, outlets);
            }
        }
        for (channel, orders) in waiting {
            if which(&channel) {
                withdrawn.extend(orders);
            } else {
                self.waiting.insert(channel, orders);
            }
        }
        withdrawn
    }
}

/// Completes when nothing was heard for too long.
async fn silence(heard_until: Instant) {
    sleep_until(heard_until).await;
}
