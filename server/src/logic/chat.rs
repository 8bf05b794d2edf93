//! The chat of an owned match: what players say gets its place among the lines of a tick, and is written with it. All
//! of it that must survive stands in the match's hash: the last lines, and how far each player has been heard.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tickcast_protocol::chat::{ChatLine, ChatName, ChatRefusal, ChatText, ChatTo};
use tickcast_protocol::limits::CHAT_LINES_MAX;
use tickcast_protocol::{EntityId, PlayerId, Tick, World};

use crate::backplane::{FieldName, MatchFields, fields};
use crate::logic::channel::Note;

/// Lines that one tick orders at most; more wait for the next.
const LINES_PER_TICK_MAX: usize = 32;

/// Something that a player wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// Who.
    pub player: PlayerId,
    /// Its number, by the player's client.
    pub seq: u32,
    /// Whom it is for.
    pub to: ChatTo,
    /// What is said.
    pub text: ChatText,
}

/// A match's chat as its hash tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredChat {
    /// The last lines, by ascending number.
    pub lines: Vec<ChatLine>,
    /// The number of the last thing that each player has said.
    pub said: BTreeMap<PlayerId, u32>,
}

impl StoredChat {
    /// Reads the fields; the error is the name of one that makes no sense.
    pub fn read(stored: &MatchFields) -> Result<StoredChat, FieldName> {
        let mut chat = StoredChat::default();
        for slot in 0..CHAT_LINES_MAX as u64 {
            let name = FieldName::from(fields::chat(slot));
            let Some(value) = stored.get(&name[..]) else { continue };
            let line: Option<ChatLine> = serde_json::from_slice(value).ok();
            let line =
                line.filter(|line| line.number > 0 && fields::chat(line.number).as_bytes() == &name[..]);
            chat.lines.push(line.ok_or(name)?);
        }
        chat.lines.sort_by_key(|line| line.number);
        let prefix = fields::SAID_PREFIX.as_bytes();
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
        for (name, value) in
            stored.range(FieldName::from(prefix)..).take_while(|(name, _)| name.starts_with(prefix))
        {
            let read = number(&name[prefix.len()..]).zip(number(value));
            let (player, said) = read.ok_or_else(|| name.clone())?;
            chat.said.insert(PlayerId(player), said);
        }
        Ok(chat)
    }
}

/// The chat of an owned match.
#[derive(Debug, Default)]
pub struct Chat {
    lines: VecDeque<ChatLine>,
    said: BTreeMap<PlayerId, u32>,
    /// At most one per player: a relay sends the next when it has seen the one before.
    waiting: Vec<Saying>,
    /// What is refused; at most one per player as well.
    refused: BTreeMap<PlayerId, (u32, ChatRefusal)>,
    /// Players who have gone and whose fields are still there.
    gone: Vec<PlayerId>,
}

impl Chat {
    /// Goes on from what is stored. Who has no seat any more has nothing said.
    pub fn new(stored: StoredChat, is_seated: impl Fn(PlayerId) -> bool) -> Chat {
        let (said, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            stored.said.into_iter().partition(|(player, _)| is_seated(*player));
        Chat { lines: stored.lines.into(), said, gone: gone.into_keys().collect(), ..Chat::default() }
    }

    /// A player who has a seat wants to say something.
    pub fn handle_saying(&mut self, saying: Saying) {
        let Saying { player, seq, .. } = saying;
        if self.said.get(&player).is_some_and(|said| seq <= *said) {
            self.refused.insert(player, (seq, ChatRefusal::Repeated));
        } else if self.waiting.iter().all(|waiting| waiting.player != player) {
            self.waiting.push(saying);
        }
    }

    /// Whether something waits for the next tick.
    pub fn is_waiting(&self) -> bool {
        !(self.waiting.is_empty() && self.refused.is_empty() && self.gone.is_empty())
    }

    /// A player has left for good.
    pub fn forget(&mut self, player: PlayerId) {
        self.waiting.retain(|saying| saying.player != player);
        self.refused.remove(&player);
        if self.said.remove(&player).is_some() {
            self.gone.push(player);
        }
    }

    /// The lines of a tick in their order, with the names and teams that players have in its state; and what relays
    /// have to be told.
    pub fn take(
        &mut self,
        tick: Tick,
        world: &World,
        entity: impl Fn(PlayerId) -> Option<EntityId>,
    ) -> (Vec<ChatLine>, Vec<Note>) {
        let schema = world.schema();
        let mut lines = Vec::new();
        let later = self.waiting.split_off(self.waiting.len().min(LINES_PER_TICK_MAX));
        for Saying { player, seq, to, text } in std::mem::replace(&mut self.waiting, later) {
            let Some(entity) = entity(player) else { continue };
            let own = schema.team_field().map_or(0, |field| world.get(entity, field).max(0) as u32);
            if to == ChatTo::Team && own == 0 {
                self.refused.insert(player, (seq, ChatRefusal::NoTeam));
                continue;
            }
            let name = ChatName::of(schema.name_field().map_or("", |field| world.text(entity, field)));
            let number = self.lines.back().map_or(0, |line| line.number) + 1;
            let team = if to == ChatTo::Team { own } else { 0 };
            let line = ChatLine { number, tick, from: player, seq, team, name, text };
            self.said.insert(player, seq);
            self.lines.push_back(line.clone());
            lines.push(line);
        }
        self.lines.drain(..self.lines.len().saturating_sub(CHAT_LINES_MAX));
        let note = |(player, (seq, reason))| Note::ChatRefused { player, seq, reason };
        (lines, std::mem::take(&mut self.refused).into_iter().map(note).collect())
    }

    /// Writes the lines of a tick, and deletes what is kept of players who have gone.
    pub fn write(
        &mut self,
        lines: &[ChatLine],
        set: &mut Vec<(FieldName, Bytes)>,
        delete: &mut Vec<FieldName>,
    ) {
        for line in lines {
            set.push(stored_line(line));
            set.push(stored_said(line.from, line.seq));
        }
        // Whose seat was given anew may have said something since.
        let gone = self.gone.drain(..).filter(|player| !self.said.contains_key(player));
        delete.extend(gone.map(|player| fields::said(player).into()));
    }

    /// All that is stored of it.
    pub fn write_all(&self, set: &mut Vec<(FieldName, Bytes)>) {
        set.extend(self.lines.iter().map(stored_line));
        set.extend(self.said.iter().map(|(player, said)| stored_said(*player, *said)));
    }
}

fn stored_line(line: &ChatLine) -> (FieldName, Bytes) {
    let text = serde_json::to_string(line).expect("plain data is JSON");
    (fields::chat(line.number).into(), text.into())
}

fn stored_said(player: PlayerId, said: u32) -> (FieldName, Bytes) {
    (fields::said(player).into(), said.to_string().into())
}

#[cfg(test)]
mod tests;
