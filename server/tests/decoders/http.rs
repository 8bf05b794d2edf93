//! A client of either port over HTTP, in whatever pieces, up to the switch to a WebSocket: every answer is whole and of a
//! form of ours, nothing that was no request is answered, and only a handshake is taken for one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tickcast_server::Games;
use tickcast_server::backplane::memory::MemoryBackplane;
use tickcast_server::config::{ServeArgs, Settings};
use tickcast_server::games::Arena;
use tickcast_server::io::http::{self, Port};
use tickcast_server::io::node::Node;
use tickcast_server::logic::admission::AdmissionLimits;
use tickcast_server::logic::secret::Secret;
use tokio::runtime::Builder;
use tokio::time::timeout;

use self::requests::Rest;

mod answers;
mod requests;
pub(crate) mod seeds;
mod wire;

/// It came to the operators' port.
pub(crate) const OPERATORS: u8 = 1;
/// Its address is limited, to very little.
pub(crate) const LIMITED: u8 = 2;
/// It is a proxy that is believed.
pub(crate) const PROXY: u8 = 4;
/// The API is for backends, and the operators' port for those with the token.
pub(crate) const PRIVATE: u8 = 8;
/// The node has no place left.
pub(crate) const FULL: u8 = 16;
/// It takes few bytes of an answer at once.
pub(crate) const SIPS: u8 = 32;
/// Its bytes come with pauses.
pub(crate) const STUTTERS: u8 = 64;
/// What backends and operators show.
pub(crate) const SECRET: &str = "a-secret-of-sixteen";

/// Bytes of the end that can be repeated, and how often each count in the input repeats them.
const TAIL_BYTES: usize = 32;
const REPEATS: usize = 16;
/// Bytes that a node may have read of what it has not answered: a head and a body at their longest, each with a buffer.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Nothing here waits for time to pass.
const WITHIN: Duration = Duration::from_secs(4);

/// `flags pieces repeats bytes`: what is said, how it is cut, how often its end is said again.
pub(crate) fn http(input: &[u8]) -> bool {
    let [flags, pieces, repeats, bytes @ ..] = input else { return false };
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let said = [bytes, &tail.repeat(usize::from(*repeats) * REPEATS)].concat();
    let (answered, taken) = converse(*flags, &said, usize::from(*pieces));

    let (asked, rest) = requests::read(&said);
    let answers = answers::read(&answered, &asked);
    assert!(answers.len() <= asked.len() + usize::from(rest == Rest::NoHead), "{answers:?} to {asked:?}");
    for (number, answer) in answers.iter().enumerate() {
        let is_last = number + 1 == answers.len();
        assert!(is_last || !answer.is_last(), "answers behind the last one: {answers:?}");
        let Some(asked) = asked.get(number) else {
            assert!((400..500).contains(&answer.status) && answer.is_last(), "{answer:?} to no request");
            continue;
        };
        if answer.status == 101 {
            let is_players = flags & (OPERATORS | FULL) == 0;
            assert!(is_players && asked.is_handshake(), "{answer:?} to {asked:?}");
        } else if flags & OPERATORS == 0 && asked.wants_socket() {
            assert!(answer.is_last(), "{answer:?} to {asked:?}: a failed upgrade is no tunnel");
        } else if asked.is_ambiguous() {
            assert!(answer.is_last(), "{answer:?} to {asked:?}: what follows may be part of it");
        }
        if asked.lacks_host() {
            assert!(answer.status >= 400, "{answer:?} to {asked:?}");
        }
    }
    let known = answers.len().checked_sub(1).and_then(|last| asked.get(last)).map_or(0, |asked| asked.end);
    assert!(
        taken <= known + AHEAD_BYTES_MAX,
        "{taken} bytes were read and {known} were for what was answered"
    );
    answers.iter().any(|answer| answer.status < 400)
}

/// Says it to a node: what is answered, and how many bytes the node has read.
fn converse(flags: u8, said: &[u8], pieces: usize) -> (Vec<u8>, usize) {
    let takes = if flags & SIPS == 0 { usize::MAX } else { 1 + pieces };
    let (stream, client) = wire::connection(cut(said, pieces), flags & STUTTERS != 0, takes);
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(|| 1_000_000);
        let node = Node::new(settings(flags), MemoryBackplane::new(clock), Games::new().with(Arena), None);
        let port = if flags & OPERATORS == 0 { Port::Players } else { Port::Operators };
        let peer = SocketAddr::from(([192, 0, 2, 7], 4000));
        let both = async { tokio::join!(http::serve(Arc::clone(&node), stream, peer, port), client.play()) };
        timeout(WITHIN, both).await.expect("a client that is gone is forgotten");
        assert!(node.sessions.is_empty(), "nobody is connected");
    });
    (client.answered(), client.taken())
}

fn cut(mut bytes: &[u8], seed: usize) -> VecDeque<Vec<u8>> {
    let (mut pieces, mut turn) = (VecDeque::new(), seed);
    while !bytes.is_empty() {
        turn = turn.wrapping_mul(31).wrapping_add(7);
        let size = if seed == 0 { bytes.len() } else { 1 + turn % (1 + seed) };
        let (piece, behind) = bytes.split_at(bytes.len().min(size));
        pieces.push_back(piece.to_vec());
        bytes = behind;
    }
    pieces
}

fn settings(flags: u8) -> Settings {
    static USUAL: LazyLock<Settings> = LazyLock::new(|| {
        let usual = ServeArgs::default().settings().expect("the defaults fit");
        let unlimited = AdmissionLimits::unlimited();
        let mut settings = Settings { matches_max: 2, ..usual };
        settings.exposure.admission = unlimited;
        settings
    });
    let mut settings = USUAL.clone();
    if flags & LIMITED != 0 {
        settings.exposure.admission = AdmissionLimits {
            connections_per_ip: 1,
            joins_per_second: 1,
            requests_per_second: 1,
            ..AdmissionLimits::unlimited()
        };
    }
    if flags & PROXY != 0 {
        settings.exposure.proxies = vec!["192.0.2.0/24".parse().expect("a range")];
    }
    if flags & PRIVATE != 0 {
        let secret = Secret::new(SECRET).ok();
        (settings.api_key, settings.operator_token) = (secret.clone(), secret);
        settings.exposure.ops_private = true;
    }
    if flags & FULL != 0 {
        settings.connections_max = 0;
    }
    settings
}
