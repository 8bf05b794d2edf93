//! The connection for commands. It never retries a command, and it never waits longer than its bound: a call
//! that got no answer in time may still be executed, and the connection it went to is replaced.

use std::future::Future;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, ServerErrorKind, Value, cmd};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use super::{Backoff, Timing};
use crate::backplane::Unavailable;

/// Commands that wait to be written; more wait with their caller.
const COMMANDS_QUEUED_MAX: usize = 1024;
/// Commands that wait for an answer; more wait with their caller.
const COMMANDS_IN_FLIGHT_MAX: usize = 4096;

/// A handle on the connection of the moment.
#[derive(Debug)]
pub(super) struct Connection {
    state: watch::Receiver<State>,
    /// Generation of the newest link that failed a call.
    broken: watch::Sender<u64>,
    call_time_max: Duration,
}

/// What is known of the connection.
#[derive(Debug, Clone)]
enum State {
    Up { generation: u64, link: MultiplexedConnection },
    Down { reason: String },
}

/// Keeps the connection up: owned by a task that runs [`Supervisor::run`].
pub(super) struct Supervisor {
    client: Client,
    timing: Timing,
    state: watch::Sender<State>,
    broken: watch::Receiver<u64>,
    generation: u64,
}

/// Opens one connection. The bounds on answers are its caller's.
pub(super) async fn open(client: &Client, timing: Timing) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timing.call_time_max))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(COMMANDS_QUEUED_MAX)
        .set_concurrency_limit(COMMANDS_IN_FLIGHT_MAX);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// A handle and its supervisor, which begin with a link that has been opened already.
pub(super) fn supervised(
    client: Client,
    timing: Timing,
    link: MultiplexedConnection,
) -> (Connection, Supervisor) {
    let generation = 1;
    let (state_tx, state_rx) = watch::channel(State::Up { generation, link });
    let (broken_tx, broken_rx) = watch::channel(0);
    let connection = Connection { state: state_rx, broken: broken_tx, call_time_max: timing.call_time_max };
    (connection, Supervisor { client, timing, state: state_tx, broken: broken_rx, generation })
}

impl Connection {
    /// Runs commands on the connection, waiting for it if it is down: all of that within the bound.
    pub(super) async fn call<T, F>(
        &self,
        operation: impl FnOnce(MultiplexedConnection) -> F + Send,
    ) -> Result<T, Unavailable>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        let mut used = None;
        let answer = timeout(self.call_time_max, async {
            let (generation, link) = self.up().await?;
            used = Some(generation);
            Ok(operation(link).await)
        })
        .await;
        match answer {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => {
                if is_fatal(&error) {
                    self.report_broken(used);
                }
                Err(Unavailable(describe(&error)))
            }
            Ok(Err(closed)) => Err(closed),
            Err(_) => {
                self.report_broken(used);
                Err(Unavailable(self.silence()))
            }
        }
    }

    /// The link, once there is one.
    async fn up(&self) -> Result<(u64, MultiplexedConnection), Unavailable> {
        let mut state = self.state.clone();
        let up = state.wait_for(|state| matches!(state, State::Up { .. })).await;
        match up.as_deref() {
            Ok(State::Up { generation, link }) => Ok((*generation, link.clone())),
            Ok(State::Down { .. }) | Err(_) => Err(Unavailable("the connection is closed".to_owned())),
        }
    }

    fn report_broken(&self, used: Option<u64>) {
        if let Some(generation) = used {
            self.broken.send_if_modified(|newest| {
                let news = *newest < generation;
                *newest = generation.max(*newest);
                news
            });
        }
    }

    fn silence(&self) -> String {
        match &*self.state.borrow() {
            State::Up { .. } => format!("no answer within {:?}", self.call_time_max),
            State::Down { reason } => format!("no connection within {:?}: {reason}", self.call_time_max),
        }
    }
}

impl Supervisor {
    /// Watches the link and replaces it; ends with the last handle.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let state = self.state.borrow().clone();
            let reason = match state {
                State::Up { link, .. } => {
                    let reason = self.until_broken(link).await;
                    tracing::warn!(%reason, "redis connection lost");
                    backoff = Backoff::default();
                    reason
                }
                State::Down { reason } => reason,
            };
            if self.state.is_closed() {
                return;
            }
            self.state.send_replace(State::Down { reason });
            sleep(backoff.next()).await;
            self.generation += 1;
            let wait = self.timing.call_time_max;
            let state = match timeout(wait, open(&self.client, self.timing)).await {
                Ok(Ok(link)) => {
                    tracing::info!("redis connection renewed");
                    State::Up { generation: self.generation, link }
                }
                Ok(Err(error)) => State::Down { reason: describe(&error) },
                Err(_) => State::Down { reason: format!("no connection within {wait:?}") },
            };
            self.state.send_replace(state);
        }
    }

    /// Completes with a reason when a call found the link broken, or when it is silent.
    async fn until_broken(&mut self, link: MultiplexedConnection) -> String {
        let generation = self.generation;
        tokio::select! {
            _ = self.broken.wait_for(|newest| *newest >= generation) => "a call failed".to_owned(),
            reason = silent(link, self.timing) => reason,
        }
    }
}

/// Completes when the server no longer answers on this link.
async fn silent(mut link: MultiplexedConnection, timing: Timing) -> String {
    let mut ticks = interval(timing.ping_interval);
    loop {
        ticks.tick().await;
        let ping = cmd("PING");
        match timeout(timing.silence_max, ping.query_async::<Value>(&mut link)).await {
            // A server that is loading or out of disk refuses even PING, and is alive.
            Ok(Err(error)) if is_fatal(&error) => return describe(&error),
            Ok(_) => {}
            Err(_) => return format!("no answer to PING within {:?}", timing.silence_max),
        }
    }
}

/// Whether the link is to be replaced. A primary that became a replica is: its name may lead to another now.
pub(super) fn is_fatal(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.kind() == redis::ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// What the server said, in its own words: the first of them is the one to look up.
pub(super) fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(_), None) | (None, _) => error.to_string(),
    }
}
