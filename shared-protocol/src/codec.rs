//! Control messages as bytes. The only file that names bincode, so that it can be replaced.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::SERVER_CONTROL_BYTES_MAX;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// Not a value of the expected type, or longer than the limit.
    #[error("not a message: {0}")]
    Invalid(String),
    /// A message, then more.
    #[error("{0} bytes after the message")]
    Trailing(usize),
    /// A text is longer than allowed.
    #[error("{0} is too long")]
    Field(&'static str),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<SERVER_CONTROL_BYTES_MAX>()
}

/// Appends a message: bincode 2.0.1, standard configuration (little endian, varints).
pub fn encode_into<M: Serialize>(message: &M, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(message, out, bincode::config::standard())
        .expect("plain data into a vector always encodes");
}

/// A message as bytes.
pub fn encode<M: Serialize>(message: &M) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(message, &mut out);
    out
}

/// Reads what a message begins with, whatever comes behind it.
pub fn decode_prefix<M: DeserializeOwned>(bytes: &[u8]) -> Option<M> {
    bincode::serde::decode_from_slice(bytes, config()).ok().map(|(prefix, _)| prefix)
}

/// Reads exactly one message; bytes behind it are an error.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, MessageError> {
    let (message, used) = bincode::serde::decode_from_slice(bytes, config())
        .map_err(|error| MessageError::Invalid(error.to_string()))?;
    if used == bytes.len() { Ok(message) } else { Err(MessageError::Trailing(bytes.len() - used)) }
}
