//! Nodes of this very process on a store in memory that fails where a test says so: in one operation of one node, which
//! no proxy before a Redis can tell from the others.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Fence, MatchId, NodeId};
use tickcast_server::Games;
use tickcast_server::backplane::memory::MemoryBackplane;
use tickcast_server::backplane::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, DELIVERIES_QUEUED_MAX, Delivery, Guarded,
    MatchFields, Release, Subscription, Unavailable,
};
use tickcast_server::config::Settings;
use tickcast_server::config::exposure::Exposure;
use tickcast_server::games::Arena;
use tickcast_server::io::http::{self, Port};
use tickcast_server::io::node::Node;
use tickcast_server::io::{clock, tasks::Tasks};
use tickcast_server::logic::joins::Joins;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// An operation that waits while the door is shut.
pub struct Door {
    shut: watch::Sender<bool>,
    waiting: watch::Sender<u64>,
}

impl Default for Door {
    fn default() -> Door {
        Door { shut: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }
}

impl Door {
    /// From now on nobody gets through.
    pub fn shut(&self) {
        self.shut.send_replace(true);
    }

    /// Lets all through.
    pub fn open(&self) {
        self.shut.send_replace(false);
    }

    /// Whether somebody waits.
    pub fn is_waited_at(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _ = self.shut.subscribe().wait_for(|shut| !shut).await;
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// An operation that is refused as long as a test wants it so.
#[derive(Default)]
pub struct Refusal {
    on: AtomicBool,
    count: AtomicU64,
}

impl Refusal {
    /// Refuses, or does not any more.
    pub fn set(&self, on: bool) {
        self.on.store(on, SeqCst);
    }

    /// How often it was refused.
    pub fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    fn check(&self) -> Result<(), Unavailable> {
        if !self.on.load(SeqCst) {
            return Ok(());
        }
        self.count.fetch_add(1, SeqCst);
        Err(Unavailable("a test refuses it".to_owned()))
    }
}

/// What is wrong with the store for one node.
#[derive(Default)]
pub struct Trouble {
    /// Before commits.
    pub commits: Door,
    /// Before claims.
    pub claims: Door,
    /// Before loads of a whole match.
    pub loads: Door,
    /// Of messages to an owner.
    pub inputs: Refusal,
    /// Of notes of an owner.
    pub notes: Refusal,
    /// What has come for an owner is lost while this is set, and it is told so.
    lossy: AtomicBool,
    losses: AtomicU64,
}

impl Trouble {
    /// Loses whatever comes for the owner, or does not any more.
    pub fn lose_inputs(&self, lossy: bool) {
        self.lossy.store(lossy, SeqCst);
    }

    /// Messages that were lost so.
    pub fn losses(&self) -> u64 {
        self.losses.load(SeqCst)
    }
}

/// A store in memory as one node finds it.
#[derive(Clone)]
pub struct Troubled {
    store: MemoryBackplane,
    trouble: Arc<Trouble>,
    tasks: Tasks,
}

/// A node, what troubles it, and where its players connect.
pub struct TroubledNode {
    /// The node.
    pub node: Arc<Node<Troubled>>,
    /// What is wrong with its store.
    pub trouble: Arc<Trouble>,
    /// Where players connect.
    pub players: String,
}

/// Starts so many nodes on one store.
///
/// # Panics
/// When there is no port for one of them.
pub async fn start<const NODES: usize>(lease: Duration) -> [TroubledNode; NODES] {
    let store = MemoryBackplane::new(Arc::new(clock::unix_ms));
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let (trouble, tasks) = (Arc::<Trouble>::default(), Tasks::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let backplane = Troubled { store: store.clone(), trouble: Arc::clone(&trouble), tasks };
        let settings = Settings { listen: address, ..settings(&format!("n{number}"), lease) };
        let node = Node::new(settings, backplane, Games::new().with(Arena), None);
        node.tasks.spawn(http::accept(Arc::clone(&node), listener, Port::Players, None));
        nodes.push(TroubledNode { node, trouble, players: format!("ws://{address}/ws") });
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"))
}

fn settings(name: &str, lease: Duration) -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        ops_listen: ([127, 0, 0, 1], 0).into(),
        redis: None,
        tls: None,
        redis_files: Default::default(),
        mac: None,
        node: name.parse().expect("the form of an id"),
        lease,
        snapshot_every: None,
        hash_every: 16,
        empty_after: seconds(60),
        matches_max: 10,
        connections_max: 100,
        advertise: String::new(),
        operator_token: None,
        api_key: None,
        exposure: Exposure::default(),
        joins: Joins { keys: None, audience: "tickcast".parse().expect("the form of an id"), guests: false },
        resume_window: seconds(10),
        rewind: Duration::from_millis(250),
        quiet: seconds(1),
        chat_per_minute: 60,
        stall_max: seconds(30),
        drain_max: seconds(1),
        crashes_max: 3,
        claims_per_second: 100,
        sweep: seconds(2),
        log: String::new(),
        history: None,
        game_options: BTreeMap::new(),
    }
}

/// Passes on what is for an owner, or loses it and says so.
async fn pass_on(trouble: Arc<Trouble>, mut from: Subscription, to: mpsc::Sender<Delivery>) {
    while let Some(delivery) = from.recv().await {
        let lost = trouble.lossy.load(SeqCst);
        trouble.losses.fetch_add(u64::from(lost), SeqCst);
        if to.send(if lost { Delivery::Lost } else { delivery }).await.is_err() {
            return;
        }
    }
}

impl Backplane for Troubled {
    async fn create(&self, id: &MatchId, fields: MatchFields) -> Result<bool, Unavailable> {
        self.store.create(id, fields).await
    }

