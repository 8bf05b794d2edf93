//! HTTP on both ports: the WebSocket upgrade and `/v1` for players, health and metrics for operators, web files.

use std::convert::Infallible;
use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use tickcast_protocol::MatchId;
use tickcast_protocol::message::SUBPROTOCOL;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::backplane::{Backplane, MatchFields, fields};
use crate::game::Options;
use crate::io::node::{NewMatch, Node, Refusal};
use crate::io::transport::Transport;
use crate::io::websocket;
use crate::logic::joins::Access;
use crate::logic::stored::StoredMatch;

use self::answer::{Answer, error, json_answer, not_allowed, read_json, refused, text};
use self::routes::{Found, Place};
use self::timed::{Timed, Wire};

mod accept;
mod answer;
mod assets;
mod backends;
mod bans;
mod early;
mod guard;
mod operators;
pub mod routes;
pub mod timed;

pub use self::accept::accept;

/// How long a client may take for its request's head.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// Longest head of a request, bytes, and its headers; a longer one is answered with 431.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// When a node that is full may have a place again.
const FULL_AFTER: Duration = Duration::from_secs(10);

/// Which of the two ports a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// For players.
    Players,
    /// For operators.
    Operators,
}

/// Serves a connection, whatever it runs over, until it ends or has become a WebSocket. What HTTP takes, kilobytes, is there once the
/// head of a request is.
pub async fn serve<B: Backplane>(node: Arc<Node<B>>, mut stream: impl Wire, peer: SocketAddr, port: Port) {
    let mut stopping = node.stopping();
    let gathered = tokio::select! {
        gathered = timeout(HEADER_DEADLINE, early::gather(&mut stream, HEAD_BYTES_MAX)) => gathered,
        _ = stopping.changed() => return,
    };
    match gathered {
        Ok(Ok(early)) => {
            let stream = Timed::new(stream, early, node.settings.exposure.answer_within);
            Box::pin(speak(node, stream, peer, port)).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no request"),
        Err(_) => tracing::debug!(%peer, "no request in time"),
    }
}

/// Speaks HTTP.
async fn speak<B: Backplane>(node: Arc<Node<B>>, stream: Timed<impl Wire>, peer: SocketAddr, port: Port) {
    let mut stopping = node.stopping();
    let serving = Arc::clone(&node);
    let service = service_fn(move |request| route(Arc::clone(&serving), request, port, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(2 * HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            node.metrics.answers_not_taken.add(u64::from(is_too_slow(&error)));
            tracing::debug!(%peer, %error, "HTTP connection ended");
        },
        _ = stopping.changed() => {}
    }
}

/// Whether a connection ended because its client did not take an answer in time.
fn is_too_slow(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == ErrorKind::TimedOut)
}

async fn route<B: Backplane>(
    node: Arc<Node<B>>,
    request: Request<Incoming>,
    port: Port,
    peer: SocketAddr,
) -> Result<Answer, Infallible> {
    let is_ws = port == Port::Players && request.uri().path() == "/ws";
    let answer = match guard::refuse(&node, &request, port, peer) {
        Some(refused) => refused,
        None => answer(node, request, port, peer).await,
    };
    let is_last = is_ws && answer.status() != StatusCode::SWITCHING_PROTOCOLS;
    Ok(if is_last { guard::last(answer) } else { answer })
}

async fn answer<B: Backplane>(
    node: Arc<Node<B>>,
    request: Request<Incoming>,
    port: Port,
    peer: SocketAddr,
) -> Answer {
    let path = request.uri().path().to_owned();
    if port == Port::Players {
        return answer_player(node, request, &path, peer).await;
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["healthz"]) => health(&node, false),
        (&Method::GET, ["readyz"]) => health(&node, true),
        (&Method::GET, ["metrics"]) => metrics(&node),
        (_, ["v1", inner @ ..]) => operators::answer(&node, request, inner).await,
        (_, ["healthz" | "readyz" | "metrics"]) => not_allowed("GET"),
        _ => file(&request, port, &path),
    }
}

