//! What will go wrong in a run, and when: drawn from the seed before the run, each fault with all that it needs, so
//! that each can be left out by itself.

use std::fmt;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::settings::{FAULTY_MS, NODES};

macro_rules! kinds {
    ($($name:ident = $text:literal, rare $rare:literal, costs_inputs $costs:literal;)*) => {
        /// What can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind { $(#[doc = $text] $name,)* }

        impl Kind {
            pub(super) const ALL: &[Kind] = &[$(Kind::$name,)*];

            pub(super) fn text(self) -> &'static str {
                match self { $(Kind::$name => $text,)* }
            }

            /// Ends a match or the like: few runs have it, so that the others live long enough.
            fn is_rare(self) -> bool {
                match self { $(Kind::$name => $rare,)* }
            }

            /// May delay an input that is sent again for longer than an owner waits for it, or take back what was
            /// acknowledged.
            fn costs_inputs(self) -> bool {
                match self { $(Kind::$name => $costs,)* }
            }
        }
    };
}

kinds! {
    CommitUnanswered = "commit done, answer lost", rare false, costs_inputs false;
    CommitUndelivered = "commit lost", rare false, costs_inputs false;
    ClaimUnanswered = "claim done, answer lost", rare false, costs_inputs true;
    ClaimUndelivered = "claim lost", rare false, costs_inputs true;
    ReleaseUnanswered = "release done, answer lost", rare false, costs_inputs false;
    ReleaseUndelivered = "release lost", rare false, costs_inputs false;
    ReadUnanswered = "load unanswered", rare false, costs_inputs true;
    Late = "request done long after its sender gave up", rare false, costs_inputs true;
    Stall = "store answers nothing for a while", rare false, costs_inputs true;
    Refuse = "store refuses all writes, as when it is full", rare false, costs_inputs true;
    Failover = "failover: the store loses writes, the owner lives", rare false, costs_inputs true;
    FailoverDead = "failover: the store loses writes, the owner dies", rare false, costs_inputs true;
    Wipe = "store restarts empty", rare true, costs_inputs true;
    Flush = "one match deleted from outside", rare true, costs_inputs true;
    ClockAhead = "store clock jumps ahead", rare false, costs_inputs true;
    ClockBack = "store clock jumps back", rare false, costs_inputs true;
    Garbage = "foreign messages on a match's channels", rare false, costs_inputs false;
    UnknownFence = "a tick of an ownership that nobody has", rare false, costs_inputs false;
    Cut = "subscriptions of a node cut", rare false, costs_inputs true;
    Deaf = "a subscription delivers nothing and nobody is told", rare false, costs_inputs true;
    InputsUndelivered = "inputs lost on their way to the owner", rare false, costs_inputs true;
    InputsTwice = "inputs arrive twice", rare false, costs_inputs false;
    Crash = "node crashes", rare false, costs_inputs true;
    CrashBeforeCommit = "owner's node crashes before a commit", rare false, costs_inputs false;
    CrashAfterCommit = "owner's node crashes after a commit, before its answer", rare false, costs_inputs false;
    CrashAtPrior = "owner's node crashes at a new prior", rare false, costs_inputs false;
    CrashAll = "all nodes crash", rare true, costs_inputs false;
    Pause = "node stands still for a while", rare false, costs_inputs true;
    Drain = "node leaves", rare false, costs_inputs true;
    HandOver = "match handed over", rare false, costs_inputs false;
    OrderLost = "order to an heir lost", rare false, costs_inputs false;
    Panic = "game panics", rare false, costs_inputs false;
    Poison = "game panics at every tick", rare true, costs_inputs true;
    SlowReader = "client reads nothing for a while", rare false, costs_inputs true;
    Break = "connection breaks", rare false, costs_inputs true;
    HalfOpen = "connection breaks and the node does not notice", rare false, costs_inputs true;
}

/// One thing that goes wrong. What it does not need means nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) at_ms: u64,
    pub(super) kind: Kind,
    pub(super) node: usize,
    pub(super) game: usize,
    pub(super) client: usize,
    /// How long, or how far.
    pub(super) ms: u64,
    pub(super) percent: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { at_ms, kind, node, game, client, ms, percent } = self;
        write!(
            f,
            "{at_ms:>6} ms  {kind:?} (node {node}, match {game}, client {client}, {ms} ms, {percent} %): {}",
            kind.text()
        )
    }
}

/// What a run is like.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) seed: u64,
    pub(super) matches: usize,
    pub(super) clients: usize,
    /// Ownerships that may fail one after another.
    pub(super) crashes_max: u32,
    pub(super) faults: Vec<Fault>,
    /// Not everybody may see everything.
    pub(super) secrets: bool,
    /// There are nights, in which nothing happens.
    pub(super) nights: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x51B0_7A11);
        let matches = if rng.random_ratio(1, 4) { 2 } else { 1 };
        let clients = rng.random_range(2..=4) + matches - 1;
        let percent = [4, 10, 20][rng.random_range(0..3)];
        let mut kinds: Vec<Kind> = Kind::ALL.to_vec();
        kinds.shuffle(&mut rng);
        let mut faults = Vec::new();
        for kind in kinds {
            let chance = if kind.is_rare() { 2 } else { percent };
            if !rng.random_ratio(chance, 100) {
                continue;
            }
            let times = if kind.is_rare() { 1 } else { rng.random_range(1..=3) };
            faults.extend((0..times).map(|_| draw(&mut rng, kind, matches, clients)));
        }
        if faults.is_empty() {
            faults.push(draw(&mut rng, Kind::Crash, matches, clients));
        }
        faults.sort_by_key(|fault| fault.at_ms);
        let poison = faults.iter().any(|fault| fault.kind == Kind::Poison);
        let (crashes_max, nights) = (if poison { 3 } else { 30 }, seed.is_multiple_of(3));
        Plan { seed, matches, clients, crashes_max, faults, secrets: false, nights }
    }

    /// The same with secrets that players have of each other.
    #[must_use]
    pub fn with_secrets(self) -> Plan {
        Plan { secrets: true, nights: false, ..self }
    }

    /// The plan with some of its faults only.
    #[must_use]
    pub(super) fn with(&self, faults: &[Fault]) -> Plan {
        Plan { faults: faults.to_vec(), ..self.clone() }
    }

    /// What goes wrong, a line each.
    pub fn lines(&self) -> Vec<String> {
        self.faults.iter().map(Fault::to_string).collect()
    }

    pub(super) fn has(&self, kinds: &[Kind]) -> bool {
        self.faults.iter().any(|fault| kinds.contains(&fault.kind))
    }

    /// Whether every input is to be applied: nothing delays one, and nothing is taken back.
    pub(super) fn keeps_inputs(&self) -> bool {
        !self.faults.iter().any(|fault| fault.kind.costs_inputs())
    }
}

fn draw(rng: &mut ChaCha8Rng, kind: Kind, matches: usize, clients: usize) -> Fault {
    // A new prior comes early in a match, if at all.
    let at_ms = match kind {
        Kind::CrashAtPrior => rng.random_range(0..2_000),
        _ => rng.random_range(1_000..FAULTY_MS - 300),
    };
    Fault {
        at_ms,
        kind,
        node: rng.random_range(0..NODES),
        game: rng.random_range(0..matches),
        client: rng.random_range(0..clients),
        ms: rng.random_range(50..2_500),
        percent: rng.random_range(20..=100),
    }
}
