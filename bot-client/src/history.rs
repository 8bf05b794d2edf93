//! What bots write down of what they are shown, for `tickcast check`. Each event is one write to a file opened for
//! appending: processes may share the file, and one that is killed has lost at most a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tickcast_protocol::client::Client;
use tickcast_protocol::frame::{CATCHUP, SERVER_CONTROL, SNAPSHOT};
use tickcast_protocol::history::{Event, Line};
use tickcast_protocol::message::{Role, ServerMessage};
use tickcast_protocol::{InputSeq, MatchId, Position, SessionId};

use crate::clock;

/// The file of a process's bots.
#[derive(Debug)]
pub(crate) struct History(File);

impl History {
    pub(crate) fn open(path: &Path) -> io::Result<History> {
        Ok(History(OpenOptions::new().create(true).append(true).open(path)?))
    }
}

/// What is to be known of one bot to write down what changes.
#[derive(Debug)]
pub(crate) struct Recorder {
    by: String,
    connection: Option<(MatchId, SessionId)>,
    seen: Position,
    sent: InputSeq,
}

impl Recorder {
    pub(crate) fn new(by: String) -> Recorder {
        Recorder { by, connection: None, seen: Position::default(), sent: InputSeq(0) }
    }

    /// A frame was taken in.
    pub(crate) fn handle_frame(
        &mut self,
        history: &History,
        client: &Client,
        frame: &[u8],
    ) -> io::Result<()> {
        if frame.first() == Some(&SERVER_CONTROL) {
            return match ServerMessage::from_frame(frame) {
                Ok(message) => self.handle_message(history, message),
                Err(_) => Ok(()),
            };
        }
        let (Some(joined), Some((_, session))) = (client.joined(), &self.connection) else { return Ok(()) };
        let (replica, session) = (&joined.replica, *session);
        if replica.is_broken() || replica.position() == self.seen {
            return Ok(());
        }
        // A new owner was announced at the tick that the client has: no new state.
        let ticked = replica.position().tick != self.seen.tick;
        self.seen = replica.position();
        let jumped = frame.first().is_some_and(|kind| *kind == SNAPSHOT || kind & 0xf0 == CATCHUP);
        if !ticked && !jumped {
            return Ok(());
        }
        let (at, hash) = (self.seen.into(), replica.world().hash());
        self.write(history, Event::Seen { session, at, hash, acked: joined.acknowledged(), jumped })
    }

    fn handle_message(&mut self, history: &History, message: ServerMessage) -> io::Result<()> {
        match (message, &self.connection) {
            (ServerMessage::Welcome { node, session, match_id, role, .. }, _) => {
                let player = match role {
                    Role::Player(player) => Some(player),
                    Role::Spectator => None,
                };
                self.connection = Some((match_id, session));
                self.seen = Position::default();
                self.write(history, Event::Joined { session, player, node })
            }
            (ServerMessage::Reset { from, to }, Some((_, session))) => {
                let session = *session;
                self.seen = Position::default();
                self.write(history, Event::Reset { session, from: from.0, to: to.0 })
            }
            _ => Ok(()),
        }
    }

    /// Inputs up to this number have been made.
    pub(crate) fn handle_sent(&mut self, history: &History, last: InputSeq) -> io::Result<()> {
        while let Some((_, session)) = self.connection.as_ref().filter(|_| self.sent < last) {
            let session = *session;
            self.sent.0 += 1;
            self.write(history, Event::Sent { session, seq: self.sent })?;
        }
        Ok(())
    }

    /// The connection ended.
    pub(crate) fn handle_loss(&mut self, history: &History, why: String) -> io::Result<()> {
        match &self.connection {
            Some((_, session)) => self.write(history, Event::Lost { session: *session, why }),
            None => Ok(()),
        }
    }

    fn write(&self, history: &History, event: Event) -> io::Result<()> {
        let Some((id, _)) = &self.connection else { return Ok(()) };
        let line = Line { at_us: clock::unix_us(), by: self.by.clone(), id: id.clone(), event };
        (&history.0).write_all(line.to_line().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_tells_where_it_is_and_each_input_once() {
        let folder = std::env::temp_dir().join(format!("tickcast-bots-{:016x}", rand::random::<u64>()));
        let history = History::open(&folder).unwrap();
        let mut recorder = Recorder::new("bot-0".to_owned());
        recorder.handle_sent(&history, InputSeq(1)).unwrap();
        let welcome = ServerMessage::Welcome {
            protocol: 3,
            node: "n1".parse().unwrap(),
            session: SessionId(5),
            match_id: "m1".parse().unwrap(),
            role: Role::Spectator,
            tick_rate: 20u64.try_into().unwrap(),
            schema: String::new(),
            resume: Default::default(),
        };
        recorder.handle_message(&history, welcome).unwrap();
        for last in [2, 2, 3] {
            recorder.handle_sent(&history, InputSeq(last)).unwrap();
        }
        recorder.handle_loss(&history, "gone".to_owned()).unwrap();
        let text = std::fs::read_to_string(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        let told: Vec<Event> = text.lines().map(|line| Line::from_line(line).unwrap().event).collect();
        let sent = |seq| Event::Sent { session: SessionId(5), seq: InputSeq(seq) };
        assert_eq!(told[1..4], [sent(1), sent(2), sent(3)]);
        assert!(matches!((&told[0], &told[4]), (Event::Joined { .. }, Event::Lost { .. })), "{told:?}");
    }
}
