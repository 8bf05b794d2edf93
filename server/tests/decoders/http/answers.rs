//! What a node answered, read strictly: each answer is whole, its status has the reason that belongs to it, and each
//! header has a form of its own, so that none holds what a client sent.

use tickcast_protocol::message::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::requests::Asked;

/// Every status that a node answers, with its reason. A fault of the node's own is not among them.
const STATUSES: [(u16, &str); 18] = [
    (100, "Continue"),
    (101, "Switching Protocols"),
    (200, "OK"),
    (201, "Created"),
    (304, "Not Modified"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (408, "Request Timeout"),
    (413, "Payload Too Large"),
    (414, "URI Too Long"),
    (426, "Upgrade Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (501, "Not Implemented"),
    (503, "Service Unavailable"),
];
/// Values of headers that have only these.
const VALUES: [(&str, &[&str]); 12] = [
    ("allow", &["GET", "POST", "DELETE", "GET, POST", "GET, HEAD"]),
    ("cache-control", &["no-store", "no-cache"]),
    ("connection", &["close", "keep-alive", "Upgrade"]),
    (
        "content-type",
        &[
            "application/json",
            "text/plain; charset=utf-8",
            "text/html; charset=utf-8",
            "text/javascript; charset=utf-8",
            "text/css; charset=utf-8",
            "image/svg+xml",
        ],
    ),
    ("referrer-policy", &["no-referrer"]),
    ("sec-websocket-protocol", &[SUBPROTOCOL]),
    ("sec-websocket-version", &["13"]),
    ("transfer-encoding", &[]),
    ("upgrade", &["websocket"]),
    ("www-authenticate", &["Bearer"]),
    ("x-content-type-options", &["nosniff"]),
    ("server", &[]),
];

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether it says that it is the last one.
    pub(super) fn is_last(&self) -> bool {
        self.status == 101 || self.header("connection") == Some("close")
    }
}

/// All answers to what was asked; further ones are to a head that was none.
pub(super) fn read(mut bytes: &[u8], asked: &[Asked]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let request = asked.get(answers.len());
        let (answer, rest) = head(bytes);
        bytes = rest;
        answer.headers.iter().for_each(|(name, value)| assert_form(name, value, request));
        if answer.status == 100 {
            assert!(request.is_some_and(|asked| asked.has("expect")), "nobody waits for {answer:?}");
            continue;
        }
        let is_bare =
            matches!(answer.status, 101 | 304) || request.is_some_and(|asked| asked.method == "HEAD");
        if !is_bare {
            let length = answer.header("content-length").and_then(|length| length.parse().ok());
            let length: usize = length.unwrap_or_else(|| panic!("no length: {answer:?}"));
            assert!(length <= bytes.len(), "{length} bytes and no more than {}: {answer:?}", bytes.len());
            let (body, rest) = bytes.split_at(length);
            bytes = rest;
            assert_body(&answer, body);
        }
        answers.push(answer);
    }
    answers
}

fn head(bytes: &[u8]) -> (Answer, &[u8]) {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
    let text = str::from_utf8(&bytes[..end]).expect("a head is text");
    assert!(text.bytes().all(|byte| matches!(byte, b'\r' | b'\n' | b' '..=b'~')), "{text:?}");
    let mut lines = text.split("\r\n");
    let first = lines.next().expect("a first line");
    let said = first.strip_prefix("HTTP/1.1 ").or(first.strip_prefix("HTTP/1.0 ")).expect("a version");
    let known = STATUSES.iter().find(|(status, reason)| said == format!("{status} {reason}"));
    let (status, _) = known.unwrap_or_else(|| panic!("no status of ours: {first:?}"));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
        (name.to_owned(), value.to_owned())
    });
    let answer = Answer { status: *status, headers: headers.collect() };
    for (name, _) in &answer.headers {
        let times = answer.headers.iter().filter(|(other, _)| other == name).count();
        assert_eq!(times, 1, "`{name}` stands there once: {answer:?}");
    }
    (answer, &bytes[end + 4..])
}

fn assert_form(name: &str, value: &str, asked: Option<&Asked>) {
    let is_number = || value.len() <= 7 && value.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match name {
        "content-length" | "retry-after" => is_number(),
        "date" => value.len() == 29 && value.ends_with(" GMT"),
        "etag" => {
            let hex = value.trim_matches('"');
            value.len() == 34 && hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        "content-security-policy" => {
            value.starts_with("default-src 'none'; ") && value.ends_with("; frame-ancestors 'none'")
        }
        "sec-websocket-accept" => {
            let key = asked.and_then(|asked| asked.only("sec-websocket-key"));
            key.is_some_and(|key| derive_accept_key(key.as_bytes()) == value)
        }
        _ => VALUES.iter().any(|(own, values)| *own == name && values.contains(&value)),
    };
    assert!(fits, "a header of no form of ours: `{name}: {value}`");
}

/// What is wrong is told as JSON, and that it is short.
fn assert_body(answer: &Answer, body: &[u8]) {
    if answer.header("content-type") != Some("application/json") {
        return;
    }
    let value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    if answer.status >= 400 {
        assert!(value["error"].is_string(), "{value}");
    }
}
