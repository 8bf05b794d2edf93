//! `/v1` of the operators' port: what the inspector's page shows, and the orders that it gives. Looking needs no login;
//! an order needs the operator's token in a header, which no other site's page can send.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tickcast_protocol::{MatchId, NodeId, PlayerId};

use super::answer::{Answer, error, json_answer, not_allowed, read_json};
use super::bans;
use crate::backplane::Backplane;
use crate::io::clock;
use crate::io::node::Node;
use crate::ops::admin;
use crate::ops::inspector::Found;
use crate::ops::inspector::journal::What;
use crate::ops::inspector::query::Params;
use crate::ops::inspector::view::View;

/// Answers a request for what is below `/v1`.
pub(super) async fn answer<B: Backplane>(
    node: &Arc<Node<B>>,
    request: Request<Incoming>,
    segments: &[&str],
) -> Answer {
    let params = Params::parse(request.uri().query().unwrap_or_default());
    if let ["bans", named @ ..] = segments {
        return bans::answer(node, request, named).await;
    }
    match (request.method(), segments) {
        (&Method::GET, ["nodes"]) => json_answer(StatusCode::OK, &node.tell_nodes().await),
        (&Method::GET, ["matches"]) => told(node.tell_matches(&params).await),
        (&Method::GET, ["matches", id]) => show_match(node, id).await,
        (&Method::GET, ["matches", id, "players"]) => {
            let search = params.text("search").unwrap_or_default();
            show(node, id, |view| view.players(search, params.page()?)).await
        }
        (&Method::GET, ["matches", id, "entities"]) => {
            let kind = params.text("kind").unwrap_or_default();
            show(node, id, |view| view.entities(kind, params.page()?)).await
        }
        (&Method::GET, ["matches", id, "map"]) => show(node, id, View::map).await,
        (&Method::GET, ["events"]) => show_events(node, &params),
        (&Method::POST, ["matches", _, "move" | "end" | "revive" | "kick"] | ["nodes", _, "drain"]) => {
            give_order(node, request, segments).await
        }
        (
            _,
            ["nodes" | "matches" | "events"]
            | ["matches", _]
            | ["matches", _, "players" | "entities" | "map"],
        ) => not_allowed("GET"),
        (_, ["matches", _, "move" | "end" | "revive" | "kick"] | ["nodes", _, "drain"]) => {
            not_allowed("POST")
        }
        _ => error(StatusCode::NOT_FOUND, "there is nothing here; docs/operations.md lists what is"),
    }
}

pub(super) fn told(told: Result<Value, String>) -> Answer {
    match told {
        Ok(told) => json_answer(StatusCode::OK, &told),
        Err(problem) => error(StatusCode::BAD_REQUEST, &problem),
    }
}

fn no_match() -> Answer {
    error(StatusCode::NOT_FOUND, "no such match")
}

async fn show_match<B: Backplane>(node: &Arc<Node<B>>, id: &str) -> Answer {
    let Ok(id) = id.parse() else { return no_match() };
    match node.tell_match(&id).await {
        Some(told) => json_answer(StatusCode::OK, &told),
        None => no_match(),
    }
}

/// What a match's view has of something, with how old it is.
async fn show<B: Backplane>(
    node: &Arc<Node<B>>,
    id: &str,
    look: impl FnOnce(&View) -> Result<Value, String>,
) -> Answer {
    let Ok(id) = id.parse() else { return no_match() };
    match node.find_match(&id).await {
        Found::View(view, as_of) => told(look(&view).map(|value| aged(value, as_of))),
        Found::Nothing => no_match(),
        Found::Unknown(trouble) => error(StatusCode::SERVICE_UNAVAILABLE, &trouble),
    }
}

fn aged(mut value: Value, as_of: Value) -> Value {
    value["as_of"] = as_of;
    value
}

fn show_events<B: Backplane>(node: &Arc<Node<B>>, params: &Params) -> Answer {
    let of = match params.text("match").map(MatchId::from_str).transpose() {
        Ok(of) => of,
        Err(problem) => return error(StatusCode::BAD_REQUEST, &format!("`match`: {problem}")),
    };
    told(params.page().map(|(_, limit)| {
        let events = node.inspector.journal.newest(of.as_ref(), limit);
        json!({ "node": node.settings.node, "events": events })
    }))
}

/// The body of an order: where to move a match, whom to put out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderBody {
    to: Option<String>,
    player: Option<u32>,
}

async fn give_order<B: Backplane>(
    node: &Arc<Node<B>>,
    request: Request<Incoming>,
    segments: &[&str],
) -> Answer {
    if let Err(refused) = check_token(node, request.headers(), "for an order") {
        return *refused;
    }
    let body: OrderBody = match read_json(request, "an order").await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let done = match segments {
        ["nodes", name, _] => drain(node, name).await,
        ["matches", id, order] => order_match(node, id, order, &body).await,
        _ => return no_match(),
    };
    tracing::info!(order = segments.join("/"), ?done, "asked by an operator");
    match done {
        Ok(text) => json_answer(StatusCode::OK, &json!({ "done": text })),
        Err(problem) => error(StatusCode::CONFLICT, &problem),
    }
}

async fn order_match<B: Backplane>(
    node: &Arc<Node<B>>,
    id: &str,
    order: &str,
    body: &OrderBody,
) -> Result<String, String> {
    let id: MatchId = parse("match", id)?;
    let to: Option<NodeId> = body.to.as_deref().map(|to| parse("node", to)).transpose()?;
    let done = match order {
        "move" => admin::move_match(&node.backplane, &id, to).await,
        "end" => admin::end(&node.backplane, &id).await,
        "kick" => match body.player {
            Some(player) => admin::bans::kick(&node.backplane, &id, PlayerId(player)).await,
            None => Err("name the `player`, by its number".to_owned()),
        },
        _ => admin::revive(&node.backplane, &id).await,
    };
    let told = done.as_ref().unwrap_or_else(|problem| problem);
    node.note(&id, What::Order, format!("{order}: {told}"));
    done
}

async fn drain<B: Backplane>(node: &Arc<Node<B>>, name: &str) -> Result<String, String> {
    let name: NodeId = parse("node", name)?;
    let entry = admin::order_drain(&node.backplane, &name).await?;
    let text = format!(
        "node {name} was asked to leave, with {} matches and {} connections",
        entry.matches, entry.connections
    );
    node.inspector.journal.note(clock::unix_ms(), None, What::Order, text.clone());
    Ok(text)
}

fn parse<T: FromStr<Err: fmt::Display>>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|problem| format!("{what} `{text}`: {problem}"))
}

/// Only who shows the operator's token may give orders, and on a private port read.
pub(super) fn check_token<B: Backplane>(
    node: &Arc<Node<B>>,
    headers: &HeaderMap,
    what_for: &str,
) -> Result<(), Box<Answer>> {
    let Some(token) = &node.settings.operator_token else {
        let text = "this node takes no orders over HTTP: start it with TICKCAST_OPERATOR_TOKEN or --operator-token, a \
                    secret of at least 16 characters, and send that as `Authorization: Bearer TOKEN`";
        return Err(Box::new(error(StatusCode::FORBIDDEN, text)));
    };
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown.and_then(|shown| shown.strip_prefix("Bearer ")).is_some_and(|shown| token.admits(shown)) {
        return Ok(());
    }
    let text = match shown {
        None => {
            &format!("the operator's token is needed {what_for}: send it as `Authorization: Bearer TOKEN`")
        }
        Some(_) => "that is not the operator's token of this node",
    };
    let mut refused = error(StatusCode::UNAUTHORIZED, text);
    refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(Box::new(refused))
}
