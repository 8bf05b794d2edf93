//! A real Redis Cluster of three masters, and of replicas where a test adds them, on ports of its own. Slots move as an operator
//! moves them, step by step, so that a test can look at the half-way states.

use std::time::Duration;

use super::{Persistence, RedisServer, Role, free_port};
use crate::process::wait_until;

const MASTERS: usize = 3;
const SLOTS: u16 = 16384;
/// A master that is silent for so long has failed, milliseconds.
const NODE_TIMEOUT_MS: &str = "1500";
/// For all masters to be of one mind.
const AGREED_WITHIN: Duration = Duration::from_secs(30);

/// A running cluster.
pub struct RedisCluster {
    /// The masters.
    pub masters: Vec<RedisServer>,
    /// Their ids within the cluster.
    ids: Vec<String>,
    settings: Vec<(&'static str, &'static str)>,
}

/// A slot on its way from one master to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotMove {
    /// The slot.
    pub slot: u16,
    /// The master that has it.
    pub from: usize,
    /// The master that gets it.
    pub to: usize,
}

impl RedisCluster {
    /// Starts the masters and joins them; every slot is served when this returns.
    pub async fn start(persistence: Persistence) -> RedisCluster {
        RedisCluster::start_with(persistence, &[]).await
    }

    /// The same with further settings of every node.
    pub async fn start_with(
        persistence: Persistence,
        settings: &[(&'static str, &'static str)],
    ) -> RedisCluster {
        let settings = [&[("cluster-node-timeout", NODE_TIMEOUT_MS)], settings].concat();
        let role = || Role::ClusterNode { bus_port: free_port() };
        let (mut masters, mut ids) = (Vec::new(), Vec::new());
        for _ in 0..MASTERS {
            let master = RedisServer::start_as(role, persistence, &settings).await;
            ids.push(master.command(&["CLUSTER", "MYID"]).await);
            masters.push(master);
        }
        let cluster = RedisCluster { masters, ids, settings };
        cluster.join().await;
        cluster.until_served().await;
        cluster
    }

