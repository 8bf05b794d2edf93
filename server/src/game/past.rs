//! Lag compensation: what a game may look back at, so that an action is judged by what its player was shown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::schema::{FieldType, Predictor};
use tickcast_protocol::{EntityId, PlayerId, Schema, Tick, World};

/// Parts of a tick in which moments are counted.
const PARTS: u64 = 256;

/// What a player was shown when it acted, as its client tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    /// The last tick that the client had applied.
    pub seen: Tick,
    /// How far the picture was behind that, in 256ths of a tick.
    pub behind: u16,
}

/// A kind whose past a game asks for: see [`crate::game::Game::remembers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    kind: u8,
    fields: Vec<usize>,
    jump: i32,
}

impl Remembered {
    /// These fields of a kind, none of them a text.
    pub fn new(kind: u8, fields: impl IntoIterator<Item = usize>) -> Remembered {
        Remembered { kind, fields: fields.into_iter().collect(), jump: i32::MAX }
    }

    /// An entity that goes further than this in a linear field within one tick did not go, it was put there. It is
    /// taken for a new one: before that tick it did not exist.
    #[must_use]
    pub fn jump(self, jump: i32) -> Remembered {
        Remembered { jump, ..self }
    }
}

/// How a field's value between two ticks comes from the values at both.
#[derive(Debug, Clone, Copy)]
enum Blend {
    /// The earlier one stands until the later tick.
    Hold,
    /// Evenly from one to the other: linear fields.
    Even,
    /// The short way round a circle of so many bits.
    Round(u8),
}

/// A field that is kept.
#[derive(Debug, Clone, Copy)]
struct KeptField {
    field: usize,
    /// Its place among the kind's fields that are no texts.
    place: usize,
    blend: Blend,
}

impl KeptField {
    fn of(schema: &Schema, kind: u8, field: usize) -> KeptField {
        let fields = &schema.kinds()[usize::from(kind)].fields;
        let is_number = |holds: FieldType| !matches!(holds, FieldType::Text { .. });
        assert!(is_number(fields[field].holds), "a game asks for the past of a text, {}", fields[field].name);
        let blend = match (fields[field].holds, fields[field].predictor) {
            (FieldType::Angle { bits }, _) => Blend::Round(bits),
            (_, Predictor::Linear) => Blend::Even,
            (_, Predictor::Hold) => Blend::Hold,
        };
        let place = fields[..field].iter().filter(|field| is_number(field.holds)).count();
        KeptField { field, place, blend }
    }
}

/// The continuous life of an entity that is there.
#[derive(Debug, Clone, Copy)]
struct Life {
    since: Tick,
    /// The last tick of those that were read in which it was there.
    last: Tick,
}

/// A kind's past.
#[derive(Debug)]
struct Kept {
    kind: u8,
    fields: Vec<KeptField>,
    jump: i64,
    /// The values by tick, the newest last: for each index the fields one after another. Ticks that are alike share them.
    ticks: VecDeque<Arc<Vec<i32>>>,
    /// The last tick whose state was read: those after it were the same.
    read: Tick,
    /// By index.
    lives: Vec<Life>,
}

/// The last second of what a game asked for. Costs nothing where it asked for nothing.
#[derive(Debug)]
pub struct Past {
    kinds: Vec<Kept>,
    /// The last tick recorded: the state that a step begins with.
    tick: Tick,
    /// Ticks recorded one after another up to it, at most `length`.
    known: usize,
    length: usize,
    /// How far an action reaches back at most, in parts of a tick.
    reach: u64,
    /// How far behind each player acts, by its newest input.
    lags: BTreeMap<PlayerId, u64>,
}

impl Past {
    /// An empty past, of a match whose actions reach back `rewind` at most.
    pub fn new(schema: &Schema, remembered: &[Remembered], hz: u8, rewind: Duration) -> Past {
        let kept = |wanted: &Remembered| Kept {
            kind: wanted.kind,
            fields: wanted.fields.iter().map(|field| KeptField::of(schema, wanted.kind, *field)).collect(),
            jump: i64::from(wanted.jump),
            ticks: VecDeque::new(),
            read: Tick(0),
            lives: Vec::new(),
        };
        Past {
            kinds: remembered.iter().map(kept).collect(),
            tick: Tick(0),
            known: 0,
            length: if remembered.is_empty() { 1 } else { usize::from(hz) + 1 },
            reach: rewind.as_millis() as u64 * u64::from(hz) * PARTS / 1000,
            lags: BTreeMap::new(),
        }
    }

    /// Whether the game asked for anything.
    pub fn is_kept(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Takes in the state after a tick. A tick that does not follow the last one begins a new past.
    pub fn record(&mut self, tick: Tick, world: &World) {
        self.take(tick, world, false);
    }

    /// Takes in a tick that changed nothing: the state is that of the tick before.
    pub fn record_same(&mut self, tick: Tick, world: &World) {
        self.take(tick, world, true);
    }

    fn take(&mut self, tick: Tick, world: &World, is_same: bool) {
        let follows = self.known > 0 && tick == self.tick.next();
        self.tick = tick;
        self.known = if follows { self.length.min(self.known + 1) } else { 1 };
        for kept in &mut self.kinds {
            if !follows {
                kept.ticks.clear();
                kept.lives.clear();
            }
            if follows && is_same {
                kept.repeat(self.length);
            } else {
                kept.record(tick, world, self.length);
            }
        }
    }

    /// A player acts, shown this. Until its next input it is taken to be shown what is as far behind.
    pub fn note(&mut self, player: PlayerId, view: View) {
        if self.is_kept() {
            self.lags.insert(player, self.at(view).behind());
        }
    }

    /// A player left.
    pub fn forget(&mut self, player: PlayerId) {
        self.lags.remove(&player);
    }

    /// The moment that a player was shown: not later than now, not earlier than the server allows or knows.
    pub fn at(&self, view: View) -> Moment<'_> {
        self.moment((view.seen.0.min(self.tick.0) * PARTS).saturating_sub(u64::from(view.behind)))
    }

