//! Decimals: the digits as numbers of any length, the scale of each beside them.
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Decimal128Type;
use orc_rust::proto::column_encoding::Kind as EncodingKind;
use orc_rust::proto::stream::Kind;

use super::integers;
use super::stream::{Column, Stream};

pub(super) fn encode(array: &ArrayRef, scale: i8, bounds: &[usize], column: &mut Column) -> EncodingKind {
    let values = array.as_primitive::<Decimal128Type>().values();
    column.streams.push(Stream::of_groups(Kind::Data, bounds, &[], |group, out| {
        for value in &values[group] {
            integers::push_varint(((value << 1) ^ (value >> 127)).cast_unsigned(), out);
        }
    }));
    let scales = vec![i64::from(scale); values.len()];
    column.streams.push(integers::stream(Kind::Secondary, &scales, bounds, true));
    EncodingKind::DirectV2
}
