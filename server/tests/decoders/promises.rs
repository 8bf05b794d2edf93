//! What a node promises of foreign bytes, each by a test of its own.

use super::checks::CHECKS;
use super::damage::Set;
use super::seeds::seeds;

const SET: Set = Set { folder: "server", checks: &CHECKS, seeds };

#[test]
fn good_inputs_are_taken() {
    SET.assert_takes_seeds();
}

#[test]
fn every_kept_input_keeps_the_promises() {
    SET.assert_kept();
}

#[test]
fn every_check_has_its_fuzz_target_and_every_target_its_check() {
    SET.assert_targets();
}

#[test]
fn channels_keep_their_promises() {
    SET.run("channel");
}

#[test]
fn requests_keep_their_promises() {
    SET.run("http");
}

#[test]
fn sockets_keep_their_promises() {
    SET.run("socket");
}

#[test]
fn hashes_of_matches_keep_their_promises() {
    SET.run("stored");
}

#[test]
fn words_of_people_keep_their_promises() {
    SET.run("words");
}

#[test]
fn owners_and_relays_keep_their_promises() {
    SET.run("owner");
}
