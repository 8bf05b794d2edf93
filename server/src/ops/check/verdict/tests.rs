//! A good history is proven, and each way to spoil it is found and named.

use proptest::prelude::*;
use tickcast_protocol::history::{At, Event, Line};
use tickcast_protocol::{InputSeq, NodeId, PlayerId, SessionId};

use super::super::book::{Book, Place};
use super::*;

const PLAYER: PlayerId = PlayerId(7);

fn hash(tick: u64) -> u32 {
    tick as u32 * 31
}

fn at(epoch: u64, tick: u64) -> At {
    At { epoch, nonce: epoch * 1000, tick }
}

/// Ticks 1 to 20, of which the second owner makes those after the tenth; two clients see all of them.
fn good() -> Vec<Line> {
    let mut lines = Vec::new();
    let mut now = 1_000_000;
    let mut tell = |by: &str, event: Event| {
        now += 100;
        lines.push(Line { at_us: now, by: by.to_owned(), id: "m1".parse().unwrap(), event });
    };
    for client in 1..=2 {
        let node: NodeId = "n1".parse().unwrap();
        let player = (client == 1).then_some(PLAYER);
        tell(&format!("bot-{client}"), Event::Joined { session: SessionId(client), player, node });
    }
    for tick in 1..=20_u64 {
        let (epoch, by) = if tick <= 10 { (1, "n1") } else { (2, "n2") };
        if tick == 1 || tick == 11 {
            tell(by, Event::Claimed { at: at(epoch, tick - 1), hash: hash(tick - 1) });
        }
        tell("bot-1", Event::Sent { session: SessionId(1), seq: InputSeq(tick as u32) });
        let inputs = vec![(PLAYER, InputSeq(tick as u32))];
        tell(by, Event::Committing { at: at(epoch, tick), hash: hash(tick), inputs });
        tell(by, Event::Committed { at: at(epoch, tick) });
        for session in 1..=2 {
            let acked = (session == 1).then_some(InputSeq(tick as u32));
            let seen = Event::Seen {
                session: SessionId(session),
                at: at(epoch, tick),
                hash: hash(tick),
                acked,
                jumped: false,
            };
            tell(&format!("bot-{session}"), seen);
        }
    }
    lines
}

fn judged(lines: &[Line]) -> Verdict {
    let mut book = Book::default();
    for (number, line) in lines.iter().enumerate() {
        book.add(Place { file: 0, line: number as u32 + 1 }, line.clone());
    }
    judge(book, 0)
}

/// The guarantees that are found to be violated when a good history is spoiled like this.
fn spoiled(spoil: impl FnOnce(&mut Vec<Line>)) -> Vec<u8> {
    let mut lines = good();
    spoil(&mut lines);
    let mut violated: Vec<u8> =
        judged(&lines).violations.iter().map(|violation| violation.guarantee).collect();
    violated.sort_unstable();
    violated.dedup();
    violated
}

fn position(lines: &[Line], wanted: impl Fn(&Event) -> bool) -> usize {
    lines.iter().position(|line| wanted(&line.event)).expect("the history has it")
}

fn committing(tick: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Committing { at, .. } if at.tick == tick)
}

fn seen(session: u64, tick: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Seen { session: of, at, .. } if of.0 == session && at.tick == tick)
}

#[test]
fn a_good_history_is_proven() {
    let verdict = judged(&good());
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert!(verdict.unproven.is_empty());
    assert_eq!((verdict.counts.ticks, verdict.counts.ownerships, verdict.counts.inputs_applied), (20, 2, 20));
    assert_eq!(verdict.pauses_us.len(), 1);
}

#[test]
fn what_is_missing_is_not_proven() {
    let mut lines = good();
    lines.retain(|line| line.by.starts_with("bot"));
    assert_eq!(judged(&lines).unproven.len(), 1);
    let mut lines = good();
    lines.retain(|line| line.by.starts_with('n'));
    let verdict = judged(&lines);
    assert_eq!((verdict.unproven.len(), verdict.violations.len()), (1, 0));
}

#[test]
fn an_owner_killed_behind_its_commit_has_lost_nothing() {
    let killed = spoiled(|lines| {
        let told = position(lines, |event| matches!(event, Event::Committed { at } if at.tick == 10));
        lines.remove(told);
    });
    assert_eq!(killed, [0; 0]);
}

#[test]
fn a_tick_seen_before_its_commit_is_1() {
    assert_eq!(
        spoiled(|lines| {
            let (commit, view) = (position(lines, committing(5)), position(lines, seen(1, 5)));
            lines[view].at_us = lines[commit].at_us - 1;
        }),
        [1]
    );
    assert!(spoiled(|lines| drop(lines.remove(position(lines, committing(5))))).contains(&1));
}

