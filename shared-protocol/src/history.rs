//! What a node or a client did, as it is written down: one event a line, as JSON. `tickcast check` proves the
//! guarantees over such lines; `docs/history.md` describes them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{Epoch, Fence, InputSeq, MatchId, NodeId, Nonce, PlayerId, SessionId};
use crate::limits::HISTORY_LINE_BYTES_MAX;
use crate::tick::Tick;

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, microseconds since 1970 by the writer's clock.
    pub at_us: u64,
    /// Name of the node or of the client that wrote it.
    pub by: String,
    /// The match.
    #[serde(rename = "match")]
    pub match_id: MatchId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A node has claimed the match and restored this state.
    Claimed {
        /// The claim.
        #[serde(flatten)]
        fence: Owner,
        /// The last tick in the store.
        tick: Tick,
        /// Hash of the restored state.
        #[serde(with = "hex8")]
        hash: u32,
    },
    /// A node is about to send a tick to the store for the first time.
    Committing {
        /// Under which claim.
        #[serde(flatten)]
        fence: Owner,
        /// The tick.
        tick: Tick,
        /// Hash of its state.
        #[serde(with = "hex8")]
        hash: u32,
        /// The inputs that it applies, in their order.
        inputs: Vec<(PlayerId, InputSeq)>,
    },
    /// The store has answered that it has the tick.
    Committed {
        /// Under which claim.
        #[serde(flatten)]
        fence: Owner,
        /// The tick.
        tick: Tick,
    },
    /// The store had lost ticks: a node writes its whole state back.
    Repaired {
        /// Under which claim.
        #[serde(flatten)]
        fence: Owner,
        /// The last tick that the store had.
        from: Tick,
        /// The tick that is written with the whole state.
        to: Tick,
    },
    /// The store has answered that another node owns the match.
    Fenced(Owner),
    /// A node has given the match up.
    Released(Owner),
    /// A node has ended the match.
    Ended(Owner),
    /// A client was let in.
    Joined {
        /// Its connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// The player it is; none for a spectator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        player: Option<PlayerId>,
        /// The node it is connected to.
        node: NodeId,
        /// Whether it goes on as who it was on another connection.
        resumed: bool,
    },
    /// A client has this state.
    Seen {
        /// Its connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// Whose state it is, as the client was told.
        #[serde(flatten)]
        fence: Owner,
        /// The tick.
        tick: Tick,
        /// Hash of the state that it has.
        #[serde(with = "hex8")]
        hash: u32,
        /// The last of its inputs that the state includes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acked: Option<InputSeq>,
        /// Whether ticks that it did not see on their own are merged into this one, because it was slow.
        #[serde(default, skip_serializing_if = "is_false")]
        merged: bool,
    },
    /// A client is about to send an input, perhaps again.
    Sent {
        /// Its connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// The player it is.
        player: PlayerId,
        /// The input.
        seq: InputSeq,
    },
    /// A client was told that the state is set back.
    Reset {
        /// Its connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// The last tick before.
        from: Tick,
        /// The tick it goes on from.
        to: Tick,
    },
    /// A client has lost the thread and has asked for the whole state.
    Lost {
        /// Its connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// For a person.
        why: String,
    },
    /// A client's connection is over.
    Closed {
        /// The connection.
        #[serde(with = "hex16")]
        session: SessionId,
        /// Close code of the node; 1006 if there was none.
        code: u16,
    },
}

/// A claim, as a history names it: an epoch and a nonce of sixteen hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Number of the claim.
    pub epoch: Epoch,
    /// Random id of the claim.
    #[serde(with = "hex16")]
    pub nonce: Nonce,
}

impl From<Fence> for Owner {
    fn from(fence: Fence) -> Owner {
        Owner { epoch: fence.epoch, nonce: fence.nonce }
    }
}

impl From<Owner> for Fence {
    fn from(owner: Owner) -> Fence {
        Fence { epoch: owner.epoch, nonce: owner.nonce }
    }
}

/// Why a text is no line of a history, or a record none that can be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadLine {
    /// Longer than any event is.
    #[error("longer than {HISTORY_LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It stops in the middle: its writer was killed.
    #[error("it stops in the middle")]
    Torn,
    /// Something else.
    #[error("not an event of a history: {0}")]
    Unreadable(String),
}

impl Record {
    /// The record as a line, with its end.
    pub fn to_line(&self) -> Result<String, BadLine> {
        let mut line = serde_json::to_string(self).map_err(|error| BadLine::Unreadable(error.to_string()))?;
        line.push('\n');
        if line.len() > HISTORY_LINE_BYTES_MAX { Err(BadLine::TooLong) } else { Ok(line) }
    }

