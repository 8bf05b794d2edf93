//! What a cluster of real nodes sends in a fog: each client has what its player may see of each committed tick and nothing
//! else, also when the owner dies and the player comes back elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::Node;
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{EntityId, Fence, MatchId, PlayerId, Position, SegmentId, World};
use tickcast_server::backplane::redis::{RedisBackplane, Timing};
use tickcast_server::backplane::{Backplane, Channel, Delivery, Subscription};
use tickcast_server::game::Viewer;
use tickcast_server::logic::relay::{Relay, Verdict};
use tickcast_server::logic::stored;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);
const FLAGS: [&str; 4] = ["--lease-ms", "600", "--sweep-ms", "300"];
/// How far one sees, units.
const SIGHT: i32 = 250;
/// Steps of a position to a unit, and the kinds that fog hides with the position of their field `x`.
const SCALE: i32 = 16;
const HIDDEN: [(u8, usize); 4] = [(0, 3), (1, 0), (3, 0), (5, 0)];
/// What is this much further away than one sees is sent to nobody: a cell and a quarter, from corner to corner.
const MARGIN: i32 = 150;

/// A state, and the segments that whoever has it was given.
struct Held {
    world: World,
    segments: Vec<SegmentId>,
}

type States = BTreeMap<(u64, u64), Held>;

fn key(position: Position) -> (u64, u64) {
    (position.fence.epoch.0, position.tick.0)
}

/// Reads all that is committed, as a node does.
struct Witness {
    /// What the subscription lives by.
    _plane: RedisBackplane,
    relay: Relay,
    deliveries: Subscription,
    /// Everybody's view of each tick.
    views: BTreeMap<(u64, u64), BTreeMap<PlayerId, Vec<SegmentId>>>,
    states: States,
}

impl Witness {
    async fn of(redis: &RedisServer, id: &MatchId) -> Witness {
        let (plane, _) =
            RedisBackplane::connect(&redis.url(), Timing::default()).await.expect("a good server");
        let deliveries = plane.subscribe(id, Channel::Diff).await.expect("it answers");
        let fields = plane.load(id).await.expect("it answers").expect("the match is there");
        let relay = Relay::loaded(stored::restore(&fields).expect("a good state"));
        Witness { _plane: plane, relay, deliveries, views: BTreeMap::new(), states: States::new() }
    }

    /// Takes in what has come; tells of the players whose views it is to keep.
    fn catch_up(&mut self, players: &[PlayerId]) {
        while let Ok(delivery) = self.deliveries.try_recv() {
            let Delivery::Message(message) = delivery else { panic!("the witness lost something") };
            let mut verdict = self.relay.handle_message(&message);
            if let Verdict::Confirm(fence) = verdict {
                self.relay.confirm(fence);
                verdict = self.relay.handle_message(&message);
            }
            if !matches!(verdict, Verdict::FanOut(_)) {
                continue;
            }
            let at = key(self.relay.position());
            let view = |player: &PlayerId| {
                let view = self.relay.view(Viewer::Player(*player)).expect("a match in segments");
                (*player, view.to_vec())
            };
            self.views.insert(at, players.iter().map(view).collect());
            self.states.insert(at, held(self.relay.replica()));
        }
    }
}

fn held(replica: &tickcast_protocol::Replica) -> Held {
    let segments = replica.segments().expect("a match in segments");
    Held { world: replica.world().clone(), segments: segments.iter().map(|(id, _)| id).collect() }
}

/// Follows the match for so many ticks and notes each state.
async fn follow(player: &mut Player, ticks: u64, seen: &mut States) {
    let until = player.ticks + ticks;
    let follow = async {
        while player.ticks < until {
            player.advance().await.expect("the node lets it play");
            seen.insert(key(player.position()), held(player.replica()));
        }
    };
    tokio::time::timeout(WITHIN, follow).await.expect("the match goes on");
}

fn spot(world: &World, id: EntityId, x: usize) -> (i64, i64) {
    (i64::from(world.get(id, x)), i64::from(world.get(id, x + 1)))
}

