//! Load-test bots: real WebSocket clients that play, verify and measure. Never imports the server.

pub mod plan;
pub mod share;
pub mod target;
