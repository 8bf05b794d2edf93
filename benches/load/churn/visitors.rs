//! Players who come and go in a thread of their own, so that nobody else waits while they connect. Half of them go to the
//! matches that are there, the others to matches of their own, which end behind them. Most say goodbye.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::load::client::{Herd, Load};
use crate::load::clock;
use crate::load::procfs;
use crate::load::session::{Place, Protocol};
use crate::load::tally::Tally;
use crate::load::tasks::say;

/// One in so many hangs up without a word: its place is kept for a while, in case it comes back.
const HANGS_UP_EVERY: u64 = 4;
/// Spreads numbers over all that there are: an odd one, 2^64 over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Between two looks at the memory of the servers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two lines that tell how far it is.
const TELL_EVERY: Duration = Duration::from_secs(20);

/// Who comes, and for how long.
pub(super) struct Tour {
    pub(super) load: Load,
    /// Matches that are there already.
    pub(super) matches: u32,
    /// Joins per second.
    pub(super) rate: u32,
    pub(super) stay: Duration,
    /// How long somebody comes; all have left soon after.
    pub(super) time: Duration,
    pub(super) servers: Vec<u32>,
    pub(super) said: String,
}

/// What came of it.
pub(super) struct Visits {
    pub(super) tally: Tally,
    /// Who did not get in, or did not stay in.
    pub(super) failed: u64,
    /// Why the first one did not.
    pub(super) failure: Option<String>,
    pub(super) peak_kb: u64,
}

impl Tour {
    /// The thread; it ends when the last one has left.
    pub(super) fn start(self, protocol: Box<dyn Protocol>) -> JoinHandle<io::Result<Visits>> {
        thread::spawn(move || self.run(protocol))
    }

    fn run(self, mut protocol: Box<dyn Protocol>) -> io::Result<Visits> {
        let mut herd = Herd::new(self.load)?;
        herd.count();
        let (mut failed, mut failure, mut peak_kb) = (0, None, 0);
        let mut inside: VecDeque<(Instant, u64, usize)> = VecDeque::new();
        let begun = clock::now();
        let pause = Duration::from_secs(1) / self.rate;
        let (mut due, mut looks, mut tells) = (begun, begun, begun + TELL_EVERY);
        for number in 0.. {
            let is_over = due >= begun + self.time;
            if is_over && inside.is_empty() {
                break;
            }
            if !is_over {
                match herd.open(&mut *protocol, self.place(number)) {
                    Ok(at) => inside.push_back((due + self.stay, number, at)),
                    Err(error) => {
                        failed += 1;
                        failure.get_or_insert_with(|| error.to_string());
                    }
                }
            }
            while let Some((_, number, at)) = inside.front().copied().filter(|(until, ..)| *until <= due) {
                inside.pop_front();
                if !herd.part(at, !hangs_up(number))? {
                    failed += 1;
                    failure
                        .get_or_insert_with(|| "it was not in its match when it meant to leave".to_owned());
                }
            }
            failure = failure.or_else(|| herd.take_failure());
            if looks <= due {
                looks += LOOK_EVERY;
                peak_kb = peak_kb.max(procfs::resident(&self.servers)?.all);
            }
            if tells <= due {
                tells += TELL_EVERY;
                let seconds = (due - begun).as_secs();
                say(&format!("{}: {seconds} s, {number} came, {failed} failed, {peak_kb} KB", self.said));
            }
            due += pause;
            herd.run_until(due)?;
        }
        Ok(Visits { tally: herd.counted(), failed, failure, peak_kb })
    }

    /// Where the next one goes: to the matches that are there in turn, or to one of their own for every so many.
    fn place(&self, number: u64) -> Place {
        let (pair, goes_home) = (number / 2, number.is_multiple_of(2));
        let players = u64::from(self.load.players);
        let (in_match, player) = match goes_home {
            true => (pair % u64::from(self.matches), players + pair % u64::from(self.load.guests.max(1))),
            false => (u64::from(self.matches) + pair / players, pair % players),
        };
        Place { in_match: in_match as u32, player: player as u32, is_probe: false, is_spectator: false }
    }
}

/// Whether this one leaves without a goodbye. It has nothing to do with the match it went to: places are kept in all alike.
fn hangs_up(number: u64) -> bool {
    number.wrapping_mul(SPREAD) < u64::MAX / HANGS_UP_EVERY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::plan;

    #[test]
    fn half_go_to_the_matches_that_are_there_and_half_to_matches_of_their_own() {
        let load = Load { players: 3, guests: 5, ..plan().load };
        let (stay, time) = (Duration::ZERO, Duration::ZERO);
        let tour = Tour { load, matches: 2, rate: 1, stay, time, servers: Vec::new(), said: String::new() };
        let places: Vec<(u32, u32)> =
            (0..12).map(|number| tour.place(number)).map(|place| (place.in_match, place.player)).collect();
        let there = places.iter().step_by(2);
        assert!(there.clone().all(|(in_match, player)| *in_match < 2 && (3..8).contains(player)));
        assert_eq!(there.filter(|(in_match, _)| *in_match == 0).count(), 3);
        let own: Vec<_> = places.into_iter().skip(1).step_by(2).collect();
        assert_eq!(own, [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]);
    }

    #[test]
    fn places_are_kept_in_all_matches_alike() {
        for matches in [1_usize, 5, 8, 16, 20] {
            let mut kept = vec![0; matches];
            let quiet = (0..16_000_u64).filter(|number| hangs_up(*number) && number.is_multiple_of(2));
            quiet.for_each(|number| kept[number as usize / 2 % matches] += 1);
            let share = 2000 / matches;
            assert!(kept.iter().all(|count| (share * 8 / 10..=share * 12 / 10).contains(count)), "{kept:?}");
        }
    }
}
