//! Every setting of a node: flag, environment variable, line of the configuration file, default. A flag beats
//! the environment, which beats the file, which beats the default. Checked once; after that it is trusted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command};
use serde::Deserialize;
use thiserror::Error;
use tickcast_protocol::NodeId;
use tickcast_protocol::limits::{HASH_EVERY_TICKS_MAX, RECONNECT_URL_BYTES_MAX};
use tickcast_protocol::ticket::BadKey;

use crate::backplane::mac::ClusterMac;
use crate::backplane::redis::SecurityFiles;
use crate::game::Options;
use crate::io::tls::IdentityFiles;
use crate::logic::joins::Joins;
use crate::logic::secret::Secret;

use self::cluster::RawCluster;
use self::exposure::{Exposure, RawExposure};

pub mod cluster;
pub mod exposure;

/// What a cluster is called in tickets unless it is told another name.
pub const AUDIENCE: &str = "tickcast";

/// The settings as a person writes them; everything may be left out. They hold a secret: no `Debug`.
#[derive(Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSettings {
    /// Address for players: HTTP page, WebSocket `/ws`, API `/v1` [default: 127.0.0.1:7777]
    #[arg(long, env = "TICKCAST_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,

    /// Address for operators: metrics and health; keep it on loopback [default: 127.0.0.1:7778]
    #[arg(long, env = "TICKCAST_OPS_LISTEN", value_name = "ADDR:PORT")]
    ops_listen: Option<SocketAddr>,

    /// Certificate chain (PEM) that the players' port shows: it speaks TLS then, https:// and wss://. Read again when it
    /// changes [default: none, no TLS]
    #[arg(long, env = "TICKCAST_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate [default: none]
    #[arg(long, env = "TICKCAST_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Redis that makes this node part of a cluster: redis://127.0.0.1:6379, with sentinels
    /// redis+sentinel://HOST:PORT,HOST:PORT/NAME, a Redis Cluster redis+cluster://HOST:PORT,HOST:PORT; with TLS
    /// the first word is rediss [default: none, everything stays in this process]
    #[arg(long, env = "TICKCAST_REDIS", value_name = "URL")]
    redis: Option<String>,

    /// Certificates (PEM) of the authorities that say who the Redis is, for rediss:// [default: those that browsers trust]
    #[arg(long, env = "TICKCAST_REDIS_CA", value_name = "FILE")]
    redis_ca: Option<PathBuf>,

    /// Certificate (PEM) to show to a Redis that asks for one [default: none]
    #[arg(long, env = "TICKCAST_REDIS_CERT", value_name = "FILE")]
    redis_cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate [default: none]
    #[arg(long, env = "TICKCAST_REDIS_KEY", value_name = "FILE")]
    redis_key: Option<PathBuf>,

    /// Name of this node, shown as the owner of matches [default: a random one]
    #[arg(long, env = "TICKCAST_NODE", value_name = "NAME")]
    node: Option<String>,

    /// Milliseconds after its last tick for which a match stays its owner's [default: 1500]
    #[arg(long, env = "TICKCAST_LEASE_MS", value_name = "MS")]
    lease_ms: Option<u64>,

    /// Ticks between two snapshots of a match in the store [default: one second's worth]
    #[arg(long, env = "TICKCAST_SNAPSHOT_EVERY", value_name = "TICKS")]
    snapshot_every: Option<u64>,

    /// Ticks between two state hashes in the frames to clients, 1 to 16 [default: 16]
    #[arg(long, env = "TICKCAST_HASH_EVERY", value_name = "TICKS")]
    hash_every: Option<u64>,

    /// Seconds after which a match without players ends [default: 60]
    #[arg(long, env = "TICKCAST_EMPTY_AFTER", value_name = "SECONDS")]
    empty_after: Option<u64>,

    /// Matches this node runs at most [default: 1000]
    #[arg(long, env = "TICKCAST_MATCHES_MAX", value_name = "COUNT")]
    matches_max: Option<usize>,

    /// Connections this node takes at most [default: 10000]
    #[arg(long, env = "TICKCAST_CONNECTIONS_MAX", value_name = "COUNT")]
    connections_max: Option<usize>,

    /// Address under which clients reach this node, for example wss://eu1.example.org/ws: told to clients of a node
    /// that leaves [default: none; they connect to where they would anyway]
    #[arg(long, env = "TICKCAST_ADVERTISE", value_name = "URL")]
    advertise: Option<String>,

    /// Seconds for which a player whose connection broke keeps its place [default: 10]
    #[arg(long, env = "TICKCAST_RESUME_SECONDS", value_name = "SECONDS")]
    resume_seconds: Option<u64>,

    /// Milliseconds that a player's action is judged back in time at most, to what the player was shown; 0 to 1000
    /// [default: 250]
    #[arg(long, env = "TICKCAST_REWIND_MS", value_name = "MS")]
    rewind_ms: Option<u64>,

    /// Milliseconds that ticks which change nothing are held back at most, to be told together; 0 to 4000, 0 sends each
    /// [default: 4000]
    #[arg(long, env = "TICKCAST_QUIET_MS", value_name = "MS")]
    quiet_ms: Option<u64>,

    /// Lines of chat that a player may say per minute, with a burst of 5; 0 is no chat [default: 60]
    #[arg(long, env = "TICKCAST_CHAT_PER_MINUTE", value_name = "COUNT")]
    chat_per_minute: Option<u64>,

    /// Seconds without a tick after which clients of a match are sent away, because this node may be cut off
    /// [default: 30]
    #[arg(long, env = "TICKCAST_STALL_SECONDS", value_name = "SECONDS")]
    stall_seconds: Option<u64>,

    /// Seconds that a node which was told to stop takes at most to hand over its matches and clients [default: 10]
    #[arg(long, env = "TICKCAST_DRAIN_SECONDS", value_name = "SECONDS")]
    drain_seconds: Option<u64>,

    /// Ownerships of a match that may fail one after another before it is quarantined [default: 3]
    #[arg(long, env = "TICKCAST_CRASHES_MAX", value_name = "COUNT")]
    crashes_max: Option<u64>,

    /// Matches that this node claims per second at most [default: 200]
    #[arg(long, env = "TICKCAST_CLAIMS_PER_SECOND", value_name = "COUNT")]
    claims_per_second: Option<u64>,

    /// Milliseconds between two looks for matches that nobody runs [default: 2000]
    #[arg(long, env = "TICKCAST_SWEEP_MS", value_name = "MS")]
    sweep_ms: Option<u64>,

    /// What to log: error, warn, info, debug, or a filter such as tickcast_server=debug [default: info]
    #[arg(long, env = "TICKCAST_LOG", value_name = "FILTER")]
    log: Option<String>,

    /// Secret that operators show to move, end and revive matches and to drain nodes over the operators' port; at least 16
    /// characters. In the environment or the file it is not in the list of processes [default: none, no such orders]
    #[arg(long, env = "TICKCAST_OPERATOR_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    operator_token: Option<String>,

    /// Key that the game's backend makes tickets with, at least 32 characters; while it is changed two of them, the newer one
    /// first and a comma between. With a key nobody joins without a ticket. In the environment or the file it is not in the
    /// list of processes [default: none, everybody is a guest]
    #[arg(long, env = "TICKCAST_TICKET_KEY", value_name = "KEY[,KEY]", hide_env_values = true)]
    ticket_key: Option<String>,

    /// Secret that backends show to use the API under /v1 of the players' port, at least 16 characters; without it the API is
    /// closed where there is a ticket key. In the environment or the file it is not in the list of processes
    /// [default: none]
    #[arg(long, env = "TICKCAST_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,

    /// What this cluster is called in tickets [default: tickcast]
    #[arg(long, env = "TICKCAST_AUDIENCE", value_name = "NAME")]
    audience: Option<String>,

    /// Let in whoever comes without a ticket, although there is a key or the address is not on loopback [default: false]
    #[arg(
        long,
        env = "TICKCAST_GUESTS",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    guests: Option<bool>,

    /// File to which this node appends what it does with its matches, for `tickcast check` [default: none]
    #[arg(long, env = "TICKCAST_HISTORY", value_name = "FILE")]
    history: Option<PathBuf>,

    #[command(flatten)]
    #[serde(flatten)]
    exposure: RawExposure,

    #[command(flatten)]
    #[serde(flatten)]
    cluster: RawCluster,

    /// Options of new matches by game, in the file only: `[games.arena]` and lines such as `drones = 100`
    #[arg(skip)]
    #[serde(default)]
    games: BTreeMap<String, Options>,
}

