//! One bot at its socket: carries frames between them, finds a way back when a connection is lost, moves when the node
//! asks for it, and leaves when the swarm is told to. Whatever ends it otherwise is a failure with a name.

use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tickcast_client::retry::Retry;
use tickcast_client::socket::{
    CONNECT_MAX, Failure, JOIN_MAX, Route, SEND_MAX, SILENCE_MAX, Socket, connect, resolve,
};
use tickcast_protocol::history::Event;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use crate::absence::Move;
use crate::board::Board;
use crate::bot::{Bot, Step};
use crate::clock;
use crate::pilot::Pilot;
use crate::share::BotPlan;
use crate::swarm::{Phase, Shared};

/// How long a try to connect again may take: another node may be quicker.
const CONNECT_AGAIN_MAX: Duration = Duration::from_secs(3);
/// How often the silence of a node is looked at; after two of these it is asked for a sign of life.
const LISTEN: Duration = Duration::from_secs(1);
/// How a connection ends well, and without a word (RFC 6455).
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_ABNORMAL: u16 = 1006;
/// Measurements that a bot gathers before it hands them over.
const SAMPLES_HELD: usize = 256;

/// How a bot ended.
pub(crate) struct Outcome {
    /// Whether it had been in the match.
    pub(crate) joined: bool,
    /// Whether it had lost its connection and did not find back.
    pub(crate) away: bool,
    pub(crate) result: Result<(), Failure>,
}

/// How a connection ended.
enum End {
    /// The bot said goodbye.
    Left,
    /// The next one is open already, and the bot has begun with it.
    Moved(Box<Socket>),
    /// It failed.
    Lost(Failure),
}

/// The next connection while it is made.
type Opening = Pin<Box<dyn Future<Output = Result<Socket, Failure>> + Send>>;

/// A bot with all it needs to run.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    plan: BotPlan,
    pilot: Pilot,
    phase: watch::Receiver<Phase>,
    retry: Retry,
    /// Position of the node it is on, or was sent away from.
    target: usize,
    measuring: bool,
    joined: bool,
    introduced: bool,
}

impl Seat {
    pub(crate) fn new(shared: Arc<Shared>, plan: BotPlan, phase: watch::Receiver<Phase>) -> Seat {
        let pilot = Pilot::new(&plan, &shared.plan);
        let total = Duration::from_secs(u64::from(shared.plan.reconnect_seconds));
        let (retry, target) = (Retry::new(plan.seed, total), plan.target);
        Seat { shared, plan, pilot, phase, retry, target, measuring: false, joined: false, introduced: false }
    }

    /// Runs until the phase says to leave, or something fails for good.
    pub(crate) async fn run(mut self) -> Outcome {
        let result = self.drive().await;
        let away = self.pilot.is_away();
        let marks = std::mem::take(self.pilot.marks());
        self.shared.absorb(marks);
        Outcome { joined: self.joined, away, result }
    }

    async fn drive(&mut self) -> Result<(), Failure> {
        let mut phase = self.phase.clone();
        let mut socket = tokio::select! {
            socket = connect(self.route(), CONNECT_MAX) => socket?,
            _ = phase.wait_for(|phase| *phase == Phase::Leaving) => return Ok(()),
        };
        loop {
            let end = self.follow(socket).await;
            self.record_end(&end);
            socket = match end {
                End::Left => return Ok(()),
                End::Moved(next) => *next,
                End::Lost(failure) => self.come_back(failure).await?,
            };
        }
    }

    /// Where it connects to next.
    fn route(&self) -> Route {
        let target = self.shared.plan.targets[self.target].clone();
        Route {
            target,
            address: self.shared.addresses[self.target],
            source: self.plan.source,
            trust: self.shared.trust.clone(),
        }
    }

    fn may_come_back(&self) -> bool {
        self.joined && self.shared.plan.reconnect_seconds > 0
    }

    /// In the match, on this connection.
    fn is_settled(&self) -> bool {
        self.joined && !self.pilot.is_away()
    }

