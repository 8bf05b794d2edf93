//! What a bot makes of frames: its inputs, its latencies, every way in which ticks can be missing, and what it carries
//! from one connection to the next.

use super::*;
use crate::absence::Move;
use crate::stage::{PERIOD, Stage, input_seqs};
use crate::tally::{Checks, Recovery};
use tickcast_protocol::message::ServerMessage;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A bot that has been let in, as this player, and holds the state.
fn joined(stage: &mut Stage, player: Option<u32>) -> Bot {
    let join = Join::Match("m1".parse().unwrap());
    let mut bot = Bot::new("bot", join, 1);
    bot.handle_frame(ms(0), &stage.welcome(player), false).unwrap();
    assert!(!bot.is_joined());
    bot.handle_frame(ms(0), &stage.snapshot(), false).unwrap();
    bot
}

/// What a bot counts that gets these frames after it has joined.
fn checks(frames: impl FnOnce(&mut Stage) -> Vec<Vec<u8>>) -> Checks {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, None);
    for frame in frames(&mut stage) {
        bot.handle_frame(ms(1), &frame, true).unwrap();
    }
    std::mem::take(bot.marks()).checks
}

#[test]
fn a_player_acts_once_per_tick_from_the_moment_it_has_a_body() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, Some(5));
    assert_eq!(bot.player(), Some(PlayerId(5)));
    bot.handle_frame(ms(10), &stage.diff(), false).unwrap();
    assert!(!bot.is_joined(), "its entity is not there yet");
    assert_eq!(input_seqs(|| bot.poll_transmit()), []);
    stage.spawn(5);
    for tick in 2..5 {
        let step = bot.handle_frame(ms(tick * 10), &stage.diff(), true).unwrap();
        assert_eq!(step.state, Some((stage.position, Held::Whole(stage.world.hash()))));
    }
    assert!(bot.is_joined());
    assert_eq!(input_seqs(|| bot.poll_transmit()), [1, 2, 3].map(InputSeq));
    assert_eq!(bot.marks().checks, Checks::default());
}

#[test]
fn an_input_is_measured_from_when_it_was_due() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, Some(5));
    bot.handle_frame(ms(100), &stage.diff(), true).unwrap();
    // The second update is 4 ms late: its input was due at 110.
    let sent = bot.handle_frame(ms(114), &stage.diff(), true).unwrap().sent.unwrap();
    assert_eq!((sent.seq, sent.due.at), (InputSeq(2), ms(110)));
    stage.acknowledge(own, 1);
    bot.handle_frame(ms(120), &stage.diff(), true).unwrap();
    stage.acknowledge(own, 3);
    bot.handle_frame(ms(130), &stage.diff(), true).unwrap();
    let marks = std::mem::take(bot.marks());
    let latencies: Vec<Sample> =
        marks.samples.iter().filter(|s| matches!(s, Sample::Latency(_))).copied().collect();
    assert_eq!(latencies, [20, 20, 10].map(|time| Sample::Latency(ms(time))));
    assert!(marks.samples.contains(&Sample::Gap(ms(14), PERIOD)));
    assert_eq!((marks.traffic.inputs, marks.traffic.inputs_applied, marks.traffic.updates), (4, 3, 4));
}

#[test]
fn warm_up_is_not_measured() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, Some(5));
    for tick in 1..9 {
        stage.acknowledge(own, tick - 1);
        let step = bot.handle_frame(ms(u64::from(tick) * 10), &stage.diff(), false).unwrap();
        assert_eq!(step.sent, None);
    }
    assert_eq!(*bot.marks(), Marks::default());
}

#[test]
fn a_server_that_falls_silent_is_not_forgiven_at_the_end() {
    let mut stage = Stage::new();
    stage.spawn(5);
    let mut bot = joined(&mut stage, Some(5));
    bot.handle_frame(ms(100), &stage.diff(), true).unwrap();
    bot.handle_end(ms(1100));
    let marks = std::mem::take(bot.marks());
    assert!(marks.samples.contains(&Sample::Gap(ms(1000), PERIOD)));
    // The input sent at 100 waits since then; one would have been sent every 10 ms until 1100.
    let latencies = marks.samples.iter().filter(|s| matches!(s, Sample::Latency(_))).count();
    assert_eq!(latencies, 1 + 100);
}

