//! What players say, between real processes: to everyone and to a team, told to who comes later, safe to show, and
//! neither lost nor doubled when the owner dies.

use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::{Node, NodeOptions, bots, program, run};
use harness::redis::{Persistence, RedisServer};
use serde_json::{Value, json};
use tickcast_protocol::MatchId;
use tickcast_protocol::chat::{ChatRefusal, ChatTo};
use tickcast_protocol::limits::CHAT_LINES_MAX;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
const FLAGS: [&str; 6] = ["--lease-ms", "600", "--sweep-ms", "300", "--chat-per-minute", "6000"];

/// A Redis and two nodes, the first of which owns a match.
struct Cluster {
    redis: RedisServer,
    owner: Node,
    other: Node,
    id: MatchId,
}

impl Cluster {
    async fn start(program: &'static str) -> Cluster {
        let redis = RedisServer::start(Persistence::Off).await;
        let options =
            |name| NodeOptions { program: Some(program), ..NodeOptions::named(name, &redis.url(), &FLAGS) };
        let (owner, other) = tokio::join!(Node::start(options("owner")), Node::start(options("other")));
        let game = if program == "teams" { "teams" } else { "arena" };
        let id = create_match(owner.authority(), &json!({ "game": game })).await;
        Cluster { redis, owner, other, id }
    }

    async fn join(&self, node: &Node, name: &str) -> Player {
        Player::join(&node.players, name, Join::Match(self.id.clone())).await
    }

    async fn spectate(&self, node: &Node) -> Player {
        Player::join(&node.players, "looks on", Join::Spectate(self.id.clone())).await
    }

    async fn inspect(&self, args: &[&str]) -> String {
        let mut command = program("tickcast");
        command.args(["inspect", self.id.as_str(), "--redis", &self.redis.url()]).args(args);
        let ended = run(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    }
}

fn texts(player: &Player) -> Vec<&str> {
    player.chat.iter().map(|line| line.text.as_str()).collect()
}

async fn until_heard(player: &mut Player, lines: usize) {
    let what = format!("{lines} lines are heard");
    player.follow_until(WITHIN, &what, |player| player.chat.len() >= lines).await;
}

#[tokio::test]
async fn everybody_hears_the_same_and_whoever_comes_later_on_another_node_is_told_before() {
    let cluster = Cluster::start("tickcast").await;
    let mut near = cluster.join(&cluster.owner, "near").await;
    let mut far = cluster.join(&cluster.other, "far").await;
    for (number, text) in
        ["hello", "\x1b[31mred\x1b[0m\r\nnext", "<img src=x onerror=alert(1)>"].iter().enumerate()
    {
        near.say(ChatTo::Everyone, text).await;
        tokio::join!(until_heard(&mut near, number + 1), until_heard(&mut far, number + 1));
    }
    let heard = ["hello", "[31mred[0m next", "<img src=x onerror=alert(1)>"];
    assert_eq!((texts(&near), texts(&far)), (heard.into(), heard.into()));
    assert!(far.chat.iter().all(|line| line.name.as_str() == "near" && line.team == 0), "{:?}", far.chat);
    let numbers: Vec<u64> = far.chat.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2, 3]);

    let mut late = cluster.join(&cluster.other, "late").await;
    let mut looks_on = cluster.spectate(&cluster.other).await;
    tokio::join!(until_heard(&mut late, 3), until_heard(&mut looks_on, 3));
    assert_eq!((&late.chat, &looks_on.chat), (&far.chat, &far.chat));

    let shown: Value = serde_json::from_str(&cluster.inspect(&["--json"]).await).expect("JSON");
    assert_eq!(shown["chat"][1]["text"], "[31mred[0m next", "{shown:#}");
    let shown = cluster.inspect(&[]).await;
    assert!(shown.contains("near: [31mred[0m next") && !shown.contains('\x1b'), "{shown}");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let cluster = Cluster::start("tickcast").await;
    let mut near = cluster.join(&cluster.owner, "near").await;
    let lines = CHAT_LINES_MAX + 5;
    for number in 1..=lines {
        near.say(ChatTo::Everyone, &format!("line {number}")).await;
        until_heard(&mut near, number).await;
    }
    let mut late = cluster.join(&cluster.other, "late").await;
    until_heard(&mut late, CHAT_LINES_MAX).await;
    late.follow_ticks(5, WITHIN).await;
    assert_eq!(late.chat, near.chat[5..]);
    let stored: Vec<String> = cluster.redis.command(&["HKEYS", &fields::key(&cluster.id)]).await;
    let is_line = |name: &&String| name.strip_prefix("~c").is_some_and(|slot| slot.parse::<u64>().is_ok());
    assert_eq!(stored.iter().filter(is_line).count(), CHAT_LINES_MAX, "{stored:?}");
}

