//! Who may join: what a hello asks for, against the ticket that it shows. A ticket says who comes, to do what and
//! where; the client only says which of the places that it leads to.

use thiserror::Error;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Audience, Flaw, Permit, Place, Ticket, TicketKeys};

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

/// The match that is still to be found to be of the ticket's game.
pub fn unproven<'a>(ticket: &'a Ticket, join: &'a Join) -> Option<(&'a MatchId, &'a str)> {
    match (join, &ticket.place) {
        (Join::Match(id) | Join::Spectate(id), Place::Game(game)) => Some((id, game)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
