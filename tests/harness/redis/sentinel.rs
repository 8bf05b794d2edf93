//! A primary, its replica and three sentinels that watch them, all real, on ports of their own.

use std::time::Duration;

use super::{Persistence, RedisServer, Role};
use crate::process::wait_until;

/// The name under which the sentinels know the primary.
const NAME: &str = "matches";
/// A primary that is silent for so long is down. A sentinel tries once a second to reach a server that it has no
/// connection to. With no more than that second it may take the primary that it has just promoted, and whose
/// connections it cut by that, for a dead one, and promote the one of before, which has come back empty.
const DOWN_AFTER_MS: &str = "2000";
const SENTINELS: usize = 3;
/// For the sentinels to know each other and the replica.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// For a failover.
const FAILOVER_WITHIN: Duration = Duration::from_secs(30);

/// A set of sentinels with what they watch.
pub struct Sentinels {
    /// Primary and replica, in the order in which they were started.
    pub servers: [RedisServer; 2],
    /// The sentinels.
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all five; they know each other when this returns.
    pub async fn start() -> Sentinels {
        let primary = RedisServer::start(Persistence::Off).await;
        let replica = RedisServer::replica(Persistence::Off, primary.port()).await;
        let watched = format!("monitor {NAME} 127.0.0.1 {} 2", primary.port());
        let settings: Vec<String> = [
            watched,
            format!("down-after-milliseconds {NAME} {DOWN_AFTER_MS}"),
            format!("failover-timeout {NAME} 3000"),
            format!("parallel-syncs {NAME} 1"),
        ]
        .into();
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|setting| ("sentinel", setting.as_str())).collect();
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            sentinels.push(RedisServer::start_as(|| Role::Sentinel, Persistence::Off, &settings).await);
        }
        let set = Sentinels { servers: [primary, replica], sentinels };
        set.until_known().await;
        set
    }

    /// The address as the server takes it.
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{NAME}", self.addresses().join(","))
    }

    /// Host and port of each sentinel.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect()
    }

    /// The name of what they watch.
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// Which of the servers is the primary by the word of a sentinel, and by its own.
    pub async fn primary(&self) -> Option<usize> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        for sentinel in &self.sentinels {
            let Ok(address) = sentinel.try_command::<Vec<String>>(&words).await else { continue };
            let at =
                self.servers.iter().position(|server| address.get(1) == Some(&server.port().to_string()));
            let role = match at {
                Some(at) => self.servers[at].try_command::<String>(&["INFO", "replication"]).await,
                None => continue,
            };
            return at.filter(|_| role.is_ok_and(|role| role.contains("role:master")));
        }
        None
    }

    /// Kills the primary; answers which of the servers it was.
    ///
    /// # Panics
    /// When there is none.
    pub async fn kill_primary(&mut self) -> usize {
        let at = self.primary().await.expect("a primary that can be killed");
        self.servers[at].kill();
        at
    }

    /// Waits until another server than this one has been promoted, and all sentinels say so.
    ///
    /// # Panics
    /// When that takes longer than a deadline.
    pub async fn until_promoted(&self, old: usize) -> usize {
        let new = wait_until(FAILOVER_WITHIN, "a replica is promoted", || async {
            self.primary().await.filter(|at| *at != old)
        })
        .await;
        let port = self.servers[new].port().to_string();
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        wait_until(FAILOVER_WITHIN, "every sentinel knows the new primary", || async {
            for sentinel in &self.sentinels {
                let address = sentinel.try_command::<Vec<String>>(&words).await;
                if !address.is_ok_and(|address| address.get(1) == Some(&port)) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        new
    }

    /// Makes every sentinel name another primary, while the one of before lives on and takes itself for it: so
    /// does a primary that was cut off from the sentinels alone.
    pub async fn name_another(&self, server: &RedisServer) {
        let port = server.port().to_string();
        for sentinel in &self.sentinels {
            let () = sentinel.command(&["SENTINEL", "REMOVE", NAME]).await;
            let () = sentinel.command(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "2"]).await;
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            let named: Vec<String> = sentinel.command(&words).await;
            assert_eq!(named, ["127.0.0.1", &port]);
        }
    }

    /// Kills a sentinel.
    pub fn kill_sentinel(&mut self, at: usize) {
        self.sentinels[at].kill();
    }

    async fn until_known(&self) {
        wait_until(KNOWN_WITHIN, "the sentinels know each other and the replica", || async {
            for sentinel in &self.sentinels {
                let pairs: Vec<String> = sentinel.command(&["SENTINEL", "MASTER", NAME]).await;
                let value = |name: &str| {
                    let at = pairs.iter().position(|word| word == name)?;
                    pairs.get(at + 1)?.parse::<usize>().ok()
                };
                let others = SENTINELS - 1;
                if value("num-other-sentinels") != Some(others) || value("num-slaves") != Some(1) {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}