fn is_within(units: i32, a: (i64, i64), b: (i64, i64)) -> bool {
    let reach = i64::from(units * SCALE);
    (a.0 - b.0).pow(2) + (a.1 - b.1).pow(2) <= reach * reach
}

/// Holds what a player had against what was committed; returns how much of that it did not get.
fn judge(player: PlayerId, seen: &States, witness: &Witness) -> usize {
    let (mut compared, mut kept_back) = (0, 0);
    for (at, held) in seen {
        let (Some(committed), Some(views)) = (witness.states.get(at), witness.views.get(at)) else {
            continue;
        };
        let view = &views[&player];
        for segment in &held.segments {
            assert!(view.contains(segment), "tick {}: it was given segment {segment}", at.1);
        }
        let (all, has) = (&committed.world, &held.world);
        let own = all.ids(0).find(|id| all.get(*id, 0) as u32 == player.0).map(|id| spot(all, id, 3));
        for (kind, x) in HIDDEN {
            let wrong = has.ids(kind).find(|id| !all.contains(*id));
            assert_eq!(wrong, None, "tick {}: it has what is not", at.1);
            for id in all.ids(kind) {
                let place = spot(all, id, x);
                let near = own.is_some_and(|own| is_within(SIGHT, own, place));
                let far = own.is_none_or(|own| !is_within(SIGHT + MARGIN, own, place));
                assert!(has.contains(id) || !near, "tick {}: {id} is near, and was not sent", at.1);
                assert!(!has.contains(id) || !far, "tick {}: {id} is far away, and was sent", at.1);
                if has.contains(id) {
                    assert_eq!(spot(has, id, x), place, "tick {}: {id}", at.1);
                }
                kept_back += usize::from(!has.contains(id));
            }
        }
        compared += 1;
    }
    assert!(compared > 60, "only {compared} ticks are known to both");
    kept_back
}

#[tokio::test]
async fn nobody_is_sent_what_is_in_the_fog_also_when_the_owner_dies() {
    let redis = RedisServer::start(Persistence::Off).await;
    let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &FLAGS).await;
    let [mut owner, other] = <[Node; 2]>::try_from(nodes).ok().expect("two nodes were started");
    let options = json!({ "fog": SIGHT, "drones": 150, "bots": 6, "tick_rate": 20 });
    let id = create_match(owner.authority(), &json!({ "options": options })).await;
    let mut witness = Witness::of(&redis, &id).await;
    let mut near = Player::join(&owner.players, "near", Join::Match(id.clone())).await;
    let mut far = Player::join(&other.players, "far", Join::Match(id.clone())).await;
    let of = |player: &Player| player.client().joined().and_then(|joined| joined.player()).expect("a player");
    let players = [of(&near), of(&far)];
    let (mut of_near, mut of_far) = (States::new(), States::new());
    tokio::join!(follow(&mut near, 60, &mut of_near), follow(&mut far, 60, &mut of_far));
    witness.catch_up(&players);

    let before: Fence = far.position().fence;
    owner.kill9();
    tokio::join!(
        async {
            near.resume(&other.players).await;
            follow(&mut near, 60, &mut of_near).await;
        },
        follow(&mut far, 60, &mut of_far)
    );
    witness.catch_up(&players);
    assert_ne!(far.position().fence, before, "another owner goes on");
    assert_eq!((&near.breaks, &far.breaks), (&vec![], &vec![]));
    let kept_back = judge(players[0], &of_near, &witness) + judge(players[1], &of_far, &witness);
    assert!(kept_back > 10_000, "{kept_back} entities were not sent: there was fog");

    // Operators are told what each of them sees.
    let told = other.ask_operators(&format!("/v1/matches/{id}/players")).await.json();
    for row in told["players"].as_array().expect("rows") {
        let (seen, all) = (row["sees"]["entities"].as_u64(), told["entities"].as_u64());
        assert!(seen > Some(0) && seen < all, "{told}");
        assert!(row["sees"]["segments"].as_array().is_some_and(|segments| segments.contains(&json!(0))));
    }
    let one = other.ask_operators(&format!("/v1/matches/{id}")).await.json();
    assert_eq!((&one["visibility"], &one["spectators_see"]["segments"]), (&json!("secrets"), &json!([0])));
}
