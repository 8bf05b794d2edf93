//! Addresses that want more than they may, and those who get what they ask for meanwhile.

use std::net::Ipv4Addr;

use super::*;
use crate::io::clock;

const LIMITS: AdmissionLimits = AdmissionLimits {
    connections_per_ip: 3,
    joins_per_second: 2,
    requests_per_second: 10,
    accepts_per_second: 100,
    sockets_max: 1000,
    loopback: false,
};

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn is_address(busy: Busy) -> bool {
    matches!(busy, Busy::Address { .. })
}

#[test]
fn an_address_has_so_many_connections_and_others_have_theirs() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    let mut entries: Vec<Entry> =
        (0..3).map(|_| admission.handle_connection(now, ONE).expect("one of three")).collect();
    let later = now + Duration::from_secs(5);
    assert!(is_address(admission.handle_connection(later, ONE).unwrap_err()));
    admission.handle_connection(later, OTHER).expect("another address");
    admission.handle_gone(later, entries.remove(0));
    admission.handle_connection(later, ONE).expect("a place is free again");
}

#[test]
fn sockets_of_an_address_are_bounded_too_and_of_all() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    for _ in 0..6 {
        admission.handle_socket(now, Some(ONE)).expect("twice as many as connections");
    }
    assert!(is_address(admission.handle_socket(now, Some(ONE)).unwrap_err()));
    let taken = (0..2000).filter(|_| admission.handle_socket(now, None).is_ok()).count();
    assert_eq!(taken, 994, "what has no address counts all the same");
    assert!(matches!(admission.handle_socket(now, Some(HERE)), Err(Busy::Node { .. })));
}

#[test]
fn who_comes_back_too_often_waits() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    let mut again = |now| {
        let entry = admission.handle_connection(now, ONE)?;
        admission.handle_gone(now, entry);
        Ok::<(), Busy>(())
    };
    assert_eq!((0..10).filter(|_| again(now).is_ok()).count(), 3);
    let later = now + Duration::from_secs(1);
    assert_eq!((0..10).filter(|_| again(later).is_ok()).count(), 2);
    assert_eq!(admission.handle_creation(later, ONE), Err(Busy::Address { after: RATE_AFTER }));
    assert_eq!(admission.handle_creation(later, OTHER), Ok(()));
}

#[test]
fn requests_have_a_rate_of_their_own() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    assert_eq!((0..100).filter(|_| admission.handle_request(now, ONE).is_ok()).count(), 40);
    admission.handle_connection(now, ONE).expect("pages and matches are counted apart");
}

#[test]
fn who_is_refused_again_and_again_is_not_even_listened_to() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    // A connection of its own, a request, and gone: what a flood does.
    let mut flood = |now| {
        let socket = admission.handle_socket(now, Some(ONE))?;
        let told = admission.handle_connection(now, ONE).map(|entry| admission.handle_gone(now, entry));
        admission.handle_gone(now, socket);
        Ok::<bool, Busy>(told.is_ok())
    };
    let told: Vec<_> = (0..1000).map(|_| flood(now)).collect();
    let count = |wanted: Result<bool, Busy>| told.iter().filter(|told| **told == wanted).count();
    assert_eq!((count(Ok(true)), count(Ok(false))), (3, 40));
    assert_eq!(count(Err(Busy::Address { after: RATE_AFTER })), 957);
    let later = now + Duration::from_secs(1);
    assert_eq!((0..100).filter(|_| flood(later).is_ok()).count(), 12, "two are taken, ten are told");
    admission.handle_socket(now, Some(OTHER)).expect("another address");
    let mut admission = Admission::new(now, AdmissionLimits { requests_per_second: 0, ..LIMITS });
    for _ in 0..100 {
        let _ = admission.handle_connection(now, ONE);
    }
    admission.handle_socket(now, Some(ONE)).expect("where requests have no limit");
}

#[test]
fn the_node_takes_so_many_per_second_from_all_together() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    let address = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number));
    let taken = (0..300).filter(|number| admission.handle_connection(now, address(*number)).is_ok()).count();
    assert_eq!(taken, 100);
    let refused = admission.handle_connection(now, address(400)).unwrap_err();
    assert_eq!(refused, Busy::Node { after: RATE_AFTER });
}

#[test]
fn this_machine_is_limited_only_where_that_is_wanted_and_zero_is_no_limit() {
    let now = clock::now();
    let mut admission = Admission::new(now, LIMITS);
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
    for address in [HERE, mapped, "::1".parse().expect("an address")] {
        assert!((0..100).all(|_| admission.handle_connection(now, address).is_ok()), "{address}");
    }
    assert_eq!(admission.remembered(), 0);
    let mut admission = Admission::new(now, AdmissionLimits { loopback: true, ..LIMITS });
    assert_eq!((0..9).filter(|_| admission.handle_connection(now, HERE).is_ok()).count(), 3);
    let mut admission = Admission::new(now, AdmissionLimits::unlimited());
    for _ in 0..400 {
        admission.handle_socket(now, Some(ONE)).expect("no limit");
        admission.handle_request(now, ONE).expect("no limit");
        admission.handle_connection(now, ONE).expect("no limit");
    }
}

#[test]
fn an_ipv6_subscriber_is_one_source_whatever_its_addresses() {
    let source = |text: &str| Source::of(text.parse().expect("an address"));
    assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
    assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    assert_eq!(source("::ffff:10.0.0.1"), Source::of(ONE));
    assert_ne!(Source::of(ONE), Source::of(OTHER));
}

#[test]
fn what_is_remembered_is_bounded_and_forgotten() {
    let now = clock::now();
    let limits = AdmissionLimits { accepts_per_second: 0, sockets_max: usize::MAX, ..LIMITS };
    let mut admission = Admission::new(now, limits);
    let entry = admission.handle_socket(now, Some(OTHER)).expect("the first");
    admission.handle_gone(now, entry);
    assert_eq!(admission.remembered(), 0, "nothing is known against it");
    for number in 0..ADDRESSES_MAX as u32 {
        let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number));
        admission.handle_request(now, address).expect("room");
    }
    let more: IpAddr = "192.0.2.1".parse().expect("an address");
    assert!(matches!(admission.handle_request(now, more), Err(Busy::Node { .. })));
    let later = now + Duration::from_secs(2);
    admission.handle_request(later, more).expect("the others have been forgotten");
    assert_eq!(admission.remembered(), 1);
}
