//! A replica of another server: it follows, is cut off (through a proxy before its primary), and is promoted.

use std::time::Duration;

use super::{Persistence, RedisServer};
use crate::process::wait_until;

/// For a replica to have caught up. Sentinels take some ten seconds to make one of a primary that has come back.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);

impl RedisServer {
    /// Starts a replica of the server at this port of 127.0.0.1, which may be a proxy's; it follows when this
    /// returns.
    pub async fn replica(persistence: Persistence, primary_port: u16) -> RedisServer {
        let primary = format!("127.0.0.1 {primary_port}");
        let settings = [("replicaof", primary.as_str()), ("repl-timeout", "3600")];
        let replica = RedisServer::start_with(persistence, &settings).await;
        replica.until_following().await;
        replica
    }

    /// Waits until this replica has the whole of its primary's data.
    ///
    /// # Panics
    /// When it does not get it before a deadline.
    pub async fn until_following(&self) {
        wait_until(CAUGHT_UP_WITHIN, "the replica follows", || async {
            // Who makes it a replica may cut its connections by that.
            let info = self.try_command::<String>(&["INFO", "replication"]).await;
            info.is_ok_and(|info| info.contains("master_link_status:up")).then_some(())
        })
        .await;
    }

    /// Waits until this replica has everything that the primary has written by now.
    ///
    /// # Panics
    /// When it does not get it before a deadline.
    pub async fn until_caught_up_with(&self, primary: &RedisServer) {
        let written = primary.info_number("master_repl_offset").await;
        wait_until(CAUGHT_UP_WITHIN, "the replica has caught up", || async {
            (self.info_number("slave_repl_offset").await >= written).then_some(())
        })
        .await;
    }

    /// How many bytes of writes this replica does not have.
    pub async fn bytes_behind(&self, primary: &RedisServer) -> u64 {
        let written = primary.info_number("master_repl_offset").await;
        written.saturating_sub(self.info_number("slave_repl_offset").await)
    }

    /// Waits until others have made this replica a primary.
    ///
    /// # Panics
    /// When they do not before a deadline.
    pub async fn until_promoted(&self, within: Duration) {
        wait_until(within, "the replica is promoted", || async {
            // Who promotes it cuts its connections.
            let info = self.try_command::<String>(&["INFO", "replication"]).await;
            info.is_ok_and(|info| info.contains("role:master")).then_some(())
        })
        .await;
    }

    /// Makes it a replica of another server, whose data it takes: whoever writes here is refused.
    ///
    /// # Panics
    /// When it is one already, or writes are taken all the same.
    pub async fn demote(&self, primary: &RedisServer) {
        assert_eq!(self.info("role").await, "master", "only a primary can be demoted");
        let () = self.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).await;
        self.until_following().await;
        let refused = self.try_command::<()>(&["SET", "harness:probe", "x"]).await;
        let refused = refused.expect_err("a replica refuses writes");
        assert_eq!(refused.code(), Some("READONLY"), "{refused}");
    }

    /// Makes it a primary with the data it has.
    ///
    /// # Panics
    /// When it was none's replica, or does not become one.
    pub async fn promote(&self) {
        assert_eq!(self.info("role").await, "slave", "only a replica can be promoted");
        let () = self.command(&["REPLICAOF", "NO", "ONE"]).await;
        assert_eq!(self.info("role").await, "master");
    }
}
