//! Answers as they come from a connection, those of a server that is none of ours among them.

use super::*;

/// What a commit is told by these bytes; `None` if nothing is known of it.
fn told(bytes: &[u8]) -> Option<CommitReply> {
    let value = redis::parse_redis_value(bytes).expect("a well-formed answer");
    let answer: Answer = redis::from_redis_value(value).ok()?;
    answer.reply().ok()
}

fn words(word: &str, tick: &str) -> Vec<u8> {
    format!("*2\r\n${}\r\n{word}\r\n${}\r\n{tick}\r\n", word.len(), tick.len()).into_bytes()
}

#[test]
fn each_answer_of_the_script_has_its_meaning() {
    assert_eq!(told(b":0\r\n"), Some(CommitReply::Ok));
    for (word, tick, reply) in [
        ("DUP_SAME", "0", CommitReply::DupSame),
        ("DUP_DIFF", "0", CommitReply::DupDiff),
        ("FENCED", "0", CommitReply::Fenced),
        ("NO_MATCH", "0", CommitReply::NoMatch),
        ("BEHIND", "41", CommitReply::Behind(Tick(41))),
        ("STALE", "18446744073709551615", CommitReply::Stale(Tick(u64::MAX))),
    ] {
        assert_eq!(told(&words(word, tick)), Some(reply), "{word}");
    }
    assert_eq!(Answer::default().reply(), Ok(CommitReply::NoMatch), "of a key that holds no hash");
}

#[test]
fn an_answer_that_is_none_is_no_answer_and_never_a_written_tick() {
    let others =
        [words("OK", "0"), words("", "0"), words("BEHIND", "-1"), words("STALE", "x"), words("0", "0")];
    let odd: [&[u8]; 14] = [
        b":1\r\n",
        b":-1\r\n",
        b":9223372036854775807\r\n",
        b"+0\r\n",
        b"+OK\r\n",
        b"$1\r\n0\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*1\r\n:0\r\n",
        b"*2\r\n:0\r\n:0\r\n",
        b"*2\r\n$6\r\nFENCED\r\n$-1\r\n",
        b"*3\r\n$6\r\nFENCED\r\n:0\r\n:0\r\n",
        b"*2\r\n*1\r\n$2\r\nOK\r\n:0\r\n",
    ];
    for bytes in others.iter().map(Vec::as_slice).chain(odd) {
        assert_eq!(told(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
    }
}
