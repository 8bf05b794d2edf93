//! One match, as the store has it, for a person: its fields in words, its entities as rows and as points, its chat, and
//! whether the copies agree. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickcast_protocol::schema::{Field, FieldType, Kind};
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{EntityId, MatchId, PlayerId, World};

use super::rows::Row;
use crate::backplane::{MatchFields, fields};
use crate::game::{Viewer, Visibility};
use crate::logic::channel::{self, FromOwner, TickMessage};
use crate::logic::chat::StoredChat;
use crate::logic::relay::Seen;
use crate::logic::resume::Holder;
use crate::logic::stored::{self, StoredError, StoredMatch};
use crate::logic::views::Views;

/// Points of one kind that a picture has at most.
const POINTS_MAX: usize = 2000;

/// A match at a look.
#[derive(Debug)]
pub struct View {
    row: Row,
    heir: Option<String>,
    decoded: Result<Decoded, String>,
    /// The store's clock then.
    store_ms: u64,
    relay: Option<RelayCopy>,
}

/// What the store has, read.
#[derive(Debug)]
struct Decoded {
    stored: StoredMatch,
    world: World,
    holders: BTreeMap<PlayerId, Holder>,
    views: Views,
    chat: StoredChat,
}

impl Decoded {
    /// What somebody sees; null for everything.
    fn seen_by(&self, viewer: Viewer) -> Value {
        if self.stored.visibility == Visibility::Everything {
            return Value::Null;
        }
        let view = self.views.of(viewer);
        let kinds = 0..self.world.schema().kinds().len() as u8;
        let all = kinds.flat_map(|kind| self.world.ids(kind));
        let entities = all.filter(|id| view.binary_search(&self.world.segment(*id)).is_ok()).count();
        json!({ "entities": entities, "segments": view.iter().map(|segment| segment.0).collect::<Vec<_>>() })
    }
}

/// This node's own copy, and the tick that the owner published for where it stands.
#[derive(Debug)]
struct RelayCopy {
    seen: Seen,
    owners: Option<TickMessage>,
}

impl View {
    /// Of a match's whole hash, and this node's copy of just before, if it follows the match.
    pub fn new(loaded: &MatchFields, store_ms: u64, seen: Option<Seen>) -> View {
        let mut row = Row::default();
        row.update(loaded);
        let decoded = decode(loaded).map_err(|error| error.to_string());
        let relay = seen.map(|seen| {
            let ring = fields::number(loaded, fields::RING).filter(|ring| *ring > 0);
            let field = ring.and_then(|ring| loaded.get(&fields::ring(seen.position.tick.0, ring)));
            let owners = match field.map(channel::parse_from_owner) {
                Some(Ok(FromOwner::Tick(message))) => Some(message),
                _ => None,
            };
            RelayCopy { seen, owners: owners.filter(|owners| owners.position == seen.position) }
        });
        let heir = fields::text(loaded, fields::HEIR).map(str::to_owned);
        View { row, heir, decoded, store_ms, relay }
    }

    /// All but the entities.
    pub fn summary(&self, id: &MatchId) -> Value {
        let mut summary = self.row.to_json(id, self.store_ms);
        summary["heir"] = json!(self.heir);
        summary["relay"] = self.relay.as_ref().map_or(Value::Null, RelayCopy::to_json);
        match &self.decoded {
            Err(problem) => {
                summary["problem"] = json!(problem);
            }
            Ok(decoded @ Decoded { stored, world, chat, .. }) => {
                summary["visibility"] = json!(stored.visibility.name());
                summary["spectators_see"] = decoded.seen_by(Viewer::Spectators);
                let recomputed = world.recomputed_hash();
                summary["hash"] = json!({
                    "stored": hex(stored.hash), "recomputed": hex(recomputed), "agrees": stored.hash == recomputed,
                });
                summary["nonce"] = json!(fields::nonce_text(stored.fence.nonce));
                summary["snapshot_tick"] = json!(stored.snapshot_tick.0);
                summary["ring"] = json!(stored.ring);
                summary["options"] = json!(stored.options);
                let claims = stored.lineage.claims().iter().rev();
                summary["claims"] =
                    claims.map(|(fence, tick)| json!({ "epoch": fence.epoch, "tick": tick })).collect();
                summary["kinds"] = kinds(world);
                summary["chat"] = json!(chat.lines);
            }
        }
        summary
    }

