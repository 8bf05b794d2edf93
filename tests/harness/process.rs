//! Real nodes and real bots as processes of their own, for tests that kill, stop and restart them.
//! A process never outlives its handle, and what it printed is shown when its test fails.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::http::{self, Answer};
use crate::signals;

mod bots;

pub use bots::{BOTS_WITHIN, Bots, BotsRun, bots, bots_within};

/// Within this a node says where it listens.
pub const READY_WITHIN: Duration = Duration::from_secs(20);
/// Within this a program ends that is run for what it prints.
pub const RUN_WITHIN: Duration = Duration::from_secs(60);
/// How often a state that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of a process that are kept for the report of a failure: the newest.
const LINES_KEPT_MAX: usize = 2000;

/// Looks at a state until there is one, and fails the test when `deadline` passes first.
///
/// # Panics
/// When the deadline passes.
pub async fn wait_until<T, F>(deadline: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = timeout(deadline, async {
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}

/// How a node is started, besides free ports of its own.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Address of the store; `None` keeps everything in the node's memory.
    pub redis: Option<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Further environment. The caller's own settings of tickcast are not passed on. An address that is set
    /// here is not set by a flag.
    pub env: Vec<(String, String)>,
    /// An example to run in place of the server, by its name.
    pub example: Option<&'static str>,
    /// Another program to run in place of the server: one of the tests' own, by its name.
    pub program: Option<&'static str>,
    /// File descriptors that it may have; `None` leaves it what the test has.
    pub descriptors: Option<u32>,
    /// The core that it has to itself, as far as other processes keep away from it; `None` lets it run anywhere.
    pub core: Option<usize>,
}

impl NodeOptions {
    /// A node of a cluster with this name, on this store, with further flags.
    pub fn named(name: &str, redis: &str, flags: &[&str]) -> NodeOptions {
        let args = ["--node", name].iter().chain(flags).map(ToString::to_string).collect();
        NodeOptions { redis: Some(redis.to_owned()), args, ..NodeOptions::default() }
    }
}

/// A running node.
pub struct Node {
    process: Process,
    /// Where players connect, for example `ws://127.0.0.1:4711/ws`.
    pub players: String,
    /// Where operators look, for example `http://127.0.0.1:4712/`.
    pub operators: String,
}

impl Node {
    /// Starts a node and waits until it says where it listens.
    ///
    /// # Panics
    /// When it does not: with everything it printed.
    pub async fn start(options: NodeOptions) -> Node {
        let mut command = match options.example {
            Some(example) => program(&format!("examples/{example}")),
            None => program(options.program.unwrap_or("tickcast")),
        };
        if let Some(descriptors) = options.descriptors {
            command = under(&["sh", "-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")], &command);
        }
        if let Some(core) = options.core {
            command = under(&["taskset", "-c", &core.to_string()], &command);
        }
        for (flag, setting) in [("--listen", "TICKCAST_LISTEN"), ("--ops-listen", "TICKCAST_OPS_LISTEN")] {
            if options.env.iter().all(|(name, _)| name != setting) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        if let Some(redis) = &options.redis {
            command.args(["--redis", redis]);
        }
        command.args(&options.args).envs(options.env);
        let mut process = Process::start("tickcast", command);
        let (players, operators) = wait_until(READY_WITHIN, "the node says where it listens", || {
            let addresses = process.output.addresses();
            let ended = process.child.try_wait().expect("our own child can be asked");
            async move {
                match (addresses, ended) {
                    (None, Some(status)) => panic!("the node ended before it was ready: {status}"),
                    (addresses, _) => addresses,
                }
            }
        })
        .await;
        Node { process, players, operators }
    }

    /// Starts the nodes of one cluster at the same time, each with the same flags; in the order of their names.
    ///
    /// # Panics
    /// When one of them does not come up.
    pub async fn start_cluster(names: &[&str], redis: &str, flags: &[&str]) -> Vec<Node> {
        let starts = names.iter().map(|name| Node::start(NodeOptions::named(name, redis, flags)));
        futures_util::future::join_all(starts).await
    }

    /// Host and port for players.
    pub fn authority(&self) -> &str {
        self.players.split('/').nth(2).expect("a node prints ws://HOST:PORT/ws")
    }

    /// Host and port for operators.
    pub fn operators_authority(&self) -> &str {
        self.operators.trim_start_matches("http://").trim_end_matches('/')
    }

    /// An answer of the operators' port.
    pub async fn ask_operators(&self, path: &str) -> Answer {
        http::request(self.operators_authority(), "GET", path, "").await
    }

    /// A counter or gauge of the node, by its name after `tickcast_`, with its labels if it has any.
    ///
    /// # Panics
    /// When the node has none of that name.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.ask_operators("/metrics").await.body;
        let value =
            |line: &str| line.strip_prefix("tickcast_")?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        metrics.lines().find_map(value).unwrap_or_else(|| panic!("no {name} in {metrics}"))
    }

    /// Waits until a counter or gauge has a value, and answers it.
    ///
    /// # Panics
    /// When the deadline passes first.
    pub async fn until_metric(&self, name: &str, deadline: Duration, reached: impl Fn(u64) -> bool) -> u64 {
        let reached = &reached;
        let look = || async move { Some(self.metric(name).await).filter(|value| reached(*value)) };
        wait_until(deadline, &format!("{name} of node {} is reached", self.pid()), look).await
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Everything it printed so far, the newest lines.
    pub fn output(&self) -> String {
        self.process.output.to_string()
    }

    /// The power goes out: SIGKILL, and the process is gone when this returns.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Freezes it where it is (SIGSTOP), as a long pause of the machine would.
    pub fn stop(&self) {
        signals::freeze(self.pid());
    }

    /// Lets a frozen one go on (SIGCONT).
    pub fn cont(&self) {
        signals::thaw(self.pid());
    }

    /// Asks it to end, as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        signals::send(self.pid(), "INT");
    }

    /// Asks it to end, as a service manager does (SIGTERM).
    pub fn terminate(&self) {
        signals::send(self.pid(), "TERM");
    }

    /// Asks it to read again what it was told by files (SIGHUP).
    pub fn hang_up(&self) {
        signals::send(self.pid(), "HUP");
    }

    /// Whether the process is there; a frozen one is.
    pub fn is_running(&mut self) -> bool {
        self.process.child.try_wait().expect("our own child can be asked").is_none()
    }

    /// Waits until it has printed this.
    ///
    /// # Panics
    /// When the deadline passes first.
    pub async fn says(&self, text: &str, deadline: Duration) {
        let what = format!("{} {} says `{text}`", self.process.name, self.pid());
        wait_until(deadline, &what, || async { self.output().contains(text).then_some(()) }).await;
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When the deadline passes first.
    pub async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        self.process.wait_exit(deadline).await
    }
}

