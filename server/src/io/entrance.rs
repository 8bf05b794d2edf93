//! The way into a match: a hello and the ticket it shows, checked, and the ticket spent, before anything else is done
//! for the client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::CloseCode;
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Subject, Ticket};

use crate::backplane::{Backplane, Unavailable, fields};
use crate::io::gate::AccountPlace;
use crate::io::node::{Node, Refusal};
use crate::io::relay_task::RelayCommand;
use crate::logic::bans::Ban;
use crate::logic::joins::{Access, Denial, named};
use crate::logic::stored;

/// What somebody is told who is banned. Why, operators know.
pub(in crate::io) const BANNED: &str = "banned";

/// Somebody who may come in.
pub(in crate::io) struct Visitor {
    /// The name for others to see.
    pub(in crate::io) name: String,
    /// Where to.
    pub(in crate::io) join: Join,
    /// The account, of one with a ticket.
    pub(in crate::io) subject: Option<Subject>,
    /// Its place among the connections of the account.
    pub(in crate::io) place: Option<AccountPlace>,
}

/// The bans that hold, as last looked at.
pub type Banned = Arc<BTreeSet<Subject>>;

impl<B: Backplane> Node<B> {
    /// Lets somebody in, or not. A player who is back needs no ticket: its token is the seat's.
    pub(in crate::io) async fn admit(
        &self,
        name: String,
        join: Join,
        shown: &str,
    ) -> Result<Visitor, Refusal> {
        // A ticket is good once: it is not used up where nobody is let in.
        if self.is_leaving() {
            return Err(Refusal::new(CloseCode::Shutdown, CloseCode::Shutdown.text()));
        }
        if matches!(join, Join::Resume { .. }) {
            return Ok(Visitor { name, join, subject: None, place: None });
        }
        match self.settings.joins.read(shown) {
            Ok(None) => {
                self.check_access(None, &join).await?;
                Ok(Visitor { name, join, subject: None, place: None })
            }
            Ok(Some(ticket)) => self.admit_with(ticket, name, join).await,
            Err(denial) => Err(self.deny(denial)),
        }
    }

    /// The store's clock judges, so that all nodes agree and a used ticket is remembered for as long as it is good.
    async fn admit_with(&self, ticket: Ticket, name: String, join: Join) -> Result<Visitor, Refusal> {
        let now_ms = self.backplane.now_ms().await.map_err(Refusal::unavailable)?;
        let join = self.settings.joins.lead(&ticket, join, now_ms).map_err(|denial| self.deny(denial))?;
        self.check_access(Some(&ticket), &join).await?;
        self.check_ban(&ticket.subject, now_ms).await?;
        let Some(place) = self.gate.account(&ticket.subject) else {
            let most = self.settings.exposure.connections_per_account;
            let text = format!("this account has {most} connections here already: close one, and come again");
            return Err(Refusal::new(CloseCode::AccountLimit, &text));
        };
        let remembered = Duration::from_millis(ticket.remembered_ms(now_ms));
        match self.backplane.spend_ticket(ticket.id, remembered).await {
            Ok(true) => self.metrics.tickets_spent.add(1),
            Ok(false) => return Err(self.deny(Denial::Used)),
            Err(error) => return Err(Refusal::unavailable(error)),
        }
        tracing::debug!(ticket = %ticket.id, subject = %ticket.subject, "a ticket was used");
        let name = if ticket.name.is_empty() { name } else { ticket.name };
        Ok(Visitor { name, join, subject: Some(ticket.subject), place: Some(place) })
    }

    /// Whether the match that is named takes whoever asks, and is of the game that the ticket is for.
    async fn check_access(&self, ticket: Option<&Ticket>, join: &Join) -> Result<(), Refusal> {
        let Some((id, game)) = named(ticket, join) else { return Ok(()) };
        let [access, spectators] = Access::FIELDS;
        let stored = self.backplane.read(id, &[fields::GAME, access, spectators, fields::MAC]).await;
        let Some(stored) = stored.map_err(Refusal::unavailable)? else {
            // Of whom the ticket lets into all of a game it is not told whether there is such a match.
            return Err(if game.is_some() { self.deny(Denial::Place) } else { Refusal::no_such_match() });
        };
        stored::believe(&stored).map_err(|error| Refusal::not_readable(id, &error))?;
        if game.is_some_and(|game| fields::text(&stored, fields::GAME) != Some(game)) {
            return Err(self.deny(Denial::Place));
        }
        Access::read(&stored).check(ticket, join).map_err(|denial| self.deny(denial))
    }

    async fn check_ban(&self, subject: &Subject, now_ms: u64) -> Result<(), Refusal> {
        let stored = self.backplane.ban(subject).await.map_err(Refusal::unavailable)?;
        if stored.is_some_and(|stored| Ban::holds(&stored, now_ms)) {
            self.metrics.banned_refused.add(1);
            return Err(Refusal::new(CloseCode::Kicked, BANNED));
        }
        Ok(())
    }

    /// Whether a player who is back may come in: who has an account may be banned meanwhile. It takes the place of its last
    /// connection, which may still be there, so there is always room for it.
    pub(in crate::io) async fn check_return(
        &self,
        subject: Option<&Subject>,
    ) -> Result<Option<AccountPlace>, Refusal> {
        let Some(subject) = subject else { return Ok(None) };
        let now_ms = self.backplane.now_ms().await.map_err(Refusal::unavailable)?;
        self.check_ban(subject, now_ms).await?;
        Ok(Some(self.gate.account_again(subject)))
    }

    /// Puts out whoever is banned now, of the clients of this node.
    pub(in crate::io) async fn enforce_bans(&self) -> Result<(), Unavailable> {
        let now_ms = self.backplane.now_ms().await?;
        let bans = self.backplane.bans().await?.into_iter();
        let banned = bans.filter(|(_, ban)| Ban::holds(ban, now_ms)).map(|(subject, _)| subject);
        let banned: Banned = Arc::new(banned.collect());
        if banned.is_empty() {
            return Ok(());
        }
        let relays: Vec<_> = self.followed.iter().map(|entry| entry.value().clone()).collect();
        for relay in relays {
            // One that is just ending has nobody any more, and one that is full is told at the next look.
            let _ = relay.try_send(RelayCommand::PutOut { banned: Arc::clone(&banned) });
        }
        Ok(())
    }

    fn deny(&self, denial: Denial) -> Refusal {
        self.metrics.tickets_refused.add(1);
        tracing::debug!(%denial, "a hello was refused");
        Refusal::new(CloseCode::BadTicket, denial.text())
    }
}
