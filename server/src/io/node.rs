//! A node: which matches it owns and follows, and who is connected. Hands work to its tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tickcast_protocol::history::Event;
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{CloseCode, MatchId, Position, SessionId, Tick};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::backplane::{Backplane, Unavailable, fields};
use crate::config::Settings;
use crate::game::{Games, Options};
use crate::io::claims::Claimed;
use crate::io::clock;
use crate::io::entrance::Visitor;
use crate::io::gate::Gate;
use crate::io::match_task::MatchOrder;
use crate::io::relay_task::{self, COMMANDS_QUEUED_MAX, Joined, Newcomer, RelayCommand, Uplink, Wish};
use crate::io::sink::Sink;
use crate::io::tasks::Tasks;
use crate::io::websocket::Readers;
use crate::logic::health::Health;
use crate::logic::joins::Access;
use crate::logic::pacing::Beat;
use crate::logic::rate::Bucket;
use crate::logic::resume::{Judgement, Proof};
use crate::logic::stored::{self, StoredError, StoredMatch};
use crate::ops::history::History;
use crate::ops::inspector::Inspector;
use crate::ops::metrics::Metrics;

/// How often a join is tried again when the relay was just ending.
const JOIN_TRIES: usize = 3;
/// How long a quick play counts a place that it gave away and that is not yet part of the state.
const RESERVATION: Duration = Duration::from_secs(3);
/// A match whose last tick is older than this is not offered for quick play.
const QUICK_STALE_MS: u64 = 3_000;

/// The store may be silent for so long before the node counts as unhealthy.
const STORE_SILENCE_MAX: Duration = Duration::from_secs(5);

/// Why a client was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For the client's program.
    pub code: CloseCode,
    /// For a person.
    pub text: String,
}

impl Refusal {
    /// A refusal with a text of its own.
    pub fn new(code: CloseCode, text: &str) -> Refusal {
        Refusal { code, text: text.to_owned() }
    }

    /// The store did not answer.
    pub fn unavailable(error: Unavailable) -> Refusal {
        Refusal::new(CloseCode::Internal, &error.to_string())
    }

    /// What the store has of the match is no match, or nobody of ours wrote it.
    pub fn not_readable(id: &MatchId, error: &StoredError) -> Refusal {
        tracing::error!(%id, %error, "match in the store is not readable");
        Refusal::new(CloseCode::Internal, "the match in the store is not readable")
    }

    /// The match may not be run.
    pub fn quarantined() -> Refusal {
        Refusal::new(CloseCode::Quarantined, CloseCode::Quarantined.text())
    }

    /// There is no such match.
    pub fn no_such_match() -> Refusal {
        Refusal::new(CloseCode::NoSuchMatch, "no such match")
    }
}

/// What a new match is to be like.
#[derive(Debug, Clone, Default)]
pub struct NewMatch {
    /// Name of the game; empty for the default.
    pub game: String,
    /// Its id; drawn at random if there is none.
    pub id: Option<MatchId>,
    /// The game's options.
    pub options: Options,
    /// Whom it lets in.
    pub access: Access,
}

/// One server process.
pub struct Node<B: Backplane> {
    /// How it is set up.
    pub settings: Settings,
    /// What it shares with other nodes.
    pub backplane: B,
    /// The games it hosts.
    pub games: Games,
    /// Its tasks.
    pub tasks: Tasks,
    /// What the ticks of its matches are counted from.
    pub(in crate::io) beat: Arc<Beat>,
    /// What it counts.
    pub metrics: Metrics,
    /// What is wrong with it.
    pub health: Health,
    /// What it knows of the cluster, for people.
    pub inspector: Inspector,
    /// Where it writes down what it does.
    history: Option<History>,
    /// Who is let in.
    pub gate: Gate,
    /// What reads its connections.
    pub readers: Readers,
    /// The open connections.
    pub sessions: DashMap<SessionId, Arc<Sink>>,
    /// The matches it follows.
    pub followed: DashMap<MatchId, mpsc::Sender<RelayCommand>>,
    /// What its players say in the matches it follows.
    pub uplinks: DashMap<MatchId, Arc<Uplink>>,
    /// The matches it owns or is about to own.
    pub owned: DashMap<MatchId, mpsc::Sender<MatchOrder>>,
    /// Claims it may make.
    pub(in crate::io) claims: std::sync::Mutex<Bucket>,
    leaving: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
    sessions_made: AtomicU64,
    /// Places given away by quick play and not yet part of a state, by match. Also makes quick plays wait
    /// for each other, so that a crowd fills matches one after another.
    reservations: Mutex<BTreeMap<MatchId, Vec<Instant>>>,
}

