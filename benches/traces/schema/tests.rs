//! The choice follows the values of a field and nothing else.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::schema::FieldType;

use super::*;
use crate::traces::sample::Sample;

const TICKS: i32 = 400;

/// The field that is chosen for one entity that has these values, tick by tick.
fn chosen(value: impl FnMut(i32) -> i32) -> Field {
    let values: Vec<i32> = (0..TICKS).map(value).collect();
    let sample = values.iter().fold(Sample::new(&[("thing", &["it"])]), |sample, value| {
        sample.tick(&[(0, 5, std::slice::from_ref(value))])
    });
    let schema = schema_of(&sample.trace()).unwrap();
    schema.kinds()[0].fields[0].clone()
}

fn turning(bits: u8, predictor: Predictor) -> Field {
    Field { predictor, ..Field::angle("it", bits) }
}

#[test]
fn what_moves_goes_on() {
    assert_eq!(chosen(|tick| 3 * tick - 700), Field::linear("it", -700, 497));
    assert_eq!(chosen(|tick| tick * tick), Field::linear("it", 0, 399 * 399));
}

#[test]
fn noise_is_held() {
    for (low, high) in [(-100, 100), (0, 1023), (0, 63), (0, 65_535)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let field = chosen(|_| rng.random_range(low..=high));
        assert_eq!(field.predictor, Predictor::Hold, "{low}..={high}");
        assert!(matches!(field.holds, FieldType::Int { .. }), "{low}..={high}: {field:?}");
    }
}

#[test]
fn what_stays_or_jumps_is_held() {
    assert_eq!(chosen(|_| 77), Field::int("it", 77, 77));
    assert_eq!(chosen(|tick| tick / 10), Field::int("it", 0, 39));
    // It turns only after the training part.
    assert_eq!(chosen(|tick| if tick < 80 { 500 } else { (40 * tick) & 1023 }).predictor, Predictor::Hold);
}

#[test]
fn a_move_that_stops_all_the_time_is_held() {
    assert_eq!(chosen(|tick| (tick + 1) / 2 * 9), Field::int("it", 0, 1800));
}

#[test]
fn what_turns_is_an_angle() {
    assert_eq!(chosen(|tick| (37 * tick) & 1023), turning(10, Predictor::Linear));
    assert_eq!(chosen(|tick| (-1111 * tick) & 0xffff), turning(16, Predictor::Linear));
    let (mut rng, mut heading) = (ChaCha8Rng::seed_from_u64(2), 0);
    let wobbling = chosen(|_| {
        heading += rng.random_range(-9..=9);
        heading & 63
    });
    assert_eq!(wobbling, turning(6, Predictor::Hold));
}

#[test]
fn what_does_not_wrap_is_no_angle() {
    let swinging = chosen(|tick| 512 + (500.0 * (f64::from(tick) / 9.0).sin()) as i32);
    assert!(matches!(swinging.holds, FieldType::Int { .. }), "{swinging:?}");
    // Degrees wrap, but not at a power of two.
    let degrees = chosen(|tick| 7 * tick % 360);
    assert!(matches!(degrees.holds, FieldType::Int { .. }), "{degrees:?}");
    // A turn too many for 16 bits, and one with negative values.
    for turn in [chosen(|tick| (5000 * tick) & 0x1_ffff), chosen(|tick| ((37 * tick) & 1023) - 512)] {
        assert!(matches!(turn.holds, FieldType::Int { .. }), "{turn:?}");
    }
}

#[test]
fn extreme_values_are_bounds() {
    let field = chosen(|tick| if tick % 2 == 0 { i32::MIN } else { i32::MAX });
    assert_eq!(field.bounds(), (i32::MIN, i32::MAX));
}

#[test]
fn an_entity_that_comes_again_is_new() {
    // Never two ticks in a row: nothing to guess from, though the values go on.
    let mut sample = Sample::new(&[("thing", &["it"])]);
    for tick in 0..TICKS {
        let values = [tick];
        sample = if tick % 2 == 0 { sample.tick(&[(0, 1, &values)]) } else { sample.tick(&[]) };
    }
    let schema = schema_of(&sample.trace()).unwrap();
    assert_eq!(schema.kinds()[0].fields[0], Field::int("it", 0, TICKS - 2));
}

#[test]
fn a_short_trace_teaches_nothing() {
    let schema =
        schema_of(&Sample::new(&[("thing", &["it"]), ("unseen", &["at"])]).tick(&[]).trace()).unwrap();
    assert_eq!(schema.kinds()[0], Kind::new("thing", [Field::int("it", 0, 0)]));
    assert_eq!(schema.kinds().len(), 3);
}

#[test]
fn any_names_make_a_schema() {
    let long = "x".repeat(40);
    let types: &[(&str, &[&str])] = &[
        ("Player", &["X", "x", "x_2", "", "ä:ö", "1st"]),
        ("player", &["player", "seq"]),
        ("", &[]),
        ("Ball \u{1f3d0}", &[&long, &long]),
    ];
    let schema = schema_of(&Sample::new(types).tick(&[(2, 0, &[])]).trace()).unwrap();
    let names: Vec<&str> = schema.kinds().iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(names, ["player", "player_2", "n_", "ball__", "player_3"]);
    assert_eq!(schema.player_kind(), 4);
    let fields = |kind: usize| -> Vec<&str> {
        schema.kinds()[kind].fields.iter().map(|field| field.name.as_str()).collect()
    };
    assert_eq!(fields(0), ["x", "x_2", "x_2_2", "n_", "n____", "n_1st"]);
    assert_eq!(fields(1), ["player", "seq"]);
    assert_eq!(fields(2), ["nothing"]);
    assert_eq!(fields(3), ["x".repeat(32), format!("{}_2", "x".repeat(30))]);
}

#[test]
fn too_many_long_names_are_refused() {
    let long: Vec<String> = (0..64).map(|field| format!("{field:_>32}")).collect();
    let fields: Vec<&str> = long.iter().map(String::as_str).collect();
    let types: Vec<(&str, &[&str])> = (0..31).map(|_| ("thing", fields.as_slice())).collect();
    let refused = schema_of(&Sample::new(&types).tick(&[]).trace()).unwrap_err();
    assert!(matches!(refused, SchemaError::Limit(_)), "{refused}");
}
