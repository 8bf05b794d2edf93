//! A connection's socket, shared by the relay that fills it and the reader that watches it. Whatever is sent goes
//! straight to the socket when nothing waits: one write per client per tick, nobody woken. What a TLS session holds waits
//! as what stands in the queue does.

use std::fmt;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tickcast_protocol::CloseCode;
use tickcast_protocol::close::reason;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::io::transport::{Taken, Transport};
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

/// Sinks to be [warmed](Sink::warm) at once, before the first of them is read or written: about as many lines as memory is
/// asked for at a time.
pub const AHEAD: usize = 8;

/// A WebSocket ping without a payload.
const PING: [u8; 2] = [0x89, 0];

#[derive(Default)]
struct State {
    outbox: Outbox,
    closing: Option<CloseCode>,
    /// A silent client gets a ping with the next state, for which nothing has to be written besides.
    is_ping_offered: bool,
    /// The socket took nothing; the system tells when it does again.
    is_full: bool,
    is_broken: bool,
}

/// A connection's socket and what waits for it.
pub struct Sink {
    transport: Transport,
    state: Mutex<State>,
    call: Box<dyn Fn() + Send + Sync>,
}

/// How far a connection's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    None,
    /// This side has closed it; what waits and the close frame are still to be written.
    Closing,
    /// The close frame is out.
    Closed,
    /// The socket takes nothing any more.
    Broken,
}

impl Sink {
    /// Takes a socket over that does not block. Calls `call` as often as its reader has to ask for the [`Sink::end`].
    pub fn new(transport: Transport, call: impl Fn() + Send + Sync + 'static) -> Sink {
        Sink { transport, state: Mutex::default(), call: Box::new(call) }
    }

    /// Whether no state frame waits, wholly or in part.
    pub fn is_clear(&self) -> bool {
        self.lock().outbox.is_clear() && !self.transport.holds()
    }

    /// Looks at what a read or a write will need: of several sinks at once it takes the memory hardly longer than of one.
    pub fn warm(&self) {
        black_box((self.state.is_poisoned(), matches!(self.transport, Transport::Plain(_))));
    }

    /// Sends state that [`ws_frames`] has framed; only when [`Sink::is_clear`]. Whether all of it went out, which
    /// a closing connection says of anything.
    pub fn send_state(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        if state.closing.is_some() || state.is_broken {
            return true;
        }
        let with_ping = std::mem::take(&mut state.is_ping_offered);
        let bytes = if with_ping { [&bytes[..], &PING].concat().into() } else { bytes };
        // For a client in step the queue is not even touched.
        let waits = state.outbox.front().is_some();
        let written = if waits { 0 } else { self.try_write(&mut state, &bytes) };
        if written < bytes.len() {
            state.outbox.push_state(bytes.slice(written..));
            return false;
        }
        !self.is_held(&state)
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

    /// Lets a WebSocket ping go along with the next state, in the same write.
    pub fn offer_ping(&self) {
        self.lock().is_ping_offered = true;
    }

    /// Sends a WebSocket ping; one that was offered only if it has not gone.
    pub fn send_ping(&self, was_offered: bool) {
        let has_gone = !std::mem::take(&mut self.lock().is_ping_offered);
        if !(was_offered && has_gone) {
            self.send_raw(Bytes::from_static(&PING));
        }
    }

    /// Answers a WebSocket ping with this frame; an answer that still waits is left out.
    pub fn send_pong(&self, frame: Bytes) {
        let mut state = self.lock();
        if state.closing.is_none() {
            state.outbox.push_pong(frame);
        }
        self.write(&mut state);
    }

    /// Sends bytes that are WebSocket frames already. `false` when the queue is full: the socket is done for.
    pub fn send_raw(&self, bytes: Bytes) -> bool {
        let mut state = self.lock();
        let taken = state.closing.is_some() || state.outbox.push_control(bytes);
        self.write(&mut state);
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
            self.write(&mut state);
            drop(state);
            (self.call)();
        }
    }

    /// Why this side closed the connection, if it did.
    pub fn closing(&self) -> Option<CloseCode> {
        self.lock().closing
    }

    /// How far its end has come.
    pub fn end(&self) -> End {
        let state = self.lock();
        match (state.is_broken, state.closing) {
            (true, _) => End::Broken,
            (false, None) => End::None,
            (false, Some(_)) if state.outbox.front().is_some() || self.transport.holds() => End::Closing,
            (false, Some(_)) => End::Closed,
        }
    }

    /// The system says that the socket takes something again: writes what waits.
    pub fn handle_writable(&self) {
        let mut state = self.lock();
        let holds = self.transport.holds();
        if state.is_full || holds {
            state.is_full = false;
            if holds {
                self.try_write(&mut state, &[]);
            }
            self.write(&mut state);
        }
    }

    /// Reads what the client has sent.
    pub fn read(&self, buffer: &mut [u8]) -> Taken {
        self.transport.read(buffer)
    }

    /// Ends the connection, whatever waits: the client is told by the system.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.is_broken = true;
        state.outbox = Outbox::default();
        self.transport.end();
    }

    /// Writes at once what the socket takes.
    fn write(&self, state: &mut State) {
        while let Some(front) = state.outbox.front() {
            match self.try_write(state, &front) {
                0 => return,
                count => state.outbox.handle_written(count),
            }
        }
    }

    /// How much the socket took. One that is full is not tried again until the system tells that it is not; one that
    /// is broken is done for, which its reader is told.
    fn try_write(&self, state: &mut State, bytes: &[u8]) -> usize {
        if state.is_full || state.is_broken {
            return 0;
        }
        match self.transport.write(bytes) {
            Ok(written) => {
                state.is_full = written.is_full;
                written.count
            }
            Err(_) => {
                state.is_broken = true;
                (self.call)();
                0
            }
        }
    }

    /// Whether the end of what was written waits with the TLS session.
    fn is_held(&self, state: &State) -> bool {
        state.is_full && self.transport.holds()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sink").field("transport", &self.transport).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// More than the system takes for a client that does not read.
    const MUCH: usize = 32 << 20;

    fn connected() -> (TcpStream, Sink) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("connected");
        let (server, _) = listener.accept().expect("accepted");
        server.set_nonblocking(true).expect("a socket");
        (client, Sink::new(Transport::Plain(mio::net::TcpStream::from_std(server)), || {}))
    }

    #[test]
    fn a_ping_that_was_offered_goes_once_behind_the_next_state_or_by_itself() {
        let (mut client, sink) = connected();
        sink.offer_ping();
        assert!(sink.send_state(Bytes::from_static(b"one")));
        sink.send_ping(true);
        assert!(sink.send_state(Bytes::from_static(b"two")));
        sink.offer_ping();
        sink.send_ping(true);
        assert!(sink.send_state(Bytes::from_static(b"three")));
        sink.send_ping(false);
        drop(sink);
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("it ends");
        assert_eq!(all, b"one\x89\0two\x89\0three\x89\0");
    }

    #[test]
    fn who_pings_and_reads_nothing_gets_one_answer_the_newest() {
        let (mut client, sink) = connected();
        assert!(!sink.send_state(vec![0; MUCH].into()), "the client does not read");
        (0..=255).for_each(|number| sink.send_pong(vec![number; 2].into()));
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).map(|_| all)
        });
        while sink.lock().outbox.front().is_some() {
            sink.handle_writable();
            std::thread::yield_now();
        }
        drop(sink);
        let all = reading.join().expect("it reads").expect("all comes");
        assert_eq!(all[MUCH..], [255, 255]);
    }
}
