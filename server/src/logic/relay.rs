//! How a node follows a match: what to pass on to its sockets, and when to load the match anew.

use bytes::Bytes;
use tickcast_protocol::chat::{ChatLine, ChatRefusal};
use tickcast_protocol::limits::HASH_EVERY_TICKS_MAX;
use tickcast_protocol::replica::{Gap, Progress, Replica};
use tickcast_protocol::world::Difference;
use tickcast_protocol::{CloseCode, Fence, PlayerId, Position, SessionId, Tick, frame};

use crate::backplane::MatchFields;
use crate::game::Viewer;
use crate::logic::channel::{self, FromOwner, Note, TickMessage};
use crate::logic::lineage::Past;
use crate::logic::quiet;
use crate::logic::stored::{self, Restored, StoredMatch};
use crate::logic::transcript::Transcript;
use crate::logic::views::{View, Views};
use crate::logic::vouch::Made;

/// Of so many ticks that the owner on this node vouches for one is decoded and checked as it comes, and the others only
/// if somebody needs the state before there is a newer one. As often as a client's diff carries a hash at least.
pub const CHECK_EVERY: usize = HASH_EVERY_TICKS_MAX as usize;

/// What to do with a message of the diff channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send these frames, in order, to every socket that is in step.
    FanOut(Vec<Bytes>),
    /// Nothing.
    Ignore,
    /// Count it: nobody of ours could have sent it.
    Foreign,
    /// The replica is of no use: load the match.
    Reload(Gap),
    /// Close this player's connection.
    Refuse(PlayerId, CloseCode),
    /// The match is over.
    Ended,
    /// The owner stepped down: somebody should claim.
    Released,
    /// The message is of an ownership that this copy does not know: if the store confirms it, call
    /// [`Relay::confirm`] and hand the message in again; else it is foreign.
    Confirm(Fence),
    /// This player is on this connection; another of ours is out of date.
    Resumed {
        /// Who.
        player: PlayerId,
        /// Where.
        session: SessionId,
        /// Which of the player's resumes made it.
        attempt: u32,
    },
    /// A line of this player was not said.
    RefuseChat {
        /// Who.
        player: PlayerId,
        /// Its number, by the player's client.
        seq: u32,
        /// Why.
        reason: ChatRefusal,
    },
}

/// What a load changes for the sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resync {
    /// The store still has every tick since ours: send these frames, in order, to every socket that is in step, as
    /// after the ticks themselves. None when nothing was missed.
    Missed(Vec<Bytes>),
    /// The store has lost ticks of the owner that we follow: we keep ours, and wait for the owner to write them
    /// back. If it does not live, another owner will show a fence of its own.
    Kept,
    /// The match went on meanwhile: a snapshot brings them up.
    Forward,
    /// They saw ticks that the store does not know: they are told, then get a snapshot.
    Reset {
        /// The last tick they saw.
        from: Tick,
        /// What they saw after this tick may not have happened.
        to: Tick,
    },
}

/// What a node's copy is like, to be compared with the store's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where it stands.
    pub position: Position,
    /// Its hash, as it was kept tick by tick.
    pub hash: u32,
    /// Its hash, computed from all that is in it.
    pub recomputed: u32,
}

/// A tick that was passed on and is not decoded.
#[derive(Debug)]
struct Deferred {
    hash: u32,
    frame: Bytes,
}

/// A node's copy of a match.
#[derive(Debug)]
pub struct Relay {
    /// The state before the ticks that are deferred.
    replica: Replica,
    /// Ticks of the replica's owner, which is on this node, one after another; at most [`CHECK_EVERY`].
    deferred: Vec<Deferred>,
    /// The replica was taken from the owner as it is, and nothing was decoded since.
    is_unchecked: bool,
    /// What was found wrong when deferred ticks were decoded, and not told yet.
    found: Option<Gap>,
    chat: Transcript,
    /// Who gets what of a match in segments.
    views: Views,
    /// The tick at which the copy was found to differ from the owner's state; until it is loaded anew.
    desync: Option<Tick>,
    /// Another ownership that the store has confirmed.
    confirmed: Option<Fence>,
    /// The owner may have lost inputs: with the next tick clients are told to send theirs again.
    inputs_lost: bool,
}

impl Relay {
    /// Begins with a copy of the state and what was said before.
    pub fn new(replica: Replica, said: Vec<ChatLine>) -> Relay {
        let chat = Transcript::new(said);
        Relay {
            replica,
            deferred: Vec::new(),
            is_unchecked: false,
            found: None,
            chat,
            views: Views::default(),
            desync: None,
            confirmed: None,
            inputs_lost: false,
        }
    }

    /// Begins at a loaded match.
    pub fn loaded(restored: Restored) -> Relay {
        let Restored { stored, world, segments, views, prior, chat, .. } = restored;
        let replica = match segments {
            None => Replica::loaded(world, prior, stored.position()),
            Some(segments) => Replica::in_segments(segments, world, prior, stored.position()),
        };
        Relay { views, ..Relay::new(replica, chat.lines) }
    }