#[tokio::test]
async fn what_is_said_to_a_team_is_for_its_players_alone_also_later() {
    let cluster = Cluster::start("teams").await;
    let mut alone = cluster.join(&cluster.owner, "alone").await;
    let mut red = cluster.join(&cluster.owner, "red").await;
    let mut blue = cluster.join(&cluster.owner, "blue").await;
    let mut far_red = cluster.join(&cluster.other, "far red").await;
    alone.say(ChatTo::Team, "anybody?").await;
    alone.follow_until(WITHIN, "refused", |player| !player.refused.is_empty()).await;
    assert_eq!(alone.refused, [(1, ChatRefusal::NoTeam)]);

    red.say(ChatTo::Team, "left!").await;
    until_heard(&mut far_red, 1).await;
    blue.say(ChatTo::Team, "right!").await;
    until_heard(&mut blue, 1).await;
    alone.say(ChatTo::Everyone, "done").await;
    for player in [&mut alone, &mut blue, &mut red, &mut far_red] {
        player.follow_until(WITHIN, "done", |player| texts(player).last() == Some(&"done")).await;
    }
    assert_eq!(texts(&alone), ["done"]);
    assert_eq!(texts(&red), ["left!", "done"]);
    assert_eq!(texts(&far_red), ["left!", "done"]);
    assert_eq!(texts(&blue), ["right!", "done"]);

    let mut late_blue = cluster.join(&cluster.other, "late blue").await;
    let mut looks_on = cluster.spectate(&cluster.other).await;
    tokio::join!(until_heard(&mut late_blue, 2), until_heard(&mut looks_on, 1));
    tokio::join!(late_blue.follow_ticks(5, WITHIN), looks_on.follow_ticks(5, WITHIN));
    assert_eq!(texts(&late_blue), ["right!", "done"]);
    assert_eq!(texts(&looks_on), ["done"]);
}

#[tokio::test]
async fn what_was_said_outlives_its_owner_and_what_was_under_way_is_said_once() {
    let mut cluster = Cluster::start("tickcast").await;
    let mut near = cluster.join(&cluster.owner, "near").await;
    let mut far = cluster.join(&cluster.other, "far").await;
    near.say(ChatTo::Everyone, "before").await;
    tokio::join!(until_heard(&mut near, 1), until_heard(&mut far, 1));

    // These reach its system, and it is never heard of them.
    cluster.owner.stop();
    near.say(ChatTo::Everyone, "over a dead connection").await;
    far.say(ChatTo::Everyone, "to a dead owner").await;
    far.say(ChatTo::Everyone, "and again").await;
    cluster.owner.kill9();
    let url = cluster.other.players.clone();
    near.resume(&url).await;
    tokio::join!(until_heard(&mut near, 4), until_heard(&mut far, 4));
    tokio::join!(near.follow_ticks(60, WITHIN), far.follow_ticks(60, WITHIN));
    assert_eq!(near.chat, far.chat, "all in one order");
    assert_eq!(texts(&far)[0], "before");
    let of = |name: &str| {
        let said = far.chat.iter().filter(|line| line.name.as_str() == name);
        said.map(|line| line.text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("near"), ["before", "over a dead connection"]);
    assert_eq!(of("far"), ["to a dead owner", "and again"]);
    let mut late = cluster.join(&cluster.other, "late").await;
    until_heard(&mut late, 4).await;
    assert_eq!(late.chat, far.chat);
}

#[tokio::test]
async fn bots_chat_and_every_line_arrives_at_everybody_once_and_in_order() {
    let cluster = Cluster::start("tickcast").await;
    let urls = [&*cluster.owner.players, &*cluster.other.players];
    let run =
        bots(&urls, &["--chat", "--matches", "2", "--players", "4", "--spectators", "1", "--seconds", "5"])
            .await;
    assert!(run.status.success(), "{}", run.output);
    let checks = &run.json["checks"];
    assert!(checks["chat_lines"].as_u64() >= Some(20), "{:#}", run.json);
    for count in ["chat_missing", "chat_mismatches", "chat_unheard"] {
        assert_eq!(checks[count], 0, "{count}: {:#}", run.json);
    }
}
