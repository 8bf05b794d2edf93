//! Tickets: who may join, said by the game's backend in a text that the client shows in its hello. One format, one
//! algorithm, nothing in it that says how it is to be checked. Time and chance are arguments.
//!
//! ```text
//! text    base64url without padding of: body   HMAC-SHA-256(key, body), 32 bytes
//! body    u8 1   id, 16 bytes   string audience   string subject   Role   Place   string name   u64 not_before_ms   u64 expires_ms
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::codec;
use crate::ids::{MatchId, NodeId};
use crate::limits::{
    IDENT_BYTES_MAX, NAME_BYTES_MAX, SUBJECT_BYTES_MAX, TICKET_BYTES_MAX, TICKET_LIFE_MS_MAX,
};

/// How far the backend's clock may differ from the server's, either way.
pub const CLOCK_LEEWAY_MS: u64 = 5_000;
/// Shortest key, characters.
pub const KEY_CHARACTERS_MIN: usize = 32;
/// Keys that are good at the same time: a new one and the one before it.
pub const KEYS_MAX: usize = 2;
/// Version of the format.
const FORMAT: u8 = 1;
/// Bytes of the authentication code behind the body.
const MAC_BYTES: usize = 32;

/// What a cluster is called in tickets, so that those for one are good for no other; the form of a node's name.
pub type Audience = NodeId;

/// Names a ticket: drawn at random, good once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TicketId(pub [u8; 16]);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A person, by the name of the account that the game's backend knows: 1 to 64 letters, digits and signs of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a subject is 1 to {SUBJECT_BYTES_MAX} letters, digits and signs of ASCII, without spaces")]
pub struct BadSubject;

impl Subject {
    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = BadSubject;
    fn from_str(text: &str) -> Result<Subject, BadSubject> {
        Subject::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Subject {
    type Error = BadSubject;
    fn try_from(text: String) -> Result<Subject, BadSubject> {
        let fits = (1..=SUBJECT_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Subject(text))
        } else {
            Err(BadSubject)
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a ticket lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permit {
    /// Play.
    Play,
    /// Watch.
    Watch,
}

/// Where a ticket leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Into this match.
    Match(MatchId),
    /// Into any match of this game.
    Game(String),
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Good once.
    pub id: TicketId,
    /// The cluster it is for.
    pub audience: Audience,
    /// Whom it lets in.
    pub subject: Subject,
    /// To do what.
    pub permit: Permit,
    /// Where.
    pub place: Place,
    /// What others see the player as, at most [`NAME_BYTES_MAX`] bytes; empty leaves that to the player.
    pub name: String,
    /// Before this it is not good, milliseconds since 1970.
    pub not_before_ms: u64,
    /// From then on it is not good, milliseconds since 1970.
    pub expires_ms: u64,
}

/// As in the body.
#[derive(Serialize, Deserialize)]
struct Body {
    format: u8,
    id: TicketId,
    audience: Audience,
    subject: Subject,
    permit: Permit,
    place: Place,
    name: String,
    not_before_ms: u64,
    expires_ms: u64,
}

/// What is wrong with a ticket. For the server's own log: whoever shows it is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// Too long, no base64url, or too short to hold anything.
    #[error("not a ticket")]
    Text,
    /// No live key made it.
    #[error("no live key made it")]
    Key,
    /// A live key made it, and it says what no ticket says.
    #[error("a live key made it, and its body is none")]
    Body,
    /// For another cluster.
    #[error("for another audience")]
    Audience,
    /// Not good yet.
    #[error("not good yet")]
    Early,
    /// Not good any more.
    #[error("expired")]
    Expired,
    /// Good for longer than a ticket may be.
    #[error("good for longer than an hour")]
    Long,
}

/// A secret that the game's backend and the nodes share. Never shown.
#[derive(Clone)]
pub struct TicketKey(Hmac<Sha256>);

/// Why a text is no key. It does not show the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "one or two keys, the newer one first and a comma between them, each of at least {KEY_CHARACTERS_MIN} letters, \
     digits and signs without spaces; `openssl rand -hex 32` makes one"
)]
pub struct BadKey;

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl TicketKey {
    /// The key is the text's bytes as they are, also where they look like hex digits.
    fn new(text: &str) -> TicketKey {
        TicketKey(Hmac::new_from_slice(text.as_bytes()).expect("HMAC takes a key of any length"))
    }

    fn signs(&self, body: &[u8], code: &[u8]) -> bool {
        self.0.clone().chain_update(body).verify_slice(code).is_ok()
    }
}

