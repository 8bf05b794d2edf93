//! What a world too big to send costs: ticks of the swarm without a socket. Its owner encodes each cell once, a node cuts
//! every client's frame out of those bytes; beside it an ideal filter, which has a world and an encoding for each client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::schema::FieldType;
use tickcast_protocol::sections::Index;
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{EntityId, PlayerId, ResumeToken, Schema, SegmentId, Tick, World};
use tickcast_server::backplane::MatchFields;
use tickcast_server::game::{GameType, Options, Viewer};
use tickcast_server::games::Swarm;
use tickcast_server::logic::channel::{self, FromOwner, TickMessage, Upstream};
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored;
use tickcast_server::logic::views::{View, Views};

use crate::battle::{Crew, claimed};
use crate::load::clock::now;

/// Bytes of a frame before its sections or its diff.
const HEADER_BYTES: usize = 4;
/// A hash is told so often, of everything that has changed since.
const HASH_EVERY: u64 = 16;
/// Players who join with one tick.
const JOINS_PER_TICK: u32 = 200;
/// Ticks before anything is measured: bullets fly, and the codec has learned.
const WARM_UP_TICKS: u64 = 100;
/// Clients that the ideal filter is made for; all cost it the same.
const FILTERED: u32 = 60;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Players, each of whom has a client.
    pub clients: u32,
    /// Drones, pickups and players together; bullets come on top.
    pub entities: u32,
    /// Width and height of a cell, units; the game's own when `None`.
    pub cell: Option<u32>,
    /// How far one sees, units; the game's own when `None`.
    pub sight: Option<u32>,
    /// Part of the players who fire, percent.
    pub fire: u32,
    /// Ticks that are measured.
    pub ticks: u64,
    /// What cells would come to that are told only in every so many-th tick, for each of these.
    pub seldom: Vec<u64>,
}

/// What was found, averages over all ticks; bytes and times per client are of one tick.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Entities in the state.
    pub entities: f64,
    /// Segments that have entities.
    pub segments: f64,
    /// Entities that a client has.
    pub seen: f64,
    /// Segments of a client's view.
    pub view: f64,
    /// Different frames among those of all clients.
    pub frames: f64,
    /// The owner's encoding of a tick, all segments.
    pub encode: Duration,
    /// Bytes of it.
    pub encoded_bytes: f64,
    /// Cutting the frames of all clients.
    pub cut: Duration,
    /// Bytes of a client's frame.
    pub bytes: f64,
    /// Bytes of an ideal filter's frame for the same entities.
    pub ideal_bytes: f64,
    /// The encoding of an ideal filter for one client.
    pub ideal_encode: Duration,
    /// Bytes of an ideal filter's frame for what is within sight and not a step further.
    pub circle_bytes: f64,
    /// Bytes of all cells where they are told seldom, for each number of the plan.
    pub seldom_bytes: Vec<f64>,
}

/// One client of an ideal filter.
struct Filtered {
    world: World,
    bytes: u64,
}

/// All cells once more, told only in every so many-th tick: what then has changed, at once. With tables of its own, which learn
/// from just that.
struct Seldom {
    every: u64,
    whole: World,
    segments: Segments,
    encoder: Encoder,
    bytes: u64,
}

/// The match, its copy in segments, and who sees what.
struct Cells {
    simulation: Simulation,
    crew: Crew,
    /// Sides of the copy: the whole as it is changed, and its segments.
    whole: World,
    segments: Segments,
    encoder: Encoder,
    views: Views,
    seldom: Vec<Seldom>,
}

fn fields(plan: &Plan) -> MatchFields {
    let pickups = 500.min(plan.entities / 10);
    let drones = plan.entities.saturating_sub(plan.clients + pickups);
    let mut options = Options::from(
        [("drones", drones), ("pickups", pickups), ("round_seconds", 3_600), ("score_limit", 10_000)]
            .map(|(name, value)| (name.to_owned(), i64::from(value))),
    );
    options.extend(plan.cell.map(|cell| ("cell".to_owned(), i64::from(cell))));
    options.extend(plan.sight.map(|sight| ("fog".to_owned(), i64::from(sight))));
    let info = Swarm.info(&options).expect("the options are the game's");
    stored::new_match(&info, &options, 42, 0, 64)
}

