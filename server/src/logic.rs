//! Every decision of a node, pure: bytes, values and `now` in; values out. Nothing here awaits, reads a
//! clock, spawns, or knows a socket or Redis.

pub mod channel;
pub mod laggards;
pub mod outbox;
pub mod pacing;
pub mod rate;
pub mod relay;
pub mod seats;
pub mod session;
pub mod simulation;
pub mod stored;
