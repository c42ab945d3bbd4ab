//! What orders the records of a key in time: the bytes of a column, which compare as its values do.
use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::ScalarValue;
use firesteel_plan::{Result, SparkError};

/// When a record counts; `None` where it does not say.
pub(super) type Order = Option<Box<[u8]>>;

/// Makes and compares the orders of one column.
#[derive(Debug)]
pub(super) struct Orders {
    name: String,
    data_type: DataType,
    converter: RowConverter,
    /// What NULL and an order that does not count are among whole numbers
    zero: Order,
}

/// The orders of a batch's rows.
pub(super) struct BatchOrders {
    rows: Rows,
    column: ArrayRef,
}

impl Orders {
    pub(super) fn new(name: &str, data_type: &DataType) -> Result<Self> {
        let fields = vec![SortField::new(data_type.clone())];
        let converter = RowConverter::new(fields).map_err(failed)?;
        let mut orders = Self { name: name.into(), data_type: data_type.clone(), converter, zero: None };
        if *data_type == DataType::Int32 {
            orders.zero = orders.of_batch(Arc::new(Int32Array::from(vec![0])))?.get(0).map(Box::from);
        }
        Ok(orders)
    }

    pub(super) fn of_batch(&self, column: ArrayRef) -> Result<BatchOrders> {
        let rows = self.converter.convert_columns(&[Arc::clone(&column)]).map_err(failed)?;
        Ok(BatchOrders { rows, column })
    }

    pub(super) fn of_row(&self, rows: &BatchOrders, row: usize) -> Order {
        rows.get(row).map(Box::from).or_else(|| self.zero.clone())
    }

    /// Those of a delete block.
    pub(super) fn of_values(&self, values: &[Option<ScalarValue>]) -> Result<Vec<Order>> {
        let known: Vec<ScalarValue> = values.iter().flatten().cloned().collect();
        let rows = match known.is_empty() {
            true => None,
            false => {
                let array = ScalarValue::iter_to_array(known).map_err(failed)?;
                let options = CastOptions { safe: false, ..CastOptions::default() };
                Some(self.of_batch(cast_with_options(&array, &self.data_type, &options).map_err(failed)?)?)
            }
        };
        let mut next = 0..;
        let order = |value: &Option<ScalarValue>| {
            let row = value.as_ref().and_then(|_| next.next());
            match (row, &rows) {
                (Some(row), Some(rows)) => self.of_row(rows, row),
                _ => self.zero.clone(),
            }
        };
        Ok(values.iter().map(order).collect())
    }

    /// Whether a delete with this order takes away all that came before it.
    pub(super) fn is_natural(&self, order: &Order) -> bool {
        order.is_none() || *order == self.zero
    }

    /// Errors where only one of two records says when it counts.
    pub(super) fn compare(&self, a: Option<&[u8]>, b: Option<&[u8]>) -> Result<Ordering> {
        match (a, b) {
            (Some(a), Some(b)) => Ok(a.cmp(b)),
            (None, None) => Ok(Ordering::Equal),
            _ => Err(SparkError::unsupported(format!(
                "merging records of a Hudi table of which one has no value in {}, the column that orders them",
                self.name
            ))),
        }
    }

    pub(super) fn zero(&self) -> Option<&[u8]> {
        self.zero.as_deref()
    }
}

impl BatchOrders {
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        self.column.is_valid(row).then(|| self.rows.row(row).data())
    }
}

fn failed(error: impl Into<OrderError>) -> SparkError {
    SparkError::internal(format!("the order of records of a Hudi table: {}", error.into().0))
}

struct OrderError(String);

impl From<ArrowError> for OrderError {
    fn from(error: ArrowError) -> Self {
        Self(error.to_string())
    }
}

impl From<datafusion::common::DataFusionError> for OrderError {
    fn from(error: datafusion::common::DataFusionError) -> Self {
        Self(error.to_string())
    }
}
