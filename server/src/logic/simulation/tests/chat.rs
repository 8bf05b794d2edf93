//! What players say, with the ticks: said once, known to the next owner, written back.

use super::*;

fn say(simulation: &mut Simulation, player: u32, seq: u32) {
    let text = format!("line {seq}").try_into().unwrap();
    simulation.handle_upstream(Upstream::Chat { player: PlayerId(player), seq, to: ChatTo::Everyone, text });
}

/// Who said which line in a tick, as it is published.
fn said(produced: &Produced) -> Vec<(u32, u32)> {
    tick_of(&produced.commit.message).lines.iter().map(|line| (line.from.0, line.seq)).collect()
}

#[test]
fn what_is_said_is_committed_with_a_tick_and_known_to_the_next_owner() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 5);
    say(&mut simulation, 5, 1);
    let produced = simulation.handle_tick(0);
    assert_eq!(said(&produced), [], "who has no seat yet is not heard");
    write(&mut fields, &produced.commit);
    for _ in 0..2 {
        say(&mut simulation, 5, 1);
        say(&mut simulation, 6, 1);
    }
    let produced = simulation.handle_tick(0);
    assert_eq!((said(&produced), produced.notes.len()), (vec![(5, 1)], 0));
    // The tick is not committed: for the next owner the line was not said, and is heard when it is repeated.
    let mut next = resumed(&fields);
    say(&mut next, 5, 1);
    let other = next.handle_tick(0);
    assert_eq!(said(&other), [(5, 1)]);
    // And from there on it was.
    write(&mut fields, &other.commit);
    let restored = stored::restore(&fields).unwrap();
    assert_eq!(restored.chat.lines, tick_of(&other.commit.message).lines);
    assert_eq!(restored.chat.lines[0].name.as_str(), "p5");
    let mut last = resumed(&fields);
    say(&mut last, 5, 1);
    let produced = last.handle_tick(0);
    let repeated = Note::ChatRefused { player: PlayerId(5), seq: 1, reason: ChatRefusal::Repeated };
    assert_eq!((said(&produced), produced.notes), (vec![], vec![repeated]));
    // Whoever leaves leaves no number behind.
    last.handle_upstream(leave(5));
    write(&mut fields, &produced.commit);
    write(&mut fields, &last.handle_tick(0).commit);
    assert_eq!(stored::restore(&fields).unwrap().chat.said, BTreeMap::new());
}

#[test]
fn a_whole_commit_writes_back_what_was_said() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 5);
    write(&mut fields, &simulation.handle_tick(0).commit);
    let mut lost = fields.clone();
    for seq in 1..=3 {
        say(&mut simulation, 5, seq);
        write(&mut fields, &simulation.handle_tick(0).commit);
    }
    let commit = simulation.handle_tick(0).commit;
    write(&mut fields, &commit);
    lost.insert("~c9".into(), "what another history said".into());
    write(&mut lost, &simulation.repair(&commit));
    let chat = |fields: &MatchFields| stored::restore(fields).unwrap().chat;
    assert_eq!(chat(&lost), chat(&fields));
    assert_eq!(chat(&lost).lines.len(), 3);
}
