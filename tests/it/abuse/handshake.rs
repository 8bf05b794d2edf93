//! what comes before a connection is a WebSocket, and who gets that far.

use std::time::Duration;

use harness::abuse::handshake::{self, origins_of, status, upgraded};
use harness::http::request_with;
use harness::player::Player;
use harness::process::{Node, NodeOptions, wait_until};
use harness::raw::{Head, Raw};
use tickcast_protocol::message::Join;
use tickcast_server::io::clock;

use super::{Siege, WITHIN};

/// A handshake takes no longer than this, whatever others do; on a machine that compiles beside it.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);
/// Clients that are slow.
const SLOW: u32 = 300;
/// For so long others connect meanwhile.
const CONNECT_FOR: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_01_slow_handshakes_are_closed_and_others_are_as_quick_as_ever() {
    let siege = Siege::begin(&[]).await;
    let target = siege.target();
    let slow = handshake::slow(&target, SLOW, Duration::ZERO);
    let others = handshake::handshakes(&target, clock::now() + CONNECT_FOR);
    let ((), took) = siege.bears(async { tokio::join!(slow, others) }).await;
    let longest = *took.last().expect("some have connected");
    assert!(longest < HANDSHAKE_WITHIN, "a handshake took {longest:?}");
}

#[tokio::test]
async fn a_01_a_connection_without_a_further_request_and_a_body_that_does_not_come_are_closed() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::idle_and_bodiless(&siege.target())).await;
}

#[tokio::test]
async fn a_02_heads_that_are_too_long_are_refused() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::long_heads(&siege.target())).await;
}

#[tokio::test]
async fn a_03_requests_that_are_no_websockets_are_refused_and_closed() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::no_websockets(&siege.target())).await;
}

#[tokio::test]
async fn a_03_what_is_sent_right_behind_an_upgrade_is_frames() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::behind_an_upgrade(&siege.target())).await;
}

#[tokio::test]
async fn a_04_a_failed_upgrade_is_no_tunnel() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::tunnels(&siege.target())).await;
}

#[tokio::test]
async fn a_05_pages_of_other_sites_may_not_connect() {
    let siege = Siege::begin(&[]).await;
    let target = siege.target();
    siege.bears(handshake::origins(&target, &origins_of(target.authority()))).await;
    let listed = Siege::begin(&["--allow-origin", "https://game.test,https://beta.game.test:8443"]).await;
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
    let cases = exact.map(|(origin, status)| (origin.to_owned(), status));
    let target = listed.target();
    listed.bears(handshake::origins(&target, &cases)).await;
    handshake::foreign_creation(&target).await;
    let own = [("Origin", "https://game.test")];
    let answer = request_with(&listed.authority(), "POST", "/v1/matches", &own, "{}").await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_06_what_is_no_http_is_answered_and_closed() {
    let siege = Siege::begin(&[]).await;
    siege.bears(handshake::no_http(&siege.target())).await;
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
async fn a_07_who_is_refused_again_and_again_is_closed_without_a_word() {
    let siege = Siege::begin(&["--limit-loopback", "--requests-per-second", "10"]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut told = Vec::new();
            for _ in 0..200 {
                told.push(status(&upgraded("127.0.8.1", &authority, &[]).await));
            }
            let times = |wanted: u16| told.iter().filter(|status| **status == wanted).count();
            assert!(times(429) >= 40 && times(0) >= 20, "{told:?}");
            assert_eq!(times(101) + times(429) + times(0), 200, "{told:?}");
            assert_eq!(status(&upgraded("127.0.8.2", &authority, &[]).await), 101, "another address");
            let again =
                || async { (status(&upgraded("127.0.8.1", &authority, &[]).await) == 101).then_some(()) };
            wait_until(WITHIN, "it is listened to again", again).await;
        })
        .await;
    assert!(siege.node.metric("sockets_refused_total").await >= 20);
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
    siege.bears(handshake::silent(&siege.target())).await;
}
