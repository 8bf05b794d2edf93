//! What must hold in every state, and what must have happened somewhere.

use std::sync::atomic::Ordering;

use stateright::Property;

use super::cluster::{Cluster, Node, State};
use super::store::{CRASHES_MAX, Claim, ClaimReply, Commit, CommitReply, Store, TRIAL};
use super::{Bounds, Event, Violation};

pub(super) const S1: &str = "S1: a commit goes on from what is stored";
pub(super) const S2: &str = "S2: only the stored fence commits";
pub(super) const S3: &str = "S3: one fence never means two contents of a tick";
pub(super) const S4: &str = "S4: what is published is written";
pub(super) const S11: &str = "S11: the owner and its store agree";
pub(super) const LEASE: &str = "a lease that is good is respected";
pub(super) const BACK: &str = "S5: a client never goes back untold";
pub(super) const BRANCH: &str = "S5: a client never changes to another past untold";
pub(super) const CALM: &str = "no reset without a failover";
pub(super) const REPAIR: &str = "no reset while the owner lives unfenced";
pub(super) const AGREE: &str = "clients that follow the owner saw its past";
pub(super) const RECOVERY: &str = "a match can be owned again and goes on";
pub(super) const REPEAT: &str = "a repeated claim is recognised";
pub(super) const QUARANTINE: &str = "S13: only a match that nobody ran is quarantined";

macro_rules! never {
    ($name:expr, $violation:ident) => {
        Property::always($name, |_: &Cluster, state: &State| state.violation != Some(Violation::$violation))
    };
}

macro_rules! happens {
    ($event:ident) => {
        Property::sometimes(concat!("happens: ", stringify!($event)), |model: &Cluster, _: &State| {
            model.seen.load(Ordering::Relaxed) & 1 << Event::$event as u32 != 0
        })
    };
}

pub(super) fn all(bounds: &Bounds) -> Vec<Property<Cluster>> {
    let mut all = vec![
        never!(S1, HistoryRewritten),
        never!(S2, CommitOfAnother),
        never!(S3, TwoContents),
        never!(S4, PublishedUnwritten),
        never!(S11, Disagreement),
        Property::always(LEASE, |_: &Cluster, state: &State| !state.lease_taken),
        never!(BACK, BackUntold),
        never!(BRANCH, BranchUntold),
        never!(CALM, ResetWithoutFailover),
        never!(REPAIR, ResetUnderOwner),
        Property::always(AGREE, clients_agree),
        Property::always(RECOVERY, recovers),
        Property::always(REPEAT, repeated_claim),
        Property::always(QUARANTINE, quarantine),
    ];
    all.extend([
        happens!(Claimed),
        happens!(Committed),
        happens!(Takeover),
        happens!(ClaimRepeated),
        happens!(UnknownResolved),
        happens!(ZombieFenced),
    ]);
    if bounds.claims > CRASHES_MAX {
        all.push(happens!(Quarantined));
    }
    if bounds.leases {
        all.push(happens!(HeirClaimed));
    }
    if bounds.late {
        all.push(happens!(LateCommitted));
    }
    if bounds.failovers > 0 {
        all.extend([happens!(RepairedForward), happens!(ResetTold)]);
    }
    all
}

fn clients_agree(_: &Cluster, state: &State) -> bool {
    let Some(client) = state.relay.client() else { return true };
    state
        .live()
        .iter()
        .filter(|store| store.at.fence == client.fence)
        .all(|store| client.world.is_start_of(store.at.world) || store.at.world.is_start_of(client.world))
}

/// Whatever happened: once the lease is over, a claim and a commit succeed, unless the match is quarantined.
fn recovers(model: &Cluster, state: &State) -> bool {
    let claimed = |store: &Store| {
        let mut store = Store { leased: false, ..*store };
        match store.claim(model.flaw, Claim { node: 0, nonce: TRIAL, unanswered: 0 }).0 {
            ClaimReply::Claimed(at) => {
                let commit = Commit { fence: at.fence, world: at.world.step(TRIAL, 0), whole: false };
                store.commit(model.flaw, &commit).0 == CommitReply::Ok
            }
            ClaimReply::Quarantined => true,
            ClaimReply::Held => false,
        }
    };
    state.live().iter().all(claimed)
}

/// Who claimed and was not answered learns of its success from the same claim again, not a lease later.
fn repeated_claim(model: &Cluster, state: &State) -> bool {
    state.nodes.iter().enumerate().all(|(id, node)| {
        let Node::Claiming { unanswered } = *node else { return true };
        let mut store = state.stores[usize::from(state.node_at[id])];
        let own = unanswered & 1 << store.at.fence.nonce != 0;
        let again = Claim { node: id as u8, nonce: TRIAL, unanswered };
        !own || store.claim(model.flaw, again).0 == ClaimReply::Claimed(store.at)
    })
}

fn quarantine(_: &Cluster, state: &State) -> bool {
    state.live().iter().all(|store| !store.quarantined || store.crashes >= CRASHES_MAX)
}
