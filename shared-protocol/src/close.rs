//! Every way a connection ends, as one table: number, name, may the client come back.

use crate::limits::CLOSE_REASON_BYTES_MAX;

macro_rules! close_codes {
    ($($name:ident = $number:literal, $text:literal, reconnect $back:literal;)*) => {
        /// Why a server closed a connection. 4000-4499 (and 1012) invite a reconnect, 4500-4999 do not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $(#[doc = $text] $name,)*
        }

        impl CloseCode {
            /// Every code, in the order of the table.
            pub const ALL: &[CloseCode] = &[$(CloseCode::$name,)*];

            /// The number in the WebSocket close frame.
            pub fn number(self) -> u16 {
                match self { $(CloseCode::$name => $number,)* }
            }

            /// What it means, for a person; used as the default reason.
            pub fn text(self) -> &'static str {
                match self { $(CloseCode::$name => $text,)* }
            }

            /// Whether the client should connect again.
            pub fn may_reconnect(self) -> bool {
                match self { $(CloseCode::$name => $back,)* }
            }

            /// The code with this number, if it is one of ours.
            pub fn from_number(number: u16) -> Option<CloseCode> {
                match number { $($number => Some(CloseCode::$name),)* _ => None }
            }
        }
    };
}

close_codes! {
    Normal = 1000, "bye", reconnect false;
    Protocol = 1002, "WebSocket protocol error", reconnect false;
    TextFrame = 1003, "text frames are not understood: send binary", reconnect false;
    BadUtf8 = 1007, "not UTF-8", reconnect false;
    TooBig = 1009, "frame too big", reconnect false;
    Restart = 1012, "the node restarts: reconnect", reconnect true;
    Internal = 4000, "internal error: reconnect", reconnect true;
    Shutdown = 4001, "the node shuts down: reconnect elsewhere", reconnect true;
    Slow = 4002, "too slow: the connection could not take the match's frames", reconnect true;
    PositionLost = 4003, "position lost: reconnect", reconnect true;
    NoPong = 4004, "nothing heard from the client", reconnect true;
    RateLimited = 4005, "too many messages: slow down", reconnect true;
    Malformed = 4500, "malformed message", reconnect false;
    BadTicket = 4501, "the ticket or resume token is not, or no longer, good", reconnect false;
    HelloDeadline = 4502, "no hello in time", reconnect false;
    ProtocolVersion = 4503, "protocol version not spoken here", reconnect false;
    NoSuchMatch = 4504, "no such match or game", reconnect false;
    MatchFull = 4505, "the match is full", reconnect false;
    Kicked = 4506, "kicked", reconnect false;
    AccountLimit = 4507, "the account has as many connections as it may have", reconnect false;
    TooManyErrors = 4508, "too fast again and again: stay away", reconnect false;
    Quarantined = 4509, "the match is quarantined: its game failed repeatedly", reconnect false;
    Replaced = 4510, "replaced by a newer connection of the same player", reconnect false;
    MatchOver = 4511, "the match is over", reconnect false;
}

/// Cuts a reason to what a close frame can carry, at a character boundary.
pub fn reason(text: &str) -> &str {
    let mut end = text.len().min(CLOSE_REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for code in CloseCode::ALL.iter().copied() {
            assert_eq!(CloseCode::from_number(code.number()), Some(code));
            assert!(code.text().len() <= CLOSE_REASON_BYTES_MAX);
            if code.number() >= 4000 {
                assert_eq!(code.may_reconnect(), code.number() < 4500, "{code:?}");
            }
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let long = "é".repeat(100);
        assert_eq!(reason(&long).len(), CLOSE_REASON_BYTES_MAX - 1);
    }
}
