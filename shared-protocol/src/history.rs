//! The history of a cluster, as its nodes and clients write it down: one event a line, JSON. `docs/history.md` tells
//! what is proven from it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{Epoch, Fence, InputSeq, MatchId, NodeId, Nonce, PlayerId, SessionId};
use crate::tick::{Position, Tick};

/// Longest line, bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was written, microseconds since 1970 by the writer's clock.
    pub at_us: u64,
    /// Name of the node or client.
    pub by: String,
    /// The match.
    #[serde(rename = "match")]
    pub id: MatchId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A tick of one ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct At {
    /// Number of the ownership.
    pub epoch: u64,
    /// Random id of the ownership.
    #[serde(with = "hex64")]
    pub nonce: u64,
    /// The tick.
    pub tick: u64,
}

impl From<Position> for At {
    fn from(position: Position) -> At {
        let Position { fence, tick } = position;
        At { epoch: fence.epoch.0, nonce: fence.nonce.0, tick: tick.0 }
    }
}

impl At {
    /// The position.
    pub fn position(self) -> Position {
        let fence = Fence { epoch: Epoch(self.epoch), nonce: Nonce(self.nonce) };
        Position { fence, tick: Tick(self.tick) }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// A node owns the match from now on, and goes on from this state.
    Claimed {
        /// The new ownership, and the last tick before it.
        #[serde(flatten)]
        at: At,
        /// Hash of that state.
        #[serde(with = "hex32")]
        hash: u32,
    },
    /// A node is about to send a tick to the store for the first time.
    Committing {
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Hash of the state after it.
        #[serde(with = "hex32")]
        hash: u32,
        /// Inputs that it applies: player and number.
        inputs: Vec<(PlayerId, InputSeq)>,
    },
    /// The store has answered that it has the tick.
    Committed {
        /// Which.
        #[serde(flatten)]
        at: At,
    },
    /// The store had lost ticks, and the owner sends the whole state with this one.
    Repairing {
        /// The tick.
        #[serde(flatten)]
        at: At,
        /// The last tick that the store had.
        stored: u64,
    },
    /// A node does not own the match any more.
    Disowned {
        /// The ownership, and its last tick.
        #[serde(flatten)]
        at: At,
        /// Why.
        why: String,
    },
    /// A client was let in.
    Joined {
        /// The connection.
        session: SessionId,
        /// The player it is, unless it only watches.
        player: Option<PlayerId>,
        /// The node it is on.
        node: NodeId,
    },
    /// A client has this state.
    Seen {
        /// The connection.
        session: SessionId,
        /// Which.
        #[serde(flatten)]
        at: At,
        /// Its hash.
        #[serde(with = "hex32")]
        hash: u32,
        /// The last of the client's inputs that it includes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acked: Option<InputSeq>,
        /// It came as a snapshot or a catch-up, and may leave ticks out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        jumped: bool,
    },
    /// A client sends an input for the first time.
    Sent {
        /// The connection.
        session: SessionId,
        /// Its number.
        seq: InputSeq,
    },
    /// A client was told that the state was set back.
    Reset {
        /// The connection.
        session: SessionId,
        /// The last tick before.
        from: u64,
        /// The tick it goes on from.
        to: u64,
    },
    /// A client's connection ended, or its state was of no use any more until the next snapshot.
    Lost {
        /// The connection.
        session: SessionId,
        /// Why.
        why: String,
    },
}

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// Too long.
    #[error("a line of {0} bytes, at most {LINE_BYTES_MAX}")]
    TooLong(usize),
    /// Not an event.
    #[error("not an event of a history: {0}")]
    Form(String),
}

impl Line {
    /// The line, with its end.
    pub fn to_line(&self) -> String {
        let mut text = serde_json::to_string(self).expect("an event is JSON");
        text.push('\n');
        text
    }

    /// Reads a line, without its end.
    pub fn from_line(text: &str) -> Result<Line, LineError> {
        if text.len() > LINE_BYTES_MAX {
            return Err(LineError::TooLong(text.len()));
        }
        serde_json::from_str(text).map_err(|error| LineError::Form(error.to_string()))
    }
}

macro_rules! hex {
    ($module:ident, $number:ty, $width:literal) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(super) fn serialize<S: Serializer>(number: &$number, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(&format_args!($width, number))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$number, D::Error> {
                let text = String::deserialize(from)?;
                <$number>::from_str_radix(&text, 16).map_err(D::Error::custom)
            }
        }
    };
}

hex!(hex32, u32, "{:08x}");
hex!(hex64, u64, "{:016x}");

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event) -> Line {
        Line { at_us: 1_790_000_000_000_000, by: "n1".to_owned(), id: "m1".parse().unwrap(), event }
    }

    #[test]
    fn lines_come_back_and_read_well() {
        let at = At { epoch: 2, nonce: 0x1122, tick: 40 };
        let events = [
            Event::Claimed { at, hash: 7 },
            Event::Committing { at, hash: 7, inputs: vec![(PlayerId(3), InputSeq(9))] },
            Event::Committed { at },
            Event::Repairing { at, stored: 20 },
            Event::Disowned { at, why: "Fenced".to_owned() },
            Event::Joined { session: SessionId(5), player: Some(PlayerId(3)), node: "n2".parse().unwrap() },
            Event::Seen { session: SessionId(5), at, hash: 7, acked: Some(InputSeq(9)), jumped: true },
            Event::Seen { session: SessionId(5), at, hash: 7, acked: None, jumped: false },
            Event::Sent { session: SessionId(5), seq: InputSeq(9) },
            Event::Reset { session: SessionId(5), from: 40, to: 20 },
            Event::Lost { session: SessionId(5), why: "closed".to_owned() },
        ];
        for event in events {
            let line = line(event);
            assert_eq!(Line::from_line(line.to_line().trim_end()), Ok(line));
        }
        assert_eq!(
            line(Event::Committed { at }).to_line(),
            "{\"at_us\":1790000000000000,\"by\":\"n1\",\"match\":\"m1\",\"what\":\"committed\",\"epoch\":2,\
             \"nonce\":\"0000000000001122\",\"tick\":40}\n"
        );
        assert_eq!(At::from(at.position()), at);
    }

    #[test]
    fn what_is_no_event_is_refused_with_a_reason() {
        let refused = |text: &str| Line::from_line(text).unwrap_err().to_string();
        assert!(refused("{\"at_us\":1").contains("EOF"));
        assert!(refused("{\"at_us\":1,\"by\":\"n\",\"match\":\"m\",\"what\":\"dreamt\"}").contains("dreamt"));
        assert!(refused(&" ".repeat(LINE_BYTES_MAX + 1)).contains("at most"));
    }
}
