//! The load at real sockets: against floors that tick when they are told to, a server that says piece by piece what it is
//! told to say, and a real node.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use harness::process::{Node, NodeOptions};
use tokio::runtime::Runtime;

use super::*;
use crate::floor::Mode;
use crate::floor::driven::Driven;
use crate::load::protocols::floor::Floor;
use crate::load::protocols::tickcast::{Played, Tickcast};
use crate::load::websocket::BINARY;

/// Within this all that a test waits for has happened.
const WITHIN: Duration = Duration::from_secs(20);
/// How long is played between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const MATCHES: u32 = 2;
const PLAYERS: u32 = 3;
const EVERYBODY: u64 = (MATCHES * PLAYERS) as u64;
/// Bytes of a floor's update, and with the head of its WebSocket frame.
const FLOOR_BYTES: usize = 40;
const FLOOR_FRAME_BYTES: u64 = 42;
/// Bytes of an input of the floor, with the head of its WebSocket frame.
const INPUT_BYTES: u64 = 14;

/// Nobody says anything yet.
const SILENT: Load = Load {
    players: PLAYERS,
    spectators: 0,
    guests: 0,
    tick_rate: 60,
    sends_inputs: false,
    hands: Style::Play,
    may_fire: true,
    ramp: 10_000,
    probes: 0,
    played: Played::ARENA,
};

/// Everybody in its match, and counting has begun.
fn grown(load: Load, protocol: &mut dyn Protocol) -> Herd {
    let mut herd = Herd::new(load).unwrap();
    herd.grow(protocol, MATCHES).unwrap();
    assert_eq!(herd.len() as u64, EVERYBODY);
    herd.tally = Some(Tally::new());
    herd
}

/// Plays until it is so.
fn play_until(herd: &mut Herd, what: &str, mut is_so: impl FnMut(&Tally) -> bool) {
    let deadline = clock::now() + WITHIN;
    while !is_so(herd.tally.as_ref().expect("it counts")) {
        assert!(clock::now() < deadline, "not within {WITHIN:?}: {what}");
        herd.run(LOOK_EVERY).unwrap();
    }
}

fn tally(herd: &Herd) -> &Tally {
    herd.tally.as_ref().expect("it counts")
}

/// Everybody plays until so many inputs are sent, and is silent again.
fn play_inputs(herd: &mut Herd, least: u64) -> u64 {
    herd.load.sends_inputs = true;
    play_until(herd, "inputs are sent", |tally| tally.inputs >= least);
    herd.load.sends_inputs = false;
    tally(herd).inputs
}

#[test]
fn every_update_of_a_floor_is_counted_and_every_tick_without_one() {
    for mode in [Mode::Scan, Mode::Epoll] {
        let floor = Driven::start(mode, FLOOR_BYTES);
        let mut herd = grown(SILENT, &mut Floor(floor.address));
        floor.tick(7);
        play_until(&mut herd, "seven ticks", |tally| tally.updates == 7 * EVERYBODY);
        assert_eq!(tally(&herd).skipped, 0, "{mode:?}");
        assert_eq!(tally(&herd).bytes, 7 * EVERYBODY * FLOOR_FRAME_BYTES, "{mode:?}");
        floor.leave_out(4);
        floor.tick(1);
        play_until(&mut herd, "an eighth update", |tally| tally.updates == 8 * EVERYBODY);
        assert_eq!(tally(&herd).skipped, 4 * EVERYBODY, "{mode:?}");
    }
}

#[test]
fn every_input_comes_to_a_floor() {
    for mode in [Mode::Scan, Mode::Epoll] {
        let floor = Driven::start(mode, FLOOR_BYTES);
        let mut herd = grown(SILENT, &mut Floor(floor.address));
        let sent = play_inputs(&mut herd, 5 * EVERYBODY);
        assert_eq!(tally(&herd).input_bytes, sent * INPUT_BYTES);
        // Those that a scanning floor would read at its next tick are read for being counted.
        play_until(&mut herd, "the inputs arrive", |_| floor.inputs() == sent);
    }
}

#[test]
fn a_probe_sees_the_effect_of_its_input_and_of_no_other() {
    for mode in [Mode::Scan, Mode::Epoll] {
        let floor = Driven::start(mode, FLOOR_BYTES);
        let load = Load { sends_inputs: true, probes: 1, ..SILENT };
        let mut herd = grown(load, &mut Floor(floor.address));
        play_until(&mut herd, "an input without an effect", |tally| tally.unanswered > 0);
        assert_eq!(tally(&herd).latencies(), None, "no tick, no effect");
        play_until(&mut herd, "an effect", |tally| {
            floor.tick(1);
            tally.latencies().is_some()
        });
        let mut herd = grown(Load { sends_inputs: true, ..SILENT }, &mut Floor(floor.address));
        play_until(&mut herd, "updates", |tally| {
            floor.tick(1);
            tally.updates > 5 * EVERYBODY
        });
        assert_eq!(tally(&herd).latencies(), None, "nobody watches");
    }
}

#[test]
fn a_floor_that_dies_is_a_failure() {
    for mode in [Mode::Scan, Mode::Epoll] {
        let floor = Driven::start(mode, FLOOR_BYTES);
        let mut protocol = Floor(floor.address);
        let mut herd = grown(SILENT, &mut protocol);
        drop(floor);
        let failure = herd.measure(LOOK_EVERY).err().expect("everybody is gone").to_string();
        assert!(failure.contains("a connection ended"), "{failure}");
        assert!(herd.grow(&mut protocol, MATCHES + 1).is_err(), "nobody listens");
    }
}

