//! What the decoders of the protocol promise, each by a test of its own.

use super::checks::CHECKS;
use super::damage::Set;
use super::seeds::seeds;

const SET: Set = Set { folder: "protocol", checks: &CHECKS, seeds };

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
fn diffs_keep_their_promises() {
    SET.run("diff");
}

#[test]
fn snapshots_keep_their_promises() {
    SET.run("snapshot");
}

#[test]
fn catch_ups_keep_their_promises() {
    SET.run("catch_up");
}

#[test]
fn priors_keep_their_promises() {
    SET.run("prior");
}

#[test]
fn records_keep_their_promises() {
    SET.run("record");
}

#[test]
fn schemas_keep_their_promises() {
    SET.run("schema");
}

#[test]
fn messages_keep_their_promises() {
    SET.run("message");
}

#[test]
fn replicas_keep_their_promises() {
    SET.run("replica");
}

#[test]
fn clients_keep_their_promises() {
    SET.run("client");
}

#[test]
fn tickets_keep_their_promises() {
    SET.run("ticket");
}

#[test]
fn segments_keep_their_promises() {
    SET.run("segments");
}
