//! What the operators' page is told of the cluster. However many pages are open, the store is asked at most once a second,
//! and what was seen last is told, with its age, while the store does not answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tickcast_protocol::{MatchId, NodeId};
use tokio::sync::oneshot;

use crate::backplane::{Backplane, MatchFields, Unavailable};
use crate::io::clock;
use crate::io::node::Node;
use crate::io::relay_task::RelayCommand;
use crate::logic::placement::NodeEntry;
use crate::logic::relay::Seen;

use self::banned::Bans;
use self::journal::{Journal, What};
use self::query::Params;
use self::rows::{FIELDS, Rows};
use self::view::View;

pub mod banned;
pub mod journal;
pub mod query;
pub mod rows;
pub mod view;

/// Shortest time between two looks at all matches.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a look may take of the time between two: with very many matches looks are rarer.
const LOOK_PART: u32 = 10;
/// Shortest time between two looks at one match.
const VIEW_EVERY: Duration = Duration::from_millis(250);
/// Matches whose last look is kept; the one that was not asked for the longest gives way.
const VIEWS_KEPT: usize = 64;
/// How long a relay has to tell what its copy is like.
const COPY_WITHIN: Duration = Duration::from_millis(200);
/// Events of one match that are told with it.
const EVENTS_TOLD: usize = 50;
/// A node that was not heard for longer is said to be so.
const HEARD_WITHIN_MS: u64 = 2_000;

/// What a node knows of its cluster, for people.
#[derive(Debug, Default)]
pub struct Inspector {
    /// What it saw happen.
    pub journal: Journal,
    nodes: Known<Nodes>,
    matches: Known<Rows>,
    bans: Known<Bans>,
    views: Mutex<BTreeMap<MatchId, Arc<Look>>>,
}

/// What was last seen of something, and when it may be looked at again.
#[derive(Debug, Default)]
struct Known<T> {
    last: Mutex<Last<T>>,
    /// When the next look may begin. Whoever looks holds it, and whoever else asks waits for what that finds.
    next: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Last<T> {
    what: T,
    seen: Option<Instant>,
    /// Why the last look failed.
    trouble: Option<String>,
}

/// The other nodes, with the store's clock when they were looked at.
#[derive(Debug, Default)]
struct Nodes {
    entries: Vec<(NodeId, NodeEntry)>,
    store_ms: u64,
}

/// The last look at one match.
#[derive(Debug)]
struct Look {
    asked: Mutex<Instant>,
    last: tokio::sync::Mutex<LastLook>,
}

#[derive(Debug, Default)]
struct LastLook {
    tried: Option<Instant>,
    view: Option<(Arc<View>, Instant)>,
    trouble: Option<String>,
}

/// What is known of a match.
pub enum Found {
    /// The match, with what an answer says of its age.
    View(Arc<View>, Value),
    /// The store says that there is no such match.
    Nothing,
    /// The store does not answer, and nobody has looked at the match before.
    Unknown(String),
}

impl<T> Known<T> {
    fn last(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen is out of date: the next question looks.
    async fn outdate(&self) {
        *self.next.lock().await = None;
    }

    /// Looks, unless that was tried just now.
    async fn look(&self, look: impl Future<Output = Result<(), Unavailable>>) {
        let mut next = self.next.lock().await;
        let begun = clock::now();
        if next.is_some_and(|next| begun < next) {
            return;
        }
        if let Err(error) = look.await {
            self.last().trouble = Some(error.to_string());
        }
        let now = clock::now();
        *next = Some(now + LOOK_EVERY.max((now - begun) * LOOK_PART));
    }
}

impl<T> Last<T> {
    fn as_of(&self) -> Value {
        as_of(self.seen.map(|seen| clock::now() - seen), self.trouble.as_deref())
    }
}

impl Inspector {
    /// Takes in what all matches were like at a look that began then, and notes what happened to them; not if it began
    /// before another one ended.
    pub fn learn(&self, listed: &[(MatchId, MatchFields)], store_ms: u64, begun: Instant) {
        let mut last = self.matches.last();
        let listed = listed.iter().map(|(id, stored)| (id, stored));
        if last.seen.is_some_and(|seen| begun < seen) {
            last.what.describe(listed);
            return;
        }
        let changes = last.what.update(listed, store_ms);
        (last.seen, last.trouble) = (Some(clock::now()), None);
        drop(last);
        for (id, what, text) in changes {
            self.journal.note(clock::unix_ms(), Some(&id), what, text);
        }
    }

