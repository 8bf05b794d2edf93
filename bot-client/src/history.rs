//! The bots' history: what each saw and sent, one line an event, for `tickcast check`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tickcast_protocol::MatchId;
use tickcast_protocol::history::{Event, Record};

use crate::clock::unix_us;

/// A file that events are appended to, also by other processes: each line is one write of its own.
#[derive(Debug)]
pub(crate) struct History {
    file: File,
    failed: AtomicBool,
}

impl History {
    /// Opens the file, or makes it. A line that a killed process left unfinished is ended.
    pub(crate) fn open(path: &Path) -> io::Result<History> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        Ok(History { file, failed: AtomicBool::new(false) })
    }

    /// Writes an event of a bot. After a line that cannot be written there are no more.
    pub(crate) fn write(&self, bot: u64, match_id: &MatchId, event: Event) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        let record = Record { at_us: unix_us(), by: format!("bot-{bot}"), match_id: match_id.clone(), event };
        let written = record.to_line().map_err(|error| error.to_string()).and_then(|line| {
            match (&self.file).write(line.as_bytes()) {
                Ok(bytes) if bytes == line.len() => Ok(()),
                Ok(bytes) => Err(format!("only {bytes} of {} bytes were written", line.len())),
                Err(error) => Err(error.to_string()),
            }
        });
        if let Err(error) = written
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            eprintln!("error: the history cannot be written and ends here: {error}");
        }
    }
}
