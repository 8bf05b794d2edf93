//! What becomes of the matches of a node that leaves, read from the matches themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tickcast_protocol::{MatchId, NodeId};

use crate::backplane::{Backplane, MatchFields, fields};

/// What becomes of the matches of a node that leaves.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    had: BTreeSet<MatchId>,
    /// Matches by the node that has them now.
    handed_over: BTreeMap<String, u64>,
    pub(super) unowned: u64,
    kept: u64,
    ended: u64,
}

impl Leaving {
    /// Looks at every match that the node has or had at an earlier look.
    pub(super) async fn look<B: Backplane>(&mut self, backplane: &B, node: &NodeId) -> Result<(), String> {
        let listed = backplane.list(&[fields::OWNER]).await.map_err(|error| error.to_string())?;
        let owner_of =
            |stored: &MatchFields| fields::text(stored, fields::OWNER).unwrap_or_default().to_owned();
        let owners: BTreeMap<MatchId, String> =
            listed.into_iter().map(|(id, stored)| (id, owner_of(&stored))).collect();
        let own = owners.iter().filter(|(_, owner)| *owner == node.as_str()).map(|(id, _)| id.clone());
        self.had.extend(own);
        *self = Leaving { had: std::mem::take(&mut self.had), ..Leaving::default() };
        for id in &self.had {
            match owners.get(id).map(String::as_str) {
                None => self.ended += 1,
                Some("") => self.unowned += 1,
                Some(owner) if owner == node.as_str() => self.kept += 1,
                Some(owner) => *self.handed_over.entry(owner.to_owned()).or_default() += 1,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heirs: Vec<String> =
            self.handed_over.iter().map(|(node, count)| format!("{count} to {node}")).collect();
        let handed_over: u64 = self.handed_over.values().sum();
        write!(f, "{handed_over} of {} matches handed over", self.had.len())?;
        if handed_over > 0 {
            write!(f, " ({})", heirs.join(", "))?;
        }
        for (count, what) in
            [(self.ended, "ended"), (self.unowned, "without an owner"), (self.kept, "still there")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
