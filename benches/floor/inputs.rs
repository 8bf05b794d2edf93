//! The floor's inputs: masked WebSocket frames of eight bytes, the last four of which are shown to everybody.

/// Calls `each` with the last four bytes of every input. False when the client closes or sends anything else.
pub(super) fn for_each_input(mut bytes: &[u8], mut each: impl FnMut([u8; 4])) -> bool {
    while let [first, length, rest @ ..] = bytes {
        let length = usize::from(length ^ 0x80);
        // Not masked or longer than an input is, or no data: nothing that our clients would send.
        if length > 125 || first & 0x0f != 2 || rest.len() < 4 + length {
            return false;
        }
        let (mask, rest) = rest.split_at(4);
        let (input, rest) = rest.split_at(length);
        if let [_, _, _, _, a, b, c, d] = input {
            each([a ^ mask[0], b ^ mask[1], c ^ mask[2], d ^ mask[3]]);
        }
        bytes = rest;
    }
    bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::websocket::{self, BINARY, CLOSE};

    #[test]
    fn inputs_are_unmasked_and_all_else_ends_a_connection() {
        let mut bytes = Vec::new();
        websocket::put(&mut bytes, BINARY, &[0, 0, 0, 0, 1, 2, 3, 4], [7, 8, 9, 10]);
        websocket::put(&mut bytes, BINARY, &[0, 0, 0, 0, 5, 6, 7, 8], [200, 100, 50, 25]);
        let mut seen = Vec::new();
        assert!(for_each_input(&bytes, |aim| seen.push(aim)));
        assert_eq!(seen, [[1, 2, 3, 4], [5, 6, 7, 8]]);
        let mut close = Vec::new();
        websocket::put(&mut close, CLOSE, &[], [0; 4]);
        for bad in [&bytes[..9], &close, &[0x82, 1, 0], &[0x82]] {
            assert!(!for_each_input(bad, |_| {}), "{bad:?}");
        }
    }
}
