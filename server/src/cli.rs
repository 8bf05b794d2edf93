//! The command line: `tickcast serve` (the default), `tickcast inspect`, `tickcast check` and the commands for operators,
//! for any set of games.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::backplane::Backplane;
use crate::backplane::authenticated::Authenticated;
use crate::backplane::mac::ClusterMac;
use crate::backplane::memory::MemoryBackplane;
use crate::backplane::redis::{ConnectError, RedisBackplane, Timing};
use crate::config::{ServeArgs, Settings};
use crate::game::Games;
use crate::io::clock;
use crate::io::http::{self, Port};
use crate::io::membership;
use crate::io::node::Node;
use crate::io::open_files;
use crate::io::tls::{self, Identity};
use crate::logic::joins::Joins;
use crate::ops::admin::{self, AdminCommand, StoreArgs};
use crate::ops::check::{self, CheckArgs, Verdict};
use crate::ops::history::History;
use crate::ops::inspect::{self, InspectArgs};
use crate::ops::logging;
use crate::ops::ticket::TicketCommand;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Tasks that a thread of the runtime runs until it looks at clocks and sockets again: whoever connects makes some, and ticks are
/// not to wait until thousands have been answered.
const TASKS_BETWEEN_LOOKS: u32 = 16;
/// How long a stopping node waits for its matches and connections.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Multiplayer game state synchronization server: runs matches in fixed ticks and keeps every client in step.
#[derive(Parser)]
#[command(name = "tickcast", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node (this is what happens without a command)
    Serve(Box<ServeArgs>),
    /// Show matches in Redis, decoded; works also when every node is dead
    Inspect(InspectArgs),
    /// Prove the guarantees over the histories that nodes and clients wrote
    Check(CheckArgs),
    /// Make a ticket with the node's key, for development: what the game's backend does
    Ticket(Box<TicketCommand>),
    #[command(flatten)]
    Admin(AdminCommand),
}

/// Runs the command line of a server that hosts these games. A `main` needs nothing else.
pub fn run(games: Games) -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Inspect(args)) => run_inspect(&args),
        Some(Command::Check(args)) => run_check(&args),
        Some(Command::Ticket(command)) => run_ticket(*command),
        Some(Command::Admin(command)) => run_admin(&command),
        Some(Command::Serve(args)) => run_serve(*args, games),
        None => run_serve(cli.serve, games),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { text, code }) => {
            eprintln!("tickcast: {text}");
            ExitCode::from(code)
        }
    }
}

/// Why the program ends without success: the text is for a person, 2 is for wrong flags and settings.
struct Failure {
    text: String,
    code: u8,
}

fn failure(text: impl ToString) -> Failure {
    Failure { text: text.to_string(), code: 1 }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().event_interval(TASKS_BETWEEN_LOOKS).build();
    runtime.map_err(|error| failure(format!("the runtime does not start: {error}")))
}

fn run_inspect(args: &InspectArgs) -> Result<(), Failure> {
    logging::start("warn").map_err(failure)?;
    runtime()?.block_on(async {
        let backplane = match args.store.cluster.mac().map_err(bad_setting)? {
            None => Authenticated::blind(connect_to_ask(&args.store).await?),
            mac => authenticated(connect_to_ask(&args.store).await?, mac).await?,
        };
        inspect::run(&backplane, args).await.map_err(failure)
    })
}

async fn connect_to_ask(store: &StoreArgs) -> Result<RedisBackplane, Failure> {
    let connected = RedisBackplane::connect_to_ask(&store.redis, &store.security, Timing::default()).await;
    connected.map_err(unconnected)
}

async fn authenticated<B: Backplane>(
    backplane: B,
    mac: Option<ClusterMac>,
) -> Result<Authenticated<B>, Failure> {
    Authenticated::new(backplane, mac, Arc::new(clock::unix_ms)).await.map_err(failure)
}

fn bad_setting(text: String) -> Failure {
    Failure { text, code: 2 }
}

fn unconnected(error: ConnectError) -> Failure {
    let code = if matches!(error, ConnectError::BadFiles { .. }) { 2 } else { 1 };
    Failure { text: error.to_string(), code }
}

fn run_check(args: &CheckArgs) -> Result<(), Failure> {
    let (told, verdict) = check::run(args).map_err(|text| Failure { text, code: 2 })?;
    println!("{told}");
    match verdict {
        Verdict::Proven => Ok(()),
        Verdict::Violated | Verdict::NotProven => {
            let text = format!("the histories are {verdict}");
            Err(Failure { text, code: verdict.exit_code() })
        }
    }
}

fn run_admin(command: &AdminCommand) -> Result<(), Failure> {
    logging::start("warn").map_err(failure)?;
    runtime()?.block_on(async {
        let mac = command.store().cluster.mac().map_err(bad_setting)?;
        let backplane = authenticated(connect_to_ask(command.store()).await?, mac).await?;
        println!("{}", admin::run(&backplane, command).await.map_err(failure)?);
        Ok(())
    })
}

fn run_ticket(command: TicketCommand) -> Result<(), Failure> {
    let minted = command.mint(rand::random(), clock::unix_ms());
    println!("{}", minted.map_err(|text| Failure { text, code: 2 })?);
    Ok(())
}