impl<B: Backplane> Node<B> {
    /// A node without connections or matches.
    pub fn new(settings: Settings, backplane: B, games: Games, history: Option<History>) -> Arc<Node<B>> {
        let now = clock::now();
        let claims = Bucket::new(now, settings.claims_per_second, settings.claims_per_second);
        Arc::new(Node {
            beat: Arc::new(Beat::new(now)),
            claims: std::sync::Mutex::new(claims),
            health: Health::default(),
            inspector: Inspector::default(),
            history,
            gate: Gate::new(&settings),
            leaving: watch::Sender::new(false),
            settings,
            backplane,
            games,
            tasks: Tasks::default(),
            metrics: Metrics::default(),
            readers: Readers::default(),
            sessions: DashMap::new(),
            followed: DashMap::new(),
            uplinks: DashMap::new(),
            owned: DashMap::new(),
            stopping: watch::Sender::new(false),
            sessions_made: AtomicU64::new(rand::random::<u64>() << 32),
            reservations: Mutex::default(),
        })
    }

    /// Writes an event down, if a history is kept.
    pub(in crate::io) fn record(&self, id: &MatchId, event: impl FnOnce() -> Event) {
        if let Some(history) = &self.history {
            history.write(clock::unix_us(), id, event());
        }
    }

    /// What is wrong with it now, a sentence each.
    pub fn complaints(&self) -> Vec<String> {
        self.health.complaints(clock::now(), STORE_SILENCE_MAX)
    }

