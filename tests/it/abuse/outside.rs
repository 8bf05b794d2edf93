//! A-37 once more, as somebody sees the node who looks for what is open on the machine: one port, and on it nothing but the
//! page and health without a ticket or a key.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use harness::http::{API_KEY, create_match, request_with};
use harness::player::Socket;
use harness::process::{Node, NodeOptions, checkout};
use harness::tickets::KEY;
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::io::http::routes::{PLAYERS, Place};

use super::WITHIN;

/// For an answer of a port of this machine, open or not.
const PORT_WITHIN: Duration = Duration::from_millis(500);
/// What is answered to those who may not, or not so.
const REFUSALS: [u16; 5] = [401, 403, 404, 405, 426];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
/// In `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A node as on the internet: it listens everywhere, and lets in who has a ticket; all else is as it is by default, but for the
/// number of the operators' port.
async fn exposed() -> Node {
    let env = [("TICKCAST_LISTEN", "0.0.0.0:0"), ("TICKCAST_TICKET_KEY", KEY), ("TICKCAST_API_KEY", API_KEY)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Node::start(NodeOptions { env, ..NodeOptions::default() }).await
}

/// An address under which others reach this machine; where it has none, one of loopback that nobody listens on but who
/// listens everywhere.
fn outside() -> Ipv4Addr {
    // Nothing is sent: the system only looks where it would go out.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    let own = socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr());
    match own.map(|own| own.ip()) {
        Ok(IpAddr::V4(own)) if !own.is_loopback() && !own.is_unspecified() => own,
        _ => Ipv4Addr::new(127, 0, 0, 2),
    }
}

/// The ports of a process in one of the system's tables, of sockets in this state if one is named; each with whether it is bound to
/// loopback only.
fn bound(pid: u32, table: &str, state: Option<&str>) -> Vec<(u16, bool)> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the node is there");
    let links = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.display().to_string()).collect();
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { return Vec::new() };
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_own = sockets.contains(&format!("socket:[{}]", columns[9]));
        let (address, port) = columns[1].split_once(':').expect("an address and a port");
        let is_wanted = state.is_none_or(|state| columns[3] == state);
        // Bytes of an IPv4 address in the machine's order, least first: the last two digits are 127.
        let is_local = address.len() == 8 && address.ends_with("7F");
        (is_own && is_wanted).then(|| (u16::from_str_radix(port, 16).expect("a port"), is_local))
    };
    text.lines().skip(1).filter_map(row).collect()
}

#[tokio::test]
async fn a_37_from_outside_there_is_one_port() {
    let node = exposed().await;
    let own: u16 = node.authority().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let operators = node.operators_authority().rsplit(':').next().and_then(|port| port.parse().ok());
    let operators: u16 = operators.expect("a port");
    let mut listening = bound(node.pid(), "tcp", Some(LISTENS));
    listening.extend(bound(node.pid(), "tcp6", Some(LISTENS)));
    listening.sort_unstable();
    let mut expected = vec![(own, false), (operators, true)];
    expected.sort_unstable();
    assert_eq!(listening, expected, "the players' port, and the operators' on loopback");
    let datagrams = [bound(node.pid(), "udp", None), bound(node.pid(), "udp6", None)].concat();
    assert_eq!(datagrams, []);

    let outside = outside();
    let is_open =
        |port: &u16| TcpStream::connect_timeout(&SocketAddr::from((outside, *port)), PORT_WITHIN).is_ok();
    let open: Vec<u16> = (1..=u16::MAX).filter(is_open).collect();
    // Others on this machine may have ports, too.
    let of_node: Vec<&u16> =
        open.iter().filter(|port| listening.iter().any(|(own, _)| own == *port)).collect();
    assert_eq!(of_node, [&own], "of all ports of {outside} that are open: {open:?}");
}

/// The status of a request from outside without any secret.
async fn asked(authority: &str, method: &str, path: &str) -> u16 {
    request_with(authority, method, path, &[], "").await.status
}

/// The paths of all web files, each with whether it is part of the players' page.
fn web_files(folder: &Path, begin: &str) -> Vec<(String, bool)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the web files are there").flatten() {
        let name = format!("{begin}/{}", entry.file_name().to_string_lossy());
        match entry.path() {
            path if path.is_dir() && !name.ends_with("node_modules") => files.extend(web_files(&path, &name)),
            path if path.is_file() => {
                let is_page = name.starts_with("/game/") || name.starts_with("/sdk/");
                files.push((name, is_page));
            }
            _ => {}
        }
    }
    files
}

#[tokio::test]
async fn a_37_all_but_the_page_and_health_needs_a_ticket_or_a_key() {
    let node = exposed().await;
    let id: MatchId = create_match(node.authority(), &json!({})).await;
    let port = node.authority().rsplit(':').next().expect("a port");
    let authority = format!("{}:{port}", outside());
    for route in &PLAYERS {
        for id in [id.as_str(), "nowhere"] {
            let path = route.path.replace("{id}", id);
            for method in METHODS {
                let status = asked(&authority, method, &path).await;
                let is_health = route.place == Place::Health && method == "GET";
                let expected = if is_health { status == 200 } else { REFUSALS.contains(&status) };
                assert!(expected, "{method} {path}: {status}");
            }
        }
    }
    for path in
        ["/metrics", "/readyz", "/inspector/", "/inspector/main.js", "/index.html", "/v1", "/v2", "//"]
    {
        assert!(REFUSALS.contains(&asked(&authority, "GET", path).await), "{path}");
    }
    for path in ["/v1/nodes", "/v1/events", "/v1/bans", &format!("/v1/matches/{id}/entities")] {
        assert_eq!(asked(&authority, "GET", path).await, 401, "{path}");
    }
    assert_eq!(asked(&authority, "GET", "/").await, 200);
    let files = web_files(&checkout().join("server/web"), "");
    let (mut shown, mut hidden) = (0, 0);
    for (path, is_page) in &files {
        match asked(&authority, "GET", path).await {
            200 if *is_page => shown += 1,
            404 => hidden += 1,
            status => panic!("{path}: {status}"),
        }
    }
    assert!(shown > 20 && hidden > 5, "{shown} files of the page, {hidden} others");

    let players = format!("ws://{authority}/ws");
    for join in [Join::Match(id.clone()), Join::Spectate(id.clone()), Join::Quick { game: String::new() }] {
        let mut socket = Socket::open(&players).await;
        socket.hello(join.clone()).await;
        assert_eq!(socket.closed(WITHIN).await.code, 4501, "{join:?}");
    }
    assert_eq!(Socket::open(&players).await.closed(WITHIN).await.code, 4502);
}
