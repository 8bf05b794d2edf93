//! A socket that carries a connection, plain or under TLS, read and written without ever waiting. A plain one is used as
//! it is; under TLS the session keeps at most one record that the socket has not taken.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::io::backlog;

/// Bytes of one TLS record: no more than that is made before the socket has taken the one before.
const RECORD_BYTES: usize = 16 * 1024;
/// Reads of the socket in one call; what else there is comes with the next call.
const READS_MAX: usize = 8;
/// Bytes from the socket without a byte for the connection: more than the longest record and what may stand beside it.
const VOID_BYTES_MAX: usize = 64 * 1024;

/// A socket, and what stands between it and the connection.
pub enum Transport {
    /// Nothing does.
    Plain(TcpStream),
    /// A TLS session whose handshake is done.
    Tls(Box<Tls>),
}

/// A socket under TLS.
pub struct Tls {
    socket: TcpStream,
    session: Mutex<Session>,
}

struct Session {
    connection: ServerConnection,
    /// Bytes of the socket since there was one for the connection.
    void_bytes: usize,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes, also none; `is_all` if the socket has no more, and the system tells when it has.
    Some {
        /// How many bytes.
        count: usize,
        /// Whether the socket has no more.
        is_all: bool,
    },
    /// The socket has nothing.
    Nothing,
    /// There will be no more.
    End,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many bytes are on their way, or held by the session.
    pub count: usize,
    /// The socket takes no more; the system tells when it does.
    pub is_full: bool,
}

impl Transport {
    /// A socket that does not block, under this session.
    pub fn tls(socket: TcpStream, connection: ServerConnection) -> Transport {
        let session = Mutex::new(Session { connection, void_bytes: 0 });
        Transport::Tls(Box::new(Tls { socket, session }))
    }

    /// The socket, for the system to be asked about it.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => &mut tls.socket,
        }
    }

    /// Reads what there is.
    pub fn read(&self, buffer: &mut [u8]) -> Taken {
        match self {
            Transport::Plain(socket) => loop {
                return match (&*socket).read(buffer) {
                    Ok(0) => Taken::End,
                    Ok(count) => Taken::Some { count, is_all: count < buffer.len() && cfg!(unix) },
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Taken::Nothing,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => Taken::End,
                };
            },
            Transport::Tls(tls) => tls.read(buffer),
        }
    }

    /// Writes as much as the socket takes now. An error is the connection's end.
    pub fn write(&self, bytes: &[u8]) -> io::Result<Written> {
        match self {
            Transport::Plain(socket) => {
                let count = write_some(socket, bytes)?;
                Ok(Written { count, is_full: count < bytes.len() })
            }
            Transport::Tls(tls) => tls.write(bytes),
        }
    }

    /// Whether the session has something that the socket has not taken. To write nothing tries it again.
    pub fn holds(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            Transport::Tls(tls) => tls.lock().connection.wants_write(),
        }
    }

    /// Ends the connection, both ways; under TLS the client is told so, if the socket still takes it.
    pub fn end(&self) {
        let socket = match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => {
                let mut session = tls.lock();
                session.connection.send_close_notify();
                let _ = flush(&tls.socket, &mut session.connection);
                &tls.socket
            }
        };
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl Tls {
    fn read(&self, buffer: &mut [u8]) -> Taken {
        let mut session = self.lock();
        let Session { connection, void_bytes } = &mut *session;
        let mut source = Source { socket: &self.socket, is_dry: false };
        let mut count = 0;
        for _ in 0..READS_MAX {
            // First what the session has: of that the system tells nothing.
            match connection.reader().read(&mut buffer[count..]) {
                Ok(more @ 1..) => (count, *void_bytes) = (count + more, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) if count == 0 => return Taken::End,
                Ok(0) | Err(_) => return Taken::Some { count, is_all: false },
            }
            if count == buffer.len() {
                break;
            }
            if source.is_dry {
                return if count == 0 { Taken::Nothing } else { Taken::Some { count, is_all: cfg!(unix) } };
            }
            match connection.read_tls(&mut source) {
                Ok(more) => *void_bytes += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => source.is_dry = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Taken::End,
            }
            let is_broken = connection.process_new_packets().is_err() || *void_bytes > VOID_BYTES_MAX;
            // An answer of the session itself: an alert, or its half of new keys.
            let _ = flush(&self.socket, connection);
            if is_broken {
                return Taken::End;
            }
        }
        Taken::Some { count, is_all: false }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Written> {
        let connection = &mut self.lock().connection;
        let mut count = 0;
        loop {
            let is_full = !flush(&self.socket, connection)?;
            if is_full || count == bytes.len() {
                return Ok(Written { count, is_full });
            }
            let end = bytes.len().min(count + RECORD_BYTES);
            count += connection.writer().write(&bytes[count..end])?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what the session has for the socket; whether that is all of it.
fn flush(socket: &TcpStream, connection: &mut ServerConnection) -> io::Result<bool> {
    while connection.wants_write() {
        if connection.write_tls(&mut Drain(socket))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what the socket takes now, which may be nothing.
fn write_some(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match backlog::write(socket, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where the session reads. Notes whether the socket gave less than there was room for: then it has no more.
struct Source<'s> {
    socket: &'s TcpStream,
    is_dry: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.is_dry = count < buffer.len() && count > 0;
        Ok(count)
    }
}

/// Where the session writes: a record at a time, and 0 bytes where the socket is full.
struct Drain<'s>(&'s TcpStream);

impl Write for Drain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_some(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, socket) = match self {
            Transport::Plain(socket) => ("Plain", socket),
            Transport::Tls(tls) => ("Tls", &tls.socket),
        };
        formatter.debug_tuple(name).field(socket).finish()
    }
}

#[cfg(test)]
mod tests;
