//! A-01 to A-08: what comes before a connection is a WebSocket, and who gets that far.

use std::time::Duration;

use futures_util::future::join_all;
use harness::http::request_with;
use harness::player::{Player, Socket};
use harness::process::{Node, NodeOptions, wait_until};
use harness::raw::{Head, Raw, upgrade_request};
use tickcast_protocol::message::Join;
use tickcast_server::io::clock;
use tokio::time::{MissedTickBehavior, interval};

use super::{Siege, WITHIN};

/// A request's head must be there within 5 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(9);
/// A handshake takes no longer than this, whatever others do; on a machine that compiles beside it.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);
/// Clients that are slow.
const SLOW: usize = 300;

/// Sends a request on a connection of its own, and answers the head of the answer and whether the connection was closed
/// after it without another byte of an answer.
async fn answered(authority: &str, request: &[u8]) -> (Head, bool) {
    let mut raw = Raw::connect(authority).await;
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

#[tokio::test]
async fn a_01_slow_handshakes_are_closed_and_others_are_as_quick_as_ever() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let slow = (0..SLOW).map(async |number| {
        let mut raw = Raw::connect(&authority).await;
        let begun = clock::now();
        let request = upgrade_request(&authority, &[]);
        if number % 3 == 0 {
            let mut bytes = request.bytes();
            let mut seconds = interval(Duration::from_millis(500));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while let Some(byte) = bytes.next()
                && clock::now() < begun + CLOSED_WITHIN
            {
                seconds.tick().await;
                if raw.send(&[byte]).await.is_err() {
                    break;
                }
            }
        }
        raw.rest(CLOSED_WITHIN).await;
        clock::now() - begun
    });
    let honest = async {
        let mut longest = Duration::ZERO;
        let mut looks = interval(Duration::from_millis(100));
        for _ in 0..40 {
            looks.tick().await;
            let begun = clock::now();
            Raw::open(&authority).await;
            longest = longest.max(clock::now() - begun);
        }
        longest
    };
    let (slow, longest) = siege.bears(async { tokio::join!(join_all(slow), honest) }).await;
    for took in slow {
        assert!((4..9).contains(&took.as_secs()), "closed after {took:?}");
    }
    assert!(longest < HANDSHAKE_WITHIN, "a handshake took {longest:?}");
}

#[tokio::test]
async fn a_01_a_connection_without_a_further_request_and_a_body_that_does_not_come_are_closed() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let idle = async {
        let mut raw = Raw::connect(&authority).await;
        raw.send(format!("GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes())
            .await
            .expect("sent");
        assert_eq!(raw.head().await.expect("an answer").status, 200);
        raw.rest(CLOSED_WITHIN).await;
    };
    let bodiless = async {
        let head = format!("POST /v1/matches HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 100\r\n\r\n{{");
        let (head, is_closed) = answered(&authority, head.as_bytes()).await;
        assert!(head.status == 408 && is_closed, "{head:?}");
    };
    siege.bears(async { tokio::join!(idle, bodiless) }).await;
}

#[tokio::test]
async fn a_02_heads_that_are_too_long_are_refused() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    siege
        .bears(async {
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
                let mut raw = Raw::connect(&authority).await;
                // A node that has read enough closes before all is sent.
                let _ = raw.send(request.as_bytes()).await;
                if let Some(head) = raw.head().await {
                    assert_eq!(head.status, status, "{head:?}");
                }
            }
        })
        .await;
}

#[tokio::test]
async fn a_03_requests_that_are_no_websockets_are_refused_and_closed() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let usual = upgrade_request(&authority, &[]);
    let with = |changed: &[(&str, &str)]| upgrade_request(&authority, changed);
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
    siege
        .bears(async {
            for (what, request, status) in cases {
                // What is smuggled behind it is never answered.
                let request = format!("{request}GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
                let (head, is_closed) = answered(&authority, request.as_bytes()).await;
                assert_eq!(head.status, status, "{what}: {head:?}");
                assert!(is_closed, "{what}: nothing behind it is answered");
            }
            let shouting =
                usual.replace("websocket\r", "WebSocket\r").replace("Upgrade\r", "keep-alive, UPGRADE\r");
            assert_eq!(
                answered(&authority, shouting.to_uppercase().replace("/WS", "/ws").as_bytes()).await.0.status,
                101
            );
        })
        .await;
}

