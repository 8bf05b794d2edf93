//! What a light bot sees without decoding, and what it sends.

use super::*;
use crate::absence::Move;
use crate::stage::{Stage, input_seqs};
use crate::tally::Checks;
use crate::tally::Sample;
use tickcast_protocol::message::ServerMessage;

fn joined(stage: &mut Stage, player: Option<u32>) -> LightBot {
    let mut bot = LightBot::new("bot", Join::Match("m1".parse().unwrap()), 1);
    bot.handle_frame(Duration::ZERO, &stage.welcome(player), false).unwrap();
    assert!(!bot.is_joined());
    bot.handle_frame(Duration::ZERO, &stage.snapshot(), false).unwrap();
    assert!(bot.is_joined());
    bot
}

#[test]
fn counts_updates_and_sends_an_input_for_each() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, Some(3));
    for tick in 1..4 {
        let frame = stage.diff();
        bot.handle_frame(Duration::from_millis(tick), &frame, true).unwrap();
        bot.handle_frame(Duration::from_millis(tick), &frame, true).unwrap();
    }
    assert_eq!(input_seqs(|| bot.poll_transmit()), [1, 2, 3].map(InputSeq));
    let marks = bot.marks();
    assert_eq!((marks.traffic.updates, marks.traffic.inputs), (3, 3), "a repeated frame is none");
    assert_eq!(marks.checks, Checks::default());
}

#[test]
fn lost_ticks_show_in_the_heads() {
    let mut stage = Stage::new();
    stage.position.tick = Tick(65_534);
    let mut bot = joined(&mut stage, None);
    let frames: Vec<Vec<u8>> = (0..5).map(|_| stage.diff()).collect();
    for index in [0, 1, 4] {
        bot.handle_frame(Duration::ZERO, &frames[index], true).unwrap();
    }
    assert_eq!(bot.marks().checks.lost_ticks, 2, "over the wrap of the low bits");
    let _unseen = stage.diff();
    bot.handle_frame(Duration::ZERO, &stage.snapshot(), true).unwrap();
    assert_eq!(bot.marks().checks.lost_ticks, 2, "a snapshot of the next tick");
    assert_eq!(input_seqs(|| bot.poll_transmit()), []);
}

#[test]
fn ticks_before_a_snapshot_are_lost_unless_slow_clients_are_allowed() {
    let counted = |slow_allowed: bool| {
        let mut stage = Stage::new();
        let mut bot = joined(&mut stage, None).allow_slow(slow_allowed);
        let _unseen = [stage.diff(), stage.diff(), stage.diff()];
        bot.handle_frame(Duration::ZERO, &stage.snapshot(), true).unwrap();
        (bot.marks().checks.lost_ticks, bot.marks().traffic.merged_ticks)
    };
    assert_eq!(counted(false), (2, 0));
    assert_eq!(counted(true), (0, 2));
}

#[test]
fn catch_ups_merge_ticks_and_priors_are_no_updates() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, Some(3));
    let frames = [stage.catch_up(4, 2), stage.catch_up(1, 0), stage.prior(), stage.diff()];
    let bytes: usize = frames.iter().map(Vec::len).sum();
    for frame in &frames {
        bot.handle_frame(Duration::ZERO, frame, true).unwrap();
    }
    let traffic = bot.marks().traffic.clone();
    assert_eq!((traffic.updates, traffic.catch_ups, traffic.merged_ticks, traffic.priors), (3, 1, 3, 1));
    assert_eq!((traffic.update_bytes, traffic.inputs), (bytes as u64, 3));
    assert_eq!(bot.marks().checks, Checks::default());
    let _unseen = stage.diff();
    bot.handle_frame(Duration::ZERO, &stage.catch_up(3, 2), true).unwrap();
    assert_eq!(bot.marks().checks, Checks { lost_ticks: 1, ..Checks::default() }, "it began a tick later");
    stage.position.tick.0 -= 2;
    bot.handle_frame(Duration::ZERO, &stage.catch_up(5, 2), true).unwrap();
    assert_eq!(bot.marks().checks, Checks { lost_ticks: 1, broken_frames: 1, ..Checks::default() });
}

#[test]
fn another_owner_is_counted_and_no_loss() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, None);
    stage.position.fence.nonce.0 = 9;
    bot.handle_frame(Duration::ZERO, &stage.diff(), true).unwrap();
    bot.handle_frame(Duration::ZERO, &stage.diff(), true).unwrap();
    bot.handle_frame(Duration::ZERO, &[0x77], true).unwrap();
    assert_eq!(bot.marks().checks, Checks { owner_gaps: 1, broken_frames: 1, ..Checks::default() });
}

#[test]
fn a_light_bot_comes_back_with_its_numbers() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, Some(3));
    bot.handle_frame(Duration::from_millis(10), &stage.diff(), true).unwrap();
    bot.handle_frame(Duration::from_millis(20), &stage.diff(), true).unwrap();
    let reconnect = ServerMessage::Reconnect { within_ms: 500, url: String::new() };
    bot.handle_frame(Duration::from_millis(20), &reconnect.to_frame(), true).unwrap();
    assert_eq!(bot.absence.take_move(), Some(Move { within: Duration::from_millis(500), url: None }));
    bot.absence.handle_loss(Duration::from_millis(100));
    bot.resume(Duration::from_millis(110)).unwrap();
    assert_eq!(input_seqs(|| bot.poll_transmit()), [], "the old inputs went with their connection");
    assert!(bot.handle_frame(Duration::ZERO, &stage.diff(), true).is_err(), "only pings before the welcome");
    bot.handle_frame(Duration::from_millis(120), &stage.welcome(Some(3)), true).unwrap();
    bot.handle_frame(Duration::from_millis(125), &stage.diff(), true).unwrap();
    assert!(bot.absence.is_away());
    bot.handle_frame(Duration::from_millis(130), &stage.snapshot(), true).unwrap();
    assert!(!bot.absence.is_away());
    bot.handle_frame(Duration::from_millis(140), &stage.diff(), true).unwrap();
    assert_eq!(input_seqs(|| bot.poll_transmit()), [InputSeq(3)]);
    let marks = bot.marks();
    assert_eq!(marks.checks, Checks::default());
    assert_eq!((marks.recovery.reconnects, marks.recovery.resumed_players), (1, 1));
    assert!(marks.samples.contains(&Sample::Away(Duration::from_millis(30))));
}

#[test]
fn a_light_bot_sees_what_is_undone() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, None);
    (0..4).for_each(|_| bot.handle_frame(Duration::ZERO, &stage.diff(), true).unwrap());
    stage.position.tick.0 -= 3;
    stage.position.fence.nonce.0 = 8;
    bot.handle_frame(Duration::ZERO, &stage.snapshot(), true).unwrap();
    assert_eq!(bot.marks().checks.undone, 3);
}
