//! A receiver of any speed gets messages in order, and a report exactly where some are missing.

use super::*;

fn message(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Delivers numbered messages, reading `read[i]` items after each; answers everything that was received.
fn check(reads: impl Iterator<Item = usize>) -> Vec<Option<u32>> {
    let (mut outlet, mut subscription) = Outlet::new();
    let mut received = Vec::new();
    for (number, read) in reads.enumerate() {
        outlet.deliver(message(number as u32));
        received.extend((0..read).map_while(|_| subscription.try_recv().ok()));
    }
    drop(outlet);
    received.extend(std::iter::from_fn(|| subscription.try_recv().ok()));
    let number = |delivery| match delivery {
        Delivery::Message(bytes) => Some(u32::from_be_bytes(bytes[..].try_into().unwrap())),
        Delivery::Lost => None,
    };
    received.into_iter().map(number).collect()
}

/// Every gap has a report, every report a gap.
fn assert_honest(received: &[Option<u32>], sent: u32) {
    let mut expected = 0;
    let mut gap_permitted = false;
    for delivery in received {
        match delivery {
            Some(number) => {
                assert_eq!(*number > expected, gap_permitted, "{expected} then {number}");
                expected = number + 1;
                gap_permitted = false;
            }
            None => {
                assert!(!gap_permitted, "two reports for one gap");
                gap_permitted = true;
            }
        }
    }
    assert_eq!(expected < sent, gap_permitted, "the end is missing without a report");
}

#[test]
fn every_gap_is_reported_where_it_is() {
    let queue = DELIVERIES_QUEUED_MAX;
    for (count, period, read) in [
        (queue - 1, 1, 0),
        (queue, 1, 0),
        (queue * 2, 1, 0),
        (queue * 3, 1, 1),
        (queue * 3, 2, 1),
        (queue * 4, queue + 10, 3),
        (queue * 5, queue / 2, queue / 3),
        (queue * 5, 2 * queue, queue),
    ] {
        let reads = (1..=count).map(|step| if step % period == 0 { read } else { 0 });
        assert_honest(&check(reads), count as u32);
    }
}

#[test]
fn a_loss_after_a_report_that_was_read_is_reported_again() {
    let (mut outlet, mut subscription) = Outlet::new();
    outlet.lose();
    assert_eq!(subscription.try_recv(), Ok(Delivery::Lost));
    outlet.lose();
    assert_eq!(subscription.try_recv(), Ok(Delivery::Lost));
}

#[test]
fn a_full_queue_covers_a_loss_with_the_report_it_has() {
    let (mut outlet, mut subscription) = Outlet::new();
    for number in 0..DELIVERIES_QUEUED_MAX as u32 + 5 {
        outlet.deliver(message(number));
        outlet.lose();
    }
    let received: Vec<Delivery> = std::iter::from_fn(|| subscription.try_recv().ok()).collect();
    assert_eq!(received.len(), DELIVERIES_QUEUED_MAX);
    assert_eq!(received.last(), Some(&Delivery::Lost));
}
