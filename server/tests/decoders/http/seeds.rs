//! Good requests, alone and one behind the other, and such as are almost good, each behind a good one.

use super::{FULL, LIMITED, OPERATORS, PRIVATE, PROXY, SECRET, SIPS, STUTTERS};

/// A request that is always answered well.
const GOOD: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Headers of a handshake.
const HANDSHAKE: [(&str, &str); 5] = [
    ("Host", "localhost"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
];

fn said(flags: u8, pieces: u8, repeats: u8, text: &str) -> Vec<u8> {
    [&[flags, pieces, repeats], text.as_bytes()].concat()
}

/// A handshake with this first line, these headers in place of its own or besides, and something behind it.
fn handshake(first: &str, changed: &[(&str, &str)], behind: &str) -> String {
    let kept = HANDSHAKE.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    let all = kept.chain(changed).filter(|(_, value)| !value.is_empty());
    let headers: String = all.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first}\r\n{headers}\r\n{behind}")
}

/// What was asked by those who meant well, and by those who did not.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let ws = "GET /ws HTTP/1.1";
    let almost = [
        handshake("POST /ws HTTP/1.1", &[], ""),
        handshake("GET /ws HTTP/1.0", &[], ""),
        handshake("GET /ws HTTP/3.7", &[], ""),
        handshake(ws, &[("Sec-WebSocket-Key", "AAAA")], GOOD),
        handshake(ws, &[("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAA!==")], GOOD),
        handshake(ws, &[("Sec-WebSocket-Version", "12")], GOOD),
        handshake(ws, &[("Upgrade", "h2c"), ("Connection", "")], GOOD),
        handshake(ws, &[("Connection", "keep-alive"), ("Connection", "Upgrade")], GOOD),
        handshake(ws, &[("Content-Length", "5")], "hello"),
        handshake(ws, &[("Transfer-Encoding", "chunked")], "5\r\nhello\r\n0\r\n\r\n"),
        handshake(ws, &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")], "0\r\n\r\nGET "),
        handshake(ws, &[("Content-Length", "5, 6")], "hello"),
        handshake(ws, &[("Origin", "https://localhost.evil.test")], GOOD),
        handshake(ws, &[("Host", "")], GOOD),
    ];
    let create = "POST /v1/matches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    let chunked = "POST /v1/matches HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
                   10\r\n{\"game\":\"arena\"}\r\n0\r\n\r\n";
    let shown = format!("Authorization: Bearer {SECRET}\r\n");
    let page =
        "GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"0\"\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let read = "GET /v1/matches?limit=3&sort=-players HTTP/1.1\r\nHost: localhost\r\n\r\n\
                GET /v1/matches/m1/entities?kind=player HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let late =
        "POST /v1/matches HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}";
    let good = [
        said(0, 0, 0, GOOD),
        said(0, 0, 0, &handshake(ws, &[], "")),
        said(
            STUTTERS,
            1,
            0,
            &handshake(
                ws,
                &[("Origin", "http://localhost"), ("Sec-WebSocket-Protocol", "a, tickcast.v4")],
                GOOD,
            ),
        ),
        said(0, 0, 0, &(create.to_owned() + GOOD)),
        said(SIPS, 3, 0, &(chunked.to_owned() + read)),
        said(0, 7, 0, &(late.to_owned() + GOOD)),
        said(SIPS, 40, 0, page),
        said(OPERATORS, 0, 0, &(GOOD.to_owned() + read + "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        said(
            OPERATORS | PRIVATE,
            0,
            0,
            &(GOOD.to_owned() + &read.replacen("\r\n", &format!("\r\n{shown}"), 1)),
        ),
        said(
            LIMITED | PROXY,
            0,
            0,
            &GOOD.replace("\r\n\r\n", "\r\nX-Forwarded-For: 198.51.100.7, ::1\r\n\r\n").repeat(6),
        ),
        said(FULL, 0, 0, &(GOOD.to_owned() + &handshake(ws, &[], ""))),
        // A header field, again and again.
        said(
            0,
            0,
            255,
            &(GOOD.to_owned() + "GET / HTTP/1.1\r\nHost: localhost\r\nX-Some-Header-Of-No-Use: abcd\r\n"),
        ),
    ];
    let behind = almost.iter().map(|almost| said(0, 0, 0, &(GOOD.to_owned() + almost)));
    good.into_iter().chain(behind).collect()
}
