//! A real `redis-server` of one test's own, on a free port of 127.0.0.1. It ends with its value, and a fault
//! that did not take effect is a panic: a test that believes in it would prove nothing. What it logged is shown
//! when its test fails.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, Value, cmd};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use crate::signals;

mod cluster;
pub mod faults;
mod replica;
mod sentinel;

pub use self::cluster::{RedisCluster, SlotMove};
pub use self::sentinel::Sentinels;

/// For a server to start.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// Between two looks at a state that is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Where a server logs, in its folder.
const LOG: &str = "redis.log";
/// Lines of that log that are shown when the test fails: the newest.
const LINES_SHOWN_MAX: usize = 60;
/// Ports tried: another process may take one between our look and the server's start.
const PORTS_TRIED_MAX: usize = 5;

/// Whether the server writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    Off,
    /// Every write, to an append-only file, which is synced once a second.
    AppendOnly,
    /// Every write, to an append-only file, which is synced before the answer.
    Always,
}

/// What answers at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A server on its own, a primary or a replica.
    Single,
    /// A node of a Redis Cluster; other nodes reach it at this port.
    ClusterNode { bus_port: u16 },
    /// A sentinel.
    Sentinel,
}

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    role: Role,
    persistence: Persistence,
    /// Its settings in the form of a configuration file: a name and its value.
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server that answers.
    pub async fn start(persistence: Persistence) -> RedisServer {
        RedisServer::start_with(persistence, &[]).await
    }

    /// Starts a server with further settings, which it keeps over a crash.
    pub async fn start_with(persistence: Persistence, settings: &[(&str, &str)]) -> RedisServer {
        RedisServer::start_as(|| Role::Single, persistence, settings).await
    }

    /// Starts a sentinel with these settings.
    pub async fn sentinel(settings: &[(&str, &str)]) -> RedisServer {
        RedisServer::start_as(|| Role::Sentinel, Persistence::Off, settings).await
    }

    async fn start_as(
        role: impl Fn() -> Role,
        persistence: Persistence,
        settings: &[(&str, &str)],
    ) -> RedisServer {
        let settings: Vec<(String, String)> =
            settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        for _ in 0..PORTS_TRIED_MAX {
            let folder = tempfile::tempdir().expect("a folder for redis-server");
            let (port, role) = (free_port(), role());
            let child = spawn(port, role, persistence, &settings, folder.path());
            let settings = settings.clone();
            let mut server = RedisServer { child, port, role, persistence, settings, folder };
            if server.until_answering().await {
                return server;
            }
        }
        panic!("redis-server ended at once on each of {PORTS_TRIED_MAX} ports with {settings:?}");
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running process");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts a killed server again, on its port and with what it has on disk.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.port, self.role, self.persistence, &self.settings, self.folder.path());
        assert!(self.until_answering().await, "redis-server ended at once on port {}", self.port);
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Freezes the process: its connections stay open and silent.
    pub fn stop(&self) {
        signals::freeze(self.child.id());
    }

    /// Lets a frozen process go on.
    pub fn cont(&self) {
        signals::thaw(self.child.id());
    }

    /// Cuts every connection that has subscriptions; answers how many.
    pub async fn kill_subscribers(&self) -> u64 {
        let killed: u64 = self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        assert!(killed > 0, "no subscriber was there to be cut");
        killed
    }

    /// A figure of INFO.
    ///
    /// # Panics
    /// When the server does not report it.
    pub async fn info(&self, name: &str) -> String {
        let all: String = self.command(&["INFO", "everything"]).await;
        let value = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("INFO has no {name}")).to_owned()
    }

    /// A figure of INFO that is a number.
    ///
    /// # Panics
    /// When it is none.
    pub async fn info_number(&self, name: &str) -> u64 {
        let value = self.info(name).await;
        value.parse().unwrap_or_else(|error| panic!("{name} is {value}: {error}"))
    }

    /// Changes a setting, and reads it back.
    pub async fn config_set(&self, name: &str, value: &str) {
        let () = self.command(&["CONFIG", "SET", name, value]).await;
        let pair: Vec<String> = self.command(&["CONFIG", "GET", name]).await;
        assert_eq!(pair, [name, value], "the setting did not take effect");
    }

    /// Runs a command on a connection of its own.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Writes a field of a hash, whose name and value are any bytes.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn set_field(&self, key: &str, name: &[u8], value: &[u8]) {
        let mut link = self.open().await.expect("it answers");
        let mut command = cmd("HSET");
        command.arg(key).arg(name).arg(value);
        let _: u64 = command.query_async(&mut link).await.expect("a hash that can be written");
    }

    /// With which code the server refuses a command to a user, `NAME:PASSWORD`; `None` if it does not.
    ///
    /// # Panics
    /// When the user is not let in.
    pub async fn refusal(&self, login: &str, words: &[&str]) -> Option<String> {
        let client = Client::open(format!("redis://{login}@127.0.0.1:{}", self.port)).expect("an address");
        let mut link = client.get_multiplexed_async_connection().await.expect("a login");
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let answer: RedisResult<Value> = command.query_async(&mut link).await;
        answer.err().map(|error| error.code().unwrap_or_default().to_owned())
    }

    async fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut link = self.open().await?;
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut link).await
    }

    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
        Client::open(self.url())?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Completes with whether this very process answers; false if it has ended.
    async fn until_answering(&mut self) -> bool {
        let ours = format!("process_id:{}\r\n", self.child.id());
        let mut looks = interval(POLL_INTERVAL);
        let wait = async {
            loop {
                looks.tick().await;
                if self.child.try_wait().expect("a child can be waited for").is_some() {
                    return false;
                }
                let pong: RedisResult<String> = self.try_command(&["PING"]).await;
                let info: RedisResult<String> = self.try_command(&["INFO", "server"]).await;
                if pong.is_ok_and(|pong| pong == "PONG") && info.is_ok_and(|info| info.contains(&ours)) {
                    return true;
                }
            }
        };
        timeout(START_TIME_MAX, wait).await.expect("redis-server answers PING before its deadline")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process too. Nothing can be done about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let newest = &lines[lines.len().saturating_sub(LINES_SHOWN_MAX)..];
            println!("redis-server, {:?} on port {}:\n{}", self.role, self.port, newest.join("\n"));
        }
    }
}

