//! What the decoders of the protocol promise, each by a test of its own.

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
    corpus::assert_kept("protocol", &CHECKS);
}

#[test]
fn every_check_has_its_fuzz_target_and_every_target_its_check() {
    corpus::assert_targets("protocol", &CHECKS);
}

#[test]
fn diffs_keep_their_promises() {
    run("diff");
}

#[test]
fn snapshots_keep_their_promises() {
    run("snapshot");
}

#[test]
fn catch_ups_keep_their_promises() {
    run("catch_up");
}

#[test]
fn priors_keep_their_promises() {
    run("prior");
}

#[test]
fn records_keep_their_promises() {
    run("record");
}

#[test]
fn schemas_keep_their_promises() {
    run("schema");
}

#[test]
fn messages_keep_their_promises() {
    run("message");
}

#[test]
fn replicas_keep_their_promises() {
    run("replica");
}

#[test]
fn clients_keep_their_promises() {
    run("client");
}

#[test]
fn tickets_keep_their_promises() {
    run("ticket");
}
