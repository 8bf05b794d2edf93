//! What a node has to do with frames, by the rules alone: those of RFC 6455, and tickcast's own. It shares no code with
//! the node.

use super::script::Frame;

/// Octets of a message at most.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Octets of a control frame's payload at most (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// What is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// The answers to pings, in their order.
    pub(super) pongs: Vec<Vec<u8>>,
    /// The close code; `None` while the connection goes on.
    pub(super) close: Option<u16>,
}

/// A message that is not whole.
struct Begun {
    is_text: bool,
    bytes: Vec<u8>,
}

/// What is due for these frames; `ours` is the one binary message that makes sense.
pub(super) fn judge<'f>(frames: impl Iterator<Item = &'f Frame>, ours: Option<&[u8]>) -> Due {
    let (mut due, mut begun) = (Due::default(), None);
    for frame in frames {
        let is_control = frame.opcode & 8 != 0;
        due.close = if is_control { control(frame, &mut due.pongs) } else { data(frame, &mut begun, ours) };
        if due.close.is_some() {
            break;
        }
    }
    due
}

fn control(frame: &Frame, pongs: &mut Vec<Vec<u8>>) -> Option<u16> {
    // Sections 5.2 and 5.5.
    if frame.reserved != 0 || !frame.is_final || frame.length > CONTROL_BYTES_MAX {
        return Some(1002);
    }
    match frame.opcode {
        8 => Some(close(&frame.payload())),
        9 => {
            pongs.push(frame.payload());
            None
        }
        10 => None,
        _ => Some(1002),
    }
}

/// The code that a close frame is answered with (sections 5.5.1 and 7.4).
fn close(payload: &[u8]) -> u16 {
    let code = match payload {
        [] => return 1000,
        [_] => return 1002,
        [high, low, ..] => u16::from_be_bytes([*high, *low]),
    };
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 if str::from_utf8(&payload[2..]).is_err() => 1007,
        // Either end may say that the other one broke a rule; it is told the same.
        1002 => 1002,
        1000..=1003 | 1007..=1014 | 3000..=4999 => 1000,
        _ => 1002,
    }
}

fn data(frame: &Frame, begun: &mut Option<Begun>, ours: Option<&[u8]>) -> Option<u16> {
    // Sections 5.2 and 5.4.
    if frame.reserved != 0 || frame.opcode > 2 || begun.is_some() != (frame.opcode == 0) {
        return Some(1002);
    }
    let message = begun.get_or_insert_with(|| Begun { is_text: frame.opcode == 1, bytes: Vec::new() });
    if message.bytes.len() + frame.length > MESSAGE_BYTES_MAX {
        return Some(1009);
    }
    message.bytes.extend(frame.payload());
    if message.is_text && !may_become_text(&message.bytes, frame.is_final) {
        return Some(1007);
    }
    if !frame.is_final {
        return None;
    }
    let message = begun.take()?;
    match message.is_text {
        true => Some(1003),
        false if Some(message.bytes.as_slice()) == ours => None,
        false => Some(4500),
    }
}

/// Section 8.1. What is not whole may end within a character.
fn may_become_text(bytes: &[u8], is_whole: bool) -> bool {
    match str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !is_whole && error.error_len().is_none(),
    }
}
