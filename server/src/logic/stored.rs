//! A match as its hash tells it: parsed, checked, and restored exactly as of its last tick, with what the next
//! diff is coded with. The fields come from outside: whatever they hold, the answer is a match or an error that
//! names the field.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::record;
use tickcast_protocol::replica::{Progress, Replica};
use tickcast_protocol::schema::SchemaError;
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{EntityId, Fence, PlayerId, Position, Schema, Tick, TickRate, World};

use crate::backplane::fields::{self, SEAT_PREFIX, VERSION_WRITTEN};
use crate::backplane::{FieldName, MatchFields};
use crate::game::{GameInfo, Options, Visibility};
use crate::logic::channel::{self, FromOwner, TickMessage};
use crate::logic::chat::StoredChat;
use crate::logic::lineage::Lineage;
use crate::logic::resume::Holder;
use crate::logic::views::Views;

/// Ring fields a match may have.
const RING_MAX: u64 = 4096;

/// What a match's `~` fields say.
#[derive(Debug, Clone)]
pub struct StoredMatch {
    /// Name of the game.
    pub game: String,
    /// The last ownership.
    pub fence: Fence,
    /// The ones before it.
    pub lineage: Lineage,
    /// Whether nobody may own it, because its ownerships failed one after another.
    pub quarantined: bool,
    /// The last owner's node; empty after a release.
    pub owner: String,
    /// When the lease expires, milliseconds by the store's clock.
    pub lease_ms: u64,
    /// Last committed tick.
    pub tick: Tick,
    /// When it was committed, milliseconds by the store's clock; 0 before the first.
    pub committed_ms: u64,
    /// Tick as of which the entity fields stand.
    pub snapshot_tick: Tick,
    /// Hash of the state.
    pub hash: u32,
    /// Players in the match.
    pub players: u64,
    /// Players it takes.
    pub players_max: u64,
    /// Ticks per second.
    pub tick_rate: TickRate,
    /// Number of ring fields.
    pub ring: u64,
    /// Seed of the per-tick generators.
    pub seed: u64,
    /// The game's options.
    pub options: Options,
    /// When it was created, milliseconds.
    pub created_ms: u64,
    /// The schema.
    pub schema: Arc<Schema>,
    /// Who sees what.
    pub visibility: Visibility,
}

/// Why a match could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError {
    /// A field is missing or makes no sense.
    #[error("field `{0}` is missing or makes no sense")]
    Field(String),
    /// Another program wrote it, newer or older than this one.
    #[error("the match is stored in version {0}, this program reads version {VERSION_WRITTEN}")]
    Version(u64),
    /// The cluster has a key, and nobody wrote these fields with it.
    #[error("field `~mac`: no node wrote what the match holds")]
    Forged,
    /// The match was written with another cluster key than this node's, or it has none.
    #[error(
        "field `~mac`: the match is written with a cluster key that is not here; set TICKCAST_CLUSTER_KEY as on the other nodes"
    )]
    UnknownKey,
    /// The schema is unusable.
    #[error("field `~schema`: {0}")]
    Schema(#[from] SchemaError),
    /// The state does not have the stored hash.
    #[error("the state's hash is {actual:08x}, `~hash` says {expected:08x}")]
    Hash {
        /// What `~hash` says.
        expected: u32,
        /// What the restored state has.
        actual: u32,
    },
}

