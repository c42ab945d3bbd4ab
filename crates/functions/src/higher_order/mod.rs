//! Functions that take lambdas. [`lambda`] runs them; the functions are in [`arrays`], [`aggregate`] and [`maps`].
//!
//! A lambda's parameters get their types from the function ([`crate::registry::LambdaArgument::resolve`]); a lambda that
//! names fewer parameters than there are (`x -> …` for `transform`, which offers the index too) gets only those.
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use firesteel_plan::{DataType, Result, SparkError};

use crate::arrays::{ArrayArgument, array_argument};
use crate::mismatch;
use crate::nested::{Lists, RowEnds};
use crate::registry::{Arguments, BuildContext, LambdaArgument, ResolvedLambda};
use crate::scalar::from_arrow;
use crate::typed::TypedExpr;

pub mod aggregate;
pub mod arrays;
pub mod lambda;
pub mod maps;
#[cfg(test)]
mod tests;

pub const GROUP: &str = "lambda_funcs";

/// `lambdafunction(body, namedlambdavariable(), …)`
fn lambda_sql(lambda: &ResolvedLambda) -> String {
    format!("lambdafunction({}{})", lambda.body.sql, ", namedlambdavariable()".repeat(lambda.parameters.len()))
}

/// A lambda argument, or a value that stands for a lambda that ignores its parameters.
enum Body<'a> {
    Lambda(LambdaArgument<'a>),
    Constant(TypedExpr),
}

impl Body<'_> {
    fn parameter_count(&self) -> Option<usize> {
        match self {
            Self::Lambda(lambda) => Some(lambda.parameter_count),
            Self::Constant(_) => None,
        }
    }

    /// Resolves with as many of `offered` as the lambda names; `least` of them it has to name.
    fn resolve(&self, offered: &[(DataType, bool)], least: usize) -> Result<(ResolvedLambda, Vec<(DataType, bool)>)> {
        let count = self.parameter_count().unwrap_or(least).clamp(least, offered.len());
        let given = offered[..count].to_vec();
        let resolved = match self {
            Self::Lambda(lambda) => (lambda.resolve)(&given)?,
            Self::Constant(value) => ResolvedLambda { parameters: vec![String::new(); count], body: value.clone() },
        };
        Ok((resolved, given))
    }
}

/// Arguments in the order they were written.
fn in_order<'a>(arguments: Arguments<'a>) -> Vec<Body<'a>> {
    let count = arguments.values.len() + arguments.lambdas.len();
    let (mut values, mut lambdas) = (arguments.values.into_iter(), arguments.lambdas.into_iter().peekable());
    let mut out = Vec::with_capacity(count);
    for position in 0..count {
        match lambdas.next_if(|(at, _)| *at == position) {
            Some((_, lambda)) => out.push(Body::Lambda(lambda)),
            None => out.extend(values.next().map(Body::Constant)),
        }
    }
    out.extend(lambdas.map(|(_, lambda)| Body::Lambda(lambda)));
    out
}

/// An argument that is an array; unlike in other functions, an untyped NULL is not one.
fn typed_array(sql: &str, index: usize, argument: TypedExpr) -> Result<ArrayArgument> {
    match argument.data_type {
        DataType::Null => Err(mismatch::unexpected_input(sql, index, &argument, "\"ARRAY\"")),
        _ => array_argument(sql, index, argument),
    }
}

/// The value at a position where no lambda may stand.
fn value_of(context: &BuildContext<'_>, body: Body<'_>, position: usize) -> Result<TypedExpr> {
    match body {
        Body::Constant(value) => Ok(value),
        Body::Lambda(_) => Err(SparkError::new(
            "INVALID_LAMBDA_FUNCTION_CALL.PARAMETER_DOES_NOT_ACCEPT_LAMBDA_FUNCTION",
            [("functionName", mismatch::sql_id(context.called_as)), ("position", position.to_string())],
        )),
    }
}

fn call_text(context: &BuildContext<'_>, parts: &[&str]) -> String {
    format!("{}({})", context.called_as, parts.join(", "))
}

/// Errors unless the lambda's result is a boolean. `sql` is the call's text.
fn require_boolean(sql: &str, position: usize, lambda: &ResolvedLambda) -> Result<()> {
    match &lambda.body.data_type {
        DataType::Boolean | DataType::Null => Ok(()),
        other => Err(mismatch::unexpected_type(sql, position, &lambda_sql(lambda), other, "\"BOOLEAN\"")),
    }
}

/// The elements of all rows one after the other, without what hides behind NULL rows.
struct Elements {
    /// Positions in the list's values
    indices: UInt32Array,
    /// The row of each element
    rows_of: UInt32Array,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
}

impl Elements {
    fn of(lists: &Lists) -> Result<Self> {
        let (mut indices, mut rows_of) = (Vec::new(), Vec::new());
        let mut rows = RowEnds::with_capacity(lists.rows());
        for row in 0..lists.rows() {
            indices.extend(lists.range(row).map(|i| i as u32));
            rows_of.extend(std::iter::repeat_n(row as u32, lists.size(row)));
            rows.end(indices.len(), true)?;
        }
        let (offsets, _) = rows.finish();
        let (indices, rows_of) = (UInt32Array::from(indices), UInt32Array::from(rows_of));
        Ok(Self { indices, rows_of, offsets, nulls: lists.nulls().cloned() })
    }

    fn take(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let dense = self.indices.values().iter().enumerate().all(|(i, index)| i == *index as usize);
        if dense && self.indices.len() == values.len() {
            return Ok(Arc::clone(values));
        }
        take(values, &self.indices, None).map_err(from_arrow)
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }
}
