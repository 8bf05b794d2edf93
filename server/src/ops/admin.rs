//! What an operator asks of a cluster: who is there, hand a match over, let a node leave, let a quarantined match
//! go on, end a match, put somebody out; from the command line and over the operators' port. Orders go over Redis; whether they were followed is waited for and told.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tickcast_protocol::{MatchId, NodeId, PlayerId};

use crate::backplane::redis::SecurityFiles;
use crate::backplane::{Backplane, Guarded, fields};
use crate::config::cluster::ClusterKeyArgs;
use crate::io::clock;
use crate::logic::channel::{self, Note};
use crate::logic::orders::Order;
use crate::logic::placement::NodeEntry;

pub mod bans;
mod leaving;

use leaving::Leaving;

/// How long a match may take to change its owner, and a node to leave, after the order.
const MOVED_WITHIN: Duration = Duration::from_secs(5);
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// How often a match is ended that changes its owner meanwhile.
const END_TRIES: usize = 5;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);
/// The same where every match is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(200);
/// How long a match that was handed over may take to be claimed.
const CLAIMED_WITHIN: Duration = Duration::from_secs(2);

/// The commands for operators.
#[derive(Debug, Clone, Subcommand)]
pub enum AdminCommand {
    /// List the nodes of a cluster
    Nodes {
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Move a match to another node; its players see a pause of a tick or two
    Move {
        /// Match to move
        match_id: String,
        /// Node to move it to [default: the one with the fewest matches]
        to: Option<String>,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Let a node hand over all it has and stop
    Drain {
        /// Node that is to leave
        node: String,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// End a match for good, whoever owns it; its players are told that it is over
    End {
        /// Match to end
        match_id: String,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Put a player out of a match; with a new ticket it may come again
    Kick {
        /// The match
        match_id: String,
        /// The player's number in it
        player: u32,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Put an account out of all matches, and let it join none for a while
    Ban {
        /// The account, as tickets name it
        subject: String,
        /// For how long: 90s, 30m, 24h, 7d [default: 24h]
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
        /// Why, for operators
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Let an account join again
    Unban {
        /// The account
        subject: String,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List who is banned, for how long and why
    Bans {
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Let a match run again that was quarantined because its game failed again and again
    Revive {
        /// Match to let go on
        match_id: String,
        /// Where the cluster's store is
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Where the cluster's store is.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// The cluster's Redis: redis://127.0.0.1:6379, redis+sentinel://HOST:PORT,HOST:PORT/NAME, or
    /// redis+cluster://HOST:PORT,HOST:PORT; with TLS the first word is rediss
    #[arg(long, env = "TICKCAST_REDIS", value_name = "URL")]
    pub redis: String,

    /// Whom to believe there
    #[command(flatten)]
    pub security: SecurityFiles,

    /// Whether to believe what stands there
    #[command(flatten)]
    pub cluster: ClusterKeyArgs,
}

impl AdminCommand {
    /// Where the store is.
    pub fn store(&self) -> &StoreArgs {
        match self {
            AdminCommand::Nodes { store, .. }
            | AdminCommand::Move { store, .. }
            | AdminCommand::Drain { store, .. }
            | AdminCommand::End { store, .. }
            | AdminCommand::Kick { store, .. }
            | AdminCommand::Ban { store, .. }
            | AdminCommand::Unban { store, .. }
            | AdminCommand::Bans { store, .. }
            | AdminCommand::Revive { store, .. } => store,
        }
    }
}

/// Does what was asked; both texts are for a person.
pub async fn run<B: Backplane>(backplane: &B, command: &AdminCommand) -> Result<String, String> {
    match command {
        AdminCommand::Nodes { json, .. } => list(backplane, *json).await,
        AdminCommand::Move { match_id, to, .. } => {
            let to = to.as_deref().map(|node| parse::<NodeId>("node", node)).transpose()?;
            move_match(backplane, &parse("match", match_id)?, to).await
        }
        AdminCommand::Drain { node, .. } => drain(backplane, &parse("node", node)?).await,
        AdminCommand::End { match_id, .. } => end(backplane, &parse("match", match_id)?).await,
        AdminCommand::Kick { match_id, player, .. } => {
            bans::kick(backplane, &parse("match", match_id)?, PlayerId(*player)).await
        }
        AdminCommand::Ban { subject, lasts, reason, .. } => {
            bans::ban(backplane, &parse("subject", subject)?, lasts.as_deref(), reason).await
        }
        AdminCommand::Unban { subject, .. } => bans::unban(backplane, &parse("subject", subject)?).await,
        AdminCommand::Bans { json, .. } => bans::list(backplane, *json).await,
        AdminCommand::Revive { match_id, .. } => revive(backplane, &parse("match", match_id)?).await,
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{what} `{text}`: {error}"))
}

fn unavailable(error: crate::backplane::Unavailable) -> String {
    error.to_string()
}

/// The nodes that said something readable of themselves.
async fn entries<B: Backplane>(backplane: &B) -> Result<Vec<(NodeId, NodeEntry)>, String> {
    let nodes = backplane.nodes().await.map_err(unavailable)?;
    Ok(nodes.into_iter().filter_map(|(node, json)| Some((node, NodeEntry::from_json(&json)?))).collect())
}

async fn list<B: Backplane>(backplane: &B, as_json: bool) -> Result<String, String> {
    let nodes = entries(backplane).await?;
    let now_ms = backplane.now_ms().await.map_err(unavailable)?;
    if as_json {
        let row = |(node, entry): &(NodeId, NodeEntry)| {
            let mut row = serde_json::to_value(entry).expect("an entry is JSON");
            row["node"] = json!(node);
            row["beat_age_ms"] = json!(now_ms.saturating_sub(entry.beat_ms));
            row
        };
        let rows: Vec<Value> = nodes.iter().map(row).collect();
        return Ok(serde_json::to_string_pretty(&json!({ "nodes": rows })).expect("values are JSON"));
    }
    if nodes.is_empty() {
        return Ok("no nodes".to_owned());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["node", "matches", "connections", "heard", "state", "address for clients"]);
    for (node, entry) in nodes {
        let age_ms = now_ms.saturating_sub(entry.beat_ms);
        let state = match (entry.leaving, age_ms) {
            (true, _) => "leaving",
            (false, ..2_000) => "running",
            (false, _) => "not heard",
        };
        table.add_row([
            node.to_string(),
            format!("{} of {}", entry.matches, entry.matches_max),
            entry.connections.to_string(),
            format!("{age_ms} ms ago"),
            state.to_owned(),
            entry.url,
        ]);
    }
    Ok(table.to_string())
}

fn no_match(id: &MatchId) -> String {
    format!("no match `{id}`; `tickcast inspect` lists them")
}

async fn owner<B: Backplane>(backplane: &B, id: &MatchId) -> Result<(String, u64), String> {
    let stored = backplane.read(id, &[fields::OWNER, fields::EPOCH]).await.map_err(unavailable)?;
    let stored = stored.ok_or_else(|| no_match(id))?;
    let owner = fields::text(&stored, fields::OWNER).unwrap_or_default().to_owned();
    Ok((owner, fields::number(&stored, fields::EPOCH).unwrap_or(0)))
}

/// Moves a match to that node, or to one of its owner's choice, and tells where it went.
pub async fn move_match<B: Backplane>(
    backplane: &B,
    id: &MatchId,
    to: Option<NodeId>,
) -> Result<String, String> {
    let (from, epoch) = owner(backplane, id).await?;
    let Ok(node) = from.parse::<NodeId>() else {
        return Err(format!("match `{id}` has no owner now: it is claimed by whoever comes first"));
    };
    if to.as_ref() == Some(&node) {
        return Ok(format!("match {id} is on {node} already"));
    }
    if let Some(to) = &to
        && !entries(backplane).await?.iter().any(|(node, _)| node == to)
    {
        return Err(format!("there is no node `{to}`; `tickcast nodes` lists them"));
    }
    let order = Order::HandOver { id: id.clone(), to };
    backplane.send_order(&node, order.encode().into()).await.map_err(unavailable)?;
    let deadline = clock::now() + MOVED_WITHIN;
    while clock::now() < deadline {
        let (now, epoch_now) = owner(backplane, id).await?;
        if epoch_now != epoch && !now.is_empty() {
            return Ok(format!("match {id}: {from} -> {now}"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!(
        "match `{id}` is still on {node} after {} s: see that node's log for why",
        MOVED_WITHIN.as_secs()
    ))
}

async fn entry<B: Backplane>(backplane: &B, node: &NodeId) -> Result<Option<NodeEntry>, String> {
    let entries = entries(backplane).await?;
    Ok(entries.into_iter().find(|(listed, _)| listed == node).map(|(_, entry)| entry))
}

/// Asks a node to leave, and tells what it has.
pub async fn order_drain<B: Backplane>(backplane: &B, node: &NodeId) -> Result<NodeEntry, String> {
    let entry = entry(backplane, node).await?;
    let entry = entry.ok_or_else(|| format!("there is no node `{node}`; `tickcast nodes` lists them"))?;
    backplane.send_order(node, Order::Drain.encode().into()).await.map_err(unavailable)?;
    Ok(entry)
}

/// Asks a node to leave and tells on the way how far it is. What it hands over is read from the matches themselves: its
/// entry among the nodes is as old as its last beat.
async fn drain<B: Backplane>(backplane: &B, node: &NodeId) -> Result<String, String> {
    let mut leaving = Leaving::default();
    leaving.look(backplane, node).await?;
    order_drain(backplane, node).await?;
    let (deadline, mut told) = (clock::now() + DRAINED_WITHIN, String::new());
    while let Some(entry) = entry(backplane, node).await? {
        if clock::now() >= deadline {
            let still = leaving.to_string();
            let seconds = DRAINED_WITHIN.as_secs();
            return Err(format!(
                "node `{node}` is still there after {seconds} s: see its log for why; {still}"
            ));
        }
        leaving.look(backplane, node).await?;
        let now = format!("{leaving}, {} connections left", entry.connections);
        if now != told {
            eprintln!("node {node} is leaving; {now}");
            told = now;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    // An heir may be just about to claim.
    let deadline = clock::now() + CLAIMED_WITHIN;
    leaving.look(backplane, node).await?;
    while leaving.unowned > 0 && clock::now() < deadline {
        tokio::time::sleep(LOOK).await;
        leaving.look(backplane, node).await?;
    }
    Ok(format!("node {node} has left; {leaving}"))
}

/// Ends a match in the store: its players are told by what follows it, and its owner by its next commit. So it needs
/// no owner that lives.
pub async fn end<B: Backplane>(backplane: &B, id: &MatchId) -> Result<String, String> {
    for _ in 0..END_TRIES {
        let stored = backplane.read(id, &[fields::EPOCH, fields::NONCE]).await.map_err(unavailable)?;
        let stored = stored.ok_or_else(|| no_match(id))?;
        let fence = fields::fence(&stored).ok_or_else(|| format!("match `{id}` has no readable owner"))?;
        let note = channel::encode_note(&Note::Ended);
        if backplane.end(id, fence, note).await.map_err(unavailable)? == Guarded::Done {
            return Ok(format!("match {id} has ended"));
        }
    }
    Err(format!("match `{id}` changes its owner again and again: see the nodes' logs for why"))
}

/// Lets a quarantined match be claimed again.
pub async fn revive<B: Backplane>(backplane: &B, id: &MatchId) -> Result<String, String> {
    owner(backplane, id).await?;
    match backplane.revive(id).await.map_err(unavailable)? {
        Guarded::Done => Ok(format!("match {id} may run again: a node claims it at its next look")),
        Guarded::Refused => Err(format!("match `{id}` is not quarantined")),
    }
}
