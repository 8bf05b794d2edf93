//! The rows of `docs/abuse.md` that are driven under load: each as hard as it goes, until its time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::io::clock;

use super::handshake::{self, origins_of, status, upgraded};
use super::{Target, WITHIN, frames, identity, inputs, operators};
use crate::http::create_match;
use crate::process::wait_until;

/// Connections of the slow handshakes, and in what time they are opened.
pub(super) const SLOW: u32 = 5000;
pub(super) const SLOW_RAMP: Duration = Duration::from_millis(2500);
/// Others' handshakes take no longer meanwhile, but for one in a hundred.
const HANDSHAKE_P99_MAX: Duration = Duration::from_millis(100);
/// WebSockets on which nothing is said.
const SILENT: usize = 1000;
/// Players that cheat at the same time.
const CHEATS: usize = 25;
/// Those that read nothing, and within what time they are put out.
const NO_READERS: u64 = 50;
const PUT_OUT_WITHIN: Duration = Duration::from_secs(30);
/// Matches between which those that come and go are divided.
const CHURNED: usize = 4;
/// Connections that a flood has under way at the same time.
const FLOOD: usize = 64;
/// Processor time that a request with a head that is too long may take, microseconds.
const HEAD_US_MAX: f64 = 1000.0;

/// What an attack starts from.
#[derive(Clone)]
pub struct Front {
    /// The node, attacked from many addresses, and a match of the attackers' own.
    pub target: Target,
    /// When the attack is to end; what is under way then is brought to its end.
    pub end: Instant,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// How often.
    pub times: u64,
    /// What else was seen.
    pub told: String,
}

type Drive = fn(Front) -> LocalBoxFuture<'static, Done>;

/// A row.
pub struct Row {
    /// Its number in `docs/abuse.md`.
    pub id: &'static str,
    /// What is done.
    pub what: &'static str,
    /// Processor time that the node may take for each, microseconds.
    pub cost_us_max: Option<f64>,
    drive: Drive,
}

impl Row {
    /// Does it, and answers what was done.
    ///
    /// # Errors
    /// What was not as it must be.
    pub async fn drive(&self, front: Front) -> Result<Done, String> {
        let driven = std::panic::AssertUnwindSafe((self.drive)(front)).catch_unwind().await;
        driven.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        })
    }
}

/// A row whose attack is made again and again by so many at once.
macro_rules! again {
    ($id:literal, $what:literal, $workers:expr, $times:expr, |$target:ident| $act:expr) => {
        Row {
            id: $id,
            what: $what,
            cost_us_max: None,
            drive: |front| {
                async move {
                    let workers = (0..$workers).map(async |_| {
                        let mut times = 0;
                        while clock::now() < front.end {
                            let $target = &front.target;
                            $act;
                            times += $times;
                        }
                        times
                    });
                    Done { times: join_all(workers).await.into_iter().sum(), told: String::new() }
                }
                .boxed_local()
            },
        }
    };
}

/// Every row.
pub fn rows() -> Vec<Row> {
    let mut rows = before_a_websocket();
    rows.extend(of_frames());
    rows.extend(of_inputs());
    rows.extend(of_identity());
    rows
}

fn before_a_websocket() -> Vec<Row> {
    let slow = |front: Front| slow(front).boxed_local();
    let one = |front: Front| flood(front, true).boxed_local();
    let many = |front: Front| flood(front, false).boxed_local();
    let silent = |front: Front| silent(front).boxed_local();
    let single = |id, what, drive| Row { id, what, cost_us_max: None, drive };
    let long_heads =
        again!("A-02", "heads that are too long, by 8", 8, 5, |target| handshake::long_heads(target).await);
    vec![
        single("A-01", "5,000 slow or silent connections", slow),
        Row { cost_us_max: Some(HEAD_US_MAX), ..long_heads },
        again!("A-03", "requests that are no WebSocket's, by 8", 8, 22, |target| {
            handshake::no_websockets(target).await;
            handshake::behind_an_upgrade(target).await;
        }),
        again!("A-04", "upgrades that fail, by 8", 8, 9, |target| handshake::tunnels(target).await),
        again!("A-05", "foreign origins, by 8", 8, 10, |target| {
            handshake::origins(target, &origins_of(target.authority())).await;
            handshake::foreign_creation(target).await;
        }),
        again!("A-06", "what is no HTTP, by 8", 8, 5, |target| handshake::no_http(target).await),
        single("A-07", "a flood of connections of one address", one),
        single("A-07b", "a flood of connections of many addresses", many),
        single("A-08", "1,000 WebSockets that say nothing", silent),
    ]
}

