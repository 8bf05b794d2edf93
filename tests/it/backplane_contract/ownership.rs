//! Who owns a match next, how a store that lost writes is mended, and what nodes know of each other.

use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Epoch, Fence, Nonce, Tick};
use tickcast_server::backplane::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, Delivery, FieldName, Guarded, Release, fields,
};

use super::{
    LONG, RING, claim_by, claimed, commit_of, commit_ok, eventually, expect_message, fields_of, id, loaded,
    message, next, owned, to_anybody,
};

fn free() -> Bytes {
    Bytes::from_static(b"free")
}

fn to_n2(grace: Duration) -> Release {
    Release { heir: Some("n2".parse().expect("a valid id")), grace, clean: true }
}

pub(super) async fn a_claim_whose_answer_was_lost_is_answered_again<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    commit_ok(plane, &id, &commit_of(fence, 1)).await;
    let before = loaded(plane, &id).await;
    let (again, hash) = claimed(plane, &id, claim_by("n1", fence.nonce.0, LONG)).await;
    assert_eq!(again, fence);
    assert_eq!((&hash, &loaded(plane, &id).await), (&before, &before), "nothing changes");
    commit_ok(plane, &id, &commit_of(fence, 2)).await;
    let before = loaded(plane, &id).await;
    // A later try with a nonce of its own carries that of the first.
    let unanswered = vec![Nonce(77), fence.nonce];
    let (again, hash) = claimed(plane, &id, Claim { unanswered, ..claim_by("n1", 78, LONG) }).await;
    assert_eq!((again, &hash), (fence, &before), "nothing changes");
    let other = plane.claim(&id, Claim { unanswered: vec![Nonce(77)], ..claim_by("n1", 78, LONG) }).await;
    assert!(matches!(other, Ok(ClaimReply::Held { .. })), "{other:?}");
}

pub(super) async fn the_last_ownerships_are_told_with_the_tick_each_began_from<B: Backplane>(plane: &B) {
    let (id, mut fence) = owned(plane, "m1").await;
    let mut told = vec![fields::claim_entry(fence, 0)];
    for round in 1..=20 {
        commit_ok(plane, &id, &commit_of(fence, round)).await;
        assert_eq!(plane.release(&id, fence, &to_anybody(), free()).await, Ok(Guarded::Done));
        let (next, hash) = claimed(plane, &id, claim_by("n1", 100 + round, LONG)).await;
        fence = next;
        told.push(fields::claim_entry(fence, round));
        let kept = &told[told.len().saturating_sub(fields::CLAIMS_KEPT)..];
        assert_eq!(fields::text(&hash, fields::CLAIMS), Some(kept.join(" ").as_str()));
    }
}

pub(super) async fn for_a_while_only_the_heir_may_claim<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    assert_eq!(plane.release(&id, fence, &to_n2(LONG), free()).await, Ok(Guarded::Done));
    expect_message(&mut subscription, b"free").await;
    let early = plane.claim(&id, claim_by("n3", 3, LONG)).await;
    assert!(matches!(early, Ok(ClaimReply::Held { left }) if left > LONG / 2), "{early:?}");
    let (second, hash) = claimed(plane, &id, claim_by("n2", 2, LONG)).await;
    assert_eq!(second, Fence { epoch: Epoch(2), nonce: Nonce(2) });
    assert_eq!(fields::text(&hash, fields::HEIR), None, "an heir is one once");
    let late = plane.claim(&id, claim_by("n2", 4, LONG)).await;
    assert!(matches!(late, Ok(ClaimReply::Held { .. })), "{late:?}");
}

pub(super) async fn an_heir_that_does_not_come_is_not_waited_for<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let release = to_n2(Duration::from_millis(100));
    assert_eq!(plane.release(&id, fence, &release, free()).await, Ok(Guarded::Done));
    let id = &id;
    eventually("the grace is over", || async move {
        matches!(plane.claim(id, claim_by("n3", 3, LONG)).await, Ok(ClaimReply::Claimed { .. }))
    })
    .await;
    let heir = plane.claim(id, claim_by("n2", 2, LONG)).await;
    assert!(matches!(heir, Ok(ClaimReply::Held { .. })), "it came too late: {heir:?}");
}

