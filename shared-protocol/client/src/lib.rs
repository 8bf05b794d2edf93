//! How a native game connects: [`Connection`] is a place in a match that outlives its sockets. It joins, follows the
//! state, sends inputs, and when a node dies or leaves it goes on at another one as the same player.
//!
//! ```no_run
//! use tickcast_client::{Connection, News};
//! use tickcast_protocol::{client::Event, message::Join};
//!
//! # async fn play() -> Result<(), tickcast_client::Failure> {
//! let nodes = ["ws://127.0.0.1:7777".parse().expect("an address")];
//! let mut connection = Connection::open(&nodes, "me", Join::Quick { game: String::new() }).await?;
//! loop {
//!     match connection.next().await? {
//!         News::Frame(Event::Advanced | Event::CaughtUp) => {
//!             let world = connection.replica().world(); // draw it
//!             connection.input(&[127, 0, 0, 1]);
//!         }
//!         News::Lost(failure) => eprintln!("connecting again: {failure}"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! `examples/headless.rs` is a whole client. All that is decided about the protocol is `tickcast_protocol::client`, which
//! has no socket: a game with a runtime of its own can drive that one instead. [`socket`] opens connections and names
//! what can go wrong, [`stream`] has TLS for addresses with `wss://`, [`retry`] says when to try again, [`target`] reads
//! addresses. Where servers let nobody in without a ticket, [`Connection::open_with`] takes [`tickets`] along.

mod clock;
mod connection;
pub mod retry;
pub mod socket;
pub mod stream;
pub mod target;
pub mod tickets;

pub use connection::{Access, Connection, News};
pub use socket::Failure;
pub use stream::Trust;
pub use target::Target;
pub use tickets::Tickets;
