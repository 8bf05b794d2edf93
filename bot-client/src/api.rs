//! The server's HTTP API as far as bots need it: creating matches. One request per connection, answers bounded.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tickcast_client::stream::Stream;
use tickcast_client::{Target, Trust};
use tickcast_protocol::{MatchId, TickRate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::issuer::ApiKey;
use crate::plan::Plan;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Longest answer, bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Why no match was created.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The node could not be reached.
    #[error("{0} cannot be reached ({1}): is the server running, and is --url right?")]
    Unreachable(String, io::Error),
    /// No answer in time.
    #[error("{0} did not answer within {limit} s", limit = ANSWER_MAX.as_secs())]
    Silent(String),
    /// The answer is not one of the API.
    #[error("{0} does not answer like tickcast's API: {1}")]
    Foreign(String, &'static str),
    /// The API is for those with a key, and none was given.
    #[error(
        "{0} creates matches for backends only: give --api-key (TICKCAST_API_KEY), the key that the node has (HTTP 401)"
    )]
    KeyNeeded(String),
    /// The node has another key.
    #[error(
        "{0} has another key than --api-key (TICKCAST_API_KEY): give the one that the node has (HTTP 401)"
    )]
    WrongKey(String),
    /// The node has no key at all.
    #[error(
        "{0} takes nothing over its API: start it with a key for backends and give that as --api-key, or name matches \
             that there are with --match-id (HTTP 403)"
    )]
    Closed(String),
    /// The node says no.
    #[error("{0} refused to create the match: {2} (HTTP {1})")]
    Refused(String, u16, String),
}

#[derive(Serialize)]
struct NewMatch<'a> {
    game: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick_rate: Option<TickRate>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: &'a BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct Created {
    id: MatchId,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Creates a match on this node, with the plan's game, rate and options.
pub async fn create_match(plan: &Plan, target: &Target, trust: &Trust) -> Result<MatchId, ApiError> {
    let new = NewMatch { game: &plan.game, tick_rate: plan.tick_rate, options: &plan.options };
    let body = serde_json::to_string(&new).expect("plain data is JSON");
    let node = target.authority();
    let request = request(&node, plan.api_key.as_ref(), &body);
    let bytes = match tokio::time::timeout(ANSWER_MAX, exchange(target, trust, &request)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(ApiError::Unreachable(node, error)),
        Err(_) => return Err(ApiError::Silent(node)),
    };
    let answer = match parse_answer(&bytes) {
        Ok(answer) => answer,
        Err(what) => return Err(ApiError::Foreign(node, what)),
    };
    if answer.status == 201 {
        let created: Result<Created, _> = serde_json::from_slice(&answer.body);
        return created
            .map(|created| created.id)
            .map_err(|_| ApiError::Foreign(node, "no match id in a 201"));
    }
    Err(refused(node, &answer, plan.api_key.is_some()))
}

/// Why the node says no. It speaks of headers where its key is missing: who runs bots has flags.
fn refused(node: String, answer: &Answer, has_key: bool) -> ApiError {
    match (answer.status, has_key) {
        (401, false) => ApiError::KeyNeeded(node),
        (401, true) => ApiError::WrongKey(node),
        (403, _) => ApiError::Closed(node),
        (status, _) => {
            let refusal: Result<Refusal, _> = serde_json::from_slice(&answer.body);
            let text = refusal.map_or_else(|_| "without a reason".to_owned(), |refusal| refusal.error);
            ApiError::Refused(node, status, text)
        }
    }
}

fn request(authority: &str, key: Option<&ApiKey>, body: &str) -> String {
    let key = key.map(|ApiKey(key)| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    format!(
        "POST /v1/matches HTTP/1.1\r\nHost: {authority}\r\n{key}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn exchange(target: &Target, trust: &Trust, request: &str) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(target.authority()).await?;
    let mut stream = Stream::over(stream, target, trust).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse_answer(bytes: &[u8]) -> Result<Answer, &'static str> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of the HTTP head")?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "the HTTP head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).ok_or("no HTTP/1 status line")?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no HTTP status")?;
    let header = |wanted: &str| {
        let mut pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let rest = &bytes[end + 4..];
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => join_chunks(rest)?,
        (Some(_), _) => return Err("an unknown transfer encoding"),
        (None, Some(length)) => {
            let length: usize = length.parse().map_err(|_| "a content length that is no number")?;
            rest.get(..length).ok_or("the body is cut off")?.to_vec()
        }
        (None, None) => rest.to_vec(),
    };
    Ok(Answer { status, body })
}

fn join_chunks(mut rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    const CUT: &str = "a chunked body is cut off";
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").ok_or(CUT)?;
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|line| line.split(';').next());
        let size =
            size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).ok_or("a bad chunk size")?;
        if size == 0 {
            return Ok(body);
        }
        let start = end + 2;
        let chunk = size.checked_add(start).and_then(|end| rest.get(start..end)).ok_or(CUT)?;
        body.extend_from_slice(chunk);
        rest = rest.get(start + size + 2..).ok_or(CUT)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_all_three_framings() {
        let expected = Answer { status: 201, body: br#"{"id":"m1"}"#.to_vec() };
        for text in [
            "HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n{\"id\":\"m1\"}",
            "HTTP/1.0 201 \r\nServer: x\r\n\r\n{\"id\":\"m1\"}",
            "HTTP/1.1 201 Created\r\ntransfer-encoding: Chunked\r\n\r\n4\r\n{\"id\r\n7;x=y\r\n\":\"m1\"}\r\n0\r\n\r\n",
        ] {
            assert_eq!(parse_answer(text.as_bytes()).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn whose_key_is_missing_or_wrong_is_told_of_the_flag() {
        let told = |status, has_key| {
            let body = br#"{"error":"send the key as `Authorization: Bearer KEY`"}"#.to_vec();
            refused("node:7777".to_owned(), &Answer { status, body }, has_key).to_string()
        };
        for (status, has_key) in [(401, false), (401, true), (403, false)] {
            let text = told(status, has_key);
            assert!(text.contains("--api-key") && !text.contains("Bearer"), "{text}");
        }
        assert_ne!(told(401, false), told(401, true));
        assert!(told(503, true).contains("HTTP 503"), "other answers are told as they are");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "hello\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        ] {
            assert!(parse_answer(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_says_only_what_was_asked_for() {
        let none = BTreeMap::new();
        let new = NewMatch { game: "arena", tick_rate: None, options: &none };
        assert_eq!(serde_json::to_string(&new).unwrap(), r#"{"game":"arena"}"#);
        let options = BTreeMap::from([("pickups".to_owned(), 40)]);
        let tick_rate = TickRate::try_from(30u64).ok();
        let new = NewMatch { game: "arena", tick_rate, options: &options };
        let expected = r#"{"game":"arena","tick_rate":30,"options":{"pickups":40}}"#;
        assert_eq!(serde_json::to_string(&new).unwrap(), expected);
    }
}
