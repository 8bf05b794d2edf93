//! The ownership protocol as a small model, every interleaving of which is checked. It must never share code
//! with the server: two that agree because they are one prove nothing.
//!
//! | Step of the model | In the server |
//! |---|---|
//! | `Store::claim` | `backplane/redis/claim.lua`; `unanswered` are the nonces of tries that got no answer |
//! | `Store::commit` | `commit.lua`; the ring field's bytes are the `World`, `PUBLISH` is the message to the relay |
//! | `Store::release` | `release.lua` with or without an heir; the grace is a lease |
//! | `Action::Expire` | `~lease_ms` passes by the store's clock, at any moment: time proves nothing |
//! | `Reply::IsLost`, `RequestIsLate` | `Unavailable`: it was done, or it is still under way |
//! | `Action::Crash` | the process ends; a pause is a node that takes no step |
//! | `Lag`, `Failover`, `Notice` | replication is cut, the replica is promoted, each one notices when it does |
//! | `Load`, `Receive` | `logic/relay.rs`; `Line` is the list of claims with their ticks, in the hash |
//! | `ClientMoves` | a resume at another node, with the position that the client has |
//!
//! Content is told by who computed it, so two pasts of one tick differ. `Flaw` is what the protocol must not
//! do: the model is of use only while each of them is found. `MODEL_BOUND=large` goes further, for
//! minutes; `cargo test -p tests ownership_model -- --nocapture` prints the sizes and every counterexample.

use std::collections::BTreeSet;
use std::sync::Arc;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};
use tickcast_server::io::clock;

mod cluster;
mod properties;
mod relay;
mod store;

use cluster::{Action, Cluster, State};
use properties as p;

/// How far the checker goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    nodes: u8,
    ticks: u8,
    claims: u8,
    failovers: u8,
    /// Whether everybody changes to the new store at once and late requests reach it; else each when it notices.
    one_address: bool,
    /// Messages that wait at the relay.
    queued: usize,
    /// How often the client moves to another node.
    moves: u8,
    /// Whether there are leases and releases; else every lease has just expired.
    leases: bool,
    /// Whether a request may be late.
    late: bool,
}

/// One thing that is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// A commit is fenced only by a higher epoch.
    EpochAtLeast,
    /// A commit is fenced by the epoch alone.
    EpochOnly,
    /// `PUBLISH` comes before the checks.
    PublishFirst,
    /// A tick whose commit was not answered is computed anew.
    RecomputedTick,
    /// The claim script does not look at the lease.
    LeaseIgnored,
    /// The node judges the lease by an earlier load, and writes the next epoch itself.
    ClaimByNode,
    /// A relay takes a lower tick of the owner that it follows.
    LowerTickTaken,
    /// A whole commit is not fenced.
    RepairUnfenced,
    /// A claim does not look for earlier tries of its own.
    ForgottenClaim,
    /// Every try of a claim has the same nonce.
    NonceRepeated,
    /// Only a lower tick of another owner is a reset.
    LineageByTick,
    /// A client that resumes elsewhere does not tell its position.
    ResumeBlind,
    /// Good ticks and a clean release do not end a quarantine.
    QuarantineStays,
}

/// What is wrong, seen by one who knows every history. A state that has one has no successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Violation {
    HistoryRewritten,
    CommitOfAnother,
    TwoContents,
    PublishedUnwritten,
    Disagreement,
    BackUntold,
    BranchUntold,
    ResetWithoutFailover,
    ResetUnderOwner,
}

/// What must be possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Claimed,
    Committed,
    Takeover,
    HeirClaimed,
    ClaimRepeated,
    UnknownResolved,
    LateCommitted,
    ZombieFenced,
    Quarantined,
    RepairedForward,
    ResetTold,
}

/// One store that loses nothing.
const STEADY: Bounds = Bounds {
    nodes: 2,
    ticks: 3,
    claims: 3,
    failovers: 0,
    one_address: false,
    queued: 1,
    moves: 0,
    leases: true,
    late: false,
};

/// A store that fails over to a copy which lacks some of it. Whoever claims finds the lease expired.
const FAILOVER: Bounds = Bounds { claims: 2, failovers: 1, leases: false, ..STEADY };

/// The bounds of a test, or of a long run.
fn bounded(normal: Bounds, large: Bounds) -> Bounds {
    if std::env::var("MODEL_BOUND").is_ok_and(|bound| bound == "large") { large } else { normal }
}

/// Explores until `enough`; answers each always-property that does not hold and each event that never was.
fn explore(bounds: Bounds, flaw: Option<Flaw>, enough: HasDiscoveries) -> BTreeSet<&'static str> {
    let began = clock::now();
    let cluster = Cluster { bounds, flaw, seen: Arc::default() };
    let checker = cluster.checker().threads(2).finish_when(enough).spawn_bfs().join();
    println!(
        "{bounds:?}, flaw {flaw:?}: {} states, {} steps, depth {}, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        clock::now() - began,
    );
    let mut discoveries = checker.discoveries();
    let mut wrong = BTreeSet::new();
    for property in checker.model().properties() {
        match (property.expectation, discoveries.remove(property.name)) {
            (Expectation::Sometimes, Some(_)) | (Expectation::Always, None) => continue,
            (_, Some(path)) => print_path(property.name, path),
            (_, None) => println!("never: {}", property.name),
        }
        wrong.insert(property.name);
    }
    wrong
}

