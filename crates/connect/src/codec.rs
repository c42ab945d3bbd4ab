//! Reading messages that nest deep. Prost's own limit (100) is far below what PySpark sends, and without one a hostile
//! message overflows the stack; so the depth is found first, without recursion, and the stack is made to fit.
use std::marker::PhantomData;

use bytes::Buf;
use firesteel_plan::{Result, SparkError};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::decode;
use crate::error::status_of;

/// Nested messages that a request may have. One operator of a plan takes two.
const DEPTH_MAX: usize = 8192;
/// What one level of decoding takes, generously.
const STACK_BYTES_PER_LEVEL: usize = 2 << 10;
const STACK_BYTES_MIN: usize = 256 << 10;
/// Groups that may be open in one message, and what skipping one takes.
const GROUPS_MAX: usize = 1 << 20;
const STACK_BYTES_PER_GROUP: usize = 256;

/// Prost, for messages of any depth up to [`DEPTH_MAX`].
#[derive(Debug, Clone)]
pub struct DeepCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for DeepCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for DeepCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = DeepEncoder<T>;
    type Decoder = DeepDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        DeepEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        DeepDecoder(PhantomData)
    }
}

#[derive(Debug)]
pub struct DeepEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for DeepEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|e| Status::internal(e.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

#[derive(Debug)]
pub struct DeepDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for DeepDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        decode_buffer(bytes).map(Some).map_err(|error| status_of(&error, None))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// A message from bytes, on a stack that its depth asks for.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    on_stack_for(bytes, || M::decode(bytes))
}

/// The same, where `bytes` fields may share the buffer.
fn decode_buffer<M: Message + Default>(bytes: bytes::Bytes) -> Result<M> {
    let view = bytes.clone();
    on_stack_for(&view, move || M::decode(bytes))
}

fn on_stack_for<M>(bytes: &[u8], decode: impl FnOnce() -> Result<M, prost::DecodeError>) -> Result<M> {
    let depth = depth(bytes);
    if depth.messages > DEPTH_MAX || depth.groups > GROUPS_MAX {
        return Err(decode::too_deep());
    }
    let need = STACK_BYTES_MIN + depth.messages * STACK_BYTES_PER_LEVEL + depth.groups * STACK_BYTES_PER_GROUP;
    stacker::maybe_grow(need, need * 2, decode)
        .map_err(|error| -> SparkError { decode::cannot_parse(error.to_string()) })
}

#[derive(Debug, Default, Clone, Copy)]
struct Depth {
    messages: usize,
    /// Protobuf's old groups: no message of the protocol has one, but prost skips unknown ones by recursion.
    groups: usize,
}

/// How deep messages may nest in `bytes`. Every field with a length is taken for a message as long as it reads like one,
/// so the answer is never too small. Each byte is looked at once.
fn depth(bytes: &[u8]) -> Depth {
    // The end of each open message, and the groups open in it.
    let mut open = vec![(bytes.len(), 0usize)];
    let mut deepest = Depth::default();
    let mut at = 0;
    while let Some((end, groups)) = open.last_mut() {
        let end = *end;
        if at >= end {
            open.pop();
            continue;
        }
        match field(bytes, at, end) {
            Some(Field::Skip(next)) => at = next,
            Some(Field::Group(next)) => {
                at = next;
                *groups += 1;
                deepest.groups = deepest.groups.max(*groups);
            }
            Some(Field::Nested(start, stop)) => {
                at = start;
                open.push((stop, 0));
                deepest.messages = deepest.messages.max(open.len());
            }
            // Not a message: go on behind it.
            None => {
                at = end;
                open.pop();
            }
        }
        if deepest.messages > DEPTH_MAX || deepest.groups > GROUPS_MAX {
            break;
        }
    }
    deepest
}

enum Field {
    Skip(usize),
    Group(usize),
    Nested(usize, usize),
}

fn field(bytes: &[u8], at: usize, end: usize) -> Option<Field> {
    let (tag, at) = varint(bytes, at, end)?;
    if tag >> 3 == 0 {
        return None;
    }
    match tag & 7 {
        0 => Some(Field::Skip(varint(bytes, at, end)?.1)),
        1 => skip(at, 8, end),
        2 => {
            let (length, start) = varint(bytes, at, end)?;
            let stop = start.checked_add(usize::try_from(length).ok()?)?;
            (stop <= end).then_some(Field::Nested(start, stop))
        }
        3 => Some(Field::Group(at)),
        4 => Some(Field::Skip(at)),
        5 => skip(at, 4, end),
        _ => None,
    }
}

fn skip(at: usize, length: usize, end: usize) -> Option<Field> {
    let next = at + length;
    (next <= end).then_some(Field::Skip(next))
}

fn varint(bytes: &[u8], mut at: usize, end: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        if at >= end {
            return None;
        }
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use spark_connect_proto as proto;

    /// `limit(limit(… range …))`
    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = proto::Relation {
            common: None,
            rel_type: Some(proto::relation::RelType::Range(proto::Range { end: 1, step: 1, ..Default::default() })),
        }
        .encode_to_vec();
        let wrap = |tag: u8, bytes: Vec<u8>| {
            let mut out = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut out);
            out.extend(bytes);
            out
        };
        for _ in 0..levels {
            let limit = wrap(0x0a, bytes); // Limit.input
            bytes = wrap(0x42, limit); // Relation.limit
        }
        bytes
    }

    #[test]
    fn deep_messages_are_read_and_deeper_ones_refused() {
        let relation: proto::Relation = decode(&nested(2000)).unwrap();
        std::mem::forget(relation);
        let error = decode::<proto::Relation>(&nested(10_000)).unwrap_err();
        assert_eq!(error.condition(), "CONNECT_INVALID_PLAN.CANNOT_PARSE");
        assert!(decode::<proto::Relation>(&[0xff; 40]).is_err());
    }

    #[test]
    fn the_depth_of_text_is_small() {
        assert!(depth("\n".repeat(100_000).as_bytes()).messages < 100);
        assert_eq!(depth(b"ss".repeat(10).as_slice()).messages, 0);
    }

    #[test]
    fn groups_cannot_overflow_the_stack() {
        assert!(decode::<proto::Relation>(&vec![0x0b; 1_000_000]).is_err());
        assert!(decode::<proto::Relation>(&[0xfb, 0x7f].repeat(1_000_000)).is_err());
        assert!(decode::<proto::Relation>(&vec![0x0b; 3_000_000]).is_err());
    }
}