/// One or two keys with a comma between, each long enough to be one and without spaces.
pub fn split_keys(text: &str) -> Result<Vec<&str>, BadKey> {
    let keys: Vec<&str> = text.split(',').collect();
    let fits =
        |key: &&str| key.len() >= KEY_CHARACTERS_MIN && key.bytes().all(|byte| byte.is_ascii_graphic());
    if keys.len() <= KEYS_MAX && keys.iter().all(fits) { Ok(keys) } else { Err(BadKey) }
}

/// The live keys: the first one makes tickets, all of them are good.
#[derive(Debug, Clone)]
pub struct TicketKeys(Vec<TicketKey>);

impl FromStr for TicketKeys {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<TicketKeys, BadKey> {
        Ok(TicketKeys(split_keys(text)?.into_iter().map(TicketKey::new).collect()))
    }
}

impl TicketKeys {
    /// Reads a ticket that one of these keys made. Whether it is good here and now, [`Ticket::check`] tells. How long
    /// this takes says nothing about how much of a wrong code is right.
    pub fn open(&self, text: &str) -> Result<Ticket, Flaw> {
        if text.len() > TICKET_BYTES_MAX {
            return Err(Flaw::Text);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Flaw::Text)?;
        let at = bytes.len().checked_sub(MAC_BYTES).ok_or(Flaw::Text)?;
        let (body, code) = bytes.split_at(at);
        if !self.0.iter().any(|key| key.signs(body, code)) {
            return Err(Flaw::Key);
        }
        let body: Body = codec::decode(body).map_err(|_| Flaw::Body)?;
        body.read().ok_or(Flaw::Body)
    }
}

impl Body {
    fn read(self) -> Option<Ticket> {
        let Body { format, id, audience, subject, permit, place, name, not_before_ms, expires_ms } = self;
        let names_a_place = match &place {
            Place::Match(_) => true,
            Place::Game(game) => (1..=IDENT_BYTES_MAX).contains(&game.len()),
        };
        let fits = format == FORMAT && names_a_place && name.len() <= NAME_BYTES_MAX;
        fits.then_some(Ticket { id, audience, subject, permit, place, name, not_before_ms, expires_ms })
    }
}

impl Ticket {
    /// The ticket as the text that is shown, made by the first of the keys.
    pub fn mint(&self, keys: &TicketKeys) -> String {
        let Ticket { id, audience, subject, permit, place, name, not_before_ms, expires_ms } = self.clone();
        let body =
            Body { format: FORMAT, id, audience, subject, permit, place, name, not_before_ms, expires_ms };
        let mut bytes = codec::encode(&body);
        let TicketKey(key) = keys.0.first().expect("there is a key among the keys");
        let code = key.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&code);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Whether it is good here and now.
    pub fn check(&self, audience: &Audience, now_ms: u64) -> Result<(), Flaw> {
        if self.audience != *audience {
            return Err(Flaw::Audience);
        }
        if now_ms.saturating_add(CLOCK_LEEWAY_MS) < self.not_before_ms {
            return Err(Flaw::Early);
        }
        if self.remembered_ms(now_ms) == 0 {
            return Err(Flaw::Expired);
        }
        if self.expires_ms > now_ms.saturating_add(TICKET_LIFE_MS_MAX + CLOCK_LEEWAY_MS) {
            return Err(Flaw::Long);
        }
        Ok(())
    }

    /// For how long from now on it would still be good, and so has to be remembered as used.
    pub fn remembered_ms(&self, now_ms: u64) -> u64 {
        self.expires_ms.saturating_add(CLOCK_LEEWAY_MS).saturating_sub(now_ms)
    }
}

#[cfg(test)]
mod tests;
