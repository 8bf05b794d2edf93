//! Fuzz target `http`: see `checks.rs` of the server's decoder tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tickcast_fuzz::check("http", input));
