//! The Lua scripts: each is one uninterrupted step of the store. `store.rs` is their model, field by field.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, cmd};

use super::connection::Link;

/// A script, run by its digest; the server gets its text when it does not know it.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
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
    pub(super) revive: Script,
}

impl Scripts {
    /// The scripts for a server on which this command publishes.
    pub(super) fn new(publish: &str) -> Scripts {
        let script = |text: &str| Script::new(publish, "", text);
        Scripts {
            create: script(include_str!("create.lua")),
            claim: script(include_str!("claim.lua")),
            commit: Script::new(publish, include_str!("tick.lua"), include_str!("commit.lua")),
            release: script(include_str!("release.lua")),
            notify: script(include_str!("notify.lua")),
            end: script(include_str!("end.lua")),
            revive: script(include_str!("revive.lua")),
        }
    }
}

impl Script {
    /// A script of what stands before the prelude, and what stands behind it.
    fn new(publish: &str, before: &str, text: &str) -> Script {
        let text = format!("local PUBLISH = '{publish}'\n{before}{}{text}", include_str!("prelude.lua"));
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Script { text, digest }
    }

    /// A call with these keys; the arguments are to be added.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.digest).arg(keys.len()).arg(keys);
        call
    }

    /// Runs a call made by [`Script::call`].
    pub(super) async fn run<T: FromRedisValue>(&self, call: &Cmd, mut link: Link) -> RedisResult<T> {
        match link.query(call).await {
            // The server has been restarted or replaced. It has run nothing, so repeating is safe.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let () = link.query(cmd("SCRIPT").arg("LOAD").arg(&self.text)).await?;
                link.query(call).await
            }
            outcome => outcome,
        }
    }
}
