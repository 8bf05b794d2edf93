//! The judgement: guarantees 1 to 6 of the design, over what histories say.

use std::collections::BTreeMap;

use tickcast_protocol::{InputSeq, MatchId, PlayerId};

use super::book::{Book, Breach, Claim, Counts, MatchBook, Place, Version};

/// What was promised and not kept.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) guarantee: u8,
    pub(super) id: MatchId,
    pub(super) text: String,
    pub(super) places: Vec<Place>,
}

/// What histories prove.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) counts: Counts,
    pub(super) violations: Vec<Violation>,
    /// What could not be proven, and what is missing for it.
    pub(super) unproven: Vec<String>,
    /// For each change of owner: from the old one's last tick to the new one's first, ascending.
    pub(super) pauses_us: Vec<u64>,
}

impl Verdict {
    /// Median, 99th percentile and longest of the pauses, milliseconds.
    pub(super) fn pauses(&self) -> Option<[f64; 3]> {
        let at = |part: f64| {
            let rank = (part * self.pauses_us.len() as f64).ceil() as usize;
            self.pauses_us.get(rank.saturating_sub(1)).map(|us| *us as f64 / 1000.0)
        };
        Some([at(0.5)?, at(0.99)?, at(1.0)?])
    }
}

/// Judges all that was read.
pub(super) fn judge(book: Book, skew_us: u64) -> Verdict {
    let mut verdict = Verdict { counts: book.counts, ..Verdict::default() };
    verdict.counts.torn = book.torn;
    verdict.counts.matches = book.matches.len();
    for (id, book) in &book.matches {
        let judge = Judge { book, alive: alive(book) };
        let mut breaches = book.breaches.clone();
        verdict.counts.ticks += judge.alive.len();
        verdict.counts.ownerships += book.ownerships().len();
        breaches.extend(judge.check_commits_before_views(skew_us));
        breaches.extend(judge.check_hashes());
        breaches.extend(judge.check_lineage());
        breaches.extend(judge.check_claims());
        let (applied, wrong) = judge.check_inputs();
        verdict.counts.inputs_applied += applied;
        breaches.extend(wrong);
        verdict.pauses_us.extend(judge.pauses());
        let violation = |breach: Breach| Violation {
            guarantee: breach.guarantee,
            id: id.clone(),
            text: breach.text,
            places: breach.places,
        };
        verdict.violations.extend(breaches.into_iter().map(violation));
    }
    verdict.pauses_us.sort_unstable();
    let has = |what: fn(&Version) -> bool| {
        book.matches.values().any(|book| book.ticks.values().flat_map(BTreeMap::values).any(what))
    };
    if !has(|version| version.committing.is_some()) {
        verdict.unproven.push("guarantees 1, 4, 5 and 6 need the histories of all nodes".to_owned());
    }
    if !has(|version| version.seen.is_some()) {
        verdict.unproven.push("guarantees 1, 3 and 4 need histories of clients".to_owned());
    }
    verdict
}

struct Judge<'a> {
    book: &'a MatchBook,
    /// The ticks that the store had, each with who committed it.
    alive: Vec<(u64, (u64, u64), &'a Version)>,
}

fn breach(guarantee: u8, text: String, places: impl IntoIterator<Item = Place>) -> Breach {
    Breach { guarantee, text, places: places.into_iter().collect() }
}

/// Tick 0 is the match as it was created, and nobody's. A tick counts as committed if its owner was told so, a client had it, or a later owner went on from it.
fn alive(book: &MatchBook) -> Vec<(u64, (u64, u64), &Version)> {
    let mut alive = Vec::new();
    for (tick, versions) in book.ticks.range(1..) {
        for (owner, version) in versions {
            let went_on = |claim: &Claim| {
                let hash = version.committing.map(|(_, hash, _)| hash);
                claim.at.tick == *tick && claim.at.epoch > owner.0 && hash == Some(claim.hash)
            };
            let known = version.committed.is_some() || version.seen.is_some();
            if known || book.claims.iter().any(went_on) {
                alive.push((*tick, *owner, version));
            }
        }
    }
    alive
}

