//! Secrets that a node asks for over HTTP: the operators' token and the backends' key. They are compared in constant time and
//! never shown.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Shortest secret.
const CHARACTERS_MIN: usize = 16;

/// A secret: its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes a secret in; the error says what would be right.
    pub fn new(token: &str) -> Result<Secret, String> {
        let fits = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || token.len() < CHARACTERS_MIN {
            return Err(format!("it has at least {CHARACTERS_MIN} letters, digits or signs and no spaces"));
        }
        Ok(Secret(digest(token)))
    }

    /// As `Authorization: Bearer` shows it.
    pub fn admits_bearer(&self, header: Option<&str>) -> bool {
        header.and_then(|header| header.strip_prefix("Bearer ")).is_some_and(|shown| self.admits(shown))
    }

    /// Whether this is the secret. How long that takes says nothing about how much of it is right.
    pub fn admits(&self, shown: &str) -> bool {
        let pairs = self.0.iter().zip(digest(shown));
        pairs.fold(0, |different, (own, shown)| different | (own ^ shown)) == 0
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_admitted_and_no_other_and_it_is_not_shown() {
        let token = Secret::new("0123456789abcdef").unwrap();
        assert!(token.admits("0123456789abcdef"));
        assert!(token.admits_bearer(Some("Bearer 0123456789abcdef")));
        for wrong in
            [None, Some(""), Some("Bearer "), Some("0123456789abcdef"), Some("Basic 0123456789abcdef")]
        {
            assert!(!token.admits_bearer(wrong), "{wrong:?}");
        }
        for wrong in ["", "0123456789abcde", "0123456789abcdef ", "0123456789abcdeF"] {
            assert!(!token.admits(wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Secret");
        for bad in ["", "short", "with a space in its middle", "0123456789abcdé"] {
            assert!(Secret::new(bad).is_err(), "{bad}");
        }
    }
}
