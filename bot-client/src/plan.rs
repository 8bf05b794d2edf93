//! The load plan: what the flags ask for, checked once. What is refused here is refused with what to do instead.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tickcast_client::stream::BadTrust;
use tickcast_client::{Target, Trust};
use tickcast_protocol::limits::{TICK_RATE_HZ_MAX, TICK_RATE_HZ_MIN};
use tickcast_protocol::ticket::{Audience, BadKey};
use tickcast_protocol::{MatchId, TickRate};

use crate::issuer::{ApiKey, Issuer};

/// Connections that one source address can have to one place: Linux's range of ephemeral ports.
pub const CONNECTIONS_PER_SOURCE_MAX: u64 = 28_000;
/// Connections of one plan.
const CONNECTIONS_MAX: u64 = 1_000_000;

/// The flags, as they were written.
#[derive(Debug, Parser)]
#[command(
    name = "tickcast-bots",
    version,
    about = "Load-test bots for tickcast: real WebSocket clients that play, verify and measure",
    long_about = "Creates matches, lets bots play them, and checks every state they receive: ticks without a hole, \
                  state hashes, and that all clients of a match hold the same state at the same tick. Times are \
                  measured once all bots have joined.",
    after_help = "Exit code: 0 all checks and thresholds passed, 1 a check, a connection or a threshold failed, \
                  2 the flags make no sense."
)]
pub struct Flags {
    /// A node's address, ws://HOST:PORT[/PATH] or wss://HOST[:PORT][/PATH]; repeat it to spread the players of each match over nodes
    #[arg(
        long = "url",
        value_name = "URL",
        env = "TICKCAST_BOTS_URL",
        value_delimiter = ',',
        default_value = "ws://127.0.0.1:7777"
    )]
    urls: Vec<Target>,
    /// File with the authorities (PEM) that say who a node with wss:// is [default: those that browsers trust]
    #[arg(long, value_name = "FILE", env = "TICKCAST_BOTS_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// Matches to create
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    matches: u32,
    /// Players per match
    #[arg(long, value_name = "P", default_value_t = 8, value_parser = clap::value_parser!(u32).range(..=100_000))]
    players: u32,
    /// Spectators per match
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    spectators: u32,
    /// Seconds to measure, once all bots have joined
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Seed of all bots' decisions
    #[arg(long, value_name = "N", env = "TICKCAST_BOTS_SEED", default_value_t = 1)]
    seed: u64,
    /// Game of the created matches
    #[arg(long, value_name = "NAME", default_value = "arena")]
    game: String,
    /// Ticks per second of the created matches; the game's own rate when left out
    #[arg(long, value_name = "HZ")]
    tick_rate: Option<u64>,
    /// An option of the created matches, NAME=VALUE with an integer; may be repeated
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = parse_option)]
    options: Vec<(String, i64)>,
    /// Join this existing match instead of creating one; may be repeated
    #[arg(long = "match-id", value_name = "ID", conflicts_with_all = ["matches", "game", "tick_rate", "options"])]
    match_ids: Vec<MatchId>,
    /// Key of the server's tickets, as its --ticket-key; the first of two makes them. In the environment it is not in the
    /// list of processes. Without it bots come as guests
    #[arg(long, value_name = "KEY", env = "TICKCAST_TICKET_KEY", hide_env_values = true)]
    ticket_key: Option<String>,
    /// Key for backends of the server, as its --api-key, to create matches where they need it
    #[arg(long, value_name = "KEY", env = "TICKCAST_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// What the server's cluster is called in tickets
    #[arg(long, value_name = "NAME", env = "TICKCAST_AUDIENCE", default_value = "tickcast")]
    audience: Audience,
    /// Connections opened per second
    #[arg(long, value_name = "R", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ramp_per_second: u32,
    /// Processes to share the work; their results are merged
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    processes: u32,
    /// Bind the sockets to N addresses from 127.0.0.1 on, in turn: for more than 28,000 connections to this machine
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=250))]
    source_addresses: u32,
    /// Count frames instead of decoding them: cheaper bots, fewer checks and no latencies
    #[arg(long)]
    light: bool,
    /// Count ticks that a snapshot jumps over as merged, not as lost: a server may send one instead of a catch-up to
    /// a client that reads too slowly
    #[arg(long)]
    allow_slow_clients: bool,
    /// Let players say a line now and then, and check that each arrives at everybody once and in order. For matches of
    /// bots alone
    #[arg(long, conflicts_with = "light")]
    chat: bool,
    /// Seconds in which a bot that lost its connection tries to be the same player again, on each of the URLs in turn;
    /// 0 never tries
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=3600))]
    reconnect_seconds: u32,
    /// Fail when the 99th percentile of input latency is above this
    #[arg(long, value_name = "MS")]
    max_p99_latency_ms: Option<f64>,
    /// Fail when the longest gap between two updates is above this
    #[arg(long, value_name = "MS")]
    max_gap_ms: Option<f64>,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Append what every bot sees and sends to this file, for `tickcast check`. All processes append to this one file,
    /// a line at a time; with --light there is nothing to write
    #[arg(long, value_name = "FILE", conflicts_with = "light")]
    history: Option<PathBuf>,
    /// No progress bar and no table: only the verdict, and whatever goes wrong
    #[arg(long)]
    quiet: bool,
    /// Take orders on standard input: how a process with `--processes` starts the others
    #[arg(long, hide = true)]
    pub worker: bool,
}

