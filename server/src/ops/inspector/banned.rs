//! The bans as a node last saw them: search, order and the part of it that fits on a page. Pure.

use bytes::Bytes;
use serde_json::{Value, json};
use tickcast_protocol::ticket::Subject;

use super::query::Params;
use crate::logic::bans::Ban;
use crate::ops::admin::bans::row;

/// All bans at a look.
#[derive(Debug, Default)]
pub struct Bans {
    /// By subject, as the store holds them.
    pub bans: Vec<(Subject, Bytes)>,
    /// The store's clock then.
    pub store_ms: u64,
}

/// The part of the bans that hold which was asked for, the newest first: `search` (how subjects begin), `offset`, `limit`.
/// The error is for a person.
pub fn page(known: &Bans, params: &Params) -> Result<Value, String> {
    let (offset, limit) = params.page()?;
    let search = params.text("search").unwrap_or_default();
    let holds = |(_, stored): &&(Subject, Bytes)| Ban::holds(stored, known.store_ms);
    let held: Vec<_> = known.bans.iter().filter(holds).collect();
    let mut found: Vec<_> = held.iter().filter(|(subject, _)| subject.as_str().starts_with(search)).collect();
    // What cannot be read comes first: somebody has to see it.
    let since = |stored: &Bytes| Ban::from_json(stored).map_or(u64::MAX, |ban| ban.since_ms);
    found.sort_by_cached_key(|(subject, stored)| (u64::MAX - since(stored), subject.clone()));
    let shown = found.iter().skip(offset).take(limit);
    let shown: Vec<Value> = shown.map(|(subject, stored)| row(subject, stored, known.store_ms)).collect();
    Ok(json!({
        "total": held.len(), "found": found.len(), "offset": offset, "limit": limit, "bans": shown,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(page: &Value) -> Vec<&str> {
        page["bans"].as_array().unwrap().iter().filter_map(|row| row["subject"].as_str()).collect()
    }

    #[test]
    fn bans_that_hold_are_paged_and_searched_the_newest_first() {
        let ban =
            |number: u64| Ban { since_ms: number, until_ms: 500 + number, reason: format!("r{number}") };
        let of = |number: u64| (format!("account-{number:03}").parse().unwrap(), ban(number).to_json());
        let mut known = Bans { bans: (0..300).map(of).collect(), store_ms: 600 };
        known.bans.push(("odd".parse().unwrap(), Bytes::from_static(b"?")));
        let ask = |query: &str| page(&known, &Params::parse(query));
        let first = ask("limit=3").unwrap();
        assert_eq!(
            (&first["total"], &first["found"]),
            (&json!(200), &json!(200)),
            "of 301 those that are not over"
        );
        assert_eq!(subjects(&first), ["odd", "account-299", "account-298"]);
        assert_eq!(
            first["bans"][0],
            json!({
                "subject": "odd", "since_ms": null, "until_ms": null, "left_ms": null, "reason": null,
            })
        );
        assert_eq!(first["bans"][1]["left_ms"], 199);
        assert_eq!(subjects(&ask("offset=199&limit=200").unwrap()), ["account-101"]);
        assert_eq!(ask("").unwrap()["bans"].as_array().unwrap().len(), 50);
        let some = ask("search=account-20").unwrap();
        assert_eq!((some["found"].as_u64(), subjects(&some)[0]), (Some(10), "account-209"));
        assert_eq!(ask("offset=x"), Err("`offset` is a number, not `x`".to_owned()));
    }
}
