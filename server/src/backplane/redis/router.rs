//! Commands to a Redis Cluster: one supervised connection per master, and a map of the slots that is asked for
//! again whenever a server says that it is wrong.
//!
//! The client of the crate for clusters repeats commands whose answer was lost, up to sixteen times, and behind
//! its caller's back; here a command is sent again only if the server has said that it has run nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::address::{HostPort, Login};
use super::connection::{self, Connection, Failure, Link, Usable, deadline, describe, link_to};
use super::slots::{self, Range, SLOTS, slot};
use super::target::Target;
use super::verdict::{Verdict, explain, verdict};
use super::{Backoff, Timing};
use crate::backplane::Unavailable;

/// Hints that wait; further ones say nothing new.
const HINTS_QUEUED_MAX: usize = 256;

/// A handle on the cluster.
#[derive(Debug)]
pub(super) struct Router {
    map: watch::Receiver<Arc<Map>>,
    hints: Hints,
    call_time_max: Duration,
}

/// Which node serves which slot.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// By slot, an index into the nodes.
    owners: Vec<Option<usize>>,
    nodes: Vec<Arc<Node>>,
}

/// A node and the connection to it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: HostPort,
    connection: Connection,
}

/// Tells the supervisor that the map may be wrong.
#[derive(Debug, Clone)]
pub(super) struct Hints(mpsc::Sender<Hint>);

#[derive(Debug, Clone)]
enum Hint {
    /// Something failed.
    Look,
    /// A server said that this node has the slot.
    Moved { slot: u16, to: HostPort },
    /// A server sent us to this node for once.
    Seen { node: HostPort },
}

/// Keeps the map and the connections: owned by a task that runs [`Supervisor::run`].
pub(super) struct Supervisor {
    seeds: Vec<HostPort>,
    login: Login,
    timing: Timing,
    map: watch::Sender<Arc<Map>>,
    hints: mpsc::Receiver<Hint>,
    connections: JoinSet<()>,
}

/// A master with the connection of the first contact.
pub(super) type Opened = (HostPort, redis::Client, MultiplexedConnection);

/// What to do after a refusal.
enum Next {
    Again,
    Later(String),
    Stop(Unavailable),
}

impl Map {
    /// The node that serves a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Node>> {
        self.owners.get(usize::from(slot)).copied().flatten().and_then(|at| self.nodes.get(at))
    }

    /// Whether a node serves any slot.
    pub(super) fn serves(&self, address: &HostPort) -> bool {
        self.owners.iter().flatten().any(|at| self.nodes[*at].address == *address)
    }

    fn node(&self, address: &HostPort) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.address == *address)
    }
}

impl Hints {
    /// The map is to be asked for again.
    pub(super) fn look(&self) {
        let _ = self.0.try_send(Hint::Look);
    }

    /// What a refusal says of the map, if it says anything.
    pub(super) fn redirected(&self, detail: &str) {
        let mut words = detail.split_ascii_whitespace();
        let (slot, to) = (words.next().map(str::parse), words.next().and_then(HostPort::parse));
        let _ = self.0.try_send(match (slot, to) {
            (Some(Ok(slot)), Some(to)) => Hint::Moved { slot, to },
            _ => Hint::Look,
        });
    }
}

/// A handle and its supervisor. The masters of the first contact are connected already.
pub(super) fn supervised(
    seeds: Vec<HostPort>,
    login: Login,
    timing: Timing,
    ranges: &[Range],
    opened: Vec<Opened>,
) -> (Router, Supervisor) {
    let (map_tx, map_rx) = watch::channel(Arc::new(Map::default()));
    let (hints_tx, hints_rx) = mpsc::channel(HINTS_QUEUED_MAX);
    let connections = JoinSet::new();
    let mut supervisor = Supervisor { seeds, login, timing, map: map_tx, hints: hints_rx, connections };
    for (address, client, link) in opened {
        supervisor.add(&address, Some((client, link)));
    }
    supervisor.put(ranges);
    (Router { map: map_rx, hints: Hints(hints_tx), call_time_max: timing.call_time_max }, supervisor)
}

impl Router {
    /// The map as it changes.
    pub(super) fn map(&self) -> watch::Receiver<Arc<Map>> {
        self.map.clone()
    }

    /// Where to tell that it is wrong.
    pub(super) fn hints(&self) -> Hints {
        self.hints.clone()
    }

