//! A whole trace comes back; whatever is wrong with a file is named, and nothing makes the reader panic.

use std::fs;

use super::*;
use crate::traces::sample::{Sample, compressed};

fn sample() -> Sample {
    Sample::new(&[("Point", &["x", "y"]), ("Flag", &["up"])])
}

/// Two ticks that hold something, one that does not.
fn whole() -> Sample {
    sample()
        .at(94)
        .tick(&[(0, 0, &[i32::MIN, i32::MAX]), (0, 65_534, &[-1, 1]), (1, 7, &[1])])
        .tick(&[])
        .tick(&[(1, 7, &[0])])
}

fn read_raw(raw: &[u8]) -> Result<Trace, Problem> {
    read("sample".to_owned(), compressed(raw).as_slice())
}

#[track_caller]
fn refused(sample: Sample, expected: &str) {
    let told = read_raw(&sample.raw()).expect_err(expected).to_string();
    assert!(told.contains(expected), "{told}");
}

/// A zstd frame around these bytes, as raw blocks: nothing but what the format says.
fn raw_frame(bytes: &[u8]) -> Vec<u8> {
    // Magic, no content size, no checksum, a window of 1 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    for block in bytes.chunks(1000) {
        frame.extend(&((block.len() as u32) << 3).to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame.extend([1, 0, 0]);
    frame
}

#[test]
fn a_whole_trace_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some_match.gtr.zst");
    fs::write(&path, compressed(&whole().raw())).unwrap();
    let trace = Trace::read(&path).unwrap();
    assert_eq!((trace.name(), trace.hz(), trace.tick_count()), ("some_match", 30.0, 3));
    assert_eq!(trace.types()[0], EntityType { name: "Point".into(), fields: vec!["x".into(), "y".into()] });
    assert_eq!(trace.types()[1], EntityType { name: "Flag".into(), fields: vec!["up".into()] });
    let held: Vec<(u32, Vec<_>)> = trace
        .ticks()
        .map(|tick| {
            let entities = tick.entities().map(|entity| (entity.id.kind, entity.id.index, entity.values));
            (tick.number(), entities.collect())
        })
        .collect();
    let first: Vec<(u8, u16, &[i32])> =
        vec![(0, 0, &[i32::MIN, i32::MAX]), (0, 65_534, &[-1, 1]), (1, 7, &[1])];
    assert_eq!(held, [(94, first), (95, vec![]), (96, vec![(1, 7, [0].as_slice())])]);
    assert_eq!(trace.tick(0).get(EntityId { kind: 0, index: 65_534 }), Some([-1, 1].as_slice()));
    assert_eq!(trace.tick(0).get(EntityId { kind: 0, index: 1 }), None);
}

#[test]
fn frames_of_other_compressors_are_read() {
    let trace = read("raw".to_owned(), raw_frame(&whole().raw()).as_slice()).unwrap();
    assert_eq!(trace.tick_count(), 3);
}

#[test]
fn an_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.gtr.zst");
    let told = |bytes: Option<&[u8]>| {
        bytes.iter().for_each(|bytes| fs::write(&path, bytes).unwrap());
        let told = Trace::read(&path).unwrap_err().to_string();
        assert!(told.starts_with(&path.display().to_string()), "{told}");
        told
    };
    assert!(told(None).contains("cannot be read"));
    assert!(told(Some(b"")).contains("not a zstd stream"));
    assert!(told(Some(b"GTR1 and no zstd")).contains("not a zstd stream"));
    assert!(told(Some(&compressed(b"other"))).ends_with("begins with `othe`, not with `GTR1`"));
}

#[test]
fn what_surrounds_the_content_is_checked() {
    let raw = whole().raw();
    let told = |file: &[u8]| read("sample".to_owned(), file).unwrap_err().to_string();
    let mut twice = compressed(&raw);
    twice.extend(compressed(&raw));
    assert_eq!(told(&twice), "something follows the zstd stream");
    let mut flipped = compressed(&raw);
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(told(&flipped), "the zstd stream's checksum is wrong");
    let frame = raw_frame(&raw);
    for length in 6..frame.len() {
        assert!(told(&frame[..length]).contains("damaged or cut"), "{length} of {} bytes", frame.len());
    }
}

