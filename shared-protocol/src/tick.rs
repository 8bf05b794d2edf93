//! Ticks, their rate, and the position of a frame: (epoch, nonce, tick).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::Fence;
use crate::limits::{TICK_RATE_HZ_MAX, TICK_RATE_HZ_MIN};

/// One step of a match's loop. Counts from 1; tick 0 is the empty state before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick after this one; the last one stays, which no match reaches but a hostile frame may claim.
    pub fn next(self) -> Tick {
        Tick(self.0.saturating_add(1))
    }

    /// The low 16 bits, as a diff frame carries them.
    pub fn low(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a frame stands in the life of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The ownership that committed the tick.
    pub fence: Fence,
    /// The tick.
    pub tick: Tick,
}

/// Ticks per second, within [`TICK_RATE_HZ_MIN`] and [`TICK_RATE_HZ_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct TickRate(u8);

/// The rate is outside of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a tick rate is {TICK_RATE_HZ_MIN} to {TICK_RATE_HZ_MAX} Hz, not {0}")]
pub struct BadTickRate(u64);

impl TickRate {
    /// The rate in Hz.
    pub fn hz(self) -> u8 {
        self.0
    }

    /// Time between two ticks.
    pub fn period(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / u64::from(self.0))
    }
}

impl Default for TickRate {
    fn default() -> Self {
        TickRate(30)
    }
}

impl TryFrom<u64> for TickRate {
    type Error = BadTickRate;
    fn try_from(hz: u64) -> Result<Self, BadTickRate> {
        match u8::try_from(hz) {
            Ok(hz8) if (TICK_RATE_HZ_MIN..=TICK_RATE_HZ_MAX).contains(&hz8) => Ok(TickRate(hz8)),
            _ => Err(BadTickRate(hz)),
        }
    }
}

impl TryFrom<u8> for TickRate {
    type Error = BadTickRate;
    fn try_from(hz: u8) -> Result<Self, BadTickRate> {
        TickRate::try_from(u64::from(hz))
    }
}

impl From<TickRate> for u8 {
    fn from(rate: TickRate) -> u8 {
        rate.0
    }
}
