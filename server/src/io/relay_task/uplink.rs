//! What a node's players of one match say, on its way to the owner: gathered without waking anybody, sent together. An
//! owner on the same node takes it out by itself as it makes a tick; nothing is sent to the store then.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::{MatchId, Replica};
use tokio::sync::Notify;

use crate::backplane::Backplane;
use crate::io::clock;
use crate::io::node::Node;
use crate::logic::channel::{self, UPSTREAM_BATCH_MAX, Upstream};
use crate::logic::gather::Gather;
use crate::logic::vouch::{Made, Vouch};

/// Messages that wait to go upstream; more are refused.
const WAITING_MAX: usize = 4096;

/// What waits to go upstream. Connections and the relay fill it; a [`Tap`] empties it, or else [`Uplink::run`].
pub struct Uplink {
    state: Mutex<State>,
    /// What an owner on this node says of its ticks.
    vouch: Mutex<Vouch>,
    /// Something waits to be sent, or there is an end to it.
    wake: Notify,
    /// Something waits that ends a rest of the owner on this node.
    rouse: Notify,
    /// Messages were lost, and those after them get through.
    lost: AtomicBool,
}

struct State {
    waiting: Vec<Upstream>,
    gather: Gather,
    closed: bool,
    /// Owners on this node; for a moment there may be two.
    taps: usize,
    /// One of them lets its ticks wait until something is said.
    rests: bool,
}

/// What an owner on the same node takes its players' messages from. While there is one, none goes to the store.
pub struct Tap {
    uplink: Arc<Uplink>,
}

impl Tap {
    /// Of this uplink.
    pub fn new(uplink: Arc<Uplink>) -> Tap {
        uplink.lock().taps += 1;
        Tap { uplink }
    }

    /// Moves what waits to the empty `out`.
    pub fn take(&self, out: &mut Vec<Upstream>) {
        let mut state = self.uplink.lock();
        state.rests = false;
        mem::swap(&mut state.waiting, out);
    }

    /// Says that the owner lets its ticks wait; `false` if something was said that it has not taken yet.
    pub fn rest(&self) -> bool {
        let mut state = self.uplink.lock();
        state.rests = !state.waiting.iter().any(Upstream::ends_rest);
        state.rests
    }

    /// Waits until something is said during a rest. May come without that, once.
    pub async fn roused(&self) {
        self.uplink.rouse.notified().await;
    }

    /// Tells the relay that the owner has made a tick, with its state if the relay wants that.
    pub fn vouch(&self, message: &Bytes, state: impl FnOnce() -> Replica) {
        self.uplink.lock_vouch().handle_made(message, state);
    }

    /// Whether nothing will come any more: the match is not followed here, or by another relay.
    pub fn is_closed(&self) -> bool {
        self.uplink.lock().closed
    }
}

impl Drop for Tap {
    /// What waits is sent from now on, and goes to the next owner.
    fn drop(&mut self) {
        self.uplink.lock().taps -= 1;
        self.uplink.wake.notify_one();
    }
}

impl Uplink {
    /// Of a match with this time between two ticks.
    pub fn new(period: Duration) -> Uplink {
        let state =
            State { waiting: Vec::new(), gather: Gather::new(period), closed: false, taps: 0, rests: false };
        Uplink {
            state: Mutex::new(state),
            vouch: Mutex::default(),
            wake: Notify::new(),
            rouse: Notify::new(),
            lost: AtomicBool::new(false),
        }
    }

    /// Lets a message go up with the next ones; `false` if too much waits, or the match is not followed any more.
    pub fn push(&self, upstream: Upstream) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.waiting.len() >= WAITING_MAX {
            self.lost.store(true, Ordering::Relaxed);
            return false;
        }
        let rouses = state.rests && upstream.ends_rest();
        state.rests &= !rouses;
        state.waiting.push(upstream);
        let wakes = state.waiting.len() == 1 && state.taps == 0;
        drop(state);
        if rouses {
            self.rouse.notify_one();
        }
        if wakes {
            self.wake.notify_one();
        }
        true
    }

    /// Whether an owner on this node has made the tick of this message. `wants_state`: of one that it makes next, the
    /// state after it is to come along.
    pub fn take_made(&self, message: &Bytes, wants_state: bool) -> Option<Made> {
        let mut vouch = self.lock_vouch();
        if wants_state {
            vouch.want_state();
        }
        vouch.take(message)
    }

    /// A tick of the owner was heard.
    pub fn handle_tick(&self, now: Instant) {
        self.lock().gather.handle_tick(now);
    }

    /// Whether messages were lost since this was last asked, and others got through after them.
    pub fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// Nothing further is taken; what waits still goes up.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Sends what gathers, until there is an end to it. What did not get through is found again: clients are asked for
    /// their inputs as soon as a message does, and all else is repeated or runs out.
    pub async fn run<B: Backplane>(&self, node: &Node<B>, id: &MatchId) {
        let mut failed = false;
        while let Some(due) = self.begun().await {
            tokio::time::sleep_until(due.into()).await;
            // If an owner has come to this node meanwhile, it is an owner all the same.
            let gathered = mem::take(&mut self.lock().waiting);
            for batch in gathered.chunks(UPSTREAM_BATCH_MAX) {
                match node.backplane.send_input(id, channel::encode_upstream(batch)).await {
                    Ok(()) if mem::take(&mut failed) => self.lost.store(true, Ordering::Relaxed),
                    Ok(()) => {}
                    Err(error) => {
                        node.metrics.inputs_lost.add(batch.len() as u64);
                        if !mem::replace(&mut failed, true) {
                            tracing::warn!(%id, %error, "inputs do not get through, asked for again when they do");
                        }
                    }
                }
            }
        }
    }

    /// Waits until something waits, and tells when it is to go; `None` at the end.
    async fn begun(&self) -> Option<Instant> {
        loop {
            {
                let state = self.lock();
                if !state.waiting.is_empty() && (state.taps == 0 || state.closed) {
                    let now = clock::now();
                    return Some(if state.closed { now } else { state.gather.due(now) });
                }
                if state.closed {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    fn lock_vouch(&self) -> MutexGuard<'_, Vouch> {
        self.vouch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