fn spawn(
    port: u16,
    role: Role,
    persistence: Persistence,
    settings: &[(String, String)],
    folder: &Path,
) -> Child {
    let append_only = match persistence {
        Persistence::Off => "no",
        Persistence::AppendOnly | Persistence::Always => "yes",
    };
    let mut text = format!("bind 127.0.0.1\nport {port}\ndir {0}\nlogfile {0}/{LOG}\n", folder.display());
    match role {
        Role::Single => {}
        Role::ClusterNode { bus_port } => text += &format!("cluster-enabled yes\ncluster-port {bus_port}\n"),
        Role::Sentinel => {}
    }
    if role != Role::Sentinel {
        text += &format!("save \"\"\nappendonly {append_only}\n");
        text += "enable-debug-command local\nrepl-diskless-sync-delay 0\n";
    }
    if persistence == Persistence::Always {
        text += "appendfsync always\n";
    }
    for (name, value) in settings {
        text += &format!("{name} {value}\n");
    }
    // A file, because a sentinel keeps what it learns there. One that is there knows more than we do.
    let path = folder.join("redis.conf");
    if role != Role::Sentinel || !path.exists() {
        fs::write(&path, text).expect("our own folder can be written");
    }
    let mut command = Command::new("redis-server");
    command.arg(path);
    if role == Role::Sentinel {
        command.arg("--sentinel");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed and can be run")
}

/// A port of 127.0.0.1 on which nobody listens at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests;
