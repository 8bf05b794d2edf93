//! The floor's opening handshake: the path says who comes, `/?match=M&player=P`.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Place;

/// The answer to a request's head, and where the client belongs.
pub(super) fn answer(head: &[u8]) -> Option<(String, Place)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let (_, query) = lines.next()?.split(' ').nth(1)?.split_once('?')?;
    let number = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.parse().ok()
    };
    let place = Place { in_match: number("match")?, player: number("player")? };
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let (_, key) = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))?;
    let accept = derive_accept_key(key.trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Some((answer, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_with_the_hash_of_its_key() {
        // The key and its hash are RFC 6455's own.
        let head = "GET /?match=3&player=7 HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (text, place) = answer(head.as_bytes()).unwrap();
        assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
        assert_eq!(place, Place { in_match: 3, player: 7 });
        assert!(answer(b"GET / HTTP/1.1\r\n\r\n").is_none());
    }
}
