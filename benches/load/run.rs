//! One measurement of one system: started, loaded, measured, ended.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::client::{Herd, Load};
use super::process::{Cores, Process};
use super::procfs::{self, CoreTime, CpuTime, Resident};
use super::redis::Redis;
use super::session::Protocol;
use super::systems::{Running, System};
use super::tally::{Percentiles, Tally};

/// How one system is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The load.
    pub(crate) load: Load,
    /// Matches of it.
    pub(crate) matches: u32,
    /// Plays so long before anything counts.
    pub(crate) warm_up: Duration,
    /// Counts so long.
    pub(crate) time: Duration,
    /// Whether there is nothing to tell.
    pub(crate) is_idle: bool,
    /// Where everything runs.
    pub(crate) cores: Cores,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// The system.
    pub(crate) system: System,
    /// Connections, of players and spectators.
    pub(crate) connections: usize,
    /// Ticks per second.
    pub(crate) tick_rate: u32,
    /// Seconds measured.
    pub(crate) seconds: f64,
    /// Updates that came.
    pub(crate) updates: u64,
    /// Updates that came, of those that should have come.
    pub(crate) delivered: f64,
    /// Ticks that had no update of their own, over all clients.
    pub(crate) skipped: u64,
    /// Inputs per second.
    pub(crate) inputs_per_second: f64,
    /// Bytes of an input, with the head of its WebSocket frame.
    pub(crate) bytes_per_input: f64,
    /// Inputs of probes whose effect was not seen before the next.
    pub(crate) unanswered: u64,
    /// Bytes that came per update, with the heads of WebSocket frames.
    pub(crate) bytes_per_update: f64,
    /// CPU time of the servers per update, microseconds: in the program, and in the kernel.
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    /// Of Redis, per update.
    pub(crate) redis_us: Option<f64>,
    /// Of the load, per update.
    pub(crate) load_us: f64,
    /// Of the servers, in cores.
    pub(crate) server_cores: f64,
    /// Time between two updates of a client.
    pub(crate) gap_ms: Percentiles,
    /// From an input to its effect.
    pub(crate) latency_ms: Option<Percentiles>,
    /// Resident memory of the servers that came with the connections, per connection.
    pub(crate) resident_kb: f64,
    /// Of it what no file has: the rest is the servers' programs, as far as they have been used, whatever the connections.
    pub(crate) anonymous_kb: f64,
    /// Memory of sockets in the kernel that came with them, per connection, both ends.
    pub(crate) kernel_kb: f64,
    /// The part of the two cores that others used or the host kept, the worse of the two.
    pub(crate) foreign: f64,
}

impl Outcome {
    /// CPU time per update, microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// What `/proc` says at a moment.
struct Look {
    servers: CpuTime,
    redis: Option<CpuTime>,
    load: CpuTime,
    cores: Vec<CoreTime>,
}

/// A system that runs, and its load.
pub(crate) struct Trial {
    system: System,
    plan: Plan,
    running: Running,
    herd: Herd,
    resident_before: Resident,
    kernel_before: u64,
}

impl Trial {
    /// Starts it, without a client yet.
    pub(crate) fn start(system: System, plan: Plan) -> io::Result<Trial> {
        let load = Load { ramp: system.ramp(plan.load.ramp), ..plan.load };
        let running = Running::start(system, &load, plan.cores, plan.is_idle)?;
        let (herd, kernel_before) = (Herd::new(load)?, procfs::socket_kb()?);
        let mut trial =
            Trial { system, plan, running, herd, resident_before: Resident::default(), kernel_before };
        trial.resident_before = trial.resident()?;
        Ok(trial)
    }

    /// What else connects to the same matches.
    pub(crate) fn fork_protocol(&self) -> Box<dyn Protocol> {
        self.running.protocol.fork()
    }

    /// The servers' numbers as processes.
    pub(crate) fn servers(&self) -> Vec<u32> {
        self.running.servers.iter().map(Process::id).collect()
    }

    /// Keys in Redis, where there is one.
    pub(crate) fn keys(&self) -> io::Result<Option<u64>> {
        self.running.redis.as_ref().map(Redis::keys).transpose()
    }

