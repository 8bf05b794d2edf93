//! who reaches the operators' port, and under which name.

use super::Target;
use crate::raw::Raw;

/// The status of a request to the operators' port that says it came to this host.
///
/// # Panics
/// When there is no answer.
pub async fn asked_as(authority: &str, host: &str, method: &str, path: &str) -> u16 {
    let mut raw = Raw::connect(authority).await;
    let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
    let request = format!("{method} {path} HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n");
    raw.send(request.as_bytes()).await.expect("sent");
    raw.head().await.expect("an answer").status
}

/// asks under names of somebody's own, made to lead to 127.0.0.1.
///
/// # Panics
/// When something is told under one of them.
pub async fn rebound(target: &Target) {
    let authority = target.node.operators_authority();
    let port = authority.rsplit(':').next().expect("a port");
    for host in ["rebound.test", &format!("rebound.test:{port}"), "127.0.0.1.rebound.test", "10.0.0.1"] {
        for path in ["/", "/v1/nodes", "/v1/matches", "/metrics", "/healthz", "/inspector/main.js"] {
            assert_eq!(asked_as(authority, host, "GET", path).await, 403, "{host}{path}");
        }
        assert_eq!(asked_as(authority, host, "POST", "/v1/nodes/n1/drain").await, 403, "{host}");
    }
    assert_eq!(asked_as(authority, "", "GET", "/v1/nodes").await, 400, "no host at all");
}