fn run_serve(args: ServeArgs, games: Games) -> Result<(), Failure> {
    let settings = args.settings().map_err(|error| Failure { text: error.to_string(), code: 2 })?;
    check_game_options(&settings, &games).map_err(|text| Failure { text, code: 2 })?;
    logging::start(&settings.log).map_err(|text| Failure { text, code: 2 })?;
    if let Err(complaint) = open_files::raise_limit(settings.connections_max) {
        tracing::warn!("{complaint}");
    }
    let identity = settings.tls.clone().map(Identity::load).transpose();
    let identity = identity.map_err(|error| Failure { text: error.to_string(), code: 2 })?.map(Arc::new);
    runtime()?.block_on(async {
        match settings.redis.clone() {
            None => {
                let backplane = MemoryBackplane::new(Arc::new(clock::unix_ms));
                serve(settings, backplane, games, identity).await
            }
            Some(url) => {
                let (backplane, warnings) =
                    RedisBackplane::connect_secured(&url, &settings.redis_files, Timing::default())
                        .await
                        .map_err(unconnected)?;
                for warning in &warnings {
                    tracing::warn!("{warning}");
                }
                let backplane = authenticated(backplane, settings.mac.clone()).await?;
                serve(settings, backplane, games, identity).await
            }
        }
    })
}

/// The options of new matches are looked at before the first match is made with them.
fn check_game_options(settings: &Settings, games: &Games) -> Result<(), String> {
    for (name, options) in &settings.game_options {
        let Some((_, game)) = games.find(name) else {
            let known: Vec<&str> = games.names().collect();
            return Err(format!(
                "configuration [games.{name}]: no such game; there is: {}",
                known.join(", ")
            ));
        };
        game.info(options).map_err(|bad| format!("configuration [games.{name}]: {bad}"))?;
    }
    Ok(())
}

async fn serve<B: Backplane>(
    settings: Settings,
    backplane: B,
    games: Games,
    identity: Option<Arc<Identity>>,
) -> Result<(), Failure> {
    let players = listen(settings.listen, "--listen")?;
    let operators = listen(settings.ops_listen, "--ops-listen")?;
    let mut stop = StopSignals::listen()?;
    let hangups = identity.is_some().then(|| hear(SignalKind::hangup())).transpose()?;
    let history = open_history(&settings)?;
    announce(&settings, &players, &operators)?;
    let node = Node::new(settings, backplane, games, history);
    node.tasks.spawn(http::accept(Arc::clone(&node), players, Port::Players, identity.clone()));
    node.tasks.spawn(http::accept(Arc::clone(&node), operators, Port::Operators, None));
    if let (Some(identity), Some(hangups)) = (identity, hangups) {
        node.tasks.spawn(tls::watch(Arc::clone(&node), identity, hangups));
    }
    node.tasks.spawn(membership::beat(Arc::clone(&node)));
    node.tasks.spawn(membership::sweep(Arc::clone(&node)));
    node.tasks.spawn(membership::follow_orders(Arc::clone(&node)));
    let mut leaving = node.leaving();
    tokio::select! {
        () = stop.asked() => {}
        _ = leaving.changed() => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        () = node.drain(node.settings.drain_max) => {}
        () = stop.asked() => tracing::warn!("asked to stop again: not waiting any more"),
    }
    node.stop(STOP_PATIENCE).await;
    node.tasks.finish(STOP_PATIENCE).await;
    tracing::info!("stopped");
    Ok(())
}

fn open_history(settings: &Settings) -> Result<Option<History>, Failure> {
    let Some(path) = &settings.history else { return Ok(None) };
    History::open(path, &settings.node)
        .map(Some)
        .map_err(|error| failure(format!("--history {}: {error}", path.display())))
}

fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    let open = || -> std::io::Result<TcpListener> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => failure(format!(
            "{address} is taken by another program: stop it or choose another port with {flag}"
        )),
        _ => failure(format!("cannot listen on {address}: {error}; choose another address with {flag}")),
    })
}

/// Tells a person, and programs that read the output, where the node is.
fn announce(settings: &Settings, players: &TcpListener, operators: &TcpListener) -> Result<(), Failure> {
    let players = players.local_addr().map_err(failure)?;
    let operators = operators.local_addr().map_err(failure)?;
    let mode = match &settings.redis {
        None => "memory mode: matches live in this process",
        Some(_) => "cluster mode: matches live in Redis",
    };
    println!("tickcast node {} is ready ({mode})", settings.node);
    let (s, trust) = if settings.tls.is_some() { ("s", " [--tls-ca FILE]") } else { ("", "") };
    println!("  page       http{s}://{players}/");
    println!("  players    ws{s}://{players}/ws");
    println!("  API        http{s}://{players}/v1/matches");
    println!("  joins      {}", who_joins(&settings.joins));
    println!("  operators  http://{operators}/");
    println!("  try        cargo run --release -p tickcast-bots -- --url ws{s}://{players}/ws{trust}");
    Ok(())
}

fn hear(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| failure(format!("signals cannot be heard: {error}")))
}

/// Who may join, in a line.
fn who_joins(joins: &Joins) -> &'static str {
    match (&joins.keys, joins.guests) {
        (None, _) => "anybody who reaches the players' address, as a guest: there is no ticket key",
        (Some(_), true) => "with a ticket, or as a guest",
        (Some(_), false) => "with a ticket only",
    }
}

/// The two ways to be asked to stop; listening begins here, so that nobody who reads `ready` asks in vain.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> Result<StopSignals, Failure> {
        Ok(StopSignals {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
