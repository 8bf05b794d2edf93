//! A history that is in order, and what is said when one thing in it is not.

use std::path::PathBuf;

use tickcast_protocol::history::{Event, Owner};
use tickcast_protocol::{Epoch, InputSeq, Nonce, PlayerId, SessionId, Tick};

use super::*;

mod random;

/// The files: all nodes write to the first, all clients to the second.
const NODES: usize = 0;
const CLIENTS: usize = 1;

fn owner(epoch: u64) -> Owner {
    Owner { epoch: Epoch(epoch), nonce: Nonce(0xa0 + epoch) }
}

fn claimed(epoch: u64, tick: u64) -> Event {
    Event::Claimed { fence: owner(epoch), tick: Tick(tick), hash: tick as u32 }
}

fn committing(epoch: u64, tick: u64, seqs: &[u32]) -> Event {
    let inputs = seqs.iter().map(|seq| (PlayerId(5), InputSeq(*seq))).collect();
    Event::Committing { fence: owner(epoch), tick: Tick(tick), hash: tick as u32, inputs }
}

fn committed(epoch: u64, tick: u64) -> Event {
    Event::Committed { fence: owner(epoch), tick: Tick(tick) }
}

fn joined(session: u64, resumed: bool) -> Event {
    let (player, node) = (Some(PlayerId(5)), "n1".parse().unwrap());
    Event::Joined { session: SessionId(session), player, node, resumed }
}

fn seen(session: u64, epoch: u64, tick: u64, acked: u32) -> Event {
    let (session, fence, acked) = (SessionId(session), owner(epoch), Some(InputSeq(acked)));
    Event::Seen { session, fence, tick: Tick(tick), hash: tick as u32, acked, merged: false }
}

fn sent(session: u64, seq: u32) -> Event {
    Event::Sent { session: SessionId(session), player: PlayerId(5), seq: InputSeq(seq) }
}

fn reset(session: u64, from: u64, to: u64) -> Event {
    Event::Reset { session: SessionId(session), from: Tick(from), to: Tick(to) }
}

/// One player over a takeover: the first owner dies right after the store had its third tick.
fn story() -> Vec<Event> {
    vec![
        claimed(1, 0),
        joined(1, false),
        seen(1, 1, 0, 0),
        sent(1, 1),
        committing(1, 1, &[1]),
        committed(1, 1),
        seen(1, 1, 1, 1),
        sent(1, 2),
        committing(1, 2, &[]),
        committed(1, 2),
        seen(1, 1, 2, 1),
        committing(1, 3, &[]),
        claimed(2, 3),
        seen(1, 2, 3, 1),
        sent(1, 2),
        committing(2, 4, &[2]),
        committed(2, 4),
        seen(1, 2, 4, 2),
        Event::Closed { session: SessionId(1), code: 1000 },
    ]
}

/// The report on events, a millisecond one after the other.
fn report(events: Vec<Event>, skew_ms: u64, store_may_lose: bool) -> Report {
    let lines = events.into_iter().enumerate().map(|(at, event)| {
        let of_client = matches!(
            event,
            Event::Joined { .. }
                | Event::Seen { .. }
                | Event::Sent { .. }
                | Event::Reset { .. }
                | Event::Lost { .. }
                | Event::Closed { .. }
        );
        let (file, by) = if of_client { (CLIENTS, "bot-1") } else { (NODES, "n1") };
        let at_us = 1_000_000 + at as u64 * 1000;
        (file, Record { at_us, by: by.to_owned(), match_id: "m1".parse().unwrap(), event })
    });
    judge(lines.collect(), skew_ms, store_may_lose)
}

fn judge(lines: Vec<(usize, Record)>, skew_ms: u64, store_may_lose: bool) -> Report {
    let files = ["nodes", "clients"].map(PathBuf::from).to_vec();
    let mut check = Check::default();
    for (at, (file, record)) in lines.into_iter().enumerate() {
        check.take(Place { file, line: at as u32 + 1 }, record);
    }
    check.conclude(&CheckArgs { files, json: false, skew_ms, store_may_lose })
}

