//! Bots and a node that is a script: what a connection does to them, and how they come back.

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use tickcast_protocol::message::{ClientMessage, Join, SUBPROTOCOL, ServerMessage};
use tickcast_protocol::{EntityId, PlayerId, ResumeToken};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::*;
use crate::plan::Flags;
use crate::share::divide;
use crate::stage::Stage;

/// A node that does as the test says, on its own port.
struct Script {
    listener: TcpListener,
}

/// One client's connection.
struct Line {
    socket: WebSocketStream<TcpStream>,
    join: Join,
}

impl Script {
    async fn new() -> Script {
        Script { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.listener.local_addr().unwrap())
    }

    /// The next client, who has said hello.
    async fn accept(&self) -> Line {
        let (stream, _) = self.listener.accept().await.unwrap();
        Script::greet(stream).await
    }

    async fn greet(stream: TcpStream) -> Line {
        #[expect(clippy::result_large_err, reason = "the trait of the library says so")]
        let answer = |_: &Request, mut response: Response| {
            response.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
            Ok(response)
        };
        let socket = accept_hdr_async(stream, answer).await.unwrap();
        let mut line = Line { socket, join: Join::Quick { game: String::new() } };
        match line.hear().await {
            Some(ClientMessage::Hello { join, .. }) => line.join = join,
            other => panic!("no hello: {other:?}"),
        }
        line
    }

    /// Lets the next client in and shows it the state.
    async fn welcome(&self, stage: &Stage) -> Line {
        let mut line = self.accept().await;
        line.say(stage.welcome(Some(5))).await;
        line.say(stage.snapshot()).await;
        line
    }
}

impl Line {
    async fn say(&mut self, frame: Vec<u8>) {
        self.socket.send(Message::binary(frame)).await.unwrap();
    }

