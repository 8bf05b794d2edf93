//! Who may connect: how many connections an address and the node have, and how fast new ones come. Who is refused again and again
//! is told so for a while, and then not even listened to. Addresses that nothing is known against are forgotten; how many are
//! remembered is bounded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::logic::rate::Bucket;

/// Addresses that are remembered at most; one more is told that the node is busy.
pub const ADDRESSES_MAX: usize = 65_536;
/// How often those are looked for that can be forgotten, when there is no room.
const FORGET_EVERY: Duration = Duration::from_secs(1);
/// Sockets of an address for each connection that it may have: a page loads its files over a few more.
const SOCKETS_PER_CONNECTION: u32 = 2;
/// Joins that an address saves up where it may have as many connections as it likes.
const JOINS_BURST: u32 = 64;
/// Seconds for which an address saves up requests: a page has some sixty files.
const REQUESTS_BURST_SECONDS: u32 = 4;
/// When a connection of an address may be gone.
const PLACE_AFTER: Duration = Duration::from_secs(10);
/// When a rate admits again.
const RATE_AFTER: Duration = Duration::from_secs(1);

/// How much is let in. A zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// WebSocket connections of one address.
    pub connections_per_ip: u32,
    /// New WebSocket connections, and matches created, of one address per second.
    pub joins_per_second: u32,
    /// Requests of one address per second.
    pub requests_per_second: u32,
    /// New WebSocket connections of the node per second.
    pub accepts_per_second: u32,
    /// Sockets of the players' port, whatever they are used for; more than there are descriptors makes no sense.
    pub sockets_max: usize,
    /// Whether clients on this very machine are limited as others are.
    pub loopback: bool,
}

impl AdmissionLimits {
    /// All are let in.
    pub fn unlimited() -> AdmissionLimits {
        AdmissionLimits {
            connections_per_ip: 0,
            joins_per_second: 0,
            requests_per_second: 0,
            accepts_per_second: 0,
            sockets_max: usize::MAX,
            loopback: false,
        }
    }
}

/// Whose connection it is: an IPv4 address, or the 64 bits of an IPv6 address that a subscriber has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(u128);

impl Source {
    /// Whose address this is.
    pub fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => Source(u128::from(address.to_ipv6_mapped())),
            IpAddr::V6(address) => Source(u128::from(address) >> 64 << 64),
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// The address has all it may have, or is too fast.
    Address {
        /// When it may try again.
        after: Duration,
    },
    /// The node is.
    Node {
        /// When it may try again.
        after: Duration,
    },
}

/// What was let in, to be given back when it is over. What is not limited by its address has no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    source: Option<Source>,
    is_connection: bool,
}

impl Entry {
    /// Whose it is, where that is limited.
    pub fn source(&self) -> Option<Source> {
        self.source
    }
}

#[derive(Debug)]
struct Address {
    sockets: u32,
    connections: u32,
    joins: Bucket,
    requests: Bucket,
    /// Refusals that it is told of.
    refusals: Bucket,
}

impl Address {
    fn is_forgettable(&self, now: Instant) -> bool {
        let buckets = [&self.joins, &self.requests, &self.refusals];
        self.sockets == 0 && self.connections == 0 && buckets.iter().all(|bucket| bucket.is_full(now))
    }

    fn refuse(&mut self, now: Instant, after: Duration) -> Busy {
        self.refusals.take(now);
        Busy::Address { after }
    }
}

/// What is known of those who connect.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    addresses: BTreeMap<Source, Address>,
    accepts: Bucket,
    /// Sockets and connections of all.
    open: usize,
    forgot: Instant,
}

impl Admission {
    /// Nobody has connected yet.
    pub fn new(now: Instant, limits: AdmissionLimits) -> Admission {
        let accepts = Bucket::new(now, limits.accepts_per_second, limits.accepts_per_second);
        Admission { limits, addresses: BTreeMap::new(), accepts, open: 0, forgot: now }
    }

