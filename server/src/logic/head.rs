//! When the head of a request is worth looking into: once it is whole, or once it can be seen that it will never be. Until
//! then nothing but its bytes is kept for whoever sends it.

/// What is known of a head of which not all has come.
#[derive(Debug, Default)]
pub struct Head {
    is_begun: bool,
    is_line_empty: bool,
}

impl Head {
    /// More of it has come. Whether it is to be looked into now: an empty line ends it, and what does not begin as a request is
    /// none.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(first) = bytes.first() else { return false };
        let is_request = self.is_begun || first.is_ascii_alphabetic() || matches!(first, b'\r' | b'\n');
        self.is_begun = true;
        !is_request || bytes.iter().any(|byte| self.ends_with(*byte))
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' if self.is_line_empty => return true,
            b'\n' => self.is_line_empty = true,
            b'\r' => {}
            _ => self.is_line_empty = false,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many bytes it is looked into, byte by byte.
    fn taken(bytes: &[u8]) -> Option<usize> {
        let mut head = Head::default();
        let at = bytes.chunks(1).position(|byte| head.handle_bytes(byte)).map(|at| at + 1);
        assert_eq!(Head::default().handle_bytes(bytes), at.is_some(), "all at once");
        at
    }

    #[test]
    fn a_head_is_looked_into_when_it_is_whole() {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(taken(request), Some(request.len()));
        assert_eq!(taken(b"GET / HTTP/1.1\nHost: a\n\nmore"), Some(24), "RFC 9112 lets a line end so, too");
        assert_eq!(taken(&request[..request.len() - 1]), None);
        assert_eq!(taken(b"\r\n\r\nGET"), Some(4), "whatever comes behind is judged by who reads it");
        assert_eq!(taken(b""), None);
    }

    #[test]
    fn what_is_no_request_is_not_waited_for() {
        assert_eq!(taken(b"\x16\x03\x01"), Some(1));
        assert_eq!(taken(b"\xff\xff"), Some(1));
        assert_eq!(taken(b"\0"), Some(1));
    }
}
