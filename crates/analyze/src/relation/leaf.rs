//! Leaves: one row, ranges, inline values, rows from the client.
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::CastOptions;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use datafusion::datasource::{MemTable, TableProvider, provider_as_source};
use datafusion::logical_expr::{EmptyRelation, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::{TypedExpr, coerce, types};
use firesteel_plan::relation::CatalogCall;
use firesteel_plan::{DataType, Expr, Result, SparkError, StructField, StructType};

use crate::analyzer::Analyzer;
use crate::context::RowsWithSchema;
use crate::expr::Scope;
use crate::from_datafusion;
use crate::nodes::range::RangeTable;
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    pub(super) fn one_row(&self) -> Result<Resolved> {
        Ok(Resolved::new(one_row_plan(), vec![]))
    }

    pub(crate) fn range(&self, start: i64, end: i64, step: i64, num_partitions: Option<i32>) -> Result<Resolved> {
        if step == 0 {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
                [("exprName", "step"), ("valueRange", "non-zero"), ("currentValue", "0")],
            ));
        }
        let partitions = num_partitions.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let table = RangeTable::new(start, end, step, partitions.unwrap_or_else(|| self.default_parallelism()));
        let schema = StructType::new(vec![StructField::new("id", DataType::Long, false)]);
        self.scan(Arc::new(table), &schema, &StructType::default(), &[])
    }

    /// `spark.default.parallelism`, or the machine's cores.
    pub(crate) fn default_parallelism(&self) -> usize {
        let set = self.eval.get("spark.default.parallelism").and_then(|v| v.parse().ok()).filter(|n| *n > 0);
        set.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    pub(super) fn values(&self, rows: &[Vec<Expr>]) -> Result<Resolved> {
        let width = rows.first().map_or(0, Vec::len);
        let scope = Scope::empty();
        let mut typed_rows: Vec<Vec<TypedExpr>> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                return Err(SparkError::new(
                    "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH",
                    [
                        ("expectedNumCols", width.to_string()),
                        ("actualNumCols", row.len().to_string()),
                        ("rowIndex", typed_rows.len().to_string()),
                    ],
                ));
            }
            let typed = row.iter().map(|e| self.inline_value(e, &scope)).collect::<Result<Vec<_>>>()?;
            typed_rows.push(typed);
        }
        let mut attributes = vec![];
        for column in 0..width {
            let mut data_type = DataType::Null;
            for row in &typed_rows {
                let value = &row[column];
                data_type = self.inline_type(&data_type, &value.data_type).ok_or_else(|| {
                    SparkError::new(
                        "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE",
                        [("colName", format!("`col{}`", column + 1))],
                    )
                    .with_origin(value.origin.as_ref())
                })?;
            }
            let nullable = typed_rows.iter().any(|row| row[column].nullable);
            attributes.push(Attribute::new(format!("col{}", column + 1), data_type, nullable));
        }
        let mode = CastMode::of(&self.eval);
        let rows: Vec<Vec<DfExpr>> = typed_rows
            .into_iter()
            .map(|row| {
                let cells = row.into_iter().zip(&attributes);
                cells.map(|(value, a)| Ok(cast(value, &a.data_type, mode, &self.eval)?.expr)).collect::<Result<_>>()
            })
            .collect::<Result<_>>()?;
        let plan = LogicalPlanBuilder::values(rows).and_then(|b| b.build()).map_err(from_datafusion)?;
        let names: Vec<String> = plan.schema().fields().iter().map(|f| f.name().clone()).collect();
        let columns = names
            .iter()
            .zip(&attributes)
            .map(|(name, a)| DfExpr::Column(datafusion::common::Column::from_name(name)).alias(&a.id));
        Ok(Resolved::new(project(plan, columns.collect())?, attributes))
    }

    /// The common type of two values of a column: as without ANSI mode, but strings go with strings only.
    fn inline_type(&self, left: &DataType, right: &DataType) -> Option<DataType> {
        let legacy = firesteel_functions::EvalContext { ansi: false, ..(*self.eval).clone() };
        coerce::wider_type_without_strings(left, right, &legacy)
    }

    fn inline_value(&self, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        let typed = self.expression(expr, scope)?;
        if typed.has_subquery() {
            return Err(SparkError::of("UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.SCALAR_SUBQUERY_IN_VALUES"));
        }
        let depends = typed.any(super::partition::is_partition_dependent);
        if typed.has_aggregate() || typed.has_window() || typed.has_outer_reference() || depends {
            return Err(SparkError::new(
                "INVALID_INLINE_TABLE.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE",
                [("expr", crate::expr::quoted_sql(&typed))],
            )
            .with_origin(expr.origin.as_ref()));
        }
        Ok(typed)
    }

    /// Rows that a client sent as an Arrow IPC stream; `schema` (DDL or JSON) says what they mean.
    pub(super) fn local_relation(&self, streams: &[Arc<[u8]>], schema: Option<&str>) -> Result<Resolved> {
        let declared = schema.map(|s| firesteel_sql::parse_table_schema(s, &self.parse_options())).transpose()?;
        let Some(first) = streams.first() else {
            let schema = declared.unwrap_or_default();
            return self.rows(RowsWithSchema { schema, batches: vec![] });
        };
        let invalid = |e: arrow::error::ArrowError| SparkError::new("INVALID_ARROW_DATA", [("message", e.to_string())]);
        let open = |data: &Arc<[u8]>| StreamReader::try_new(Cursor::new(Arc::clone(data)), None).map_err(invalid);
        let sent = types::from_arrow_fields(open(first)?.schema().fields())?;
        let schema = match declared {
            Some(declared) if declared.fields.len() == sent.fields.len() => declared,
            Some(declared) => {
                return Err(SparkError::new(
                    "INVALID_ARROW_DATA",
                    [(
                        "message",
                        format!("{} columns were sent for the schema {}", sent.fields.len(), declared.simple_string()),
                    )],
                ));
            }
            None => sent,
        };
        let target = Arc::new(types::to_arrow_schema(&schema));
        let mut batches = vec![];
        for stream in streams {
            for batch in open(stream)? {
                batches.push(conform(&batch.map_err(invalid)?, &target)?);
            }
        }
        self.rows(RowsWithSchema { schema, batches })
    }

    /// Rows held in memory.
    pub(crate) fn rows(&self, rows: RowsWithSchema) -> Result<Resolved> {
        let schema: SchemaRef = Arc::new(types::to_arrow_schema(&rows.schema));
        // Names may repeat here; DataFusion sees them as c0, c1, …
        let fields: Vec<_> = (schema.fields().iter().enumerate())
            .map(|(i, f)| f.as_ref().clone().with_name(format!("c{i}")).with_nullable(true))
            .collect();
        let plain = Arc::new(arrow::datatypes::Schema::new(fields));
        let batches = rows.batches.into_iter().map(|batch| {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(&plain), batch.columns().to_vec(), &options)
                .map_err(|e| SparkError::internal(e.to_string()))
        });
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let partitions = spread(batches, self.default_parallelism());
        let table = MemTable::try_new(plain, partitions).map_err(from_datafusion)?;
        self.scan(Arc::new(table), &rows.schema, &StructType::default(), &[])
    }

    pub(super) fn catalog_rows(&self, call: &CatalogCall) -> Result<Resolved> {
        self.rows(self.context.catalog_call(call)?)
    }

    /// Scans a provider whose columns are those of `schema`, then those of `metadata`, by position.
    pub(crate) fn scan(
        &self,
        provider: Arc<dyn TableProvider>,
        schema: &StructType,
        metadata: &StructType,
        qualifier: &[String],
    ) -> Result<Resolved> {
        let table = fresh_id(qualifier.last().map_or("rows", String::as_str));
        let names: Vec<String> = provider.schema().fields().iter().map(|f| f.name().clone()).collect();
        let plan = LogicalPlanBuilder::scan(
            datafusion::common::TableReference::bare(table.clone()),
            provider_as_source(provider),
            None,
        );
        let plan = plan.and_then(|b| b.build()).map_err(from_datafusion)?;
        let attributes: Vec<Attribute> = (schema.fields.iter().chain(metadata.fields.iter()))
            .map(|f| Attribute { qualifier: qualifier.to_vec(), ..Attribute::of_field(f) })
            .collect();
        let columns = names.iter().zip(&attributes).map(|(name, attribute)| {
            let column = DfExpr::Column(datafusion::common::Column::new(Some(table.clone()), name));
            let read = self.read_side(attribute, TypedExpr { expr: column, ..attribute.typed() });
            read.expr.alias(&attribute.id)
        });
        let plan = project(plan, columns.collect())?;
        let mut output = attributes;
        let hidden = output.split_off(schema.fields.len());
        Ok(Resolved { hidden, ..Resolved::new(plan, output) })
    }
}