#[tokio::test]
async fn a_03_what_is_sent_right_behind_an_upgrade_is_frames() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut raw = Raw::connect(&authority).await;
            let request = upgrade_request(&authority, &[]);
            let behind = format!("{request}GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
            raw.send(behind.as_bytes()).await.expect("sent");
            assert_eq!(raw.head().await.expect("an answer").status, 101);
            let close = raw.closed(WITHIN).await.expect("a close frame");
            assert_eq!(close.code, 1002, "{close:?}");
        })
        .await;
}

#[tokio::test]
async fn a_04_a_failed_upgrade_is_no_tunnel() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            for path in ["/metrics", "/healthz", "/v1/nodes", "/v1/games"] {
                let wrong = upgrade_request(&authority, &[("Sec-WebSocket-Version", "777")]);
                let request = format!("{wrong}GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
                let (head, is_closed) = answered(&authority, request.as_bytes()).await;
                assert!(head.text.contains("sec-websocket-version: 13"), "{head:?}");
                assert!(
                    head.status == 426 && head.text.contains("connection: close") && is_closed,
                    "{head:?}"
                );
            }
            for path in ["/metrics", "/readyz", "/v1/nodes", "/v1/events", "/inspector/main.js"] {
                let request =
                    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
                let status = answered(&authority, request.as_bytes()).await.0.status;
                assert_eq!(status, 404, "{path} is not on the players' port");
            }
        })
        .await;
}

#[tokio::test]
async fn a_05_pages_of_other_sites_may_not_connect() {
    let siege = Siege::begin(&[]).await;
    let listed = Siege::begin(&["--allow-origin", "https://game.test,https://beta.game.test:8443"]).await;
    let own = siege.authority();
    let try_all = async |authority: String, cases: Vec<(String, u16)>| {
        for (origin, status) in cases {
            let request = upgrade_request(&authority, &[("Origin", &origin)]);
            let head = answered(&authority, request.as_bytes()).await.0;
            assert_eq!(head.status, status, "{origin}: {head:?}");
        }
    };
    let cases = vec![
        (format!("http://{own}"), 101),
        (String::new(), 101),
        ("null".to_owned(), 403),
        ("https://evil.test".to_owned(), 403),
        (format!("http://{own}.evil.test"), 403),
        (format!("http://evil{own}"), 403),
        (format!("http://{own}0"), 403),
        (format!("http://{own}/"), 403),
        (format!("http://{own}@evil.test"), 403),
    ];
    siege.bears(try_all(own.clone(), cases)).await;
    let exact = [
        ("https://game.test", 101),
        ("https://beta.game.test:8443", 101),
        ("", 101),
        ("http://game.test", 403),
        ("https://game.test:443", 403),
        ("https://xgame.test", 403),
        ("https://game.test.evil.test", 403),
        ("null", 403),
        (&format!("http://{}", listed.authority()), 403),
    ];
    let cases = exact.iter().map(|(origin, status)| ((*origin).to_owned(), *status)).collect();
    let authority = listed.authority();
    listed.bears(try_all(authority.clone(), cases)).await;
    let foreign = [("Origin", "https://evil.test")];
    let answer = request_with(&authority, "POST", "/v1/matches", &foreign, "{}").await;
    assert_eq!(answer.status, 403, "nor may they create matches: {answer:?}");
    let answer =
        request_with(&authority, "POST", "/v1/matches", &[("Origin", "https://game.test")], "{}").await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_06_what_is_no_http_is_answered_and_closed() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let garbage: [&[u8]; 4] =
        [hello, &[0xff; 300], b"\r\n\r\nhello\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    siege
        .bears(async {
            for bytes in garbage {
                let mut raw = Raw::connect(&authority).await;
                raw.send(bytes).await.expect("sent");
                let told = String::from_utf8_lossy(&raw.rest(WITHIN).await).into_owned();
                assert!(told.is_empty() || told.starts_with("HTTP/1.1 400"), "{bytes:?}: {told}");
            }
            let page = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
            assert_eq!(answered(&authority, page.as_bytes()).await.0.status, 200);
        })
        .await;
}

/// Asks for a WebSocket from an address of this machine, with further headers: the connection, and what it was told.
async fn upgraded(source: &str, authority: &str, headers: &[(&str, &str)]) -> (Raw, Option<Head>) {
    let mut raw = Raw::connect_from(source, authority).await.expect("the port is open");
    let _ = raw.send(upgrade_request(authority, headers).as_bytes()).await;
    let head = raw.head().await;
    (raw, head)
}

fn status(told: &(Raw, Option<Head>)) -> u16 {
    told.1.as_ref().map_or(0, |head| head.status)
}

#[tokio::test]
async fn a_07_an_address_has_so_many_connections_and_others_have_theirs() {
    let siege = Siege::begin(&["--limit-loopback", "--connections-per-ip", "8"]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut held = Vec::new();
            for _ in 0..8 {
                held.push(upgraded("127.0.0.2", &authority, &[]).await);
            }
            assert!(held.iter().all(|told| status(told) == 101));
            let refused = upgraded("127.0.0.2", &authority, &[]).await;
            let head = refused.1.as_ref().expect("an answer");
            assert!(head.status == 429 && head.text.contains("\r\nretry-after: 10\r\n"), "{head:?}");
            assert_eq!(status(&upgraded("127.0.0.3", &authority, &[]).await), 101, "another address");
            // Not even what has said nothing yet is without a bound.
            let mut silent = Vec::new();
            for _ in 0..100 {
                silent.push(Raw::connect_from("127.0.0.2", &authority).await.expect("accepted"));
            }
            siege.node.until_metric("sockets_refused_total", WITHIN, |refused| refused >= 90).await;
            drop(silent);
            drop(held);
            let again = || async {
                let told = upgraded("127.0.0.2", &authority, &[]).await;
                (status(&told) == 101).then_some(())
            };
            wait_until(WITHIN, "the places are free again", again).await;
        })
        .await;
}

