//! The hash of one entity: MurmurHash3 x86-32 (Austin Appleby, public domain) over 32-bit little-endian words.
//! A world's hash is the sum of its entities' hashes modulo 2^32, so it follows changes in any order.

/// Hashes words one after another.
pub(crate) struct WordHasher {
    state: u32,
    words: u32,
}

impl WordHasher {
    /// Begins with seed 0.
    pub(crate) fn new() -> Self {
        WordHasher { state: 0, words: 0 }
    }

    /// Takes one word in.
    pub(crate) fn word(&mut self, word: u32) {
        let scrambled = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        self.state = (self.state ^ scrambled).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        self.words = self.words.wrapping_add(1);
    }

    /// Takes a text in: its length in bytes as one word, then its bytes, zero-padded to whole words.
    pub(crate) fn text(&mut self, text: &str) {
        self.word(text.len() as u32);
        for chunk in text.as_bytes().chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u32::from_le_bytes(word));
        }
    }

    /// The finished hash.
    pub(crate) fn finish(self) -> u32 {
        let mut h = self.state ^ self.words.wrapping_mul(4);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_murmur3_x86_32() {
        // Vectors of the reference implementation, seed 0: "" and "test".
        assert_eq!(WordHasher::new().finish(), 0);
        let mut hasher = WordHasher::new();
        hasher.word(u32::from_le_bytes(*b"test"));
        assert_eq!(hasher.finish(), 0xba6b_d213);
    }
}
