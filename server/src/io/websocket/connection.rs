//! One connection: what its socket brings goes into the session, and what the session decides is done.

use std::hint::black_box;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::message::{Join, Role, ServerMessage};
use tickcast_protocol::{CloseCode, SessionId};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message, error::CapacityError};

use super::intake::{Heard, Intake};
use super::{Address, tell};
use crate::backplane::Backplane;
use crate::io::gate::{AccountPlace, Pass};
use crate::io::node::{Node, Refusal};
use crate::io::relay_task::{Joined, RelayCommand, Uplink};
use crate::io::sink::{End, Sink};
use crate::io::transport::Taken;
use crate::logic::channel::Upstream;
use crate::logic::session::{Output, Session};

/// How long a close frame may take to go out, and then the client to answer it.
const CLOSE_LINGER: Duration = Duration::from_secs(1);
/// Reads of one socket in one pass; more than that waits until the others have had theirs.
const READS_MAX: usize = 4;

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// Until its socket has something.
    On,
    /// There is more to read already.
    Again,
    /// It is over.
    Away,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client is listened to.
    Open,
    /// Its wish to join is being answered; until then nothing is read.
    Joining,
    /// This side has closed it; the frame that says so is to be out by then.
    Closing(Instant),
    /// That frame is out; the client may answer until then.
    Goodbye(Instant),
}

/// One client's connection.
pub(super) struct Connection<B: Backplane> {
    node: Arc<Node<B>>,
    id: SessionId,
    sink: Arc<Sink>,
    session: Session,
    intake: Intake,
    /// What was read and is not a whole frame yet, or not to be looked at yet.
    begun: Vec<u8>,
    phase: Phase,
    address: Address,
    /// The match's relay, once joined.
    relay: Option<mpsc::Sender<RelayCommand>>,
    /// Where its inputs go, once joined.
    uplink: Option<Arc<Uplink>>,
    /// What comes makes no sense any more, or is to make none.
    is_deaf: bool,
    /// The client's close frame has come.
    heard_close: bool,
    /// The client closed first, which a page does that is loaded anew: no goodbye, only `Leave` is one.
    closed_first: bool,
    /// When its reader means to look at it.
    looks_at: Option<Instant>,
    /// It sent more than it may: nothing is read any more.
    is_muted: bool,
    /// Its place among those who are let in.
    pass: Pass,
    /// Its place among the connections of its account.
    place: Option<AccountPlace>,
}

impl<B: Backplane> Connection<B> {
    pub(super) fn new(
        node: Arc<Node<B>>,
        sink: Arc<Sink>,
        address: Address,
        (early, pass): (Bytes, Pass),
        now: Instant,
    ) -> Connection<B> {
        let id = node.next_session();
        node.sessions.insert(id, Arc::clone(&sink));
        let session =
            Session::new(now, node.settings.chat_per_minute, node.settings.exposure.bytes_per_second);
        Connection {
            node,
            id,
            sink,
            session,
            intake: Intake::default(),
            // A copy: what came early lies in a buffer that is large and mostly empty.
            begun: early.to_vec(),
            phase: Phase::Open,
            address,
            relay: None,
            uplink: None,
            is_deaf: false,
            heard_close: false,
            closed_first: false,
            looks_at: None,
            is_muted: false,
            pass,
            place: None,
        }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, id: SessionId) -> bool {
        self.id == id
    }

    /// Looks at what a read will need.
    pub(super) fn warm(&self, now: Instant) {
        black_box((self.begun.len(), self.phase, self.looks_at, self.is_muted, self.uplink.is_some()));
        self.session.warm(now);
        self.sink.warm();
    }

    /// Writes what waits.
    pub(super) fn handle_writable(&self) {
        self.sink.handle_writable();
    }

    /// Reads what the socket has, and does what follows. Where that is all, the system tells when there is more; unless
    /// the read is to find the `end`, of which it has told already.
    pub(super) fn read(&mut self, buffer: &mut [u8], end: bool, now: Instant) -> Goes {
        if !self.begun.is_empty() {
            self.take_begun(&[], now);
        }
        for _ in 0..READS_MAX {
            if self.phase == Phase::Joining || self.is_muted {
                return Goes::On;
            }
            let (count, is_all) = match self.sink.read(buffer) {
                Taken::Some { count, is_all } => (count, is_all),
                Taken::Nothing => return Goes::On,
                Taken::End => return Goes::Away,
            };
            let too_many = self.session.handle_bytes(now, count);
            let bytes = &mut buffer[..count];
            if self.begun.is_empty() {
                let taken = self.take(bytes, now);
                self.begun.extend_from_slice(&bytes[taken..]);
            } else {
                self.take_begun(bytes, now);
            }
            // What else is wrong with these bytes has been told before.
            if too_many != Output::Nothing {
                self.is_muted = true;
                self.handle_output(too_many);
                return Goes::On;
            }
            let is_within = self.intake.is_within_message() || !self.begun.is_empty();
            self.session.handle_pause(now, is_within);
            if is_all && !end {
                return Goes::On;
            }
        }
        Goes::Again
    }

