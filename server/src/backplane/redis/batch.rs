//! Commands that are ready at the same moment, sent to the server as one pipeline: one write, one wake-up of the server and
//! one answer, whoever asked. Matches tick in groups, so a group's commits are ready together.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value, pipe};
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Commands of one batch: more would keep the server waiting for the first of them.
const COMMANDS_MAX: usize = 16;

/// What waits to be sent on one connection.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    call: Cmd,
    answer: oneshot::Sender<RedisResult<Value>>,
}

/// What somebody who brings a command has to do.
enum Turn<'b> {
    /// It is the first: it lets others come, and sends what there is then.
    First(Leading<'b>),
    /// It is the last that a batch has room for: it sends them.
    Last(Vec<Waiting>),
    /// Another sends it.
    Follow,
}

/// Means to send what waits. If it gives up before, whoever waits is told.
struct Leading<'b>(&'b Batcher);

impl Leading<'_> {
    /// What waits; whoever comes next is another's.
    fn take(self) -> Vec<Waiting> {
        let batch = self.0.take();
        mem::forget(self);
        batch
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.take();
    }
}

impl Batcher {
    /// Sends a command together with those of other tasks that are ready to run now, and waits for its own answer. The
    /// connection has to be the one that this batcher belongs to.
    pub(super) async fn query(
        &self,
        connection: &mut MultiplexedConnection,
        call: &Cmd,
    ) -> RedisResult<Value> {
        let (answer_tx, answer) = oneshot::channel();
        match self.enter(Waiting { call: call.clone(), answer: answer_tx }) {
            Turn::First(leading) => {
                yield_now().await;
                send(connection, leading.take()).await;
            }
            Turn::Last(batch) => send(connection, batch).await,
            Turn::Follow => {}
        }
        answer.await.unwrap_or_else(|_| Err(unsent()))?.extract_error()
    }

    fn enter(&self, new: Waiting) -> Turn<'_> {
        let mut waiting = self.lock();
        waiting.push(new);
        match waiting.len() {
            COMMANDS_MAX => Turn::Last(mem::take(&mut *waiting)),
            1 => Turn::First(Leading(self)),
            _ => Turn::Follow,
        }
    }

    fn take(&self) -> Vec<Waiting> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what there is, and gives everybody its answer.
async fn send(connection: &mut MultiplexedConnection, batch: Vec<Waiting>) {
    let (calls, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|Waiting { call, answer }| (call, answer)).unzip();
    let outcome = match &calls[..] {
        // A batch before took them along.
        [] => return,
        [call] => connection.req_packed_command(call).await.map(|value| vec![value]),
        _ => {
            let mut all = pipe();
            let count = calls.len();
            for call in calls {
                all.add_command(call);
            }
            connection.req_packed_commands(&all, 0, count).await
        }
    };
    match outcome {
        // Whoever asked may have given up.
        Ok(values) => {
            answers.into_iter().zip(values).for_each(|(answer, value)| drop(answer.send(Ok(value))))
        }
        Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone())))),
    }
}

/// The connection may be as good as ever: it is not to be replaced for this.
fn unsent() -> RedisError {
    RedisError::from((ErrorKind::Client, "whoever was to send the command gave up"))
}
