//! The schemas of the golden files.

use std::sync::Arc;

use tickcast_protocol::schema::Predictor;
use tickcast_protocol::{Field, InputField, Kind, Schema};

/// Each schema with the file that holds its JSON.
pub(crate) fn schemas() -> [(&'static str, Arc<Schema>); 3] {
    [("duel.schema.json", duel()), ("extremes.schema.json", extremes()), ("wide.schema.json", wide())]
}

/// The schema of this game.
pub(crate) fn schema(game: &str) -> Arc<Schema> {
    let found = schemas().into_iter().find(|(_, schema)| schema.game() == game);
    found.unwrap_or_else(|| panic!("no schema {game}")).1
}

fn player_fields() -> [Field; 2] {
    [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]
}

fn linear_angle(name: &str, bits: u8) -> Field {
    Field { predictor: Predictor::Linear, ..Field::angle(name, bits) }
}

/// The small game of the worked example in docs/wire.md.
pub(crate) fn duel() -> Arc<Schema> {
    let own = [
        Field::linear("x", -1000, 1000).scale(10),
        Field::angle("aim", 8),
        Field::int("hp", 0, 100),
        Field::text("name", 12),
    ];
    let player = Kind::new("player", player_fields().into_iter().chain(own));
    let ball = Kind::new("ball", [Field::linear("x", -1000, 1000).scale(10), linear_angle("spin", 4)]);
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

/// A kind with as many fields as a mask has bits.
pub(crate) fn wide() -> Arc<Schema> {
    let fields: Vec<Field> = (0..64).map(|number| Field::flag(&format!("f{number}"))).collect();
    Schema::new("wide", "player", [Kind::new("player", player_fields()), Kind::new("panel", fields)], [])
        .expect("a good schema")
}
