//! What players say to each other: texts that are safe to show anywhere, and lines of a match's chat.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::PlayerId;
use crate::limits::{CHAT_BYTES_MAX, NAME_BYTES_MAX};
use crate::tick::Tick;

/// A text without what is not seen or acts on the text around it: words with one blank between each two. No control
/// characters, so no line breaks and no escape sequences of a terminal; no marks that turn the direction of writing;
/// nothing of no width. It is text and no markup: a page that shows it escapes it.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let begins = out.len();
        out.extend(word.chars().filter(|c| !is_unseen(*c)));
        if begins > 0 && begins < out.len() {
            out.insert(begins, ' ');
        }
    }
    out
}

/// Control characters, and those that Unicode calls *default ignorable*, where the marks of direction are among them,
/// besides the ones for interlinear notes.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Why a text is no [`PlainText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a plain text of the right length")]
pub struct BadText;

/// A [`plain`] text of `MIN` to `MAX` bytes, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlainText<const MIN: usize, const MAX: usize>(String);

/// What a line says.
pub type ChatText = PlainText<1, CHAT_BYTES_MAX>;
/// Who said it, in words; empty where the game has no names.
pub type ChatName = PlainText<0, NAME_BYTES_MAX>;

impl<const MIN: usize, const MAX: usize> PlainText<MIN, MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ChatName {
    /// As much of a name as fits.
    pub fn of(name: &str) -> ChatName {
        let mut name = plain(name);
        while name.len() > NAME_BYTES_MAX {
            name.pop();
        }
        PlainText(name.trim_end().to_owned())
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for PlainText<MIN, MAX> {
    type Error = BadText;
    fn try_from(text: String) -> Result<Self, BadText> {
        let fits = (MIN..=MAX).contains(&text.len()) && plain(&text) == text;
        if fits { Ok(PlainText(text)) } else { Err(BadText) }
    }
}

impl<const MIN: usize, const MAX: usize> From<PlainText<MIN, MAX>> for String {
    fn from(text: PlainText<MIN, MAX>) -> String {
        text.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for PlainText<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a player talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChatTo {
    /// Whoever is in the match, or watches it.
    Everyone,
    /// The players of the own team.
    Team,
}

/// A line of a match's chat, as it was ordered and committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatLine {
    /// Its place in the match's chat; the first is 1.
    pub number: u64,
    /// The tick that it was said with.
    pub tick: Tick,
    /// Who said it.
    pub from: PlayerId,
    /// The number that its player's client gave it.
    pub seq: u32,
    /// The team that alone may read it; 0 is everyone.
    pub team: u32,
    /// What the player was called.
    pub name: ChatName,
    /// What was said.
    pub text: ChatText,
}

impl ChatLine {
    /// Whether somebody of this team, 0 for none, may read it.
    pub fn is_for(&self, team: u32) -> bool {
        self.team == 0 || self.team == team
    }
}

/// Why something was not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChatRefusal {
    /// Nothing is left of it without what is not seen.
    Empty,
    /// Longer than [`CHAT_BYTES_MAX`].
    TooLong,
    /// The player talks too fast. The same may be said again after a while.
    TooFast,
    /// Spectators listen.
    Spectator,
    /// The player is of no team, or the game has none.
    NoTeam,
    /// There is no chat here.
    Off,
    /// Its number is not above that of what the player has said before: it was said already.
    Repeated,
    /// Too much waits, or the match's owner did not answer. The same may be said again.
    Unheard,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_or_turns_the_text_around_is_taken_away() {
        let cases = [
            ("  two\n\twords\u{2028}here ", "two words here"),
            ("\x1b[31mred\x1b[0m\x07", "[31mred[0m"),
            ("user\u{202e}gpj.exe\u{2066}", "usergpj.exe"),
            ("\u{200b}\u{feff} \u{2060} \u{e0041}", ""),
            ("a\u{200b}dmin \u{200b} x", "admin x"),
            ("<script>alert('1')</script> & \"so\"", "<script>alert('1')</script> & \"so\""),
            ("Zoë 你好 🎉 שלום", "Zoë 你好 🎉 שלום"),
        ];
        for (given, kept) in cases {
            assert_eq!(plain(given), kept);
        }
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(ChatName::of(&"ë".repeat(40)).as_str(), "ë".repeat(12));
        assert_eq!(ChatName::of(&format!("{} tail", "a".repeat(23))).as_str(), "a".repeat(23));
        assert_eq!(ChatName::of("\x1b").as_str(), "");
    }

    #[test]
    fn bounds_and_charset_hold_wherever_a_text_is_read() {
        let read = |text: &str| serde_json::from_value::<ChatText>(text.into()).is_ok();
        assert!(read("hello") && read(&"x".repeat(CHAT_BYTES_MAX)));
        for bad in ["", " ", " a", "a  b", "a\n", "\u{202e}a", &"x".repeat(CHAT_BYTES_MAX + 1)] {
            assert!(!read(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_text_stays_as_it_is(text in any::<String>()) {
            let once = plain(&text);
            prop_assert_eq!(plain(&once), once.clone());
            prop_assert!(once.len() <= text.len());
            prop_assert!(!once.chars().any(is_unseen));
            prop_assert!(ChatName::try_from(String::from(ChatName::of(&text))).is_ok());
        }
    }
}
