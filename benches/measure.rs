//! What the state codec makes of a trace: every tick is coded, decoded and compared, and its bytes and times
//! are summed up over the last 80 % of the ticks. Sizes are those of frames, with their headers.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use thiserror::Error;
use tickcast_protocol::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use tickcast_protocol::diff::{self, Encoder};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{Position, Schema, World, frame, snapshot};

use crate::summary::Summary;
use crate::traces::Trace;
use crate::traces::play::{apply_tick, differs};
use crate::traces::schema::schema_of;

/// Spans of the catch-ups, ticks.
pub const SPANS: [usize; 4] = [2, 5, 10, 30];
/// Ticks from one sample of catch-ups and snapshots to the next.
const SAMPLE_TICKS: usize = 7;

/// Why a trace could not be measured.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The trace has no schema that a match could have.
    #[error(transparent)]
    Schema(#[from] tickcast_protocol::schema::SchemaError),
    /// It has more entities than a world takes.
    #[error(transparent)]
    Full(#[from] tickcast_protocol::world::WorldFull),
    /// What was decoded is not what was coded. The codec is broken.
    #[error("tick {tick}: {what}")]
    Wrong {
        /// Number of the tick in the trace.
        tick: u32,
        /// What differs.
        what: String,
    },
}

/// A trace's sizes and times.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The trace.
    pub name: String,
    /// Ticks that the figures are of.
    pub ticks: usize,
    /// Frames of a tick: the diff's, and in some ticks a prior's. Bytes.
    pub bytes_per_tick: Summary,
    /// Priors published in these ticks, and what they are of the bytes above, per tick.
    pub priors: usize,
    /// Mean bytes of priors per tick.
    pub prior_bytes_per_tick: f64,
    /// Entities alive, mean.
    pub entities: f64,
    /// Entities that a diff mentions, mean.
    pub sent: f64,
    /// Time to code a tick.
    pub encode: Cost,
    /// Time to decode one.
    pub decode: Cost,
    /// Catch-ups, one for each of [`SPANS`].
    pub catch_ups: Vec<CatchUp>,
    /// The two catch-ups of one tick each that follow on one, together, mean bytes.
    pub warm_up_bytes: f64,
    /// A snapshot with its prior, mean bytes.
    pub snapshot_bytes: f64,
    /// The same per entity.
    pub snapshot_bytes_per_entity: f64,
}

/// What coding or decoding takes.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Mean of the fastest 99 of 100 ticks, nanoseconds.
    pub ns_per_tick: f64,
    /// Longest of 99 of 100 ticks, nanoseconds.
    pub ns_per_tick_p99: usize,
    /// The same for an entity that is sent.
    pub ns_per_sent: f64,
}

/// Catch-ups over one span.
#[derive(Debug, Serialize)]
pub struct CatchUp {
    /// Ticks.
    pub span: usize,
    /// Mean bytes.
    pub bytes: f64,
    /// Of the bytes of the diffs that it stands for.
    pub of_diffs: f64,
}

/// How the models live: the one that the wire has, and one that it was measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Models {
    /// Constant from one published prior to the next.
    Published,
    /// A new prior after every tick, whose bytes are not counted: what tables that are kept and adapt on
    /// both ends would come to.
    EveryTick,
}

/// Codes, decodes and compares every tick of a trace.
///
/// # Errors
/// When the trace fits no world, or the codec is broken.
pub fn measure(trace: &Trace, models: Models) -> Result<Measured, MeasureError> {
    let schema = schema_of(trace)?;
    let mut run = Run::new(&schema, models);
    for tick in trace.ticks() {
        let counts = run.ticks >= trace.training_count();
        apply_tick(tick, &mut run.owner)?;
        let wrong = |what: String| MeasureError::Wrong { tick: tick.number(), what };
        run.step(counts).map_err(|error| wrong(error.to_string()))?;
        if let Some(difference) = differs(&run.replica, tick) {
            return Err(wrong(difference));
        }
        if !run.replica.same_state(&run.owner) {
            return Err(wrong("the replica's past differs from the owner's".to_owned()));
        }
        if counts && run.ticks.is_multiple_of(SAMPLE_TICKS) {
            run.sample().map_err(wrong)?;
        }
    }
    Ok(run.summary(trace))
}