    /// Reads a line, with or without its end.
    pub fn from_line(line: &str) -> Result<Record, BadLine> {
        if line.len() > HISTORY_LINE_BYTES_MAX {
            return Err(BadLine::TooLong);
        }
        // An end in the middle of a text would make the torn line one with a wrong character.
        let line = line.strip_suffix('\n').unwrap_or(line);
        serde_json::from_str(line).map_err(|error| match error.is_eof() {
            true => BadLine::Torn,
            false => BadLine::Unreadable(error.to_string()),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A number as text of this many hexadecimal digits, and back.
fn parse_hex<E: serde::de::Error>(text: &str, digits: usize) -> Result<u64, E> {
    let plain = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = plain.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    number.ok_or_else(|| E::custom(format!("`{text}` is not {digits} hexadecimal digits")))
}

mod hex8 {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:08x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_hex(&text, 8).map(|number| number as u32)
    }
}

mod hex16 {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ids::{Nonce, SessionId};

    /// What is a number of 64 bits.
    pub(super) trait Wide: Copy {
        fn number(self) -> u64;
        fn of(number: u64) -> Self;
    }

    impl Wide for Nonce {
        fn number(self) -> u64 {
            self.0
        }
        fn of(number: u64) -> Nonce {
            Nonce(number)
        }
    }

    impl Wide for SessionId {
        fn number(self) -> u64 {
            self.0
        }
        fn of(number: u64) -> SessionId {
            SessionId(number)
        }
    }

    pub(super) fn serialize<W: Wide, S: Serializer>(value: &W, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", value.number()))
    }

    pub(super) fn deserialize<'de, W: Wide, D: Deserializer<'de>>(deserializer: D) -> Result<W, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_hex(&text, 16).map(W::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(event: Event) -> Record {
        Record { at_us: 1_700_000_000_000_001, by: "n1".to_owned(), match_id: "m1".parse().unwrap(), event }
    }

    #[test]
    fn every_event_is_a_line_and_comes_back() {
        let fence = Owner { epoch: Epoch(u64::MAX), nonce: Nonce(0xab) };
        let (session, tick, hash) = (SessionId(7), Tick(9), 0x0000_00ff);
        let events = [
            Event::Claimed { fence, tick, hash },
            Event::Committing { fence, tick, hash, inputs: vec![(PlayerId(5), InputSeq(2))] },
            Event::Committed { fence, tick },
            Event::Repaired { fence, from: Tick(3), to: tick },
            Event::Fenced(fence),
            Event::Released(fence),
            Event::Ended(fence),
            Event::Joined { session, player: None, node: "n1".parse().unwrap(), resumed: true },
            Event::Seen { session, fence, tick, hash, acked: Some(InputSeq(1)), merged: true },
            Event::Sent { session, player: PlayerId(5), seq: InputSeq(2) },
            Event::Reset { session, from: tick, to: Tick(3) },
            Event::Lost { session, why: "a \"gap\"\n".to_owned() },
            Event::Closed { session, code: 4001 },
        ];
        for event in events {
            let line = record(event.clone()).to_line().unwrap();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(Record::from_line(&line), Ok(record(event)), "{line}");
        }
    }

    #[test]
    fn a_line_reads_as_documented() {
        let fence = Owner { epoch: Epoch(3), nonce: Nonce(0xab) };
        let event =
            Event::Committing { fence, tick: Tick(9), hash: 255, inputs: vec![(PlayerId(5), InputSeq(2))] };
        let expected = "{\"at_us\":1700000000000001,\"by\":\"n1\",\"match\":\"m1\",\"event\":\"committing\",\
                        \"epoch\":3,\"nonce\":\"00000000000000ab\",\"tick\":9,\"hash\":\"000000ff\",\
                        \"inputs\":[[5,2]]}\n";
        assert_eq!(record(event).to_line().unwrap(), expected);
    }

    #[test]
    fn what_is_no_line_is_told_apart() {
        let line =
            record(Event::Committed { fence: Fence::default().into(), tick: Tick(1) }).to_line().unwrap();
        for end in 1..line.len() - 2 {
            assert_eq!(Record::from_line(&line[..end]), Err(BadLine::Torn), "{}", &line[..end]);
            assert_eq!(Record::from_line(&format!("{}\n", &line[..end])), Err(BadLine::Torn));
        }
        let refused = |line: &str| Record::from_line(line).unwrap_err().to_string();
        assert!(refused(&line.replace("0000000000000000", "+000000000000000")).contains("16 hexadecimal"));
        assert!(refused(&line.replace("committed", "comitted")).contains("unknown variant"));
        assert!(refused(&" ".repeat(HISTORY_LINE_BYTES_MAX + 1)).contains("longer than"));
        let endless = record(Event::Lost { session: SessionId(1), why: "x".repeat(HISTORY_LINE_BYTES_MAX) });
        assert_eq!(endless.to_line(), Err(BadLine::TooLong));
    }
}
