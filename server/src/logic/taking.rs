//! How long a client may take to read an answer: from the moment at which the socket takes no more of it until all of it
//! is out, however much goes out meanwhile. Who reads a byte now and then would hold a connection for ever.

use std::time::{Duration, Instant};

/// What is known of the answer that is under way.
#[derive(Debug)]
pub struct Taking {
    within: Duration,
    due: Option<Instant>,
}

impl Taking {
    /// An answer may take so long.
    pub fn new(within: Duration) -> Taking {
        Taking { within, due: None }
    }

    /// The socket takes no more for now. When it must have taken all.
    pub fn handle_waiting(&mut self, now: Instant) -> Instant {
        *self.due.get_or_insert(now + self.within)
    }

    /// Nothing waits any more: the next answer has its own time.
    pub fn handle_out(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[test]
    fn what_goes_out_bit_by_bit_has_no_more_time_for_it() {
        let (start, within) = (clock::now(), Duration::from_secs(30));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut taking = Taking::new(within);
        let due = taking.handle_waiting(at(0));
        assert_eq!(due, at(30));
        assert!((1..30).all(|second| taking.handle_waiting(at(second)) == due), "a byte each second");
        taking.handle_out();
        assert_eq!(taking.handle_waiting(at(40)), at(70), "the next answer");
    }
}
