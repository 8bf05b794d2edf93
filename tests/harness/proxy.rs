//! A TCP proxy in the test's own process that treats its traffic badly: late, in drips, not at all, cut in the
//! middle. It counts what it did, so that a test can insist that the fault took effect.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

use crate::process::wait_until;

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks held in one direction of one connection; then nothing more is read.
const CHUNKS_HELD_MAX: usize = 16;
/// For a fault to take effect.
const EFFECT_WITHIN: Duration = Duration::from_secs(10);

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From those who connect to the proxy.
    ToServer,
    /// From the server behind the proxy.
    ToClient,
}

/// Bytes go on in small pieces with pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drip {
    /// Bytes of a piece, at least one.
    pub bytes: usize,
    /// Pause after each piece.
    pub every: Duration,
}

/// How traffic is treated from now on. The default passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every byte arrives so much later.
    pub delay: Duration,
    /// And up to so much later still, at random; the order is kept.
    pub jitter: Duration,
    /// Slow motion.
    pub drip: Option<Drip>,
    /// Nothing reaches the server; connections stay open, and what was held goes on afterwards.
    pub stall_to_server: bool,
    /// Nothing reaches the clients, in the same way.
    pub stall_to_client: bool,
    /// New connections are reset at once.
    pub refuse: bool,
}

impl Faults {
    /// A black hole both ways.
    pub fn stalled() -> Faults {
        Faults { stall_to_server: true, stall_to_client: true, ..Faults::default() }
    }

    fn stalls(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.stall_to_server,
            Direction::ToClient => self.stall_to_client,
        }
    }
}

/// What the proxy did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were passed on.
    pub accepted: u64,
    /// Connections that were reset at once, or whose server was not there.
    pub refused: u64,
    /// Connections that were cut.
    pub cut: u64,
    /// Connections of this moment.
    pub open: u64,
    /// Bytes that arrived.
    pub passed: u64,
    /// Of these, bytes that were late.
    pub delayed: u64,
    /// Bytes that arrived in drips.
    pub dripped: u64,
    /// Bytes that were held by a stall, whether they went on later or not.
    pub stalled: u64,
}

/// A running proxy; it ends with its value, and its connections with it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy before a server on 127.0.0.1. The seed decides the jitter.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(server_port: u16, seed: u64) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        eprintln!("proxy {port} before {server_port}, seed {seed}");
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        tasks.spawn(accept(listener, server, shared.clone(), ChaCha8Rng::seed_from_u64(seed)));
        Proxy { port, shared, _tasks: tasks }
    }

    /// Where to connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where to connect for a Redis behind this proxy.
    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Treats all traffic like this from now on, that of open connections too.
    pub fn set(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Passes everything on, what a stall held too.
    pub fn heal(&self) {
        self.set(Faults::default());
    }

    /// Cuts every connection, and returns when none of them is left; answers how many.
    ///
    /// # Panics
    /// When there was none.
    pub async fn cut(&self) -> u64 {
        let before = self.counts();
        assert!(before.open > 0, "no connection was there to be cut");
        self.shared.cuts.send_modify(|count| *count += 1);
        self.until("the connections are cut", |now| now.cut >= before.cut + before.open).await;
        before.open
    }

    /// Cuts every connection as soon as so many further bytes have gone in this direction: in the middle of
    /// whatever is being said there.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        *self.shared.fuse() = Some(Fuse { direction, left: bytes });
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Waits until the proxy has done something.
    ///
    /// # Panics
    /// When it does not within a deadline: the fault has no effect.
    pub async fn until(&self, what: &str, done: impl Fn(&Counts) -> bool) -> Counts {
        wait_until(EFFECT_WITHIN, what, || {
            let counts = self.counts();
            let reached = done(&counts).then_some(counts);
            async move { reached }
        })
        .await
    }
}

struct Shared {
    faults: watch::Sender<Faults>,
    /// How often everything was cut.
    cuts: watch::Sender<u64>,
    fuse: Mutex<Option<Fuse>>,
    counters: Counters,
}

impl Default for Shared {
    fn default() -> Shared {
        let (faults, cuts) = (watch::Sender::new(Faults::default()), watch::Sender::new(0));
        Shared { faults, cuts, fuse: Mutex::new(None), counters: Counters::default() }
    }
}

impl Shared {
    fn fuse(&self) -> std::sync::MutexGuard<'_, Option<Fuse>> {
        self.fuse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of this may still go on before the cut; `None` for all of it.
    fn burn(&self, direction: Direction, bytes: usize) -> Option<usize> {
        let mut fuse = self.fuse();
        let burning = fuse.as_mut().filter(|fuse| fuse.direction == direction)?;
        if bytes < burning.left {
            burning.left -= bytes;
            return None;
        }
        fuse.take().map(|fuse| fuse.left)
    }
}

