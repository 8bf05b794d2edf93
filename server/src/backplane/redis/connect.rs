//! The first contact with a Redis: refuses one that would lose matches in silence, and says what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, cmd};
use thiserror::Error;
use tokio::time::timeout;

use super::Timing;
use super::address::{HostPort, Login};
use super::connection::{describe, link_to};
use super::rights::{self, Lacking};
use super::router::{Opened, read_map};
use super::slots::Range;

mod exposure;

/// The oldest Redis that is known to have all that is used.
const VERSION_MIN: (u32, u32) = (6, 2);
/// The oldest Redis Cluster with channels that stay within a shard.
const CLUSTER_VERSION_MIN: (u32, u32) = (7, 0);

/// Where nobody answers.
const ADVICE: &str = "start one there (`redis-server --port <port>`), or correct the address";
/// Where nobody answers over TLS.
const TLS_ADVICE: &str = "it has to listen there with TLS (`tls-port`), with a certificate that is for this very host, \
                          has not expired and is from an authority of --redis-ca, or without that from one that \
                          browsers trust; one that asks for a certificate gets it by --redis-cert and --redis-key";

/// Why this Redis cannot be the backplane, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error(
        "`{url}` is no address of a Redis ({reason}); write redis://[user:password@]host[:port][/database], or \
         redis+sentinel://[user:password@]host:port,host:port/name[/database], or \
         redis+cluster://[user:password@]host:port,host:port; with TLS the first word is rediss"
    )]
    BadUrl {
        /// The address, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The files for TLS cannot be used.
    #[error("{reason}")]
    BadFiles {
        /// Which one, why, and what would do.
        reason: String,
    },
    /// Nobody answers, or nobody who can be believed.
    #[error("no Redis answers at {address} ({reason}); {advice}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the operating system or the server said.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// Nobody knows of a primary.
    #[error("{reason}; start the sentinels and what they watch, or correct the address and the name in it")]
    NoPrimary {
        /// What each of those who were asked said.
        reason: String,
    },
    /// A node of a cluster, or none, where the other was expected.
    #[error("the Redis at {address} is {found}; write {write}")]
    OtherKind {
        /// Host and port.
        address: String,
        /// What it is.
        found: &'static str,
        /// How its address begins.
        write: &'static str,
    },
    /// The user may not do what a node does.
    #[error(
        "the Redis at {address} does not let user `{user}` do what a node does ({reason}); run there: \
         ACL SETUSER {user} ~tickcast:* &tickcast:* {grant}"
    )]
    Forbidden {
        /// Host and port.
        address: String,
        /// Who we are there.
        user: String,
        /// The first refusal, in the server's words.
        reason: String,
        /// The commands that were refused, as ACL SETUSER takes them.
        grant: String,
    },
    /// The server wants another name or password.
    #[error(
        "the Redis at {address} refused the login ({reason}); put the user and the password into the address: \
         redis://user:password@{address}"
    )]
    Login {
        /// Host and port.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// The server is too old.
    #[error("the Redis at {address} is version {version}; {wanted} or newer is needed")]
    TooOld {
        /// The oldest that will do.
        wanted: &'static str,
        /// Host and port.
        address: String,
        /// The version it reported.
        version: String,
    },
    /// The server deletes keys when its memory is full.
    #[error(
        "the Redis at {address} deletes keys when its memory is full (maxmemory-policy {policy}), which would \
         delete running matches; run: redis-cli {target} CONFIG SET maxmemory-policy noeviction"
    )]
    Evicts {
        /// Host and port.
        address: String,
        /// The policy it reported.
        policy: String,
        /// The address as arguments of `redis-cli`.
        target: String,
    },
}

