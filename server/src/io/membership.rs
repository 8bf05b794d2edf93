//! A node among others: it says that it lives, looks for matches that nobody runs, and follows orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::seq::SliceRandom;
use tickcast_protocol::{MatchId, NodeId};

use crate::backplane::{Backplane, Delivery, MatchFields, Unavailable, fields};
use crate::io::clock;
use crate::io::match_task::MatchOrder;
use crate::io::node::Node;
use crate::logic::orders::Order;
use crate::logic::placement::{Candidates, NodeEntry};

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// A node that has not said so for this long gets no matches.
const ENTRY_AGE_MAX_MS: u64 = 2_000;
/// An entry this old is taken out of the list.
const ENTRY_FORGOTTEN_MS: u64 = 60_000;
/// Time between two looks at the bans, besides those that are ordered.
const BANS_EVERY: Duration = Duration::from_secs(10);
/// Pause before a lost subscription to orders is made again.
const ORDERS_PAUSE: Duration = Duration::from_millis(500);

/// Says that the node lives, and what it is like, until it stops.
pub async fn beat<B: Backplane>(node: Arc<Node<B>>) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopping = node.stopping();
    loop {
        tokio::select! {
            _ = beats.tick() => {}
            _ = stopping.changed() => break,
        }
        if let Err(error) = node.enlist().await {
            tracing::debug!(%error, "the node could not say that it lives");
        }
    }
    // The others are not to wait for its entry to grow old.
    let _ = node.backplane.enlist(&node.settings.node, None).await;
}

/// Looks for matches without an owner, until the node leaves.
pub async fn sweep<B: Backplane>(node: Arc<Node<B>>) {
    let mut leaving = node.leaving();
    let mut stopping = node.stopping();
    let mut suspects = Suspects::new();
    let mut bans_due = clock::now();
    loop {
        let pause = node.settings.sweep.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = leaving.changed() => return,
            _ = stopping.changed() => return,
        }
        // The order to do so may have got lost, or come just before somebody who was about to come in.
        if bans_due <= clock::now() {
            bans_due = clock::now() + BANS_EVERY;
            if let Err(error) = node.enforce_bans().await {
                tracing::debug!(%error, "the bans could not be looked at");
            }
        }
        suspects = node.sweep(suspects).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the sweep was not answered");
            Suspects::new()
        });
    }
}

/// Matches whose lease had expired at the last look, with what they looked like.
type Suspects = BTreeMap<MatchId, MatchFields>;

/// What of a match changes with each tick and each claim.
const LOOKED_AT: [&str; 6] =
    [fields::STATUS, fields::OWNER, fields::LEASE_MS, fields::EPOCH, fields::NONCE, fields::TICK];