#[test]
fn a_watched_player_is_seen() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, None);
    bot.watch(PlayerId(9));
    assert_eq!(bot.handle_frame(ms(1), &stage.diff(), true).unwrap().seen, None);
    let other = stage.spawn(9);
    stage.acknowledge(other, 4);
    assert_eq!(bot.handle_frame(ms(2), &stage.diff(), true).unwrap().seen, Some(InputSeq(4)));
    // Another entity, at the same index after a tick, is another player until it says otherwise.
    stage.world.despawn(other);
    assert_eq!(bot.handle_frame(ms(3), &stage.diff(), true).unwrap().seen, None);
    stage.spawn(8);
    stage.spawn(9);
    assert_eq!(bot.handle_frame(ms(4), &stage.diff(), true).unwrap().seen, Some(InputSeq(0)));
}

#[test]
fn missing_ticks_are_lost() {
    let missing = checks(|stage| {
        let [_, _, late] = [stage.diff(), stage.diff(), stage.diff()];
        vec![late, stage.diff(), stage.snapshot(), stage.diff()]
    });
    // The state went on from the snapshot at the fourth tick: the first three were never seen.
    assert_eq!(missing, Checks { lost_ticks: 3, ..Checks::default() });
    let uncured = checks(|stage| vec![stage.diff(), stage.diff(), stage.diff()].split_off(2));
    assert_eq!(uncured.lost_ticks, 1);
}

#[test]
fn ticks_before_an_unasked_snapshot_are_lost_unless_slow_clients_are_allowed() {
    let counted = |slow_allowed: bool| {
        let mut stage = Stage::new();
        let mut bot = joined(&mut stage, None).allow_slow(slow_allowed);
        let frames = [stage.diff(), stage.diff(), stage.diff(), stage.snapshot(), stage.diff()];
        for at in [0, 3, 4] {
            bot.handle_frame(ms(1), &frames[at], true).unwrap();
        }
        let Marks { checks, traffic, .. } = std::mem::take(bot.marks());
        assert_eq!((traffic.updates, traffic.snapshots), (3, 1));
        (checks, traffic.catch_ups, traffic.merged_ticks)
    };
    assert_eq!(counted(false), (Checks { lost_ticks: 1, ..Checks::default() }, 0, 0));
    assert_eq!(counted(true), (Checks::default(), 1, 1));
}

#[test]
fn an_unasked_snapshot_of_the_next_tick_loses_none() {
    let next = checks(|stage| {
        let first = stage.diff();
        stage.diff();
        vec![first, stage.snapshot(), stage.diff()]
    });
    assert_eq!(next, Checks::default());
}

#[test]
fn a_reset_explains_the_snapshot_after_it() {
    let reset = checks(|stage| {
        let first = stage.diff();
        let reset = ServerMessage::Reset { from: stage.position.tick, to: Tick(50) }.to_frame();
        stage.position.tick = Tick(50);
        stage.position.fence.nonce.0 = 8;
        vec![first, reset, stage.snapshot(), stage.diff()]
    });
    assert_eq!(reset, Checks { resets: 1, ..Checks::default() });
}

#[test]
fn another_owner_is_counted_and_no_loss() {
    let unannounced = checks(|stage| {
        let first = stage.diff();
        stage.position.fence.nonce.0 = 8;
        vec![first, stage.diff(), stage.snapshot(), stage.diff()]
    });
    assert_eq!(unannounced, Checks { owner_gaps: 1, ..Checks::default() });
}

#[test]
fn a_desync_is_named_by_the_snapshot_that_repairs_it() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, None);
    let mut lie = stage.diff();
    // The state is another than the diffs say: x of player:0 was never 40.
    stage.world.set(own, 2, 40);
    stage.world.advance();
    lie[4] ^= 1;
    bot.handle_frame(ms(1), &lie, true).unwrap();
    bot.handle_frame(ms(2), &stage.snapshot(), true).unwrap();
    let marks = std::mem::take(bot.marks());
    assert_eq!(marks.checks, Checks { desyncs: 1, ..Checks::default() });
    let told = "match m1, tick 101: player:0 field `x` is 0, should be 40";
    assert_eq!(marks.differences, [told]);
}

#[test]
fn a_catch_up_merges_ticks_and_loses_none() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    stage.diff();
    let mut bot = joined(&mut stage, Some(5));
    bot.handle_frame(ms(0), &stage.diff(), true).unwrap();
    stage.acknowledge(own, 1);
    let step = bot.handle_frame(ms(50), &stage.catch_up(5, 2), true).unwrap();
    assert_eq!(step.state, Some((stage.position, Held::Whole(stage.world.hash()))));
    for (known, at) in [(0, 60), (1, 70)] {
        bot.handle_frame(ms(at), &stage.catch_up(1, known), true).unwrap();
    }
    bot.handle_frame(ms(80), &stage.diff(), true).unwrap();
    let marks = std::mem::take(bot.marks());
    assert_eq!(marks.checks, Checks::default());
    let traffic = marks.traffic;
    assert_eq!(
        (traffic.updates, traffic.catch_ups, traffic.merged_ticks),
        (5, 1, 4),
        "one tick each is none"
    );
    assert_eq!((traffic.inputs, traffic.inputs_applied), (5, 1), "it acts on what it sees");
    assert!(marks.samples.contains(&Sample::Gap(ms(50), PERIOD)), "the wait is not forgiven");
}