    /// The moment that this player is shown now, by its newest input; now, if there was none.
    pub fn of(&self, player: PlayerId) -> Moment<'_> {
        let lag = self.lags.get(&player).copied().unwrap_or(0);
        self.moment((self.tick.0 * PARTS).saturating_sub(lag))
    }

    fn moment(&self, at: u64) -> Moment<'_> {
        let now = self.tick.0 * PARTS;
        let reach = self.reach.min(self.known.saturating_sub(1) as u64 * PARTS);
        Moment { past: self, at: at.clamp(now.saturating_sub(reach), now) }
    }
}

impl Kept {
    fn record(&mut self, tick: Tick, world: &World, length: usize) {
        let width = self.fields.len();
        let oldest = if self.ticks.len() < length { None } else { self.ticks.pop_front() };
        let mut recorded = oldest.filter(|shared| Arc::strong_count(shared) == 1).unwrap_or_default();
        let values = Arc::get_mut(&mut recorded).expect("nobody else has it");
        values.clear();
        let before: &[i32] = self.ticks.back().map_or(&[], |before| before);
        for (id, row) in world.rows(self.kind) {
            let index = usize::from(id.index);
            let at = index * width;
            values.resize(at, 0);
            values.extend(self.fields.iter().map(|field| row[field.place]));
            if self.lives.len() <= index {
                self.lives.resize(index + 1, Life { since: tick, last: Tick(u64::MAX) });
            }
            let life = &mut self.lives[index];
            let stayed =
                life.last == self.read && !jumped(&self.fields, &before[at..], &values[at..], self.jump);
            *life = Life { since: if stayed { life.since } else { tick }, last: tick };
        }
        self.read = tick;
        self.ticks.push_back(recorded);
    }

    /// One more tick like the last.
    fn repeat(&mut self, length: usize) {
        let last = self.ticks.back().map(Arc::clone);
        if self.ticks.len() >= length {
            self.ticks.pop_front();
        }
        self.ticks.extend(last);
    }

    /// The value of a field, by its place among the kept ones, so many ticks before the last.
    fn value(&self, ago: usize, index: usize, place: usize) -> Option<i32> {
        let values = self.ticks.get(self.ticks.len().checked_sub(ago + 1)?)?;
        values.get(index * self.fields.len() + place).copied()
    }
}

/// Whether somebody went further in a linear field than anybody goes.
fn jumped(fields: &[KeptField], from: &[i32], to: &[i32], jump: i64) -> bool {
    let ways = from.iter().zip(to).map(|(from, to)| (i64::from(*to) - i64::from(*from)).abs());
    fields.iter().zip(ways).any(|(field, way)| way > jump && matches!(field.blend, Blend::Even))
}

/// A moment of the past, as exact as a player was shown it: mostly between two ticks.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    past: &'a Past,
    /// In parts of a tick.
    at: u64,
}

impl<'a> Moment<'a> {
    /// The value that a field of an entity had then. `None` if the entity did not exist then, does not exist now, was
    /// put elsewhere since (see [`Remembered::jump`]), or if the game did not ask for this field to be remembered.
    pub fn get(&self, id: EntityId, field: usize) -> Option<i32> {
        let kept = self.past.kinds.iter().find(|kept| kept.kind == id.kind)?;
        let place = kept.fields.iter().position(|kept| kept.field == field)?;
        let index = usize::from(id.index);
        let Life { since, last } = *kept.lives.get(index)?;
        let (tick, part) = (self.at / PARTS, (self.at % PARTS) as i64);
        if last != kept.read || since.0 > tick {
            return None;
        }
        let ago = (self.past.tick.0 - tick) as usize;
        let from = kept.value(ago, index, place)?;
        if part == 0 {
            return Some(from);
        }
        let to = kept.value(ago - 1, index, place)?;
        let way = i64::from(to) - i64::from(from);
        Some(match kept.fields[place].blend {
            Blend::Hold => from,
            Blend::Even => (i64::from(from) + scaled(way, part)) as i32,
            Blend::Round(bits) => {
                let half = 1i64 << (bits - 1);
                let way = ((way + half) & (2 * half - 1)) - half;
                ((i64::from(from) + scaled(way, part)) & (2 * half - 1)) as i32
            }
        })
    }

    /// How far it is behind the state that the step began with, in 256ths of a tick.
    pub fn behind(&self) -> u64 {
        self.past.tick.0 * PARTS - self.at
    }

    /// The time from this moment to the end of the step, as the rules of one tick after another count it: the rest of
    /// the tick that the moment is in, then whole ticks, the last of them the one that this step makes. Each with the
    /// moment that it begins at and its length in 256ths of a tick. For what moves by itself, such as a bullet.
    pub fn legs(self) -> impl Iterator<Item = (Moment<'a>, i32)> {
        let end = (self.past.tick.0 + 1) * PARTS;
        std::iter::successors(Some(self.at), |at| Some((at / PARTS + 1) * PARTS))
            .take_while(move |at| *at < end)
            .map(move |at| (Moment { past: self.past, at }, (PARTS - at % PARTS) as i32))
    }
}

/// `part` 256ths of a way, rounded to the nearest.
fn scaled(way: i64, part: i64) -> i64 {
    (way * part + PARTS as i64 / 2).div_euclid(PARTS as i64)
}

#[cfg(test)]
mod tests;