/// That the story, changed like this, breaks this guarantee and is said to do so.
#[track_caller]
fn breaks(guarantee: u8, text: &str, change: impl FnOnce(&mut Vec<Event>)) {
    let mut events = story();
    change(&mut events);
    let report = report(events, 0, false);
    assert_eq!(report.verdict(), Verdict::Violated, "{}", report.text());
    let named =
        report.findings.violations.iter().any(|it| it.rule as u8 == guarantee && it.text.contains(text));
    assert!(named, "guarantee {guarantee} for `{text}`:\n{}", report.text());
}

#[track_caller]
fn holds(events: Vec<Event>) -> Report {
    let report = report(events, 0, false);
    assert_eq!(report.verdict(), Verdict::Proven, "{}", report.text());
    report
}

/// Position of the one event in the story that is equal to this one.
fn at(event: &Event) -> usize {
    story().iter().position(|it| it == event).expect("an event of the story")
}

#[test]
fn a_history_in_order_is_proven_and_measured() {
    let report = holds(story());
    assert_eq!((report.matches, report.claims, report.takeovers), (1, 2, 1));
    assert_eq!((report.ticks_committed, report.states_seen), (4, 5), "the third tick is shown by the claim");
    assert_eq!((report.inputs_sent, report.inputs_applied, report.inputs_never_applied), (2, 2, 0));
    assert_eq!(report.pauses_us, [7000]);
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!((&json["verdict"], &json["takeover_pauses_ms"]["max"]), (&"proven".into(), &7.0.into()));
    assert_eq!(json["events"]["committing"], 4);
}

#[test]
fn nothing_is_seen_before_its_commit() {
    breaks(1, "2000 us before its commit", |events| {
        let event = events.remove(at(&seen(1, 1, 1, 1)));
        events.insert(at(&committing(1, 1, &[1])) - 1, event);
    });
    breaks(1, "never sent to the store", |events| events.push(seen(1, 2, 5, 2)));
    let mut early = story();
    let event = early.remove(at(&seen(1, 1, 1, 1)));
    early.insert(at(&committing(1, 1, &[1])) - 1, event);
    assert_eq!(report(early.clone(), 1, false).verdict(), Verdict::Violated);
    assert_eq!(report(early, 2, false).verdict(), Verdict::Proven, "clocks may differ by so much");
}

#[test]
fn no_clock_and_no_difference_is_too_large() {
    assert_eq!(report(story(), u64::MAX, false).verdict(), Verdict::Proven);
    let lines = story().into_iter().enumerate().map(|(at, event)| {
        let of_client = matches!(event, Event::Joined { .. } | Event::Seen { .. } | Event::Sent { .. });
        let at_us = if matches!(event, Event::Seen { .. }) { u64::MAX } else { at as u64 };
        let record = Record { at_us, by: "x".to_owned(), match_id: "m1".parse().unwrap(), event };
        (if of_client { CLIENTS } else { NODES }, record)
    });
    let report = judge(lines.collect(), 1, false);
    assert_eq!(report.verdict(), Verdict::Proven, "{}", report.text());
}