struct Fuse {
    direction: Direction,
    left: usize,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    closed: AtomicU64,
    passed: AtomicU64,
    delayed: AtomicU64,
    dripped: AtomicU64,
    stalled: AtomicU64,
}

impl Counters {
    fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let (closed, cut, accepted) = (of(&self.closed), of(&self.cut), of(&self.accepted));
        Counts {
            accepted,
            refused: of(&self.refused),
            cut,
            open: accepted.saturating_sub(closed + cut),
            passed: of(&self.passed),
            delayed: of(&self.delayed),
            dripped: of(&self.dripped),
            stalled: of(&self.stalled),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::SeqCst);
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>, mut seeds: ChaCha8Rng) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let upstream = match shared.faults.borrow().refuse {
            true => None,
            false => Some(server),
        };
        let upstream = match upstream {
            Some(server) => TcpStream::connect(server).await.ok(),
            None => None,
        };
        let Some(upstream) = upstream else {
            let _ = client.set_zero_linger();
            add(&shared.counters.refused, 1);
            continue;
        };
        add(&shared.counters.accepted, 1);
        let cuts = shared.cuts.subscribe();
        let lanes = [ChaCha8Rng::from_rng(&mut seeds), ChaCha8Rng::from_rng(&mut seeds)];
        connections.spawn(serve(client, upstream, shared.clone(), cuts, lanes));
    }
}

/// Passes bytes on until both ends have closed, one is broken, or everything is cut.
async fn serve(
    mut client: TcpStream,
    mut server: TcpStream,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<u64>,
    [up, down]: [ChaCha8Rng; 2],
) {
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let lanes = async {
            tokio::try_join!(
                lane(from_client, to_server, Direction::ToServer, &shared, up),
                lane(from_server, to_client, Direction::ToClient, &shared, down),
            )
        };
        tokio::select! {
            biased;
            _ = cuts.changed() => true,
            _ = lanes => false,
        }
    };
    if cut {
        // A reset: what is still in the system's buffers is lost with it.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
    drop((client, server));
    add(if cut { &shared.counters.cut } else { &shared.counters.closed }, 1);
}

struct Chunk {
    bytes: VecDeque<u8>,
    /// Runs since the bytes arrived; `None` for bytes that are not late.
    late: Option<Pin<Box<Sleep>>>,
}

async fn lane(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    rng: ChaCha8Rng,
) -> io::Result<()> {
    let (tx, rx) = mpsc::channel(CHUNKS_HELD_MAX);
    tokio::try_join!(take_in(from, tx, shared, rng), pass_on(rx, to, direction, shared)).map(|_| ())
}

async fn take_in(
    mut from: ReadHalf<'_>,
    chunks: mpsc::Sender<Chunk>,
    shared: &Shared,
    mut rng: ChaCha8Rng,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let faults = *shared.faults.borrow();
        let wait = faults.delay + faults.jitter.mul_f64(rng.random_range(0.0..=1.0));
        let late = (!wait.is_zero()).then(|| Box::pin(sleep(wait)));
        let chunk = Chunk { bytes: buffer[..count].iter().copied().collect(), late };
        if chunks.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

async fn pass_on(
    mut chunks: mpsc::Receiver<Chunk>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
) -> io::Result<()> {
    let (counters, mut faults) = (&shared.counters, shared.faults.subscribe());
    while let Some(Chunk { mut bytes, late }) = chunks.recv().await {
        if let Some(late) = late {
            late.await;
            add(&counters.delayed, bytes.len());
        }
        while !bytes.is_empty() {
            if faults.borrow().stalls(direction) {
                add(&counters.stalled, bytes.len());
                let healed = faults.wait_for(|faults| !faults.stalls(direction)).await;
                healed.map_err(io::Error::other)?;
            }
            let drip = faults.borrow().drip;
            let piece = drip.map_or(bytes.len(), |drip| drip.bytes.clamp(1, bytes.len()));
            let cut_after = shared.burn(direction, piece);
            let piece = cut_after.unwrap_or(piece);
            let out: Vec<u8> = bytes.drain(..piece).collect();
            to.write_all(&out).await?;
            add(&counters.passed, piece);
            if cut_after.is_some() {
                shared.cuts.send_modify(|count| *count += 1);
                std::future::pending::<()>().await;
            }
            if let Some(drip) = drip {
                add(&counters.dripped, piece);
                sleep(drip.every).await;
            }
        }
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests;