fn of_frames() -> Vec<Row> {
    let no_readers = |front: Front| no_readers(front).boxed_local();
    let fragments = |front: Front| fragments(front).boxed_local();
    vec![
        again!("A-10", "frames that break a rule, by 16", 16, 24, |target| frames::rules_broken(target)
            .await),
        again!("A-11", "lengths that are too long, by 16", 16, 22, |target| frames::long_lengths(target)
            .await),
        Row { id: "A-12", what: "50 floods of pieces", cost_us_max: None, drive: fragments },
        again!("A-13", "pings and pongs, by 16", 16, 3, |target| frames::pings(target).await),
        Row { id: "A-14", what: "50 that read nothing", cost_us_max: None, drive: no_readers },
        again!("A-15", "connections that end oddly", 1, 31, |target| frames::odd_ends(target).await),
        again!("A-16", "texts, by 8", 8, 1, |target| frames::texts(target).await),
    ]
}

fn of_inputs() -> Vec<Row> {
    vec![
        again!("A-20", "25 players flood with inputs", CHEATS, 1, |target| {
            let mut player = target.join("floods", Join::Match(target.id.clone())).await;
            inputs::flood(&mut player).await;
            target.come_back_and_leave(player).await;
        }),
        again!("A-21", "25 players send odd numbers", CHEATS, 1, |target| {
            let mut player = target.join("jumps", Join::Match(target.id.clone())).await;
            player.plays = false;
            inputs::odd_numbers(&mut player).await;
            player.leave().await;
        }),
        again!("A-22", "25 players send twice too many", CHEATS, 1, |target| {
            let mut player = target.join("hurries", Join::Match(target.id.clone())).await;
            player.plays = false;
            inputs::hurry(&mut player, 60, |_, _| {}).await;
            player.leave().await;
        }),
        again!("A-23", "numbers with a point, by 8", 8, 1, |target| inputs::floats(target).await),
        again!("A-24", "what does not fit, by 8", 8, 1, |target| inputs::misfits(target).await),
        again!("A-25", "25 players want everything at once", CHEATS, 1, |target| {
            inputs::greed(target, 60).await;
        }),
    ]
}

fn of_identity() -> Vec<Row> {
    let churn = |front: Front| churn(front).boxed_local();
    let labels = |front: Front| labels(front).boxed_local();
    vec![
        Row { id: "A-29", what: "200 come and go per second", cost_us_max: None, drive: churn },
        again!("A-30", "players act for another, by 4", 4, 1, |target| identity::spoofing(target).await),
        again!("A-31", "ids that are none, by 4", 4, 1, |target| identity::odd_ids(target).await),
        again!("A-32", "guesses of ids, by 8", 8, 3, |target| identity::guesses(target).await),
        again!("A-35", "names that do more, each in a match", 1, 9, |target| {
            let own = Target { id: own_match(target, 16).await, ..target.clone() };
            identity::odd_names(&own, 0).await;
        }),
        Row { id: "A-36", what: "ids and names of one's own", cost_us_max: None, drive: labels },
        again!("A-37", "the operators' port under other names, by 8", 8, 29, |target| {
            operators::rebound(target).await;
        }),
    ]
}

