//! The backend of a game, as far as tests need one: it makes tickets.

use tickcast_protocol::MatchId;
use tickcast_protocol::ticket::{Permit, Place, Ticket, TicketId};
use tickcast_server::io::clock;

/// The key that the tests' nodes and backends have.
pub const KEY: &str = "planted-key-0123456789-planted-key";
/// Another one.
pub const OTHER_KEY: &str = "another-key-0123456789-another-key";

/// A ticket to play in this match that is good from now on for a minute.
pub fn ticket_of(subject: &str, id: &MatchId) -> Ticket {
    let now_ms = clock::unix_ms();
    Ticket {
        id: TicketId(rand::random()),
        audience: "tickcast".parse().expect("the form of an audience"),
        subject: subject.parse().expect("the form of a subject"),
        permit: Permit::Play,
        place: Place::Match(id.clone()),
        name: String::new(),
        not_before_ms: now_ms,
        expires_ms: now_ms + 60_000,
    }
}

/// The ticket as text, made with [`KEY`].
pub fn mint(ticket: &Ticket) -> String {
    mint_with(ticket, KEY)
}

/// The ticket as text, made with this key.
///
/// # Panics
/// When it is no key.
pub fn mint_with(ticket: &Ticket, key: &str) -> String {
    ticket.mint(&key.parse().expect("a key of the tests"))
}
