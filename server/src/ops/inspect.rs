//! `tickcast inspect`: any match in the store, decoded, also when every server is dead.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};
use tickcast_protocol::chat::ChatLine;
use tickcast_protocol::schema::FieldType;
use tickcast_protocol::{EntityId, MatchId, SegmentId, World};

use crate::backplane::authenticated::{Authenticated, Authenticity};
use crate::backplane::{Backplane, MatchFields, fields};
use crate::logic::stored::{self, Restored};
use crate::logic::views::{View, Views};
use crate::ops::admin::StoreArgs;

/// Rows of one kind that the text form shows; `--json` has all.
const ROWS_MAX: usize = 100;
/// Last lines of the chat that the text form shows; `--json` has all that are kept.
const LINES_SHOWN: usize = 10;

/// The flags of `tickcast inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// Match to decode; without it, all matches are listed
    pub match_id: Option<String>,

    /// Where the cluster's store is
    #[command(flatten)]
    pub store: StoreArgs,

    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,

    /// Show again every second until interrupted
    #[arg(long)]
    pub watch: bool,
}

/// Shows what the arguments ask for; the error is for a person.
pub async fn run<B: Backplane>(backplane: &Authenticated<B>, args: &InspectArgs) -> Result<(), String> {
    let id = match &args.match_id {
        Some(text) => Some(text.parse::<MatchId>().map_err(|error| format!("match `{text}`: {error}"))?),
        None => None,
    };
    loop {
        let shown = match &id {
            Some(id) => show_match(backplane, id, args.json).await,
            None => list(backplane, args.json).await,
        };
        if args.watch && !args.json && std::io::stdout().is_terminal() {
            print!("\x1b[2J\x1b[H");
        }
        println!("{}", shown?);
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn list<B: Backplane>(backplane: &B, as_json: bool) -> Result<String, String> {
    let wanted = [
        fields::GAME,
        fields::OWNER,
        fields::EPOCH,
        fields::TICK,
        fields::PLAYERS,
        fields::PLAYERS_MAX,
        fields::COMMITTED_MS,
        fields::LEASE_MS,
        fields::STATUS,
    ];
    let matches = backplane.list(&wanted).await.map_err(|error| error.to_string())?;
    let now_ms = backplane.now_ms().await.map_err(|error| error.to_string())?;
    if as_json {
        let rows: Vec<Value> = matches.iter().map(|(id, stored)| list_json(id, stored, now_ms)).collect();
        return Ok(pretty(&json!({ "matches": rows })));
    }
    if matches.is_empty() {
        return Ok("no matches".to_owned());
    }
    let mut table =
        table(&["match", "game", "owner", "epoch", "tick", "players", "last tick", "lease", "status"]);
    for (id, stored) in &matches {
        let text = |name: &str| fields::text(stored, name).unwrap_or("?").to_owned();
        let players = format!("{} of {}", text(fields::PLAYERS), text(fields::PLAYERS_MAX));
        table.add_row([
            id.to_string(),
            text(fields::GAME),
            text(fields::OWNER),
            text(fields::EPOCH),
            text(fields::TICK),
            players,
            age(fields::number(stored, fields::COMMITTED_MS), now_ms),
            lease(fields::number(stored, fields::LEASE_MS), now_ms),
            text(fields::STATUS),
        ]);
    }
    Ok(table.to_string())
}

fn list_json(id: &MatchId, stored: &MatchFields, now_ms: u64) -> Value {
    let number = |name: &str| fields::number(stored, name);
    json!({
        "id": id,
        "game": fields::text(stored, fields::GAME),
        "owner": fields::text(stored, fields::OWNER),
        "status": fields::text(stored, fields::STATUS),
        "epoch": number(fields::EPOCH),
        "tick": number(fields::TICK),
        "players": number(fields::PLAYERS),
        "players_max": number(fields::PLAYERS_MAX),
        "last_tick_age_ms": number(fields::COMMITTED_MS).map(|at| now_ms.saturating_sub(at)),
        "lease_left_ms": number(fields::LEASE_MS).map(|until| until.saturating_sub(now_ms)),
    })
}

async fn show_match<B: Backplane>(
    backplane: &Authenticated<B>,
    id: &MatchId,
    as_json: bool,
) -> Result<String, String> {
    let loaded = backplane.load_judged(id).await.map_err(|error| error.to_string())?;
    let (loaded, authenticity) =
        loaded.ok_or_else(|| format!("no match `{id}`; `tickcast inspect` without a match lists them"))?;
    let now_ms = backplane.now_ms().await.map_err(|error| error.to_string())?;
    let restored = stored::restore(&loaded).map_err(|error| format!("match `{id}`: {error}"))?;
    let word = match authenticity {
        Authenticity::Unsigned => "unsigned",
        Authenticity::NotVerified => "not verified",
        Authenticity::Verified => "verified",
    };
    if as_json {
        let mut shown = match_json(id, &restored, now_ms);
        shown["authenticity"] = json!(word);
        return Ok(pretty(&shown));
    }
    let hint = match authenticity {
        Authenticity::NotVerified => ": the cluster has a key, and TICKCAST_CLUSTER_KEY is not set here",
        Authenticity::Unsigned | Authenticity::Verified => "",
    };
    Ok(format!("{}\nauthenticity: {word}{hint}\n", match_text(id, &restored, now_ms)))
}

fn match_json(id: &MatchId, restored: &Restored, now_ms: u64) -> Value {
    let Restored { stored, world, views, prior, chat, holders, .. } = restored;
    let seats: Vec<Value> = holders
        .iter()
        .map(|(player, holder)| json!({ "player": player, "subject": holder.subject }))
        .collect();
    let kinds = world.schema().kinds().iter().enumerate().map(|(kind, declared)| {
        let entities: Vec<Value> = world.ids(kind as u8).map(|entity| entity_json(world, entity)).collect();
        (declared.name.clone(), Value::Array(entities))
    });
    json!({
        "id": id,
        "game": stored.game,
        "owner": stored.owner,
        "quarantined": stored.quarantined,
        "epoch": stored.fence.epoch.0,
        "nonce": fields::nonce_text(stored.fence.nonce),
        "tick": stored.tick.0,
        "tick_rate": stored.tick_rate.hz(),
        "snapshot_tick": stored.snapshot_tick.0,
        "prior": prior.number(),
        "hash": format!("{:08x}", stored.hash),
        "recomputed_hash": format!("{:08x}", world.recomputed_hash()),
        "players": stored.players,
        "players_max": stored.players_max,
        "last_tick_age_ms": now_ms.saturating_sub(stored.committed_ms),
        "lease_left_ms": stored.lease_ms.saturating_sub(now_ms),
        "created_ms": stored.created_ms,
        "options": stored.options,
        "visibility": stored.visibility.name(),
        "views": views_json(views),
        "seats": seats,
        "chat": chat.lines,
        "entities": kinds.collect::<Map<String, Value>>(),
    })
}

/// The segments of everybody of whom it was decided what it gets.
fn views_json(views: &Views) -> Value {
    let numbers = |view: &View| view.iter().map(|segment| segment.0).collect::<Vec<_>>();
    views
        .iter()
        .map(|(viewer, view)| (viewer.to_string(), json!(numbers(view))))
        .collect::<Map<_, _>>()
        .into()
}

fn entity_json(world: &World, entity: EntityId) -> Value {
    let declared = &world.schema().kinds()[usize::from(entity.kind)].fields;
    let mut row = Map::new();
    row.insert("index".to_owned(), json!(entity.index));
    // Where everybody sees it nothing is said of that.
    if world.segment(entity) != SegmentId::EVERYONE {
        row.insert("segment".to_owned(), json!(world.segment(entity).0));
    }
    for (field, declared) in declared.iter().enumerate() {
        let value = match declared.holds {
            FieldType::Text { .. } => json!(world.text(entity, field)),
            _ => json!(world.get(entity, field)),
        };
        row.insert(declared.name.clone(), value);
    }
    Value::Object(row)
}

fn match_text(id: &MatchId, restored: &Restored, now_ms: u64) -> String {
    let Restored { stored, world, prior, .. } = restored;
    let verdict =
        if world.recomputed_hash() == stored.hash { "verified" } else { "DOES NOT MATCH THE STATE" };
    let owner = match (stored.quarantined, stored.owner.is_empty()) {
        (true, _) => "nobody: QUARANTINED, its game failed again and again",
        (false, true) => "nobody",
        (false, false) => &stored.owner,
    };
    let mut out = format!(
        "match {id}: {} at tick {} ({} Hz), {} of {} players\nowner {owner}, epoch {}, lease {}, last tick {}\n\
         hash {:08x} {verdict}, snapshot of tick {}, prior {}\n",
        stored.game,
        stored.tick,
        stored.tick_rate.hz(),
        stored.players,
        stored.players_max,
        stored.fence.epoch.0,
        lease(Some(stored.lease_ms), now_ms),
        age(Some(stored.committed_ms).filter(|at| *at > 0), now_ms),
        stored.hash,
        stored.snapshot_tick,
        prior.number(),
    );
    for (kind, declared) in world.schema().kinds().iter().enumerate() {
        let count = world.count(kind as u8);
        if count == 0 {
            continue;
        }
        let names = std::iter::once("index").chain(declared.fields.iter().map(|field| field.name.as_str()));
        let mut table = table(&names.collect::<Vec<_>>());
        for entity in world.ids(kind as u8).take(ROWS_MAX) {
            let values = (0..declared.fields.len()).map(|field| shown(world, entity, field));
            table.add_row(std::iter::once(entity.index.to_string()).chain(values));
        }
        out.push_str(&format!("\n{} ({count})\n{table}\n", declared.name));
        if count > ROWS_MAX {
            out.push_str(&format!("... and {} more: --json shows all\n", count - ROWS_MAX));
        }
    }
    for (player, holder) in &restored.holders {
        if let Some(subject) = &holder.subject {
            out.push_str(&format!("\nplayer {player} is {subject}"));
        }
    }
    if restored.holders.values().any(|holder| holder.subject.is_some()) {
        out.push('\n');
    }
    out.push_str(&chat_text(&restored.chat.lines));
    out
}

/// The last lines that were said. Texts and names are plain wherever they are read: nothing in them acts on a terminal.
fn chat_text(lines: &[ChatLine]) -> String {
    let told = |line: &ChatLine| {
        let team = if line.team == 0 { String::new() } else { format!(", to team {}", line.team) };
        format!("tick {}, player {}{team}  {}: {}\n", line.tick, line.from, line.name, line.text)
    };
    let shown: String = lines[lines.len().saturating_sub(LINES_SHOWN)..].iter().map(told).collect();
    if lines.is_empty() {
        shown
    } else {
        format!("\nchat (the last {} lines are kept)\n{shown}", lines.len())
    }
}

/// A field's value for a person: in units of the game, where it is stored in steps.
fn shown(world: &World, entity: EntityId, field: usize) -> String {
    let declared = &world.schema().kinds()[usize::from(entity.kind)].fields[field];
    match declared.holds {
        FieldType::Text { .. } => world.text(entity, field).escape_debug().to_string(),
        _ if declared.scale == 1 => world.get(entity, field).to_string(),
        _ => format!("{:.2}", f64::from(world.get(entity, field)) / f64::from(declared.scale)),
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header.iter().copied());
    table
}

fn age(committed_ms: Option<u64>, now_ms: u64) -> String {
    match committed_ms.map(|at| now_ms.saturating_sub(at)) {
        None => "never".to_owned(),
        Some(ms) if ms < 10_000 => format!("{ms} ms ago"),
        Some(ms) => format!("{} s ago", ms / 1000),
    }
}

fn lease(until_ms: Option<u64>, now_ms: u64) -> String {
    match until_ms {
        Some(until) if until > now_ms => format!("{} ms left", until - now_ms),
        Some(_) => "expired".to_owned(),
        None => "?".to_owned(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("values are JSON")
}
