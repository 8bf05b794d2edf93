//! What the histories of one match say together. Owners come one after the other, each goes on from the tick that its
//! claim restored: so a tick survives if its owner made it and no later claim went on from an earlier one.

use std::collections::BTreeMap;

use tickcast_protocol::{Fence, MatchId, PlayerId, Tick};

use super::findings::{Findings, Place, Rule};
use super::report::Report;
use super::seqs::Seqs;
use super::story::{Attempt, Claim, Sighting, Story};

/// How strictly it is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// By how much clocks may differ.
    pub(super) skew_us: u64,
    /// Whether ticks may be undone that clients were told about.
    pub(super) store_may_lose: bool,
}

/// One match under judgement.
struct Case<'a> {
    rules: Rules,
    id: &'a MatchId,
    story: Story,
    /// Position of each claim among all, which are in their order.
    order: BTreeMap<(u64, u64), usize>,
    /// The last tick of each owner that survives.
    ends: Vec<Tick>,
    findings: &'a mut Findings,
}

impl Rules {
    /// Judges a match, and adds it to the report.
    pub(super) fn conclude(
        self,
        id: &MatchId,
        mut story: Story,
        findings: &mut Findings,
        report: &mut Report,
    ) {
        // Where a store lost writes, epochs come again; otherwise they are better than clocks.
        story
            .claims
            .sort_by_key(|claim| (if self.store_may_lose { 0 } else { claim.fence.epoch.0 }, claim.at_us));
        let mut ends: Vec<Tick> = story.claims.iter().map(|claim| claim.tick).skip(1).collect();
        ends.push(Tick(u64::MAX));
        for owner in (1..ends.len()).rev() {
            ends[owner - 1] = ends[owner - 1].min(ends[owner]);
        }
        ends.truncate(story.claims.len());
        let order = story.claims.iter().enumerate().map(|(at, claim)| (key(claim.fence), at)).collect();
        let mut case = Case { rules: self, id, story, order, ends, findings };
        case.check_epochs();
        case.settle();
        report.rollbacks += case.check_claims();
        case.check_owners();
        case.check_sightings();
        case.check_sessions();
        case.check_inputs(report);
        case.measure(report);
    }
}

fn key(fence: Fence) -> (u64, u64) {
    (fence.epoch.0, fence.nonce.0)
}

