//! What is compared, and how each of it is started and stopped.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::client::Load;
use super::process::{Cores, Process, free_address, programs};
use super::protocols::colyseus::Colyseus;
use super::protocols::floor::Floor;
use super::protocols::tickcast::Tickcast;
use super::redis::{Keeps, Redis};
use super::session::Protocol;

/// Bytes of an update of the floor: the tick, and twelve for each player.
const FLOOR_BYTES: (u32, u32) = (4, 12);
/// Connections opened per second to a server that takes its time for each.
const SLOW_RAMP: u32 = 400;

/// A server under measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum System {
    /// The floor that reads every socket once per tick
    FloorScan,
    /// The floor that reads as inputs come
    FloorEpoll,
    /// tickcast without Redis
    Tickcast,
    /// tickcast on a Redis, one node
    TickcastRedis,
    /// tickcast on a Redis, two nodes on one core, players of each match on both
    TickcastTwo,
    /// A Colyseus room of the same game, on Node.js
    Colyseus,
}

impl System {
    /// All there are.
    pub(crate) fn all() -> Vec<System> {
        System::value_variants().to_vec()
    }

    /// Its name, as on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("no system is hidden").get_name().to_owned()
    }

    /// Whether it runs on a timer that is known to be late, so that a few updates fewer are no fault.
    pub(crate) fn has_lazy_timer(self) -> bool {
        self == System::Colyseus
    }

    /// How fast connections may be opened to it.
    pub(crate) fn ramp(self, wanted: u32) -> u32 {
        if self == System::Colyseus { wanted.min(SLOW_RAMP) } else { wanted }
    }

    /// Whether it can be started here.
    pub(crate) fn is_installed(self) -> bool {
        self != System::Colyseus || colyseus().join("node_modules/@colyseus/core").is_dir()
    }
}

fn colyseus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("colyseus")
}

/// A system that runs.
pub(crate) struct Running {
    /// The servers.
    pub(crate) servers: Vec<Process>,
    /// Their Redis.
    pub(crate) redis: Option<Redis>,
    /// How the load speaks to them.
    pub(crate) protocol: Box<dyn Protocol>,
}

impl Running {
    /// Starts a system for this load. `is_idle`: there is nothing to tell, so whoever can be silent is.
    pub(crate) fn start(system: System, load: &Load, cores: Cores, is_idle: bool) -> io::Result<Running> {
        match system {
            System::FloorScan => floor("scan", load, cores, is_idle),
            System::FloorEpoll => floor("epoll", load, cores, is_idle),
            System::Tickcast => tickcast(0, load, cores),
            System::TickcastRedis => tickcast(1, load, cores),
            System::TickcastTwo => tickcast(2, load, cores),
            System::Colyseus => room(load, cores, is_idle),
        }
    }
}

fn own_program(name: &str) -> io::Result<OsString> {
    let path = programs()?.join(name);
    match path.exists() {
        true => Ok(path.into()),
        false => Err(io::Error::other(format!("{} is not built", path.display()))),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn floor(mode: &str, load: &Load, cores: Cores, is_idle: bool) -> io::Result<Running> {
    let at = free_address()?;
    let rate = if is_idle { 0 } else { load.tick_rate };
    let bytes = FLOOR_BYTES.0 + FLOOR_BYTES.1 * load.players;
    let [listen, rate, bytes] = [at.to_string(), rate.to_string(), bytes.to_string()];
    let args = words(&["--mode", mode, "--listen", &listen, "--tick-rate", &rate, "--bytes", &bytes]);
    let mut server = Process::start("floor", &own_program("floor")?, &args, cores.server)?;
    server.until_listening(at)?;
    Ok(Running { servers: vec![server], redis: None, protocol: Box::new(Floor(at)) })
}

/// One node without Redis, or so many with it.
fn tickcast(with_redis: u32, load: &Load, cores: Cores) -> io::Result<Running> {
    let redis = if with_redis > 0 { Some(Redis::start(cores.load, Keeps::Nothing)?) } else { None };
    let (mut servers, mut nodes) = (Vec::new(), Vec::new());
    for number in 1..=with_redis.max(1) {
        let (at, operators) = (free_address()?, free_address()?);
        let mut args =
            words(&["serve", "--log", "warn", "--connections-max", "18000", "--matches-max", "2000"]);
        // Matches are made as fast as connections are opened, and end soon behind their last player.
        args.extend(words(&["--claims-per-second", "2000", "--empty-after", "5"]));
        args.extend(words(&["--listen", &at.to_string(), "--ops-listen", &operators.to_string()]));
        if let Some(redis) = &redis {
            args.extend(words(&["--redis", &redis.url(), "--node", &format!("node-{number}")]));
        }
        let name = format!("tickcast-{number}");
        let mut server = Process::start(&name, &own_program("tickcast")?, &args, cores.server)?;
        server.until_listening(at)?;
        servers.push(server);
        nodes.push(at);
    }
    let (places, tick_rate, played) = (load.players + load.guests, load.tick_rate, load.played);
    let protocol = Box::new(Tickcast { nodes, places, tick_rate, played, matches: Vec::new() });
    Ok(Running { servers, redis, protocol })
}

fn room(load: &Load, cores: Cores, is_idle: bool) -> io::Result<Running> {
    let at: SocketAddr = free_address()?;
    let script = colyseus().join("server.mjs").display().to_string();
    let rate = if is_idle { 0 } else { load.tick_rate };
    let args = [script, at.port().to_string(), rate.to_string()];
    let mut server = Process::start("colyseus", OsStr::new("node"), &args, cores.server)?;
    server.until_listening(at)?;
    let protocol = Box::new(Colyseus { server: at, players: load.players });
    Ok(Running { servers: vec![server], redis: None, protocol })
}
