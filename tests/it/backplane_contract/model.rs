//! Random operations, on a backplane and on the pure model side by side: every answer, every field and every
//! publication must be the same. `SEED=<number>` repeats a run.

use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::{Epoch, Fence, MatchId, Nonce, Tick};
use tickcast_server::backplane::store::{Publication, Store};
use tickcast_server::backplane::{
    Backplane, Channel, Claim, ClaimReply, Commit, FieldName, MatchFields, Release, Subscription, fields,
};

use super::{LONG, RING, claim_by, claimed, expect_message, fields_of, id};

const STEPS: usize = 2000;
/// The model's clock stands still; leases are either over at once or never.
const NOW_MS: u64 = 1_700_000_000_000;

pub(super) async fn agrees_with_the_model<B: Backplane>(plane: &B) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh_seed);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Store::default();
    let ids = [id("m1"), id("m2")];
    let histories = [history_of(plane, &ids[0]).await, history_of(plane, &ids[1]).await];
    let mut published: Vec<Publication> = Vec::new();
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for id in &ids {
        subscriptions.push(plane.subscribe(id, Channel::Diff).await.expect("a subscription"));
    }
    for _ in 0..STEPS {
        let index = random.random_range(0..ids.len());
        model.set_history(&histories[index]);
        published.extend(step(plane, &mut model, &ids[index], &mut random).await);
        let stored = plane.load(&ids[index]).await.expect("an answer");
        assert_eq!(stored.map(timeless), model.load(&ids[index]).map(timeless));
        for publication in published.drain(..) {
            let place = ids.iter().position(|id| *id == publication.id).expect("one of ours");
            expect_message(&mut subscriptions[place], &publication.message).await;
        }
    }
    let names = [fields::GAME, fields::TICK, fields::EPOCH];
    assert_eq!(plane.list(&names).await.expect("an answer"), model.list(&names));
    assert!(subscriptions.iter().all(|subscription| subscription.is_empty()));
}

/// What the backplane calls the history of writes of the store that has this match; each master of a cluster has one.
async fn history_of<B: Backplane>(plane: &B, id: &MatchId) -> String {
    plane.create(id, fields_of(&[(fields::GAME, "pong")])).await.expect("an answer");
    let (_, claimed) = claimed(plane, id, claim_by("n1", 1, LONG)).await;
    plane.end(id, fields::fence(&claimed).expect("a fence"), Bytes::new()).await.expect("an answer");
    let history = fields::text(&claimed, fields::HISTORY).expect("a history").to_owned();
    assert!(!history.is_empty());
    history
}

fn fresh_seed() -> u64 {
    rand::make_rng::<StdRng>().random()
}

/// One operation on both; answers what the model published.
async fn step<B: Backplane>(
    plane: &B,
    model: &mut Store,
    id: &MatchId,
    random: &mut StdRng,
) -> Option<Publication> {
    let stored = model.load(id).unwrap_or_default();
    let fence = random_fence(&stored, random);
    let message = Bytes::from(vec![random.random_range(0..2_u8); 3]);
    let (real, expected, publication) = match random.random_range(0..20) {
        0 => {
            let given = fields_of(&[(fields::GAME, "pong"), ("ball:0", "x")]);
            let real = plane.create(id, given.clone()).await;
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(model.create(id, given))), None)
        }
        1..=3 => {
            let lease = if random.random_bool(0.5) { Duration::ZERO } else { LONG };
            let node = if random.random_bool(0.5) { "n1" } else { "n2" };
            let crashes_max = if random.random_bool(0.1) { 2 } else { 1000 };
            let unanswered =
                (0..random.random_range(0..3)).map(|_| Nonce(random.random_range(1..5))).collect();
            let claim = Claim { crashes_max, unanswered, ..claim_by(node, random.random_range(1..5), lease) };
            let real = plane.claim(id, claim.clone()).await.map(timeless_reply);
            let expected = timeless_reply(model.claim(id, &claim, NOW_MS));
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(expected)), None)
        }
        4..=5 => {
            let release = random_release(random);
            let real = plane.release(id, fence, &release, message.clone()).await;
            let (expected, publication) = model.release(id, fence, &release, message, NOW_MS);
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(expected)), publication)
        }
        6..=7 => {
            let real = plane.notify(id, fence, message.clone()).await;
            let (expected, publication) = model.notify(id, fence, message);
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(expected)), publication)
        }
        8 => {
            let real = plane.revive(id).await;
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(model.revive(id))), None)
        }
        9 if random.random_bool(0.3) => {
            let real = plane.end(id, fence, message.clone()).await;
            let (expected, publication) = model.end(id, fence, message);
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(expected)), publication)
        }
        _ => {
            let commit = random_commit(&stored, fence, message, random);
            let real = plane.commit(id, &commit).await;
            let (expected, publication) = model.commit(id, &commit, NOW_MS);
            (format!("{real:?}"), format!("{:?}", Ok::<_, ()>(expected)), publication)
        }
    };
    assert_eq!(real, expected);
    publication
}

