//! The Mersenne Twister (MT19937), which makes the identifiers of `uuid(seed)`.

const LENGTH: usize = 624;
const MIDDLE: usize = 397;

pub struct MersenneTwister {
    state: [u32; LENGTH],
    next: usize,
}

impl MersenneTwister {
    /// Seeded with the two halves of a number, as an array of keys.
    pub fn new(seed: i64) -> Self {
        let seed = seed.cast_unsigned();
        let keys = [(seed >> 32) as u32, seed as u32];
        let mut state = [0u32; LENGTH];
        state[0] = 19_650_218;
        for i in 1..LENGTH {
            state[i] = spread(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut at = 1;
        for step in 0..LENGTH {
            let key = step % keys.len();
            let mixed = state[at] ^ spread(state[at - 1]).wrapping_mul(1_664_525);
            state[at] = mixed.wrapping_add(keys[key]).wrapping_add(key as u32);
            at = advance(&mut state, at);
        }
        for _ in 1..LENGTH {
            let mixed = state[at] ^ spread(state[at - 1]).wrapping_mul(1_566_083_941);
            state[at] = mixed.wrapping_sub(at as u32);
            at = advance(&mut state, at);
        }
        state[0] = 0x8000_0000;
        Self { state, next: LENGTH }
    }

    fn refill(&mut self) {
        for i in 0..LENGTH {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % LENGTH] & 0x7FFF_FFFF);
            let twist = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % LENGTH] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.next >= LENGTH {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    fn next_u64(&mut self) -> u64 {
        (u64::from(self.next_u32()) << 32) | u64::from(self.next_u32())
    }

    /// A random (version 4) identifier.
    pub fn next_uuid(&mut self) -> uuid::Uuid {
        let high = (self.next_u64() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000;
        let low = (self.next_u64() | 0x8000_0000_0000_0000) & 0xBFFF_FFFF_FFFF_FFFF;
        uuid::Uuid::from_u64_pair(high, low)
    }
}

fn spread(word: u32) -> u32 {
    word ^ (word >> 30)
}

/// The place after `at`; the last one is carried over to the start.
fn advance(state: &mut [u32; LENGTH], at: usize) -> usize {
    if at + 1 < LENGTH {
        return at + 1;
    }
    state[0] = state[LENGTH - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::MersenneTwister;

    #[test]
    fn the_same_seed_gives_the_same_identifier() {
        let uuid = MersenneTwister::new(0).next_uuid();
        assert_eq!(uuid, MersenneTwister::new(0).next_uuid());
        assert_eq!(uuid.get_version_num(), 4);
    }
}
