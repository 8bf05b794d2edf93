//! What it costs to send one diff to many clients, per client: through the queues alone, and into real
//! sockets whose other ends are read. The frame is built once, as a relay does it.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use tickcast_server::io::sink::{Sink, ws_frames};
use tickcast_server::io::transport::Transport;
use tickcast_server::logic::outbox::Outbox;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Bytes of a small match's diff and of a large one's.
const DIFF_BYTES: [usize; 2] = [150, 1_000];
/// Queues that one diff goes to.
const OUTBOXES: usize = 1_000;
/// Sockets that one diff goes to; each needs two file descriptors.
const SOCKETS: usize = 200;

/// Clients that read whatever comes, and the server's ends of their connections.
struct Clients {
    sinks: Vec<Arc<Sink>>,
    received: watch::Receiver<u64>,
}

/// Connects the clients, who read in the background for as long as the runtime lives.
async fn connect() -> Clients {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let (counter, received) = watch::channel(0);
    let counter = Arc::new(counter);
    let runtime = tokio::runtime::Handle::current();
    let mut sinks = Vec::with_capacity(SOCKETS);
    for _ in 0..SOCKETS {
        let client = TcpStream::connect(address).await.expect("our own listener accepts");
        let (server, _) = listener.accept().await.expect("our own client connects");
        server.set_nodelay(true).expect("an open socket");
        runtime.spawn(read(client, Arc::clone(&counter)));
        let server = server.into_std().expect("it is registered");
        let sink = Arc::new(Sink::new(Transport::Plain(mio::net::TcpStream::from_std(server)), || ()));
        sinks.push(sink);
    }
    Clients { sinks, received }
}

async fn read(mut socket: TcpStream, counter: Arc<watch::Sender<u64>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = socket.read(&mut buffer).await {
        counter.send_modify(|total| *total += count as u64);
    }
}

fn queues(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out to outboxes");
    group.throughput(Throughput::Elements(OUTBOXES as u64));
    let mut outboxes: Vec<Outbox> = (0..OUTBOXES).map(|_| Outbox::default()).collect();
    for size in DIFF_BYTES {
        let frame = Bytes::from(vec![7; size]);
        group.bench_function(BenchmarkId::from_parameter(format!("{size} bytes")), |bencher| {
            bencher.iter(|| {
                let framed = ws_frames(&[black_box(&frame)]);
                for outbox in &mut outboxes {
                    outbox.push_state(framed.clone());
                }
                for outbox in &mut outboxes {
                    let count = outbox.front().map_or(0, |front| front.len());
                    outbox.handle_written(count);
                }
            });
        });
    }
    group.finish();
    assert!(outboxes.iter().all(|outbox| outbox.front().is_none()), "everything was taken out");
}

fn sockets(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let Clients { sinks, mut received } = runtime.block_on(connect());
    let mut group = criterion.benchmark_group("fan-out to sockets");
    group.throughput(Throughput::Elements(SOCKETS as u64));
    let mut sent = 0;
    for size in DIFF_BYTES {
        let frame = Bytes::from(vec![7; size]);
        let on_the_wire = (ws_frames(&[&frame]).len() * SOCKETS) as u64;
        group.bench_function(BenchmarkId::from_parameter(format!("{size} bytes")), |bencher| {
            bencher.iter_batched(
                || {
                    // Between two ticks everybody has read the last one: that time is not measured.
                    let all = received.wait_for(|total| *total >= sent);
                    runtime.block_on(async { all.await.map(|total| *total) }).expect("readers run");
                    sent += on_the_wire;
                },
                |()| {
                    let framed = ws_frames(&[black_box(&frame)]);
                    for sink in &sinks {
                        assert!(sink.send_state(framed.clone()), "a small frame fits an empty socket");
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    queues(&mut criterion);
    sockets(&mut criterion);
    criterion.final_summary();
}
