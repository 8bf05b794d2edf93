//! What backends ask of the players' port: who may use `/v1` there, and tickets.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::ticket::{Permit, Place, Subject};

use super::answer::{Answer, error, json_answer, read_json, refused};
use crate::backplane::Backplane;
use crate::io::node::{Node, Refusal};
use crate::logic::joins::Wanted;

/// Where tickets are needed, only backends with the key may use the API: players need nothing of it.
pub(super) fn refuse<B: Backplane>(node: &Node<B>, headers: &HeaderMap) -> Option<Answer> {
    let (key, is_closed) = (&node.settings.api_key, node.settings.joins.keys.is_some());
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match key {
        Some(key) if key.admits_bearer(shown) => None,
        None if !is_closed => None,
        None => Some(error(
            StatusCode::FORBIDDEN,
            "the API is closed: tickets are needed here, and this node has no key for backends. Start it with \
             TICKCAST_API_KEY or --api-key, a secret of at least 16 characters, and send that as `Authorization: Bearer KEY`",
        )),
        Some(_) => {
            let text = match shown {
                None => "the API is for backends: send the key as `Authorization: Bearer KEY`",
                Some(_) => "that is not the key for backends of this node",
            };
            let mut refused = error(StatusCode::UNAUTHORIZED, text);
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            Some(refused)
        }
    }
}

/// The body of `POST /v1/tickets`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TicketBody {
    subject: Option<Subject>,
    #[serde(rename = "match")]
    match_id: Option<MatchId>,
    game: Option<String>,
    spectator: bool,
    name: String,
    seconds: Option<u64>,
}

impl TicketBody {
    fn wanted(self) -> Result<Wanted, &'static str> {
        let place = match (self.match_id, self.game) {
            (Some(id), None) => Place::Match(id),
            (None, Some(game)) => Place::Game(game),
            _ => return Err("name either the `match` or the `game` that the ticket leads into"),
        };
        let subject = self.subject.ok_or("name the `subject`, the player's account")?;
        let permit = if self.spectator { Permit::Watch } else { Permit::Play };
        Ok(Wanted { subject, permit, place, name: self.name, seconds: self.seconds })
    }
}

/// Makes a ticket. Only where there is a key for backends: whoever may make tickets may do anything.
pub(super) async fn make_ticket<B: Backplane>(node: &Arc<Node<B>>, request: Request<Incoming>) -> Answer {
    if node.settings.api_key.is_none() {
        let text =
            "this node makes no tickets: start it with TICKCAST_API_KEY or --api-key, and with a ticket key";
        return error(StatusCode::FORBIDDEN, text);
    }
    let body: TicketBody = match read_json(request, "a ticket to make").await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let wanted = match body.wanted() {
        Ok(wanted) => wanted,
        Err(text) => return error(StatusCode::BAD_REQUEST, text),
    };
    let now_ms = match node.backplane.now_ms().await {
        Ok(now_ms) => now_ms,
        Err(error) => return refused(&Refusal::unavailable(error)),
    };
    match node.settings.joins.mint(wanted, rand::random(), now_ms) {
        Ok((ticket, text)) => {
            let told =
                json!({ "ticket": text, "id": ticket.id.to_string(), "expires_ms": ticket.expires_ms });
            json_answer(StatusCode::CREATED, &told)
        }
        Err(unmade) => error(StatusCode::BAD_REQUEST, &unmade.to_string()),
    }
}