    async fn join(&self) {
        let share = SLOTS / MASTERS as u16;
        for (at, master) in (0_u16..).zip(&self.masters) {
            let first = at * share;
            let last = if usize::from(at) + 1 == MASTERS { SLOTS - 1 } else { first + share - 1 };
            let (first, last) = (first.to_string(), last.to_string());
            let () = master.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            let () = master.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).await;
        }
        for other in &self.masters[1..] {
            let Role::ClusterNode { bus_port } = other.role else { panic!("{:?}", other.role) };
            let (port, bus_port) = (other.port().to_string(), bus_port.to_string());
            let () = self.masters[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]).await;
        }
    }

    /// Starts a replica of a master; it follows, and the masters know it, when this returns.
    pub async fn replica_of(&self, master: usize) -> RedisServer {
        let role = || Role::ClusterNode { bus_port: free_port() };
        let replica = RedisServer::start_as(role, Persistence::Off, &self.settings).await;
        let Role::ClusterNode { bus_port } = replica.role else { panic!("{:?}", replica.role) };
        let (port, bus_port) = (replica.port().to_string(), bus_port.to_string());
        let () = self.masters[master].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]).await;
        wait_until(AGREED_WITHIN, "the replica knows its master", || async {
            replica.try_command::<()>(&["CLUSTER", "REPLICATE", &self.ids[master]]).await.ok()
        })
        .await;
        replica.until_following().await;
        let id: String = replica.command(&["CLUSTER", "MYID"]).await;
        wait_until(AGREED_WITHIN, "the masters know the replica", || async {
            for master in &self.masters {
                let nodes: String = master.command(&["CLUSTER", "NODES"]).await;
                let own = nodes.lines().find(|line| line.starts_with(&id))?;
                own.contains(" slave ").then_some(())?;
            }
            Some(())
        })
        .await;
        replica
    }

    /// The address as the server takes it: two of the masters, which know of the third.
    pub fn url(&self) -> String {
        let (one, two) = (self.masters[0].port(), self.masters[1].port());
        format!("redis+cluster://127.0.0.1:{one},127.0.0.1:{two}")
    }

    /// Waits until every master says that all slots are served.
    ///
    /// # Panics
    /// When that takes longer than a deadline.
    pub async fn until_served(&self) {
        let whole = format!("cluster_known_nodes:{MASTERS}\r\n");
        self.until("every slot is served", |info| info.contains("state:ok") && info.contains(&whole)).await;
    }

    /// Waits until every master that is alive says that slots are missing.
    ///
    /// # Panics
    /// When that takes longer than a deadline.
    pub async fn until_down(&self) {
        self.until("the cluster is down", |info| info.contains("state:fail")).await;
    }

    async fn until(&self, what: &str, reached: impl Fn(&str) -> bool) {
        wait_until(AGREED_WITHIN, what, || async {
            let mut asked = 0;
            for master in &self.masters {
                if let Ok(info) = master.try_command::<String>(&["CLUSTER", "INFO"]).await {
                    asked += 1;
                    if !reached(&info) {
                        return None;
                    }
                }
            }
            (asked > 0).then_some(())
        })
        .await;
    }

    /// The slot of a key or a channel.
    pub async fn slot(&self, key: &str) -> u16 {
        self.alive().await.command(&["CLUSTER", "KEYSLOT", key]).await
    }

    async fn alive(&self) -> &RedisServer {
        for master in &self.masters {
            if master.try_command::<String>(&["PING"]).await.is_ok() {
                return master;
            }
        }
        panic!("every master is dead");
    }

    /// Which of the masters serves a slot, by its own word.
    ///
    /// # Panics
    /// When none does.
    pub async fn master_of(&self, slot: u16) -> usize {
        for (at, master) in self.masters.iter().enumerate() {
            let ranges =
                master.try_command::<Vec<(u16, u16, Vec<redis::Value>)>>(&["CLUSTER", "SLOTS"]).await;
            let own = redis::Value::BulkString(self.ids[at].clone().into_bytes());
            let serves = |(first, last, node): &(u16, u16, Vec<redis::Value>)| {
                (*first..=*last).contains(&slot) && node.get(2) == Some(&own)
            };
            if ranges.is_ok_and(|ranges| ranges.iter().any(serves)) {
                return at;
            }
        }
        panic!("no master serves slot {slot}");
    }

    /// Opens a slot for its move: the old master keeps it, and sends whoever asks for a key that has gone on.
    pub async fn begin_move(&self, slot: u16, to: usize) -> SlotMove {
        let from = self.master_of(slot).await;
        assert_ne!(from, to, "slot {slot} is there already");
        let text = slot.to_string();
        let () = self.masters[to].command(&["CLUSTER", "SETSLOT", &text, "IMPORTING", &self.ids[from]]).await;
        let () = self.masters[from].command(&["CLUSTER", "SETSLOT", &text, "MIGRATING", &self.ids[to]]).await;
        SlotMove { slot, from, to }
    }

    /// Moves the keys of an open slot; answers how many.
    pub async fn move_keys(&self, slot_move: SlotMove) -> usize {
        let (from, to) = (&self.masters[slot_move.from], &self.masters[slot_move.to]);
        let (slot, port) = (slot_move.slot.to_string(), to.port().to_string());
        let mut moved = 0;
        loop {
            let keys: Vec<String> = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await;
            if keys.is_empty() {
                return moved;
            }
            moved += keys.len();
            let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let done: String = from.command(&[&words[..], &keys].concat()).await;
            assert_eq!(done, "OK");
        }
    }

    /// Gives the slot to its new master, and waits until all of them know.
    pub async fn end_move(&self, slot_move: SlotMove) {
        let SlotMove { slot, from, to } = slot_move;
        let text = slot.to_string();
        let others = (0..self.masters.len()).filter(|at| ![from, to].contains(at));
        for at in [to, from].into_iter().chain(others) {
            let () = self.masters[at].command(&["CLUSTER", "SETSLOT", &text, "NODE", &self.ids[to]]).await;
        }
        assert_eq!(self.master_of(slot).await, to, "the slot has not moved");
    }

    /// Moves a slot with its keys; answers the steps that were taken.
    pub async fn move_slot(&self, slot: u16, to: usize) -> SlotMove {
        let slot_move = self.begin_move(slot, to).await;
        self.move_keys(slot_move).await;
        self.end_move(slot_move).await;
        slot_move
    }
}
