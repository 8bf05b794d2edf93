//! A real `redis-server` of one test's own, on a free port of 127.0.0.1. It ends with its value, and a fault
//! that did not take effect is a panic: a test that believes in it would prove nothing.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult, cmd};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

/// For a server to start.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// Between two looks at a state that is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Ports tried: another process may take one between our look and the server's start.
const PORTS_TRIED_MAX: usize = 5;

/// Whether the server writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    Off,
    /// Every write, to an append-only file.
    AppendOnly,
}

/// A running server.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    persistence: Persistence,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server that answers.
    pub async fn start(persistence: Persistence) -> RedisServer {
        for _ in 0..PORTS_TRIED_MAX {
            let folder = tempfile::tempdir().expect("a folder for redis-server");
            let port = free_port();
            let child = spawn(port, persistence, folder.path());
            let mut server = RedisServer { child, port, persistence, folder };
            if server.until_answering().await {
                return server;
            }
        }
        panic!("redis-server ended at once on each of {PORTS_TRIED_MAX} ports");
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running process");
        self.child.wait().expect("a child can be waited for");
    }

    /// Starts a killed server again, on its port and with what it has on disk.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.port, self.persistence, self.folder.path());
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

    /// Freezes the process: its connections stay open and silent.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen process go on.
    pub fn cont(&self) {
        self.signal("-CONT");
    }

    /// Cuts every connection that has subscriptions; answers how many.
    pub async fn kill_subscribers(&self) -> u64 {
        let killed: u64 = self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        assert!(killed > 0, "no subscriber was there to be cut");
        killed
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

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal} did not take effect");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process too. Nothing can be done about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, persistence: Persistence, folder: &Path) -> Child {
    let append_only = match persistence {
        Persistence::Off => "no",
        Persistence::AppendOnly => "yes",
    };
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", append_only])
        .args(["--enable-debug-command", "local", "--dir"])
        .arg(folder)
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
