//! The Spark schema of Parquet files.
use arrow::datatypes::{DataType as ArrowType, Field, Fields, TimeUnit};
use firesteel_functions::types::from_arrow;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::FileStatus;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{LogicalType, TimeUnit as ParquetTimeUnit, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;

use super::Parquet;
use crate::format::InferInput;
use crate::merge::merge_schemas;

/// Where Spark keeps the schema that it wrote.
pub(super) const SPARK_SCHEMA_KEY: &str = "org.apache.spark.sql.parquet.row.metadata";

/// The schema of the first file, or of all where schemas are merged.
pub(super) async fn infer(format: &Parquet, input: &InferInput<'_>) -> Result<Option<StructType>> {
    let non_empty: Vec<&FileStatus> = input.files.iter().filter(|file| file.size > 0).copied().collect();
    let wanted = if format.merge_schema { non_empty.as_slice() } else { non_empty.get(..1).unwrap_or_default() };
    let tolerant = format.tolerance.ignore_corrupt;
    let footers = match super::footers(input.file_system, wanted).await {
        Err(_) if tolerant => readable(input, &non_empty, format.merge_schema).await,
        result => result?,
    };
    let mut merged: Option<StructType> = None;
    for (location, footer) in &footers {
        let schema = of_footer(format, footer, &location.url())?;
        merged = Some(match merged {
            None => schema,
            Some(left) => merge_schemas(&left, &schema, input.conf.case_sensitive())?,
        });
    }
    Ok(merged)
}

/// The footers that can be read, one where schemas are not merged.
async fn readable(
    input: &InferInput<'_>,
    files: &[&FileStatus],
    all: bool,
) -> Vec<(firesteel_storage::Location, std::sync::Arc<ParquetMetaData>)> {
    let mut found = vec![];
    for file in files {
        found.extend(super::footers(input.file_system, &[file]).await.unwrap_or_default());
        if !all && !found.is_empty() {
            break;
        }
    }
    found
}

fn of_footer(format: &Parquet, footer: &ParquetMetaData, place: &str) -> Result<StructType> {
    let metadata = footer.file_metadata();
    let entries = metadata.key_value_metadata().into_iter().flatten();
    let own = entries.into_iter().find(|entry| entry.key == SPARK_SCHEMA_KEY).and_then(|entry| entry.value.as_deref());
    if let Some(DataType::Struct(schema)) = own.and_then(|text| DataType::from_json(text).ok()) {
        return Ok(schema);
    }
    let descriptor = metadata.schema_descr();
    if let Some(column) = descriptor.columns().iter().find(|column| {
        column.physical_type() == PhysicalType::INT64
            && matches!(column.logical_type_ref(), Some(LogicalType::Timestamp(t)) if t.unit == ParquetTimeUnit::NANOS)
    }) {
        return Err(SparkError::new(
            "PARQUET_TYPE_ILLEGAL",
            [("parquetType", format!("INT64 (TIMESTAMP(NANOS)) of column {}", column.path()))],
        ));
    }
    let schema = parquet_to_arrow_schema(descriptor, None)
        .map_err(|e| SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", place)]).with_cause(e))?;
    format.fields(schema.fields())
}

impl Parquet {
    fn fields(&self, fields: &Fields) -> Result<StructType> {
        let field = |field: &std::sync::Arc<Field>| {
            Ok(StructField::new(field.name(), self.data_type(field.data_type())?, field.is_nullable()))
        };
        Ok(StructType::new(fields.iter().map(field).collect::<Result<_>>()?))
    }

    fn data_type(&self, arrow_type: &ArrowType) -> Result<DataType> {
        Ok(match arrow_type {
            ArrowType::Binary if self.binary_as_string => DataType::STRING,
            // INT96, the one timestamp without annotation: an instant.
            ArrowType::Timestamp(TimeUnit::Nanosecond, None) => DataType::Timestamp,
            ArrowType::Timestamp(_, None) if !self.infer_ntz => DataType::Timestamp,
            ArrowType::List(element) | ArrowType::LargeList(element) => {
                DataType::array(self.data_type(element.data_type())?, element.is_nullable())
            }
            ArrowType::Map(entries, _) => match entries.data_type() {
                ArrowType::Struct(children) if children.len() == 2 => DataType::map(
                    self.data_type(children[0].data_type())?,
                    self.data_type(children[1].data_type())?,
                    children[1].is_nullable(),
                ),
                other => from_arrow(other)?,
            },
            ArrowType::Struct(fields) => DataType::Struct(self.fields(fields)?),
            ArrowType::Decimal256(p, _) => {
                return Err(SparkError::new(
                    "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
                    [("precision", p.to_string()), ("maxPrecision", "38".into())],
                ));
            }
            other => from_arrow(other)?,
        })
    }
}
