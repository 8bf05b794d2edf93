//! Makes a schema for a trace, as its game's author would: who writes a game knows the bounds of a field, and
//! tries on a part of a recording whether it moves or turns. Looks at values only, never at names.

use std::collections::BTreeSet;
use std::sync::Arc;

use tickcast_protocol::limits::IDENT_BYTES_MAX;
use tickcast_protocol::schema::{Predictor, SchemaError};
use tickcast_protocol::{Field, Kind, Schema};

use super::{EntityType, Trace};

/// Coarsest angle, bits: with less a counter of few values would pass for one.
const ANGLE_BITS_MIN: u8 = 6;
/// Finest angle, bits.
const ANGLE_BITS_MAX: u8 = 16;

/// The schema of a trace: a kind for each type, in order, then an empty kind for players, which the trace
/// does not have.
///
/// A field's bounds are its least and greatest value in the whole trace. Whether it is held or goes on, and
/// whether it is an angle, is what costs least in the training part.
///
/// # Errors
/// When the trace has more types, fields or letters in their names than a schema takes.
pub fn schema_of(trace: &Trace) -> Result<Arc<Schema>, SchemaError> {
    let mut evidence: Vec<Vec<Evidence>> =
        trace.types().iter().map(|entity| vec![Evidence::default(); entity.fields.len()]).collect();
    find_bounds(trace, &mut evidence);
    weigh_guesses(trace, &mut evidence);
    let mut names = Names::default();
    let mut kinds: Vec<Kind> = trace
        .types()
        .iter()
        .zip(&evidence)
        .map(|(entity, of_kind)| kind(&mut names, entity, of_kind))
        .collect();
    let players = names.take("player");
    let filled_in =
        [Field::int(Schema::PLAYER_FIELD, 0, i32::MAX), Field::linear(Schema::SEQ_FIELD, 0, i32::MAX)];
    kinds.push(Kind::new(&players, filled_in));
    Schema::new(&Names::default().take(trace.name()), &players, kinds, [])
}

fn kind(names: &mut Names, entity: &EntityType, evidence: &[Evidence]) -> Kind {
    let mut of_fields = Names::default();
    let mut fields: Vec<Field> =
        entity.fields.iter().zip(evidence).map(|(name, of)| of.field(&of_fields.take(name))).collect();
    if fields.is_empty() {
        // A kind needs one; it stays 0 and is never sent.
        fields.push(Field::int("nothing", 0, 0));
    }
    Kind::new(&names.take(&entity.name), fields)
}

/// What is known of a field.
#[derive(Debug, Clone)]
struct Evidence {
    /// Least and greatest value, none before the first.
    bounds: Option<(i32, i32)>,
    /// Cost as an integer that is held, and that goes on.
    int: [f64; 2],
    /// Cost as an angle that is held, and that goes on.
    angle: [f64; 2],
    /// Steps of more than three quarters of a turn: the short way leads across the wrap.
    wraps: u64,
    /// Steps of a quarter to three quarters of a turn: what turns does not do that.
    leaps: u64,
}

impl Default for Evidence {
    fn default() -> Self {
        Evidence { bounds: None, int: [0.0; 2], angle: [0.0; 2], wraps: 0, leaps: 0 }
    }
}

impl Evidence {
    /// The least bits of an angle that has all values; none when there is no such angle.
    fn angle_bits(&self) -> Option<u8> {
        let (min, max) = self.bounds?;
        (ANGLE_BITS_MIN..=ANGLE_BITS_MAX).find(|bits| min >= 0 && max < 1 << bits)
    }

