//! inputs too many, out of order, out of time, out of range, and those that the rules do not grant.

use tickcast_protocol::limits::INPUT_SEQ_AHEAD_MAX;
use tickcast_protocol::message::{ClientMessage, Join};
use tickcast_protocol::{CloseCode, InputSeq, Tick};
use tokio_tungstenite::tungstenite::Message;

use super::{Target, WITHIN};
use crate::player::{Close, Player};

/// What `f32` makes of numbers that are none, or hardly any.
const FLOATS: [f32; 7] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MAX, f32::MIN_POSITIVE, f32::EPSILON];

/// An input with these values.
pub fn input(seq: u32, values: &[i32]) -> ClientMessage {
    ClientMessage::Input { seq: InputSeq(seq), seen: Tick(1), behind: 0, values: values.into() }
}

/// The least and the most of each field of an input of the match.
pub async fn fields(target: &Target) -> Vec<(i32, i32)> {
    let probe = target.join("probe", Join::Spectate(target.id.clone())).await;
    let fields = fields_of(&probe);
    probe.leave().await;
    fields
}

fn fields_of(player: &Player) -> Vec<(i32, i32)> {
    let input = player.replica().world().schema().input().iter();
    input.map(|field| (field.min, field.max)).collect()
}

/// What a player is told that sends these frames after its welcome.
async fn told(target: &Target, frames: &[Vec<u8>]) -> Close {
    let mut socket = target.socket().await;
    socket.hello(Join::Match(target.id.clone())).await;
    socket.next().await.expect("a welcome");
    for frame in frames {
        socket.send(Message::binary(frame.clone())).await;
    }
    socket.closed(WITHIN).await
}

fn has_settled(player: &Player) -> bool {
    player.acknowledged() == Some(player.client().last_seq())
}

/// a player sends 1,000 inputs at once.
///
/// # Panics
/// When it is not closed with 4005, for its messages and not only for their bytes.
pub async fn flood(player: &mut Player) {
    let fits: Vec<i32> = fields_of(player).iter().map(|(min, _)| *min).collect();
    for seq in 1..=1000 {
        player.send_besides(&input(seq, &fits)).await;
    }
    let close = player.closed(WITHIN).await;
    assert_eq!((close.code, close.reason.as_str()), (4005, CloseCode::RateLimited.text()));
}

/// a player sends inputs with numbers and of ticks that make no sense.
///
/// # Panics
/// When the next inputs with the right number do not count, the second one some ticks after the first.
pub async fn odd_numbers(player: &mut Player) {
    let fits: Vec<i32> = fields_of(player).iter().map(|(min, _)| *min).collect();
    player.follow_until(WITHIN, "all that was said counts", has_settled).await;
    let last = player.client().last_seq().0;
    let too_far = last + INPUT_SEQ_AHEAD_MAX + 1000;
    for seq in [u32::MAX, i32::MAX as u32, i32::MAX as u32 + 1, too_far, 0, last, last] {
        player.send_besides(&input(seq, &fits)).await;
    }
    for seen in [u64::MAX, u64::MAX - 1, 0, 1 << 40] {
        let values = fits.clone();
        let odd = ClientMessage::Input {
            seq: InputSeq(0),
            seen: Tick(seen),
            behind: u16::MAX,
            values: values.into(),
        };
        player.send_besides(&odd).await;
    }
    for next in ["its next input counts", "and so does the one after it"] {
        player.press(1).await;
        player.follow_until(WITHIN, next, has_settled).await;
        // What has a number far ahead waits for those before it, a part of a second; then it would have had its turn.
        player.follow_ticks(40, WITHIN).await;
    }
}