/// The fields of a match that is about to be created.
pub fn new_match(info: &GameInfo, options: &Options, seed: u64, created_ms: u64, ring: u64) -> MatchFields {
    let options = serde_json::to_string(options).expect("numbers by name are JSON");
    let entries = [
        (fields::VERSION, VERSION_WRITTEN.to_string()),
        (fields::GAME, info.schema.game().to_owned()),
        (fields::SCHEMA, info.schema.to_json()),
        (fields::OPTIONS, options),
        (fields::SEED, seed.to_string()),
        (fields::RING, ring.to_string()),
        (fields::TICK_RATE, info.tick_rate.hz().to_string()),
        (fields::PLAYERS, "0".to_owned()),
        (fields::PLAYERS_MAX, info.players_max.to_string()),
        (fields::HASH, "00000000".to_owned()),
        (fields::CREATED_MS, created_ms.to_string()),
        (fields::VISIBILITY, info.visibility.name().to_owned()),
    ];
    // As long as they are: the schema's text was made in a vector that doubles, and stays for as long as the match does.
    let exact = |value: String| Bytes::from(value.into_bytes().into_boxed_slice());
    entries.into_iter().map(|(name, value)| (name.into(), exact(value))).collect()
}

/// Whether fields are those that a node wrote, as far as that is known. The key's own part of the backplane takes `~mac` away
/// where it is right.
pub fn believe(stored: &MatchFields) -> Result<(), StoredError> {
    match stored.get(fields::MAC.as_bytes()) {
        None => Ok(()),
        Some(mac) if mac.is_empty() => Err(StoredError::Forged),
        Some(_) => Err(StoredError::UnknownKey),
    }
}

impl StoredMatch {
    /// Reads the `~` fields.
    pub fn parse(stored: &MatchFields) -> Result<StoredMatch, StoredError> {
        let bad = |name: &str| StoredError::Field(name.to_owned());
        let number = |name: &str| fields::number(stored, name).ok_or_else(|| bad(name));
        let text = |name: &str| fields::text(stored, name).ok_or_else(|| bad(name));
        believe(stored)?;
        match number(fields::VERSION)? {
            VERSION_WRITTEN => {}
            other => return Err(StoredError::Version(other)),
        }
        let hash = u32::from_str_radix(text(fields::HASH)?, 16).map_err(|_| bad(fields::HASH))?;
        let options = serde_json::from_str(text(fields::OPTIONS)?).map_err(|_| bad(fields::OPTIONS))?;
        let tick_rate = TickRate::try_from(number(fields::TICK_RATE)?).map_err(|_| bad(fields::TICK_RATE))?;
        let ring = number(fields::RING)?;
        if !(1..=RING_MAX).contains(&ring) {
            return Err(bad(fields::RING));
        }
        let quarantined = match text(fields::STATUS)? {
            fields::OPEN => false,
            fields::QUARANTINED => true,
            _ => return Err(bad(fields::STATUS)),
        };
        Ok(StoredMatch {
            game: text(fields::GAME)?.to_owned(),
            quarantined,
            fence: fields::fence(stored).ok_or_else(|| bad(fields::EPOCH))?,
            lineage: Lineage::parse(fields::text(stored, fields::CLAIMS).unwrap_or(""))
                .ok_or_else(|| bad(fields::CLAIMS))?,
            owner: text(fields::OWNER)?.to_owned(),
            lease_ms: number(fields::LEASE_MS)?,
            tick: Tick(number(fields::TICK)?),
            committed_ms: fields::number(stored, fields::COMMITTED_MS).unwrap_or(0),
            snapshot_tick: Tick(number(fields::SNAPSHOT_TICK)?),
            hash,
            players: number(fields::PLAYERS)?,
            players_max: number(fields::PLAYERS_MAX)?,
            tick_rate,
            ring,
            seed: number(fields::SEED)?,
            options,
            created_ms: number(fields::CREATED_MS)?,
            schema: Schema::from_json(text(fields::SCHEMA)?)?,
            visibility: match stored.get(fields::VISIBILITY.as_bytes()) {
                None => Visibility::default(),
                Some(name) => Visibility::ALL
                    .into_iter()
                    .find(|visibility| visibility.name().as_bytes() == name)
                    .ok_or_else(|| bad(fields::VISIBILITY))?,
            },
        })
    }

    /// Where the match stands.
    pub fn position(&self) -> Position {
        Position { fence: self.fence, tick: self.tick }
    }
}

