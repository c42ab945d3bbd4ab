//! Arrays, maps and structs inside a CSV value: as a cast shows them, but a NULL is the option `nullValue` after a blank, or
//! nothing at all.
use arrow::array::{Array, ArrayRef, AsArray};
use firesteel_plan::{DataType, Result, SparkError};

use super::CsvWriteOptions;
use super::write::plain_text;

/// Appends the value of a row that is not NULL.
pub fn push_value(
    options: &CsvWriteOptions,
    out: &mut String,
    data_type: &DataType,
    array: &ArrayRef,
    row: usize,
) -> Result<()> {
    match data_type {
        DataType::Array(element, _) => {
            let values = array.as_list_opt::<i32>().ok_or_else(|| unexpected(array))?.value(row);
            out.push('[');
            for index in 0..values.len() {
                push_item(options, out, index > 0, element, &values, index)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct_opt().ok_or_else(|| unexpected(array))?.columns();
            out.push('{');
            for (index, (field, column)) in fields.fields.iter().zip(columns).enumerate() {
                push_item(options, out, index > 0, &field.data_type, column, row)?;
            }
            out.push('}');
        }
        DataType::Map(key, value, _) => {
            let entries = array.as_map_opt().ok_or_else(|| unexpected(array))?.value(row);
            let [keys, values] = entries.columns() else { return Err(unexpected(array)) };
            out.push('{');
            for index in 0..entries.len() {
                push_item(options, out, index > 0, key, keys, index)?;
                out.push_str(" ->");
                push_after(options, out, true, value, values, index)?;
            }
            out.push('}');
        }
        _ => plain_text(&options.times, options.binary, out, data_type, array, row)?,
    }
    Ok(())
}

fn push_item(
    options: &CsvWriteOptions,
    out: &mut String,
    is_later: bool,
    data_type: &DataType,
    array: &ArrayRef,
    row: usize,
) -> Result<()> {
    if is_later {
        out.push(',');
    }
    push_after(options, out, is_later, data_type, array, row)
}

fn push_after(
    options: &CsvWriteOptions,
    out: &mut String,
    blank: bool,
    data_type: &DataType,
    array: &ArrayRef,
    row: usize,
) -> Result<()> {
    if array.is_null(row) {
        if !options.null_value.is_empty() {
            out.push(' ');
            out.push_str(&options.null_value);
        }
        return Ok(());
    }
    if blank {
        out.push(' ');
    }
    push_value(options, out, data_type, array, row)
}

fn unexpected(array: &ArrayRef) -> SparkError {
    SparkError::internal(format!("a nested value was expected, not {}", array.data_type()))
}