/// How a program ended that was run for what it prints.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` for a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a program until it ends.
///
/// # Panics
/// When it cannot be started, or does not end within [`RUN_WITHIN`]; it is killed then.
pub async fn run(command: Command) -> Ended {
    let shown = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(RUN_WITHIN, output).await;
    let output = output.unwrap_or_else(|_| panic!("not ended within {RUN_WITHIN:?}: {shown}"));
    let output = output.unwrap_or_else(|error| panic!("cannot be started ({error}): {shown}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A child process and what it prints. Killed when dropped.
struct Process {
    name: &'static str,
    child: Child,
    output: Output,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Process {
    fn start(name: &'static str, mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let output = Output::default();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let readers = vec![
            output.follow("out", out.expect("stdout is piped")),
            output.follow("err", err.expect("stderr is piped")),
        ];
        Process { name, child, output, readers }
    }

    fn kill(&mut self) {
        // Fails only for a process that has ended by itself; its status is taken all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} {} ends", self.name, self.child.id());
        let status = wait_until(deadline, &what, || {
            let status = self.child.try_wait().expect("our own child can be asked");
            async move { status }
        });
        let status = status.await;
        self.read_to_end();
        status
    }

    /// The pipes close with the process: what it said last is in the output after this.
    fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = self.child.id();
        self.kill();
        self.read_to_end();
        if thread::panicking() {
            eprintln!("---- {} {pid} printed:\n{}----", self.name, self.output);
        }
    }
}

/// The newest lines that a process printed.
#[derive(Default, Clone)]
struct Output(Arc<Mutex<Vec<String>>>);

impl Output {
    fn follow(&self, stream: &'static str, pipe: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                output.push(format!("{stream} {}", String::from_utf8_lossy(&line)));
            }
        })
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_KEPT_MAX {
            lines.drain(..LINES_KEPT_MAX / 2);
        }
        lines.push(line);
    }

    /// The players' and the operators' address, once both were printed.
    fn addresses(&self) -> Option<(String, String)> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = || lines.iter().filter_map(|line| line.strip_prefix("out "));
        let word = |line: &str, start: &str| {
            line.split_whitespace().find(|word| word.starts_with(start)).map(str::to_owned)
        };
        let players = printed().find_map(|line| word(line, "ws://").or_else(|| word(line, "wss://")))?;
        let operators = printed().find_map(|line| word(line.split_once("operators")?.1, "http://"))?;
        Some((players, operators))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A command that runs one of our programs, without the caller's settings of tickcast.