/// Follows orders until the node stops.
pub async fn follow_orders<B: Backplane>(node: Arc<Node<B>>) {
    let mut stopping = node.stopping();
    loop {
        let subscribed = node.backplane.subscribe_orders(&node.settings.node).await;
        if let Ok(mut orders) = subscribed {
            loop {
                tokio::select! {
                    delivery = orders.recv() => match delivery {
                        Some(Delivery::Message(message)) => handle_order(&node, &message).await,
                        // Whatever was asked: the sweep finds matches without an owner.
                        Some(Delivery::Lost) => {}
                        None => break,
                    },
                    _ = stopping.changed() => return,
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ORDERS_PAUSE) => {}
            _ = stopping.changed() => return,
        }
    }
}

async fn handle_order<B: Backplane>(node: &Arc<Node<B>>, message: &Bytes) {
    match Order::decode(message) {
        Ok(Order::Take { id }) => {
            let taking = Arc::clone(node);
            node.tasks.spawn(async move {
                let claimed = taking.own(&id).await;
                tracing::info!(%id, ?claimed, "asked to take a match");
            });
        }
        Ok(Order::HandOver { id, to }) => match node.hand_over(&id, to).await {
            Ok(heir) => tracing::info!(%id, %heir, "asked to hand a match over"),
            Err(reason) => tracing::warn!(%id, reason, "asked to hand a match over"),
        },
        Ok(Order::Bans) => {
            let enforced = node.enforce_bans().await;
            tracing::info!(?enforced, "asked to put out who is banned");
        }
        Ok(Order::Drain) => {
            tracing::info!("asked to leave");
            node.leave();
        }
        Err(error) => {
            node.metrics.foreign_messages.add(1);
            tracing::warn!(%error, "an order that is none");
        }
    }
}

impl<B: Backplane> Node<B> {
    /// Says what the node is like now.
    pub async fn enlist(&self) -> Result<(), Unavailable> {
        let beat_ms = self.backplane.now_ms().await?;
        self.health.handle_answer(clock::now());
        let entry = self.entry(beat_ms);
        let json = serde_json::to_vec(&entry).expect("an entry is JSON");
        self.backplane.enlist(&self.settings.node, Some(json.into())).await
    }

    /// What the node is like at a time of the store's clock.
    pub fn entry(&self, beat_ms: u64) -> NodeEntry {
        NodeEntry {
            beat_ms,
            matches: self.owned.len() as u64,
            matches_max: self.settings.matches_max as u64,
            connections: self.sessions.len() as u64,
            leaving: self.is_leaving(),
            url: self.settings.advertise.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The nodes that this one can hand matches to.
    pub async fn candidates(&self) -> Result<Candidates, Unavailable> {
        let now_ms = self.backplane.now_ms().await?;
        let mut known = Vec::new();
        for (node, json) in self.backplane.nodes().await? {
            match NodeEntry::from_json(&json) {
                Some(entry) if entry.is_fresh(now_ms, ENTRY_FORGOTTEN_MS) => known.push((node, entry)),
                Some(_) | None => self.backplane.enlist(&node, None).await?,
            }
        }
        Ok(Candidates::of(known, &self.settings.node, now_ms, ENTRY_AGE_MAX_MS))
    }

    /// Hands an owned match to a node, or to one of this node's choice.
    async fn hand_over(&self, id: &MatchId, to: Option<NodeId>) -> Result<NodeId, String> {
        let Some(orders) = self.owned.get(id).map(|orders| orders.clone()) else {
            return Err("this node does not own it".to_owned());
        };
        let mut candidates = self.candidates().await.map_err(|error| error.to_string())?;
        let heir = match to {
            Some(node) if candidates.contains(&node) => node,
            Some(node) => return Err(format!("there is no node `{node}` that could take it")),
            None => candidates.choose(id).ok_or("there is no other node")?,
        };
        orders
            .try_send(MatchOrder::HandOver(Some(heir.clone())))
            .map_err(|_| "the match is busy with an earlier order".to_owned())?;
        Ok(heir)
    }

    /// Sends an order to a node; one that is lost does no harm.
    pub async fn order(&self, to: &NodeId, order: &Order) {
        let _ = self.backplane.send_order(to, order.encode().into()).await;
    }

    /// Claims the matches that have no owner: those given up, and those whose lease had expired at the last look
    /// and which have not changed since. Answers those that look so now.
    async fn sweep(self: &Arc<Self>, suspects: Suspects) -> Result<Suspects, Unavailable> {
        let now_ms = self.backplane.now_ms().await?;
        // As the claim script has it, a lease that makes no sense has expired, and a status that makes none forbids
        // nothing: such a match is not left lying, it goes on or is quarantined.
        let expired = |stored: &MatchFields| {
            fields::text(stored, fields::STATUS) != Some(fields::QUARANTINED)
                && fields::number(stored, fields::LEASE_MS).is_none_or(|until| until <= now_ms)
        };
        let begun = clock::now();
        let listed = self.backplane.list(&LOOKED_AT).await?;
        self.inspector.learn(&listed, now_ms, begun);
        self.enter_owned(&listed).await?;
        let found: Suspects = listed.into_iter().filter(|(_, stored)| expired(stored)).collect();
        let ready = |(id, stored): &(&MatchId, &MatchFields)| {
            let given_up = fields::text(stored, fields::OWNER) == Some("");
            (given_up || suspects.get(*id) == Some(*stored)) && !self.owned.contains_key(*id)
        };
        let mut ready: Vec<MatchId> = found.iter().filter(ready).map(|(id, _)| id.clone()).collect();
        // Several nodes sweep: they are not to ask for the same one each time.
        ready.shuffle(&mut rand::rng());
        for id in ready {
            if found.get(&id).is_some_and(|stored| fields::number(stored, fields::LEASE_MS).is_none()) {
                tracing::warn!(%id, "field `{}` is missing or makes no sense: taken for expired", fields::LEASE_MS);
            }
            let claimed = self.own(&id).await;
            tracing::debug!(%id, ?claimed, "a match without an owner");
        }
        Ok(found)
    }

    /// Enters owned matches again that the index of matches has lost: it is written when a match is created and
    /// claimed, as far as the store takes it then.
    async fn enter_owned(&self, listed: &[(MatchId, MatchFields)]) -> Result<(), Unavailable> {
        let known: BTreeSet<&MatchId> = listed.iter().map(|(id, _)| id).collect();
        let owned: Vec<MatchId> = self.owned.iter().map(|entry| entry.key().clone()).collect();
        for id in owned.iter().filter(|id| !known.contains(id)) {
            // One that is just being claimed, or has ended meanwhile, is no business of ours.
            let stored = self.backplane.read(id, &[fields::OWNER]).await?;
            let owner = stored.as_ref().and_then(|stored| fields::text(stored, fields::OWNER));
            if owner == Some(self.settings.node.as_str()) {
                self.backplane.enter(id).await?;
                self.metrics.index_restored.add(1);
                tracing::warn!(%id, "the index of matches had lost it, entered again");
            }
        }
        Ok(())
    }
}