    /// The entities of a kind as rows, from the first on. The error is for a person.
    pub fn entities(&self, kind: &str, (offset, limit): (usize, usize)) -> Result<Value, String> {
        let Decoded { stored, world, .. } = self.decoded()?;
        let number = world.schema().kind_index(kind).ok_or_else(|| format!("there is no kind `{kind}`"))?;
        let fields = &world.schema().kinds()[usize::from(number)].fields;
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let entities = world.ids(number).skip(offset).take(limit);
        let entities: Vec<Value> = entities.map(|entity| entity_row(world, entity, fields)).collect();
        Ok(json!({
            "kind": kind, "tick": stored.tick, "total": world.count(number), "offset": offset, "limit": limit,
            "fields": names, "entities": entities,
        }))
    }

    /// The people who play, with their accounts, from the first on: those whose account or number begins so, or whose name has
    /// that in it. The error is for a person.
    pub fn players(&self, search: &str, (offset, limit): (usize, usize)) -> Result<Value, String> {
        let decoded = self.decoded()?;
        let Decoded { stored, world, holders, .. } = decoded;
        let schema = world.schema();
        let rows = world.ids(schema.player_kind()).map(|entity| {
            let player = PlayerId(world.get(entity, schema.player_field()) as u32);
            let name = schema.name_field().map_or("", |field| world.text(entity, field));
            (player, entity.index, name, holders.get(&player).and_then(|holder| holder.subject.as_ref()))
        });
        let rows: Vec<_> = rows.filter(|(player, ..)| player.is_of_client()).collect();
        let sought = search.to_lowercase();
        let fits = |(player, _, name, account): &&(PlayerId, u16, &str, Option<&Subject>)| {
            account.is_some_and(|account| account.as_str().starts_with(search))
                || player.to_string().starts_with(search)
                || name.to_lowercase().contains(&sought)
        };
        let found: Vec<_> = rows.iter().filter(fits).collect();
        let row = |(player, index, name, account): &&(PlayerId, u16, &str, Option<&Subject>)| {
            let sees = decoded.seen_by(Viewer::Player(*player));
            json!({ "player": player, "entity": index, "name": name, "account": account, "sees": sees })
        };
        Ok(json!({
            "tick": stored.tick, "entities": world.len(), "total": rows.len(), "found": found.len(), "offset": offset, "limit": limit,
            "players": found.iter().skip(offset).take(limit).map(row).collect::<Vec<_>>(),
        }))
    }

    /// Where the entities are that have a place, in steps; with the bounds of each kind's places.
    pub fn map(&self) -> Result<Value, String> {
        let Decoded { stored, world, .. } = self.decoded()?;
        let kinds = world.schema().kinds().iter().enumerate();
        let kinds: Vec<Value> =
            kinds.filter_map(|(kind, declared)| points(world, kind as u8, declared)).collect();
        Ok(json!({ "tick": stored.tick, "kinds": kinds }))
    }

    fn decoded(&self) -> Result<&Decoded, String> {
        self.decoded.as_ref().map_err(Clone::clone)
    }
}

/// The state as of the last tick, whatever hash it has: that is for a person to see.
fn decode(loaded: &MatchFields) -> Result<Decoded, StoredError> {
    let stored = StoredMatch::parse(loaded)?;
    let world = stored::restore_at(loaded, stored.tick)?;
    let world = world.ok_or_else(|| StoredError::Field(fields::SNAPSHOT_TICK.to_owned()))?;
    let (holders, chat) = (stored::read_holders(loaded)?, stored::read_chat(loaded)?);
    Ok(Decoded { views: stored::read_views(loaded)?, stored, world, holders, chat })
}

