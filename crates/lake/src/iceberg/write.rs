//! Writing the data files of a table. They become part of it by a [`Commit`](super::Commit).
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field};
use datafusion::common::ScalarValue;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_functions::types::to_arrow;
use firesteel_plan::command::SaveMode;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::{Location, Storage};

use super::avro::Value;
use super::bounds::shortest;
use super::errors::broken;
use super::manifest::{Content, DataFile};
use super::metrics::Metrics;
use super::partition::{PartitionSpec, decimal_bytes};
use super::transform::TransformExpr;
use super::types::field_id;
use crate::conf::Conf;
use crate::files::cast_partition_value;
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::write::{Description, DirectJob, DirectRequest, RowGuard, StagedFile};

/// Rows to write into a table's directory.
pub struct IcebergWrite<'a> {
    pub location: &'a Location,
    pub storage: &'a Storage,
    /// The columns of the rows, with their numbers
    pub schema: StructType,
    pub spec: PartitionSpec,
    /// `compression` is the codec of the files
    pub options: BTreeMap<String, String>,
    pub conf: Conf,
    /// Behind the columns follows an INT that says what becomes of a row: rows with one below zero are not written.
    pub has_actions: bool,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    pub files: Vec<DataFile>,
    /// Rows by their action
    pub actions: BTreeMap<i32, u64>,
}

/// Writes the rows of a plan.
pub async fn write_data(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    write: IcebergWrite<'_>,
    cancel: impl Future<Output = ()> + Send + 'static,
) -> Result<Written> {
    let (plan, schema, partitions) = with_partitions(plan, &write)?;
    let (root, has_actions) = (write.location.join("data"), write.has_actions);
    let request = WriteRequest {
        format: "parquet".into(),
        path: root.to_string(),
        mode: SaveMode::Append,
        schema,
        partition_by: partitions.iter().map(|field| field.name.clone()).collect(),
        bucketing: None,
        options: SourceOptions::new(write.options),
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: write.conf,
        storage: write.storage.clone(),
    };
    let required = write.schema.fields.iter().enumerate().filter(|(_, field)| !field.nullable);
    let not_null = required.map(|(index, field)| (index, field.name.clone())).collect();
    let guard = RowGuard {
        columns: request.schema.fields.len(),
        not_null,
        null_condition: "NOT_NULL_ASSERT_VIOLATION",
        checks: vec![],
    };
    let direct = DirectRequest { request, description: Description::Iceberg, guard, is_mapped: true, has_actions };
    let summary = DirectJob::run(plan, context, direct, cancel).await?;
    let files = summary.files.into_iter().map(|file| data_file(file, &root, &write.spec, &partitions));
    Ok(Written { files: files.collect::<Result<_>>()?, actions: summary.actions })
}

/// The rows with a column for each partition field behind those of the table.
fn with_partitions(
    plan: Arc<dyn ExecutionPlan>,
    write: &IcebergWrite<'_>,
) -> Result<(Arc<dyn ExecutionPlan>, StructType, Vec<StructField>)> {
    if write.spec.fields.is_empty() {
        return Ok((plan, write.schema.clone(), vec![]));
    }
    let rows = plan.schema();
    let own = rows.fields().iter().enumerate().map(|(index, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
        (column, field.name().clone())
    });
    let mut columns: Vec<_> = own.collect();
    let action = if write.has_actions { columns.pop() } else { None };
    let mut fields = write.schema.fields.to_vec();
    let mut partitions = vec![];
    for (field, data_type) in write.spec.fields.iter().zip(write.spec.types(&write.schema)) {
        let index = write.schema.fields.iter().position(|f| field_id(f) == Some(field.source));
        let (Some(index), Some(data_type)) = (index, data_type) else {
            return Err(broken("the partition spec", format!("the column of {} is gone", field.name)));
        };
        let name = unique(&field.name, &fields);
        let input: Arc<dyn PhysicalExpr> = Arc::new(Column::new(rows.field(index).name(), index));
        let made = Arc::new(Field::new(&name, to_arrow(&data_type), true));
        columns.push((Arc::new(TransformExpr { transform: field.transform, input, field: made }), name.clone()));
        let partition = StructField::new(name, data_type, true);
        fields.push(partition.clone());
        partitions.push(partition);
    }
    columns.extend(action);
    let projected = ProjectionExec::try_new(columns, plan).map_err(|e| broken("partitions", e))?;
    Ok((Arc::new(projected), StructType::new(fields), partitions))
}

