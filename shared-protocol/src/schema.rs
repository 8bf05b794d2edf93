//! A game's table of kinds and fields, and of its input's fields: data, so that clients, bots, relays and
//! the inspector need no code of the game. Checked once when built or parsed; after that it is trusted.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{
    FIELDS_MAX, IDENT_BYTES_MAX, INPUT_FIELDS_MAX, KINDS_MAX, SCHEMA_JSON_BYTES_MAX, TEXT_BYTES_MAX,
    VALUE_BYTES_MAX, VARINT_BYTES_MAX,
};

/// Who may see a kind's entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Every client of the match.
    #[default]
    Everyone,
}

/// How a field's next value is guessed; only the difference from the guess is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictor {
    /// It stays as it is.
    #[default]
    Hold,
    /// It goes on as between the last two ticks (modulo a full turn for angles).
    Linear,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldType {
    /// An integer within bounds, both included.
    Int {
        /// Least value.
        min: i32,
        /// Greatest value.
        max: i32,
    },
    /// An angle in units of a turn divided by 2^bits; 1 to 16 bits.
    Angle {
        /// Resolution.
        bits: u8,
    },
    /// UTF-8 text of at most this many bytes.
    Text {
        /// Longest text in bytes, at most [`TEXT_BYTES_MAX`].
        bytes_max: u8,
    },
}

/// One field of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name, unique in its kind.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub holds: FieldType,
    /// How its next value is guessed. Texts are held.
    #[serde(default)]
    pub predictor: Predictor,
    /// Steps per unit of the game, for people: a stored 24 with scale 16 is 1.5 units.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: u32,
}

fn one() -> u32 {
    1
}

fn is_one(scale: &u32) -> bool {
    *scale == 1
}

impl Field {
    /// An integer that is held.
    pub fn int(name: &str, min: i32, max: i32) -> Field {
        Field {
            name: name.to_owned(),
            holds: FieldType::Int { min, max },
            predictor: Predictor::Hold,
            scale: 1,
        }
    }

    /// A flag: 0 or 1.
    pub fn flag(name: &str) -> Field {
        Field::int(name, 0, 1)
    }

    /// An integer that tends to go on as it goes: a position, a counter, a timer.
    pub fn linear(name: &str, min: i32, max: i32) -> Field {
        Field { predictor: Predictor::Linear, ..Field::int(name, min, max) }
    }

    /// An angle in units of a turn divided by 2^bits.
    pub fn angle(name: &str, bits: u8) -> Field {
        Field { holds: FieldType::Angle { bits }, ..Field::int(name, 0, 0) }
    }

    /// A text of at most `bytes_max` bytes of UTF-8.
    pub fn text(name: &str, bytes_max: u8) -> Field {
        Field { holds: FieldType::Text { bytes_max }, ..Field::int(name, 0, 0) }
    }

    /// Steps per unit of the game.
    #[must_use]
    pub fn scale(self, scale: u32) -> Field {
        Field { scale, ..self }
    }

    /// Least and greatest value of an integer or angle; (0, 0) for a text.
    pub fn bounds(&self) -> (i32, i32) {
        match self.holds {
            FieldType::Int { min, max } => (min, max),
            FieldType::Angle { bits } => (0, (1 << bits) - 1),
            FieldType::Text { .. } => (0, 0),
        }
    }
}

/// One kind of entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Name, unique in the schema; also the part before the colon of its entities' Redis fields.
    pub name: String,
    /// Who may see its entities.
    #[serde(default)]
    pub audience: Audience,
    /// Its fields; their order is part of the wire format.
    pub fields: Vec<Field>,
}

impl Kind {
    /// A kind that everyone sees.
    pub fn new(name: &str, fields: impl IntoIterator<Item = Field>) -> Kind {
        Kind { name: name.to_owned(), audience: Audience::Everyone, fields: fields.into_iter().collect() }
    }

