//! The chat of a followed match: lines of this node's players go up, what was said goes out to whom it is for.

use std::collections::BTreeMap;

use tickcast_protocol::PlayerId;
use tickcast_protocol::chat::{ChatRefusal, ChatTo};
use tickcast_protocol::message::ServerMessage;

use super::Followed;
use crate::backplane::Backplane;
use crate::logic::channel::Upstream;
use crate::logic::chat::Saying;

/// Players' teams, 0 for none, by the state.
type Teams = BTreeMap<PlayerId, u32>;

impl<B: Backplane> Followed<B> {
    /// One of our players says something. Its session has looked at the text.
    pub(super) fn handle_saying(&mut self, saying: Saying) {
        let Saying { player, seq, to, .. } = saying;
        if to == ChatTo::Team && self.teams().get(&player).is_none_or(|team| *team == 0) {
            return self.tell_refused(player, seq, ChatRefusal::NoTeam);
        }
        match self.sayings.handle_saying(saying) {
            Ok(now) => self.send_saying(now),
            Err(reason) => self.tell_refused(player, seq, reason),
        }
    }

    /// The owner has refused a line, of one of our players or of somebody else's.
    pub(super) fn handle_chat_refused(&mut self, player: PlayerId, seq: u32, reason: ChatRefusal) {
        if let Some(next) = self.sayings.handle_refused(player, seq) {
            self.tell_refused(player, seq, reason);
            self.send_saying(next);
        }
    }

    /// Tells everybody what was said with the ticks that they have been sent, and those who have come in what was said
    /// before.
    pub(super) fn pass_chat(&mut self) {
        let lines = self.relay.take_said();
        let is_due = !self.is_astray() && self.listeners.values().any(|listener| !listener.has_history);
        if lines.is_empty() && !is_due {
            return;
        }
        let teams = self.teams();
        for line in lines {
            let frame = ServerMessage::Chat(line.clone()).to_frame();
            for listener in self.listeners.values().filter(|listener| listener.has_history) {
                let team = listener.player.and_then(|player| teams.get(&player)).map_or(0, |team| *team);
                if line.is_for(team) {
                    listener.sink.send_control_or_close(&frame);
                }
            }
            let next = self.sayings.handle_line(&line);
            self.send_saying(next);
        }
        if is_due {
            self.tell_history(&teams);
        }
    }

    /// A player's team is known once the player is part of the state.
    fn tell_history(&mut self, teams: &Teams) {
        for listener in self.listeners.values_mut().filter(|listener| !listener.has_history) {
            let team = match listener.player {
                Some(player) => teams.get(&player).copied(),
                None => Some(0),
            };
            if let Some(team) = team {
                listener.has_history = true;
                let history = ServerMessage::ChatHistory(self.relay.history(team));
                listener.sink.send_control_or_close(&history.to_frame());
            }
        }
    }

    /// Sends again what the owner has not answered.
    pub(super) fn repeat_sayings(&mut self) {
        let (again, given_up) = self.sayings.repeat();
        again.into_iter().for_each(|saying| self.send_saying(Some(saying)));
        for Saying { player, seq, .. } in given_up {
            self.tell_refused(player, seq, ChatRefusal::Unheard);
        }
    }

    fn send_saying(&self, saying: Option<Saying>) {
        if let Some(Saying { player, seq, to, text }) = saying {
            self.send_upstream(Upstream::Chat { player, seq, to, text });
        }
    }

    fn tell_refused(&self, player: PlayerId, seq: u32, reason: ChatRefusal) {
        self.node.metrics.chat_refused.add(1);
        let message = ServerMessage::ChatRefused { seq, reason }.to_frame();
        let own = self.listeners.values().filter(|listener| listener.player == Some(player));
        own.for_each(|listener| listener.sink.send_control(&message));
    }

    fn teams(&mut self) -> Teams {
        self.relay.settle();
        let schema = &self.stored.schema;
        let world = self.relay.replica().world();
        let team = |id| schema.team_field().map_or(0, |field| world.get(id, field).max(0) as u32);
        let players = world.ids(schema.player_kind());
        players.map(|id| (PlayerId(world.get(id, schema.player_field()) as u32), team(id))).collect()
    }
}
