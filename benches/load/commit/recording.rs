//! Ticks of a running match as its owner commits them, recorded once and written by many.

use std::collections::BTreeMap;
use std::time::Duration;

use tickcast_protocol::{EntityId, InputSeq, MatchId, Nonce, PlayerId, Tick, World};
use tickcast_server::backplane::store::Store;
use tickcast_server::backplane::{Claim, ClaimReply, Commit, MatchFields};
use tickcast_server::logic::channel::Upstream;

use crate::Battle;
use crate::load::hands::{Hands, Style};
use crate::load::protocols::tickcast;

/// Players that a match takes; drones do the rest.
const PLAYERS_MAX: u32 = 64;
/// Ticks from the first to the last that only bring the match up: priors come seldom behind them.
const OPENING_TICKS: usize = 150;
/// Seconds of play that are written again and again.
const ROUND_SECONDS: u32 = 2;

/// A match in which so many entities change in every tick.
pub(super) struct Recording {
    /// What it is created with.
    pub(super) fields: MatchFields,
    /// Its first ticks.
    pub(super) opening: Vec<Commit>,
    /// What comes behind them, over and over.
    pub(super) round: Vec<Commit>,
    /// Entities that a tick of the round changes, mean.
    pub(super) changed: f64,
}

impl Recording {
    /// Plays a match of the arena: everybody moves and turns in every tick, and nobody fires, so that their number stays.
    pub(super) fn new(changed: u32, style: Style, tick_rate: u32) -> Recording {
        let players = changed.min(PLAYERS_MAX);
        let fields = Battle::fields_at(players, changed - players, tick_rate);
        let mut crew: Vec<Hands> =
            (0..players).map(|player| Hands::new(style, false, tick_rate, player.into())).collect();
        let mut seq = InputSeq(0);
        let mut inputs = move || {
            seq.0 += 1;
            let input = |(at, hands): (usize, &mut Hands)| {
                let (player, values) =
                    (PlayerId(at as u32 + 1), tickcast::values(hands.next(false)).to_vec());
                Upstream::Input { player, seq, seen: Tick(0), behind: 0, values: values.into() }
            };
            crew.iter_mut().enumerate().map(input).collect()
        };
        let mut opening = Vec::new();
        // Entities are written once per second, as nodes do where nothing else is set.
        let mut battle =
            Battle::begin_with(&claimed(&fields), players, tick_rate.into(), &mut inputs, |tick| {
                opening.push(tick)
            });
        while opening.len() < OPENING_TICKS {
            opening.push(battle.tick(inputs()));
        }
        let (mut round, mut sum) = (Vec::new(), 0);
        for _ in 0..ROUND_SECONDS * tick_rate {
            let before = rows(battle.world());
            round.push(battle.tick(inputs()));
            sum += rows(battle.world()).into_iter().filter(|(id, row)| before.get(id) != Some(row)).count();
        }
        let changed = sum as f64 / round.len() as f64;
        Recording { fields, opening, round, changed }
    }

    /// Bytes of a tick's message, mean.
    pub(super) fn message_bytes(&self) -> f64 {
        self.mean(|tick| tick.message.len())
    }

    /// Fields that a tick writes besides those that every commit has, mean.
    pub(super) fn fields_set(&self) -> f64 {
        self.mean(|tick| tick.set.len())
    }

    /// Bytes of these fields with their names, mean.
    pub(super) fn field_bytes(&self) -> f64 {
        self.mean(|tick| tick.set.iter().map(|(name, value)| name.len() + value.len()).sum())
    }

    fn mean(&self, number: impl Fn(&Commit) -> usize) -> f64 {
        self.round.iter().map(number).sum::<usize>() as f64 / self.round.len() as f64
    }
}

fn rows(world: &World) -> BTreeMap<EntityId, Vec<i32>> {
    let kinds = 0..world.schema().kinds().len() as u8;
    kinds.flat_map(|kind| world.rows(kind).map(|(id, row)| (id, row.to_vec())).collect::<Vec<_>>()).collect()
}

/// The match as its first owner gets it.
fn claimed(fields: &MatchFields) -> MatchFields {
    let id: MatchId = "recorded".parse().expect("a valid id");
    let mut store = Store::default();
    store.create(&id, fields.clone());
    match store.claim(&id, &claim(), 0) {
        ClaimReply::Claimed { fields, .. } => fields,
        other => panic!("not claimed: {other:?}"),
    }
}

/// The claim of an owner whom nobody disturbs.
pub(super) fn claim() -> Claim {
    Claim {
        node: "load".parse().expect("a valid id"),
        nonce: Nonce(7),
        unanswered: Vec::new(),
        lease: Duration::from_secs(3600),
        crashes_max: u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickcast_server::backplane::fields;

    #[test]
    fn as_many_entities_change_as_were_asked_for_and_are_written_once_a_second() {
        for changed in [8, 128] {
            let recording = Recording::new(changed, Style::Play, 20);
            assert!(
                (recording.changed - f64::from(changed)).abs() < 0.5,
                "{} of {changed}",
                recording.changed
            );
            let writes =
                |tick: &&Commit| tick.set.iter().any(|(name, _)| name == fields::SNAPSHOT_TICK.as_bytes());
            let snapshots: Vec<&Commit> = recording.round.iter().filter(writes).collect();
            assert_eq!(snapshots.len(), 2, "two seconds");
            assert!(snapshots.iter().all(|tick| tick.set.len() > changed as usize));
            let plain = recording.round.iter().filter(|tick| !writes(tick));
            assert!(plain.clone().all(|tick| tick.set.len() == 1), "the hash of the state");
            assert!(recording.message_bytes() > 0.0 && recording.fields_set() > 1.0);
        }
    }
}
