//! Where two worlds of one schema differ: the first entity and field, in words that a log can hold.

use std::fmt;

use crate::world::{EntityId, Table, World};

/// A place where two worlds differ, with what each of them holds there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The entity.
    pub entity: EntityId,
    /// Name of the entity's kind.
    pub kind: String,
    /// Name of the field; `None` where one of the worlds does not have the entity at all.
    pub field: Option<String>,
    /// What this world holds: a number, a text, `present` or `absent`.
    pub ours: String,
    /// What the other world holds.
    pub theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { entity, kind, field, ours, theirs } = self;
        write!(f, "{kind}:{}", entity.index)?;
        if let Some(field) = field {
            write!(f, " field `{field}`")?;
        }
        write!(f, " is {ours}, should be {theirs}")
    }
}

/// The first difference of the committed states; with `past`, also of what prediction takes from the ticks
/// before.
pub(super) fn first_difference(ours: &World, theirs: &World, past: bool) -> Option<Difference> {
    (0..).zip(ours.tables.iter().zip(&theirs.tables)).find_map(|(kind, (a, b))| {
        let (entity, field, told) = table_difference(kind, a, b, past)?;
        let declared = ours.kind(kind);
        let name = field.map(|field| declared.fields[field].name.clone());
        Some(Difference { entity, kind: declared.name.clone(), field: name, ours: told.0, theirs: told.1 })
    })
}

type Found = (EntityId, Option<usize>, (String, String));

fn table_difference(kind: u8, ours: &Table, theirs: &Table, past: bool) -> Option<Found> {
    let (mut a, mut b) = (ours.members().iter().peekable(), theirs.members().iter().peekable());
    let lone = |index: u16, mine: bool| {
        let told = if mine { ("present", "absent") } else { ("absent", "present") };
        Some((EntityId { kind, index }, None, (told.0.to_owned(), told.1.to_owned())))
    };
    loop {
        match (a.peek(), b.peek()) {
            (None, None) => return None,
            (Some(index), other) if other.is_none_or(|other| index < other) => return lone(**index, true),
            (other, Some(index)) if other.is_none_or(|other| index < other) => return lone(**index, false),
            (Some(index), _) => {
                if let Some((field, told)) = entity_difference(ours, theirs, **index, past) {
                    return Some((EntityId { kind, index: **index }, Some(field), told));
                }
            }
            (None, Some(_)) => {}
        }
        a.next();
        b.next();
    }
}

fn entity_difference(
    ours: &Table,
    theirs: &Table,
    index: u16,
    past: bool,
) -> Option<(usize, (String, String))> {
    (0..).zip(ours.columns()).find_map(|(field, column)| match column.int_at() {
        None => {
            let (a, b) = (ours.committed_text(index, field), theirs.committed_text(index, field));
            (a != b).then(|| (field, (format!("{a:?}"), format!("{b:?}"))))
        }
        Some(at) => {
            let (a, b) = (ours.past(index, at), theirs.past(index, at));
            let older = column.is_linear();
            let same_past = a.prior == b.prior && (!older || a.older == b.older);
            if a.last != b.last {
                Some((field, (a.last.to_string(), b.last.to_string())))
            } else if past && !same_past {
                Some((field, (format!("{a:?}"), format!("{b:?}"))))
            } else {
                None
            }
        }
    })
}