/// What a person should know about a Redis that can be used all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Nothing is written to disk.
    NotPersistent {
        /// The address as arguments of `redis-cli`.
        target: String,
    },
    /// The server does not let us read its settings.
    Unchecked {
        /// The command it refused.
        command: &'static str,
        /// What it said.
        reason: String,
    },
    /// Whoever reaches the server may do anything there.
    Open {
        /// Host and port.
        address: String,
    },
    /// Ways to attack this version are known.
    Unmended {
        /// The version it reported.
        version: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::NotPersistent { target } => write!(
                f,
                "this Redis writes nothing to disk: when it restarts, its matches are gone; run: redis-cli \
                 {target} CONFIG SET appendonly yes"
            ),
            Warning::Unchecked { command, reason } => write!(
                f,
                "this Redis does not allow {command} ({reason}), so its settings were not checked: \
                 maxmemory-policy must be noeviction, and persistence should be on"
            ),
            Warning::Open { address } => write!(
                f,
                "the Redis at {address} wants no password: whoever reaches it can do anything to any match; give it \
                 users (docs/redis-users.acl is what a node needs) and the login into the address"
            ),
            Warning::Unmended { version } => write!(
                f,
                "this Redis is version {version}, which known attacks can take over (CVE-2025-49844 and others; mended in \
                 6.2.20, 7.2.11, 7.4.6, 8.0.4, 8.2.2); a distribution that mends under the old number, as Debian does, \
                 says so in its changelog"
            ),
        }
    }
}

/// What an address says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A server on its own, or the primary of a replica.
    Single,
    /// A master of a cluster.
    ClusterNode,
}

