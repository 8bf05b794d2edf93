//! One adapter per protocol: they differ in how one joins and in what an input is; updates are only counted.

pub(crate) mod colyseus;
pub(crate) mod floor;
pub(crate) mod tickcast;

/// Whether the bytes hold this number, which no others hold by design and hardly any by chance.
fn holds(payload: &[u8], number: [u8; 4]) -> bool {
    payload.windows(4).any(|window| window == number)
}
