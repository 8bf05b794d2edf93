//! Which node a match should go to: what nodes say of themselves, and who is chosen from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tickcast_protocol::{MatchId, NodeId};

/// What a node says of itself, as JSON in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeEntry {
    /// When it said so, milliseconds since 1970 by the store's clock.
    pub beat_ms: u64,
    /// Matches that it owns.
    pub matches: u64,
    /// Matches that it takes at most.
    pub matches_max: u64,
    /// Open connections.
    pub connections: u64,
    /// Whether it is about to stop.
    pub leaving: bool,
    /// Where clients reach it; empty if it was not told.
    #[serde(default)]
    pub url: String,
    /// Version of its program, for people; empty if it was not told.
    #[serde(default)]
    pub version: String,
}

impl NodeEntry {
    /// Reads an entry; `None` if it makes no sense.
    pub fn from_json(json: &[u8]) -> Option<NodeEntry> {
        serde_json::from_slice(json).ok()
    }

    /// Whether the node has said so recently.
    pub fn is_fresh(&self, now_ms: u64, age_max_ms: u64) -> bool {
        now_ms.saturating_sub(self.beat_ms) <= age_max_ms
    }
}

/// The nodes that matches can be handed to.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    nodes: BTreeMap<NodeId, NodeEntry>,
    handed: usize,
}

impl Candidates {
    /// Of these nodes, those that live, stay, and are not `own`.
    pub fn of(
        nodes: impl IntoIterator<Item = (NodeId, NodeEntry)>,
        own: &NodeId,
        now_ms: u64,
        age_max_ms: u64,
    ) -> Candidates {
        let fits = |(node, entry): &(NodeId, NodeEntry)| {
            node != own && !entry.leaving && entry.is_fresh(now_ms, age_max_ms)
        };
        Candidates { nodes: nodes.into_iter().filter(fits).collect(), handed: 0 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether this node is one of them.
    pub fn contains(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node)
    }

    /// The node that gets this match: the one with the fewest, of several such the one that the match's name
    /// picks. It counts as having the match from then on. `None` when all are full.
    pub fn choose(&mut self, id: &MatchId) -> Option<NodeId> {
        let free = self.nodes.iter().filter(|(_, entry)| entry.matches < entry.matches_max);
        let (node, _) = free.min_by_key(|(node, entry)| (entry.matches, mixed(id, node)))?;
        let node = node.clone();
        self.nodes.entry(node.clone()).and_modify(|entry| entry.matches += 1);
        Some(node)
    }

    /// The address to send the next client to, in turns; empty if no node told its own.
    pub fn next_url(&mut self) -> &str {
        let urls: Vec<&str> =
            self.nodes.values().map(|entry| entry.url.as_str()).filter(|url| !url.is_empty()).collect();
        self.handed += 1;
        urls.get(self.handed.checked_rem(urls.len()).unwrap_or(0)).copied().unwrap_or_default()
    }
}

/// A number that a pair of names has (FNV-1a).
fn mixed(id: &MatchId, node: &NodeId) -> u64 {
    let bytes = id.as_str().bytes().chain(node.as_str().bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, matches: u64) -> (NodeId, NodeEntry) {
        let entry = NodeEntry { beat_ms: 1000, matches, matches_max: 10, ..NodeEntry::default() };
        (name.parse().unwrap(), NodeEntry { url: format!("ws://{name}"), ..entry })
    }

    fn candidates(nodes: impl IntoIterator<Item = (NodeId, NodeEntry)>) -> Candidates {
        Candidates::of(nodes, &"me".parse().unwrap(), 2000, 1500)
    }

    #[test]
    fn the_dead_the_leaving_and_oneself_get_nothing() {
        let mut dead = node("dead", 0);
        dead.1.beat_ms = 100;
        let mut leaving = node("leaving", 0);
        leaving.1.leaving = true;
        let mut full = node("full", 0);
        full.1.matches_max = 0;
        let mut some = candidates([dead, leaving, full, node("me", 0), node("b", 5)]);
        assert_eq!(some.choose(&"m".parse().unwrap()), Some("b".parse().unwrap()));
        let mut none = candidates([node("me", 0)]);
        assert!(none.is_empty());
        assert_eq!((none.choose(&"m".parse().unwrap()), none.next_url()), (None, ""));
    }

    #[test]
    fn matches_are_spread_by_load() {
        let mut two = candidates([node("a", 0), node("b", 4)]);
        let mut handed = BTreeMap::<String, u32>::new();
        for number in 0..10 {
            let id = format!("m{number}").parse().unwrap();
            *handed.entry(two.choose(&id).unwrap().to_string()).or_default() += 1;
        }
        assert_eq!(handed, BTreeMap::from([("a".to_owned(), 7), ("b".to_owned(), 3)]));
        let urls: Vec<String> = (0..4).map(|_| two.next_url().to_owned()).collect();
        assert_eq!(urls, ["ws://b", "ws://a", "ws://b", "ws://a"]);
    }
}
