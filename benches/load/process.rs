//! Servers as processes of our own: started, pinned to a core, waited for until they listen, ended with their value.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::clock;

/// Within this a server listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// The core of the servers, where there is more than one.
    pub(crate) server: Option<usize>,
    /// The core of the load and of Redis.
    pub(crate) load: Option<usize>,
}

impl Cores {
    /// Servers on the first core, all else on the second; nowhere in particular when there is only one, or no `taskset`.
    pub(crate) fn of_this_machine() -> Cores {
        let many = thread::available_parallelism().is_ok_and(|count| count.get() >= 2);
        let pinned = many && quiet("taskset", ["--version"]);
        Cores { server: pinned.then_some(0), load: pinned.then_some(1) }
    }
}

/// Moves this process to the core of the load, lets it and its servers have as many sockets as it may, and with `priority` puts the session it is in
/// before other work, as far as it may.
pub(crate) fn settle(cores: Cores, priority: bool) {
    let own = std::process::id().to_string();
    if let Some(core) = cores.load {
        quiet("taskset", ["-a", "-p", "-c", &core.to_string(), &own]);
    }
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("load: no more open files than there are by default: {error}");
    }
    if priority && fs::write("/proc/self/autogroup", "-15").is_err() {
        eprintln!("load: no priority over other work: that takes root and a kernel with autogroups");
    }
}

fn quiet<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> bool {
    let ran = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it on this core. What it prints goes to a file beside our programs, which is shown when it fails.
    pub(crate) fn start(
        name: &str,
        program: &OsStr,
        args: &[String],
        core: Option<usize>,
    ) -> io::Result<Process> {
        let log = programs()?.join(format!("load-{name}.log"));
        let output = fs::File::create(&log)?;
        // The kernel ends it when we end, however that is.
        let mut words: Vec<&OsStr> = ["setpriv", "--pdeathsig", "KILL"].map(OsStr::new).to_vec();
        let core = core.map(|core| core.to_string());
        if let Some(core) = &core {
            words.extend(["taskset", "-c", core].map(OsStr::new));
        }
        words.push(program);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child =
            command.spawn().map_err(|error| io::Error::other(format!("{}: {error}", program.display())))?;
        Ok(Process { child, log })
    }

    /// Waits until it listens there.
    pub(crate) fn until_listening(&mut self, at: SocketAddr) -> io::Result<()> {
        let deadline = clock::now() + LISTENS_WITHIN;
        while TcpStream::connect(at).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || clock::now() > deadline {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("nobody listens on {at}: {}", log.trim())));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of our own program, in which the others are built.
pub(crate) fn programs() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// An address on which nobody listens.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
