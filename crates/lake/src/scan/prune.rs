//! Leaves out files whose partition values cannot satisfy the filters.
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use firesteel_functions::types::to_arrow_field;
use firesteel_plan::StructType;

use super::ScanFile;
use super::skip::{is_filter_of, unqualified};

/// Whether a filter needs nothing but partition columns, and answers the same for every row of a partition.
pub(super) fn is_partition_filter(filter: &Expr, partitions: &StructType) -> bool {
    let is_partition = |name: &str| partitions.fields.iter().any(|field| field.name == name);
    !filter.column_refs().is_empty() && is_filter_of(filter, is_partition)
}

/// Indices of the files that may hold rows for all the filters.
pub(super) fn prune(
    files: &[ScanFile],
    partitions: &StructType,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<usize>> {
    let filters: Vec<&Expr> = filters.iter().filter(|f| is_partition_filter(f, partitions)).collect();
    let mut kept: Vec<usize> = (0..files.len()).collect();
    if filters.is_empty() || kept.is_empty() {
        return Ok(kept);
    }
    let fields: Vec<Field> = partitions.fields.iter().map(to_arrow_field).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |index: usize| ScalarValue::iter_to_array(files.iter().map(|f| f.partition_values[index].clone()));
    let columns = (0..partitions.fields.len()).map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
    let df_schema = DFSchema::try_from(schema)?;
    for filter in filters {
        let predicate = session.create_physical_expr(unqualified(filter.clone())?, &df_schema)?;
        let answer = predicate.evaluate(&batch)?.into_array(files.len())?;
        let answer: &BooleanArray = answer.as_boolean();
        kept.retain(|index| answer.is_valid(*index) && answer.value(*index));
    }
    Ok(kept)
}