pub(super) async fn what_fails_again_and_again_is_quarantined<B: Backplane>(plane: &B) {
    let id = id("m1");
    assert_eq!(plane.create(&id, fields_of(&[])).await, Ok(true));
    let claim = |nonce| Claim { crashes_max: 3, ..claim_by("n1", nonce, LONG) };
    let failed = Release { clean: false, ..to_anybody() };
    for nonce in 1..=3 {
        let (fence, _) = claimed(plane, &id, claim(nonce)).await;
        assert_eq!(plane.release(&id, fence, &failed, free()).await, Ok(Guarded::Done));
    }
    assert_eq!(plane.claim(&id, claim(4)).await, Ok(ClaimReply::Quarantined));
    assert_eq!(fields::text(&loaded(plane, &id).await, fields::STATUS), Some(fields::QUARANTINED));
    assert_eq!(plane.claim(&id, Claim { crashes_max: 100, ..claim(5) }).await, Ok(ClaimReply::Quarantined));

    assert_eq!(plane.revive(&id).await, Ok(Guarded::Done));
    assert_eq!(plane.revive(&id).await, Ok(Guarded::Refused), "it is not quarantined any more");
    // A failure, then an ownership that ends well: all is forgotten.
    for (nonce, release) in [(6, &failed), (7, &to_anybody()), (8, &failed), (9, &failed), (10, &failed)] {
        let (fence, _) = claimed(plane, &id, claim(nonce)).await;
        assert_eq!(plane.release(&id, fence, release, free()).await, Ok(Guarded::Done));
    }
    assert_eq!(plane.claim(&id, claim(11)).await, Ok(ClaimReply::Quarantined));
}

pub(super) async fn a_whole_commit_leads_over_ticks_that_the_store_lost<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "led").await;
    let old = [("ball:0", "x"), ("ball:7", "gone since"), ("~seat:1", "old"), ("~prior", "old")];
    let set = fields_of(&old).into_iter().collect();
    commit_ok(plane, &id, &Commit { set, ..commit_of(fence, 1) }).await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let lost = commit_of(fence, 9);
    assert_eq!(plane.commit(&id, &lost).await, Ok(CommitReply::Behind(Tick(1))));
    let set = fields_of(&[("ball:0", "y"), ("~seat:2", "new"), (fields::HASH, "0badcafe")]);
    let whole = Commit { set: set.into_iter().collect(), whole: true, ..lost.clone() };
    let before = loaded(plane, &id).await;
    commit_ok(plane, &id, &whole).await;
    expect_message(&mut subscription, &message(9)).await;

    let hash = loaded(plane, &id).await;
    let text = |name: &str| fields::text(&hash, name);
    assert_eq!(
        (text("ball:0"), text("~seat:2"), text(fields::HASH)),
        (Some("y"), Some("new"), Some("0badcafe"))
    );
    for stale in ["ball:7", "~seat:1", "~prior"] {
        assert_eq!(text(stale), None, "{stale}");
    }
    let rings = |(name, _): &(&FieldName, &Bytes)| name.starts_with(b"~d");
    let rings: Vec<_> = hash.iter().filter(rings).collect();
    assert_eq!(rings, [(&fields::ring(9, RING), &message(9))]);
    for kept in [fields::GAME, fields::STATUS, fields::OWNER, fields::EPOCH, fields::NONCE, fields::CRASHES] {
        assert_eq!(text(kept), fields::text(&before, kept), "{kept}");
    }
    assert_eq!(plane.commit(&id, &whole).await, Ok(CommitReply::DupSame));
    assert_eq!(plane.commit(&id, &lost).await, Ok(CommitReply::DupSame), "it is the same tick");
    commit_ok(plane, &id, &commit_of(fence, 10)).await;
}

pub(super) async fn after_a_failover_a_living_owner_is_first<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    // What a store holds that was another one when the lease was granted; the lease is over.
    let brief = |fence, tick| Commit { lease: Duration::ZERO, ..commit_of(fence, tick) };
    let elsewhere = |fence| Commit {
        set: fields_of(&[(fields::HISTORY, "elsewhere")]).into_iter().collect(),
        ..brief(fence, 1)
    };
    commit_ok(plane, &id, &elsewhere(fence)).await;
    let other = claim_by("n2", 7, LONG);
    assert_eq!(
        plane.claim(&id, other.clone()).await,
        Ok(ClaimReply::Held { left: LONG }),
        "the owner has a turn"
    );
    let left = plane.claim(&id, other.clone()).await;
    assert!(
        matches!(left, Ok(ClaimReply::Held { left }) if left > Duration::ZERO),
        "as long as a lease: {left:?}"
    );
    // It comes, and is gone.
    commit_ok(plane, &id, &brief(fence, 2)).await;
    let (_, hash) = claimed(plane, &id, other).await;
    assert_ne!(fields::text(&hash, fields::HISTORY), Some("elsewhere"), "one turn it is");

    // An owner that was itself told of the trouble leaves nothing to wait for, nor does one that gave the match up.
    for (name, again, whole) in [("m2", true, false), ("m3", false, true)] {
        let (id, fence) = owned(plane, name).await;
        commit_ok(plane, &id, &Commit { again, whole, ..elsewhere(fence) }).await;
        claimed(plane, &id, claim_by("n2", 7, LONG)).await;
    }
    let (id, fence) = owned(plane, "m4").await;
    commit_ok(plane, &id, &elsewhere(fence)).await;
    plane.release(&id, fence, &to_anybody(), free()).await.expect("an answer");
    claimed(plane, &id, claim_by("n2", 7, LONG)).await;
}

