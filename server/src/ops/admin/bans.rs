//! Putting people out: a player of a match, or an account for a while, on every node.

use std::time::Duration;

use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{MatchId, PlayerId};

use super::{LOOK, entries, no_match, unavailable};
use crate::backplane::{Backplane, fields};
use crate::io::clock;
use crate::logic::bans::{BANS_MAX, Ban};
use crate::logic::channel::{self, Upstream};
use crate::logic::orders::Order;

/// How long a match's owner may take to put a player out.
const KICKED_WITHIN: Duration = Duration::from_secs(5);

/// Takes a player's seat away, and waits until it is gone: the owner tells the player's node, which closes the connection.
pub async fn kick<B: Backplane>(backplane: &B, id: &MatchId, player: PlayerId) -> Result<String, String> {
    let seat = fields::seat(player);
    let is_seated = async || {
        let stored = backplane.read(id, &[&seat]).await.map_err(unavailable)?;
        Ok::<_, String>(!stored.ok_or_else(|| no_match(id))?.is_empty())
    };
    if !is_seated().await? {
        return Err(format!("match `{id}` has no player {player} with a seat"));
    }
    let deadline = clock::now() + KICKED_WITHIN;
    let message = channel::encode_upstream(&[Upstream::Kick { player }]);
    while clock::now() < deadline {
        // A match that has no owner for a moment did not hear it.
        backplane.send_input(id, message.clone()).await.map_err(unavailable)?;
        for _ in 0..10 {
            tokio::time::sleep(LOOK).await;
            if !is_seated().await? {
                return Ok(format!("player {player} of match {id} was put out"));
            }
        }
    }
    let seconds = KICKED_WITHIN.as_secs();
    Err(format!(
        "player {player} of match `{id}` still has a seat after {seconds} s: has the match an owner, and this command the cluster's key, if there \
         is one?"
    ))
}

/// Lets an account join nothing for a while, and puts it out wherever it is.
pub async fn ban<B: Backplane>(
    backplane: &B,
    subject: &Subject,
    lasts: Option<&str>,
    reason: &str,
) -> Result<String, String> {
    let now_ms = backplane.now_ms().await.map_err(unavailable)?;
    let ban = Ban::new(now_ms, lasts, reason)?;
    let known = backplane.bans().await.map_err(unavailable)?;
    // Those that are over make room.
    for (other, _) in known.iter().filter(|(_, stored)| !Ban::holds(stored, now_ms)) {
        backplane.set_ban(other, None).await.map_err(unavailable)?;
    }
    let held = known.iter().filter(|(other, stored)| other != subject && Ban::holds(stored, now_ms)).count();
    if held >= BANS_MAX {
        return Err(format!("{BANS_MAX} accounts are banned, and no more can be: `tickcast unban` some"));
    }
    backplane.set_ban(subject, Some(ban.to_json())).await.map_err(unavailable)?;
    let nodes = entries(backplane).await?;
    for (node, _) in &nodes {
        // A node that does not hear it looks by itself within seconds.
        let _ = backplane.send_order(node, Order::Bans.encode().into()).await;
    }
    let hours = (ban.until_ms - ban.since_ms) as f64 / 3_600_000.0;
    Ok(format!("{subject} is banned for {hours:.1} h; {} told to put it out", were(nodes.len())))
}

fn were(nodes: usize) -> String {
    if nodes == 1 { "1 node was".to_owned() } else { format!("{nodes} nodes were") }
}

/// Lets an account in again.
pub async fn unban<B: Backplane>(backplane: &B, subject: &Subject) -> Result<String, String> {
    if backplane.ban(subject).await.map_err(unavailable)?.is_none() {
        return Err(format!("{subject} is not banned; `tickcast bans` lists who is"));
    }
    backplane.set_ban(subject, None).await.map_err(unavailable)?;
    Ok(format!("{subject} may join again"))
}

/// One ban, as JSON: of one that cannot be read only whose it is.
pub fn row(subject: &Subject, stored: &[u8], now_ms: u64) -> Value {
    let ban = Ban::from_json(stored);
    json!({
        "subject": subject,
        "since_ms": ban.as_ref().map(|ban| ban.since_ms),
        "until_ms": ban.as_ref().map(|ban| ban.until_ms),
        "left_ms": ban.as_ref().map(|ban| ban.until_ms.saturating_sub(now_ms)),
        "reason": ban.map(|ban| ban.reason),
    })
}

/// Who is banned, as JSON.
async fn tell<B: Backplane>(backplane: &B) -> Result<Value, String> {
    let now_ms = backplane.now_ms().await.map_err(unavailable)?;
    let bans = backplane.bans().await.map_err(unavailable)?;
    let held = bans.iter().filter(|(_, stored)| Ban::holds(stored, now_ms));
    let rows: Vec<Value> = held.map(|(subject, stored)| row(subject, stored, now_ms)).collect();
    Ok(json!({ "bans": rows }))
}

/// Who is banned, as a table or as JSON.
pub(super) async fn list<B: Backplane>(backplane: &B, as_json: bool) -> Result<String, String> {
    let told = tell(backplane).await?;
    if as_json {
        return Ok(serde_json::to_string_pretty(&told).expect("values are JSON"));
    }
    let rows = told["bans"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return Ok("nobody is banned".to_owned());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["subject", "left", "reason"]);
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        let left =
            row["left_ms"].as_u64().map_or("?".to_owned(), |ms| format!("{:.1} h", ms as f64 / 3_600_000.0));
        table.add_row([text("subject"), left, text("reason")]);
    }
    Ok(table.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_as_one() {
        assert_eq!([0, 1, 2].map(were), ["0 nodes were", "1 node was", "2 nodes were"]);
    }
}
