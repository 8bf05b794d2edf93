//! who one is, where one wants to, what one is called, and coming and going without end.

use futures_util::future::join_all;
use harness::http::{create_match, request};
use harness::player::{Player, Socket};
use harness::raw::{Raw, frame};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};

use super::{HONEST, Siege, WITHIN};

/// Clients that come and go.
const CHURN: usize = 200;
/// Memory that may be taken for them and is not given back, kilobytes.
const GROWTH_KB_MAX: u64 = 16 * 1024;
/// Names that do more than name somebody, of at most 24 bytes.
const NAMES: [&str; 9] = [
    "<b onclick=x>&amp;</b>",
    "<script>1</script>",
    "\u{1b}[31mred\u{1b}[0m\u{7}",
    "a\nlevel=ERROR b",
    "a\r\nb\t\0c",
    "\u{202e}drowssap",
    "\u{200b}\u{200d}\u{feff}",
    "${jndi:ldap://x}",
    "'; DROP TABLE x;--",
];

fn hello(join: Join) -> Vec<u8> {
    let name = "somebody".to_owned();
    ClientMessage::Hello { protocol: PROTOCOL_VERSION, name, join, ticket: String::new() }.to_frame()
}

#[tokio::test]
async fn a_29_who_comes_and_goes_without_end_leaves_nothing() {
    let siege = Siege::begin(&["--resume-seconds", "1"]).await;
    let authority = siege.authority();
    let (connections, before) = (siege.node.metric("connections").await, siege.resident_kb());
    siege
        .bears(async {
            let come_and_go = |number: usize| {
                let (authority, id) = (authority.clone(), siege.id.clone());
                async move {
                    let mut raw = Raw::open(&authority).await;
                    let join = if number.is_multiple_of(2) { Join::Match(id) } else { Join::Spectate(id) };
                    raw.send(&frame(0x82, &hello(join))).await.expect("sent");
                    match number % 4 {
                        // Gone before it can be in, or at once after; it may be told that the match is full.
                        0 | 1 => {}
                        _ => drop(raw.frame().await),
                    }
                }
            };
            for batch in 0..CHURN / 20 {
                join_all((0..20).map(|number| come_and_go(20 * batch + number))).await;
            }
            siege.node.until_metric("connections", WITHIN, |open| open == connections).await;
        })
        .await;
    let mut honest = siege.honest.lock().await;
    let alone = |player: &Player| {
        let world = player.replica().world();
        world.count(world.schema().player_kind()) == HONEST
    };
    honest[0].follow_until(WITHIN, "those who went have no place any more", alone).await;
    let grown = siege.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_30_nobody_acts_for_another() {
    let siege = Siege::begin(&[]).await;
    let join = Join::Match(siege.id.clone());
    let mut victim = Player::join(&siege.node.players, "victim", join.clone()).await;
    victim.plays = false;
    let mut rogue = Player::join(&siege.node.players, "rogue", join.clone()).await;
    rogue.plays = false;
    siege
        .bears(async {
            let settled = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
            victim.follow_until(WITHIN, "all of the victim counts", settled).await;
            let before = victim.acknowledged();
            // Numbers that would be the victim's next.
            let act = async {
                rogue.follow_ticks(5, WITHIN).await;
                for _ in 0..20 {
                    rogue.press(1).await;
                    rogue.follow_ticks(1, WITHIN).await;
                }
            };
            victim.follow_while(act).await;
            victim.follow_ticks(10, WITHIN).await;
            assert_eq!(victim.acknowledged(), before, "nobody acted for it");
            let player = victim.client().joined().and_then(|joined| joined.player()).expect("a player");
            let mut named = ClientMessage::NeedSnapshot.to_frame();
            named.extend(player.0.to_le_bytes());
            let mut raw = Raw::open(siege.node.authority()).await;
            raw.send(&frame(0x82, &hello(join))).await.expect("sent");
            raw.until_frame(0x82).await;
            raw.send(&frame(0x82, &named)).await.expect("sent");
            let close = raw.closed(WITHIN).await.expect("a close frame");
            assert_eq!(close.code, 4500, "a message has no place for a player: {close:?}");
        })
        .await;
    assert_eq!((victim.breaks, rogue.breaks), (vec![], vec![]));
}

#[tokio::test]
async fn a_31_names_of_matches_are_letters_and_digits() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let tricks =
        ["a{b}cdef", "{abcdefg", "abc*efgh", "abc?efgh", "abc:efgh", "abc\0efgh", "../../et", "abc\nefgh"];
    let more = ["abc efgh", "abcé123", "a\u{202e}bcdef"[..9].as_ref(), "abc%00fg", "abc'efgh", "abc\"efgh"];
    siege
        .bears(async {
            for trick in tricks.iter().chain(&more) {
                let place: MatchId = "x".repeat(trick.len()).parse().expect("an id");
                let bytes = hello(Join::Match(place.clone()));
                let at = bytes.windows(trick.len()).position(|window| window == place.as_str().as_bytes());
                let mut bytes = bytes.clone();
                bytes[at.expect("the id is in it")..][..trick.len()].copy_from_slice(trick.as_bytes());
                let mut raw = Raw::open(&authority).await;
                raw.send(&frame(0x82, &bytes)).await.expect("sent");
                let close = raw.closed(WITHIN).await.expect("a close frame");
                assert!([4500, 4504].contains(&close.code), "{trick:?}: {close:?}");
                let shown = close.reason.chars().all(|c| c.is_ascii_graphic() || c == ' ');
                assert!(shown && !close.reason.contains(trick), "nothing of it comes back: {close:?}");
                let body = json!({ "id": trick }).to_string();
                let answer = request(&authority, "POST", "/v1/matches", &body).await;
                assert_eq!(answer.status, 400, "{trick:?}: {answer:?}");
                let escaped: String = trick.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let answer = request(&authority, "GET", &format!("/v1/matches/{escaped}"), "").await;
                assert_eq!(answer.status, 404, "{trick:?}: {answer:?}");
            }
            let body = json!({ "id": "x".repeat(33) }).to_string();
            assert_eq!(request(&authority, "POST", "/v1/matches", &body).await.status, 400);
            let body = json!({ "id": "x".repeat(1 << 20) }).to_string();
            let mut raw = Raw::connect(&authority).await;
            let head = format!(
                "POST /v1/matches HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = raw.send(head.as_bytes()).await;
            let _ = raw.send(body.as_bytes()).await;
            if let Some(head) = raw.head().await {
                assert_eq!(head.status, 413, "{head:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_32_ids_are_drawn_and_what_is_not_there_looks_like_what_may_not_be_seen() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut ids = Vec::new();
            for _ in 0..20 {
                ids.push(create_match(&authority, &json!({ "game": "arena" })).await.as_str().to_owned());
            }
            let mut different = ids.clone();
            different.sort();
            different.dedup();
            assert!(different.len() == 20 && ids != different, "drawn, not counted: {ids:?}");
            assert!(ids.iter().all(|id| id.len() == 12), "{ids:?}");
            let gone = request(&authority, "GET", "/v1/matches/nowhere", "").await;
            let wrong = request(&authority, "GET", "/v1/matches/no%20where", "").await;
            assert_eq!((gone.status, gone.body), (wrong.status, wrong.body));
            let nowhere = Join::Match("nowhere".parse().expect("an id"));
            let mut socket = Socket::open(&siege.node.players).await;
            socket.hello(nowhere).await;
            let close = socket.closed(WITHIN).await;
            assert_eq!((close.code, close.reason.as_str()), (4504, "no such match"));
        })
        .await;
}

#[tokio::test]
async fn a_35_names_are_plain_text_wherever_they_are_shown() {
    let siege = Siege::begin(&["--log", "debug"]).await;
    let players = siege.node.players.clone();
    siege
        .bears(async {
            let joins = NAMES.map(|name| Player::join(&players, name, Join::Match(siege.id.clone())));
            let named = join_all(joins).await;
            let path = format!("/v1/matches/{}/entities?kind=player", siege.id);
            let rows = siege.node.ask_operators(&path).await.json();
            let at = rows["fields"].as_array().expect("names").iter().position(|name| name == "name");
            let at = at.expect("a player has a name");
            let entities = rows["entities"].as_array().expect("rows");
            let names: Vec<&str> = entities.iter().filter_map(|row| row["values"][at].as_str()).collect();
            assert!(names.len() == NAMES.len() + HONEST, "{names:?}");
            for name in &names {
                let plain = tickcast_protocol::chat::plain(name);
                assert!(*name == plain && !name.is_empty(), "{name:?}");
            }
            assert!(names.contains(&NAMES[1]), "a page escapes it: {names:?}");
            assert!(names.contains(&"player"), "one that has nothing to be seen is named: {names:?}");
            drop(named);
            let page = siege.node.ask_operators("/").await;
            let policy = page.header("content-security-policy").expect("a policy");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        })
        .await;
    let output = siege.node.output();
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(!output.contains(strange) && !output.contains("err level=ERROR"), "{output}");
}

#[tokio::test]
async fn a_36_no_name_of_a_match_or_player_is_a_label() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let lines = async || {
        let metrics = siege.node.ask_operators("/metrics").await.body;
        (metrics.lines().count(), metrics)
    };
    let (before, _) = lines().await;
    siege
        .bears(async {
            for number in 0..30 {
                let body = json!({ "game": "arena", "id": format!("label-{number}") });
                create_match(&authority, &body).await;
            }
            Player::join(&siege.node.players, "label-name", Join::Match(siege.id.clone()))
                .await
                .leave()
                .await;
        })
        .await;
    let (after, metrics) = lines().await;
    assert!(after == before && !metrics.contains("label-"), "{metrics}");
}
