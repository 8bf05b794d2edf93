//! The node of tickcast, as a library: a game of your own is a crate whose `main` registers it and runs.

pub mod backplane;
pub mod game;
pub mod games;
