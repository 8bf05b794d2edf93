//! One bot without a socket: frames and `now` in; frames, states and measurements out. It decodes every state,
//! plays, and checks what the server promises: no tick left out, every state as its owner has it, none undone. It
//! outlives its connections.

use std::collections::VecDeque;
use std::time::Duration;

use tickcast_protocol::chat::ChatLine;
use tickcast_protocol::client::{Client, Event, NeverWelcomed, ServerError, entity_of};
use tickcast_protocol::frame::PRIOR;
use tickcast_protocol::history;
use tickcast_protocol::message::{ClientMessage, Join};
use tickcast_protocol::replica::Gap;
use tickcast_protocol::{EntityId, Fence, InputSeq, MatchId, PlayerId, Position, Replica, SessionId, Tick};

use crate::absence::Absence;
use crate::board::Sent;
use crate::brain::Brain;
use crate::lineage::Lineage;
use crate::meter::Meter;
use crate::talk::Talk;
use crate::tally::{DIFFERENCES_MAX, Marks, Sample};
use crate::timer::InputTimer;
use crate::verify::Held;

/// Inputs waiting for their effect; further ones are sent and not measured.
const PENDING_MAX: usize = 4096;

/// What a frame led to, for the other clients of the match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// The state it led to: where, and what it is.
    pub state: Option<(Position, Held)>,
    /// The input sent in answer, if it is measured.
    pub sent: Option<Sent>,
    /// The last applied input of the watched player.
    pub seen: Option<InputSeq>,
}

/// One bot.
#[derive(Debug)]
pub struct Bot {
    pub(crate) client: Client,
    seed: u64,
    play: Option<Play>,
    hole: Hole,
    slow_allowed: bool,
    lineage: Lineage<Fence>,
    /// Between two connections.
    pub absence: Absence,
    /// It is in the match again and its entity was not seen yet.
    returning: bool,
    /// Inputs sent again that are counted already.
    sent_again: u64,
    talk: Option<Talk>,
    own: Option<Watch>,
    watched: Option<Watch>,
    pending: VecDeque<Sent>,
    marks: Marks,
    /// What happened and is not taken yet, if somebody wants to know.
    events: Option<Vec<history::Event>>,
}

/// What a bot has from the welcome on.
#[derive(Debug)]
struct Play {
    brain: Brain,
    timer: InputTimer,
    meter: Meter,
}

/// Whether a snapshot is expected, and what it says about ticks that were not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    /// The next frame is the next tick's.
    None,
    /// The first snapshot, or one after the server has said or shown that the state was set back.
    Explained,
    /// Ticks after this one are missing; one is counted already.
    After(Tick),
}

/// A player in the state.
#[derive(Debug)]
struct Watch {
    player: PlayerId,
    entity: Option<EntityId>,
}

impl Watch {
    fn new(player: PlayerId) -> Watch {
        Watch { player, entity: None }
    }

    /// The player's entity, remembered because a search looks at every player.
    fn find(&mut self, replica: &Replica) -> Option<EntityId> {
        let world = replica.world();
        let field = world.schema().player_field();
        let known =
            self.entity.filter(|id| world.contains(*id) && world.get(*id, field) as u32 == self.player.0);
        self.entity = known.or_else(|| entity_of(replica, self.player));
        self.entity
    }

    fn applied(&mut self, replica: &Replica) -> Option<InputSeq> {
        let entity = self.find(replica)?;
        let world = replica.world();
        Some(InputSeq(world.get(entity, world.schema().seq_field()) as u32))
    }
}

impl Bot {
    /// A bot that begins with a hello in [`Bot::poll_transmit`].
    pub fn new(name: &str, join: Join, seed: u64) -> Bot {
        Bot {
            client: Client::new(name, join),
            seed,
            play: None,
            hole: Hole::Explained,
            slow_allowed: false,
            lineage: Lineage::new(),
            absence: Absence::default(),
            returning: false,
            sent_again: 0,
            talk: None,
            own: None,
            watched: None,
            pending: VecDeque::new(),
            marks: Marks::default(),
            events: None,
        }
    }

