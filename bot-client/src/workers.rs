//! Several processes for one plan. The first starts the others and talks with them in lines of JSON: an order and
//! commands go to their standard input, pulses and the tally come from their standard output. A worker whose
//! input ends stops, so none outlives the first.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::plan::Plan;
use crate::share::Share;
use crate::swarm::{self, Command, Pulse};
use crate::tally::Tally;

/// Commands and pulses under way.
const QUEUED_MAX: usize = 64;

/// The first line to a worker.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    plan: Plan,
    share: Share,
}

/// A line from a worker.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Pulse(Pulse),
    Tally(Box<Tally>),
    Failed(String),
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// A process could not be started or spoken with.
    #[error("worker process: {0}")]
    Process(#[from] io::Error),
    /// The order is not one.
    #[error("--worker is for the bots' own use: {0}")]
    Order(String),
    /// A worker gave up.
    #[error("worker process: {0}")]
    Failed(String),
}

/// Carries out the order on standard input: the life of a worker.
pub async fn serve(clock: Clock) -> Result<(), WorkerError> {
    let mut first = String::new();
    io::stdin().lock().read_line(&mut first)?;
    let order: Order = serde_json::from_str(&first).map_err(|error| WorkerError::Order(error.to_string()))?;
    let (command, commands) = mpsc::channel(QUEUED_MAX);
    // A thread of its own, because a read of standard input cannot be cancelled; it ends with the process.
    std::thread::Builder::new().name("commands".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let parsed: Option<Command> = line.ok().and_then(|line| serde_json::from_str(&line).ok());
            match parsed {
                Some(parsed) if command.blocking_send(parsed).is_ok() => {}
                _ => return,
            }
        }
    })?;
    let (pulse, mut pulses) = mpsc::channel(QUEUED_MAX);
    let swarm = swarm::run(clock, order.plan, order.share, commands, pulse);
    // Ctrl-C in a terminal reaches all processes: the first one says what to do about it.
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(swarm, interrupt);
    let mut interrupted = false;
    loop {
        tokio::select! {
            _ = &mut interrupt, if !interrupted => interrupted = true,
            result = &mut swarm => {
                return say(&match result {
                    Ok(tally) => Line::Tally(Box::new(tally)),
                    Err(error) => Line::Failed(error.to_string()),
                });
            }
            Some(pulse) = pulses.recv() => say(&Line::Pulse(pulse))?,
        }
    }
}