impl Case<'_> {
    fn violation(&mut self, rule: Rule, place: Place, text: &str) {
        self.findings.violation(rule, place, format!("match {}: {text}", self.id));
    }

    fn owner(&self, fence: Fence) -> Option<usize> {
        self.order.get(&key(fence)).copied()
    }

    fn check_epochs(&mut self) {
        let pairs: Vec<(Claim, Fence)> = match self.rules.store_may_lose {
            true => Vec::new(),
            false => {
                let claims = self.story.claims.windows(2);
                let doubled = claims.filter(|pair| pair[0].fence.epoch == pair[1].fence.epoch);
                doubled.map(|pair| (pair[1].clone(), pair[0].fence)).collect()
            }
        };
        for (claim, other) in pairs {
            let text = format!("{} claims under {}, and another node under {other}", claim.node, claim.fence);
            self.violation(Rule::OneOwner, claim.place, &text);
        }
    }

    /// Ticks that clients saw are committed, whether or not their owner lived to write it down.
    fn settle(&mut self) {
        let Story { attempts, sightings, .. } = &mut self.story;
        for (tick, seen) in sightings {
            for attempt in attempts.get_mut(tick).into_iter().flatten() {
                attempt.committed |= seen.iter().any(|sighting| sighting.fence == attempt.fence);
            }
        }
    }

    /// Each claim goes on from the last committed tick, as it was committed. Returns how many did not, where that
    /// may be.
    fn check_claims(&mut self) -> u64 {
        let last: Vec<Option<Tick>> =
            (0..self.story.claims.len()).map(|owner| self.last_committed(owner)).collect();
        let mut rollbacks = 0;
        for at in 0..self.story.claims.len() {
            let claim = self.story.claims[at].clone();
            let lost = (0..at).filter_map(|before| {
                let survived = last[before]?.min(self.ends_before(before, at));
                (survived > claim.tick).then_some((survived, before))
            });
            let lost = lost.max();
            match lost {
                Some(_) if self.rules.store_may_lose => rollbacks += 1,
                Some((tick, before)) => {
                    let (by, fence) = (&self.story.claims[before].node, self.story.claims[before].fence);
                    let text = format!(
                        "{} claims under {} at tick {}, but {by} had committed tick {tick} under {fence}",
                        claim.node, claim.fence, claim.tick
                    );
                    self.violation(Rule::NothingLost, claim.place, &text);
                }
                None => {}
            }
            self.check_restored(at, &claim);
        }
        rollbacks
    }

    /// Up to where an owner's ticks survived until a later claim.
    fn ends_before(&self, owner: usize, claim: usize) -> Tick {
        let between = self.story.claims[owner + 1..claim].iter().map(|claim| claim.tick).min();
        between.unwrap_or(Tick(u64::MAX))
    }

    fn last_committed(&self, owner: usize) -> Option<Tick> {
        let Claim { fence, last, .. } = self.story.claims[owner];
        let from = self.story.attempts.range(last..);
        let of_owner = |attempts: &Vec<Attempt>| attempts.iter().any(|it| it.fence == fence && it.committed);
        from.rev().find(|(_, attempts)| of_owner(attempts)).map(|(tick, _)| *tick)
    }

    /// The restored state is the one that was committed at its tick; that it was restored shows that it was.
    fn check_restored(&mut self, at: usize, claim: &Claim) {
        let earlier = |fence: Fence| self.order.get(&key(fence)).is_some_and(|owner| *owner < at);
        let attempts = self.story.attempts.get(&claim.tick);
        let mut known: Vec<(usize, u32)> = Vec::new();
        for attempt in attempts.into_iter().flatten().filter(|attempt| earlier(attempt.fence)) {
            known.extend(self.owner(attempt.fence).map(|owner| (owner, attempt.hash)));
        }
        let claims = self.story.claims[..at].iter().enumerate();
        known.extend(claims.filter(|(_, it)| it.tick == claim.tick).map(|(owner, it)| (owner, it.hash)));
        known.sort_unstable();
        let same = known.iter().rev().find(|(_, hash)| *hash == claim.hash).map(|(owner, _)| *owner);
        match (same, known.last()) {
            (Some(owner), _) => {
                let fence = self.story.claims[owner].fence;
                let attempts = self.story.attempts.get_mut(&claim.tick);
                if let Some(it) = attempts.and_then(|all| all.iter_mut().find(|it| it.fence == fence)) {
                    it.committed = true;
                }
            }
            (None, Some((owner, hash))) => {
                let text = format!(
                    "{} restored tick {} with hash {:08x}, but {} committed it with {hash:08x}",
                    claim.node, claim.tick, claim.hash, self.story.claims[*owner].node
                );
                self.violation(Rule::NothingLost, claim.place, &text);
            }
            (None, None) if at > 0 => {
                let text = format!(
                    "match {}: nobody tells of tick {}, which {} restored",
                    self.id, claim.tick, claim.node
                );
                self.findings.missing(text);
            }
            (None, None) => {}
        }
    }

    /// One owner for each committed tick.
    fn check_owners(&mut self) {
        if self.rules.store_may_lose {
            return;
        }
        let mut doubled = Vec::new();
        for (tick, attempts) in &self.story.attempts {
            let mut owners = attempts.iter().filter(|attempt| attempt.committed);
            if let (Some(first), Some(second)) = (owners.next(), owners.next())
                && first.fence != second.fence
            {
                let text =
                    format!("tick {tick} is committed under {} and under {}", first.fence, second.fence);
                doubled.push((second.place, text));
            }
        }
        for (place, text) in doubled {
            self.violation(Rule::OneOwner, place, &text);
        }
    }

    /// Every state that a client saw is the one of its owner, and was not seen before it was committed.
    fn check_sightings(&mut self) {
        let mut unknown: BTreeMap<(u64, u64), Tick> = BTreeMap::new();
        for (tick, seen) in std::mem::take(&mut self.story.sightings) {
            for sighting in seen {
                match self.owner(sighting.fence) {
                    Some(owner) => self.check_sighting(owner, tick, &sighting),
                    None => drop(unknown.entry(key(sighting.fence)).or_insert(tick)),
                }
            }
        }
        for (tick, fence) in
            unknown.into_iter().map(|((epoch, nonce), tick)| (tick, format!("{epoch}:{nonce:016x}")))
        {
            let text =
                format!("match {}: no node tells of claim {fence}, of which tick {tick} was seen", self.id);
            self.findings.missing(text);
        }
    }

    fn check_sighting(&mut self, owner: usize, tick: Tick, sighting: &Sighting) {
        let claim = &self.story.claims[owner];
        let fence = claim.fence;
        if tick == claim.tick && sighting.hash == claim.hash {
            return;
        }
        let attempts = self.story.attempts.get(&tick).into_iter().flatten();
        let attempt = attempts.into_iter().find(|attempt| attempt.fence == fence);
        let made = attempt.map(|attempt| (attempt.hash, attempt.at_us));
        let made = if tick == claim.tick { Some((claim.hash, 0)) } else { made };
        let Some((hash, at_us)) = made else {
            let text =
                format!("a client saw tick {tick} of {fence}, which {} never sent to the store", claim.node);
            return self.violation(Rule::CommitFirst, sighting.place, &text);
        };
        if hash != sighting.hash {
            let text =
                format!("a client has hash {:08x} at tick {tick}, its owner {hash:08x}", sighting.hash);
            self.violation(Rule::SameState, sighting.place, &text);
        }
        if sighting.at_us.saturating_add(self.rules.skew_us) < at_us {
            let early = at_us - sighting.at_us;
            let text = format!("a client saw tick {tick} {early} us before its commit was sent");
            self.violation(Rule::CommitFirst, sighting.place, &text);
        }
    }

    /// What a client saw survives, or the client was told that it does not.
    fn check_sessions(&mut self) {
        for (session, told) in std::mem::take(&mut self.story.sessions) {
            let newest = told.runs.len().saturating_sub(1);
            for (at, run) in told.runs.into_iter().enumerate() {
                let Some(owner) = self.owner(run.fence) else { continue };
                let may_be = self.rules.store_may_lose && (run.told || at == newest);
                if run.last > self.ends[owner] && !may_be {
                    let end = self.ends[owner];
                    let text = format!(
                        "connection {session} saw tick {} of {}, which was undone: a later owner went on from tick {end}",
                        run.last, run.fence
                    );
                    self.violation(Rule::NothingUndone, run.place, &text);
                }
            }
        }
    }

    /// Inputs of the ticks that survive.
    fn check_inputs(&mut self, report: &mut Report) {
        let mut applied: BTreeMap<PlayerId, Seqs> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (tick, attempts) in &self.story.attempts {
            let survives = |attempt: &&Attempt| {
                self.owner(attempt.fence).is_some_and(|owner| attempt.committed && *tick <= self.ends[owner])
            };
            let Some(attempt) = attempts.iter().rfind(survives) else { continue };
            report.ticks_committed += 1;
            for (player, seq) in &attempt.inputs {
                let done = applied.entry(*player).or_default();
                let last = done.last().unwrap_or(0);
                if done.contains(seq.0) {
                    wrong.push((
                        attempt.place,
                        format!("input {} of player {player} is applied again", seq.0),
                    ));
                } else if seq.0 <= last {
                    wrong.push((
                        attempt.place,
                        format!("input {} of player {player} is applied after {last}", seq.0),
                    ));
                }
                if self.story.players.get(player).is_some_and(|inputs| !inputs.sent.contains(seq.0)) {
                    let text = format!("input {} of player {player} is applied and was never sent", seq.0);
                    wrong.push((attempt.place, text));
                }
                done.insert(seq.0);
            }
        }
        let from_start = self.story.claims.first().is_some_and(|claim| claim.tick == Tick(0));
        for (player, inputs) in &self.story.players {
            let done = applied.remove(player).unwrap_or_default();
            if from_start && inputs.acked > done.last().unwrap_or(0) {
                let text = format!(
                    "input {} of player {player} is acknowledged and in no committed tick",
                    inputs.acked
                );
                wrong.push((inputs.acked_at, text));
            }
            report.inputs_sent += inputs.sent.count();
            report.inputs_applied += done.count();
            report.inputs_never_applied += inputs.sent.count().saturating_sub(done.count());
            report.inputs_skipped +=
                inputs.sent.count_to(inputs.acked).saturating_sub(done.count_to(inputs.acked));
        }
        report.inputs_of_others += applied.values().map(Seqs::count).sum::<u64>();
        for (place, text) in wrong {
            self.violation(Rule::InputsOnce, place, &text);
        }
    }

    fn measure(&mut self, report: &mut Report) {
        let mut before: Option<u64> = None;
        for (at, claim) in self.story.claims.iter().enumerate() {
            report.takeovers += u64::from(at > 0);
            if let (Some(last), Some(first)) = (before, claim.first_commit_us) {
                report.pauses_us.push(first.saturating_sub(last));
            }
            before = before.max(claim.last_commit_us);
        }
        report.claims += self.story.claims.len() as u64;
        report.states_seen += self.story.states_seen;
        report.away_us.append(&mut self.story.away_us);
    }
}
