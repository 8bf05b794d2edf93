//! Which hellos a ticket lets in, as a table.

use tickcast_protocol::PlayerId;

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;
const KEY: &str = "0123456789abcdef0123456789abcdef";

fn joins(keys: &str, guests: bool) -> Joins {
    let keys = (!keys.is_empty()).then(|| keys.parse().unwrap());
    Joins { keys, audience: "tickcast".parse().unwrap(), guests }
}

fn ticket(permit: Permit, place: Place) -> Ticket {
    Ticket {
        id: TicketId([1; 16]),
        audience: "tickcast".parse().unwrap(),
        subject: "me".parse().unwrap(),
        permit,
        place,
        name: String::new(),
        not_before_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
    }
}

fn id(text: &str) -> MatchId {
    text.parse().unwrap()
}

fn quick(game: &str) -> Join {
    Join::Quick { game: game.to_owned() }
}

fn resume() -> Join {
    let (token, shown) = (Default::default(), Default::default());
    Join::Resume { match_id: id("m1"), player: PlayerId(1), token, shown, attempt: 1 }
}

#[test]
fn without_keys_nobody_needs_a_ticket_and_with_keys_everybody_does() {
    let good = ticket(Permit::Play, Place::Match(id("m1"))).mint(&KEY.parse().unwrap());
    assert_eq!(joins("", false).read(""), Ok(None));
    assert_eq!(joins("", false).read("rubbish"), Ok(None));
    assert_eq!(joins(KEY, false).read(""), Err(Denial::Missing));
    assert_eq!(joins(KEY, true).read(""), Ok(None));
    for guests in [false, true] {
        assert!(joins(KEY, guests).read(&good).is_ok_and(|ticket| ticket.is_some()));
        assert_eq!(joins(KEY, guests).read("rubbish"), Err(Denial::Flawed(Flaw::Text)));
    }
}

#[test]
fn a_ticket_leads_to_its_place_in_its_role_and_nowhere_else() {
    let of_match = || Place::Match(id("m1"));
    let of_game = || Place::Game("arena".to_owned());
    let (play, watch) = (Permit::Play, Permit::Watch);
    for (permit, place, wanted, led) in [
        (play, of_match(), Join::Match(id("m1")), Ok(Join::Match(id("m1")))),
        (play, of_match(), quick(""), Ok(Join::Match(id("m1")))),
        (watch, of_match(), quick(""), Ok(Join::Spectate(id("m1")))),
        (watch, of_match(), Join::Spectate(id("m1")), Ok(Join::Spectate(id("m1")))),
        (play, of_match(), Join::Match(id("m2")), Err(Denial::Place)),
        (watch, of_match(), Join::Spectate(id("m2")), Err(Denial::Place)),
        (play, of_match(), Join::Spectate(id("m1")), Err(Denial::Permit)),
        (watch, of_match(), Join::Match(id("m1")), Err(Denial::Permit)),
        (play, of_match(), quick("arena"), Err(Denial::Place)),
        (play, of_game(), quick(""), Ok(quick("arena"))),
        (play, of_game(), quick("arena"), Ok(quick("arena"))),
        (play, of_game(), quick("chess"), Err(Denial::Place)),
        (watch, of_game(), quick(""), Err(Denial::Permit)),
        (play, of_game(), Join::Match(id("m2")), Ok(Join::Match(id("m2")))),
        (watch, of_game(), Join::Match(id("m2")), Err(Denial::Permit)),
        (watch, of_game(), Join::Spectate(id("m2")), Ok(Join::Spectate(id("m2")))),
        (play, of_match(), resume(), Err(Denial::Place)),
    ] {
        let shown = format!("{permit:?} {place:?} {wanted:?}");
        let ticket = ticket(permit, place);
        assert_eq!(joins(KEY, false).lead(&ticket, wanted.clone(), NOW_MS), led, "{shown}");
        let late = joins(KEY, false).lead(&ticket, wanted, NOW_MS + 120_000);
        assert_eq!(late, Err(Denial::Flawed(Flaw::Expired)), "{shown}");
    }
}

