//! What clients see of an arena match: its kinds, their fields and a player's input. The modules name each
//! kind's number and the positions of the fields that the rules use; `y` always follows `x`.

use std::sync::Arc;

use tickcast_protocol::schema::SchemaError;
use tickcast_protocol::{Field, InputField, Kind, Schema};

use super::geometry::TURN;
use super::venue::Venue;
use super::{HP_MAX, MOVE_MAX, SCALE};

/// The longest timer there can be: the longest round at the highest tick rate.
pub(super) const TIMER_TICKS_MAX: i32 =
    Venue::ARENA.choices.round_seconds.max * Venue::ARENA.choices.tick_rate.max;

/// Inputs of a player that a server lets wait.
const INPUT_BUFFER_MAX: i32 = 8;

/// Kind and fields of a player.
pub(super) mod player {
    pub(in crate::games::arena) const KIND: u8 = 0;
    pub(in crate::games::arena) const PLAYER: usize = 0;
    pub(in crate::games::arena) const NAME: usize = 2;
    pub(in crate::games::arena) const X: usize = 3;
    pub(in crate::games::arena) const AIM: usize = 5;
    pub(in crate::games::arena) const HP: usize = 6;
    pub(in crate::games::arena) const SCORE: usize = 7;
    pub(in crate::games::arena) const DEATHS: usize = 8;
    pub(in crate::games::arena) const COOLDOWN: usize = 9;
    pub(in crate::games::arena) const RESPAWN: usize = 10;
    pub(in crate::games::arena) const MOVE_X: usize = 11;
    pub(in crate::games::arena) const MOVE_Y: usize = 12;
    pub(in crate::games::arena) const FIRE: usize = 13;
}

/// Kind and fields of a bullet in flight.
pub(super) mod bullet {
    use tickcast_protocol::Tick;

    pub(in crate::games::arena) const KIND: u8 = 1;
    pub(in crate::games::arena) const X: usize = 0;
    pub(in crate::games::arena) const HEADING: usize = 2;
    pub(in crate::games::arena) const OWNER: usize = 3;
    /// Where bullets do not fly until something stops them.
    pub(in crate::games::arena) const ENDS: usize = 4;
    /// More than the ticks of a flight.
    pub(super) const ENDS_MAX: i32 = 255;

    /// What [`ENDS`] says of the tick in which a flight ends: its low bits.
    pub(in crate::games::arena) fn ends(tick: Tick) -> i32 {
        (tick.0 & ENDS_MAX as u64) as i32
    }
}

/// Kind and fields of a wall.
pub(super) mod wall {
    pub(in crate::games::arena) const KIND: u8 = 2;
    pub(in crate::games::arena) const X: usize = 0;
    pub(in crate::games::arena) const WIDTH: usize = 2;
    pub(in crate::games::arena) const HEIGHT: usize = 3;
}

/// Kind and fields of a thing that heals.
pub(super) mod pickup {
    pub(in crate::games::arena) const KIND: u8 = 3;
    pub(in crate::games::arena) const X: usize = 0;
    pub(in crate::games::arena) const RESPAWN: usize = 2;
}

/// Kind and fields of the one entity that tells how the round stands.
pub(super) mod round {
    use tickcast_protocol::Tick;

    use super::TIMER_TICKS_MAX;

    pub(in crate::games::arena) const KIND: u8 = 4;
    pub(in crate::games::arena) const PHASE: usize = 0;
    pub(in crate::games::arena) const NUMBER: usize = 1;
    pub(in crate::games::arena) const ENDS_AT: usize = 2;
    pub(in crate::games::arena) const WINNER: usize = 3;
    pub(in crate::games::arena) const WINNER_NAME: usize = 4;
    pub(in crate::games::arena) const SIGHT: usize = 5;
    /// Values of the phase: the round goes on, or it is over and its winner is shown.
    pub(in crate::games::arena) const PLAYING: i32 = 0;
    pub(in crate::games::arena) const BREAK: i32 = 1;

    /// What [`ENDS_AT`] says of the tick that is so many after this one: its low bits, as many as the field holds.
    pub(in crate::games::arena) fn ends_at(tick: Tick, ticks: i32) -> i32 {
        (tick.0.wrapping_add(ticks as u64) & i32::MAX as u64) as i32
    }

    /// Ticks from this one until then; 0 when it is over.
    pub(in crate::games::arena) fn ticks_left(ends_at: i32, tick: Tick) -> i32 {
        let left = ends_at.wrapping_sub(self::ends_at(tick, 0)) & i32::MAX;
        if left <= TIMER_TICKS_MAX { left } else { 0 }
    }
}

/// Kind and fields of a moving target.
pub(super) mod drone {
    pub(in crate::games::arena) const KIND: u8 = 5;
    pub(in crate::games::arena) const X: usize = 0;
    pub(in crate::games::arena) const HEADING: usize = 2;
}

/// What clients see of a match, and what they send.
pub(super) fn schema(venue: &Venue) -> Result<Arc<Schema>, SchemaError> {
    let map = venue.map;
    let moving = |name, max| Field::linear(name, 0, max).scale(SCALE as u32);
    let still = |name, max| Field::int(name, 0, max).scale(SCALE as u32);
    let timer = |name| Field::linear(name, 0, TIMER_TICKS_MAX);
    let player = [
        Field::int(Schema::PLAYER_FIELD, 0, i32::MAX),
        Field::linear(Schema::SEQ_FIELD, 0, i32::MAX),
        Field::text("name", 24),
        moving("x", map.x),
        moving("y", map.y),
        Field::angle("aim", 10),
        Field::int("hp", 0, HP_MAX),
        Field::int("score", 0, 1_000_000),
        Field::int("deaths", 0, 1_000_000),
        timer("cooldown"),
        timer("respawn"),
        Field::int("move_x", -MOVE_MAX, MOVE_MAX),
        Field::int("move_y", -MOVE_MAX, MOVE_MAX),
        Field::flag("fire"),
        Field::int(Schema::INPUT_BUFFER_FIELD, 0, INPUT_BUFFER_MAX),
    ];
    let mut bullet = vec![
        moving("x", map.x),
        moving("y", map.y),
        Field::angle("heading", 10),
        Field::int("owner", 0, i32::MAX),
    ];
    if venue.flight_ms > 0 {
        bullet.push(Field::int("ends", 0, bullet::ENDS_MAX));
    }
    let wall = [still("x", map.x), still("y", map.y), still("width", map.x), still("height", map.y)];
    let pickup = [still("x", map.x), still("y", map.y), timer("respawn")];
    let round = [
        Field::int("phase", round::PLAYING, round::BREAK),
        Field::int("number", 0, i32::MAX),
        Field::int("ends_at", 0, i32::MAX),
        Field::int("winner", 0, i32::MAX),
        Field::text("winner_name", 24),
        // How far one sees, in units; 0 is everything.
        Field::int("sight", 0, venue.choices.fog.max),
    ];
    let drone = [moving("x", map.x), moving("y", map.y), Field::angle("heading", 10)];
    let kinds = [
        Kind::new("player", player),
        Kind::new("bullet", bullet),
        Kind::new("wall", wall),
        Kind::new("pickup", pickup),
        Kind::new("round", round),
        Kind::new("drone", drone),
    ];
    let input = [
        InputField::new("move_x", -MOVE_MAX, MOVE_MAX),
        InputField::new("move_y", -MOVE_MAX, MOVE_MAX),
        InputField::new("aim", 0, TURN - 1),
        InputField::new("fire", 0, 1),
    ];
    Schema::new(venue.game, "player", kinds, input)
}