    /// What somebody gets of a match in segments.
    pub fn view(&self, viewer: Viewer) -> Option<&View> {
        self.replica.segments().map(|_| self.views.of(viewer))
    }

    /// Whether something was said that was not taken yet.
    pub fn has_said(&self) -> bool {
        self.chat.has_fresh()
    }

    /// What was said and not taken yet.
    pub fn take_said(&mut self) -> Vec<ChatLine> {
        self.chat.take_fresh()
    }

    /// What was said before, as far as it is kept and somebody of this team may read it.
    pub fn history(&self, team: u32) -> Vec<ChatLine> {
        self.chat.history(team)
    }

    /// What the copy is like now.
    pub fn seen(&mut self) -> Seen {
        self.settle();
        let world = self.replica.world();
        let (hash, recomputed) = (world.hash(), world.recomputed_hash());
        Seen { position: self.replica.position(), hash, recomputed }
    }

    /// The copy, without the ticks that are deferred: ask [`Relay::settle`] first where the last state is needed.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The last tick that was passed on.
    pub fn position(&self) -> Position {
        let Position { fence, tick } = self.replica.position();
        Position { fence, tick: Tick(tick.0 + self.deferred.len() as u64) }
    }

    /// Hash of the state after it.
    pub fn hash(&self) -> u32 {
        self.deferred.last().map_or_else(|| self.replica.world().hash(), |tick| tick.hash)
    }

    /// Whether the copy is of no use until the match is loaded anew.
    pub fn is_broken(&self) -> bool {
        self.replica.is_broken()
    }

    /// Whether it is time to ask the owner on this node for its state.
    pub fn wants_state(&self) -> bool {
        self.deferred.len() + 3 >= CHECK_EVERY
    }

    /// Decodes what is deferred: the copy is then that of the last tick. `false` if it is broken.
    pub fn settle(&mut self) -> bool {
        for Deferred { hash, frame } in std::mem::take(&mut self.deferred) {
            if let Err(gap) = self.decode(&frame, hash) {
                self.lose(gap.clone());
                self.found = Some(gap);
                return false;
            }
        }
        !self.replica.is_broken()
    }

    /// What was found wrong with the copy when deferred ticks were decoded; told once.
    pub fn take_found(&mut self) -> Option<Gap> {
        self.found.take()
    }

    /// Takes a message in.
    pub fn handle_message(&mut self, message: &Bytes) -> Verdict {
        self.handle_vouched(message, None)
    }

    /// Takes a message in, for which the owner on this node vouches if it is the one that it `made`.
    pub fn handle_vouched(&mut self, message: &Bytes, made: Option<Made>) -> Verdict {
        match channel::parse_from_owner(message) {
            Ok(FromOwner::Tick(tick)) => self.handle_tick(tick, made),
            Ok(FromOwner::Note(Note::Refused { player, code })) => {
                Verdict::Refuse(player, CloseCode::from_number(code).unwrap_or(CloseCode::Internal))
            }
            Ok(FromOwner::Note(Note::Ended)) => Verdict::Ended,
            Ok(FromOwner::Note(Note::Released)) => Verdict::Released,
            Ok(FromOwner::Note(Note::InputsLost)) => {
                self.handle_inputs_lost();
                Verdict::Ignore
            }
            Ok(FromOwner::Note(Note::Resumed { player, session, attempt })) => {
                Verdict::Resumed { player, session, attempt }
            }
            Ok(FromOwner::Note(Note::ChatRefused { player, seq, reason })) => {
                Verdict::RefuseChat { player, seq, reason }
            }
            Err(_) => Verdict::Foreign,
        }
    }

    /// Inputs were lost on their way to the owner.
    pub fn handle_inputs_lost(&mut self) {
        self.inputs_lost = true;
    }

    fn handle_tick(&mut self, message: TickMessage, made: Option<Made>) -> Verdict {
        if self.replica.is_broken() {
            return Verdict::Reload(self.take_found().unwrap_or(Gap::Waiting));
        }
        let have = self.position();
        let TickMessage { position, hash, frame: client_frame, prior, lines, views, .. } = message;
        let same_owner = position.fence == have.fence;
        if same_owner && position.tick <= have.tick {
            return Verdict::Ignore;
        }
        if !same_owner && self.confirmed != Some(position.fence) {
            return Verdict::Confirm(position.fence);
        }
        if position.tick != have.tick.next() {
            // What we have is right, only old: the ring may lead on from it.
            return Verdict::Reload(Gap::Missing { have: have.tick });
        }
        let mut frames = Vec::with_capacity(3);
        let announced = Position { fence: position.fence, tick: have.tick };
        if !same_owner || std::mem::take(&mut self.inputs_lost) {
            frames.push(Bytes::from(frame::owner(announced)));
        }
        let deferrable = made.filter(|_| same_owner && prior.is_none());
        if let Err(gap) = match deferrable {
            Some(Made { state }) => {
                self.defer(position, Deferred { hash, frame: client_frame.clone() }, state)
            }
            None => self.advance(announced, &client_frame, hash),
        } {
            return self.lose(gap);
        }
        frames.push(client_frame);
        if let Some(prior) = prior {
            if let Progress::Gap(gap) = self.replica.apply(&prior) {
                return self.lose(gap);
            }
            frames.push(prior);
        }
        self.chat.add(lines);
        self.views.apply(views);
        Verdict::FanOut(frames)
    }