    fn take_begun(&mut self, more: &[u8], now: Instant) {
        let mut begun = mem::take(&mut self.begun);
        begun.extend_from_slice(more);
        let taken = self.take(&mut begun, now);
        if taken < begun.len() {
            begun.drain(..taken);
            self.begun = begun;
        }
    }

    /// Handles the frames that these bytes begin with: how many bytes that were. Nothing is left of what is not
    /// listened to.
    fn take(&mut self, bytes: &mut [u8], now: Instant) -> usize {
        let mut taken = 0;
        while !self.is_deaf && self.phase != Phase::Joining {
            let (size, heard) = self.intake.take(&mut bytes[taken..]);
            if size == 0 {
                return taken;
            }
            taken += size;
            match heard {
                Some(Heard::Binary(payload)) => self.handle_frame(payload, now),
                Some(Heard::Other(message)) => {
                    let is_ping = matches!(message, Ok(Message::Ping(_)));
                    self.handle_other(message, now);
                    match self.intake.reply() {
                        Some(pong) if is_ping => self.sink.send_pong(pong),
                        Some(reply) => drop(self.sink.send_raw(reply)),
                        None => {}
                    }
                }
                None => {}
            }
            if !self.intake.is_within_message() {
                self.session.handle_whole();
            }
        }
        if self.is_deaf { bytes.len() } else { taken }
    }

    fn handle_frame(&mut self, frame: &[u8], now: Instant) {
        if matches!(self.phase, Phase::Goodbye(_)) {
            return;
        }
        self.node.metrics.frame_received(frame.len());
        let output = self.session.handle_frame(now, frame);
        self.handle_output(output);
    }

    fn handle_other(&mut self, message: Result<Message, Error>, now: Instant) {
        let output = match message {
            Ok(Message::Binary(frame)) => return self.handle_frame(&frame, now),
            Ok(Message::Ping(_) | Message::Pong(_)) => self.session.handle_sign_of_life(now),
            Ok(Message::Text(_)) => close(CloseCode::TextFrame),
            Ok(Message::Close(frame)) => {
                (self.is_deaf, self.heard_close) = (true, true);
                self.closed_first |= self.sink.closing().is_none();
                // Of a code that nobody may send tungstenite makes this one.
                let is_wrong =
                    frame.is_some_and(|frame| u16::from(frame.code) == CloseCode::Protocol.number());
                close(if is_wrong { CloseCode::Protocol } else { CloseCode::Normal })
            }
            Ok(Message::Frame(_)) => Output::Nothing,
            Err(error) => {
                self.is_deaf = true;
                close(code_of(&error))
            }
        };
        self.handle_output(output);
    }

    fn handle_output(&mut self, output: Output) {
        match output {
            Output::Nothing => {}
            Output::OfferPing => self.sink.offer_ping(),
            Output::Ping { was_offered } => self.sink.send_ping(was_offered),
            Output::Join { name, join, ticket } => self.join(name, join, ticket),
            Output::Input { player, seq, seen, behind, values } => {
                let input = Upstream::Input { player, seq, seen, behind, values };
                let refused = self.uplink.as_ref().is_some_and(|uplink| !uplink.push(input));
                self.node.metrics.inputs_lost.add(u64::from(refused));
            }
            Output::Say(saying) => self.tell_relay(RelayCommand::Say(saying)),
            Output::Refuse { seq, reason } => {
                self.node.metrics.chat_refused.add(1);
                self.sink.send_control(&ServerMessage::ChatRefused { seq, reason }.to_frame());
            }
            Output::Pong { nonce } => match &self.relay {
                Some(_) => self.tell_relay(RelayCommand::Ping { session: self.id, nonce }),
                None => self
                    .sink
                    .send_control(&ServerMessage::Pong { nonce, tick: Default::default() }.to_frame()),
            },
            Output::Snapshot => self.tell_relay(RelayCommand::Snapshot { session: self.id }),
            Output::Close(CloseCode::RateLimited, _) if self.is_struck_out() => {
                self.sink.close(CloseCode::TooManyErrors, CloseCode::TooManyErrors.text());
            }
            Output::Close(code, text) => self.sink.close(code, &text),
        }
    }

