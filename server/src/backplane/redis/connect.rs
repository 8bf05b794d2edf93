//! The first contact with a Redis: refuses one that would lose matches in silence, and says what to do about it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult, cmd,
};
use thiserror::Error;
use tokio::time::timeout;

use super::Timing;
use super::connection::{self, describe};

/// The oldest Redis that is known to have all that is used.
const VERSION_MIN: (u32, u32) = (6, 2);
const SECOND: Duration = Duration::from_secs(1);

/// Why this Redis cannot be the backplane, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The address cannot be read.
    #[error(
        "`{url}` is no address of a Redis ({reason}); write redis://[user:password@]host[:port][/database]"
    )]
    BadUrl {
        /// The address, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers.
    #[error(
        "no Redis answers at {address} ({reason}); start one there (`redis-server --port <port>`), or correct \
         the address"
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the operating system or the server said.
        reason: String,
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
    #[error("the Redis at {address} is version {version}; 6.2 or newer is needed")]
    TooOld {
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
        }
    }
}

/// A client of this address, with the settings every connection needs.
pub(super) fn client(url: &str, timing: Timing) -> Result<Client, ConnectError> {
    let bad =
        |error: RedisError| ConnectError::BadUrl { url: without_password(url), reason: describe(&error) };
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
    let info = url.into_connection_info().map_err(bad)?;
    let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Client::open(info.set_tcp_settings(tcp).set_redis_settings(login)).map_err(bad)
}

/// Opens the first connection and checks what answers.
pub(super) async fn first_contact(
    client: &Client,
    timing: Timing,
) -> Result<(MultiplexedConnection, Vec<Warning>), ConnectError> {
    let address = client.get_connection_info().addr();
    let unreachable = |reason| ConnectError::Unreachable { address: address.to_string(), reason };
    let contact = async {
        let link = connection::open(client, timing).await?;
        let info = read_info(link.clone()).await?;
        let save = read_save(link.clone()).await?;
        Ok((link, info, save))
    };
    let (link, info, save) = match timeout(timing.call_time_max, contact).await {
        Ok(Ok(contact)) => contact,
        Ok(Err(error)) if is_login(&error) => {
            return Err(ConnectError::Login { address: address.to_string(), reason: describe(&error) });
        }
        Ok(Err(error)) => return Err(unreachable(describe(&error))),
        Err(_) => return Err(unreachable(format!("no answer within {:?}", timing.call_time_max))),
    };
    let warnings = judge(address, info, save)?;
    Ok((link, warnings))
}

/// What INFO and `CONFIG GET save` answered: a refusal is a warning.
type Answer<T> = Result<T, Warning>;

fn judge(
    address: &ConnectionAddr,
    info: Answer<BTreeMap<String, String>>,
    save: Answer<String>,
) -> Result<Vec<Warning>, ConnectError> {
    let info = match info {
        Ok(info) => info,
        Err(warning) => return Ok(vec![warning]),
    };
    let value = |name: &str| info.get(name).map_or("", String::as_str);
    let version = value("redis_version");
    if parse_version(version).is_some_and(|version| version < VERSION_MIN) {
        return Err(ConnectError::TooOld { address: address.to_string(), version: version.to_owned() });
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
