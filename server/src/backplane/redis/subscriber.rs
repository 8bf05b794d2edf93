//! The connection for subscriptions, one for the whole node. It never waits for a receiver, and it tells every
//! receiver [`Delivery::Lost`](crate::backplane::Delivery) after each renewal, because Redis keeps nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisResult, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{interval, sleep, timeout};

use super::connection::{describe, is_fatal};
use super::target::Target;
use super::{Backoff, Timing};
use crate::backplane::outlet::Outlet;
use crate::backplane::{Subscription, Unavailable};

/// Wishes to subscribe that wait; more wait with their caller.
const REQUESTS_QUEUED_MAX: usize = 256;
/// Channels in one SUBSCRIBE.
const CHANNELS_PER_COMMAND_MAX: usize = 1000;

/// A handle on the subscriber.
#[derive(Debug)]
pub(super) struct Subscriber {
    requests: mpsc::Sender<Request>,
    distrusted: Arc<Notify>,
    timing: Timing,
}

/// A wish to subscribe.
#[derive(Debug)]
struct Request {
    channel: String,
    reply: oneshot::Sender<Result<Subscription, Unavailable>>,
}

/// Keeps the subscriptions alive: owned by a task that runs [`Supervisor::run`].
pub(super) struct Supervisor {
    target: Target,
    timing: Timing,
    requests: mpsc::Receiver<Request>,
    /// Somebody knows of messages that should have come over this connection and did not.
    distrusted: Arc<Notify>,
    outlets: BTreeMap<String, Vec<Outlet>>,
}

/// The connection of the moment.
struct Link {
    client: Client,
    sink: PubSubSink,
    stream: PubSubStream,
}

/// Why a connection is given up.
struct Broken(String);

/// A handle and its supervisor.
pub(super) fn supervised(target: Target, timing: Timing) -> (Subscriber, Supervisor) {
    let (requests_tx, requests_rx) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let distrusted = Arc::new(Notify::new());
    let subscriber = Subscriber { requests: requests_tx, distrusted: Arc::clone(&distrusted), timing };
    let supervisor =
        Supervisor { target, timing, requests: requests_rx, distrusted, outlets: BTreeMap::new() };
    (subscriber, supervisor)
}

impl Subscriber {
    /// Has the connection replaced.
    pub(super) fn distrust(&self) {
        self.distrusted.notify_one();
    }

    /// Subscribes; returns when the server has confirmed it.
    pub(super) async fn subscribe(&self, channel: String) -> Result<Subscription, Unavailable> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let wait = self.timing.call_time_max;
        let asked = timeout(wait, async {
            let closed = || Unavailable("the subscriber is closed".to_owned());
            self.requests.send(Request { channel, reply: reply_tx }).await.map_err(|_| closed())?;
            reply_rx.await.map_err(|_| closed())?
        });
        match asked.await {
            Ok(answer) => answer,
            Err(_) => Err(Unavailable(format!("the subscription was not confirmed within {wait:?}"))),
        }
    }
}

