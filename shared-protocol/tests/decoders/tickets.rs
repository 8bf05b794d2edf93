//! Tickets that somebody made up, and tickets whose maker has a key and writes what it likes.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tickcast_protocol::limits::TICKET_BYTES_MAX;
use tickcast_protocol::ticket::{Flaw, Permit, Place, Subject, Ticket, TicketId, TicketKeys};

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// When seeds are good, and for how long.
const NOW_MS: u64 = 1_800_000_000_000;
const LIFE_MS: u64 = 60_000;

fn keys() -> TicketKeys {
    KEY.parse().expect("a key")
}

/// A ticket's text: `0 text`; or what stands in one that is signed: `1 body`.
pub(super) fn ticket(input: &[u8]) -> bool {
    let Some((form, bytes)) = input.split_first() else { return false };
    let text = if form % 2 == 0 { String::from_utf8_lossy(bytes).into_owned() } else { signed(bytes) };
    let ticket = match keys().open(&text) {
        Ok(ticket) => ticket,
        Err(flaw) => {
            assert!(form % 2 == 0 || flaw != Flaw::Key, "the code is right");
            return false;
        }
    };
    assert!(text.len() <= TICKET_BYTES_MAX);
    assert_eq!(ticket.subject.as_str().parse::<Subject>().as_ref(), Ok(&ticket.subject));
    assert_eq!(keys().open(&ticket.mint(&keys())).as_ref(), Ok(&ticket), "what was read can be written");
    let here = "tickcast".parse().expect("an audience");
    if ticket.check(&here, NOW_MS).is_ok() {
        assert!(ticket.remembered_ms(NOW_MS) > 0, "a good ticket is remembered once it is used");
    }
    true
}

fn signed(body: &[u8]) -> String {
    let code = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    let code = code.chain_update(body).finalize().into_bytes();
    BASE64URL_NOPAD.encode(&[body, &code[..]].concat())
}

/// Good tickets, as text and as what stands in them.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let ticket = Ticket {
        id: TicketId([7; 16]),
        audience: "tickcast".parse().expect("an audience"),
        subject: "account-42".parse().expect("a subject"),
        permit: Permit::Play,
        place: Place::Match("m1".parse().expect("an id")),
        name: "Zoë".to_owned(),
        not_before_ms: NOW_MS,
        expires_ms: NOW_MS + LIFE_MS,
    };
    let watcher = Ticket { permit: Permit::Watch, place: Place::Game("arena".to_owned()), ..ticket.clone() };
    let late = Ticket { not_before_ms: 0, expires_ms: u64::MAX, ..ticket.clone() };
    let text = [vec![0], ticket.mint(&keys()).into_bytes()].concat();
    let bodies = [ticket, watcher, late].map(|ticket| {
        let bytes = BASE64URL_NOPAD.decode(ticket.mint(&keys()).as_bytes()).expect("a ticket");
        [&[1], &bytes[..bytes.len() - 32]].concat()
    });
    bodies.into_iter().chain([text]).collect()
}
