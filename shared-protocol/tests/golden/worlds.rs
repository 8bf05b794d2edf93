//! The schemas of the golden files.

use std::sync::Arc;

use tickcast_protocol::schema::Predictor;
use tickcast_protocol::{Field, InputField, Kind, Schema};

use crate::traces;

/// Every schema; `GAME.schema.json` holds its JSON.
pub(crate) fn schemas() -> Vec<Arc<Schema>> {
    [duel(), extremes(), wide(), storm(), fog()].into_iter().chain(traces::schemas()).collect()
}

/// The schema of this game.
pub(crate) fn schema(game: &str) -> Arc<Schema> {
    let found = schemas().into_iter().find(|schema| schema.game() == game);
    found.unwrap_or_else(|| panic!("no schema {game}"))
}

fn player_fields() -> [Field; 2] {
    [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]
}

fn linear_angle(name: &str, bits: u8) -> Field {
    Field { predictor: Predictor::Linear, ..Field::angle(name, bits) }
}

/// The small game of the worked example in docs/wire.md.
pub(crate) fn duel() -> Arc<Schema> {
    duel_within(1000, 100, 12, [8, 4])
}

/// The same with bounds so wide that its states are none of the worked example's game.
pub(crate) fn loose_duel() -> Arc<Schema> {
    duel_within(30_000, 200, 20, [9, 5])
}

fn duel_within(far: i32, hp_max: i32, name_bytes_max: u8, [aim, spin]: [u8; 2]) -> Arc<Schema> {
    let x = || Field::linear("x", -far, far).scale(10);
    let own =
        [x(), Field::angle("aim", aim), Field::int("hp", 0, hp_max), Field::text("name", name_bytes_max)];
    let player = Kind::new("player", player_fields().into_iter().chain(own));
    let ball = Kind::new("ball", [x(), linear_angle("spin", spin)]);
    let input = [InputField::new("move", -1, 1), InputField::new("aim", 0, 255)];
    Schema::new("duel", "player", [player, ball], input).expect("a good schema")
}

/// Every type at its widest and narrowest.
pub(crate) fn extremes() -> Arc<Schema> {
    let thing = [
        Field::linear("x", i32::MIN, i32::MAX),
        linear_angle("aim", 6),
        Field::text("label", 8),
        Field::int("hp", -100, 100),
        Field::angle("turret", 16),
        Field::linear("level", 3, 9),
        Field::angle("side", 1),
        Field::text("long", 255),
    ];
    let kinds = [Kind::new("thing", thing), Kind::new("player", player_fields())];
    Schema::new("extremes", "player", kinds, []).expect("a good schema")
}

/// A kind with as many fields as there may be, and one of which there are many.
pub(crate) fn wide() -> Arc<Schema> {
    let panel: Vec<Field> = (0..64).map(|number| Field::flag(&format!("f{number}"))).collect();
    let tile = [Field::linear("x", -5000, 5000), Field::int("state", 2, 9), Field::text("sign", 6)];
    let kinds = [Kind::new("player", player_fields()), Kind::new("panel", panel), Kind::new("tile", tile)];
    Schema::new("wide", "player", kinds, []).expect("a good schema")
}

/// Models of the storm's schema for diffs.
pub(crate) const STORM_MODELS: usize = 2 * 410 + 7 * 584 + 3;

/// Few fields of every kind: the models of all of them are to be told apart.
pub(crate) fn storm() -> Arc<Schema> {
    let thing = [
        Field::linear("x", i32::MIN, i32::MAX),
        Field::linear("y", -500, 500),
        linear_angle("aim", 10),
        Field::int("hp", 1, 100),
        Field::text("name", 4),
        Field::int("last", -20_000, 20_000),
    ];
    let kinds = [Kind::new("player", player_fields()), Kind::new("thing", thing)];
    Schema::new("storm", "player", kinds, []).expect("a good schema")
}

/// What three players see parts of.
pub(crate) fn fog() -> Arc<Schema> {
    let place = |name: &str, far| Field::linear(name, 0, far).scale(10);
    let player = player_fields().into_iter().chain([place("x", 399), place("y", 299)]);
    let way = |name: &str| Field::int(name, -50, 50);
    let unit = [place("x", 399), place("y", 299), way("dx"), way("dy"), Field::text("says", 4)];
    let kinds = [
        Kind::new("player", player),
        Kind::new("unit", unit),
        Kind::new("card", [Field::int("face", 0, 51)]),
    ];
    Schema::new("fog", "player", kinds, []).expect("a good schema")
}
