//! The imitated shell of an owned match: inputs in, a tick when it is due, one commit under way.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::{Fence, TickRate};
use tickcast_server::backplane::{Channel, Commit, Release, Unavailable};
use tickcast_server::logic::channel::{self, FromOwner, Note, TickMessage};
use tickcast_server::logic::ownership::{Answered, Commitment, Stop};
use tickcast_server::logic::pacing::{Beat, Begun, Pacer};
use tickcast_server::logic::simulation::Simulation;

use super::claims::By;
use super::cluster::{Cluster, Delivery, Event};
use super::counters::Seen;
use super::ledger::{self, Book};
use super::nodes::{Slot, Tenure};
use super::plan::Kind;
use super::settings::HEIR_GRACE;
use super::store::{Answer, Call, Request};

/// What goes on when the store has answered.
#[derive(Debug, Clone)]
pub(super) enum Next {
    ClaimLook { by: By },
    Claim { by: By, tries: u32, heir: bool },
    Commit { owner: u64 },
    Noted { owner: u64 },
    Released { heir: Option<usize> },
    RelayBegin,
    RelayReload,
    RelayConfirm { fence: Fence, message: Bytes },
    RelayDeaf,
    Token { connection: u64 },
    Sweep,
}

/// A tick that is not committed yet.
struct Uncommitted {
    commit: Rc<Commit>,
    book: Rc<Book>,
    commitment: Commitment,
}

/// A match that a node runs.
pub(super) struct Owner {
    number: u64,
    pub(super) fence: Fence,
    simulation: Simulation,
    pacer: Pacer,
    inbox: VecDeque<Delivery>,
    uncommitted: Option<Uncommitted>,
    notes: VecDeque<Note>,
    noting: bool,
    /// The match is to be given up, to this node or to anybody.
    pub(super) order: Option<Option<usize>>,
    tick_at_ms: Option<u64>,
    /// The last tick has waited.
    is_late: bool,
}

impl Owner {
    pub(super) fn new(
        number: u64,
        simulation: Simulation,
        now: Instant,
        rate: TickRate,
        beat: &Arc<Beat>,
        inbox: Vec<Delivery>,
    ) -> Owner {
        Owner {
            number,
            fence: simulation.position().fence,
            simulation,
            pacer: Pacer::new(now, rate, beat),
            inbox: inbox.into(),
            uncommitted: None,
            notes: VecDeque::new(),
            noting: false,
            order: None,
            tick_at_ms: None,
            is_late: false,
        }
    }

    pub(super) fn hear(&mut self, delivery: Delivery) {
        self.inbox.push_back(delivery);
    }

    fn is_busy(&self) -> bool {
        self.uncommitted.is_some() || self.noting
    }
}

/// Whether a commit changes what later diffs are coded with.
pub(super) fn has_prior(commit: &Commit) -> bool {
    let message = channel::parse_from_owner(&commit.message);
    matches!(message, Ok(FromOwner::Tick(TickMessage { prior: Some(_), .. })))
}

impl Cluster {
    pub(super) fn handle_next(&mut self, call: Call, answer: Answer) {
        let (node, game) = (call.node, call.game);
        match call.then.clone() {
            Next::ClaimLook { by } => self.handle_claim_look(node, game, by, answer),
            Next::Claim { by, tries, heir } => self.handle_claim(call, by, tries, heir, answer),
            Next::Commit { owner } => self.handle_commit(node, game, owner, answer),
            Next::Noted { owner } => {
                if let Some(owner) = self.owner(node, game, owner) {
                    owner.noting = false;
                    self.owner_turn(node, game);
                }
            }
            Next::Released { heir } => self.handle_released(game, heir),
            Next::RelayBegin => self.handle_begin(node, game, answer),
            Next::RelayReload => self.handle_reloaded(node, game, answer),
            Next::RelayConfirm { fence, message } => self.handle_confirm(node, game, fence, message, answer),
            Next::RelayDeaf => self.handle_deafness(node, game, answer),
            Next::Token { connection } => self.handle_token(connection, answer),
            Next::Sweep => self.handle_swept(node, answer),
        }
    }

    fn owner(&mut self, node: usize, game: usize, number: u64) -> Option<&mut Owner> {
        self.nodes[node].slots[game].owner_mut().filter(|owner| owner.number == number)
    }

    /// Does what the task of an owned match does next, unless it waits for the store.
    pub(super) fn owner_turn(&mut self, node: usize, game: usize) {
        loop {
            let (now, leaving) = (self.now(), self.nodes[node].stopping);
            let Some(owner) = self.nodes[node].slots[game].owner_mut() else { return };
            if owner.is_busy() {
                return;
            }
            if let Some(note) = owner.notes.pop_front() {
                return self.notify(node, game, &note);
            }
            if owner.order.is_some() || !owner.inbox.is_empty() || leaving {
                owner.pacer.rouse(now);
            }
            if owner.pacer.due() <= now {
                owner.is_late = owner.pacer.handle_tick(now) == Begun::Late;
                self.counters.add(Seen::Waited, u64::from(owner.is_late));
                return self.make_tick(node, game);
            }
            if let Some(heir) = owner.order.take() {
                return self.release(node, game, heir, true);
            }
            match owner.inbox.pop_front() {
                Some(Delivery::Message(message)) => match channel::parse_upstream(&message) {
                    Ok(batch) => batch.into_iter().for_each(|said| owner.simulation.handle_upstream(said)),
                    Err(_) => self.counters.see(Seen::Foreign),
                },
                Some(Delivery::Lost) => {
                    owner.notes.push_back(Note::InputsLost);
                    self.counters.see(Seen::InputsLost);
                }
                None if leaving => return self.release(node, game, None, true),
                None => {
                    let due = owner.pacer.due();
                    return self.schedule_tick(node, game, due);
                }
            }
        }
    }

