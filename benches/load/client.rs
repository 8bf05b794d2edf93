//! The load: many connections in one thread, woken by epoll. It counts frames, notes when they came, and sends one input
//! per player and tick, spread over the tick.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::clock;
use super::hands::{Hands, Style};
use super::protocols::tickcast::Played;
use super::session::{Outbox, Place, Protocol, Seen, Session};
use super::tally::Tally;
use super::websocket::{self, CLOSE, PING, PONG};

/// Parts of a tick over which inputs are spread.
const SLOTS: usize = 50;
/// Bytes read at once; whatever comes at once is far less.
const READ_BYTES: usize = 256 * 1024;
/// Ticks between two inputs of a probe; the phase is random.
const PROBE_EVERY_TICKS: u32 = 6;
/// How long all connections may take from being open to being in the match.
const PLAYING_WITHIN: Duration = Duration::from_secs(20);

/// What the load does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Players of a match.
    pub(crate) players: u32,
    /// Those who only look on at each match.
    pub(crate) spectators: u32,
    /// Places of a match that are left for players who come and go.
    pub(crate) guests: u32,
    /// Ticks per second, and inputs.
    pub(crate) tick_rate: u32,
    /// Whether players say anything.
    pub(crate) sends_inputs: bool,
    /// How they play.
    pub(crate) hands: Style,
    /// Whether they fire.
    pub(crate) may_fire: bool,
    /// Connections opened per second.
    pub(crate) ramp: u32,
    /// Matches of which the first player watches for effects.
    pub(crate) probes: u32,
    /// What tickcast plays.
    pub(crate) played: Played,
}

impl Load {
    /// The time of a tick.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs(1) / self.tick_rate
    }
}

struct Member {
    stream: TcpStream,
    session: Box<dyn Session>,
    hands: Hands,
    /// The beginning of a frame whose rest has not come.
    begun: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
    last: Option<Instant>,
    /// When it began to connect, until it is in its match.
    begun_at: Option<Instant>,
    is_gone: bool,
    probe: Option<ProbeClock>,
}

struct ProbeClock {
    sent: Option<Instant>,
    next: Instant,
}

/// All connections.
pub(crate) struct Herd {
    load: Load,
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    /// Numbers of members who have left; whoever comes next gets the last one, and with it the place of its inputs.
    vacant: Vec<usize>,
    probes: Vec<usize>,
    slots: Vec<Vec<usize>>,
    slot: usize,
    slot_due: Instant,
    rng: ChaCha8Rng,
    buffer: Vec<u8>,
    out: Vec<u8>,
    tally: Option<Tally>,
    /// Why the first of those who are gone is gone.
    failure: Option<String>,
}

