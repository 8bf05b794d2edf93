//! What both ends of a tickcast connection agree on. Pure: no sockets, no clock, no tasks, no Redis.
//!
//! Reading order: [`ids`] and [`tick`] name things, [`limits`] bounds them, [`schema`] declares a game's
//! state and inputs, [`world`] holds the state, [`diff`] codes its changes, [`frame`] puts them on the
//! wire, [`replica`] follows them, [`segments`] and
//! [`sections`] are of matches that not everybody sees all of, [`message`] is everything else said on a connection, [`chat`] what players say
//! to each other, [`ticket`] says who may join, [`client`] is the client's half of it, [`history`] is how all of it is written down. `docs/wire.md` is the same contract for strangers.

pub mod catch_up;
pub mod chat;
pub mod client;
pub mod close;
pub mod codec;
mod coder;
pub mod diff;
pub mod frame;
mod hash;
pub mod history;
pub mod ids;
mod learn;
pub mod limits;
pub mod message;
mod models;
pub mod prior;
mod range;
pub mod record;
pub mod replica;
pub mod schema;
pub mod sections;
pub mod segments;
pub mod snapshot;
mod sparse;
mod tally;
pub mod tick;
pub mod ticket;
mod values;
pub mod varint;
pub mod world;

pub use close::CloseCode;
pub use ids::{Epoch, Fence, InputSeq, MatchId, NodeId, Nonce, PlayerId, ResumeToken, SegmentId, SessionId};
pub use replica::{Progress, Replica};
pub use schema::{Field, InputField, Kind, Schema};
pub use tick::{Position, Tick, TickRate};
pub use values::InputValues;
pub use world::{EntityId, World};