    fn view_of(&self, id: &MatchId) -> Arc<Look> {
        let now = clock::now();
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if !views.contains_key(id) && views.len() >= VIEWS_KEPT {
            let asked = |look: &Arc<Look>| *look.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = views.iter().min_by_key(|(_, look)| asked(look)).map(|(id, _)| id.clone());
            oldest.map(|oldest| views.remove(&oldest));
        }
        let new = || Arc::new(Look { asked: Mutex::new(now), last: tokio::sync::Mutex::default() });
        let look = views.entry(id.clone()).or_insert_with(new);
        *look.asked.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Arc::clone(look)
    }
}

/// How old what is told is, and why it is no newer.
fn as_of(age: Option<Duration>, trouble: Option<&str>) -> Value {
    json!({ "age_ms": age.map(|age| age.as_millis() as u64), "trouble": trouble })
}

impl<B: Backplane> Node<B> {
    /// Notes what happened to a match.
    pub fn note(&self, id: &MatchId, what: What, text: impl Into<String>) {
        self.inspector.journal.note(clock::unix_ms(), Some(id), what, text.into());
    }

    async fn look_at_nodes(&self) -> Result<(), Unavailable> {
        let nodes = self.backplane.nodes().await?;
        let store_ms = self.backplane.now_ms().await?;
        let others = nodes.into_iter().filter(|(node, _)| *node != self.settings.node);
        let entries = others.filter_map(|(node, json)| Some((node, NodeEntry::from_json(&json)?))).collect();
        let seen = Some(clock::now());
        *self.inspector.nodes.last() = Last { what: Nodes { entries, store_ms }, seen, trouble: None };
        Ok(())
    }

    async fn look_at_matches(&self) -> Result<(), Unavailable> {
        let begun = clock::now();
        let matches = self.backplane.list(&FIELDS).await?;
        self.inspector.learn(&matches, self.backplane.now_ms().await?, begun);
        Ok(())
    }

    /// The nodes, and what is wrong with this one.
    pub async fn tell_nodes(&self) -> Value {
        self.inspector.nodes.look(self.look_at_nodes()).await;
        let own = &self.settings.node;
        let last = self.inspector.nodes.last();
        let Nodes { entries, store_ms } = &last.what;
        let mut here = node_row(own, &self.entry(*store_ms), 0);
        here["answers"] = json!(true);
        let others =
            entries.iter().map(|(node, entry)| node_row(node, entry, store_ms.saturating_sub(entry.beat_ms)));
        json!({
            "as_of": last.as_of(), "node": own, "complaints": self.complaints(),
            "mode": if self.settings.redis.is_some() { "cluster" } else { "memory" },
            "orders": self.settings.operator_token.is_some(),
            "nodes": std::iter::once(here).chain(others).collect::<Vec<_>>(),
        })
    }

    /// A page of the matches. The error is for a person.
    pub async fn tell_matches(&self, params: &Params) -> Result<Value, String> {
        self.inspector.matches.look(self.look_at_matches()).await;
        let last = self.inspector.matches.last();
        let mut page = query::page(&last.what, params)?;
        page["as_of"] = last.as_of();
        Ok(page)
    }

    async fn look_at_bans(&self) -> Result<(), Unavailable> {
        let bans = Bans { bans: self.backplane.bans().await?, store_ms: self.backplane.now_ms().await? };
        *self.inspector.bans.last() = Last { what: bans, seen: Some(clock::now()), trouble: None };
        Ok(())
    }

    /// A page of the bans that hold. The error is for a person.
    pub async fn tell_bans(&self, params: &Params) -> Result<Value, String> {
        self.inspector.bans.look(self.look_at_bans()).await;
        let last = self.inspector.bans.last();
        let mut page = banned::page(&last.what, params)?;
        page["as_of"] = last.as_of();
        Ok(page)
    }

    /// Bans were changed from here: whoever asks next is told so.
    pub async fn note_bans(&self, text: String) {
        self.inspector.journal.note(clock::unix_ms(), None, What::Order, text);
        self.inspector.bans.outdate().await;
    }

