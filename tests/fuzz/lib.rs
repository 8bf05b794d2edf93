//! The checks of the decoder tests, for fuzz targets to run: there is one copy of them, beside what they check.

#[path = "../../shared-protocol/tests/decoders/main.rs"]
mod protocol;
#[path = "../../server/tests/decoders/main.rs"]
mod server;

/// Runs the check with this name on an input.
///
/// # Panics
/// When a promise is broken: that is a finding.
pub fn check(name: &str, input: &[u8]) {
    let mut all = protocol::checks::CHECKS.iter().chain(&server::checks::CHECKS);
    let (_, check) = all.find(|(own, _)| *own == name).expect("a target is named after its check");
    check(input);
}

/// Good inputs of every check, by the folder and the name of its target.
pub fn all_seeds() -> impl Iterator<Item = (String, Vec<Vec<u8>>)> {
    let protocol =
        protocol::checks::CHECKS.iter().map(|(name, _)| ("protocol", *name, protocol::seeds::seeds(name)));
    let server = server::checks::CHECKS.iter().map(|(name, _)| ("server", *name, server::seeds::seeds(name)));
    protocol.chain(server).map(|(set, name, seeds)| (format!("{set}/{name}"), seeds))
}
