//! What is published: order, completeness, and the report of a loss.

use bytes::Bytes;
use tickcast_server::backplane::{Backplane, Channel, DELIVERIES_QUEUED_MAX, Delivery, fields};
use tokio::task::JoinSet;

use super::{
    commit_of, commit_ok, eventually, expect_message, loaded, message, next, notify_ok, owned, tick_of,
};

pub(super) async fn what_is_published_is_what_was_committed<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscriptions = Vec::new();
    for _ in 0..3 {
        subscriptions.push(plane.subscribe(&id, Channel::Diff).await.expect("a subscription"));
    }
    for tick in 1..=100 {
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
        assert_eq!(loaded(plane, &id).await.get(&fields::ring(tick, super::RING)), Some(&message(tick)));
    }
    for subscription in &mut subscriptions {
        for tick in 1..=100 {
            expect_message(subscription, &message(tick)).await;
        }
    }
}

pub(super) async fn a_notice_is_published_but_not_stored<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let before = loaded(plane, &id).await;
    notify_ok(plane, &id, fence, "notice").await;
    expect_message(&mut subscription, b"notice").await;
    assert_eq!(loaded(plane, &id).await, before);
}

pub(super) async fn inputs_reach_the_owner<B: Backplane>(plane: &B) {
    let (id, _) = owned(plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Input).await.expect("a subscription");
    for tick in 1..=100 {
        assert_eq!(plane.send_input(&id, message(tick)).await, Ok(()));
    }
    for tick in 1..=100 {
        expect_message(&mut subscription, &message(tick)).await;
    }
}

pub(super) async fn two_channels_and_two_matches_do_not_mix<B: Backplane>(plane: &B) {
    let (one, fence_one) = owned(plane, "m1").await;
    let (two, fence_two) = owned(plane, "m2").await;
    let mut diff_one = plane.subscribe(&one, Channel::Diff).await.expect("a subscription");
    let mut input_one = plane.subscribe(&one, Channel::Input).await.expect("a subscription");
    let mut diff_two = plane.subscribe(&two, Channel::Diff).await.expect("a subscription");
    let mut input_two = plane.subscribe(&two, Channel::Input).await.expect("a subscription");
    notify_ok(plane, &one, fence_one, "diff one").await;
    notify_ok(plane, &two, fence_two, "diff two").await;
    assert_eq!(plane.send_input(&one, Bytes::from_static(b"input one")).await, Ok(()));
    assert_eq!(plane.send_input(&two, Bytes::from_static(b"input two")).await, Ok(()));
    expect_message(&mut diff_one, b"diff one").await;
    expect_message(&mut diff_two, b"diff two").await;
    expect_message(&mut input_one, b"input one").await;
    expect_message(&mut input_two, b"input two").await;
    for subscription in [&mut diff_one, &mut diff_two, &mut input_one, &mut input_two] {
        assert!(subscription.is_empty());
    }
}

pub(super) async fn subscribe_then_load_misses_nothing<B: Backplane>(plane: &B) {
    const TICKS: u64 = 300;
    let (id, fence) = owned(plane, "m1").await;
    let mut readers = JoinSet::new();
    for tick in 1..=TICKS {
        if tick % 50 == 1 {
            let (plane, id) = (plane.clone(), id.clone());
            readers.spawn(async move {
                let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
                let from = fields::number(&loaded(&plane, &id).await, fields::TICK).expect("a tick");
                let mut reached = from;
                while reached < TICKS {
                    match next(&mut subscription).await {
                        Delivery::Message(message) if tick_of(&message) <= from => {}
                        Delivery::Message(message) => {
                            assert_eq!(tick_of(&message), reached + 1, "loaded at {from}");
                            reached += 1;
                        }
                        Delivery::Lost => panic!("nothing was lost"),
                    }
                }
                from
            });
        }
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
        tokio::task::yield_now().await;
    }
    let loaded_at = readers.join_all().await;
    assert!(loaded_at.iter().any(|from| (1..TICKS).contains(from)), "some read in the middle: {loaded_at:?}");
}

pub(super) async fn a_slow_receiver_is_told_of_its_loss<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let mut slow = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let mut quick = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let sent = DELIVERIES_QUEUED_MAX as u64 + 200;
    for tick in 1..=sent {
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
        expect_message(&mut quick, &message(tick)).await;
    }
    let slow_len = || slow.len();
    eventually("the slow receiver's queue is full", || async { slow_len() == DELIVERIES_QUEUED_MAX }).await;

    let mut reached = 0;
    let lost_after = loop {
        match next(&mut slow).await {
            Delivery::Message(message) => {
                assert_eq!(tick_of(&message), reached + 1, "in order until the loss is reported");
                reached += 1;
            }
            Delivery::Lost => break reached,
        }
    };
    assert!(lost_after < sent, "the report comes where the gap is: after {lost_after}");
    assert!(slow.is_empty(), "what came while the queue was full is covered by the report");
    for tick in sent + 1..=sent + 10 {
        commit_ok(plane, &id, &commit_of(fence, tick)).await;
        expect_message(&mut slow, &message(tick)).await;
        expect_message(&mut quick, &message(tick)).await;
    }
}

pub(super) async fn a_dropped_subscription_harms_nobody<B: Backplane>(plane: &B) {
    let (id, fence) = owned(plane, "m1").await;
    let first = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let mut second = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    drop(first);
    notify_ok(plane, &id, fence, "one").await;
    expect_message(&mut second, b"one").await;
    drop(second);
    let mut third = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    notify_ok(plane, &id, fence, "two").await;
    expect_message(&mut third, b"two").await;
}