/// The flags of `tickcast serve`.
#[derive(Clone, Default, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML): the names of the flags with `_` for `-`
    #[arg(long, env = "TICKCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: RawSettings,
}

/// Where `tickcast ticket` has the key from: as a node has it.
#[derive(Clone, Default, Args)]
pub struct TicketArgs {
    /// The node's configuration file
    #[arg(long, env = "TICKCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The node's ticket key; of two the first makes the ticket
    #[arg(long, env = "TICKCAST_TICKET_KEY", value_name = "KEY[,KEY]", hide_env_values = true)]
    ticket_key: Option<String>,

    /// What the cluster is called in tickets [default: tickcast]
    #[arg(long, env = "TICKCAST_AUDIENCE", value_name = "NAME")]
    audience: Option<String>,
}

/// The settings of a node, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address for players.
    pub listen: SocketAddr,
    /// Address for operators.
    pub ops_listen: SocketAddr,
    /// Who it says it is to players; `None` speaks no TLS.
    pub tls: Option<IdentityFiles>,
    /// The cluster's Redis; `None` is memory mode.
    pub redis: Option<String>,
    /// Whom to believe there.
    pub redis_files: SecurityFiles,
    /// What is authenticated there; `None` believes whoever may write.
    pub mac: Option<ClusterMac>,
    /// Name of this node.
    pub node: NodeId,
    /// How long a match stays its owner's after a tick.
    pub lease: Duration,
    /// Ticks between snapshots; `None` is one second's worth.
    pub snapshot_every: Option<u64>,
    /// Ticks between hashes in client frames.
    pub hash_every: u64,
    /// When a match without players ends.
    pub empty_after: Duration,
    /// Matches at most.
    pub matches_max: usize,
    /// Connections at most.
    pub connections_max: usize,
    /// Address for clients of other nodes that leave; empty if none was told.
    pub advertise: String,
    /// How long a player whose connection broke keeps its place.
    pub resume_window: Duration,
    /// How far back a player's action is judged at most.
    pub rewind: Duration,
    /// How long ticks that change nothing are held back at most.
    pub quiet: Duration,
    /// Lines of chat per player and minute; 0 is no chat.
    pub chat_per_minute: u32,
    /// How long a match may stand still before its clients are sent away.
    pub stall_max: Duration,
    /// How long a leaving node takes at most.
    pub drain_max: Duration,
    /// Ownerships that may fail one after another.
    pub crashes_max: u32,
    /// Claims per second.
    pub claims_per_second: u32,
    /// Time between two looks for matches without an owner.
    pub sweep: Duration,
    /// Log filter.
    pub log: String,
    /// What operators show; `None` takes no orders over HTTP.
    pub operator_token: Option<Secret>,
    /// What backends show; `None` closes the API where tickets are needed.
    pub api_key: Option<Secret>,
    /// What it is exposed to.
    pub exposure: Exposure,
    /// Who may join.
    pub joins: Joins,
    /// Where the history goes.
    pub history: Option<PathBuf>,
    /// Options of new matches, by game.
    pub game_options: BTreeMap<String, Options>,
}

