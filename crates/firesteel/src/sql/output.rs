//! Rows as a table, CSV or JSON.
use std::error::Error;
use std::io::{Write, stdout};

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use futures::StreamExt;

use super::Format;
use super::backend::Answer;

/// Rows that a table shows; CSV and JSON show all.
const TABLE_ROWS_MAX: usize = 1000;

/// Writes an answer to standard output as it comes. The number of rows; `None` where there are no columns.
pub async fn show(mut answer: Answer, format: Format) -> Result<Option<usize>, Box<dyn Error>> {
    let mut columns = answer.schema.as_ref().map_or(0, |schema| schema.fields().len());
    let mut rows = 0;
    let mut shown: Vec<RecordBatch> = vec![];
    let mut is_first = true;
    while let Some(batch) = answer.batches.next().await {
        let batch = batch.map_err(|e| e.to_string())?;
        columns = batch.num_columns();
        if columns > 0 {
            match format {
                Format::Table if rows < TABLE_ROWS_MAX => {
                    shown.push(batch.slice(0, batch.num_rows().min(TABLE_ROWS_MAX - rows)));
                }
                Format::Table => {}
                Format::Csv => csv(&batch, is_first)?,
                Format::Json => json(&batch)?,
            }
        }
        rows += batch.num_rows();
        is_first = false;
    }
    if columns == 0 {
        return Ok(None);
    }
    if format == Format::Table {
        table(&shown, answer.schema.as_ref(), rows)?;
    }
    Ok(Some(rows))
}

fn formatters<'b>(
    batch: &'b RecordBatch,
    options: &'b FormatOptions<'b>,
) -> Result<Vec<ArrayFormatter<'b>>, arrow::error::ArrowError> {
    batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), options)).collect()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn table(
    batches: &[RecordBatch],
    schema: Option<&arrow::datatypes::SchemaRef>,
    rows: usize,
) -> Result<(), Box<dyn Error>> {
    let Some(schema) = schema.cloned().or_else(|| batches.first().map(RecordBatch::schema)) else { return Ok(()) };
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(schema.fields().iter().map(|f| f.name()));
    let options = FormatOptions::default().with_null("NULL");
    for batch in batches {
        let formatters = formatters(batch, &options)?;
        for row in 0..batch.num_rows() {
            let cells = formatters.iter().zip(schema.fields()).map(|(formatter, field)| {
                let cell = Cell::new(formatter.value(row));
                if is_number(field.data_type()) { cell.set_alignment(CellAlignment::Right) } else { cell }
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
    }
    let mut text = format!("{table}\n");
    if rows > TABLE_ROWS_MAX {
        text.push_str(&format!("(the first {TABLE_ROWS_MAX} of {rows} rows)\n"));
    }
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn csv(batch: &RecordBatch, header: bool) -> Result<(), Box<dyn Error>> {
    let quote = |text: String| {
        let special = text.contains([',', '"', '\n', '\r']);
        if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    let mut text = String::new();
    if header {
        let names: Vec<_> = batch.schema().fields().iter().map(|f| quote(f.name().clone())).collect();
        text.push_str(&names.join(","));
        text.push('\n');
    }
    let options = FormatOptions::default();
    let formatters = formatters(batch, &options)?;
    for row in 0..batch.num_rows() {
        let cells: Vec<_> = formatters.iter().map(|f| quote(f.value(row).to_string())).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// One object a line. Numbers and booleans stay what they are; everything else is text.
fn json(batch: &RecordBatch) -> Result<(), Box<dyn Error>> {
    let options = FormatOptions::default();
    let formatters = formatters(batch, &options)?;
    let schema = batch.schema();
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let mut object = serde_json::Map::new();
        for ((column, field), formatter) in batch.columns().iter().zip(schema.fields()).zip(&formatters) {
            let shown = formatter.value(row).to_string();
            let value = if column.is_null(row) {
                serde_json::Value::Null
            } else if is_number(field.data_type()) || *field.data_type() == DataType::Boolean {
                serde_json::from_str(&shown).unwrap_or_else(|_| shown.into())
            } else {
                shown.into()
            };
            object.insert(field.name().clone(), value);
        }
        text.push_str(&serde_json::Value::Object(object).to_string());
        text.push('\n');
    }
    stdout().write_all(text.as_bytes())?;
    Ok(())
}
