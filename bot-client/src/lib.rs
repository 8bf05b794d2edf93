//! Load-test bots: real WebSocket clients that play, verify and measure. Never imports the server.
//!
//! Reading order: [`plan`] says what is asked for and [`share`] who does it; [`bot`] is one client without a
//! socket, driven by its [`brain`], its [`timer`] and its [`meter`]; [`lineage`] and [`absence`] are about its life over
//! several connections, and `talk` about what it says and hears; [`board`] and [`verify`] compare the clients of a
//! match; [`tally`] adds up; [`report`] judges.
//! Only [`swarm`], `seat`, [`workers`], [`api`] and [`progress`] touch the world outside, and only [`clock`]
//! reads the time.

pub mod absence;
pub mod api;
pub mod board;
pub mod bot;
pub mod brain;
pub mod clock;
pub mod histogram;
pub mod history;
pub mod issuer;
pub mod light;
pub mod lineage;
pub mod meter;
mod pilot;
pub mod plan;
pub mod progress;
pub mod report;
mod seat;
pub mod share;
#[cfg(test)]
mod stage;
pub mod swarm;
mod talk;
pub mod tally;
pub mod timer;
pub mod verify;
pub mod workers;
