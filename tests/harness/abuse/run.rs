//! A run of the catalogue: nodes on a core of their own, honest bots that are measured beside each row, and phases without
//! abuse before, between and after.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tickcast_protocol::MatchId;
use tickcast_server::io::clock;
use tokio::time::{MissedTickBehavior, interval};

use super::catalogue::{Done, Front, Row, SLOW, SLOW_RAMP};
use super::gauge::{self, Times};
use super::report::{Gaps, Outcome, Phase};
use super::{Target, handshake};
use crate::http::create_match;
use crate::process::{Bots, Node, NodeOptions, wait_until};
use crate::redis::{Persistence, RedisServer};

/// Players of a match.
const PLAYERS: u32 = 10;
/// Addresses that honest bots come from, so that none has more than it may have.
const HONEST_ADDRESSES: u32 = 8;
/// New WebSocket connections of attackers per second, where the attack is not just that: within what a node takes.
const PACE: u32 = 300;
/// The same where it is coming and going.
const CHURN_PACE: u32 = 200;
/// Players of the attackers' match.
const ATTACKERS_MAX: u32 = 64;
/// The core of the nodes, and that of bots, attackers and Redis.
const NODES_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// Bots and Redis go before attackers on their core.
const BOTS_PRIORITY: &str = "10";
const REDIS_PRIORITY: &str = "20";
/// How often the nodes' memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Within this the bots have come home, and the nodes are without connections.
const HOME_WITHIN: Duration = Duration::from_secs(30);
/// Matches without players end after this: longer than bots take to leave and to come again.
const EMPTY_AFTER: &str = "20";
/// Within this attackers' matches have ended.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// Longer than any phase: bots are told when it is over.
const BOTS_SECONDS: &str = "3600";

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Honest bots.
    pub bots: u32,
    /// How long each phase is measured at least.
    pub time: Duration,
    /// Decides what the bots do.
    pub seed: u64,
    /// Two nodes on a Redis in place of one alone.
    pub redis: bool,
}

/// What the rows are driven against.
struct Field {
    plan: Plan,
    nodes: Vec<Arc<Node>>,
    matches: Vec<MatchId>,
    /// Bots and Redis go before attackers.
    has_priority: bool,
    _redis: Option<RedisServer>,
}

/// Drives rows, telling what is done as it is done.
///
/// # Panics
/// When the nodes do not come up, or bots do not play.
pub async fn run(plan: Plan, rows: &[Row], tell: impl Fn(&str)) -> Outcome {
    let field = Field::new(plan.clone(), &tell).await;
    field.warm_up().await;
    let told = |phase: &Phase| tell(&phase.line());
    let mut outcome = Outcome {
        quiet: Vec::new(),
        rows: Vec::new(),
        has_priority: field.has_priority,
        is_timed: !cfg!(debug_assertions),
    };
    let quiet = async |outcome: &mut Outcome| {
        let phase = field.phase(None).await;
        told(&phase);
        outcome.quiet.push(phase);
    };
    quiet(&mut outcome).await;
    for (number, row) in rows.iter().enumerate() {
        if number > 0 && number == rows.len().div_ceil(2) {
            quiet(&mut outcome).await;
        }
        let phase = field.phase(Some(row)).await;
        told(&phase);
        outcome.rows.push(phase);
    }
    for row in rows {
        // Once more what was not well: the machine may have others on it. Both are told.
        if outcome.is_late(row.id) {
            tell(&format!("{} again, for its updates were late", row.id));
            let phase = Phase { is_again: true, ..field.phase(Some(row)).await };
            told(&phase);
            outcome.rows.push(phase);
        }
    }
    quiet(&mut outcome).await;
    outcome
}

