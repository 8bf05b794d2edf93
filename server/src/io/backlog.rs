//! Keeps what a slow client has not been sent out of the system's buffers, where it could only wait and grow old.
//! Left to itself Linux takes megabytes for a socket; with these two it takes about as much as
//! [`UNSENT_BYTES_MAX`], and what follows is decided when there is room again.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// Bytes that the system holds for a socket before it has sent them; a frame that was begun may go beyond.
pub const UNSENT_BYTES_MAX: u32 = 8 * 1024;

/// For how long the system waits for what it has sent to be acknowledged. Left to itself it waits for many minutes.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(8);

/// Bounds the system's backlog of a socket, in bytes and in time, where the system can do that.
pub fn limit(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(socket);
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Writes as much as the socket takes now.
///
/// The bound is looked at for each buffer of the system's, and these are filled up to 64 KiB; so each frame ends
/// one (`MSG_EOR`).
pub fn write(socket: &mio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        const END_OF_RECORD: std::ffi::c_int = 0x80;
        socket2::SockRef::from(socket).send_with_flags(bytes, END_OF_RECORD)
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::io::Write;
        let mut socket = socket;
        socket.write(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What the system holds unsent for a client that does not read.
    async fn unsent(frame_bytes: usize) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (client, (socket, _)) = (client.expect("connected"), accepted.expect("accepted"));
        limit(&socket);
        let socket = mio::net::TcpStream::from_std(socket.into_std().expect("it is registered"));
        let (frame, mut taken) = (vec![7; frame_bytes], 0);
        while let Ok(count) = write(&socket, &frame) {
            taken += count;
        }
        let mut arrived = vec![0; 1 << 20];
        taken - client.peek(&mut arrived).await.expect("something arrived")
    }

    #[tokio::test]
    async fn the_system_holds_little_for_a_client_that_does_not_read() {
        for frame_bytes in [100, 1000, 20_000] {
            let unsent = unsent(frame_bytes).await;
            let bound = UNSENT_BYTES_MAX as usize + frame_bytes;
            assert!(unsent <= bound, "{unsent} bytes unsent of frames of {frame_bytes}");
        }
    }
}
