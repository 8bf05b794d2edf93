//! The writing half of a connection, shared by the relay that fills it and the connection that drains it.
//! Whatever is sent goes straight to the socket when nothing waits: one write per client per tick, no task woken.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tickcast_protocol::CloseCode;
use tickcast_protocol::close::reason;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::io::backlog;
use crate::logic::outbox::Outbox;

/// Bytes of a WebSocket frame before an unmasked payload.
const HEADER_BYTES_MAX: usize = 10;

/// Server's WebSocket frames of these payloads, one behind the other: unmasked, so the bytes are the same for
/// every client.
pub fn ws_frames(payloads: &[&[u8]]) -> Bytes {
    let mut out = Vec::with_capacity(payloads.iter().map(|payload| payload.len() + HEADER_BYTES_MAX).sum());
    payloads.iter().for_each(|payload| put_frame(&mut out, OpCode::Data(Data::Binary), payload));
    out.into()
}

fn raw_frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + HEADER_BYTES_MAX);
    put_frame(&mut out, opcode, payload);
    out.into()
}

fn put_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None };
    header.format(payload.len() as u64, out).expect("a vector takes any header");
    out.extend_from_slice(payload);
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
    /// Something was written, or there is something new to know of the sink: drain again.
    GoesOn,
    /// The close frame is out: nothing more will be written.
    Closed,
}

impl Sink {
    /// Takes a socket's writing half over.
    pub fn new(socket: OwnedWriteHalf) -> Sink {
        Sink { socket, state: Mutex::default(), wake: Notify::new() }
    }

    /// Whether no state frame waits, wholly or in part.
    pub fn is_clear(&self) -> bool {
        self.lock().outbox.is_clear()
    }

    /// Sends state that [`ws_frames`] has framed; only when [`Sink::is_clear`]. Whether all of it went out, which
    /// a closing connection says of anything.
    pub fn send_state(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        if state.closing.is_some() {
            return true;
        }
        // For a client in step the queue is not even touched.
        let waits = state.outbox.front().is_some();
        let written = if waits { 0 } else { self.try_write(&bytes).unwrap_or(0) };
        if written == bytes.len() {
            return true;
        }
        state.outbox.push_state(bytes.slice(written..));
        self.wake.notify_one();
        false
    }

    /// Sends a control message.
    pub fn send_control(&self, payload: &[u8]) {
        self.send_raw(raw_frame(OpCode::Data(Data::Binary), payload));
    }

    /// Sends a control message that must not be left out: where there is no room, the connection ends.
    pub fn send_control_or_close(&self, payload: &[u8]) {
        if !self.send_raw(raw_frame(OpCode::Data(Data::Binary), payload)) {
            self.close(CloseCode::Slow, CloseCode::Slow.text());
        }
    }

    /// Sends a WebSocket ping.
    pub fn send_ping(&self) {
        self.send_raw(raw_frame(OpCode::Control(Control::Ping), &[]));
    }

    /// Sends bytes that are WebSocket frames already. `false` when the queue is full: the socket is done for.
    pub fn send_raw(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        let taken = state.closing.is_some() || state.outbox.push_control(bytes);
        self.flush(&mut state);
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

    /// Writes what waits as far as the socket takes it; waits while it takes nothing or there is nothing. Nothing
    /// is lost when the future is dropped.
    pub async fn drain(&self) -> io::Result<Drained> {
        let waits = {
            let state = self.lock();
            let waits = state.outbox.front().is_some();
            if !waits && state.closing.is_some() {
                return Ok(Drained::Closed);
            }
            waits
        };
        tokio::select! {
            writable = self.socket.writable(), if waits => {
                writable?;
                self.write(&mut self.lock())?;
            }
            () = self.wake.notified() => {}
        }
        Ok(Drained::GoesOn)
    }

    /// Writes at once what the socket takes; the connection's task is woken for what it does not. A broken socket
    /// shows there: until then its bytes wait, bounded.
    fn flush(&self, state: &mut State) {
        if self.write(state).is_err() || state.outbox.front().is_some() {
            self.wake.notify_one();
        }
    }

    fn write(&self, state: &mut State) -> io::Result<()> {
        while let Some(front) = state.outbox.front() {
            match self.try_write(&front) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => state.outbox.handle_written(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        backlog::try_write(self.socket.as_ref(), bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
