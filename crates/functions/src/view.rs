//! How kernels read their arguments: one row at a time, whether the argument is a column or a constant.
use arrow::array::{
    Array, ArrayAccessor, ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Int32Type, Int64Type};
use datafusion::logical_expr::ColumnarValue;
use firesteel_plan::{Result, SparkError};

use crate::scalar::{ScalarArgs, from_arrow, from_datafusion};

/// An argument of a known Arrow type. A constant is one row that stands for all.
pub struct View<A> {
    pub array: A,
    pub constant: bool,
}

impl<A> View<A>
where
    for<'a> &'a A: ArrayAccessor,
{
    /// The value in `row`, `None` where it is NULL.
    #[inline]
    pub fn get(&self, row: usize) -> Option<<&A as ArrayAccessor>::Item> {
        let row = if self.constant { 0 } else { row };
        if (&self.array).is_null(row) { None } else { Some((&self.array).value(row)) }
    }

    /// The constant's value, if the argument is one and not NULL.
    pub fn constant(&self) -> Option<<&A as ArrayAccessor>::Item> {
        if self.constant { self.get(0) } else { None }
    }
}

/// Argument `index` as an array, cast to `wanted` if it is of another Arrow type (a NULL literal, say).
fn fetch(args: &ScalarArgs<'_>, index: usize, wanted: &ArrowType) -> Result<(ArrayRef, bool)> {
    let value = args.values.get(index).ok_or_else(|| SparkError::internal(format!("no argument {index}")))?;
    let (array, constant) = match value {
        ColumnarValue::Array(array) => (array.clone(), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array_of_size(1).map_err(from_datafusion)?, true),
    };
    if array.data_type() == wanted {
        return Ok((array, constant));
    }
    Ok((cast(&array, wanted).map_err(from_arrow)?, constant))
}

macro_rules! views {
    ($($name:ident -> $array:ty, $arrow:expr, $downcast:expr;)*) => {$(
        pub fn $name(args: &ScalarArgs<'_>, index: usize) -> Result<View<$array>> {
            let (array, constant) = fetch(args, index, &$arrow)?;
            let downcast: fn(&ArrayRef) -> &$array = $downcast;
            Ok(View { array: downcast(&array).clone(), constant })
        }
    )*};
}

views! {
    strings -> StringArray, ArrowType::Utf8, |a| a.as_string::<i32>();
    binaries -> BinaryArray, ArrowType::Binary, |a| a.as_binary::<i32>();
    ints -> Int32Array, ArrowType::Int32, |a| a.as_primitive::<Int32Type>();
    longs -> Int64Array, ArrowType::Int64, |a| a.as_primitive::<Int64Type>();
    booleans -> BooleanArray, ArrowType::Boolean, |a| a.as_boolean();
}

/// Argument `index` in whatever type it has.
pub fn any(args: &ScalarArgs<'_>, index: usize) -> Result<View<ArrayRef>> {
    let value = args.values.get(index).ok_or_else(|| SparkError::internal(format!("no argument {index}")))?;
    Ok(match value {
        ColumnarValue::Array(array) => View { array: array.clone(), constant: false },
        ColumnarValue::Scalar(scalar) => {
            View { array: scalar.to_array_of_size(1).map_err(from_datafusion)?, constant: true }
        }
    })
}

impl View<ArrayRef> {
    /// The row of the array that holds the value of `row`.
    #[inline]
    pub fn index(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }
    pub fn is_null_at(&self, row: usize) -> bool {
        self.array.is_null(self.index(row))
    }
}
