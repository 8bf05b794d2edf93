//! Answers to HTTP requests: text and JSON, with the headers that each has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tickcast_protocol::CloseCode;

use crate::io::node::Refusal;

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// What a node refused, with the status that fits.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let status = match refusal.code {
        CloseCode::NoSuchMatch => StatusCode::NOT_FOUND,
        CloseCode::Malformed => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    error(status, &refusal.text)
}

/// Another method would be right.
pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allowed}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// An error, as JSON.
pub(super) fn error(status: StatusCode, problem: &str) -> Answer {
    json_answer(status, &json!({ "error": problem }))
}

/// JSON.
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let mut response = text(status, &format!("{value}\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Plain text.
pub(super) fn text(status: StatusCode, body: &str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
