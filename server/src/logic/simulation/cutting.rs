//! Whether a world that is only big is cut into its segments. Not while it is small: then all of it is hardly more than a
//! part with its heads, and one frame serves everybody. Decided by what its ticks are coded to and by what a newcomer
//! gets; docs/visibility.md has what was measured.

/// A world is cut when its ticks take more bytes than this on average over about a second, or it has more entities.
const BYTES_MAX: u64 = 512;
const ENTITIES_MAX: usize = 1_000;
/// No tick counts for more: a round that begins moves everything once.
const TICK_BYTES_MAX: u64 = 4 * BYTES_MAX;
/// It is whole again when it has been below this part of both for so long: each change sends everybody everything anew.
const SMALL_PART: u64 = 2;
const SMALL_SECONDS: u64 = 10;
/// The average is kept in fractions of a byte.
const FRACTIONS: u64 = 256;

/// The choice for one match, from tick to tick.
#[derive(Debug, Clone)]
pub(super) struct Cutting {
    is_cut: bool,
    /// Average bytes of a tick, in fractions.
    average: u64,
    /// Ticks for which it has been small.
    small: u64,
    hz: u64,
}

impl Cutting {
    /// Goes on with a match that is or is not cut.
    pub(super) fn new(is_cut: bool, hz: u8) -> Cutting {
        Cutting { is_cut, average: 0, small: 0, hz: u64::from(hz) }
    }

    /// What was decided last.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// A tick was coded to so many bytes, all segments together and without their heads.
    pub(super) fn note(&mut self, bytes: usize) {
        self.average += (bytes as u64).min(TICK_BYTES_MAX) * FRACTIONS / self.hz;
        self.average -= self.average / self.hz;
    }

    /// Whether the next tick, of a world of so many entities, is cut.
    pub(super) fn decide(&mut self, entities: usize) -> bool {
        let bytes = self.average / FRACTIONS;
        if !self.is_cut {
            self.is_cut = bytes > BYTES_MAX || entities > ENTITIES_MAX;
            self.small = 0;
            return self.is_cut;
        }
        let is_small = bytes * SMALL_PART < BYTES_MAX && entities as u64 * SMALL_PART < ENTITIES_MAX as u64;
        self.small = if is_small { self.small + 1 } else { 0 };
        self.is_cut = self.small < self.hz * SMALL_SECONDS;
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of these bytes until it is otherwise; how many there were, at most so many.
    fn until_other(cutting: &mut Cutting, bytes: usize, entities: usize, most: usize) -> usize {
        let before = cutting.is_cut;
        (0..most)
            .find(|_| {
                cutting.note(bytes);
                cutting.decide(entities) != before
            })
            .unwrap_or(most)
    }

    #[test]
    fn a_world_is_cut_when_its_ticks_are_large_for_about_a_second() {
        let mut cutting = Cutting::new(false, 20);
        assert_eq!(until_other(&mut cutting, 500, 900, 1_000), 1_000, "small enough");
        assert!(!cutting.decide(900));
        cutting.note(50_000);
        assert!(cutting.decide(900), "one more byte than it may be, on average");
        let mut cutting = Cutting::new(false, 20);
        assert_eq!(until_other(&mut cutting, 50_000, 900, 3), 3, "all are born at once, and lie still then");
        let mut cutting = Cutting::new(false, 20);
        let ticks = until_other(&mut cutting, 800, 900, 1_000);
        assert!((10..40).contains(&ticks), "{ticks} ticks");
    }

    #[test]
    fn a_world_of_many_entities_is_cut_at_once() {
        let mut cutting = Cutting::new(false, 20);
        assert!(!cutting.decide(1_000));
        assert!(cutting.decide(1_001));
    }

    #[test]
    fn a_world_is_whole_again_when_it_was_small_for_a_while() {
        let mut cutting = Cutting::new(true, 20);
        assert_eq!(until_other(&mut cutting, 300, 400, 1_000), 1_000, "between the limits it stays as it is");
        assert_eq!(until_other(&mut cutting, 100, 600, 1_000), 1_000, "so it does with too many entities");
        let ticks = until_other(&mut cutting, 100, 400, 1_000);
        assert!((180..260).contains(&ticks), "{ticks} ticks");
        let mut cutting = Cutting::new(true, 20);
        assert_eq!(until_other(&mut cutting, 100, 400, 150), 150);
        assert!(cutting.decide(600));
        let ticks = until_other(&mut cutting, 100, 400, 1_000);
        assert!(ticks > 190, "it begins anew: {ticks} ticks");
    }
}
