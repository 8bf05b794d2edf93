//! Dozens of ticks of a match in segments, from a seed, for three clients who see different parts of it: units in the fog,
//! of which a player sees the cells around its own, and cards that lie in a player's hand or on the table.

use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::sections::{Section, Sections};
use tickcast_protocol::{EntityId, SegmentId};

use crate::frames::position;
use crate::parts::{Owner, Viewer};
use crate::storm::Dice;
use crate::worlds;

const PLAYER: u8 = 0;
const UNIT: u8 = 1;
const CARD: u8 = 2;
const PLAYERS: u16 = 3;
const UNITS: u16 = 9;
const CARDS: u16 = 7;
const TICKS: u64 = 36;
/// Cells are 4 by 3, of 100 by 100; their segments are 1 to 12. The hands are 1001 to 1003, the table is for everyone.
const CELL: i32 = 100;
const COLUMNS: i32 = 4;
const ROWS: i32 = 3;
const HANDS: u16 = 1001;

pub(crate) fn runs() -> Vec<Viewer> {
    let schema = worlds::fog();
    let mut owner = Owner::new(&schema, position(1, 77, 65_520));
    let mut viewers = ABOUT.map(|(name, about)| Viewer::new(&schema, name, about));
    let mut dice = Dice(4711);
    people(&mut owner, &mut dice);
    owner.next(false);
    let mut crossed = 0;
    for step in 0..TICKS {
        turn(&mut owner, &mut dice);
        let sections = owner.next(step % 8 == 7);
        for (number, viewer) in (0..).zip(&mut viewers) {
            crossed += crossing(&owner, viewer);
            take(&owner, viewer, number, step, &sections);
        }
        if step == 13 {
            let prior = owner.publish();
            let name = |viewer: &Viewer| format!("{}_prior", viewer.file.name.trim_end_matches(".hex"));
            viewers.iter_mut().for_each(|viewer| viewer.deliver(&name(viewer), "a prior", prior.clone()));
        }
    }
    assert!(crossed > 3, "{crossed}");
    for changes in viewers.iter().map(changes_of_view) {
        assert!(changes.iter().all(|count| *count >= 2), "{changes:?}");
    }
    viewers.into()
}

const ABOUT: [(&str, &str); 3] = [
    (
        "fog.hex",
        "What the first of three players sees of a match in segments, tick by tick. The schema is in\n\
         fog.schema.json. Apply the frames in order to an empty replica.",
    ),
    (
        "fog_slow.hex",
        "The same ticks for the second player, who falls behind twice and is led on. Apply in order.",
    ),
    (
        "fog_late.hex",
        "The same ticks for the third player, who comes later and misses a tick. Apply in order.",
    ),
];

/// How many units go from one segment of a client's to another in this tick.
fn crossing(owner: &Owner, viewer: &Viewer) -> usize {
    let Some(segments) = viewer.replica.segments() else { return 0 };
    let had = |id| segments.iter().find(|(_, world)| world.contains(id)).map(|(segment, _)| segment);
    let crosses = |id: &EntityId| {
        let now = owner.whole.segment(*id);
        viewer.view.contains(&now) && had(*id).is_some_and(|before| before != now)
    };
    owner.whole.ids(UNIT).filter(crosses).count()
}

/// How many sections of a run begin a segment for a client, and how many end one.
fn changes_of_view(viewer: &Viewer) -> [usize; 2] {
    let mut changes = [0; 2];
    for entry in &viewer.file.entries {
        let Ok(StateFrame::Segments { sections, .. }) = frame::parse(&entry.bytes) else { continue };
        for cut in Sections::new(sections) {
            match cut.unwrap().section {
                Section::Changed { .. } => {}
                Section::Entered { .. } => changes[0] += 1,
                Section::Left => changes[1] += 1,
            }
        }
    }
    changes
}