async fn answer_player<B: Backplane>(
    node: Arc<Node<B>>,
    request: Request<Incoming>,
    path: &str,
    peer: SocketAddr,
) -> Answer {
    if (path == "/v1" || path.starts_with("/v1/"))
        && let Some(refused) = backends::refuse(&node, request.headers())
    {
        return refused;
    }
    match routes::find(request.method(), path) {
        Found::Place(Place::Socket, _) => upgrade(node, request, peer),
        Found::Place(Place::Games, _) => list_games(&node),
        Found::Place(Place::Matches, _) => list_matches(&node).await,
        Found::Place(Place::Create, _) => create_match(&node, request).await,
        Found::Place(Place::Match, id) => show_match(&node, id).await,
        Found::Place(Place::Ticket, _) => backends::make_ticket(&node, request).await,
        Found::Place(Place::Health, _) => plain_health(&node),
        Found::Otherwise(methods) => not_allowed(&methods),
        Found::Nothing => file(&request, Port::Players, path),
    }
}

/// The web file at a path of a port.
fn file(request: &Request<Incoming>, port: Port, path: &str) -> Answer {
    match assets::answer(port, path, request.headers()) {
        Some(asset) if [Method::GET, Method::HEAD].contains(request.method()) => asset,
        Some(_) => not_allowed("GET, HEAD"),
        None => error(StatusCode::NOT_FOUND, "there is nothing here; see / for what is"),
    }
}

fn upgrade<B: Backplane>(node: Arc<Node<B>>, mut request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let pass = match guard::admit_upgrade(&node, &request, peer) {
        Ok(pass) => pass,
        Err(refused) => return *refused,
    };
    if node.sessions.len() >= node.settings.connections_max || node.is_leaving() {
        let text = "the node is full or leaving: connect to another one";
        return guard::retry(error(StatusCode::SERVICE_UNAVAILABLE, text), FULL_AFTER);
    }
    let mut head = Request::builder().method(request.method()).uri(request.uri()).version(request.version());
    if let Some(headers) = head.headers_mut() {
        headers.clone_from(request.headers());
    }
    let checked = head.body(()).map_err(|error| error.to_string()).and_then(|head| {
        create_response_with_body(&head, Full::<Bytes>::default).map_err(|error| error.to_string())
    });
    let mut response = match checked {
        Ok(response) => response,
        Err(problem) => {
            return guard::no_upgrade(&format!(
                "this is a WebSocket: connect with a WebSocket client ({problem})"
            ));
        }
    };
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if offered.map(str::trim).any(|protocol| protocol == SUBPROTOCOL) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let pending = hyper::upgrade::on(&mut request);
    let serving = Arc::clone(&node);
    node.tasks.spawn(async move {
        let Ok(upgraded) = pending.await else { return };
        let taken = taken_apart(upgraded)
            .and_then(|(transport, early)| websocket::serve(&serving, transport, early, pass));
        if let Err(error) = taken {
            tracing::warn!(%error, "a connection could not be taken over");
        }
    });
    response
}

/// The socket of a connection that is no HTTP any more, and what was read of it already.
fn taken_apart(upgraded: Upgraded) -> io::Result<(Transport, Bytes)> {
    let mio = |stream: TcpStream| stream.into_std().map(mio::net::TcpStream::from_std);
    match upgraded.downcast::<TokioIo<Timed<TcpStream>>>() {
        Ok(parts) => {
            let (stream, early) = parts.io.into_inner().into_parts(parts.read_buf);
            Ok((Transport::Plain(mio(stream)?), early))
        }
        Err(upgraded) => {
            let parts = upgraded
                .downcast::<TokioIo<Timed<TlsStream<TcpStream>>>>()
                .map_err(|_| io::Error::other("it is neither a socket nor one under TLS"))?;
            let (stream, early) = parts.io.into_inner().into_parts(parts.read_buf);
            let (stream, session) = stream.into_inner();
            Ok((Transport::tls(mio(stream)?, session), early))
        }
    }
}

/// The body of `POST /v1/matches`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CreateBody {
    game: String,
    id: Option<MatchId>,
    tick_rate: Option<u8>,
    options: Options,
    access: AccessBody,
    spectators: Option<bool>,
}

/// Whom a match lets in.
#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AccessBody {
    /// Whoever may join.
    #[default]
    Open,
    /// Whose ticket names it.
    Ticket,
}