    /// Resident memory of the servers.
    pub(crate) fn resident(&self) -> io::Result<Resident> {
        procfs::resident(&self.servers())
    }

    fn look(&self) -> io::Result<Look> {
        let mut servers = CpuTime::default();
        for server in &self.running.servers {
            servers = servers.plus(procfs::cpu_time(server.id())?);
        }
        let redis = self.running.redis.as_ref().map(|redis| procfs::cpu_time(redis.id())).transpose()?;
        Ok(Look { servers, redis, load: procfs::cpu_time(std::process::id())?, cores: procfs::cores()? })
    }

    /// Grows to so many matches, lets them play themselves in, and measures.
    pub(crate) fn measure(&mut self, matches: u32) -> io::Result<Outcome> {
        self.herd.grow(&mut *self.running.protocol, matches)?;
        self.play(self.plan.warm_up)?;
        self.measure_for(self.plan.time)
    }

    /// Plays for a while.
    pub(crate) fn play(&mut self, time: Duration) -> io::Result<()> {
        self.herd.run(time)
    }

    /// Measures for so long what there is.
    pub(crate) fn measure_for(&mut self, time: Duration) -> io::Result<Outcome> {
        let before = self.look()?;
        let tally = self.herd.measure(time)?;
        let after = self.look()?;
        let resident = self.resident()?.since(self.resident_before);
        let kernel = procfs::socket_kb()?.saturating_sub(self.kernel_before);
        Ok(self.outcome(&tally, &before, &after, (resident, kernel)))
    }

    fn outcome(
        &self,
        tally: &Tally,
        before: &Look,
        after: &Look,
        (resident, kernel): (Resident, u64),
    ) -> Outcome {
        let connections = self.herd.len();
        let per_connection = |kb: u64| kb as f64 / connections as f64;
        let per_update =
            |number: u64| if tally.updates == 0 { 0.0 } else { number as f64 / tally.updates as f64 };
        let servers = after.servers.since(before.servers);
        let redis = before.redis.zip(after.redis).map(|(before, after)| after.since(before));
        let load = after.load.since(before.load);
        let expected = f64::from(self.plan.load.tick_rate) * connections as f64 * tally.seconds;
        let micros = tally.seconds * 1e6;
        Outcome {
            system: self.system,
            connections,
            tick_rate: self.plan.load.tick_rate,
            seconds: tally.seconds,
            updates: tally.updates,
            delivered: (tally.updates + tally.quiet) as f64 / expected,
            skipped: tally.skipped,
            inputs_per_second: tally.inputs as f64 / tally.seconds,
            bytes_per_input: tally.input_bytes as f64 / tally.inputs.max(1) as f64,
            unanswered: tally.unanswered,
            bytes_per_update: per_update(tally.bytes),
            user_us: per_update(servers.user),
            system_us: per_update(servers.system),
            redis_us: redis.map(|redis| per_update(redis.total())),
            load_us: per_update(load.total()),
            server_cores: servers.total() as f64 / micros,
            gap_ms: tally.gaps(),
            latency_ms: tally.latencies(),
            resident_kb: per_connection(resident.all),
            anonymous_kb: per_connection(resident.anonymous),
            kernel_kb: per_connection(kernel),
            foreign: self.foreign(before, after, micros, servers.total(), load.total(), redis),
        }
    }

    /// The part of the cores in use here that went to others.
    fn foreign(
        &self,
        before: &Look,
        after: &Look,
        micros: f64,
        servers: u64,
        load: u64,
        redis: Option<CpuTime>,
    ) -> f64 {
        let beside = load + redis.map_or(0, CpuTime::total);
        let used = [(self.plan.cores.server, servers), (self.plan.cores.load, beside)];
        let others = used.into_iter().filter_map(|(core, own)| {
            let (before, after) = (before.cores.get(core?)?, after.cores.get(core?)?);
            let busy = after.busy.saturating_sub(before.busy).saturating_sub(own);
            Some((busy + after.stolen.saturating_sub(before.stolen)) as f64 / micros)
        });
        others.fold(0.0, f64::max)
    }
}