/// A trace on its way through the codec.
struct Run {
    models: Models,
    owner: World,
    encoder: Encoder,
    replica: World,
    prior: Arc<Prior>,
    ticks: usize,
    /// The last worlds, with the bytes of the ticks that led to them; the newest last.
    past: VecDeque<(World, usize)>,
    sizes: Vec<usize>,
    priors: Vec<usize>,
    encode_ns: Vec<usize>,
    decode_ns: Vec<usize>,
    /// Entities that each tick's diff told.
    sent: Vec<usize>,
    entities: usize,
    /// Bytes of catch-ups and of the diffs they stand for, and how many.
    catch_ups: [(usize, usize, usize); SPANS.len()],
    warm_ups: Vec<usize>,
    snapshots: Vec<(usize, usize)>,
}

impl Run {
    fn new(schema: &Arc<Schema>, models: Models) -> Run {
        let prior = Prior::first(schema);
        Run {
            models,
            owner: World::new(Arc::clone(schema)),
            encoder: Encoder::new(Arc::clone(&prior)),
            replica: World::new(Arc::clone(schema)),
            prior,
            ticks: 0,
            past: VecDeque::new(),
            sizes: Vec::new(),
            priors: Vec::new(),
            encode_ns: Vec::new(),
            decode_ns: Vec::new(),
            sent: Vec::new(),
            entities: 0,
            catch_ups: [(0, 0, 0); SPANS.len()],
            warm_ups: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    /// Codes the owner's changes, and decodes them into the replica.
    fn step(&mut self, counts: bool) -> Result<(), tickcast_protocol::varint::DecodeError> {
        let mut payload = Vec::with_capacity(64 * 1024);
        let ((), encode_ns) = timed(|| self.encoder.encode(&self.owner, &mut payload));
        self.owner.advance();
        let (applied, decode_ns) = timed(|| diff::apply(&mut self.replica, &self.prior, black_box(&payload)));
        applied?;
        let mut size = frame::diff(Position::default(), 0, None, &payload).len();
        let published = match self.models {
            Models::Published => self.encoder.poll_prior(),
            Models::EveryTick => Some(self.encoder.force_prior()),
        };
        if let Some(prior) = published {
            let mut bytes = Vec::new();
            prior.encode(&mut bytes);
            self.prior = self.prior.decode(&bytes)?;
            if self.models == Models::Published {
                let frame = frame::prior(Position::default(), &bytes).len();
                size += frame;
                if counts {
                    self.priors.push(frame);
                }
            }
        }
        self.ticks += 1;
        if counts {
            self.sizes.push(size);
            self.encode_ns.push(encode_ns);
            self.decode_ns.push(decode_ns);
            self.sent.push(self.encoder.sent());
            self.entities += self.owner.len();
        }
        self.past.push_back((self.owner.clone(), size));
        if self.past.len() > SPANS[SPANS.len() - 1] + 1 {
            self.past.pop_front();
        }
        Ok(())
    }

    /// Catches clients up to this tick, and one to the tick before the last, whom two more ticks bring in step.
    fn sample(&mut self) -> Result<(), String> {
        let newest = self.past.len() - 1;
        for (at, span) in SPANS.iter().enumerate().filter(|(_, span)| **span <= newest) {
            let (_, size) = self.catch_up(newest - span, newest)?;
            let diffs: usize = self.past.range(newest - span + 1..).map(|(_, size)| size).sum();
            let sums = &mut self.catch_ups[at];
            *sums = (sums.0 + size, sums.1 + diffs, sums.2 + 1);
        }
        if newest > 12 {
            let (mut world, _) = self.catch_up(newest - 12, newest - 2)?;
            let mut sizes = 0;
            for (known, to) in [(0, newest - 1), (1, newest)] {
                sizes += leap(&mut world, &self.past[to].0, Leap { span: 1, known })?;
            }
            if !world.same_state(&self.past[newest].0) {
                return Err("a client that was caught up is not in step".to_owned());
            }
            self.warm_ups.push(sizes);
        }
        let (mut prior, mut payload) = (Vec::new(), Vec::new());
        self.prior.encode(&mut prior);
        snapshot::encode(&self.owner, &mut payload);
        let decoded = snapshot::decode(Arc::clone(self.owner.schema()), &payload);
        if !decoded.map_err(|error| error.to_string())?.same_state(&self.owner) {
            return Err("a snapshot is not the state".to_owned());
        }
        let size = frame::snapshot(Position::default(), 0, &prior, &payload).len();
        self.snapshots.push((size, self.owner.len()));
        Ok(())
    }

    /// A client that stood at one of the past worlds, led to a later one; with the frame's bytes.
    fn catch_up(&self, from: usize, to: usize) -> Result<(World, usize), String> {
        let mut world = self.past[from].0.clone();
        let span = (to - from) as u32;
        let size = leap(&mut world, &self.past[to].0, Leap { span, known: STEPS_KNOWN_MAX })?;
        Ok((world, size))
    }

    fn summary(self, trace: &Trace) -> Measured {
        let ticks = self.sizes.len();
        let per_tick = |sum: usize| sum as f64 / ticks as f64;
        let cost = |times: Vec<usize>| {
            let Summary { p99, .. } = Summary::of(times.clone()).expect("a trace has ticks to measure");
            // The slowest hundredth is mostly the system's: one tick can be interrupted for a thousand others.
            let kept = times.iter().zip(&self.sent).filter(|(time, _)| **time <= p99);
            let (ns, sent, kept) =
                kept.fold((0, 0, 0), |(ns, all, count), (time, sent)| (ns + time, all + sent, count + 1));
            Cost {
                ns_per_tick: ns as f64 / f64::from(kept),
                ns_per_tick_p99: p99,
                ns_per_sent: ns as f64 / sent.max(1) as f64,
            }
        };
        let catch_ups = SPANS.iter().zip(self.catch_ups).filter(|(_, (_, _, count))| *count > 0);
        let catch_ups = catch_ups.map(|(span, (bytes, diffs, count))| CatchUp {
            span: *span,
            bytes: bytes as f64 / count as f64,
            of_diffs: bytes as f64 / diffs as f64,
        });
        let sampled: usize = self.snapshots.iter().map(|(size, _)| size).sum();
        let held: usize = self.snapshots.iter().map(|(_, entities)| entities).sum();
        Measured {
            name: trace.name().to_owned(),
            ticks,
            priors: self.priors.len(),
            prior_bytes_per_tick: per_tick(self.priors.iter().sum()),
            entities: per_tick(self.entities),
            sent: per_tick(self.sent.iter().sum()),
            encode: cost(self.encode_ns),
            decode: cost(self.decode_ns),
            catch_ups: catch_ups.collect(),
            warm_up_bytes: self.warm_ups.iter().sum::<usize>() as f64 / self.warm_ups.len().max(1) as f64,
            snapshot_bytes: sampled as f64 / self.snapshots.len().max(1) as f64,
            snapshot_bytes_per_entity: sampled as f64 / held.max(1) as f64,
            bytes_per_tick: Summary::of(self.sizes).expect("a trace has ticks to measure"),
        }
    }
}

/// Leads a world to the committed values of another by a catch-up, and compares; returns the frame's bytes.
fn leap(world: &mut World, to: &World, leap: Leap) -> Result<usize, String> {
    let mut payload = Vec::new();
    catch_up::encode(world, to, leap, &mut payload);
    catch_up::apply(world, leap, &payload).map_err(|error| format!("catch-up: {error}"))?;
    match world.first_difference(to) {
        None => Ok(frame::catch_up(Position::default(), leap.span as u8, None, &payload).len()),
        Some(difference) => Err(format!("after a catch-up, {difference}")),
    }
}

/// What a call returns, and how long it took in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "time is what is measured here")]
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let begun = Instant::now();
    let returned = call();
    (returned, begun.elapsed().as_nanos() as usize)
}
