//! How a node leaves its cluster: every match goes to another node, then every client is asked to.

use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::message::ServerMessage;

use crate::backplane::Backplane;
use crate::io::clock;
use crate::io::match_task::MatchOrder;
use crate::io::node::Node;
use crate::io::sink::Sink;

/// How often it is looked whether something is over.
const LOOK: Duration = Duration::from_millis(5);
/// Clients connect anew within this time, and longer if they are many.
const RECONNECT_MIN: Duration = Duration::from_millis(1000);
/// What each connection adds to it.
const RECONNECT_EACH: Duration = Duration::from_micros(500);
/// What a client may take besides, to be connected elsewhere.
const RECONNECT_GRACE: Duration = Duration::from_millis(1000);

impl<B: Backplane> Node<B> {
    /// Leaves: nothing new is taken, matches are handed over, clients are told to connect elsewhere. Ends when
    /// all have gone or the patience is over; what is left then is [`Node::stop`]'s.
    pub async fn drain(self: &Arc<Self>, patience: Duration) {
        let deadline = clock::now() + patience;
        self.leave();
        let _ = self.enlist().await;
        let Ok(mut candidates) = self.candidates().await else { return };
        if candidates.is_empty() {
            return;
        }
        let owned: Vec<_> =
            self.owned.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect();
        tracing::info!(matches = owned.len(), connections = self.sessions.len(), "leaving the cluster");
        for (id, orders) in owned {
            // A match that has just ended takes no orders.
            let _ = orders.try_send(MatchOrder::HandOver(candidates.choose(&id)));
        }
        while !self.owned.is_empty() && clock::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        let sinks: Vec<Arc<Sink>> = self.sessions.iter().map(|entry| Arc::clone(entry.value())).collect();
        let within = RECONNECT_MIN + RECONNECT_EACH * sinks.len() as u32;
        for sink in sinks {
            let url = candidates.next_url().to_owned();
            sink.send_control(
                &ServerMessage::Reconnect { within_ms: within.as_millis() as u32, url }.to_frame(),
            );
        }
        let deadline = deadline.min(clock::now() + within + RECONNECT_GRACE);
        while !self.sessions.is_empty() && clock::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }
}