#[test]
fn a_header_may_not_ask_for_much() {
    refused(Sample::with_header("{}"), "header: missing field");
    refused(Sample::with_header("no json"), "header: expected");
    refused(Sample::with_header("{\"hz\": 60, \"types\": []}"), "0 types, allowed are 1 to 31");
    refused(Sample::with_header("{\"hz\": 0, \"types\": []}"), "0 ticks a second");
    let many: Vec<(&str, &[&str])> = vec![("a", &["x"]); 32];
    refused(Sample::new(&many), "32 types");
    refused(Sample::new(&[("wide", &["x"; 65])]), "type `wide` has 65 fields, at most 64");
    let mut raw = b"GTR1".to_vec();
    raw.extend(u32::MAX.to_le_bytes());
    assert!(read_raw(&raw).unwrap_err().to_string().contains("4294967295 bytes, at most"));
}

#[test]
fn ticks_must_be_what_they_claim() {
    refused(sample(), "holds no tick");
    refused(sample().tick(&[(2, 0, &[1])]), "tick 0: type 2 of an entity, the header has 2");
    refused(sample().at(5).tick(&[(1, 65_535, &[1])]), "tick 5: id 65535 of an entity");
    let doubled = sample().tick(&[(1, 3, &[1]), (1, 3, &[1])]);
    refused(doubled, "tick 0: entity 1:3 (type:id) follows entity 1:3");
    refused(sample().tick(&[(1, 3, &[1]), (1, 2, &[1])]), "entity 1:2 (type:id) follows entity 1:3");
    refused(sample().tick(&[(1, 3, &[1]), (0, 4, &[1, 1])]), "entity 0:4 (type:id) follows entity 1:3");
    refused(sample().at(7).tick(&[]).at(7).tick(&[]), "tick 7 follows tick 7; numbers must ascend");
    refused(sample().at(7).tick(&[]).at(6).tick(&[]), "tick 6 follows tick 7");
    refused(sample().at(u32::MAX).tick(&[]).tick(&[]), "tick 0 follows tick 4294967295");
    let mut raw = sample().raw();
    raw.extend([0, 0, 0, 0, 0xff, 0xff]);
    assert_eq!(read_raw(&raw).unwrap_err().to_string(), "ends within tick 0");
}

#[test]
fn numbers_that_were_left_out_are_no_ticks() {
    let trace =
        sample().at(7).tick(&[(1, 0, &[1])]).at(9).tick(&[]).at(u32::MAX).tick(&[(1, 0, &[0])]).trace();
    let held: Vec<(u32, usize)> = trace.ticks().map(|tick| (tick.number(), tick.entities().len())).collect();
    assert_eq!(held, [(7, 1), (9, 0), (u32::MAX, 1)]);
}

#[test]
fn a_cut_is_named() {
    let (raw, header) = (whole().raw(), sample().raw().len());
    let first = sample().tick(&[(0, 0, &[0, 0]), (0, 1, &[0, 0]), (1, 7, &[1])]).raw().len();
    for length in 0..raw.len() {
        let cut = read_raw(&raw[..length]);
        match length {
            _ if length < header => assert!(matches!(cut, Err(Problem::Cut(_))), "{length} bytes"),
            _ if length == header => assert!(matches!(cut, Err(Problem::Empty))),
            _ if length == first => assert_eq!(cut.unwrap().tick_count(), 1),
            _ if length == first + 6 => assert_eq!(cut.unwrap().tick_count(), 2),
            _ => assert!(matches!(cut, Err(Problem::Cut(_))), "{length} bytes"),
        }
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let raw = whole().raw();
    let file = compressed(&raw);
    for (at, bit) in (0..raw.len().max(file.len())).flat_map(|at| [(at, 1), (at, 0x10), (at, 0x80)]) {
        let mut damaged = raw.clone();
        damaged.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
        let _ = read("raw".to_owned(), raw_frame(&damaged).as_slice());
        let mut damaged = file.clone();
        damaged.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
        let _ = read("file".to_owned(), damaged.as_slice());
        let _ = read("short".to_owned(), &file[..at.min(file.len())]);
    }
}