impl Herd {
    /// Nobody yet.
    pub(crate) fn new(load: Load) -> io::Result<Herd> {
        Ok(Herd {
            load,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            members: Vec::new(),
            vacant: Vec::new(),
            probes: Vec::new(),
            slots: vec![Vec::new(); SLOTS],
            slot: 0,
            slot_due: clock::now(),
            rng: ChaCha8Rng::seed_from_u64(4711),
            buffer: vec![0; READ_BYTES],
            out: Vec::with_capacity(4096),
            tally: None,
            failure: None,
        })
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Opens connections until so many matches are full and everybody is in its match.
    pub(crate) fn grow(&mut self, protocol: &mut dyn Protocol, matches: u32) -> io::Result<()> {
        let pause = Duration::from_secs(1) / self.load.ramp;
        let mut due = clock::now();
        let Load { players, spectators, probes, .. } = self.load;
        let each = players + spectators;
        while self.members.len() < (matches * each) as usize {
            let number = self.members.len() as u32;
            let (in_match, player) = (number / each, number % each);
            let is_probe = player == 0 && in_match < probes;
            self.open(protocol, Place { in_match, player, is_probe, is_spectator: player >= players })?;
            due += pause;
            self.run_until(due)?;
        }
        let deadline = clock::now() + PLAYING_WITHIN;
        while !self.members.iter().all(|member| member.session.is_playing()) {
            self.run(self.load.period())?;
            if let Some(failure) = self.failure.take() {
                return Err(io::Error::other(failure));
            }
            if clock::now() > deadline {
                return Err(io::Error::other("not everybody got into its match in time"));
            }
        }
        Ok(())
    }

    /// Opens one connection; whoever has it says what is said first. Answers its number.
    pub(crate) fn open(&mut self, protocol: &mut dyn Protocol, place: Place) -> io::Result<usize> {
        let begun_at = clock::now();
        let (opened, session) = protocol.join(place)?;
        opened.stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(opened.stream);
        let at = self.vacant.pop().unwrap_or(self.members.len());
        self.poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        let probe = place.is_probe.then(|| ProbeClock { sent: None, next: clock::now() });
        let Load { hands, may_fire, tick_rate, .. } = self.load;
        let member = Member {
            stream,
            session,
            hands: Hands::new(hands, may_fire, tick_rate, at as u64),
            begun: opened.rest,
            unsent: Vec::new(),
            last: None,
            begun_at: Some(begun_at),
            is_gone: false,
            probe,
        };
        if at < self.members.len() {
            self.members[at] = member;
        } else {
            self.members.push(member);
            match place {
                Place { is_probe: true, .. } => self.probes.push(at),
                Place { is_spectator: true, .. } => {}
                _ => self.slots[self.rng.random_range(0..SLOTS)].push(at),
            }
        }
        self.out.clear();
        self.members[at].session.greet(&mut Outbox { bytes: &mut self.out, rng: &mut self.rng });
        self.send(at);
        self.take(at);
        Ok(at)
    }

    /// Ends a connection, with or without a goodbye. Whether it was in its match until now. Its socket is closed for good
    /// when the next one comes.
    pub(crate) fn part(&mut self, at: usize, says_goodbye: bool) -> io::Result<bool> {
        let was_in = !self.members[at].is_gone && self.members[at].session.is_playing();
        if says_goodbye && was_in {
            self.out.clear();
            self.members[at].session.leave(&mut Outbox { bytes: &mut self.out, rng: &mut self.rng });
            self.send(at);
        }
        let member = &mut self.members[at];
        self.poll.registry().deregister(&mut member.stream)?;
        let _ = member.stream.shutdown(Shutdown::Both);
        member.is_gone = true;
        self.vacant.push(at);
        Ok(was_in)
    }

    /// Plays for a while.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<()> {
        self.run_until(clock::now() + time)
    }

    /// Plays for a while and counts. A connection that ended is an error.
    pub(crate) fn measure(&mut self, time: Duration) -> io::Result<Tally> {
        let begun = clock::now();
        self.count();
        self.run_until(begun + time)?;
        let mut tally = self.counted();
        tally.seconds = begun.elapsed().as_secs_f64();
        self.take_failure().map_or(Ok(tally), |failure| Err(io::Error::other(failure)))
    }

    /// Counts from now on.
    pub(crate) fn count(&mut self) {
        self.tally = Some(Tally::new());
    }

    /// What was counted; nothing is from now on.
    pub(crate) fn counted(&mut self) -> Tally {
        self.tally.take().unwrap_or_else(Tally::new)
    }

    /// Why the first connection ended that ended by itself since this was asked last.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Plays until then.
    pub(crate) fn run_until(&mut self, end: Instant) -> io::Result<()> {
        loop {
            let now = clock::now();
            if self.load.sends_inputs {
                self.act(now);
                self.probe(now);
            }
            let next = if self.load.sends_inputs { end.min(self.slot_due) } else { end };
            match self.poll.poll(&mut self.events, Some(next.saturating_duration_since(now))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled?,
            }
            let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
            for event in &events {
                self.read(event.token().0, event.is_read_closed());
            }
            self.events = events;
            if clock::now() >= end {
                return Ok(());
            }
        }
    }

    /// The inputs of every slot that is due. What is more than a tick late is left out.
    fn act(&mut self, now: Instant) {
        let length = self.load.period() / SLOTS as u32;
        if now > self.slot_due + self.load.period() {
            self.slot_due = now;
        }
        while self.slot_due <= now {
            let slot = std::mem::take(&mut self.slots[self.slot]);
            for at in &slot {
                self.input(*at, false);
            }
            self.slots[self.slot] = slot;
            self.slot = (self.slot + 1) % SLOTS;
            self.slot_due += length;
        }
    }

    fn probe(&mut self, now: Instant) {
        for index in 0..self.probes.len() {
            let at = self.probes[index];
            let wait = self.load.period() * PROBE_EVERY_TICKS + self.load.period().mul_f64(self.rng.random());
            let Some(clock) = self.members[at].probe.as_mut().filter(|clock| clock.next <= now) else {
                continue;
            };
            let unanswered = clock.sent.replace(now).is_some();
            clock.next = now + wait;
            if let Some(tally) = self.tally.as_mut().filter(|_| unanswered) {
                tally.unanswered += 1;
            }
            self.input(at, true);
        }
    }

