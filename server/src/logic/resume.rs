//! Who may have a player back, on any node, and what has to be told with it. The store holds digests of the resume tokens
//! only, so whoever reads a match there cannot play in it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{PlayerId, Position, ResumeToken, Tick};

use crate::backplane::{MatchFields, fields};
use crate::logic::lineage::{Lineage, Past};

/// SHA-256 of a resume token. A token has 128 random bits, so its digest needs no salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &ResumeToken) -> TokenDigest {
        TokenDigest(Sha256::digest(token.0).into())
    }

    /// As the store holds it: 64 hex digits.
    pub fn to_text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`TokenDigest::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<TokenDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(TokenDigest(bytes))
    }
}

/// Whose a seat is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Of the token that gives the player back on another connection.
    pub token: TokenDigest,
    /// The account, if the player came with a ticket.
    pub subject: Option<Subject>,
}

impl Holder {
    /// As the store holds it: the digest, and behind a blank the subject.
    pub fn to_text(&self) -> String {
        let token = self.token.to_text();
        self.subject.as_ref().map_or_else(|| token.clone(), |subject| format!("{token} {subject}"))
    }

    /// Reads what [`Holder::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Holder> {
        let (token, subject) = match text.split_once(' ') {
            Some((token, subject)) => (token, Some(subject.parse().ok()?)),
            None => (text, None),
        };
        Some(Holder { token: TokenDigest::from_text(token)?, subject })
    }
}

/// Of a connection that comes after all of its player's.
pub const LAST_ATTEMPT: u32 = u32::MAX;

/// Whether a connection of one resume takes the place of that of another one.
pub fn displaces(attempt: u32, other: u32) -> bool {
    other <= attempt
}

/// What a client shows to be a player again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Who it is.
    pub player: PlayerId,
    /// That it is.
    pub token: ResumeToken,
    /// The last state that it saw; zeros if there was none.
    pub shown: Position,
    /// How often it has resumed, with this one; the greatest number if it does not know.
    pub attempt: u32,
}

/// What the store says of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The seat is the player's.
    Good {
        /// Where the match stood: what the client is shown must not be older.
        stored: Position,
        /// The last tick that it saw, and up to where that may have happened, if the store has lost what it saw.
        set_back: Option<(Tick, Tick)>,
        /// The account that it is, if the player came with a ticket.
        subject: Option<Subject>,
    },
    /// The store has lost ticks that its owner may write again, perhaps those of the seat: try again.
    Later,
    /// The seat is gone, or another's.
    Bad,
}

impl Proof {
    /// The fields that [`Proof::judge`] reads; the first is the seat's.
    pub fn fields(&self) -> [String; 5] {
        let [epoch, nonce, tick, claims] =
            [fields::EPOCH, fields::NONCE, fields::TICK, fields::CLAIMS].map(str::to_owned);
        [fields::seat(self.player), epoch, nonce, tick, claims]
    }

