//! Abuse of a node over real sockets, row by row of `docs/abuse.md`; each while honest players of the same node follow
//! their match, who must notice nothing. What is done to the node is the harness's, where the program `abuse` does it, too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use harness::abuse::{Target, WITHIN};
use harness::http::create_match;
use harness::player::Player;
use harness::process::{Node, NodeOptions};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::io::clock;
use tokio::sync::Mutex;

mod answers;
mod frames;
mod handshake;
mod identity;
mod inputs;
mod operators;
mod outside;

/// The honest players of a node.
const HONEST: usize = 3;
/// Longer than this no honest player may be without an update, on a machine that compiles beside it.
const GAP_MAX: Duration = Duration::from_secs(3);

/// A node with honest players.
struct Siege {
    node: Arc<Node>,
    id: MatchId,
    honest: Mutex<Vec<Player>>,
}

impl Siege {
    /// A node with these flags.
    async fn begin(flags: &[&str]) -> Siege {
        let args = flags.iter().map(ToString::to_string).collect();
        Siege::of(Node::start(NodeOptions { args, ..NodeOptions::default() }).await).await
    }

    async fn of(node: Node) -> Siege {
        let id = create_match(node.authority(), &json!({ "game": "arena", "tick_rate": 30 })).await;
        let joins = (0..HONEST).map(|_| Player::join(&node.players, "honest", Join::Match(id.clone())));
        let honest = Mutex::new(join_all(joins).await);
        Siege { node: Arc::new(node), id, honest }
    }

    fn authority(&self) -> String {
        self.node.authority().to_owned()
    }

    /// The node and the honest players' match as what is attacked.
    fn target(&self) -> Target {
        Target::new(Arc::clone(&self.node), self.id.clone())
    }

    /// Does what abusers do while the honest play, and sees that these have their updates, and that their inputs count.
    async fn bears<T>(&self, abuse: impl Future<Output = T>) -> T {
        let mut honest = self.honest.lock().await;
        let follow = join_all(honest.iter_mut().map(async |player| {
            let mut last = clock::now();
            loop {
                let before = player.ticks;
                player.advance().await.expect("nobody closes an honest player");
                let now = clock::now();
                if player.ticks > before {
                    assert!(now - last < GAP_MAX, "{:?} without an update", now - last);
                    last = now;
                }
            }
        }));
        let done = tokio::select! {
            done = abuse => done,
            _ = follow => unreachable!("the honest follow for as long as the abuse goes on"),
        };
        let after = honest.iter_mut().map(async |player| {
            let sent = player.client().last_seq();
            let ticks = player.ticks + 10;
            let goes_on = |player: &Player| player.ticks > ticks && player.acknowledged() > Some(sent);
            player.follow_until(WITHIN, "the honest go on", goes_on).await;
            assert_eq!(player.breaks, [""; 0]);
        });
        join_all(after).await;
        done
    }
}