/// A whole match.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What its fields say.
    pub stored: StoredMatch,
    /// Its state as of `~tick`.
    pub world: World,
    /// Of a match in segments, these.
    pub segments: Option<Segments>,
    /// Who gets which of them.
    pub views: Views,
    /// What the next diff is coded with.
    pub prior: Arc<Prior>,
    /// Whose the seats are.
    pub holders: BTreeMap<PlayerId, Holder>,
    /// What its players said.
    pub chat: StoredChat,
}

/// A whole match as of its last tick.
pub fn restore(fields: &MatchFields) -> Result<Restored, StoredError> {
    let stored = StoredMatch::parse(fields)?;
    let prior = read_prior(fields, &stored)?;
    let (world, segments) = replay(fields, &stored, &prior, stored.tick, |_, _| ())?.into_parts();
    if world.hash() != stored.hash {
        return Err(StoredError::Hash { expected: stored.hash, actual: world.hash() });
    }
    let (holders, chat) = (read_holders(fields)?, read_chat(fields)?);
    Ok(Restored { stored, world, segments, views: read_views(fields)?, prior, holders, chat })
}

/// What the players of a match said.
pub fn read_chat(fields: &MatchFields) -> Result<StoredChat, StoredError> {
    StoredChat::read(fields).map_err(|name| bad_field(&name))
}

/// Who gets which segments.
pub fn read_views(fields: &MatchFields) -> Result<Views, StoredError> {
    Views::read(fields).map_err(|name| bad_field(&name))
}

/// Whose the seats are.
pub fn read_holders(fields: &MatchFields) -> Result<BTreeMap<PlayerId, Holder>, StoredError> {
    let prefix = SEAT_PREFIX.as_bytes();
    let read = |(name, holder): (&FieldName, &Bytes)| {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
        let player = text(&name[prefix.len()..])?.parse().ok()?;
        Some((PlayerId(player), Holder::from_text(&text(holder)?)?))
    };
    let seats = fields.range(FieldName::from(prefix)..).take_while(|(name, _)| name.starts_with(prefix));
    seats.map(|seat| read(seat).ok_or_else(|| bad_field(seat.0))).collect()
}

/// The state as of an earlier tick; `None` if the fields do not tell it, because it is before the snapshot or
/// not committed yet.
pub fn restore_at(fields: &MatchFields, tick: Tick) -> Result<Option<World>, StoredError> {
    let stored = StoredMatch::parse(fields)?;
    if !(stored.snapshot_tick..=stored.tick).contains(&tick) {
        return Ok(None);
    }
    let prior = read_prior(fields, &stored)?;
    Ok(Some(replay(fields, &stored, &prior, tick, |_, _| ())?.into_world()))
}

/// Tells the states from the entity fields' on to that of the last tick, one after another.
pub fn retell(fields: &MatchFields, told: impl FnMut(Tick, &World)) -> Result<(), StoredError> {
    let stored = StoredMatch::parse(fields)?;
    let prior = read_prior(fields, &stored)?;
    replay(fields, &stored, &prior, stored.tick, told).map(drop)
}

/// The ticks after another one, in order, as the ring has them; `None` unless it has all of them.
pub fn ticks_after(fields: &MatchFields, stored: &StoredMatch, tick: Tick) -> Option<Vec<TickMessage>> {
    let missed = stored.tick.0.checked_sub(tick.0)?;
    if missed > stored.ring {
        return None;
    }
    let read = |tick: u64| match channel::parse_from_owner(fields.get(&fields::ring(tick, stored.ring))?) {
        Ok(FromOwner::Tick(message)) => (message.position.tick == Tick(tick)).then_some(message),
        _ => None,
    };
    (tick.0 + 1..=stored.tick.0).map(read).collect()
}

