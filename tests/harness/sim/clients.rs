//! Clients: the real half of the protocol, what a person does with it, and what must have become of it in the end.

use std::collections::BTreeSet;

use rand::RngExt;
use tickcast_protocol::chat::{ChatLine, ChatTo};
use tickcast_protocol::client::{Client, Event as Told, SAID_KEPT_MAX};
use tickcast_protocol::message::Join;
use tickcast_protocol::{CloseCode, PlayerId, Tick};
use tickcast_server::backplane::fields;

use super::cluster::{Cluster, Event};
use super::counters::Seen;
use super::ledger;
use super::oracle::{Change, Sight};
use super::plan::Kind;
use super::settings::NODES;

/// A client that hears nothing for this long connects anew.
const SILENCE_MS_MAX: u64 = 2_500;
/// Inputs that are under way at most: fewer than an owner keeps.
const INPUTS_UNDER_WAY_MAX: u32 = 6;
/// A match of which nothing is heard for longer is paused.
const PAUSE_MS_MAX: u64 = 200;
/// Without an input applied for this long while the match goes on, one goes on making new ones.
const APPLIED_MS_MAX: u64 = 1_500;
/// Shorter than this nobody may be away and lose the place: the window, less the time between signs of presence and
/// what it takes to notice.
const AWAY_MS_MAX: u64 = 3_000;
/// Ticks that a client may be behind when all is well.
const BEHIND_MAX: u64 = 4;

/// A person with a client.
pub(super) struct Player {
    name: String,
    game: usize,
    client: Client,
    /// The client has begun and has something to go on from.
    begun: bool,
    pub(super) connection: Option<u64>,
    node: usize,
    retry_at_ms: u64,
    /// When to go elsewhere, and where to, as it was asked.
    move_to: Option<(u64, usize)>,
    heard_ms: u64,
    state_ms: u64,
    pub(super) slow_until_ms: u64,
    /// It was told that there is nothing to play any more.
    over: bool,
    /// The next state is the first after a welcome or a reset.
    change: Change,
    /// Its place was lost once, and it joined anew.
    joined_anew: bool,
    sent_again: u64,
    /// The last input that was applied, since when, and the last that ever was.
    applied: u32,
    applied_max: u32,
    applied_ms: u64,
    /// What was said and not heard yet, and the last line that was heard of anybody.
    unheard: BTreeSet<u32>,
    heard: Option<u64>,
    talks_at_ms: u64,
}

impl Player {
    pub(super) fn new(number: usize, game: usize, node: usize) -> Player {
        let name = format!("p{number}");
        let client = Client::new(&name, Join::Match(format!("m{game}").parse().expect("an id")));
        Player {
            name,
            game,
            client,
            begun: false,
            connection: None,
            node,
            retry_at_ms: 0,
            move_to: None,
            heard_ms: 0,
            state_ms: 0,
            slow_until_ms: 0,
            over: false,
            change: Change::First,
            joined_anew: false,
            sent_again: 0,
            applied: 0,
            applied_max: 0,
            applied_ms: 0,
            unheard: BTreeSet::new(),
            heard: None,
            talks_at_ms: 0,
        }
    }

    fn id(&self) -> Option<PlayerId> {
        self.client.joined()?.player()
    }

    /// Inputs that were never acknowledged. What was, and was taken back, is gone.
    fn inputs_under_way(&self) -> u32 {
        self.client.last_seq().0 - self.applied_max
    }
}

