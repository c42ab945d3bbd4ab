//! Bytes in runs, and booleans as their bits.
use arrow::buffer::BooleanBuffer;
use orc_rust::proto::stream::Kind;

use super::stream::{Mark, Stream};

const SHORTEST_RUN: usize = 3;
const LONGEST_RUN: usize = 130;
const MOST_LITERALS: usize = 128;

/// Bytes, row group by row group.
pub(super) fn stream(kind: Kind, values: &[u8], bounds: &[usize]) -> Stream {
    Stream::of_groups(kind, bounds, &[0], |group, out| encode(&values[group], out))
}

/// Booleans, the first in the highest bit. A row group may begin inside a byte.
pub(super) fn bit_stream(kind: Kind, bits: &BooleanBuffer, bounds: &[usize]) -> Stream {
    let mut packed = vec![0u8; bits.len().div_ceil(8)];
    for index in bits.set_indices() {
        packed[index / 8] |= 0x80 >> (index % 8);
    }
    let (mut bytes, mut marks) = (vec![], vec![]);
    for (index, bound) in bounds.iter().enumerate() {
        let Some(next) = bounds.get(index + 1) else { break };
        marks.push(Mark { offset: bytes.len(), rest: vec![0, (bound % 8) as u64] });
        let is_last = index + 2 == bounds.len();
        let end = if is_last { packed.len() } else { next / 8 };
        encode(&packed[bound / 8..end], &mut bytes);
    }
    Stream { kind, bytes, marks }
}

fn encode(values: &[u8], out: &mut Vec<u8>) {
    let (mut pending, mut at) = (0, 0);
    while at < values.len() {
        let run = values[at..].iter().take(LONGEST_RUN).take_while(|value| **value == values[at]).count();
        if run < SHORTEST_RUN {
            at += run;
            continue;
        }
        literals(&values[pending..at], out);
        out.extend([(run - SHORTEST_RUN) as u8, values[at]]);
        at += run;
        pending = at;
    }
    literals(&values[pending..], out);
}

fn literals(values: &[u8], out: &mut Vec<u8>) {
    for block in values.chunks(MOST_LITERALS) {
        out.push((block.len() as u8).wrapping_neg());
        out.extend(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's specification.
    #[test]
    fn runs_of_the_specification() {
        let encoded = |values: &[u8]| {
            let mut out = vec![];
            encode(values, &mut out);
            out
        };
        assert_eq!(encoded(&[0; 100]), [0x61, 0x00]);
        assert_eq!(encoded(&[0x44, 0x45]), [0xfe, 0x44, 0x45]);
        let bits = BooleanBuffer::from_iter([true, false, false, false, false, false, false, false]);
        assert_eq!(bit_stream(Kind::Data, &bits, &[0, 8]).bytes, [0xff, 0x80]);
    }

    #[test]
    fn a_row_group_begins_inside_a_byte() {
        let bits = BooleanBuffer::new_set(20);
        let stream = bit_stream(Kind::Present, &bits, &[0, 10, 20]);
        assert_eq!(stream.bytes, [0xff, 0xff, 0xfe, 0xff, 0xf0]);
        assert_eq!(stream.marks[1], Mark { offset: 2, rest: vec![0, 2] });
    }
}