/// A server for one client that opens the connection and then says what it is told to, in such pieces.
struct Parrot {
    address: SocketAddr,
    pieces: Sender<Vec<u8>>,
}

impl Parrot {
    /// `greeting` comes in one piece with the answer to the handshake.
    fn start(greeting: &[u8]) -> Parrot {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (pieces, incoming) = channel::<Vec<u8>>();
        let answer = [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", greeting].concat();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(&answer).unwrap();
            for piece in incoming {
                stream.write_all(&piece).unwrap();
            }
        });
        Parrot { address, pieces }
    }
}

/// One player of a match.
const ALONE: Load = Load { players: 1, ..SILENT };

/// An update of the floor.
fn update(tick: u32) -> Vec<u8> {
    [&[0x80 | BINARY, 8][..], &tick.to_le_bytes(), &[0x5a; 4]].concat()
}

#[test]
fn a_frame_that_comes_in_pieces_is_one_update() {
    let first = update(1);
    // The handshake's answer brings the first update and the head of the second.
    let server = Parrot::start(&[&first[..], &update(2)[..1]].concat());
    let mut herd = Herd::new(ALONE).unwrap();
    herd.tally = Some(Tally::new());
    herd.grow(&mut Floor(server.address), 1).unwrap();
    play_until(&mut herd, "what came with the answer", |tally| tally.updates == 1);
    for at in 1..first.len() {
        assert_eq!(tally(&herd).updates, 1, "{at} of {} bytes are no update", first.len());
        server.pieces.send(update(2)[at..=at].to_vec()).unwrap();
        play_until(&mut herd, "a byte", |tally| tally.bytes == at as u64);
    }
    assert_eq!((tally(&herd).updates, tally(&herd).skipped), (2, 0));
    server.pieces.send([update(3), update(5)].concat()).unwrap();
    play_until(&mut herd, "two in one piece", |tally| tally.updates == 4);
    assert_eq!(tally(&herd).skipped, 1);
}

#[test]
fn a_server_that_closes_is_a_failure_with_its_code() {
    let close = [&[0x80 | CLOSE, 2][..], &4404_u16.to_be_bytes()].concat();
    let server = Parrot::start(&close);
    let mut protocol = Tickcast {
        nodes: vec![server.address],
        places: 1,
        tick_rate: ALONE.tick_rate,
        played: Played::ARENA,
        matches: vec!["none".parse().unwrap()],
    };
    let refused = Herd::new(ALONE).unwrap().grow(&mut protocol, 1).unwrap_err().to_string();
    assert!(refused.contains("closed with code 4404"), "{refused}");
}

fn node(runtime: &Runtime) -> (Node, Tickcast) {
    let node = runtime.block_on(Node::start(NodeOptions::default()));
    let nodes = vec![node.authority().parse().expect("a node prints its address")];
    let (tick_rate, played) = (SILENT.tick_rate, Played::ARENA);
    let protocol = Tickcast { nodes, places: PLAYERS, tick_rate, played, matches: Vec::new() };
    (node, protocol)
}

#[test]
fn a_node_takes_every_input_and_every_update_of_it_is_counted() {
    let runtime = Runtime::new().unwrap();
    let (node, mut protocol) = node(&runtime);
    let mut herd = Herd::new(SILENT).unwrap();
    herd.tally = Some(Tally::new());
    herd.grow(&mut protocol, MATCHES).unwrap();
    let metric = |name| runtime.block_on(node.metric(name));
    assert_eq!((protocol.matches.len(), metric("connections")), (MATCHES as usize, EVERYBODY));
    let sent = play_inputs(&mut herd, 5 * EVERYBODY);
    play_until(&mut herd, "the inputs are in ticks", |_| {
        let gone = ["inputs_dropped_total", "inputs_lost_total", "commands_dropped_total"];
        metric("inputs_applied_total") + gone.into_iter().map(metric).sum::<u64>() == sent
    });
    assert!(metric("inputs_applied_total") > 0);
    // Everybody's first snapshot is where updates begin.
    play_until(&mut herd, "everything that was sent is counted", |tally| {
        tally.updates + tally.quiet >= 20 * EVERYBODY
            && tally.updates + EVERYBODY == metric("frames_out_total")
    });
}

#[test]
fn a_probe_sees_the_effect_of_its_input_at_a_node() {
    let runtime = Runtime::new().unwrap();
    let (_node, mut protocol) = node(&runtime);
    let mut herd = grown(Load { sends_inputs: true, probes: MATCHES, ..SILENT }, &mut protocol);
    play_until(&mut herd, "an effect", |tally| tally.latencies().is_some());
}

#[test]
fn a_node_that_dies_is_a_failure() {
    let runtime = Runtime::new().unwrap();
    let (mut node, mut protocol) = node(&runtime);
    let mut herd = grown(SILENT, &mut protocol);
    node.kill9();
    let failure = herd.measure(LOOK_EVERY).err().expect("everybody is gone").to_string();
    assert!(failure.contains("a connection ended"), "{failure}");
}