async fn create_match<B: Backplane>(node: &Arc<Node<B>>, request: Request<Incoming>) -> Answer {
    let body: CreateBody = match read_json(request, "a match to create").await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let mut options = body.options;
    options.extend(body.tick_rate.map(|hz| ("tick_rate".to_owned(), i64::from(hz))));
    let by_ticket = body.access == AccessBody::Ticket;
    let access = Access { by_ticket, spectators: body.spectators.unwrap_or(true) };
    match node.create(NewMatch { game: body.game, id: body.id, options, access }).await {
        Ok((id, stored)) => json_answer(StatusCode::CREATED, &summary(&id, &stored)),
        Err(refusal) => refused(&refusal),
    }
}

async fn show_match<B: Backplane>(node: &Arc<Node<B>>, id: &str) -> Answer {
    let Ok(id) = id.parse::<MatchId>() else { return refused(&Refusal::no_such_match()) };
    let loaded = match node.backplane.load(&id).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return refused(&Refusal::no_such_match()),
        Err(error) => return refused(&Refusal::unavailable(error)),
    };
    match StoredMatch::parse(&loaded) {
        Ok(stored) => json_answer(StatusCode::OK, &summary(&id, &stored)),
        Err(problem) => error(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

async fn list_matches<B: Backplane>(node: &Arc<Node<B>>) -> Answer {
    let wanted = [
        fields::GAME,
        fields::PLAYERS,
        fields::PLAYERS_MAX,
        fields::TICK,
        fields::TICK_RATE,
        fields::OWNER,
        fields::COMMITTED_MS,
    ];
    let row = |(id, stored): (MatchId, MatchFields)| {
        let number = |name: &str| fields::number(&stored, name);
        json!({
            "id": id, "game": fields::text(&stored, fields::GAME), "players": number(fields::PLAYERS),
            "players_max": number(fields::PLAYERS_MAX), "tick": number(fields::TICK),
            "tick_rate": number(fields::TICK_RATE), "owner": fields::text(&stored, fields::OWNER),
            "committed_ms": number(fields::COMMITTED_MS),
        })
    };
    match node.backplane.list(&wanted).await {
        Ok(matches) => {
            let matches: Vec<Value> = matches.into_iter().map(row).collect();
            json_answer(StatusCode::OK, &json!({ "matches": matches }))
        }
        Err(error) => refused(&Refusal::unavailable(error)),
    }
}

fn list_games<B: Backplane>(node: &Arc<Node<B>>) -> Answer {
    let games: Vec<&str> = node.games.names().collect();
    json_answer(StatusCode::OK, &json!({ "games": games }))
}

fn summary(id: &MatchId, stored: &StoredMatch) -> Value {
    json!({
        "id": id, "game": stored.game, "players": stored.players, "players_max": stored.players_max,
        "tick": stored.tick.0, "tick_rate": stored.tick_rate.hz(), "owner": stored.owner,
        "epoch": stored.fence.epoch.0, "committed_ms": stored.committed_ms, "created_ms": stored.created_ms,
        "options": stored.options,
    })
}

/// Whether the node does its work; `to_come` asks whether new clients should come, too.
fn health<B: Backplane>(node: &Arc<Node<B>>, to_come: bool) -> Answer {
    let mut complaints = node.complaints();
    if to_come && node.is_leaving() {
        complaints.push("the node is leaving its cluster".to_owned());
    }
    if to_come && node.sessions.len() >= node.settings.connections_max {
        complaints.push("the node is full".to_owned());
    }
    match complaints.is_empty() {
        true => text(StatusCode::OK, "ok\n"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, &(complaints.join("\n") + "\n")),
    }
}

/// Whether the node does its work, for whoever may know no more.
fn plain_health<B: Backplane>(node: &Arc<Node<B>>) -> Answer {
    match node.complaints().is_empty() {
        true => text(StatusCode::OK, "ok\n"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "not ok\n"),
    }
}

fn metrics<B: Backplane>(node: &Arc<Node<B>>) -> Answer {
    let gauges = [
        ("connections", "Open WebSocket connections.", node.sessions.len() as u64),
        ("matches_owned", "Matches this node runs.", node.owned.len() as u64),
        ("matches_followed", "Matches this node relays.", node.followed.len() as u64),
    ];
    text(StatusCode::OK, &node.metrics.render(&gauges))
}
