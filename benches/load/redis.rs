//! A Redis of our own, on a free port: it ends with its value, and what it kept goes with it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use super::process::{Process, free_address, programs};
use super::websocket::ANSWER_WITHIN;

/// What a Redis writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keeps {
    /// Nothing
    Nothing,
    /// Every write, in an append-only file that is synced once a second
    Everysec,
}

impl Keeps {
    /// Its name, as on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Process,
    at: SocketAddr,
    _folder: TempDir,
}

impl Redis {
    /// Starts one on this core.
    pub(crate) fn start(core: Option<usize>, keeps: Keeps) -> io::Result<Redis> {
        let at = free_address()?;
        // Beside our programs: the folder for temporary files may be memory.
        let folder = tempfile::tempdir_in(programs()?)?;
        let (port, path) = (at.port().to_string(), folder.path().display().to_string());
        let append = if keeps == Keeps::Nothing { "no" } else { "yes" };
        let mut args = vec!["--port", &port, "--bind", "127.0.0.1", "--dir", &path, "--save", ""];
        args.extend(["--appendonly", append, "--appendfsync", "everysec"]);
        // The file is not written anew meanwhile: that is the work of a process of its own, which nobody counts here.
        args.extend(["--auto-aof-rewrite-percentage", "0"]);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let mut process = Process::start("redis", OsStr::new("redis-server"), &args, core)?;
        process.until_listening(at)?;
        Ok(Redis { process, at, _folder: folder })
    }

    /// Its number as a process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Keys that it has.
    pub(crate) fn keys(&self) -> io::Result<u64> {
        let mut stream = TcpStream::connect(self.at)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(b"DBSIZE\r\n")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        let count = answer.strip_prefix(':').and_then(|count| count.trim_end().parse().ok());
        count.ok_or_else(|| io::Error::other(format!("Redis does not count its keys: {answer}")))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.at
    }

    /// The same as an address for clients.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.at)
    }
}
