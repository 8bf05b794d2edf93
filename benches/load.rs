//! The load of `load`, and what it makes of it: what a delivered update costs on tickcast and on others, repeatably.
//! One neutral client drives all of them; a server's CPU time is what Linux says of its process.

mod budget;
mod churn;
mod cli;
mod client;
pub(crate) mod clock;
mod commit;
mod growth;
pub(crate) mod hands;
mod html;
mod http;
mod knee;
mod plot;
mod process;
mod procfs;
mod protocols;
mod redis;
mod report;
mod run;
mod session;
mod summary;
mod swarm;
mod systems;
mod tally;
mod tasks;
mod text;
pub(crate) mod websocket;

pub use cli::Flags;
pub use systems::System;
pub use tasks::run;
