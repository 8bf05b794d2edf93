//! Every decoder of a node, and its decisions, against bytes that nobody of ours wrote: from sockets, from channels, from
//! a match's hash. The checks are the fuzz targets' own (`tests/fuzz`). `SEED=n` repeats a run, `SEEDS=n` makes it longer.

pub(crate) mod checks;
mod codes;
#[cfg(test)]
#[path = "../../../shared-protocol/tests/decoders/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "../../../shared-protocol/tests/decoders/damage.rs"]
mod damage;
mod http;
mod owner;
#[cfg(test)]
mod promises;
mod sample;
pub(crate) mod seeds;
mod socket;
mod stored;
