//! The connection for commands. It never retries a command, and it never waits longer than its bound: a call
//! that got no answer in time may still be executed, and the connection it went to is replaced.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value, cmd,
};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout, timeout_at};

use super::batch::Batcher;
use super::target::Target;
use super::verdict::explain;
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
    Up { generation: u64, link: Link, client: Box<Client> },
    Down { reason: String },
}

/// A link that was up a moment ago.
#[derive(Debug, Clone)]
pub(super) struct Usable {
    generation: u64,
    pub(super) link: Link,
}

/// What commands are sent on.
#[derive(Debug, Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    batcher: Arc<Batcher>,
    way: Way,
}

/// How a command is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Alone,
    Together,
    Asking,
}

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server, or the link to it, said so.
    Refused(RedisError),
    /// No answer in time.
    Silent(String),
}

/// Keeps the connection up: owned by a task that runs [`Supervisor::run`].
pub(super) struct Supervisor {
    target: Target,
    timing: Timing,
    state: watch::Sender<State>,
    broken: watch::Receiver<u64>,
    generation: u64,
}

/// Opens a connection to whatever the target is now. The bounds on answers are its caller's.
pub(super) async fn open(target: &Target, timing: Timing) -> RedisResult<(Client, MultiplexedConnection)> {
    let client = target.client(timing).await?;
    let link = link_to(&client, timing).await?;
    Ok((client, link))
}

/// Opens a connection to this server.
pub(super) async fn link_to(client: &Client, timing: Timing) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timing.call_time_max))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(COMMANDS_QUEUED_MAX)
        .set_concurrency_limit(COMMANDS_IN_FLIGHT_MAX);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// A handle and its supervisor, which begin with a link that has been opened already, if there is one.
pub(super) fn supervised(
    target: Target,
    timing: Timing,
    opened: Option<(Client, MultiplexedConnection)>,
) -> (Connection, Supervisor) {
    let generation = 1;
    let (state_tx, state_rx) = watch::channel(match opened {
        Some((client, link)) => State::Up { generation, link: Link::new(link), client: Box::new(client) },
        None => State::Down { reason: "not connected yet".to_owned() },
    });
    let (broken_tx, broken_rx) = watch::channel(0);
    let connection = Connection { state: state_rx, broken: broken_tx, call_time_max: timing.call_time_max };
    (connection, Supervisor { target, timing, state: state_tx, broken: broken_rx, generation })
}

/// The moment at which a wait that begins now is over.
pub(super) fn deadline(wait: Duration) -> Instant {
    sleep(wait).deadline()
}

impl Link {
    fn new(connection: MultiplexedConnection) -> Link {
        Link { connection, batcher: Arc::default(), way: Way::Alone }
    }

    /// The same link, where the next command is run for a slot that is on its way to this server.
    pub(super) fn asking(mut self) -> Link {
        self.way = Way::Asking;
        self
    }

    /// The same link, where a command is sent together with others that are ready now, unless it is asking.
    pub(super) fn together(mut self) -> Link {
        if self.way == Way::Alone {
            self.way = Way::Together;
        }
        self
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn query<T: FromRedisValue>(&mut self, call: &Cmd) -> RedisResult<T> {
        let answer = match self.way {
            Way::Alone => return call.query_async(&mut self.connection).await,
            Way::Together => self.batcher.query(&mut self.connection, call).await?,
            Way::Asking => {
                let mut both = redis::pipe();
                both.cmd("ASKING").add_command(call.clone());
                let answers = self.connection.req_packed_commands(&both, 0, 2).await?;
                answers.into_iter().nth(1).unwrap_or(Value::Nil).extract_error()?
            }
        };
        Ok(redis::from_redis_value(answer)?)
    }
}

impl Connection {
    /// Runs commands on the connection, waiting for it if it is down: all of that within the bound.
    pub(super) async fn call<T, F>(&self, operation: impl FnOnce(Link) -> F + Send) -> Result<T, Unavailable>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        let deadline = deadline(self.call_time_max);
        let usable = self.up(deadline).await?;
        self.attempt(&usable, deadline, operation).await.map_err(Unavailable::from)
    }

    /// Runs commands on a link; one that fails at it is replaced.
    pub(super) async fn attempt<T, F>(
        &self,
        usable: &Usable,
        deadline: Instant,
        operation: impl FnOnce(Link) -> F + Send,
    ) -> Result<T, Failure>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        match timeout_at(deadline, operation(usable.link.clone())).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if is_fatal(&error) {
                    self.report_broken(usable.generation);
                }
                Err(Failure::Refused(error))
            }
            Err(_) => {
                self.report_broken(usable.generation);
                Err(Failure::Silent(self.silence()))
            }
        }
    }

    /// The link, once there is one.
    pub(super) async fn up(&self, deadline: Instant) -> Result<Usable, Unavailable> {
        let mut state = self.state.clone();
        match timeout_at(deadline, state.wait_for(|state| matches!(state, State::Up { .. }))).await {
            Ok(up) => match up.as_deref() {
                Ok(State::Up { generation, link, .. }) => {
                    Ok(Usable { generation: *generation, link: link.clone() })
                }
                Ok(State::Down { .. }) | Err(_) => Err(Unavailable("the connection is closed".to_owned())),
            },
            Err(_) => Err(Unavailable(self.silence())),
        }
    }

    /// The link, if there is one.
    pub(super) fn up_now(&self) -> Option<MultiplexedConnection> {
        match &*self.state.borrow() {
            State::Up { link, .. } => Some(link.connection.clone()),
            State::Down { .. } => None,
        }
    }

    fn report_broken(&self, generation: u64) {
        self.broken.send_if_modified(|newest| {
            let news = *newest < generation;
            *newest = generation.max(*newest);
            news
        });
    }

    fn silence(&self) -> String {
        match &*self.state.borrow() {
            State::Up { .. } => format!("no answer within {:?}", self.call_time_max),
            State::Down { reason } => format!("no connection within {:?}: {reason}", self.call_time_max),
        }
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Unavailable {
        match failure {
            Failure::Refused(error) => Unavailable(explain(&error)),
            Failure::Silent(reason) => Unavailable(reason),
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
                State::Up { link, client, .. } => {
                    let reason = self.until_broken(link.connection, &client).await;
                    if self.state.is_closed() {
                        // The last handle is gone: nothing was lost.
                        return;
                    }
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
            let state = match timeout(wait, open(&self.target, self.timing)).await {
                Ok(Ok((client, link))) => {
                    tracing::info!(address = %client.get_connection_info().addr(), "redis connection renewed");
                    State::Up { generation: self.generation, link: Link::new(link), client: Box::new(client) }
                }
                Ok(Err(error)) => State::Down { reason: describe(&error) },
                Err(_) => State::Down { reason: format!("no connection within {wait:?}") },
            };
            self.state.send_replace(state);
        }
    }

    /// Completes with a reason when a call found the link broken, or when it is silent.
    async fn until_broken(&mut self, link: MultiplexedConnection, client: &Client) -> String {
        let generation = self.generation;
        tokio::select! {
            _ = self.broken.wait_for(|newest| *newest >= generation) => "a call failed".to_owned(),
            reason = silent(link, self.timing) => reason,
            reason = self.target.replaced(client, self.timing) => reason,
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
