//! Owners of many matches that write to one Redis: at their tick rate, each match at its own moment of the tick, or as fast as
//! answers come. A commit goes through the server's own backplane, a bare PUBLISH over a connection of the same kind.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, cmd};
use tickcast_protocol::{MatchId, Tick};
use tickcast_server::backplane::redis::{RedisBackplane, Timing};
use tickcast_server::backplane::{Backplane, Channel, ClaimReply, Commit, CommitReply, fields};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::recording::{Recording, claim};
use crate::battle::RING;
use crate::load::clock;
use crate::load::websocket::ANSWER_WITHIN;

/// Bytes that a subscriber reads at once.
const READ_BYTES: usize = 256 * 1024;

/// How a tick is written.
#[derive(Clone)]
pub(super) enum Writer {
    /// Its message is published, and that is all.
    Publish(MultiplexedConnection),
    /// It is committed.
    Commit(RedisBackplane),
}

/// A match and where it is in the recording.
pub(super) struct Written {
    id: MatchId,
    channel: String,
    round: Vec<Commit>,
    at: usize,
    tick: Tick,
}

/// What has been written so far.
#[derive(Default)]
struct Progress {
    written: AtomicU64,
    is_over: AtomicBool,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl Writer {
    /// A bare PUBLISH, and a commit: to the same server.
    pub(super) async fn both(url: &str) -> io::Result<[Writer; 2]> {
        let client = Client::open(url).map_err(other)?;
        let link = client.get_multiplexed_async_connection().await.map_err(other)?;
        let (plane, _warnings) = RedisBackplane::connect(url, Timing::default()).await.map_err(other)?;
        Ok([Writer::Publish(link), Writer::Commit(plane)])
    }

    /// Writes the next tick of a match, and waits for the answer.
    async fn next(&self, written: &mut Written) -> io::Result<()> {
        let tick = written.tick.next();
        let commit = &mut written.round[written.at];
        match self {
            Writer::Publish(link) => {
                let mut call = cmd("PUBLISH");
                call.arg(&written.channel).arg(&commit.message[..]);
                let heard: u64 = call.query_async(&mut link.clone()).await.map_err(other)?;
                if heard != 1 {
                    return Err(other(format!("{heard} heard a message that is for one")));
                }
            }
            Writer::Commit(plane) => {
                (commit.tick, commit.ring_field) = (tick, fields::ring(tick.0, RING));
                match plane.commit(&written.id, commit).await.map_err(other)? {
                    CommitReply::Ok => written.tick = tick,
                    refused => return Err(other(format!("a commit was refused: {refused:?}"))),
                }
            }
        }
        written.at = (written.at + 1) % written.round.len();
        Ok(())
    }

    /// Creates so many matches of a recording and writes their first ticks. They are at different places of it.
    pub(super) async fn bring_up(&self, recording: &Recording, count: u32) -> io::Result<Vec<Written>> {
        let Writer::Commit(plane) = self else { return Err(other("matches are made by commits")) };
        let mut coming = JoinSet::new();
        for number in 0..count {
            let (writer, plane, fields) = (self.clone(), plane.clone(), recording.fields.clone());
            let (mut opening, mut round) = (recording.opening.clone(), recording.round.clone());
            coming.spawn(async move {
                let id: MatchId = format!("match{number}").parse().map_err(other)?;
                plane.create(&id, fields).await.map_err(other)?;
                let ClaimReply::Claimed { fence, .. } = plane.claim(&id, claim()).await.map_err(other)?
                else {
                    return Err(other("a new match was not claimed"));
                };
                opening.iter_mut().chain(&mut round).for_each(|commit| commit.fence = fence);
                let ticks = opening.len();
                let channel = fields::channel(&id, Channel::Diff);
                let mut written = Written { id, channel, round: opening, at: 0, tick: Tick(0) };
                for _ in 0..ticks {
                    writer.next(&mut written).await?;
                }
                let at = number as usize * round.len() / count as usize;
                Ok(Written { round, at, ..written })
            });
        }
        let mut all = Vec::new();
        while let Some(written) = coming.join_next().await {
            all.push(written.map_err(other)??);
        }
        Ok(all)
    }

    /// Writes all these matches until `measured` is through, which gets the count of what is written: at this period, or
    /// without one as fast as answers come.
    pub(super) async fn write<T>(
        &self,
        matches: Vec<Written>,
        period: Option<Duration>,
        measured: impl AsyncFnOnce(&AtomicU64) -> io::Result<T>,
    ) -> io::Result<(Vec<Written>, T)> {
        let progress = Arc::new(Progress::default());
        let (begin, count): (Instant, u32) = (clock::now().into(), matches.len() as u32);
        let mut owners = JoinSet::new();
        for (number, mut written) in matches.into_iter().enumerate() {
            let (writer, progress) = (self.clone(), Arc::clone(&progress));
            let mut beat = period.map(|period| {
                let mut beat = interval_at(begin + period * number as u32 / count, period);
                beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
                beat
            });
            owners.spawn(async move {
                while !progress.is_over.load(Ordering::Relaxed) {
                    if let Some(beat) = &mut beat {
                        beat.tick().await;
                    }
                    writer.next(&mut written).await?;
                    progress.written.fetch_add(1, Ordering::Relaxed);
                }
                io::Result::Ok(written)
            });
        }
        let found = tokio::select! {
            found = measured(&progress.written) => found?,
            // Owners go on until they are told to stop: who ends before has failed.
            Some(ended) = owners.join_next() => {
                return Err(ended.map_err(other)?.err().unwrap_or_else(|| other("an owner stopped")));
            }
        };
        progress.is_over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(written) = owners.join_next().await {
            all.push(written.map_err(other)??);
        }
        Ok((all, found))
    }
}

/// Subscribes to the diffs of these matches, as a node that follows them does, and reads until the server ends.
pub(super) fn follow(server: SocketAddr, matches: &[Written]) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let mut request = format!("*{}\r\n$9\r\nSUBSCRIBE\r\n", matches.len() + 1);
    for Written { channel, .. } in matches {
        request += &format!("${}\r\n{channel}\r\n", channel.len());
    }
    stream.write_all(request.as_bytes())?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut buffer = vec![0; READ_BYTES];
    // The last answer tells how many channels this connection has subscribed to.
    let (last, mut answers) = (format!(":{}\r\n", matches.len()), Vec::new());
    while !answers.ends_with(last.as_bytes()) {
        match stream.read(&mut buffer)? {
            0 => return Err(other("Redis closed a connection for subscriptions")),
            count => answers.extend_from_slice(&buffer[..count]),
        }
    }
    stream.set_read_timeout(None)?;
    thread::spawn(move || while stream.read(&mut buffer).is_ok_and(|count| count > 0) {});
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use crate::load::hands::Style;
    use harness::redis::{Persistence, RedisServer};
    use tokio::task::yield_now;
    use tokio::time::timeout;