/// What a run fails on besides a broken promise of the server.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Thresholds {
    /// Greatest 99th percentile of input latency, milliseconds.
    pub p99_latency_ms_max: Option<f64>,
    /// Greatest gap between two updates, milliseconds.
    pub gap_ms_max: Option<f64>,
}

/// A plan that can be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The nodes; at least one.
    pub targets: Vec<Target>,
    /// Who may say who they are, where they speak TLS; `None` trusts whom browsers trust.
    pub tls_ca: Option<PathBuf>,
    /// How many matches.
    pub matches: u32,
    /// The existing matches to join; empty when they are to be created.
    pub match_ids: Vec<MatchId>,
    /// Players in each match.
    pub players: u32,
    /// Spectators of each match.
    pub spectators: u32,
    /// Seconds to measure.
    pub seconds: u32,
    /// Seed of all decisions.
    pub seed: u64,
    /// Game of created matches.
    pub game: String,
    /// Rate of created matches; the game's own when `None`.
    pub tick_rate: Option<TickRate>,
    /// Options of created matches.
    pub options: BTreeMap<String, i64>,
    /// What the server's backends show; workers create no matches.
    #[serde(skip)]
    pub api_key: Option<ApiKey>,
    /// What bots' tickets are made with; `None` for guests.
    pub issuer: Option<Issuer>,
    /// Connections opened per second by all processes together.
    pub ramp_per_second: u32,
    /// Processes that share the work.
    pub processes: u32,
    /// Source addresses to bind to in turn; 0 leaves the choice to the system.
    pub source_addresses: u32,
    /// Whether frames are counted instead of decoded.
    pub light: bool,
    /// Whether ticks that a snapshot jumps over are merged instead of lost.
    pub slow_clients_allowed: bool,
    /// Whether players talk, and all listen.
    pub chat: bool,
    /// Seconds in which a bot that lost its connection tries to connect again.
    pub reconnect_seconds: u32,
    /// What else a run fails on.
    pub thresholds: Thresholds,
    /// Where the report goes as JSON.
    pub json: Option<PathBuf>,
    /// Where the history goes.
    pub history: Option<PathBuf>,
    /// No progress bar, no table.
    pub quiet: bool,
}

