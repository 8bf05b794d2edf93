//! A client's connection without a network: it says bytes in pieces, ends when the node has nothing more to say to them,
//! and keeps what is answered.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tickcast_server::io::http::timed::Wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that the node may have room for in one read.
const READ_BYTES_MAX: usize = 32 * 1024;
/// Turns of all that runs in which nothing goes to or fro: then the node has nothing more to say.
const TURNS_OF_REST: usize = 48;

/// The node's end of the connection.
pub(super) struct Stream(Arc<Mutex<State>>);

/// The client's end.
pub(super) struct Client(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// Of each second read nothing comes, as from a socket that has no more just now.
    stutters: bool,
    is_dry: bool,
    /// The client has said all that it will say.
    has_ended: bool,
    reader: Option<Waker>,
    /// Bytes that the client takes of one write.
    takes: usize,
    taken: usize,
    answered: Vec<u8>,
    /// Changes with everything that goes to or fro.
    moves: usize,
}

/// Both ends of a connection whose client says these pieces, and takes so many bytes of an answer at once.
pub(super) fn connection(pieces: VecDeque<Vec<u8>>, stutters: bool, takes: usize) -> (Stream, Client) {
    let state = Arc::new(Mutex::new(State { pieces, stutters, takes, ..State::default() }));
    (Stream(Arc::clone(&state)), Client(state))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing under this lock panics but a broken promise")
}

impl Client {
    /// Says all, waits until nothing more is answered, and ends.
    pub(super) async fn play(&self) {
        let (mut seen, mut turns) = (0, 0);
        while turns < TURNS_OF_REST {
            tokio::task::yield_now().await;
            let moves = lock(&self.0).moves;
            turns = if moves == seen { turns + 1 } else { 0 };
            seen = moves;
        }
        let mut state = lock(&self.0);
        state.has_ended = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// How many bytes the node has read.
    pub(super) fn taken(&self) -> usize {
        lock(&self.0).taken
    }

    /// What the node has said.
    pub(super) fn answered(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.0).answered)
    }
}

impl Wire for Stream {
    fn forget(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        assert!(buffer.remaining() <= READ_BYTES_MAX, "room for {} bytes", buffer.remaining());
        if state.stutters && !state.is_dry {
            state.is_dry = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.is_dry = false;
        let Some(mut piece) = state.pieces.pop_front() else {
            if state.has_ended {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        let behind = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !behind.is_empty() {
            state.pieces.push_front(behind);
        }
        state.taken += piece.len();
        state.moves += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0);
        let count = bytes.len().min(state.takes);
        state.answered.extend_from_slice(&bytes[..count]);
        state.moves += 1;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
