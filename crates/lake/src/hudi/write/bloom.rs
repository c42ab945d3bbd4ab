//! The keys of a base file as its footer tells them: a filter that says which keys are not in it, for Hudi's Bloom index.
//!
//! The format is that of Hadoop's `DynamicBloomFilter` (`DYNAMIC_V0`): rows of bits, of which each takes a number of keys.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How many keys a row of bits takes at most, and how many keys are told apart.
const ROW_KEYS: usize = 60_000;
const MAX_KEYS: usize = 100_000;
const FALSE_POSITIVES: f64 = 1e-9;
/// What Hadoop writes before the fields of a filter, and its number for Murmur hashes.
const VERSION: i32 = -1;
const MURMUR: u8 = 1;

/// Collects the keys of a file. The size of the filter is known once there are enough of them, or all.
#[derive(Debug, Default)]
pub(super) struct KeyFilter {
    waiting: Vec<String>,
    rows: Option<Rows>,
}

impl KeyFilter {
    pub(super) fn add(&mut self, key: &str) {
        if let Some(rows) = &mut self.rows {
            return rows.add(key);
        }
        self.waiting.push(key.to_string());
        if self.waiting.len() == ROW_KEYS {
            self.rows = Some(Rows::of(&std::mem::take(&mut self.waiting)));
        }
    }

    /// The filter as a footer holds it.
    pub(super) fn text(self) -> String {
        let rows = self.rows.unwrap_or_else(|| Rows::of(&self.waiting));
        STANDARD.encode(rows.bytes())
    }
}

#[derive(Debug)]
struct Rows {
    bits: usize,
    hashes: usize,
    /// Keys that a row takes
    room: usize,
    rows: Vec<Vec<u8>>,
    keys: usize,
}

impl Rows {
    fn of(keys: &[String]) -> Self {
        let room = keys.len().max(1);
        let two = std::f64::consts::LN_2;
        let bits = (room as f64 * (-FALSE_POSITIVES.ln() / (two * two))).ceil() as usize;
        let hashes = (two * bits as f64 / room as f64).ceil() as usize;
        let mut rows = Self { bits, hashes, room, rows: vec![vec![0; bits.div_ceil(8)]], keys: 0 };
        keys.iter().for_each(|key| rows.add(key));
        rows
    }

    fn add(&mut self, key: &str) {
        let row = self.keys.min(MAX_KEYS - 1) / self.room;
        if row == self.rows.len() {
            self.rows.push(vec![0; self.bits.div_ceil(8)]);
        }
        self.keys += 1;
        let Some(row) = self.rows.last_mut() else { return };
        let mut seed = 0;
        for _ in 0..self.hashes {
            seed = murmur(key.as_bytes(), seed);
            let place = (i64::from(seed.cast_signed()) % self.bits as i64).unsigned_abs() as usize;
            row[place / 8] |= 1 << (place % 8);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        let number = |out: &mut Vec<u8>, value: usize| {
            out.extend_from_slice(&i32::try_from(value).unwrap_or(i32::MAX).to_be_bytes());
        };
        let header = |out: &mut Vec<u8>| {
            out.extend_from_slice(&VERSION.to_be_bytes());
            number(out, self.hashes);
            out.push(MURMUR);
            number(out, self.bits);
        };
        header(&mut out);
        number(&mut out, self.room);
        number(&mut out, self.keys - self.rows.len().saturating_sub(1) * self.room);
        number(&mut out, self.rows.len());
        for row in &self.rows {
            header(&mut out);
            out.extend_from_slice(row);
        }
        out
    }
}

/// Murmur's second hash, as Hadoop computes it: the last bytes count with their signs, and in its own order.
fn murmur(data: &[u8], seed: u32) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = seed ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        for (place, byte) in data.iter().rev().take(rest.len()).enumerate() {
            hash ^= (i32::from(byte.cast_signed()) << (8 * place)).cast_unsigned();
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the key 0 in a filter that Hudi has written
    const PLACES: [u64; 3] = [1_175_182, 1_117_442, 1_953_609];
    const UMLAUT: u32 = 255_257_933;

    #[test]
    fn sizes_are_those_of_hudi() {
        let keys: Vec<String> = (0..ROW_KEYS).map(|key| key.to_string()).collect();
        let rows = Rows::of(&keys);
        assert_eq!((rows.bits, rows.hashes, rows.rows.len()), (2_587_966, 30, 1));
        let mut filter = KeyFilter::default();
        (0..ROW_KEYS + 5).for_each(|key| filter.add(&key.to_string()));
        let bytes = STANDARD.decode(filter.text()).unwrap();
        let number = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(
            [number(0), number(4), number(9), number(13), number(17), number(21)],
            [-1, 30, 2_587_966, 60_000, 5, 2]
        );
        assert_eq!(bytes.len(), 25 + 2 * (13 + 2_587_966usize.div_ceil(8)));
    }

    #[test]
    fn hashes_are_those_of_hadoop() {
        let mut seed = 0;
        let places: Vec<u64> = (0..3)
            .map(|_| {
                seed = murmur(b"0", seed);
                (i64::from(seed.cast_signed()) % 2_587_966).unsigned_abs()
            })
            .collect();
        assert_eq!(places, PLACES);
        assert_eq!(murmur("grün-42".as_bytes(), 7), UMLAUT);
    }
}
