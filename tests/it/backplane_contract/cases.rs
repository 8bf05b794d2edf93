//! What is stored: creation, ownership, commits and their refusals.

use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::{Epoch, Fence, Nonce, Tick};
use tickcast_server::backplane::{
    Backplane, Channel, ClaimReply, Commit, CommitReply, Delivery, FieldName, Guarded, LEASE_AHEAD_MAX,
    MatchFields, fields,
};
use tokio::task::JoinSet;

use super::{
    LONG, claim_by, claimed, commit_of, commit_ok, eventually, expect_message, fields_of, id, loaded,
    message, next, notify_ok, owned, to_anybody,
};

/// Entities of the largest commit; Lua's `unpack` fails at a fifth of its values.
const ENTITIES: usize = 5000;

pub(super) async fn a_match_is_created_once_and_unowned<B: Backplane>(plane: &B) {
    let id = id("m1");
    let given = [(fields::GAME, "pong"), (fields::OWNER, "thief"), (fields::EPOCH, "7"), ("ball:0", "x")];
    assert_eq!(plane.load(&id).await, Ok(None));
    assert_eq!(plane.create(&id, fields_of(&given)).await, Ok(true));
    assert_eq!(plane.create(&id, fields_of(&[(fields::GAME, "chess")])).await, Ok(false));

    let expected = fields_of(&[
        (fields::GAME, "pong"),
        ("ball:0", "x"),
        (fields::OWNER, ""),
        (fields::EPOCH, "0"),
        (fields::NONCE, "0000000000000000"),
        (fields::LEASE_MS, "0"),
        (fields::TICK, "0"),
        (fields::SNAPSHOT_TICK, "0"),
        (fields::STATUS, "open"),
        (fields::CRASHES, "0"),
    ]);
    assert_eq!(loaded(plane, &id).await, expected);
}

pub(super) async fn a_claim_makes_a_new_ownership<B: Backplane>(plane: &B) {
    let id = id("m1");
    assert_eq!(plane.claim(&id, claim_by("n1", 1, LONG)).await, Ok(ClaimReply::NoMatch));
    assert_eq!(plane.create(&id, fields_of(&[("ball:0", "x")])).await, Ok(true));

    let before = plane.now_ms().await.expect("an answer");
    let (fence, hash) = claimed(plane, &id, claim_by("n1", 0xBEEF, LONG)).await;
    let after = plane.now_ms().await.expect("an answer");

    assert_eq!(fence, Fence { epoch: Epoch(1), nonce: Nonce(0xBEEF) });
    assert_eq!(hash, loaded(plane, &id).await);
    assert_eq!(fields::fence(&hash), Some(fence));
    assert_eq!(fields::text(&hash, fields::OWNER), Some("n1"));
    assert_eq!(fields::text(&hash, "ball:0"), Some("x"));
    let lease_ms = fields::number(&hash, fields::LEASE_MS).expect("a lease");
    let long_ms = LONG.as_millis() as u64;
    assert!((before + long_ms..=after + long_ms).contains(&lease_ms));
}

pub(super) async fn a_held_match_cannot_be_claimed<B: Backplane>(plane: &B) {
    let (id, _) = owned(plane, "m1").await;
    let before = loaded(plane, &id).await;
    match plane.claim(&id, claim_by("n2", 2, LONG)).await {
        Ok(ClaimReply::Held { left }) => assert!(LONG / 2 < left && left <= LONG, "{left:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(loaded(plane, &id).await, before);
}

pub(super) async fn a_released_match_can_be_claimed<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    assert_eq!(
        plane.release(&id, fence, &to_anybody(), Bytes::from_static(b"free")).await,
        Ok(Guarded::Done)
    );
    let hash = loaded(plane, &id).await;
    assert_eq!(fields::number(&hash, fields::LEASE_MS), Some(0));
    assert_eq!(fields::text(&hash, fields::OWNER), Some(""));
    let (second, _) = claimed(plane, &id, claim_by("n2", 2, LONG)).await;
    assert_eq!(second, Fence { epoch: Epoch(2), nonce: Nonce(2) });
    assert_eq!(plane.commit(&id, &commit_of(fence, 1)).await, Ok(CommitReply::Fenced));
}

pub(super) async fn an_expired_lease_permits_a_claim<B: Backplane>(plane: &B) {
    let id = id("m1");
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true));
    let (first, _) = claimed(plane, &id, claim_by("n1", 1, Duration::from_millis(200))).await;
    let id = &id;
    eventually("the lease expires", || async move {
        match plane.claim(id, claim_by("n2", 2, LONG)).await.expect("an answer") {
            ClaimReply::Claimed { fence, .. } => {
                assert_eq!(fence, Fence { epoch: Epoch(2), nonce: Nonce(2) });
                true
            }
            ClaimReply::Held { left } => {
                assert!(left <= Duration::from_millis(200));
                false
            }
            reply => panic!("{reply:?}"),
        }
    })
    .await;
    assert_eq!(plane.commit(id, &commit_of(first, 1)).await, Ok(CommitReply::Fenced));
}