impl Cluster {
    /// A client does what is due: connects, moves, gives up a dead connection, plays.
    pub(super) fn handle_client(&mut self, client: usize) {
        let again = self.now_ms + self.rng.random_range(80..120);
        if self.clients[client].over {
            return;
        }
        self.at(again, Event::Client { client });
        let now_ms = self.now_ms;
        let player = &mut self.clients[client];
        let Some(connection) = player.connection else {
            if now_ms >= player.retry_at_ms {
                self.connect_client(client);
            }
            return;
        };
        if let Some((_, node)) = player.move_to.take_if(|(at_ms, _)| now_ms >= *at_ms) {
            player.node = node;
            self.drop_connection(client, 5);
            return self.connect_client(client);
        }
        if now_ms > player.heard_ms + SILENCE_MS_MAX && now_ms >= player.slow_until_ms {
            self.say(|| format!("client {client} hears nothing"));
            return self.break_connection(client, 5);
        }
        let number = player.client.last_seq().0 as i32 + 1;
        let push = (number % 19) - 9;
        let plays = player.client.joined().is_some_and(|joined| joined.entity().is_some());
        // Whoever hears for long of no input plays on all the same.
        let heard = now_ms < player.state_ms + PAUSE_MS_MAX;
        let in_vain = heard && now_ms > player.applied_ms + APPLIED_MS_MAX;
        let under_way = player.inputs_under_way();
        let tick = player.client.joined().map_or(Tick(0), |joined| joined.replica.position().tick);
        let sleeps = self.plan.nights && ledger::is_night(tick);
        let free = under_way < INPUTS_UNDER_WAY_MAX && !self.inputs_end() && !sleeps;
        if plays && (free || in_vain && under_way > 0) {
            self.clients[client].client.input(&[number, push]);
        }
        if plays && !self.inputs_end() && !sleeps {
            self.talk(client);
        }
        self.transmit(client, connection);
    }

    /// Says something about once a second, also while nobody may hear it.
    fn talk(&mut self, client: usize) {
        let next_ms = self.now_ms + self.rng.random_range(800..2_000);
        let player = &mut self.clients[client];
        if self.now_ms < player.talks_at_ms || player.unheard.len() >= SAID_KEPT_MAX {
            return;
        }
        player.talks_at_ms = next_ms;
        let text = format!("{} says line {}", player.name, self.now_ms);
        player.unheard.extend(player.client.say(ChatTo::Everyone, &text));
    }

    fn handle_lines(&mut self, client: usize, lines: &[ChatLine]) {
        let player = &mut self.clients[client];
        let id = player.id();
        for line in lines.iter().filter(|line| Some(line.from) == id) {
            player.unheard.remove(&line.seq);
        }
        let last = std::mem::replace(&mut player.heard, lines.last().map(|line| line.number));
        let game = player.game;
        self.handle_heard(client, game, last, lines);
    }

    fn transmit(&mut self, client: usize, connection: u64) {
        while let Some(frame) = self.clients[client].client.poll_transmit() {
            self.send_up(connection, frame);
        }
    }

    fn connect_client(&mut self, client: usize) {
        let node = self.clients[client].node;
        let elsewhere = (node + self.rng.random_range(1..NODES)) % NODES;
        if !self.nodes[node].up {
            let retry_at_ms = self.now_ms + self.rng.random_range(50..200);
            let player = &mut self.clients[client];
            (player.node, player.retry_at_ms) = (elsewhere, retry_at_ms);
            return;
        }
        let connection = self.connect(node, self.clients[client].game, client);
        let now_ms = self.now_ms;
        let player = &mut self.clients[client];
        let resumes = player.begun && player.client.resume().is_ok();
        if player.begun && !resumes {
            let place = Join::Match(format!("m{}", player.game).parse().expect("an id"));
            player.client = Client::new(&player.name, place);
            (player.unheard, player.heard) = (BTreeSet::new(), None);
        }
        let first = if resumes { Change::Resumed } else { Change::First };
        (player.begun, player.change) = (true, first);
        (player.connection, player.heard_ms) = (Some(connection), now_ms);
        self.say(|| format!("client {client} connects to n{node} as {connection}, resumes: {resumes}"));
        self.transmit(client, connection);
    }

    /// The client's connection is gone, and the node finds out after so long.
    pub(super) fn break_connection(&mut self, client: usize, noticed_ms: u64) {
        let pause = self.rng.random_range(20..400);
        // Often it is the same node that one comes back to.
        let step = self.rng.random_range(0..NODES);
        self.drop_connection(client, noticed_ms);
        let player = &mut self.clients[client];
        player.node = (player.node + step) % NODES;
        player.retry_at_ms = self.now_ms + pause;
    }

    fn drop_connection(&mut self, client: usize, noticed_ms: u64) {
        if let Some(connection) = self.clients[client].connection.take() {
            self.let_go(connection, noticed_ms);
        }
        self.clients[client].move_to = None;
    }