pub(crate) fn one_row_plan() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: true,
        schema: Arc::new(datafusion::common::DFSchema::empty()),
    })
}

/// The batch with the columns' types made those of `target`.
fn conform(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..Default::default() };
    let columns = batch.columns().iter().zip(target.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        arrow::compute::cast_with_options(column, field.data_type(), &options)
            .map_err(|e| SparkError::new("INVALID_ARROW_DATA", [("message", format!("column {}: {e}", field.name()))]))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let fields: Vec<_> = target.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), columns, &rows)
        .map_err(|e| SparkError::new("INVALID_ARROW_DATA", [("message", e.to_string())]))
}

/// How many rows a partition of client rows should have at least.
const SPREAD_ROWS_MIN: usize = 64 * 1024;

/// Batches over partitions, in order: small data stays in one.
fn spread(batches: Vec<RecordBatch>, parallelism: usize) -> Vec<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let count = (rows / SPREAD_ROWS_MIN).clamp(1, parallelism.max(1));
    if count == 1 {
        return vec![batches];
    }
    let per_partition = rows.div_ceil(count);
    let mut partitions: Vec<Vec<RecordBatch>> = vec![vec![]];
    let mut filled = 0;
    for batch in batches {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let length = (per_partition - filled).min(batch.num_rows() - offset);
            if let Some(last) = partitions.last_mut() {
                last.push(batch.slice(offset, length));
            }
            offset += length;
            filled += length;
            if filled == per_partition {
                partitions.push(vec![]);
                filled = 0;
            }
        }
    }
    partitions.retain(|p| !p.is_empty());
    partitions
}