/// Flags that are fine one by one and make no plan together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPlan {
    /// Nobody would connect.
    #[error("nobody would connect: give --players or --spectators at least 1")]
    Nobody,
    /// More than a plan may have.
    #[error("{0} connections are more than {CONNECTIONS_MAX}: lower --matches, --players or --spectators")]
    Connections(u64),
    /// The ports of the source addresses do not suffice.
    #[error(
        "{0} connections need more ports than {CONNECTIONS_PER_SOURCE_MAX} per source address: \
         set --source-addresses {1}"
    )]
    Ports(u64, u64),
    /// Only loopback has the other source addresses.
    #[error(
        "--source-addresses binds to 127.0.0.x, from where {0} cannot be reached: leave it out or use 127.0.0.1"
    )]
    Source(String),
    /// A process would have nothing to do.
    #[error("{0} processes for {1}: set --processes to at most {2}")]
    Processes(u32, &'static str, u32),
    /// Not a tick rate.
    #[error("--tick-rate is {TICK_RATE_HZ_MIN} to {TICK_RATE_HZ_MAX}, not {0}")]
    TickRate(u64),
    /// A threshold that nothing can meet.
    #[error("{0} must be a number of milliseconds above 0")]
    Threshold(&'static str),
    /// A threshold on what is not measured.
    #[error("--light decodes no state, so it has no latency: leave out --light or --max-p99-latency-ms")]
    LightLatency,
    /// Not a key.
    #[error("--ticket-key: {0}")]
    TicketKey(#[from] BadKey),
    /// An option was given twice.
    #[error("--option {0} is given twice")]
    DoubledOption(String),
}

impl Plan {
    /// Whom the bots trust to say who a node is.
    pub fn trust(&self) -> Result<Trust, BadTrust> {
        self.tls_ca.as_deref().map_or_else(|| Ok(Trust::default()), Trust::file)
    }

    /// Connections in each match.
    pub fn members(&self) -> u32 {
        self.players + self.spectators
    }

    /// Connections of the whole plan.
    pub fn connections(&self) -> u64 {
        u64::from(self.matches) * u64::from(self.members())
    }
}

impl TryFrom<Flags> for Plan {
    type Error = BadPlan;
    fn try_from(flags: Flags) -> Result<Plan, BadPlan> {
        let tick_rate = match flags.tick_rate {
            Some(hz) => Some(TickRate::try_from(hz).map_err(|_| BadPlan::TickRate(hz))?),
            None => None,
        };
        let mut options = BTreeMap::new();
        for (name, value) in flags.options {
            if options.insert(name.clone(), value).is_some() {
                return Err(BadPlan::DoubledOption(name));
            }
        }
        let matches = match flags.match_ids.len() {
            0 => flags.matches,
            count => count as u32,
        };
        let plan = Plan {
            targets: flags.urls,
            tls_ca: flags.tls_ca,
            matches,
            match_ids: flags.match_ids,
            players: flags.players,
            spectators: flags.spectators,
            seconds: flags.seconds,
            seed: flags.seed,
            game: flags.game,
            tick_rate,
            options,
            api_key: flags.api_key.filter(|key| !key.is_empty()).map(ApiKey),
            issuer: Issuer::of(flags.ticket_key, flags.audience)?,
            ramp_per_second: flags.ramp_per_second,
            processes: flags.processes,
            source_addresses: flags.source_addresses,
            light: flags.light,
            slow_clients_allowed: flags.allow_slow_clients,
            chat: flags.chat,
            reconnect_seconds: flags.reconnect_seconds,
            thresholds: Thresholds {
                p99_latency_ms_max: flags.max_p99_latency_ms,
                gap_ms_max: flags.max_gap_ms,
            },
            json: flags.json,
            history: flags.history,
            quiet: flags.quiet,
        };
        check(&plan)?;
        Ok(plan)
    }
}

fn check(plan: &Plan) -> Result<(), BadPlan> {
    let connections = plan.connections();
    if connections == 0 {
        return Err(BadPlan::Nobody);
    }
    if connections > CONNECTIONS_MAX {
        return Err(BadPlan::Connections(connections));
    }
    // A port that was bound beforehand is taken for every target, one chosen at connect only for its target.
    let sources = match plan.source_addresses {
        0 => plan.targets.len() as u64,
        bound => u64::from(bound),
    };
    if connections > sources * CONNECTIONS_PER_SOURCE_MAX {
        return Err(BadPlan::Ports(connections, connections.div_ceil(CONNECTIONS_PER_SOURCE_MAX)));
    }
    if let Some(far) = plan.targets.iter().find(|target| plan.source_addresses > 0 && !target.is_loopback()) {
        return Err(BadPlan::Source(far.authority()));
    }
    let (what, most) = match plan.matches {
        1 => ("one match's members", plan.members()),
        _ => ("the matches or the members of each", plan.matches.max(plan.members())),
    };
    if plan.processes > most {
        return Err(BadPlan::Processes(plan.processes, what, most));
    }
    check_thresholds(plan)
}

fn check_thresholds(plan: &Plan) -> Result<(), BadPlan> {
    let thresholds = plan.thresholds;
    let given =
        [("--max-p99-latency-ms", thresholds.p99_latency_ms_max), ("--max-gap-ms", thresholds.gap_ms_max)];
    for (name, value) in given {
        if value.is_some_and(|ms| !ms.is_finite() || ms <= 0.0) {
            return Err(BadPlan::Threshold(name));
        }
    }
    if plan.light && thresholds.p99_latency_ms_max.is_some() {
        return Err(BadPlan::LightLatency);
    }
    Ok(())
}

fn parse_option(text: &str) -> Result<(String, i64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for example pickups=40")?;
    let value =
        value.parse().map_err(|_| format!("the value of `{name}` must be an integer, not `{value}`"))?;
    match name {
        "" => Err("the name before `=` is missing".to_owned()),
        _ => Ok((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of these flags, or the message that a person gets.
    fn plan(flags: &str) -> Result<Plan, String> {
        let words = std::iter::once("tickcast-bots").chain(flags.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        Plan::try_from(flags).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_is_one_match_on_this_machine() {
        let plan = plan("").unwrap();
        assert_eq!((plan.matches, plan.players, plan.spectators, plan.seconds), (1, 8, 0, 10));
        assert_eq!(plan.targets[0].websocket_url(), "ws://127.0.0.1:7777/ws");
        assert_eq!((plan.game.as_str(), plan.tick_rate, plan.connections()), ("arena", None, 8));
    }

    #[test]
    fn everything_given_arrives() {
        let plan = plan(
            "--url ws://127.0.0.1:1 --url http://127.0.0.1:2 --matches 3 --players 4 --spectators 2 --seconds 5 \
             --seed 9 --game grid --tick-rate 60 --option pickups=40 --option walls=-1 --ramp-per-second 50 \
             --processes 2 --source-addresses 3 --max-p99-latency-ms 80 --max-gap-ms 250.5 --json out.json \
             --allow-slow-clients --reconnect-seconds 7 --quiet \
             --ticket-key 0123456789abcdef0123456789abcdef",
        )
        .unwrap();
        assert_eq!((plan.targets.len(), plan.connections(), plan.processes), (2, 18, 2));
        assert_eq!(plan.options, BTreeMap::from([("pickups".to_owned(), 40), ("walls".to_owned(), -1)]));
        assert_eq!(plan.tick_rate.map(TickRate::hz), Some(60));
        assert!(plan.slow_clients_allowed);
        assert_eq!(plan.reconnect_seconds, 7);
        assert_eq!(plan.thresholds, Thresholds { p99_latency_ms_max: Some(80.0), gap_ms_max: Some(250.5) });
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan, "a worker gets the same plan");
    }

    #[test]
    fn existing_matches_are_joined() {
        let plan = plan("--match-id a1 --match-id b2 --players 0 --spectators 3").unwrap();
        assert_eq!((plan.matches, plan.connections()), (2, 6));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = |flags: &str, hint: &str| {
            let message = plan(flags).expect_err(flags);
            assert!(message.contains(hint), "{flags}: {message}");
        };
        refused("--players 0", "--players or --spectators");
        refused("--matches 100 --players 20000", "lower --matches");
        refused("--matches 1000 --players 50", "--source-addresses 2");
        refused("--url ws://far:7777 --source-addresses 2", "leave it out");
        refused("--processes 9", "at most 8");
        refused("--tick-rate 500", "10 to 128");
        refused("--option pickups", "NAME=VALUE");
        refused("--option pickups=many", "must be an integer");
        refused("--option a=1 --option a=2", "twice");
        refused("--max-gap-ms 0", "above 0");
        refused("--light --max-p99-latency-ms 5", "leave out --light");
        refused("--url 127.0.0.1:7777", "ws://HOST:PORT");
        refused("--match-id a1 --option a=1", "cannot be used with");
        refused("--match-id not/one", "A-Z");
        refused("--light --history h.jsonl", "cannot be used with");
        refused("--seconds 0", "1..=86400");
        refused("--ticket-key short", "at least 32");
    }

    #[test]
    fn more_connections_fit_more_addresses() {
        assert!(plan("--matches 1000 --players 50 --source-addresses 2").is_ok());
        assert!(plan("--matches 1000 --players 50 --url ws://a:1 --url ws://b:1").is_ok());
    }
}
