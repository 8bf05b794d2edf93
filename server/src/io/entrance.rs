//! The way into a match: a hello and the ticket it shows, checked, and the ticket spent, before anything else is done
//! for the client.

use std::time::Duration;

use tickcast_protocol::CloseCode;
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::Ticket;

use crate::backplane::{Backplane, fields};
use crate::io::node::{Node, Refusal};
use crate::logic::joins::{Denial, unproven};

/// Somebody who may come in.
pub(in crate::io) struct Visitor {
    /// The name for others to see.
    pub(in crate::io) name: String,
    /// Where to.
    pub(in crate::io) join: Join,
}

impl<B: Backplane> Node<B> {
    /// Lets somebody in, or not. A player who is back needs no ticket: its token is the seat's.
    pub(in crate::io) async fn admit(
        &self,
        name: String,
        join: Join,
        shown: &str,
    ) -> Result<Visitor, Refusal> {
        if matches!(join, Join::Resume { .. }) {
            return Ok(Visitor { name, join });
        }
        match self.settings.joins.read(shown) {
            Ok(None) => Ok(Visitor { name, join }),
            Ok(Some(ticket)) => self.admit_with(ticket, name, join).await,
            Err(denial) => Err(self.deny(denial)),
        }
    }

    /// The store's clock judges, so that all nodes agree and a used ticket is remembered for as long as it is good.
    async fn admit_with(&self, ticket: Ticket, name: String, join: Join) -> Result<Visitor, Refusal> {
        let now_ms = self.backplane.now_ms().await.map_err(Refusal::unavailable)?;
        let join = self.settings.joins.lead(&ticket, join, now_ms).map_err(|denial| self.deny(denial))?;
        if let Some((id, game)) = unproven(&ticket, &join) {
            let stored = self.backplane.read(id, &[fields::GAME]).await.map_err(Refusal::unavailable)?;
            let is_of_game = stored.is_some_and(|stored| fields::text(&stored, fields::GAME) == Some(game));
            if !is_of_game {
                return Err(self.deny(Denial::Place));
            }
        }
        let remembered = Duration::from_millis(ticket.remembered_ms(now_ms));
        match self.backplane.spend_ticket(ticket.id, remembered).await {
            Ok(true) => self.metrics.tickets_spent.add(1),
            Ok(false) => return Err(self.deny(Denial::Used)),
            Err(error) => return Err(Refusal::unavailable(error)),
        }
        tracing::debug!(ticket = %ticket.id, subject = %ticket.subject, "a ticket was used");
        Ok(Visitor { name: if ticket.name.is_empty() { name } else { ticket.name }, join })
    }

    fn deny(&self, denial: Denial) -> Refusal {
        self.metrics.tickets_refused.add(1);
        tracing::debug!(%denial, "a hello was refused");
        Refusal::new(CloseCode::BadTicket, denial.text())
    }
}
