//! Tuple sketches: hashes of keys below a threshold, each with a summary of the values of its key.
use std::collections::BTreeMap;

use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::theta::{ThetaSketch, ThetaSketchBuilder};
use firesteel_plan::{Result, SparkError};

use crate::quote;
use crate::sketches::accumulate::Value;

/// The threshold that every hash is below.
pub const MAX_THETA: u64 = i64::MAX as u64;
const SERIAL_VERSION: u8 = 3;
const FAMILY: u8 = 9;
const SKETCH_TYPE: u8 = 1;
const READ_ONLY_COMPACT: u8 = 0b1010;
const EMPTY: u8 = 0b100;
/// Of the seed that all sketches hash with
const SEED_HASH: [u8; 2] = [0xCC, 0x93];

/// How summaries are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Sum,
    Min,
    Max,
    AlwaysOne,
}

impl Mode {
    pub const NAMES: &'static str = "sum, min, max, alwaysone";

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "sum" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            "alwaysone" => Self::AlwaysOne,
            _ => return None,
        })
    }
}

/// A summary: INT or DOUBLE.
pub trait Summary: Copy + Send + Sync + 'static {
    const WIDTH: usize;
    fn of(value: f64, whole: i64) -> Self;
    fn combine(self, other: Self, mode: Mode) -> Self;
    /// What a key without a value brings to a union.
    fn neutral(mode: Mode) -> Self;
    fn push(self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! summary {
    ($native:ty, $of:expr, $add:expr, $least:expr, $most:expr, $one:expr, $zero:expr) => {
        impl Summary for $native {
            const WIDTH: usize = size_of::<$native>();

            fn of(value: f64, whole: i64) -> Self {
                let of: fn(f64, i64) -> $native = $of;
                of(value, whole)
            }
            fn combine(self, other: Self, mode: Mode) -> Self {
                let add: fn($native, $native) -> $native = $add;
                match mode {
                    Mode::Sum => add(self, other),
                    Mode::Min => self.min(other),
                    Mode::Max => self.max(other),
                    Mode::AlwaysOne => $one,
                }
            }
            fn neutral(mode: Mode) -> Self {
                match mode {
                    Mode::Sum => $zero,
                    Mode::Min => $most,
                    Mode::Max => $least,
                    Mode::AlwaysOne => $one,
                }
            }
            fn push(self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some(<$native>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    };
}

summary!(f64, |value, _| value, |a, b| a + b, f64::NEG_INFINITY, f64::INFINITY, 1.0, 0.0);
summary!(i32, |_, whole| whole as i32, i32::wrapping_add, i32::MIN, i32::MAX, 1, 0);

/// The hash of a key, as all sketches of the library make it; `None` for an empty text.
pub struct Hasher(ThetaSketch);

impl Hasher {
    pub fn new() -> Result<Self> {
        let sketch = ThetaSketchBuilder::default().lg_k(5).build();
        sketch.map(Self).map_err(|error| SparkError::internal(error.to_string()))
    }

    pub fn hash(&mut self, key: &Value<'_>) -> Option<u64> {
        self.0.reset();
        match key {
            Value::Long(v) => self.0.update(*v),
            Value::Double(v) => self.0.update(canonical_float::from_f64(*v)),
            Value::Bytes([]) => return None,
            Value::Bytes(v) => self.0.update(raw_bytes::from_slice(v)),
        }
        self.0.iter().next().map(|entry| entry.hash())
    }
}

#[derive(Debug, Clone)]
pub struct Tuples<S> {
    pub theta: u64,
    pub entries: BTreeMap<u64, S>,
    /// Whether nothing was ever put in
    pub empty: bool,
}

impl<S> Default for Tuples<S> {
    fn default() -> Self {
        Self { theta: MAX_THETA, entries: BTreeMap::new(), empty: true }
    }
}

impl<S: Summary> Tuples<S> {
    /// Puts a hash in; beyond what `lg_entries` allows, the largest hashes go.
    pub fn put(&mut self, hash: u64, summary: S, mode: Mode, lg_entries: u32) {
        self.empty = false;
        if hash >= self.theta {
            return;
        }
        let entry = self.entries.entry(hash);
        entry.and_modify(|known| *known = known.combine(summary, mode)).or_insert(summary);
        let nominal = 1usize << lg_entries;
        // A table of twice the nominal size is kept filled to 15 sixteenths.
        if self.entries.len() > nominal / 8 * 15 {
            self.trim(nominal);
        }
    }

    /// Keeps no more than the `nominal` smallest hashes.
    pub fn trim(&mut self, nominal: usize) {
        if let Some(theta) = self.entries.keys().nth(nominal).copied() {
            drop(self.entries.split_off(&theta));
            self.theta = theta;
        }
    }

    fn keep_below(&mut self, theta: u64) {
        self.theta = self.theta.min(theta);
        drop(self.entries.split_off(&self.theta));
    }

    pub fn union(&mut self, other: &Self, mode: Mode, lg_entries: u32) {
        if other.empty {
            return;
        }
        self.keep_below(other.theta);
        self.empty = false;
        other.entries.iter().for_each(|(hash, summary)| self.put(*hash, *summary, mode, lg_entries));
    }

    pub fn intersect(&mut self, other: &Self, mode: Mode) {
        if self.empty || other.empty {
            *self = Self::default();
            return;
        }
        self.keep_below(other.theta);
        self.entries = (self.entries.iter())
            .filter_map(|(hash, mine)| Some((*hash, mine.combine(*other.entries.get(hash)?, mode))))
            .collect();
    }

    /// What stays without the hashes that `others` has, which were taken below `theta`.
    pub fn subtract(&mut self, theta: u64, others: impl Iterator<Item = u64>) {
        self.keep_below(theta);
        others.for_each(|hash| {
            self.entries.remove(&hash);
        });
        self.empty = self.entries.is_empty() && self.theta == MAX_THETA;
    }

    /// The part of all hashes that are kept.
    pub fn part(&self) -> f64 {
        self.theta as f64 / MAX_THETA as f64
    }

    pub fn estimate(&self) -> f64 {
        self.entries.len() as f64 / self.part()
    }

    /// A summary is written with how it was combined.
    pub fn serialize(&self, mode: Mode) -> Vec<u8> {
        let estimates = self.theta < MAX_THETA;
        let words = if estimates { 3 } else { 1 + u8::from(self.entries.len() > 1) };
        let flags = READ_ONLY_COMPACT | if self.empty { EMPTY } else { 0 };
        let mut out = vec![words, SERIAL_VERSION, FAMILY, SKETCH_TYPE, 0, flags];
        out.extend(SEED_HASH);
        if words > 1 {
            out.extend((self.entries.len() as u32).to_le_bytes());
            out.extend([0; 4]);
        }
        if estimates {
            out.extend(self.theta.to_le_bytes());
        }
        for (hash, summary) in &self.entries {
            out.extend(hash.to_le_bytes());
            summary.push(&mut out);
            out.push(mode as u8);
        }
        out
    }

    /// Errors with the condition of a buffer that is no such sketch.
    pub fn read(bytes: &[u8], function: &str) -> Result<Self> {
        let function = ("function", quote::sql_id(function));
        let family = bytes.get(2).filter(|family| **family != FAMILY && bytes.len() >= 8);
        if let Some(actual) = family.and_then(|family| family_name(*family)) {
            return Err(SparkError::new(
                "TUPLE_INVALID_INPUT_SKETCH_BUFFER_FAMILY",
                [function, ("expectedFamily", "TUPLE".to_string()), ("actualFamily", actual.to_string())],
            ));
        }
        Self::decode(bytes).ok_or_else(|| SparkError::new("TUPLE_INVALID_INPUT_SKETCH_BUFFER", [function]))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (words, flags) = (usize::from(*bytes.first()?), *bytes.get(5)?);
        if *bytes.get(1)? != SERIAL_VERSION || bytes.len() < words * 8 || words == 0 {
            return None;
        }
        if flags & EMPTY != 0 {
            return Some(Self::default());
        }
        let count = if words > 1 { number(8)? as u32 as usize } else { usize::from(bytes.len() > 8) };
        let theta = if words > 2 { number(16)? } else { MAX_THETA };
        let (start, width) = (words * 8, 8 + S::WIDTH + 1);
        let mut entries = BTreeMap::new();
        for index in 0..count {
            let at = start + index * width;
            entries.insert(number(at)?, S::read(bytes.get(at + 8..at + 8 + S::WIDTH)?)?);
        }
        Some(Self { theta, entries, empty: false })
    }
}

/// What the library calls its families of sketches.
pub fn family_name(id: u8) -> Option<&'static str> {
    Some(match id {
        1 => "ALPHA",
        2 => "QUICKSELECT",
        3 => "COMPACT",
        7 => "HLL",
        9 => "TUPLE",
        15 => "KLL",
        _ => return None,
    })
}