fn print_path(name: &str, path: Path<State, Action>) {
    println!("counterexample: {name}");
    for (state, action) in path.into_vec() {
        let stores: Vec<_> = state.live().iter().map(|store| (store.at.fence, store.at.world)).collect();
        let client = state.relay.client().map(|client| (client.fence, client.world));
        println!("  stores {stores:?}, client {client:?}, then {action:?}");
    }
}

/// That every property holds and every event happens somewhere.
fn holds(bounds: Bounds) {
    assert_eq!(explore(bounds, None, HasDiscoveries::AnyFailures), BTreeSet::new());
}

/// That the flaw breaks these properties.
fn breaks(bounds: Bounds, flaw: Flaw, expected: &[&'static str]) {
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    let wrong = explore(bounds, Some(flaw), HasDiscoveries::AllOf(expected.clone()));
    assert!(wrong.is_superset(&expected), "{flaw:?} must break {expected:?}; it broke {wrong:?}");
}

#[test]
fn nodes_may_come_and_go() {
    holds(bounded(STEADY, Bounds { ticks: 4, queued: 2, ..STEADY }));
}

#[test]
fn requests_may_be_late() {
    let normal = Bounds { claims: 2, queued: 2, late: true, ..STEADY };
    holds(bounded(normal, Bounds { claims: 3, ..normal }));
}

#[test]
fn clients_may_move() {
    let normal = Bounds { ticks: 2, moves: 1, ..STEADY };
    holds(bounded(normal, Bounds { ticks: 3, moves: 2, ..normal }));
}

#[test]
fn three_nodes_may_compete() {
    let normal = Bounds { nodes: 3, ticks: 1, ..STEADY };
    holds(bounded(normal, Bounds { ticks: 2, late: true, ..normal }));
}

#[test]
fn a_store_may_lose_writes() {
    holds(bounded(FAILOVER, Bounds { ticks: 2, claims: 3, leases: true, ..FAILOVER }));
}

#[test]
fn a_store_may_lose_writes_while_requests_are_late() {
    let normal = Bounds { ticks: 2, one_address: true, late: true, ..FAILOVER };
    holds(bounded(normal, Bounds { claims: 3, one_address: false, ..normal }));
}

#[test]
fn a_store_may_lose_writes_while_clients_move() {
    let normal = Bounds { ticks: 2, moves: 1, ..FAILOVER };
    holds(bounded(normal, Bounds { failovers: 2, ..normal }));
}

#[test]
fn a_higher_epoch_is_not_enough() {
    breaks(FAILOVER, Flaw::EpochAtLeast, &[p::S2]);
}

#[test]
fn the_epoch_alone_is_not_enough() {
    breaks(FAILOVER, Flaw::EpochOnly, &[p::S2]);
}

#[test]
fn publishing_first_shows_what_is_not_written() {
    breaks(STEADY, Flaw::PublishFirst, &[p::S4]);
}

#[test]
fn a_recomputed_tick_is_two_ticks() {
    breaks(STEADY, Flaw::RecomputedTick, &[p::S11]);
    breaks(FAILOVER, Flaw::RecomputedTick, &[p::S3]);
}

#[test]
fn the_lease_is_for_peace_and_not_for_safety() {
    let wrong = explore(Bounds { ticks: 2, ..STEADY }, Some(Flaw::LeaseIgnored), HasDiscoveries::All);
    assert_eq!(wrong, BTreeSet::from([p::LEASE]), "only peace is broken");
}

#[test]
fn a_claim_that_a_node_judges_loses_ticks() {
    breaks(STEADY, Flaw::ClaimByNode, &[p::S11, p::CALM, p::LEASE]);
}

#[test]
fn a_lower_tick_of_a_living_owner_is_no_reset() {
    breaks(FAILOVER, Flaw::LowerTickTaken, &[p::REPAIR]);
}

#[test]
fn a_repair_is_fenced_too() {
    breaks(FAILOVER, Flaw::RepairUnfenced, &[p::S2]);
}

#[test]
fn a_lost_answer_does_not_cost_a_lease() {
    breaks(STEADY, Flaw::ForgottenClaim, &[p::REPEAT]);
}

#[test]
fn a_nonce_is_for_one_try() {
    breaks(FAILOVER, Flaw::NonceRepeated, &[p::AGREE]);
}

#[test]
fn a_tick_number_does_not_tell_the_past() {
    breaks(FAILOVER, Flaw::LineageByTick, &[p::BACK, p::BRANCH]);
}

#[test]
fn a_client_that_moves_tells_its_position() {
    breaks(Bounds { moves: 1, ..FAILOVER }, Flaw::ResumeBlind, &[p::BACK]);
}

#[test]
fn an_owner_that_ran_well_ends_a_quarantine() {
    breaks(STEADY, Flaw::QuarantineStays, &[p::QUARANTINE]);
}