#[test]
fn a_prior_is_read_and_is_no_update() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, None);
    for x in [3, 1, 4, 1, 5] {
        stage.world.set(own, 2, x);
        bot.handle_frame(ms(1), &stage.diff(), true).unwrap();
    }
    let prior = stage.prior();
    assert_eq!(bot.handle_frame(ms(2), &prior, true).unwrap(), Step::default());
    bot.handle_frame(ms(3), &stage.diff(), true).unwrap();
    let traffic = &bot.marks().traffic;
    assert_eq!((traffic.updates, traffic.priors, traffic.prior_bytes), (6, 1, prior.len() as u64));
    assert_eq!(bot.marks().checks, Checks::default());
}

#[test]
fn frames_that_need_what_was_not_sent_are_broken() {
    let unread_prior = checks(|stage| {
        stage.prior();
        vec![stage.diff(), stage.snapshot(), stage.diff()]
    });
    assert_eq!(unread_prior, Checks { broken_frames: 1, ..Checks::default() });
    let cold = checks(|stage| vec![stage.catch_up(3, 2), stage.diff(), stage.snapshot(), stage.diff()]);
    assert_eq!(cold, Checks { broken_frames: 1, ..Checks::default() });
    let astray = checks(|stage| {
        stage.diff();
        vec![stage.catch_up(3, 2), stage.snapshot()]
    });
    assert_eq!(astray, Checks { lost_ticks: 3, ..Checks::default() });
}

#[test]
fn wrong_hashes_and_broken_frames_are_told_apart() {
    let desync = checks(|stage| {
        let mut frame = stage.diff();
        frame[4] ^= 1;
        vec![frame, stage.snapshot(), stage.diff()]
    });
    assert_eq!(desync, Checks { desyncs: 1, ..Checks::default() });
    let broken = checks(|stage| vec![vec![0x77], stage.snapshot(), stage.diff()]);
    assert_eq!(broken, Checks { broken_frames: 1, ..Checks::default() });
}

/// The bot has lost its connection at 1 s and is let in again, on a node that stands where the stage does.
fn comes_back(stage: &Stage, bot: &mut Bot, player: Option<u32>) -> Step {
    bot.absence.handle_loss(ms(1000));
    assert!(bot.absence.is_away());
    bot.resume(ms(1050)).unwrap();
    bot.handle_frame(ms(1100), &stage.welcome(player), true).unwrap();
    assert!(bot.absence.is_away(), "it has no state yet");
    let step = bot.handle_frame(ms(1250), &stage.snapshot(), true).unwrap();
    assert!(!bot.absence.is_away());
    step
}

#[test]
fn a_bot_that_comes_back_is_the_same_player_and_loses_no_tick() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, Some(5));
    for tick in 1..4 {
        bot.handle_frame(ms(tick * 10), &stage.diff(), true).unwrap();
    }
    assert_eq!(input_seqs(|| bot.poll_transmit()), [1, 2, 3].map(InputSeq));
    stage.acknowledge(own, 1);
    let _unseen = [stage.diff(), stage.diff(), stage.diff()];
    let step = comes_back(&stage, &mut bot, Some(5));
    assert_eq!(step.state, Some((stage.position, Held::Whole(stage.world.hash()))));
    assert_eq!(input_seqs(|| bot.poll_transmit()), [2, 3].map(InputSeq), "what was not applied");
    bot.handle_frame(ms(1260), &stage.diff(), true).unwrap();
    assert_eq!(input_seqs(|| bot.poll_transmit()), [InputSeq(4)]);
    let marks = std::mem::take(bot.marks());
    assert_eq!(marks.checks, Checks::default());
    let back = Recovery { reconnects: 1, resumed_players: 1, inputs_sent_again: 2, ..Recovery::default() };
    assert_eq!(marks.recovery, back);
    let away = |sample: &&Sample| matches!(sample, Sample::Away(_));
    assert_eq!(marks.samples.iter().filter(away).collect::<Vec<_>>(), [&Sample::Away(ms(250))]);
    assert!(marks.samples.contains(&Sample::Gap(ms(1220), PERIOD)), "the wait is not forgiven");
    assert_eq!(marks.traffic.inputs_applied, 1);
}

