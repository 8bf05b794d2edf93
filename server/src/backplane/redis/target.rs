//! Where a link leads: to one server for ever, or to whichever server the sentinels name. They are asked at every
//! attempt to connect and, while a link is up, now and then: a primary that was cut off does not know that
//! there is another.
//!
//! One question on a plain connection does this. The client of the crate for sentinels keeps connections and
//! settings of its own, and asks one sentinel after the other: one that does not answer would use up our time.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{Client, ErrorKind, RedisError, RedisResult, Value, cmd};
use tokio::time::{interval, timeout};

use super::Timing;
use super::address::{HostPort, Login};
use super::connection::{self, describe};

/// Where a link leads.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// To this server.
    Fixed(Box<Client>),
    /// To the primary.
    Primary(Arc<Sentinels>),
}

/// Those who know which server is the primary.
#[derive(Debug)]
pub(super) struct Sentinels {
    pub(super) name: String,
    pub(super) sentinels: Vec<HostPort>,
    pub(super) login: Login,
}

impl Target {
    /// Whom to connect to now.
    pub(super) async fn client(&self, timing: Timing) -> RedisResult<Client> {
        match self {
            Target::Fixed(client) => Ok(Client::clone(client)),
            Target::Primary(sentinels) => sentinels.primary(timing).await,
        }
    }

    /// Completes when another server than this one is to be connected to.
    pub(super) async fn replaced(&self, client: &Client, timing: Timing) -> String {
        let Target::Primary(sentinels) = self else { return std::future::pending().await };
        let address = client.get_connection_info().addr().to_string();
        let mut looks = interval(timing.silence_max);
        loop {
            looks.tick().await;
            if let Ok(Ok(primary)) = timeout(timing.call_time_max, sentinels.primary(timing)).await {
                let named = primary.get_connection_info().addr().to_string();
                if named != address {
                    return format!("the sentinels name {named} in place of {address}");
                }
            }
        }
    }
}

impl Sentinels {
    /// The first server named by a sentinel that says of itself that it is the primary.
    async fn primary(&self, timing: Timing) -> RedisResult<Client> {
        let mut answers: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| self.ask(sentinel, timing)).collect();
        let (mut tried, mut refusals) = (BTreeSet::new(), Vec::new());
        while let Some((sentinel, answer)) = answers.next().await {
            let named = match answer {
                Ok(named) => named,
                Err(error) => {
                    refusals.push(format!("sentinel {sentinel}: {}", describe(&error)));
                    continue;
                }
            };
            if tried.insert(named.clone()) {
                // Half of the time: another sentinel may know better.
                match timeout(timing.call_time_max / 2, self.checked(&named, timing)).await {
                    Ok(Ok(client)) => return Ok(client),
                    Ok(Err(error)) => refusals.push(format!("{named}: {}", describe(&error))),
                    Err(_) => refusals.push(format!("{named}: no answer")),
                }
            }
        }
        Err(RedisError::from((ErrorKind::Io, "no sentinel names a primary", refusals.join("; "))))
    }

    /// Asks a sentinel; the login is for those that want one.
    async fn ask<'a>(&self, sentinel: &'a HostPort, timing: Timing) -> (&'a HostPort, RedisResult<HostPort>) {
        let answer = match self.ask_with(&self.login.anonymous(), sentinel, timing).await {
            Err(error) if error.code() == Some("NOAUTH") => {
                self.ask_with(&self.login, sentinel, timing).await
            }
            answer => answer,
        };
        (sentinel, answer)
    }

    async fn ask_with(&self, login: &Login, sentinel: &HostPort, timing: Timing) -> RedisResult<HostPort> {
        let mut link = connection::link_to(&login.client(sentinel)?, timing).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer: Option<(String, u16)> = question.query_async(&mut link).await?;
        let unknown = || {
            let what = format!("no primary has the name {}", self.name);
            RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "unknown name", what))
        };
        let (host, port) = answer.ok_or_else(unknown)?;
        Ok(HostPort { host, port })
    }

    /// A client of a server that says that it is a primary.
    async fn checked(&self, named: &HostPort, timing: Timing) -> RedisResult<Client> {
        let client = self.login.client(named)?;
        let mut link = connection::link_to(&client, timing).await?;
        match cmd("ROLE").query_async::<Vec<Value>>(&mut link).await {
            Ok(role) => match role.first() {
                Some(Value::BulkString(role)) if role == b"master" => Ok(client),
                role => {
                    let what = format!("{role:?}");
                    Err(RedisError::from((ErrorKind::Client, "this server is no primary", what)))
                }
            },
            // A user without this right finds out by READONLY.
            Err(error) if error.code() == Some("NOPERM") => Ok(client),
            Err(error) => Err(error),
        }
    }
}
