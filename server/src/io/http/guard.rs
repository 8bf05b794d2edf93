//! What a request must be before it is looked into: short enough, not too often, from where it may come, and, where it
//! wants to be a WebSocket, exactly that.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{
    self, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, Request, StatusCode, Version};

use super::answer::{Answer, error};
use super::{Port, operators};
use crate::backplane::Backplane;
use crate::io::gate::Pass;
use crate::io::node::Node;
use crate::logic::admission::Busy;
use crate::logic::{forwarded, operators_host};

/// Longest path and query of a request, bytes.
const TARGET_BYTES_MAX: usize = 2048;
/// Headers that make no sense twice.
const ONCE: [HeaderName; 7] =
    [HOST, ORIGIN, CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, CONTENT_LENGTH];
/// What a proxy says of whom it heard.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Why a request is not answered, if it is not.
pub(super) fn refuse<B: Backplane>(
    node: &Arc<Node<B>>,
    request: &Request<Incoming>,
    port: Port,
    peer: SocketAddr,
) -> Option<Answer> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        let text = format!("the path is longer than {TARGET_BYTES_MAX} bytes");
        return Some(error(StatusCode::URI_TOO_LONG, &text));
    }
    // RFC 9112, section 3.2. Who leaves it to chance whom they ask could mean somebody else to a proxy than to this node.
    if request.version() == Version::HTTP_11 && !names_host(request.headers()) {
        return Some(last(error(StatusCode::BAD_REQUEST, "a request names its `Host`, and names it once")));
    }
    match port {
        Port::Players => refuse_player(node, request, peer),
        Port::Operators => refuse_operator(node, request),
    }
}

fn names_host(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(HOST).iter();
    let is_name = |host: &HeaderValue| !host.is_empty() && host.as_bytes().iter().all(u8::is_ascii_graphic);
    named.next().is_some_and(is_name) && named.next().is_none()
}

fn refuse_player<B: Backplane>(
    node: &Arc<Node<B>>,
    request: &Request<Incoming>,
    peer: SocketAddr,
) -> Option<Answer> {
    let client = client(node, request.headers(), peer);
    if let Err(busy) = node.gate.request(client) {
        return Some(too_busy(node, busy));
    }
    if request.method() != Method::POST {
        return None;
    }
    // A page of another site could have its visitors create matches.
    if !admits_origin(node, request.headers()) {
        return Some(foreign());
    }
    node.gate.creation(client).err().map(|busy| too_busy(node, busy))
}

fn refuse_operator<B: Backplane>(node: &Arc<Node<B>>, request: &Request<Incoming>) -> Option<Answer> {
    let exposure = &node.settings.exposure;
    let host = told(request.headers(), &HOST).unwrap_or_default();
    if !operators_host::admits(node.settings.ops_listen, &exposure.ops_names, host) {
        let text = "this is the operators' port, asked under a name that is not its own: use its address, or start the \
                    node with --ops-host NAME";
        return Some(error(StatusCode::FORBIDDEN, text));
    }
    // Pages and scripts are the same everywhere, and health is for those who watch over the node.
    let path = request.uri().path();
    let tells = path == "/v1" || path.starts_with("/v1/") || path == "/metrics";
    if !tells || !exposure.ops_private || request.method() == Method::POST {
        return None;
    }
    operators::check_token(node, request.headers(), "to read it").err().map(|refused| *refused)
}

/// Whose request it is.
fn client<B: Backplane>(node: &Arc<Node<B>>, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let told = headers.get_all(X_FORWARDED_FOR).iter();
    // What is no text is nobody's address, and believed no more than that.
    let told: Vec<&str> = told.map(|value| value.to_str().unwrap_or("?")).collect();
    forwarded::client(&node.settings.exposure.proxies, peer.ip(), &told)
}

/// Lets a request in that is to become a WebSocket connection.
pub(super) fn admit_upgrade<B: Backplane>(
    node: &Arc<Node<B>>,
    request: &Request<Incoming>,
    peer: SocketAddr,
) -> Result<Pass, Box<Answer>> {
    let headers = request.headers();
    let wrong = |text: &str| Err(Box::new(error(StatusCode::BAD_REQUEST, text)));
    if let Some(name) = ONCE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        return wrong(&format!("`{name}` stands there twice"));
    }
    // A proxy before this node might see another end of the request than this node does.
    if headers.contains_key(TRANSFER_ENCODING) || !request.body().is_end_stream() {
        return wrong("a WebSocket's request has no body");
    }
    if request.version() != Version::HTTP_11 {
        return wrong("a WebSocket needs HTTP/1.1");
    }
    let is_upgrade = told(headers, &UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if is_upgrade && told(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        let mut refused = no_upgrade("the version of WebSocket spoken here is 13");
        refused.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(refused));
    }
    // 22 letters and two signs that say that these are 16 bytes.
    let fits = |key: &str| key.len() == 24 && key.ends_with("==");
    if is_upgrade && !told(headers, &SEC_WEBSOCKET_KEY).is_some_and(fits) {
        return wrong("`Sec-WebSocket-Key` is not that of a WebSocket client");
    }
    // It is a list: blanks separate nothing in it.
    let mut wanted = told(headers, &CONNECTION).into_iter().flat_map(|value| value.split(','));
    if is_upgrade && !wanted.any(|word| word.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(Box::new(no_upgrade("`Connection` does not ask for the upgrade")));
    }
    if !admits_origin(node, headers) {
        return Err(Box::new(foreign()));
    }
    let client = client(node, headers, peer);
    node.gate.connection(client).map_err(|busy| Box::new(too_busy(node, busy)))
}

/// It is no WebSocket's request, or none of ours.
pub(super) fn no_upgrade(problem: &str) -> Answer {
    let mut refused = error(StatusCode::UPGRADE_REQUIRED, problem);
    refused.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    refused
}

fn admits_origin<B: Backplane>(node: &Arc<Node<B>>, headers: &HeaderMap) -> bool {
    // One that is no text is no page's; the check refuses it.
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("?"));
    node.settings.exposure.origins.admits(origin, told(headers, &header::HOST))
}

fn told<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn foreign() -> Answer {
    error(StatusCode::FORBIDDEN, "pages of this origin may not connect here; --allow-origin says which may")
}

fn too_busy<B: Backplane>(node: &Arc<Node<B>>, busy: Busy) -> Answer {
    node.metrics.requests_refused.add(1);
    match busy {
        Busy::Address { after } => {
            let text = "too much comes from your address: wait, then try again";
            retry(error(StatusCode::TOO_MANY_REQUESTS, text), after)
        }
        Busy::Node { after } => {
            let text = "too many come to this node at once: wait, then try again";
            retry(error(StatusCode::SERVICE_UNAVAILABLE, text), after)
        }
    }
}

/// The answer, with when to try again.
pub(super) fn retry(mut answer: Answer, after: Duration) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    answer
}

/// The answer, after which the connection is closed: no proxy may take what follows for a WebSocket's or a request's.
pub(super) fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
