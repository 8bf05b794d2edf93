//! What tests are built from: real processes, real stores, pretended networks. A plain list of modules.

pub mod process;