#[tokio::test]
async fn a_07_new_connections_have_a_rate_whoever_they_are() {
    let siege = Siege::begin(&["--limit-loopback", "--accepts-per-second", "20"]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut told = Vec::new();
            for number in 1..=60 {
                let (raw, head) = upgraded(&format!("127.0.1.{number}"), &authority, &[]).await;
                drop(raw);
                told.push(head.expect("an answer"));
            }
            let refused: Vec<&Head> = told.iter().filter(|head| head.status == 503).collect();
            let taken = told.iter().filter(|head| head.status == 101).count();
            assert!(taken >= 17 && taken + refused.len() == 60, "{taken} taken, {} refused", refused.len());
            assert!(refused.iter().all(|head| head.text.contains("\r\nretry-after: 1\r\n")), "{refused:?}");
            let again =
                || async { (status(&upgraded("127.0.2.1", &authority, &[]).await) == 101).then_some(()) };
            wait_until(WITHIN, "others are taken soon", again).await;
        })
        .await;
    assert!(siege.node.metric("requests_refused_total").await > 0);
}

#[tokio::test]
async fn a_07_an_address_that_asks_too_often_waits() {
    let flags = ["--limit-loopback", "--requests-per-second", "10", "--joins-per-second", "2"];
    let siege = Siege::begin(&[&flags[..], &["--connections-per-ip", "5"]].concat()).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let ask = async |source: &str, request: String| {
                let mut raw = Raw::connect_from(source, &authority).await.expect("accepted");
                raw.send(request.as_bytes()).await.expect("sent");
                raw.head().await.map_or(0, |head| head.status)
            };
            let games = || format!("GET /v1/games HTTP/1.1\r\nHost: {authority}\r\n\r\n");
            let mut told = Vec::new();
            for _ in 0..60 {
                told.push(ask("127.0.3.1", games()).await);
            }
            let taken = told.iter().filter(|status| **status == 200).count();
            assert!((40..60).contains(&taken) && told.contains(&429), "{told:?}");
            let create =
                || format!("POST /v1/matches HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 2\r\n\r\n{{}}");
            let mut told = Vec::new();
            for _ in 0..20 {
                told.push(ask("127.0.3.2", create()).await);
            }
            let taken = told.iter().filter(|status| **status == 201).count();
            assert!((5..20).contains(&taken) && told.contains(&429), "{told:?}");
            assert_eq!(ask("127.0.3.3", games()).await, 200, "another address");
        })
        .await;
}