impl RelayCopy {
    /// Nothing is said of whether it agrees where the ring has the copy's tick no more.
    fn to_json(&self) -> Value {
        let Seen { position, hash, recomputed } = self.seen;
        let agrees = self.owners.as_ref().map(|owners| owners.hash == hash && hash == recomputed);
        json!({
            "tick": position.tick, "epoch": position.fence.epoch, "hash": hex(hash), "recomputed": hex(recomputed),
            "owners": self.owners.as_ref().map(|owners| hex(owners.hash)), "agrees": agrees,
        })
    }
}

fn hex(hash: u32) -> String {
    format!("{hash:08x}")
}

/// The kinds with their fields, and how many entities each has.
fn kinds(world: &World) -> Value {
    let kind = |(number, declared): (usize, &Kind)| json!({ "name": declared.name, "count": world.count(number as u8), "fields": declared.fields });
    world.schema().kinds().iter().enumerate().map(kind).collect()
}

/// An entity's values in the order of its fields, in units of the game.
fn entity_row(world: &World, entity: EntityId, fields: &[Field]) -> Value {
    let value = |(number, field): (usize, &Field)| match field.holds {
        FieldType::Text { .. } => json!(world.text(entity, number)),
        _ if field.scale == 1 => json!(world.get(entity, number)),
        _ => json!(f64::from(world.get(entity, number)) / f64::from(field.scale)),
    };
    let values: Vec<Value> = fields.iter().enumerate().map(value).collect();
    json!({ "index": entity.index, "values": values })
}

/// The places of a kind's entities, `[index, x, y]` each, in units of the game. Kinds without `x` and `y` have none.
fn points(world: &World, kind: u8, declared: &Kind) -> Option<Value> {
    let number = |name: &str| {
        let number = declared.field_index(name)?;
        let is_number = !matches!(declared.fields[number].holds, FieldType::Text { .. });
        is_number.then_some(number)
    };
    let places = [number("x")?, number("y")?];
    let unit = |number: usize, value: i32| f64::from(value) / f64::from(declared.fields[number].scale);
    let bounds = places.map(|number| {
        let (min, max) = declared.fields[number].bounds();
        [unit(number, min), unit(number, max)]
    });
    let size = ["width", "height"].map(number);
    let point = |entity: EntityId| {
        let [x, y] = places.map(|number| unit(number, world.get(entity, number)));
        let [width, height] =
            size.map(|number| number.map_or(0.0, |number| unit(number, world.get(entity, number))));
        json!([entity.index, x, y, width, height])
    };
    let points: Vec<Value> = world.ids(kind).take(POINTS_MAX).map(point).collect();
    Some(json!({
        "name": declared.name, "x": bounds[0], "y": bounds[1], "count": world.count(kind), "points": points,
    }))
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{Position, Tick};

    use super::*;

    #[test]
    fn a_copy_agrees_if_it_has_the_hash_that_its_owner_published_for_that_tick() {
        let position = Position { tick: Tick(7), ..Position::default() };
        let agrees = |hash, recomputed, owners: Option<u32>| {
            let owners = owners.map(|hash| TickMessage { position, hash, ..TickMessage::default() });
            RelayCopy { seen: Seen { position, hash, recomputed }, owners }.to_json()["agrees"].clone()
        };
        assert_eq!(agrees(5, 5, Some(5)), json!(true));
        assert_eq!(agrees(5, 5, Some(6)), json!(false), "another state than the owner's");
        assert_eq!(agrees(5, 6, Some(5)), json!(false), "its own sum is wrong");
        assert_eq!(agrees(5, 5, None), Value::Null, "the ring has that tick no more");
    }
}
