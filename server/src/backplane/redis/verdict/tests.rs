//! The words are those of a real server (7.0.15), read by the crate as it reads them from a connection.

use super::*;

fn refusal(line: &str) -> RedisError {
    let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a well-formed answer");
    value.extract_error().expect_err("a refusal")
}

#[test]
fn every_refusal_has_its_verdict_and_keeps_its_words() {
    for (line, expected) in [
        ("LOADING Redis is loading the dataset in memory", Verdict::Later),
        (
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            Verdict::Later,
        ),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Verdict::Later),
        ("CLUSTERDOWN The cluster is down", Verdict::Later),
        ("CLUSTERDOWN Hash slot not served", Verdict::Later),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Verdict::Later),
        ("NOREPLICAS Not enough good replicas to write.", Verdict::Later),
        ("MOVED 3999 127.0.0.1:6381", Verdict::Elsewhere),
        ("ASK 3999 127.0.0.1:6381", Verdict::Elsewhere),
        ("READONLY You can't write against a read only replica.", Verdict::Elsewhere),
        ("OOM command not allowed when used memory > 'maxmemory'.", Verdict::Refused),
        ("MISCONF Errors writing to the AOF file: No space left on device", Verdict::Refused),
        ("NOPERM this user has no permissions to run the 'hset' command", Verdict::Refused),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Verdict::Refused),
        ("ERR something new", Verdict::Refused),
    ] {
        let error = refusal(line);
        assert_eq!(verdict(&error), expected, "{line}");
        let text = explain(&error);
        let code = line.split(' ').next().unwrap();
        assert!(text.contains(line.split_once(' ').unwrap().1), "{text}");
        assert!(code == "ERR" || text.starts_with(line), "{text}");
        assert_eq!(text.ends_with(')'), code != "ERR", "{line} tells what to do: {text}");
    }
}
