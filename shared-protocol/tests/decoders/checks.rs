//! What every decoder of the state promises, whatever bytes it is given. Each check takes one input, whose first bytes
//! say what it is applied to, and panics if a promise is broken. Fuzzing and the tests run the same checks.

use std::sync::Arc;

use tickcast_protocol::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use tickcast_protocol::diff::{self, Encoder};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::schema::FieldType;
use tickcast_protocol::varint::DecodeError;
use tickcast_protocol::{EntityId, World, record, snapshot};

use super::scenes::{self, Scene};
use super::{conversation, parts, tickets};

/// A check of one decoder; tells whether the input was taken and not refused.
pub(crate) type Check = fn(&[u8]) -> bool;

/// Every decoder's check, by the name of its fuzz target.
pub(crate) const CHECKS: [(&str, Check); 11] = [
    ("diff", diff),
    ("snapshot", snapshot),
    ("catch_up", catch_up),
    ("prior", prior),
    ("record", record),
    ("schema", conversation::schema),
    ("message", conversation::message),
    ("replica", conversation::replica),
    ("client", conversation::client),
    ("segments", parts::segments),
    ("ticket", tickets::ticket),
];

/// Entities that a byte can bear at most: each costs at least the bit that is its mark.
const BORN_PER_BYTE_MAX: usize = 8;
/// Entities that may be born beyond that: the coder holds some bits.
const BORN_MORE_MAX: usize = 64;
/// Entities up to which a world is looked at in every way there is; a full one is not, to save time.
const LOOKED_AT_MAX: usize = 128;

/// How many entities so many bytes can bear.
pub(crate) fn born_max(bytes: usize) -> usize {
    BORN_PER_BYTE_MAX * bytes + BORN_MORE_MAX
}

/// The first `N` bytes, zeros where there are none, and the rest.
pub(crate) fn head<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = input.split_at(input.len().min(N));
    let mut bytes = [0; N];
    bytes[..head.len()].copy_from_slice(head);
    (bytes, rest)
}

/// A diff: `moment prior payload`.
pub(crate) fn diff(input: &[u8]) -> bool {
    let ([moment, prior], bytes) = head(input);
    let (_, moment, prior) = scenes::pick(moment, prior);
    let before = &moment.world;
    let Some(after) = applied(before, bytes, |world| diff::apply(world, prior, bytes)) else { return false };
    assert!(
        before.len() > LOOKED_AT_MAX || after.same_state(&retold(before, &after, prior)),
        "what was read can be written"
    );
    true
}

/// A catch-up: `moment span known payload`.
pub(crate) fn catch_up(input: &[u8]) -> bool {
    let ([moment, span, known], bytes) = head(input);
    let (_, moment, _) = scenes::pick(moment, 0);
    let leap = Leap { span: u32::from(span.max(1)), known: known % (STEPS_KNOWN_MAX + 1) };
    let before = &moment.world;
    let Some(after) = applied(before, bytes, |world| catch_up::apply(world, leap, bytes)) else {
        return false;
    };
    assert_led(before, &after, leap);
    true
}

/// A snapshot: `scene payload`.
pub(crate) fn snapshot(input: &[u8]) -> bool {
    let ([scene], bytes) = head(input);
    let scene = scene_of(scene);
    let Ok(world) = snapshot::decode(Arc::clone(&scene.schema), bytes) else { return false };
    assert!(world.len() <= born_max(bytes.len()), "{} entities of {} bytes", world.len(), bytes.len());
    assert_sound(&world);
    true
}

/// A prior: `scene payload`. What could be read is good for diffs.
pub(crate) fn prior(input: &[u8]) -> bool {
    let ([scene], bytes) = head(input);
    let scene = scene_of(scene);
    let Ok(prior) = scene.priors[0].decode(bytes) else { return false };
    assert_eq!(Some(&prior.number()), bytes.first());
    let mut again = Vec::new();
    prior.encode(&mut again);
    assert_eq!(scene.priors[0].decode(&again).as_ref(), Ok(&prior));
    if let [.., from, to] = &scene.moments[..]
        && to.world.len() <= LOOKED_AT_MAX
    {
        assert_eq!(retold(&from.world, &to.world, &prior).first_difference(&to.world), None);
    }
    true
}

/// Records of entities: `scene`, then `kind index(2) length record` for each.
pub(crate) fn record(input: &[u8]) -> bool {
    let ([scene], mut rest) = head(input);
    let scene = scene_of(scene);
    let mut entities = Vec::new();
    while !rest.is_empty() {
        let ([kind, low, high, length], after) = head(rest);
        let (bytes, after) = after.split_at(after.len().min(usize::from(length)));
        entities.push((EntityId { kind, index: u16::from_le_bytes([low, high]) }, bytes));
        rest = after;
    }
    let Ok(world) = record::decode_entities(Arc::clone(&scene.schema), entities.iter().copied()) else {
        return false;
    };
    assert_eq!(world.len(), entities.len());
    for (id, bytes) in &entities {
        assert_eq!(record::encode_entity(&world, *id).as_deref(), Some(*bytes), "a record has one form");
    }
    assert_sound(&world);
    true
}

