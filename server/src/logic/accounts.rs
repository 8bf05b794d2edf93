//! How many connections an account has on this node, players and spectators alike. Guests have no account.

use std::collections::BTreeMap;

use tickcast_protocol::ticket::Subject;

/// The accounts that have connections.
#[derive(Debug)]
pub struct Accounts {
    /// Connections of one account; 0 is no limit.
    most: u32,
    connections: BTreeMap<Subject, u32>,
}

impl Accounts {
    /// Nobody is there yet. An account may have so many connections; 0 is no limit.
    pub fn new(most: u32) -> Accounts {
        Accounts { most, connections: BTreeMap::new() }
    }

    /// Somebody comes with a ticket of this account. False if it has all it may have.
    pub fn handle_connection(&mut self, subject: &Subject) -> bool {
        let there = self.connections.get(subject).copied().unwrap_or(0);
        let fits = self.most == 0 || there < self.most;
        if fits {
            self.handle_return(subject);
        }
        fits
    }

    /// A player of this account is back on another connection. That takes the place of the one before, which may not be
    /// known to be gone, so there is always room for it.
    pub fn handle_return(&mut self, subject: &Subject) {
        *self.connections.entry(subject.clone()).or_default() += 1;
    }

    /// A connection of this account is over.
    pub fn handle_gone(&mut self, subject: &Subject) {
        if let Some(there) = self.connections.get_mut(subject) {
            *there -= 1;
            if *there == 0 {
                self.connections.remove(subject);
            }
        }
    }

    /// Accounts that something is remembered of.
    pub fn remembered(&self) -> usize {
        self.connections.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_and_others_have_theirs_and_nothing_is_left_of_who_is_gone() {
        let (me, you): (Subject, Subject) = ("me".parse().unwrap(), "you".parse().unwrap());
        let mut accounts = Accounts::new(2);
        assert!(accounts.handle_connection(&me) && accounts.handle_connection(&me));
        assert!(!accounts.handle_connection(&me) && accounts.handle_connection(&you));
        accounts.handle_gone(&me);
        assert!(accounts.handle_connection(&me) && !accounts.handle_connection(&me));
        for subject in [&me, &me, &you] {
            accounts.handle_gone(subject);
        }
        assert_eq!(accounts.remembered(), 0);
    }

    #[test]
    fn who_is_back_is_let_in_and_counted() {
        let me: Subject = "me".parse().unwrap();
        let mut accounts = Accounts::new(1);
        assert!(accounts.handle_connection(&me));
        accounts.handle_return(&me);
        accounts.handle_gone(&me);
        assert!(!accounts.handle_connection(&me), "the connection that it is back on is there");
        accounts.handle_gone(&me);
        assert!(accounts.handle_connection(&me));
    }

    #[test]
    fn a_zero_is_no_limit() {
        let me: Subject = "me".parse().unwrap();
        let mut accounts = Accounts::new(0);
        assert!((0..1000).all(|_| accounts.handle_connection(&me)));
    }
}
