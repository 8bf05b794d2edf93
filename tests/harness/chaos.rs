//! A cluster under load whose nodes are killed, frozen or restarted, and what its players noticed of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::process::{self, BotsRun, Node, NodeOptions, wait_until};
use crate::redis::{Persistence, RedisServer, free_port};

mod watch;

use watch::{Owned, Watch};

/// Within this every match ticks again after a fault, or the run has failed.
const RECOVERED_WITHIN: Duration = Duration::from_secs(20);
/// Within this all bots have joined.
const JOINED_WITHIN: Duration = Duration::from_secs(30);
/// Within this a node that was told to stop has ended.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// What a run's bots play longer than its faults are planned to take.
const SLACK: Duration = Duration::from_secs(6);

/// What is done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node that owns matches is killed, and started again a little later.
    Kill,
    /// A node that owns matches is frozen for longer than a lease, and goes on.
    Freeze,
    /// Redis is killed and started again with what it has on disk.
    Redis,
    /// Each node in turn is told to stop, and started again.
    Rolling,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done.
    pub fault: Fault,
    /// How often; of a rolling restart, how many rounds.
    pub times: u32,
    /// Decides who is hit, and when.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// Matches.
    pub matches: usize,
    /// Players in each.
    pub players: usize,
    /// The lease, milliseconds.
    pub lease_ms: u64,
    /// Where histories are kept.
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// For each fault and each match that it concerned: from the fault to the next tick of another owner, or of the
    /// same where the fault leaves it; milliseconds, ascending.
    pub pauses_ms: Vec<u64>,
    /// Faults that concerned at least one match.
    pub effective: u32,
    /// The bots' report.
    pub bots: BotsRun,
    /// How `tickcast check` judged the histories, and what it wrote.
    pub check: (Option<i32>, String),
}

struct Member {
    node: Node,
    options: NodeOptions,
}

struct Run {
    plan: Plan,
    rng: ChaCha8Rng,
    redis: RedisServer,
    members: Vec<Member>,
    pauses_ms: Vec<u64>,
    effective: u32,
}

/// Runs a plan, telling what is done as it is done.
///
/// # Panics
/// When the cluster does not come up, or a match does not go on.
pub async fn run(plan: Plan, tell: impl Fn(&str)) -> Outcome {
    let redis = RedisServer::start(Persistence::AppendOnly).await;
    let mut members = Vec::new();
    for number in 1..=plan.nodes {
        let options = options(&plan, &redis, number);
        members.push(Member { node: Node::start(options.clone()).await, options });
    }
    tell(&format!("{} nodes and Redis are up, histories in {}", plan.nodes, plan.folder.display()));
    let watch = Watch::start(redis.port());
    let urls: Vec<String> = members.iter().map(|member| member.node.players.clone()).collect();
    let seconds = (plan.fault_time() * plan.times + SLACK).as_secs();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(play(plan.clone(), urls, seconds));
    let matches = plan.matches;
    wait_until(JOINED_WITHIN, "every match has its players", || {
        let (owned, players) = (watch.now(), plan.players as u64);
        async move {
            let full = owned.values().filter(|owned| owned.players == players).count();
            (full >= matches).then_some(())
        }
    })
    .await;
    let rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut run = Run { plan, rng, redis, members, pauses_ms: Vec::new(), effective: 0 };
    for number in 1..=run.plan.times {
        run.rest().await;
        let done = match run.plan.fault {
            Fault::Kill => run.kill(&watch).await,
            Fault::Freeze => run.freeze(&watch).await,
            Fault::Redis => run.restart_redis(&watch).await,
            Fault::Rolling => run.roll(&watch).await,
        };
        tell(&format!("{number} of {}: {done}", run.plan.times));
    }
    tell("waiting for the bots to end");
    let bots = tasks.join_next().await.expect("one task").expect("the bots' task ends");
    run.finish(bots).await
}

impl Plan {
    /// What one fault takes, about.
    fn fault_time(&self) -> Duration {
        let lease = Duration::from_millis(self.lease_ms);
        match self.fault {
            Fault::Kill => Duration::from_millis(2600) + lease,
            Fault::Freeze => Duration::from_millis(2600) + lease * 2,
            Fault::Redis => Duration::from_millis(4500),
            Fault::Rolling => Duration::from_millis(2200) * self.nodes as u32,
        }
    }
}

