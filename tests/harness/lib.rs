//! What the tests run against: real processes, a real Redis, real sockets, and a pretended cluster.

pub mod abuse;
pub mod certificates;
pub mod chaos;
pub mod http;
pub mod player;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod signals;
pub mod sim;
pub mod tickets;
pub mod troubled;
