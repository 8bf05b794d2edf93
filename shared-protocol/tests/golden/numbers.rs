//! The two codings of numbers: the state codec's varints and those of control messages.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tickcast_protocol::codec;
use tickcast_protocol::varint::{self, Reader};

use crate::file::{Entry, File};

pub(crate) fn file() -> File {
    let mut entries = Vec::new();
    for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), 1 << 63, u64::MAX] {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, value);
        entries.push(entry("state", "varint", &value, &value.to_string(), bytes));
    }
    for value in
        [0, -1, 1, -64, 64, -3000, i64::from(i32::MAX), i64::from(i32::MIN), 4_294_967_295, -4_294_967_295]
    {
        let mut bytes = Vec::new();
        varint::put_signed(&mut bytes, value);
        entries.push(entry("state", "signed", &value, &value.to_string(), bytes));
    }
    for value in [0u16, 250, 251, u16::MAX] {
        entries.push(control("u16", &value, &value.to_string()));
    }
    for value in [250u32, 251, 65_535, 65_536, u32::MAX] {
        entries.push(control("u32", &value, &value.to_string()));
    }
    for value in [250u64, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        entries.push(control("u64", &value, &value.to_string()));
    }
    for value in [0i32, -1, 1, 125, -126, 300, i32::MAX, i32::MIN] {
        entries.push(control("i32", &value, &value.to_string()));
    }
    entries.push(control("string", &"", "empty"));
    entries.push(control("string", &"Zoë", "utf8"));
    entries.push(control("list_i32", &Vec::<i32>::new(), "empty"));
    entries.push(control("list_i32", &vec![-1i32, 200], "two"));
    let about = "Numbers, in the two codings of the wire: `state` is the state codec (LEB128 varints),\n\
                 `control` is that of control messages. See docs/wire.md.";
    File { name: "numbers.hex", about, entries }
}

fn control<T: Serialize>(of: &str, value: &T, label: &str) -> Entry {
    entry("control", of, value, label, codec::encode(value))
}

fn entry<T: Serialize>(coding: &str, of: &str, value: &T, label: &str, bytes: Vec<u8>) -> Entry {
    let name = format!("{coding}_{of}_{}", label.replace('-', "minus_"));
    let json = json(value);
    Entry::new(&name, &format!("{of} {json} in the {coding} coding"), describe(coding, of, &json), bytes)
}

fn describe(coding: &str, of: &str, value: &str) -> String {
    format!(r#"{{"coding":"{coding}","type":"{of}","value":{value}}}"#)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a number, text or list is JSON")
}

pub(crate) fn meaning(entry: &Entry) -> String {
    let mut reader = Reader::new(&entry.bytes);
    let told: serde_json::Value = serde_json::from_str(&entry.meaning).unwrap();
    let (coding, of) = (told["coding"].as_str().unwrap(), told["type"].as_str().unwrap());
    let value = match (coding, of) {
        ("state", "varint") => json(&reader.varint().unwrap()),
        ("state", "signed") => json(&reader.signed().unwrap()),
        (_, "u16") => decoded::<u16>(&entry.bytes),
        (_, "u32") => decoded::<u32>(&entry.bytes),
        (_, "u64") => decoded::<u64>(&entry.bytes),
        (_, "i32") => decoded::<i32>(&entry.bytes),
        (_, "string") => decoded::<String>(&entry.bytes),
        (_, "list_i32") => decoded::<Vec<i32>>(&entry.bytes),
        other => panic!("{}: unknown type {other:?}", entry.name),
    };
    describe(coding, of, &value)
}

fn decoded<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> String {
    json(&codec::decode::<T>(bytes).unwrap())
}
