//! Where a client has the tickets from that it shows: a ticket is good once, so each connection that needs one needs
//! another one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::socket::Failure;

/// A ticket on its way from the game's backend, or why none comes.
pub type Fetching = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Where tickets come from.
#[derive(Clone, Default)]
pub enum Tickets {
    /// From nowhere: the servers let guests in.
    #[default]
    None,
    /// There is this one. A player needs no other, for as long as it has its place.
    One(String),
    /// Each is asked for when it is needed.
    Each(Arc<dyn Fn() -> Fetching + Send + Sync>),
}

impl Tickets {
    /// Asks for a ticket whenever one is needed.
    pub fn each<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Tickets
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        Tickets::Each(Arc::new(move || Box::pin(ask())))
    }

    /// The next ticket; empty where there are none.
    pub(crate) async fn next(&self) -> Result<String, Failure> {
        match self {
            Tickets::None => Ok(String::new()),
            Tickets::One(ticket) => Ok(ticket.clone()),
            Tickets::Each(ask) => ask().await.map_err(Failure::Ticket),
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tickets::None => "None",
            Tickets::One(_) => "One(..)",
            Tickets::Each(_) => "Each(..)",
        })
    }
}
