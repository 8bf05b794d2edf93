//! A stream of which the begin was read already, and on which an answer must be taken in time (`logic/taking`); after that
//! the connection is ended, and what the client did not take is thrown away.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use crate::io::clock;
use crate::logic::taking::Taking;

/// What HTTP is spoken over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// When it is dropped, the system keeps nothing for the client.
    fn forget(&self);
}

impl Wire for TcpStream {
    fn forget(&self) {
        // It is over either way.
        let _ = self.set_zero_linger();
    }
}

impl Wire for TlsStream<TcpStream> {
    fn forget(&self) {
        self.get_ref().0.forget();
    }
}

/// The stream.
pub(super) struct Timed<S> {
    stream: S,
    /// What was read of it already and is to be read again.
    early: Bytes,
    taking: Taking,
    /// Present while something waits to be taken.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S: Wire> Timed<S> {
    pub(super) fn new(stream: S, early: Bytes, within: Duration) -> Timed<S> {
        Timed { stream, early, taking: Taking::new(within), alarm: None }
    }

    /// The stream, and what of it was read, `read`, and was not.
    pub(super) fn into_parts(self, read: Bytes) -> (S, Bytes) {
        let early = if self.early.is_empty() { read } else { [read, self.early].concat().into() };
        (self.stream, early)
    }

    /// Passes on what became of a write; what waits for too long is an error.
    fn judge<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            return done;
        }
        let due = self.taking.handle_waiting(clock::now());
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due.into())));
        ready!(alarm.as_mut().poll(context));
        self.stream.forget();
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: Wire> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = buffer.remaining().min(self.early.len());
        buffer.put_slice(&self.early[..count]);
        self.early.advance(count);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Wire> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has nothing more to write: what waited is out.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.taking.handle_out();
            self.alarm = None;
        }
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(context, shut)
    }
}
