//! Who may join: what a hello asks for, against the ticket that it shows. A ticket says who comes, to do what and
//! where; the client only says which of the places that it leads to.

use thiserror::Error;
use tickcast_protocol::MatchId;
use tickcast_protocol::limits::{IDENT_BYTES_MAX, NAME_BYTES_MAX, TICKET_LIFE_MS_MAX};
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Audience, Flaw, Permit, Place, Subject, Ticket, TicketId, TicketKeys};

use crate::backplane::{MatchFields, fields};

/// How long a ticket is good unless something else is asked for.
pub const LIFE_SECONDS: u64 = 60;

/// Why nobody is let in. It goes into the log; the client is told [`Denial::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denial {
    /// There is none, and guests are not let in.
    #[error("no ticket")]
    Missing,
    /// It is none, or not good here and now.
    #[error(transparent)]
    Flawed(#[from] Flaw),
    /// It leads elsewhere.
    #[error("for another match or game")]
    Place,
    /// It lets somebody play who wants to watch, or the reverse.
    #[error("for another role")]
    Permit,
    /// The match is not to be watched.
    #[error("the match takes no spectators")]
    Unwatched,
    /// It was shown before.
    #[error("used already")]
    Used,
}

impl Denial {
    /// What the client is told: nothing by which a forger could tell how near he is.
    pub fn text(self) -> &'static str {
        match self {
            Denial::Missing => "a ticket is needed to join here",
            Denial::Unwatched => "this match takes no spectators",
            Denial::Flawed(_) | Denial::Place | Denial::Permit | Denial::Used => {
                "the ticket is not, or no longer, good for this"
            }
        }
    }
}

/// Decides who may join.
#[derive(Debug, Clone)]
pub struct Joins {
    /// What tickets are checked with; without keys nobody has one that could be.
    pub keys: Option<TicketKeys>,
    /// What this cluster is called in them.
    pub audience: Audience,
    /// Whether somebody without a ticket may join although there are keys.
    pub guests: bool,
}

impl Joins {
    /// Reads the ticket that was shown; none for a guest who may come in. Where there are no keys nobody looks at it.
    pub fn read(&self, shown: &str) -> Result<Option<Ticket>, Denial> {
        match &self.keys {
            None => Ok(None),
            Some(_) if shown.is_empty() && self.guests => Ok(None),
            Some(_) if shown.is_empty() => Err(Denial::Missing),
            Some(keys) => Ok(Some(keys.open(shown)?)),
        }
    }

    /// Where a ticket leads whose holder asks for this, at a time of the store's clock. Quick play of no game in
    /// particular is to wherever it leads.
    pub fn lead(&self, ticket: &Ticket, wanted: Join, now_ms: u64) -> Result<Join, Denial> {
        ticket.check(&self.audience, now_ms)?;
        let join = match (wanted, &ticket.place, ticket.permit) {
            (Join::Quick { game }, Place::Match(id), permit) if game.is_empty() => match permit {
                Permit::Play => Join::Match(id.clone()),
                Permit::Watch => Join::Spectate(id.clone()),
            },
            (Join::Quick { game }, Place::Game(own), _) if game.is_empty() => {
                Join::Quick { game: own.clone() }
            }
            (wanted, _, _) => wanted,
        };
        let (permit, leads) = match (&join, &ticket.place) {
            (Join::Quick { game }, Place::Game(own)) => (Permit::Play, game == own),
            (Join::Match(id), Place::Match(own)) => (Permit::Play, id == own),
            (Join::Spectate(id), Place::Match(own)) => (Permit::Watch, id == own),
            // Whether the match is of the game, the store tells.
            (Join::Match(_), Place::Game(_)) => (Permit::Play, true),
            (Join::Spectate(_), Place::Game(_)) => (Permit::Watch, true),
            (Join::Quick { .. }, Place::Match(_)) | (Join::Resume { .. }, _) => (ticket.permit, false),
        };
        match (leads, permit == ticket.permit) {
            (false, _) => Err(Denial::Place),
            (true, false) => Err(Denial::Permit),
            (true, true) => Ok(join),
        }
    }
}

