//! The connections to the store, whichever kind it is: what commands and subscriptions go through.

use std::future::Future;
use std::sync::Arc;

use redis::RedisResult;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Timing;
use super::address::{Address, HostPort, Login};
use super::connect::{self, ConnectError, Expected, Purpose, Warning};
use super::connection::{self, Connection, Link, describe};
use super::router::{self, Router};
use super::security::SecurityFiles;
use super::sharded::{self, ShardSubscriber};
use super::subscriber::{self, Subscriber};
use super::target::{Sentinels, Target};
use crate::backplane::{Subscription, Unavailable};

/// What commands go through.
#[derive(Debug)]
pub(super) enum Commands {
    One(Connection),
    Cluster(Router),
}

/// What subscriptions go through.
#[derive(Debug)]
pub(super) enum Subscriptions {
    One(Subscriber),
    Cluster(ShardSubscriber),
}

/// All connections of a node.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) commands: Commands,
    pub(super) subscriptions: Subscriptions,
    /// Dropping the set ends the supervisors, and with them the connections.
    _supervisors: JoinSet<()>,
}

impl Links {
    /// Connects, and checks that what answers can be trusted with matches.
    pub(super) async fn open(
        url: &str,
        files: &SecurityFiles,
        timing: Timing,
        purpose: Purpose,
    ) -> Result<(Links, Vec<Warning>), ConnectError> {
        match Address::parse(url, files, timing)? {
            Address::Single(client) => open_one(Target::Fixed(Box::new(client)), timing, purpose).await,
            Address::Sentinels { name, sentinels, login } => {
                let sentinels = Arc::new(Sentinels { name, sentinels, login });
                open_one(Target::Primary(sentinels), timing, purpose).await
            }
            Address::Cluster { seeds, login } => open_cluster(seeds, login, timing, purpose).await,
        }
    }

    /// The command by which this kind of store publishes.
    pub(super) fn publish(&self) -> &'static str {
        match self.commands {
            Commands::One(_) => Expected::Single.publish(),
            Commands::Cluster(_) => Expected::ClusterNode.publish(),
        }
    }
}

impl Commands {
    /// Runs commands where this key is, within the bound. They may be sent again as long as the server says
    /// that it has run nothing.
    pub(super) async fn call<T, F>(
        &self,
        key: &str,
        operation: impl Fn(Link) -> F + Send + Sync,
    ) -> Result<T, Unavailable>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        match self {
            Commands::One(connection) => connection.call(operation).await,
            Commands::Cluster(router) => router.call(key, operation).await,
        }
    }
}

impl Subscriptions {
    /// Subscribes; returns when the server has confirmed it.
    pub(super) async fn subscribe(&self, channel: String) -> Result<Subscription, Unavailable> {
        match self {
            Subscriptions::One(subscriber) => subscriber.subscribe(channel).await,
            Subscriptions::Cluster(subscriber) => subscriber.subscribe(channel).await,
        }
    }

    /// Has the connections replaced.
    pub(super) fn distrust(&self) {
        match self {
            Subscriptions::One(subscriber) => subscriber.distrust(),
            Subscriptions::Cluster(subscriber) => subscriber.distrust(),
        }
    }
}

async fn open_one(
    target: Target,
    timing: Timing,
    purpose: Purpose,
) -> Result<(Links, Vec<Warning>), ConnectError> {
    let client = match timeout(timing.call_time_max, target.client(timing)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(ConnectError::NoPrimary { reason: describe(&error) }),
        Err(_) => {
            let reason = format!("no answer within {:?}", timing.call_time_max);
            return Err(ConnectError::NoPrimary { reason });
        }
    };
    let (link, warnings) = connect::first_contact(&client, timing, Expected::Single, purpose).await?;
    let (connection, commands) = connection::supervised(target.clone(), timing, Some((client, link)));
    let (subscriber, subscriptions) = subscriber::supervised(target, timing);
    let mut supervisors = JoinSet::new();
    supervisors.spawn(commands.run());
    supervisors.spawn(subscriptions.run());
    let (commands, subscriptions) = (Commands::One(connection), Subscriptions::One(subscriber));
    Ok((Links { commands, subscriptions, _supervisors: supervisors }, warnings))
}

async fn open_cluster(
    seeds: Vec<HostPort>,
    login: Login,
    timing: Timing,
    purpose: Purpose,
) -> Result<(Links, Vec<Warning>), ConnectError> {
    let mut failure = None;
    for seed in &seeds {
        match connect::cluster_contact(seed, &login, timing, purpose).await {
            Ok((ranges, opened, warnings)) => {
                let (router, commands) =
                    router::supervised(seeds.clone(), login.clone(), timing, &ranges, opened);
                let (subscriber, subscriptions) = sharded::supervised(&router, login, timing);
                let mut supervisors = JoinSet::new();
                supervisors.spawn(commands.run());
                supervisors.spawn(subscriptions.run());
                let (commands, subscriptions) =
                    (Commands::Cluster(router), Subscriptions::Cluster(subscriber));
                return Ok((Links { commands, subscriptions, _supervisors: supervisors }, warnings));
            }
            // Another seed may be there; what one that is there says is final.
            Err(error @ ConnectError::Unreachable { .. }) => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    let nobody = ConnectError::NoPrimary { reason: "the address names nobody".to_owned() };
    Err(failure.unwrap_or(nobody))
}
