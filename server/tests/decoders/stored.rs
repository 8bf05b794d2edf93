//! A match's hash that somebody else has written to: it is a match, or an error; and a match can be gone on with.

use bytes::Bytes;
use tickcast_protocol::{PlayerId, Position, ResumeToken, Tick};
use tickcast_server::backplane::MatchFields;
use tickcast_server::game::GameType;
use tickcast_server::games::Arena;
use tickcast_server::logic::resume::Proof;
use tickcast_server::logic::stored::{self, Restored, StoredError, StoredMatch};

use super::{codes, sample};

/// Ticks that are made of a match that could be read.
const TICKS: u64 = 3;
/// Edits of one input at most.
const EDITS_MAX: usize = 32;

/// One thing that is done to the hash: `form field length bytes`.
pub(crate) const SET: u8 = 0;
/// The field goes.
pub(crate) const REMOVE: u8 = 1;
/// Bytes of the field's value are changed: pairs of place and mask.
pub(crate) const FLIP: u8 = 2;
/// A field of another name, the bytes before the first blank of these, has the rest for its value.
pub(crate) const ADD: u8 = 3;
/// The field `~hash` is what the state's hash is.
pub(crate) const HASH: u8 = 4;

/// A match's hash with edits.
pub(crate) fn stored(input: &[u8]) -> bool {
    let mut fields = sample::fields();
    let mut signed = codes::signed().clone();
    let mut rest = input;
    for _ in 0..EDITS_MAX {
        let [form, field, length, behind @ ..] = rest else { break };
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        edit(&mut fields, *form, *field, bytes);
        edit(&mut signed, *form, *field, bytes);
        rest = behind;
    }
    look(&fields);
    codes::judged(&signed);
    match stored::restore(&fields) {
        Ok(restored) => {
            go_on(&fields, restored);
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 4096, "an error is for a person");
            false
        }
    }
}

fn edit(fields: &mut MatchFields, form: u8, field: u8, bytes: &[u8]) {
    let name = fields.keys().nth(usize::from(field) % fields.len().max(1)).cloned();
    let name = name.unwrap_or_else(|| "".into());
    match form % 5 {
        SET => drop(fields.insert(name, Bytes::copy_from_slice(bytes))),
        REMOVE => drop(fields.remove(&name[..])),
        FLIP => {
            let mut value = fields.get(&name[..]).map(|value| value.to_vec()).unwrap_or_default();
            for pair in bytes.chunks_exact(2) {
                let at = usize::from(pair[0]) % value.len().max(1);
                value.get_mut(at).into_iter().for_each(|byte| *byte ^= pair[1]);
            }
            fields.insert(name, value.into());
        }
        ADD => {
            let mut parts = bytes.splitn(2, |byte| *byte == b' ');
            let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            fields.insert(name.into(), Bytes::copy_from_slice(value));
        }
        _ => {
            if let Err(StoredError::Hash { actual, .. }) = stored::restore(fields) {
                fields.insert("~hash".into(), format!("{actual:08x}").into());
            }
        }
    }
}

/// Whoever looks at a match without owning it: relays, resumes, lists, the inspector.
fn look(fields: &MatchFields) {
    let _ = stored::read_chat(fields);
    let _ = stored::retell(fields, |_, world| assert_eq!(world.hash(), world.recomputed_hash()));
    let _ = stored::restore_at(fields, Tick(20));
    if let Ok(stored) = StoredMatch::parse(fields) {
        let missed = stored::ticks_after(fields, &stored, Tick(stored.tick.0.saturating_sub(3)));
        assert!(missed.is_none_or(|ticks| ticks.len() <= 3));
        let shown = Position { fence: stored.fence, tick: stored.tick };
        let proof = Proof { player: PlayerId(1), token: ResumeToken([1; 16]), shown, attempt: 1 };
        let _ = proof.judge(fields);
    }
}

/// A match that could be read has the state that its hash names; if it is of the game's version, its next owner makes
/// ticks of it, and what that owner writes can be read as well.
fn go_on(fields: &MatchFields, restored: Restored) {
    assert_eq!(restored.world.recomputed_hash(), restored.stored.hash);
    let info = Arena.info(&restored.stored.options);
    if info.map(|info| info.schema.hash()) != Ok(restored.stored.schema.hash()) {
        return;
    }
    let Ok(mut simulation) = sample::resumed(fields) else { return };
    for tick in 0..TICKS {
        let produced = simulation.handle_tick(tick);
        assert_eq!(produced.commit.tick, simulation.position().tick);
        assert_eq!(simulation.world().hash(), simulation.world().recomputed_hash());
    }
}
