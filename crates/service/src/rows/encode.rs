//! Batches as text or bytes, in the forms that `Accept` can ask for. Values are spelled by Spark's own JSON and CSV
//! writers.
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use axum::http::{HeaderMap, header};
use firesteel_engine::Session;
use firesteel_functions::text_formats::csv::{CsvWriteOptions, CsvWriter};
use firesteel_functions::text_formats::json::{JsonWriteOptions, JsonWriter};
use firesteel_functions::text_formats::{FormatOptions, FormatSession};
use firesteel_functions::types::to_arrow;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use parquet::arrow::ArrowWriter;

use crate::jobs::record::Column;
use crate::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    NdJson,
    Csv,
    Arrow,
    Parquet,
}

/// Media types, the first of each format being the one that is answered.
const MEDIA_TYPES: &[(&str, Format)] = &[
    ("application/json", Format::Json),
    ("application/x-ndjson", Format::NdJson),
    ("application/ndjson", Format::NdJson),
    ("application/jsonl", Format::NdJson),
    ("text/csv", Format::Csv),
    ("application/vnd.apache.arrow.stream", Format::Arrow),
    ("application/vnd.apache.parquet", Format::Parquet),
    ("application/*", Format::Json),
    ("text/*", Format::Csv),
    ("*/*", Format::Json),
];

impl Format {
    pub fn media_type(self) -> &'static str {
        MEDIA_TYPES.iter().find(|(_, format)| *format == self).map_or("application/json", |(name, _)| name)
    }

    /// The format that a request prefers.
    pub fn of_accept(headers: &HeaderMap) -> std::result::Result<Self, Problem> {
        let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Self::Json) };
        let text = accept.to_str().unwrap_or_default();
        let mut best: Option<(f32, Self)> = None;
        for part in text.split(',') {
            let mut parts = part.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0_f32);
            let known = MEDIA_TYPES.iter().find(|(media, _)| *media == name);
            if let Some((_, format)) = known
                && weight > 0.0
                && best.is_none_or(|(most, _)| weight > most)
            {
                best = Some((weight, *format));
            }
        }
        best.map(|(_, format)| format).ok_or_else(|| {
            let known: Vec<_> = MEDIA_TYPES.iter().map(|(name, _)| *name).filter(|name| !name.contains('*')).collect();
            Problem::new(406, "NOT_ACCEPTABLE", format!("Rows come as {}.", known.join(", "))).at("Accept")
        })
    }
}

/// How rows are spelled: their columns, under names that differ, and the session's manners.
#[derive(Debug, Clone)]
pub struct RowStyle {
    /// The columns as they are written: VOID, which has no value to write, as a text that is NULL.
    pub schema: StructType,
    pub arrow_schema: SchemaRef,
    /// The columns with their own types
    given: StructType,
    json: JsonWriteOptions,
    csv: CsvWriteOptions,
}

impl RowStyle {
    pub fn new(session: &Session, schema: &StructType, arrow_schema: &Schema) -> Result<Self> {
        let conf = session.conf().all();
        let get = |key: &str| conf.get(key).map(String::as_str);
        let zone = get("spark.sql.session.timeZone").unwrap_or("UTC");
        let manners = FormatSession::new(zone, get);
        // All digits of a timestamp: what is read back is what was there.
        let options = FormatOptions::new([
            ("timestampFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"),
            ("timestampNTZFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"),
            ("header", "true"),
            ("escape", "\""),
            ("ignoreLeadingWhiteSpace", "false"),
            ("ignoreTrailingWhiteSpace", "false"),
        ]);
        let mut fields = vec![];
        let mut renamed = vec![];
        let mut written = vec![];
        for ((field, name), arrow) in schema.fields.iter().zip(distinct_names(schema)).zip(arrow_schema.fields()) {
            let field = StructField { name, ..field.clone() };
            let data_type = without_void(&field.data_type);
            fields.push(match data_type == field.data_type {
                true => Arc::new(arrow.as_ref().clone().with_name(&field.name)),
                false => Arc::new(Field::new(&field.name, to_arrow(&data_type), true)),
            });
            written.push(StructField { data_type, ..field.clone() });
            renamed.push(field);
        }
        Ok(Self {
            schema: StructType::new(written),
            given: StructType::new(renamed),
            arrow_schema: Arc::new(Schema::new(fields)),
            json: JsonWriteOptions::new(&options, manners, false)?,
            csv: CsvWriteOptions::new(&options, manners)?,
        })
    }

    pub fn columns(&self) -> Vec<Column> {
        let column = |field: &firesteel_plan::StructField| Column {
            name: field.name.clone(),
            data_type: field.data_type.simple_string(),
            nullable: field.nullable,
        };
        self.given.fields.iter().map(column).collect()
    }

