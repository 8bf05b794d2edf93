//! One contract, every backplane: the cases of `cases.rs`, `ownership.rs`, `together.rs`, `channels.rs` and `model.rs`
//! run in memory and on a real Redis, a set of sentinels and a Redis Cluster; `faults.rs` and `failover.rs` are about
//! what only these can do wrong.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harness::redis::{Persistence, RedisServer};
use tickcast_protocol::{Fence, MatchId, Nonce, Tick};
use tickcast_server::backplane::authenticated::Authenticated;
use tickcast_server::backplane::mac::{ClusterMac, MacPolicy};
use tickcast_server::backplane::memory::MemoryBackplane;
use tickcast_server::backplane::redis::{RedisBackplane, Timing};
use tickcast_server::backplane::{
    Backplane, Claim, ClaimReply, Commit, CommitReply, Delivery, Guarded, MatchFields, Release, Subscription,
    fields,
};
use tickcast_server::io::clock;
use tokio::time::timeout;

mod cases;
mod channels;
mod failover;
mod faults;
mod model;
mod ownership;
mod together;

/// For anything to happen that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// A lease that does not expire within a test.
const LONG: Duration = Duration::from_secs(3600);
/// Failed ownerships that the tests' claims allow.
const CRASHES_MAX: u32 = 1_000_000;
/// Ring fields of the tests' matches.
const RING: u64 = 8;

macro_rules! contract {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case(&super::memory_backplane()).await;
                }
            )*
        }
        mod memory_with_a_key {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$module::$case(&super::with_a_key(super::memory_backplane()).await).await;
                }
            )*
        }
        /// Runs every case one after the other on a backplane that `empty` empties before each.
        async fn every_case<B: Backplane>(plane: &B, empty: impl AsyncFn()) {
            $(
                println!("{}", stringify!($case));
                empty().await;
                $module::$case(plane).await;
            )*
        }
        mod redis {
            $(
                #[tokio::test]
                async fn $case() {
                    let (_server, plane) = super::redis_backplane().await;
                    super::$module::$case(&plane).await;
                }
            )*
        }
    };
}

contract! {
    cases::a_match_is_created_once_and_unowned,
    cases::a_claim_makes_a_new_ownership,
    cases::a_held_match_cannot_be_claimed,
    cases::a_released_match_can_be_claimed,
    cases::an_expired_lease_permits_a_claim,
    cases::an_expired_lease_takes_nothing_from_its_owner,
    cases::of_concurrent_claims_one_wins,
    cases::a_commit_writes_all_of_it,
    cases::a_commit_renews_the_lease,
    cases::a_lease_is_written_now_and_then_and_always_long_enough,
    cases::every_refused_commit_changes_and_publishes_nothing,
    cases::a_commit_takes_thousands_of_fields,
    cases::values_are_bytes,
    cases::guarded_operations_refuse_another_fence,
    cases::an_ended_match_is_gone,
    cases::a_list_has_the_fields_that_are_there,
    ownership::a_claim_whose_answer_was_lost_is_answered_again,
    ownership::the_last_ownerships_are_told_with_the_tick_each_began_from,
    ownership::for_a_while_only_the_heir_may_claim,
    ownership::an_heir_that_does_not_come_is_not_waited_for,
    ownership::what_fails_again_and_again_is_quarantined,
    ownership::a_whole_commit_leads_over_ticks_that_the_store_lost,
    ownership::after_a_failover_a_living_owner_is_first,
    ownership::a_whole_commit_is_fenced_and_never_leads_back,
    ownership::one_may_read_a_few_fields,
    ownership::nodes_are_listed_as_they_say,
    ownership::orders_reach_their_node,
    ownership::a_ticket_is_used_once,
    ownership::bans_are_kept_until_they_are_lifted,
    ownership::distrust_tells_everybody_of_a_loss,
    channels::what_is_published_is_what_was_committed,
    channels::a_notice_is_published_but_not_stored,
    channels::inputs_reach_the_owner,
    channels::two_channels_and_two_matches_do_not_mix,
    channels::subscribe_then_load_misses_nothing,
    channels::a_slow_receiver_is_told_of_its_loss,
    channels::a_dropped_subscription_harms_nobody,
    together::of_commits_at_one_moment_each_has_its_own_answer,
    model::agrees_with_the_model,
}

/// A store whose clock goes on by a millisecond whenever somebody looks at it.
fn memory_backplane() -> MemoryBackplane {
    let now_ms = AtomicU64::new(1_700_000_000_000);
    MemoryBackplane::new(Arc::new(move || now_ms.fetch_add(1, Ordering::SeqCst)))
}

