//! What a client must not do, over real sockets: each is told the close code or the status, and why, and nobody
//! else notices.

use std::time::Duration;

use harness::http::{Answer, create_match, request};
use harness::player::{Close, Player, Socket};
use harness::process::{Node, NodeOptions};
use serde_json::json;
use tickcast_protocol::limits::CLIENT_FRAME_BYTES_MAX;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION, ServerMessage};
use tickcast_protocol::{InputSeq, MatchId, Tick};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// For what takes a round trip or a few ticks, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// Longer than a connection may take to say hello, which is 5 s.
const HELLO_WITHIN: Duration = Duration::from_secs(8);
/// More messages than any match's rate allows in a moment.
const FLOOD: u32 = 500;

/// A node and a match on it in which an honest player is.
struct Place {
    node: Node,
    id: MatchId,
}

impl Place {
    async fn open() -> Place {
        let node = Node::start(NodeOptions::default()).await;
        let id = create_match(node.authority(), &json!({})).await;
        Place { node, id }
    }

    async fn socket(&self) -> Socket {
        Socket::open(&self.node.players).await
    }

    /// A socket that has been welcomed.
    async fn welcomed(&self, join: Join) -> Socket {
        let mut socket = self.socket().await;
        socket.hello(join).await;
        let first = socket.next().await.expect("a welcome");
        let welcome = ServerMessage::from_frame(&first).expect("the first frame is a control frame");
        assert!(matches!(welcome, ServerMessage::Welcome { .. }), "{welcome:?}");
        socket
    }

    fn player(&self) -> Join {
        Join::Match(self.id.clone())
    }

    /// What a new connection is told that opens with this.
    async fn opens_with(&self, message: Message) -> Close {
        let mut socket = self.socket().await;
        socket.send(message).await;
        socket.closed(WITHIN).await
    }

    async fn says_hello(&self, join: Join) -> Close {
        let mut socket = self.socket().await;
        socket.hello(join).await;
        socket.closed(WITHIN).await
    }

    /// What a member is told that sends this.
    async fn goes_on_with(&self, join: Join, messages: Vec<Message>) -> Close {
        let mut socket = self.welcomed(join).await;
        for message in messages {
            socket.send(message).await;
        }
        socket.closed(WITHIN).await
    }

    async fn http(&self, method: &str, path: &str, body: &str) -> Answer {
        request(self.node.authority(), method, path, body).await
    }
}

/// That a connection was closed with this code, for this reason.
#[track_caller]
fn told(close: Close, code: u16, reason: &str) {
    assert!(close.code == code && close.reason.contains(reason), "{close:?}, not {code} {reason}");
}

fn binary(message: &ClientMessage) -> Message {
    Message::binary(message.to_frame())
}

fn hello(protocol: u16, name: &str) -> Message {
    let join = Join::Quick { game: String::new() };
    let ticket = String::new();
    binary(&ClientMessage::Hello { protocol, name: name.to_owned(), join, ticket })
}

fn input(seq: u32, values: &[i32]) -> Message {
    let values = values.to_vec();
    binary(&ClientMessage::Input { seq: InputSeq(seq), seen: Tick(1), behind: 0, values: values.into() })
}

/// Runs what wrong clients do while an honest player follows a match, and sees that it follows without a break.
async fn beside_an_honest_player(place: &Place, wrong: impl Future<Output = ()>) {
    let mut honest = Player::join(&place.node.players, "honest", place.player()).await;
    let follow = async {
        loop {
            honest.advance().await.expect("nobody closes an honest player");
        }
    };
    tokio::select! {
        () = wrong => {}
        () = follow => {}
    }
    let before = honest.ticks;
    let sent = honest.client().last_seq();
    let applied = |honest: &Player| {
        let acknowledged = honest.client().joined().and_then(|joined| joined.acknowledged());
        honest.ticks > before + 10 && acknowledged > Some(sent)
    };
    honest.follow_until(WITHIN, "the honest player goes on, and its inputs count", applied).await;
    assert_eq!(honest.breaks, [""; 0]);
}