pub(super) async fn a_whole_commit_is_fenced_and_never_leads_back<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    for tick in 1..=3 {
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
    }
    let before = loaded(plane, &id).await;
    let whole = |fence, tick| Commit { whole: true, ..commit_of(fence, tick) };
    let other = Fence { nonce: Nonce(fence.nonce.0 + 1), ..fence };
    let cases = [
        (whole(other, 9), CommitReply::Fenced),
        (whole(fence, 2), CommitReply::Stale(Tick(3))),
        (whole(fence, 3), CommitReply::DupSame),
    ];
    for (commit, reply) in cases {
        assert_eq!(plane.commit(&id, &commit).await, Ok(reply));
        assert_eq!(loaded(plane, &id).await, before);
    }
}

pub(super) async fn one_may_read_a_few_fields<B: Backplane>(plane: &B) {
    assert_eq!(plane.read(&id("absent"), &[fields::TICK]).await, Ok(None));
    let (id, _) = owned(plane, "m1").await;
    let read = plane.read(&id, &[fields::GAME, "~absent"]).await;
    assert_eq!(read, Ok(Some(fields_of(&[(fields::GAME, "pong")]))));
}

pub(super) async fn nodes_are_listed_as_they_say<B: Backplane>(plane: &B) {
    assert_eq!(plane.nodes().await, Ok(vec![]));
    let (one, two) = ("n1".parse().expect("a valid id"), "n2".parse().expect("a valid id"));
    for (node, entry) in [(&two, "b"), (&one, "a"), (&two, "c")] {
        assert_eq!(plane.enlist(node, Some(Bytes::from(entry))).await, Ok(()));
    }
    assert_eq!(plane.nodes().await, Ok(vec![(one.clone(), Bytes::from("a")), (two, Bytes::from("c"))]));
    assert_eq!(plane.enlist(&one, None).await, Ok(()));
    assert_eq!(plane.enlist(&one, None).await, Ok(()));
    assert_eq!(plane.nodes().await.map(|nodes| nodes.len()), Ok(1));
}

pub(super) async fn orders_reach_their_node<B: Backplane>(plane: &B) {
    let (one, two) = ("n1".parse().expect("a valid id"), "n2".parse().expect("a valid id"));
    let mut orders = plane.subscribe_orders(&one).await.expect("a subscription");
    assert_eq!(plane.send_order(&two, Bytes::from_static(b"not for one")).await, Ok(()));
    assert_eq!(plane.send_order(&one, Bytes::from_static(b"for one")).await, Ok(()));
    expect_message(&mut orders, b"for one").await;
}

pub(super) async fn distrust_tells_everybody_of_a_loss<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    plane.distrust_subscriptions();
    assert_eq!(next(&mut subscription).await, Delivery::Lost);
    commit_ok(plane, &id, &commit_of(fence, 1)).await;
    expect_message(&mut subscription, &message(1)).await;
}

pub(super) async fn a_ticket_is_used_once<B: Backplane>(plane: &B) {
    let (one, two) = (TicketId([1; 16]), TicketId([2; 16]));
    assert_eq!(plane.spend_ticket(one, LONG).await, Ok(true));
    assert_eq!(plane.spend_ticket(one, LONG).await, Ok(false));
    assert_eq!(plane.spend_ticket(two, LONG).await, Ok(true));
    let (first, second) = tokio::join!(
        plane.spend_ticket(TicketId([3; 16]), LONG),
        plane.spend_ticket(TicketId([3; 16]), LONG)
    );
    assert_eq!([first, second].iter().filter(|spent| **spent == Ok(true)).count(), 1);
    // It is remembered for as long as was asked, and no longer.
    let short = TicketId([4; 16]);
    assert_eq!(plane.spend_ticket(short, Duration::from_millis(1)).await, Ok(true));
    eventually("it is forgotten", || async { plane.spend_ticket(short, LONG).await == Ok(true) }).await;
    assert_eq!(plane.spend_ticket(one, LONG).await, Ok(false));
}

pub(super) async fn bans_are_kept_until_they_are_lifted<B: Backplane>(plane: &B) {
    let (one, two): (Subject, Subject) =
        ("a:1".parse().expect("a subject"), "b/2".parse().expect("a subject"));
    assert_eq!(plane.bans().await, Ok(vec![]));
    assert_eq!(plane.ban(&one).await, Ok(None));
    for (subject, ban) in [(&two, "x"), (&one, "y"), (&two, "z")] {
        assert_eq!(plane.set_ban(subject, Some(Bytes::from(ban))).await, Ok(()));
    }
    assert_eq!(plane.ban(&two).await, Ok(Some(Bytes::from("z"))));
    assert_eq!(plane.bans().await, Ok(vec![(one.clone(), Bytes::from("y")), (two, Bytes::from("z"))]));
    for _ in 0..2 {
        assert_eq!(plane.set_ban(&one, None).await, Ok(()));
    }
    assert_eq!(plane.bans().await.map(|bans| bans.len()), Ok(1));
}
