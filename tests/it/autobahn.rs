//! The cases of Autobahn|Testsuite, replayed by a client of our own against a node: `cases.txt` says what each sends and
//! how it has to end, and a model of the rules says so, too. Compression has no cases, for no extension is agreed to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use harness::http::create_match;
use harness::player::Close;
use harness::process::{Node, NodeOptions};
use harness::raw::{Raw, frame, upgrade_request};
use serde_json::json;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};

use self::model::{Due, judge};
use self::script::{Case, Chops, Frame, Step};

mod model;
mod script;

/// Cases that are replayed at the same time.
const AT_ONCE: usize = 32;
/// Octets that are gathered before they are given to the system, where nothing else is said.
const GATHERED: usize = 64 * 1024;
/// Within this a node ends a connection that it has closed.
const WITHIN: Duration = Duration::from_secs(10);
/// First bytes of frames.
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
const BINARY: u8 = 0x82;

fn cases() -> Vec<Case> {
    script::read(include_str!("autobahn/cases.txt"))
}

/// A node that counts nobody's octets.
async fn node() -> Node {
    let args = ["--bytes-per-second", "1000000"].map(str::to_owned).to_vec();
    Node::start(NodeOptions { args, ..NodeOptions::default() }).await
}

/// A connection in a case, and what it has heard that counts.
struct Replay<'c> {
    case: &'c Case,
    raw: Raw,
    /// Octets that wait for a chop to be whole, and how many were sent.
    waiting: Vec<u8>,
    sent: usize,
    pongs: Vec<Vec<u8>>,
    close: Option<Close>,
}

impl<'c> Replay<'c> {
    fn new(case: &'c Case, raw: Raw) -> Replay<'c> {
        Replay { case, raw, waiting: Vec::new(), sent: 0, pongs: Vec::new(), close: None }
    }

    /// Does what the case does, and sees that all that is due comes, and nothing else.
    async fn play(mut self, ours: Option<&[u8]>) {
        let steps = &self.case.steps;
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Send(frame) => self.send(frame).await,
                Step::Wait => {
                    self.flush().await;
                    let due = judge(frames(&steps[..number]), ours).pongs.len();
                    self.listen(due).await;
                }
            }
            if self.close.is_some() {
                break;
            }
        }
        self.flush().await;
        let mut due = judge(frames(steps), ours);
        if due.close.is_none() {
            // It goes on: it is still there, and says goodbye when it is told so.
            let last = b"are you there?";
            let goodbye = [frame(0x89, last), frame(CLOSE, &1000_u16.to_be_bytes())].concat();
            let _ = self.raw.send(&goodbye).await;
            due = Due { pongs: [due.pongs, vec![last.to_vec()]].concat(), close: Some(1000) };
        }
        self.listen(usize::MAX).await;
        let number = &self.case.number;
        assert_eq!(self.close.as_ref().map(|close| close.code), due.close, "{number}: {:?}", self.close);
        assert_eq!(self.pongs, due.pongs, "{number}: the answers to its pings");
        let rest = self.raw.rest(WITHIN).await;
        assert!(rest.is_empty(), "{number}: behind the close frame come {} octets", rest.len());
    }

    async fn send(&mut self, frame: &Frame) {
        for octets in frame.octets() {
            self.waiting.extend(octets);
            let size = match &self.case.chops {
                Chops::By(size) => *size,
                Chops::At(_) | Chops::Whole | Chops::Frames => GATHERED,
            };
            while self.waiting.len() >= size && self.close.is_none() {
                let behind = self.waiting.split_off(size);
                self.flush().await;
                self.waiting = behind;
            }
        }
        if self.case.chops == Chops::Frames {
            self.flush().await;
        }
    }

    /// Gives what waits to the system.
    async fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = waiting.as_slice();
        if let Chops::At(ends) = &self.case.chops {
            for end in ends {
                let (chop, behind) = rest.split_at(rest.len().min(end.saturating_sub(self.sent)));
                self.give(chop).await;
                rest = behind;
            }
        }
        self.give(rest).await;
    }

    /// A node that has closed takes no more: what it said before counts.
    async fn give(&mut self, octets: &[u8]) {
        if self.close.is_none() && !octets.is_empty() {
            let _ = self.raw.send_and_listen(octets).await;
            self.sent += octets.len();
            self.take_heard();
        }
    }

    /// Reads until so many pings are answered or the connection is closed.
    async fn listen(&mut self, pongs: usize) {
        self.take_heard();
        while self.pongs.len() < pongs && self.close.is_none() && self.raw.read_more().await {
            self.take_heard();
        }
    }

    fn take_heard(&mut self) {
        while self.close.is_none()
            && let Some((first, payload)) = self.raw.take_frame()
        {
            match (first, payload.split_first_chunk()) {
                (PONG, _) => self.pongs.push(payload),
                (CLOSE, Some((code, reason))) => {
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    self.close = Some(Close { code: u16::from_be_bytes(*code), reason });
                }
                // What a match's spectators are told.
                (BINARY, _) => {}
                _ => panic!("{}: a frame that nobody asked for: {first:#x} {payload:?}", self.case.number),
            }
        }
    }
}

