//! What the tests run against: real processes, each with a deadline and an end.

pub mod redis;