    /// The batch under the distinct names.
    pub fn renamed(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let nullable = |schema: &SchemaRef| {
            let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
            Arc::new(Schema::new(fields))
        };
        let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let mut columns = batch.columns().to_vec();
        for (column, field) in columns.iter_mut().zip(self.arrow_schema.fields()) {
            if column.data_type() != field.data_type() {
                *column = arrow::compute::cast(column, field.data_type()).map_err(broken)?;
            }
        }
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow_schema), columns.clone(), &rows)
            .or_else(|_| RecordBatch::try_new_with_options(nullable(&self.arrow_schema), columns, &rows))
            .map_err(broken)
    }

    /// Rows as JSON objects, separated by `separator`.
    pub fn json_rows(&self, batch: &RecordBatch, separator: &str, out: &mut String) -> Result<()> {
        let names: Vec<&str> = self.schema.fields.iter().map(|field| field.name.as_str()).collect();
        let types = self.types();
        let writer = JsonWriter::new(self.json.clone());
        for row in 0..batch.num_rows() {
            if row > 0 {
                out.push_str(separator);
            }
            writer.write_row(out, &names, &types, batch.columns(), row)?;
        }
        Ok(())
    }

    fn types(&self) -> Vec<&DataType> {
        self.schema.fields.iter().map(|field| &field.data_type).collect()
    }
}

fn without_void(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::STRING,
        DataType::Array(element, nulls) => DataType::array(without_void(element), *nulls),
        DataType::Map(key, value, nulls) => DataType::map(without_void(key), without_void(value), *nulls),
        DataType::Struct(fields) => {
            let field = |f: &StructField| StructField { data_type: without_void(&f.data_type), ..f.clone() };
            DataType::structure(fields.fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

/// Columns of the same name get `_2`, `_3` … behind it.
fn distinct_names(schema: &StructType) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let given: std::collections::HashSet<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    let mut names = vec![];
    for field in schema.fields.iter() {
        let mut name = field.name.clone();
        let mut number = 2;
        while taken.contains(&name) || (name != field.name && given.contains(name.as_str())) {
            name = format!("{}_{number}", field.name);
            number += 1;
        }
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// Turns batches into bytes, one after the other.
pub enum Encoder {
    /// An array of objects
    Json {
        style: RowStyle,
        any: bool,
    },
    NdJson {
        style: RowStyle,
    },
    Csv {
        style: RowStyle,
        writer: CsvWriter,
    },
    Arrow {
        writer: StreamWriter<Vec<u8>>,
    },
    Parquet {
        writer: Box<ArrowWriter<Vec<u8>>>,
    },
}

impl Encoder {
    pub fn new(format: Format, style: &RowStyle) -> Result<Self> {
        Ok(match format {
            Format::Json => Self::Json { style: style.clone(), any: false },
            Format::NdJson => Self::NdJson { style: style.clone() },
            Format::Csv => Self::Csv { style: style.clone(), writer: CsvWriter::new(style.csv.clone()) },
            Format::Arrow => {
                Self::Arrow { writer: StreamWriter::try_new(vec![], &style.arrow_schema).map_err(broken)? }
            }
            Format::Parquet => {
                let writer = ArrowWriter::try_new(vec![], Arc::clone(&style.arrow_schema), None);
                Self::Parquet { writer: Box::new(writer.map_err(broken)?) }
            }
        })
    }

    /// What comes before the first row.
    pub fn begin(&mut self) -> Vec<u8> {
        match self {
            Self::Json { .. } => b"[".to_vec(),
            Self::Csv { style, writer } => {
                let mut out = String::new();
                writer.write_header(&mut out, style.schema.fields.iter().map(|field| field.name.as_str()));
                out.into_bytes()
            }
            Self::NdJson { .. } | Self::Arrow { .. } | Self::Parquet { .. } => vec![],
        }
    }

    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        match self {
            Self::Json { style, any } => {
                let mut out = String::new();
                if *any && batch.num_rows() > 0 {
                    out.push(',');
                }
                *any |= batch.num_rows() > 0;
                style.json_rows(batch, ",", &mut out)?;
                Ok(out.into_bytes())
            }
            Self::NdJson { style } => {
                let mut out = String::new();
                style.json_rows(batch, "\n", &mut out)?;
                if batch.num_rows() > 0 {
                    out.push('\n');
                }
                Ok(out.into_bytes())
            }
            Self::Csv { style, writer } => {
                let mut out = String::new();
                let types = style.types();
                for row in 0..batch.num_rows() {
                    writer.write_row(&mut out, &types, batch.columns(), row)?;
                    out.push('\n');
                }
                Ok(out.into_bytes())
            }
            Self::Arrow { writer } => {
                writer.write(batch).map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Parquet { writer } => {
                writer.write(batch).map_err(broken)?;
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    /// What comes after the last row.
    pub fn end(self) -> Result<Vec<u8>> {
        match self {
            Self::Json { .. } => Ok(b"]".to_vec()),
            Self::NdJson { .. } | Self::Csv { .. } => Ok(vec![]),
            Self::Arrow { mut writer } => {
                writer.finish().map_err(broken)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Parquet { writer } => writer.into_inner().map_err(broken),
        }
    }
}

pub fn broken(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal("rows could not be encoded").with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let field = |name: &str| StructField::new(name, DataType::Long, true);
        let names = distinct_names(&StructType::new(["a", "a", "a_2", "a", "b"].map(field).to_vec()));
        assert_eq!(names, ["a", "a_3", "a_2", "a_4", "b"]);
    }

    #[test]
    fn accept_is_weighed() {
        let format =
            |accept: &str| Format::of_accept(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert_eq!(format("text/csv;q=0.5, application/vnd.apache.arrow.stream").unwrap(), Format::Arrow);
        assert_eq!(format("text/html, */*;q=0.1").unwrap(), Format::Json);
        assert_eq!(format("image/png").unwrap_err().status, 406);
    }
}