#[tokio::test]
async fn wrong_openings_are_refused_and_nobody_else_notices() {
    let place = Place::open().await;
    let nowhere: MatchId = "nowhere".parse().expect("an id");
    let openings = async {
        let spoken = format!("this server speaks protocol {PROTOCOL_VERSION}, the client 1");
        told(place.opens_with(hello(1, "old")).await, 4503, &spoken);
        told(place.says_hello(Join::Match(nowhere.clone())).await, 4504, "no such match");
        told(place.says_hello(Join::Spectate(nowhere.clone())).await, 4504, "no such match");
        told(place.says_hello(Join::Quick { game: "chess".to_owned() }).await, 4504, "there is: arena");
        let malformed: [&[u8]; 5] = [b"", &[9], &[1], &[1, 0xfe], &[1, 0, PROTOCOL_VERSION as u8, 250, b'x']];
        for frame in malformed {
            told(place.opens_with(Message::binary(frame.to_vec())).await, 4500, "");
        }
        let mut longer = ClientMessage::Leave.to_frame();
        longer.push(0);
        told(place.opens_with(Message::binary(longer)).await, 4500, "");
        told(place.opens_with(hello(PROTOCOL_VERSION, &"x".repeat(25))).await, 4500, "name is too long");
        told(place.opens_with(input(1, &[])).await, 4500, "the first message is a hello");
        told(place.opens_with(Message::text("hello")).await, 1003, "send binary");
        for bytes in [CLIENT_FRAME_BYTES_MAX + 1, 100 * CLIENT_FRAME_BYTES_MAX] {
            told(place.opens_with(Message::binary(vec![1; bytes])).await, 1009, "frame too big");
        }
    };
    let silence = async {
        told(place.socket().await.closed(HELLO_WITHIN).await, 4502, "no hello in time");
    };
    beside_an_honest_player(&place, async {
        tokio::join!(openings, silence);
    })
    .await;
}

#[tokio::test]
async fn members_that_break_the_rules_are_put_out_and_nobody_else_notices() {
    let place = Place::open().await;
    let watcher = Join::Spectate(place.id.clone());
    beside_an_honest_player(&place, async {
        let close = place.goes_on_with(place.player(), vec![hello(PROTOCOL_VERSION, "again")]).await;
        told(close, 4500, "a second hello");
        let close = place.goes_on_with(place.player(), vec![Message::binary(vec![1, 77])]).await;
        told(close, 4500, "");
        let close = place.goes_on_with(place.player(), vec![Message::text("go left")]).await;
        told(close, 1003, "send binary");
        let close = place.goes_on_with(place.player(), vec![Message::binary(vec![1; 2000])]).await;
        told(close, 1009, "frame too big");
        let close = place.goes_on_with(place.player(), vec![input(1, &[i32::MAX; 5])]).await;
        told(close, 4500, "do not fit the schema");
        let close = place.goes_on_with(watcher.clone(), vec![input(1, &[])]).await;
        told(close, 4500, "spectators send no input");

        let member = Player::join(&place.node.players, "member", place.player()).await;
        let fields = member.replica().world().schema().input().len();
        let flood = (1..=FLOOD).map(|seq| input(seq, &vec![0; fields])).collect();
        told(place.goes_on_with(place.player(), flood).await, 4005, "too many messages");
        let flood = (0..FLOOD).map(|nonce| binary(&ClientMessage::Ping { nonce })).collect();
        told(place.goes_on_with(watcher.clone(), flood).await, 4005, "too many messages");
        let flood = (0..FLOOD).map(|_| Message::Ping(b"there?".to_vec().into())).collect();
        told(place.goes_on_with(watcher.clone(), flood).await, 4005, "too many messages");
    })
    .await;
}