    /// Adds what guessing `now` from the two values before would have cost.
    fn weigh(&mut self, prior: i32, last: i32, now: i32) {
        let Some((min, max)) = self.bounds else { return };
        let (prior, last, now) = (i64::from(prior), i64::from(last), i64::from(now));
        let gone_on = 2 * last - prior;
        self.int[0] += cost(now - last);
        self.int[1] += cost(now - gone_on.clamp(i64::from(min), i64::from(max)));
        if let Some(bits) = self.angle_bits() {
            self.angle[0] += cost(short_way(now - last, bits));
            self.angle[1] += cost(short_way(now - gone_on, bits));
            let (step, turn) = ((now - last).abs(), 1i64 << bits);
            self.wraps += u64::from(4 * step > 3 * turn);
            self.leaps += u64::from(4 * step > turn && 4 * step <= 3 * turn);
        }
    }

    fn field(&self, name: &str) -> Field {
        let least = |[held, goes_on]: [f64; 2]| {
            if goes_on < held { (goes_on, Predictor::Linear) } else { (held, Predictor::Hold) }
        };
        let ((as_int, of_int), (as_angle, of_angle)) = (least(self.int), least(self.angle));
        // Any wild field is a little cheaper modulo something; one that turns leaps seldom.
        let turns = self.wraps > self.leaps && as_angle < as_int;
        match self.angle_bits().filter(|_| turns) {
            Some(bits) => Field { predictor: of_angle, ..Field::angle(name, bits) },
            None => {
                let (min, max) = self.bounds.unwrap_or_default();
                Field { predictor: of_int, ..Field::int(name, min, max) }
            }
        }
    }
}

/// What a residual costs, in bits: as an Exp-Golomb code, but for the constant part. It leaves that out so that
/// entities at rest, which nobody sends, add nothing.
fn cost(residual: i64) -> f64 {
    if residual == 0 { 0.0 } else { 2.0 * (1.0 + residual.unsigned_abs() as f64).log2() }
}

/// A difference on the circle of 2^bits, the short way round.
fn short_way(difference: i64, bits: u8) -> i64 {
    let half = 1i64 << (bits - 1);
    ((difference + half) & ((1 << bits) - 1)) - half
}

fn find_bounds(trace: &Trace, evidence: &mut [Vec<Evidence>]) {
    for entity in trace.ticks().flat_map(|tick| tick.entities()) {
        for (of_field, value) in evidence[usize::from(entity.id.kind)].iter_mut().zip(entity.values) {
            let (min, max) = of_field.bounds.unwrap_or((*value, *value));
            of_field.bounds = Some((min.min(*value), max.max(*value)));
        }
    }
}

/// Weighs every way of guessing on the training part of the trace.
fn weigh_guesses(trace: &Trace, evidence: &mut [Vec<Evidence>]) {
    for position in 1..trace.training_count() {
        let last = trace.tick(position - 1);
        let prior = position.checked_sub(2).map(|position| trace.tick(position));
        for entity in trace.tick(position).entities() {
            // Who is new is sent whole.
            let Some(last) = last.get(entity.id) else { continue };
            // Who was new has not moved yet.
            let prior = prior.and_then(|tick| tick.get(entity.id)).unwrap_or(last);
            let of_kind = &mut evidence[usize::from(entity.id.kind)];
            for (field, of_field) in of_kind.iter_mut().enumerate() {
                of_field.weigh(prior[field], last[field], entity.values[field]);
            }
        }
    }
}

/// Makes names that a schema takes, each once.
#[derive(Debug, Default)]
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// The legal name nearest to this one that is not taken yet.
    fn take(&mut self, wanted: &str) -> String {
        let legal = |c: char| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_') => c,
            _ => '_',
        };
        let mut plain: String = wanted.chars().map(legal).take(IDENT_BYTES_MAX).collect();
        if !plain.starts_with(|c: char| c.is_ascii_lowercase()) {
            plain.insert_str(0, "n_");
        }
        let mut name: String = plain.chars().take(IDENT_BYTES_MAX).collect();
        for number in 2.. {
            if !self.taken.contains(&name) {
                break;
            }
            let suffix = format!("_{number}");
            name = plain.chars().take(IDENT_BYTES_MAX - suffix.len()).chain(suffix.chars()).collect();
        }
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests;
