//! One account is one player of a match, on whatever node it comes, and has so many connections on a node.

use super::*;
use harness::player::Door;
use tickcast_protocol::EntityId;

/// Nodes with the default limit, unless `args` say another one.
async fn node(name: &str, redis: Option<&RedisServer>, args: &[&str]) -> Node {
    let args = ["--node", name].iter().chain(args).map(ToString::to_string).collect();
    let env = vec![env("TICKCAST_TICKET_KEY", KEY), env("TICKCAST_API_KEY", API_KEY)];
    let redis = redis.map(RedisServer::url);
    Node::start(NodeOptions { env, args, redis, ..NodeOptions::default() }).await
}

async fn come(node: &Node, id: &MatchId, subject: &str) -> Player {
    let ticket = mint(&ticket_of(subject, id));
    Player::join_with(&node.players, subject, to_match(id), &ticket).await
}

fn watch(subject: &str, id: &MatchId) -> String {
    mint(&Ticket { permit: Permit::Watch, ..ticket_of(subject, id) })
}

/// Who it is, and with which entity.
fn me(player: &Player) -> (Role, Option<EntityId>) {
    player.client().joined().map(|joined| (joined.role, joined.entity())).expect("in a match")
}

fn players(player: &Player) -> usize {
    let world = player.replica().world();
    world.ids(world.schema().player_kind()).count()
}

fn replaced() -> Close {
    Close { code: 4510, reason: "replaced by a newer connection of the same player".to_owned() }
}

#[tokio::test]
async fn an_account_that_comes_again_goes_on_with_its_entity_and_the_older_connection_ends() {
    let redis = RedisServer::start(Persistence::Off).await;
    let first = node("first", Some(&redis), &[]).await;
    let second = node("second", Some(&redis), &[]).await;
    let id = create_match(first.authority(), &json!({})).await;
    let mut other = come(&second, &id, "account-2").await;
    let mut older = come(&first, &id, "account-1").await;
    let played = |player: &Player| player.acknowledged() > Some(InputSeq(5));
    older.follow_until(WITHIN, "inputs count", played).await;
    // It has come back before: its newer connections were counted.
    older.resume(&second.players).await;
    for (turn, node) in [&first, &second, &second, &first].into_iter().enumerate() {
        let resume = older.resume_join();
        let mut newer = come(node, &id, "account-1").await;
        assert_eq!(me(&newer), me(&older), "the same player, with the same entity");
        assert_eq!(older.closed(WITHIN).await, replaced());
        let from = newer.acknowledged();
        newer.follow_until(WITHIN, "its own inputs count", |player| player.acknowledged() > from).await;
        let said = format!("it is me, turn {turn}");
        newer.say(ChatTo::Everyone, &said).await;
        let heard = |player: &Player| player.chat.iter().any(|line| line.text.as_str() == said);
        newer.follow_until(WITHIN, "it is heard", heard).await;
        // What the older has from before is good for nothing.
        let refused = answered(&second, resume, "").await.map_err(|close| close.code);
        assert_eq!(refused, Err(4501));
        // And it comes back as anybody does, counted from one.
        newer.resume(&first.players).await;
        newer.resume(&second.players).await;
        newer.follow_ticks(5, WITHIN).await;
        assert_eq!(newer.breaks, [""; 0]);
        older = newer;
    }
    other.follow_ticks(5, WITHIN).await;
    assert_eq!((players(&other), other.breaks.len()), (2, 0), "nobody else notices");

    // A successor knows from the store whose the seats are.
    drop(first);
    let successor = |player: &Player| player.position().fence.epoch.0 > 1;
    other.follow_until(WITHIN, "the other node takes over", successor).await;
    older.follow_until(WITHIN, "the older goes on", successor).await;
    let newer = come(&second, &id, "account-1").await;
    assert_eq!(me(&newer), me(&older));
    assert_eq!(older.closed(WITHIN).await, replaced());
}

#[tokio::test]
async fn two_joins_of_an_account_at_once_leave_one_player() {
    let redis = RedisServer::start(Persistence::Off).await;
    let first = node("first", Some(&redis), &["--connections-per-account", "0"]).await;
    let second = node("second", Some(&redis), &["--connections-per-account", "0"]).await;
    let id = create_match(first.authority(), &json!({})).await;
    let mut other = come(&second, &id, "account-2").await;
    for _ in 0..5 {
        // Held open until it is known which of them is in.
        let mut sockets = Vec::new();
        for node in [&first, &second, &first, &second] {
            let mut socket = Socket::open(Door::from(&node.players)).await;
            socket.hello_with(to_match(&id), &mint(&ticket_of("account-1", &id))).await;
            sockets.push(socket);
        }
        let one_is_left = |player: &Player| players(player) == 2;
        other.follow_until(WITHIN, "one of them is in", one_is_left).await;
        let from = other.position().tick;
        let later = |player: &Player| {
            assert!(players(player) <= 2, "an account is two players");
            player.position().tick.0 > from.0 + 30
        };
        other.follow_until(WITHIN, "for a second", later).await;
    }
}

#[tokio::test]
async fn an_account_has_two_connections_on_a_node_and_guests_as_many_as_they_like() {
    let node = node("alone", None, &["--guests"]).await;
    let id = create_match(node.authority(), &json!({})).await;
    let mut player = come(&node, &id, "account-1").await;
    let watcher =
        Player::join_with(&node.players, "w", Join::Spectate(id.clone()), &watch("account-1", &id)).await;
    let text = "this account has 2 connections here already: close one, and come again";
    let third = watch("account-1", &id);
    let refused = Err(Close { code: 4507, reason: text.to_owned() });
    assert_eq!(answered(&node, Join::Spectate(id.clone()), &third).await, refused);
    assert!(answered(&node, to_match(&id), &mint(&ticket_of("account-2", &id))).await.is_ok());
    // Who is back takes the place of the connection before, which may still be there.
    player.resume(&node.players).await;
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(Player::join(&node.players, "guest", to_match(&id)).await);
    }
    // The ticket that was refused was not used up: it is good as soon as there is room.
    drop(watcher);
    wait_until(WITHIN, "there is room again", || async {
        answered(&node, Join::Spectate(id.clone()), &third).await.ok()
    })
    .await;
    player.follow_ticks(5, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}
