//! The shells around the decisions: clock, tasks, sockets, HTTP. Everything that waits is here.

pub mod backlog;
pub mod claims;
pub mod clock;
pub mod drain;
pub mod entrance;
pub mod gate;
pub mod http;
pub mod match_task;
pub mod membership;
pub mod node;
pub mod open_files;
pub mod relay_task;
pub mod sink;
pub mod tasks;
pub mod tls;
pub mod transport;
pub mod websocket;
