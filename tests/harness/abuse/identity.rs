//! who one is, where one wants to, what one is called, and coming and going without end.

use futures_util::future::join_all;
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::chat::plain;
use tickcast_protocol::message::{ClientMessage, Join};

use super::{Target, WITHIN, hello};
use crate::http::create_match;
use crate::player::Player;
use crate::raw::frame;

/// Names that do more than name somebody, of at most 24 bytes.
pub const NAMES: [&str; 9] = [
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

/// so many clients come and go, 20 at once: players and others in turn, half of them gone before they can be in.
///
/// # Panics
/// When they cannot even connect.
pub async fn come_and_go(target: &Target, count: usize) {
    let come_and_go = async |number: usize| {
        let mut raw = target.open().await;
        let id = target.id.clone();
        let join = if number.is_multiple_of(2) { Join::Match(id) } else { Join::Spectate(id) };
        raw.send(&frame(0x82, &hello("somebody", join))).await.expect("sent");
        match number % 4 {
            // Gone before it can be in, or at once after; it may be told that the match is full.
            0 | 1 => {}
            _ => drop(raw.frame().await),
        }
    };
    for batch in 0..count / 20 {
        join_all((0..20).map(|number| come_and_go(20 * batch + number))).await;
    }
}

/// Waits until the node has no more than so many connections.
///
/// # Panics
/// When those that are gone are not forgotten.
pub async fn all_gone(target: &Target, connections: u64) {
    target.node.until_metric("connections", WITHIN, |open| open <= connections).await;
}

/// a player sends numbers that would be another one's next, and names the other one behind a message.
///
/// # Panics
/// When that counts for the other one.
pub async fn spoofing(target: &Target) {
    let join = Join::Match(target.id.clone());
    let mut victim = target.join("victim", join.clone()).await;
    victim.plays = false;
    let mut rogue = target.join("rogue", join.clone()).await;
    rogue.plays = false;
    let settled = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    victim.follow_until(WITHIN, "all of the victim counts", settled).await;
    let before = victim.acknowledged();
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
    let mut raw = target.open().await;
    raw.send(&frame(0x82, &hello("somebody", join))).await.expect("sent");
    raw.until_frame(0x82).await;
    raw.send(&frame(0x82, &named)).await.expect("sent");
    let close = raw.closed(WITHIN).await.expect("a close frame");
    assert_eq!(close.code, 4500, "a message has no place for a player: {close:?}");
    assert_eq!((&victim.breaks, &rogue.breaks), (&vec![], &vec![]));
    tokio::join!(victim.leave(), rogue.leave());
}

/// ids of matches that are none, over the WebSocket and over HTTP.
///
/// # Panics
/// When one is taken, or comes back.
pub async fn odd_ids(target: &Target) {
    let tricks =
        ["a{b}cdef", "{abcdefg", "abc*efgh", "abc?efgh", "abc:efgh", "abc\0efgh", "../../et", "abc\nefgh"];
    let more = ["abc efgh", "abcé123", "a\u{202e}bcdef"[..9].as_ref(), "abc%00fg", "abc'efgh", "abc\"efgh"];
    for trick in tricks.iter().chain(&more) {
        let place: MatchId = "x".repeat(trick.len()).parse().expect("an id");
        let mut bytes = hello("somebody", Join::Match(place.clone()));
        let at = bytes.windows(trick.len()).position(|window| window == place.as_str().as_bytes());
        bytes[at.expect("the id is in it")..][..trick.len()].copy_from_slice(trick.as_bytes());
        let mut raw = target.open().await;
        raw.send(&frame(0x82, &bytes)).await.expect("sent");
        let close = raw.closed(WITHIN).await.expect("a close frame");
        assert!([4500, 4504].contains(&close.code), "{trick:?}: {close:?}");
        let shown = close.reason.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        assert!(shown && !close.reason.contains(trick), "nothing of it comes back: {close:?}");
        let body = json!({ "id": trick }).to_string();
        assert_eq!(target.ask("POST", "/v1/matches", "", &body).await.0, 400, "{trick:?}");
        let escaped: String = trick.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let (status, body) = target.ask("GET", &format!("/v1/matches/{escaped}"), "", "").await;
        assert_eq!(status, 404, "{trick:?}: {body}");
    }
    let long = json!({ "id": "x".repeat(33) }).to_string();
    assert_eq!(target.ask("POST", "/v1/matches", "", &long).await.0, 400);
    let huge = json!({ "id": "x".repeat(1 << 20) }).to_string();
    let status = target.ask("POST", "/v1/matches", "", &huge).await.0;
    // The node may have closed before it could be read.
    assert!([0, 413].contains(&status), "{status}");
}

/// asks for matches that there are not and such that there cannot be.
///
/// # Panics
/// When one tells more than the other.
pub async fn guesses(target: &Target) {
    let gone = target.ask("GET", "/v1/matches/nowhere", "", "").await;
    assert_eq!(gone, target.ask("GET", "/v1/matches/no%20where", "", "").await);
    assert_eq!(gone.0, 404, "{}", gone.1);
    let nowhere = Join::Match("nowhere".parse().expect("an id"));
    let mut socket = target.socket().await;
    socket.hello(nowhere).await;
    let close = socket.closed(WITHIN).await;
    assert_eq!((close.code, close.reason.as_str()), (4504, "no such match"));
}

/// players of such names, besides so many others whose match it is.
///
/// # Panics
/// When one is shown to operators as anything but plain text.
pub async fn odd_names(target: &Target, others: usize) {
    let joins = NAMES.map(|name| target.join(name, Join::Match(target.id.clone())));
    let named = join_all(joins).await;
    let path = format!("/v1/matches/{}/entities?kind=player", target.id);
    let rows = target.node.ask_operators(&path).await.json();
    let at = rows["fields"].as_array().expect("names").iter().position(|name| name == "name");
    let at = at.expect("a player has a name");
    let entities = rows["entities"].as_array().expect("rows");
    let names: Vec<&str> = entities.iter().filter_map(|row| row["values"][at].as_str()).collect();
    assert!(names.len() == NAMES.len() + others, "{names:?}");
    for name in &names {
        assert!(*name == plain(name) && !name.is_empty(), "{name:?}");
    }
    assert!(names.contains(&NAMES[1]), "a page escapes it: {names:?}");
    assert!(names.contains(&"player"), "one that has nothing to be seen is named: {names:?}");
    join_all(named.into_iter().map(Player::leave)).await;
    let page = target.node.ask_operators("/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

/// matches with so many ids of one's own, beginning like this.
///
/// # Panics
/// When one is a label, or there are more metrics than before.
pub async fn labels(target: &Target, begin: &str, count: usize) {
    let metrics = async || target.node.ask_operators("/metrics").await.body;
    let before = metrics().await.lines().count();
    let mut id = target.id.clone();
    for number in 0..count {
        let body = json!({ "game": "arena", "id": format!("{begin}-{number}") });
        id = create_match(target.authority(), &body).await;
    }
    let player = target.join(&format!("{begin}-name"), Join::Match(id)).await;
    let after = metrics().await;
    player.leave().await;
    assert!(after.lines().count() == before && !after.contains(begin), "{after}");
}
