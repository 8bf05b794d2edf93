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

use self::journal::{Journal, What};
use self::query::Params;
use self::rows::{FIELDS, Rows};
use self::view::View;

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
    known: Mutex<Known>,
    /// When all matches were last looked at, or tried to be, and the pause that it asks for.
    looked: tokio::sync::Mutex<Option<(Instant, Duration)>>,
    views: Mutex<BTreeMap<MatchId, Arc<Look>>>,
}

#[derive(Debug, Default)]
struct Known {
    rows: Rows,
    nodes: Vec<(NodeId, NodeEntry)>,
    /// When the rows are of.
    seen: Option<Instant>,
    /// Why the last look failed.
    trouble: Option<String>,
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

impl Inspector {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what all matches were like at a look that began then, and notes what happened to them; not if it began
    /// before another one ended.
    pub fn learn(&self, listed: &[(MatchId, MatchFields)], store_ms: u64, begun: Instant) {
        let mut known = self.known();
        let listed = listed.iter().map(|(id, stored)| (id, stored));
        if known.seen.is_some_and(|seen| begun < seen) {
            known.rows.describe(listed);
            return;
        }
        let changes = known.rows.update(listed, store_ms);
        known.seen = Some(clock::now());
        known.trouble = None;
        drop(known);
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

    /// Looks at all matches and nodes, unless somebody has just done so.
    async fn look(&self) {
        let mut looked = self.inspector.looked.lock().await;
        let begun = clock::now();
        if looked.is_some_and(|(at, pause)| at + pause > begun) {
            return;
        }
        let all = async {
            let nodes = self.backplane.nodes().await?;
            let matches = self.backplane.list(&FIELDS).await?;
            Ok::<_, Unavailable>((nodes, matches, self.backplane.now_ms().await?))
        };
        match all.await {
            Ok((nodes, matches, store_ms)) => {
                self.inspector.learn(&matches, store_ms, begun);
                let entry = |(node, json): (NodeId, _)| Some((node, NodeEntry::from_json(json)?));
                self.inspector.known().nodes =
                    nodes.iter().filter_map(|(node, json)| entry((node.clone(), json))).collect();
            }
            Err(error) => self.inspector.known().trouble = Some(error.to_string()),
        }
        let now = clock::now();
        *looked = Some((now, LOOK_EVERY.max((now - begun) * LOOK_PART)));
    }

    /// The nodes, and what is wrong with this one.
    pub async fn tell_nodes(&self) -> Value {
        self.look().await;
        let own = &self.settings.node;
        let complaints = self.complaints();
        let known = self.inspector.known();
        let store_ms = known.rows.store_ms;
        let of_others = known.nodes.iter().filter(|(node, _)| node != own);
        let mut nodes: Vec<Value> = of_others
            .map(|(node, entry)| node_row(node, entry, store_ms.saturating_sub(entry.beat_ms)))
            .collect();
        let mut here = node_row(own, &self.entry(store_ms), 0);
        here["answers"] = json!(true);
        nodes.insert(0, here);
        json!({
            "as_of": as_of(known.age(), known.trouble.as_deref()), "node": own, "complaints": complaints,
            "mode": if self.settings.redis.is_some() { "cluster" } else { "memory" },
            "orders": self.settings.operator_token.is_some(), "nodes": nodes,
        })
    }

    /// A page of the matches. The error is for a person.
    pub async fn tell_matches(&self, params: &Params) -> Result<Value, String> {
        self.look().await;
        let known = self.inspector.known();
        let mut page = query::page(&known.rows, params)?;
        page["as_of"] = as_of(known.age(), known.trouble.as_deref());
        Ok(page)
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
                let known = self.inspector.known();
                let mut told = known.rows.rows.get(id)?.to_json(id, known.rows.store_ms);
                told["as_of"] = as_of(known.age(), Some(&trouble));
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

impl Known {
    fn age(&self) -> Option<Duration> {
        self.seen.map(|seen| clock::now() - seen)
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
        let row = inspector.known().rows.rows.values().next().cloned().unwrap();
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
