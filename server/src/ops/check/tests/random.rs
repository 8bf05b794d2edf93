//! Random histories that are in order, and random changes to them that are not.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A client: a player who acts, over connections.
struct Player {
    number: u32,
    session: u64,
    connections: u64,
    sent: u32,
    applied: u32,
    queued: Vec<u32>,
}

/// A cluster that keeps its promises.
struct Scene {
    rng: StdRng,
    lines: Vec<(usize, Record)>,
    at_us: u64,
    players: Vec<Player>,
    tick: u64,
}

impl Scene {
    fn new(seed: u64) -> Scene {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..4);
        let player =
            |number| Player { number, session: 0, connections: 0, sent: 0, applied: 0, queued: Vec::new() };
        Scene {
            rng,
            lines: Vec::new(),
            at_us: 1_000_000,
            players: (1..=count).map(player).collect(),
            tick: 0,
        }
    }

    fn say(&mut self, file: usize, by: String, event: Event) {
        self.at_us += self.rng.random_range(1..500);
        let match_id = "m1".parse().unwrap();
        self.lines.push((file, Record { at_us: self.at_us, by, match_id, event }));
    }

    fn node(&mut self, epoch: u64, event: Event) {
        self.say(NODES, format!("n{epoch}"), event);
    }

    fn client(&mut self, at: usize, event: Event) {
        let by = format!("bot-{}", self.players[at].number);
        self.say(CLIENTS, by, event);
    }

    fn connect(&mut self, at: usize, epoch: u64) {
        let player = &mut self.players[at];
        let resumed = player.connections > 0;
        player.connections += 1;
        player.session = u64::from(player.number) * 1000 + player.connections;
        let (session, id) = (SessionId(player.session), PlayerId(player.number));
        let node = "n1".parse().unwrap();
        self.client(at, Event::Joined { session, player: Some(id), node, resumed });
        self.see(at, epoch, false);
        let again = self.players[at].applied + 1..=self.players[at].sent;
        again.for_each(|seq| self.send(at, seq));
    }

    fn send(&mut self, at: usize, seq: u32) {
        let player = &mut self.players[at];
        if !player.queued.contains(&seq) {
            player.queued.push(seq);
        }
        let (session, player) = (SessionId(player.session), PlayerId(player.number));
        self.client(at, Event::Sent { session, player, seq: InputSeq(seq) });
    }

    fn see(&mut self, at: usize, epoch: u64, merged: bool) {
        let player = &self.players[at];
        let (session, acked) = (SessionId(player.session), Some(InputSeq(player.applied)));
        let (fence, tick, hash) = (owner(epoch), Tick(self.tick), self.tick as u32);
        self.client(at, Event::Seen { session, fence, tick, hash, acked, merged });
    }

    /// One owner until its end; `before` is the tick that its predecessor may have tried in vain.
    fn own(&mut self, epoch: u64) {
        self.node(epoch, claimed(epoch, self.tick));
        for at in 0..self.players.len() {
            match self.players[at].connections > 0 && self.rng.random_bool(0.6) {
                true => self.see(at, epoch, false),
                false => self.connect(at, epoch),
            }
        }
        for _ in 0..self.rng.random_range(3..9) {
            self.tick(epoch);
        }
        match self.rng.random_range(0..3) {
            0 => self.node(epoch, Event::Released(owner(epoch))),
            // Killed with a tick on its way, which the store has got or not.
            end => {
                self.node(epoch, committing(epoch, self.tick + 1, &[]));
                self.tick += u64::from(end == 1);
            }
        }
    }

    fn tick(&mut self, epoch: u64) {
        let mut inputs = Vec::new();
        for player in &mut self.players {
            let most = self.rng.random_range(0..3);
            for seq in player.queued.drain(..player.queued.len().min(most)) {
                player.applied = seq;
                inputs.push((PlayerId(player.number), InputSeq(seq)));
            }
        }
        self.tick += 1;
        let (fence, tick, hash) = (owner(epoch), Tick(self.tick), self.tick as u32);
        self.node(epoch, Event::Committing { fence, tick, hash, inputs });
        self.node(epoch, committed(epoch, self.tick));
        for at in 0..self.players.len() {
            self.see(at, epoch, false);
            if self.rng.random_bool(0.7) {
                self.players[at].sent += 1;
                self.send(at, self.players[at].sent);
            }
        }
    }

    fn history(seed: u64) -> Vec<(usize, Record)> {
        let mut scene = Scene::new(seed);
        for epoch in 1..=scene.rng.random_range(1..5) {
            scene.own(epoch);
        }
        scene.lines
    }
}

