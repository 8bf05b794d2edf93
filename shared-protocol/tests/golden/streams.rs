//! Streams of the range coder on their own: what goes in, and the bytes.

use serde_json::{Value, json};
use tickcast_protocol::Schema;

use crate::coder::{AdaptiveDecoder, AdaptiveEncoder, AdaptiveModels, Coder, FixedDecoder, FixedEncoder};
use crate::coder::{NUMBER_MODELS, Number, read_text, write_text};
use crate::file::{Entry, File};
use crate::prior::{Levels, Prior};
use crate::range::{RangeDecoder, RangeEncoder};
use crate::worlds;

/// Behind the models of a number.
const SIGN: usize = NUMBER_MODELS;

/// All as likely as not.
fn half() -> Levels {
    Levels::of(&[0; NUMBER_MODELS + 1])
}

/// What a fixed encoder writes to whom nothing is likely.
pub(crate) fn even(write: impl FnOnce(&mut FixedEncoder<'_>)) -> Vec<u8> {
    let (mut out, levels) = (Vec::new(), half());
    let mut coder = FixedEncoder { range: RangeEncoder::new(&mut out), levels: &levels };
    write(&mut coder);
    coder.range.finish();
    out
}

/// What an adaptive encoder writes.
pub(crate) fn adaptive(models: usize, write: impl FnOnce(&mut AdaptiveEncoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let models = AdaptiveModels::new(models);
    let mut coder = AdaptiveEncoder { range: RangeEncoder::new(&mut out), models };
    write(&mut coder);
    coder.range.finish();
    out
}

/// Steps of the range coder: `[zero, bit]`, or `["raw", bits, value]`.
pub(crate) fn encode_steps(steps: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut coder = RangeEncoder::new(&mut out);
    for step in steps {
        match numbers(step)[..] {
            [zero, bit] => coder.bit(zero as u16, bit == 1),
            [_, bits, value] => coder.raw(value as u32, bits as u32),
            _ => panic!("no step: {step}"),
        }
    }
    coder.finish();
    out
}

/// The numbers of a step; a word is 0.
fn numbers(step: &Value) -> Vec<i64> {
    step.as_array().unwrap().iter().map(|part| part.as_i64().unwrap_or(0)).collect()
}

fn decode_steps(steps: &[Value], bytes: &[u8]) -> Vec<Value> {
    let mut coder = RangeDecoder::new(bytes);
    let read = steps.iter().map(|step| match numbers(step)[..] {
        [zero, _] => json!([zero, u8::from(coder.bit(zero as u16))]),
        [_, bits, _] => json!(["raw", bits, coder.raw(bits as u32)]),
        _ => panic!("no step: {step}"),
    });
    let read = read.collect();
    coder.finish().unwrap();
    read
}

/// Adaptive steps are `[model, bit]`, of at most this many models.
const ADAPTIVE_MODELS: usize = 4;

fn encode_adaptive(steps: &[Value]) -> Vec<u8> {
    adaptive(ADAPTIVE_MODELS, |coder| {
        for step in steps.iter().map(numbers) {
            coder.bit(step[0] as usize, step[1] == 1);
        }
    })
}

fn decode_adaptive(steps: &[Value], bytes: &[u8]) -> Vec<Value> {
    let models = AdaptiveModels::new(ADAPTIVE_MODELS);
    let mut coder = AdaptiveDecoder { range: RangeDecoder::new(bytes), models };
    let read = steps.iter().map(numbers).map(|step| {
        let bit = coder.bit(step[0] as usize, false);
        json!([step[0], u8::from(bit)])
    });
    let read = read.collect();
    coder.range.finish().unwrap();
    read
}

fn encode_numbers(values: &[Value]) -> Vec<u8> {
    even(|coder| {
        for value in values {
            coder.number(Number::at(0), value.as_u64().unwrap());
        }
    })
}

fn encode_differences(values: &[Value]) -> Vec<u8> {
    even(|coder| {
        for value in values {
            coder.difference(SIGN, Number::at(0), value.as_i64().unwrap());
        }
    })
}

fn encode_texts(values: &[Value]) -> Vec<u8> {
    even(|coder| {
        for value in values {
            write_text(coder, value.as_str().unwrap());
        }
    })
}

/// Reads as many values as there are with an encoder's counterpart.
fn decode_even(values: &[Value], bytes: &[u8], read: impl Fn(&mut FixedDecoder<'_>) -> Value) -> Vec<Value> {
    let levels = half();
    let mut coder = FixedDecoder { range: RangeDecoder::new(bytes), levels: &levels };
    let read = values.iter().map(|_| read(&mut coder)).collect();
    coder.range.finish().unwrap();
    read
}

/// A prior of a schema's models with these levels, `[model, level]`; all others are 0.
pub(crate) fn encode_prior(schema: &Schema, number: u8, levels: &[Value]) -> Vec<u8> {
    let mut prior = Prior::first(schema);
    let mut all = vec![0; prior.levels().len()];
    for pair in levels.iter().map(numbers) {
        all[pair[0] as usize] = pair[1] as i8;
    }
    (0..number).for_each(|_| prior = prior.next(&all).into());
    let mut out = Vec::new();
    prior.encode(&mut out);
    out
}

fn decode_prior(bytes: &[u8]) -> (u8, Vec<Value>) {
    let prior = Prior::first(&worlds::duel()).decode(bytes).unwrap();
    let mut again = Vec::new();
    let public = tickcast_protocol::prior::Prior::first(&worlds::duel()).decode(bytes).unwrap();
    public.encode(&mut again);
    assert_eq!((public.number(), &again[..]), (prior.number(), bytes), "what is public reads the same");
    let levels = prior.levels().iter().enumerate().filter(|(_, level)| *level != 0);
    (prior.number(), levels.map(|(model, level)| json!([model, level])).collect())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Every stream: a name, what it is, what goes in.
fn cases() -> Vec<(&'static str, &'static str, Value)> {
    let likely: Vec<Value> = (0..300).map(|_| json!([65_511, 0])).collect();
    let ramp: Vec<Value> = (0..40).map(|at| json!([(1 + 1637 * at) % 65_536, at * 7 % 3 % 2])).collect();
    let raw: Vec<Value> = (0..=16).map(|bits| json!(["raw", bits, 0xa5a5 & ((1 << bits) - 1)])).collect();
    let learned: Vec<Value> =
        (0..90).map(|at| json!([at % 3, u8::from(at % 3 == 1 || at % 21 == 20)])).collect();
    let ladder = (-63..=63).enumerate().map(|(model, level)| json!([2 * model, level]));
    let pairs = [-63, -1, 0, 1, 63].into_iter().flat_map(|a| [-63, -1, 0, 1, 63].map(|b| [a, b, 0]));
    let pairs = pairs.flatten().enumerate().map(|(at, level)| json!([300 + at, level]));
    let last = Prior::first(&worlds::duel()).levels().len() - 1;
    let levels = ladder.chain(pairs).chain([json!([last, -5])]);
    let levels: Vec<Value> = levels.filter(|pair| pair[1] != 0).collect();
    vec![
        ("one_zero", "a 0, as likely as not", json!({"steps": [[32_768, 0]]})),
        ("one_one", "a 1, as likely as not", json!({"steps": [[32_768, 1]]})),
        ("two", "a likely 0 and an unlikely 1", json!({"steps": [[60_000, 0], [60_000, 1]]})),
        ("unlikely", "the least likely of all", json!({"steps": [[1, 0], [65_535, 1], [1, 0], [65_535, 1]]})),
        ("likely", "300 zeros of the greatest level take no byte", json!({"steps": likely})),
        (
            "carry",
            "bytes that are out already change",
            json!({"steps":
            [[32_767, 1], [1, 0], [32_768, 1], [32_768, 1]]}),
        ),
        (
            "long_carry",
            "and those before them too",
            json!({"steps":
            [[32_768, 0], ["raw", 16, 65_535], ["raw", 16, 65_535], [32_767, 1], [1, 1], ["raw", 16, 9]]}),
        ),
        ("ramp", "probabilities from one end to the other", json!({"steps": ramp})),
        ("raw", "bits without a probability, 0 to 16 at once", json!({"steps": raw})),
        ("learned", "three models that adapt, one after another", json!({"adaptive": learned})),
        (
            "learned_far",
            "models that come to their ends",
            json!({"adaptive": (0..700).map(|at| json!([at % 2, at % 2])).collect::<Vec<_>>()}),
        ),
        (
            "numbers",
            "numbers, every model as likely as not",
            json!({"numbers":
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 31, 1000, 65_535, 131_071, 262_142, 4_294_967_295u64, 8_589_934_590u64]}),
        ),
        (
            "differences",
            "differences",
            json!({"differences":
            [1, -1, 2, -2, 3, -3, 100, -4096, 4_294_967_295i64, -8_589_934_590i64]}),
        ),
        ("texts", "texts", json!({"texts": ["", "Zoë", "0123456789".repeat(25)]})),
        (
            "prior_first",
            "the prior that every match begins with, of the duel's models",
            json!({"prior": 0, "levels": []}),
        ),
        (
            "prior_levels",
            "every level, and every pair of neighbours",
            json!({"prior": 255, "levels": levels}),
        ),
    ]
}

pub(crate) fn file() -> File {
    let entry = |(name, comment, told): (&str, &str, Value)| {
        Entry::new(&format!("coded_{name}"), comment, told.to_string(), encode(&told))
    };
    let about = "Streams of the range coder. `steps` are [probability of a zero, bit] or [\"raw\", bits, value];\n\
                 `adaptive` are [model, bit]; `numbers`, `differences` and `texts` are coded with every model\n\
                 at 32768; `prior` is the payload of a prior of this number for the schema of duel, `levels` its\n\
                 levels as [model, level], where they are not 0.";
    File { name: "coder.hex", about, entries: cases().into_iter().map(entry).collect() }
}

fn encode(told: &Value) -> Vec<u8> {
    let (name, values) = told.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "steps" => encode_steps(list(values)),
        "adaptive" => encode_adaptive(list(values)),
        "numbers" => encode_numbers(list(values)),
        "differences" => encode_differences(list(values)),
        "texts" => encode_texts(list(values)),
        _ => encode_prior(&worlds::duel(), told["prior"].as_u64().unwrap() as u8, list(&told["levels"])),
    }
}

pub(crate) fn meaning(entry: &Entry) -> String {
    let told: Value = serde_json::from_str(&entry.meaning).unwrap();
    let (name, values) = told.as_object().unwrap().iter().next().unwrap();
    let bytes = &entry.bytes;
    let read = |values: Vec<Value>| json!({ name: values });
    let told = match name.as_str() {
        "steps" => read(decode_steps(list(values), bytes)),
        "adaptive" => read(decode_adaptive(list(values), bytes)),
        "numbers" => read(decode_even(list(values), bytes, |coder| json!(coder.number(Number::at(0), 0)))),
        "differences" => {
            read(decode_even(list(values), bytes, |coder| json!(coder.difference(SIGN, Number::at(0), 0))))
        }
        "texts" => read(decode_even(list(values), bytes, |coder| {
            json!(read_text(coder, 255, &mut Vec::new()).unwrap())
        })),
        _ => {
            let (number, levels) = decode_prior(bytes);
            json!({"prior": number, "levels": levels})
        }
    };
    told.to_string()
}