    /// Position of the field with this name.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// Longest record of one entity, bytes.
    pub fn record_bytes_max(&self) -> usize {
        let of_field = |field: &Field| match (field.holds, field.predictor) {
            (FieldType::Text { bytes_max }, _) => 2 + usize::from(bytes_max),
            (_, Predictor::Hold) => 2 * VALUE_BYTES_MAX,
            (_, Predictor::Linear) => 3 * VALUE_BYTES_MAX,
        };
        1 + VARINT_BYTES_MAX + self.fields.iter().map(of_field).sum::<usize>()
    }
}

/// One field of a player's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputField {
    /// Name, unique in the input.
    pub name: String,
    /// Least value.
    pub min: i32,
    /// Greatest value.
    pub max: i32,
}

impl InputField {
    /// An input field within bounds, both included.
    pub fn new(name: &str, min: i32, max: i32) -> InputField {
        InputField { name: name.to_owned(), min, max }
    }
}

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// A count or length is over its limit, or zero where something is needed.
    #[error("schema: {0}")]
    Limit(String),
    /// A name is empty, too long, doubled, or not `[a-z][a-z0-9_]*`.
    #[error("schema: bad or doubled name `{0}`")]
    Name(String),
    /// A field's bounds make no sense.
    #[error("schema: field `{0}` has impossible bounds")]
    Bounds(String),
    /// The player kind lacks one of the fields that the server fills in.
    #[error("schema: the player kind needs `{0}`")]
    Player(&'static str),
    /// Not JSON of a schema.
    #[error("schema is not readable: {0}")]
    Json(String),
}

/// What a game's state and inputs look like. Immutable once checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    game: String,
    kinds: Vec<Kind>,
    player_kind: String,
    input: Vec<InputField>,
    #[serde(skip)]
    derived: Derived,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Derived {
    player_kind: u8,
    player_field: usize,
    seq_field: usize,
    input_buffer_field: Option<usize>,
    name_field: Option<usize>,
    team_field: Option<usize>,
    hash: u64,
}

#[derive(Deserialize)]
struct RawSchema {
    game: String,
    kinds: Vec<Kind>,
    player_kind: String,
    input: Vec<InputField>,
}

impl Schema {
    /// Name of the field of the player kind that holds the player's id.
    pub const PLAYER_FIELD: &str = "player";
    /// Name of the field of the player kind that holds the last applied input number.
    pub const SEQ_FIELD: &str = "seq";

    /// Name of the field of the player kind, if the game has it, that tells how many inputs waited for their tick.
    pub const INPUT_BUFFER_FIELD: &str = "input_buffer";

    /// Name of the field of the player kind, if the game has it, that tells what the player is called.
    pub const NAME_FIELD: &str = "name";
    /// Name of the field of the player kind, if the game has it, that tells the player's team; 0 is none.
    pub const TEAM_FIELD: &str = "team";

    /// Checks and builds a schema. `player_kind` names the kind whose entities are players; it needs
    /// `Field::int("player", 0, i32::MAX)` and `Field::linear("seq", 0, i32::MAX)`, which the server fills in. It
    /// may have `Field::int("input_buffer", 0, 8)`, which the server fills in as well, and for its chat
    /// a text `name` and an integer `team`, which the game fills in.
    pub fn new(
        game: &str,
        player_kind: &str,
        kinds: impl IntoIterator<Item = Kind>,
        input: impl IntoIterator<Item = InputField>,
    ) -> Result<Arc<Schema>, SchemaError> {
        RawSchema {
            game: game.to_owned(),
            kinds: kinds.into_iter().collect(),
            player_kind: player_kind.to_owned(),
            input: input.into_iter().collect(),
        }
        .check()
    }

