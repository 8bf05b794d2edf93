//! The backend that bots do not have: makes a ticket for each of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Audience, BadKey, Permit, Place, Ticket, TicketId, TicketKeys};

use crate::share::BotPlan;

/// How long a bot's ticket is good.
const LIFE_MS: u64 = 60_000;

/// What tickets are made with. A worker gets it with its orders; nobody else is shown it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Issuer {
    key: String,
    audience: Audience,
}

/// What the server's backends show. Nobody else is shown it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(pub String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer(..)")
    }
}

impl Issuer {
    /// With this key, if there is one.
    pub fn of(key: Option<String>, audience: Audience) -> Result<Option<Issuer>, BadKey> {
        let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
        key.parse::<TicketKeys>()?;
        Ok(Some(Issuer { key, audience }))
    }

    /// A ticket for this bot.
    pub fn mint(&self, bot: &BotPlan, id: [u8; 16], now_ms: u64) -> String {
        let (permit, place) = match &bot.join {
            Join::Match(id) => (Permit::Play, Place::Match(id.clone())),
            Join::Spectate(id) => (Permit::Watch, Place::Match(id.clone())),
            Join::Quick { game } => (Permit::Play, Place::Game(game.clone())),
            // A player who is back shows none.
            Join::Resume { match_id, .. } => (Permit::Play, Place::Match(match_id.clone())),
        };
        // Bots of another run, or of this one that have lost their seat, are somebody else: one account is one player.
        let run: String = id[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let ticket = Ticket {
            id: TicketId(id),
            audience: self.audience.clone(),
            subject: format!("bot-{}-{run}", bot.number).parse().expect("the form of a subject"),
            permit,
            place,
            name: String::new(),
            not_before_ms: now_ms,
            expires_ms: now_ms + LIFE_MS,
        };
        ticket.mint(&self.key.parse().expect("it was read as keys before"))
    }
}