/// A setting that cannot be used. The text names it and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadSetting(String);

impl ServeArgs {
    /// Reads the file, if one is named, and checks everything.
    pub fn settings(self) -> Result<Settings, BadSetting> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => RawSettings::default(),
        };
        self.settings.or(file).check()
    }
}

fn read_file(path: &Path) -> Result<RawSettings, BadSetting> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| BadSetting(format!("cannot read the configuration file {shown}: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        let known =
            if error.message().starts_with("unknown field") { known_settings() } else { String::new() };
        BadSetting(format!("configuration file {shown}: {error}{known}"))
    })
}

/// What a file may say.
fn known_settings() -> String {
    let command = RawSettings::augment_args(Command::new("tickcast"));
    let names = command.get_arguments().map(|argument| format!("`{}`, ", argument.get_id()));
    format!("expected one of {}`games`", names.collect::<String>())
}

impl TicketArgs {
    /// What tickets are made with.
    pub fn joins(&self) -> Result<Joins, BadSetting> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => RawSettings::default(),
        };
        let (keys, audience) = (self.ticket_key.clone(), self.audience.clone());
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        joins(loopback, keys.or(file.ticket_key), audience.or(file.audience), None)
    }
}

impl RawSettings {
    fn or(self, file: RawSettings) -> RawSettings {
        RawSettings {
            listen: self.listen.or(file.listen),
            ops_listen: self.ops_listen.or(file.ops_listen),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            redis: self.redis.or(file.redis),
            redis_ca: self.redis_ca.or(file.redis_ca),
            redis_cert: self.redis_cert.or(file.redis_cert),
            redis_key: self.redis_key.or(file.redis_key),
            node: self.node.or(file.node),
            lease_ms: self.lease_ms.or(file.lease_ms),
            snapshot_every: self.snapshot_every.or(file.snapshot_every),
            hash_every: self.hash_every.or(file.hash_every),
            empty_after: self.empty_after.or(file.empty_after),
            matches_max: self.matches_max.or(file.matches_max),
            connections_max: self.connections_max.or(file.connections_max),
            advertise: self.advertise.or(file.advertise),
            resume_seconds: self.resume_seconds.or(file.resume_seconds),
            rewind_ms: self.rewind_ms.or(file.rewind_ms),
            quiet_ms: self.quiet_ms.or(file.quiet_ms),
            chat_per_minute: self.chat_per_minute.or(file.chat_per_minute),
            stall_seconds: self.stall_seconds.or(file.stall_seconds),
            drain_seconds: self.drain_seconds.or(file.drain_seconds),
            crashes_max: self.crashes_max.or(file.crashes_max),
            claims_per_second: self.claims_per_second.or(file.claims_per_second),
            sweep_ms: self.sweep_ms.or(file.sweep_ms),
            log: self.log.or(file.log),
            operator_token: self.operator_token.or(file.operator_token),
            ticket_key: self.ticket_key.or(file.ticket_key),
            api_key: self.api_key.or(file.api_key),
            audience: self.audience.or(file.audience),
            guests: self.guests.or(file.guests),
            history: self.history.or(file.history),
            exposure: self.exposure.or(file.exposure),
            cluster: self.cluster.or(file.cluster),
            games: if self.games.is_empty() { file.games } else { self.games },
        }
    }