    /// Keeps what happens for [`Bot::take_events`].
    #[must_use]
    pub fn keep_events(self, kept: bool) -> Bot {
        Bot { events: kept.then(Vec::new), ..self }
    }

    /// Lets the bot talk, and check what it hears.
    #[must_use]
    pub fn chats(self, chats: bool) -> Bot {
        let talk = chats.then(|| Talk::new(self.seed));
        Bot { talk, ..self }
    }

    /// What was heard since the last call.
    pub fn take_heard(&mut self) -> Vec<ChatLine> {
        self.talk.as_mut().map(Talk::take_heard).unwrap_or_default()
    }

    /// What happened since the last call, for a history.
    pub fn take_events(&mut self) -> Vec<history::Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The connection that it was let in on last, and its match.
    pub fn session(&self) -> Option<(SessionId, &MatchId)> {
        self.client.joined().map(|joined| (joined.session, &joined.match_id))
    }

    /// Lets a snapshot stand for the ticks that it jumps over, as servers may treat clients that read too slowly.
    /// Otherwise those are lost.
    #[must_use]
    pub fn allow_slow(self, slow_allowed: bool) -> Bot {
        Bot { slow_allowed, ..self }
    }

    /// Whether the bot is in the match: it holds the state, and as a player it is part of it.
    pub fn is_joined(&self) -> bool {
        let Some(joined) = self.client.joined() else { return false };
        match &self.own {
            Some(own) => own.entity.is_some(),
            None => joined.replica.position() != Position::default(),
        }
    }

    /// The player that the bot is, from the welcome on.
    pub fn player(&self) -> Option<PlayerId> {
        self.own.as_ref().map(|own| own.player)
    }

    /// Whether [`Bot::watch`] was called.
    pub fn is_watching(&self) -> bool {
        self.watched.is_some()
    }

    /// Looks out for this player's inputs from now on.
    pub fn watch(&mut self, player: PlayerId) {
        self.watched = Some(Watch::new(player));
    }