#[test]
fn a_player_without_its_entity_has_not_resumed() {
    let mut stage = Stage::new();
    let own = stage.spawn(5);
    let mut bot = joined(&mut stage, Some(5));
    stage.diff();
    stage.world.despawn(own);
    stage.diff();
    comes_back(&stage, &mut bot, Some(5));
    bot.handle_frame(ms(1260), &stage.diff(), true).unwrap();
    assert_eq!((bot.marks().recovery.reconnects, bot.marks().recovery.resumed_players), (1, 0));
    let mut watcher = joined(&mut stage, None);
    comes_back(&stage, &mut watcher, None);
    assert_eq!((watcher.marks().recovery.reconnects, watcher.marks().recovery.resumed_players), (1, 0));
    assert!(Bot::new("bot", Join::Match("m1".parse().unwrap()), 1).resume(ms(1)).is_err(), "never let in");
}

#[test]
fn what_was_seen_must_not_be_undone() {
    let undone = |nonce: u64, tick: u64, told: bool| {
        let mut stage = Stage::new();
        let mut bot = joined(&mut stage, None);
        let frames = [stage.diff(), stage.diff(), stage.diff()];
        frames.iter().for_each(|frame| assert!(bot.handle_frame(ms(1), frame, true).is_ok()));
        stage.position.tick = Tick(tick);
        stage.position.fence.nonce.0 = nonce;
        bot.resume(ms(2)).unwrap();
        bot.handle_frame(ms(3), &stage.welcome(None), true).unwrap();
        if told {
            let reset = ServerMessage::Reset { from: Tick(103), to: Tick(tick) };
            bot.handle_frame(ms(3), &reset.to_frame(), true).unwrap();
        }
        bot.handle_frame(ms(4), &stage.snapshot(), true).unwrap();
        bot.leave();
        bot.marks().checks.undone
    };
    // The bot has seen tick 103 of the owner with nonce 7.
    assert_eq!(undone(8, 101, false), 2);
    assert_eq!(undone(8, 101, true), 0, "the server said so");
    assert_eq!(undone(8, 103, false), 0);
    assert_eq!(undone(7, 102, false), 1, "a node that is behind, and stays so");
}

#[test]
fn a_node_that_stops_asks_to_move_once() {
    let mut stage = Stage::new();
    let mut bot = joined(&mut stage, None);
    let message = ServerMessage::Reconnect { within_ms: 500, url: "ws://b:1/ws".to_owned() };
    bot.handle_frame(ms(1), &message.to_frame(), true).unwrap();
    bot.handle_frame(ms(2), &stage.diff(), true).unwrap();
    let asked = Move { within: ms(500), url: Some("ws://b:1/ws".to_owned()) };
    assert_eq!((bot.absence.take_move(), bot.absence.take_move()), (Some(asked), None));
    assert_eq!(bot.marks().traffic.updates, 1, "the state goes on");
}

#[test]
fn what_happens_is_kept_for_a_history_if_asked_for() {
    let mut stage = Stage::new();
    stage.spawn(5);
    let mut bot = Bot::new("bot", Join::Match("m1".parse().unwrap()), 1).keep_events(true);
    let mut frames = vec![stage.welcome(Some(5)), stage.snapshot(), stage.diff()];
    stage.diff();
    frames.extend([stage.diff(), stage.snapshot()]);
    for frame in frames {
        bot.handle_frame(ms(1), &frame, true).unwrap();
        while bot.poll_transmit().is_some() {}
    }
    let events = bot.take_events();
    let names = events.iter().map(|event| match event {
        history::Event::Joined { player: Some(PlayerId(5)), resumed: false, .. } => "joined",
        history::Event::Seen { merged: false, .. } => "seen",
        history::Event::Sent { player: PlayerId(5), seq: InputSeq(1), .. } => "sent",
        history::Event::Lost { .. } => "lost",
        _ => "other",
    });
    assert_eq!(names.collect::<Vec<_>>(), ["joined", "seen", "seen", "sent", "lost", "seen"]);
    comes_back(&stage, &mut bot, Some(5));
    let resumed = |event: &history::Event| matches!(event, history::Event::Joined { resumed: true, .. });
    let again = |event: &history::Event| matches!(event, history::Event::Sent { seq: InputSeq(1), .. });
    while bot.poll_transmit().is_some() {}
    let events = bot.take_events();
    assert!(events.iter().any(resumed) && events.iter().any(again), "{events:?}");
    assert_eq!(joined(&mut stage, None).take_events(), [], "unless somebody asked");
}