fn frames(steps: &[Step]) -> impl Iterator<Item = &Frame> {
    steps.iter().filter_map(|step| match step {
        Step::Send(frame) => Some(frame),
        Step::Wait => None,
    })
}

#[test]
fn the_list_is_whole_and_the_model_is_of_one_mind_with_it() {
    let cases = cases();
    let mut chapters: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *chapters.entry(case.number.split('.').next().unwrap_or_default()).or_default() += 1;
        assert_eq!(judge(frames(&case.steps), None).close, case.end, "{}", case.number);
    }
    let counted =
        [("1", 16), ("10", 1), ("2", 11), ("3", 7), ("4", 10), ("5", 20), ("6", 145), ("7", 37), ("9", 54)];
    assert_eq!(chapters, BTreeMap::from(counted));
    let numbers: BTreeSet<&str> = cases.iter().map(|case| case.number.as_str()).collect();
    assert_eq!(numbers.len(), 301, "each once");
}

#[tokio::test]
async fn every_case_of_autobahn_ends_as_it_has_to() {
    let (node, cases) = (node().await, cases());
    let authority = node.authority();
    let replays = stream::iter(&cases).map(|case| async move {
        Replay::new(case, Raw::open(authority).await).play(None).await;
    });
    replays.buffer_unordered(AT_ONCE).collect::<()>().await;
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// The case with messages of ours in the places of its texts, in as many pieces; `None` where there is none.
fn with_ours(case: &Case, ours: &[u8]) -> Option<Case> {
    let mut changed = case.clone();
    let mut at = 0;
    let mut count = 0;
    while at < changed.steps.len() {
        let begins = matches!(&changed.steps[at], Step::Send(frame) if frame.opcode == 1);
        if begins {
            let pieces = pieces_of_message(&changed.steps, at);
            for (number, piece) in pieces.iter().enumerate() {
                let is_last = number + 1 == pieces.len();
                let payload =
                    if is_last { &ours[number.min(ours.len())..] } else { ours.get(number..=number)? };
                if let Step::Send(frame) = &mut changed.steps[*piece] {
                    *frame = frame.with(if number == 0 { 2 } else { 0 }, payload);
                }
            }
            count += 1;
        }
        at += 1;
    }
    (count > 0).then_some(changed)
}

/// Where the pieces of the message stand that begins there.
fn pieces_of_message(steps: &[Step], at: usize) -> Vec<usize> {
    let mut pieces = Vec::new();
    for (number, step) in steps.iter().enumerate().skip(at) {
        let Step::Send(frame) = step else { continue };
        let is_piece = if number == at { frame.opcode == 1 } else { frame.opcode == 0 };
        if is_piece {
            pieces.push(number);
        }
        if (is_piece && frame.is_final) || (number > at && matches!(frame.opcode, 1 | 2)) {
            break;
        }
    }
    pieces
}

/// Where a text ends a case, nothing behind it is tried. So whatever has texts is replayed with a message that goes on.
#[tokio::test]
async fn messages_in_the_places_of_texts_go_on_until_a_rule_is_broken() {
    let (node, cases) = (node().await, cases());
    let authority = node.authority();
    let id = create_match(authority, &json!({ "game": "arena" })).await;
    let ours = ClientMessage::Ping { nonce: u32::MAX }.to_frame();
    let short = cases.iter().filter(|case| frames(&case.steps).all(|frame| frame.length < 200));
    let changed: Vec<Case> = short.filter_map(|case| with_ours(case, &ours)).collect();
    let count = |end: Option<u16>| {
        changed.iter().filter(|case| judge(frames(&case.steps), Some(&ours)).close == end).count()
    };
    assert!(count(None) >= 12 && count(Some(1002)) >= 12, "the rules are reached");
    let replays = stream::iter(&changed).map(async |case| {
        let mut raw = Raw::open(authority).await;
        let join = Join::Spectate(id.clone());
        let (protocol, name, ticket) = (PROTOCOL_VERSION, "replay".to_owned(), String::new());
        let hello = ClientMessage::Hello { protocol, name, join, ticket };
        raw.send(&frame(BINARY, &hello.to_frame())).await.expect("a new connection takes a hello");
        raw.until_frame(BINARY).await;
        Replay::new(case, raw).play(Some(&ours)).await;
    });
    replays.buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// The cases 12 and 13 are those of permessage-deflate: there is none.
#[tokio::test]
async fn no_extension_is_agreed_to() {
    let node = node().await;
    let authority = node.authority();
    for offered in
        ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"]
    {
        let mut raw = Raw::connect(authority).await;
        let request = upgrade_request(authority, &[("Sec-WebSocket-Extensions", offered)]);
        raw.send(request.as_bytes()).await.expect("a new connection takes a request");
        let head = raw.head().await.expect("an answer");
        assert!(head.status == 101 && !head.text.contains("sec-websocket-extensions"), "{head:?}");
        raw.send(&frame(0xc2, b"\x01")).await.expect("a new connection takes a frame");
        let close = raw.closed(WITHIN).await;
        assert_eq!(close.as_ref().map(|close| close.code), Some(1002), "a compressed message: {close:?}");
    }
}