#[test]
fn one_owner_commits_a_tick() {
    breaks(2, "is committed under 1:", |events| {
        events.insert(at(&claimed(2, 3)), committed(1, 3));
        events[at(&claimed(2, 3)) + 1] = claimed(2, 2);
        events.insert(at(&claimed(2, 3)) + 2, committing(2, 3, &[]));
        events.insert(at(&claimed(2, 3)) + 3, committed(2, 3));
    });
    breaks(2, "and another node under", |events| {
        let Event::Claimed { fence, .. } = &mut events[0] else { unreachable!() };
        fence.epoch = Epoch(2);
    });
    breaks(2, "the last one was 2", |events| events[at(&committing(1, 3, &[]))] = committing(1, 4, &[]));
    breaks(2, "without having sent it", |events| drop(events.remove(at(&committing(1, 2, &[])))));
    breaks(2, "tick 1 was not known to be committed", |events| drop(events.remove(at(&committed(1, 1)))));
    breaks(2, "which it has not claimed", |events| drop(events.remove(0)));
    breaks(2, "its ownership was over", |events| {
        events.insert(at(&committing(1, 2, &[])), Event::Fenced(owner(1)));
    });
    breaks(2, "is a file given twice", |events| events.push(claimed(1, 0)));
    breaks(2, "which is not what it commits", |events| {
        let repaired = Event::Repaired { fence: owner(2), from: Tick(1), to: Tick(4) };
        events.insert(at(&committing(2, 4, &[2])), repaired);
    });
}

#[test]
fn nothing_seen_is_undone_or_left_out() {
    breaks(3, "without a word", |events| drop(events.remove(at(&seen(1, 1, 1, 1)))));
    breaks(3, "from tick 2 to 1 without a reset", |events| {
        events.insert(at(&seen(1, 1, 2, 1)) + 1, seen(1, 1, 1, 1));
    });
    breaks(3, "was not let in", |events| drop(events.remove(at(&joined(1, false)))));
    // The first owner goes on after its successor has claimed, and a client sees it.
    breaks(3, "which was undone: a later owner went on from tick 3", |events| {
        let after = at(&claimed(2, 3)) + 1;
        let zombie = [committed(1, 3), committing(1, 4, &[]), joined(2, false), seen(2, 1, 4, 1)];
        events.splice(after..after, zombie);
    });
}

#[test]
fn a_jump_may_be_explained() {
    let missing = at(&seen(1, 1, 1, 1));
    let explained = |event: Event| {
        let mut events = story();
        events[missing] = event;
        holds(events)
    };
    explained(Event::Lost { session: SessionId(1), why: "Missing".to_owned() });
    let mut merged = story();
    merged.remove(missing);
    for event in &mut merged {
        if let Event::Seen { tick: Tick(2), merged, .. } = event {
            *merged = true;
        }
    }
    holds(merged);
    let mut back = story();
    let resumed = [Event::Closed { session: SessionId(1), code: 1006 }, joined(2, true), seen(2, 1, 2, 1)];
    back.splice(at(&seen(1, 1, 2, 1)) + 1..at(&seen(1, 1, 2, 1)) + 1, resumed);
    assert_eq!(holds(back).away_us, [3000]);
}

#[test]
fn every_client_has_the_owners_state() {
    breaks(4, "a client has hash 000000ff at tick 2, its owner 00000002", |events| {
        let Event::Seen { hash, .. } = &mut events[at(&seen(1, 1, 2, 1))] else { unreachable!() };
        *hash = 255;
    });
    breaks(4, "at tick 3", |events| {
        let Event::Seen { hash, .. } = &mut events[at(&seen(1, 2, 3, 1))] else { unreachable!() };
        *hash = 255;
    });
}

#[test]
fn inputs_are_applied_once_and_in_order() {
    let second = at(&committing(2, 4, &[2]));
    breaks(5, "input 1 of player 5 is applied again", |events| events[second] = committing(2, 4, &[1, 2]));
    breaks(5, "input 3 of player 5 is applied and was never sent", |events| {
        events[second] = committing(2, 4, &[2, 3]);
    });
    breaks(5, "input 2 of player 5 is applied after 3", |events| {
        events[second] = committing(2, 4, &[3, 2]);
        events.insert(second, sent(1, 3));
    });
    breaks(5, "input 2 of player 5 is acknowledged and in no committed tick", |events| {
        events[second] = committing(2, 4, &[]);
    });
    let mut skipped = story();
    skipped[second] = committing(2, 4, &[3]);
    skipped.insert(second, sent(1, 3));
    let Event::Seen { acked, .. } = &mut skipped[second + 3] else { unreachable!() };
    *acked = Some(InputSeq(3));
    let report = holds(skipped);
    assert_eq!((report.inputs_sent, report.inputs_never_applied, report.inputs_skipped), (3, 1, 1));
}

