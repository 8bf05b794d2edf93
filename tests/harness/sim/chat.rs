//! The imitated shell of a followed match's chat, and what must hold of it: everybody hears the same lines, each once
//! and in order, and whatever was said is heard in the end.

use std::collections::BTreeMap;

use tickcast_protocol::PlayerId;
use tickcast_protocol::chat::{ChatLine, ChatRefusal};
use tickcast_protocol::limits::CHAT_LINES_MAX;
use tickcast_protocol::message::ServerMessage;
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::chat::Saying;

use super::cluster::Cluster;
use super::counters::Seen;

/// What one match's clients have heard, and who said what. A match that was set back begins anew: what was heard
/// before may not have been said.
#[derive(Default)]
pub(super) struct Heard {
    lines: BTreeMap<u64, ChatLine>,
    said: BTreeMap<(PlayerId, u32), u64>,
}

impl Heard {
    /// The line that everybody heard at this place, if it is not this one; or where it was said before.
    fn contradiction(&mut self, line: &ChatLine) -> Option<String> {
        let first = self.lines.entry(line.number).or_insert_with(|| line.clone());
        let number = *self.said.entry((line.from, line.seq)).or_insert(line.number);
        (first != line || number != line.number).then(|| format!("{line:?} and {first:?}, said at {number}"))
    }
}

impl Cluster {
    pub(super) fn handle_saying(&mut self, node: usize, game: usize, saying: Saying) {
        let Saying { player, seq, .. } = saying;
        self.say(|| format!("n{node}: player {player} says line {seq}"));
        let Some(live) = self.live(node, game) else { return };
        match live.sayings.handle_saying(saying) {
            Ok(now) => self.send_saying(node, game, now),
            Err(reason) => self.tell_refused(node, game, player, seq, reason),
        }
    }

    pub(super) fn handle_chat_refused(
        &mut self,
        node: usize,
        game: usize,
        (player, seq): (PlayerId, u32),
        reason: ChatRefusal,
    ) {
        let Some(live) = self.live(node, game) else { return };
        if let Some(next) = live.sayings.handle_refused(player, seq) {
            self.tell_refused(node, game, player, seq, reason);
            self.send_saying(node, game, next);
        }
    }

    /// Tells what was said, and to those who have come in what was said before.
    pub(super) fn pass_chat(&mut self, node: usize, game: usize) {
        let Some(live) = self.live(node, game) else { return };
        let (lines, astray) = (live.relay.take_said(), live.is_astray());
        let listeners: Vec<u64> = live.listeners.iter().copied().collect();
        let (told, new): (Vec<u64>, Vec<u64>) = listeners
            .into_iter()
            .partition(|id| self.connections.get(id).is_none_or(|connection| connection.has_history));
        for line in lines {
            let Some(live) = self.live(node, game) else { return };
            let next = live.sayings.handle_line(&line);
            let frame = ServerMessage::Chat(line).to_frame();
            told.iter().for_each(|id| self.send_control(*id, &frame));
            self.send_saying(node, game, next);
        }
        if !astray && !new.is_empty() {
            self.tell_history(node, game, &new);
        }
    }

    fn tell_history(&mut self, node: usize, game: usize, listeners: &[u64]) {
        let Some(live) = self.live(node, game) else { return };
        let history = ServerMessage::ChatHistory(live.relay.history(0)).to_frame();
        live.relay.settle();
        let world = live.relay.replica().world();
        let (kind, field) = (world.schema().player_kind(), world.schema().player_field());
        let seated: Vec<u32> = world.ids(kind).map(|id| world.get(id, field) as u32).collect();
        for id in listeners {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            if connection.player.is_none_or(|player| seated.contains(&player.0)) {
                connection.has_history = true;
                self.send_control(*id, &history);
            }
        }
    }

    pub(super) fn repeat_sayings(&mut self, node: usize, game: usize) {
        let Some(live) = self.live(node, game) else { return };
        let (again, given_up) = live.sayings.repeat();
        for saying in again {
            self.counters.see(Seen::SaidAgain);
            self.send_saying(node, game, Some(saying));
        }
        for Saying { player, seq, .. } in given_up {
            self.tell_refused(node, game, player, seq, ChatRefusal::Unheard);
        }
    }

    fn send_saying(&mut self, node: usize, game: usize, saying: Option<Saying>) {
        if let Some(Saying { player, seq, to, text }) = saying {
            self.say(|| format!("n{node}: player {player} line {seq} goes up"));
            self.send_upstream(node, game, Upstream::Chat { player, seq, to, text });
        }
    }

    fn tell_refused(&mut self, node: usize, game: usize, player: PlayerId, seq: u32, reason: ChatRefusal) {
        if reason == ChatRefusal::Repeated {
            self.counters.see(Seen::SaidBefore);
        }
        let Some(live) = self.live(node, game) else { return };
        let frame = ServerMessage::ChatRefused { seq, reason }.to_frame();
        for id in live.listeners.clone() {
            if self.connections.get(&id).is_some_and(|connection| connection.player == Some(player)) {
                self.send_control(id, &frame);
            }
        }
    }

    /// A client hears lines: those after the last that it heard, unless the match has forgotten some meanwhile.
    pub(super) fn handle_heard(&mut self, client: usize, game: usize, last: Option<u64>, lines: &[ChatLine]) {
        if self.oracle.was_set_back(game) {
            return;
        }
        self.counters.add(Seen::Heard, lines.len() as u64);
        let first = lines[0].number;
        let skipped = last.is_some_and(|last| first != last + 1) && lines.len() < CHAT_LINES_MAX;
        let ordered = lines.windows(2).all(|pair| pair[0].number + 1 == pair[1].number);
        if skipped || !ordered {
            self.oracle.fail(format!("client {client} heard {last:?}, then {lines:?}"));
        }
        for line in lines {
            if let Some(text) = self.heard[game].contradiction(line) {
                self.oracle.fail(format!("client {client}, match {game}: {text}"));
            }
        }
    }
}