#[test]
fn two_owners_of_a_tick_and_holes_are_2() {
    let twin = spoiled(|lines| {
        let event = Event::Committed { at: at(3, 5) };
        lines.push(Line { at_us: 1, by: "n3".to_owned(), id: "m1".parse().unwrap(), event });
    });
    assert_eq!(twin, [2]);
    let hole = spoiled(|lines| {
        lines.retain(|line| !matches!(line.event, Event::Committing { at, .. } | Event::Committed { at } | Event::Seen { at, .. } if at.tick == 5))
    });
    assert!(hole.contains(&2), "{hole:?}");
}

#[test]
fn a_client_that_goes_back_or_misses_ticks_is_3() {
    let missed = spoiled(|lines| drop(lines.remove(position(lines, seen(2, 6)))));
    assert_eq!(missed, [3]);
    let back = spoiled(|lines| {
        let again = lines[position(lines, seen(2, 6))].clone();
        lines.insert(position(lines, seen(2, 9)), again);
    });
    assert_eq!(back, [3]);
    let explained = spoiled(|lines| {
        let view = position(lines, seen(2, 6));
        if let Event::Seen { jumped, .. } = &mut lines[view + 5].event {
            *jumped = true;
        }
        lines.remove(view);
        let next = position(lines, seen(2, 7));
        if let Event::Seen { jumped, .. } = &mut lines[next].event {
            *jumped = true;
        }
    });
    assert_eq!(explained, [0; 0]);
}

#[test]
fn another_hash_is_4() {
    let other = spoiled(|lines| {
        let view = position(lines, seen(2, 6));
        if let Event::Seen { hash, .. } = &mut lines[view].event {
            *hash ^= 1;
        }
    });
    assert_eq!(other, [4]);
}

#[test]
fn an_input_applied_twice_or_out_of_order_or_never_is_5() {
    for seq in [5, 3] {
        let twice = spoiled(|lines| {
            let commit = position(lines, committing(6));
            if let Event::Committing { inputs, .. } = &mut lines[commit].event {
                inputs[0].1 = InputSeq(seq);
            }
        });
        assert_eq!(twice, [5], "{seq}");
    }
    let never = spoiled(|lines| {
        let commit = position(lines, committing(20));
        if let Event::Committing { inputs, .. } = &mut lines[commit].event {
            inputs.clear();
        }
    });
    assert_eq!(never, [5]);
}

#[test]
fn a_successor_that_lost_ticks_is_6() {
    let lost = spoiled(|lines| {
        let claim = position(lines, |event| matches!(event, Event::Claimed { at, .. } if at.epoch == 2));
        lines[claim].event = Event::Claimed { at: at(2, 8), hash: hash(8) };
    });
    assert_eq!(lost, [6]);
    let other = spoiled(|lines| {
        let claim = position(lines, |event| matches!(event, Event::Claimed { at, .. } if at.epoch == 2));
        lines[claim].event = Event::Claimed { at: at(2, 10), hash: 1 };
    });
    assert_eq!(other, [6]);
}

#[test]
fn a_set_back_that_was_told_is_no_violation() {
    let told = spoiled(|lines| {
        // The store lost ticks 9 and 10 with their owner; the next one goes on from 8.
        lines.retain(|line| !matches!(line.event, Event::Claimed { at, .. } | Event::Committing { at, .. } | Event::Committed { at } | Event::Seen { at, .. } if at.epoch == 2));
        let mut late = Vec::new();
        let mut tell = |by: &str, event| {
            late.push(Line {
                at_us: 9_000_000 + late.len() as u64,
                by: by.to_owned(),
                id: "m1".parse().unwrap(),
                event,
            })
        };
        tell("n2", Event::Claimed { at: at(2, 8), hash: hash(8) });
        for session in 1..=2 {
            tell("bot", Event::Reset { session: SessionId(session), from: 10, to: 8 });
        }
        for tick in 9..=10 {
            tell("n2", Event::Committing { at: at(2, tick), hash: 1, inputs: vec![] });
            tell("n2", Event::Committed { at: at(2, tick) });
            tell(
                "bot",
                Event::Seen { session: SessionId(1), at: at(2, tick), hash: 1, acked: None, jumped: true },
            );
        }
        lines.extend(late);
    });
    assert_eq!(told, [0; 0]);
}

proptest! {
    #[test]
    fn the_order_of_the_files_does_not_matter(nodes_first in any::<bool>()) {
        let (nodes, clients): (Vec<Line>, Vec<Line>) =
            good().into_iter().partition(|line| line.by.starts_with('n'));
        let lines = if nodes_first { [nodes, clients] } else { [clients, nodes] }.concat();
        prop_assert!(judged(&lines).violations.is_empty());
    }

    #[test]
    fn any_false_hash_is_found(tick in 1_u64..=20, session in 1_u64..=2, bits in 1_u32..) {
        let found = spoiled(|lines| {
            let view = position(lines, seen(session, tick));
            if let Event::Seen { hash, .. } = &mut lines[view].event {
                *hash ^= bits;
            }
        });
        prop_assert_eq!(found, [4]);
    }
}