/// Mostly the stored ownership.
fn random_fence(stored: &MatchFields, random: &mut StdRng) -> Fence {
    let fence = fields::fence(stored).unwrap_or_default();
    match random.random_range(0..10) {
        0 => Fence { epoch: Epoch(fence.epoch.0 + 1), ..fence },
        1 => Fence { nonce: Nonce(fence.nonce.0 ^ 1), ..fence },
        _ => fence,
    }
}

fn random_release(random: &mut StdRng) -> Release {
    let heir = random.random_bool(0.5).then(|| "n2".parse().expect("a valid id"));
    let grace = if random.random_bool(0.5) { Duration::ZERO } else { LONG };
    Release { heir, grace, clean: random.random_bool(0.5) }
}

/// Mostly the next tick, and half of them plain.
fn random_commit(stored: &MatchFields, fence: Fence, message: Bytes, random: &mut StdRng) -> Commit {
    let last = fields::number(stored, fields::TICK).unwrap_or(0);
    let tick = match random.random_range(0..10) {
        0 => last.saturating_sub(1),
        1 | 2 => last,
        3 => last + 2,
        _ => last + 1,
    };
    let name = |index: u32| FieldName::from(format!("ball:{index}"));
    let mut set: Vec<(FieldName, Bytes)> =
        (0..random.random_range(0..3)).map(|index| (name(index), message.clone())).collect();
    if random.random_bool(0.2) {
        // As if the store that is asked next were another one.
        set.push((fields::HISTORY.into(), Bytes::from_static(b"another")));
    }
    let plain = random.random_bool(0.5);
    let delete = if plain { Vec::new() } else { (3..random.random_range(3..6)).map(name).collect() };
    let ring_field = fields::ring(tick, RING);
    Commit {
        fence,
        tick: Tick(tick),
        lease: if random.random_bool(0.8) { Duration::ZERO } else { LONG },
        ring_field,
        message,
        set,
        delete,
        whole: !plain && random.random_bool(0.3),
        again: !plain && random.random_bool(0.4),
    }
}

/// Without what depends on the clock.
fn timeless(mut hash: MatchFields) -> MatchFields {
    for name in [fields::LEASE_MS, fields::COMMITTED_MS] {
        if fields::number(&hash, name) != Some(0) {
            hash.remove(name.as_bytes());
        }
    }
    hash
}

fn timeless_reply(reply: ClaimReply) -> ClaimReply {
    match reply {
        ClaimReply::Claimed { fence, fields } => ClaimReply::Claimed { fence, fields: timeless(fields) },
        ClaimReply::Held { .. } => ClaimReply::Held { left: Duration::ZERO },
        ClaimReply::Quarantined | ClaimReply::NoMatch => reply,
    }
}