    fn check(self) -> Result<Settings, BadSetting> {
        let node = match self.node {
            Some(name) => name.parse().map_err(|error| BadSetting(format!("--node {name}: {error}")))?,
            None => random_node(),
        };
        let within = |name: &str, value: Option<u64>, default: u64, min: u64, max: u64| match value
            .unwrap_or(default)
        {
            value if (min..=max).contains(&value) => Ok(value),
            value => Err(BadSetting(format!("--{name} {value}: it is {min} to {max}"))),
        };
        let count = |name: &str, value: Option<usize>, default: u64| {
            within(name, value.map(|value| value as u64), default, 1, 1_000_000).map(|value| value as usize)
        };
        let seconds = |name: &str, value: Option<u64>, default: u64, min: u64, max: u64| {
            within(name, value, default, min, max).map(Duration::from_secs)
        };
        let snapshot_every = match self.snapshot_every {
            None => None,
            some => Some(within("snapshot-every", some, 1, 1, 2000)?),
        };
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7777)));
        let ops_listen = self.ops_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7778)));
        let operator_token = secret("operator-token", self.operator_token)?;
        let redis = self.redis.filter(|url| !url.is_empty());
        Ok(Settings {
            exposure: self.exposure.check(ops_listen, operator_token.is_some())?,
            listen,
            joins: joins(listen, self.ticket_key, self.audience, self.guests)?,
            ops_listen,
            tls: identity(self.tls_cert, self.tls_key)?,
            mac: self.cluster.check(redis.is_some())?,
            redis,
            redis_files: SecurityFiles { ca: self.redis_ca, cert: self.redis_cert, key: self.redis_key },
            node,
            lease: Duration::from_millis(within("lease-ms", self.lease_ms, 1500, 200, 60_000)?),
            snapshot_every,
            hash_every: within("hash-every", self.hash_every, HASH_EVERY_TICKS_MAX, 1, HASH_EVERY_TICKS_MAX)?,
            empty_after: Duration::from_secs(within("empty-after", self.empty_after, 60, 0, 86_400)?),
            matches_max: count("matches-max", self.matches_max, 1000)?,
            connections_max: count("connections-max", self.connections_max, 10_000)?,
            advertise: advertised(self.advertise)?,
            resume_window: seconds("resume-seconds", self.resume_seconds, 10, 1, 3600)?,
            rewind: Duration::from_millis(within("rewind-ms", self.rewind_ms, 250, 0, 1000)?),
            quiet: Duration::from_millis(within("quiet-ms", self.quiet_ms, 4000, 0, 4000)?),
            chat_per_minute: within("chat-per-minute", self.chat_per_minute, 60, 0, 6000)? as u32,
            stall_max: seconds("stall-seconds", self.stall_seconds, 30, 1, 86_400)?,
            drain_max: seconds("drain-seconds", self.drain_seconds, 10, 0, 3600)?,
            crashes_max: within("crashes-max", self.crashes_max, 3, 1, 1000)? as u32,
            claims_per_second: within("claims-per-second", self.claims_per_second, 200, 1, 100_000)? as u32,
            sweep: Duration::from_millis(within("sweep-ms", self.sweep_ms, 2000, 100, 600_000)?),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            operator_token,
            api_key: secret("api-key", self.api_key)?,
            history: self.history.filter(|path| !path.as_os_str().is_empty()),
            game_options: self.games,
        })
    }
}

