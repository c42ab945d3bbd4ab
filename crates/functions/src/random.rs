//! Spark's random number generator, so that a seed gives Spark's numbers.

/// XORShift over a 64-bit state whose seed is scrambled with MurmurHash3.
#[derive(Debug, Clone)]
pub struct XorShiftRandom {
    state: i64,
    next_gaussian: Option<f64>,
}

const ARRAY_SEED: u32 = 0x3c07_4a61;

impl XorShiftRandom {
    pub fn new(seed: i64) -> Self {
        let bytes = seed.to_be_bytes();
        let low = murmur3(&bytes, ARRAY_SEED);
        let high = murmur3(&bytes, low);
        Self { state: ((u64::from(high) << 32) | u64::from(low)) as i64, next_gaussian: None }
    }

    fn next(&mut self, bits: u32) -> i32 {
        let mut next = self.state ^ (self.state << 21);
        next ^= ((next as u64) >> 35) as i64;
        next ^= next << 4;
        self.state = next;
        (next & ((1_i64 << bits) - 1)) as i32
    }

    /// Uniform over all INTs.
    pub fn next_int(&mut self) -> i32 {
        self.next(32)
    }

    /// Uniform over all BIGINTs.
    pub fn next_long(&mut self) -> i64 {
        (i64::from(self.next(32)) << 32).wrapping_add(i64::from(self.next(32)))
    }

    /// Uniform in [0, 1).
    pub fn next_double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        let low = i64::from(self.next(27));
        (high + low) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Letters and digits, each as likely.
    pub fn next_text(&mut self, length: usize) -> String {
        let letter = |index: u8| match index {
            0..=9 => char::from(b'0' + index),
            10..=35 => char::from(b'a' + index - 10),
            _ => char::from(b'A' + index - 36),
        };
        (0..length).map(|_| letter((self.next_int() % 62).unsigned_abs() as u8)).collect()
    }

    /// Standard normal, by the polar method.
    pub fn next_gaussian(&mut self) -> f64 {
        if let Some(value) = self.next_gaussian.take() {
            return value;
        }
        loop {
            let (a, b) = (2.0 * self.next_double() - 1.0, 2.0 * self.next_double() - 1.0);
            let square = a * a + b * b;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.next_gaussian = Some(b * factor);
                return a * factor;
            }
        }
    }
}

/// MurmurHash3 (32 bits) of two little-endian words.
fn murmur3(bytes: &[u8; 8], seed: u32) -> u32 {
    let mut hash = seed;
    for word in bytes.chunks_exact(4) {
        let mut k = word.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        hash = (hash ^ k).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::XorShiftRandom;

    #[test]
    fn a_seed_gives_sparks_numbers() {
        // SELECT rand(0), randn(0) on Spark
        assert_eq!(XorShiftRandom::new(0).next_double(), 0.7604953758285915);
        assert_eq!(XorShiftRandom::new(0).next_gaussian(), 1.6034991609278433);
    }
}