/// A name that no column has: files hold the columns beside the partition values that are made of them.
fn unique(name: &str, fields: &[StructField]) -> String {
    let mut unique = name.to_string();
    while fields.iter().any(|field| field.name.eq_ignore_ascii_case(&unique)) {
        unique.insert(0, '_');
    }
    unique
}

fn data_file(file: StagedFile, root: &Location, spec: &PartitionSpec, partitions: &[StructField]) -> Result<DataFile> {
    let metrics: Metrics = match &file.statistics {
        Some(text) => serde_json::from_str(text).map_err(|e| broken("the metrics of a file", e))?,
        None => Metrics::default(),
    };
    let zone = time_zone_or_utc("UTC");
    let mut partition = vec![];
    for ((field, column), (_, text)) in spec.fields.iter().zip(partitions).zip(&file.partition) {
        let value = cast_partition_value(&column.name, text.as_deref(), &column.data_type, &zone)?;
        partition.push((super::partition::avro_name(&field.name), avro_value(&value, &column.data_type)?));
    }
    Ok(DataFile {
        content: Content::Data,
        path: root.join(&file.path).to_string(),
        format: "parquet".into(),
        spec_id: spec.id,
        partition,
        rows: file.rows,
        bytes: file.bytes,
        value_counts: metrics.values.into_iter().collect(),
        null_counts: metrics.nulls.into_iter().collect(),
        nan_counts: metrics.nans.into_iter().collect(),
        column_sizes: metrics.sizes.into_iter().collect(),
        lower_bounds: metrics.lower.into_iter().collect(),
        upper_bounds: metrics.upper.into_iter().collect(),
        equality_ids: vec![],
        split_offsets: metrics.offsets,
        sort_order: Some(0),
        is_vector: false,
    })
}

/// A partition value as manifests hold it.
fn avro_value(value: &ScalarValue, data_type: &DataType) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    Ok(match value {
        ScalarValue::Boolean(Some(v)) => Value::Boolean(*v),
        ScalarValue::Int32(Some(v)) | ScalarValue::Date32(Some(v)) => Value::Long(i64::from(*v)),
        ScalarValue::Int64(Some(v)) | ScalarValue::TimestampMicrosecond(Some(v), _) => Value::Long(*v),
        ScalarValue::Float32(Some(v)) => Value::Float(*v),
        ScalarValue::Float64(Some(v)) => Value::Double(*v),
        ScalarValue::Utf8(Some(v)) => Value::Text(v.clone()),
        ScalarValue::Binary(Some(v)) => Value::Bytes(v.clone()),
        ScalarValue::Decimal128(Some(v), ..) => {
            let DataType::Decimal(precision, _) = data_type else { return Err(unfit(value)) };
            let short = shortest(*v);
            let sign = if *v < 0 { 0xFF } else { 0 };
            let mut bytes = vec![sign; decimal_bytes(*precision).saturating_sub(short.len())];
            bytes.extend(short);
            Value::Bytes(bytes)
        }
        _ => return Err(unfit(value)),
    })
}

fn unfit(value: &ScalarValue) -> SparkError {
    broken("a partition value", format!("{value} of type {}", value.data_type()))
}

/// What a manifest says of a partition value, as text: for paths and for reading what others wrote.
pub(super) fn partition_scalar(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    let arrow = to_arrow(data_type);
    Some(match (value, &arrow) {
        (Value::Boolean(v), _) => ScalarValue::Boolean(Some(*v)),
        (Value::Long(v), ArrowType::Int32) => ScalarValue::Int32(Some((*v).try_into().ok()?)),
        (Value::Long(v), ArrowType::Date32) => ScalarValue::Date32(Some((*v).try_into().ok()?)),
        (Value::Long(v), ArrowType::Int64) => ScalarValue::Int64(Some(*v)),
        (Value::Long(v), ArrowType::Timestamp(_, zone)) => ScalarValue::TimestampMicrosecond(Some(*v), zone.clone()),
        (Value::Float(v), _) => ScalarValue::Float32(Some(*v)),
        (Value::Double(v), _) => ScalarValue::Float64(Some(*v)),
        (Value::Text(v), _) => ScalarValue::Utf8(Some(v.clone())),
        (Value::Bytes(v), ArrowType::Binary) => ScalarValue::Binary(Some(v.clone())),
        (Value::Bytes(v), ArrowType::Decimal128(precision, scale)) => {
            ScalarValue::Decimal128(Some(super::bounds::big_endian(v)?), *precision, *scale)
        }
        _ => return ScalarValue::try_from(&arrow).ok(),
    })
}
