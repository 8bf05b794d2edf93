//! `/v1/bans` of the operators' port: who may not join, and until when.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tickcast_protocol::ticket::Subject;

use super::answer::{Answer, error, json_answer, not_allowed, read_json};
use super::operators::{check_token, told};
use crate::backplane::Backplane;
use crate::io::node::Node;
use crate::ops::admin::bans;
use crate::ops::inspector::query::{Params, decoded};

/// The body of a ban.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BanBody {
    subject: Option<Subject>,
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: String,
}

/// Answers a request for `/v1/bans`, and what is below it: a subject, escaped as addresses are.
pub(super) async fn answer<B: Backplane>(
    node: &Arc<Node<B>>,
    request: Request<Incoming>,
    named: &[&str],
) -> Answer {
    match (request.method(), named) {
        (&Method::GET, []) => {
            let params = Params::parse(request.uri().query().unwrap_or_default());
            return told(node.tell_bans(&params).await);
        }
        (&Method::POST, []) | (&Method::DELETE, [_]) => {}
        (_, []) => return not_allowed("GET, POST"),
        (_, [_]) => return not_allowed("DELETE"),
        _ => return error(StatusCode::NOT_FOUND, "there is nothing here; docs/operations.md lists what is"),
    }
    if let Err(refused) = check_token(node, request.headers(), "for an order") {
        return *refused;
    }
    let done = match named {
        [subject] => match decoded(subject).parse::<Subject>() {
            Ok(subject) => bans::unban(&node.backplane, &subject).await,
            Err(bad) => Err(bad.to_string()),
        },
        _ => {
            let body: BanBody = match read_json(request, "a ban").await {
                Ok(body) => body,
                Err(refused) => return *refused,
            };
            match &body.subject {
                Some(subject) => {
                    bans::ban(&node.backplane, subject, body.lasts.as_deref(), &body.reason).await
                }
                None => Err("name the `subject`, the account that is to be banned".to_owned()),
            }
        }
    };
    tracing::info!(?done, "bans were changed by an operator");
    match done {
        Ok(text) => {
            node.note_bans(text.clone()).await;
            json_answer(StatusCode::OK, &json!({ "done": text }))
        }
        Err(problem) => error(StatusCode::CONFLICT, &problem),
    }
}
