//! A-01 to A-08: what comes before a connection is a WebSocket, and who gets that far.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tickcast_server::io::clock;
use tokio::time::{MissedTickBehavior, interval};

use super::{CLOSED_WITHIN, Target, WITHIN};
use crate::raw::{Head, Raw, upgrade_request};

/// Between two bytes of a request that comes slowly.
const BYTE_EVERY: Duration = Duration::from_millis(500);
/// Between two looks at how quickly others connect.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A connection that was let be is closed within these seconds.
const CLOSED_SECONDS: std::ops::Range<u64> = 4..9;

/// Sends a request on a connection of its own, and answers the head of the answer and whether the connection was closed
/// after it without another byte of an answer.
///
/// # Panics
/// When there is no answer.
pub async fn answered(target: &Target, request: &[u8]) -> (Head, bool) {
    let mut raw = target.connect().await;
    raw.send(request).await.expect("a new connection takes a request");
    let head =
        raw.head().await.unwrap_or_else(|| panic!("no answer to {}", String::from_utf8_lossy(request)));
    if head.status == 101 {
        return (head, false);
    }
    let rest = String::from_utf8_lossy(&raw.rest(WITHIN).await).into_owned();
    let is_alone = !rest.contains("HTTP/1.1 2");
    (head, is_alone)
}

/// A-01: so many connections, opened over `ramp`; a third of them sends a byte of a request now and then, the others nothing.
///
/// # Panics
/// When one of them is not closed in time.
pub async fn slow(target: &Target, count: u32, ramp: Duration) {
    let slow = (0..count).map(async |number| {
        tokio::time::sleep(ramp * number / count).await;
        let mut raw = target.connect().await;
        let begun = clock::now();
        let request = upgrade_request(target.authority(), &[]);
        if number.is_multiple_of(3) {
            let mut bytes = request.bytes();
            let mut turns = interval(BYTE_EVERY);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while let Some(byte) = bytes.next()
                && clock::now() < begun + CLOSED_WITHIN
            {
                turns.tick().await;
                if raw.send(&[byte]).await.is_err() {
                    break;
                }
            }
        }
        raw.rest(CLOSED_WITHIN).await;
        clock::now() - begun
    });
    for took in join_all(slow).await {
        assert!(CLOSED_SECONDS.contains(&took.as_secs()), "closed after {took:?}");
    }
}

/// How long handshakes of others take, one each 100 ms until `end`; ascending.
pub async fn handshakes(target: &Target, end: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while clock::now() < end {
        looks.tick().await;
        let begun = clock::now();
        target.open().await;
        took.push(clock::now() - begun);
    }
    took.sort();
    took
}

