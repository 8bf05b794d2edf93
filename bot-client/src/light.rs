//! A bot that reads only the head of each frame: many of them load a server from few processors. It still sees a
//! left-out tick, and as a player sends random inputs.

use std::collections::VecDeque;
use std::time::Duration;

use tickcast_protocol::client::{Client, Event, NeverWelcomed, ServerError};
use tickcast_protocol::frame::{self, QUIET_SPAN_MAX, SERVER_CONTROL, StateFrame};
use tickcast_protocol::message::{ClientMessage, Join};
use tickcast_protocol::{InputSeq, PlayerId, Position, Tick};

use crate::absence::Absence;
use crate::brain::Brain;
use crate::lineage::Lineage;
use crate::meter::Meter;
use crate::tally::Marks;

/// One light bot.
#[derive(Debug)]
pub struct LightBot {
    pub(crate) client: Client,
    seed: u64,
    play: Option<(Brain, Meter)>,
    player: Option<PlayerId>,
    at: Option<Head>,
    last_seq: InputSeq,
    transmit: VecDeque<Vec<u8>>,
    marks: Marks,
    joined: bool,
    slow_allowed: bool,
    /// By tags, which is all that heads have of owners.
    lineage: Lineage<u8>,
    /// Between two connections.
    pub absence: Absence,
}

/// Where the last frame led, as far as heads tell.
#[derive(Debug, Clone, Copy)]
struct Head {
    tick: Tick,
    tag: u8,
}

impl From<Position> for Head {
    fn from(position: Position) -> Head {
        Head { tick: position.tick, tag: position.fence.tag() }
    }
}

impl LightBot {
    /// A bot that begins with a hello in [`LightBot::poll_transmit`].
    pub fn new(name: &str, join: Join, seed: u64) -> LightBot {
        LightBot {
            client: Client::new(name, join),
            seed,
            play: None,
            player: None,
            at: None,
            last_seq: InputSeq(0),
            transmit: VecDeque::new(),
            marks: Marks::default(),
            joined: false,
            slow_allowed: false,
            lineage: Lineage::new(),
            absence: Absence::default(),
        }
    }

    /// Lets a snapshot stand for the ticks that it jumps over, as servers may treat clients that read too slowly.
    /// Otherwise those are lost.
    #[must_use]
    pub fn allow_slow(self, slow_allowed: bool) -> LightBot {
        LightBot { slow_allowed, ..self }
    }

