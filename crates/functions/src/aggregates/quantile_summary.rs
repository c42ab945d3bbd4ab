//! A summary that answers quantiles within a relative error of rank (Greenwald and Khanna, 2001), with the buffer sizes
//! and rounding that Spark has, so that results are the same.

/// Values are sorted into the samples when so many wait.
const HEAD_MAX: usize = 50_000;
/// Samples are compressed when there are so many.
const SAMPLES_MAX: usize = 10_000;
/// Bytes of a serialized sample.
const SAMPLE_BYTES: usize = 24;

/// A value, by how much its least rank is above that of the sample before, and the width of its possible ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    value: f64,
    g: i64,
    delta: i64,
}

#[derive(Debug, Clone)]
pub struct QuantileSummary {
    relative_error: f64,
    /// In order of their values
    samples: Vec<Sample>,
    /// Values that no sample stands for yet
    head: Vec<f64>,
    /// Values in `samples`
    count: i64,
}

impl QuantileSummary {
    pub fn new(relative_error: f64) -> Self {
        Self { relative_error, samples: vec![], head: vec![], count: 0 }
    }

    pub fn insert(&mut self, value: f64) {
        self.head.push(value);
        if self.head.len() >= HEAD_MAX {
            self.insert_head();
            if self.samples.len() >= SAMPLES_MAX {
                self.compress();
            }
        }
    }

    fn insert_head(&mut self) {
        let mut head = std::mem::take(&mut self.head);
        head.sort_by(f64::total_cmp);
        let mut merged = Vec::with_capacity(self.samples.len() + head.len());
        let mut samples = std::mem::take(&mut self.samples).into_iter().peekable();
        let last = head.len().saturating_sub(1);
        for (index, value) in head.into_iter().enumerate() {
            while let Some(sample) = samples.next_if(|s| s.value <= value) {
                merged.push(sample);
            }
            self.count += 1;
            // The least and the greatest value have exact ranks.
            let extreme = merged.is_empty() || (index == last && samples.peek().is_none());
            let delta = if extreme { 0 } else { (2.0 * self.relative_error * self.count as f64).floor() as i64 };
            merged.push(Sample { value, g: 1, delta });
        }
        merged.extend(samples);
        self.samples = merged;
    }

    pub fn compress(&mut self) {
        self.insert_head();
        self.samples = compressed(&self.samples, 2.0 * self.relative_error * self.count as f64);
    }

    /// Takes over what `other` has seen.
    pub fn merge(&mut self, mut other: Self) {
        self.compress();
        other.compress();
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let shift = |of: &Self| (2.0 * of.relative_error * of.count as f64).floor() as i64;
        let (own_shift, other_shift) = (shift(&other), shift(self));
        let (mine, theirs) = (&self.samples, &other.samples);
        let (mut i, mut j) = (0, 0);
        let mut merged = Vec::with_capacity(mine.len() + theirs.len());
        while i < mine.len() && j < theirs.len() {
            if mine[i].value < theirs[j].value {
                let shift = if j > 0 { own_shift } else { 0 };
                merged.push(Sample { delta: mine[i].delta + shift, ..mine[i] });
                i += 1;
            } else {
                let shift = if i > 0 { other_shift } else { 0 };
                merged.push(Sample { delta: theirs[j].delta + shift, ..theirs[j] });
                j += 1;
            }
        }
        merged.extend_from_slice(&mine[i..]);
        merged.extend_from_slice(&theirs[j..]);
        self.relative_error = self.relative_error.max(other.relative_error);
        self.count += other.count;
        self.samples = compressed(&merged, 2.0 * self.relative_error * self.count as f64);
    }

    /// The values at the shares of `wanted`; nothing where no value was seen.
    pub fn query(&mut self, wanted: &[f64]) -> Option<Vec<f64>> {
        self.compress();
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let error = (self.samples.iter().map(|s| s.delta + s.g).max()? / 2) as f64;
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
        let mut found = vec![0.0; wanted.len()];
        let (mut index, mut least_rank) = (0, first.g);
        for place in order {
            let share = wanted[place];
            found[place] = if share <= self.relative_error || self.samples.len() == 1 {
                first.value
            } else if share >= 1.0 - self.relative_error {
                last.value
            } else {
                self.find(&mut index, &mut least_rank, error, share)
            };
        }
        Some(found)
    }

    /// The value at one share, looking from sample `index` on, which it moves.
    fn find(&self, index: &mut usize, least_rank: &mut i64, error: f64, share: f64) -> f64 {
        let rank = (share * self.count as f64).ceil();
        let (mut at, mut least) = (*index, *least_rank);
        while at + 1 < self.samples.len() {
            let greatest = least + self.samples[at].delta;
            if greatest as f64 - error <= rank && rank <= least as f64 + error {
                (*index, *least_rank) = (at, least);
                return self.samples[at].value;
            }
            at += 1;
            least += self.samples[at].g;
        }
        (*index, *least_rank) = (at, 0);
        self.samples[at].value
    }

    pub fn size(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>() + self.head.capacity() * size_of::<f64>()
    }

    /// Bytes for another task of the same query.
    pub fn to_bytes(&mut self) -> Vec<u8> {
        self.compress();
        let mut bytes = Vec::with_capacity(16 + self.samples.len() * SAMPLE_BYTES);
        bytes.extend(self.relative_error.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        for sample in &self.samples {
            bytes.extend(sample.value.to_le_bytes());
            bytes.extend(sample.g.to_le_bytes());
            bytes.extend(sample.delta.to_le_bytes());
        }
        bytes
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |bytes: &[u8], at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let (relative_error, count) = (f64::from_bits(word(bytes, 0)?), word(bytes, 8)? as i64);
        let sample = |chunk: &[u8]| {
            Some(Sample {
                value: f64::from_bits(word(chunk, 0)?),
                g: word(chunk, 8)? as i64,
                delta: word(chunk, 16)? as i64,
            })
        };
        let samples = bytes.get(16..)?.chunks(SAMPLE_BYTES).map(sample).collect::<Option<_>>()?;
        Some(Self { relative_error, samples, head: vec![], count })
    }
}

/// Lets each sample stand for those before it as long as the width of its ranks stays below `width`.
fn compressed(samples: &[Sample], width: f64) -> Vec<Sample> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return vec![] };
    let mut kept = vec![];
    let mut head = *last;
    for sample in samples.iter().skip(1).rev().skip(1) {
        if ((sample.g + head.g + head.delta) as f64) < width {
            head.g += sample.g;
        } else {
            kept.push(head);
            head = *sample;
        }
    }
    kept.push(head);
    if first.value <= head.value && samples.len() > 1 {
        kept.push(*first);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_stay_within_the_error() {
        let mut summary = QuantileSummary::new(0.01);
        (0..200_000).for_each(|v| summary.insert(f64::from((v * 7919) % 200_000)));
        let mut other = QuantileSummary::from_bytes(&summary.clone().to_bytes()).unwrap();
        other.merge(summary);
        for (share, value) in [0.25, 0.5, 0.9].iter().zip(other.query(&[0.25, 0.5, 0.9]).unwrap()) {
            assert!((value / 200_000.0 - share).abs() < 0.02, "{share}: {value}");
        }
    }
}
