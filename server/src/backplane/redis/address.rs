//! The address of the store as a person writes it: one Redis, a set of sentinels, or a Redis Cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};
use rustls::ClientConfig;

use super::Timing;
use super::connect::ConnectError;
use super::connection::describe;
use super::security::{SecurityFiles, address_like};

const SECOND: Duration = Duration::from_secs(1);

/// An address that has been understood.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// One server.
    Single(Client),
    /// Those who know which server is the primary.
    Sentinels {
        /// The name by which they know it.
        name: String,
        /// Where they are.
        sentinels: Vec<HostPort>,
        /// How to connect to the server they name.
        login: Login,
    },
    /// Some of a cluster's nodes, who know of the others.
    Cluster {
        /// Where they are.
        seeds: Vec<HostPort>,
        /// How to connect to each node.
        login: Login,
    },
}

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Everything about a connection but where it leads.
#[derive(Debug, Clone)]
pub(super) struct Login {
    info: ConnectionInfo,
    /// For connections that are not the crate's; `None` speaks no TLS.
    tls: Option<Arc<ClientConfig>>,
}

impl Login {
    /// A client of one server.
    pub(super) fn client(&self, at: &HostPort) -> Result<Client, RedisError> {
        let address = address_like(self.info.addr(), &at.host, at.port);
        Client::open(self.info.clone().set_addr(address))
    }

    /// The same without name and password.
    pub(super) fn anonymous(&self) -> Login {
        let bare = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
        Login { info: self.info.clone().set_redis_settings(bare), tls: self.tls.clone() }
    }

    /// What a connection of our own speaks TLS with, if it does.
    pub(super) fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.clone()
    }

    /// The words of AUTH, if there is a password.
    pub(super) fn auth(&self) -> Option<Vec<String>> {
        let settings = self.info.redis_settings();
        let password = settings.password()?.to_owned();
        Some(settings.username().map(str::to_owned).into_iter().chain([password]).collect())
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl HostPort {
    /// Reads what stands after the last colon as the port.
    pub(super) fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid =
            |host: &&str| !host.is_empty() && (bare.is_some() || !host.contains([':', '[', ']', '/']));
        let host = Some(bare.unwrap_or(host)).filter(valid)?;
        Some(HostPort { host: host.to_owned(), port: port.parse().ok().filter(|port| *port > 0)? })
    }
}

impl Address {
    /// Reads an address.
    pub(super) fn parse(url: &str, files: &SecurityFiles, timing: Timing) -> Result<Address, ConnectError> {
        let bad = |reason: String| ConnectError::BadUrl { url: without_password(url), reason };
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let is_secure = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
        if !is_secure && files.are_given() {
            let reason = "--redis-ca, --redis-cert and --redis-key are for TLS: write rediss in place of redis in the \
                          address, or leave them out";
            return Err(ConnectError::BadFiles { reason: reason.to_owned() });
        }
        // The crate would take `#insecure` as leave to believe anybody.
        if url.contains('#') {
            return Err(bad("it has a `#`, which is %23 in a password".to_owned()));
        }
        let bad_files = |reason| ConnectError::BadFiles { reason };
        let security = files.load().map_err(bad_files)?;
        let login = |plain: String| -> Result<Login, ConnectError> {
            let info = info(&plain, timing).map_err(bad)?;
            if !is_secure {
                return Ok(Login { info, tls: None });
            }
            let tls = Some(security.config().map_err(bad_files)?);
            Ok(Login { info: security.secure(info).map_err(bad_files)?, tls })
        };
        let single = if is_secure { "rediss" } else { "redis" };
        if let "redis+sentinel" | "rediss+sentinel" = scheme {
            let (user, hosts, path) = parts(rest);
            let (name, database) = path.split_once('/').unwrap_or((path, "0"));
            if name.is_empty() {
                return Err(bad("the name of the primary is missing".to_owned()));
            }
            let sentinels = addresses(hosts).map_err(bad)?;
            let login = login(format!("{single}://{user}{}/{database}", sentinels[0]))?;
            return Ok(Address::Sentinels { name: name.to_owned(), sentinels, login });
        }
        if let "redis+cluster" | "rediss+cluster" = scheme {
            let (user, hosts, path) = parts(rest);
            if !["", "0"].contains(&path) {
                return Err(bad("a cluster has no databases".to_owned()));
            }
            let seeds = addresses(hosts).map_err(bad)?;
            let login = login(format!("{single}://{user}{}", seeds[0]))?;
            return Ok(Address::Cluster { seeds, login });
        }
        let client = Client::open(login(url.to_owned())?.info);
        client.map(Address::Single).map_err(|error| bad(describe(&error)))
    }
}

/// The login with its `@`, the hosts, and what stands after them.
fn parts(rest: &str) -> (&str, &str, &str) {
    let (login, rest) = rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    (login, hosts, path)
}

fn addresses(hosts: &str) -> Result<Vec<HostPort>, String> {
    let parse = |text: &str| HostPort::parse(text).ok_or_else(|| format!("`{text}` is not host:port"));
    hosts.split(',').map(parse).collect()
}

/// What every connection needs besides its address.
fn info(url: &str, timing: Timing) -> Result<ConnectionInfo, String> {
    // The system counts these in whole seconds and refuses 0.
    let keepalive = TcpKeepalive::new()
        .with_time(timing.silence_max.max(SECOND))
        .with_interval(timing.ping_interval.max(SECOND))
        .with_retries(3);
    // Off by default in redis 1.8; without it a commit waits for the acknowledgement of the one before.
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive)
        .set_user_timeout(timing.silence_max);
    let info = url.into_connection_info().map_err(|error| describe(&error))?;
    let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Ok(info.set_tcp_settings(tcp).set_redis_settings(login))
}

/// The address as it may be shown: what stands before the last `@` is left out.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        (None, Some((_, host))) => format!("...@{host}"),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