/// A-01: a connection that makes no further request, and one whose request's body does not come.
///
/// # Panics
/// When one of them is not closed.
pub async fn idle_and_bodiless(target: &Target) {
    let authority = target.authority();
    let idle = async {
        let mut raw = target.connect().await;
        let request = format!("GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        raw.send(request.as_bytes()).await.expect("sent");
        assert_eq!(raw.head().await.expect("an answer").status, 200);
        raw.rest(CLOSED_WITHIN).await;
    };
    let bodiless = async {
        let head = format!("POST /v1/matches HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 100\r\n\r\n{{");
        let (head, is_closed) = answered(target, head.as_bytes()).await;
        assert!(head.status == 408 && is_closed, "{head:?}");
    };
    tokio::join!(idle, bodiless);
}

/// A-02: heads that are too long, in one way or another.
///
/// # Panics
/// When one of them is answered in another way than with 431 or 414, or not closed.
pub async fn long_heads(target: &Target) {
    let authority = target.authority();
    let begin = format!("GET /ws HTTP/1.1\r\nHost: {authority}\r\n");
    let many: String = (0..10_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let some: String = (0..70).map(|number| format!("X-{number}: 1\r\n")).collect();
    let cases = [
        (format!("{begin}X-Long: {}\r\n\r\n", "a".repeat(64 * 1024)), 431),
        (format!("{begin}X-Long: {}\r\n\r\n", "a".repeat(9 * 1024)), 431),
        (format!("{begin}{many}\r\n"), 431),
        (format!("{begin}{some}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: {authority}\r\n\r\n", "a".repeat(3000)), 414),
    ];
    for (request, status) in cases {
        let mut raw = target.connect().await;
        // A node that has read enough closes before all is sent.
        let _ = raw.send(request.as_bytes()).await;
        if let Some(head) = raw.head().await {
            assert_eq!(head.status, status, "{head:?}");
        }
    }
}

/// A-03: requests that are no WebSocket's, each with another one behind it.
///
/// # Panics
/// When one is answered in another way than it must be, or what is behind it is answered.
pub async fn no_websockets(target: &Target) {
    let authority = target.authority();
    let usual = upgrade_request(authority, &[]);
    let with = |changed: &[(&str, &str)]| upgrade_request(authority, changed);
    let twice = |line: &str| usual.replacen("\r\n", &format!("\r\n{line}\r\n"), 1);
    let cases = [
        ("another method", usual.replacen("GET", "POST", 1), 405),
        ("no method at all", usual.replacen("GET", "G=T", 1), 400),
        ("HTTP/1.0", usual.replacen("HTTP/1.1", "HTTP/1.0", 1), 400),
        ("HTTP/3.7", usual.replacen("HTTP/1.1", "HTTP/3.7", 1), 400),
        ("no key", with(&[("Sec-WebSocket-Key", "")]), 400),
        ("a short key", with(&[("Sec-WebSocket-Key", "AAAA")]), 400),
        ("a key that is none", with(&[("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAA!==")]), 426),
        ("version 12", with(&[("Sec-WebSocket-Version", "12")]), 426),
        ("no version", with(&[("Sec-WebSocket-Version", "")]), 426),
        ("no upgrade", with(&[("Upgrade", "")]), 426),
        ("another upgrade", with(&[("Upgrade", "h2c")]), 426),
        ("no connection header", with(&[("Connection", "")]), 426),
        ("a connection header that is no list", with(&[("Connection", "keep-alive Upgrade")]), 426),
        ("no host", with(&[("Host", "")]), 400),
        ("two connection headers", twice("Connection: keep-alive"), 400),
        ("two keys", twice("Sec-WebSocket-Key: BBBBBBBBBBBBBBBBBBBBBB=="), 400),
        ("two hosts", twice("Host: elsewhere.test"), 400),
        ("a body", with(&[("Content-Length", "5")]) + "hello", 400),
        ("a body in chunks", with(&[("Transfer-Encoding", "chunked")]) + "5\r\nhello\r\n0\r\n\r\n", 400),
        ("two ends of a body", with(&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")]), 400),
        ("an end that nobody knows", with(&[("Transfer-Encoding", "gzip")]), 400),
        ("two lengths", with(&[("Content-Length", "5, 6")]), 400),
    ];
    for (what, request, status) in cases {
        target.wait_turn().await;
        // What is smuggled behind it is never answered.
        let request = format!("{request}GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let (head, is_closed) = answered(target, request.as_bytes()).await;
        assert_eq!(head.status, status, "{what}: {head:?}");
        assert!(is_closed, "{what}: nothing behind it is answered");
    }
    target.wait_turn().await;
    let shouting = usual.replace("websocket\r", "WebSocket\r").replace("Upgrade\r", "keep-alive, UPGRADE\r");
    let shouting = shouting.to_uppercase().replace("/WS", "/ws");
    assert_eq!(answered(target, shouting.as_bytes()).await.0.status, 101);
}

/// A-03: a request right behind an upgrade.
///
/// # Panics
/// When it is taken for anything but frames that break a rule.
pub async fn behind_an_upgrade(target: &Target) {
    target.wait_turn().await;
    let authority = target.authority();
    let mut raw = target.connect().await;
    let request = upgrade_request(authority, &[]);
    let behind = format!("{request}GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    raw.send(behind.as_bytes()).await.expect("sent");
    assert_eq!(raw.head().await.expect("an answer").status, 101);
    let close = raw.closed(WITHIN).await.expect("a close frame");
    assert_eq!(close.code, 1002, "{close:?}");
}

/// A-04: upgrades that fail, for a proxy that takes the connection for a tunnel then.
///
/// # Panics
/// When the connection is not closed, or what operators may see is there.
pub async fn tunnels(target: &Target) {
    let authority = target.authority();
    for path in ["/metrics", "/healthz", "/v1/nodes", "/v1/games"] {
        let wrong = upgrade_request(authority, &[("Sec-WebSocket-Version", "777")]);
        let request = format!("{wrong}GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let (head, is_closed) = answered(target, request.as_bytes()).await;
        assert!(head.text.contains("sec-websocket-version: 13"), "{head:?}");
        assert!(head.status == 426 && head.text.contains("connection: close") && is_closed, "{head:?}");
    }
    for path in ["/metrics", "/readyz", "/v1/nodes", "/v1/events", "/inspector/main.js"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        let status = answered(target, request.as_bytes()).await.0.status;
        assert_eq!(status, 404, "{path} is not on the players' port");
    }
}

/// A-05: upgrades of pages of these origins.
///
/// # Panics
/// When one is answered with another status than it must be.
pub async fn origins(target: &Target, cases: &[(String, u16)]) {
    for (origin, status) in cases {
        target.wait_turn().await;
        let request = upgrade_request(target.authority(), &[("Origin", origin)]);
        let head = answered(target, request.as_bytes()).await.0;
        assert_eq!(head.status, *status, "{origin}: {head:?}");
    }
}

/// The origins that try to pass for a node's own, and the status for each.
pub fn origins_of(authority: &str) -> Vec<(String, u16)> {
    vec![
        (format!("http://{authority}"), 101),
        (String::new(), 101),
        ("null".to_owned(), 403),
        ("https://evil.test".to_owned(), 403),
        (format!("http://{authority}.evil.test"), 403),
        (format!("http://evil{authority}"), 403),
        (format!("http://{authority}0"), 403),
        (format!("http://{authority}/"), 403),
        (format!("http://{authority}@evil.test"), 403),
    ]
}

/// A-05: a page of another site would create a match.
///
/// # Panics
/// When it may.
pub async fn foreign_creation(target: &Target) {
    let (status, body) = target.ask("POST", "/v1/matches", "Origin: https://evil.test\r\n", "{}").await;
    assert_eq!(status, 403, "nor may they create matches: {body}");
}

/// A-06: what is no HTTP at all.
///
/// # Panics
/// When it is answered with anything but 400, or is not closed.
pub async fn no_http(target: &Target) {
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let garbage: [&[u8]; 4] =
        [hello, &[0xff; 300], b"\r\n\r\nhello\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for bytes in garbage {
        let mut raw = target.connect().await;
        raw.send(bytes).await.expect("sent");
        let told = String::from_utf8_lossy(&raw.rest(WITHIN).await).into_owned();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 400"), "{bytes:?}: {told}");
    }
    let authority = target.authority();
    let page = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    assert_eq!(answered(target, page.as_bytes()).await.0.status, 200);
}

/// A-07: asks for a WebSocket from an address of this machine, with further headers: the connection, and what it was told.
///
/// # Panics
/// When there is no connection at all.
pub async fn upgraded(source: &str, authority: &str, headers: &[(&str, &str)]) -> (Raw, Option<Head>) {
    let mut raw = Raw::connect_from(source, authority).await.expect("the port is open");
    let _ = raw.send(upgrade_request(authority, headers).as_bytes()).await;
    let head = raw.head().await;
    (raw, head)
}

/// What somebody was told who asked for a WebSocket; 0 when the connection was closed at once.
pub fn status(told: &(Raw, Option<Head>)) -> u16 {
    told.1.as_ref().map_or(0, |head| head.status)
}

/// A-08: a WebSocket on which nothing is said.
///
/// # Panics
/// When it is not closed with 4502.
pub async fn silent(target: &Target) {
    let close = target.socket().await.closed(CLOSED_WITHIN).await;
    assert_eq!(close.code, 4502, "{close:?}");
}
