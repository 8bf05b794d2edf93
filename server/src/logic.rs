//! Every decision of a node, pure: bytes, values and `now` in; values out. Nothing here awaits, reads a
//! clock, spawns, or knows a socket or Redis.

pub mod accounts;
pub mod admission;
pub mod bans;
pub mod channel;
pub mod chat;
pub mod forwarded;
pub mod gather;
pub mod health;
pub mod ingress;
pub mod joins;
pub mod laggards;
pub mod lineage;
pub mod operators_host;
pub mod orders;
pub mod origin;
pub mod outbox;
pub mod ownership;
pub mod pacing;
pub mod placement;
pub mod rate;
pub mod relay;
pub mod resume;
pub mod sayings;
pub mod seats;
pub mod secret;
pub mod session;
pub mod simulation;
pub mod stored;
pub mod strikes;
pub mod taking;
pub mod tick_stats;
pub mod transcript;
pub mod views;
pub mod vouch;
pub mod watch;
