//! What nodes say to each other and what stands in Redis, bound to `docs/wire.md`: the server's own types
//! read and write the golden messages byte for byte, and the document lists the fields that the server has.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use tickcast_protocol::ResumeToken;
use tickcast_server::logic::channel::{self, ChannelError, FromOwner, Note, TickMessage, Upstream};
use tickcast_server::logic::orders::Order;
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::views::ViewChange;

/// An example: its name, its meaning and its bytes.
struct Entry {
    name: String,
    meaning: Value,
    bytes: Bytes,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `NAME = JSON`, then `NAME: HEX` with further hex in lines that begin with four spaces.
fn entries() -> Vec<Entry> {
    let text = read("shared-protocol/golden/channel.hex").replace("\n    ", " ");
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let entry = |pair: &[&str]| {
        let (name, meaning) = pair[0].split_once(" = ").expect("an example begins with its meaning");
        let hex = pair[1].strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).expect("then its bytes");
        let byte = |pair| u8::from_str_radix(pair, 16).expect("a byte in hex");
        Entry {
            name: name.to_owned(),
            meaning: serde_json::from_str(meaning).expect("the meaning is JSON"),
            bytes: hex.split_whitespace().map(byte).collect(),
        }
    };
    lines.chunks(2).map(entry).collect()
}

/// What a message means to the server, and the bytes it would send itself.
fn understand(message: &Bytes) -> (Value, Bytes) {
    if let Ok(batch) = channel::parse_upstream(message) {
        return (json!({ "Upstream": batch }), channel::encode_upstream(&batch));
    }
    let from_owner = channel::parse_from_owner(message);
    if from_owner == Err(ChannelError::Foreign) {
        let order = Order::decode(message).expect("a message of one of the channels");
        return (json!({ "Order": order }), order.encode().into());
    }
    match from_owner.expect("a message of one of the channels") {
        FromOwner::Note(note) => (json!({ "Note": note }), channel::encode_note(&note)),
        FromOwner::Tick(TickMessage { position, hash, sent_ms, frame, prior, lines, views }) => {
            let told = json!({ "Diff": {
                "epoch": position.fence.epoch.0, "nonce": format!("{:016x}", position.fence.nonce.0),
                "tick": position.tick.0, "tag": position.fence.tag(), "hash": format!("{hash:08x}"),
                "sent_ms": sent_ms, "frame": hex(&frame), "prior": prior.as_deref().map(hex),
                "said": lines, "views": views.iter().map(seen).collect::<Vec<_>>(),
            }});
            (told, channel::encode_tick(position, hash, sent_ms, &frame, prior.as_deref(), &lines, &views))
        }
    }
}

/// A viewer's number, and its segments; none of one who is gone.
fn seen(change: &ViewChange) -> Value {
    json!([
        change.number(),
        change.view().map(|view| view.iter().map(|segment| segment.0).collect::<Vec<_>>())
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn golden_channel_messages_are_those_of_the_server() {
    for Entry { name, meaning, bytes } in entries() {
        let (told, sent) = understand(&bytes);
        assert_eq!(told, meaning, "golden/channel.hex: {name} means something else to the server");
        assert_eq!(sent, bytes, "golden/channel.hex: the server writes {name} otherwise");
    }
}

#[test]
fn golden_channel_messages_have_every_variant() {
    let (mut seen, mut priors, mut said, mut views) = (BTreeSet::new(), 0, BTreeSet::new(), 0);
    for entry in entries() {
        if let Ok(batch) = channel::parse_upstream(&entry.bytes) {
            seen.extend(batch.iter().map(upstream_name));
        } else if let Ok(FromOwner::Note(note)) = channel::parse_from_owner(&entry.bytes) {
            seen.insert(note_name(&note));
        } else if let Ok(FromOwner::Tick(tick)) = channel::parse_from_owner(&entry.bytes) {
            priors += usize::from(tick.prior.is_some() && tick.lines.is_empty());
            said.extend((!tick.lines.is_empty()).then_some(tick.prior.is_some()));
            views += tick.views.len();
        } else if let Ok(order) = Order::decode(&entry.bytes) {
            seen.insert(order_name(&order));
        }
    }
    assert_eq!(priors, 1, "golden/channel.hex has one tick with a prior");
    assert_eq!(said.len(), 2, "golden/channel.hex has ticks with chat, one with and one without a prior");
    assert_eq!(views, 2, "golden/channel.hex has a tick with which views change, one of them away");
    #[rustfmt::skip]
    let all = [
        "Bans", "Chat", "ChatRefused", "Drain", "Ended", "HandOver", "Input", "InputsLost", "Join", "Kick", "Leave", "Present", "Refused",
        "Released", "Resume", "Resumed", "Take",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "golden/channel.hex lacks an example");
}

/// A variant that is new here also belongs into the list above, the golden file and `docs/wire.md`.
fn upstream_name(upstream: &Upstream) -> &'static str {
    match upstream {
        Upstream::Join { .. } => "Join",
        Upstream::Resume { .. } => "Resume",
        Upstream::Leave { .. } => "Leave",
        Upstream::Input { .. } => "Input",
        Upstream::Present { .. } => "Present",
        Upstream::Chat { .. } => "Chat",
        Upstream::Kick { .. } => "Kick",
    }
}

/// As for [`upstream_name`].
fn note_name(note: &Note) -> &'static str {
    match note {
        Note::Refused { .. } => "Refused",
        Note::Ended => "Ended",
        Note::Released => "Released",
        Note::InputsLost => "InputsLost",
        Note::Resumed { .. } => "Resumed",
        Note::ChatRefused { .. } => "ChatRefused",
    }
}

/// As for [`upstream_name`].
fn order_name(order: &Order) -> &'static str {
    match order {
        Order::Take { .. } => "Take",
        Order::HandOver { .. } => "HandOver",
        Order::Drain => "Drain",
        Order::Bans => "Bans",
    }
}

#[test]
fn golden_join_has_the_digest_of_the_golden_token() {
    let token = ResumeToken(std::array::from_fn(|index| 0xa0 + index as u8));
    let all = entries();
    let found = all.iter().filter_map(|entry| channel::parse_upstream(&entry.bytes).ok()).flatten();
    let digests: Vec<TokenDigest> = found
        .filter_map(|upstream| match upstream {
            Upstream::Join { token, .. } => Some(token),
            _ => None,
        })
        .collect();
    assert_eq!(digests, [TokenDigest::of(&token); 2]);
}

/// The rows of the table are the constants, no more and no less; `~dN`, `~cN`, `~seat:PLAYER` and `~said:PLAYER`
/// are families with functions of their own.
#[test]
fn wire_md_lists_every_field_of_a_match() {
    let document = read("docs/wire.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `~")?.split_once('`'));
    let listed: Vec<&str> = rows.map(|(name, _)| name).collect();
    let source = read("server/src/backplane/fields.rs");
    let constants = source.lines().filter_map(|line| line.split_once(": &str = \"~")?.1.strip_suffix("\";"));
    let shown = constants.map(|name| match name {
        "seat:" => "seat:PLAYER",
        "said:" => "said:PLAYER",
        "view:" => "view:PLAYER",
        name => name,
    });
    let expected: BTreeSet<&str> = shown.chain(["dN", "cN"]).collect();
    assert!(expected.len() > 10, "the constants are found in the source: {expected:?}");
    let unique: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(unique, expected, "the table of fields in docs/wire.md is not what fields.rs has");
    assert_eq!(unique.len(), listed.len(), "docs/wire.md lists a field twice");
}
