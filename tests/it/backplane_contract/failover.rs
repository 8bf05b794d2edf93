//! Sentinels and a Redis Cluster: the contract holds on both, and nothing is lost in silence when a primary
//! dies or a slot moves.

use std::time::Duration;

use harness::redis::{Persistence, RedisCluster, RedisServer, Sentinels};
use tickcast_protocol::{Fence, MatchId};
use tickcast_server::backplane::redis::{ConnectError, RedisBackplane, Timing};
use tickcast_server::backplane::{Backplane, Channel, Commit, CommitReply, Delivery, Subscription, fields};
use tokio::time::timeout;

use super::{
    LONG, PATIENCE, claim_by, claimed, commit_of, commit_ok, eventually, every_case, fields_of, message,
    next, owned, tick_of,
};

/// Bounds short enough for a test to exceed them.
const QUICK: Timing = Timing {
    call_time_max: Duration::from_millis(800),
    ping_interval: Duration::from_millis(100),
    silence_max: Duration::from_millis(300),
};
/// A failover takes two seconds to be noticed, and some to be agreed on.
const FAILOVER_WITHIN: Duration = Duration::from_secs(20);

/// A message that has been sent has arrived within this.
const QUIET: Duration = Duration::from_millis(100);

async fn connected(url: &str, timing: Timing) -> RedisBackplane {
    RedisBackplane::connect(url, timing).await.expect("a good store").0
}

async fn empty(servers: &[&RedisServer]) {
    for server in servers {
        let () = server.command(&["FLUSHALL"]).await;
    }
}

/// Repeats a commit with the same bytes until its result is known.
async fn commit_until_known(plane: &RedisBackplane, id: &MatchId, commit: &Commit) -> CommitReply {
    let repeat = async {
        loop {
            match plane.commit(id, commit).await {
                Ok(reply) => return reply,
                Err(refusal) => println!("{refusal}"),
            }
        }
    };
    timeout(PATIENCE, repeat).await.expect("the store comes back before the deadline")
}

/// Reads what there is by now: ticks follow on each other, unless a loss is reported between them. Answers the
/// last tick and whether a loss was reported.
fn follow(subscription: &mut Subscription, mut last: u64) -> (u64, bool) {
    let mut lost = false;
    let mut gap = false;
    while let Ok(delivery) = subscription.try_recv() {
        match delivery {
            Delivery::Lost => (lost, gap) = (true, true),
            Delivery::Message(message) => {
                let tick = tick_of(&message);
                assert!(tick == last + 1 || (gap && tick > last), "{tick} after {last}: lost in silence");
                (last, gap) = (tick, false);
            }
        }
    }
    (last, lost)
}

/// Commits on until what is committed arrives; answers the last tick. The ticks arrive in order, and a gap among
/// them is reported.
async fn until_heard(
    plane: &RedisBackplane,
    (id, fence): (&MatchId, Fence),
    mut committed: u64,
    subscription: &mut Subscription,
    mut heard: u64,
) -> u64 {
    let mut lost = false;
    let flow = async {
        loop {
            committed += 1;
            let reply = commit_until_known(plane, id, &commit_of(fence, committed)).await;
            assert!(matches!(reply, CommitReply::Ok | CommitReply::DupSame), "{committed}: {reply:?}");
            while let Ok(delivery) = timeout(QUIET, subscription.recv()).await {
                match delivery.expect("an open subscription") {
                    Delivery::Lost => lost = true,
                    Delivery::Message(message) => {
                        let tick = tick_of(&message);
                        assert!(tick == heard + 1 || lost, "{tick} after {heard}: lost in silence");
                        (heard, lost) = (tick, false);
                        if heard == committed {
                            return committed;
                        }
                    }
                }
            }
        }
    };
    let heard = timeout(FAILOVER_WITHIN, flow).await;
    let committed = heard.expect("what is committed is heard again before the deadline");
    for tick in committed + 1..=committed + 5 {
        commit_ok(plane, id, &commit_of(fence, tick)).await;
        assert_eq!(next(subscription).await, Delivery::Message(message(tick)));
    }
    committed + 5
}

#[tokio::test]
async fn the_contract_holds_with_sentinels() {
    let set = Sentinels::start().await;
    let plane = connected(&set.url(), Timing::default()).await;
    every_case(&plane, async || empty(&[&set.servers[0]]).await).await;
}

#[tokio::test]
async fn the_contract_holds_in_a_cluster() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let plane = connected(&cluster.url(), Timing::default()).await;
    let masters: Vec<&RedisServer> = cluster.masters.iter().collect();
    every_case(&plane, async || empty(&masters).await).await;
}

