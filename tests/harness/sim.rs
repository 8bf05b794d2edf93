//! A cluster in one thread with a pretended clock: the real decisions over the real store model, joined by shells
//! that are imitated, under faults that all come from one seed. An oracle watches every commit and every state that a
//! client sees; afterwards everything is healed, and must be well again.

mod admission;
mod batch;
mod chat;
mod claims;
mod clients;
mod cluster;
mod connections;
mod counters;
mod faults;
mod ledger;
mod line;
mod lineage;
mod nodes;
mod oracle;
mod owner;
mod plan;
mod relay;
mod secrets;
mod store;
mod upkeep;

pub use batch::{Batch, Failure, Report, run_one};
pub use counters::Counters;
pub use plan::Plan;

/// What the nodes of the simulation are set up with.
mod settings {
    use std::time::Duration;

    pub(super) const NODES: usize = 3;
    pub(super) const HZ: u64 = 20;
    pub(super) const LEASE: Duration = Duration::from_millis(1_000);
    /// Of the imitated command connection: who waits longer for an answer takes it for lost.
    pub(super) const ANSWER_MS_MAX: u64 = 300;
    pub(super) const RESUME_WINDOW: Duration = Duration::from_secs(6);
    pub(super) const HEIR_GRACE: Duration = Duration::from_millis(500);
    pub(super) const SWEEP_MS: u64 = 1_200;
    pub(super) const BEAT_MS: u64 = 250;
    pub(super) const LINGER_MS: u64 = 1_500;
    /// For how long nodes hold ticks back that change nothing.
    pub(super) const QUIET: Duration = Duration::from_millis(1_000);
    /// How long faults happen.
    pub(super) const FAULTY_MS: u64 = 10_000;
    /// How long everything may take to be well again.
    pub(super) const HEAL_MS_MAX: u64 = 12_000;
}
