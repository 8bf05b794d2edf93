//! The lines of `cases.txt`: what each case sends, frame by frame, and in which chops.

use harness::raw::{MASK, head};

/// Opcodes by their names.
const OPCODES: [(&str, u8); 6] =
    [("more", 0), ("text", 1), ("binary", 2), ("close", 8), ("ping", 9), ("pong", 10)];
/// Octets of a payload that are made at once.
const BLOCK: usize = 16 * 1024;

/// A case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) number: String,
    pub(super) chops: Chops,
    /// The close code; `None` where the connection goes on.
    pub(super) end: Option<u16>,
    pub(super) steps: Vec<Step>,
}

/// How octets are given to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chops {
    Whole,
    Frames,
    By(usize),
    At(Vec<usize>),
}

/// What is done next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Frame),
    Wait,
}

/// A frame: its payload is the unit, as often as it takes to be so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: u8,
    pub(super) is_final: bool,
    pub(super) reserved: u8,
    unit: Vec<u8>,
    pub(super) length: usize,
}

impl Frame {
    /// The same with another payload and opcode.
    pub(super) fn with(&self, opcode: u8, payload: &[u8]) -> Frame {
        Frame { opcode, unit: payload.to_vec(), length: payload.len(), ..self.clone() }
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        self.unit.iter().copied().cycle().take(self.length).collect()
    }

    /// Its octets, masked: the head, then blocks of the payload.
    pub(super) fn octets(&self) -> impl Iterator<Item = Vec<u8>> + use<'_> {
        let first = u8::from(self.is_final) << 7 | self.reserved << 4 | self.opcode;
        let plain = self.unit.repeat(MASK.len());
        let period: Vec<u8> =
            plain.iter().zip(MASK.iter().cycle()).map(|(octet, mask)| octet ^ mask).collect();
        let stock = period.repeat(BLOCK.min(self.length) / period.len().max(1) + 2);
        let blocks = (0..self.length).step_by(BLOCK).map(move |at| {
            let begin = at % period.len();
            stock[begin..begin + BLOCK.min(self.length - at)].to_vec()
        });
        std::iter::once(head(first, self.length as u64)).chain(blocks)
    }
}

/// The cases of a list.
///
/// # Panics
/// When a line makes no sense.
pub(super) fn read(list: &str) -> Vec<Case> {
    let lines = list.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| case(line).unwrap_or_else(|| panic!("no case: {line}"))).collect()
}

fn case(line: &str) -> Option<Case> {
    let mut cells = line.splitn(4, '|').map(str::trim);
    let (number, chops, end, frames) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let (how, sizes) = chops.split_once(' ').unwrap_or((chops, ""));
    let sizes: Option<Vec<usize>> = sizes.split_whitespace().map(|size| size.parse().ok()).collect();
    let chops = match (how, sizes?.as_slice()) {
        ("whole", []) => Chops::Whole,
        ("frames", []) => Chops::Frames,
        ("octets", []) => Chops::By(1),
        ("by", [size]) => Chops::By(*size),
        ("at", at) => Chops::At(at.to_vec()),
        _ => return None,
    };
    let end = if end == "on" { None } else { Some(end.parse().ok()?) };
    let mut steps = Vec::new();
    let mut rest = frames;
    while !rest.is_empty() {
        let (one, behind) = first_of_list(rest);
        steps.extend(step(one.trim())?);
        rest = behind.trim_start();
    }
    Some(Case { number: number.to_owned(), chops, end, steps })
}

/// What stands before the first comma that is within no quotes, and what is behind it.
fn first_of_list(list: &str) -> (&str, &str) {
    let mut is_quoted = false;
    for (at, sign) in list.char_indices() {
        is_quoted ^= sign == '"';
        if sign == ',' && !is_quoted {
            return (&list[..at], &list[at + 1..]);
        }
    }
    (list, "")
}

fn step(text: &str) -> Option<Vec<Step>> {
    if text == "wait" {
        return Some(vec![Step::Wait]);
    }
    let (kind, payload) = text.split_once(' ').unwrap_or((text, ""));
    let (reserved, kind) = match kind.split_once(':') {
        Some((reserved, kind)) => (reserved.strip_prefix("rsv")?.parse().ok()?, kind),
        None => (0, kind),
    };
    let is_final = !kind.ends_with('+');
    let kind = kind.trim_end_matches('+');
    let known = OPCODES.iter().find(|(name, _)| *name == kind).map(|(_, opcode)| *opcode);
    let opcode = known.or_else(|| kind.strip_prefix("op")?.parse().ok())?;
    let (payload, cut) = payload.rsplit_once(" in ").unwrap_or((payload, ""));
    let (unit, length) = bytes(kind, payload)?;
    let frame = Frame { opcode, is_final, reserved, unit, length };
    if cut.is_empty() {
        return Some(vec![Step::Send(frame)]);
    }
    let size: usize = cut.parse().ok()?;
    let count = length.div_ceil(size);
    let cut = (0..count).map(|number| {
        let opcode = if number == 0 { opcode } else { 0 };
        let unit = frame.unit.clone();
        Step::Send(Frame {
            opcode,
            unit,
            is_final: number + 1 == count,
            length: size.min(length - number * size),
            ..frame
        })
    });
    Some(cut.collect())
}

/// The unit of a payload, and how long the payload is.
fn bytes(kind: &str, text: &str) -> Option<(Vec<u8>, usize)> {
    let is_code = kind == "close" && text.starts_with(|sign: char| sign.is_ascii_digit());
    if is_code {
        let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
        let (reason, length) = bytes("", reason)?;
        let reason = reason.iter().copied().cycle().take(length);
        let payload: Vec<u8> = code.parse::<u16>().ok()?.to_be_bytes().into_iter().chain(reason).collect();
        let length = payload.len();
        return Some((payload, length));
    }
    let (unit, length) = match text.rsplit_once('*') {
        Some((unit, length)) if length.bytes().all(|sign| sign.is_ascii_digit()) && !length.is_empty() => {
            (unit, Some(length.parse().ok()?))
        }
        _ => (text, None),
    };
    let unit = match unit.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?.as_bytes().to_vec(),
        None => {
            let digits = unit.as_bytes().chunks(2).map(|two| str::from_utf8(two).ok());
            digits.map(|two| u8::from_str_radix(two?, 16).ok()).collect::<Option<Vec<u8>>>()?
        }
    };
    let length = length.unwrap_or(unit.len());
    Some((unit, length))
}
