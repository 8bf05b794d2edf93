//! The node of tickcast, as a library: a game of your own is a crate whose `main` registers it and runs.

pub mod backplane;
pub mod game;
pub mod games;

/// Runs a node that hosts these games, as its command line says; ends when the node is stopped.
pub fn run(_: game::Games) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
