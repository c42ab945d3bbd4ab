//! How kernels write their results: a closure per row, one builder, no allocation per row.
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, BooleanArray, Int32Array, Int64Array, StringBuilder};
use firesteel_plan::{Result, SparkError};

/// Strings. The closure writes a row's text to the (empty) buffer; `None` is NULL.
pub fn text(rows: usize, mut f: impl FnMut(usize, &mut String) -> Option<()>) -> Result<ArrayRef> {
    try_text(rows, |row, out| Ok(f(row, out)))
}

/// Strings from a closure that can fail.
pub fn try_text(rows: usize, mut f: impl FnMut(usize, &mut String) -> Result<Option<()>>) -> Result<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    let mut buffer = String::new();
    for row in 0..rows {
        buffer.clear();
        match f(row, &mut buffer)? {
            Some(()) => {
                check_size(builder.values_slice().len(), buffer.len())?;
                builder.append_value(&buffer);
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Strings that are slices of the input: nothing is copied but to the result.
pub fn slices<'a>(rows: usize, mut f: impl FnMut(usize) -> Option<&'a str>) -> Result<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        match f(row) {
            Some(value) => {
                check_size(builder.values_slice().len(), value.len())?;
                builder.append_value(value);
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Binary values, as [`try_text`] makes strings.
pub fn try_bytes(rows: usize, mut f: impl FnMut(usize, &mut Vec<u8>) -> Result<Option<()>>) -> Result<ArrayRef> {
    let mut builder = BinaryBuilder::with_capacity(rows, rows * 16);
    let mut buffer = Vec::new();
    for row in 0..rows {
        buffer.clear();
        match f(row, &mut buffer)? {
            Some(()) => {
                check_size(builder.values_slice().len(), buffer.len())?;
                builder.append_value(&buffer);
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

pub fn bytes(rows: usize, mut f: impl FnMut(usize, &mut Vec<u8>) -> Option<()>) -> Result<ArrayRef> {
    try_bytes(rows, |row, out| Ok(f(row, out)))
}

pub fn ints(rows: usize, f: impl FnMut(usize) -> Option<i32>) -> Result<ArrayRef> {
    Ok(Arc::new(Int32Array::from_iter((0..rows).map(f))))
}

pub fn longs(rows: usize, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
    Ok(Arc::new(Int64Array::from_iter((0..rows).map(f))))
}

pub fn booleans(rows: usize, f: impl FnMut(usize) -> Option<bool>) -> Result<ArrayRef> {
    Ok(Arc::new(BooleanArray::from_iter((0..rows).map(f))))
}

pub fn try_booleans(rows: usize, f: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
    let values: Vec<Option<bool>> = (0..rows).map(f).collect::<Result<_>>()?;
    Ok(Arc::new(BooleanArray::from(values)))
}

pub fn try_ints(rows: usize, f: impl FnMut(usize) -> Result<Option<i32>>) -> Result<ArrayRef> {
    let values: Vec<Option<i32>> = (0..rows).map(f).collect::<Result<_>>()?;
    Ok(Arc::new(Int32Array::from(values)))
}

/// Arrow's 32-bit offsets end at 2 GiB for one batch.
pub fn check_size(so_far: usize, more: usize) -> Result<()> {
    if so_far.saturating_add(more) > i32::MAX as usize {
        return Err(SparkError::unsupported("more than 2 GiB of text in one batch"));
    }
    Ok(())
}