    /// Reads a schema from its JSON.
    pub fn from_json(json: &str) -> Result<Arc<Schema>, SchemaError> {
        if json.len() > SCHEMA_JSON_BYTES_MAX {
            return Err(SchemaError::Limit(format!("longer than {SCHEMA_JSON_BYTES_MAX} bytes")));
        }
        let raw: RawSchema =
            serde_json::from_str(json).map_err(|error| SchemaError::Json(error.to_string()))?;
        raw.check()
    }

    /// The schema as JSON: what `~schema` in Redis and the welcome message hold.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data is JSON")
    }

    /// Name of the game.
    pub fn game(&self) -> &str {
        &self.game
    }

    /// The kinds, in wire order.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The input's fields, in wire order.
    pub fn input(&self) -> &[InputField] {
        &self.input
    }

    /// Number of the kind with this name.
    pub fn kind_index(&self, name: &str) -> Option<u8> {
        self.kinds.iter().position(|kind| kind.name == name).map(|index| index as u8)
    }

    /// Number of the kind whose entities are players.
    pub fn player_kind(&self) -> u8 {
        self.derived.player_kind
    }

    /// Position of the player id among the player kind's fields.
    pub fn player_field(&self) -> usize {
        self.derived.player_field
    }

    /// Position of the last applied input number among the player kind's fields.
    pub fn seq_field(&self) -> usize {
        self.derived.seq_field
    }

    /// Position among the player kind's fields of how many inputs waited, for a game that has it.
    pub fn input_buffer_field(&self) -> Option<usize> {
        self.derived.input_buffer_field
    }

    /// Position among the player kind's fields of what a player is called, for a game that has it.
    pub fn name_field(&self) -> Option<usize> {
        self.derived.name_field
    }

    /// Position among the player kind's fields of a player's team, for a game that has teams.
    pub fn team_field(&self) -> Option<usize> {
        self.derived.team_field
    }

    /// FNV-1a 64 of the JSON: two ends with the same hash understand each other.
    pub fn hash(&self) -> u64 {
        self.derived.hash
    }

    /// Whether these values are an input: the right count, each within its bounds.
    pub fn admits_input(&self, values: &[i32]) -> bool {
        values.len() == self.input.len()
            && self.input.iter().zip(values).all(|(field, value)| (field.min..=field.max).contains(value))
    }
}

impl RawSchema {
    fn check(self) -> Result<Arc<Schema>, SchemaError> {
        check_count("kinds", self.kinds.len(), KINDS_MAX)?;
        if self.input.len() > INPUT_FIELDS_MAX {
            return Err(SchemaError::Limit(format!("more than {INPUT_FIELDS_MAX} input fields")));
        }
        check_name(&self.game, true)?;
        check_names(self.kinds.iter().map(|kind| &kind.name))?;
        check_names(self.input.iter().map(|field| &field.name))?;
        for field in &self.input {
            if field.min > field.max {
                return Err(SchemaError::Bounds(field.name.clone()));
            }
        }
        for kind in &self.kinds {
            check_count("fields", kind.fields.len(), FIELDS_MAX)?;
            check_names(kind.fields.iter().map(|field| &field.name))?;
            kind.fields.iter().try_for_each(check_field)?;
        }
        let mut derived = self.find_player()?;
        let RawSchema { game, kinds, player_kind, input } = self;
        let mut schema = Schema { game, kinds, player_kind, input, derived: Derived::default() };
        let json = schema.to_json();
        if json.len() > SCHEMA_JSON_BYTES_MAX {
            return Err(SchemaError::Limit(format!("longer than {SCHEMA_JSON_BYTES_MAX} bytes as JSON")));
        }
        derived.hash = fnv1a(json.as_bytes());
        schema.derived = derived;
        Ok(Arc::new(schema))
    }

