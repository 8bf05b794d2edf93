//! Nodes, two copies of the store, one relay: every step that any of them can take, in every order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stateright::{Model, Property};

use super::properties;
use super::relay::{Message, Relay, Shown};
use super::store::{Claim, ClaimReply, Commit, CommitReply, Fence, Position, Request, Store, World};
use super::{Bounds, Event, Flaw, Violation};

/// Most nodes that any bound allows.
const NODES_MAX: usize = 3;
/// Most nonces that any bound allows to be drawn.
const NONCES_MAX: usize = 4;
/// Copies of the store: the one that everybody uses, and the one it fails over to.
const OLD: u8 = 0;
const NEW: u8 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// Owns nothing, or was killed and remembers nothing.
    #[default]
    Idle,
    /// Only a flawed node judges for itself what it read some time ago.
    Looked { stored: Position },
    /// Claims were sent and not answered: a bit for each nonce.
    Claiming { unanswered: u8 },
    /// Owns, as far as it knows. Until its next commit it may be wrong.
    Owner {
        fence: Fence,
        /// The last tick that it knows to be committed.
        world: World,
        /// The tick that is computed and not known to be committed.
        pending: Option<Commit>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Arrives,
    /// The store did it, the node does not learn of it.
    IsLost,
    /// The request itself is late: it may arrive at any time or never.
    RequestIsLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Expire {
        store: u8,
    },
    Claim {
        node: u8,
        reply: Reply,
    },
    /// Computes a tick, unless one is pending, and sends it. Computing alone is seen by nobody.
    Commit {
        node: u8,
        reply: Reply,
    },
    /// Only a flawed node does this.
    Look {
        node: u8,
    },
    /// Only a flawed owner does this.
    Recompute {
        node: u8,
    },
    Release {
        node: u8,
        heir: Option<u8>,
        late: bool,
    },
    Crash {
        node: u8,
    },
    LateArrives,
    LateVanishes,
    /// The copy of the store stops to follow.
    Lag,
    /// The copy is promoted. Who has not noticed goes on with the old store.
    Failover,
    Notice {
        node: u8,
    },
    RelayNotices,
    Load,
    Receive,
    ClientMoves {
        store: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// `NEW` is only of use from `Lag` on, and in use from `Failover` on.
    pub stores: [Store; 2],
    pub lagging: bool,
    pub split: bool,
    pub failovers: u8,
    pub nodes: [Node; NODES_MAX],
    pub node_at: [u8; NODES_MAX],
    pub relay: Relay,
    pub relay_at: u8,
    pub late: Option<(u8, Request)>,
    pub nonces: u8,
    pub moves: u8,
    /// The longest world that each nonce committed, in whatever lineage.
    pub committed: [World; NONCES_MAX],
    pub violation: Option<Violation>,
    /// Somebody claimed while another's lease was good. No harm to safety, hence no end.
    pub lease_taken: bool,
}

impl State {
    /// The stores that somebody may use.
    pub(super) fn live(&self) -> &[Store] {
        &self.stores[..if self.split { 2 } else { 1 }]
    }

    fn violate(&mut self, violation: Option<Violation>) {
        self.violation = self.violation.or(violation);
    }

    /// Everybody talks to the new store under the old one's address, late requests too.
    fn fail_over_at_once(&mut self) {
        self.node_at = [NEW; NODES_MAX];
        self.relay_at = NEW;
        self.relay.cut();
        self.late = self.late.map(|(_, request)| (NEW, request));
    }

    /// A split is over when everybody has noticed: the new store is the only one.
    fn heal(&mut self) {
        if self.split && self.relay_at == NEW && self.node_at.iter().all(|at| *at == NEW) {
            self.stores = [self.stores[usize::from(NEW)], Store::default()];
            self.node_at = [OLD; NODES_MAX];
            self.relay_at = OLD;
            self.split = false;
            self.late = self.late.filter(|(store, _)| *store == NEW).map(|(_, request)| (OLD, request));
        }
    }
}

/// The protocol with its bounds, and with a flaw if one is wanted.
pub(super) struct Cluster {
    pub bounds: Bounds,
    pub flaw: Option<Flaw>,
    /// What has happened anywhere. It is no part of the state, which stays small.
    pub seen: Arc<AtomicU32>,
}

impl Cluster {
    fn note(&self, event: Event) {
        self.seen.fetch_or(1 << event as u32, Ordering::Relaxed);
    }

    fn node_actions(&self, state: &State, node: u8, actions: &mut Vec<Action>) {
        let replies = [Reply::Arrives, Reply::IsLost, Reply::RequestIsLate];
        let may_be_late = self.bounds.late && state.late.is_none();
        let replies = &replies[..if may_be_late { 3 } else { 2 }];
        match state.nodes[usize::from(node)] {
            // Nodes are alike: the first to claim may as well be the first.
            Node::Idle if state.nonces == 0 && node > 0 => {}
            Node::Idle if state.nonces < self.bounds.claims => {
                if self.flaw == Some(Flaw::ClaimByNode) {
                    actions.push(Action::Look { node });
                    return;
                }
                actions.extend(replies.iter().map(|reply| Action::Claim { node, reply: *reply }));
            }
            Node::Idle => {}
            Node::Looked { .. } => {
                actions.extend([Action::Claim { node, reply: Reply::Arrives }, Action::Crash { node }]);
            }
            Node::Claiming { .. } => {
                if state.nonces < self.bounds.claims || self.flaw == Some(Flaw::NonceRepeated) {
                    actions.extend(replies.iter().map(|reply| Action::Claim { node, reply: *reply }));
                }
                actions.push(Action::Crash { node });
            }
            Node::Owner { world, pending, .. } => {
                if pending.is_some() || world.tick() < self.bounds.ticks {
                    actions.extend(replies.iter().map(|reply| Action::Commit { node, reply: *reply }));
                }
                if pending.is_some() && self.flaw == Some(Flaw::RecomputedTick) {
                    actions.push(Action::Recompute { node });
                }
                let others = (0..self.bounds.nodes).filter(|other| *other != node).map(Some);
                for heir in others.chain([None]).filter(|_| self.bounds.leases) {
                    actions.push(Action::Release { node, heir, late: false });
                    if may_be_late {
                        actions.push(Action::Release { node, heir, late: true });
                    }
                }
                actions.push(Action::Crash { node });
            }
        }
        if state.split && state.node_at[usize::from(node)] == OLD {
            actions.push(Action::Notice { node });
        }
    }

    /// Every try has a nonce of its own: the same nonce in two lineages would be one fence of two pasts.
    fn next_claim(&self, state: &mut State, node: u8) -> Claim {
        let unanswered = match state.nodes[usize::from(node)] {
            Node::Claiming { unanswered } => unanswered,
            _ => 0,
        };
        if self.flaw == Some(Flaw::NonceRepeated) && unanswered != 0 {
            return Claim { node, nonce: unanswered.trailing_zeros() as u8, unanswered: 0 };
        }
        state.nonces += 1;
        Claim { node, nonce: state.nonces, unanswered }
    }

    fn claim(&self, state: &mut State, node: u8, reply: Reply) {
        let claim = self.next_claim(state, node);
        let at = state.node_at[usize::from(node)];
        let own = &mut state.nodes[usize::from(node)];
        let unanswered = Node::Claiming { unanswered: claim.unanswered | 1 << claim.nonce };
        if reply == Reply::RequestIsLate {
            *own = unanswered;
            state.late = Some((at, Request::Claim(claim)));
            return;
        }
        let store = &mut state.stores[usize::from(at)];
        let before = *store;
        let (answer, taken) = match own {
            Node::Looked { stored } => store.claim_blindly(stored, claim.nonce),
            _ => store.claim(self.flaw, claim),
        };
        *own = match answer {
            _ if reply == Reply::IsLost => unanswered,
            ClaimReply::Claimed(at) => Node::Owner { fence: at.fence, world: at.world, pending: None },
            ClaimReply::Held | ClaimReply::Quarantined => Node::Idle,
        };
        if matches!(answer, ClaimReply::Claimed(_)) {
            self.note(if before == *store { Event::ClaimRepeated } else { Event::Claimed });
            if before.at.fence.epoch > 0 {
                self.note(Event::Takeover);
            }
            if before.leased && before.heir == Some(node) {
                self.note(Event::HeirClaimed);
            }
        }
        if answer == ClaimReply::Quarantined {
            self.note(Event::Quarantined);
        }
        state.lease_taken |= taken;
    }

    /// A commit arrives at a store, in time or late.
    fn execute(&self, state: &mut State, at: u8, commit: &Commit) -> CommitReply {
        let (answer, published, violation) = state.stores[usize::from(at)].commit(self.flaw, commit);
        state.violate(violation);
        if answer == CommitReply::Ok && self.bounds.failovers > 0 {
            let known = &mut state.committed[usize::from(commit.fence.nonce) - 1];
            if !known.is_start_of(commit.world) && !commit.world.is_start_of(*known) {
                state.violation = state.violation.or(Some(Violation::TwoContents));
            }
            if known.is_start_of(commit.world) {
                *known = commit.world;
            }
        }
        if published && state.relay_at == at {
            let message = Message { fence: commit.fence, world: commit.world };
            state.relay.publish(message, self.bounds.queued);
        }
        answer
    }

    fn commit(&self, state: &mut State, node: u8, reply: Reply) {
        let Node::Owner { fence, world, pending } = state.nodes[usize::from(node)] else { return };
        let tick = Commit { fence, world: world.step(fence.nonce, 0), whole: false };
        let commit = pending.unwrap_or(tick);
        state.nodes[usize::from(node)] = Node::Owner { fence, world, pending: Some(commit) };
        let at = state.node_at[usize::from(node)];
        if reply == Reply::RequestIsLate {
            state.late = Some((at, Request::Commit(commit)));
            return;
        }
        let answer = self.execute(state, at, &commit);
        if reply == Reply::IsLost {
            return;
        }
        state.nodes[usize::from(node)] = match answer {
            CommitReply::Ok | CommitReply::DupSame => {
                Node::Owner { fence, world: commit.world, pending: None }
            }
            CommitReply::Behind => {
                Node::Owner { fence, world, pending: Some(Commit { whole: true, ..commit }) }
            }
            CommitReply::Fenced | CommitReply::DupDiff | CommitReply::Stale => Node::Idle,
        };
        match answer {
            CommitReply::Ok if commit.whole => self.note(Event::RepairedForward),
            CommitReply::Ok => self.note(Event::Committed),
            CommitReply::DupSame => self.note(Event::UnknownResolved),
            CommitReply::Fenced => self.note(Event::ZombieFenced),
            CommitReply::DupDiff | CommitReply::Stale => state.violate(Some(Violation::Disagreement)),
            CommitReply::Behind => {}
        }
    }

    fn release(&self, state: &mut State, node: u8, heir: Option<u8>, late: bool) {
        let Node::Owner { fence, .. } = state.nodes[usize::from(node)] else { return };
        let at = state.node_at[usize::from(node)];
        state.nodes[usize::from(node)] = Node::Idle;
        if late {
            state.late = Some((at, Request::Release { fence, heir }));
        } else {
            state.stores[usize::from(at)].release(self.flaw, fence, heir);
        }
    }

    fn late_arrives(&self, state: &mut State) {
        match state.late.take() {
            Some((at, Request::Claim(claim))) => {
                state.lease_taken |= state.stores[usize::from(at)].claim(self.flaw, claim).1;
            }
            Some((at, Request::Commit(commit))) => {
                let answer = self.execute(state, at, &commit);
                if answer == CommitReply::Ok {
                    self.note(Event::LateCommitted);
                }
            }
            Some((at, Request::Release { fence, heir })) => {
                state.stores[usize::from(at)].release(self.flaw, fence, heir);
            }
            None => {}
        }
    }

    fn relay_step(&self, state: &mut State, action: Action) {
        let stored = state.stores[usize::from(state.relay_at)].at;
        let (shown, violation) = match action {
            Action::Load => state.relay.load(self.flaw, stored),
            _ => state.relay.receive(self.flaw),
        };
        state.violate(violation);
        let Shown::Reset(had) = shown else { return };
        self.note(Event::ResetTold);
        if state.failovers == 0 {
            state.violate(Some(Violation::ResetWithoutFailover));
        }
        let owns = |node: &Node| matches!(node, Node::Owner { fence, .. } if *fence == had.fence);
        if stored.fence == had.fence && state.nodes.iter().any(owns) {
            state.violate(Some(Violation::ResetUnderOwner));
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            stores: [Store::newborn(), Store::default()],
            lagging: false,
            split: false,
            failovers: 0,
            nodes: [Node::Idle; NODES_MAX],
            node_at: [OLD; NODES_MAX],
            relay: Relay::new(),
            relay_at: OLD,
            late: None,
            nonces: 0,
            moves: 0,
            committed: [World::default(); NONCES_MAX],
            violation: None,
            lease_taken: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violation.is_some() {
            return;
        }
        for node in 0..self.bounds.nodes {
            self.node_actions(state, node, actions);
        }
        for store in 0..state.live().len() as u8 {
            if self.bounds.leases && state.stores[usize::from(store)].leased {
                actions.push(Action::Expire { store });
            }
        }
        if state.late.is_some() {
            actions.extend([Action::LateArrives, Action::LateVanishes]);
        }
        if state.failovers < self.bounds.failovers && !state.split {
            actions.push(if state.lagging { Action::Failover } else { Action::Lag });
        }
        if state.split && state.relay_at == OLD {
            actions.push(Action::RelayNotices);
        }
        actions.push(Action::Load);
        if state.relay.has_message() {
            actions.push(Action::Receive);
        }
        if state.moves < self.bounds.moves && state.relay.client().is_some() {
            actions.extend((0..state.live().len() as u8).map(|store| Action::ClientMoves { store }));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Expire { store } => {
                let store = &mut next.stores[usize::from(store)];
                (store.leased, store.heir) = (false, None);
            }
            Action::Claim { node, reply } => self.claim(&mut next, node, reply),
            Action::Look { node } => {
                let stored = next.stores[usize::from(next.node_at[usize::from(node)])];
                if !stored.leased {
                    next.nodes[usize::from(node)] = Node::Looked { stored: stored.at };
                }
            }
            Action::Recompute { node } => {
                let own = &mut next.nodes[usize::from(node)];
                if let Node::Owner { fence, world, pending: Some(commit) } = own {
                    commit.world = world.step(fence.nonce, 1);
                }
            }
            Action::Commit { node, reply } => self.commit(&mut next, node, reply),
            Action::Release { node, heir, late } => self.release(&mut next, node, heir, late),
            Action::Crash { node } => next.nodes[usize::from(node)] = Node::Idle,
            Action::LateArrives => self.late_arrives(&mut next),
            Action::LateVanishes => next.late = None,
            Action::Lag => {
                (next.stores[usize::from(NEW)], next.lagging) = (next.stores[usize::from(OLD)], true)
            }
            Action::Failover => {
                (next.lagging, next.split) = (false, true);
                next.failovers += 1;
                next.node_at[usize::from(self.bounds.nodes)..].fill(NEW);
                if self.bounds.one_address {
                    next.fail_over_at_once();
                }
            }
            Action::Notice { node } => next.node_at[usize::from(node)] = NEW,
            Action::RelayNotices => {
                next.relay_at = NEW;
                next.relay.cut();
            }
            Action::Load | Action::Receive => self.relay_step(&mut next, action),
            Action::ClientMoves { store } => {
                next.moves += 1;
                next.relay_at = store;
                next.relay.move_client(self.flaw);
            }
        }
        next.heal();
        if !self.bounds.leases {
            next.stores.iter_mut().for_each(|store| store.leased = false);
        }
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        properties::all(&self.bounds)
    }
}
