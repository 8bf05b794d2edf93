//! The node of tickcast, as a library: a game of your own is a crate whose `main` registers it and runs.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use tickcast_server::{Games, games::Arena};
//!
//! fn main() -> ExitCode {
//!     tickcast_server::run(Games::new().with(Arena))
//! }
//! ```
//!
//! [`game`] is what a game author reads. Inside: [`logic`] decides (pure), [`backplane`] is the port between
//! nodes, `io` and `ops` are the shells, [`config`] and `cli` the command line.

pub mod backplane;
mod cli;
pub mod config;
pub mod game;
pub mod games;
pub mod io;
pub mod logic;
pub mod ops;

pub use cli::run;
pub use game::Games;