fn read_prior(fields: &MatchFields, stored: &StoredMatch) -> Result<Arc<Prior>, StoredError> {
    let first = Prior::first(&stored.schema);
    match fields.get(fields::PRIOR.as_bytes()) {
        Some(bytes) => first.decode(bytes).map_err(|_| StoredError::Field(fields::PRIOR.to_owned())),
        None => Ok(first),
    }
}

/// The entity fields' state and what the ring changed after them up to a tick.
fn replay(
    fields: &MatchFields,
    stored: &StoredMatch,
    prior: &Arc<Prior>,
    until: Tick,
    mut told: impl FnMut(Tick, &World),
) -> Result<Replica, StoredError> {
    let from = stored.snapshot_tick;
    if from > stored.tick || stored.tick.0 - from.0 > stored.ring {
        return Err(StoredError::Field(fields::SNAPSHOT_TICK.to_owned()));
    }
    let (mut world, mut segments) = read_entities(fields, stored)?;
    // What the ring changes is not in the entity fields yet: it stays touched for the next snapshot.
    match &mut segments {
        None => drop(world.take_touched()),
        Some(segments) => drop(segments.take_touched(&mut world)),
    }
    told(from, &world);
    let (prior, position) = (Arc::clone(prior), Position { fence: stored.fence, tick: from });
    let mut replica = match segments {
        None => Replica::loaded(world, prior, position),
        Some(segments) => Replica::in_segments(segments, world, prior, position),
    };
    for tick in from.0 + 1..=until.0 {
        let name = fields::ring(tick, stored.ring);
        let message = fields.get(&name).ok_or_else(|| bad_field(&name))?;
        let Ok(FromOwner::Tick(message)) = channel::parse_from_owner(message) else {
            return Err(bad_field(&name));
        };
        // With a new prior the entity fields are written: behind them there is none.
        if message.position.tick != Tick(tick) || message.prior.is_some() {
            return Err(bad_field(&name));
        }
        // An earlier owner's ticks are part of the same history.
        replica.rebase(Position { fence: message.position.fence, tick: Tick(tick - 1) });
        if replica.apply(&message.frame) != Progress::Advanced {
            return Err(bad_field(&name));
        }
        told(Tick(tick), replica.world());
    }
    Ok(replica)
}

/// The world of the entity fields, and of a match in segments these.
fn read_entities(
    fields: &MatchFields,
    stored: &StoredMatch,
) -> Result<(World, Option<Segments>), StoredError> {
    let schema = &stored.schema;
    let entities = fields.iter().filter(|(name, _)| !name.starts_with(b"~"));
    let entities = entities
        .map(|(name, value)| Ok((entity_of(schema, name).ok_or_else(|| bad_field(name))?, &value[..])))
        .collect::<Result<Vec<(EntityId, &[u8])>, StoredError>>()?;
    let read = if stored.visibility == Visibility::Everything {
        record::decode_entities(Arc::clone(schema), entities).map(|world| (world, None))
    } else {
        let read = record::decode_segments(Arc::clone(schema), entities);
        read.map(|(segments, world)| (world, Some(segments)))
    };
    read.map_err(|(id, error)| StoredError::Field(format!("{}: {error}", entity_name(schema, id))))
}

fn bad_field(name: &[u8]) -> StoredError {
    StoredError::Field(String::from_utf8_lossy(name).into_owned())
}

/// Name of an entity's field: `<kind>:<index>`.
pub fn entity_name(schema: &Schema, id: EntityId) -> String {
    let kind = schema.kinds().get(usize::from(id.kind)).map_or("?", |kind| kind.name.as_str());
    format!("{kind}:{}", id.index)
}

/// The entity that a field's name means.
fn entity_of(schema: &Schema, name: &[u8]) -> Option<EntityId> {
    let (kind, index) = std::str::from_utf8(name).ok()?.split_once(':')?;
    let id = EntityId { kind: schema.kind_index(kind)?, index: index.parse().ok()? };
    (entity_name(schema, id).as_bytes() == name).then_some(id)
}
