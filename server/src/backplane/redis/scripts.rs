//! The Lua scripts: each is one uninterrupted step of the store. `store.rs` is their model, field by field.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, cmd};

/// A script, run by its digest; the server gets its text when it does not know it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

/// All scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) claim: Script,
    pub(super) commit: Script,
    pub(super) release: Script,
    pub(super) notify: Script,
    pub(super) end: Script,
    pub(super) forget: Script,
}

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("prelude.lua"), include_str!($file)))
    };
}

impl Scripts {
    pub(super) fn new() -> Scripts {
        Scripts {
            create: script!("create.lua"),
            claim: script!("claim.lua"),
            commit: script!("commit.lua"),
            release: script!("release.lua"),
            notify: script!("notify.lua"),
            end: script!("end.lua"),
            forget: script!("forget.lua"),
        }
    }
}

impl Script {
    fn new(text: &'static str) -> Script {
        Script { text, digest: redis::Script::new(text).get_hash().to_owned() }
    }

    /// A call with these keys; the arguments are to be added.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.digest).arg(keys.len()).arg(keys);
        call
    }

    /// Runs a call made by [`Script::call`].
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        call: &Cmd,
        mut link: MultiplexedConnection,
    ) -> RedisResult<T> {
        match call.query_async(&mut link).await {
            // The server has been restarted or replaced. It has run nothing, so repeating is safe.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let () = cmd("SCRIPT").arg("LOAD").arg(self.text).query_async(&mut link).await?;
                call.query_async(&mut link).await
            }
            outcome => outcome,
        }
    }
}