/// a player sends two inputs for each of so many ticks, nothing for a second, and then 40 inputs at once. `look` sees it before
/// the first, and after each tick in which something is sent or waits: whether it was saved up.
///
/// # Panics
/// When it is closed: that is no error, and gains nothing.
pub async fn hurry(player: &mut Player, ticks: u64, mut look: impl FnMut(&Player, bool)) {
    look(player, false);
    for _ in 0..ticks {
        player.press(2).await;
        player.follow_ticks(1, WITHIN).await;
        look(player, false);
    }
    player.follow_ticks(30, WITHIN).await;
    look(player, true);
    player.press(40).await;
    for _ in 0..20 {
        player.follow_ticks(1, WITHIN).await;
        look(player, true);
    }
}

/// numbers with a point, as the bytes that they are, in each field.
///
/// # Panics
/// When one is not refused with 4500.
pub async fn floats(target: &Target) {
    let fields = fields(target).await;
    for (field, (min, max)) in fields.iter().enumerate() {
        let bits = FLOATS.map(|float| float.to_bits() as i32);
        for bits in bits.into_iter().filter(|bits| !(*min..=*max).contains(bits)) {
            let mut values: Vec<i32> = fields.iter().map(|(min, _)| *min).collect();
            values[field] = bits;
            let close = told(target, &[input(1, &values).to_frame()]).await;
            assert_eq!(close.code, 4500, "{bits:#x} in field {field}: {close:?}");
        }
    }
}

/// values that do not fit, and messages that are none.
///
/// # Panics
/// When one is not refused with 4500.
pub async fn misfits(target: &Target) {
    let fields = fields(target).await;
    let fits: Vec<i32> = fields.iter().map(|(min, _)| *min).collect();
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for (field, (min, max)) in fields.iter().enumerate() {
        for value in [i64::from(*min) - 1, i64::from(*max) + 1].map(i32::try_from).into_iter().flatten() {
            let mut values = fits.clone();
            values[field] = value;
            cases.push((format!("{value} in field {field}"), input(1, &values).to_frame()));
        }
    }
    let more = [&fits[..], &[0]].concat();
    cases.push(("a value too many".to_owned(), input(1, &more).to_frame()));
    cases.push(("a value too few".to_owned(), input(1, &fits[1..]).to_frame()));
    cases.push(("no values".to_owned(), input(1, &[]).to_frame()));
    cases.push(("a thousand values".to_owned(), input(1, &[0; 900]).to_frame()));
    let whole = input(1, &fits).to_frame();
    let mut trailing = whole.clone();
    trailing.push(0);
    cases.push(("a byte behind it".to_owned(), trailing));
    cases.push(("cut short".to_owned(), whole[..whole.len() - 1].to_vec()));
    let mut longer = whole.clone();
    // The count of the values, before them.
    let count = whole.len() - fits.len() - 1;
    longer[count] = 200;
    cases.push(("more values claimed than there are".to_owned(), longer));
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("no message", &[1]),
        ("an unknown message", &[1, 77]),
        ("an unknown kind", &[9, 0]),
        ("a server's kind", &[0, 0]),
        ("a number that does not end", &[1, 2, 0xfc]),
        ("a number that is no u32", &[1, 2, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("a kind of number that there is not", &[1, 2, 0xff, 1]),
    ] {
        cases.push((what.to_owned(), bytes.to_vec()));
    }
    for (what, bytes) in cases {
        let close = told(target, &[bytes]).await;
        assert_eq!(close.code, 4500, "{what}: {close:?}");
    }
}

/// a player wants everything at once for so many ticks: through walls, without a pause between shots, dead or alive.
///
/// # Panics
/// When that is an error, or its inputs do not count.
pub async fn greed(target: &Target, ticks: u64) {
    let mut greedy = target.join("greedy", Join::Match(target.id.clone())).await;
    greedy.plays = false;
    let most: Vec<i32> = fields_of(&greedy).iter().map(|(_, max)| *max).collect();
    for _ in 0..ticks {
        greedy.input(&most).await;
        greedy.follow_ticks(1, WITHIN).await;
    }
    greedy.follow_until(WITHIN, "its inputs count all the same", has_settled).await;
    assert_eq!(greedy.breaks, [""; 0]);
    greedy.leave().await;
}