    /// Runs commands where this key is; all of that within the bound.
    pub(super) async fn call<T, F>(
        &self,
        key: &str,
        operation: impl Fn(Link) -> F + Send + Sync,
    ) -> Result<T, Unavailable>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        let (slot, deadline) = (slot(key.as_bytes()), deadline(self.call_time_max));
        let mut backoff = Backoff::default();
        loop {
            let (node, usable) = self.usable(slot, deadline).await?;
            let next = match node.connection.attempt(&usable, deadline, &operation).await {
                Ok(value) => return Ok(value),
                Err(failure) if asks(&failure).is_some() => {
                    let to = asks(&failure).unwrap_or_else(|| node.address.clone());
                    match self.ask(to, deadline, &operation).await? {
                        Ok(value) => return Ok(value),
                        Err(failure) => self.next(failure, slot, &node, deadline).await,
                    }
                }
                Err(failure) => self.next(failure, slot, &node, deadline).await,
            };
            match next {
                Next::Again => {}
                Next::Stop(unavailable) => return Err(unavailable),
                Next::Later(reason) => {
                    if timeout_at(deadline, sleep(backoff.next())).await.is_err() {
                        return Err(Unavailable(reason));
                    }
                }
            }
        }
    }

    /// The node that serves a slot, and a link to it. As long as there is none, nothing has been sent, and the
    /// map may name another.
    async fn usable(&self, slot: u16, deadline: Instant) -> Result<(Arc<Node>, Usable), Unavailable> {
        let mut map = self.map.clone();
        loop {
            let owner = map.borrow_and_update().owner(slot).cloned();
            let Some(node) = owner else {
                self.hints.look();
                match timeout_at(deadline, map.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return Err(Unavailable("the connection is closed".to_owned())),
                    Err(_) => return Err(Unavailable(format!("no node serves slot {slot}"))),
                }
            };
            if node.connection.up_now().is_none() {
                self.hints.look();
            }
            tokio::select! {
                biased;
                usable = node.connection.up(deadline) => return Ok((node.clone(), usable?)),
                _ = another(&mut map, slot, &node) => {}
            }
        }
    }

    /// Runs commands at a node to which the slot is on its way.
    async fn ask<T, F>(
        &self,
        to: HostPort,
        deadline: Instant,
        operation: &(impl Fn(Link) -> F + Send + Sync),
    ) -> Result<Result<T, Failure>, Unavailable>
    where
        T: Send,
        F: Future<Output = RedisResult<T>> + Send,
    {
        let mut map = self.map.clone();
        let _ = self.hints.0.try_send(Hint::Seen { node: to.clone() });
        let _ = timeout_at(deadline, map.wait_for(|map| map.node(&to).is_some())).await.map(|_| ());
        let node = map.borrow().node(&to).cloned();
        let Some(node) = node else { return Err(Unavailable(format!("sent to {to}, which is not known"))) };
        let usable = node.connection.up(deadline).await?;
        Ok(node.connection.attempt(&usable, deadline, |link| operation(link.asking())).await)
    }

    async fn next(&self, failure: Failure, slot: u16, node: &Arc<Node>, deadline: Instant) -> Next {
        let error = match failure {
            Failure::Refused(error) => error,
            Failure::Silent(reason) => {
                self.hints.look();
                return Next::Stop(Unavailable(reason));
            }
        };
        if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) {
            self.hints.redirected(error.detail().unwrap_or_default());
            let moved = timeout_at(deadline, another(&mut self.map.clone(), slot, node)).await;
            return if moved.is_ok() { Next::Again } else { Next::Stop(Unavailable(explain(&error))) };
        }
        match verdict(&error) {
            Verdict::Later | Verdict::Elsewhere => {
                self.hints.look();
                Next::Later(explain(&error))
            }
            Verdict::Refused => {
                if connection::is_fatal(&error) {
                    self.hints.look();
                }
                Next::Stop(Unavailable(explain(&error)))
            }
        }
    }
}

/// Completes when the map names another node for the slot than this one.
async fn another(map: &mut watch::Receiver<Arc<Map>>, slot: u16, node: &Arc<Node>) {
    let other = |map: &Arc<Map>| map.owner(slot).is_some_and(|owner| owner.address != node.address);
    if map.wait_for(other).await.is_err() {
        std::future::pending().await
    }
}

/// Where a refusal sends us for once.
fn asks(failure: &Failure) -> Option<HostPort> {
    match failure {
        Failure::Refused(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) => {
            error.redirect_node().and_then(|(address, _)| HostPort::parse(address))
        }
        Failure::Refused(_) | Failure::Silent(_) => None,
    }
}