pub(super) async fn an_expired_lease_takes_nothing_from_its_owner<B: Backplane>(plane: &B) {
    let id = id("m1");
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true));
    let (fence, hash) = claimed(plane, &id, claim_by("n1", 1, Duration::from_millis(1))).await;
    let lease_ms = fields::number(&hash, fields::LEASE_MS).expect("a lease");
    eventually("the lease expires", || async { plane.now_ms().await.expect("an answer") > lease_ms }).await;
    commit_ok(plane, &id, &commit_of(fence, 1)).await;
    let reply = plane.claim(&id, claim_by("n2", 2, LONG)).await;
    assert!(matches!(reply, Ok(ClaimReply::Held { .. })), "the commit has renewed the lease: {reply:?}");
}

pub(super) async fn of_concurrent_claims_one_wins<B: Backplane>(plane: &B) {
    let id = id("m1");
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true));
    let mut claims = JoinSet::new();
    for nonce in 1..=8 {
        let (plane, id) = (plane.clone(), id.clone());
        claims.spawn(async move { plane.claim(&id, claim_by("n1", nonce, LONG)).await.expect("an answer") });
    }
    let mut fences = Vec::new();
    for reply in claims.join_all().await {
        match reply {
            ClaimReply::Claimed { fence, .. } => fences.push(fence),
            ClaimReply::Held { .. } => {}
            reply => panic!("{reply:?}"),
        }
    }
    assert_eq!(fences.len(), 1, "{fences:?}");
    assert_eq!(fields::fence(&loaded(plane, &id).await), Some(fences[0]));
}

pub(super) async fn a_commit_writes_all_of_it<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let set = fields_of(&[("ball:0", "x"), ("ball:1", "y"), (fields::HASH, "0badcafe")]);
    commit_ok(plane, &id, &Commit { set: set.into_iter().collect(), ..commit_of(fence, 1) }).await;
    let before = loaded(plane, &id).await;

    let second = Commit {
        set: vec![("ball:1".into(), Bytes::from_static(b"z"))],
        delete: vec!["ball:0".into(), "ball:9".into()],
        ..commit_of(fence, 2)
    };
    commit_ok(plane, &id, &second).await;

    let hash = loaded(plane, &id).await;
    let committed_ms = fields::number(&hash, fields::COMMITTED_MS).expect("a time");
    let mut expected = before;
    expected.remove(&b"ball:0"[..]);
    expected.insert("ball:1".into(), Bytes::from_static(b"z"));
    expected.insert("~d2".into(), message(2));
    expected.extend(fields_of(&[
        (fields::TICK, "2"),
        (fields::COMMITTED_MS, &committed_ms.to_string()),
        (fields::LEASE_MS, &(committed_ms + second.lease_longest().as_millis() as u64).to_string()),
    ]));
    assert_eq!(hash, expected);
}

