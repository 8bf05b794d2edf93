//! The floor under every server: no game, one ready-made WebSocket frame per match and tick, one send per socket.
//! What a delivered update costs here is what the system takes for moving it; a server's own work comes on top.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::load::clock;

use self::inputs::for_each_input;
use self::opening::answer;

mod inputs;
mod opening;

const LISTENER: Token = Token(usize::MAX);
/// Events taken from the system at once.
const EVENTS_MAX: usize = 1024;
/// The longest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 4096;
/// Bytes of a frame in front of what its players see: the tick.
const TICK_BYTES: usize = 4;
/// Bytes that a player's last input takes in a frame.
const AIM_BYTES: usize = 4;

/// When inputs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Every socket once per tick; nothing but the clock wakes the thread
    Scan,
    /// Each as it comes, woken by epoll
    Epoll,
}

/// What is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub listen: SocketAddr,
    /// How inputs are read.
    pub mode: Mode,
    /// Ticks per second; 0 sends nothing.
    pub tick_rate: f64,
    /// Bytes of an update, without the head of its WebSocket frame.
    pub bytes: usize,
    /// Groups of matches whose ticks are spread over the time of one tick, as those of real matches are.
    pub phases: usize,
}

struct Connection {
    stream: TcpStream,
    /// What came of the request's head; nothing is left of it once the connection is open.
    head: Vec<u8>,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    in_match: usize,
    player: usize,
}

struct Match {
    frame: Frame,
    connections: Vec<usize>,
}

/// A match's next frame: a head that never changes, the tick, and the last input of each player for whom there is room.
struct Frame {
    bytes: Vec<u8>,
    head: usize,
    tick: u32,
}

impl Frame {
    fn new(payload: usize) -> Frame {
        let mut bytes = vec![0x82];
        match payload {
            0..126 => bytes.push(payload as u8),
            _ => {
                bytes.push(126);
                bytes.extend((payload as u16).to_be_bytes());
            }
        }
        let head = bytes.len();
        bytes.resize(head + payload, 0x5a);
        Frame { bytes, head, tick: 0 }
    }

    fn advance(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        self.bytes[self.head..self.head + TICK_BYTES].copy_from_slice(&self.tick.to_le_bytes());
    }

    fn show(&mut self, player: usize, aim: [u8; AIM_BYTES]) {
        let at = self.head + TICK_BYTES + player * AIM_BYTES;
        if let Some(place) = self.bytes.get_mut(at..at + AIM_BYTES) {
            place.copy_from_slice(&aim);
        }
    }
}

struct Server {
    settings: Settings,
    poll: Poll,
    listener: TcpListener,
    /// By token; what is closed leaves a gap, for tokens are not used twice.
    connections: Vec<Option<Connection>>,
    matches: Vec<Match>,
    buffer: Vec<u8>,
    /// Inputs that came.
    inputs: u64,
}

/// Serves until the process is ended.
pub fn serve(settings: Settings) -> io::Result<()> {
    let mut server = Server::bind(settings)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    if server.settings.tick_rate <= 0.0 {
        loop {
            server.listen_for(&mut events, None)?;
        }
    }
    let step = Duration::from_secs_f64(1.0 / server.settings.tick_rate / server.settings.phases as f64);
    let mut due = clock::now() + step;
    for phase in (0..server.settings.phases).cycle() {
        server.wait_for(due, &mut events)?;
        server.tick(phase);
        due += step;
    }
    Ok(())
}

impl Server {
    fn bind(settings: Settings) -> io::Result<Server> {
        let mut listener = TcpListener::bind(settings.listen)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Server {
            settings,
            poll,
            listener,
            connections: Vec::new(),
            matches: Vec::new(),
            buffer: vec![0; 65536],
            inputs: 0,
        })
    }

    fn wait_for(&mut self, due: Instant, events: &mut Events) -> io::Result<()> {
        if self.settings.mode == Mode::Scan {
            thread::sleep(due.saturating_duration_since(clock::now()));
            return self.listen_for(events, Some(Duration::ZERO));
        }
        loop {
            let left = due.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            self.listen_for(events, Some(left))?;
        }
    }

    fn listen_for(&mut self, events: &mut Events, longest: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(events, longest) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept()?,
                Token(at) => self.read(at),
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.connections.len());
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.connections.push(Some(Connection { stream, head: Vec::new(), place: None }));
        }
    }

    /// Reads once: an input is far smaller than the buffer, so nothing is left behind it.
    fn read(&mut self, at: usize) {
        let Some(connection) = &mut self.connections[at] else { return };
        let count = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return self.close(at),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.close(at),
        };
        let bytes = &self.buffer[..count];
        let Some(place) = connection.place else {
            connection.head.extend_from_slice(bytes);
            return self.open(at);
        };
        let frame = &mut self.matches[place.in_match].frame;
        let take = |aim| {
            frame.show(place.player, aim);
            self.inputs += 1;
        };
        if !for_each_input(bytes, take) {
            self.close(at);
        }
    }

    fn open(&mut self, at: usize) {
        let Some(connection) = &mut self.connections[at] else { return };
        if !connection.head.ends_with(b"\r\n\r\n") {
            if connection.head.len() > HEAD_BYTES_MAX {
                self.close(at);
            }
            return;
        }
        let head = std::mem::take(&mut connection.head);
        let Some((answer, place)) = answer(&head) else { return self.close(at) };
        if connection.stream.write_all(answer.as_bytes()).is_err() {
            return self.close(at);
        }
        connection.place = Some(place);
        if self.settings.mode == Mode::Scan && self.settings.tick_rate > 0.0 {
            // A socket that is no longer watched is read at every tick; if this failed, it would be read twice.
            let _ = self.poll.registry().deregister(&mut connection.stream);
        }
        while self.matches.len() <= place.in_match {
            let frame = Frame::new(self.settings.bytes.max(TICK_BYTES));
            self.matches.push(Match { frame, connections: Vec::new() });
        }
        self.matches[place.in_match].connections.push(at);
    }

    fn close(&mut self, at: usize) {
        if let Some(place) = self.connections[at].take().and_then(|connection| connection.place) {
            self.matches[place.in_match].connections.retain(|other| *other != at);
        }
    }

    fn tick(&mut self, phase: usize) {
        for number in (phase..self.matches.len()).step_by(self.settings.phases) {
            if self.settings.mode == Mode::Scan {
                for index in (0..self.matches[number].connections.len()).rev() {
                    self.read(self.matches[number].connections[index]);
                }
            }
            self.matches[number].frame.advance();
            for index in (0..self.matches[number].connections.len()).rev() {
                let at = self.matches[number].connections[index];
                let Some(connection) = &mut self.connections[at] else { continue };
                let frame = &self.matches[number].frame.bytes;
                match connection.stream.write(frame) {
                    Ok(written) if written == frame.len() => {}
                    // The update is left out; the client sees that by its tick.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // A torn frame cannot be mended here.
                    Ok(_) | Err(_) => self.close(at),
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod driven;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_size_its_tick_and_what_players_did() {
        let mut frame = Frame::new(388);
        assert_eq!(frame.bytes[..4], [0x82, 126, 1, 132]);
        frame.advance();
        frame.show(1, [1, 2, 3, 4]);
        frame.show(1000, [9; 4]);
        assert_eq!(frame.bytes[4..16], [1, 0, 0, 0, 0x5a, 0x5a, 0x5a, 0x5a, 1, 2, 3, 4]);
        assert_eq!(frame.bytes.len(), 392);
        assert_eq!(Frame::new(100).bytes.len(), 102);
    }
}