impl Supervisor {
    /// Looks at the map regularly and on every hint; ends with the last handle.
    pub(super) async fn run(mut self) {
        let mut looks = interval(self.timing.ping_interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hints = Vec::new();
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                count = self.hints.recv_many(&mut hints, HINTS_QUEUED_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            let moved: Vec<Hint> = hints.drain(..).filter(|hint| !matches!(hint, Hint::Look)).collect();
            // Ended supervisors of nodes that are gone.
            while self.connections.try_join_next().is_some() {}
            // What a server says of a single slot is newer than what the others have heard: it comes last.
            match timeout(self.timing.call_time_max, self.read()).await {
                Ok(Ok(ranges)) => self.put(&ranges),
                Ok(Err(error)) => tracing::debug!(reason = %describe(&error), "no map of the cluster"),
                Err(_) => tracing::debug!("no map of the cluster in time"),
            }
            moved.into_iter().for_each(|hint| self.heed(hint));
            if self.map.is_closed() {
                return;
            }
        }
    }

    /// The map by the word of the node that answers first.
    async fn read(&self) -> RedisResult<Vec<Range>> {
        let map = self.map.borrow().clone();
        let up = map.nodes.iter().filter_map(|node| Some((&node.address, node.connection.up_now()?)));
        let mut answers: FuturesUnordered<_> = up.map(|(address, link)| read_map(address, link)).collect();
        let mut newest = Err(unknown("no node is connected"));
        while let Some(answer) = answers.next().await {
            newest = answer;
            if newest.is_ok() {
                return newest;
            }
        }
        for seed in &self.seeds {
            let read = async {
                let link = link_to(&self.login.client(seed)?, self.timing).await?;
                read_map(seed, link).await
            };
            // A part of the time: another seed may answer.
            newest = match timeout(self.timing.call_time_max / 4, read).await {
                Ok(answer) => answer,
                Err(_) => Err(unknown("no answer")),
            };
            if newest.is_ok() {
                return newest;
            }
        }
        newest
    }

    /// Makes a map of what was read. Nodes that serve nothing any more are left.
    fn put(&mut self, ranges: &[Range]) {
        for range in ranges {
            self.add(&range.master, None);
        }
        let old = self.map.borrow().clone();
        let serves = |node: &&Arc<Node>| ranges.iter().any(|range| range.master == node.address);
        let nodes: Vec<Arc<Node>> = old.nodes.iter().filter(serves).cloned().collect();
        let mut owners = vec![None; usize::from(SLOTS)];
        for range in ranges {
            let at = nodes.iter().position(|node| node.address == range.master);
            let (first, last) = (usize::from(range.first), usize::from(range.last.min(SLOTS - 1)));
            owners.iter_mut().take(last + 1).skip(first).for_each(|owner| *owner = at);
        }
        let same_nodes = nodes.len() == old.nodes.len();
        let owner_of = |owners: &[Option<usize>], nodes: &[Arc<Node>], slot: usize| {
            owners.get(slot).copied().flatten().map(|at| nodes[at].address.clone())
        };
        let same = same_nodes
            && (0..usize::from(SLOTS))
                .all(|slot| owner_of(&owners, &nodes, slot) == owner_of(&old.owners, &old.nodes, slot));
        if !same {
            tracing::info!(masters = nodes.len(), "redis cluster: a new map of its slots");
            self.map.send_replace(Arc::new(Map { owners, nodes }));
        }
    }

    fn heed(&mut self, hint: Hint) {
        match hint {
            Hint::Look => {}
            Hint::Seen { node } => {
                self.add(&node, None);
            }
            Hint::Moved { slot, to } => {
                let at = self.add(&to, None);
                let old = self.map.borrow().clone();
                let mut owners = old.owners.clone();
                if let (Some(owner), true) = (owners.get_mut(usize::from(slot)), at.is_some()) {
                    *owner = at;
                }
                self.map.send_replace(Arc::new(Map { owners, nodes: old.nodes.clone() }));
            }
        }
    }

    /// The index of a node, which is connected to if it was not known.
    fn add(
        &mut self,
        address: &HostPort,
        opened: Option<(redis::Client, MultiplexedConnection)>,
    ) -> Option<usize> {
        let old = self.map.borrow().clone();
        if let Some(at) = old.nodes.iter().position(|node| node.address == *address) {
            return Some(at);
        }
        let client = self.login.client(address).ok()?;
        let (connection, supervisor) =
            connection::supervised(Target::Fixed(Box::new(client)), self.timing, opened);
        self.connections.spawn(supervisor.run());
        let mut nodes = old.nodes.clone();
        nodes.push(Arc::new(Node { address: address.clone(), connection }));
        let at = nodes.len() - 1;
        self.map.send_replace(Arc::new(Map { owners: old.owners.clone(), nodes }));
        Some(at)
    }
}

/// Asks a node for its map; one that serves nothing has none.
pub(super) async fn read_map(asked: &HostPort, mut link: MultiplexedConnection) -> RedisResult<Vec<Range>> {
    let answer = cmd("CLUSTER").arg("SLOTS").query_async(&mut link).await?;
    let ranges = slots::parse(answer, asked)?;
    if ranges.is_empty() { Err(unknown("the map is empty")) } else { Ok(ranges) }
}

fn unknown(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, what))
}