    /// What was counted and measured and not taken yet; for the check of other clients to add to.
    pub fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let frame = self.client.poll_transmit()?;
        if let (Some(events), Some(joined)) = (&mut self.events, self.client.joined())
            && let (Some(player), Ok(ClientMessage::Input { seq, .. })) =
                (joined.player(), ClientMessage::from_frame(&frame))
        {
            events.push(history::Event::Sent { session: joined.session, player, seq });
        }
        Some(frame)
    }

    /// Says goodbye: nothing more will be seen.
    pub fn leave(&mut self) {
        self.marks.checks.undone += self.lineage.handle_end();
        self.client.leave();
    }

    /// Begins another connection, on which the bot goes on as the same player or spectator. Ticks that pass until
    /// its first state are not lost.
    pub fn resume(&mut self, now: Duration) -> Result<(), NeverWelcomed> {
        self.client.resume()?;
        self.absence.handle_resume(now);
        (self.hole, self.returning) = (Hole::Explained, true);
        self.talk.iter_mut().for_each(Talk::handle_resume);
        Ok(())
    }

    /// Takes in a frame from the server. Checks are made always, times taken only while `measuring`.
    pub fn handle_frame(
        &mut self,
        now: Duration,
        frame: &[u8],
        measuring: bool,
    ) -> Result<Step, ServerError> {
        let before = self.client.joined().map(|joined| joined.replica.position()).unwrap_or_default();
        let event = self.client.handle_frame(frame)?;
        let again = self.client.inputs_sent_again();
        self.marks.recovery.inputs_sent_again += again - std::mem::replace(&mut self.sent_again, again);
        if self.events.is_some() {
            self.keep_event(before, &event);
        }
        if self.is_joined()
            && let Some(talk) = &mut self.talk
        {
            talk.speak(now, &mut self.client);
        }
        match event {
            Event::Welcome => self.handle_welcome(),
            Event::Snapshot => {
                self.handle_snapshot(before, measuring);
                self.absence.handle_return(now, &mut self.marks);
                self.marks.traffic.snapshots += u64::from(measuring);
                return Ok(self.handle_update(now, frame.len(), measuring, false));
            }
            Event::CaughtUp => {
                self.count_merged(before, measuring);
                return Ok(self.handle_update(now, frame.len(), measuring, true));
            }
            Event::Advanced => {
                self.handle_quiet(now, before, measuring);
                return Ok(self.handle_update(now, frame.len(), measuring, true));
            }
            Event::Gap(gap) => self.handle_gap(gap),
            Event::Reset { .. } => {
                self.marks.checks.resets += 1;
                self.hole = Hole::Explained;
                self.lineage.handle_reset();
                self.talk.iter_mut().for_each(Talk::handle_reset);
            }
            Event::Reconnect { within, url } => self.absence.handle_asked(within, url),
            Event::Stale if frame.first() == Some(&PRIOR) => {
                let play = self.play.as_mut().expect("a state frame comes after the welcome");
                play.meter.handle_prior(frame.len(), measuring, &mut self.marks);
            }
            Event::NewOwner | Event::Stale | Event::Pong { .. } | Event::Ended => {}
            Event::Chat(lines) => {
                let me = self.player().map(|player| player.0);
                if let Some(talk) = &mut self.talk {
                    talk.handle_lines(lines, me, &mut self.marks.checks);
                }
            }
            Event::ChatRefused { seq, .. } => {
                if let Some(talk) = &mut self.talk {
                    talk.handle_refused(seq, &mut self.marks.checks);
                }
            }
        }
        Ok(Step::default())
    }

    /// Measuring ends at `now`. When updates are overdue, so are the inputs that wait for their effect and those
    /// that would have been sent: they count with the time they have taken so far.
    pub fn handle_end(&mut self, now: Duration) {
        if let Some(talk) = &mut self.talk {
            talk.handle_end(now, &mut self.marks.checks);
        }
        let Some(play) = &mut self.play else { return };
        let overdue = play.meter.handle_end(now, &mut self.marks);
        if overdue && self.own.is_some() {
            let unsent = play.timer.handle_send(now);
            let waiting = self.pending.drain(..).map(|sent| sent.due).chain([unsent]);
            self.marks.samples.extend(waiting.flat_map(|due| due.latencies(now)).map(Sample::Latency));
        }
    }

    fn keep_event(&mut self, before: Position, event: &Event) {
        let joined = self.client.joined().expect("a frame of a server that let us in");
        let (session, Position { fence, tick }) = (joined.session, joined.replica.position());
        let jumps = tick > before.tick.next();
        let kept = match event {
            Event::Welcome => {
                let (player, node) = (joined.player(), joined.node.clone());
                history::Event::Joined { session, player, node, resumed: self.play.is_some() }
            }
            Event::Snapshot | Event::Advanced | Event::CaughtUp | Event::NewOwner => history::Event::Seen {
                session,
                fence: fence.into(),
                tick,
                hash: joined.replica.world().hash(),
                acked: self.own.as_mut().and_then(|own| own.applied(&joined.replica)),
                merged: jumps && (*event != Event::Snapshot || self.slow_allowed && self.hole == Hole::None),
            },
            Event::Reset { from, to } => history::Event::Reset { session, from: *from, to: *to },
            Event::Gap(Gap::Waiting) => return,
            Event::Gap(gap) => history::Event::Lost { session, why: format!("{gap:?}") },
            Event::Stale | Event::Pong { .. } | Event::Ended | Event::Reconnect { .. } => return,
            Event::Chat(_) | Event::ChatRefused { .. } => return,
        };
        self.events.get_or_insert_default().push(kept);
    }

    fn handle_welcome(&mut self) {
        if self.play.is_some() {
            // On another connection it is who it was; its clocks go on, so that the time away shows in them.
            return;
        }
        let joined = self.client.joined().expect("a welcome was taken in");
        let period = joined.tick_rate.period();
        self.own = joined.player().map(Watch::new);
        self.play = Some(Play {
            brain: Brain::new(joined.replica.world().schema(), self.seed),
            timer: InputTimer::new(period),
            meter: Meter::new(period, joined.quiet),
        });
    }

    fn handle_snapshot(&mut self, before: Position, measuring: bool) {
        let difference = self.client.take_difference();
        let joined = self.client.joined().expect("a snapshot was taken in");
        let after = joined.replica.position();
        let told = difference.map(|wrong| format!("match {}, tick {}: {wrong}", joined.match_id, after.tick));
        let room = self.marks.differences.len() < DIFFERENCES_MAX;
        self.marks.differences.extend(told.filter(|_| room));
        match self.hole {
            Hole::Explained => {}
            Hole::None => {
                match self.slow_allowed {
                    true => self.count_merged(before, measuring),
                    false => self.marks.checks.lost_ticks += after.tick.0.saturating_sub(before.tick.0 + 1),
                }
                self.marks.checks.owner_gaps += u64::from(after.fence != before.fence);
            }
            Hole::After(have) => self.marks.checks.lost_ticks += after.tick.0.saturating_sub(have.0 + 2),
        }
        self.hole = Hole::None;
    }

    /// Nothing was missing, and a frame led over more than one tick: the server merged them because we were slow.
    fn count_merged(&mut self, before: Position, measuring: bool) {
        let after = self.client.joined().expect("a state was taken in").replica.position();
        let merged = after.tick.0.saturating_sub(before.tick.0 + 1);
        if measuring {
            self.marks.traffic.catch_ups += u64::from(merged > 0);
            self.marks.traffic.merged_ticks += merged;
        }
    }

    /// The tick that a diff leads to comes behind some that changed nothing.
    fn handle_quiet(&mut self, now: Duration, before: Position, measuring: bool) {
        let (Some(play), Some(joined)) = (&mut self.play, self.client.joined()) else { return };
        let quiet = joined.replica.position().tick.0.saturating_sub(before.tick.0 + 1);
        if quiet > 0 {
            play.meter.handle_quiet(quiet, measuring, &mut self.marks);
            play.timer.handle_quiet(now);
        }
    }

    fn handle_gap(&mut self, gap: Gap) {
        let checks = &mut self.marks.checks;
        let hole = match gap {
            Gap::Missing { have } => {
                checks.lost_ticks += 1;
                Hole::After(have)
            }
            Gap::Owner { .. } => {
                checks.owner_gaps += 1;
                Hole::Explained
            }
            Gap::Desync { .. } => {
                checks.desyncs += 1;
                Hole::Explained
            }
            // A frame that the server should have known we cannot read is as good as broken.
            Gap::Broken { .. } | Gap::Cold { .. } | Gap::Prior { .. } => {
                checks.broken_frames += 1;
                Hole::Explained
            }
            Gap::Waiting => return,
        };
        if self.hole == Hole::None {
            self.hole = hole;
        }
    }

    fn handle_update(&mut self, now: Duration, bytes: usize, measuring: bool, acts: bool) -> Step {
        let play = self.play.as_mut().expect("a state comes after the welcome");
        let replica = &self.client.joined().expect("a state comes after the welcome").replica;
        play.meter.handle_update(now, bytes, measuring, &mut self.marks);
        let position = replica.position();
        self.marks.checks.undone += self.lineage.handle_state(position.fence, position.tick);
        let state = Some((position, Held::by(replica)));
        let seen = self.watched.as_mut().and_then(|watched| watched.applied(replica));
        let Some(own) = &mut self.own else { return Step { state, sent: None, seen } };
        if let Some(applied) = own.applied(replica) {
            self.marks.recovery.resumed_players += u64::from(std::mem::take(&mut self.returning));
            while let Some(sent) = self.pending.front().filter(|sent| sent.seq <= applied).copied() {
                self.pending.pop_front();
                self.marks.traffic.inputs_applied += 1;
                self.marks.samples.extend(sent.due.latencies(now).map(Sample::Latency));
            }
        }
        // A player acts once it has a body, and goes on while it waits for another.
        let acts = acts && (own.entity.is_some() || self.client.last_seq() > InputSeq(0));
        let values = acts.then(|| play.brain.decide(replica.world(), own.entity));
        let Some(seq) = values.and_then(|values| self.client.input(&values)) else {
            return Step { state, sent: None, seen };
        };
        let due = play.timer.handle_send(now);
        self.marks.traffic.inputs += u64::from(measuring);
        let sent = Some(Sent { seq, due }).filter(|_| measuring);
        self.pending.extend(sent.filter(|_| self.pending.len() < PENDING_MAX));
        Step { state, sent, seen }
    }
}

#[cfg(test)]
mod tests;
