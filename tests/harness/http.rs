//! One HTTP request over a socket of its own. Knows no more of HTTP than what a node answers.

use std::time::Duration;

use serde_json::Value;
use tickcast_client::stream::Stream;
use tickcast_client::{Target, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Within this a node answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The key for backends of the tests' nodes that have one; the others do not look at it.
pub const API_KEY: &str = "planted-api-key-of-backends";

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.into_iter().find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What the body says under `error`; empty when it says nothing.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends a request to `authority` (host and port) and waits for the answer.
///
/// # Panics
/// When there is none.
pub async fn request(authority: &str, method: &str, path: &str, body: &str) -> Answer {
    request_with(authority, method, path, &[], body).await
}

/// As [`request`], with further headers.
///
/// # Panics
/// As [`request`].
pub async fn request_with(
    authority: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let target = format!("http://{authority}");
    request_over(&target, &Trust::default(), method, path, headers, body).await
}

/// As [`request_with`], at an address that may begin with `https://`.
///
/// # Panics
/// As [`request`].
pub async fn request_over(
    url: &str,
    trust: &Trust,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let target: Target = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    let authority = &target.authority();
    let exchange = async {
        let stream = TcpStream::connect(authority).await?;
        let mut stream = Stream::over(stream, &target, trust).await?;
        let length = body.len();
        let further: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{further}");
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(ANSWER_WITHIN, exchange).await;
    let answer = answer.unwrap_or_else(|_| panic!("{method} {path}: no answer within {ANSWER_WITHIN:?}"));
    let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let parts = answer.split_once("\r\n\r\n");
    let (head, body) = parts.unwrap_or_else(|| panic!("{method} {path}: no HTTP: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{method} {path}: no status: {head}"));
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Creates a match and tells its id.
///
/// # Panics
/// When the node refuses.
pub async fn create_match(authority: &str, body: &Value) -> tickcast_protocol::MatchId {
    let key = format!("Bearer {API_KEY}");
    let headers = [("Authorization", key.as_str())];
    let answer = request_with(authority, "POST", "/v1/matches", &headers, &body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().map(str::parse);
    id.and_then(Result::ok).unwrap_or_else(|| panic!("no id: {answer:?}"))
}
