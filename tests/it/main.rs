//! The tests that cross parts of the system. One binary, so that it links once.

mod backplane_contract;