fn scene_of(number: u8) -> &'static Scene {
    &scenes::scenes()[usize::from(number) % scenes::scenes().len()]
}

/// Applies bytes to a copy of a world: the changed copy, or none when they were refused and nothing happened.
fn applied(
    before: &World,
    bytes: &[u8],
    apply: impl Fn(&mut World) -> Result<(), DecodeError>,
) -> Option<World> {
    let mut after = before.clone();
    if let Err(error) = apply(&mut after) {
        assert_untouched(before, &after, &error);
        return None;
    }
    let born = after.len().saturating_sub(before.len());
    assert!(born <= born_max(bytes.len()), "{born} entities of {} bytes", bytes.len());
    if before.len() <= LOOKED_AT_MAX {
        let mut again = before.clone();
        assert_eq!(apply(&mut again), Ok(()), "the same bytes mean the same");
        assert!(again.same_state(&after), "the same bytes mean the same");
    }
    assert_sound(&after);
    Some(after)
}

/// That nothing of refused bytes is left, neither in the committed state nor in changes to come.
pub(crate) fn assert_untouched(before: &World, after: &World, error: &DecodeError) {
    assert!(after.same_state(before), "refused ({error}), and the state is another");
    assert_eq!((after.hash(), after.len()), (before.hash(), before.len()), "refused ({error})");
    if before.len() > LOOKED_AT_MAX {
        return;
    }
    let (mut before, mut after) = (before.clone(), after.clone());
    before.advance();
    after.advance();
    assert!(after.same_state(&before), "refused ({error}), and something is left of it");
    assert_eq!(after.take_touched(), before.take_touched(), "refused ({error})");
}

/// That a committed state is what it claims to be, and that every other way to tell it tells the same.
pub(crate) fn assert_sound(world: &World) {
    assert_eq!(world.hash(), world.recomputed_hash());
    let kinds = world.schema().kinds().len() as u8;
    assert_eq!(world.len(), (0..kinds).map(|kind| world.ids(kind).count()).sum::<usize>());
    if world.len() > LOOKED_AT_MAX {
        return;
    }
    let schema = || Arc::clone(world.schema());
    let mut bytes = Vec::new();
    snapshot::encode(world, &mut bytes);
    let copy = snapshot::decode(schema(), &bytes).expect("our own bytes");
    assert!(copy.same_state(world) && copy.hash() == world.hash(), "a snapshot is the state");
    let ids = (0..kinds).flat_map(|kind| world.ids(kind));
    let records: Vec<(EntityId, Vec<u8>)> =
        ids.map(|id| (id, record::encode_entity(world, id).expect("it is there"))).collect();
    let copy = record::decode_entities(schema(), records.iter().map(|(id, bytes)| (*id, bytes.as_slice())));
    assert!(copy.expect("our own bytes").same_state(world), "records are the state");
    assert_led(&World::new(schema()), world, Leap { span: 3, known: 0 });
}

/// That a catch-up leads from one committed state to the values of another.
fn assert_led(from: &World, to: &World, leap: Leap) {
    if from.len().max(to.len()) > LOOKED_AT_MAX {
        return;
    }
    let (mut world, mut bytes) = (from.clone(), Vec::new());
    catch_up::encode(from, to, leap, &mut bytes);
    assert_eq!(catch_up::apply(&mut world, leap, &bytes), Ok(()));
    assert_eq!(world.first_difference(to), None);
    assert_eq!(world.hash(), to.hash());
}

/// A world that is led from one committed state to the values of another by a diff, as a game would do it.
fn retold(before: &World, after: &World, prior: &Arc<Prior>) -> World {
    let mut owner = before.clone();
    let mut bytes = Vec::new();
    imitate(&mut owner, after);
    Encoder::new(Arc::clone(prior)).encode(&owner, &mut bytes);
    owner.advance();
    let mut replica = before.clone();
    assert_eq!(diff::apply(&mut replica, prior, &bytes), Ok(()));
    assert!(replica.same_state(&owner), "a replica that applies diffs equals the owner");
    assert_eq!(replica.hash(), owner.hash());
    replica
}

/// Makes a world's current values those of another.
fn imitate(world: &mut World, other: &World) {
    let kinds = 0..other.schema().kinds().len() as u8;
    // First, so that a full world has room for who is new.
    let ids: Vec<EntityId> = kinds.clone().flat_map(|kind| world.ids(kind)).collect();
    ids.into_iter().filter(|id| !other.contains(*id)).for_each(|id| world.despawn(id));
    for id in kinds.flat_map(|kind| other.ids(kind)) {
        world.spawn_at(id).expect("the other world has room for it");
        for (field, declared) in other.schema().kinds()[usize::from(id.kind)].fields.iter().enumerate() {
            match declared.holds {
                FieldType::Text { .. } => world.set_text(id, field, other.text(id, field)),
                _ => world.set(id, field, other.get(id, field)),
            }
        }
    }
}
