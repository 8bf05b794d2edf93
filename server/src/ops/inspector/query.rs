//! Which matches a page shows: search, order and the part of it that fits on a page. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickcast_protocol::MatchId;

use super::rows::{Row, Rows};

/// Rows of an answer at most.
const LIMIT_MAX: usize = 200;
/// Rows of an answer where nothing is said.
const LIMIT: usize = 50;

/// What is asked for in the part of an address behind `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Takes `name=value` pairs apart. What is not UTF-8 becomes a replacement character.
    pub fn parse(query: &str) -> Params {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        Params(pairs.map(pair).collect())
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A number, or the default; the error is for a person.
    pub fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| format!("`{name}` is a number, not `{text}`"))
    }

    /// The first row and how many.
    pub fn page(&self) -> Result<(usize, usize), String> {
        Ok((self.number("offset", 0)?, self.number("limit", LIMIT)?.clamp(1, LIMIT_MAX)))
    }
}

/// A part of an address, as it was before it was escaped.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// By what matches are put in order.
type Key = fn(&MatchId, &Row, u64) -> Option<Sortable>;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sortable {
    Number(u64),
    Text(String),
}

fn key(name: &str) -> Option<Key> {
    use Sortable::{Number, Text};
    let key: Key = match name {
        "id" => |id, _, _| Some(Text(id.to_string())),
        "game" => |_, row, _| row.game.clone().map(Text),
        "owner" => |_, row, _| row.owner.clone().map(Text),
        "status" => |_, row, store_ms| Some(Number(row.standing(store_ms) as u64)),
        "players" => |_, row, _| row.players.map(Number),
        "tick" => |_, row, _| row.tick.map(Number),
        "tick_rate" => |_, row, _| row.tick_rate.map(Number),
        "epoch" => |_, row, _| row.epoch.map(Number),
        "created" => |_, row, _| row.created_ms.map(Number),
        "last_tick" => |_, row, store_ms| row.last_tick_age_ms(store_ms).map(Number),
        "tick_us_p99" => |_, row, _| row.stats.map(|stats| Number(stats.tick_us_p99.into())),
        "bytes_per_s" => |_, row, _| row.stats.map(|stats| Number(stats.bytes_per_s)),
        "overruns" => |_, row, _| row.stats.map(|stats| Number(stats.overruns)),
        _ => return None,
    };
    Some(key)
}

/// The part of the matches that was asked for: `search` (how ids begin), `game`, `owner`, `status`, `sort`, `order`
/// (`asc` or `desc`), `offset`, `limit`. The error is for a person.
pub fn page(rows: &Rows, params: &Params) -> Result<Value, String> {
    let (offset, limit) = params.page()?;
    let sort = params.text("sort").unwrap_or("id");
    let key = key(sort).ok_or_else(|| format!("matches have no order by `{sort}`"))?;
    let descending = match params.text("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(format!("`order` is asc or desc, not `{other}`")),
    };
    let store_ms = rows.store_ms;
    let fits = |name: &str, value: Option<&str>| params.text(name).is_none_or(|wanted| value == Some(wanted));
    let wanted = |(id, row): &(&MatchId, &Row)| {
        params.text("search").is_none_or(|begin| id.as_str().starts_with(begin))
            && fits("game", row.game.as_deref())
            && fits("owner", row.owner.as_deref())
            && fits("status", Some(row.standing(store_ms).word()))
    };
    let found = rows.rows.iter().filter(wanted);
    let mut found: Vec<_> = found.map(|(id, row)| (key(id, row, store_ms), id, row)).collect();
    // What is not known comes last either way, and equals stand by their ids.
    found.sort_by(|(one, ..), (other, ..)| match (one, other) {
        (Some(one), Some(other)) if descending => other.cmp(one),
        (Some(one), Some(other)) => one.cmp(other),
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
    });
    let shown: Vec<Value> =
        found.iter().skip(offset).take(limit).map(|(_, id, row)| row.to_json(id, store_ms)).collect();
    Ok(json!({
        "total": rows.rows.len(), "found": found.len(), "offset": offset, "limit": limit,
        "games": counted(rows, |row| row.game.clone()),
        "owners": counted(rows, |row| row.owner.clone()),
        "statuses": counted(rows, |row| Some(row.standing(store_ms).word().to_owned())),
        "players": rows.rows.values().filter_map(|row| row.players).sum::<u64>(),
        "matches": shown,
    }))
}

/// How many matches have each value.
fn counted(rows: &Rows, value: impl Fn(&Row) -> Option<String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in rows.rows.values().filter_map(value) {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::default();
        rows.store_ms = 1000;
        for number in 0..250_u64 {
            let row = Row {
                game: Some(if number % 2 == 0 { "arena" } else { "chess" }.to_owned()),
                owner: Some(format!("n{}", number % 3)),
                players: (number != 7).then_some(number % 10),
                lease_ms: Some(if number == 9 { 500 } else { 2000 }),
                ..Row::default()
            };
            rows.rows.insert(format!("m{number:03}").parse().unwrap(), row);
        }
        rows
    }

    fn ids(query: &str) -> Vec<String> {
        let page = page(&rows(), &Params::parse(query)).unwrap();
        page["matches"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_hole() {
        let first = page(&rows(), &Params::parse("")).unwrap();
        assert_eq!((&first["total"], &first["found"]), (&json!(250), &json!(250)));
        assert_eq!(first["games"], json!({ "arena": 125, "chess": 125 }));
        let mut seen: Vec<String> =
            (0..3).flat_map(|page| ids(&format!("limit=100&offset={}", page * 100))).collect();
        seen.dedup();
        assert_eq!(seen.len(), 250);
        assert_eq!(ids("limit=1000").len(), 200, "more is not given at once");
        assert_eq!(ids("offset=1000"), [""; 0]);
    }

    #[test]
    fn what_is_searched_is_found_and_in_order() {
        assert_eq!(ids("search=m01&game=chess&owner=n0"), ["m015"]);
        assert_eq!(ids("status=expired"), ["m009"]);
        let by_players = ids("sort=players&order=desc&limit=200&search=m0");
        assert_eq!(by_players[..2], ["m009", "m019"]);
        assert_eq!(by_players.last().unwrap(), "m007", "what is not known comes last");
        assert_eq!(ids("sort=players&limit=200&search=m0").last().unwrap(), "m007");
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_a_reason() {
        for (query, reason) in [
            ("sort=colour", "no order by `colour`"),
            ("order=up", "asc or desc"),
            ("limit=many", "`limit` is a number"),
            ("offset=-1", "`offset` is a number"),
        ] {
            let refused = page(&rows(), &Params::parse(query)).unwrap_err();
            assert!(refused.contains(reason), "{query}: {refused}");
        }
    }

    #[test]
    fn values_are_decoded() {
        let params = Params::parse("a=n%31+x&&b=%zz&c&d=%");
        let values = ["a", "b", "c", "d"].map(|name| params.text(name));
        assert_eq!(values, [Some("n1 x"), Some("%zz"), None, Some("%")]);
    }
}
