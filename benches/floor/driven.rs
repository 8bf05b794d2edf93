//! A floor that ticks when a test tells it to, so that every count is known beforehand. It runs in a thread of its own and
//! ends with its handle.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::Events;

use super::{EVENTS_MAX, Mode, Server, Settings};

/// How long it waits for connections and inputs before it looks for orders.
const LOOK_EVERY: Duration = Duration::from_millis(1);

enum Order {
    /// So many ticks of every match.
    Tick(u32),
    /// So many ticks without an update, as if all sockets were full.
    LeaveOut(u32),
    /// Tells how many inputs have come.
    Count(Sender<u64>),
}

/// A floor that runs.
pub(crate) struct Driven {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Driven {
    /// Starts it; its updates have so many bytes.
    pub(crate) fn start(mode: Mode, bytes: usize) -> Driven {
        // The rate says that there are ticks; nobody keeps to it here.
        let settings =
            Settings { listen: (Ipv4Addr::LOCALHOST, 0).into(), mode, tick_rate: 20.0, bytes, phases: 1 };
        let mut server = Server::bind(settings).expect("a free port");
        let address = server.listener.local_addr().expect("a bound socket has an address");
        let (orders, incoming) = channel();
        let thread = Some(thread::spawn(move || server.obey(&incoming)));
        Driven { address, orders: Some(orders), thread }
    }

    fn order(&self, order: Order) {
        let orders = self.orders.as_ref().expect("it runs as long as its handle");
        orders.send(order).expect("the floor runs");
    }

    /// So many ticks, one right behind the other.
    pub(crate) fn tick(&self, count: u32) {
        self.order(Order::Tick(count));
    }

    /// So many ticks that nobody gets an update of.
    pub(crate) fn leave_out(&self, count: u32) {
        self.order(Order::LeaveOut(count));
    }

    /// Inputs that have come.
    pub(crate) fn inputs(&self) -> u64 {
        let (answer, answers) = channel();
        self.order(Order::Count(answer));
        answers.recv().expect("the floor answers")
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.orders = None;
        // A floor that failed has told why; its test fails for want of updates.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Server {
    fn obey(&mut self, orders: &Receiver<Order>) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.listen_for(&mut events, Some(LOOK_EVERY)).expect("the system tells of connections");
            match orders.try_recv() {
                Ok(Order::Tick(count)) => (0..count).for_each(|_| self.tick(0)),
                Ok(Order::LeaveOut(count)) => {
                    for game in &mut self.matches {
                        (0..count).for_each(|_| game.frame.advance());
                    }
                }
                Ok(Order::Count(answer)) => {
                    (0..self.connections.len()).for_each(|at| self.read(at));
                    let _ = answer.send(self.inputs);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }
}
