//! The sending end of a subscription. Bounded; it never waits and never drops in silence: the last place of
//! the queue is kept for [`Delivery::Lost`], so the receiver learns of a gap exactly where it is.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{DELIVERIES_QUEUED_MAX, Delivery, Subscription};

/// The sending end of one subscription.
#[derive(Debug)]
pub(crate) struct Outlet {
    tx: mpsc::Sender<Delivery>,
    /// The item queued last was [`Delivery::Lost`]. While this is false, a place is free for one.
    lost_is_last: bool,
}

impl Outlet {
    /// A new subscription and its sending end.
    pub(crate) fn new() -> (Outlet, Subscription) {
        const { assert!(DELIVERIES_QUEUED_MAX >= 2, "a message and the report of a loss") };
        let (tx, rx) = mpsc::channel(DELIVERIES_QUEUED_MAX);
        (Outlet { tx, lost_is_last: false }, rx.into())
    }

    /// Whether nobody receives any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Queues a message, or the report that it is lost.
    pub(crate) fn deliver(&mut self, message: Bytes) {
        if self.tx.capacity() >= 2 {
            self.send(Delivery::Message(message));
        } else if !self.lost_is_last {
            self.send(Delivery::Lost);
        }
    }

    /// Reports that messages may be missing from here on.
    pub(crate) fn lose(&mut self) {
        // A full queue whose last item is a report covers this loss too. One that was read does not.
        if self.tx.capacity() >= 2 || !self.lost_is_last {
            self.send(Delivery::Lost);
        }
    }

    fn send(&mut self, delivery: Delivery) {
        self.lost_is_last = delivery == Delivery::Lost;
        let sent = self.tx.try_send(delivery);
        debug_assert!(
            !matches!(sent, Err(mpsc::error::TrySendError::Full(_))),
            "a place is kept for the report of a loss"
        );
    }
}

#[cfg(test)]
mod tests;