    fn schedule_tick(&mut self, node: usize, game: usize, due: Instant) {
        let (due_ms, life) = (self.ms(due), self.nodes[node].life);
        let Some(owner) = self.nodes[node].slots[game].owner_mut() else { return };
        if owner.tick_at_ms.replace(due_ms) != Some(due_ms) {
            self.at(due_ms, Event::Tick { node, life, game });
        }
    }

    fn make_tick(&mut self, node: usize, game: usize) {
        let poisoned = self.poisoned.contains(&game);
        if poisoned {
            self.counters.hit(Kind::Poison);
        }
        if poisoned || self.disarm(game, Kind::Panic) {
            self.say(|| format!("n{node}: the game of match {game} panics"));
            self.oracle.handle_owner_gone(game);
            return self.release(node, game, None, false);
        }
        if self.disarm(game, Kind::CrashBeforeCommit) {
            return self.crash(node);
        }
        let (sent_ms, secrets) = (self.now_ms, self.plan.secrets);
        let Slot { tenure: Tenure::Owner(owner), vouch, .. } = &mut self.nodes[node].slots[game] else {
            return;
        };
        let produced = owner.simulation.handle_tick(sent_ms);
        vouch.handle_made(&produced.commit.message, || owner.simulation.replica());
        let book = Rc::new(ledger::book(owner.simulation.world(), secrets));
        owner.notes.extend(produced.notes);
        let commit = Rc::new(produced.commit);
        owner.uncommitted = Some(Uncommitted { commit, book, commitment: Commitment::default() });
        self.send_commit(node, game);
    }

    fn send_commit(&mut self, node: usize, game: usize) {
        let Some(owner) = self.nodes[node].slots[game].owner_mut() else { return };
        let Some(Uncommitted { commit, book, .. }) = &owner.uncommitted else { return };
        let (request, owner) = (Request::Commit(Rc::clone(commit), Rc::clone(book)), owner.number);
        self.call(node, game, request, Next::Commit { owner });
    }

    /// Repeats the very same commit until the store has answered: a tick is never computed anew.
    fn handle_commit(&mut self, node: usize, game: usize, number: u64, answer: Answer) {
        let life = self.nodes[node].life;
        let stopping = self.nodes[node].stopping;
        let Some(owner) = self.owner(node, game, number) else { return };
        let Some(uncommitted) = owner.uncommitted.as_mut() else { return };
        let reply = match answer {
            Answer::Commit(reply) => Ok(reply),
            _ => Err(Unavailable(String::new())),
        };
        match uncommitted.commitment.handle_reply(&reply) {
            Answered::Committed => {
                owner.uncommitted = None;
                if !owner.is_late && owner.inbox.is_empty() {
                    owner.pacer.rest(owner.simulation.ticks_to_wait());
                }
                self.owner_turn(node, game);
            }
            Answered::Stop(stop) => self.stop_owner(node, game, stop),
            Answered::Repair(_) => {
                let whole = owner.simulation.repair(&uncommitted.commit);
                uncommitted.commit = Rc::new(whole);
                self.send_commit(node, game);
            }
            Answered::Repeat(_) if stopping => self.release(node, game, None, true),
            Answered::Repeat(pause) => {
                Rc::make_mut(&mut uncommitted.commit).again = true;
                let due_ms = self.now_ms + pause.as_millis() as u64;
                self.at(due_ms, Event::Retry { node, life, game, owner: number });
            }
        }
    }

    pub(super) fn handle_retry(&mut self, node: usize, game: usize, number: u64) {
        if self.owner(node, game, number).is_some() {
            self.send_commit(node, game);
        }
    }

    fn stop_owner(&mut self, node: usize, game: usize, stop: Stop) {
        self.say(|| format!("n{node}: no longer owns match {game}: {stop:?}"));
        match stop {
            Stop::Fenced => self.counters.see(Seen::Fenced),
            Stop::NoMatch => self.counters.see(Seen::MatchGone),
            other => self.oracle.fail(format!("an owner of match {game} stopped for {other:?}")),
        }
        self.nodes[node].slots[game].tenure = Tenure::None;
        self.subscribe(node, game, Channel::Input, false);
    }

    fn notify(&mut self, node: usize, game: usize, note: &Note) {
        let Some(owner) = self.nodes[node].slots[game].owner_mut() else { return };
        owner.noting = true;
        let (fence, owner) = (owner.fence, owner.number);
        self.call(node, game, Request::Notify(fence, channel::encode_note(note)), Next::Noted { owner });
    }

    /// Gives a match up: the owner's state is gone at once.
    fn release(&mut self, node: usize, game: usize, heir: Option<usize>, clean: bool) {
        let Tenure::Owner(owner) = std::mem::replace(&mut self.nodes[node].slots[game].tenure, Tenure::None)
        else {
            return;
        };
        self.oracle.handle_owner_gone(game);
        self.subscribe(node, game, Channel::Input, false);
        let named = heir.map(|heir| self.nodes[heir].id.clone());
        let grace = if clean { HEIR_GRACE } else { Duration::ZERO };
        let release = Release { heir: named, grace, clean };
        let message = channel::encode_note(&Note::Released);
        self.call(node, game, Request::Release(owner.fence, release, message), Next::Released { heir });
    }

    /// A release was answered or not: the heir is told either way.
    fn handle_released(&mut self, game: usize, heir: Option<usize>) {
        let Some(heir) = heir else { return };
        if self.strikes(Kind::OrderLost) || !self.nodes[heir].up {
            return;
        }
        let life = self.nodes[heir].life;
        self.at(self.now_ms + 3, Event::Take { node: heir, life, game });
    }
}