pub(super) async fn a_commit_renews_the_lease<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    commit_ok(plane, &id, &Commit { lease: 2 * LONG, ..commit_of(fence, 1) }).await;
    match plane.claim(&id, claim_by("n2", 2, LONG)).await {
        Ok(ClaimReply::Held { left }) => {
            assert!(LONG < left && left <= 2 * LONG + LEASE_AHEAD_MAX, "{left:?}");
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_lease_is_written_now_and_then_and_always_long_enough<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let lease = Duration::from_millis(800);
    let mut written = Vec::new();
    for tick in 1.. {
        let full = if tick % 2 == 0 { vec!["ball:9".into()] } else { Vec::new() };
        let commit = Commit { lease, delete: full, ..commit_of(fence, tick) };
        let early = plane.now_ms().await.expect("an answer");
        commit_ok(plane, &id, &commit).await;
        let hash = loaded(plane, &id).await;
        written.push(committed_within(plane, &hash, &commit, early).await);
        let changes = written.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if changes >= 3 {
            assert!(changes + 1 < written.len(), "every tick wrote it: {written:?}");
            break;
        }
    }
}

/// When the lease was written, by a commit that began at this time or before it: the lease is as long as it must be.
async fn committed_within<B: Backplane>(plane: &B, hash: &MatchFields, commit: &Commit, early: u64) -> u64 {
    let late = plane.now_ms().await.expect("an answer");
    let ms = |time: Duration| time.as_millis() as u64;
    let (lease_ms, longest_ms) = (ms(commit.lease), ms(commit.lease_longest()));
    let until = fields::number(hash, fields::LEASE_MS).expect("a lease");
    let committed_ms = fields::number(hash, fields::COMMITTED_MS).expect("a time");
    assert!((early + lease_ms..=late + longest_ms).contains(&until), "{until} at {early} to {late}");
    assert!((early - (longest_ms - lease_ms)..=late).contains(&committed_ms), "{committed_ms} at {early}");
    assert_eq!(until, committed_ms + longest_ms, "both are written together");
    committed_ms
}

pub(super) async fn every_refused_commit_changes_and_publishes_nothing<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    for tick in 1..=5 {
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
    }
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let before = loaded(plane, &id).await;

    let other_epoch = Fence { epoch: Epoch(fence.epoch.0 + 1), ..fence };
    let lower_epoch = Fence { epoch: Epoch(fence.epoch.0 - 1), ..fence };
    let other_nonce = Fence { nonce: Nonce(fence.nonce.0 + 1), ..fence };
    let other_message = Commit { message: Bytes::from_static(b"other"), ..commit_of(fence, 5) };
    let refused = [
        (commit_of(other_epoch, 6), CommitReply::Fenced),
        (commit_of(lower_epoch, 6), CommitReply::Fenced),
        (commit_of(other_nonce, 6), CommitReply::Fenced),
        (commit_of(other_nonce, 5), CommitReply::Fenced),
        (commit_of(fence, 5), CommitReply::DupSame),
        (other_message, CommitReply::DupDiff),
        (commit_of(fence, 7), CommitReply::Behind(Tick(5))),
        (commit_of(fence, 700), CommitReply::Behind(Tick(5))),
        (commit_of(fence, 4), CommitReply::Stale(Tick(5))),
    ];
    for (commit, reply) in refused {
        let plain = Commit { set: vec![("ball:0".into(), Bytes::from_static(b"leak"))], ..commit };
        let full = Commit { delete: vec![fields::GAME.into()], ..plain.clone() };
        let again = Commit { again: true, ..plain.clone() };
        for commit in [plain, full, again] {
            assert_eq!(plane.commit(&id, &commit).await, Ok(reply.clone()), "{commit:?}");
            assert_eq!(loaded(plane, &id).await, before, "{commit:?}");
        }
    }
    let absent = super::id("absent");
    assert_eq!(plane.commit(&absent, &commit_of(fence, 1)).await, Ok(CommitReply::NoMatch));
    assert_eq!(plane.load(&absent).await, Ok(None));

    notify_ok(plane, &id, fence, "the first thing to be published").await;
    expect_message(&mut subscription, b"the first thing to be published").await;
}

