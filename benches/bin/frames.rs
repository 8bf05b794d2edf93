//! `frames`: writes recorded games as the frames that a client gets, for measuring decoders in other languages.
//! A file is a list of records, each a length (u32, little endian) and so many bytes: first JSON with the schema and
//! how many entities all diffs mention together, then the frames: a snapshot, and every tick from there on.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use benches::traces::Trace;
use benches::traces::folder::traces_in;
use benches::traces::play::apply_tick;
use benches::traces::schema::schema_of;
use clap::Parser;
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{Epoch, Fence, Nonce, Position, Tick, World, frame, snapshot};

/// A diff carries a hash this often, as a match's does.
const HASH_EVERY: u64 = 16;

#[derive(Debug, Parser)]
#[command(name = "frames", about = "Writes recorded games as the frames that a client gets")]
struct Flags {
    /// The folder with the traces
    #[arg(value_name = "DIR")]
    traces: PathBuf,
    /// Where NAME.frames go
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    std::fs::create_dir_all(&flags.out)?;
    for path in traces_in(&flags.traces)? {
        let trace = Trace::read(&path)?;
        write(&trace, &flags.out)?;
    }
    Ok(())
}

fn position(tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(1), nonce: Nonce(7) }, tick: Tick(tick) }
}

/// The last 80 % of the ticks, with the priors that the first 20 % taught.
fn write(trace: &Trace, folder: &Path) -> Result<(), Box<dyn Error>> {
    let schema = schema_of(trace)?;
    let mut world = World::new(Arc::clone(&schema));
    let mut encoder = Encoder::new(Prior::first(&schema));
    let (mut frames, mut sent) = (Vec::new(), 0);
    for (number, tick) in (1..).zip(trace.ticks()) {
        let counts = number > trace.training_count() as u64;
        if counts && frames.is_empty() {
            frames.push(whole(&world, &encoder, number - 1));
        }
        let prior = encoder.prior().number();
        apply_tick(tick, &mut world)?;
        let mut payload = Vec::new();
        encoder.encode(&world, &mut payload);
        world.advance();
        let hash = number.is_multiple_of(HASH_EVERY).then(|| world.hash());
        let published = encoder.poll_prior();
        if counts {
            frames.push(frame::diff(position(number), prior, hash, &payload));
            sent += encoder.sent();
        }
        if let Some(prior) = published.filter(|_| counts) {
            let mut bytes = Vec::new();
            prior.encode(&mut bytes);
            frames.push(frame::prior(position(number), &bytes));
        }
    }
    let header = serde_json::json!({ "schema": schema.to_json(), "sent": sent }).to_string();
    let mut out = Vec::new();
    for record in std::iter::once(header.into_bytes()).chain(frames) {
        out.extend(u32::try_from(record.len())?.to_le_bytes());
        out.extend(record);
    }
    std::fs::write(folder.join(format!("{}.frames", trace.name())), out)?;
    Ok(())
}

fn whole(world: &World, encoder: &Encoder, tick: u64) -> Vec<u8> {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    encoder.prior().encode(&mut prior);
    snapshot::encode(world, &mut payload);
    frame::snapshot(position(tick), world.hash(), &prior, &payload)
}
