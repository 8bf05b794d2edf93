//! The connections of a node: a few threads read all sockets, each its share, and tell sessions what comes. Sockets are
//! read in passes: what arrives while a thread rests waits for its next pass, so that one wake-up serves many clients.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError};
use std::thread;

use bytes::Bytes;
use mio::Waker;
use tickcast_protocol::SessionId;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::backplane::Backplane;
use crate::io::gate::Pass;
use crate::io::node::{Node, Refusal};
use crate::io::relay_task::{Joined, RelayCommand};
use crate::io::transport::Transport;

mod connection;
pub mod intake;
mod reader;

use reader::Reader;

/// The threads that read a node's connections; started with the first connection.
#[derive(Default)]
pub struct Readers {
    inboxes: OnceLock<Vec<Arc<Inbox>>>,
    next: AtomicUsize,
}

/// What a reader's thread is told by others.
enum Order {
    /// A socket is to be served; these bytes of it have been read. It is let in for as long as it is there.
    Serve(Transport, Bytes, Pass),
    /// This connection's sink has come to an end, or is about to.
    Look(usize),
    /// What came of this connection's wish to join.
    Joined(usize, SessionId, Result<Joined, Refusal>),
    /// The node stops: every connection ends now.
    Stop,
}

/// Orders that wait for a reader: a few for each of its connections at most.
struct Inbox {
    /// `None` when the reader is gone.
    orders: std::sync::Mutex<Option<Vec<Order>>>,
    waker: Waker,
}

impl Inbox {
    /// Lets the reader know; an order that comes after its end is dropped.
    fn put(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = orders.as_mut() {
            waiting.push(order);
            // Whoever put the first one has woken it.
            if waiting.len() == 1 {
                let _ = self.waker.wake();
            }
        }
    }

    fn take(&self) -> Vec<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) -> Vec<Order> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

impl Readers {
    /// Ends every connection that is still there, and the threads.
    pub fn stop(&self) {
        self.inboxes.get().into_iter().flatten().for_each(|inbox| inbox.put(Order::Stop));
    }

    fn next<B: Backplane>(&self, node: &Arc<Node<B>>) -> Option<&Arc<Inbox>> {
        let inboxes = self.inboxes.get_or_init(|| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            (0..threads).filter_map(|number| start(node, number)).collect()
        });
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        inboxes.get(turn.checked_rem(inboxes.len())?)
    }
}

/// A thread of its own; `None`, and a complaint, if the system has none.
fn start<B: Backplane>(node: &Arc<Node<B>>, number: usize) -> Option<Arc<Inbox>> {
    let started = Reader::new(Arc::clone(node)).and_then(|reader| {
        let (inbox, runtime) = (reader.inbox(), Handle::current());
        let name = format!("reader-{number}");
        thread::Builder::new().name(name).spawn(move || reader.run(&runtime))?;
        Ok(inbox)
    });
    started.inspect_err(|error| tracing::error!(%error, "a reader of connections does not start")).ok()
}

/// Where a connection's reader hears of it.
#[derive(Clone)]
struct Address {
    inbox: Arc<Inbox>,
    number: usize,
}

impl Address {
    /// Its sink has come to an end, or is about to.
    fn look(&self) {
        self.inbox.put(Order::Look(self.number));
    }

    /// Its wish to join was answered.
    fn joined(&self, session: SessionId, answer: Result<Joined, Refusal>) {
        self.inbox.put(Order::Joined(self.number, session, answer));
    }
}

/// Tells a relay something that it must hear: where its queue is full just now, as soon as it is not.
fn tell<B: Backplane>(node: &Node<B>, relay: &mpsc::Sender<RelayCommand>, command: RelayCommand) {
    if let Err(TrySendError::Full(command)) = relay.try_send(command) {
        let relay = relay.clone();
        node.tasks.spawn(async move { drop(relay.send(command).await) });
    }
}

/// Takes over a socket whose HTTP request was answered with the switch to WebSocket. Some bytes may have come early.
pub fn serve<B: Backplane>(
    node: &Arc<Node<B>>,
    transport: Transport,
    early: Bytes,
    pass: Pass,
) -> io::Result<()> {
    let inbox = node.readers.next(node).ok_or_else(|| io::Error::other("there is no thread to read it"))?;
    inbox.put(Order::Serve(transport, early, pass));
    Ok(())
}