#[tokio::test]
async fn commands_and_subscriptions_follow_a_failover() {
    let mut set = Sentinels::start().await;
    let plane = connected(&set.url(), QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let last = until_heard(&plane, (&id, fence), 0, &mut subscription, 0).await;
    set.servers[1].until_caught_up_with(&set.servers[0]).await;
    let old = set.kill_primary().await;
    // Nobody waits for the sentinels: the node finds the new primary by itself.
    let last = until_heard(&plane, (&id, fence), last, &mut subscription, last).await;
    let new = set.until_promoted(old).await;
    assert_eq!(stored_tick(&set.servers[new], &id).await, last);

    // The set goes on without one of the sentinels, and the old primary comes back as a replica.
    set.kill_sentinel(0);
    set.servers[old].start_again().await;
    set.servers[old].until_following().await;
    until_heard(&plane, (&id, fence), last, &mut subscription, last).await;
    assert!(RedisBackplane::connect(&set.url(), QUICK).await.is_ok());
}

#[tokio::test]
async fn a_frozen_primary_is_left_for_the_promoted_one() {
    let set = Sentinels::start().await;
    let plane = connected(&set.url(), QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let last = until_heard(&plane, (&id, fence), 0, &mut subscription, 0).await;
    set.servers[1].until_caught_up_with(&set.servers[0]).await;
    set.servers[0].stop();
    until_heard(&plane, (&id, fence), last, &mut subscription, last).await;
    assert_eq!(set.until_promoted(0).await, 1);
    set.servers[0].cont();
}

#[tokio::test]
async fn a_primary_that_does_not_know_of_its_successor_is_left() {
    let set = Sentinels::start().await;
    let plane = connected(&set.url(), QUICK).await;
    let (id, _) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let successor = RedisServer::start(Persistence::Off).await;
    set.name_another(&successor).await;
    let lost = timeout(FAILOVER_WITHIN, subscription.recv()).await.expect("a report before the deadline");
    assert_eq!(lost, Some(Delivery::Lost));
    eventually("commands have moved too", || async { plane.load(&id).await == Ok(None) }).await;
    let (id, fence) = owned(&plane, "m1").await;
    until_heard(&plane, (&id, fence), 0, &mut subscription, 0).await;
    assert!(stored_tick(&successor, &id).await > 0);
}

async fn stored_tick(server: &RedisServer, id: &MatchId) -> u64 {
    server.command(&["HGET", &fields::key(id), fields::TICK]).await
}

#[tokio::test]
async fn nothing_is_lost_in_silence_when_a_slot_moves() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let plane = connected(&cluster.url(), QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let mut inputs = plane.subscribe(&id, Channel::Input).await.expect("a subscription");
    let mut last = until_heard(&plane, (&id, fence), 0, &mut subscription, 0).await;
    let slot = cluster.slot(&fields::key(&id)).await;
    for _ in 0..3 {
        let from = cluster.master_of(slot).await;
        let slot_move = cluster.begin_move(slot, (from + 1) % 3).await;
        last = until_heard(&plane, (&id, fence), last, &mut subscription, last).await;
        // From here to the end of the move, commits go to the new master and nobody there listens yet.
        assert_eq!(cluster.move_keys(slot_move).await, 1);
        let mut heard = last;
        for tick in last + 1..=last + 5 {
            commit_ok(&plane, &id, &commit_of(fence, tick)).await;
        }
        last += 5;
        heard = follow(&mut subscription, heard).0;
        cluster.end_move(slot_move).await;
        last = until_heard(&plane, (&id, fence), last, &mut subscription, heard).await;
        assert_eq!(stored_tick(&cluster.masters[slot_move.to], &id).await, last);
        let lost = timeout(PATIENCE, inputs.recv()).await.expect("a report");
        assert_eq!(lost, Some(Delivery::Lost), "the other channel of the match has moved too");
    }
}

#[tokio::test]
async fn subscriptions_that_a_master_cuts_are_renewed_and_reported() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let plane = connected(&cluster.url(), QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut first = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let mut second = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let at = cluster.master_of(cluster.slot(&fields::key(&id)).await).await;
    for round in 0..5 {
        assert_eq!(cluster.masters[at].kill_subscribers().await, 1, "one connection carries both");
        for subscription in [&mut first, &mut second] {
            assert_eq!(next(subscription).await, Delivery::Lost);
        }
        commit_ok(&plane, &id, &commit_of(fence, round + 1)).await;
        for subscription in [&mut first, &mut second] {
            assert_eq!(next(subscription).await, Delivery::Message(message(round + 1)));
        }
    }
    // The server is told when nobody listens any more.
    drop((first, second));
    let channel = fields::channel(&id, Channel::Diff);
    eventually("the server forgets the channel", || async {
        let (_name, count): (String, u64) =
            cluster.masters[at].command(&["PUBSUB", "SHARDNUMSUB", &channel]).await;
        count == 0
    })
    .await;
}

#[tokio::test]
async fn connections_to_a_cluster_end_with_the_last_clone() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let plane = connected(&cluster.url(), QUICK).await;
    let (id, _) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    drop(plane);
    assert_eq!(timeout(PATIENCE, subscription.recv()).await, Ok(None));
    for master in &cluster.masters {
        eventually("only this test is connected", || async {
            let list: String = master.command(&["CLIENT", "LIST", "TYPE", "normal"]).await;
            let subscribers: String = master.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
            list.lines().count() == 1 && subscribers.trim().is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_dead_master_is_waited_for_and_the_others_go_on() {
    // A file that is synced once a second is written late while that takes long: a crash may then lose a claim.
    let mut cluster = RedisCluster::start(Persistence::Always).await;
    let plane = connected(&cluster.url(), QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let last = until_heard(&plane, (&id, fence), 0, &mut subscription, 0).await;
    let at = cluster.master_of(cluster.slot(&fields::key(&id)).await).await;
    cluster.masters[at].kill();
    plane.commit(&id, &commit_of(fence, last + 1)).await.expect_err("nobody is there");
    cluster.until_down().await;
    cluster.masters[at].start_again().await;
    cluster.until_served().await;
    let reply = commit_until_known(&plane, &id, &commit_of(fence, last + 1)).await;
    assert!(matches!(reply, CommitReply::Ok | CommitReply::DupSame), "{reply:?}");
    until_heard(&plane, (&id, fence), last + 1, &mut subscription, last).await;
}

#[tokio::test]
async fn the_wrong_kind_of_address_is_explained() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let error = RedisBackplane::connect(&cluster.masters[0].url(), QUICK).await.expect_err("a cluster");
    assert!(matches!(error, ConnectError::OtherKind { .. }), "{error:?}");
    let server = RedisServer::start(Persistence::Off).await;
    let url = server.url().replace("redis://", "redis+cluster://");
    let error = RedisBackplane::connect(&url, QUICK).await.expect_err("no cluster");
    assert!(matches!(error, ConnectError::OtherKind { .. }), "{error:?}");
    let url = server.url().replace("redis://", "redis+sentinel://") + "/matches";
    let error = RedisBackplane::connect(&url, QUICK).await.expect_err("no sentinel");
    assert!(matches!(error, ConnectError::NoPrimary { .. }), "{error:?}");
}

#[tokio::test]
async fn a_match_is_made_and_claimed_while_the_master_of_the_list_is_down() {
    let settings = [("cluster-require-full-coverage", "no")];
    let mut cluster = RedisCluster::start_with(Persistence::Off, &settings).await;
    let plane = connected(&cluster.url(), QUICK).await;
    let index = cluster.master_of(cluster.slot(fields::INDEX_KEY).await).await;
    let mut elsewhere = None;
    for number in 0..100 {
        let id: MatchId = format!("m{number}").parse().expect("an id");
        if cluster.master_of(cluster.slot(&fields::key(&id)).await).await != index {
            elsewhere = Some(id);
            break;
        }
    }
    let id = elsewhere.expect("not all are on one master");
    cluster.masters[index].kill();
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true));
    let (fence, _) = claimed(&plane, &id, claim_by("n1", 1, LONG)).await;
    commit_ok(&plane, &id, &commit_of(fence, 1)).await;
    cluster.masters[index].start_again().await;
    eventually("the match is entered", || async { plane.enter(&id).await.is_ok() }).await;
    let listed = plane.list(&[]).await.expect("an answer");
    assert_eq!(listed.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_lacking_right_is_named_with_its_cure() {
    let server = RedisServer::start(Persistence::Off).await;
    let user = ["ACL", "SETUSER", "node", "on", ">pw", "resetkeys", "~tickcast:*", "resetchannels"];
    let rights = ["&tickcast:*", "+@all", "-hset", "-evalsha", "-publish"];
    let () = server.command(&[&user[..], &rights].concat()).await;
    let url = format!("redis://node:pw@127.0.0.1:{}", server.port());
    let error = RedisBackplane::connect(&url, QUICK).await.expect_err("rights are lacking");
    assert!(matches!(error, ConnectError::Forbidden { .. }), "{error:?}");
    let text = error.to_string();
    let grant = text.split("ACL SETUSER ").nth(1).expect("a cure");
    let words: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(grant.split(' ')).collect();
    assert_eq!(words[2..], ["node", "~tickcast:*", "&tickcast:*", "+hset", "+evalsha", "+publish"], "{text}");
    let () = server.command(&words).await;
    let plane = connected(&url, QUICK).await;
    owned(&plane, "m1").await;
    let left: Vec<String> = server.command(&["KEYS", "*probe*"]).await;
    assert_eq!(left, [""; 0]);
}
