//! What is ordered when, what is written of it, and going on from what was written.

use std::sync::Arc;

use tickcast_protocol::{Field, Kind, Schema};

use super::*;

const ZOE: PlayerId = PlayerId(7);
const BO: PlayerId = PlayerId(8);

/// Zoë is of team 2 and Bo of none; nobody else has an entity.
fn world() -> World {
    let player = [
        Field::int("player", 0, i32::MAX),
        Field::linear("seq", 0, i32::MAX),
        Field::text("name", 24),
        Field::int("team", 0, 2),
    ];
    let schema: Arc<Schema> = Schema::new("demo", "player", [Kind::new("player", player)], []).unwrap();
    let mut world = World::new(schema);
    for (name, team) in [("Z\u{202e}oë", 2), ("Bo", 0)] {
        let id = world.spawn(0).unwrap();
        world.set_text(id, 2, name);
        world.set(id, 3, team);
    }
    world.advance();
    world
}

fn entity(player: PlayerId) -> Option<EntityId> {
    let index = [ZOE, BO].iter().position(|known| *known == player)?;
    Some(EntityId { kind: 0, index: index as u16 })
}

fn say(chat: &mut Chat, player: PlayerId, seq: u32, to: ChatTo) {
    chat.handle_saying(Saying { player, seq, to, text: format!("line {seq}").try_into().unwrap() });
}

fn tick(chat: &mut Chat, tick: u64) -> (Vec<ChatLine>, Vec<Note>) {
    chat.take(Tick(tick), &world(), entity)
}

fn seqs(lines: &[ChatLine]) -> Vec<(u64, PlayerId, u32)> {
    lines.iter().map(|line| (line.number, line.from, line.seq)).collect()
}

fn stored(chat: &Chat) -> MatchFields {
    let mut set = Vec::new();
    chat.write_all(&mut set);
    set.into_iter().collect()
}

#[test]
fn lines_get_numbers_in_the_order_in_which_they_came_with_name_and_team() {
    let mut chat = Chat::default();
    say(&mut chat, BO, 1, ChatTo::Everyone);
    say(&mut chat, ZOE, 1, ChatTo::Team);
    let (lines, notes) = tick(&mut chat, 40);
    assert_eq!(seqs(&lines), [(1, BO, 1), (2, ZOE, 1)]);
    assert_eq!((lines[0].name.as_str(), lines[0].team, lines[0].tick), ("Bo", 0, Tick(40)));
    assert_eq!((lines[1].name.as_str(), lines[1].team), ("Zoë", 2), "a name is as plain as a text");
    assert_eq!(notes, []);
    assert_eq!(tick(&mut chat, 41), (vec![], vec![]));
}

#[test]
fn what_is_sent_again_is_said_once_also_by_another_owner() {
    let mut chat = Chat::default();
    for _ in 0..3 {
        say(&mut chat, ZOE, 5, ChatTo::Everyone);
    }
    assert_eq!(seqs(&tick(&mut chat, 1).0), [(1, ZOE, 5)]);
    let mut next = Chat::new(StoredChat::read(&stored(&chat)).unwrap(), |_| true);
    for chat in [&mut chat, &mut next] {
        say(chat, ZOE, 5, ChatTo::Everyone);
        let repeated = Note::ChatRefused { player: ZOE, seq: 5, reason: ChatRefusal::Repeated };
        assert_eq!(tick(chat, 2), (vec![], vec![repeated]));
        say(chat, ZOE, 9, ChatTo::Everyone);
        assert_eq!(seqs(&tick(chat, 3).0), [(2, ZOE, 9)], "numbers go on");
    }
}

#[test]
fn who_has_no_team_has_nobody_to_say_it_to() {
    let mut chat = Chat::default();
    say(&mut chat, BO, 1, ChatTo::Team);
    let refused = Note::ChatRefused { player: BO, seq: 1, reason: ChatRefusal::NoTeam };
    assert_eq!(tick(&mut chat, 1), (vec![], vec![refused]));
    say(&mut chat, BO, 1, ChatTo::Everyone);
    assert_eq!(seqs(&tick(&mut chat, 2).0), [(1, BO, 1)], "what was not said does not count");
}