    /// One match: what is newest of it.
    pub async fn find_match(&self, id: &MatchId) -> Found {
        let look = self.inspector.view_of(id);
        let mut last = look.last.lock().await;
        let now = clock::now();
        if last.tried.is_none_or(|tried| tried + VIEW_EVERY <= now) {
            // The copy first: the store's ring then has its tick.
            let seen = self.ask_relay(id).await;
            let loaded = async {
                let loaded = self.backplane.load(id).await?;
                Ok::<_, Unavailable>((loaded, self.backplane.now_ms().await?))
            };
            match loaded.await {
                Ok((None, _)) => *last = LastLook::default(),
                Ok((Some(loaded), store_ms)) => {
                    let view = Arc::new(View::new(&loaded, store_ms, seen));
                    *last = LastLook { tried: None, view: Some((view, clock::now())), trouble: None };
                }
                Err(error) => last.trouble = Some(error.to_string()),
            }
            last.tried = Some(clock::now());
        }
        match (&last.view, &last.trouble) {
            (Some((view, seen)), trouble) => {
                Found::View(Arc::clone(view), as_of(Some(clock::now() - *seen), trouble.as_deref()))
            }
            (None, Some(trouble)) => Found::Unknown(trouble.clone()),
            (None, None) => Found::Nothing,
        }
    }

    /// One match in words, with its events; `None` if there is no such match.
    pub async fn tell_match(&self, id: &MatchId) -> Option<Value> {
        let mut told = match self.find_match(id).await {
            Found::View(view, as_of) => {
                let mut told = view.summary(id);
                told["as_of"] = as_of;
                told
            }
            Found::Nothing => return None,
            Found::Unknown(trouble) => {
                let last = self.inspector.matches.last();
                let mut told = last.what.rows.get(id)?.to_json(id, last.what.store_ms);
                told["as_of"] = as_of(last.seen.map(|seen| clock::now() - seen), Some(&trouble));
                told
            }
        };
        told["node"] = json!(self.settings.node);
        told["owned_here"] = json!(self.owned.contains_key(id));
        told["events"] = json!(self.inspector.journal.newest(Some(id), EVENTS_TOLD));
        Some(told)
    }

    /// What this node's own copy of a match is like, if it follows it.
    async fn ask_relay(&self, id: &MatchId) -> Option<Seen> {
        let relay = self.followed.get(id).map(|relay| relay.clone())?;
        let (reply, answer) = oneshot::channel();
        relay.try_send(RelayCommand::Look { reply }).ok()?;
        tokio::time::timeout(COPY_WITHIN, answer).await.ok()?.ok()
    }
}

fn node_row(node: &NodeId, entry: &NodeEntry, beat_age_ms: u64) -> Value {
    let mut row = serde_json::to_value(entry).expect("an entry is JSON");
    row["node"] = json!(node);
    row["beat_age_ms"] = json!(beat_age_ms);
    row["answers"] = json!(false);
    row["state"] = json!(match (entry.leaving, beat_age_ms) {
        (true, _) => "leaving",
        (false, ..=HEARD_WITHIN_MS) => "running",
        (false, _) => "not heard",
    });
    row
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn at_tick(tick: u64) -> Vec<(MatchId, MatchFields)> {
        let fields = [("~tick", tick), ("~players", 100 - tick)];
        let fields = fields.map(|(name, value)| (name.into(), Bytes::from(value.to_string())));
        vec![("m".parse().unwrap(), fields.into_iter().collect())]
    }

    #[test]
    fn a_look_that_was_overtaken_tells_of_no_change() {
        let inspector = Inspector::default();
        let begun = clock::now();
        inspector.learn(&at_tick(5), 1, begun);
        inspector.learn(&at_tick(4), 1, begun);
        assert_eq!(inspector.journal.newest(None, 9), [], "it began before the other ended");
        let row = inspector.matches.last().what.rows.values().next().cloned().unwrap();
        assert_eq!((row.tick, row.players), (Some(5), Some(96)), "and still describes the match");
        inspector.learn(&at_tick(3), 1, clock::now());
        let whats: Vec<What> = inspector.journal.newest(None, 9).iter().map(|event| event.what).collect();
        assert_eq!(whats, [What::SetBack]);
    }

    #[test]
    fn views_are_bounded_and_those_asked_for_stay() {
        let inspector = Inspector::default();
        let id = |number: usize| format!("m{number}").parse::<MatchId>().unwrap();
        let first = inspector.view_of(&id(0));
        for number in 1..VIEWS_KEPT {
            inspector.view_of(&id(number));
        }
        assert!(Arc::ptr_eq(&first, &inspector.view_of(&id(0))));
        inspector.view_of(&id(VIEWS_KEPT));
        let views = inspector.views.lock().unwrap();
        assert_eq!(views.len(), VIEWS_KEPT);
        assert!(views.contains_key(&id(0)) && !views.contains_key(&id(1)));
    }
}
