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
    let join = Join::Match(id("m2"));
    assert_eq!(unproven(&ticket(Permit::Play, of_game), &join), Some((&id("m2"), "arena")));
    assert_eq!(unproven(&ticket(Permit::Play, of_match), &join), None);
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
