//! A column of a stripe → its streams. Columns come in the order of their numbers: a parent, then its children.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::filter;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    ToByteSlice,
};
use firesteel_plan::Result;
use orc_rust::proto::ColumnEncoding;
use orc_rust::proto::column_encoding::Kind as EncodingKind;
use orc_rust::proto::stream::Kind;

use super::super::failed;
use super::statistics::Statistics;
use super::stream::{Column, Stream};
use super::zone::StripeZone;
use super::{bytes, decimals, integers, strings, times};

/// Adds the columns of `array`. Row groups lie between the `bounds`, which count the values of the array.
pub(super) fn encode(array: &ArrayRef, bounds: &[usize], zone: &StripeZone, out: &mut Vec<Column>) -> Result<()> {
    let groups = bounds.windows(2).map(|group| Statistics::of(&array.slice(group[0], group[1] - group[0]), zone));
    let mut column = Column { statistics: groups.collect(), ..Column::default() };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let Some(nulls) = nulls else { return encode_values(array, bounds, zone, column, out) };
    column.streams.push(bytes::bit_stream(Kind::Present, nulls.inner(), bounds));
    // What follows holds only the values that are there.
    let there = BooleanArray::new(nulls.inner().clone(), None);
    let values = filter(array, &there).map_err(failed)?;
    encode_values(&values, &valid_before(nulls, bounds), zone, column, out)
}

fn valid_before(nulls: &NullBuffer, bounds: &[usize]) -> Vec<usize> {
    bounds.iter().map(|bound| *bound - nulls.slice(0, *bound).null_count()).collect()
}

/// Adds a column whose array has no nulls, and its children.
fn encode_values(
    array: &ArrayRef,
    bounds: &[usize],
    zone: &StripeZone,
    mut column: Column,
    out: &mut Vec<Column>,
) -> Result<()> {
    let kind = match array.data_type() {
        DataType::Boolean => {
            column.streams.push(bytes::bit_stream(Kind::Data, array.as_boolean().values(), bounds));
            EncodingKind::Direct
        }
        DataType::Int8 => {
            let values: Vec<u8> = array.as_primitive::<Int8Type>().values().iter().map(|v| v.cast_unsigned()).collect();
            column.streams.push(bytes::stream(Kind::Data, &values, bounds));
            EncodingKind::Direct
        }
        DataType::Int16 => signed::<Int16Type>(array, bounds, &mut column),
        DataType::Int32 => signed::<Int32Type>(array, bounds, &mut column),
        DataType::Int64 => signed::<Int64Type>(array, bounds, &mut column),
        DataType::Date32 => signed::<Date32Type>(array, bounds, &mut column),
        DataType::Float32 => plain::<Float32Type>(array, bounds, &mut column),
        DataType::Float64 => plain::<Float64Type>(array, bounds, &mut column),
        DataType::Decimal128(_, scale) => decimals::encode(array, *scale, bounds, &mut column),
        DataType::Timestamp(..) => times::encode(array, bounds, zone, &mut column)?,
        DataType::Utf8 => return strings::encode(array.as_string::<i32>(), bounds, column).map(|made| out.push(made)),
        DataType::Binary => strings::encode_direct(array.as_binary::<i32>(), bounds, &mut column),
        DataType::Struct(_) => {
            finish(column, EncodingKind::Direct, out);
            return array.as_struct().columns().iter().try_for_each(|child| encode(child, bounds, zone, out));
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            return encode_repeated(list.offsets(), &[Arc::clone(list.values())], bounds, zone, column, out);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            return encode_repeated(map.offsets(), map.entries().columns(), bounds, zone, column, out);
        }
        other => return Err(failed(format!("no encoding for {other}"))),
    };
    finish(column, kind, out);
    Ok(())
}

fn finish(mut column: Column, kind: EncodingKind, out: &mut Vec<Column>) {
    column.encoding = ColumnEncoding { kind: Some(kind.into()), ..ColumnEncoding::default() };
    out.push(column);
}

/// A list or map: how many each has, then the children of all of them.
fn encode_repeated(
    offsets: &[i32],
    children: &[ArrayRef],
    bounds: &[usize],
    zone: &StripeZone,
    mut column: Column,
    out: &mut Vec<Column>,
) -> Result<()> {
    let lengths: Vec<i64> = offsets.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])).collect();
    column.streams.push(integers::stream(Kind::Length, &lengths, bounds, false));
    finish(column, EncodingKind::DirectV2, out);
    let at = |row: usize| offsets.get(row).map_or(0, |offset| offset.unsigned_abs() as usize);
    let first = at(0);
    let inner: Vec<usize> = bounds.iter().map(|bound| at(*bound) - first).collect();
    let count = inner.last().copied().unwrap_or(0);
    children.iter().try_for_each(|child| encode(&child.slice(first, count), &inner, zone, out))
}

fn signed<T: ArrowPrimitiveType>(array: &ArrayRef, bounds: &[usize], column: &mut Column) -> EncodingKind
where
    i64: From<T::Native>,
{
    let values: &PrimitiveArray<T> = array.as_primitive();
    let values: Vec<i64> = values.values().iter().map(|value| i64::from(*value)).collect();
    column.streams.push(integers::stream(Kind::Data, &values, bounds, true));
    EncodingKind::DirectV2
}

/// Floats as IEEE has them, the lowest byte first.
fn plain<T: ArrowPrimitiveType>(array: &ArrayRef, bounds: &[usize], column: &mut Column) -> EncodingKind {
    let values = array.as_primitive::<T>().values();
    column.streams.push(Stream::of_groups(Kind::Data, bounds, &[], |group, out| {
        out.extend_from_slice(values[group].to_byte_slice());
    }));
    EncodingKind::Direct
}