    /// What the client says next; `None` when it is gone.
    async fn hear(&mut self) -> Option<ClientMessage> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Some(ClientMessage::from_frame(&frame).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// A tick that applies nothing, and the number of the input that answers it; `None` when the client leaves.
    async fn tick(&mut self, stage: &mut Stage) -> Option<u32> {
        if self.socket.send(Message::binary(stage.diff())).await.is_err() {
            return None;
        }
        match self.hear().await {
            Some(ClientMessage::Input { seq, .. }) => Some(seq.0),
            Some(ClientMessage::Leave) | None => None,
            other => panic!("an input is the answer, not {other:?}"),
        }
    }

    /// Plays by the rules until the client leaves.
    async fn play(&mut self, stage: &mut Stage, own: EntityId) {
        while let Some(seq) = self.tick(stage).await {
            stage.acknowledge(own, seq);
        }
    }

    async fn close(&mut self, code: u16) {
        let _ = self.socket.close(Some(CloseFrame { code: code.into(), reason: "".into() })).await;
    }
}

/// Runs a player while its nodes do as they are told.
async fn beside(script: impl Future<Output = ()>, run: impl Future<Output = Tally>) -> Tally {
    let both = async { tokio::join!(run, script).0 };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("bot and script end together")
}

/// Runs one player against these nodes.
async fn run_bot(urls: Vec<String>, flags: &str) -> Tally {
    let flags = if flags.contains("--seconds ") { flags.to_owned() } else { format!("--seconds 1 {flags}") };
    let words = ["tickcast-bots", "--match-id", "m1", "--players", "1"];
    let words = words.into_iter().map(str::to_owned).chain(flags.split_whitespace().map(str::to_owned));
    let urls = urls.into_iter().flat_map(|url| ["--url".to_owned(), url]);
    let plan = Plan::try_from(Flags::try_parse_from(words.chain(urls)).unwrap()).unwrap();
    let share = divide(&plan, &plan.match_ids).swap_remove(0);
    let (command, commands) = mpsc::channel(1);
    command.try_send(Command::Measure).unwrap();
    let (pulses, _unread) = mpsc::channel(1);
    let tally = run(Clock::start(), plan, share, commands, pulses).await.unwrap();
    drop(command);
    tally
}

#[tokio::test]
async fn a_lost_connection_is_resumed_on_the_next_node_with_the_inputs_that_were_lost() {
    let (first, second) = (Script::new().await, Script::new().await);
    let script = async {
        let mut stage = Stage::new();
        let own = stage.spawn(5);
        stage.diff();
        let mut line = first.welcome(&stage).await;
        assert!(matches!(line.join, Join::Match(_)));
        for seq in 1..=3 {
            assert_eq!(line.tick(&mut stage).await, Some(seq));
        }
        drop(line);
        stage.acknowledge(own, 2);
        let _unseen = [stage.diff(), stage.diff()];
        // The second node has no place at first, and then breaks before it shows the state.
        second.accept().await.close(4000).await;
        drop(first.accept().await);
        let mut line = second.welcome(&stage).await;
        let Join::Resume { match_id, player, token, attempt, .. } = &line.join else {
            panic!("{:?}", line.join)
        };
        assert_eq!((match_id.as_str(), *player, *token), ("m1", PlayerId(5), ResumeToken([7; 16])));
        assert_eq!(*attempt, 3, "the third try, the first two found no place");
        let again = line.hear().await;
        assert!(matches!(again, Some(ClientMessage::Input { seq, .. }) if seq.0 == 3), "{again:?}");
        assert_eq!(line.tick(&mut stage).await, Some(4));
        line.play(&mut stage, own).await;
    };
    let tally = beside(script, run_bot(vec![first.url(), second.url()], "--seconds 4")).await;
    let recovery = &tally.recovery;
    assert_eq!((recovery.lost, recovery.reconnects, recovery.resumed_players), (1, 1, 1), "{tally:?}");
    assert_eq!((recovery.inputs_sent_again, recovery.moved, tally.away.count()), (1, 0, 1), "{tally:?}");
    assert_eq!((tally.connections.joined, tally.connections.failed), (1, 0), "{tally:?}");
    assert_eq!((tally.checks.lost_ticks, tally.checks.undone), (0, 0), "{tally:?}");
}

#[tokio::test]
async fn a_node_that_stops_is_followed_until_the_next_connection_is_open() {
    let (first, second) = (Script::new().await, Script::new().await);
    let script = async {
        let mut stage = Stage::new();
        let own = stage.spawn(5);
        stage.diff();
        let mut line = first.welcome(&stage).await;
        assert_eq!(line.tick(&mut stage).await, Some(1));
        line.say(ServerMessage::Reconnect { within_ms: 100, url: second.url() }.to_frame()).await;
        let (stream, _) = tokio::select! {
            accepted = second.listener.accept() => accepted.unwrap(),
            () = line.play(&mut stage, own) => panic!("the bot left before it had another connection"),
        };
        let (mut next, ()) = tokio::join!(Script::greet(stream), line.play(&mut stage, own));
        assert!(matches!(next.join, Join::Resume { .. }));
        next.say(stage.welcome(Some(5))).await;
        next.say(stage.snapshot()).await;
        next.play(&mut stage, own).await;
    };
    let tally = beside(script, run_bot(vec![first.url()], "")).await;
    let recovery = &tally.recovery;
    assert_eq!((recovery.lost, recovery.moved, recovery.reconnects), (0, 1, 1), "{tally:?}");
    assert_eq!((tally.connections.failed, tally.checks.undone), (0, 0), "{tally:?}");
}

/// The failure of a bot whose connection ends with this code, or without one, and that is refused with 4501 after it.
async fn failure(code: Option<u16>, flags: &str) -> String {
    let node = Script::new().await;
    let script = async {
        let mut stage = Stage::new();
        stage.spawn(5);
        stage.diff();
        let mut line = node.welcome(&stage).await;
        line.tick(&mut stage).await;
        match code {
            Some(code) => line.close(code).await,
            None => drop(line),
        }
        node.accept().await.close(4501).await;
        std::future::pending::<()>().await;
    };
    let urls = vec![node.url()];
    let tally = tokio::select! {
        tally = run_bot(urls, flags) => tally,
        () = script => unreachable!("it never ends"),
    };
    assert_eq!(tally.connections.failed, 1, "{tally:?}");
    tally.failures.into_keys().next().unwrap()
}

#[tokio::test]
async fn what_cannot_be_resumed_fails() {
    assert_eq!(failure(Some(4001), "").await, "close 4501 BadTicket");
    assert_eq!(failure(None, "").await, "close 4501 BadTicket");
    assert_eq!(failure(Some(4001), "--light").await, "close 4501 BadTicket");
    assert_eq!(failure(Some(4506), "").await, "close 4506 Kicked");
    assert_eq!(failure(Some(4001), "--reconnect-seconds 0").await, "close 4001 Shutdown");
}

#[tokio::test]
async fn whoever_is_away_at_the_end_has_failed() {
    let node = Script::new().await;
    let url = node.url();
    let script = async move {
        let mut stage = Stage::new();
        stage.spawn(5);
        stage.diff();
        let mut line = node.welcome(&stage).await;
        line.tick(&mut stage).await;
        // Nobody listens any more.
    };
    let tally = beside(script, run_bot(vec![url], "")).await;
    let failures: Vec<&String> = tally.failures.keys().collect();
    assert!(failures.len() == 1 && failures[0].starts_with("not back at the end: connect"), "{tally:?}");
    let node = Script::new().await;
    let url = node.url();
    let script = async move {
        let mut stage = Stage::new();
        stage.spawn(5);
        stage.diff();
        node.welcome(&stage).await.tick(&mut stage).await;
    };
    let tally = beside(script, run_bot(vec![url], "--seconds 9 --reconnect-seconds 1")).await;
    let failures: Vec<&String> = tally.failures.keys().collect();
    assert!(failures.len() == 1 && failures[0].starts_with("not back in time: connect"), "{tally:?}");
}

#[tokio::test]
async fn a_node_that_does_not_even_answer_is_left() {
    let node = Script::new().await;
    let url = node.url();
    let script = async {
        let mut stage = Stage::new();
        let own = stage.spawn(5);
        stage.diff();
        let mut line = node.welcome(&stage).await;
        assert_eq!(line.tick(&mut stage).await, Some(1));
        // It shows no state, and answers once: it may be without an owner.
        assert_eq!(line.hear().await, Some(ClientMessage::Ping { nonce: 0 }));
        line.say(ServerMessage::Pong { nonce: 0, tick: stage.position.tick }.to_frame()).await;
        assert_eq!(line.hear().await, Some(ClientMessage::Ping { nonce: 0 }));
        let mut next = node.welcome(&stage).await;
        assert!(matches!(next.join, Join::Resume { .. }));
        assert!(matches!(next.hear().await, Some(ClientMessage::Input { .. })));
        next.play(&mut stage, own).await;
    };
    let tally = beside(script, run_bot(vec![url], "--seconds 10")).await;
    assert_eq!(tally.losses.into_keys().collect::<Vec<_>>(), ["nothing heard for 5 s"]);
    assert_eq!((tally.recovery.reconnects, tally.connections.failed), (1, 0));
}