    /// Whether the state has arrived.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// What was counted and measured and not taken yet.
    pub fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.client.poll_transmit().or_else(|| self.transmit.pop_front())
    }

    /// Says goodbye: nothing more will be seen.
    pub fn leave(&mut self) {
        self.marks.checks.undone += self.lineage.handle_end();
        self.client.leave();
    }

    /// Begins another connection, on which the bot goes on as the same player or spectator. It knows no
    /// acknowledgements, so that it sends nothing again.
    pub fn resume(&mut self, now: Duration) -> Result<(), NeverWelcomed> {
        self.client.resume()?;
        self.absence.handle_resume(now);
        self.transmit.clear();
        self.at = None;
        Ok(())
    }

    /// Measuring ends at `now`.
    pub fn handle_end(&mut self, now: Duration) {
        if let Some((_, meter)) = &mut self.play {
            meter.handle_end(now, &mut self.marks);
        }
    }

    /// Takes in a frame from the server. Ticks are checked always, times taken only while `measuring`.
    pub fn handle_frame(&mut self, now: Duration, frame: &[u8], measuring: bool) -> Result<(), ServerError> {
        if frame.first() == Some(&SERVER_CONTROL) {
            return self.handle_control(frame);
        }
        let Some((_, meter)) = self.play.as_mut().filter(|_| self.client.is_welcomed()) else {
            return Err(ServerError::Order("state before the welcome"));
        };
        match frame::parse(frame) {
            Ok(StateFrame::Diff { tag, tick_low, after_quiet: true, .. }) => {
                let ahead = self.at.map_or(1, |at| tick_low.wrapping_sub(at.tick.low()));
                let span = if ahead > QUIET_SPAN_MAX { 1 } else { ahead.max(1) };
                if let Some(seen) = self.at.and_then(|at| follow(at, tag, tick_low, span, &mut self.marks)) {
                    self.at = Some(seen);
                    self.marks.checks.undone += self.lineage.handle_state(seen.tag, seen.tick);
                    meter.handle_quiet(u64::from(span) - 1, measuring, &mut self.marks);
                    meter.handle_update(now, frame.len(), measuring, &mut self.marks);
                    self.act(seen.tick, measuring);
                }
            }
            Ok(StateFrame::Diff { tag, tick_low, .. } | StateFrame::Segments { tag, tick_low, .. }) => {
                if let Some(seen) = self.at.and_then(|at| follow(at, tag, tick_low, 1, &mut self.marks)) {
                    self.at = Some(seen);
                    self.marks.checks.undone += self.lineage.handle_state(seen.tag, seen.tick);
                    meter.handle_update(now, frame.len(), measuring, &mut self.marks);
                    self.act(seen.tick, measuring);
                }
            }
            Ok(
                StateFrame::CatchUp { tag, tick_low, span, .. }
                | StateFrame::Leap { tag, tick_low, span, .. },
            ) => {
                let span = u16::from(span);
                if let Some(seen) = self.at.and_then(|at| follow(at, tag, tick_low, span, &mut self.marks)) {
                    self.at = Some(seen);
                    self.marks.checks.undone += self.lineage.handle_state(seen.tag, seen.tick);
                    count_merged(u64::from(span) - 1, measuring, &mut self.marks);
                    meter.handle_update(now, frame.len(), measuring, &mut self.marks);
                    self.act(seen.tick, measuring);
                }
            }
            Ok(StateFrame::Prior { .. }) => meter.handle_prior(frame.len(), measuring, &mut self.marks),
            Ok(StateFrame::Snapshot { position, .. } | StateFrame::View { position, .. }) => {
                // It never asks for one: nothing but its own slowness can explain a jump.
                let jumped = self.at.map_or(0, |at| position.tick.0.saturating_sub(at.tick.0 + 1));
                match self.slow_allowed {
                    true => count_merged(jumped, measuring, &mut self.marks),
                    false => self.marks.checks.lost_ticks += jumped,
                }
                self.at = Some(position.into());
                self.marks.checks.undone += self.lineage.handle_state(position.fence.tag(), position.tick);
                self.joined = true;
                let returned = self.absence.handle_return(now, &mut self.marks) && self.player.is_some();
                self.marks.recovery.resumed_players += u64::from(returned);
                self.marks.traffic.snapshots += u64::from(measuring);
                meter.handle_update(now, frame.len(), measuring, &mut self.marks);
            }
            Ok(StateFrame::Owner { position }) => self.at = Some(position.into()),
            Err(_) => self.marks.checks.broken_frames += 1,
        }
        Ok(())
    }

    fn handle_control(&mut self, frame: &[u8]) -> Result<(), ServerError> {
        match self.client.handle_frame(frame)? {
            // On another connection it is who it was.
            Event::Welcome if self.play.is_some() => {}
            Event::Welcome => {
                let joined = self.client.joined().expect("a welcome was taken in");
                let brain = Brain::new(joined.replica.world().schema(), self.seed);
                self.player = joined.player();
                self.play = Some((brain, Meter::new(joined.tick_rate.period(), joined.quiet)));
            }
            Event::Reset { .. } => {
                self.marks.checks.resets += 1;
                self.at = None;
                self.lineage.handle_reset();
            }
            Event::Reconnect { within, url } => self.absence.handle_asked(within, url),
            Event::Snapshot | Event::Advanced | Event::CaughtUp | Event::Stale | Event::Gap(_) => {}
            Event::NewOwner | Event::Pong { .. } | Event::Ended => {}
            Event::Chat(_) | Event::ChatRefused { .. } => {}
        }
        Ok(())
    }

    fn act(&mut self, seen: Tick, measuring: bool) {
        let (Some((brain, _)), Some(_)) = (&mut self.play, self.player) else { return };
        if self.last_seq.0 < i32::MAX as u32 {
            self.last_seq.0 += 1;
            // What it sees is the newest state, if it sees at all.
            let (seq, values) = (self.last_seq, brain.random_input().into());
            let input = ClientMessage::Input { seq, seen, behind: 0, values };
            self.transmit.push_back(input.to_frame());
            self.marks.traffic.inputs += u64::from(measuring);
        }
    }
}

/// Where a frame leads from here that leads over `span` ticks; `None` when it is of a tick that was seen.
fn follow(at: Head, tag: u8, tick_low: u16, span: u16, marks: &mut Marks) -> Option<Head> {
    let ahead = tick_low.wrapping_sub(at.tick.low());
    if ahead == 0 || ahead >= 0x8000 {
        return None;
    }
    if tag != at.tag {
        marks.checks.owner_gaps += 1;
    } else if ahead < span {
        // It begins before the tick that we have: nobody could apply it.
        marks.checks.broken_frames += 1;
    } else {
        marks.checks.lost_ticks += u64::from(ahead - span);
    }
    Some(Head { tick: Tick(at.tick.0 + u64::from(ahead)), tag })
}

/// A frame merged so many ticks into the last one.
fn count_merged(merged: u64, measuring: bool, marks: &mut Marks) {
    if measuring {
        marks.traffic.catch_ups += u64::from(merged > 0);
        marks.traffic.merged_ticks += merged;
    }
}

#[cfg(test)]
mod tests;
