//! The faults of a Redis, tried without any node: each must be there when its helper says so, and gone after.

use std::time::Duration;

use super::faults::Pause;
use super::{Persistence, RedisCluster, RedisServer, Sentinels};
use crate::process::wait_until;
use crate::proxy::{Faults, Proxy};

async fn value(server: &RedisServer, key: &str) -> Option<String> {
    server.command(&["GET", key]).await
}

async fn set(server: &RedisServer, key: &str, value: &str) {
    let () = server.command(&["SET", key, value]).await;
}

#[tokio::test]
async fn a_paused_and_a_busy_server_answer_again() {
    let server = RedisServer::start(Persistence::Off).await;
    server.pause(Duration::from_secs(60), Pause::Write).await;
    assert_eq!(value(&server, "a").await, None);
    server.unpause().await;
    set(&server, "a", "1").await;
    server.pause(Duration::from_millis(500), Pause::All).await;
    assert_eq!(value(&server, "a").await.as_deref(), Some("1"), "the answer comes after the pause");
    server.busy_for(Duration::from_millis(300)).await;
    assert_eq!(value(&server, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_full_server_refuses_writes_or_clients() {
    let server = RedisServer::start(Persistence::Off).await;
    server.fill_memory().await;
    server.limit_memory(0, "noeviction").await;
    set(&server, "a", "1").await;
    server.limit_pubsub_output(1 << 20, 1 << 18, 2).await;
    let full = server.fill_clients().await;
    assert!(server.try_command::<String>(&["PING"]).await.is_err());
    drop(full);
    wait_until(Duration::from_secs(10), "there is room again", || async {
        server.try_command::<String>(&["PING"]).await.ok()
    })
    .await;
}

#[tokio::test]
async fn scripts_are_forgotten() {
    let server = RedisServer::start(Persistence::Off).await;
    let () = server.command(&["EVAL", "return 1", "0"]).await;
    server.flush_scripts().await;
}

#[tokio::test]
#[should_panic(expected = "no script was there")]
async fn forgetting_nothing_is_a_failure() {
    RedisServer::start(Persistence::Off).await.flush_scripts().await;
}

#[tokio::test]
async fn a_power_cut_loses_what_a_crash_does_not() {
    let mut server = RedisServer::start(Persistence::Always).await;
    set(&server, "a", "1").await;
    let synced = server.append_only_len();
    set(&server, "a", "2").await;
    set(&server, "b", "2").await;
    server.kill();
    server.start_again().await;
    assert_eq!(value(&server, "b").await.as_deref(), Some("2"));
    server.kill();
    server.truncate_append_only(synced);
    server.start_again().await;
    assert_eq!((value(&server, "a").await.as_deref(), value(&server, "b").await), (Some("1"), None));
}

#[tokio::test]
async fn settings_outlive_a_crash() {
    let mut server = RedisServer::start_with(Persistence::Off, &[("maxmemory", "2097152")]).await;
    server.kill();
    server.start_again().await;
    let pair: Vec<String> = server.command(&["CONFIG", "GET", "maxmemory"]).await;
    assert_eq!(pair, ["maxmemory", "2097152"]);
}

#[tokio::test]
async fn a_replica_that_is_cut_off_is_promoted_without_the_last_writes() {
    let primary = RedisServer::start(Persistence::Off).await;
    let proxy = Proxy::start(primary.port(), 1).await;
    let replica = RedisServer::replica(Persistence::Off, proxy.port()).await;
    set(&primary, "a", "1").await;
    replica.until_caught_up_with(&primary).await;
    proxy.set(Faults::stalled());
    set(&primary, "a", "2").await;
    proxy.until("a write is held", |counts| counts.stalled > 0).await;
    assert!(replica.bytes_behind(&primary).await > 0);
    replica.promote().await;
    assert_eq!(value(&replica, "a").await.as_deref(), Some("1"));
    set(&replica, "a", "3").await;
}

#[tokio::test]
async fn sentinels_promote_the_replica_and_take_the_old_primary_back() {
    let mut set = Sentinels::start().await;
    let old = set.kill_primary().await;
    let new = set.until_promoted(old).await;
    assert_ne!(old, new);
    self::set(&set.servers[new], "a", "1").await;
    set.servers[old].start_again().await;
    set.servers[old].until_following().await;
    assert_eq!(set.primary().await, Some(new));
}

#[tokio::test]
async fn a_cluster_moves_slots_and_notices_a_dead_master() {
    let mut cluster = RedisCluster::start(Persistence::AppendOnly).await;
    let slot = cluster.slot("tickcast:{m1}").await;
    let from = cluster.master_of(slot).await;
    let to = (from + 1) % 3;
    set(&cluster.masters[from], "tickcast:{m1}", "1").await;
    let slot_move = cluster.begin_move(slot, to).await;
    assert_eq!(cluster.move_keys(slot_move).await, 1);
    let asked = cluster.masters[from].try_command::<String>(&["GET", "tickcast:{m1}"]).await;
    assert_eq!(asked.expect_err("the key has gone on").code(), Some("ASK"));
    cluster.end_move(slot_move).await;
    assert_eq!(value(&cluster.masters[to], "tickcast:{m1}").await.as_deref(), Some("1"));
    let moved = cluster.masters[from].try_command::<String>(&["GET", "tickcast:{m1}"]).await;
    assert_eq!(moved.expect_err("the slot has gone on").code(), Some("MOVED"));

    cluster.masters[to].kill();
    cluster.until_down().await;
    cluster.masters[to].start_again().await;
    cluster.until_served().await;
    assert_eq!(value(&cluster.masters[to], "tickcast:{m1}").await.as_deref(), Some("1"));
}