impl Cells {
    /// Everybody has joined and played for a while.
    fn begin(plan: &Plan) -> Cells {
        let restored = stored::restore(&claimed(fields(plan))).expect("a new match is readable");
        let writing = Writing {
            snapshot_every: 20,
            hash_every: HASH_EVERY,
            lease: Duration::from_secs(3_600),
            resume_window: Duration::from_secs(10),
            rewind: Duration::from_millis(250),
            rests: false,
        };
        let schema = Arc::clone(restored.world.schema());
        let game = Swarm.create(&restored.stored.options);
        let mut cells = Cells {
            simulation: Simulation::new(game, restored, writing),
            crew: Crew::new(plan.clients, plan.fire),
            whole: World::new(Arc::clone(&schema)),
            segments: Segments::new(Arc::clone(&schema)),
            encoder: Encoder::new(Prior::first(&schema)),
            views: Views::default(),
            seldom: plan.seldom.iter().map(|every| Seldom::new(*every, &schema)).collect(),
        };
        for first in (1..=plan.clients).step_by(JOINS_PER_TICK as usize) {
            let joins = (first..=plan.clients.min(first + JOINS_PER_TICK - 1)).map(|player| Upstream::Join {
                player: PlayerId(player),
                name: format!("player {player}"),
                token: TokenDigest::of(&ResumeToken::default()),
                subject: None,
            });
            cells.tick(joins.collect());
        }
        for _ in 0..WARM_UP_TICKS {
            let inputs = cells.crew.inputs();
            cells.tick(inputs);
        }
        assert_eq!(cells.simulation.players(), plan.clients as usize, "everybody plays");
        cells
    }

    /// One tick. Answers what its owner tells, and how long the segments took.
    fn tick(&mut self, upstream: Vec<Upstream>) -> (TickMessage, Duration) {
        upstream.into_iter().for_each(|one| self.simulation.handle_upstream(one));
        let commit = self.simulation.handle_tick(0).commit;
        let message = match channel::parse_from_owner(&commit.message) {
            Ok(FromOwner::Tick(message)) => message,
            other => panic!("no tick: {other:?}"),
        };
        copy(self.simulation.world(), &mut self.whole, |_| true);
        let proven = message.position.tick.0.is_multiple_of(HASH_EVERY);
        let mut sections = Vec::new();
        let begin = now();
        self.segments.mirror(&self.whole);
        self.segments.commit(&mut self.encoder, proven, |_| true, &mut sections);
        let took = begin.elapsed();
        self.whole.advance();
        self.encoder.poll_prior();
        self.seldom.iter_mut().for_each(|one| one.tick(message.position.tick, self.simulation.world()));
        self.views.apply(message.views.clone());
        assert!(message.frame[HEADER_BYTES..] == sections, "the owner sends what is measured");
        (message, took)
    }
}

impl Seldom {
    fn new(every: u64, schema: &Arc<Schema>) -> Seldom {
        Seldom {
            every,
            whole: World::new(Arc::clone(schema)),
            segments: Segments::new(Arc::clone(schema)),
            encoder: Encoder::new(Prior::first(schema)),
            bytes: 0,
        }
    }

    fn tick(&mut self, tick: Tick, from: &World) {
        if !tick.0.is_multiple_of(self.every) {
            return;
        }
        copy(from, &mut self.whole, |_| true);
        let mut sections = Vec::new();
        self.segments.mirror(&self.whole);
        self.segments.commit(&mut self.encoder, false, |_| true, &mut sections);
        self.whole.advance();
        self.encoder.poll_prior();
        self.bytes += sections.len() as u64;
    }
}

/// Makes the entities of a world that are wanted those of another one, as changes of its next tick.
fn copy(from: &World, to: &mut World, wanted: impl Fn(EntityId) -> bool) {
    let schema = Arc::clone(from.schema());
    for (kind, declared) in (0..).zip(schema.kinds()) {
        let gone: Vec<EntityId> = to.ids(kind).filter(|id| !from.contains(*id) || !wanted(*id)).collect();
        gone.into_iter().for_each(|id| to.despawn(id));
        for id in from.ids(kind).filter(|id| wanted(*id)) {
            if !to.contains(id) {
                to.spawn_at(id).expect("there is room in the other");
            }
            for (at, field) in declared.fields.iter().enumerate() {
                match field.holds {
                    FieldType::Text { .. } => to.set_text(id, at, from.text(id, at)),
                    _ => to.set(id, at, from.get(id, at)),
                }
            }
            to.place(id, from.segment(id));
        }
    }
}

