//! What a lease promises, whichever ticks write it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::backplane::LEASE_AHEAD_MAX;

const LEASES_MS: [u64; 4] = [0, 200, 1500, 60_000];

fn claim(nonce: u64, lease: Duration) -> Claim {
    let node = format!("n{nonce}").parse().expect("a valid id");
    Claim { node, nonce: Nonce(nonce), unanswered: Vec::new(), lease, crashes_max: u32::MAX }
}

fn commit(fence: Fence, tick: u64, lease: Duration) -> Commit {
    Commit {
        fence,
        tick: Tick(tick),
        lease,
        ring_field: fields::ring(tick, 8),
        message: Bytes::from(tick.to_string()),
        set: Vec::new(),
        delete: Vec::new(),
        whole: false,
        again: false,
    }
}

fn owned(store: &mut Store, id: &MatchId, lease: Duration, now_ms: u64) -> Fence {
    store.create(id, MatchFields::new());
    match store.claim(id, &claim(1, lease), now_ms) {
        ClaimReply::Claimed { fence, .. } => fence,
        other => panic!("not claimed: {other:?}"),
    }
}

/// A claim of somebody else succeeds at this time.
fn is_free(store: &Store, id: &MatchId, now_ms: u64) -> bool {
    let reply = store.clone().claim(id, &claim(2, Duration::ZERO), now_ms);
    matches!(reply, ClaimReply::Claimed { .. })
}

#[test]
fn after_any_tick_a_match_stays_its_owners_for_a_lease_and_hardly_longer() {
    let id: MatchId = "m1".parse().expect("a valid id");
    let mut random = StdRng::seed_from_u64(7);
    for lease_ms in LEASES_MS {
        let (lease, mut now_ms) = (Duration::from_millis(lease_ms), 1_700_000_000_000);
        let mut store = Store::default();
        let fence = owned(&mut store, &id, lease, now_ms);
        let ahead_ms = (lease_ms / 8).min(LEASE_AHEAD_MAX.as_millis() as u64);
        for tick in 1..=1000 {
            let reply = store.commit(&id, &commit(fence, tick, lease), now_ms).0;
            assert_eq!(reply, CommitReply::Ok);
            let stored = store.read(&id, &[fields::COMMITTED_MS]).expect("a match");
            let committed_ms = fields::number(&stored, fields::COMMITTED_MS).expect("a time");
            assert!((now_ms - ahead_ms..=now_ms).contains(&committed_ms), "tick {tick} of {lease:?}");
            assert!(lease_ms == 0 || !is_free(&store, &id, now_ms + lease_ms), "tick {tick} of {lease:?}");
            assert!(is_free(&store, &id, now_ms + lease_ms + ahead_ms), "tick {tick} of {lease:?}");
            // Most ticks are in time; some come together, some are late, and a store that took another's place may be behind.
            now_ms = match random.random_range(0..20) {
                0 => now_ms,
                1 => now_ms + random.random_range(0..=2 * lease_ms),
                2 => now_ms - random.random_range(0..=1000),
                _ => now_ms + 50,
            };
        }
    }
}

#[test]
fn few_ticks_write_the_lease() {
    let id: MatchId = "m1".parse().expect("a valid id");
    for (lease_ms, tick_ms, one_of) in
        [(1500, 50, 4), (1500, 16, 12), (600, 50, 2), (60_000, 50, 5), (200, 50, 1)]
    {
        let lease = Duration::from_millis(lease_ms);
        let mut store = Store::default();
        let fence = owned(&mut store, &id, lease, 0);
        let written = |tick: u64| {
            store.commit(&id, &commit(fence, tick, lease), tick * tick_ms);
            let stored = store.read(&id, &[fields::COMMITTED_MS]).expect("a match");
            fields::number(&stored, fields::COMMITTED_MS) == Some(tick * tick_ms)
        };
        let writing: Vec<bool> = (1..=600).map(written).collect();
        assert_eq!(writing.iter().filter(|written| **written).count(), 600 / one_of, "{lease_ms} ms");
    }
}