#[test]
fn what_is_written_with_the_ticks_is_all_of_it_and_bounded() {
    let mut chat = Chat::default();
    let mut fields = MatchFields::new();
    for seq in 1..=200 {
        say(&mut chat, ZOE, seq, ChatTo::Team);
        say(&mut chat, BO, seq, ChatTo::Everyone);
        let (lines, _) = tick(&mut chat, u64::from(seq));
        let (mut set, mut delete) = (Vec::new(), Vec::new());
        chat.write(&lines, &mut set, &mut delete);
        assert_eq!((set.len(), delete.len()), (4, 0), "a line and its player's number, each");
        fields.extend(set);
    }
    assert_eq!(fields, stored(&chat));
    assert_eq!(fields.len(), CHAT_LINES_MAX + 2);
    let read = StoredChat::read(&fields).unwrap();
    assert_eq!(read.lines, chat.lines.iter().cloned().collect::<Vec<_>>());
    assert_eq!(read.lines.last().map(|line| line.number), Some(400));
    assert!(fields.keys().all(|name| fields::is_state(name)), "a whole commit replaces all of it");
}

#[test]
fn a_flood_waits_and_is_bounded_per_tick() {
    let mut chat = Chat::default();
    // A relay that is not ours may name players at will; the simulation passes on only those who have a seat.
    for player in 1..=100 {
        say(&mut chat, PlayerId(player), 1, ChatTo::Everyone);
        say(&mut chat, PlayerId(player), 2, ChatTo::Everyone);
    }
    assert_eq!(chat.waiting.len(), 100, "one line each");
    let world = world();
    let mut sizes = Vec::new();
    while !chat.waiting.is_empty() {
        sizes.push(chat.take(Tick(1), &world, |_| entity(BO)).0.len());
    }
    assert_eq!(sizes, [32, 32, 32, 4]);
}

#[test]
fn who_leaves_leaves_no_number_behind() {
    let mut chat = Chat::default();
    say(&mut chat, ZOE, 3, ChatTo::Everyone);
    tick(&mut chat, 1);
    say(&mut chat, ZOE, 4, ChatTo::Everyone);
    let seated = Chat::new(StoredChat::read(&stored(&chat)).unwrap(), |player| player != ZOE);
    chat.forget(ZOE);
    for mut chat in [chat, seated] {
        let (mut set, mut delete) = (Vec::new(), Vec::new());
        chat.write(&[], &mut set, &mut delete);
        assert_eq!((set, delete), (vec![], vec!["~said:7".into()]));
        assert_eq!(tick(&mut chat, 2), (vec![], vec![]), "what waited is gone with the player");
    }
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let mut chat = Chat::default();
    say(&mut chat, ZOE, 1, ChatTo::Everyone);
    tick(&mut chat, 1);
    let good = stored(&chat);
    let line = String::from_utf8(good[&b"~c1"[..]].to_vec()).unwrap();
    assert!(line.contains(r#""name":"Zoë""#), "a person can read it: {line}");
    let bad = [
        ("~c1", "junk".to_owned()),
        ("~c1", line.replace("line 1", r"\u001b[31m")),
        ("~c1", line.replace("line 1", &"x".repeat(1000))),
        ("~c1", line.replace(r#""number":1"#, r#""number":2"#)),
        ("~c0", line.replace(r#""number":1"#, r#""number":0"#)),
        ("~said:7", "-1".to_owned()),
        ("~said:x", "1".to_owned()),
    ];
    for (name, value) in bad {
        let mut fields = good.clone();
        fields.insert(name.into(), value.into());
        assert_eq!(StoredChat::read(&fields), Err(name.into()));
    }
    assert!(StoredChat::read(&good).is_ok());
}
