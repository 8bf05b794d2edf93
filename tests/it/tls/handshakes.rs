//! Clients whose handshake does not come about: silent ones, old ones, and those who speak something else.

use std::time::Duration;

use harness::certificates::{Authority, HERE};
use harness::player::Player;
use harness::process::{Node, NodeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{WITHIN, door, node, quick};

/// Longer than a handshake may take, which is 5 s.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(8);
/// Versions as they stand in a ClientHello.
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
/// A record with an alert, and one with a handshake.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Why a handshake failed: the version is not spoken.
const PROTOCOL_VERSION: u8 = 70;

/// A ClientHello of a client that knows nothing newer than this, with suites that every server of its time has.
fn client_hello(version: u16) -> Vec<u8> {
    let suites: Vec<u8> =
        [0xc02b_u16, 0xc02f, 0xc013, 0xc014, 0x002f].iter().flat_map(|s| s.to_be_bytes()).collect();
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 6, 0, 4, 4, 3, 8, 4];
    let extensions = [&groups[..], &points, &signatures].concat();
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend((suites.len() as u16).to_be_bytes());
    body.extend(suites);
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

/// What comes back for these bytes until the other end closes.
async fn answer(authority: &str, bytes: &[u8], within: Duration) -> Vec<u8> {
    let mut socket = TcpStream::connect(authority).await.expect("a node listens");
    socket.write_all(bytes).await.expect("an open connection");
    let mut all = Vec::new();
    let read = timeout(within, socket.read_to_end(&mut all)).await;
    read.unwrap_or_else(|_| panic!("not closed within {within:?}")).expect("closed, not reset");
    all
}

#[tokio::test]
async fn nothing_older_than_tls_1_2_is_spoken() {
    let authority = Authority::new("ours");
    let node = node(&authority.identity("node", HERE)).await;
    let old = answer(node.authority(), &client_hello(TLS_1_1), WITHIN).await;
    assert!(old.len() == 7 && (old[0], old[6]) == (ALERT, PROTOCOL_VERSION), "{old:?}");
    let mut socket = TcpStream::connect(node.authority()).await.expect("a node listens");
    socket.write_all(&client_hello(TLS_1_2)).await.expect("an open connection");
    let mut head = [0; 11];
    let read = timeout(WITHIN, socket.read_exact(&mut head)).await;
    read.expect("a ServerHello in time").expect("a ServerHello");
    assert_eq!(
        (head[0], &head[9..]),
        (HANDSHAKE, &TLS_1_2.to_be_bytes()[..]),
        "the same hello, but for the version"
    );
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_closed_and_nobody_else_notices() {
    let authority = Authority::new("ours");
    let node = node(&authority.identity("node", HERE)).await;
    let mut player = Player::join(door(&node, &authority), "honest", quick()).await;
    let hello = client_hello(TLS_1_2);
    let half = tokio::time::timeout(HANDSHAKE_WITHIN, async {
        let at = node.authority();
        let (silent, cut, whole) = tokio::join!(
            answer(at, &[], HANDSHAKE_WITHIN),
            answer(at, &hello[..10], HANDSHAKE_WITHIN),
            answer(at, &hello, HANDSHAKE_WITHIN),
        );
        assert_eq!((silent.len(), cut.len()), (0, 0));
        assert_eq!(whole[0], HANDSHAKE, "it was answered and said no more");
    });
    player.follow_while(half).await.expect("closed at the deadline");
    node.until_metric("tls_refused_total", WITHIN, |count| count == 3).await;
    player.follow_ticks(10, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn who_speaks_http_to_tls_is_told_so_and_who_speaks_anything_is_closed() {
    let authority = Authority::new("ours");
    let node = node(&authority.identity("node", HERE)).await;
    let get = b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\r\n";
    let told = answer(node.authority(), get, WITHIN).await;
    let told = String::from_utf8_lossy(&told);
    assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("https:// or wss://"), "{told}");
    let mut socket = TcpStream::connect(node.authority()).await.expect("a node listens");
    socket.write_all(b"\x00\x01garbage").await.expect("an open connection");
    let mut rest = Vec::new();
    // Closed or reset: nobody is owed a word.
    let _ = timeout(WITHIN, socket.read_to_end(&mut rest)).await.expect("closed in time");
    assert_eq!(rest, [0; 0]);
    node.until_metric("tls_refused_total", WITHIN, |count| count == 2).await;
    Player::join(door(&node, &authority), "honest", quick()).await.follow_ticks(10, WITHIN).await;
}

#[tokio::test]
async fn who_speaks_tls_to_a_plain_port_is_closed() {
    let node = Node::start(NodeOptions::default()).await;
    let told = answer(node.authority(), &client_hello(TLS_1_2), WITHIN).await;
    let told = String::from_utf8_lossy(&told);
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 400 "), "{told}");
    Player::join(&node.players, "honest", quick()).await.follow_ticks(10, WITHIN).await;
}