    /// Takes in the tick after this position, which names whose it is.
    fn advance(&mut self, announced: Position, frame: &[u8], hash: u32) -> Result<(), Gap> {
        if !self.settle() {
            return Err(self.take_found().unwrap_or(Gap::Waiting));
        }
        // The full hash proves that a new owner went on from the very state we have.
        self.replica.rebase(announced);
        self.decode(frame, hash)
    }

    /// Takes in a tick that leads to the state of this node's owner, or, if it came along, that state. The first tick
    /// after such a state is decoded, for an owner's copy of its own state would not tell that it writes it wrongly.
    fn defer(&mut self, position: Position, tick: Deferred, state: Option<Replica>) -> Result<(), Gap> {
        if let Some(state) = state
            && state.position() == position
        {
            // Where time is no matter nothing goes by unchecked.
            if cfg!(debug_assertions) {
                self.advance(self.position(), &tick.frame, tick.hash)?;
                assert!(self.replica.same_state(&state), "an owner's diffs lead to its state");
            }
            self.deferred.clear();
            self.replica = state;
            self.is_unchecked = true;
            return Ok(());
        }
        // Where nothing happens decoding is nothing.
        let rests =
            self.deferred.is_empty() && self.replica.world().is_at_rest() && quiet::is_empty(&tick.frame);
        if self.is_unchecked || rests || self.deferred.len() == CHECK_EVERY {
            return self.advance(self.position(), &tick.frame, tick.hash);
        }
        self.deferred.push(tick);
        Ok(())
    }

    /// Decodes a tick that leads on from the copy, and holds the copy against its hash.
    fn decode(&mut self, frame: &[u8], hash: u32) -> Result<(), Gap> {
        let have = self.replica.position();
        self.is_unchecked = false;
        match self.replica.apply(frame) {
            Progress::Advanced => {}
            Progress::Stale => return Err(Gap::Owner { have: have.tick }),
            Progress::Gap(gap) => return Err(gap),
        }
        let actual = self.replica.world().hash();
        if actual == hash {
            return Ok(());
        }
        Err(Gap::Desync { tick: self.replica.position().tick, expected: hash, actual })
    }

    fn lose(&mut self, gap: Gap) -> Verdict {
        self.deferred.clear();
        self.replica.invalidate();
        if let Gap::Desync { tick, .. } = gap {
            self.desync = Some(tick);
        }
        Verdict::Reload(gap)
    }

    /// The store says that this is the ownership now.
    pub fn confirm(&mut self, fence: Fence) {
        self.confirmed = Some(fence);
    }

    /// Where the copy is wrong that was found to differ, told from the match's fields; `None` when they do not
    /// tell that tick's state any more.
    pub fn find_difference(&self, fields: &MatchFields) -> Option<Difference> {
        let exact = stored::restore_at(fields, self.desync?).ok()??;
        self.replica.world().first_difference(&exact)
    }

    /// Takes in a newly loaded match, its fields and the state restored from them; tells what the sockets have to
    /// learn.
    pub fn handle_load(&mut self, fields: &MatchFields, restored: Restored) -> Resync {
        self.settle();
        let (before, position) = (self.replica.position(), restored.stored.position());
        // Messages were missed, and among them may have been the word that inputs were lost.
        self.inputs_lost = true;
        let past = restored.stored.lineage.judge(position, before);
        // Also a copy that is of no use waits: its clients have ticks that the owner will write back.
        if past == Past::Behind {
            return Resync::Kept;
        }
        if past == Past::Held
            && !self.replica.is_broken()
            && let Some(frames) = self.take_missed(fields, &restored.stored)
        {
            return Resync::Missed(frames);
        }
        let (known, lines) = (std::mem::take(&mut self.chat), restored.chat.lines.clone());
        *self = Relay { inputs_lost: true, ..Relay::loaded(restored) };
        match past {
            Past::Lost { common } => Resync::Reset { from: before.tick, to: common },
            Past::Held | Past::Behind => {
                self.chat = known;
                self.chat.add(lines);
                Resync::Forward
            }
        }
    }

    /// Goes on from the copy's state with the ticks that the store has after it. `None` if it has not all of them,
    /// or they do not lead on from there: then the copy is of no use any more.
    fn take_missed(&mut self, fields: &MatchFields, stored: &StoredMatch) -> Option<Vec<Bytes>> {
        let mut frames = Vec::new();
        for tick in stored::ticks_after(fields, stored, self.replica.position().tick)? {
            // The store knows its owners.
            self.confirmed = Some(tick.position.fence);
            match self.handle_tick(tick, None) {
                Verdict::FanOut(more) => frames.extend(more),
                _ => return None,
            }
        }
        Some(frames)
    }
}

#[cfg(test)]
mod tests;
