//! The binary `tickcast`: a node that hosts the demo games.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use tickcast_server::{
    Games,
    games::{Arena, Swarm},
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tickcast_server::run(Games::new().with(Arena).with(Swarm))
}