/// What a ticket is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whom it lets in.
    pub subject: Subject,
    /// To do what.
    pub permit: Permit,
    /// Where.
    pub place: Place,
    /// What others see the player as; empty leaves that to the player.
    pub name: String,
    /// For how long, from now on; [`LIFE_SECONDS`] if nothing is said.
    pub seconds: Option<u64>,
}

/// Why no ticket is made. The text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unmade(String);

impl Joins {
    /// Makes a ticket, with an id that was drawn at random.
    pub fn mint(&self, wanted: Wanted, id: [u8; 16], now_ms: u64) -> Result<(Ticket, String), Unmade> {
        let Some(keys) = &self.keys else {
            return Err(Unmade("there is no ticket key: set TICKCAST_TICKET_KEY or --ticket-key".to_owned()));
        };
        let Wanted { subject, permit, place, name, seconds } = wanted;
        let (seconds, longest) = (seconds.unwrap_or(LIFE_SECONDS), TICKET_LIFE_MS_MAX / 1000);
        if !(1..=longest).contains(&seconds) {
            return Err(Unmade(format!("a ticket is good for 1 to {longest} seconds, not {seconds}")));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(Unmade(format!("a name has at most {NAME_BYTES_MAX} bytes")));
        }
        if matches!(&place, Place::Game(game) if !(1..=IDENT_BYTES_MAX).contains(&game.len())) {
            return Err(Unmade(format!("a game's name has 1 to {IDENT_BYTES_MAX} bytes")));
        }
        let (id, audience, expires_ms) = (TicketId(id), self.audience.clone(), now_ms + seconds * 1000);
        let ticket = Ticket { id, audience, subject, permit, place, name, not_before_ms: now_ms, expires_ms };
        let text = ticket.mint(keys);
        Ok((ticket, text))
    }
}

/// Whom a match lets in, besides what holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Only those whose ticket names this very match; quick play does not lead here.
    pub by_ticket: bool,
    /// It may be watched.
    pub spectators: bool,
}

impl Default for Access {
    fn default() -> Access {
        Access { by_ticket: false, spectators: true }
    }
}

impl Access {
    /// The fields that [`Access::read`] reads.
    pub const FIELDS: [&str; 2] = [fields::ACCESS, fields::SPECTATORS];

    /// As the match's hash tells. What makes no sense lets nobody in who is not named, and nobody watch.
    pub fn read(stored: &MatchFields) -> Access {
        let is = |name: &str, value: &str| stored.get(name.as_bytes()).is_none_or(|stored| stored == value);
        Access { by_ticket: !is(fields::ACCESS, fields::OPEN), spectators: is(fields::SPECTATORS, "1") }
    }

    /// The fields of a match that is about to be created.
    pub fn write(self) -> [(&'static str, &'static str); 2] {
        let access = if self.by_ticket { fields::BY_TICKET } else { fields::OPEN };
        [(fields::ACCESS, access), (fields::SPECTATORS, if self.spectators { "1" } else { "0" })]
    }

    /// Whether somebody may come in here with this ticket, or without one.
    pub fn check(self, ticket: Option<&Ticket>, join: &Join) -> Result<(), Denial> {
        if !self.spectators && matches!(join, Join::Spectate(_)) {
            return Err(Denial::Unwatched);
        }
        match ticket.map(|ticket| &ticket.place) {
            _ if !self.by_ticket => Ok(()),
            None => Err(Denial::Missing),
            Some(Place::Game(_)) => Err(Denial::Place),
            // That it is this match, was seen before.
            Some(Place::Match(_)) => Ok(()),
        }
    }
}

/// The match that is joined, if one is named; and the game that it must be of.
pub fn named<'a>(ticket: Option<&'a Ticket>, join: &'a Join) -> Option<(&'a MatchId, Option<&'a str>)> {
    let (Join::Match(id) | Join::Spectate(id)) = join else { return None };
    match ticket.map(|ticket| &ticket.place) {
        Some(Place::Game(game)) => Some((id, Some(game))),
        Some(Place::Match(_)) | None => Some((id, None)),
    }
}

#[cfg(test)]
mod tests;
