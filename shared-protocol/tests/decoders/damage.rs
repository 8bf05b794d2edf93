//! Good inputs, good inputs that were damaged, and random bytes, given to the checks of a crate. The tests of the
//! server's decoders use it as well.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::checks::Check;

/// Inputs of each check that one seed makes.
const CASES: u32 = 300;
/// Longest random input, bytes.
const RANDOM_BYTES_MAX: usize = 300;
/// Damages of one input.
const DAMAGES_MAX: usize = 6;

/// One thing that happens to bytes on their way.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index),
    Drop(Index, u8),
    Insert(Index, Vec<u8>),
    /// Goes on as another input does.
    Splice(Index, Index, Vec<u8>),
}

fn damage(good: Vec<Vec<u8>>) -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), 1u8..20).prop_map(|(at, count)| Damage::Drop(at, count)),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), any::<Index>(), select(good)).prop_map(|(at, from, other)| Damage::Splice(at, from, other)),
    ]
}

fn inflict(bytes: &mut Vec<u8>, damage: &Damage) {
    match damage {
        Damage::Insert(at, inserted) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Damage::Splice(at, from, other) => {
            bytes.truncate(at.index(bytes.len() + 1));
            bytes.extend(&other[from.index(other.len() + 1)..]);
        }
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        _ if bytes.is_empty() => {}
        Damage::Flip(at, bit) => *at.get_mut(bytes) ^= 1u8 << bit,
        Damage::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Damage::Drop(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..bytes.len().min(at + usize::from(*count)));
        }
    }
}

fn input(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damaged = (select(good.clone()), prop::collection::vec(damage(good), 0..DAMAGES_MAX));
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..RANDOM_BYTES_MAX),
        4 => damaged.prop_map(|(mut bytes, damages)| {
            damages.iter().for_each(|damage| inflict(&mut bytes, damage));
            bytes
        }),
    ]
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The checks of a crate, and good inputs for each.
pub(crate) struct Set {
    /// The folder in which its fuzz targets and kept inputs stand.
    pub(crate) folder: &'static str,
    pub(crate) checks: &'static [(&'static str, Check)],
    pub(crate) seeds: fn(&str) -> Vec<Vec<u8>>,
}

impl Set {
    /// Gives each check its good inputs, which it has to take.
    pub(crate) fn assert_takes_seeds(&self) {
        for (name, check) in self.checks {
            let good = (self.seeds)(name);
            assert!(good.len() >= 3, "{name} has {} seeds", good.len());
            for (number, seed) in good.iter().enumerate() {
                assert!(check(seed), "seed {number} of {name} was refused: {seed:?}");
            }
        }
    }

    /// Gives a check inputs from each seed. A failure shows its shortest input; it belongs into the corpus.
    pub(crate) fn run(&self, name: &str) {
        let (_, check) = self.checks.iter().find(|(own, _)| *own == name).expect("a check");
        let (first, count) = (number("SEED").unwrap_or(1), number("SEEDS").unwrap_or(1));
        for seed in first..first + count {
            println!("SEED={seed}");
            let config = Config {
                cases: CASES,
                rng_seed: RngSeed::Fixed(seed),
                failure_persistence: None,
                ..Config::default()
            };
            let outcome = TestRunner::new(config).run(&input((self.seeds)(name)), |bytes| {
                check(&bytes);
                Ok(())
            });
            if let Err(error) = outcome {
                panic!("SEED={seed}, {name}: {error}");
            }
        }
    }
}
