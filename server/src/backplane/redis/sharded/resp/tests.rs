//! What a server says, in whole, in pieces, and wrong.

use super::*;

const MESSAGE: &[u8] = b"*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$4\r\n\r\n\xFF\0\r\n";

fn read(bytes: &[u8]) -> Option<Reply> {
    let (value, used) = parse(bytes, 0).expect("well-formed")?;
    assert_eq!(used, bytes.len());
    meaning(value)
}

#[test]
fn what_a_server_says_is_understood() {
    let payload = Bytes::from_static(b"\r\n\xFF\0");
    assert_eq!(read(MESSAGE), Some(Reply::Message { channel: "a".to_owned(), payload }));
    for (bytes, reply) in [
        (&b"*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"[..], Reply::Subscribed("a".to_owned())),
        (b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n", Reply::Unsubscribed("a".to_owned())),
        (b"+PONG\r\n", Reply::Pong),
        (b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", Reply::Pong),
        (b"-MOVED 1 a:2\r\n", Reply::Refusal("MOVED 1 a:2".to_owned())),
    ] {
        assert_eq!(read(bytes), Some(reply));
    }
}

#[test]
fn a_piece_is_waited_for() {
    for end in 0..MESSAGE.len() {
        assert_eq!(parse(&MESSAGE[..end], 0), Ok(None), "{end}");
    }
}

#[test]
fn what_is_malformed_is_an_end() {
    for bytes in [
        &b"?\r\n"[..],
        b"\r\n",
        b"*17\r\n",
        b"*x\r\n",
        b"$999999999999\r\n",
        b"*1\r\n*1\r\n*1\r\n*1\r\n",
        b"\xFF\xFE\r\n",
        &[b'+'; LINE_BYTES_MAX + 2],
    ] {
        assert!(parse(bytes, 0).is_err(), "{bytes:?}");
    }
    assert_eq!(meaning(Value::Number), None);
    assert_eq!(meaning(Value::List(Vec::new())), None);
}
