//! Connections as they come: taken in turns that leave most of the time to the ticks of those who play (`logic/share`); what
//! waits meanwhile waits in the system's backlog. Who has too many is closed before anything is made for it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};

use super::{Port, serve};
use crate::backplane::Backplane;
use crate::io::gate::Pass;
use crate::io::node::Node;
use crate::io::tls::{self, Identity};
use crate::io::{backlog, clock};
use crate::logic::forwarded;
use crate::logic::rate::Bucket;
use crate::logic::share::Share;

/// Connections that are accepted one right after the other; then whatever else is due has its turn.
const ACCEPTS_AT_ONCE: u32 = 4;
/// Accepting, and what is at once done for those who came, takes one of so many parts of a thread's time.
const ACCEPT_PARTS: u32 = 4;
/// Pause after the system refused to accept a connection (no file descriptor is free).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is complained of.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// A port and what its connections get.
struct Door<B: Backplane> {
    node: Arc<Node<B>>,
    port: Port,
    identity: Option<Arc<Identity>>,
    complaints: Bucket,
}

/// Accepts connections until the node stops; with an identity, only under TLS.
pub async fn accept<B: Backplane>(
    node: Arc<Node<B>>,
    listener: TcpListener,
    port: Port,
    identity: Option<Arc<Identity>>,
) {
    let mut stopping = node.stopping();
    let mut share = Share::new(clock::now(), ACCEPT_PARTS);
    let complaints = Bucket::every(clock::now(), COMPLAIN_EVERY, 1);
    let mut door = Door { node, port, identity, complaints };
    loop {
        let first = tokio::select! {
            first = listener.accept() => first,
            _ = stopping.changed() => return,
        };
        let begun = clock::now();
        let mut come = Some(first);
        let mut left = ACCEPTS_AT_ONCE;
        while let Some(accepted) = come.take() {
            left -= 1;
            match accepted {
                Ok((stream, peer)) => door.handle(stream, peer),
                Err(error) if door.is_trouble(&error) => tokio::time::sleep(ACCEPT_PAUSE).await,
                Err(_) => {}
            }
            come = if left > 0 { listener.accept().now_or_never() } else { None };
        }
        // The tasks that were made have their turn, and belong to this one.
        tokio::task::yield_now().await;
        if let Some(rested) = share.handle_turn(begun, clock::now()) {
            tokio::time::sleep_until(rested.into()).await;
        }
    }
}

impl<B: Backplane> Door<B> {
    fn handle(&self, stream: TcpStream, peer: SocketAddr) {
        let pass = match self.port {
            Port::Players => self.node.gate.socket(self.known_client(peer)),
            Port::Operators => self.node.gate.operators_socket(),
        };
        let Ok(pass) = pass else {
            self.node.metrics.sockets_refused.add(1);
            return;
        };
        let _ = stream.set_nodelay(true);
        backlog::limit(&stream);
        let (node, port, identity) = (Arc::clone(&self.node), self.port, self.identity.clone());
        self.node.tasks.spawn(attend(node, stream, peer, port, (identity, pass)));
    }

    /// Whether the system takes no connections. Where it was one that is gone again already, it does.
    fn is_trouble(&mut self, error: &io::Error) -> bool {
        if error.kind() == ErrorKind::ConnectionAborted {
            return false;
        }
        self.node.metrics.accepts_failed.add(1);
        if self.complaints.take(clock::now()) {
            tracing::warn!(%error, "connections cannot be accepted; those that are there go on");
        }
        true
    }

    /// Whose socket it is, where that can be told from its address: a trusted proxy's is somebody's behind it.
    fn known_client(&self, peer: SocketAddr) -> Option<IpAddr> {
        let is_proxy = forwarded::is_trusted(&self.node.settings.exposure.proxies, peer.ip());
        (!is_proxy).then_some(peer.ip())
    }
}

/// Serves a connection until it ends or is a WebSocket. What TLS takes, kilobytes, is there only where TLS is: each of those who
/// connect and say nothing holds what this does.
async fn attend<B: Backplane>(
    node: Arc<Node<B>>,
    stream: TcpStream,
    peer: SocketAddr,
    port: Port,
    (identity, pass): (Option<Arc<Identity>>, Pass),
) {
    match identity {
        None => serve(node, stream, peer, port).await,
        Some(identity) => Box::pin(secure(node, stream, peer, port, identity)).await,
    }
    drop(pass);
}

/// Serves a connection once its handshake is done.
async fn secure<B: Backplane>(
    node: Arc<Node<B>>,
    stream: TcpStream,
    peer: SocketAddr,
    port: Port,
    identity: Arc<Identity>,
) {
    let mut stopping = node.stopping();
    let shaken = tokio::select! {
        shaken = tls::shake_hands(&identity, stream) => shaken,
        _ = stopping.changed() => return,
    };
    match shaken {
        Ok(stream) => serve(node, stream, peer, port).await,
        Err(error) => {
            node.metrics.tls_refused.add(1);
            tracing::debug!(%peer, %error, "no TLS");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backplane::memory::MemoryBackplane;

    /// What a task for it takes.
    fn bytes_of<A, B, C, D, E, F>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn who_says_nothing_holds_less_than_a_kilobyte() {
        let bytes = bytes_of(attend::<MemoryBackplane>);
        assert!(bytes < 1024, "{bytes} bytes");
    }
}
