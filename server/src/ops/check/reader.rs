//! Reads a history line by line, however long it is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use tickcast_protocol::history::{BadLine, Record};
use tickcast_protocol::limits::HISTORY_LINE_BYTES_MAX;

/// Hands over every record of a file with the number of its line. Returns how many lines stop in the middle, as a
/// killed writer may leave its last one.
pub(super) fn read(path: &Path, take: impl FnMut(u32, Record)) -> Result<u64, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    read_from(BufReader::new(file), take).map_err(|(line, error)| format!("{shown}:{line}: {error}"))
}

fn read_from(mut from: impl BufRead, mut take: impl FnMut(u32, Record)) -> Result<u64, (u32, String)> {
    let (mut line, mut torn, mut bytes) = (0, 0, Vec::new());
    loop {
        bytes.clear();
        line += 1;
        let most = HISTORY_LINE_BYTES_MAX as u64 + 1;
        match from.by_ref().take(most).read_until(b'\n', &mut bytes) {
            Ok(0) => return Ok(torn),
            Ok(_) if bytes == b"\n" => continue,
            Ok(_) => {}
            Err(error) => return Err((line, error.to_string())),
        }
        let parsed = str::from_utf8(&bytes).map_err(|error| BadLine::Unreadable(error.to_string()));
        match parsed.and_then(Record::from_line) {
            Ok(record) => take(line, record),
            Err(BadLine::Torn) => torn += 1,
            Err(error) => return Err((line, error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Result<(u64, Vec<u32>), (u32, String)> {
        let mut lines = Vec::new();
        read_from(text, |line, _| lines.push(line)).map(|torn| (torn, lines))
    }

    const LINE: &str = "{\"at_us\":1,\"by\":\"a\",\"match\":\"m\",\"event\":\"closed\",\
                        \"session\":\"0000000000000001\",\"code\":1000}";

    #[test]
    fn torn_lines_are_counted_and_others_refused() {
        let text = format!("{LINE}\n\n{}\n{LINE}\n{}", &LINE[..30], &LINE[..50]);
        assert_eq!(lines(text.as_bytes()), Ok((2, vec![1, 4])));
        assert_eq!(lines(LINE.as_bytes()), Ok((0, vec![1])), "whole, but for its end");
        assert_eq!(lines(b""), Ok((0, vec![])));
        assert_eq!(lines(format!("{LINE}\nhello\n").as_bytes()).unwrap_err().0, 2);
        assert_eq!(lines(b"\xff\n").unwrap_err().0, 1);
        let endless = vec![b' '; HISTORY_LINE_BYTES_MAX + 9];
        assert!(lines(&endless).unwrap_err().1.contains("longer than"));
    }
}
