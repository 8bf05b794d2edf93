//! What a node promises of foreign bytes, each by a test of its own.

use super::checks::{CHECKS, Check};
use super::seeds::seeds;
use super::{corpus, damage};

fn run(name: &str) {
    let (_, check): (&str, Check) = CHECKS.into_iter().find(|(own, _)| *own == name).expect("a check");
    damage::run(name, check, &seeds(name));
}

#[test]
fn good_inputs_are_taken() {
    for (name, check) in CHECKS {
        damage::assert_takes(name, check, &seeds(name));
    }
}

#[test]
fn every_kept_input_keeps_the_promises() {
    corpus::assert_kept("server", &CHECKS);
}

#[test]
fn every_check_has_its_fuzz_target_and_every_target_its_check() {
    corpus::assert_targets("server", &CHECKS);
}

#[test]
fn channels_keep_their_promises() {
    run("channel");
}

#[test]
fn sockets_keep_their_promises() {
    run("socket");
}

#[test]
fn hashes_of_matches_keep_their_promises() {
    run("stored");
}

#[test]
fn words_of_people_keep_their_promises() {
    run("words");
}

#[test]
fn owners_and_relays_keep_their_promises() {
    run("owner");
}