fn options(plan: &Plan, redis: &RedisServer, number: usize) -> NodeOptions {
    let name = format!("n{number}");
    let listen = format!("127.0.0.1:{}", free_port());
    let history = plan.folder.join(format!("{name}.jsonl")).display().to_string();
    let lease = plan.lease_ms.to_string();
    let advertise = format!("ws://{listen}/ws");
    let flags = ["--lease-ms", &lease, "--history", &history, "--advertise", &advertise, "--log", "warn"];
    // Its address stays the same when it is started again.
    let env = vec![("TICKCAST_LISTEN".to_owned(), listen)];
    NodeOptions { env, ..NodeOptions::named(&name, &redis.url(), &flags) }
}

async fn play(plan: Plan, urls: Vec<String>, seconds: u64) -> BotsRun {
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let history = plan.folder.join("bots.jsonl").display().to_string();
    let numbers = [plan.matches as u64, plan.players as u64, seconds, plan.seed].map(|it| it.to_string());
    let [matches, players, seconds_text, seed] = &numbers;
    let args = [
        "--matches",
        matches,
        "--players",
        players,
        "--seconds",
        seconds_text,
        "--seed",
        seed,
        "--history",
        &history,
    ];
    process::bots_within(&urls, &args, Duration::from_secs(seconds) + process::BOTS_WITHIN).await
}

impl Run {
    /// A pause of a length that the seed decides, so that faults come at any phase of a tick.
    async fn rest(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(900..1500))).await;
    }

    /// A node that owns something, with what it owns.
    fn victim(&mut self, watch: &Watch) -> (usize, BTreeMap<String, Owned>) {
        let owned = watch.now();
        let owner = |index: usize| format!("n{}", index + 1);
        let owners: Vec<usize> = (0..self.members.len())
            .filter(|index| owned.values().any(|owned| owned.owner == owner(*index)))
            .collect();
        let victim = *owners.choose(&mut self.rng).expect("some node owns a match");
        let hit = owned.into_iter().filter(|(_, owned)| owned.owner == owner(victim)).collect();
        (victim, hit)
    }

    /// Waits until all of these matches tick under another owner, and notes how long each took.
    async fn note_takeovers(&mut self, watch: &Watch, since_ms: u64, hit: &BTreeMap<String, Owned>) -> u64 {
        let mut worst = 0;
        for (id, before) in hit {
            let what = format!("match {id} goes on under another owner than {}", before.owner);
            let next = wait_until(RECOVERED_WITHIN, &what, || {
                let first = watch.first_of_next_owner(id, before.epoch);
                async move { first }
            })
            .await;
            let pause = next.saturating_sub(since_ms);
            worst = worst.max(pause);
            self.pauses_ms.push(pause);
        }
        self.effective += u32::from(!hit.is_empty());
        worst
    }

    async fn kill(&mut self, watch: &Watch) -> String {
        let (victim, hit) = self.victim(watch);
        let since_ms = unix_ms();
        self.members[victim].node.kill9();
        let worst = self.note_takeovers(watch, since_ms, &hit).await;
        let options = self.members[victim].options.clone();
        self.members[victim].node = Node::start(options).await;
        format!("killed n{} with {} matches, the last ticked again after {worst} ms", victim + 1, hit.len())
    }

    async fn freeze(&mut self, watch: &Watch) -> String {
        let (victim, hit) = self.victim(watch);
        let since_ms = unix_ms();
        self.members[victim].node.stop();
        let worst = self.note_takeovers(watch, since_ms, &hit).await;
        self.members[victim].node.cont();
        format!("froze n{} with {} matches, the last ticked again after {worst} ms", victim + 1, hit.len())
    }

    async fn restart_redis(&mut self, watch: &Watch) -> String {
        let before = watch.now();
        let since_ms = unix_ms();
        let down = Duration::from_millis(self.rng.random_range(0..1000));
        self.redis.kill();
        tokio::time::sleep(down).await;
        self.redis.start_again().await;
        let mut worst = 0;
        for (id, owned) in &before {
            let what = format!("match {id} goes on after the restart of Redis");
            let next = wait_until(RECOVERED_WITHIN, &what, || {
                let first = watch.first_after(id, owned.tick, since_ms);
                async move { first }
            })
            .await;
            worst = worst.max(next - since_ms);
            self.pauses_ms.push(next - since_ms);
        }
        self.effective += 1;
        format!(
            "killed Redis and started it again {} ms later, the last of {} matches went on after {worst} ms",
            down.as_millis(),
            before.len()
        )
    }

    async fn roll(&mut self, watch: &Watch) -> String {
        for index in 0..self.members.len() {
            let name = format!("n{}", index + 1);
            let hit: BTreeMap<String, Owned> =
                watch.now().into_iter().filter(|(_, owned)| owned.owner == name).collect();
            self.members[index].node.terminate();
            for (id, before) in &hit {
                let what = format!("match {id} goes on under another owner than {name}");
                let gap = wait_until(RECOVERED_WITHIN, &what, || {
                    let gap = watch.gap_before_next_owner(id, before.epoch);
                    async move { gap }
                })
                .await;
                self.pauses_ms.push(gap);
            }
            self.effective += u32::from(!hit.is_empty());
            let status = self.members[index].node.wait_exit(ENDED_WITHIN).await;
            assert!(status.success(), "{name} ended with {status}");
            let options = self.members[index].options.clone();
            self.members[index].node = Node::start(options).await;
        }
        let worst = self.pauses_ms.iter().max().copied().unwrap_or(0);
        format!(
            "restarted {} nodes one after another, longest pause of a match so far {worst} ms",
            self.members.len()
        )
    }

    async fn finish(mut self, bots: BotsRun) -> Outcome {
        self.members.clear();
        self.pauses_ms.sort_unstable();
        let check = check(&self.plan.folder).await;
        Outcome { pauses_ms: self.pauses_ms, effective: self.effective, bots, check }
    }
}

