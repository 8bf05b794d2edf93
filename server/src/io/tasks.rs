//! The only spawner: every task of a node is owned here, its panic is logged, and all end with the node.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

/// The tasks of a node.
#[derive(Clone, Default)]
pub struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    /// Runs a future as a task of the node.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.lock();
        while let Some(ended) = set.try_join_next() {
            report(ended);
        }
        set.spawn(future);
    }

    /// Waits until every task has ended, at most this long; then ends the rest.
    pub async fn finish(&self, patience: Duration) {
        let mut set = std::mem::take(&mut *self.lock());
        let all = async {
            while let Some(ended) = set.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(left = set.len(), "tasks did not end in time");
        }
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task panicked: its match or connection ended");
    }
}
