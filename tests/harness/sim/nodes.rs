//! Nodes as processes: what they hold, how they begin, die, stand still and leave, and their work besides matches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use tickcast_protocol::NodeId;
use tickcast_protocol::message::ServerMessage;
use tickcast_server::backplane::{Channel, MatchFields, fields};
use tickcast_server::logic::pacing::Beat;
use tickcast_server::logic::placement::{Candidates, NodeEntry};
use tickcast_server::logic::vouch::Vouch;

use super::claims::By;
use super::cluster::{Cluster, Delivery, Event};
use super::counters::Seen;
use super::owner::{Next, Owner};
use super::plan::Kind;
use super::relay::{Follow, Work};
use super::settings::{BEAT_MS, NODES, SWEEP_MS};
use super::store::{Answer, Request};

/// A node that has not said for this long that it lives gets no matches.
const ENTRY_AGE_MAX_MS: u64 = 2_000;
/// What a drain may take for the matches, and then for the clients.
const DRAIN_MS_MAX: u64 = 2_000;
/// Within this time a leaving node's clients connect elsewhere.
const RECONNECT_MS: u64 = 800;
/// What a sweep looks at.
const LOOKED_AT: [&str; 6] =
    [fields::STATUS, fields::OWNER, fields::LEASE_MS, fields::EPOCH, fields::NONCE, fields::TICK];

/// How a node stands to the ownership of a match.
pub(super) enum Tenure {
    None,
    /// A claim is under way; inputs are heard already.
    Claiming(Vec<Delivery>),
    Owner(Box<Owner>),
}

/// One channel of one match, as a node hears it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) on: bool,
    /// Nothing arrives, and nobody knows.
    pub(super) deaf: bool,
    /// Tells this subscription from earlier ones.
    pub(super) since: u64,
    pub(super) due_ms: u64,
}

/// What a node has of a match.
pub(super) struct Slot {
    pub(super) tenure: Tenure,
    pub(super) follow: Option<Follow>,
    pub(super) subscriptions: [Heard; 2],
    /// What an owner here says to the relay here.
    pub(super) vouch: Vouch,
}

impl Slot {
    fn new() -> Slot {
        Slot {
            tenure: Tenure::None,
            follow: None,
            subscriptions: Default::default(),
            vouch: Vouch::default(),
        }
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        if let Tenure::Owner(owner) = &self.tenure { Some(owner) } else { None }
    }

    pub(super) fn owner_mut(&mut self) -> Option<&mut Owner> {
        if let Tenure::Owner(owner) = &mut self.tenure { Some(owner) } else { None }
    }
}

/// What a drain waits for.
#[derive(Debug, Clone)]
enum Leaving {
    Matches { deadline_ms: u64, candidates: Candidates },
    Clients { deadline_ms: u64 },
    Stopping { deadline_ms: u64 },
}

/// A process, or the place of one.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) up: bool,
    /// Tells this process from earlier ones of the same name.
    pub(super) life: u64,
    pub(super) paused_until_ms: u64,
    pub(super) cut_until_ms: u64,
    pub(super) leaving: bool,
    pub(super) stopping: bool,
    pub(super) slots: Vec<Slot>,
    entry: Option<NodeEntry>,
    suspects: BTreeMap<usize, MatchFields>,
    drain: Option<Leaving>,
    beats: u64,
    /// What its matches count their ticks from.
    pub(super) beat: Arc<Beat>,
}

impl Node {
    pub(super) fn new(number: usize, matches: usize, start: Instant) -> Node {
        Node {
            id: format!("n{number}").parse().expect("an id"),
            up: false,
            life: 0,
            paused_until_ms: 0,
            cut_until_ms: 0,
            leaving: false,
            stopping: false,
            slots: (0..matches).map(|_| Slot::new()).collect(),
            entry: None,
            suspects: BTreeMap::new(),
            drain: None,
            beats: 0,
            beat: Arc::new(Beat::new(start)),
        }
    }
}

impl Cluster {
    pub(super) fn start_node(&mut self, node: usize) {
        if self.nodes[node].up {
            return;
        }
        let life = self.number();
        let fresh = Node { up: true, life, ..Node::new(node, self.ids.len(), self.start) };
        self.nodes[node] = fresh;
        self.say(|| format!("n{node}: starts"));
        self.at(self.now_ms + node as u64 * 7, Event::Beat { node, life });
        let pause = self.rng.random_range(SWEEP_MS * 3 / 4..SWEEP_MS * 5 / 4);
        self.at(self.now_ms + pause, Event::Sweep { node, life });
    }

    /// The process is gone, with all that it held; it is started again later.
    pub(super) fn crash(&mut self, node: usize) {
        let again = self.now_ms + self.rng.random_range(300..2_500);
        self.kill(node, again);
    }

