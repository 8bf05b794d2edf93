//! Who gets which segments of a match: committed state, decided by the owner's game for each player, and once for all
//! who look on. Relays cut by it, and a successor goes on from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tickcast_protocol::limits::SEGMENTS_MAX;
use tickcast_protocol::varint::{self, DecodeError, Reader};
use tickcast_protocol::{PlayerId, SegmentId};

use crate::backplane::{FieldName, MatchFields, fields};
use crate::game::Viewer;

/// Segments, ascending, each once. Who gets the same shares it, where it was told at once.
pub type View = Arc<[SegmentId]>;

/// From this tick on somebody gets other segments than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    viewer: Viewer,
    /// None of somebody who is gone.
    view: Option<View>,
}

impl ViewChange {
    /// Whose, as it is told: the player's number, or 0 for spectators.
    pub fn number(&self) -> u32 {
        number_of(self.viewer)
    }

    /// The segments; `None` of somebody who is gone.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }
}

/// Everybody's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Views {
    views: BTreeMap<Viewer, View>,
    /// Of whom nothing is said: a player who is about to join.
    of_newcomers: View,
}

impl Default for Views {
    fn default() -> Views {
        Views { views: BTreeMap::new(), of_newcomers: Arc::new([SegmentId::EVERYONE]) }
    }
}

/// How a viewer is numbered where it is stored and told.
fn number_of(viewer: Viewer) -> u32 {
    match viewer {
        Viewer::Spectators => 0,
        Viewer::Player(player) => player.0,
    }
}

fn viewer_of(number: u32) -> Viewer {
    if number == 0 { Viewer::Spectators } else { Viewer::Player(PlayerId(number)) }
}

impl Views {
    /// Reads them from a match's fields; the error is the name of a field that makes no sense.
    pub fn read(stored: &MatchFields) -> Result<Views, FieldName> {
        let mut views = Views::default();
        let prefix = fields::VIEW_PREFIX.as_bytes();
        for (name, value) in
            stored.range(FieldName::from(prefix)..).take_while(|(name, _)| name.starts_with(prefix))
        {
            let read = || {
                let viewer = viewer_of(std::str::from_utf8(&name[prefix.len()..]).ok()?.parse().ok()?);
                Some((viewer, from_text(std::str::from_utf8(value).ok()?)?))
            };
            let (viewer, view) = read().ok_or_else(|| name.clone())?;
            views.views.insert(viewer, view);
        }
        Ok(views)
    }

    /// What somebody gets.
    pub fn of(&self, viewer: Viewer) -> &View {
        self.views.get(&viewer).unwrap_or(&self.of_newcomers)
    }

    /// What somebody gets, if that was decided.
    pub fn decided(&self, viewer: Viewer) -> Option<&View> {
        self.views.get(&viewer)
    }

    /// Everybody of whom it was decided.
    pub fn iter(&self) -> impl Iterator<Item = (Viewer, &View)> {
        self.views.iter().map(|(viewer, view)| (*viewer, view))
    }

    /// Somebody gets these segments, in any order, from now on. Tells the change if it is one.
    pub fn decide(&mut self, viewer: Viewer, mut segments: Vec<SegmentId>) -> Option<ViewChange> {
        segments.sort_unstable();
        segments.dedup();
        if self.views.get(&viewer).is_some_and(|view| view[..] == segments) {
            return None;
        }
        let view: View = segments.into();
        self.views.insert(viewer, Arc::clone(&view));
        Some(ViewChange { viewer, view: Some(view) })
    }

    /// Forgets everybody who is not here any more.
    pub fn retain(&mut self, is_here: impl Fn(Viewer) -> bool, changes: &mut Vec<ViewChange>) {
        self.views.retain(|viewer, _| {
            let stays = is_here(*viewer);
            if !stays {
                changes.push(ViewChange { viewer: *viewer, view: None });
            }
            stays
        });
    }

    /// Takes in what an owner has decided.
    pub fn apply(&mut self, changes: Vec<ViewChange>) {
        for ViewChange { viewer, view } in changes {
            match view {
                Some(view) => self.views.insert(viewer, view),
                None => self.views.remove(&viewer),
            };
        }
    }

    /// All that is stored of it.
    pub fn write_all(&self, set: &mut Vec<(FieldName, Bytes)>) {
        let stored = |(viewer, view): (&Viewer, &View)| (name_of(*viewer), to_text(view));
        set.extend(self.views.iter().map(stored));
    }
}

/// Writes what has changed to the store.
pub fn write(changes: &[ViewChange], set: &mut Vec<(FieldName, Bytes)>, delete: &mut Vec<FieldName>) {
    for ViewChange { viewer, view } in changes {
        match view {
            Some(view) => set.push((name_of(*viewer), to_text(view))),
            None => delete.push(name_of(*viewer)),
        }
    }
}

/// Appends what has changed, to be told. Varints: of each change the viewer, the number of segments and 1 more, or 0 for
/// somebody who is gone; then each segment by how far it is behind the one before, the first by its number.
pub fn encode(changes: &[ViewChange], out: &mut Vec<u8>) {
    for ViewChange { viewer, view } in changes {
        varint::put(out, u64::from(number_of(*viewer)));
        varint::put(out, view.as_ref().map_or(0, |view| view.len() as u64 + 1));
        let mut next = 0;
        for segment in view.iter().flat_map(|view| view.iter()) {
            varint::put(out, u64::from(segment.0 - next));
            next = segment.0 + 1;
        }
    }
}