/// Where the kinds have their places; `None` of what is nowhere.
fn places(schema: &Schema) -> Vec<Option<(usize, usize)>> {
    schema.kinds().iter().map(|kind| Some((kind.field_index("x")?, kind.field_index("y")?))).collect()
}

/// How far one sees, in steps, as the match tells its clients.
fn sight(world: &World) -> i64 {
    let schema = world.schema();
    let find = || {
        let (kind, player) =
            (schema.kind_index("round")?, &schema.kinds()[usize::from(schema.player_kind())]);
        let field = schema.kinds()[usize::from(kind)].field_index("sight")?;
        let units = world.get(world.ids(kind).next()?, field);
        Some(i64::from(units) * i64::from(player.fields[player.field_index("x")?].scale))
    };
    find().expect("the swarm tells how far one sees")
}

impl Filtered {
    fn new(schema: &Arc<Schema>) -> Filtered {
        Filtered { world: World::new(Arc::clone(schema)), bytes: 0 }
    }

    fn tick(
        &mut self,
        from: &World,
        encoder: &mut Encoder,
        proven: bool,
        wanted: impl Fn(EntityId) -> bool,
    ) -> Duration {
        copy(from, &mut self.world, wanted);
        let mut payload = Vec::new();
        let begin = now();
        encoder.encode_secret(&self.world, &mut payload);
        let took = begin.elapsed();
        self.world.advance();
        self.bytes += (HEADER_BYTES + payload.len() + if proven { 4 } else { 0 }) as u64;
        took
    }
}

/// Runs the plan.
///
/// # Panics
/// When the game does not take it.
pub fn measure(plan: &Plan) -> Found {
    let mut cells = Cells::begin(plan);
    let schema = Arc::clone(cells.whole.schema());
    let places = places(&schema);
    let sight = sight(cells.simulation.world());
    let mut ideal: Vec<Filtered> = (0..FILTERED.min(plan.clients)).map(|_| Filtered::new(&schema)).collect();
    let mut circle: Vec<Filtered> = (0..ideal.len()).map(|_| Filtered::new(&schema)).collect();
    let mut found = Found::default();
    let mut ideal_encode = Duration::ZERO;
    for turn in 0..=plan.ticks {
        let inputs = cells.crew.inputs();
        // The frame is coded with the prior that was there before it.
        let mut encoder = Encoder::new(Arc::clone(cells.encoder.prior()));
        let before = cells.views.clone();
        let (message, encode) = cells.tick(inputs);
        let world = cells.simulation.world();
        let proven = message.position.tick.0.is_multiple_of(HASH_EVERY);
        for (number, (same, near)) in (1..).zip(ideal.iter_mut().zip(&mut circle)) {
            let player = PlayerId(number);
            let view = cells.views.of(Viewer::Player(player));
            let in_view = |id: EntityId| view.binary_search(&world.segment(id)).is_ok();
            let took = same.tick(world, &mut encoder, proven, in_view);
            let own = world
                .ids(schema.player_kind())
                .find(|id| world.get(*id, schema.player_field()) == number as i32);
            let at = |id: EntityId| {
                let (x, y) = places[usize::from(id.kind)]?;
                Some((i64::from(world.get(id, x)), i64::from(world.get(id, y))))
            };
            let here = own.and_then(at).unwrap_or_default();
            near.tick(world, &mut encoder, proven, |id| {
                at(id).is_none_or(|(x, y)| (x - here.0).pow(2) + (y - here.1).pow(2) <= sight * sight)
            });
            ideal_encode += if turn > 0 { took } else { Duration::ZERO };
        }
        // The filters' first tick is the whole of what is seen.
        if turn == 0 {
            ideal.iter_mut().chain(&mut circle).for_each(|one| one.bytes = 0);
            cells.seldom.iter_mut().for_each(|one| one.bytes = 0);
            continue;
        }
        found.encode += encode;
        found.encoded_bytes += message.frame.len() as f64;
        found.entities += world.len() as f64;
        found.segments += cells.segments.iter().count() as f64;
        cut(&mut found, &cells, &before, &message, plan.clients);
    }
    let ticks = plan.ticks.max(1) as f64;
    found.seldom_bytes = cells.seldom.iter().map(|one| one.bytes as f64 / ticks).collect();
    average(found, plan, &ideal, &circle, ideal_encode)
}

