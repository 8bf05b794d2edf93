//! Who may join: what a hello asks for, against the ticket that it shows. A ticket says who comes, to do what and
//! where; the client only says which of the places that it leads to.

use thiserror::Error;
use tickcast_protocol::MatchId;
use tickcast_protocol::limits::{IDENT_BYTES_MAX, NAME_BYTES_MAX, TICKET_LIFE_MS_MAX};
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Audience, Flaw, Permit, Place, Subject, Ticket, TicketId, TicketKeys};

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
    /// It was shown before.
    #[error("used already")]
    Used,
}

impl Denial {
    /// What the client is told: nothing by which a forger could tell how near he is.
    pub fn text(self) -> &'static str {
        match self {
            Denial::Missing => "a ticket is needed to join here",
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

/// The match that is still to be found to be of the ticket's game.
pub fn unproven<'a>(ticket: &'a Ticket, join: &'a Join) -> Option<(&'a MatchId, &'a str)> {
    match (join, &ticket.place) {
        (Join::Match(id) | Join::Spectate(id), Place::Game(game)) => Some((id, game)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
