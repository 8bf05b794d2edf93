//! Every decoder of the protocol against bytes that no encoder wrote: random ones, good ones that were damaged, and the
//! inputs that fuzzing found (`tests/fuzz`). The checks are the fuzz targets' own. `SEED=n` repeats a run, `SEEDS=n`
//! makes it longer.

pub(crate) mod checks;
mod conversation;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod damage;
mod parts;
#[cfg(test)]
mod promises;
mod scenes;
pub(crate) mod seeds;
mod tickets;