impl Expected {
    /// The command by which such a server publishes.
    pub(super) fn publish(self) -> &'static str {
        match self {
            Expected::Single => "PUBLISH",
            Expected::ClusterNode => "SPUBLISH",
        }
    }

    fn version_min(self) -> ((u32, u32), &'static str) {
        match self {
            Expected::Single => (VERSION_MIN, "6.2"),
            Expected::ClusterNode => (CLUSTER_VERSION_MIN, "7.0"),
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A node: its user must have every right that a node needs, before the first match needs it.
    Serve,
    /// A question or an order of an operator, whose user may have fewer rights.
    Ask,
}

/// Opens the first connection and checks what answers.
pub(super) async fn first_contact(
    client: &Client,
    timing: Timing,
    expected: Expected,
    purpose: Purpose,
) -> Result<(MultiplexedConnection, Vec<Warning>), ConnectError> {
    let address = client.get_connection_info().addr();
    let advice = if matches!(address, ConnectionAddr::TcpTls { .. }) { TLS_ADVICE } else { ADVICE };
    let unreachable = |reason| ConnectError::Unreachable { address: address.to_string(), reason, advice };
    let contact = async {
        let link = link_to(client, timing).await?;
        let info = read_info(link.clone()).await?;
        let save = read_save(link.clone()).await?;
        let lacking = match purpose {
            Purpose::Serve => rights::lacking(link.clone(), expected.publish()).await?,
            Purpose::Ask => Lacking::default(),
        };
        Ok((link, info, save, lacking))
    };
    let (link, info, save, lacking) = match timeout(timing.call_time_max, contact).await {
        Ok(Ok(contact)) => contact,
        Ok(Err(error)) if is_login(&error) => {
            return Err(ConnectError::Login { address: address.to_string(), reason: describe(&error) });
        }
        Ok(Err(error)) => return Err(unreachable(describe(&error))),
        Err(_) => return Err(unreachable(format!("no answer within {:?}", timing.call_time_max))),
    };
    let has_login = client.get_connection_info().redis_settings().password().is_some();
    let mut warnings = match &info {
        Ok(info) => exposure::warnings(address, has_login, info),
        Err(_) => Vec::new(),
    };
    warnings.extend(judge(address, info, save, expected)?);
    let Lacking { commands, reason } = lacking;
    if !commands.is_empty() {
        let user = client.get_connection_info().redis_settings().username().unwrap_or("default").to_owned();
        let grant: Vec<String> = commands.iter().map(|command| format!("+{command}")).collect();
        let (address, grant) = (address.to_string(), grant.join(" "));
        return Err(ConnectError::Forbidden { address, user, reason, grant });
    }
    Ok((link, warnings))
}

/// Asks a node for the map of its cluster, and checks every master. A master that is not there at the moment
/// is checked by nobody: the others go on without it.
pub(super) async fn cluster_contact(
    seed: &HostPort,
    login: &Login,
    timing: Timing,
    purpose: Purpose,
) -> Result<(Vec<Range>, Vec<Opened>, Vec<Warning>), ConnectError> {
    let unreachable =
        |reason| ConnectError::Unreachable { address: seed.to_string(), reason, advice: ADVICE };
    let client_of = |at: &HostPort| login.client(at).map_err(|error| unreachable(describe(&error)));
    let client = client_of(seed)?;
    let (link, _) = first_contact(&client, timing, Expected::ClusterNode, purpose).await?;
    let ranges = match timeout(timing.call_time_max, read_map(seed, link)).await {
        Ok(Ok(ranges)) => ranges,
        Ok(Err(error)) => return Err(unreachable(describe(&error))),
        Err(_) => return Err(unreachable(format!("no answer within {:?}", timing.call_time_max))),
    };
    let (mut opened, mut warnings): (Vec<Opened>, Vec<Warning>) = (Vec::new(), Vec::new());
    for range in &ranges {
        if opened.iter().all(|(address, _, _)| *address != range.master) {
            let client = client_of(&range.master)?;
            match first_contact(&client, timing, Expected::ClusterNode, purpose).await {
                Ok((link, more)) => {
                    opened.push((range.master.clone(), client, link));
                    warnings.extend(more);
                }
                Err(error @ ConnectError::Unreachable { .. }) => tracing::warn!("{error}"),
                Err(error) => return Err(error),
            }
        }
    }
    Ok((ranges, opened, warnings))
}

/// What INFO and `CONFIG GET save` answered: a refusal is a warning.
type Answer<T> = Result<T, Warning>;

fn judge(
    address: &ConnectionAddr,
    info: Answer<BTreeMap<String, String>>,
    save: Answer<String>,
    expected: Expected,
) -> Result<Vec<Warning>, ConnectError> {
    let info = match info {
        Ok(info) => info,
        Err(warning) => return Ok(vec![warning]),
    };
    let value = |name: &str| info.get(name).map_or("", String::as_str);
    let version = value("redis_version");
    let (version_min, wanted) = expected.version_min();
    if parse_version(version).is_some_and(|version| version < version_min) {
        let version = version.to_owned();
        return Err(ConnectError::TooOld { wanted, address: address.to_string(), version });
    }
    let other_kind = match (value("cluster_enabled"), expected) {
        ("1", Expected::Single) => Some(("a node of a Redis Cluster", "redis+cluster://")),
        ("0", Expected::ClusterNode) => Some(("not a node of a Redis Cluster", "redis://")),
        _ => None,
    };
    if let Some((found, write)) = other_kind {
        return Err(ConnectError::OtherKind { address: address.to_string(), found, write });
    }
    let policy = value("maxmemory_policy");
    if value("maxmemory") != "0" && policy != "noeviction" {
        let (address, policy) = (address.to_string(), policy.to_owned());
        let target = redis_cli_target(address.as_str());
        return Err(ConnectError::Evicts { address, policy, target });
    }
    Ok(match save {
        Ok(save) if save.is_empty() && value("aof_enabled") == "0" => {
            vec![Warning::NotPersistent { target: redis_cli_target(&address.to_string()) }]
        }
        Ok(_) => Vec::new(),
        // What it would have told is told by this, too.
        Err(_) if value("aof_enabled") == "1" => Vec::new(),
        Err(warning) => vec![warning],
    })
}

async fn read_info(mut link: MultiplexedConnection) -> RedisResult<Answer<BTreeMap<String, String>>> {
    let text: RedisResult<String> = cmd("INFO").query_async(&mut link).await;
    let pairs = |text: String| text.lines().filter_map(|line| line.split_once(':')).map(owned).collect();
    allowed("INFO", text.map(pairs))
}

async fn read_save(mut link: MultiplexedConnection) -> RedisResult<Answer<String>> {
    let save: RedisResult<Vec<String>> = cmd("CONFIG").arg("GET").arg("save").query_async(&mut link).await;
    allowed("CONFIG", save.map(|pair| pair.into_iter().nth(1).unwrap_or_default()))
}

/// Tells a command that this user may not run, or that this server does not have, from a failure.
fn allowed<T>(command: &'static str, answer: RedisResult<T>) -> RedisResult<Answer<T>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => {
            Ok(Err(Warning::Unchecked { command, reason: describe(&error) }))
        }
        Err(error) => Err(error),
    }
}

fn is_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.trim().to_owned())
}

fn redis_cli_target(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) => format!("-h {host} -p {port}"),
        None => format!("-s {address}"),
    }
}

#[cfg(test)]
mod tests;
