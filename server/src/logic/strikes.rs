//! Who was closed for being too fast, and how often lately. Who comes back and does it again is told in the end to stay
//! away: a client that cannot keep a rate once it was told so will not keep it the next time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tickcast_protocol::ticket::Subject;

use crate::logic::admission::Source;

/// Culprits that are remembered at most; a further one's strikes do not count.
pub const CULPRITS_MAX: usize = 16_384;
/// How often those are looked for that can be forgotten, when there is no room.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// Whom a strike is held against: the account, or where there is none the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Culprit {
    /// Of somebody with a ticket.
    Account(Subject),
    /// Of a guest, or of somebody who did not say who it is.
    Address(Source),
}

/// How many strikes are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrikeLimits {
    /// The strike that is the last one; 0 is none.
    pub times: u32,
    /// For so long a strike counts.
    pub within: Duration,
}

/// The strikes that count.
#[derive(Debug)]
pub struct Strikes {
    limits: StrikeLimits,
    known: BTreeMap<Culprit, VecDeque<Instant>>,
    forgot: Instant,
}

impl Strikes {
    /// Nobody was too fast yet.
    pub fn new(now: Instant, limits: StrikeLimits) -> Strikes {
        Strikes { limits, known: BTreeMap::new(), forgot: now }
    }

    /// Somebody was too fast. Whether that was once too often.
    pub fn handle_strike(&mut self, now: Instant, culprit: Culprit) -> bool {
        let (times, within) = (self.limits.times as usize, self.limits.within);
        if times == 0 || !self.has_room(now, &culprit) {
            return false;
        }
        let strikes = self.known.entry(culprit).or_default();
        strikes.push_back(now);
        // More than the last ones say nothing.
        while strikes.len() > times || strikes.front().is_some_and(|strike| *strike + within <= now) {
            strikes.pop_front();
        }
        strikes.len() >= times
    }

    fn has_room(&mut self, now: Instant, culprit: &Culprit) -> bool {
        if self.known.len() >= CULPRITS_MAX
            && !self.known.contains_key(culprit)
            && self.forgot + FORGET_EVERY <= now
        {
            self.forgot = now;
            let within = self.limits.within;
            self.known.retain(|_, strikes| strikes.back().is_some_and(|strike| *strike + within > now));
        }
        self.known.len() < CULPRITS_MAX || self.known.contains_key(culprit)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::io::clock;

    const LIMITS: StrikeLimits = StrikeLimits { times: 3, within: Duration::from_secs(600) };

    fn address(number: u32) -> Culprit {
        Culprit::Address(Source::of(IpAddr::V4(Ipv4Addr::from(number))))
    }

    fn account(name: &str) -> Culprit {
        Culprit::Account(name.parse().expect("the form of a subject"))
    }

    #[test]
    fn the_third_time_within_the_window_is_the_last_and_so_is_each_after_it() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut strikes = Strikes::new(start, LIMITS);
        let struck = [0, 100, 599, 698].map(|second| strikes.handle_strike(at(second), account("ada")));
        assert_eq!(struck, [false, false, true, true]);
        assert!(!strikes.handle_strike(at(1200), account("ada")), "all but one are forgiven by then");
    }

    #[test]
    fn what_was_long_ago_is_forgiven() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut strikes = Strikes::new(start, LIMITS);
        assert!((0..20).all(|time| !strikes.handle_strike(at(300 * time), address(1))), "each 5 minutes");
    }

    #[test]
    fn each_has_its_own_and_none_is_no_limit() {
        let now = clock::now();
        let mut strikes = Strikes::new(now, LIMITS);
        for culprit in [address(1), address(2), account("ada"), account("bob")] {
            let struck = [0; 3].map(|_| strikes.handle_strike(now, culprit.clone()));
            assert_eq!(struck, [false, false, true], "{culprit:?}");
        }
        let mut unlimited = Strikes::new(now, StrikeLimits { times: 0, ..LIMITS });
        assert!((0..100).all(|_| !unlimited.handle_strike(now, address(1))));
        assert!(unlimited.known.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_room_comes_back() {
        let start = clock::now();
        let mut strikes = Strikes::new(start, LIMITS);
        for number in 0..CULPRITS_MAX as u32 + 100 {
            strikes.handle_strike(start, address(number));
        }
        assert_eq!(strikes.known.len(), CULPRITS_MAX);
        assert!((0..5).all(|_| !strikes.handle_strike(start, account("late"))), "there is no room for it");
        let again: Vec<bool> = (0..2000).map(|_| strikes.handle_strike(start, address(1))).collect();
        assert_eq!(again.iter().position(|last| *last), Some(1), "with the one before the third: {again:?}");
        assert!(strikes.known.values().all(|strikes| strikes.len() <= LIMITS.times as usize));
        let later = start + LIMITS.within;
        assert!(
            !strikes.handle_strike(later, account("late")) && strikes.known.len() == 1,
            "all are forgiven"
        );
    }
}