    fn input(&mut self, at: usize, is_probe: bool) {
        let member = &mut self.members[at];
        if member.is_gone || !member.session.is_playing() {
            return;
        }
        let hand = member.hands.next(is_probe);
        self.out.clear();
        let mut outbox = Outbox { bytes: &mut self.out, rng: &mut self.rng };
        match is_probe {
            true => member.session.probe(hand, &mut outbox),
            false => member.session.act(hand, &mut outbox),
        }
        if let Some(tally) = &mut self.tally {
            tally.inputs += 1;
            tally.input_bytes += self.out.len() as u64;
        }
        self.send(at);
    }

    /// Sends what is in `out`, behind what the socket did not take before.
    fn send(&mut self, at: usize) {
        let member = &mut self.members[at];
        let bytes = match member.unsent.is_empty() {
            true => &self.out[..],
            false => {
                member.unsent.extend_from_slice(&self.out);
                &member.unsent[..]
            }
        };
        if bytes.is_empty() {
            return;
        }
        let written = match member.stream.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return self.end(at, &error.to_string()),
        };
        match member.unsent.is_empty() {
            true => member.unsent.extend_from_slice(&self.out[written..]),
            false => drop(member.unsent.drain(..written)),
        }
    }

    /// Reads what there is. Readiness is told once per arrival: a buffer that was not filled has emptied the socket.
    fn read(&mut self, at: usize, is_closed: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let member = &mut self.members[at];
            if member.is_gone {
                break;
            }
            match member.stream.read(&mut buffer) {
                Ok(0) => self.end(at, "closed without a word"),
                Ok(count) => {
                    if let Some(tally) = &mut self.tally {
                        tally.bytes += count as u64;
                    }
                    member.begun.extend_from_slice(&buffer[..count]);
                    self.take(at);
                    if count == buffer.len() || is_closed {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => self.end(at, &error.to_string()),
            }
            break;
        }
        self.buffer = buffer;
    }

    /// Takes in every whole frame that has come.
    fn take(&mut self, at: usize) {
        let mut begun = std::mem::take(&mut self.members[at].begun);
        let (mut taken, mut now) = (0, None);
        while let Some(head) = websocket::head(&begun[taken..]) {
            let payload = &begun[taken + head.begin..taken + head.end];
            let now = *now.get_or_insert_with(clock::now);
            self.message(at, head.opcode, payload, now);
            taken += head.end;
        }
        begun.drain(..taken);
        self.members[at].begun = begun;
    }

    fn message(&mut self, at: usize, opcode: u8, payload: &[u8], now: Instant) {
        self.out.clear();
        let mut outbox = Outbox { bytes: &mut self.out, rng: &mut self.rng };
        let member = &mut self.members[at];
        let seen = match opcode {
            CLOSE => {
                let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                return self.end(at, &format!("closed with code {code}"));
            }
            PING => {
                outbox.put(PONG, payload);
                Ok(Seen::Other)
            }
            _ => member.session.take(opcode, payload, &mut outbox),
        };
        let joined = member.begun_at.take_if(|_| member.session.is_playing());
        if let Some((tally, begun)) = self.tally.as_mut().zip(joined) {
            tally.join(now - begun);
        }
        match seen {
            Err(error) => return self.end(at, &error),
            Ok(Seen::Other) => {}
            Ok(Seen::Update { skipped, quiet, is_answer }) => {
                // Nobody waits for a tick in which nothing happens.
                let last = member.last.replace(now).map(|last| last + self.load.period() * quiet);
                let sent = member.probe.as_mut().filter(|_| is_answer).and_then(|probe| probe.sent.take());
                if let Some(tally) = &mut self.tally {
                    tally.quiet += u64::from(quiet);
                    let gap = last.map(|last| now.saturating_duration_since(last));
                    tally.update(skipped, gap, sent.map(|sent| now - sent));
                }
            }
        }
        if !self.out.is_empty() {
            self.send(at);
        }
    }

    fn end(&mut self, at: usize, why: &str) {
        let member = &mut self.members[at];
        if !std::mem::replace(&mut member.is_gone, true) {
            let _ = member.stream.shutdown(Shutdown::Both);
            self.failure.get_or_insert_with(|| format!("a connection ended: {why}"));
        }
    }
}

#[cfg(test)]
mod tests;