impl Judge<'_> {
    fn has_nodes(&self) -> bool {
        !self.book.claims.is_empty()
    }

    /// Whether clients were told to forget this tick.
    fn is_forgotten(&self, tick: u64) -> bool {
        self.book.resets.iter().any(|(from, to)| (*to + 1..=*from).contains(&tick))
    }

    /// 1: nobody sees a tick before it was sent to the store.
    fn check_commits_before_views(&self, skew_us: u64) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (tick, _, version) in &self.alive {
            if let (Some((begun, _, commit)), Some((seen, _, view))) = (version.committing, version.seen)
                && seen + skew_us < begun
            {
                let early = begun - seen;
                breaches.push(breach(
                    1,
                    format!("tick {tick} was seen {early} us before it was committed"),
                    [commit, view],
                ));
            }
        }
        breaches
    }

    /// 4: every state has its owner's hash.
    fn check_hashes(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (tick, _, version) in &self.alive {
            let Some((_, seen, place)) = version.seen else { continue };
            let other = version.seen_otherwise.filter(|(hash, _)| *hash != seen);
            if let Some((hash, other)) = other {
                breaches.push(breach(
                    4,
                    format!("two clients have tick {tick} as {seen:08x} and {hash:08x}"),
                    [place, other],
                ));
            }
            match version.committing {
                Some((_, hash, commit)) if hash != seen => {
                    let text = format!("tick {tick} has hash {hash:08x}, a client has {seen:08x}");
                    breaches.push(breach(4, text, [commit, place]));
                }
                None if self.has_nodes() => {
                    breaches.push(breach(
                        1,
                        format!("tick {tick} was seen and no owner tells of it"),
                        [place],
                    ));
                }
                Some(_) | None => {}
            }
        }
        breaches
    }

    /// 2, and 3 for what clients saw: each tick has one owner, and there is no hole.
    fn check_lineage(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let place = |version: &Version| {
            let committed = version.committed.map(|(_, place)| place);
            committed
                .or(version.seen.map(|(.., place)| place))
                .or(version.committing.map(|(.., place)| place))
        };
        for pair in self.alive.windows(2) {
            let ((tick, owner, one), (next, next_owner, other)) = (pair[0], pair[1]);
            let places: Vec<Place> = [one, other].into_iter().filter_map(place).collect();
            if tick == next && !self.is_forgotten(tick) {
                let seen = one.seen.is_some() && other.seen.is_some();
                let text = format!(
                    "tick {tick} is committed by two owners, {}:{:016x} and {}:{:016x}",
                    owner.0, owner.1, next_owner.0, next_owner.1
                );
                breaches.push(breach(if seen { 3 } else { 2 }, text, places));
            } else if next > tick + 1 && self.has_nodes() {
                breaches.push(breach(2, format!("ticks {} to {} are missing", tick + 1, next - 1), places));
            } else if next_owner.0 < owner.0 && next > tick && !self.is_forgotten(tick) {
                let text = format!("tick {next} is of an earlier owner than tick {tick}");
                breaches.push(breach(2, text, places));
            }
        }
        breaches
    }

    /// 6: whoever takes a match over has all that was committed before.
    fn check_claims(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for claim in &self.book.claims {
            let earlier = self.alive.iter().rev().find(|(_, owner, _)| owner.0 < claim.at.epoch);
            let Some((last, _, version)) = earlier else { continue };
            if *last > claim.at.tick && !self.is_forgotten(*last) {
                let text = format!(
                    "the owner of epoch {} goes on from tick {}, and tick {last} was committed before",
                    claim.at.epoch, claim.at.tick
                );
                let places = [Some(claim.place), version.committing.map(|(.., place)| place)];
                breaches.push(breach(6, text, places.into_iter().flatten()));
            }
            let same =
                self.alive.iter().find(|(tick, owner, _)| *tick == claim.at.tick && owner.0 < claim.at.epoch);
            if let Some((tick, _, Version { committing: Some((_, hash, place)), .. })) = same
                && *hash != claim.hash
                && !self.is_forgotten(*tick)
            {
                let text =
                    format!("tick {tick} was committed as {hash:08x} and taken over as {:08x}", claim.hash);
                breaches.push(breach(6, text, [*place, claim.place]));
            }
        }
        breaches
    }

    /// 5: each input once, in order; what is acknowledged was applied. Answers how many were applied.
    fn check_inputs(&self) -> (u64, Vec<Breach>) {
        let mut breaches = Vec::new();
        let mut applied: BTreeMap<PlayerId, (InputSeq, u64)> = BTreeMap::new();
        let mut count = 0;
        for (tick, _, version) in self.alive.iter().filter(|(tick, ..)| !self.is_forgotten(*tick)) {
            let place = version.committing.map(|(.., place)| place);
            for (player, seq) in &version.inputs {
                count += 1;
                if let Some((last, at)) = applied.insert(*player, (*seq, *tick))
                    && last >= *seq
                {
                    let text = format!(
                        "input {} of player {player} is applied in tick {tick}, and input {} in tick {at}",
                        seq.0, last.0
                    );
                    breaches.push(breach(5, text, place));
                }
            }
        }
        if self.has_nodes() {
            for (player, (acked, place)) in &self.book.acked {
                let last = applied.get(player).map_or(InputSeq(0), |(last, _)| *last);
                if *acked > last && self.book.resets.is_empty() {
                    let text =
                        format!("input {} of player {player} is acknowledged and was never applied", acked.0);
                    breaches.push(breach(5, text, [*place]));
                }
            }
        }
        (count, breaches)
    }

    /// From the last tick of each owner to the first of the next.
    fn pauses(&self) -> Vec<u64> {
        let committed = |version: &Version| version.committed.map(|(at, _)| at);
        let pairs = self.alive.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        pairs.filter_map(|pair| Some(committed(pair[1].2)?.saturating_sub(pair[0].2.committing?.0))).collect()
    }
}

#[cfg(test)]
mod tests;