    pub(super) fn kill(&mut self, node: usize, again_ms: u64) {
        if !self.nodes[node].up {
            return;
        }
        self.say(|| format!("n{node}: dies"));
        for game in 0..self.ids.len() {
            if self.nodes[node].slots[game].owner().is_some() {
                self.oracle.handle_owner_gone(game);
            }
            self.nodes[node].slots[game] = Slot::new();
        }
        let entry = self.nodes[node].entry.take();
        self.nodes[node].up = false;
        // The others do not learn of it but by its silence.
        self.nodes[node].entry = entry;
        self.nodes[node].paused_until_ms = 0;
        let gone = self.connections.iter().filter(|(_, connection)| connection.node == node);
        for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_connection(id, None);
        }
        self.at(again_ms, Event::NodeUp { node });
    }

    /// The process stands still; what arrives waits for it.
    pub(super) fn pause(&mut self, node: usize, ms: u64) {
        if self.nodes[node].up {
            self.say(|| format!("n{node}: stands still for {ms} ms"));
            self.nodes[node].paused_until_ms = self.now_ms + ms;
            (0..self.ids.len()).for_each(|game| {
                if self.nodes[node].slots[game].owner().is_some() {
                    self.oracle.handle_owner_gone(game);
                }
            });
        }
    }

    /// The node's subscriptions are gone for a while, then made anew.
    pub(super) fn cut(&mut self, node: usize, ms: u64) {
        if self.nodes[node].up {
            let life = self.nodes[node].life;
            self.nodes[node].cut_until_ms = self.now_ms + ms;
            self.at(self.now_ms + ms, Event::Renewed { node, life });
        }
    }

    pub(super) fn handle_renewed(&mut self, node: usize) {
        for game in 0..self.ids.len() {
            for channel in [Channel::Diff, Channel::Input] {
                let subscription = &mut self.nodes[node].slots[game].subscriptions[channel as usize];
                subscription.deaf = false;
                if subscription.on {
                    self.deliver(node, game, channel, Delivery::Lost);
                }
            }
        }
    }

    pub(super) fn handle_delivery(
        &mut self,
        node: usize,
        game: usize,
        channel: Channel,
        since: u64,
        delivery: Delivery,
    ) {
        let subscription = &self.nodes[node].slots[game].subscriptions[channel as usize];
        if !subscription.on || subscription.since != since {
            return;
        }
        if channel == Channel::Diff {
            return self.relay_work(node, game, Work::Delivery(delivery));
        }
        match &mut self.nodes[node].slots[game].tenure {
            Tenure::Claiming(inbox) => inbox.push(delivery),
            Tenure::Owner(owner) => {
                owner.hear(delivery);
                self.owner_turn(node, game);
            }
            Tenure::None => {}
        }
    }

    /// A node says that it lives, and its relays look after their requests.
    pub(super) fn handle_beat(&mut self, node: usize) {
        let (life, beat_ms) = (self.nodes[node].life, self.store_ms());
        self.at(self.now_ms + BEAT_MS, Event::Beat { node, life });
        self.nodes[node].beats += 1;
        if self.nodes[node].beats % 2 == 1 && self.now_ms >= self.store.stalled_until_ms {
            self.enlist(node, beat_ms);
        }
        for game in 0..self.ids.len() {
            self.relay_work(node, game, Work::Beat);
        }
    }

    fn enlist(&mut self, node: usize, beat_ms: u64) {
        let member = &mut self.nodes[node];
        let matches = member.slots.iter().filter(|slot| slot.owner().is_some()).count() as u64;
        let entry =
            NodeEntry { beat_ms, matches, matches_max: 100, leaving: member.leaving, ..NodeEntry::default() };
        member.entry = Some(NodeEntry { url: node.to_string(), ..entry });
    }

    /// Looks for matches without an owner.
    pub(super) fn handle_sweep(&mut self, node: usize) {
        if self.nodes[node].leaving {
            return;
        }
        let life = self.nodes[node].life;
        let pause = self.rng.random_range(SWEEP_MS * 3 / 4..SWEEP_MS * 5 / 4);
        self.at(self.now_ms + pause, Event::Sweep { node, life });
        self.call(node, 0, Request::List(&LOOKED_AT), Next::Sweep);
    }

    pub(super) fn handle_swept(&mut self, node: usize, answer: Answer) {
        let now_ms = self.store_ms();
        let Answer::Listed(listed) = answer else {
            self.nodes[node].suspects.clear();
            return;
        };
        let expired = |stored: &MatchFields| {
            fields::text(stored, fields::STATUS) == Some(fields::OPEN)
                && fields::number(stored, fields::LEASE_MS).is_some_and(|until| until <= now_ms)
        };
        let found: BTreeMap<usize, MatchFields> =
            listed.into_iter().filter(|(_, stored)| expired(stored)).collect();
        let before = std::mem::replace(&mut self.nodes[node].suspects, found.clone());
        for (game, stored) in found {
            let given_up = fields::text(&stored, fields::OWNER) == Some("");
            if given_up || before.get(&game) == Some(&stored) {
                self.own(node, game, By::Sweep);
            }
        }
    }

    fn candidates(&self, node: usize) -> Candidates {
        let entry = |member: &Node| Some((member.id.clone(), member.entry.clone()?));
        let known: Vec<_> = self.nodes.iter().filter_map(entry).collect();
        Candidates::of(known, &self.nodes[node].id, self.store_ms(), ENTRY_AGE_MAX_MS)
    }

    pub(super) fn node_of(&self, id: &NodeId) -> usize {
        self.nodes.iter().position(|node| node.id == *id).expect("one of ours")
    }

    /// A node leaves: matches first, then clients, then the process. It is started again later.
    pub(super) fn begin_drain(&mut self, node: usize) {
        if !self.nodes[node].up || self.nodes[node].leaving {
            return;
        }
        self.counters.hit(Kind::Drain);
        self.say(|| format!("n{node}: leaves"));
        self.nodes[node].leaving = true;
        let beat_ms = self.store_ms();
        self.enlist(node, beat_ms);
        let mut candidates = self.candidates(node);
        for game in 0..self.ids.len() {
            if self.nodes[node].slots[game].owner().is_some() && !candidates.is_empty() {
                let heir = candidates.choose(&self.ids[game]).map(|heir| self.node_of(&heir));
                self.order_hand_over(node, game, heir);
            }
        }
        let deadline_ms = self.now_ms + DRAIN_MS_MAX;
        self.nodes[node].drain = Some(match candidates.is_empty() {
            true => Leaving::Clients { deadline_ms: self.now_ms },
            false => Leaving::Matches { deadline_ms, candidates },
        });
        let life = self.nodes[node].life;
        self.at(self.now_ms, Event::Drain { node, life });
    }

    pub(super) fn order_hand_over(&mut self, node: usize, game: usize, heir: Option<usize>) {
        self.say(|| format!("n{node}: hands match {game} over to {heir:?}"));
        if let Some(owner) = self.nodes[node].slots[game].owner_mut() {
            owner.order = Some(heir);
            self.owner_turn(node, game);
        }
    }

    /// Hands a match over to another node while its own goes on.
    pub(super) fn hand_over(&mut self, game: usize) {
        let Some(node) = self.owner_of(game) else { return };
        let heir = self.candidates(node).choose(&self.ids[game]);
        if let Some(heir) = heir {
            self.counters.hit(Kind::HandOver);
            let heir = self.node_of(&heir);
            self.order_hand_over(node, game, Some(heir));
        }
    }

    pub(super) fn owner_of(&self, game: usize) -> Option<usize> {
        let runs = |node: &usize| {
            let member = &self.nodes[*node];
            let owns = member.slots[game].owner().map(|owner| owner.fence) == self.stored_fence(game);
            member.up && member.slots[game].owner().is_some() && owns
        };
        (0..NODES).find(runs)
    }

    pub(super) fn handle_drain(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let owns = self.nodes[node].slots.iter().any(|slot| !matches!(slot.tenure, Tenure::None));
        let connected: Vec<u64> = self.connected(node);
        let next = match self.nodes[node].drain.clone() {
            Some(Leaving::Matches { deadline_ms, mut candidates }) if !owns || self.now_ms >= deadline_ms => {
                for id in connected {
                    self.counters.see(Seen::Moved);
                    let url = candidates.next_url().to_owned();
                    let message = ServerMessage::Reconnect { within_ms: RECONNECT_MS as u32, url };
                    self.send_control(id, &message.to_frame());
                }
                Leaving::Clients { deadline_ms: self.now_ms + RECONNECT_MS + 500 }
            }
            Some(Leaving::Clients { deadline_ms }) if connected.is_empty() || self.now_ms >= deadline_ms => {
                self.nodes[node].stopping = true;
                (0..self.ids.len()).for_each(|game| self.owner_turn(node, game));
                Leaving::Stopping { deadline_ms: self.now_ms + 500 }
            }
            Some(Leaving::Stopping { deadline_ms }) if !owns || self.now_ms >= deadline_ms => {
                self.nodes[node].entry = None;
                let again = self.now_ms + self.rng.random_range(300..1_500);
                return self.kill(node, again);
            }
            Some(waiting) => waiting,
            None => return,
        };
        self.nodes[node].drain = Some(next);
        self.at(self.now_ms + 5, Event::Drain { node, life });
    }
}
