//! What a client may say when, and what silence and noise come to.

use super::*;
use crate::io::clock;
use tickcast_protocol::{Field, InputField, Kind};

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], [InputField::new("move", -1, 1)]).unwrap()
}

fn hello(protocol: u16) -> Vec<u8> {
    let join = Join::Quick { game: String::new() };
    ClientMessage::Hello { protocol, name: " a\nb ".to_owned(), join }.to_frame()
}

fn input(values: Vec<i32>) -> Vec<u8> {
    ClientMessage::Input { seq: InputSeq(1), seen: Tick(0), behind: 0, values }.to_frame()
}

fn code(output: Output) -> CloseCode {
    match output {
        Output::Close(code, _) => code,
        other => panic!("not closed: {other:?}"),
    }
}

fn joined(now: Instant, role: Role) -> Session {
    let mut session = Session::new(now);
    let output = session.handle_frame(now, &hello(PROTOCOL_VERSION));
    assert!(matches!(output, Output::Join { name, .. } if name == "ab"));
    session.handle_joined(now, role, schema(), TickRate::default());
    session
}

#[test]
fn the_first_message_is_a_hello_of_our_version() {
    let now = clock::now();
    assert_eq!(code(Session::new(now).handle_frame(now, &input(vec![0]))), CloseCode::Malformed);
    assert_eq!(code(Session::new(now).handle_frame(now, &hello(99))), CloseCode::ProtocolVersion);
    assert_eq!(code(Session::new(now).handle_frame(now, b"junk")), CloseCode::Malformed);
    let mut session = joined(now, Role::Spectator);
    assert_eq!(code(session.handle_frame(now, &hello(PROTOCOL_VERSION))), CloseCode::Malformed);
}

#[test]
fn inputs_are_checked_against_the_schema_and_the_role() {
    let now = clock::now();
    let player = Role::Player(PlayerId(3));
    let output = joined(now, player).handle_frame(now, &input(vec![1]));
    assert!(matches!(output, Output::Input { player: PlayerId(3), .. }));
    assert_eq!(code(joined(now, player).handle_frame(now, &input(vec![2]))), CloseCode::Malformed);
    assert_eq!(code(joined(now, player).handle_frame(now, &input(vec![]))), CloseCode::Malformed);
    assert_eq!(code(joined(now, Role::Spectator).handle_frame(now, &input(vec![1]))), CloseCode::Malformed);
}

#[test]
fn silence_is_pinged_then_closed() {
    let now = clock::now();
    let mut session = Session::new(now);
    assert_eq!(code(session.handle_timeout(now + HELLO_DEADLINE)), CloseCode::HelloDeadline);
    let mut session = joined(now, Role::Spectator);
    assert_eq!(session.handle_timeout(now + IDLE_PING), Output::Ping);
    assert_eq!(session.handle_sign_of_life(now + IDLE_PING), Output::Nothing);
    assert_eq!(session.timeout(), now + IDLE_PING * 2);
    assert_eq!(session.handle_timeout(now + IDLE_PING * 2), Output::Ping);
    assert_eq!(code(session.handle_timeout(now + IDLE_PING + IDLE_CLOSE)), CloseCode::NoPong);
}

#[test]
fn noise_is_closed() {
    let now = clock::now();
    let mut session = joined(now, Role::Player(PlayerId(1)));
    let frame = ClientMessage::Ping { nonce: 1 }.to_frame();
    let first_refused = (0..1000).find(|_| matches!(session.handle_frame(now, &frame), Output::Close(..)));
    assert!(matches!(first_refused, Some(60..200)), "{first_refused:?}");
    assert_eq!(
        session.handle_frame(now, &frame),
        Output::Close(CloseCode::RateLimited, CloseCode::RateLimited.text().to_owned())
    );
}