    fn find_player(&self) -> Result<Derived, SchemaError> {
        let index = self.kinds.iter().position(|kind| kind.name == self.player_kind);
        let index = index.ok_or_else(|| SchemaError::Name(self.player_kind.clone()))?;
        let kind = &self.kinds[index];
        let find = |name: &'static str, predictor| {
            let wanted = FieldType::Int { min: 0, max: i32::MAX };
            let found = kind.field_index(name);
            found
                .filter(|i| kind.fields[*i].holds == wanted && kind.fields[*i].predictor == predictor)
                .ok_or(SchemaError::Player(name))
        };
        let is_int = |field: &Field| matches!(field.holds, FieldType::Int { .. });
        let optional = |name, fits: fn(&Field) -> bool| {
            kind.field_index(name).filter(|field| fits(&kind.fields[*field]))
        };
        Ok(Derived {
            player_kind: index as u8,
            player_field: find(Schema::PLAYER_FIELD, Predictor::Hold)?,
            seq_field: find(Schema::SEQ_FIELD, Predictor::Linear)?,
            input_buffer_field: optional(Schema::INPUT_BUFFER_FIELD, is_int),
            name_field: optional(Schema::NAME_FIELD, |field| matches!(field.holds, FieldType::Text { .. })),
            team_field: optional(Schema::TEAM_FIELD, is_int),
            hash: 0,
        })
    }
}

fn check_count(what: &str, count: usize, max: usize) -> Result<(), SchemaError> {
    if (1..=max).contains(&count) {
        Ok(())
    } else {
        Err(SchemaError::Limit(format!("{count} {what}, allowed are 1 to {max}")))
    }
}

fn check_name(name: &str, dash: bool) -> Result<(), SchemaError> {
    let letter = |b: u8| b.is_ascii_lowercase();
    let plain = name.bytes().all(|b| letter(b) || b.is_ascii_digit() || b == b'_' || (dash && b == b'-'));
    let starts = name.bytes().next().is_some_and(letter);
    if plain && starts && name.len() <= IDENT_BYTES_MAX {
        Ok(())
    } else {
        Err(SchemaError::Name(name.to_owned()))
    }
}

fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), SchemaError> {
    let mut seen = BTreeSet::new();
    for name in names {
        check_name(name, false)?;
        if !seen.insert(name) {
            return Err(SchemaError::Name(name.clone()));
        }
    }
    Ok(())
}

fn check_field(field: &Field) -> Result<(), SchemaError> {
    let possible = match field.holds {
        FieldType::Int { min, max } => min <= max,
        FieldType::Angle { bits } => (1..=16).contains(&bits),
        FieldType::Text { bytes_max } => {
            field.predictor == Predictor::Hold && (1..=TEXT_BYTES_MAX).contains(&usize::from(bytes_max))
        }
    };
    if possible && field.scale >= 1 { Ok(()) } else { Err(SchemaError::Bounds(field.name.clone())) }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn player() -> Kind {
        Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)])
    }

    #[test]
    fn json_comes_back_with_the_same_hash() {
        let fields = [Field::angle("aim", 10), Field::text("name", 24), Field::linear("x", -5, 5).scale(16)];
        let schema = Schema::new("demo", "player", [player(), Kind::new("thing", fields)], []).unwrap();
        let again = Schema::from_json(&schema.to_json()).unwrap();
        assert_eq!(schema, again);
        assert_eq!(schema.hash(), again.hash());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |kinds: Vec<Kind>| Schema::new("demo", "player", kinds, []).unwrap_err();
        assert!(matches!(refused(vec![]), SchemaError::Limit(_)));
        assert!(matches!(refused(vec![player(), player()]), SchemaError::Name(_)));
        assert!(matches!(refused(vec![Kind::new("player", [Field::flag("seq")])]), SchemaError::Player(_)));
        let upside_down = Kind::new("thing", [Field::int("x", 1, 0)]);
        assert!(matches!(refused(vec![player(), upside_down]), SchemaError::Bounds(_)));
        assert!(matches!(
            refused(vec![player(), Kind::new("a:b", [Field::flag("x")])]),
            SchemaError::Name(_)
        ));
    }
}
