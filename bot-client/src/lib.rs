//! Load-test bots: real WebSocket clients that play, verify and measure. Never imports the server.

pub mod board;
pub mod bot;
pub mod brain;
pub mod histogram;
pub mod light;
pub mod meter;
pub mod plan;
pub mod report;
pub mod share;
#[cfg(test)]
mod stage;
pub mod tally;
pub mod target;
pub mod timer;
pub mod verify;
