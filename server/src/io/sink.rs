//! The writing half of a connection, shared by the relay that fills it and the connection that drains it.
//! A diff goes straight to the socket when nothing waits: one write per client per tick, no task woken.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tickcast_protocol::CloseCode;
use tickcast_protocol::close::reason;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::logic::outbox::{Outbox, Standing};

/// A server's WebSocket frame of a payload: unmasked, so the bytes are the same for every client.
pub fn ws_frame(payload: &[u8]) -> Bytes {
    raw_frame(OpCode::Data(Data::Binary), payload)
}

fn raw_frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None };
    let mut out = Vec::with_capacity(payload.len() + 10);
    header.format(payload.len() as u64, &mut out).expect("a vector takes any header");
    out.extend_from_slice(payload);
    out.into()
}

#[derive(Default)]
struct State {
    outbox: Outbox,
    closing: Option<CloseCode>,
}

/// The writing half of one connection.
pub struct Sink {
    socket: OwnedWriteHalf,
    state: Mutex<State>,
    wake: Notify,
}

/// What draining came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// Something was written; there may be more.
    Wrote,
    /// The close frame is out: nothing more will be written.
    Closed,
}

impl Sink {
    /// Takes a socket's writing half over.
    pub fn new(socket: OwnedWriteHalf) -> Sink {
        Sink { socket, state: Mutex::default(), wake: Notify::new() }
    }

    /// Sends a diff that [`ws_frame`] has framed.
    pub fn send_state(&self, now: Instant, frame: &Bytes) -> Standing {
        let mut state = self.lock();
        if state.closing.is_some() {
            return Standing::Behind;
        }
        if !state.outbox.may_write_through() {
            return state.outbox.push_state(now, frame);
        }
        match self.socket.try_write(frame) {
            Ok(count) if count == frame.len() => {}
            Ok(count) => {
                state.outbox.push_rest(frame.slice(count..));
                self.wake.notify_one();
            }
            // A broken socket shows in the reading half; until then its frames wait, bounded.
            Err(_) => {
                state.outbox.push_state(now, frame);
                self.wake.notify_one();
            }
        }
        Standing::InStep
    }

    /// Sends a snapshot that [`ws_frame`] has framed, in place of whatever diffs wait.
    pub fn send_snapshot(&self, frame: Bytes) {
        let mut state = self.lock();
        if state.closing.is_none() {
            state.outbox.push_snapshot(frame);
            self.wake.notify_one();
        }
    }

    /// Sends a control message.
    pub fn send_control(&self, payload: &[u8]) {
        self.send_raw(ws_frame(payload));
    }

    /// Sends a WebSocket ping.
    pub fn send_ping(&self) {
        self.send_raw(raw_frame(OpCode::Control(Control::Ping), &[]));
    }

    /// Sends bytes that are WebSocket frames already. `false` when the queue is full: the socket is done for.
    pub fn send_raw(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        let taken = state.closing.is_some() || state.outbox.push_control(bytes);
        if taken {
            self.wake.notify_one();
        }
        taken
    }

    /// Sends a close frame behind what waits; the connection ends when it is out.
    pub fn close(&self, code: CloseCode, text: &str) {
        let mut state = self.lock();
        if state.closing.is_none() {
            let mut payload = code.number().to_be_bytes().to_vec();
            payload.extend_from_slice(reason(text).as_bytes());
            state.outbox.push_control(raw_frame(OpCode::Control(Control::Close), &payload));
            state.closing = Some(code);
            self.wake.notify_one();
        }
    }

    /// Why this side closed the connection, if it did.
    pub fn closing(&self) -> Option<CloseCode> {
        self.lock().closing
    }

    /// Writes what waits as far as the socket takes it; waits while there is nothing. Nothing is lost when
    /// the future is dropped.
    pub async fn drain(&self) -> io::Result<Drained> {
        loop {
            let front = {
                let state = self.lock();
                match state.outbox.front() {
                    None if state.closing.is_some() => return Ok(Drained::Closed),
                    front => front,
                }
            };
            if front.is_none() {
                self.wake.notified().await;
                continue;
            }
            self.socket.writable().await?;
            let mut state = self.lock();
            let Some(front) = state.outbox.front() else { continue };
            match self.socket.try_write(&front) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    state.outbox.handle_written(count);
                    return Ok(Drained::Wrote);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
