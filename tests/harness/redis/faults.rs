//! Faults of one server: paused, busy, full, forgetful, set back to what a power cut would have left on disk.
//! Each method sees its fault take effect before it returns.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Persistence, RedisServer};

/// A server that does not answer for so long is paused or busy.
const SILENCE: Duration = Duration::from_millis(50);
/// For a fault to take effect.
const EFFECT_WITHIN: Duration = Duration::from_secs(10);

/// What `CLIENT PAUSE` holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Every command.
    All,
    /// Commands that write, and PUBLISH.
    Write,
}

/// Connections that take the places of others.
pub struct ClientsFull {
    _taken: Vec<TcpStream>,
}

impl RedisServer {
    /// Holds commands back for so long (`CLIENT PAUSE`), at least a few times 50 ms.
    ///
    /// # Panics
    /// When commands are answered all the same.
    pub async fn pause(&self, time: Duration, what: Pause) {
        let mode = match what {
            Pause::All => "ALL",
            Pause::Write => "WRITE",
        };
        let () = self.command(&["CLIENT", "PAUSE", &time.as_millis().to_string(), mode]).await;
        assert!(
            self.is_silent("PUBLISH harness:probe x\r\n").await,
            "CLIENT PAUSE {mode} holds nothing back"
        );
        let answers = !self.is_silent("PING\r\n").await;
        assert_eq!(answers, what == Pause::Write, "CLIENT PAUSE {mode} and PING");
    }

    /// Ends a pause.
    pub async fn unpause(&self) {
        let () = self.command(&["CLIENT", "UNPAUSE"]).await;
    }

    /// Keeps the server busy for so long (`DEBUG SLEEP`): nothing is read or answered, connections stay open.
    ///
    /// # Panics
    /// When the server answers all the same.
    pub async fn busy_for(&self, time: Duration) {
        let mut link = self.raw().await;
        let command = format!("DEBUG SLEEP {}\r\n", time.as_secs_f64());
        link.write_all(command.as_bytes()).await.expect("an open connection");
        assert!(self.is_silent("PING\r\n").await, "DEBUG SLEEP keeps nobody waiting");
    }

    /// Makes the server forget its scripts.
    ///
    /// # Panics
    /// When it knew none.
    pub async fn flush_scripts(&self) {
        assert!(
            self.info_number("number_of_cached_scripts").await > 0,
            "no script was there to be forgotten"
        );
        let () = self.command(&["SCRIPT", "FLUSH", "SYNC"]).await;
        assert_eq!(self.info_number("number_of_cached_scripts").await, 0);
    }

    /// Limits the memory, and says what happens at the limit: `noeviction`, `allkeys-lru`, ...
    pub async fn limit_memory(&self, bytes: u64, policy: &str) {
        self.config_set("maxmemory-policy", policy).await;
        self.config_set("maxmemory", &bytes.to_string()).await;
    }

    /// Limits the memory to what is used now: the next write that needs some is refused.
    pub async fn fill_memory(&self) {
        self.limit_memory(1, "noeviction").await;
        let refused = self.try_command::<()>(&["SET", "harness:probe", "x"]).await;
        let refused = refused.expect_err("a full server refuses");
        assert_eq!(refused.code(), Some("OOM"), "{refused}");
    }

    /// Takes every free place for a connection (`maxclients`): further ones are refused while the answer lives,
    /// those that are open stay.
    ///
    /// # Panics
    /// When nobody is refused.
    pub async fn fill_clients(&self) -> ClientsFull {
        // One place is for the connection that reads the setting back.
        let places = self.info_number("connected_clients").await + 1;
        self.config_set("maxclients", &places.to_string()).await;
        let mut taken = Vec::new();
        for _ in 0..places + 2 {
            let mut link = self.raw().await;
            let _ = link.write_all(b"PING\r\n").await;
            let mut answer = [0; 5];
            let read = timeout(EFFECT_WITHIN, link.read_exact(&mut answer)).await.expect("an answer");
            if read.is_err() || answer != *b"+PONG" {
                return ClientsFull { _taken: taken };
            }
            taken.push(link);
        }
        panic!("maxclients {places} refuses nobody");
    }

    /// Limits what is held for subscribers that do not read (`client-output-buffer-limit pubsub`).
    pub async fn limit_pubsub_output(&self, hard: u64, soft: u64, soft_seconds: u64) {
        let value = format!("pubsub {hard} {soft} {soft_seconds}");
        let () = self.command(&["CONFIG", "SET", "client-output-buffer-limit", &value]).await;
        let pair: Vec<String> = self.command(&["CONFIG", "GET", "client-output-buffer-limit"]).await;
        assert!(pair[1].contains(&value), "the limit did not take effect: {pair:?}");
    }

    /// Bytes in the append-only file of this moment. With [`Persistence::Always`] it holds all that was answered.
    ///
    /// # Panics
    /// When the server writes none.
    pub fn append_only_len(&self) -> u64 {
        fs::metadata(self.append_only_file()).expect("the append-only file can be read").len()
    }

    /// Cuts the append-only file of a killed server to what it was before: the writes after that are lost, as by
    /// a power cut. A crash alone loses nothing, the system still has what was written.
    ///
    /// # Panics
    /// When nothing is lost by that.
    pub fn truncate_append_only(&self, len: u64) {
        let whole = self.append_only_len();
        assert!(len < whole, "nothing to lose: {whole} bytes there, {len} to be kept");
        let file = OpenOptions::new().write(true).open(self.append_only_file());
        file.and_then(|file| file.set_len(len)).expect("our own file can be cut");
        assert_eq!(self.append_only_len(), len);
    }

    /// The newest incremental file.
    fn append_only_file(&self) -> PathBuf {
        assert_ne!(self.persistence, Persistence::Off, "this server writes no append-only file");
        let folder = self.folder.path().join("appendonlydir");
        let files = fs::read_dir(&folder).expect("the server has made its folder").flatten();
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix("appendonly.aof.")?;
            name.strip_suffix(".incr.aof")?.parse::<u64>().ok()
        };
        let newest = files.map(|file| file.path()).filter(|path| number(path).is_some()).max_by_key(number);
        newest.unwrap_or_else(|| panic!("no incremental file in {}", folder.display()))
    }

    /// Whether a command gets no answer for a moment.
    async fn is_silent(&self, command: &str) -> bool {
        let mut link = self.raw().await;
        link.write_all(command.as_bytes()).await.expect("an open connection");
        timeout(SILENCE, link.read_u8()).await.is_err()
    }

    /// A connection on which nothing has been said.
    async fn raw(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("the server's port takes connections")
    }
}
