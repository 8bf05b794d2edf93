//! The binary `tickcast`: a node that hosts the demo games.

use std::process::ExitCode;

use tickcast_server::{Games, games::Arena};

fn main() -> ExitCode {
    tickcast_server::run(Games::new().with(Arena))
}