#[test]
fn nothing_committed_is_lost() {
    // Two ticks were committed and the successor knows of one.
    breaks(6, "at tick 1, but n1 had committed tick 2", |events| {
        events.truncate(at(&committing(1, 3, &[])));
        events.extend([claimed(2, 1), committing(2, 2, &[2]), committed(2, 2)]);
    });
    // Its owner did not live to know that the last one was committed, but a client saw it.
    breaks(6, "had committed tick 3", |events| {
        events.truncate(at(&claimed(2, 3)));
        events.extend([seen(1, 1, 3, 1), claimed(2, 2)]);
    });
    breaks(6, "restored tick 3 with hash 000000ff, but n1 committed it with 00000003", |events| {
        let Event::Claimed { hash, .. } = &mut events[at(&claimed(2, 3))] else { unreachable!() };
        *hash = 255;
    });
}

#[test]
fn a_tick_that_nobody_can_know_of_may_be_made_anew() {
    let mut events = story();
    events.truncate(at(&claimed(2, 3)));
    events.extend([
        claimed(2, 2),
        seen(1, 2, 2, 1),
        committing(2, 3, &[2]),
        committed(2, 3),
        seen(1, 2, 3, 2),
    ]);
    assert_eq!(holds(events).ticks_committed, 3);
}

#[test]
fn a_store_may_lose_writes_if_all_are_told() {
    let lost = |told: bool| {
        let mut events = story();
        events.truncate(at(&committing(1, 3, &[])));
        events.push(claimed(2, 1));
        events.extend(told.then(|| reset(1, 2, 1)));
        events.extend([seen(1, 2, 1, 1), committing(2, 2, &[2]), committed(2, 2), seen(1, 2, 2, 2)]);
        events
    };
    assert_eq!(report(lost(true), 0, true).verdict(), Verdict::Proven);
    assert_eq!(report(lost(true), 0, true).rollbacks, 1);
    assert_eq!(report(lost(true), 0, false).verdict(), Verdict::Violated);
    assert_eq!(report(lost(false), 0, true).verdict(), Verdict::Violated);
}

#[test]
fn what_is_missing_is_said_and_not_proven() {
    let missing = |keep: fn(&Event) -> bool, text: &str| {
        let events = story().into_iter().filter(keep).collect();
        let report = report(events, 0, false);
        assert_eq!(report.verdict(), Verdict::NotProven, "{}", report.text());
        assert!(report.text().contains(text), "{}", report.text());
    };
    let of_client = |event: &Event| matches!(event, Event::Joined { .. } | Event::Seen { .. });
    missing(of_client, "no node's history");
    missing(of_client, "no node tells of claim 1:");
    missing(
        |event| !matches!(event, Event::Joined { .. } | Event::Seen { .. } | Event::Sent { .. }),
        "no client's history",
    );
    let first_node = |event: &Event| match event {
        Event::Claimed { fence, .. } | Event::Committed { fence, .. } => fence.epoch == Epoch(2),
        Event::Committing { fence, .. } => fence.epoch == Epoch(2),
        _ => true,
    };
    let report = report(story().into_iter().filter(first_node).collect(), 0, false);
    assert_eq!(report.verdict(), Verdict::NotProven, "{}", report.text());
}

#[test]
fn places_are_named() {
    let mut events = story();
    events.remove(at(&seen(1, 1, 1, 1)));
    let report = report(events, 0, false);
    assert!(report.text().contains("guarantee 3 violated: clients:10: "), "{}", report.text());
}
