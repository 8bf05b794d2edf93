//! `cells`: what the swarm costs, a world of ten thousand entities of which each client sees what is near. Runs ticks of it
//! without a socket, for several numbers of clients, and prints a table; `--json` prints what a program reads.

use benches::cells::{Found, Plan, measure};
use clap::Parser;
use comfy_table::{Table, presets};
use serde_json::json;

#[derive(Debug, Parser)]
#[command(
    name = "cells",
    about = "What a world too big to send costs its owner, its nodes and its clients, beside an ideal filter per client"
)]
struct Flags {
    /// Players with a client each, one run for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "100,300,1000")]
    clients: Vec<u32>,
    /// Players, drones and pickups together; bullets come on top
    #[arg(long, value_name = "N", default_value_t = 9_500)]
    entities: u32,
    /// Width and height of a cell, in units, one run for each; the game's own when left out
    #[arg(long, value_name = "UNITS", value_delimiter = ',')]
    cell: Vec<u32>,
    /// How far one sees, in units; the game's own when left out
    #[arg(long, value_name = "UNITS")]
    sight: Option<u32>,
    /// Part of the players who fire at a time
    #[arg(long, value_name = "PERCENT", default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=100))]
    fire: u32,
    /// Ticks that are measured
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    ticks: u64,
    /// What all cells would come to if each were told only in every N-th tick, for each N
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    seldom: Vec<u64>,
    /// JSON in place of a table
    #[arg(long)]
    json: bool,
}

fn main() {
    let flags = Flags::parse();
    let cells: Vec<Option<u32>> =
        if flags.cell.is_empty() { vec![None] } else { flags.cell.iter().copied().map(Some).collect() };
    let mut rows = Vec::new();
    for cell in cells {
        for clients in &flags.clients {
            eprintln!("{clients} clients, {} ticks", flags.ticks);
            let plan = Plan {
                clients: *clients,
                entities: flags.entities,
                cell,
                sight: flags.sight,
                fire: flags.fire,
                ticks: flags.ticks,
                seldom: flags.seldom.clone(),
            };
            rows.push((plan.clone(), measure(&plan)));
        }
    }
    if flags.json {
        let rows: Vec<_> = rows.iter().map(|(plan, found)| to_json(plan, found)).collect();
        println!("{}", json!(rows));
    } else {
        print(&rows);
    }
}

fn print(rows: &[(Plan, Found)]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "clients",
        "cell",
        "entities",
        "segments",
        "seen",
        "view",
        "frames",
        "encode us",
        "bytes",
        "cut us/client",
        "B/client",
        "ideal B",
        "ratio",
        "ideal us/client",
        "circle B",
        "ratio",
    ]);
    for (plan, found) in rows {
        let us = |time: std::time::Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
        let each = |time: std::time::Duration, of: f64| format!("{:.2}", time.as_secs_f64() * 1e6 / of);
        table.add_row([
            plan.clients.to_string(),
            plan.cell.map_or("game".to_owned(), |cell| cell.to_string()),
            format!("{:.0}", found.entities),
            format!("{:.0}", found.segments),
            format!("{:.0}", found.seen),
            format!("{:.1}", found.view),
            format!("{:.0}", found.frames),
            us(found.encode),
            format!("{:.0}", found.encoded_bytes),
            each(found.cut, f64::from(plan.clients)),
            format!("{:.0}", found.bytes),
            format!("{:.0}", found.ideal_bytes),
            format!("{:.2}", found.bytes / found.ideal_bytes),
            each(found.ideal_encode, 1.0),
            format!("{:.0}", found.circle_bytes),
            format!("{:.2}", found.bytes / found.circle_bytes),
        ]);
    }
    println!("{table}");
    for (plan, found) in rows {
        for (every, bytes) in plan.seldom.iter().zip(&found.seldom_bytes) {
            println!(
                "{} clients, all cells told in every tick of {every}: {bytes:.0} bytes per tick",
                plan.clients
            );
        }
    }
    println!(
        "encode: the owner's coding of a tick, all segments; cut: a node's frame for a client; ideal: one encoding per client \
         of the same entities;\ncircle: one of what is within sight only. All per tick, averages."
    );
}

fn to_json(plan: &Plan, found: &Found) -> serde_json::Value {
    json!({
        "clients": plan.clients, "cell": plan.cell, "sight": plan.sight, "fire": plan.fire, "ticks": plan.ticks,
        "entities": found.entities, "segments": found.segments, "seen": found.seen, "view": found.view,
        "frames": found.frames, "encode_us": found.encode.as_secs_f64() * 1e6, "encoded_bytes": found.encoded_bytes,
        "seldom": plan.seldom, "seldom_bytes": found.seldom_bytes,
        "cut_us": found.cut.as_secs_f64() * 1e6, "bytes": found.bytes, "ideal_bytes": found.ideal_bytes,
        "ideal_encode_us": found.ideal_encode.as_secs_f64() * 1e6, "circle_bytes": found.circle_bytes,
    })
}
