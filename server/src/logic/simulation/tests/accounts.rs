//! One account is one player: a newer join takes the place of the older, and a seat is given anew to the account that has it.

use super::*;

const SESSION: SessionId = SessionId(70);

fn token(number: u8) -> TokenDigest {
    TokenDigest::of(&ResumeToken([number; 16]))
}

/// A join of the account `me`, or of a guest.
fn join_as(simulation: &mut Simulation, player: u32, subject: Option<&str>, token: TokenDigest) {
    let (player, name) = (PlayerId(player), "me".to_owned());
    let subject = subject.map(|subject| subject.parse().unwrap());
    simulation.handle_upstream(Upstream::Join { player, name, token, subject });
}

/// A connection that has shown this token.
fn resume(simulation: &mut Simulation, player: u32, session: SessionId, attempt: u32, token: TokenDigest) {
    simulation.handle_upstream(Upstream::Resume { player: PlayerId(player), session, attempt, token });
}

/// A connection that had shown this token says goodbye.
fn leave_with(simulation: &mut Simulation, player: u32, token: TokenDigest) {
    simulation.handle_upstream(Upstream::Leave { player: PlayerId(player), token });
}

fn replaced(player: u32) -> Note {
    Note::Refused { player: PlayerId(player), code: CloseCode::Replaced.number() }
}

fn resumed_note(player: u32, session: SessionId, attempt: u32) -> Note {
    Note::Resumed { player: PlayerId(player), session, attempt }
}

/// The players that have an entity.
fn playing(simulation: &Simulation) -> Vec<i32> {
    let world = simulation.world();
    let schema = world.schema();
    world.ids(schema.player_kind()).map(|id| world.get(id, schema.player_field())).collect()
}

fn seated(fields: &MatchFields) -> Vec<(PlayerId, Holder)> {
    stored::restore(fields).unwrap().holders.into_iter().collect()
}

#[test]
fn a_newer_join_of_an_account_takes_the_place_of_the_older_also_after_a_takeover() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join_as(&mut simulation, 1, Some("me"), token(1));
    join_as(&mut simulation, 9, Some("you"), token(9));
    write(&mut fields, &simulation.handle_tick(0).commit);
    // The match is full, and an account that is in it needs no second place.
    for (newer, older) in [(2, 1), (3, 2)] {
        join_as(&mut simulation, newer, Some("me"), token(newer as u8));
        let produced = simulation.handle_tick(0);
        write(&mut fields, &produced.commit);
        assert_eq!(produced.notes, [replaced(older)]);
        assert_eq!((simulation.players(), playing(&simulation).len()), (2, 2));
        assert!(playing(&simulation).contains(&(newer as i32)));
        let holders = seated(&fields);
        assert_eq!(holders.len(), 2, "{holders:?}");
        assert_eq!((holders[0].0, holders[0].1.token), (PlayerId(newer), token(newer as u8)));
        // The next owner knows from the store whose the seats are.
        simulation = resumed(&fields);
    }
}

#[test]
fn of_two_joins_for_one_tick_the_later_is_in() {
    let mut simulation = resumed(&created());
    join_as(&mut simulation, 1, Some("me"), token(1));
    join_as(&mut simulation, 2, Some("me"), token(2));
    assert_eq!(simulation.handle_tick(0).notes, [replaced(1)]);
    assert_eq!(playing(&simulation), [2]);
}

#[test]
fn a_late_repetition_of_a_join_that_was_replaced_changes_nothing() {
    let mut simulation = resumed(&created());
    for player in [1, 2, 1] {
        join_as(&mut simulation, player, Some("me"), token(player as u8));
        simulation.handle_tick(0);
    }
    assert_eq!(playing(&simulation), [2]);
    assert_eq!(simulation.handle_tick(0).notes, []);
}

#[test]
fn guests_and_other_accounts_are_left_alone() {
    let mut simulation = resumed(&created());
    for (player, subject) in [(1, None), (2, None)] {
        join_as(&mut simulation, player, subject, token(player as u8));
        assert_eq!(simulation.handle_tick(0).notes, []);
    }
    assert_eq!(playing(&simulation), [1, 2]);
    // Nobody is given a guest's seat anew, nor another account's.
    for subject in [None, Some("me")] {
        join_as(&mut simulation, 1, subject, token(7));
        let commit = simulation.handle_tick(0).commit;
        assert!(commit.set.iter().all(|(name, _)| !name.starts_with(b"~seat:")));
    }
}

