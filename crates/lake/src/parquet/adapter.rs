//! Fits expressions on the table's columns to the columns of one Parquet file.
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, lit};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use firesteel_functions::external;
use firesteel_functions::types::from_arrow;
use firesteel_plan::SparkError;

use super::coded::is_coded;
use super::stored::StoredColumns;
use crate::convert::{can_convert, convert, with_names};

/// Makes an adapter for each file.
#[derive(Debug)]
pub(super) struct SparkAdapterFactory {
    place: Arc<str>,
    stored: Option<StoredColumns>,
    exact_case: bool,
}

impl SparkAdapterFactory {
    /// `stored`: how the files call the table's columns, where that is not as the table does.
    pub(super) fn new(place: &str, stored: Option<StoredColumns>, exact_case: bool) -> Self {
        Self { place: place.into(), stored, exact_case }
    }
}

impl PhysicalExprAdapterFactory for SparkAdapterFactory {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let place = Arc::clone(&self.place);
        let (stored, exact_case) = match &self.stored {
            Some(stored) => stored.in_file(&physical, self.exact_case),
            None => (Arc::clone(&logical), self.exact_case),
        };
        Ok(Arc::new(SparkAdapter { logical, stored, physical, place, exact_case }))
    }
}

#[derive(Debug)]
struct SparkAdapter {
    logical: SchemaRef,
    /// `logical` by the names of the files.
    stored: SchemaRef,
    physical: SchemaRef,
    place: Arc<str>,
    exact_case: bool,
}

impl PhysicalExprAdapter for SparkAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| match expr.downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.column(column)?)),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

impl SparkAdapter {
    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let Some((position, wanted)) = self.logical.column_with_name(column.name()) else {
            return exec_err!("column {} is not in the table", column.name());
        };
        let stored = self.stored.field(position);
        let Some(index) = self.find(stored.name())? else {
            return Ok(lit(ScalarValue::try_from(wanted.data_type())?));
        };
        let have = self.physical.field(index);
        let input: Arc<dyn PhysicalExpr> = Arc::new(Column::new(have.name(), index));
        if have.data_type() == wanted.data_type() || is_coded(have) {
            return Ok(input);
        }
        if !can_convert(have.data_type(), stored.data_type(), self.exact_case) {
            return Err(external(self.mismatch(column.name(), wanted.data_type(), have.data_type())));
        }
        let field = Arc::new(wanted.clone().with_nullable(true));
        if is_plain_cast(have.data_type(), wanted.data_type()) {
            return Ok(Arc::new(CastExpr::new_with_target_field(input, field, None)));
        }
        let stored = stored.data_type().clone();
        Ok(Arc::new(ConvertExpr { input, stored, field, exact_case: self.exact_case }))
    }

    /// The file's column of a name; two that differ in case alone are ambiguous.
    fn find(&self, name: &str) -> Result<Option<usize>> {
        let fields = self.physical.fields();
        if self.exact_case {
            return Ok(fields.find(name).map(|(index, _)| index));
        }
        let folded = name.to_lowercase();
        let mut matching = fields.iter().enumerate().filter(|(_, f)| f.name().to_lowercase() == folded);
        let first = matching.next();
        if let (Some(first), Some(second)) = (first, matching.next()) {
            let message = format!(
                "Found duplicate field(s) \"{name}\": [{}, {}] in case-insensitive mode",
                first.1.name(),
                second.1.name()
            );
            return Err(external(SparkError::new("_LEGACY_ERROR_TEMP_2093", [("message", message)])));
        }
        Ok(first.map(|(index, _)| index))
    }

    fn mismatch(&self, column: &str, wanted: &DataType, have: &DataType) -> SparkError {
        let spark = |data_type| from_arrow(data_type).map_or_else(|_| format!("{data_type}"), |t| t.simple_string());
        SparkError::new(
            "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH",
            [
                ("path", self.place.to_string()),
                ("column", format!("[{column}]")),
                ("expectedType", spark(wanted)),
                ("actualType", physical_name(have).map_or_else(|| spark(have), str::to_string)),
            ],
        )
    }
}

/// The Parquet type that stores values of an Arrow type.
fn physical_name(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => "INT32",
        DataType::Int64 | DataType::Timestamp(..) | DataType::Time64(_) => "INT64",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Binary => "BINARY",
        DataType::FixedSizeBinary(_) | DataType::Decimal128(..) => "FIXED_LEN_BYTE_ARRAY",
        _ => return None,
    })
}

/// Casts that DataFusion's pruning understands and Arrow does without our help.
fn is_plain_cast(from: &DataType, to: &DataType) -> bool {
    from.is_numeric() && to.is_numeric()
        || matches!((from, to), (DataType::Timestamp(..) | DataType::Date32, DataType::Timestamp(..)))
}

/// A stored column as the table's type, by [`convert`].
#[derive(Debug, Eq)]
struct ConvertExpr {
    input: Arc<dyn PhysicalExpr>,
    /// The type of `field` with the nested names of the file.
    stored: DataType,
    field: FieldRef,
    exact_case: bool,
}

// Derived, these would try to move the input.
impl PartialEq for ConvertExpr {
    fn eq(&self, other: &Self) -> bool {
        self.input.as_ref() == other.input.as_ref()
            && self.stored == other.stored
            && self.field == other.field
            && self.exact_case == other.exact_case
    }
}

impl Hash for ConvertExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.as_ref().hash(state);
        self.field.hash(state);
    }
}

impl fmt::Display for ConvertExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read({} as {})", self.input, self.field.data_type())
    }
}

impl PhysicalExpr for ConvertExpr {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }
    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }
    fn return_field(&self, _input: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        let converted = convert(&array, &self.stored, self.exact_case)?;
        Ok(ColumnarValue::Array(with_names(&converted, self.field.data_type())?))
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(input) = children.pop() else {
            return exec_err!("a conversion has one input");
        };
        let (stored, field) = (self.stored.clone(), Arc::clone(&self.field));
        Ok(Arc::new(Self { input, stored, field, exact_case: self.exact_case }))
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt_sql(f)
    }
}