    /// A connection has ended from the node's side, or the node has died.
    pub(super) fn handle_closed(
        &mut self,
        client: usize,
        connection: u64,
        frames: &[Vec<u8>],
        code: Option<CloseCode>,
    ) {
        if self.clients[client].connection != Some(connection) {
            return;
        }
        frames.iter().for_each(|frame| self.handle_down(client, connection, frame));
        self.break_connection(client, 0);
        let game = self.clients[client].game;
        match code {
            Some(CloseCode::BadTicket) => self.handle_bad_ticket(client),
            Some(CloseCode::NoSuchMatch | CloseCode::MatchOver) => {
                let there = self.store.model.load(&self.ids[game]).is_some();
                if there && !self.oracle.was_gone(game) {
                    self.oracle.fail(format!("client {client} was told {code:?}, and the match is there"));
                }
                self.end_client(client);
            }
            Some(CloseCode::Quarantined) => self.end_client(client),
            Some(code) if !code.may_reconnect() => {
                self.oracle.fail(format!("client {client} was closed for good: {code:?}"));
            }
            Some(_) | None => {}
        }
    }

    fn end_client(&mut self, client: usize) {
        self.counters.see(Seen::ToldOver);
        self.say(|| format!("client {client} is told that it is over"));
        self.clients[client].over = true;
    }

    /// The place is lost: it never was part of the state, or is no more, or the client was away for too long.
    fn handle_bad_ticket(&mut self, client: usize) {
        self.counters.see(Seen::TicketRefused);
        let now_ms = self.now_ms;
        let player = &mut self.clients[client];
        let away_ms = now_ms - player.heard_ms.min(now_ms);
        if let Some(id) = player.id()
            && self.oracle.is_admitted(player.game, id)
            && away_ms < AWAY_MS_MAX
        {
            self.oracle.fail(format!("client {client}, player {id}, lost its place after {away_ms} ms"));
        }
        let player = &mut self.clients[client];
        player.joined_anew = true;
        player.begun = false;
        (player.sent_again, player.applied_max) = (0, 0);
        (player.unheard, player.heard) = (BTreeSet::new(), None);
        let place = Join::Match(format!("m{}", player.game).parse().expect("an id"));
        player.client = Client::new(&player.name, place);
    }

    /// A client reads a frame.
    pub(super) fn handle_down(&mut self, client: usize, connection: u64, frame: &[u8]) {
        if self.clients[client].connection != Some(connection) {
            return;
        }
        let before = self.clients[client].client.joined().map(|joined| joined.node.clone());
        let told = match self.clients[client].client.handle_frame(frame) {
            Ok(told) => told,
            Err(error) => return self.oracle.fail(format!("client {client}: {error}")),
        };
        let move_at_ms = self.now_ms + self.rng.random_range(0..800);
        let player = &mut self.clients[client];
        let resumed = player.change == Change::Resumed && told == Told::Welcome && before.is_some();
        match told {
            Told::Advanced => self.handle_state(client, frame, Change::Next),
            Told::Snapshot | Told::CaughtUp => self.handle_state(client, frame, Change::Ahead),
            Told::NewOwner => player.heard_ms = self.now_ms,
            Told::Welcome if resumed => {
                let node = player.client.joined().map(|joined| joined.node.clone());
                self.counters.see(if node == before { Seen::Resumed } else { Seen::ResumedElsewhere });
            }
            Told::Welcome | Told::Stale | Told::Pong { .. } | Told::Ended => {}
            Told::Reset { .. } => (player.change, player.heard) = (Change::Back, None),
            Told::Chat(lines) => self.handle_lines(client, &lines),
            Told::ChatRefused { seq, .. } => drop(player.unheard.remove(&seq)),
            Told::Reconnect { url, .. } => {
                let node = url.and_then(|url| url.parse().ok()).unwrap_or((player.node + 1) % NODES);
                player.move_to = Some((move_at_ms, node));
            }
            Told::Gap(gap) => self.oracle.fail(format!("client {client} on an orderly line: {gap}")),
        }
        let player = &mut self.clients[client];
        let again = player.client.inputs_sent_again();
        let more = again - std::mem::replace(&mut player.sent_again, again);
        self.counters.add(Seen::SentAgain, more);
        self.transmit(client, connection);
    }

