//! Which stamped messages of a channel are new. A message is good once, within a while after it was sent: what is older than
//! that is refused by its age, so that no more than that has to be remembered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::envelope::Flaw;

/// How far the time at which a message was sent may be from now, by the store's clock as its sender and its reader know it.
pub const AGE_MAX: Duration = Duration::from_secs(30);
const AGE_MAX_US: u64 = AGE_MAX.as_micros() as u64;
/// Senders of a channel that are remembered: more than there are nodes.
const SENDERS_MAX: usize = 256;
/// Messages of a sender that are remembered. By as many places may one be overtaken on its way.
const REMEMBERED: usize = 16;

/// Who sent a message, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Drawn at random by each process.
    pub sender: u64,
    /// Microseconds since 1970 by the store's clock; later than any before of the same sender.
    pub sent_us: u64,
}

impl Stamp {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.sender.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sent_us.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Stamp {
        let [a, b] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index])));
        Stamp { sender: a, sent_us: b }
    }
}

/// What a reader of one channel remembers.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// The last messages of each sender, ascending, never empty.
    senders: BTreeMap<u64, Vec<u64>>,
}

impl Window {
    /// Takes a message in, or says why it is not taken.
    pub fn admit(&mut self, stamp: Stamp, now_us: u64) -> Result<(), Flaw> {
        if stamp.sent_us.abs_diff(now_us) > AGE_MAX_US {
            return Err(Flaw::Age);
        }
        if !self.senders.contains_key(&stamp.sender) {
            self.make_room(now_us);
        }
        let heard = self.senders.entry(stamp.sender).or_default();
        let Err(at) = heard.binary_search(&stamp.sent_us) else { return Err(Flaw::Replayed) };
        if heard.len() == REMEMBERED {
            if at == 0 {
                return Err(Flaw::Replayed);
            }
            heard.remove(0);
            heard.insert(at - 1, stamp.sent_us);
        } else {
            heard.insert(at, stamp.sent_us);
        }
        Ok(())
    }

    /// Forgets whoever said nothing for so long that its age refuses all it said; if all have, the one who is silent for the
    /// longest time.
    fn make_room(&mut self, now_us: u64) {
        if self.senders.len() < SENDERS_MAX {
            return;
        }
        let last = |heard: &Vec<u64>| heard.last().copied().unwrap_or(0);
        self.senders.retain(|_, heard| last(heard).abs_diff(now_us) <= AGE_MAX_US);
        if self.senders.len() == SENDERS_MAX {
            let silent = self.senders.iter().min_by_key(|(_, heard)| last(heard)).map(|(sender, _)| *sender);
            silent.map(|sender| self.senders.remove(&sender));
        }
    }
}
