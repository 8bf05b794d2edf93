//! What a node writes down of the matches that it owns, for `tickcast check`. Each event is one write to a file
//! opened for appending, so that a node that is killed has lost at most the line it was writing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tickcast_protocol::MatchId;
use tickcast_protocol::history::{Event, Line};

use crate::io::clock;

/// A node's history.
#[derive(Debug)]
pub struct History {
    file: File,
    by: String,
    broken: AtomicBool,
}

impl History {
    /// Goes on with a file, or begins it.
    pub fn open(path: &Path, by: &str) -> std::io::Result<History> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(History { file, by: by.to_owned(), broken: AtomicBool::new(false) })
    }

    /// Writes an event down. After a failure nothing more is written: a history with holes proves nothing.
    pub fn write(&self, id: &MatchId, event: Event) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        let line = Line { at_us: clock::unix_us(), by: self.by.clone(), id: id.clone(), event };
        if let Err(error) = (&self.file).write_all(line.to_line().as_bytes())
            && !self.broken.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "the history cannot be written any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::history::At;
    use tickcast_protocol::{PlayerId, Position};

    use super::*;

    #[test]
    fn what_is_written_is_appended_and_there_at_once() {
        let path = std::env::temp_dir().join(format!("tickcast-history-{:016x}", rand::random::<u64>()));
        let at = At::from(Position::default());
        for _ in 0..2 {
            let history = History::open(&path, "n1").unwrap();
            history.write(
                &"m1".parse().unwrap(),
                Event::Committing {
                    at,
                    hash: 1,
                    inputs: vec![(PlayerId(1), tickcast_protocol::InputSeq(2))],
                },
            );
            history.write(&"m1".parse().unwrap(), Event::Committed { at });
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<Line> = text.lines().map(|line| Line::from_line(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3].event, Event::Committed { at });
        assert!(lines[0].at_us <= lines[3].at_us);
    }
}