/// The same store behind the cluster's key.
async fn with_a_key<B: Backplane>(plane: B) -> Authenticated<B> {
    let keys = "a-key-of-the-contract-0123456789".parse().expect("long enough");
    let mac = ClusterMac { keys, policy: MacPolicy::Require };
    Authenticated::new(plane, Some(mac), Arc::new(clock::unix_ms)).await.expect("a good store")
}

#[tokio::test]
async fn the_contract_holds_behind_a_key() {
    let (server, plane) = redis_backplane().await;
    let plane = with_a_key(plane).await;
    every_case(&plane, async || {
        let () = server.command(&["FLUSHALL"]).await;
    })
    .await;
}

async fn redis_backplane() -> (RedisServer, RedisBackplane) {
    let server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, Timing::default()).await;
    (server, plane)
}

async fn connect(server: &RedisServer, timing: Timing) -> RedisBackplane {
    let (plane, _warnings) = RedisBackplane::connect(&server.url(), timing).await.expect("a good server");
    plane
}

fn id(text: &str) -> MatchId {
    text.parse().expect("a valid id")
}

fn claim_by(node: &str, nonce: u64, lease: Duration) -> Claim {
    Claim {
        node: node.parse().expect("a valid id"),
        nonce: Nonce(nonce),
        unanswered: Vec::new(),
        lease,
        crashes_max: CRASHES_MAX,
    }
}

fn fields_of(pairs: &[(&str, &str)]) -> MatchFields {
    let owned = |(name, value): &(&str, &str)| ((*name).into(), Bytes::from(value.to_string()));
    pairs.iter().map(owned).collect()
}

/// What a tick publishes: its number, then bytes that no text has.
fn message(tick: u64) -> Bytes {
    let mut bytes = tick.to_be_bytes().to_vec();
    bytes.extend([0, 255, b'\r', b'\n', 128]);
    Bytes::from(bytes)
}

fn tick_of(message: &Bytes) -> u64 {
    u64::from_be_bytes(message[..8].try_into().expect("a message begins with its tick"))
}

fn commit_of(fence: Fence, tick: u64) -> Commit {
    Commit {
        fence,
        tick: Tick(tick),
        lease: LONG,
        ring_field: fields::ring(tick, RING),
        message: message(tick),
        set: Vec::new(),
        delete: Vec::new(),
        whole: false,
        again: false,
    }
}

/// A release after which anybody may claim.
fn to_anybody() -> Release {
    Release { heir: None, grace: Duration::ZERO, clean: true }
}

async fn claimed<B: Backplane>(plane: &B, id: &MatchId, claim: Claim) -> (Fence, MatchFields) {
    match plane.claim(id, claim).await.expect("an answer") {
        ClaimReply::Claimed { fence, fields } => (fence, fields),
        other => panic!("not claimed: {other:?}"),
    }
}

/// A new match and its owner.
async fn owned<B: Backplane>(plane: &B, name: &str) -> (MatchId, Fence) {
    let id = id(name);
    assert!(plane.create(&id, fields_of(&[(fields::GAME, "pong")])).await.expect("an answer"));
    let (fence, _) = claimed(plane, &id, claim_by("n1", 0xA1, LONG)).await;
    (id, fence)
}

async fn commit_ok<B: Backplane>(plane: &B, id: &MatchId, commit: &Commit) {
    assert_eq!(plane.commit(id, commit).await.expect("an answer"), CommitReply::Ok);
}

async fn notify_ok<B: Backplane>(plane: &B, id: &MatchId, fence: Fence, text: &'static str) {
    let done = plane.notify(id, fence, Bytes::from_static(text.as_bytes())).await;
    assert_eq!(done.expect("an answer"), Guarded::Done);
}

async fn loaded<B: Backplane>(plane: &B, id: &MatchId) -> MatchFields {
    plane.load(id).await.expect("an answer").expect("a match")
}

async fn next(subscription: &mut Subscription) -> Delivery {
    let delivery = timeout(PATIENCE, subscription.recv()).await.expect("a delivery before the deadline");
    delivery.expect("an open subscription")
}

/// The next delivery is exactly this message.
async fn expect_message(subscription: &mut Subscription, message: &[u8]) {
    assert_eq!(next(subscription).await, Delivery::Message(Bytes::copy_from_slice(message)));
}

/// Waits until a state is reached.
async fn eventually<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    harness::process::wait_until(PATIENCE, what, || {
        let look = reached();
        async move { look.await.then_some(()) }
    })
    .await;
}
