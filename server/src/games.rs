//! The demo games: each file is one game's rules, made to be copied and changed.

pub mod arena;

pub use arena::{Arena, Swarm};
