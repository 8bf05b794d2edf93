//! The first bytes of a connection, until they are the head of a request (`logic/head`): who sends it slowly costs a node a
//! small task and these bytes.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::timed::Wire;
use crate::logic::head::Head;

/// Bytes that are read at once: a usual head is shorter.
const READ_BYTES: usize = 2048;

/// Reads until there is a head, or so many bytes; an error when that ends before.
pub(super) async fn gather(stream: &mut impl Wire, bytes_max: usize) -> io::Result<Bytes> {
    let mut head = Head::default();
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max {
        let before = bytes.len();
        poll_fn(|context| poll_more(stream, context, &mut bytes, bytes_max)).await?;
        if bytes.len() == before {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if head.handle_bytes(&bytes[before..]) {
            break;
        }
    }
    Ok(bytes.into())
}

/// The room that is read into is there for as long as this takes and no longer.
fn poll_more(
    stream: &mut impl Wire,
    context: &mut Context<'_>,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
) -> Poll<io::Result<()>> {
    let mut room = [MaybeUninit::uninit(); READ_BYTES];
    let room = &mut room[..READ_BYTES.min(bytes_max - bytes.len())];
    let mut read = ReadBuf::uninit(room);
    ready!(Pin::new(stream).poll_read(context, &mut read))?;
    bytes.extend_from_slice(read.filled());
    Poll::Ready(Ok(()))
}