    /// Judges by the fields as they are now. What makes no sense in them is [`Judgement::Later`]: it ends the ownership
    /// and comes to rest in quarantine.
    pub fn judge(&self, stored: &MatchFields) -> Judgement {
        let lineage = Lineage::parse(fields::text(stored, fields::CLAIMS).unwrap_or(""));
        let place = fields::fence(stored).zip(fields::number(stored, fields::TICK));
        let Some((lineage, (fence, tick))) = lineage.zip(place) else { return Judgement::Later };
        let stored_at = Position { fence, tick: Tick(tick) };
        let past = lineage.judge(stored_at, self.shown);
        let seat = fields::text(stored, &fields::seat(self.player)).map(Holder::from_text);
        let token = |holder: &Option<Holder>| holder.as_ref().map(|holder| holder.token);
        match (seat, past) {
            (Some(holder), _) if token(&holder) != Some(TokenDigest::of(&self.token)) => Judgement::Bad,
            (_, Past::Behind) => Judgement::Later,
            (None, _) => Judgement::Bad,
            (Some(holder), past) => {
                let set_back = match past {
                    Past::Lost { common } => Some((self.shown.tick, common)),
                    Past::Held | Past::Behind => None,
                };
                Judgement::Good {
                    stored: stored_at,
                    set_back,
                    subject: holder.and_then(|holder| holder.subject),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{Epoch, Fence, Nonce};

    use super::*;

    fn fence(nonce: u64) -> Fence {
        Fence { epoch: Epoch(1), nonce: Nonce(nonce) }
    }

    /// A match at tick 40 of its first ownership, in which player 4 has a seat.
    fn stored() -> MatchFields {
        let digest = TokenDigest::of(&ResumeToken([7; 16])).to_text();
        let all = [
            (fields::EPOCH, "1".to_owned()),
            (fields::NONCE, fields::nonce_text(Nonce(9))),
            (fields::TICK, "40".to_owned()),
            (fields::CLAIMS, fields::claim_entry(fence(9), 0)),
            ("~seat:4", digest),
        ];
        all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn a_proof_is_judged_by_token_and_by_what_was_shown() {
        let proof = |player, token, nonce, tick| Proof {
            player: PlayerId(player),
            token: ResumeToken([token; 16]),
            shown: Position { fence: fence(nonce), tick: Tick(tick) },
            attempt: 1,
        };
        let at = Position { fence: fence(9), tick: Tick(40) };
        let good = |set_back| Judgement::Good { stored: at, set_back, subject: None };
        assert_eq!(proof(4, 7, 9, 40).judge(&stored()), good(None));
        assert_eq!(proof(4, 7, 0, 0).judge(&stored()), good(None), "nothing was shown");
        assert_eq!(proof(4, 7, 8, 30).judge(&stored()), good(Some((Tick(30), Tick(0)))));
        assert_eq!(proof(4, 7, 9, 41).judge(&stored()), Judgement::Later);
        assert_eq!(proof(4, 6, 9, 41).judge(&stored()), Judgement::Bad, "another's token");
        assert_eq!(proof(5, 7, 9, 40).judge(&stored()), Judgement::Bad, "no such seat");
        assert_eq!(proof(5, 7, 9, 41).judge(&stored()), Judgement::Later, "the seat may be written again");
        let mut with_ticket = stored();
        let seat = Holder { token: TokenDigest::of(&ResumeToken([7; 16])), subject: "me".parse().ok() };
        with_ticket.insert("~seat:4".into(), seat.to_text().into());
        let subject = "me".parse().ok();
        assert_eq!(
            proof(4, 7, 9, 40).judge(&with_ticket),
            Judgement::Good { stored: at, set_back: None, subject }
        );
        let mut broken = stored();
        broken.insert(fields::CLAIMS.into(), "x".into());
        assert_eq!(proof(4, 7, 9, 40).judge(&broken), Judgement::Later);
    }

    #[test]
    fn a_holder_comes_back_with_the_account_or_without() {
        let token = TokenDigest::of(&ResumeToken([7; 16]));
        for subject in [None, "me".parse().ok(), "~".repeat(64).parse().ok()] {
            let holder = Holder { token, subject };
            assert_eq!(Holder::from_text(&holder.to_text()), Some(holder));
        }
        let digest = token.to_text();
        for bad in [format!("{digest} "), format!("{digest} a b"), format!(" {digest}"), "me".to_owned()] {
            assert_eq!(Holder::from_text(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_comes_back_and_another_token_has_another() {
        let digest = TokenDigest::of(&ResumeToken([7; 16]));
        assert_eq!(TokenDigest::from_text(&digest.to_text()), Some(digest));
        assert_ne!(TokenDigest::of(&ResumeToken([8; 16])), digest);
        for bad in ["", "0f", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(TokenDigest::from_text(bad), None, "{bad}");
        }
    }
}
