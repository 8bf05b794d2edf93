//! What the tests run against: real processes, a real Redis, and a pretended cluster.

pub mod process;
pub mod redis;
pub mod sim;
