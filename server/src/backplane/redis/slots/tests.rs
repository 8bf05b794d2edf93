//! Slots that a real server gave (CLUSTER KEYSLOT of 7.0), and its answer to CLUSTER SLOTS.

use super::*;

#[test]
fn slots_are_those_of_the_server() {
    assert_eq!(crc16(b"123456789"), 0x31C3);
    for (key, expected) in [
        ("", 0),
        ("foo", 12182),
        ("{foo}bar", 12182),
        ("a{foo}b{bar}", 12182),
        ("{}foo", 9500),
        ("{foo", 13308),
        ("foo{}{bar}", 8363),
        ("foo{{bar}}zap", 4015),
    ] {
        assert_eq!(slot(key.as_bytes()), expected, "{key}");
    }
    assert_eq!(slot(b"tickcast:{m1}"), slot(b"tickcast:{m1}:diff"));
}

fn node(host: Value, port: i64) -> Value {
    Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), Value::Array(Vec::new())])
}

#[test]
fn an_answer_names_the_master_of_each_range() {
    let asked = HostPort { host: "asked".to_owned(), port: 1 };
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let range = |first, last, nodes: Vec<Value>| {
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes).collect())
    };
    let answer = Value::Array(vec![
        range(0, 99, vec![node(text("a"), 10), node(text("replica"), 11)]),
        range(100, 16383, vec![node(Value::Nil, 20)]),
        range(200, 200, vec![node(text("?"), 30)]),
    ]);
    let ranges = parse(answer, &asked).expect("an answer");
    let shown: Vec<String> =
        ranges.iter().map(|range| format!("{}-{} {}", range.first, range.last, range.master)).collect();
    assert_eq!(shown, ["0-99 a:10", "100-16383 asked:20", "200-200 asked:30"]);
    assert!(parse(text("nonsense"), &asked).is_err());
}
