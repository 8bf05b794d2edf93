//! A-14 before a connection is a WebSocket: answers that are not read, or hardly.

use std::time::Duration;

use harness::raw::Raw;
use tickcast_server::io::clock;
use tokio::time::{MissedTickBehavior, interval};

use super::{Siege, WITHIN};

/// Seconds that an answer may take on this test's node.
const ANSWER_SECONDS: u64 = 1;
/// The system by itself gives a client up that makes no room for 8 s; the node has to be earlier here.
const BEFORE_THE_SYSTEM: Duration = Duration::from_secs(6);
/// Requests for a file of some size, one behind the other: more than the system keeps for a client.
const REQUESTS: usize = 400;

#[tokio::test]
async fn a_14_who_hardly_reads_an_answer_is_forgotten() {
    let siege = Siege::begin(&["--answer-seconds", &ANSWER_SECONDS.to_string()]).await;
    let authority = siege.authority();
    let request = format!("GET /game/paint.js HTTP/1.1\r\nHost: {authority}\r\n");
    let all = format!("{request}\r\n").repeat(REQUESTS) + &request + "Connection: close\r\n\r\n";

    // Who reads is not concerned, however much it is.
    let mut raw = Raw::connect(&authority).await;
    let (_, size) = (raw.send_and_listen(all.as_bytes()).await, raw.rest(WITHIN).await.len());
    assert!(size > REQUESTS * 10_000, "{size} bytes");

    let mut raw = Raw::connect(&authority).await;
    let begun = clock::now();
    raw.send(all.as_bytes()).await.expect("the system takes some requests");
    let hardly = async {
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            raw.read_at_most(100).await;
        }
    };
    let forgotten = siege.node.until_metric("answers_not_taken_total", BEFORE_THE_SYSTEM, |count| count == 1);
    siege
        .bears(async {
            tokio::select! {
                _ = forgotten => {}
                () = hardly => {}
            }
        })
        .await;
    assert!(clock::now() - begun >= Duration::from_secs(ANSWER_SECONDS));
    // The system keeps nothing for it: what had not reached it does not come any more.
    let rest = raw.rest(WITHIN).await.len();
    assert!(rest < size / 2, "{rest} bytes of {size}");
}