impl Supervisor {
    /// Serves the subscriptions and renews their connection; ends with the last handle.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.connect().await {
                Ok(link) => {
                    backoff = Backoff::default();
                    let Some(Broken(reason)) = self.serve(link).await else { return };
                    tracing::warn!(%reason, "redis subscriptions cut");
                }
                Err(Broken(reason)) => tracing::debug!(%reason, "redis subscriptions not renewed"),
            }
            sleep(backoff.next()).await;
        }
    }

    /// Connects and renews every subscription. No message is taken before all receivers know of the loss.
    async fn connect(&mut self) -> Result<Link, Broken> {
        let open = async {
            let client = self.target.client(self.timing).await?;
            let link = client.get_async_pubsub().await?;
            Ok((client, link.split()))
        };
        let link: Result<RedisResult<_>, _> = timeout(self.timing.call_time_max, open).await;
        let (client, (mut sink, stream)) = match link {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(Broken(describe(&error))),
            Err(_) => return Err(Broken(format!("no connection within {:?}", self.timing.call_time_max))),
        };
        self.drop_closed();
        let channels: Vec<&String> = self.outlets.keys().collect();
        for channels in channels.chunks(CHANNELS_PER_COMMAND_MAX) {
            if let Some(refusal) = self.confirmed(sink.subscribe(channels)).await? {
                return Err(Broken(refusal));
            }
        }
        if !self.outlets.is_empty() {
            tracing::info!(channels = self.outlets.len(), "redis subscriptions renewed");
        }
        self.outlets.values_mut().flatten().for_each(Outlet::lose);
        Ok(Link { client, sink, stream })
    }

    /// Moves messages until the connection breaks; `None` when there is no handle left.
    async fn serve(&mut self, link: Link) -> Option<Broken> {
        let Link { client, mut sink, mut stream } = link;
        let target = self.target.clone();
        let mut replaced = pin!(target.replaced(&client, self.timing));
        let mut silence = pin!(silent(sink.clone(), self.timing));
        let mut sweeps = interval(self.timing.ping_interval);
        let mut requests = Vec::with_capacity(REQUESTS_QUEUED_MAX);
        let distrusted = Arc::clone(&self.distrusted);
        loop {
            let step = tokio::select! {
                message = stream.next() => self.handle_message(message),
                broken = &mut silence => Err(broken),
                reason = &mut replaced => Err(Broken(reason)),
                () = distrusted.notified() => Err(Broken("messages were sent and not heard".to_owned())),
                count = self.requests.recv_many(&mut requests, REQUESTS_QUEUED_MAX) => {
                    if count == 0 {
                        return None;
                    }
                    self.admit(&mut sink, std::mem::take(&mut requests)).await
                }
                _ = sweeps.tick() => self.sweep(&mut sink).await,
            };
            if let Err(broken) = step {
                return Some(broken);
            }
        }
    }

    fn handle_message(&mut self, message: Option<Msg>) -> Result<(), Broken> {
        let Some(message) = message else { return Err(Broken("the server closed it".to_owned())) };
        if let Some(outlets) = self.outlets.get_mut(message.get_channel_name()) {
            let payload = Bytes::copy_from_slice(message.get_payload_bytes());
            outlets.iter_mut().for_each(|outlet| outlet.deliver(payload.clone()));
        }
        Ok(())
    }

    /// Subscribes to the channels that nobody was subscribed to, then answers everybody who asked.
    async fn admit(&mut self, sink: &mut PubSubSink, requests: Vec<Request>) -> Result<(), Broken> {
        let waiting: Vec<Request> =
            requests.into_iter().filter(|request| !request.reply.is_closed()).collect();
        let fresh: BTreeSet<&String> = waiting
            .iter()
            .map(|request| &request.channel)
            .filter(|channel| !self.outlets.contains_key(*channel))
            .collect();
        let fresh: Vec<&String> = fresh.into_iter().collect();
        let outcome = if fresh.is_empty() { Ok(None) } else { self.confirmed(sink.subscribe(fresh)).await };
        let refusal = match &outcome {
            Ok(refusal) => refusal.clone(),
            Err(Broken(reason)) => Some(reason.clone()),
        };
        for Request { channel, reply } in waiting {
            // A caller that gave up leaves a closed outlet, which the next sweep removes.
            let _ = reply.send(match &refusal {
                Some(reason) if !self.outlets.contains_key(&channel) => Err(Unavailable(reason.clone())),
                Some(_) | None => Ok(self.add(channel)),
            });
        }
        outcome.map(|_| ())
    }

    fn add(&mut self, channel: String) -> Subscription {
        let (outlet, subscription) = Outlet::new();
        self.outlets.entry(channel).or_default().push(outlet);
        subscription
    }

    /// Unsubscribes from the channels that nobody listens to any more.
    async fn sweep(&mut self, sink: &mut PubSubSink) -> Result<(), Broken> {
        let abandoned = self.drop_closed();
        for channels in abandoned.chunks(CHANNELS_PER_COMMAND_MAX) {
            if let Some(refusal) = self.confirmed(sink.unsubscribe(channels)).await? {
                return Err(Broken(refusal));
            }
        }
        Ok(())
    }

    /// Drops outlets without a receiver; answers the channels that have none left.
    fn drop_closed(&mut self) -> Vec<String> {
        let mut abandoned = Vec::new();
        self.outlets.retain(|channel, outlets| {
            outlets.retain(|outlet| !outlet.is_closed());
            if outlets.is_empty() {
                abandoned.push(channel.clone());
            }
            !outlets.is_empty()
        });
        abandoned
    }

    /// Waits for a confirmation: `Some` says why the server refused, an error that the connection is dead.
    async fn confirmed(
        &self,
        command: impl Future<Output = RedisResult<()>>,
    ) -> Result<Option<String>, Broken> {
        match timeout(self.timing.call_time_max, command).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(error)) if is_fatal(&error) => Err(Broken(describe(&error))),
            Ok(Err(error)) => Ok(Some(describe(&error))),
            Err(_) => Err(Broken(format!("no confirmation within {:?}", self.timing.call_time_max))),
        }
    }
}

/// Completes when the server no longer answers on this connection.
async fn silent(mut sink: PubSubSink, timing: Timing) -> Broken {
    let mut ticks = interval(timing.ping_interval);
    loop {
        ticks.tick().await;
        match timeout(timing.silence_max, sink.ping::<Value>()).await {
            Ok(Err(error)) if is_fatal(&error) => return Broken(describe(&error)),
            Ok(_) => {}
            Err(_) => return Broken(format!("no answer to PING within {:?}", timing.silence_max)),
        }
    }
}
