//! A token bucket: so many events per second, with a burst.

use std::time::{Duration, Instant};

/// Grants events at a steady rate, saving up at most `burst` of them.
#[derive(Debug, Clone)]
pub struct Bucket {
    interval: Duration,
    burst: u32,
    /// When the bucket would be full again.
    full_at: Instant,
}

impl Bucket {
    /// A full bucket of `burst` events that fills at `per_second`.
    pub fn new(now: Instant, per_second: u32, burst: u32) -> Bucket {
        Bucket::every(now, Duration::from_secs(1) / per_second.max(1), burst)
    }

    /// A full bucket of `burst` events that gets one more each time so long has passed.
    pub fn every(now: Instant, interval: Duration, burst: u32) -> Bucket {
        Bucket { interval, burst: burst.max(1), full_at: now }
    }

    /// Takes one event if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_many(now, 1)
    }

    /// Takes so many events if there are as many; else none.
    pub fn take_many(&mut self, now: Instant, count: u32) -> bool {
        let full_at = self.full_at.max(now) + self.interval * count;
        let granted = full_at <= now + self.interval * self.burst;
        if granted {
            self.full_at = full_at;
        }
        granted
    }

    /// Whether there is no event to take.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.full_at > now + self.interval * self.burst.saturating_sub(1)
    }

    /// Whether nothing would be lost if it were thrown away and made anew.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let now = clock::now();
        let mut bucket = Bucket::new(now, 10, 5);
        assert!(!bucket.is_empty(now));
        assert_eq!((0..20).filter(|_| bucket.take(now)).count(), 5);
        assert!(bucket.is_empty(now) && !bucket.is_empty(now + Duration::from_millis(100)));
        let later = now + Duration::from_millis(300);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 3);
        let much_later = now + Duration::from_secs(60);
        assert!(bucket.is_full(much_later));
        assert!(!bucket.take_many(much_later, 6), "more than it ever holds");
        assert!(bucket.take_many(much_later, 3) && !bucket.is_full(much_later));
        assert_eq!((0..20).filter(|_| bucket.take(much_later)).count(), 2);
    }
}
