//! Integers: ORC's second run-length encoding. Of its four kinds of runs three are written; the fourth (base values with
//! patches) only makes some files smaller.
use orc_rust::proto::stream::Kind;

use super::stream::Stream;

/// Values of one run, at most.
const RUN: usize = 512;
/// Repeats that the short run holds.
const SHORTEST_REPEAT: usize = 3;
const LONGEST_SHORT_REPEAT: usize = 10;
/// From this length on, values that grow evenly are a run of their own.
const SHORTEST_PROGRESSION: usize = 6;

/// Integers, row group by row group. `signed`: as ORC defines the stream, whatever the values are.
pub(super) fn stream(kind: Kind, values: &[i64], bounds: &[usize], signed: bool) -> Stream {
    Stream::of_groups(kind, bounds, &[0], |group, out| encode(&values[group], signed, out))
}

/// All values as runs.
pub(super) fn encode(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    let (mut pending, mut at) = (0, 0);
    while at < values.len() {
        let (length, step) = progression(&values[at..]);
        let repeats = step == 0 && length >= SHORTEST_REPEAT;
        if !repeats && length < SHORTEST_PROGRESSION {
            at += 1;
            continue;
        }
        literals(&values[pending..at], signed, out);
        if repeats && length <= LONGEST_SHORT_REPEAT {
            short_repeat(values[at], length, signed, out);
        } else {
            header(3, 0, length, out);
            push_value(values[at], signed, out);
            push_varint(zigzag(step).into(), out);
        }
        at += length;
        pending = at;
    }
    literals(&values[pending..], signed, out);
}

/// How many of the first values lie evenly apart, and how far.
fn progression(values: &[i64]) -> (usize, i64) {
    let step = match values {
        [a, b, ..] => b.checked_sub(*a),
        _ => None,
    };
    let Some(step) = step else { return (1, 1) };
    let even = values.windows(2).take(RUN - 1).take_while(|pair| pair[1].checked_sub(pair[0]) == Some(step));
    (even.count() + 1, step)
}

fn literals(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    for block in values.chunks(RUN) {
        let width = fixed_width(block.iter().map(|value| bits(stored(*value, signed))).max().unwrap_or(1));
        match deltas(block) {
            Some((first, rest, delta_width)) if delta_width < width => {
                header(3, width_code(delta_width), block.len(), out);
                push_value(block[0], signed, out);
                push_varint(zigzag(first).into(), out);
                pack(rest.into_iter(), delta_width, out);
            }
            _ => {
                header(1, width_code(width), block.len(), out);
                pack(block.iter().map(|value| stored(*value, signed)), width, out);
            }
        }
    }
}

/// The differences of values that only grow or only shrink: the first, and the sizes of the others with their width.
fn deltas(values: &[i64]) -> Option<(i64, Vec<u64>, u32)> {
    if values.len() < 3 {
        return None;
    }
    let steps: Option<Vec<i64>> = values.windows(2).map(|pair| pair[1].checked_sub(pair[0])).collect();
    let steps = steps?;
    // The first step says which way all others go; one of zero says up.
    let down = steps[0] < 0;
    if steps.iter().any(|step| if down { *step > 0 } else { *step < 0 }) {
        return None;
    }
    let sizes: Vec<u64> = steps[1..].iter().map(|step| step.unsigned_abs()).collect();
    // Width one has no code here: its code says that there are no differences to read.
    let width = fixed_width(sizes.iter().map(|size| bits(*size)).max().unwrap_or(1)).max(2);
    Some((steps[0], sizes, width))
}

fn short_repeat(value: i64, count: usize, signed: bool, out: &mut Vec<u8>) {
    let stored = stored(value, signed);
    let width = bits(stored).div_ceil(8);
    out.push(((width as u8 - 1) << 3) | (count - SHORTEST_REPEAT) as u8);
    out.extend(&stored.to_be_bytes()[8 - width as usize..]);
}

/// Two bits of the kind, five of the width's code, nine of the length less one.
fn header(kind: u8, code: u8, length: usize, out: &mut Vec<u8>) {
    let length = length - 1;
    out.push((kind << 6) | (code << 1) | ((length >> 8) & 1) as u8);
    out.push((length & 0xff) as u8);
}

fn stored(value: i64, signed: bool) -> u64 {
    if signed { zigzag(value) } else { value as u64 }
}

fn push_value(value: i64, signed: bool, out: &mut Vec<u8>) {
    push_varint(stored(value, signed).into(), out);
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Seven bits a byte, the lowest first.
pub(super) fn push_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bits(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).max(1)
}

/// The widths that are written, of those that the encoding has: the ones that readers unpack fastest, with their codes.
const WIDTHS: [(u32, u8); 11] =
    [(1, 0), (2, 1), (4, 3), (8, 7), (16, 15), (24, 23), (32, 27), (40, 28), (48, 29), (56, 30), (64, 31)];

/// The smallest width that holds so many bits.
fn fixed_width(bits: u32) -> u32 {
    WIDTHS.iter().map(|(width, _)| *width).find(|width| *width >= bits).unwrap_or(64)
}

fn width_code(width: u32) -> u8 {
    WIDTHS.iter().find(|(known, _)| *known == width).map_or(31, |(_, code)| *code)
}

/// Values of `width` bits, the highest bit first.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut held, mut count) = (0u128, 0);
    for value in values {
        held = (held << width) | u128::from(value);
        count += width;
        while count >= 8 {
            count -= 8;
            out.push((held >> count) as u8);
        }
        held &= (1 << count) - 1;
    }
    if count > 0 {
        out.push((held << (8 - count)) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    fn encoded(values: &[i64], signed: bool) -> Vec<u8> {
        let mut out = vec![];
        encode(values, signed, &mut out);
        out
    }

    /// The examples of the format's specification.
    #[test]
    fn runs_of_the_specification() {
        assert_eq!(encoded(&[10000; 5], false), [0x0a, 0x27, 0x10]);
        assert_eq!(
            encoded(&[23713, 43806, 57005, 48879], false),
            [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef]
        );
        assert_eq!(
            encoded(&[2, 3, 5, 7, 11, 13, 17, 19, 23, 29], false),
            [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46]
        );
    }

    #[test]
    fn even_steps_and_extremes() {
        assert_eq!(encoded(&(0..512).collect::<Vec<_>>(), true), [0xc1, 0xff, 0, 2]);
        assert_eq!(encoded(&[i64::MIN, i64::MAX], true)[..2], [0x7e, 0x01]);
        assert!(encoded(&[], true).is_empty());
    }
}
