//! Which state frame each client of a match gets next. A client in step gets what everybody gets. For a slow one
//! nothing is queued: one state frame is under way to it, and when that is out, whatever it missed comes as one,
//! a catch-up or a snapshot. Memory and work are for the slow alone, and shared by those who are alike. Of a match in
//! segments everybody gets what is cut for the view.

mod cuts;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use tickcast_protocol::limits::HASH_EVERY_TICKS_MAX;
use tickcast_protocol::{Fence, Position, Replica, Tick, World, frame, snapshot};

use crate::logic::quiet::{Passing, Quiet};
use crate::logic::views::View;
use cuts::{Cuts, Since};

/// How long one state frame may be under way before the client is closed.
pub const BEHIND_MAX: Duration = Duration::from_secs(5);
/// States kept for slow clients, each a whole world; whoever would need one more gets snapshots.
pub const BASES_MAX: usize = 16;

/// Puts frames into the form in which they go over a socket, one behind the other.
pub type Seal = fn(&[&[u8]]) -> Bytes;

/// A state that slow clients have, or will have when what is under way to them has arrived. Made exactly as a
/// client makes its own: what a catch-up leaves unknown is unknown here too.
#[derive(Debug)]
struct Base {
    world: World,
    position: Position,
    /// Number of the prior that the next diff is coded with.
    prior: u8,
    /// Steps before the last tick that are known.
    known: u8,
}

impl Base {
    /// Whether what comes next is what everybody gets who stands at one of these ticks: all are alike to it.
    fn is_in_step(&self, since: Tick) -> bool {
        self.known == STEPS_KNOWN_MAX && self.position.tick >= since
    }

    /// The way to a replica's state, if one catch-up leads there: its owner and its prior have to be the same.
    fn leap_to(&self, replica: &Replica) -> Option<Leap> {
        let to = replica.position();
        let span = to.tick.0.checked_sub(self.position.tick.0)?;
        let goes_on = to.fence == self.position.fence && replica.prior().number() == self.prior;
        let within = (1..=u64::from(frame::SPAN_MAX)).contains(&span);
        (goes_on && within).then_some(Leap { span: span as u32, known: self.known })
    }
}

/// How a client stands to the match. A new one has nothing.
#[derive(Debug, Default)]
pub struct Standing {
    has: Has,
    /// Since which tick its socket has not taken what was under way.
    busy_since: Option<Instant>,
    /// What it sees of a match in segments, by the last frame that it got.
    view: Option<View>,
    /// The last announcement of an owner that it has got, in an OWNER or by a snapshot; `None` before the first frame.
    announced: Option<Announced>,
}

/// The owner as it was announced last, and how many announcements there were: one with the same fence says that
/// inputs were lost.
type Announced = (Fence, u64);

#[derive(Debug, Default)]
enum Has {
    /// Nothing that a frame could go on from: it needs a snapshot.
    #[default]
    Nothing,
    /// This state, once what is under way has arrived.
    Base(Arc<Base>),
    /// All of its view as of then, of a match in segments.
    Since(Since),
    /// The last tick's state, and it reads diffs.
    Everything,
}

impl Standing {
    /// Whether the client has all that was sent to everybody.
    pub fn is_in_step(&self) -> bool {
        matches!(self.has, Has::Everything)
    }

    /// Whether the state is needed to tell what it gets next, seeing this of a match in segments.
    pub fn needs_state(&self, view: Option<&View>) -> bool {
        !self.is_in_step() || self.view.as_ref() != view
    }

    /// What the client has is of no use, to it or to us: only a snapshot helps.
    pub fn lose(&mut self) {
        self.has = Has::Nothing;
    }
}

/// What to do with a client.
#[derive(Debug)]
pub enum Next {
    /// Nothing for now.
    Wait,
    /// Send this, and tell [`Laggards::handle_sent`] whether all of it went out.
    Send(Frame),
    /// Close it: it has been behind for too long.
    TooSlow,
}

/// A state frame, or the frames of a tick.
#[derive(Debug, Clone)]
pub struct Frame {
    /// As it goes over the socket.
    pub bytes: Bytes,
    leads: Leads,
    /// What the client sees with it, of a match in segments.
    view: Option<View>,
}

