//! One HTTP request after another, as creating a match needs it. HTTP/1.0: the answer comes in one piece and ends with
//! the connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::websocket::ANSWER_WITHIN;

/// Longest answer, bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Posts JSON and gets JSON.
pub(crate) fn post(server: SocketAddr, path: &str, body: &Value) -> io::Result<Value> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {server}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    body_of(&answer)
}

fn body_of(answer: &[u8]) -> io::Result<Value> {
    let text = String::from_utf8_lossy(answer);
    let refused = || io::Error::other(format!("unexpected answer: {text}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(refused)?;
    let status = head.split(' ').nth(1).ok_or_else(refused)?;
    if !status.starts_with('2') {
        return Err(refused());
    }
    serde_json::from_str(body).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_body_or_an_error() {
        let good = b"HTTP/1.0 201 Created\r\nContent-Type: application/json\r\n\r\n{\"id\":\"m\"}";
        assert_eq!(body_of(good).unwrap()["id"], "m");
        for bad in [&b"HTTP/1.0 500 No\r\n\r\n{}"[..], b"HTTP/1.0 200 OK\r\n\r\nhello", b""] {
            assert!(body_of(bad).is_err());
        }
    }
}
