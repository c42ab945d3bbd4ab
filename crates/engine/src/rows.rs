//! Small answers of statements, made cell by cell.
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::datatypes::SchemaRef;
use firesteel_analyze::RowsWithSchema;
use firesteel_functions::types;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use crate::execution::Execution;

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    Flag(bool),
    Long(i64),
    Texts(Vec<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}
impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows of a fixed schema.
#[derive(Debug, Clone)]
pub struct Rows {
    pub schema: StructType,
    pub rows: Vec<Vec<Cell>>,
}

impl Rows {
    pub fn new(columns: &[(&str, DataType, bool)]) -> Self {
        let field = |(name, data_type, nullable): &(&str, DataType, bool)| {
            StructField::new(*name, data_type.clone(), *nullable)
        };
        Self { schema: StructType::new(columns.iter().map(field).collect()), rows: vec![] }
    }

    /// Columns of text that are never null.
    pub fn texts(columns: &[&str]) -> Self {
        let columns: Vec<_> = columns.iter().map(|name| (*name, DataType::STRING, false)).collect();
        Self::new(&columns)
    }

    /// What the columns mean, as their metadata.
    pub fn commented(mut self, comments: &[&str]) -> Self {
        let mut fields = self.schema.fields.to_vec();
        for (field, comment) in fields.iter_mut().zip(comments) {
            field.metadata.insert("comment".into(), serde_json::Value::from(*comment).to_string());
        }
        self.schema = StructType::new(fields);
        self
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    pub fn with(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    fn batch(&self) -> Result<(SchemaRef, RecordBatch)> {
        let schema = Arc::new(types::to_arrow_schema(&self.schema));
        let columns = self.schema.fields.iter().enumerate().map(|(i, field)| self.column(i, &field.data_type));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
            .map_err(|e| SparkError::internal(e.to_string()))?;
        Ok((schema, batch))
    }

    fn column(&self, index: usize, data_type: &DataType) -> Result<ArrayRef> {
        let cells = self.rows.iter().map(|row| row.get(index).unwrap_or(&Cell::Null));
        Ok(match data_type {
            DataType::String(_) => {
                let mut builder = StringBuilder::new();
                for cell in cells {
                    match cell {
                        Cell::Text(text) => builder.append_value(text),
                        _ => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            DataType::Boolean => {
                let mut builder = BooleanBuilder::new();
                for cell in cells {
                    builder.append_option(if let Cell::Flag(flag) = cell { Some(*flag) } else { None });
                }
                Arc::new(builder.finish())
            }
            DataType::Long => {
                let mut builder = Int64Builder::new();
                for cell in cells {
                    builder.append_option(if let Cell::Long(number) = cell { Some(*number) } else { None });
                }
                Arc::new(builder.finish())
            }
            DataType::Array(element, nullable) => {
                let mut builder =
                    ListBuilder::new(StringBuilder::new()).with_field(types::list_field(element, *nullable));
                for cell in cells {
                    match cell {
                        Cell::Texts(texts) => builder.append_value(texts.iter().map(Some)),
                        _ => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            other => return Err(SparkError::internal(format!("no cells of type {other}"))),
        })
    }

    pub fn into_execution(self) -> Result<Execution> {
        let (arrow_schema, batch) = self.batch()?;
        Ok(Execution::of_batches(self.schema, arrow_schema, vec![batch]))
    }

    pub fn into_relation_rows(self) -> Result<RowsWithSchema> {
        let (_, batch) = self.batch()?;
        Ok(RowsWithSchema { schema: self.schema, batches: vec![batch] })
    }
}
