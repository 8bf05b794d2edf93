//! `tickcast ticket`: a ticket for development, made with the key that a node has.

use clap::Args;
use tickcast_protocol::MatchId;
use tickcast_protocol::ticket::{Permit, Place, Subject};

use crate::config::TicketArgs;
use crate::logic::joins::Wanted;

/// The flags of `tickcast ticket`.
#[derive(Clone, Args)]
pub struct TicketCommand {
    /// The match that it leads into
    #[arg(long = "match", value_name = "MATCH", required_unless_present = "game", conflicts_with = "game")]
    match_id: Option<MatchId>,
    /// The game of whose matches it leads into any
    #[arg(long, value_name = "GAME")]
    game: Option<String>,
    /// The player's account
    #[arg(long, value_name = "SUBJECT")]
    subject: Subject,
    /// To watch, not to play
    #[arg(long)]
    spectator: bool,
    /// What others see the player as [default: what its client says]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// For how long it is good, up to an hour [default: 60]
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// What it is made with
    #[command(flatten)]
    made_with: TicketArgs,
}

impl TicketCommand {
    /// The ticket; the error says what would be right.
    pub fn mint(self, id: [u8; 16], now_ms: u64) -> Result<String, String> {
        let joins = self.made_with.joins().map_err(|bad| bad.to_string())?;
        let place = match (self.match_id, self.game) {
            (Some(id), _) => Place::Match(id),
            (None, game) => Place::Game(game.unwrap_or_default()),
        };
        let permit = if self.spectator { Permit::Watch } else { Permit::Play };
        let wanted = Wanted { subject: self.subject, permit, place, name: self.name, seconds: self.seconds };
        joins.mint(wanted, id, now_ms).map(|(_, text)| text).map_err(|unmade| unmade.to_string())
    }
}
