//! The gate of both ports: asks `logic/admission` about whoever comes, `logic/accounts` about whose connection it is and
//! `logic/strikes` about who was too fast, and gives back what they had when they are gone.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tickcast_protocol::ticket::Subject;

use crate::config::Settings;
use crate::io::{clock, open_files};
use crate::logic::accounts::Accounts;
use crate::logic::admission::{Admission, AdmissionLimits, Busy, Entry};
use crate::logic::strikes::{Culprit, Strikes};

/// Sockets of the players' port that are no WebSocket connections, or not yet.
const HANDSHAKES_MAX: usize = 2048;
/// Sockets of the operators' port.
const OPERATORS_MAX: usize = 256;

/// Who is let in at the players' port and at the operators'.
pub struct Gate {
    players: Arc<Mutex<Admission>>,
    operators: Arc<Mutex<Admission>>,
    accounts: Arc<Mutex<Accounts>>,
    strikes: Mutex<Strikes>,
}

/// Leave to be there. It ends with its drop.
pub struct Pass {
    admission: Arc<Mutex<Admission>>,
    entry: Entry,
}

/// A place among the connections of an account. It ends with its drop.
pub struct AccountPlace {
    accounts: Arc<Mutex<Accounts>>,
    subject: Subject,
}

impl Gate {
    /// An open gate, as the settings and the system's limit of descriptors have it.
    pub fn new(settings: &Settings) -> Gate {
        let now = clock::now();
        let wanted = settings.connections_max.saturating_add(HANDSHAKES_MAX);
        let sockets_max = wanted.min(open_files::sockets_max().unwrap_or(wanted));
        let limits = AdmissionLimits { sockets_max, ..settings.exposure.admission };
        let operators = AdmissionLimits { sockets_max: OPERATORS_MAX, ..AdmissionLimits::unlimited() };
        let gate = |limits| Arc::new(Mutex::new(Admission::new(now, limits)));
        let accounts = Arc::new(Mutex::new(Accounts::new(settings.exposure.connections_per_account)));
        let strikes = Mutex::new(Strikes::new(now, settings.exposure.strikes));
        Gate { players: gate(limits), operators: gate(operators), accounts, strikes }
    }

    /// A socket of the players' port, of this client; `None` is a proxy's.
    pub fn socket(&self, client: Option<IpAddr>) -> Result<Pass, Busy> {
        enter(&self.players, |admission| admission.handle_socket(clock::now(), client))
    }

    /// A socket of the operators' port.
    pub fn operators_socket(&self) -> Result<Pass, Busy> {
        enter(&self.operators, |admission| admission.handle_socket(clock::now(), None))
    }

    /// A WebSocket connection.
    pub fn connection(&self, client: IpAddr) -> Result<Pass, Busy> {
        enter(&self.players, |admission| admission.handle_connection(clock::now(), client))
    }

    /// A connection of this account; `None` if it has all it may have.
    pub fn account(&self, subject: &Subject) -> Option<AccountPlace> {
        self.accounts().handle_connection(subject).then(|| self.place(subject))
    }

    /// A connection of this account that takes the place of another one.
    pub fn account_again(&self, subject: &Subject) -> AccountPlace {
        self.accounts().handle_return(subject);
        self.place(subject)
    }

    fn place(&self, subject: &Subject) -> AccountPlace {
        AccountPlace { accounts: Arc::clone(&self.accounts), subject: subject.clone() }
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request at the players' port.
    pub fn request(&self, client: IpAddr) -> Result<(), Busy> {
        lock(&self.players).handle_request(clock::now(), client)
    }

    /// Somebody was too fast, who was let in by this and has a place of an account. Whether that was once too often. Of a client that
    /// has no account and whose address is not limited nothing is kept.
    pub fn strike(&self, pass: &Pass, place: Option<&AccountPlace>) -> bool {
        let account = place.map(|place| Culprit::Account(place.subject.clone()));
        let Some(culprit) = account.or(pass.entry.source().map(Culprit::Address)) else { return false };
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.handle_strike(clock::now(), culprit)
    }

    /// A match to create.
    pub fn creation(&self, client: IpAddr) -> Result<(), Busy> {
        lock(&self.players).handle_creation(clock::now(), client)
    }
}

fn lock(admission: &Mutex<Admission>) -> MutexGuard<'_, Admission> {
    admission.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enter(
    admission: &Arc<Mutex<Admission>>,
    ask: impl FnOnce(&mut Admission) -> Result<Entry, Busy>,
) -> Result<Pass, Busy> {
    let entry = ask(&mut lock(admission))?;
    Ok(Pass { admission: Arc::clone(admission), entry })
}

impl Drop for AccountPlace {
    fn drop(&mut self) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).handle_gone(&self.subject);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.admission).handle_gone(clock::now(), self.entry);
    }
}
