//! Every decoder of the protocol against bytes that no encoder wrote: random ones, good ones that were damaged, and the
//! inputs that fuzzing found (`../../fuzz`). The checks are the fuzz targets' own. `SEED=n` repeats a run, `SEEDS=n`
//! makes it longer.

mod checks;
mod conversation;
mod corpus;
mod damage;
mod scenes;
mod seeds;
