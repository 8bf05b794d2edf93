//! One reader's thread: waits until sockets have something, serves all of them, rests a moment, waits again.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use tokio::runtime::Handle;

use super::connection::{Connection, Goes};
use super::{Address, Inbox, Order, tell};
use crate::backplane::Backplane;
use crate::io::clock;
use crate::io::gate::Pass;
use crate::io::node::Node;
use crate::io::relay_task::RelayCommand;
use crate::io::sink::{AHEAD, Sink};
use crate::io::transport::Transport;

/// How long a reader rests after a pass in which there was something to do. It is short against a tick, and inputs go
/// up shortly before the owner's next tick anyway; the answer to a ping may be late by as much.
const REST: Duration = Duration::from_millis(2);
/// How long whoever is to be looked at waits for others: the times are of seconds, and each pass is a wake-up.
const GATHER: Duration = Duration::from_millis(50);
/// Sockets of one pass.
const EVENTS_MAX: usize = 1024;
/// Bytes read from a socket at once.
const READ_BYTES: usize = 16 * 1024;
/// The waker's; connections have their numbers.
const WAKER: Token = Token(usize::MAX);

/// Reads its share of a node's connections.
pub(super) struct Reader<B: Backplane> {
    node: Arc<Node<B>>,
    poll: Poll,
    inbox: Arc<Inbox>,
    /// By their numbers, which later connections get again: what comes late for one that is gone must not harm them.
    connections: Slab<Box<Connection<B>>>,
    /// When connections want to be looked at; what is out of date is passed over.
    due: BTreeSet<(Instant, usize)>,
    /// Those that had more to read than one pass takes from them.
    again: Vec<usize>,
    buffer: Vec<u8>,
    stops: bool,
}

impl<B: Backplane> Reader<B> {
    pub(super) fn new(node: Arc<Node<B>>) -> io::Result<Reader<B>> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox = Arc::new(Inbox { orders: std::sync::Mutex::new(Some(Vec::new())), waker });
        Ok(Reader {
            node,
            poll,
            inbox,
            connections: Slab::new(),
            due: BTreeSet::new(),
            again: Vec::new(),
            buffer: vec![0; READ_BYTES],
            stops: false,
        })
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Serves until the node stops. What connections start runs on `runtime`.
    pub(super) fn run(mut self, runtime: &Handle) {
        let _entered = runtime.enter();
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.stops {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "connections cannot be read");
            }
            self.pass(&events);
            if self.again.is_empty() {
                thread::sleep(REST);
            }
        }
        let late = self.inbox.close();
        late.into_iter().for_each(|order| self.handle_order(order, clock::now()));
        self.connections.drain().for_each(|connection| connection.part());
    }

    /// How long nothing has to be done unless a socket has something or somebody calls.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        self.due.first().map(|(due, _)| (*due + GATHER).saturating_duration_since(clock::now()))
    }

    fn pass(&mut self, events: &Events) {
        let now = clock::now();
        for order in self.inbox.take() {
            self.handle_order(order, now);
        }
        for number in std::mem::take(&mut self.again) {
            self.with(number, now, |connection, buffer| connection.read(buffer, true, now));
        }
        let mut ahead = events.iter();
        for (at, event) in events.iter().enumerate() {
            if at % AHEAD == 0 {
                ahead.by_ref().take(AHEAD).for_each(|event| self.warm(event.token(), now));
            }
            if event.token() == WAKER {
                continue;
            }
            self.with(event.token().0, now, |connection, buffer| {
                if event.is_writable() {
                    connection.handle_writable();
                }
                let ends = event.is_read_closed() || event.is_error();
                if ends || event.is_readable() { connection.read(buffer, ends, now) } else { Goes::On }
            });
        }
        while let Some((due, number)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.pop_first();
            if self.connections.get(number).is_some_and(|connection| connection.is_due(due)) {
                self.with(number, now, |connection, _| connection.handle_due(now));
            }
        }
    }

    fn handle_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Serve(transport, early, pass) => self.serve(transport, early, pass, now),
            Order::Look(number) => self.with(number, now, |_, _| Goes::On),
            Order::Joined(number, session, answer) => {
                if self.connections.get(number).is_some_and(|connection| connection.is(session)) {
                    self.with(number, now, |connection, buffer| {
                        connection.handle_joined(answer, buffer, now)
                    });
                } else if let Ok(joined) = answer {
                    tell(&self.node, &joined.relay, RelayCommand::Leave { session, for_good: false });
                }
            }
            Order::Stop => self.stops = true,
        }
    }

    fn serve(&mut self, mut transport: Transport, early: Bytes, pass: Pass, now: Instant) {
        let place = self.connections.vacant_entry();
        let number = place.key();
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(transport.socket(), Token(number), both) {
            tracing::warn!(%error, "a connection cannot be watched");
            return;
        }
        let address = Address { inbox: Arc::clone(&self.inbox), number };
        let calls = address.clone();
        let sink = Arc::new(Sink::new(transport, move || calls.look()));
        let connection = Connection::new(Arc::clone(&self.node), sink, address, (early, pass), now);
        place.insert(Box::new(connection));
        self.with(number, now, |connection, buffer| connection.read(buffer, true, now));
    }

    /// Asks the memory for what a read of this connection needs: of several at once, it takes hardly longer than of one.
    fn warm(&self, token: Token, now: Instant) {
        if let Some(connection) = self.connections.get(token.0) {
            connection.warm(now);
        }
    }

    /// Does something with a connection, then what follows from it: it may be over, or want to be looked at earlier.
    /// A panic is that connection's end and nobody else's.
    fn with(&mut self, number: usize, now: Instant, act: impl FnOnce(&mut Connection<B>, &mut [u8]) -> Goes) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let buffer = &mut self.buffer;
        let acting = AssertUnwindSafe(|| {
            let goes = act(connection, buffer);
            connection.settle(goes, now)
        });
        let goes = catch_unwind(acting);
        match goes {
            Ok(Goes::On) => {}
            Ok(Goes::Again) => self.again.push(number),
            Ok(Goes::Away) | Err(_) => {
                if goes.is_err() {
                    tracing::error!("the server's half of a connection panicked: it is closed");
                }
                self.connections.remove(number).part();
                return;
            }
        }
        if let Some(due) = connection.reschedule() {
            self.due.insert((due, number));
        }
    }
}
