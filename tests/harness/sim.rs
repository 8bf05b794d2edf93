//! A cluster in one thread with a pretended clock: two nodes of the real decisions over the real store model,
//! joined by a network that delays, reorders, repeats and loses, with clients that stop reading, all from one seed. An oracle watches every
//! commit and every state that a client sees.

mod cluster;
mod line;
mod oracle;

pub use cluster::{Cluster, Faults};
pub use oracle::Oracle;
