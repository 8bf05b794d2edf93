//! The checks of the decoder tests, for fuzz targets to run: there is one copy of them, in `../tests/decoders`.

#[path = "../tests/decoders/checks.rs"]
mod checks;
#[path = "../tests/decoders/conversation.rs"]
mod conversation;
#[path = "../tests/decoders/scenes.rs"]
mod scenes;
#[path = "../tests/decoders/seeds.rs"]
mod seeds;

/// Runs the check with this name on an input.
///
/// # Panics
/// When a promise is broken: that is a finding.
pub fn check(name: &str, input: &[u8]) {
    let found = checks::CHECKS.iter().find(|(own, _)| *own == name);
    let (_, check) = found.expect("a target is named after its check");
    check(input);
}

/// Good inputs of every check, by its name.
pub fn all_seeds() -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    checks::CHECKS.iter().map(|(name, _)| (*name, seeds::seeds(name)))
}