    async fn claim(&self, id: &MatchId, claim: Claim) -> Result<ClaimReply, Unavailable> {
        self.trouble.claims.pass().await;
        self.store.claim(id, claim).await
    }

    async fn commit(&self, id: &MatchId, commit: &Commit) -> Result<CommitReply, Unavailable> {
        self.trouble.commits.pass().await;
        self.store.commit(id, commit).await
    }

    async fn release(
        &self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
    ) -> Result<Guarded, Unavailable> {
        self.store.release(id, fence, release, message).await
    }

    async fn notify(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        self.trouble.notes.check()?;
        self.store.notify(id, fence, message).await
    }

    async fn end(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        self.store.end(id, fence, message).await
    }

    async fn send_input(&self, id: &MatchId, message: Bytes) -> Result<(), Unavailable> {
        self.trouble.inputs.check()?;
        self.store.send_input(id, message).await
    }

    async fn subscribe(&self, id: &MatchId, channel: Channel) -> Result<Subscription, Unavailable> {
        let subscription = self.store.subscribe(id, channel).await?;
        if channel == Channel::Diff {
            return Ok(subscription);
        }
        let (to, passed_on) = mpsc::channel(DELIVERIES_QUEUED_MAX);
        self.tasks.spawn(pass_on(Arc::clone(&self.trouble), subscription, to));
        Ok(passed_on.into())
    }

    fn revive(&self, id: &MatchId) -> impl Future<Output = Result<Guarded, Unavailable>> + Send {
        self.store.revive(id)
    }

    async fn load(&self, id: &MatchId) -> Result<Option<MatchFields>, Unavailable> {
        self.trouble.loads.pass().await;
        self.store.load(id).await
    }

    async fn read(&self, id: &MatchId, fields: &[&str]) -> Result<Option<MatchFields>, Unavailable> {
        self.store.read(id, fields).await
    }

    async fn list(&self, fields: &[&str]) -> Result<Vec<(MatchId, MatchFields)>, Unavailable> {
        self.store.list(fields).await
    }

    async fn enter(&self, id: &MatchId) -> Result<(), Unavailable> {
        self.store.enter(id).await
    }

    async fn enlist(&self, node: &NodeId, entry: Option<Bytes>) -> Result<(), Unavailable> {
        self.store.enlist(node, entry).await
    }

    fn nodes(&self) -> impl Future<Output = Result<Vec<(NodeId, Bytes)>, Unavailable>> + Send {
        self.store.nodes()
    }

    async fn send_order(&self, node: &NodeId, message: Bytes) -> Result<(), Unavailable> {
        self.store.send_order(node, message).await
    }

    async fn subscribe_orders(&self, node: &NodeId) -> Result<Subscription, Unavailable> {
        self.store.subscribe_orders(node).await
    }

    async fn spend_ticket(&self, id: TicketId, remembered: Duration) -> Result<bool, Unavailable> {
        self.store.spend_ticket(id, remembered).await
    }

    async fn set_ban(&self, subject: &Subject, ban: Option<Bytes>) -> Result<(), Unavailable> {
        self.store.set_ban(subject, ban).await
    }

    async fn ban(&self, subject: &Subject) -> Result<Option<Bytes>, Unavailable> {
        self.store.ban(subject).await
    }

    async fn bans(&self) -> Result<Vec<(Subject, Bytes)>, Unavailable> {
        self.store.bans().await
    }

    fn distrust_subscriptions(&self) {
        self.store.distrust_subscriptions();
    }

    fn now_ms(&self) -> impl Future<Output = Result<u64, Unavailable>> + Send {
        self.store.now_ms()
    }
}