/// Another match of the attackers' own, for so many.
pub async fn own_match(target: &Target, players_max: i64) -> MatchId {
    let body = json!({ "game": "arena", "options": { "players_max": players_max } }).to_string();
    let (status, body) = target.ask("POST", "/v1/matches", "", &body).await;
    assert_eq!(status, 201, "{body}");
    let id = serde_json::from_str::<serde_json::Value>(&body).ok();
    let id = id.and_then(|body| body["id"].as_str()?.parse().ok());
    id.unwrap_or_else(|| panic!("no id: {body}"))
}

async fn slow(front: Front) -> Done {
    let target = &front.target;
    let slow = handshake::slow(target, SLOW, SLOW_RAMP);
    let without = join_all((0..50).map(|_| handshake::idle_and_bodiless(target)));
    let others = handshake::handshakes(target, front.end);
    let ((), _, took) = tokio::join!(slow, without, others);
    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    assert!(p99 < HANDSHAKE_P99_MAX, "others' handshakes: p99 {p99:?} of {}", took.len());
    let told = format!("others' handshakes: p99 {:.1} ms", p99.as_secs_f64() * 1000.0);
    Done { times: u64::from(SLOW), told }
}

/// Connections as fast as they go, of one address or of many.
async fn flood(front: Front, is_one: bool) -> Done {
    let authority = front.target.authority();
    let workers = (0..FLOOD).map(async |_| {
        let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
        while clock::now() < front.end {
            let source = if is_one { "127.10.0.1".to_owned() } else { front.target.source().to_string() };
            let told = upgraded(&source, authority, &[]).await;
            *statuses.entry(status(&told)).or_default() += 1;
            told.0.reset();
        }
        statuses
    });
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    for (status, count) in join_all(workers).await.into_iter().flatten() {
        *statuses.entry(status).or_default() += count;
    }
    assert!(statuses.keys().all(|status| [0, 101, 429, 503].contains(status)), "{statuses:?}");
    let refused: u64 = statuses.iter().filter(|(status, _)| **status != 101).map(|(_, count)| count).sum();
    assert!(refused > 0, "nobody was refused: {statuses:?}");
    let again = async || (status(&upgraded("127.11.0.1", authority, &[]).await) == 101).then_some(());
    wait_until(WITHIN, "others are taken soon", again).await;
    let times = statuses.values().sum();
    Done { times, told: format!("answers {statuses:?}") }
}

async fn silent(front: Front) -> Done {
    join_all((0..SILENT).map(|_| handshake::silent(&front.target))).await;
    Done { times: SILENT as u64, told: String::new() }
}

async fn fragments(front: Front) -> Done {
    let target = &front.target;
    let floods = async {
        let mut times = 0;
        while clock::now() < front.end {
            frames::fragment_floods(target).await;
            times += 4 * frames::FLOODERS as u64;
        }
        times
    };
    let (times, _) = tokio::join!(floods, join_all((0..8).map(|_| frames::endless_messages(target))));
    Done { times, told: String::new() }
}

async fn no_readers(front: Front) -> Done {
    let body = json!({ "game": "arena", "options": { "drones": 900 } });
    let target = Target { id: create_match(front.target.authority(), &body).await, ..front.target };
    let join = Join::Spectate(target.id.clone());
    frames::no_readers(&target, join, NO_READERS, PUT_OUT_WITHIN).await;
    Done { times: NO_READERS, told: String::new() }
}

async fn churn(front: Front) -> Done {
    let target = &front.target;
    let before = target.node.metric("connections").await;
    let ids = join_all((0..CHURNED).map(|_| own_match(target, 64))).await;
    let matches = ids.into_iter().map(async |id| {
        let target = Target { id, ..target.clone() };
        let mut times = 0;
        while clock::now() < front.end {
            identity::come_and_go(&target, 40).await;
            times += 40;
        }
        times
    });
    let times = join_all(matches).await.into_iter().sum();
    identity::all_gone(target, before).await;
    Done { times, told: String::new() }
}

async fn labels(front: Front) -> Done {
    // The row may be driven again while the matches of its first time are there.
    let id = front.target.id.as_str();
    let begin = format!("label-{}", &id[id.len().saturating_sub(8)..]);
    identity::labels(&front.target, &begin, 10).await;
    Done { times: 11, told: String::new() }
}
