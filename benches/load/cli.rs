//! The command line of `load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};

use super::churn::ChurnFlags;
use super::client::Load;
use super::growth::GrowthFlags;
use super::hands::Style;
use super::process::Cores;
use super::protocols::tickcast::Played;
use super::redis::Keeps;
use super::run::Plan;
use super::swarm::SwarmFlags;
use super::systems::System;

/// `load`.
#[derive(Debug, Parser)]
#[command(
    name = "load",
    about = "Measures tickcast beside a floor that has no game, all with the same load and in turns",
    after_help = "Servers run on core 0, the load and Redis on core 1. Compare within one run only: the speed of a \
                  machine varies by more than what is to be told apart. Exit code: 0 everything was measured (and is \
                  within the budget), 1 not."
)]
pub struct Flags {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// CPU time of the servers per delivered update, at a moderate load
    Cpu(Common),
    /// Time from an input to its effect, as a few clients see it at the same load
    Latency {
        #[command(flatten)]
        common: Common,
        /// Matches in which one player watches for its effects
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
        probes: u32,
    },
    /// Memory and CPU time of connections that say nothing
    Idle(Common),
    /// Players that a core carries: matches are added until updates come late or not at all
    Knee {
        #[command(flatten)]
        common: Common,
        /// Matches to begin with
        #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
        from: u32,
        /// Matches to end with
        #[arg(long, value_name = "N", default_value_t = 400)]
        to: u32,
        /// Matches of a step, of the one before
        #[arg(long, value_name = "RATIO", default_value_t = 1.15)]
        growth: f64,
    },
    /// How the CPU time per update grows with connections and with matches
    #[command(mut_arg("tick_rate", |arg| arg.default_value("10")), mut_arg("turns", |arg| arg.default_value("1")))]
    #[command(mut_arg("seconds", |arg| arg.default_value("4")), mut_arg("warm_up", |arg| arg.default_value("2")))]
    #[command(mut_arg("matches", |arg| arg.hide(true)))]
    Growth {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        flags: GrowthFlags,
    },
    // Matches need memory for what they learn until their 1,024th tick: before that nothing is as it stays.
    /// What players leave behind who come and go: memory, open files, keys; and how long joining takes
    #[command(mut_arg("matches", |arg| arg.default_value("16")), mut_arg("turns", |arg| arg.default_value("1")))]
    #[command(mut_arg("seconds", |arg| arg.default_value("120")), mut_arg("warm_up", |arg| arg.default_value("55")))]
    Churn {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        flags: ChurnFlags,
    },
    /// CPU time per update where each client gets a part of a large world, beside plain matches of as many bytes
    #[command(mut_arg("players", |arg| arg.default_value("62")), mut_arg("matches", |arg| arg.default_value("16")))]
    #[command(mut_arg("warm_up", |arg| arg.default_value("8")), mut_arg("spectators", |arg| arg.hide(true)))]
    Swarm {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        flags: SwarmFlags,
    },
    /// A comparison of CPU time that is held against ceilings
    Check {
        #[command(flatten)]
        common: Common,
        /// The ceilings
        #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.toml"))]
        budget: PathBuf,
    },
    /// CPU time that a commit takes in Redis, beside a bare PUBLISH of the same bytes
    Commit(CommitFlags),
}

