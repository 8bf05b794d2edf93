//! The authoritative loop of one match, without a clock: what relays say in, exactly one commit per tick out.

mod commit;
mod cutting;
mod parts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::limits::HASH_EVERY_TICKS_MAX;
use tickcast_protocol::{CloseCode, EntityId, InputSeq, PlayerId, Position, Replica, Tick, World};

use crate::backplane::{Commit, MatchFields};
use crate::game::{Game, Past, PlayerInput, Step, TickRng, View};
use crate::logic::channel::{Note, Upstream};
use crate::logic::chat::{Chat, Saying};
use crate::logic::rest::{self, Still};
use crate::logic::resume::{Holder, TokenDigest};
use crate::logic::seats::{Admission, Seats, Waiting};
use crate::logic::stored::{self, Restored, StoredError};
use parts::Parts;

/// Joins, and players who are back, that wait for a tick; more are passed over and come again.
const JOINS_QUEUED_MAX: usize = 256;
/// Players that were put out and whose joins may still be repeated.
const PUT_OUT_KEPT: usize = 64;
/// Part of a second for which an input waits for one that is missing before it.
const HOLE_SECOND_PART: u64 = 2;

/// Part of a second over which the least number of waiting inputs is taken.
const BUFFER_SECOND_PART: u64 = 2;

/// What a simulation counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inputs that were applied.
    pub inputs_applied: u64,
    /// Inputs that were not: repeated, too far ahead, displaced, of nobody, or against the schema.
    pub inputs_dropped: u64,
    /// Priors that were published.
    pub priors: u64,
    /// Lines that were said.
    pub chat_lines: u64,
}

/// One tick's result.
#[derive(Debug)]
pub struct Produced {
    /// To be committed as it is; a repetition uses the same value.
    pub commit: Commit,
    /// To be told to relays once the tick is committed.
    pub notes: Vec<Note>,
    /// The inputs that it applies, in their order.
    pub applied: Vec<(PlayerId, InputSeq)>,
}

/// How a simulation writes to the store, and what a node may choose besides.
#[derive(Debug, Clone, Copy)]
pub struct Writing {
    /// Ticks from one snapshot of the entity fields to the next.
    pub snapshot_every: u64,
    /// Ticks from one hash in a client frame to the next.
    pub hash_every: u64,
    /// How long a commit extends the lease.
    pub lease: Duration,
    /// For how long the place of a player of whom nothing is heard is kept, in match time.
    pub resume_window: Duration,
    /// How far back an action of a player may be judged, of games that look back.
    pub rewind: Duration,
    /// Ticks of a match at rest may wait.
    pub rests: bool,
}

/// A join that waits for its tick.
struct Joining {
    player: PlayerId,
    name: String,
    holder: Holder,
}

/// A match that this node owns.
pub struct Simulation {
    game: Box<dyn Game>,
    world: World,
    /// Of a match in segments.
    parts: Option<Parts>,
    past: Past,
    seats: Seats,
    joins: Vec<Joining>,
    leaves: Vec<PlayerId>,
    /// Who was put out since the last tick, and why.
    refusals: Vec<(PlayerId, CloseCode)>,
    /// Who was put out lately: a join of theirs is a late repetition.
    put_out: VecDeque<PlayerId>,
    resumes: Vec<PlayerId>,
    chat: Chat,
    /// Seats that the next commit writes, or takes out.
    seats_changed: Vec<(PlayerId, Option<Holder>)>,
    /// Ticks made under this ownership.
    ticks: u64,
    position: Position,
    still: Still,
    /// Of a rest.
    span: u64,
    seed: u64,
    ring: u64,
    hz: u8,
    snapshot_tick: Tick,
    players_written: Option<usize>,
    writing: Writing,
    counts: Counts,
    encoder: Encoder,
    payload: Vec<u8>,
}