/// Changes one thing that matters; `false` if there is no such thing in this history.
fn break_one(lines: &mut Vec<(usize, Record)>, rng: &mut StdRng) -> Option<String> {
    let kind = rng.random_range(0..11);
    let fits = |at: usize| {
        let next_commits = |fence: Owner| {
            let later = lines[at + 1..].iter().map(|(_, record)| &record.event);
            later.into_iter().any(|it| matches!(it, Event::Committing { fence: own, .. } if *own == fence))
        };
        let (first, last) = match &lines[at].1.event {
            Event::Seen { session, .. } => {
                let same = |(_, record): &&(usize, Record)| matches!(record.event, Event::Seen { session: other, .. } if other == *session);
                (!lines[..at].iter().any(|it| same(&it)), !lines[at + 1..].iter().any(|it| same(&it)))
            }
            _ => (true, true),
        };
        match (&lines[at].1.event, kind) {
            (Event::Seen { .. }, 0..=2) => true,
            // Without the state at the edge of two owners nothing is missing.
            (Event::Seen { tick, .. }, 3) => {
                let edge = |it: &(usize, Record)| matches!(&it.1.event, Event::Claimed { tick: at, .. } if at == tick);
                !first && !last && !lines.iter().any(edge)
            }
            (Event::Claimed { .. }, 4) => true,
            (Event::Claimed { tick, .. }, 5) => tick.0 > 0,
            (Event::Committing { .. }, 6) => next_commits_or_committed(lines, at),
            (Event::Committed { fence, .. }, 7) => next_commits(*fence),
            (Event::Committing { inputs, .. }, 8 | 9) => !inputs.is_empty(),
            (Event::Committed { .. }, 10) => true,
            _ => false,
        }
    };
    let places: Vec<usize> = (0..lines.len()).filter(|at| fits(*at)).collect();
    let at = *places.get(rng.random_range(0..places.len().max(1)))?;
    let told = format!("change {kind} of line {}: {:?}", at + 1, lines[at].1);
    match (&mut lines[at].1.event, kind) {
        (Event::Seen { hash, .. }, 0) => *hash ^= 1 << 20,
        (Event::Seen { tick, .. }, 1) => tick.0 += 2,
        (Event::Seen { acked, .. }, 2) => *acked = Some(InputSeq(900)),
        (Event::Claimed { hash, .. }, 5) => *hash ^= 1,
        (Event::Committing { inputs, .. }, 8) => inputs.push(inputs[0]),
        (Event::Committing { inputs, .. }, 9) => inputs[0].1 = InputSeq(900),
        (Event::Committed { fence, .. }, 10) => fence.nonce.0 ^= 1,
        _ => drop(lines.remove(at)),
    }
    Some(told)
}

/// Whether more is said of this tick, or of a later one, by its owner.
fn next_commits_or_committed(lines: &[(usize, Record)], at: usize) -> bool {
    let Event::Committing { fence, .. } = &lines[at].1.event else { return false };
    lines[at + 1..].iter().any(|(_, record)| match &record.event {
        Event::Committing { fence: own, .. } | Event::Committed { fence: own, .. } => own == fence,
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_is_in_order_is_proven(seed: u64) {
        let report = judge(Scene::history(seed), 0, false);
        prop_assert_eq!(report.verdict(), Verdict::Proven, "{}", report.text());
    }

    #[test]
    fn files_may_come_in_any_order(seed: u64) {
        let mut lines = Scene::history(seed);
        lines.sort_by_key(|(file, _)| std::cmp::Reverse(*file));
        let report = judge(lines, 0, false);
        prop_assert_eq!(report.verdict(), Verdict::Proven, "{}", report.text());
    }

    #[test]
    fn one_change_is_caught(seed: u64) {
        let mut lines = Scene::history(seed);
        if let Some(told) = break_one(&mut lines, &mut StdRng::seed_from_u64(seed ^ 1)) {
            let report = judge(lines, 0, false);
            prop_assert_eq!(report.verdict(), Verdict::Violated, "{}\n{}", told, report.text());
        }
    }
}