pub fn program(name: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(FOLDER.get_or_init(built_programs).join(name));
    for (setting, _) in std::env::vars_os() {
        if setting.to_string_lossy().starts_with("TICKCAST_") {
            command.env_remove(setting);
        }
    }
    command
}

/// The command, run by another one such as `taskset -c 0`; with its environment.
fn under(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// The folder of the programs that belong to this test binary; builds them when they are missing or older
/// than their sources.
fn built_programs() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its path");
    let deps = own.ancestors().find(|folder| folder.file_name() == Some(OsStr::new("deps")));
    // A test binary stands in target/<profile>/deps, a program of this package beside that folder.
    let folder = deps.or(Some(own.as_path())).and_then(Path::parent).expect("a folder above it").to_owned();
    let (mut wanted, mut packages) = (vec!["tickcast", "tickcast-bots"], WITHOUT_EXAMPLES);
    if deps.is_some() {
        wanted.extend(["examples/tictactoe", "examples/headless"]);
        packages = WITH_EXAMPLES;
    }
    let built = |name: &&str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    let oldest = wanted.iter().map(built).min().flatten();
    if oldest.is_none_or(|oldest| oldest < newest_source()) {
        build(&folder, packages);
    }
    folder
}

/// The whole workspace's programs: with its features, so that nothing is compiled a second time.
const WITH_EXAMPLES: &[&str] = &["--workspace", "--bins", "--examples"];
/// What a program of this package needs; it says so, for that may take minutes.
const WITHOUT_EXAMPLES: &[&str] = &["-p", "tickcast-server", "-p", "tickcast-bots", "--bins"];

fn build(folder: &Path, packages: &[&str]) {
    if packages == WITHOUT_EXAMPLES {
        eprintln!("building tickcast and tickcast-bots");
    }
    let profile = folder.file_name().and_then(OsStr::to_str).expect("a profile's folder has a name");
    let profile = if profile == "debug" { "dev" } else { profile };
    let target = folder.parent().expect("a profile's folder stands in the target folder");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout()).arg("build").args(packages);
    command.args(["--profile", profile]);
    command.arg("--target-dir").arg(target).stdin(Stdio::null());
    let built = command.output().expect("cargo runs");
    assert!(built.status.success(), "the programs do not build:\n{}", String::from_utf8_lossy(&built.stderr));
}

/// The top folder of the sources.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests package stands in the checkout")
}

/// When the newest file of what the programs are built from was changed.
fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut left: Vec<PathBuf> = ["Cargo.toml", "Cargo.lock", "shared-protocol", "server", "bot-client"]
        .map(|name| checkout().join(name))
        .into();
    while let Some(path) = left.pop() {
        let Ok(file) = fs::metadata(&path) else { continue };
        if file.is_dir() && path.file_name() == Some(OsStr::new("node_modules")) {
            continue;
        }
        if file.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if let Ok(changed) = file.modified() {
            newest = newest.max(changed);
        }
    }
    newest
}

#[cfg(test)]
mod tests;
