//! What a client may say when, and what silence and noise come to.

use super::*;
use crate::io::clock;
use tickcast_protocol::limits::CHAT_BYTES_MAX;
use tickcast_protocol::{Field, InputField, Kind};

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], [InputField::new("move", -1, 1)]).unwrap()
}

fn hello(protocol: u16) -> Vec<u8> {
    let join = Join::Quick { game: String::new() };
    let ticket = String::new();
    ClientMessage::Hello { protocol, name: " a\nb ".to_owned(), join, ticket }.to_frame()
}

fn input(values: Vec<i32>) -> Vec<u8> {
    ClientMessage::Input { seq: InputSeq(1), seen: Tick(0), behind: 0, values: values.into() }.to_frame()
}

fn code(output: Output) -> CloseCode {
    match output {
        Output::Close(code, _) => code,
        other => panic!("not closed: {other:?}"),
    }
}

fn joined(now: Instant, role: Role) -> Session {
    let mut session = Session::new(now, 60, 8192);
    let output = session.handle_frame(now, &hello(PROTOCOL_VERSION));
    assert!(matches!(output, Output::Join { name, .. } if name == "a b"));
    session.handle_joined(now, role, schema(), TickRate::default());
    session
}

#[test]
fn the_first_message_is_a_hello_of_our_version() {
    let now = clock::now();
    assert_eq!(code(Session::new(now, 60, 8192).handle_frame(now, &input(vec![0]))), CloseCode::Malformed);
    assert_eq!(code(Session::new(now, 60, 8192).handle_frame(now, &hello(99))), CloseCode::ProtocolVersion);
    assert_eq!(code(Session::new(now, 60, 8192).handle_frame(now, b"junk")), CloseCode::Malformed);
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
    let mut session = Session::new(now, 60, 8192);
    assert_eq!(code(session.handle_timeout(now + HELLO_DEADLINE)), CloseCode::HelloDeadline);
    let mut session = joined(now, Role::Spectator);
    assert_eq!(session.timeout(), now + IDLE_OFFER);
    assert_eq!(session.handle_timeout(now + IDLE_OFFER), Output::OfferPing);
    assert_eq!(session.handle_timeout(now + IDLE_OFFER), Output::Nothing);
    assert_eq!(session.timeout(), now + IDLE_PING);
    assert_eq!(session.handle_timeout(now + IDLE_PING), Output::Ping { was_offered: true });
    assert_eq!(session.timeout(), now + IDLE_CLOSE);
    assert_eq!(session.handle_sign_of_life(now + IDLE_PING), Output::Nothing);
    assert_eq!(session.timeout(), now + IDLE_PING + IDLE_OFFER);
    // Whoever is looked at late is pinged at once.
    assert_eq!(session.handle_timeout(now + IDLE_PING * 2), Output::Ping { was_offered: false });
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

#[test]
fn pings_and_pongs_of_the_websocket_are_counted_as_messages_are() {
    let now = clock::now();
    let first_refused = |session: &mut Session| {
        (0..1000).find(|_| matches!(session.handle_sign_of_life(now), Output::Close(..)))
    };
    let mut quiet = joined(now, Role::Player(PlayerId(1)));
    let most = first_refused(&mut quiet).expect("it is closed");
    let mut talking = joined(now, Role::Player(PlayerId(1)));
    let frame = ClientMessage::Ping { nonce: 1 }.to_frame();
    assert!((0..most / 2).all(|_| !matches!(talking.handle_frame(now, &frame), Output::Close(..))));
    assert_eq!(first_refused(&mut talking), Some(most - most / 2), "both come from one budget");
    let limited = Output::Close(CloseCode::RateLimited, CloseCode::RateLimited.text().to_owned());
    assert_eq!(talking.handle_sign_of_life(now), limited);
}

fn chat(text: &str) -> Vec<u8> {
    ClientMessage::Chat { seq: 1, to: ChatTo::Everyone, text: text.to_owned() }.to_frame()
}

fn refused(reason: ChatRefusal) -> Output {
    Output::Refuse { seq: 1, reason }
}

#[test]
fn what_is_said_is_plain_and_of_some_length() {
    let now = clock::now();
    let say = |text: &str| joined(now, Role::Player(PlayerId(3))).handle_frame(now, &chat(text));
    let cases = [
        ("hello", "hello"),
        (" <b>two\nlines</b> ", "<b>two lines</b>"),
        ("\x1b[2Jgone\u{202e}", "[2Jgone"),
        (&"x".repeat(CHAT_BYTES_MAX), &"x".repeat(CHAT_BYTES_MAX)),
    ];
    for (text, plain) in cases {
        let Output::Say(saying) = say(text) else { panic!("{text:?} is not said") };
        assert_eq!((saying.player, saying.text.as_str()), (PlayerId(3), plain));
    }
    for nothing in ["", " \t ", "\u{200b}\u{feff}\x07"] {
        assert_eq!(say(nothing), refused(ChatRefusal::Empty));
    }
    assert_eq!(say(&"x".repeat(CHAT_BYTES_MAX + 1)), refused(ChatRefusal::TooLong));
    assert_eq!(code(say(&"x".repeat(10_000))), CloseCode::Malformed, "no frame of ours is that long");
}

#[test]
fn who_may_say_what_to_whom() {
    let now = clock::now();
    let output = joined(now, Role::Spectator).handle_frame(now, &chat("hi"));
    assert_eq!(output, refused(ChatRefusal::Spectator));
    let team = ClientMessage::Chat { seq: 1, to: ChatTo::Team, text: "hi".to_owned() }.to_frame();
    let output = joined(now, Role::Player(PlayerId(3))).handle_frame(now, &team);
    assert_eq!(output, refused(ChatRefusal::NoTeam), "the game has no teams");
    let mut off = Session::new(now, 0, 8192);
    off.handle_frame(now, &hello(PROTOCOL_VERSION));
    off.handle_joined(now, Role::Player(PlayerId(3)), schema(), TickRate::default());
    assert_eq!(off.handle_frame(now, &chat("hi")), refused(ChatRefusal::Off));
    let mut early = Session::new(now, 60, 8192);
    assert_eq!(code(early.handle_frame(now, &chat("hi"))), CloseCode::Malformed);
    let mut early = Session::new(now, 60, 8192);
    early.handle_frame(now, &hello(PROTOCOL_VERSION));
    assert_eq!(code(early.handle_frame(now, &chat("hi"))), CloseCode::Malformed);
}

#[test]
fn who_talks_too_fast_is_told_and_who_does_not_stop_is_closed() {
    let now = clock::now();
    let mut session = joined(now, Role::Player(PlayerId(3)));
    let mut say = |ms: u64| session.handle_frame(now + Duration::from_millis(ms), &chat("hi"));
    let said = (0..7).filter(|_| matches!(say(0), Output::Say(_))).count();
    assert_eq!(said, 5, "a burst");
    assert_eq!(say(900), refused(ChatRefusal::TooFast));
    assert!(matches!(say(1000), Output::Say(_)), "one per second");
    // Two lines a second are refused half of the time, and nobody is closed for that.
    let outputs: Vec<Output> = (4..120).map(|half| say(500 * half)).collect();
    let (said, told) = outputs.iter().partition::<Vec<_>, _>(|output| matches!(output, Output::Say(_)));
    assert!((55..66).contains(&said.len()), "{}", said.len());
    assert!(told.iter().all(|output| **output == refused(ChatRefusal::TooFast)));
    let closed = (0..100).find(|_| matches!(say(60_000), Output::Close(CloseCode::RateLimited, _)));
    assert!(matches!(closed, Some(15..30)), "{closed:?}");
}
