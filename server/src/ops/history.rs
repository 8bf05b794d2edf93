//! The node's history: what it did with each match, one line an event, for `tickcast check`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tickcast_protocol::history::{Event, Record};
use tickcast_protocol::{MatchId, NodeId};

/// A file that events are appended to. Each line is one write of its own without a buffer in this process: it is in
/// the page cache when the call returns, where a killed process leaves it.
#[derive(Debug)]
pub struct History {
    file: File,
    by: String,
    failed: AtomicBool,
}

impl History {
    /// Opens the file, or makes it. A line that a killed process left unfinished is ended.
    pub fn open(path: &Path, node: &NodeId) -> io::Result<History> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        Ok(History { file, by: node.to_string(), failed: AtomicBool::new(false) })
    }

    /// Writes an event. What cannot be written is logged once, and nothing is written after it: a history with a
    /// hole would accuse the innocent.
    pub fn write(&self, at_us: u64, id: &MatchId, event: Event) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        let record = Record { at_us, by: self.by.clone(), match_id: id.clone(), event };
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
            tracing::error!(error, "the history cannot be written and ends here");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tickcast_protocol::Fence;

    use super::*;

    /// A file that is gone when the test is over.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let name = format!("tickcast-history-{name}-{}", std::process::id());
            Scratch(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn write(history: &History, at_us: u64) {
        history.write(at_us, &"m1".parse().unwrap(), Event::Fenced(Fence::default().into()));
    }

    #[test]
    fn lines_are_appended_and_a_torn_one_is_ended() {
        let scratch = Scratch::new("appended");
        let node = "n1".parse().unwrap();
        write(&History::open(&scratch.0, &node).unwrap(), 1);
        fs::OpenOptions::new().append(true).open(&scratch.0).unwrap().write_all(b"{\"at_us\":2").unwrap();
        write(&History::open(&scratch.0, &node).unwrap(), 3);
        let text = fs::read_to_string(&scratch.0).unwrap();
        let times: Vec<Option<u64>> =
            text.lines().map(|line| Record::from_line(line).ok().map(|record| record.at_us)).collect();
        assert_eq!(times, [Some(1), None, Some(3)], "{text}");
    }

    #[test]
    fn a_failure_ends_it() {
        let full = Path::new("/dev/full");
        let history = History {
            file: OpenOptions::new().write(true).open(full).unwrap(),
            by: "n1".to_owned(),
            failed: AtomicBool::new(false),
        };
        write(&history, 1);
        assert!(history.failed.load(Ordering::Relaxed));
        write(&history, 2);
    }
}