fn advertised(url: Option<String>) -> Result<String, BadSetting> {
    let url = url.unwrap_or_default();
    let fits = url.is_empty() || url.starts_with("ws://") || url.starts_with("wss://");
    match fits && url.len() <= RECONNECT_URL_BYTES_MAX {
        true => Ok(url),
        false => Err(BadSetting(format!(
            "--advertise {url}: it begins with ws:// or wss:// and has at most {RECONNECT_URL_BYTES_MAX} bytes"
        ))),
    }
}

fn identity(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<IdentityFiles>, BadSetting> {
    let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    match (given(cert), given(key)) {
        (Some(cert), Some(key)) => Ok(Some(IdentityFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(BadSetting("--tls-cert needs its private key: add --tls-key FILE".to_owned())),
        (None, Some(_)) => Err(BadSetting("--tls-key needs its certificate: add --tls-cert FILE".to_owned())),
    }
}

/// The error does not show the secret.
fn secret(flag: &str, text: Option<String>) -> Result<Option<Secret>, BadSetting> {
    let secret = text.filter(|text| !text.is_empty()).map(|text| Secret::new(&text));
    secret.transpose().map_err(|wrong| BadSetting(format!("--{flag}: {wrong}")))
}

/// Who may join. The errors show no key.
fn joins(
    listen: SocketAddr,
    keys: Option<String>,
    audience: Option<String>,
    guests: Option<bool>,
) -> Result<Joins, BadSetting> {
    let keys = keys.filter(|keys| !keys.is_empty()).map(|keys| keys.parse()).transpose();
    let keys = keys.map_err(|bad: BadKey| BadSetting(format!("--ticket-key: {bad}")))?;
    let audience = audience.unwrap_or_else(|| AUDIENCE.to_owned());
    let audience = audience.parse().map_err(|error| BadSetting(format!("--audience {audience}: {error}")))?;
    let guests = guests.unwrap_or(false);
    if keys.is_none() && !guests && !listen.ip().is_loopback() {
        return Err(BadSetting(format!(
            "--listen {listen}: whoever reaches this address could join. Set TICKCAST_TICKET_KEY to the key that your game's \
             backend makes tickets with (`openssl rand -hex 32` makes one; see \"Who may join\" in docs/operations.md), or \
             say --guests to let everybody in"
        )));
    }
    Ok(Joins { keys, audience, guests })
}

fn random_node() -> NodeId {
    format!("node-{:08x}", rand::random::<u32>()).parse().expect("the form of an id")
}

#[cfg(test)]
mod tests;