impl Simulation {
    /// Goes on from a restored match, whose fence is the claim's.
    pub fn new(mut game: Box<dyn Game>, restored: Restored, writing: Writing) -> Simulation {
        let Restored { stored, world, segments, views, prior, holders, chat } = restored;
        if stored.tick > Tick(0) {
            game.restore(&world);
        }
        let snapshot_every = writing.snapshot_every.clamp(1, stored.ring);
        let hash_every = writing.hash_every.clamp(1, HASH_EVERY_TICKS_MAX);
        let seats = Seats::of(&world, stored.tick, &holders);
        let mut past = Past::new(world.schema(), &game.remembers(), stored.tick_rate.hz(), writing.rewind);
        past.record(stored.tick, &world);
        let vacant = holders.into_keys().filter(|player| !seats.contains(*player));
        Simulation {
            chat: Chat::new(chat, |player| seats.contains(player)),
            seats_changed: vacant.map(|player| (player, None)).collect(),
            seats,
            parts: segments.map(|segments| {
                Parts::new(segments, views, &world, stored.visibility, stored.tick_rate.hz())
            }),
            game,
            world,
            past,
            joins: Vec::new(),
            leaves: Vec::new(),
            refusals: Vec::new(),
            put_out: VecDeque::new(),
            resumes: Vec::new(),
            ticks: 0,
            position: stored.position(),
            still: Still::default(),
            span: rest::span(stored.tick_rate),
            seed: stored.seed,
            ring: stored.ring,
            hz: stored.tick_rate.hz(),
            snapshot_tick: stored.snapshot_tick,
            players_written: None,
            writing: Writing { snapshot_every, hash_every, ..writing },
            counts: Counts::default(),
            encoder: Encoder::new(prior),
            payload: Vec::new(),
        }
    }

    /// Lets the game look back at what was before this ownership, as far as the fields tell it that the match was
    /// restored from.
    pub fn recall(&mut self, fields: &MatchFields) -> Result<(), StoredError> {
        if self.past.is_kept() {
            stored::retell(fields, |tick, world| self.past.record(tick, world))?;
        }
        Ok(())
    }

    /// The last tick made.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The state after it.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A copy of it, for somebody who follows the match.
    pub fn replica(&self) -> Replica {
        let (world, prior) = (self.world.clone(), Arc::clone(self.encoder.prior()));
        match &self.parts {
            None => Replica::loaded(world, prior, self.position),
            Some(parts) => Replica::in_segments(parts.segments().clone(), world, prior, self.position),
        }
    }

