//! Every control message.

use tickcast_protocol::chat::{ChatLine, ChatName, ChatRefusal, ChatTo};
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::ticket::{Permit, Place, Ticket, TicketId};
use tickcast_protocol::{
    Epoch, Fence, InputSeq, MatchId, NodeId, Nonce, PlayerId, Position, ResumeToken, SessionId, Tick,
    TickRate,
};

use crate::file::{Entry, File};
use crate::worlds;

pub(crate) fn file() -> File {
    let entries = client().into_iter().chain(server()).collect();
    let about = "Control frames: every message a client and a server can say. The meaning is the message\n\
                 as JSON, enums as {\"Variant\":{fields}} or \"Variant\".";
    File { name: "control.hex", about, entries }
}

fn match_id() -> MatchId {
    "duel-7Qx".parse().expect("a match id")
}

fn hello(name: &str, join: Join) -> ClientMessage {
    hello_with(name, join, "")
}

fn hello_with(name: &str, join: Join, ticket: &str) -> ClientMessage {
    let (name, ticket) = (name.to_owned(), ticket.to_owned());
    ClientMessage::Hello { protocol: PROTOCOL_VERSION, name, join, ticket }
}

/// The key of the worked example.
pub(crate) const TICKET_KEY: &str = "correct-horse-battery-staple-42!";

/// The ticket of the worked example in the document.
pub(crate) fn worked_ticket() -> Ticket {
    Ticket {
        id: TicketId(std::array::from_fn(|index| index as u8)),
        audience: "tickcast".parse().expect("an audience"),
        subject: "account-42".parse().expect("a subject"),
        permit: Permit::Play,
        place: Place::Match(match_id()),
        name: "Zoë".to_owned(),
        not_before_ms: 1_800_000_000_000,
        expires_ms: 1_800_000_060_000,
    }
}

fn client() -> Vec<Entry> {
    let input = ClientMessage::Input {
        seq: InputSeq(42),
        seen: Tick(70_000),
        behind: 384,
        values: vec![-1, 200].into(),
    };
    let extreme = ClientMessage::Input {
        seq: InputSeq(i32::MAX as u32),
        seen: Tick(1 << 40),
        behind: u16::MAX,
        values: vec![0, i32::MAX, i32::MIN, 125, -126].into(),
    };
    let quick = |game: &str| Join::Quick { game: game.to_owned() };
    [
        ("hello_quick", "a player wants to play any match of the game `duel`", hello("Zoë", quick("duel"))),
        ("hello_default", "quick play of the node's default game, without a name", hello("", quick(""))),
        ("hello_match", "play this match", hello("Bo", Join::Match(match_id()))),
        ("hello_spectate", "watch this match", hello("Bo", Join::Spectate(match_id()))),
        (
            "hello_ticket",
            "go where the ticket leads; it is the one of section 14",
            hello_with("Bo", quick(""), &worked_ticket().mint(&TICKET_KEY.parse().expect("a key"))),
        ),
        ("hello_resume", "be player 1 of this match again", hello("Bo", resume())),
        (
            "input",
            "input 42, made when tick 70000 was applied and tick 69998.5 shown: move -1, aim 200",
            input,
        ),
        ("input_extreme", "the widest numbers of an input", extreme),
        ("ping", "a ping", ClientMessage::Ping { nonce: 1000 }),
        ("need_snapshot", "the replica is broken", ClientMessage::NeedSnapshot),
        ("leave", "the player goes for good", ClientMessage::Leave),
        (
            "chat",
            "the player says something to everyone, for the third time",
            chat(ChatTo::Everyone, "hi, all 👋"),
        ),
        ("chat_team", "the player says something to the own team", chat(ChatTo::Team, "left!")),
    ]
    .map(|(name, comment, message)| {
        let json = serde_json::to_string(&message).expect("a message is JSON");
        Entry::new(name, comment, format!(r#"{{"ClientMessage":{json}}}"#), message.to_frame())
    })
    .into()
}

fn chat(to: ChatTo, text: &str) -> ClientMessage {
    ClientMessage::Chat { seq: 3, to, text: text.to_owned() }
}

/// A line of Zoë's, who is player 1.
pub(crate) fn line(number: u64, team: u32, text: &str) -> ChatLine {
    let text = text.to_owned().try_into().expect("a plain text");
    let (tick, name) = (Tick(69_000 + number), ChatName::of("Zoë"));
    ChatLine { number, tick, from: PlayerId(1), seq: 3, team, name, text }
}

/// The bytes 0xa0 to 0xaf.
fn token() -> ResumeToken {
    ResumeToken(std::array::from_fn(|index| 0xa0 + index as u8))
}

fn resume() -> Join {
    let fence = Fence { epoch: Epoch(3), nonce: Nonce(0xabcd) };
    let shown = Position { fence, tick: Tick(70_000) };
    Join::Resume { match_id: match_id(), player: PlayerId(1), token: token(), shown, attempt: 2 }
}

fn welcome(role: Role) -> ServerMessage {
    ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "a1".parse::<NodeId>().expect("a node id"),
        session: SessionId(0x0001_0203_0405_0607),
        match_id: match_id(),
        role,
        tick_rate: TickRate::default(),
        schema: worlds::duel().to_json(),
        resume: if role == Role::Spectator { ResumeToken::default() } else { token() },
        quiet_ms: 1000,
    }
}

fn server() -> Vec<Entry> {
    let history = vec![line(300, 0, "hi, all 👋"), line(301, 2, "left!")];
    let refused = ServerMessage::ChatRefused { seq: 3, reason: ChatRefusal::TooFast };
    let reconnect = |url: &str| ServerMessage::Reconnect { within_ms: 5000, url: url.to_owned() };
    [
        ("welcome_player", "let in as player 1, at 30 ticks per second", welcome(Role::Player(PlayerId(1)))),
        ("welcome_spectator", "let in as a spectator", welcome(Role::Spectator)),
        ("pong", "the answer to a ping", ServerMessage::Pong { nonce: 1000, tick: Tick(70_001) }),
        ("reset", "the state was set back", ServerMessage::Reset { from: Tick(70_010), to: Tick(70_000) }),
        ("ended", "the match ended", ServerMessage::Ended),
        ("reconnect", "connect anew within 5 seconds, to where you would anyway", reconnect("")),
        (
            "chat_line",
            "player 1 has said something to everyone",
            ServerMessage::Chat(line(300, 0, "hi, all 👋")),
        ),
        (
            "chat_line_team",
            "player 1 has said something to team 2",
            ServerMessage::Chat(line(301, 2, "left!")),
        ),
        ("chat_history", "two lines that were said before", ServerMessage::ChatHistory(history)),
        ("chat_history_empty", "nothing was said before", ServerMessage::ChatHistory(Vec::new())),
        ("chat_refused", "the third line comes too fast", refused),
        ("reconnect_url", "connect anew within 5 seconds, to this node", reconnect("ws://b1:7777/ws")),
    ]
    .map(|(name, comment, message)| {
        let json = serde_json::to_string(&message).expect("a message is JSON");
        Entry::new(name, comment, format!(r#"{{"ServerMessage":{json}}}"#), message.to_frame())
    })
    .into()
}

pub(crate) fn meaning(entry: &Entry) -> String {
    if let Ok(message) = ClientMessage::from_frame(&entry.bytes) {
        format!(r#"{{"ClientMessage":{}}}"#, serde_json::to_string(&message).unwrap())
    } else {
        let message = ServerMessage::from_frame(&entry.bytes);
        let message = message.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        format!(r#"{{"ServerMessage":{}}}"#, serde_json::to_string(&message).unwrap())
    }
}