/// What a client has that has got a frame.
#[derive(Debug, Clone)]
enum Leads {
    Tick,
    Snapshot { was_slow: bool },
    CatchUp { leap: Leap, payload: Bytes },
    Leap,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times a client was sent something of the state.
    pub frames: u64,
    /// Bytes of that.
    pub bytes: u64,
    /// Catch-ups.
    pub catch_ups: u64,
    /// Snapshots for clients that had been too slow for ticks.
    pub snapshots_for_slow: u64,
}

/// What is kept for the clients of one match, most of it for one tick.
#[derive(Debug)]
pub struct Laggards {
    seal: Seal,
    cuts: Cuts,
    quiet: Quiet,
    /// The frames of the last tick; `None` while it is held back.
    tick: Option<Bytes>,
    /// Who has this tick, or one after it, gets what everybody gets.
    since: Tick,
    /// OWNER frames so far.
    announcements: u64,
    /// By whether an OWNER comes behind it.
    snapshots: BTreeMap<bool, Bytes>,
    /// By the tick and the steps known of the base, which tell it from every other, and as above.
    catch_ups: BTreeMap<(Tick, u8, bool), Frame>,
    bases: Vec<Weak<Base>>,
    counts: Counts,
}

impl Laggards {
    /// Keeps nothing yet.
    pub fn new(seal: Seal, quiet: Quiet) -> Laggards {
        Laggards {
            seal,
            cuts: Cuts::default(),
            quiet,
            tick: None,
            since: Tick(0),
            announcements: 0,
            snapshots: BTreeMap::new(),
            catch_ups: BTreeMap::new(),
            bases: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// There is a new tick, or several at once, that these frames lead to, where the state has this hash; something was
    /// said with it, or not. Ask for every client what comes [`Laggards::next`].
    pub fn handle_tick(&mut self, tick: Tick, frames: &[Bytes], hash: u32, says: bool) {
        self.forget();
        let announces = |frame: &&Bytes| frame.first() == Some(&frame::OWNER);
        self.announcements += frames.iter().filter(announces).count() as u64;
        if frames.iter().any(cuts::is_in_segments) {
            return self.cuts.handle_ticks(frames);
        }
        let (since, sealed) = match self.quiet.handle_tick(tick, frames, hash, says) {
            Passing::Held => (tick.0.saturating_sub(self.quiet.held()), None),
            Passing::Sent { frames, after } => {
                let sealed = (self.seal)(&frames.iter().map(|frame| &frame[..]).collect::<Vec<_>>());
                (tick.0.saturating_sub(after + 1), Some(sealed))
            }
        };
        (self.since, self.tick) = (Tick(since), sealed);
    }

    /// Whether the last tick is held back: then nobody who is in step gets anything.
    pub fn is_held(&self) -> bool {
        self.quiet.held() > 0 && self.tick.is_none()
    }

    /// The state of this replica was loaded. Every client has to [`Standing::lose`] what it has.
    pub fn handle_load(&mut self, replica: &Replica) {
        let world = replica.world();
        self.quiet.handle_load(world.hash(), world.is_at_rest());
        self.forget();
        self.cuts.handle_load();
    }

    fn forget(&mut self) {
        self.snapshots.clear();
        self.catch_ups.clear();
    }

    /// What has been sent since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What a client gets now: after each tick, and at once when it has nothing; of a match in segments what is in the
    /// `view` that it has from now on. `clear` tells whether no state frame waits for its socket, wholly or in part;
    /// nobody in step is asked.
    pub fn next(
        &mut self,
        now: Instant,
        replica: &Replica,
        standing: &mut Standing,
        view: Option<&View>,
        clear: impl FnOnce() -> bool,
    ) -> Next {
        if replica.is_broken() {
            return Next::Wait;
        }
        if let Has::Everything = standing.has {
            return match view {
                None => self.tick(),
                Some(view) => Next::Send(self.cut(replica, standing, view, false)),
            };
        }
        if !clear() {
            let is_lost = match &standing.has {
                Has::Base(base) => base.leap_to(replica).is_none(),
                Has::Since(since) => since.span_to(replica).is_none(),
                Has::Nothing | Has::Everything => false,
            };
            if is_lost {
                standing.lose();
            }
            let since = *standing.busy_since.get_or_insert(now);
            return if now >= since + BEHIND_MAX { Next::TooSlow } else { Next::Wait };
        }
        let was_busy = standing.busy_since.take().is_some();
        let announce = self.owes_announcement(replica, standing);
        if let Some(view) = view {
            return Next::Send(match standing.has {
                Has::Nothing => self.view(replica, view, was_busy, announce),
                _ => self.cut(replica, standing, view, announce),
            });
        }
        Next::Send(match &standing.has {
            Has::Base(base) if base.is_in_step(self.since) => return self.tick(),
            Has::Base(base) => match base.leap_to(replica) {
                Some(leap) => self.catch_up_or_snapshot(replica, base, leap, announce),
                None => self.snapshot(replica, true, announce),
            },
            _ => self.snapshot(replica, was_busy, announce),
        })
    }

    fn tick(&self) -> Next {
        let frame = |bytes: &Bytes| Frame { bytes: bytes.clone(), leads: Leads::Tick, view: None };
        self.tick.as_ref().map_or(Next::Wait, |bytes| Next::Send(frame(bytes)))
    }

    /// What leads a client of a match in segments on from what it has: the tick, as a rule.
    fn cut(&mut self, replica: &Replica, standing: &Standing, view: &View, announce: bool) -> Frame {
        let since = match standing.has {
            Has::Since(since) => Some(since),
            _ if self.cuts.is_one_tick() => None,
            _ => match self.cuts.missed_since(replica) {
                Some(since) => Some(since),
                None => return self.view(replica, view, false, announce),
            },
        };
        let before = standing.view.as_ref().unwrap_or(view);
        let turn = (Arc::clone(before), Arc::clone(view));
        let reads_diff =
            |since: &Since| self.cuts.is_one_tick() && since.position.tick.next() == replica.position().tick;
        let (bytes, leads) = match since.filter(|since| !reads_diff(since)) {
            None => (self.cuts.tick(self.seal, replica, turn), Leads::Tick),
            Some(since) => match since.span_to(replica) {
                Some(span) => {
                    let from = (since.position.tick, span);
                    (self.cuts.leap(self.seal, replica, from, turn, announce), Leads::Leap)
                }
                None => return self.view(replica, view, true, announce),
            },
        };
        Frame { bytes, leads, view: Some(Arc::clone(view)) }
    }

    fn view(&mut self, replica: &Replica, view: &View, was_slow: bool, announce: bool) -> Frame {
        let bytes = self.cuts.view(self.seal, replica, view, announce);
        Frame { bytes, leads: Leads::Snapshot { was_slow }, view: Some(Arc::clone(view)) }
    }

    /// Whether the client would not learn from a catch-up or a snapshot that it has to send its inputs again: it has
    /// missed an OWNER, and the fence is the one that it knows.
    fn owes_announcement(&self, replica: &Replica, standing: &Standing) -> bool {
        let fence = replica.position().fence;
        standing.announced.is_some_and(|(known, count)| known == fence && count != self.announcements)
    }

    fn snapshot(&mut self, replica: &Replica, was_slow: bool, announce: bool) -> Frame {
        let seal = self.seal;
        let whole = || sealed(seal, replica, &snapshot_of(replica), announce);
        let bytes = self.snapshots.entry(announce).or_insert_with(whole);
        Frame { bytes: bytes.clone(), leads: Leads::Snapshot { was_slow }, view: None }
    }

    /// The smaller one. A single tick is never worth a snapshot.
    fn catch_up_or_snapshot(&mut self, replica: &Replica, base: &Base, leap: Leap, announce: bool) -> Frame {
        let seal = self.seal;
        let key = (base.position.tick, base.known, announce);
        let catch_up = self.catch_ups.entry(key).or_insert_with(|| {
            let (payload, whole) = catch_up_of(replica, base, leap);
            let leads = Leads::CatchUp { leap, payload: payload.into() };
            Frame { bytes: sealed(seal, replica, &whole, announce), leads, view: None }
        });
        let catch_up = catch_up.clone();
        if leap.span == 1 {
            return catch_up;
        }
        let snapshot = self.snapshot(replica, true, announce);
        if snapshot.bytes.len() < catch_up.bytes.len() { snapshot } else { catch_up }
    }

    /// A frame was sent; `whole` if nothing of it waits.
    pub fn handle_sent(&mut self, replica: &Replica, standing: &mut Standing, sent: &Frame, whole: bool) {
        self.count(sent);
        standing.announced = Some((replica.position().fence, self.announcements));
        let before = std::mem::take(&mut standing.has);
        standing.view.clone_from(&sent.view);
        if sent.view.is_some() {
            standing.has = if whole { Has::Everything } else { Has::Since(Since::of(replica)) };
            return;
        }
        let known = match &sent.leads {
            Leads::Tick | Leads::Snapshot { .. } | Leads::Leap => STEPS_KNOWN_MAX,
            Leads::CatchUp { leap, .. } => leap.known_after(),
        };
        standing.has = if known == STEPS_KNOWN_MAX && whole {
            Has::Everything
        } else {
            let world = || match (&sent.leads, before) {
                (Leads::CatchUp { leap, payload }, Has::Base(base)) if known < STEPS_KNOWN_MAX => {
                    let mut world = base.world.clone();
                    catch_up::apply(&mut world, *leap, payload).is_ok().then_some(world)
                }
                _ => Some(replica.world().clone()),
            };
            self.base(replica, known, world).map_or(Has::Nothing, Has::Base)
        };
    }

    /// The base of the last tick with so many steps known: one for all.
    fn base(
        &mut self,
        replica: &Replica,
        known: u8,
        world: impl FnOnce() -> Option<World>,
    ) -> Option<Arc<Base>> {
        self.bases.retain(|base| base.strong_count() > 0);
        let position = replica.position();
        let mut kept = self.bases.iter().filter_map(Weak::upgrade);
        let found = kept.find(|base| base.position == position && base.known == known);
        if found.is_some() || self.bases.len() >= BASES_MAX {
            return found;
        }
        let base = Arc::new(Base { world: world()?, position, prior: replica.prior().number(), known });
        self.bases.push(Arc::downgrade(&base));
        Some(base)
    }

    fn count(&mut self, sent: &Frame) {
        self.counts.frames += 1;
        self.counts.bytes += sent.bytes.len() as u64;
        match sent.leads {
            Leads::Tick | Leads::Snapshot { was_slow: false } => {}
            Leads::Snapshot { was_slow: true } => self.counts.snapshots_for_slow += 1,
            Leads::CatchUp { .. } | Leads::Leap => self.counts.catch_ups += 1,
        }
    }
}

/// A state frame that leads to a replica's state, and behind it, if that is owed, the OWNER that was jumped over.
fn sealed(seal: Seal, replica: &Replica, state: &[u8], announce: bool) -> Bytes {
    if announce { seal(&[state, &frame::owner(replica.position())]) } else { seal(&[state]) }
}

/// A snapshot frame of a replica's state, with what its next diff is coded with.
fn snapshot_of(replica: &Replica) -> Vec<u8> {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    replica.prior().encode(&mut prior);
    snapshot::encode(replica.world(), &mut payload);
    frame::snapshot(replica.position(), replica.world().hash(), &prior, &payload)
}

/// The payload of a catch-up from a base to a replica's state, and the whole frame. It carries the hash where it
/// leads over a tick whose diff has to carry one, so that nobody goes on for longer without a check.
fn catch_up_of(replica: &Replica, base: &Base, leap: Leap) -> (Vec<u8>, Vec<u8>) {
    let (from, to) = (base.position.tick.0, replica.position());
    let due = from / HASH_EVERY_TICKS_MAX != to.tick.0 / HASH_EVERY_TICKS_MAX;
    let mut payload = Vec::new();
    catch_up::encode(&base.world, replica.world(), leap, &mut payload);
    let whole = frame::catch_up(to, leap.span as u8, due.then_some(replica.world().hash()), &payload);
    (payload, whole)
}

#[cfg(test)]
mod tests;