fn say(line: &Line) -> Result<(), WorkerError> {
    let text = serde_json::to_string(line).expect("plain data is JSON");
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// The other processes, from the first one's view.
#[derive(Debug)]
struct Workers {
    inputs: Vec<Option<ChildStdin>>,
    pulses: Vec<Pulse>,
    running: usize,
    tally: Tally,
    error: Option<WorkerError>,
    measuring: bool,
}

/// Carries out these shares, a process each. A closed command channel means [`Command::Stop`]. All processes
/// begin to measure when the last of them is ready.
pub async fn run(
    plan: &Plan,
    shares: Vec<Share>,
    mut commands: mpsc::Receiver<Command>,
    pulses: mpsc::Sender<Pulse>,
) -> Result<Tally, WorkerError> {
    let (line, mut lines) = mpsc::channel(QUEUED_MAX);
    let mut readers = JoinSet::new();
    let mut workers = Workers {
        inputs: Vec::new(),
        pulses: vec![Pulse::default(); shares.len()],
        running: shares.len(),
        tally: Tally::default(),
        error: None,
        measuring: false,
    };
    for (index, share) in shares.into_iter().enumerate() {
        let (child, input, output) = start(&Order { plan: plan.clone(), share })?;
        workers.inputs.push(Some(input));
        let line = line.clone();
        readers.spawn_blocking(move || read_lines(index, child, output, &line));
    }
    drop(line);
    let mut commanded = true;
    while workers.running > 0 {
        tokio::select! {
            Some((index, text)) = lines.recv() => {
                workers.handle_line(index, text);
                let _ = pulses.try_send(workers.pulse());
            }
            command = commands.recv(), if commanded => match command {
                Some(Command::Measure) => {}
                Some(Command::Stop) => workers.tell(Command::Stop),
                None => {
                    commanded = false;
                    workers.tell(Command::Stop);
                }
            },
        }
    }
    match workers.error {
        Some(error) => Err(error),
        None => Ok(workers.tally),
    }
}

impl Workers {
    /// A line of a worker; `None` when there will be no more.
    fn handle_line(&mut self, index: usize, text: Option<String>) {
        let Some(text) = text else {
            self.running -= 1;
            if self.inputs[index].take().is_some() {
                self.fail("ended without a result".to_owned());
            }
            return;
        };
        match serde_json::from_str(&text) {
            Ok(Line::Pulse(pulse)) => {
                self.pulses[index] = pulse;
                if !self.measuring && self.pulses.iter().all(|pulse| pulse.ready) {
                    self.measuring = true;
                    self.tell(Command::Measure);
                }
            }
            Ok(Line::Tally(tally)) => {
                self.inputs[index] = None;
                // Its bots are done, one way or the other: the rest must not wait for it.
                self.pulses[index].ready = true;
                self.tally.merge(&tally);
            }
            Ok(Line::Failed(reason)) => {
                self.inputs[index] = None;
                self.fail(reason);
            }
            Err(_) => self.fail(format!("said what is no line of a worker: {text}")),
        }
    }

    fn fail(&mut self, reason: String) {
        self.error.get_or_insert(WorkerError::Failed(reason));
        self.tell(Command::Stop);
    }

    fn tell(&mut self, command: Command) {
        let text = serde_json::to_string(&command).expect("plain data is JSON");
        for input in self.inputs.iter_mut().flatten() {
            // A worker that is gone shows as the end of its output.
            let _ = writeln!(input, "{text}").and_then(|()| input.flush());
        }
    }

    fn pulse(&self) -> Pulse {
        self.pulses.iter().fold(Pulse { ready: true, ..Pulse::default() }, |sum, pulse| Pulse {
            planned: sum.planned + pulse.planned,
            joined: sum.joined + pulse.joined,
            failed: sum.failed + pulse.failed,
            measured: sum.measured.max(pulse.measured),
            ready: sum.ready && pulse.ready,
        })
    }
}

fn start(order: &Order) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = Process::new(env::current_exe()?)
        .arg("--worker")
        .env_remove("TICKCAST_BOTS_URL")
        .env_remove("TICKCAST_BOTS_SEED")
        .env_remove("TICKCAST_BOTS_TLS_CA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().expect("the standard input is piped");
    let output = child.stdout.take().expect("the standard output is piped");
    writeln!(input, "{}", serde_json::to_string(order).expect("plain data is JSON"))?;
    input.flush()?;
    Ok((child, input, output))
}

fn read_lines(
    index: usize,
    mut child: Child,
    output: ChildStdout,
    lines: &mpsc::Sender<(usize, Option<String>)>,
) {
    for text in BufReader::new(output).lines().map_while(Result::ok) {
        if lines.blocking_send((index, Some(text))).is_err() {
            break;
        }
    }
    // Nobody waits for more of it: its exit only has to be taken notice of.
    let _ = child.wait();
    let _ = lines.blocking_send((index, None));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize) -> Workers {
        Workers {
            inputs: (0..count).map(|_| None).collect(),
            pulses: vec![Pulse::default(); count],
            running: count,
            tally: Tally::default(),
            error: None,
            measuring: false,
        }
    }

    fn line(line: &Line) -> Option<String> {
        Some(serde_json::to_string(line).unwrap())
    }

    #[test]
    fn measuring_begins_when_the_last_is_ready_and_tallies_merge() {
        let mut workers = workers(2);
        let ready = Pulse { planned: 3, joined: 3, ready: true, ..Pulse::default() };
        workers.handle_line(0, line(&Line::Pulse(ready)));
        assert!(!workers.measuring);
        workers.handle_line(1, line(&Line::Pulse(ready)));
        assert!(workers.measuring);
        assert_eq!(workers.pulse().joined, 6);
        let mut tally = Tally::default();
        tally.connections.joined = 3;
        for index in 0..2 {
            workers.handle_line(index, line(&Line::Tally(Box::new(tally.clone()))));
            workers.handle_line(index, None);
        }
        assert_eq!((workers.running, workers.tally.connections.joined), (0, 6));
        assert!(workers.error.is_none());
    }

    #[test]
    fn a_worker_that_cannot_go_on_ends_the_run() {
        let mut failed = workers(1);
        failed.handle_line(0, line(&Line::Failed("no address".to_owned())));
        failed.handle_line(0, None);
        assert_eq!(failed.error.unwrap().to_string(), "worker process: no address");
        let mut odd = workers(1);
        odd.handle_line(0, Some("panicked".to_owned()));
        assert!(odd.error.unwrap().to_string().contains("panicked"));
    }
}