    const WITHIN: Duration = Duration::from_secs(20);
    const MATCHES: u32 = 3;

    /// Waits until so many more are written.
    async fn until(written: &AtomicU64, count: u64) -> io::Result<()> {
        let wait = async {
            while written.load(Ordering::Relaxed) < count {
                yield_now().await;
            }
        };
        timeout(WITHIN, wait).await.map_err(other)
    }

    #[tokio::test]
    async fn every_tick_that_counts_as_written_is_in_redis_and_was_heard() {
        let redis = RedisServer::start(Persistence::Off).await;
        let [publish, commit] = Writer::both(&redis.url()).await.unwrap();
        let recording = Recording::new(2, Style::Play, 20);
        let mut matches = commit.bring_up(&recording, MATCHES).await.unwrap();
        let ticks = async |matches: &[Written]| {
            let Writer::Commit(plane) = &commit else { panic!("it commits") };
            let mut sum = 0;
            for written in matches {
                let stored = plane.read(&written.id, &[fields::TICK]).await.unwrap().expect("it was created");
                assert_eq!(fields::text(&stored, fields::TICK), Some(&*written.tick.0.to_string()));
                sum += written.tick.0;
            }
            sum
        };
        let begun = ticks(&matches).await;
        assert_eq!(begun, u64::from(MATCHES) * recording.opening.len() as u64);
        for period in [Some(Duration::from_millis(5)), None] {
            let all = u64::from(MATCHES) * 2 * recording.round.len() as u64;
            let before = ticks(&matches).await;
            let (back, ()) =
                commit.write(matches, period, async |written| until(written, all).await).await.unwrap();
            matches = back;
            for written in &matches {
                let (length, ticks) =
                    (recording.round.len(), written.tick.0 as usize - recording.opening.len());
                let number: usize = written.id.as_str().trim_start_matches("match").parse().unwrap();
                let begin = number * length / MATCHES as usize;
                assert_eq!(written.at, (begin + ticks) % length, "one tick of the round behind the other");
            }
            assert!(ticks(&matches).await >= before + all, "{period:?}");
        }
        follow((Ipv4Addr::LOCALHOST, redis.port()).into(), &matches).unwrap();
        let heard = async |written: &AtomicU64| until(written, 100).await;
        let (matches, ()) = publish.write(matches, None, heard).await.unwrap();
        redis.kill_subscribers().await;
        let unheard = publish.write(matches, None, heard).await.err().expect("nobody listens").to_string();
        assert!(unheard.contains("0 heard"), "{unheard}");
    }
}