    /// Players in the match.
    pub fn players(&self) -> usize {
        self.seats.len()
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many of the next ticks may be made late: nothing will happen in them unless somebody says something.
    pub fn ticks_to_wait(&self) -> u32 {
        // Clients of a match in segments get every tick.
        if !self.writing.rests || !self.still.is_still() || self.parts.is_some() {
            return 0;
        }
        let queues = [self.joins.len(), self.leaves.len(), self.refusals.len(), self.resumes.len()];
        if queues != [0; 4] || self.seats.is_waiting() || self.chat.is_waiting() {
            return 0;
        }
        let tick = self.position.tick;
        let until = self.game.rests_until(tick, &self.world);
        let prior = Tick(tick.0 + self.encoder.ticks_to_prior());
        rest::ticks_to_wait(tick, until.min(prior), self.span)
    }

    /// Looks at what the next tick will need, so that the memory answers for all of it at once.
    pub fn warm(&self) {
        self.seats.warm();
        self.world.warm();
        // Where nothing moves hardly anything will be coded.
        if !self.world.is_at_rest() {
            self.encoder.warm();
        }
    }

    /// Takes in what a relay said.
    pub fn handle_upstream(&mut self, upstream: Upstream) {
        let tick = self.position.tick;
        match upstream {
            Upstream::Join { player, name, token, subject } => {
                self.handle_join(Joining { player, name, holder: Holder { token, subject } });
            }
            // It is answered when it is repeated.
            Upstream::Resume { player, .. } if self.is_joining(player) => {}
            Upstream::Resume { player, session, attempt, token } => {
                self.seats.handle_resume(player, session, attempt, token);
                if !self.resumes.contains(&player) && self.resumes.len() < JOINS_QUEUED_MAX {
                    self.resumes.push(player);
                }
                self.seats.handle_presence(player, tick);
            }
            Upstream::Leave { player, token } => drop(self.handle_leave(player, Some(token))),
            Upstream::Kick { player } => {
                if self.handle_leave(player, None) {
                    self.put_out(player, CloseCode::Kicked);
                }
            }
            Upstream::Present { players } => {
                for player in players {
                    self.seats.handle_presence(player, tick);
                }
            }
            Upstream::Input { player, seq, seen, behind, values } => {
                self.handle_input(player, Waiting { seq, view: View { seen, behind }, values })
            }
            Upstream::Chat { player, seq, to, text } if self.seats.contains(player) => {
                self.chat.handle_saying(Saying { player, seq, to, text });
            }
            // Who is not seated yet is heard when it is repeated.
            Upstream::Chat { .. } => {}
        }
    }

    /// One account is one player: a newer join takes the place of the older. The seat of an account that comes with another
    /// ticket is given to it anew, if its relay has found that.
    fn handle_join(&mut self, joining: Joining) {
        let Joining { player, holder, .. } = &joining;
        let player = *player;
        if self.seats.contains(player) {
            if self.seats.give_anew(player, holder) {
                self.seats_changed.push((player, Some(holder.clone())));
                self.chat.forget(player);
            }
            return;
        }
        if self.is_joining(player) || !player.is_of_client() || self.put_out.contains(&player) {
            return;
        }
        let is_same = |other: &Joining| {
            other.holder.subject.is_some() && other.holder.subject == joining.holder.subject
        };
        if let Some(at) = self.joins.iter().position(is_same) {
            let older = self.joins.remove(at).player;
            self.put_out(older, CloseCode::Replaced);
        }
        if self.joins.len() < JOINS_QUEUED_MAX {
            self.joins.push(joining);
        }
    }

    fn is_joining(&self, player: PlayerId) -> bool {
        self.joins.iter().any(|joining| joining.player == player)
    }

    fn put_out(&mut self, player: PlayerId, code: CloseCode) {
        self.refusals.push((player, code));
        if self.put_out.len() == PUT_OUT_KEPT {
            self.put_out.pop_front();
        }
        self.put_out.push_back(player);
    }

    /// Whether the player was there, or about to be. A goodbye with the `token` of before the seat was given anew is late.
    fn handle_leave(&mut self, player: PlayerId, token: Option<TokenDigest>) -> bool {
        let is_theirs = |holder: &Holder| token.is_none_or(|token| holder.token == token);
        let joining = self.joins.len();
        self.joins.retain(|joining| joining.player != player || !is_theirs(&joining.holder));
        let is_seated = self.seats.contains(player) && self.seats.holder(player).is_none_or(is_theirs);
        if is_seated {
            self.leaves.push(player);
        }
        is_seated || self.joins.len() < joining
    }

    fn handle_input(&mut self, player: PlayerId, input: Waiting) {
        // The relay has checked the values; a relay may be of another version or somebody else's.
        let admitted = self.world.schema().admits_input(&input.values)
            && self.seats.handle_input(player, input, self.position.tick) == Admission::Queued;
        if !admitted {
            self.counts.inputs_dropped += 1;
        }
    }

    /// Makes one tick. `sent_ms` goes into the message for relays to measure by.
    pub fn handle_tick(&mut self, sent_ms: u64) -> Produced {
        let tick = self.position.tick.next();
        let mut rng =
            TickRng::seed_from_u64(self.seed.wrapping_add(tick.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        if tick == Tick(1) {
            self.game.start(&mut rng, &mut self.world);
        }
        self.ticks += 1;
        if let Some(parts) = &mut self.parts {
            parts.cut(&mut self.world);
        }
        self.remove_players(tick);
        let mut notes = self.admit_players(tick, &mut rng);
        let refused = std::mem::take(&mut self.refusals).into_iter();
        notes.extend(refused.map(|(player, code)| Note::Refused { player, code: code.number() }));
        notes.extend(self.answer_resumes());
        let applied = self.step(tick, &mut rng);
        let (lines, refused) = self.chat.take(tick, &self.world, |player| self.seats.entity(player));
        self.counts.chat_lines += lines.len() as u64;
        notes.extend(refused);

        self.payload.clear();
        let number = self.encoder.prior().number();
        match &mut self.parts {
            None => self.encoder.encode(&self.world, &mut self.payload),
            Some(parts) => {
                parts.decide(&*self.game, &self.world, &self.seats);
                let proven = tick.0.is_multiple_of(self.writing.hash_every);
                parts.encode(&self.world, &mut self.encoder, proven, &mut self.payload);
            }
        }
        let rests = self.world.is_at_rest();
        self.world.advance();
        if rests {
            self.past.record_same(tick, &self.world);
        } else {
            self.past.record(tick, &self.world);
        }
        self.position.tick = tick;
        let next = self.encoder.poll_prior();
        let tells_nothing = self.payload.is_empty() && next.is_none() && lines.is_empty();
        self.still.handle_tick(self.world.hash(), tells_nothing);
        self.counts.priors += u64::from(next.is_some());
        Produced { commit: self.commit(sent_ms, number, next.as_deref(), &lines), notes, applied }
    }

    fn remove_players(&mut self, tick: Tick) {
        let away = self.writing.resume_window.as_millis() as u64 * u64::from(self.hz) / 1000;
        self.leaves.extend(self.seats.absent(tick, away));
        for player in std::mem::take(&mut self.leaves) {
            self.remove(player);
        }
    }

    fn remove(&mut self, player: PlayerId) {
        if let Some(entity) = self.seats.leave(player) {
            self.seats_changed.push((player, None));
            self.past.forget(player);
            self.chat.forget(player);
            self.game.leave(player, &mut self.world);
            self.world.despawn(entity);
        }
    }

    fn admit_players(&mut self, tick: Tick, rng: &mut TickRng) -> Vec<Note> {
        let player_kind = self.world.schema().player_kind();
        let player_field = self.world.schema().player_field();
        let mut notes = Vec::new();
        for Joining { player, name, holder } in std::mem::take(&mut self.joins) {
            let older = holder.subject.as_ref().and_then(|subject| self.seats.of_account(subject));
            if let Some(older) = older {
                self.remove(older);
                self.put_out(older, CloseCode::Replaced);
            }
            let entity = self.game.join(player, &name, rng, &mut self.world);
            match entity.filter(|entity| entity.kind == player_kind && self.world.contains(*entity)) {
                Some(entity) => {
                    self.world.set(entity, player_field, player.0 as i32);
                    self.seats.seat(player, entity, Some(holder.clone()), tick);
                    self.seats_changed.push((player, Some(holder)));
                }
                None => notes.push(Note::Refused { player, code: CloseCode::MatchFull.number() }),
            }
        }
        notes
    }

    fn answer_resumes(&mut self) -> Vec<Note> {
        let answer = |player| match self.seats.connection(player) {
            Some((attempt, session)) => Note::Resumed { player, session, attempt },
            None => Note::Refused { player, code: CloseCode::BadTicket.number() },
        };
        std::mem::take(&mut self.resumes).into_iter().map(answer).collect()
    }

    /// Steps the game; returns the inputs that were applied.
    fn step(&mut self, tick: Tick, rng: &mut TickRng) -> Vec<(PlayerId, InputSeq)> {
        let seq_field = self.world.schema().seq_field();
        if let Some(field) = self.world.schema().input_buffer_field() {
            for (entity, waiting) in self.seats.input_buffers(tick, u64::from(self.hz) / BUFFER_SECOND_PART) {
                self.world.set(entity, field, waiting as i32);
            }
        }
        let taken: Vec<(PlayerId, EntityId, Waiting)> =
            self.seats.take_inputs(tick, u64::from(self.hz) / HOLE_SECOND_PART);
        self.counts.inputs_applied += taken.len() as u64;
        for (player, entity, input) in &taken {
            self.past.note(*player, input.view);
            self.world.set(*entity, seq_field, input.seq.0 as i32);
        }
        let inputs: Vec<PlayerInput<'_>> = taken
            .iter()
            .map(|(player, _, input)| PlayerInput {
                player: *player,
                view: input.view,
                values: &input.values,
            })
            .collect();
        self.game.step(Step { tick, inputs: &inputs, past: &self.past, rng, world: &mut self.world });
        taken.iter().map(|(player, _, input)| (*player, input.seq)).collect()
    }
}

#[cfg(test)]
mod tests;
