//! What nobody may see: rooms that one is not in, and the hands of others. The rules by which the game tells who gets
//! what, and by which the oracle judges, from the committed state alone, all that a client was ever sent.

use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::sections::{Section, Sections};
use tickcast_protocol::{EntityId, PlayerId, SegmentId, World};

use super::ledger::{HAND, HAND_OF, ID, PLAYER, X};

/// The first room's segment; as many follow.
const ROOMS_FROM: u16 = 1;
const ROOMS: u16 = 4;
/// A room is so wide, and the rooms come again and again.
const ROOM_WIDTH: i32 = 40;
/// The segment of the first hand.
const HANDS_FROM: u16 = 100;

/// The room at a place.
pub(super) fn room(x: i32) -> SegmentId {
    SegmentId(ROOMS_FROM + (x / ROOM_WIDTH) as u16 % ROOMS)
}

/// Where a hand is that nobody but its player may see.
pub(super) fn hidden(hand: EntityId) -> SegmentId {
    SegmentId(HANDS_FROM + hand.index)
}

/// What a player gets: what is open, the own room, the own hand. Somebody who is no player gets what is open.
pub(super) fn view(world: &World, player: Option<PlayerId>) -> Vec<SegmentId> {
    let is_own = |id: &EntityId, field| Some(PlayerId(world.get(*id, field) as u32)) == player;
    let mut view = vec![SegmentId::EVERYONE];
    view.extend(world.ids(PLAYER).find(|id| is_own(id, ID)).map(|own| room(world.get(own, X))));
    view.extend(world.ids(HAND).find(|id| is_own(id, HAND_OF)).map(hidden));
    view
}

/// Whether what a player sees is what is to be seen of a committed state, and nothing else.
pub(super) fn check(committed: &World, player: Option<PlayerId>, seen: &World) -> Result<(), String> {
    let view = view(committed, player);
    let kinds = 0..committed.schema().kinds().len() as u8;
    let ids = |world: &World| kinds.clone().flat_map(|kind| world.ids(kind).collect::<Vec<_>>()).collect();
    let (all, has): (Vec<EntityId>, Vec<EntityId>) = (ids(committed), ids(seen));
    let due: Vec<EntityId> = all.into_iter().filter(|id| view.contains(&committed.segment(*id))).collect();
    if due != has {
        return Err(format!("has the entities {has:?}, and should have {due:?}, those of {view:?}"));
    }
    for id in due {
        let fields = 0..committed.schema().kinds()[usize::from(id.kind)].fields.len();
        for field in fields {
            let (ours, theirs) = (seen.get(id, field), committed.get(id, field));
            if ours != theirs {
                return Err(format!("has {ours} in field {field} of {id}, which is {theirs}"));
            }
        }
    }
    Ok(())
}

/// Whether a frame that led a player to a committed state tells of nothing but what is to be seen then.
pub(super) fn check_frame(committed: &World, player: Option<PlayerId>, bytes: &[u8]) -> Result<(), String> {
    let sections = match frame::parse(bytes) {
        Ok(StateFrame::Segments { sections, .. } | StateFrame::Leap { sections, .. }) => sections,
        Ok(StateFrame::View { sections, .. }) => sections,
        Ok(StateFrame::Owner { .. } | StateFrame::Prior { .. }) => return Ok(()),
        other => return Err(format!("was sent {other:?}, which tells all")),
    };
    let view = view(committed, player);
    for cut in Sections::new(sections) {
        let cut = cut.map_err(|error| error.to_string())?;
        if cut.section != Section::Left && !view.contains(&cut.segment) {
            return Err(format!("was sent a section of segment {}, and gets {view:?}", cut.segment));
        }
    }
    Ok(())
}