/// What `commit` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommitFlags {
    /// Entities that change in a tick: up to 64 players, and drones besides
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "8,32,128", value_parser = clap::value_parser!(u32).range(2..=900))]
    pub(crate) changed: Vec<u32>,
    /// What Redis writes to disk
    #[arg(long, value_enum, value_name = "NAMES", value_delimiter = ',', default_value = "nothing,everysec")]
    pub(crate) keeps: Vec<Keeps>,
    /// Matches that are written
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4000))]
    pub(crate) matches: u32,
    /// How players play
    #[arg(long, value_enum, value_name = "STYLE", default_value_t = Style::Play)]
    pub(crate) hands: Style,
    /// Ticks per second of each match, where writing is paced
    #[arg(long, value_name = "HZ", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=32))]
    pub(crate) tick_rate: u32,
    /// Seconds measured, each time
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Seconds written before, each time
    #[arg(long, value_name = "S", default_value_t = 0.5)]
    pub(crate) warm_up: f64,
    /// Times that everything is measured, in turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) turns: u32,
    /// Asks for priority over other work, as root: changes that of the session (autogroup) in which this is started
    #[arg(long)]
    pub(crate) priority: bool,
    /// Also writes everything as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What every other task takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// What to measure, in this order [default: all that is installed; of `check`: what the budget names]
    #[arg(long, value_enum, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) systems: Vec<System>,
    /// Players of a match
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) players: u32,
    /// Matches
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) matches: u32,
    /// Connections to each match that only look on; the Colyseus room has no place for them
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub(crate) spectators: u32,
    /// Ticks per second; connections that say nothing have 10, where there must be ticks
    #[arg(long, value_name = "HZ", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=128))]
    pub(crate) tick_rate: u32,
    /// How players play
    #[arg(long, value_enum, value_name = "STYLE", default_value_t = Style::Play)]
    pub(crate) hands: Style,
    /// Whether players fire: yes or no. tickcast has bullets then, which the Colyseus room has not
    #[arg(long, value_name = "YES|NO", default_value = "yes", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub(crate) fire: bool,
    /// Seconds measured, each time
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Seconds played before, each time
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(crate) warm_up: f64,
    /// Times that each system is measured, in turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) turns: u32,
    /// Connections opened per second
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) ramp: u32,
    /// Asks for priority over other work, as root: changes that of the session (autogroup) in which this is started
    #[arg(long)]
    pub(crate) priority: bool,
    /// Measures the programs that are there instead of building them first
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Also writes everything as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also writes a report with plots to this file, which needs nothing beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Common {
    /// How each system is measured, if nothing else is said.
    pub(crate) fn plan(&self, cores: Cores) -> Plan {
        let Common { players, spectators, tick_rate, hands, fire: may_fire, ramp, matches, .. } = *self;
        let load = Load {
            players,
            spectators,
            guests: 0,
            tick_rate,
            sends_inputs: true,
            hands,
            may_fire,
            ramp,
            probes: 0,
            played: Played::ARENA,
        };
        Plan {
            load,
            matches,
            warm_up: Duration::from_secs_f64(self.warm_up),
            time: Duration::from_secs_f64(self.seconds),
            is_idle: false,
            cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Flags::command().debug_assert();
        let flags =
            Flags::parse_from(["load", "cpu", "--systems", "floor-scan,tickcast-two", "--matches", "4"]);
        let Task::Cpu(common) = flags.task else { panic!("another task") };
        assert_eq!(common.systems, [System::FloorScan, System::TickcastTwo]);
        assert_eq!((common.hands, common.fire), (Style::Play, true));
        let flags = Flags::parse_from(["load", "idle", "--hands", "noise", "--fire", "no"]);
        let Task::Idle(common) = flags.task else { panic!("another task") };
        assert_eq!((common.hands, common.fire), (Style::Noise, false));
        assert!(Flags::try_parse_from(["load", "cpu", "--systems", "apache"]).is_err());
        let flags = Flags::parse_from(["load", "growth", "--series", "matches"]);
        let Task::Growth { common, .. } = flags.task else { panic!("another task") };
        assert_eq!(
            (common.tick_rate, common.turns),
            (10, 1),
            "the least that there is, for a core has to carry all"
        );
        let flags = Flags::parse_from(["load", "churn", "--seconds", "2"]);
        let Task::Churn { common, flags } = flags.task else { panic!("another task") };
        assert_eq!((common.matches, common.seconds, flags.rate), (16, 2.0, 200));
        assert!(
            common.warm_up * f64::from(common.tick_rate) > 1024.0,
            "matches have learned what they learn"
        );
    }
}