#[test]
fn a_seat_is_given_anew_to_its_account_with_its_entity_and_the_older_connection_is_out_of_date() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join_as(&mut simulation, 1, Some("me"), token(1));
    simulation.handle_tick(0);
    input(&mut simulation, 1, 1);
    resume(&mut simulation, 1, SessionId(60), 3, token(1));
    write(&mut fields, &simulation.handle_tick(0).commit);
    let before = simulation.seats.entity(PlayerId(1));
    for _ in 0..2 {
        // The second is a repetition, and is answered alike.
        join_as(&mut simulation, 1, Some("me"), token(2));
        resume(&mut simulation, 1, SESSION, 0, token(2));
        let produced = simulation.handle_tick(0);
        write(&mut fields, &produced.commit);
        assert_eq!(produced.notes, [resumed_note(1, SESSION, u32::MAX)], "later than any before");
    }
    assert_eq!(simulation.seats.entity(PlayerId(1)), before);
    assert_eq!(acknowledged(&simulation), [1], "its numbers go on");
    let holder = |fields: &MatchFields| seated(fields)[0].1.token;
    assert_eq!(holder(&fields), token(2), "the older token is good for nothing");
    join_as(&mut simulation, 1, Some("me"), token(1));
    write(&mut fields, &simulation.handle_tick(0).commit);
    assert_eq!(holder(&fields), token(2), "a late repetition of the first join does not bring it back");
    // What the older connection's relay says late does not bring that back, however often it had resumed.
    resume(&mut simulation, 1, SessionId(61), 4, token(1));
    assert_eq!(simulation.handle_tick(0).notes, [resumed_note(1, SESSION, u32::MAX)]);
    // Nor does its goodbye, if it comes late, take the seat from who has it now.
    leave_with(&mut simulation, 1, token(1));
    simulation.handle_tick(0);
    assert_eq!(playing(&simulation), [1]);
    // Resumes of the new connection are counted from one again.
    resume(&mut simulation, 1, SessionId(71), 1, token(2));
    assert_eq!(simulation.handle_tick(0).notes, [resumed_note(1, SessionId(71), 1)]);
    leave_with(&mut simulation, 1, token(2));
    simulation.handle_tick(0);
    assert_eq!(playing(&simulation), [0; 0]);
}

#[test]
fn a_seat_that_was_given_anew_has_said_nothing_yet() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join_as(&mut simulation, 1, Some("me"), token(1));
    simulation.handle_tick(0);
    let say = |simulation: &mut Simulation, seq| {
        let (player, to) = (PlayerId(1), ChatTo::Everyone);
        let text = format!("line {seq}").try_into().unwrap();
        simulation.handle_upstream(Upstream::Chat { player, seq, to, text });
    };
    say(&mut simulation, 7);
    write(&mut fields, &simulation.handle_tick(0).commit);
    join_as(&mut simulation, 1, Some("me"), token(2));
    say(&mut simulation, 1);
    let produced = simulation.handle_tick(0);
    write(&mut fields, &produced.commit);
    assert_eq!((produced.notes.len(), tick_of(&produced.commit.message).lines.len()), (0, 1));
    assert_eq!(fields::text(&fields, &fields::said(PlayerId(1))), Some("1"), "and that stays");
}

#[test]
fn who_is_to_be_given_a_seat_that_has_just_gone_gets_a_new_one() {
    let mut simulation = resumed(&created());
    join_as(&mut simulation, 1, Some("me"), token(1));
    simulation.handle_tick(0);
    leave_with(&mut simulation, 1, token(1));
    simulation.handle_tick(0);
    let told: Vec<Vec<Note>> = (0..2)
        .map(|_| {
            join_as(&mut simulation, 1, Some("me"), token(2));
            resume(&mut simulation, 1, SESSION, 0, token(2));
            simulation.handle_tick(0).notes
        })
        .collect();
    assert_eq!(told, [vec![], vec![resumed_note(1, SESSION, 0)]]);
    assert_eq!(playing(&simulation), [1]);
}
