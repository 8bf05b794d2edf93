//! One node's address as a person writes it: `ws://host:port[/path]`, or with TLS `wss://host[:port][/path]`. No name is
//! resolved here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// Why a text is no node's address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadTarget {
    /// None of the schemes.
    #[error("`{0}`: write ws://HOST:PORT, for example ws://127.0.0.1:7777, or wss://HOST for TLS")]
    Scheme(String),
    /// No port, or not a number.
    #[error("`{0}`: add the port, for example ws://127.0.0.1:7777")]
    Port(String),
    /// No host, or characters that a host and path do not have.
    #[error("`{0}`: the host or the path is missing or has characters that do not belong there")]
    Host(String),
}

/// The port of `wss://` where none is said.
const TLS_PORT: u16 = 443;

impl Target {
    /// Whether the node is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name or address that the node's certificate has to be for.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Host and port, as a resolver takes them and a `Host` header says them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The address of the WebSocket.
    pub fn websocket_url(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.path)
    }

    /// Whether the host is this machine over IPv4, by its name alone.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.starts_with("127.")
    }
}

impl FromStr for Target {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| BadTarget::Scheme(text.to_owned()))?;
        let tls = match scheme {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(BadTarget::Scheme(text.to_owned())),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let bad_port = || BadTarget::Port(text.to_owned());
        // A colon within brackets is part of an address.
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(bad_port)?),
            None if tls => (authority, TLS_PORT),
            None => return Err(bad_port()),
        };
        let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let path_byte = |b: u8| b.is_ascii_graphic() && b != b'#';
        if host.is_empty() || !host.bytes().all(host_byte) || !path.bytes().all(path_byte) {
            return Err(BadTarget::Host(text.to_owned()));
        }
        let path = if path.len() <= 1 { "/ws" } else { path };
        Ok(Target { tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl TryFrom<String> for Target {
    type Error = BadTarget;
    fn try_from(text: String) -> Result<Self, BadTarget> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.websocket_url()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.websocket_url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_has_a_default_and_both_schemes_mean_the_same() {
        for text in
            ["ws://127.0.0.1:7777", "ws://127.0.0.1:7777/", "http://127.0.0.1:7777", "ws://127.0.0.1:7777/ws"]
        {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.websocket_url(), "ws://127.0.0.1:7777/ws", "{text}");
            assert_eq!(target.authority(), "127.0.0.1:7777");
            assert!(target.is_loopback());
        }
        let target: Target = "ws://[::1]:80/play".parse().unwrap();
        assert_eq!(
            (target.authority().as_str(), target.websocket_url().as_str()),
            ("[::1]:80", "ws://[::1]:80/play")
        );
    }

    #[test]
    fn tls_has_a_port_of_its_own() {
        for (text, url, host) in [
            ("wss://eu.example.org", "wss://eu.example.org:443/ws", "eu.example.org"),
            ("https://eu.example.org/play", "wss://eu.example.org:443/play", "eu.example.org"),
            ("wss://127.0.0.1:7777/ws", "wss://127.0.0.1:7777/ws", "127.0.0.1"),
            ("wss://[::1]:7777", "wss://[::1]:7777/ws", "::1"),
            ("wss://[::1]", "wss://[::1]:443/ws", "::1"),
        ] {
            let target: Target = text.parse().unwrap();
            assert!(target.is_tls());
            assert_eq!((target.websocket_url().as_str(), target.host()), (url, host));
            assert_eq!(target.websocket_url().parse::<Target>().unwrap(), target);
        }
        assert!(!"ws://127.0.0.1:7777".parse::<Target>().unwrap().is_tls());
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let refusal = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        assert!(refusal("127.0.0.1:7777").contains("ws://HOST:PORT"));
        assert!(refusal("wss:/game").contains("wss://HOST"));
        assert!(refusal("wss://game:x").contains("add the port"));
        assert!(refusal("ws://game").contains("add the port"));
        assert!(refusal("ws://game:0").contains("add the port"));
        assert!(refusal("ws://:80").contains("host"));
        assert!(refusal("ws://a b:80").contains("host"));
        assert!(refusal("ws://a:80/x\r\ny").contains("path"));
    }
}
