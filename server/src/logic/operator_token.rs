//! The secret that lets an operator act on a cluster. It is compared in constant time and never shown.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Shortest token.
const CHARACTERS_MIN: usize = 16;

/// An operator's token: its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// Takes a token in; the error says what would be right.
    pub fn new(token: &str) -> Result<OperatorToken, String> {
        let fits = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || token.len() < CHARACTERS_MIN {
            return Err(format!("it has at least {CHARACTERS_MIN} letters, digits or signs and no spaces"));
        }
        Ok(OperatorToken(digest(token)))
    }

    /// Whether this is the token. How long that takes says nothing about how much of it is right.
    pub fn admits(&self, shown: &str) -> bool {
        let pairs = self.0.iter().zip(digest(shown));
        pairs.fold(0, |different, (own, shown)| different | (own ^ shown)) == 0
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_admitted_and_no_other_and_it_is_not_shown() {
        let token = OperatorToken::new("0123456789abcdef").unwrap();
        assert!(token.admits("0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdef ", "0123456789abcdeF"] {
            assert!(!token.admits(wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "OperatorToken");
        for bad in ["", "short", "with a space in its middle", "0123456789abcdé"] {
            assert!(OperatorToken::new(bad).is_err(), "{bad}");
        }
    }
}