#[tokio::test]
async fn a_07_only_a_trusted_proxy_says_whose_a_connection_is() {
    let flags = ["--limit-loopback", "--connections-per-ip", "4", "--trust-proxy", "127.0.4.0/24,127.0.5.1"];
    let siege = Siege::begin(&flags).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut held = Vec::new();
            let mut open = async |source: &str, forwarded: &str| {
                let told = upgraded(source, &authority, &[("X-Forwarded-For", forwarded)]).await;
                let status = status(&told);
                held.push(told);
                status
            };
            // Many behind one proxy, each with its own places.
            for client in 1..=4 {
                for _ in 0..4 {
                    assert_eq!(open("127.0.4.1", &format!("192.0.2.66, 203.0.113.{client}")).await, 101);
                }
                let invented = format!("198.51.100.{client}, 203.0.113.{client}, 127.0.5.1");
                assert_eq!(open("127.0.4.2", &invented).await, 429, "{client}");
            }
            // Who is no proxy is what its address says.
            for number in 0..4 {
                assert_eq!(open("127.0.6.1", &format!("203.0.113.{}", 100 + number)).await, 101);
            }
            assert_eq!(open("127.0.6.1", "203.0.113.200").await, 429);
        })
        .await;
}

#[tokio::test]
async fn a_07_a_node_with_few_descriptors_keeps_some_for_itself() {
    let options = NodeOptions { descriptors: Some(160), ..NodeOptions::default() };
    let siege = Siege::of(Node::start(options).await).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut held = Vec::new();
            for _ in 0..200 {
                held.push(Raw::connect(&authority).await);
            }
            siege.node.until_metric("sockets_refused_total", WITHIN, |refused| refused > 100).await;
            assert_eq!(siege.node.metric("accepts_failed_total").await, 0);
        })
        .await;
}

#[tokio::test]
async fn a_07_without_a_free_descriptor_ticks_go_on_and_later_connections_too() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let pid = siege.node.pid().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the node is there").count();
    let limit = |descriptors: usize| {
        let mut command = std::process::Command::new("prlimit");
        let done = command.args(["--pid", &pid, &format!("--nofile={descriptors}:20000")]).status();
        assert!(done.expect("prlimit is installed").success());
    };
    limit(open + 5);
    siege
        .bears(async {
            let mut held = Vec::new();
            for _ in 0..40 {
                held.push(Raw::connect(&authority).await);
            }
            siege.node.says("connections cannot be accepted", WITHIN).await;
            // Until the deadline of their requests they hold what there is; then others come.
            let player = Player::join(&siege.node.players, "later", Join::Spectate(siege.id.clone()));
            drop(held);
            player.await.leave().await;
        })
        .await;
    limit(20_000);
    let failed = siege.node.metric("accepts_failed_total").await;
    let complaints = siege.node.output().matches("connections cannot be accepted").count() as u64;
    assert!(failed > 0 && complaints <= 2, "{failed} failed, {complaints} complaints");
}

#[tokio::test]
async fn a_08_who_says_nothing_after_the_upgrade_is_closed() {
    let siege = Siege::begin(&[]).await;
    let players = siege.node.players.clone();
    let close = siege.bears(async { Socket::open(&players).await.closed(CLOSED_WITHIN).await }).await;
    assert_eq!(close.code, 4502, "{close:?}");
}
