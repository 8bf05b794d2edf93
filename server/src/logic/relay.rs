//! How a node follows a match: what to pass on to its sockets, and when to load the match anew.

use bytes::Bytes;
use tickcast_protocol::chat::{ChatLine, ChatRefusal};
use tickcast_protocol::replica::{Gap, Progress, Replica};
use tickcast_protocol::world::Difference;
use tickcast_protocol::{CloseCode, Fence, PlayerId, Position, SessionId, Tick, frame};

use crate::backplane::MatchFields;
use crate::logic::channel::{self, FromOwner, Note, TickMessage};
use crate::logic::lineage::Past;
use crate::logic::stored::{self, Restored, StoredMatch};
use crate::logic::transcript::Transcript;

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

/// A node's copy of a match.
#[derive(Debug)]
pub struct Relay {
    replica: Replica,
    chat: Transcript,
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
        Relay { replica, chat, desync: None, confirmed: None, inputs_lost: false }
    }

    /// Begins at a loaded match.
    pub fn loaded(restored: Restored) -> Relay {
        let Restored { stored, world, prior, chat, .. } = restored;
        Relay::new(Replica::loaded(world, prior, stored.position()), chat.lines)
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
    pub fn seen(&self) -> Seen {
        let world = self.replica.world();
        let (hash, recomputed) = (world.hash(), world.recomputed_hash());
        Seen { position: self.replica.position(), hash, recomputed }
    }

    /// The copy.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Takes a message in.
    pub fn handle_message(&mut self, message: &Bytes) -> Verdict {
        match channel::parse_from_owner(message) {
            Ok(FromOwner::Tick(tick)) => self.handle_tick(tick),
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

    fn handle_tick(&mut self, message: TickMessage) -> Verdict {
        let have = self.replica.position();
        let TickMessage { position, hash, frame: client_frame, prior, lines, .. } = message;
        let same_owner = position.fence == have.fence;
        if self.replica.is_broken() {
            return Verdict::Reload(Gap::Waiting);
        }
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
        if !same_owner || std::mem::take(&mut self.inputs_lost) {
            // The full hash below proves that a new owner went on from the very state we have.
            let announced = Position { fence: position.fence, tick: have.tick };
            self.replica.rebase(announced);
            frames.push(Bytes::from(frame::owner(announced)));
        }
        match self.replica.apply(&client_frame) {
            Progress::Advanced => {}
            Progress::Stale => return self.lose(Gap::Owner { have: have.tick }),
            Progress::Gap(gap) => return self.lose(gap),
        }
        let actual = self.replica.world().hash();
        if actual != hash {
            return self.lose(Gap::Desync { tick: position.tick, expected: hash, actual });
        }
        frames.push(client_frame);
        if let Some(prior) = prior {
            if let Progress::Gap(gap) = self.replica.apply(&prior) {
                return self.lose(gap);
            }
            frames.push(prior);
        }
        self.chat.add(lines);
        Verdict::FanOut(frames)
    }

    fn lose(&mut self, gap: Gap) -> Verdict {
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
            match self.handle_tick(tick) {
                Verdict::FanOut(more) => frames.extend(more),
                _ => return None,
            }
        }
        Some(frames)
    }
}

#[cfg(test)]
mod tests;
