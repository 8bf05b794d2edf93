//! Resume tokens: who has one gets its player back, on any node. The store holds digests only, so whoever reads a
//! match there cannot play in it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tickcast_protocol::ResumeToken;

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

#[cfg(test)]
mod tests {
    use super::*;

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