pub(super) async fn a_commit_takes_thousands_of_fields<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let name = |index: usize| FieldName::from(format!("ball:{index}"));
    let set = |tick: u64| (0..ENTITIES).map(|index| (name(index), message(tick))).collect();
    commit_ok(plane, &id, &Commit { set: set(1), ..commit_of(fence, 1) }).await;
    let hash = loaded(plane, &id).await;
    assert!((0..ENTITIES).all(|index| hash.get(&name(index)[..]) == Some(&message(1))));

    let delete = (0..ENTITIES).map(name).collect();
    commit_ok(plane, &id, &Commit { delete, ..commit_of(fence, 2) }).await;
    let hash = loaded(plane, &id).await;
    assert!(!hash.keys().any(|name| name.starts_with(b"ball:")), "all of them are deleted");

    let given = set(3);
    let big = super::id("big");
    assert_eq!(plane.create(&big, Vec::into_iter(given).collect()).await, Ok(true));
    assert_eq!(loaded(plane, &big).await.keys().filter(|name| name.starts_with(b"ball:")).count(), ENTITIES);
}

pub(super) async fn values_are_bytes<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let all: Bytes = (0..=255).collect();
    let values =
        [all.clone(), Bytes::new(), Bytes::from_static(b"\r\n$3\r\n"), Bytes::from_static(&[0, 0xC3])];
    let set: Vec<(FieldName, Bytes)> = values
        .iter()
        .enumerate()
        .map(|(index, value)| (vec![0xFF, index as u8].into(), value.clone()))
        .collect();
    let commit = Commit { set: set.clone(), message: all.clone(), ..commit_of(fence, 1) };
    commit_ok(plane, &id, &commit).await;
    let hash = loaded(plane, &id).await;
    for (name, value) in &set {
        assert_eq!(hash.get(&name[..]), Some(value));
    }
    assert_eq!(hash.get(&commit.ring_field[..]), Some(&all));
    assert_eq!(next(&mut subscription).await, Delivery::Message(all));
    assert_eq!(plane.commit(&id, &commit).await, Ok(CommitReply::DupSame));
}

pub(super) async fn guarded_operations_refuse_another_fence<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let before = loaded(plane, &id).await;
    let leak = || Bytes::from_static(b"leak");
    let other_epoch = Fence { epoch: Epoch(fence.epoch.0 + 1), ..fence };
    let other_nonce = Fence { nonce: Nonce(fence.nonce.0 + 1), ..fence };
    for (id, fence) in [(&id, other_epoch), (&id, other_nonce), (&super::id("absent"), fence)] {
        assert_eq!(plane.release(id, fence, &to_anybody(), leak()).await, Ok(Guarded::Refused));
        assert_eq!(plane.notify(id, fence, leak()).await, Ok(Guarded::Refused));
        assert_eq!(plane.end(id, fence, leak()).await, Ok(Guarded::Refused));
    }
    assert_eq!(loaded(plane, &id).await, before);
    notify_ok(plane, &id, fence, "first").await;
    expect_message(&mut subscription, b"first").await;
}

pub(super) async fn an_ended_match_is_gone<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let (other, _) = owned(plane, "m2").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    assert_eq!(plane.end(&id, fence, Bytes::from_static(b"over")).await, Ok(Guarded::Done));
    expect_message(&mut subscription, b"over").await;
    assert_eq!(plane.load(&id).await, Ok(None));
    assert_eq!(plane.list(&[]).await, Ok(vec![(other, fields_of(&[]))]));
    assert_eq!(plane.commit(&id, &commit_of(fence, 1)).await, Ok(CommitReply::NoMatch));
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true), "its name is free again");
    assert_eq!(plane.commit(&id, &commit_of(fence, 1)).await, Ok(CommitReply::Fenced));
}

pub(super) async fn a_list_has_the_fields_that_are_there<B: Backplane>(plane: &B) {
    assert_eq!(plane.list(&[fields::GAME]).await, Ok(Vec::new()));
    for (name, players) in [("m3", Some("3")), ("m1", Some("1")), ("m2", None)] {
        let mut given = fields_of(&[(fields::GAME, "pong")]);
        given.extend(players.into_iter().flat_map(|players| fields_of(&[(fields::PLAYERS, players)])));
        assert_eq!(plane.create(&id(name), given).await, Ok(true));
    }
    let both = |players| fields_of(&[(fields::GAME, "pong"), (fields::PLAYERS, players)]);
    let expected =
        vec![(id("m1"), both("1")), (id("m2"), fields_of(&[(fields::GAME, "pong")])), (id("m3"), both("3"))];
    assert_eq!(plane.list(&[fields::PLAYERS, fields::GAME]).await, Ok(expected));
}