impl Field {
    async fn new(plan: Plan, tell: &impl Fn(&str)) -> Field {
        let many = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > LOAD_CORE);
        let is_pinned = many && quiet("taskset", &["--version"]);
        if is_pinned {
            quiet("taskset", &["-a", "-p", "-c", &LOAD_CORE.to_string(), &std::process::id().to_string()]);
        } else {
            tell("one core, or no taskset: nodes, bots and attackers share what there is");
        }
        let has_priority = quiet("chrt", &["-f", BOTS_PRIORITY, "true"]);
        if !has_priority {
            tell("no priority for the bots: that takes root; what they wait for attackers is in the figures");
        }
        let redis = if plan.redis { Some(RedisServer::start(Persistence::Off).await) } else { None };
        if let Some(redis) = redis.as_ref().filter(|_| is_pinned) {
            let pid = redis.pid().to_string();
            quiet("taskset", &["-a", "-p", "-c", &LOAD_CORE.to_string(), &pid]);
            quiet("chrt", &["-a", "-f", "-p", REDIS_PRIORITY, &pid]);
        }
        let names: &[&str] = if plan.redis { &["n1", "n2"] } else { &["n1"] };
        let nodes = names.iter().map(async |name| {
            // Cheats come back at once and again and again: they are told so each time.
            let cheats = ["--strikes", "0", "--resume-seconds", "2"];
            let fixed = ["--node", name, "--limit-loopback", "--log", "warn", "--empty-after", EMPTY_AFTER];
            let args = [&fixed[..], &cheats].concat();
            let args = args.into_iter().map(str::to_owned).collect();
            let redis = redis.as_ref().map(RedisServer::url);
            let core = is_pinned.then_some(NODES_CORE);
            Arc::new(Node::start(NodeOptions { redis, args, core, ..NodeOptions::default() }).await)
        });
        let nodes = join_all(nodes).await;
        let mut matches = Vec::new();
        for number in 0..plan.bots.div_ceil(PLAYERS) as usize {
            // Room for the next bots while the last ones leave.
            let body = json!({ "game": "arena", "options": { "players_max": 2 * PLAYERS } });
            matches.push(create_match(nodes[number % nodes.len()].authority(), &body).await);
        }
        Field { plan, nodes, matches, has_priority, _redis: redis }
    }

    /// Brings the attacked node to as many connections as it will have, so that what its allocator keeps of that is there before the
    /// first phase: what is more after it is a leak.
    async fn warm_up(&self) {
        let target = Target::new(Arc::clone(&self.nodes[0]), self.matches[0].clone()).from_many(PACE);
        handshake::slow(&target, SLOW, SLOW_RAMP).await;
    }

    fn connect_bots(&self) -> Bots {
        let urls: Vec<&str> = self.nodes.iter().map(|node| node.players.as_str()).collect();
        let (players, addresses, seed) =
            (PLAYERS.to_string(), HONEST_ADDRESSES.to_string(), self.plan.seed.to_string());
        let mut args = vec!["--players", &players, "--seconds", BOTS_SECONDS, "--seed", &seed, "--quiet"];
        args.extend(["--source-addresses", &addresses]);
        args.extend(self.matches.iter().flat_map(|id| ["--match-id", id.as_str()]));
        let words: &[&str] = if self.has_priority { &["chrt", "-f", BOTS_PRIORITY] } else { &[] };
        Bots::start(words, &urls, &args)
    }

    async fn connections(&self) -> u64 {
        join_all(self.nodes.iter().map(|node| node.metric("connections"))).await.into_iter().sum()
    }

    async fn until_connections(&self, what: &str, reached: impl Fn(u64) -> bool) {
        let reached = &reached;
        let look = || async move { reached(self.connections().await).then_some(()) };
        wait_until(HOME_WITHIN, what, look).await;
    }

    /// Matches that attackers made are no leak; they end when they have been empty for a while.
    async fn until_matches_ended(&self) {
        let owned = || join_all(self.nodes.iter().map(|node| node.metric("matches_owned")));
        let look =
            || async move { (owned().await.iter().sum::<u64>() == self.matches.len() as u64).then_some(()) };
        wait_until(ENDED_WITHIN, "matches of attackers have ended", look).await;
    }

    fn resident_kb(&self) -> u64 {
        self.nodes.iter().map(|node| gauge::resident_kb(node.pid())).sum()
    }

    fn times(&self) -> Times {
        self.nodes.iter().map(|node| gauge::times(node.pid())).fold(Times::default(), Times::plus)
    }

    /// What a row is driven against: the first node, with a match that nobody is in.
    async fn target(&self, row: &Row) -> Target {
        let body = json!({ "game": "arena", "options": { "players_max": ATTACKERS_MAX } });
        let id = create_match(self.nodes[0].authority(), &body).await;
        let pace = if row.id == "A-29" { CHURN_PACE } else { PACE };
        Target::new(Arc::clone(&self.nodes[0]), id).from_many(pace)
    }

    /// Lets the bots play, with or without abuse, and measures.
    async fn phase(&self, row: Option<&Row>) -> Phase {
        self.until_connections("nobody is connected", |open| open == 0).await;
        let before_kb = self.resident_kb();
        let bots = self.connect_bots();
        let all = u64::from(self.plan.bots.div_ceil(PLAYERS) * PLAYERS);
        self.until_connections("all bots are connected", |open| open == all).await;
        let target = match row {
            Some(row) => Some(self.target(row).await),
            None => {
                self.until_matches_ended().await;
                None
            }
        };
        let (begun, times, waits) = (clock::now(), self.times(), gauge::times(bots.pid()));
        let stolen = gauge::stolen_ns(NODES_CORE);
        let end = begun + self.plan.time;
        let driving = async {
            let done = match row.zip(target) {
                Some((row, target)) => row.drive(Front { target, end }).await,
                None => Ok(Done::default()),
            };
            tokio::time::sleep_until(end.into()).await;
            done
        };
        let peak_kb = Cell::new(0);
        let looking = async {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                peak_kb.set(self.resident_kb().max(peak_kb.get()));
            }
        };
        let done = tokio::select! {
            done = driving => done,
            () = looking => unreachable!("it is looked at for as long as the phase is"),
        };
        let took = clock::now() - begun;
        let cpu_ns = self.times().since(times).cpu_ns;
        let bots_wait_us = gauge::times(bots.pid()).since(waits).wait_us();
        let stolen_ns = gauge::stolen_ns(NODES_CORE) - stolen;
        bots.interrupt();
        let report = bots.ended(HOME_WITHIN).await.json;
        self.until_connections("all have gone home", |open| open == 0).await;
        let of_time = |ns: u64| ns as f64 / took.as_nanos() as f64;
        Phase {
            row: row.map_or("quiet", |row| row.id).to_owned(),
            what: row.map_or("no abuse", |row| row.what).to_owned(),
            is_again: false,
            seconds: took.as_secs_f64(),
            done: done.clone().unwrap_or_default(),
            wrong: done.err(),
            gaps: Gaps::of(&report["update_gap_ms"]),
            harm: harm(&report),
            before_kb,
            peak_kb: peak_kb.get(),
            after_kb: self.resident_kb(),
            cpu: of_time(cpu_ns),
            cost_us_max: row.and_then(|row| row.cost_us_max),
            bots_wait_us,
            stolen: of_time(stolen_ns),
        }
    }
}

/// What a report of bots tells that must not be; empty when there is nothing.
fn harm(report: &Value) -> Vec<String> {
    let names = [
        ("checks", "lost_ticks"),
        ("checks", "desyncs"),
        ("checks", "broken_frames"),
        ("checks", "state_mismatches"),
        ("checks", "undone"),
        ("recovery", "lost"),
        ("connections", "failed"),
    ];
    let counts = names.iter().map(|(part, name)| (*name, report[part][name].as_u64()));
    counts
        .filter(|(_, count)| *count != Some(0))
        .map(|(name, count)| match count {
            Some(count) => format!("{count} {name}"),
            None => format!("no count of {name}"),
        })
        .collect()
}

/// Runs a small program of the system; whether it did what it was told.
fn quiet(name: &str, args: &[&str]) -> bool {
    let ran = Command::new(name).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}
