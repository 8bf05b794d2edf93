//! What one node, or an operator, asks of another node. Orders are hints: whoever is asked to take a match must
//! still claim it, and an order that gets lost leaves a match to the sweep.

use serde::{Deserialize, Serialize};
use tickcast_protocol::codec::{self, MessageError};
use tickcast_protocol::{MatchId, NodeId};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Claim this match: its owner has just named you the heir.
    Take {
        /// The match.
        id: MatchId,
    },
    /// Hand this match, which you own, over.
    HandOver {
        /// The match.
        id: MatchId,
        /// To this node; to a node of your choice if there is none.
        to: Option<NodeId>,
    },
    /// Hand everything over and stop.
    Drain,
    /// The list of bans has changed: put out whoever is on it.
    Bans,
}

impl Order {
    /// As it goes over the channel.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a message of the channel.
    pub fn decode(message: &[u8]) -> Result<Order, MessageError> {
        codec::decode(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back_and_foreign_ones_are_refused() {
        let order = Order::HandOver { id: "m1".parse().unwrap(), to: Some("n2".parse().unwrap()) };
        assert_eq!(Order::decode(&order.encode()), Ok(order));
        for foreign in [&b""[..], b"\x09", b"hello"] {
            assert!(Order::decode(foreign).is_err());
        }
    }
}