/// Reads what has changed, to the end.
pub fn decode(bytes: &[u8]) -> Result<Vec<ViewChange>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut changes = Vec::new();
    while !reader.rest().is_empty() {
        let number = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Range("viewer"))?;
        let view = match reader.varint()? {
            0 => None,
            count if count > SEGMENTS_MAX as u64 + 1 => return Err(DecodeError::Range("segments")),
            count => {
                let mut next = 0;
                let mut read = || {
                    let segment = reader.varint()?.saturating_add(next);
                    next = segment.saturating_add(1);
                    let exists = segment < SEGMENTS_MAX as u64;
                    exists.then_some(SegmentId(segment as u16)).ok_or(DecodeError::Range("segment"))
                };
                Some((1..count).map(|_| read()).collect::<Result<Vec<_>, _>>()?.into())
            }
        };
        changes.push(ViewChange { viewer: viewer_of(number), view });
    }
    Ok(changes)
}

fn name_of(viewer: Viewer) -> FieldName {
    fields::view(number_of(viewer)).into()
}

fn to_text(view: &View) -> Bytes {
    view.iter().map(SegmentId::to_string).collect::<Vec<_>>().join(" ").into()
}

fn from_text(text: &str) -> Option<View> {
    let numbers = text.split(' ').filter(|_| !text.is_empty());
    let segments: Vec<SegmentId> =
        numbers.map(|one| one.parse().ok().map(SegmentId)).collect::<Option<_>>()?;
    let exist = segments.last().is_none_or(|last| usize::from(last.0) < SEGMENTS_MAX);
    (exist && segments.is_sorted_by(|a, b| a < b)).then(|| segments.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(numbers: &[u16]) -> Vec<SegmentId> {
        numbers.iter().copied().map(SegmentId).collect()
    }

    /// An owner, a relay that hears it, and the store.
    #[derive(Default)]
    struct Told {
        owner: Views,
        relay: Views,
        fields: MatchFields,
    }

    impl Told {
        fn tell(&mut self, changes: &[ViewChange]) {
            let mut bytes = Vec::new();
            encode(changes, &mut bytes);
            assert_eq!(decode(&bytes).as_deref(), Ok(changes));
            self.relay.apply(decode(&bytes).unwrap());
            let (mut set, mut delete) = (Vec::new(), Vec::new());
            write(changes, &mut set, &mut delete);
            self.fields.extend(set);
            delete.iter().for_each(|name| drop(self.fields.remove(name)));
            let mut all = Vec::new();
            self.owner.write_all(&mut all);
            assert_eq!(all.into_iter().collect::<MatchFields>(), self.fields);
            assert_eq!(Views::read(&self.fields).as_ref(), Ok(&self.owner));
            assert_eq!(self.relay, self.owner);
        }

        fn decide(&mut self, viewer: Viewer, numbers: &[u16]) -> bool {
            let change = self.owner.decide(viewer, segments(numbers));
            self.tell(change.as_slice());
            change.is_some()
        }
    }

    #[test]
    fn what_is_decided_is_told_stored_and_found_again() {
        let mut told = Told::default();
        let player = Viewer::Player(PlayerId(7));
        assert_eq!(told.owner.of(player)[..], segments(&[0])[..], "before it was decided");
        assert!(told.decide(player, &[9, 0, 9, 4095, 3]));
        assert_eq!(told.owner.of(player)[..], segments(&[0, 3, 9, 4095])[..]);
        assert!(!told.decide(player, &[0, 3, 9, 4095]), "no change");
        assert!(told.decide(Viewer::Spectators, &[4094]));
        assert_eq!(told.fields.get(&b"~view:0"[..]), Some(&Bytes::from_static(b"4094")));
        assert!(told.decide(Viewer::Spectators, &[]));
        assert_eq!(told.owner.of(Viewer::Spectators)[..], [], "nothing is a view, too");
        let mut gone = Vec::new();
        told.owner.retain(|viewer| viewer == Viewer::Spectators, &mut gone);
        told.tell(&gone);
        assert_eq!((gone.len(), told.owner.decided(player), told.owner.iter().count()), (1, None, 1));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (name, value) in [
            ("~view:1", "1 0"),
            ("~view:1", "3 3"),
            ("~view:1", "4096"),
            ("~view:1", " "),
            ("~view:1", "1  2"),
            ("~view:1", "-1"),
            ("~view:x", "1"),
            ("~view:", "1"),
            ("~view:99999999999", "1"),
        ] {
            let stored = MatchFields::from([(name.into(), Bytes::from(value))]);
            assert_eq!(Views::read(&stored), Err(name.into()), "{value}");
        }
        let told = |numbers: &[u64]| {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| varint::put(&mut bytes, *number));
            decode(&bytes)
        };
        assert!(told(&[1, 2, 4095]).is_ok());
        assert_eq!(told(&[1, 2, 4096]), Err(DecodeError::Range("segment")));
        assert_eq!(told(&[1, 3, 4095, 0]), Err(DecodeError::Range("segment")));
        assert_eq!(told(&[1, 3, 1, u64::MAX]), Err(DecodeError::Range("segment")));
        assert_eq!(told(&[1, 4098]), Err(DecodeError::Range("segments")));
        assert_eq!(told(&[1 << 32, 0]), Err(DecodeError::Range("viewer")));
        assert_eq!(told(&[1, 3, 1]), Err(DecodeError::End));
    }
}