    /// An id for a new connection.
    pub fn next_session(&self) -> SessionId {
        SessionId(self.sessions_made.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether the node takes nothing new any more, because it is about to stop.
    pub fn is_leaving(&self) -> bool {
        *self.leaving.borrow() || *self.stopping.borrow()
    }

    /// Changes to true when the node is to leave its cluster and stop.
    pub fn leaving(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    /// The node takes nothing new from now on, and leaves.
    pub fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Changes to true when the node stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Puts a client where it wants to be.
    pub(in crate::io) async fn join(
        self: &Arc<Self>,
        session: SessionId,
        sink: &Arc<Sink>,
        visitor: Visitor,
    ) -> Result<Joined, Refusal> {
        if self.is_leaving() {
            return Err(Refusal::new(CloseCode::Shutdown, CloseCode::Shutdown.text()));
        }
        let Visitor { name, join, mut subject, mut place } = visitor;
        let (id, wish) = match join {
            Join::Quick { game } => (self.quick(&game).await?, Wish::Play { name }),
            Join::Match(id) => (id, Wish::Play { name }),
            Join::Spectate(id) => (id, Wish::Watch),
            Join::Resume { match_id, player, token, shown, attempt } => {
                let proof = Proof { player, token, shown, attempt };
                let (known, set_back, holder) = self.check_proof(&match_id, &proof).await?;
                place = self.check_return(holder.as_ref()).await?;
                subject = holder;
                (match_id, Wish::Resume { proof, known, set_back })
            }
        };
        for _ in 0..JOIN_TRIES {
            let relay = self.follow(&id);
            let (reply, answer) = oneshot::channel();
            let (sink, wish, subject) = (Arc::clone(sink), wish.clone(), subject.clone());
            let newcomer = Box::new(Newcomer { session, sink, wish, subject });
            if relay.send(RelayCommand::Join { newcomer, reply }).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return answer.map(|joined| Joined { place, ..joined });
            }
        }
        Err(Refusal::new(CloseCode::Internal, "the match is starting or ending: reconnect"))
    }

    /// Where the match stands, what the player of a proof has to be told of a set-back, and who the player is.
    async fn check_proof(
        &self,
        id: &MatchId,
        proof: &Proof,
    ) -> Result<(Position, Option<(Tick, Tick)>, Option<Subject>), Refusal> {
        let names = proof.fields();
        let names: Vec<&str> = names.iter().map(String::as_str).chain([fields::MAC]).collect();
        let stored = self.backplane.read(id, &names).await.map_err(Refusal::unavailable)?;
        let stored = stored.ok_or_else(Refusal::no_such_match)?;
        stored::believe(&stored).map_err(|error| Refusal::not_readable(id, &error))?;
        match proof.judge(&stored) {
            Judgement::Good { stored, set_back, subject } => Ok((stored, set_back, subject)),
            Judgement::Later => Err(Refusal::new(CloseCode::Internal, "the store lost ticks: reconnect")),
            Judgement::Bad => Err(Refusal::new(CloseCode::BadTicket, CloseCode::BadTicket.text())),
        }
    }

    /// The relay of a match; started if there is none yet.
    fn follow(self: &Arc<Self>, id: &MatchId) -> mpsc::Sender<RelayCommand> {
        let entry = self.followed.entry(id.clone());
        let relay = entry.or_insert_with(|| {
            let (sender, commands) = mpsc::channel(COMMANDS_QUEUED_MAX);
            let (node, id, weak) = (Arc::clone(self), id.clone(), sender.downgrade());
            self.tasks.spawn(async move { relay_task::run(node, id, commands, weak).await });
            sender
        });
        relay.clone()
    }

    /// A match of the game with a free place: the fullest one, or a new one.
    async fn quick(self: &Arc<Self>, game: &str) -> Result<MatchId, Refusal> {
        let Some((game, _)) = self.games.find(game) else { return Err(self.no_such_game(game)) };
        let game = game.to_owned();
        let mut reservations = self.reservations.lock().await;
        let now = clock::now();
        for places in reservations.values_mut() {
            places.retain(|given| *given + RESERVATION > now);
        }
        reservations.retain(|_, places| !places.is_empty());
        let wanted =
            [fields::GAME, fields::PLAYERS, fields::PLAYERS_MAX, fields::COMMITTED_MS, fields::ACCESS];
        let matches = self.backplane.list(&wanted).await.map_err(Refusal::unavailable)?;
        let store_ms = self.backplane.now_ms().await.map_err(Refusal::unavailable)?;
        let open = matches.into_iter().filter_map(|(id, stored)| {
            let number = |name: &str| fields::number(&stored, name);
            let players = number(fields::PLAYERS)? + reservations.get(&id).map_or(0, Vec::len) as u64;
            let fits = fields::text(&stored, fields::GAME)? == game && players < number(fields::PLAYERS_MAX)?;
            let runs = number(fields::COMMITTED_MS)? + QUICK_STALE_MS >= store_ms;
            let is_open = !Access::read(&stored).by_ticket;
            (fits && runs && is_open).then_some((players, id))
        });
        let id = match open.max_by_key(|(players, _)| *players) {
            Some((_, id)) => id,
            None => self.create(NewMatch { game, ..NewMatch::default() }).await?.0,
        };
        reservations.entry(id.clone()).or_default().push(now);
        Ok(id)
    }

    fn no_such_game(&self, game: &str) -> Refusal {
        let known: Vec<&str> = self.games.names().collect();
        let shown: String = game.chars().filter(|c| c.is_ascii_graphic()).take(32).collect();
        Refusal::new(
            CloseCode::NoSuchMatch,
            &format!("no game `{shown}` here; there is: {}", known.join(", ")),
        )
    }

    /// Creates a match and runs it on this node. Tells its id and the players it takes.
    pub async fn create(self: &Arc<Self>, new: NewMatch) -> Result<(MatchId, StoredMatch), Refusal> {
        let Some((name, game)) = self.games.find(&new.game) else { return Err(self.no_such_game(&new.game)) };
        if self.owned.len() >= self.settings.matches_max {
            let text = format!("this node runs {} matches, its limit", self.settings.matches_max);
            return Err(Refusal::new(CloseCode::Internal, &text));
        }
        if new.access.by_ticket && self.settings.joins.keys.is_none() {
            let text = "nobody could come into a match by ticket: this node has no ticket key";
            return Err(Refusal::new(CloseCode::Malformed, text));
        }
        let mut options = self.settings.game_options.get(name).cloned().unwrap_or_default();
        options.extend(new.options);
        let info = game.info(&options).map_err(|bad| Refusal::new(CloseCode::Malformed, &bad.0))?;
        let id = new.id.unwrap_or_else(random_match_id);
        let snapshot_every = self.snapshot_every(info.tick_rate.hz());
        let ring = (2 * snapshot_every).max(64);
        let mut stored = stored::new_match(&info, &options, rand::random(), clock::unix_ms(), ring);
        stored.extend(new.access.write().map(|(name, value)| (name.into(), value.into())));
        if !self.backplane.create(&id, stored).await.map_err(Refusal::unavailable)? {
            return Err(Refusal::new(CloseCode::Malformed, &format!("a match `{id}` exists already")));
        }
        match self.own(&id).await {
            // Whoever owns it: it runs.
            Claimed::Ours | Claimed::Held(_) => {}
            Claimed::Deferred => {
                return Err(Refusal::new(CloseCode::Internal, "the node is busy: try again"));
            }
            Claimed::Unavailable(error) => return Err(Refusal::unavailable(error)),
            Claimed::Refused(refusal) => return Err(refusal),
        }
        let stored = self.backplane.load(&id).await.map_err(Refusal::unavailable)?;
        let stored = stored.ok_or_else(Refusal::no_such_match)?;
        let stored = StoredMatch::parse(&stored)
            .map_err(|error| Refusal::new(CloseCode::Internal, &error.to_string()))?;
        Ok((id, stored))
    }

    /// Ticks between snapshots of a match of this rate.
    pub fn snapshot_every(&self, hz: u8) -> u64 {
        self.settings.snapshot_every.unwrap_or(u64::from(hz))
    }

    /// Stops: matches are ended or released, connections told, tasks finished.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.send_replace(true);
        let deadline = clock::now() + patience;
        while !self.owned.is_empty() && clock::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let sinks: Vec<Arc<Sink>> = self.sessions.iter().map(|entry| Arc::clone(entry.value())).collect();
        for sink in sinks {
            sink.close(CloseCode::Shutdown, CloseCode::Shutdown.text());
        }
        while !self.sessions.is_empty() && clock::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.readers.stop();
    }
}

/// Letters and digits that can be told apart: 26 of 32, so 130 bits that nobody guesses.
fn random_match_id() -> MatchId {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let text: String = (0..26).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect();
    text.parse().expect("the alphabet is that of ids")
}
