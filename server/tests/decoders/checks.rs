//! What a node promises, whatever bytes it is given. Each check takes one input and panics if a promise is broken. Fuzzing
//! and the tests run the same checks.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use tickcast_protocol::{MatchId, NodeId};
use tickcast_server::logic::channel::{self, FromOwner};
use tickcast_server::logic::orders::Order;
use tickcast_server::logic::placement::NodeEntry;
use tickcast_server::logic::secret::Secret;
use tickcast_server::ops::inspector::query::Params;

use super::{codes, http, owner, socket, stored};

/// A check of one decoder; tells whether the input was taken and not refused.
pub(crate) type Check = fn(&[u8]) -> bool;

/// Every check, by the name of its fuzz target.
pub(crate) const CHECKS: [(&str, Check); 6] = [
    ("channel", channel),
    ("http", http::http),
    ("socket", socket::socket),
    ("stored", stored::stored),
    ("words", words),
    ("owner", owner::owner),
];

/// A message of a channel: `which message`, without a code or with one, or when many of them were sent. What could be read can be written, and means the same again.
fn channel(input: &[u8]) -> bool {
    let Some((which, message)) = input.split_first() else { return false };
    match which % 6 {
        0 => from_owner(&Bytes::copy_from_slice(message)),
        1 => {
            let Ok(batch) = channel::parse_upstream(message) else { return false };
            assert_eq!(channel::parse_upstream(&channel::encode_upstream(&batch)).as_ref(), Ok(&batch));
            true
        }
        2 => {
            let Ok(order) = Order::decode(message) else { return false };
            assert_eq!(Order::decode(&order.encode()), Ok(order));
            true
        }
        3 => {
            let Some(entry) = NodeEntry::from_json(message) else { return false };
            let json = serde_json::to_vec(&entry).expect("an entry is JSON");
            assert_eq!(NodeEntry::from_json(&json), Some(entry));
            true
        }
        4 => codes::envelope(message),
        _ => codes::window(message),
    }
}

fn from_owner(message: &Bytes) -> bool {
    let Ok(read) = channel::parse_from_owner(message) else { return false };
    let again = match &read {
        FromOwner::Tick(tick) => {
            let parts = [Some(&tick.frame), tick.prior.as_ref()].into_iter().flatten();
            for part in parts.filter(|part| !part.is_empty()) {
                assert!(message.as_ptr_range().contains(&part.as_ptr()), "a slice, not a copy");
            }
            let prior = tick.prior.as_deref();
            channel::encode_tick(
                tick.position,
                tick.hash,
                tick.sent_ms,
                &tick.frame,
                prior,
                &tick.lines,
                &tick.views,
            )
        }
        FromOwner::Note(note) => channel::encode_note(note),
    };
    assert_eq!(channel::parse_from_owner(&again), Ok(read));
    true
}

/// What a person or a program writes in a path, a query, a header, a setting.
fn words(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let params = Params::parse(&text);
    if let Ok((_, limit)) = params.page() {
        assert!((1..=200).contains(&limit), "a page of {limit} rows");
    }
    let _ = Secret::new(&text).map(|token| assert!(token.admits(&text), "it is itself"));
    let ids = [reads_back::<MatchId>(&text), reads_back::<NodeId>(&text)];
    ids.contains(&true)
}

fn reads_back<T: FromStr + fmt::Display>(text: &str) -> bool {
    let Ok(read) = text.parse::<T>() else { return false };
    assert_eq!(read.to_string(), text, "an id has one form");
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{text:?}");
    true
}