    /// Whether it is too fast once too often; a connection that is closed already counts once.
    fn is_struck_out(&self) -> bool {
        self.sink.closing().is_none() && self.node.gate.strike(&self.pass, self.place.as_ref())
    }

    fn join(&mut self, name: String, join: Join, ticket: String) {
        self.phase = Phase::Joining;
        let (node, sink, id) = (Arc::clone(&self.node), Arc::clone(&self.sink), self.id);
        let address = self.address.clone();
        self.node.tasks.spawn(async move {
            let joined = match node.admit(name, join, &ticket).await {
                Ok(visitor) => node.join(id, &sink, visitor).await,
                Err(refusal) => Err(refusal),
            };
            address.joined(id, joined);
        });
    }

    /// The wish to join was answered: the client is listened to again.
    pub(super) fn handle_joined(
        &mut self,
        answer: Result<Joined, Refusal>,
        buffer: &mut [u8],
        now: Instant,
    ) -> Goes {
        if self.phase == Phase::Joining {
            self.phase = Phase::Open;
        }
        match answer {
            Ok(joined) => {
                self.session.handle_joined(now, joined.role, joined.schema, joined.tick_rate);
                (self.relay, self.uplink) = (Some(joined.relay), Some(joined.uplink));
                self.place = joined.place;
                if let Role::Player(player) = joined.role {
                    tracing::debug!(session = %self.id, %player, "joined");
                }
            }
            Err(refusal) => self.sink.close(refusal.code, &refusal.text),
        }
        // What the system told meanwhile, an end included, was not looked into.
        self.read(buffer, true, now)
    }

    /// The relay's queue is bounded; when it is full the match is in trouble and an input more is no help.
    fn tell_relay(&self, command: RelayCommand) {
        let refused = self.relay.as_ref().is_some_and(|relay| relay.try_send(command).is_err());
        if refused {
            self.node.metrics.commands_dropped.add(1);
        }
    }

    /// Its time has come: the session's, or the end of a goodbye.
    pub(super) fn handle_due(&mut self, now: Instant) -> Goes {
        self.looks_at = None;
        match self.phase {
            // A client that does not even take its close frame, or does not answer it, is not waited for.
            Phase::Closing(until) | Phase::Goodbye(until) if until <= now => return Goes::Away,
            Phase::Open if self.session.timeout() <= now => {
                let output = self.session.handle_timeout(now);
                self.handle_output(output);
            }
            _ => {}
        }
        Goes::On
    }

    /// What follows from how far the end has come.
    pub(super) fn settle(&mut self, goes: Goes, now: Instant) -> Goes {
        let end = self.sink.end();
        if end == End::Broken {
            return Goes::Away;
        }
        if end != End::None && matches!(self.phase, Phase::Open | Phase::Joining) {
            self.phase = Phase::Closing(now + CLOSE_LINGER);
        }
        if end == End::Closed && matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Goodbye(now + CLOSE_LINGER);
        }
        let both_said_it = self.heard_close && matches!(self.phase, Phase::Goodbye(_));
        if both_said_it { Goes::Away } else { goes }
    }

    /// When it is to be looked at, where that is earlier than meant so far.
    pub(super) fn reschedule(&mut self) -> Option<Instant> {
        let due = match self.phase {
            Phase::Open => self.session.timeout(),
            Phase::Joining => return None,
            Phase::Closing(until) | Phase::Goodbye(until) => until,
        };
        let is_news = self.looks_at.is_none_or(|meant| due < meant);
        is_news.then(|| *self.looks_at.insert(due))
    }

    /// Whether its reader means to look at it just then.
    pub(super) fn is_due(&self, at: Instant) -> bool {
        self.looks_at == Some(at)
    }

    /// It is over: whoever knows of it is told.
    pub(super) fn part(mut self) {
        let closing = self.sink.closing();
        if let Some(relay) = self.relay.take() {
            // Whoever said goodbye, or may not come back, is gone; whose connection broke may be back in a moment.
            let parted = |code: CloseCode| !code.may_reconnect() && code != CloseCode::Replaced;
            let for_good = !self.closed_first && closing.is_some_and(parted);
            tell(&self.node, &relay, RelayCommand::Leave { session: self.id, for_good });
        }
        self.node.sessions.remove(&self.id);
        self.sink.cut();
        if let Some(code) = closing {
            self.node.metrics.count_close(code);
        }
    }
}

fn close(code: CloseCode) -> Output {
    Output::Close(code, code.text().to_owned())
}

/// The close code for what tungstenite found; it sends none by itself.
fn code_of(error: &Error) -> CloseCode {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::TooBig,
        Error::Utf8(_) => CloseCode::BadUtf8,
        _ => CloseCode::Protocol,
    }
}
