//! Fuzz target `segments`: see `checks.rs` of the decoder tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tickcast_fuzz::check("segments", input));