#[tokio::test]
async fn a_full_match_takes_no_third_player() {
    let place = Place::open().await;
    let id = create_match(place.node.authority(), &json!({ "options": { "players_max": 2 } })).await;
    let join = Join::Match(id.clone());
    let mut first = Player::join(&place.node.players, "first", join.clone()).await;
    let second = Player::join(&place.node.players, "second", join.clone()).await;
    told(place.says_hello(join.clone()).await, 4505, "full: 2 players");
    Player::join(&place.node.players, "watcher", Join::Spectate(id)).await.leave().await;

    first.follow_until(WITHIN, "the second player is there", |first| players(first) == 2).await;
    second.leave().await;
    first.follow_until(WITHIN, "the second player is gone", |first| players(first) == 1).await;
    assert_eq!(first.breaks, [""; 0]);
    assert_eq!(players(&Player::join(&place.node.players, "third", join).await), 2);
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let place = Place::open().await;
    let goodbye = || Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() }));
    told(place.opens_with(goodbye()).await, 1000, "");
    told(place.goes_on_with(place.player(), vec![goodbye()]).await, 1000, "");
    told(place.goes_on_with(place.player(), vec![binary(&ClientMessage::Leave)]).await, 1000, "bye");
}

#[tokio::test]
async fn who_closes_without_leaving_keeps_the_place() {
    let place = Place::open().await;
    let player = Player::join(&place.node.players, "reloads", place.player()).await;
    let (entity, join) = (player.client().joined().and_then(|joined| joined.entity()), player.resume_join());
    player.close().await;
    let mut again = Player::join(&place.node.players, "reloads", join).await;
    again.follow_ticks(30, WITHIN).await;
    assert_eq!(again.client().joined().and_then(|joined| joined.entity()), entity);
    assert!(again.acknowledged() > Some(InputSeq(0)), "and it plays on");
}

/// Players in the state that this one has.
fn players(player: &Player) -> usize {
    let world = player.replica().world();
    world.count(world.schema().player_kind())
}

#[tokio::test]
async fn requests_that_make_no_sense_are_told_what_would() {
    let place = Place::open().await;
    let not_found = "there is nothing here";
    let cases = [
        ("GET", "/ws", "", 426, "connect with a WebSocket client"),
        ("POST", "/ws", "", 405, "allowed here: GET"),
        ("GET", "/nothing", "", 404, not_found),
        ("GET", "/v2/matches", "", 404, not_found),
        ("GET", "/metrics", "", 404, not_found),
        ("GET", "/v1/matches/nowhere", "", 404, "no such match"),
        ("GET", "/v1/matches/no%20where", "", 404, "no such match"),
        ("DELETE", "/v1/matches", "", 405, "allowed here: GET, POST"),
        ("POST", "/v1/matches", "{\"game\":", 400, "EOF while parsing"),
        ("POST", "/v1/matches", "[]", 400, "not a match to create"),
        ("POST", "/v1/matches", r#"{"gaem":"arena"}"#, 400, "unknown field `gaem`"),
        ("POST", "/v1/matches", r#"{"id":"a b"}"#, 400, "A-Z"),
        ("POST", "/v1/matches", r#"{"tick_rate":500}"#, 400, "500"),
        ("POST", "/v1/matches", r#"{"tick_rate":5}"#, 400, "tick_rate 10 to 128"),
        ("POST", "/v1/matches", r#"{"options":{"drones":901}}"#, 400, "drones 0 to 900"),
        ("POST", "/v1/matches", r#"{"options":{"gravity":1}}"#, 400, "arena takes no gravity = 1, but"),
        ("POST", "/v1/matches", r#"{"options":{"drones":"many"}}"#, 400, "invalid type"),
        ("POST", "/v1/matches", r#"{"game":"chess"}"#, 404, "no game `chess` here; there is: arena"),
    ];
    beside_an_honest_player(&place, async {
        for (method, path, body, status, text) in cases {
            let answer = place.http(method, path, body).await;
            assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
            assert!(answer.error().contains(text), "{method} {path} {body}: {answer:?}, not {text}");
        }
        let taken = json!({ "id": place.id }).to_string();
        let answer = place.http("POST", "/v1/matches", &taken).await;
        assert!(answer.status == 400 && answer.error().contains("exists already"), "{answer:?}");
        let long = format!("{{\"game\":\"{}\"}}", "x".repeat(20_000));
        let answer = place.http("POST", "/v1/matches", &long).await;
        assert!(answer.status == 413 && answer.error().contains("too long"), "{answer:?}");
        let answer = place.http("GET", "/ws", "").await;
        assert!(answer.head.to_lowercase().contains("\r\nupgrade: websocket"), "{answer:?}");
    })
    .await;
}
