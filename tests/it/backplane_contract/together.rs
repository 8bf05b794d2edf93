//! Commits of many matches at one moment: each is answered as if it were alone, and a Redis gets them together.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::join_all;
use harness::redis::RedisServer;
use tickcast_protocol::{Epoch, Fence, MatchId, Tick};
use tickcast_server::backplane::{Backplane, Channel, Commit, CommitReply, fields};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{commit_of, commit_ok, expect_message, loaded, owned, redis_backplane};

/// Matches of a moment: of several batches, the last of them not full.
const MATCHES: usize = 37;

async fn many<B: Backplane>(plane: &B) -> Vec<(MatchId, Fence)> {
    let mut matches = Vec::new();
    for number in 0..MATCHES {
        matches.push(owned(plane, &format!("m{number}")).await);
    }
    matches
}

/// The tick of this match, and bytes that no other's has.
fn own_commit(fence: Fence, tick: u64, number: usize) -> Commit {
    Commit { message: Bytes::from(format!("{tick} of {number}")), ..commit_of(fence, tick) }
}

pub(super) async fn of_commits_at_one_moment_each_has_its_own_answer<B: Backplane>(plane: &B) {
    let matches = many(plane).await;
    let mut heard = Vec::new();
    for (id, _) in &matches {
        heard.push(plane.subscribe(id, Channel::Diff).await.expect("a subscription"));
    }
    let commits = matches.iter().enumerate().map(|(number, (id, fence))| {
        let other = Fence { epoch: Epoch(fence.epoch.0 + 1), ..*fence };
        let (id, commit, expected) = match number % 4 {
            0 => (id.clone(), own_commit(other, 1, number), CommitReply::Fenced),
            1 => (id.clone(), own_commit(*fence, 3, number), CommitReply::Behind(Tick(0))),
            2 => (super::id("nowhere"), own_commit(*fence, 1, number), CommitReply::NoMatch),
            _ => (id.clone(), own_commit(*fence, 1, number), CommitReply::Ok),
        };
        async move {
            assert_eq!(plane.commit(&id, &commit).await, Ok(expected), "match {number}");
        }
    });
    join_all(commits).await;
    for (number, ((id, _), heard)) in matches.iter().zip(&mut heard).enumerate() {
        let hash = loaded(plane, id).await;
        if number % 4 == 3 {
            let message = format!("1 of {number}");
            expect_message(heard, message.as_bytes()).await;
            assert_eq!(hash[&fields::ring(1, super::RING)], message);
        } else {
            assert_eq!(fields::number(&hash, fields::TICK), Some(0), "match {number}");
        }
    }
}

/// How often the server has read something.
async fn reads(server: &RedisServer) -> u64 {
    let stats: String = server.command(&["INFO", "stats"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count of reads")
}

#[test]
fn a_redis_reads_commits_of_one_moment_at_once() {
    // As a node's: whoever is ready runs before anybody looks at sockets again.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().worker_threads(1).event_interval(256).build().expect("a runtime");
    let together = runtime.block_on(runtime.spawn(reads_of_one_moment())).expect("no panic");
    // Three batches; a PING of the node or two may be among them.
    assert!(together <= 8, "{together} reads for {MATCHES} commits");
}

async fn reads_of_one_moment() -> u64 {
    let (server, plane) = redis_backplane().await;
    let matches = many(&plane).await;
    for (id, fence) in &matches {
        commit_ok(&plane, id, &commit_of(*fence, 1)).await;
    }
    let begun = reads(&server).await;
    let before = reads(&server).await;
    // A node has a task for each match, and the clock wakes all of a group.
    let (mut tasks, moment) = (JoinSet::new(), Arc::new(Barrier::new(MATCHES)));
    for (id, fence) in matches {
        let (plane, moment) = (plane.clone(), Arc::clone(&moment));
        tasks.spawn(async move {
            moment.wait().await;
            commit_ok(&plane, &id, &commit_of(fence, 2)).await;
        });
    }
    tasks.join_all().await;
    // To ask takes a connection, which is read from, too.
    (reads(&server).await - before).saturating_sub(before - begun)
}

#[tokio::test]
async fn what_one_is_refused_harms_none_of_those_beside_it() {
    let (server, plane) = redis_backplane().await;
    let matches = many(&plane).await;
    let foreign = &matches[5].0;
    let () = server.command(&["SET", &fields::key(foreign), "somebody's"]).await;
    // Every one of them finds its script gone, and all but one get it back.
    let () = server.command(&["SCRIPT", "FLUSH", "SYNC"]).await;
    let commits = matches.iter().map(async |(id, fence)| {
        let expected = if id == foreign { CommitReply::NoMatch } else { CommitReply::Ok };
        assert_eq!(plane.commit(id, &commit_of(*fence, 1)).await, Ok(expected), "{id}");
    });
    join_all(commits).await;
}

#[tokio::test]
async fn who_gives_up_leaves_nobody_waiting() {
    let (_server, plane) = redis_backplane().await;
    let matches = many(&plane).await;
    let [first, second, ..] = &matches[..] else { panic!("many matches") };
    let (one, two) = (commit_of(first.1, 1), commit_of(second.1, 1));
    let mut following = pin!(plane.commit(&second.0, &two));
    {
        let mut leading = pin!(plane.commit(&first.0, &one));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(leading.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(following.as_mut().poll(&mut context), Poll::Pending);
    }
    let error = following.await.expect_err("nobody sent it");
    assert!(error.0.contains("gave up"), "{error}");
    for (id, commit) in [(&first.0, &one), (&second.0, &two)] {
        commit_ok(&plane, id, commit).await;
    }
}
