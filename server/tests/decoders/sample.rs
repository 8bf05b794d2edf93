//! A match that was played for a while: its hash as a store has it, and what its owner and its players said.

use std::sync::OnceLock;
use std::time::Duration;

use tickcast_protocol::{InputSeq, MatchId, NodeId, Nonce, PlayerId, ResumeToken, Tick};
use tickcast_server::backplane::store::Store;
use tickcast_server::backplane::{Claim, ClaimReply, CommitReply, MatchFields};
use tickcast_server::game::{GameType, Options};
use tickcast_server::games::Arena;
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored;

/// Players that the match takes.
pub(crate) const PLAYERS_MAX: u64 = 4;
/// Players that it has.
const PLAYERS: u32 = 2;
/// Ticks that were played.
const TICKS: u64 = 21;
/// Ring fields: few, so that small inputs lap them.
const RING: u64 = 8;
/// Milliseconds for which an owner keeps the match.
pub(crate) const LEASE: Duration = Duration::from_millis(500);

/// How its owners write.
pub(crate) fn writing() -> Writing {
    Writing {
        snapshot_every: 5,
        hash_every: 4,
        lease: LEASE,
        resume_window: Duration::from_secs(2),
        rewind: Duration::from_millis(250),
        rests: false,
    }
}

/// The match's name.
pub(crate) fn id() -> MatchId {
    "sample".parse().expect("the form of an id")
}

/// Claims the match, which nobody has, and goes on with it.
pub(crate) fn claim(store: &mut Store, nonce: u64, now_ms: u64) -> Option<Simulation> {
    let node: NodeId = "node".parse().expect("the form of an id");
    let claim =
        Claim { node, nonce: Nonce(nonce), unanswered: Vec::new(), lease: LEASE, crashes_max: u32::MAX };
    match store.claim(&id(), &claim, now_ms) {
        ClaimReply::Claimed { fields, .. } => Some(resumed(&fields).expect("what an owner wrote")),
        _ => None,
    }
}

/// The match as its next owner goes on with it.
pub(crate) fn resumed(fields: &MatchFields) -> Result<Simulation, stored::StoredError> {
    let restored = stored::restore(fields)?;
    let game = Arena.create(&restored.stored.options);
    let mut simulation = Simulation::new(game, restored, writing());
    simulation.recall(fields)?;
    Ok(simulation)
}

/// A player's wish to join.
pub(crate) fn join(player: u32) -> Upstream {
    let token = TokenDigest::of(&ResumeToken([player as u8; 16]));
    Upstream::Join { player: PlayerId(player), name: format!("p{player}"), token, subject: None }
}

/// An input of a player, as large as it may be.
pub(crate) fn input(simulation: &Simulation, player: u32, seq: u32) -> Upstream {
    let values = simulation.world().schema().input().iter().map(|field| field.max).collect();
    let (player, seq, seen) = (PlayerId(player), InputSeq(seq), simulation.position().tick);
    Upstream::Input { player, seq, seen, behind: 64, values }
}

/// The store with the match, owned and played.
pub(crate) fn store() -> &'static Store {
    static PLAYED: OnceLock<Store> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let options = Options::from([
            ("players_max".to_owned(), PLAYERS_MAX as i64),
            ("drones".to_owned(), 3),
            ("pickups".to_owned(), 2),
        ]);
        let info = Arena.info(&options).expect("options of the arena");
        let mut store = Store::default();
        assert!(store.create(&id(), stored::new_match(&info, &options, 42, 0, RING)));
        let mut simulation = claim(&mut store, 7, 1_000).expect("nobody has it");
        (1..=PLAYERS).for_each(|player| simulation.handle_upstream(join(player)));
        for tick in 1..=TICKS {
            for player in 1..=PLAYERS {
                let input = input(&simulation, player, tick as u32);
                simulation.handle_upstream(input);
            }
            let produced = simulation.handle_tick(tick);
            assert_eq!(store.commit(&id(), &produced.commit, 1_000).0, CommitReply::Ok);
        }
        assert_eq!(simulation.position().tick, Tick(TICKS));
        store
    })
}

/// Its hash.
pub(crate) fn fields() -> MatchFields {
    store().load(&id()).expect("the match is there")
}
