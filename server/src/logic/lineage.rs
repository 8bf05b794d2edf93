//! The last ownerships of a match, and what they tell of a position that somebody had: whether it is a past of what the
//! store holds now, or whether the store has lost it.

use tickcast_protocol::{Epoch, Fence, Nonce, Position, Tick};

/// What a position is to a stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// The stored state goes on from there, or is the same.
    Held,
    /// The store has lost ticks of the ownership that it still names: its owner writes them again, if it lives.
    Behind,
    /// It is not part of the history, at least not after this tick.
    Lost {
        /// Up to here it may have been.
        common: Tick,
    },
}

/// The last ownerships, ascending, each with the tick it began from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    claims: Vec<(Fence, Tick)>,
}

impl Lineage {
    /// Reads `~claims`; `None` if it makes no sense.
    pub fn parse(text: &str) -> Option<Lineage> {
        let claims = text.split_whitespace().map(|entry| {
            let mut parts = entry.split(':');
            let (epoch, nonce, tick) = (parts.next()?, parts.next()?, parts.next()?);
            let fence = Fence {
                epoch: Epoch(epoch.parse().ok()?),
                nonce: Nonce(u64::from_str_radix(nonce, 16).ok()?),
            };
            parts.next().is_none().then_some((fence, Tick(tick.parse().ok()?)))
        });
        Some(Lineage { claims: claims.collect::<Option<_>>()? })
    }

    /// The ownerships, ascending, each with the tick it began from.
    pub fn claims(&self) -> &[(Fence, Tick)] {
        &self.claims
    }

    /// What a position is to the stored one that these ownerships led to.
    pub fn judge(&self, stored: Position, had: Position) -> Past {
        if had.tick == Tick(0) {
            // Nothing was before the first tick.
            return Past::Held;
        }
        if had.fence == stored.fence {
            return if had.tick <= stored.tick { Past::Held } else { Past::Behind };
        }
        let place = self.claims.iter().position(|(fence, _)| *fence == had.fence);
        let next = match place {
            Some(place) => self.claims.get(place + 1),
            // Ownerships older than the list are not known any more; those of a lost history never are.
            None => self.claims.iter().find(|(fence, _)| fence.epoch >= had.fence.epoch),
        };
        match next {
            Some((_, began)) if place.is_some() && had.tick <= *began => Past::Held,
            Some((_, began)) => Past::Lost { common: (*began).min(Tick(had.tick.0 - 1)) },
            None => Past::Lost { common: Tick(stored.tick.0.min(had.tick.0 - 1)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(epoch: u64, nonce: u64) -> Fence {
        Fence { epoch: Epoch(epoch), nonce: Nonce(nonce) }
    }

    fn at(fence: Fence, tick: u64) -> Position {
        Position { fence, tick: Tick(tick) }
    }

    #[test]
    fn what_came_before_a_claim_is_held_and_what_came_after_it_is_lost() {
        let lineage = Lineage::parse("1:a:0 2:b:40 3:c:70").unwrap();
        let stored = at(fence(3, 0xc), 90);
        let judge = |epoch, nonce, tick| lineage.judge(stored, at(fence(epoch, nonce), tick));
        assert_eq!(judge(3, 0xc, 90), Past::Held);
        assert_eq!(judge(3, 0xc, 91), Past::Behind);
        assert_eq!(judge(1, 0xa, 40), Past::Held);
        assert_eq!(judge(1, 0xa, 41), Past::Lost { common: Tick(40) });
        assert_eq!(judge(2, 0xb, 70), Past::Held);
        assert_eq!(judge(2, 0xb, 85), Past::Lost { common: Tick(70) });
        // Another ownership of the same epoch: the store lost it, whatever the tick is by now.
        assert_eq!(judge(2, 0xd, 50), Past::Lost { common: Tick(40) });
        assert_eq!(judge(3, 0xd, 71), Past::Lost { common: Tick(70) });
        assert_eq!(judge(4, 0xe, 95), Past::Lost { common: Tick(90) });
        assert_eq!(judge(7, 0xf, 0), Past::Held);
    }

    #[test]
    fn what_is_older_than_the_list_is_not_provably_a_past() {
        let lineage = Lineage::parse("30:a:900 31:b:950").unwrap();
        let judged = lineage.judge(at(fence(31, 0xb), 960), at(fence(3, 3), 40));
        assert_eq!(judged, Past::Lost { common: Tick(39) });
    }

    #[test]
    fn a_list_that_makes_no_sense_is_none() {
        assert_eq!(Lineage::parse(""), Some(Lineage::default()));
        for bad in ["1", "1:2", "x:1:2", "1:zz:2", "1:2:-3", "1:2:3:4", "1:2:3 4"] {
            assert_eq!(Lineage::parse(bad), None, "{bad}");
        }
    }
}