#[test]
fn a_match_of_a_game_is_still_to_be_proven() {
    let (of_game, of_match) = (Place::Game("arena".to_owned()), Place::Match(id("m1")));
    let (join, watch) = (Join::Match(id("m2")), Join::Spectate(id("m2")));
    assert_eq!(named(Some(&ticket(Permit::Play, of_game)), &join), Some((&id("m2"), Some("arena"))));
    assert_eq!(named(Some(&ticket(Permit::Play, of_match)), &join), Some((&id("m2"), None)));
    assert_eq!(named(None, &watch), Some((&id("m2"), None)));
    assert_eq!(named(None, &quick("arena")), None);
}

#[test]
fn a_private_match_lets_in_who_has_a_ticket_for_it() {
    let stored = |access: Access| -> MatchFields {
        access.write().map(|(name, value)| (name.into(), value.into())).into_iter().collect()
    };
    for by_ticket in [false, true] {
        for spectators in [false, true] {
            let access = Access { by_ticket, spectators };
            assert_eq!(Access::read(&stored(access)), access);
        }
    }
    assert_eq!(Access::read(&MatchFields::new()), Access::default());
    let odd = [(fields::ACCESS, "?"), (fields::SPECTATORS, "?")];
    let odd = Access::read(&odd.map(|(name, value)| (name.into(), value.into())).into_iter().collect());
    assert_eq!(odd, Access { by_ticket: true, spectators: false });

    let (of_game, of_match) = (Place::Game("arena".to_owned()), Place::Match(id("m1")));
    let (of_game, of_match) = (ticket(Permit::Play, of_game), ticket(Permit::Play, of_match));
    let (play, watch) = (Join::Match(id("m1")), Join::Spectate(id("m1")));
    let private = Access { by_ticket: true, spectators: true };
    let unwatched = Access { by_ticket: false, spectators: false };
    for (access, ticket, join, answer) in [
        (Access::default(), None, &play, Ok(())),
        (Access::default(), None, &watch, Ok(())),
        (private, None, &play, Err(Denial::Missing)),
        (private, None, &watch, Err(Denial::Missing)),
        (private, Some(&of_game), &play, Err(Denial::Place)),
        (private, Some(&of_match), &play, Ok(())),
        (private, Some(&of_match), &watch, Ok(())),
        (unwatched, None, &play, Ok(())),
        (unwatched, Some(&of_match), &watch, Err(Denial::Unwatched)),
    ] {
        assert_eq!(access.check(ticket, join), answer, "{access:?} {ticket:?} {join:?}");
    }
}

#[test]
fn what_is_made_lets_in_and_nothing_else_is_made() {
    let wanted = || Wanted {
        subject: "me".parse().unwrap(),
        permit: Permit::Play,
        place: Place::Match(id("m1")),
        name: "Zoë".to_owned(),
        seconds: None,
    };
    let joins = joins(KEY, false);
    let (ticket, text) = joins.mint(wanted(), [9; 16], NOW_MS).unwrap();
    assert_eq!(joins.read(&text), Ok(Some(ticket.clone())));
    assert_eq!(ticket.expires_ms, NOW_MS + 60_000);
    assert_eq!(joins.lead(&ticket, Join::Match(id("m1")), NOW_MS), Ok(Join::Match(id("m1"))));
    let unmade = |wanted| joins.mint(wanted, [9; 16], NOW_MS).map(|_| ()).unwrap_err().0;
    assert!(unmade(Wanted { seconds: Some(0), ..wanted() }).contains("1 to 3600 seconds"));
    assert!(unmade(Wanted { seconds: Some(u64::MAX), ..wanted() }).contains("1 to 3600 seconds"));
    assert!(unmade(Wanted { name: "n".repeat(25), ..wanted() }).contains("24 bytes"));
    assert!(unmade(Wanted { place: Place::Game(String::new()), ..wanted() }).contains("1 to 32"));
    let Unmade(none) =
        super::Joins { keys: None, ..joins.clone() }.mint(wanted(), [9; 16], NOW_MS).unwrap_err();
    assert!(none.contains("TICKCAST_TICKET_KEY"), "{none}");
}

#[test]
fn a_forger_is_told_nothing() {
    let told: std::collections::BTreeSet<&str> = [
        Denial::Flawed(Flaw::Key),
        Denial::Flawed(Flaw::Expired),
        Denial::Place,
        Denial::Permit,
        Denial::Used,
    ]
    .map(Denial::text)
    .into();
    assert_eq!(told.len(), 1);
}