    fn handle_state(&mut self, client: usize, frame: &[u8], change: Change) {
        let now_ms = self.now_ms;
        let player = &mut self.clients[client];
        if now_ms > player.state_ms + PAUSE_MS_MAX {
            player.applied_ms = now_ms;
        }
        (player.heard_ms, player.state_ms) = (now_ms, now_ms);
        let Some(joined) = player.client.joined() else { return };
        let change = match std::mem::replace(&mut player.change, Change::Next) {
            Change::Next | Change::Ahead => change,
            explained => explained,
        };
        let applied = joined.acknowledged().map_or(0, |seq| seq.0);
        let (at, who) = (joined.replica.position(), joined.player());
        if std::mem::replace(&mut player.applied, applied) != applied {
            player.applied_ms = now_ms;
        }
        player.applied_max = player.applied_max.max(applied);
        let Some(joined) = player.client.joined() else { return };
        let sight = Sight { at, player: who, world: joined.replica.world(), frame };
        self.oracle.handle_state(client, player.game, sight, change);
    }

    /// A fault of the client's own.
    pub(super) fn disturb_client(&mut self, client: usize, kind: Kind, ms: u64) {
        if self.clients[client].connection.is_none() {
            return;
        }
        match kind {
            Kind::SlowReader => self.clients[client].slow_until_ms = self.now_ms + ms,
            Kind::Break => {
                self.counters.hit(kind);
                let noticed_ms = self.rng.random_range(1..50);
                self.break_connection(client, noticed_ms);
            }
            _ => {
                self.counters.hit(kind);
                self.break_connection(client, ms);
            }
        }
    }

    /// What a client still lacks.
    pub(super) fn find_unwell_client(&self, client: usize) -> Option<String> {
        let player = &self.clients[client];
        let wanted = [fields::STATUS, fields::TICK];
        let stored = self.store.model.read(&self.ids[player.game], &wanted);
        let runs = stored.filter(|stored| fields::text(stored, fields::STATUS) != Some(fields::QUARANTINED));
        let Some(stored) = runs else {
            return (!player.over).then(|| format!("client {client} was not told that its match is over"));
        };
        if player.over {
            let gone = self.oracle.was_gone(player.game);
            return (!gone).then(|| format!("client {client} was told that its match is over"));
        }
        if player.connection.is_none() || !player.client.is_welcomed() {
            return Some(format!("client {client} is not connected"));
        }
        let joined = player.client.joined()?;
        let tick = fields::number(&stored, fields::TICK).unwrap_or(0);
        let at = joined.replica.position().tick.0;
        if joined.replica.is_broken() || at + BEHIND_MAX < tick {
            return Some(format!("client {client} is at {at} of {tick}"));
        }
        if joined.entity().is_none() {
            return Some(format!("client {client}, player {:?}, has no entity", player.id()));
        }
        if self.inputs_end() && !player.unheard.is_empty() && !self.oracle.was_set_back(player.game) {
            return Some(format!("client {client} does not hear what it said: {:?}", player.unheard));
        }
        let under_way = player.inputs_under_way();
        (self.inputs_end() && under_way > 0).then(|| format!("client {client} waits for {under_way} inputs"))
    }

    /// What became of a client's inputs.
    pub(super) fn check_client(&self, client: usize) -> Result<(), String> {
        let player = &self.clients[client];
        let Some(id) = player.id().filter(|_| !player.over) else { return Ok(()) };
        let sent = player.client.last_seq().0;
        let Some(row) = self.oracle.row(player.game, id) else {
            return Err(format!("client {client}, player {id}, is not in the last state"));
        };
        if row.last as u32 != sent && !self.oracle.was_set_back(player.game) {
            return Err(format!("client {client} sent {sent} inputs, the last applied is {}", row.last));
        }
        if row.skipped > 0 && self.plan.keeps_inputs() && !player.joined_anew {
            return Err(format!("client {client} sent {sent} inputs, {} were passed over", row.skipped));
        }
        Ok(())
    }
}
