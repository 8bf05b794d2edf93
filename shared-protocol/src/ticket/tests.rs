//! That no other text than the one that was made is a ticket, and when a ticket is good.

use proptest::prelude::*;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const NOW_MS: u64 = 1_800_000_000_000;

fn keys(text: &str) -> TicketKeys {
    text.parse().unwrap()
}

fn ticket() -> Ticket {
    Ticket {
        id: TicketId([7; 16]),
        audience: "tickcast".parse().unwrap(),
        subject: "account-42".parse().unwrap(),
        permit: Permit::Play,
        place: Place::Match("m1".parse().unwrap()),
        name: "Zoë".to_owned(),
        not_before_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
    }
}

#[test]
fn a_ticket_comes_back_as_it_was_made() {
    let text = ticket().mint(&keys(KEY));
    assert_eq!(keys(KEY).open(&text), Ok(ticket()));
    let widest = Ticket {
        audience: "x".repeat(32).parse().unwrap(),
        subject: "~".repeat(SUBJECT_BYTES_MAX).parse().unwrap(),
        place: Place::Game("g".repeat(IDENT_BYTES_MAX)),
        name: "n".repeat(NAME_BYTES_MAX),
        not_before_ms: u64::MAX,
        expires_ms: u64::MAX,
        ..ticket()
    };
    let text = widest.mint(&keys(KEY));
    assert!(text.len() <= TICKET_BYTES_MAX, "{}", text.len());
    assert_eq!(keys(KEY).open(&text), Ok(widest));
}

#[test]
fn two_keys_are_good_and_the_first_one_makes_tickets() {
    let (old, new) = (KEY, "fedcba9876543210fedcba9876543210");
    let both = keys(&format!("{new},{old}"));
    let (by_old, by_new) = (ticket().mint(&keys(old)), ticket().mint(&both));
    assert!(both.open(&by_old).is_ok() && both.open(&by_new).is_ok());
    assert!(keys(new).open(&by_new).is_ok());
    assert_eq!(keys(new).open(&by_old), Err(Flaw::Key), "the old one was taken out");
    assert_eq!(keys(old).open(&by_new), Err(Flaw::Key));
}

#[test]
fn keys_that_are_too_short_or_too_many_are_refused_and_none_is_shown() {
    for bad in ["", "short", &KEY[1..], &format!("{KEY},"), &format!("{KEY},short"), &[KEY; 3].join(",")] {
        assert!(bad.parse::<TicketKeys>().is_err(), "{bad}");
    }
    assert!(format!("{} x", KEY).parse::<TicketKeys>().is_err());
    assert!(!format!("{:?} {}", keys(KEY), BadKey).contains(&KEY[..8]));
}

#[test]
fn a_ticket_is_good_in_its_time_and_at_its_place() {
    let here: Audience = "tickcast".parse().unwrap();
    let at = |now_ms| ticket().check(&here, now_ms);
    assert_eq!(at(NOW_MS), Ok(()));
    assert_eq!(at(NOW_MS - CLOCK_LEEWAY_MS), Ok(()));
    assert_eq!(at(NOW_MS - CLOCK_LEEWAY_MS - 1), Err(Flaw::Early));
    assert_eq!(at(NOW_MS + 60_000 + CLOCK_LEEWAY_MS - 1), Ok(()));
    assert_eq!(at(NOW_MS + 60_000 + CLOCK_LEEWAY_MS), Err(Flaw::Expired));
    assert_eq!(ticket().check(&"other".parse().unwrap(), NOW_MS), Err(Flaw::Audience));
    let until = |expires_ms| Ticket { expires_ms, ..ticket() }.check(&here, NOW_MS);
    assert_eq!(until(NOW_MS + TICKET_LIFE_MS_MAX + CLOCK_LEEWAY_MS), Ok(()));
    assert_eq!(until(NOW_MS + TICKET_LIFE_MS_MAX + CLOCK_LEEWAY_MS + 1), Err(Flaw::Long));
    assert_eq!(until(u64::MAX), Err(Flaw::Long));
    assert_eq!(until(0), Err(Flaw::Expired));
}

#[test]
fn what_other_formats_would_let_through_is_no_ticket() {
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.";
    let confused = "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2Rldi9udWxsIn0.eyJzdWIiOiJtZSJ9.AAAA";
    let good = ticket().mint(&keys(KEY));
    let padded = format!("{good}=");
    let spaced = format!(" {good}");
    let standard = good.replace('-', "+").replace('_', "/");
    let mut texts = vec!["", "A", "AAAA", none, confused, &padded, &spaced];
    texts.extend((standard != good).then_some(standard.as_str()));
    for text in texts {
        assert_eq!(keys(KEY).open(text), Err(Flaw::Text), "{text}");
    }
    assert_eq!(keys(KEY).open(&"A".repeat(1 << 20)), Err(Flaw::Text));
    // A body that a key made, and that is none: more behind it, another format, no game, too long a name.
    let sealed = |body: &[u8]| {
        let code = keys(KEY).0[0].0.clone().chain_update(body).finalize().into_bytes();
        BASE64URL_NOPAD.encode(&[body, &code[..]].concat())
    };
    let bytes = BASE64URL_NOPAD.decode(good.as_bytes()).unwrap();
    let body = &bytes[..bytes.len() - MAC_BYTES];
    assert_eq!(keys(KEY).open(&sealed(body)), Ok(ticket()));
    assert_eq!(keys(KEY).open(&sealed(&[body, &[0]].concat())), Err(Flaw::Body));
    assert_eq!(keys(KEY).open(&sealed(&[&[2], &body[1..]].concat())), Err(Flaw::Body));
    assert_eq!(keys(KEY).open(&sealed(b"")), Err(Flaw::Body));
    for bad in [
        Ticket { place: Place::Game(String::new()), ..ticket() },
        Ticket { name: "n".repeat(NAME_BYTES_MAX + 1), ..ticket() },
    ] {
        assert_eq!(keys(KEY).open(&bad.mint(&keys(KEY))), Err(Flaw::Body));
    }
}

#[test]
fn subjects_are_what_can_stand_in_a_line() {
    for bad in ["", "a b", "a\n", "é", "\u{202e}", &"x".repeat(65)] {
        assert_eq!(bad.parse::<Subject>(), Err(BadSubject), "{bad:?}");
    }
    assert_eq!("steam:76/x%y".parse::<Subject>().unwrap().as_str(), "steam:76/x%y");
}

proptest! {
    #[test]
    fn no_flipped_bit_is_let_through(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let text = ticket().mint(&keys(KEY));
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = String::from_utf8(bytes) {
            prop_assert!(keys(KEY).open(&other).is_err());
        }
        let mut raw = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let at = at % raw.len();
        raw[at] ^= 1 << bit;
        prop_assert_eq!(keys(KEY).open(&BASE64URL_NOPAD.encode(&raw)), Err(Flaw::Key));
    }

    #[test]
    fn nothing_cut_short_is_let_through(length in 0..256usize) {
        let text = ticket().mint(&keys(KEY));
        if length < text.len() {
            prop_assert!(keys(KEY).open(&text[..length]).is_err());
        }
    }

    #[test]
    fn any_text_and_any_bytes_are_refused(text in ".{0,600}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(keys(KEY).open(&text).is_err());
        prop_assert!(keys(KEY).open(&BASE64URL_NOPAD.encode(&bytes)).is_err());
    }
}