async fn check(folder: &Path) -> (Option<i32>, String) {
    let mut command = process::program("tickcast");
    command.arg("check");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of the histories is there")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect();
    files.sort();
    let ended = process::run({
        command.args(files);
        command
    })
    .await;
    (ended.code, ended.out + &ended.err)
}

impl Outcome {
    /// A pause that this part of the pauses does not exceed.
    pub fn pause_ms(&self, part: f64) -> u64 {
        let rank = (part * self.pauses_ms.len() as f64).ceil() as usize;
        self.pauses_ms.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// Whether everything was as promised: nothing lost, nothing undone, nobody gone, every fault effective.
    pub fn is_good(&self, plan: &Plan) -> bool {
        let wanted = if plan.fault == Fault::Rolling { plan.times * plan.nodes as u32 } else { plan.times };
        let rolled = plan.fault == Fault::Rolling && self.effective > 0;
        self.bots.status.success() && self.check.0 == Some(0) && (rolled || self.effective == wanted)
    }

    /// For a person.
    pub fn text(&self, plan: &Plan) -> String {
        let mut out = String::new();
        let (p50, p99, max) = (self.pause_ms(0.5), self.pause_ms(0.99), self.pause_ms(1.0));
        let pauses = self.pauses_ms.len();
        let _ = writeln!(out, "{}", self.check.1.trim_end());
        let _ = writeln!(out, "faults with an effect: {}", self.effective);
        let _ = writeln!(out, "pause of a match, ms: p50 {p50}, p99 {p99}, max {max} ({pauses} pauses)");
        let json = &self.bots.json;
        for name in ["desyncs", "lost_ticks", "undone", "resets", "state_mismatches"] {
            let _ = writeln!(out, "{name}: {}", json["checks"][name]);
        }
        let _ = writeln!(out, "recovery: {}", json["recovery"]);
        let _ = writeln!(out, "players away, ms: {}", json["time_away_ms"]);
        let _ = writeln!(out, "{}", if self.is_good(plan) { "PASSED" } else { "FAILED" });
        out
    }

    /// For a program.
    pub fn json(&self, plan: &Plan) -> Value {
        json!({
            "passed": self.is_good(plan),
            "seed": plan.seed,
            "effective_faults": self.effective,
            "pause_ms": { "p50": self.pause_ms(0.5), "p99": self.pause_ms(0.99), "max": self.pause_ms(1.0) },
            "pauses": self.pauses_ms.len(),
            "check_code": self.check.0,
            "bots": self.bots.json,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "what was done is set against Redis's clock")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as u64
}
