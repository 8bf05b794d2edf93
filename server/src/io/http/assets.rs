//! The web files: pages, scripts and styles of both ports, from the table that `build.rs` put into the binary. A debug
//! build takes each file of the table from the checkout while it is there, so that an edit needs no build.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::Port;
use super::answer::Answer;

/// Every file by its path in `web/`.
const FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/web_files.rs"));

/// A page loads what its own server has, shows no other site and is shown in none.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The files with their ETags.
static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    FILES.iter().map(|(name, bytes)| (*name, Asset::new(Bytes::from_static(bytes)))).collect()
});

#[derive(Debug, Clone)]
struct Asset {
    bytes: Bytes,
    etag: String,
}

impl Asset {
    fn new(bytes: Bytes) -> Asset {
        let digest = Sha256::digest(&bytes);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Asset { bytes, etag: format!("\"{hex}\"") }
    }
}

/// The file at a path of one of the ports; `None` if there is none. The names of the table are all that there is: no
/// path leads anywhere else.
pub(super) fn answer(port: Port, path: &str, headers: &HeaderMap) -> Option<Answer> {
    let name = file_name(port, path)?;
    let asset = current(name, ASSETS.get(name)?);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    let mut response = Response::new(Full::default());
    if known.into_iter().any(|tag| tag == "*" || tag == asset.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Full::new(asset.bytes);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&asset.etag).expect("hex in quotes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(response)
}

/// The name in the table that a path of a port means.
fn file_name(port: Port, path: &str) -> Option<&str> {
    let page = match port {
        Port::Players => ("index.html", "game/"),
        Port::Operators => ("inspector/index.html", "inspector/"),
    };
    match path.strip_prefix('/')? {
        "" => Some(page.0),
        name => (name.starts_with(page.1) || name.starts_with("sdk/")).then_some(name),
    }
}

/// What a file holds now.
fn current(name: &str, embedded: &Asset) -> Asset {
    if cfg!(debug_assertions)
        && let Ok(bytes) = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/web/").to_owned() + name)
    {
        return Asset::new(bytes.into());
    }
    embedded.clone()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_table_has_the_files_of_the_checkout_and_a_type_for_each() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for (name, bytes) in FILES {
            assert_eq!(
                &std::fs::read(web.join(name)).unwrap()[..],
                *bytes,
                "{name} was changed after the build"
            );
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
        }
        for page in ["index.html", "inspector/index.html"] {
            assert!(ASSETS.contains_key(page), "{page}");
        }
    }

    #[test]
    fn a_port_has_its_own_page_and_the_sdk() {
        let named = |port, path| file_name(port, path);
        assert_eq!(named(Port::Players, "/"), Some("index.html"));
        assert_eq!(named(Port::Operators, "/"), Some("inspector/index.html"));
        assert_eq!(named(Port::Players, "/inspector/main.js"), None);
        assert_eq!(named(Port::Operators, "/game/main.js"), None);
        assert_eq!(named(Port::Players, "/sdk/src/index.js"), named(Port::Operators, "/sdk/src/index.js"));
        assert_eq!(named(Port::Players, "/index.html"), None, "a page has one address");
    }
}