    /// A socket was accepted. `None` where its address says nothing of whose it is: a proxy's.
    pub fn handle_socket(&mut self, now: Instant, address: Option<IpAddr>) -> Result<Entry, Busy> {
        if self.open >= self.limits.sockets_max {
            return Err(Busy::Node { after: PLACE_AFTER });
        }
        let source = address.and_then(|address| self.limited(address));
        let sockets_max = self.limits.connections_per_ip.saturating_mul(SOCKETS_PER_CONNECTION);
        let listens = self.limits.requests_per_second == 0;
        if let Some(source) = source {
            let address = self.address(now, source)?;
            if !listens && address.refusals.is_empty(now) {
                return Err(Busy::Address { after: RATE_AFTER });
            }
            if sockets_max > 0 && address.sockets + address.connections >= sockets_max {
                return Err(Busy::Address { after: PLACE_AFTER });
            }
            address.sockets += 1;
        }
        self.open += 1;
        Ok(Entry { source, is_connection: false })
    }

    /// Somebody asks for something.
    pub fn handle_request(&mut self, now: Instant, address: IpAddr) -> Result<(), Busy> {
        let limits = self.limits;
        let Some(source) = self.limited(address) else { return Ok(()) };
        let address = self.address(now, source)?;
        match limits.requests_per_second == 0 || address.requests.take(now) {
            true => Ok(()),
            false => Err(address.refuse(now, RATE_AFTER)),
        }
    }

    /// Somebody wants to create a match.
    pub fn handle_creation(&mut self, now: Instant, address: IpAddr) -> Result<(), Busy> {
        let limits = self.limits;
        let Some(source) = self.limited(address) else { return Ok(()) };
        let address = self.address(now, source)?;
        match limits.joins_per_second == 0 || address.joins.take(now) {
            true => Ok(()),
            false => Err(address.refuse(now, RATE_AFTER)),
        }
    }

    /// Somebody wants a WebSocket connection.
    pub fn handle_connection(&mut self, now: Instant, address: IpAddr) -> Result<Entry, Busy> {
        let limits = self.limits;
        let source = self.limited(address);
        if let Some(source) = source {
            let address = self.address(now, source)?;
            if limits.connections_per_ip > 0 && address.connections >= limits.connections_per_ip {
                return Err(address.refuse(now, PLACE_AFTER));
            }
            if limits.joins_per_second > 0 && !address.joins.take(now) {
                return Err(address.refuse(now, RATE_AFTER));
            }
            // Only who is limited counts: a load test on this machine is no flood.
            if limits.accepts_per_second > 0 && !self.accepts.take(now) {
                return Err(Busy::Node { after: RATE_AFTER });
            }
            self.address(now, source)?.connections += 1;
        }
        self.open += 1;
        Ok(Entry { source, is_connection: true })
    }

    /// What was let in is over.
    pub fn handle_gone(&mut self, now: Instant, entry: Entry) {
        self.open = self.open.saturating_sub(1);
        let Some(source) = entry.source else { return };
        let Some(address) = self.addresses.get_mut(&source) else { return };
        let count = if entry.is_connection { &mut address.connections } else { &mut address.sockets };
        *count = count.saturating_sub(1);
        if address.is_forgettable(now) {
            self.addresses.remove(&source);
        }
    }

    /// Addresses that something is remembered of.
    pub fn remembered(&self) -> usize {
        self.addresses.len()
    }

    fn limited(&self, address: IpAddr) -> Option<Source> {
        let is_limited = self.limits.loopback || !address.to_canonical().is_loopback();
        is_limited.then(|| Source::of(address))
    }

    /// What is known of an address; a new one finds room, or the node is busy.
    fn address(&mut self, now: Instant, source: Source) -> Result<&mut Address, Busy> {
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&source) {
            if now < self.forgot + FORGET_EVERY {
                return Err(Busy::Node { after: RATE_AFTER });
            }
            self.forgot = now;
            self.addresses.retain(|_, address| !address.is_forgettable(now));
            if self.addresses.len() >= ADDRESSES_MAX {
                return Err(Busy::Node { after: RATE_AFTER });
            }
        }
        let limits = self.limits;
        let joins_burst =
            if limits.connections_per_ip == 0 { JOINS_BURST } else { limits.connections_per_ip };
        let requests_burst = limits.requests_per_second.saturating_mul(REQUESTS_BURST_SECONDS);
        Ok(self.addresses.entry(source).or_insert_with(|| Address {
            sockets: 0,
            connections: 0,
            joins: Bucket::new(now, limits.joins_per_second, joins_burst),
            requests: Bucket::new(now, limits.requests_per_second, requests_burst),
            refusals: Bucket::new(now, limits.requests_per_second, requests_burst),
        }))
    }
}

#[cfg(test)]
mod tests;
