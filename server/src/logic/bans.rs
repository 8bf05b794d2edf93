//! Who may not join any match, until when, and why: as the store holds it, by subject.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tickcast_protocol::chat::plain;

/// Bans that are kept at once.
pub const BANS_MAX: usize = 10_000;
/// For how long one is banned unless something else is said, and the longest, seconds.
pub const SECONDS: u64 = 24 * 3600;
const SECONDS_MAX: u64 = 3650 * 24 * 3600;
/// Longest reason, bytes.
const REASON_BYTES_MAX: usize = 200;

/// One ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Since when, milliseconds since 1970 by the store's clock.
    pub since_ms: u64,
    /// Until when.
    pub until_ms: u64,
    /// For operators; nobody else is shown it.
    pub reason: String,
}

impl Ban {
    /// A ban from now on; the error says what would be right.
    pub fn new(now_ms: u64, lasts: Option<&str>, reason: &str) -> Result<Ban, String> {
        let seconds = lasts.map_or(Ok(SECONDS), seconds)?;
        if reason.len() > REASON_BYTES_MAX {
            return Err(format!("a reason has at most {REASON_BYTES_MAX} bytes"));
        }
        Ok(Ban { since_ms: now_ms, until_ms: now_ms + seconds * 1000, reason: plain(reason) })
    }

    /// As the store holds it.
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("plain data is JSON").into()
    }

    /// Whether what the store holds for somebody keeps him out. What makes no sense does: whoever wrote it meant a ban.
    pub fn holds(stored: &[u8], now_ms: u64) -> bool {
        Ban::from_json(stored).is_none_or(|ban| now_ms < ban.until_ms)
    }

    /// Reads what the store holds.
    pub fn from_json(stored: &[u8]) -> Option<Ban> {
        serde_json::from_slice(stored).ok()
    }
}

/// `90s`, `30m`, `24h` or `7d`.
fn seconds(text: &str) -> Result<u64, String> {
    let unit = |unit: &str| match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(24 * 3600),
        _ => None,
    };
    let at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at));
    let parts = at.map(|at| text.split_at(at));
    let seconds = parts.and_then(|(count, of)| count.parse::<u64>().ok()?.checked_mul(unit(of)?));
    let fits = seconds.filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    fits.ok_or_else(|| format!("`{text}` is no time: write 90s, 30m, 24h or 7d, at most 3650d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_lasts_as_long_as_was_said() {
        for (text, seconds) in [
            (None, 86_400),
            (Some("90s"), 90),
            (Some("30m"), 1800),
            (Some("2h"), 7200),
            (Some("7d"), 604_800),
        ] {
            let ban = Ban::new(1000, text, "spam").unwrap();
            assert_eq!(ban.until_ms, 1000 + seconds * 1000, "{text:?}");
            let stored = ban.to_json();
            assert_eq!(Ban::from_json(&stored), Some(ban.clone()));
            assert!(Ban::holds(&stored, ban.until_ms - 1) && !Ban::holds(&stored, ban.until_ms));
        }
        for bad in ["", "h", "0h", "-1h", "24", "1w", "4000d", "99999999999999999999h", "1é"] {
            assert!(Ban::new(0, Some(bad), "").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reason_is_one_plain_line_and_an_unreadable_ban_holds() {
        assert_eq!(Ban::new(0, None, "a\u{1b}[31m\nb").unwrap().reason, plain("a\u{1b}[31m\nb"));
        assert!(Ban::new(0, None, &"x".repeat(201)).is_err());
        assert!(Ban::holds(b"?", u64::MAX));
    }
}