    /// Carries frames until the connection ends in some way.
    async fn follow(&mut self, mut socket: Socket) -> End {
        if let Err(failure) = self.transmit(&mut socket).await {
            return End::Lost(failure);
        }
        let mut phase = self.phase.clone();
        let now = *phase.borrow_and_update();
        self.measuring = now == Phase::Measuring;
        if now == Phase::Leaving {
            return self.leave(&mut socket).await;
        }
        let patience = if self.joined { self.retry.time_left(self.shared.clock.now()) } else { JOIN_MAX };
        let join_time = sleep(patience.min(JOIN_MAX));
        tokio::pin!(join_time);
        let mut listen = interval(LISTEN);
        listen.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut heard = self.shared.clock.now();
        let mut opening: Option<Opening> = None;
        loop {
            let result = tokio::select! {
                message = socket.next() => {
                    heard = self.shared.clock.now();
                    self.handle_message(message)
                }
                // An error means that the swarm is gone: leave.
                changed = phase.changed() => match changed.map(|()| *phase.borrow_and_update()) {
                    Ok(Phase::Joining) => Ok(()),
                    Ok(Phase::Measuring) => {
                        self.measuring = true;
                        Ok(())
                    }
                    Ok(Phase::Leaving) | Err(_) => return self.leave(&mut socket).await,
                },
                next = poll(&mut opening) => match next {
                    Ok(next) => return self.change_to(next),
                    // The node may live for a while yet; when it is gone, there is the usual way back.
                    Err(_) => {
                        opening = None;
                        Ok(())
                    }
                },
                _ = listen.tick(), if self.may_come_back() => self.handle_silence(heard),
                () = &mut join_time, if !self.is_settled() => Err(Failure::JoinTime),
            };
            let sent = match result {
                Ok(()) => self.transmit(&mut socket).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = sent {
                return End::Lost(failure);
            }
            if let Some(asked) = self.pilot.take_move().filter(|_| self.may_come_back()) {
                opening = Some(self.open_next(asked));
            }
        }
    }

    /// Opens the next connection at a random moment within the time that the node gave.
    fn open_next(&mut self, asked: Move) -> Opening {
        let wait = self.retry.moment_within(asked.within);
        self.target = self.retry.other_target(self.target, self.shared.plan.targets.len());
        let (otherwise, only_ipv4) = (self.route(), self.plan.source.is_some());
        Box::pin(async move {
            sleep(wait).await;
            let target = asked.url.and_then(|url| url.parse().ok());
            let route = match target {
                Some(target) => match resolve(&target, only_ipv4).await {
                    Ok(address) => Route { target, address, ..otherwise },
                    Err(_) => otherwise,
                },
                None => otherwise,
            };
            connect(route, CONNECT_AGAIN_MAX).await
        })
    }

    /// Writes down what the bot saw and sent.
    fn record(&mut self) {
        let (Some(history), Pilot::Full(bot)) = (&self.shared.history, &mut self.pilot) else { return };
        let events = bot.take_events();
        if let Some((_, id)) = bot.session() {
            events.into_iter().for_each(|event| history.write(self.plan.number, id, event));
        }
    }

    /// Writes down that a connection is over on which the bot was in the match.
    fn record_end(&mut self, end: &End) {
        self.record();
        let (Some(history), Pilot::Full(bot)) = (&self.shared.history, &self.pilot) else { return };
        if let Some((session, id)) = bot.session() {
            let code = match end {
                End::Left | End::Moved(_) => CLOSE_NORMAL,
                End::Lost(failure) => failure.code().unwrap_or(CLOSE_ABNORMAL),
            };
            history.write(self.plan.number, id, Event::Closed { session, code });
        }
    }

    /// The next connection is open: the old one is dropped, without a goodbye.
    fn change_to(&mut self, next: Socket) -> End {
        self.pilot.marks().recovery.moved += 1;
        self.pilot.resume(self.shared.clock.now()).expect("who is asked to move has been let in");
        End::Moved(Box::new(next))
    }

    /// After a loss: the next connection, on which the bot has begun to resume.
    async fn come_back(&mut self, failure: Failure) -> Result<Socket, Failure> {
        if !self.may_come_back() || !failure.may_reconnect() {
            return Err(failure);
        }
        let now = self.shared.clock.now();
        if !self.pilot.is_away() {
            self.shared.count_loss(failure.to_string());
        }
        self.pilot.handle_loss(now);
        let mut phase = self.phase.clone();
        let mut last = failure;
        loop {
            let Some(wait) = self.retry.next_wait(self.shared.clock.now()) else {
                return Err(Failure::GivenUp(Box::new(last)));
            };
            self.target = self.retry.other_target(self.target, self.shared.plan.targets.len());
            let route = self.route();
            let left = self.retry.time_left(self.shared.clock.now()).saturating_sub(wait);
            let within = left.min(CONNECT_AGAIN_MAX);
            let connecting = async {
                sleep(wait).await;
                connect(route, within).await
            };
            let tried = tokio::select! {
                tried = connecting => tried,
                _ = phase.wait_for(|phase| *phase == Phase::Leaving) => return Err(Failure::Away(Box::new(last))),
            };
            match tried {
                Ok(socket) => {
                    self.pilot.resume(now).expect("a bot that had joined has been let in");
                    return Ok(socket);
                }
                Err(failure) => last = failure,
            }
        }
    }

    fn handle_silence(&mut self, heard: Duration) -> Result<(), Failure> {
        let silence = self.shared.clock.now().saturating_sub(heard);
        if silence >= SILENCE_MAX {
            return Err(Failure::Unheard);
        }
        if silence >= 2 * LISTEN {
            self.pilot.ping();
        }
        Ok(())
    }

    fn handle_message(&mut self, message: Option<Result<Message, WebSocketError>>) -> Result<(), Failure> {
        match Failure::check(message)? {
            Some(frame) => self.handle_frame(&frame),
            None => Ok(()),
        }
    }

    fn handle_frame(&mut self, frame: &[u8]) -> Result<(), Failure> {
        let now = self.shared.clock.now();
        match &mut self.pilot {
            Pilot::Full(bot) => {
                let step = bot.handle_frame(now, frame, self.measuring);
                self.record();
                let (step, Pilot::Full(bot)) = (step?, &mut self.pilot) else { return Ok(()) };
                let mut board =
                    self.shared.boards[self.plan.match_index].lock().unwrap_or_else(PoisonError::into_inner);
                self.introduced = exchange(bot, &mut board, &self.plan, step, now, self.introduced);
            }
            Pilot::Light(bot) => bot.handle_frame(now, frame, self.measuring)?,
        }
        if !self.joined && self.pilot.is_joined() {
            self.joined = true;
            self.shared.count_joined();
        }
        if self.is_settled() {
            self.retry.handle_return();
        }
        if self.pilot.marks().samples.len() >= SAMPLES_HELD {
            let marks = std::mem::take(self.pilot.marks());
            self.shared.absorb(marks);
        }
        Ok(())
    }

    async fn transmit(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        if let Some(issuer) = self.shared.plan.issuer.as_ref().filter(|_| self.pilot.needs_ticket()) {
            self.pilot.show_ticket(issuer.mint(&self.plan, rand::random(), clock::unix_us() / 1000));
        }
        while let Some(frame) = self.pilot.poll_transmit() {
            self.record();
            match timeout(SEND_MAX, socket.send(Message::binary(frame))).await {
                Ok(sent) => sent.map_err(Failure::Socket)?,
                Err(_) => return Err(Failure::SendTime),
            }
        }
        Ok(())
    }

    /// Says goodbye. The run is over: whether the server hears it does not matter any more.
    async fn leave(&mut self, socket: &mut Socket) -> End {
        if self.measuring {
            self.pilot.handle_end(self.shared.clock.now());
        }
        let away = self.pilot.is_away();
        self.pilot.leave();
        let goodbye = async {
            if self.transmit(socket).await.is_ok() {
                let _ = socket.close(None).await;
            }
        };
        let _ = timeout(SEND_MAX, goodbye).await;
        if away { End::Lost(Failure::Away(Box::new(Failure::JoinTime))) } else { End::Left }
    }
}

/// Waits for the next connection, if one is being made.
async fn poll(opening: &mut Option<Opening>) -> Result<Socket, Failure> {
    match opening {
        Some(opening) => opening.await,
        None => pending().await,
    }
}

/// Tells the other clients of the match what this one saw and sent. Returns whether the bot is known to them.
fn exchange(
    bot: &mut Bot,
    board: &mut Board,
    plan: &BotPlan,
    step: Step,
    now: Duration,
    known: bool,
) -> bool {
    if let Some((position, held)) = &step.state {
        board.handle_state(*position, held, bot.marks());
    }
    for line in bot.take_heard() {
        board.handle_line(line, bot.marks());
    }
    if let (Some(seat), Some(sent)) = (plan.seat, step.sent) {
        board.handle_sent(seat, sent);
    }
    if let (Some(watched), Some(seen)) = (plan.watches, step.seen) {
        board.handle_seen(watched, seen, now, bot.marks());
    }
    if let Some(player) = plan.watches.filter(|_| !bot.is_watching()).and_then(|seat| board.player(seat)) {
        bot.watch(player);
    }
    match (plan.seat, bot.player()) {
        (Some(seat), Some(player)) if !known => {
            board.handle_player(seat, player);
            true
        }
        _ => known,
    }
}