/// Cuts every client's frame as a node does: once for all who had and have the same view.
fn cut(found: &mut Found, cells: &Cells, before: &Views, message: &TickMessage, clients: u32) {
    let turns: Vec<(View, View)> = (1..=clients)
        .map(|player| Viewer::Player(PlayerId(player)))
        .map(|viewer| (Arc::clone(before.of(viewer)), Arc::clone(cells.views.of(viewer))))
        .collect();
    let begin = now();
    let sections = &message.frame[HEADER_BYTES..];
    let index = Index::of(sections).expect("the owner's own sections");
    let mut entered: BTreeMap<SegmentId, Vec<u8>> = BTreeMap::new();
    let mut frames: BTreeMap<&(View, View), Vec<u8>> = BTreeMap::new();
    for turn in &turns {
        frames.entry(turn).or_insert_with(|| {
            let mut out = message.frame[..HEADER_BYTES].to_vec();
            let enter = |segment, out: &mut Vec<u8>| {
                let section = entered
                    .entry(segment)
                    .or_insert_with(|| cells.segments.entered(segment).unwrap_or_default());
                out.extend_from_slice(section);
            };
            index.cut(sections, &turn.0, &turn.1, enter, &mut out);
            out
        });
    }
    found.cut += begin.elapsed();
    found.frames += frames.len() as f64;
    // The ideal filter stands beside the same clients.
    let compared = turns.iter().take(FILTERED as usize);
    let count = f64::from(FILTERED.min(clients));
    for turn in compared {
        let seen: BTreeSet<SegmentId> = turn.1.iter().copied().collect();
        let entities: usize = seen.iter().filter_map(|id| cells.segments.get(*id)).map(World::len).sum();
        found.bytes += frames[turn].len() as f64 / count;
        found.view += turn.1.len() as f64 / count;
        found.seen += entities as f64 / count;
    }
}

fn average(
    found: Found,
    plan: &Plan,
    ideal: &[Filtered],
    circle: &[Filtered],
    ideal_encode: Duration,
) -> Found {
    let ticks = plan.ticks.max(1) as f64;
    let bytes =
        |of: &[Filtered]| of.iter().map(|one| one.bytes).sum::<u64>() as f64 / ticks / of.len().max(1) as f64;
    Found {
        entities: found.entities / ticks,
        segments: found.segments / ticks,
        seen: found.seen / ticks,
        view: found.view / ticks,
        frames: found.frames / ticks,
        encode: found.encode.div_f64(ticks),
        encoded_bytes: found.encoded_bytes / ticks,
        cut: found.cut.div_f64(ticks),
        bytes: found.bytes / ticks,
        ideal_bytes: bytes(ideal),
        ideal_encode: ideal_encode.div_f64(ticks * ideal.len().max(1) as f64),
        circle_bytes: bytes(circle),
        seldom_bytes: found.seldom_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_part_of_the_world_for_little_more_than_an_ideal_filter() {
        let plan = Plan {
            clients: 60,
            entities: 1_500,
            cell: None,
            sight: None,
            fire: 15,
            ticks: 40,
            seldom: vec![1, 4],
        };
        let found = measure(&plan);
        assert!(found.entities >= 1_500.0 && found.segments > 50.0, "{found:?}");
        assert!(found.seen > 10.0 && found.seen < found.entities / 3.0, "{found:?}");
        assert!((1.0..=60.0).contains(&found.frames), "{found:?}");
        assert!(found.bytes < found.encoded_bytes, "a part of what the owner sends: {found:?}");
        // The fewer happens in a cell, the more its head weighs.
        assert!((0.8..2.0).contains(&(found.bytes / found.ideal_bytes)), "{found:?}");
        assert!(found.circle_bytes < found.ideal_bytes, "{found:?}");
        let [each, fourth] = found.seldom_bytes[..] else { panic!("{found:?}") };
        assert!(each > 0.0 && fourth < each * 1.5, "{found:?}");
    }
}
