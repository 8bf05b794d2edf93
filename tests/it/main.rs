//! The cross-cutting tests, one binary. A module a subject.

mod backplane_contract;
mod cluster;
mod refusals;
mod simulation;
mod tidy;