/// What a client gets of a tick.
fn take(owner: &Owner, viewer: &mut Viewer, number: u16, step: u64, sections: &[u8]) {
    let view = view_of(owner, number);
    let run = viewer.file.name.trim_end_matches(".hex").to_owned();
    let name = format!("{run}_{}", owner.position.tick);
    match (number, step) {
        (2, 0..9) => {}
        (0 | 1, 0) | (2, 9) => viewer.begin(owner, &view, &format!("{run}_view"), "all that is to be seen"),
        (1, 6..9 | 20..25) => viewer.miss(),
        (1, 9 | 25) => viewer.leap(owner, &view, (&name, "the ticks that were missed, in one")),
        (2, 21) => drop(viewer.cut(owner, sections, &view)),
        (2, 22) => {
            let cut = viewer.cut(owner, sections, &view);
            viewer.deliver(&name, "a tick is missing", owner.frame_of(&cut));
        }
        (2, 23) => viewer.begin(owner, &view, &name, "the cure"),
        _ => viewer.follow(owner, sections, &view, (&name, "the next tick")),
    }
}

fn cell(x: i32, y: i32) -> u16 {
    (1 + x / CELL + COLUMNS * (y / CELL)) as u16
}

/// The table, the cells around the player, and its own hand.
fn view_of(owner: &Owner, player: u16) -> Vec<u16> {
    let id = EntityId { kind: PLAYER, index: player };
    let (x, y) = (owner.whole.get(id, 2) / CELL, owner.whole.get(id, 3) / CELL);
    let mut view = vec![0];
    for row in (y - 1).max(0)..=(y + 1).min(ROWS - 1) {
        view.extend(
            ((x - 1).max(0)..=(x + 1).min(COLUMNS - 1)).map(|column| cell(column * CELL, row * CELL)),
        );
    }
    view.push(HANDS + player);
    view
}

fn people(owner: &mut Owner, dice: &mut Dice) {
    for index in 0..PLAYERS {
        let at = i32::from(index);
        owner.put(0, PLAYER, index, &[("player", at + 1), ("x", 50 + 100 * at), ("y", 10 + 120 * at)]);
    }
    for index in 0..UNITS {
        let (x, y) = (dice.below(400) as i32, dice.below(300) as i32);
        let (dx, dy) = (dice.below(60) as i32 - 30, dice.below(40) as i32 - 20);
        owner.put(cell(x, y), UNIT, 5 * index, &[("x", x), ("y", y), ("dx", dx), ("dy", dy)]);
    }
    for index in 0..CARDS {
        owner.put(HANDS + index % PLAYERS, CARD, index, &[("face", dice.below(52) as i32)]);
    }
}

/// Units walk, and turn at the borders; players walk; cards are played and drawn.
fn turn(owner: &mut Owner, dice: &mut Dice) {
    let back = |at: i32, way: i32, end: i32| if (0..end).contains(&(at + way)) { way } else { -way };
    for id in owner.whole.ids(UNIT).collect::<Vec<_>>() {
        let [x, y, dx, dy] = [0, 1, 2, 3].map(|field| owner.whole.get(id, field));
        let (dx, dy) = (back(x, dx, CELL * COLUMNS), back(y, dy, CELL * ROWS));
        owner.put(
            cell(x + dx, y + dy),
            UNIT,
            id.index,
            &[("x", x + dx), ("y", y + dy), ("dx", dx), ("dy", dy)],
        );
        if dice.below(20) == 0 {
            owner.whole.set_text(id, 4, ["", "oh", "né"][dice.below(3) as usize]);
        }
        if dice.below(40) == 0 {
            owner.whole.despawn(id);
        }
    }
    if dice.below(6) == 0 {
        let (x, y) = (dice.below(400) as i32, dice.below(300) as i32);
        owner.put(
            cell(x, y),
            UNIT,
            1 + 5 * dice.below(UNITS.into()) as u16,
            &[("x", x), ("y", y), ("dx", 25)],
        );
    }
    for index in 0..PLAYERS {
        let id = EntityId { kind: PLAYER, index };
        let [seq, x, y] = [1, 2, 3].map(|field| owner.whole.get(id, field));
        let way = back(x, [14, -9, 11][usize::from(index)] * (1 - 2 * (seq / 18 % 2)), CELL * COLUMNS);
        owner.set(id, &[("seq", seq + 1), ("x", x + way), ("y", (y + 4 * i32::from(index)) % (CELL * ROWS))]);
    }
    if dice.below(3) == 0 {
        let card = EntityId { kind: CARD, index: dice.below(CARDS.into()) as u16 };
        let to = dice.below(2) as u16 * (HANDS + dice.below(PLAYERS.into()) as u16);
        owner.whole.place(card, SegmentId(to));
    }
}
