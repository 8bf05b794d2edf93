//! Bodies of HTTP requests, and answers: text and JSON, with the headers that each has.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tickcast_protocol::CloseCode;
use tokio::time::timeout;

use crate::io::node::Refusal;

/// Longest body of a request.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a client may take for it.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

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
pub(super) fn not_allowed(allowed: &str) -> Answer {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allowed}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_str(allowed).expect("methods and commas"));
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

/// Reads a body that is a JSON object and is to be `what`; an empty one is the default. Boxed, because an answer is large.
pub(super) async fn read_json<T: DeserializeOwned + Default>(
    request: Request<Incoming>,
    what: &str,
) -> Result<T, Box<Answer>> {
    let refuse = |text: &str| Err(Box::new(error(StatusCode::BAD_REQUEST, &format!("not {what}: {text}"))));
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let Ok(body) = timeout(BODY_DEADLINE, body).await else {
        return Err(Box::new(error(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")));
    };
    let body = match body {
        Ok(body) => body,
        Err(problem) if problem.is::<LengthLimitError>() => {
            return Err(Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")));
        }
        Err(_) => return refuse("the body broke off, or its chunks are none"),
    };
    let body = body.to_bytes();
    match body.trim_ascii_start().first() {
        None => Ok(T::default()),
        Some(b'{') => serde_json::from_slice(&body).or_else(|problem| refuse(&problem.to_string())),
        // A list would be taken for the fields in their order.
        Some(_) => refuse("write a JSON object, {...}"),
    }
}
