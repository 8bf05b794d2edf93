//! Each fault is seen at both ends of a connection, and in the counters.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Direction, Drip, Faults, Proxy};

const SHORT: Duration = Duration::from_millis(50);
const WITHIN: Duration = Duration::from_secs(10);

/// A client and its server, joined by a proxy.
async fn pair() -> (TcpListener, Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port(), 7).await;
    let (client, server) = tokio::join!(TcpStream::connect(("127.0.0.1", proxy.port())), listener.accept());
    proxy.until("the connection is passed on", |counts| counts.accepted == 1).await;
    (listener, proxy, client.unwrap(), server.unwrap().0)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(WITHIN, stream.read_exact(&mut bytes)).await.expect("bytes arrive").expect("an open connection");
    bytes
}

/// That nothing arrives for a moment.
async fn silent(stream: &mut TcpStream) {
    let read = timeout(SHORT, stream.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn what_is_not_disturbed_arrives() {
    let (_listener, proxy, mut client, mut server) = pair().await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|index| index as u8).collect();
    let (_, received) = tokio::join!(client.write_all(&sent), read(&mut server, sent.len()));
    assert!(received == sent);
    server.write_all(b"back").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"back");
    drop(client);
    assert_eq!(timeout(WITHIN, server.read(&mut [0])).await.unwrap().unwrap(), 0, "an end is passed on");
    drop(server);
    let counts = proxy.until("the connection is over", |counts| counts.open == 0).await;
    assert_eq!((counts.accepted, counts.cut, counts.passed), (1, 0, 1_000_004));
    assert_eq!((counts.delayed, counts.dripped, counts.stalled), (0, 0, 0));
}

#[tokio::test]
async fn a_delay_and_a_drip_take_their_time() {
    let (_listener, proxy, mut client, mut server) = pair().await;
    let late = Duration::from_millis(100);
    let started = tokio::time::sleep(Duration::ZERO).deadline();
    let elapsed = || tokio::time::sleep(Duration::ZERO).deadline() - started;
    proxy.set(Faults { delay: late, jitter: late, ..Faults::default() });
    client.write_all(b"late").await.unwrap();
    assert_eq!(server.read_u32().await.unwrap().to_be_bytes(), *b"late");
    assert!(elapsed() >= late, "{:?}", elapsed());
    assert_eq!(proxy.counts().delayed, 4);

    let before = elapsed();
    proxy.set(Faults { drip: Some(Drip { bytes: 1, every: late }), ..Faults::default() });
    server.write_all(b"drip").await.unwrap();
    assert_eq!(client.read_u32().await.unwrap().to_be_bytes(), *b"drip");
    assert!(elapsed() >= before + 3 * late, "{:?}", elapsed());
    assert!(proxy.counts().dripped >= 3);
}

#[tokio::test]
async fn a_stall_holds_one_way_or_both_and_loses_nothing() {
    let (_listener, proxy, mut client, mut server) = pair().await;
    proxy.set(Faults { stall_to_server: true, ..Faults::default() });
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"down");
    silent(&mut server).await;
    proxy.set(Faults::stalled());
    server.write_all(b"more").await.unwrap();
    silent(&mut client).await;
    assert_eq!(proxy.counts().stalled, 6);
    proxy.heal();
    assert_eq!(read(&mut server, 2).await, b"up");
    assert_eq!(read(&mut client, 4).await, b"more");
}

#[tokio::test]
async fn a_stalled_connection_holds_a_bounded_amount() {
    let (_listener, proxy, mut client, _server) = pair().await;
    proxy.set(Faults::stalled());
    let flood = vec![0; 64 << 20];
    assert!(timeout(4 * SHORT, client.write_all(&flood)).await.is_err(), "the sender has to wait");
}

#[tokio::test]
async fn a_cut_ends_connections_in_the_middle() {
    let (listener, proxy, mut client, mut server) = pair().await;
    assert_eq!(proxy.cut().await, 1);
    assert!(matches!(timeout(WITHIN, client.read(&mut [0])).await.unwrap(), Err(_) | Ok(0)));
    assert!(matches!(timeout(WITHIN, server.read(&mut [0])).await.unwrap(), Err(_) | Ok(0)));
    assert_eq!(proxy.counts().open, 0);

    let (client, server) = tokio::join!(TcpStream::connect(("127.0.0.1", proxy.port())), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    proxy.cut_after(Direction::ToServer, 10);
    client.write_all(b"123456").await.unwrap();
    assert_eq!(read(&mut server, 6).await, b"123456");
    let _ = client.write_all(b"7890abcdef").await;
    let mut rest = Vec::new();
    let _ = timeout(WITHIN, server.read_to_end(&mut rest)).await.unwrap();
    // The reset may overtake the last bytes; none beyond the tenth arrives.
    assert!(b"7890".starts_with(&rest), "{rest:?}");
    assert_eq!((proxy.counts().cut, proxy.counts().passed), (2, 10));
}

#[tokio::test]
#[should_panic(expected = "no connection was there to be cut")]
async fn a_cut_of_nothing_is_a_failure() {
    Proxy::start(1, 7).await.cut().await;
}

#[tokio::test]
async fn a_refused_connection_is_reset() {
    let (_listener, proxy, mut client, mut server) = pair().await;
    proxy.set(Faults { refuse: true, ..Faults::default() });
    let mut second = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert!(timeout(WITHIN, second.read(&mut [0])).await.unwrap().is_err());
    proxy.until("a refusal is counted", |counts| counts.refused == 1).await;
    client.write_all(b"on").await.unwrap();
    assert_eq!(read(&mut server, 2).await, b"on");
}
