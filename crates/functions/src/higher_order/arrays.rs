//! `transform`, `filter`, `exists`, `forall`, `zip_with`, `array_sort`.
use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Int32Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int32Type;
use firesteel_plan::{DataType, Result, SparkError};

use super::lambda::{LambdaArgs, LambdaCall};
use super::{Body, Elements, GROUP, call_text, in_order, lambda_sql, require_boolean, typed_array, value_of};
use crate::arrays::order::sort_rows;
use crate::arrays::{ArrayArgument, kernel_call};
use crate::mismatch;
use crate::nested::{Gather, Lists, RowEnds, element_type, list_array};
use crate::registry::{Arguments, BuildContext, Built, Function, wrong_num_args};
use crate::scalar::{ScalarArgs, from_arrow};

/// The array and the lambda of a function that takes both.
fn array_and_lambda<'a>(context: &BuildContext<'_>, arguments: Arguments<'a>) -> Result<(ArrayArgument, Body<'a>)> {
    arguments.expect(context.called_as, 2, 2)?;
    let mut parts = in_order(arguments).into_iter();
    let (Some(array), Some(body)) = (parts.next(), parts.next()) else {
        return Err(wrong_num_args(context.called_as, 2, 2, 0));
    };
    let array = value_of(context, array, 0)?;
    let sql = call_text(context, &[&array.sql, "lambdafunction"]);
    Ok((typed_array(&sql, 0, array)?, body))
}

fn build_transform(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (array, body) = array_and_lambda(context, arguments)?;
    let offered = [(array.element.clone(), array.contains_null), (DataType::Integer, false)];
    let (lambda, given) = body.resolve(&offered, 1)?;
    let sql = call_text(context, &[&array.expr.sql, &lambda_sql(&lambda)]);
    let data_type = DataType::array(lambda.body.data_type.clone(), lambda.body.nullable);
    let nullable = array.expr.nullable;
    let call = LambdaCall::new("transform", transform, vec![array.expr]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

/// The elements, and their positions in their rows.
fn element_and_index(args: &LambdaArgs<'_>) -> Result<(Lists, Elements, Vec<ArrayRef>)> {
    let lists = Lists::of(&args.values.array(0)?)?;
    let elements = Elements::of(&lists)?;
    let positions = (0..lists.rows()).flat_map(|row| 0..elements.range(row).len() as i32);
    let parameters = vec![elements.take(&lists.values)?, Arc::new(positions.collect::<Int32Array>()) as ArrayRef];
    Ok((lists, elements, parameters))
}

fn transform(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let (_, elements, parameters) = element_and_index(args)?;
    let values = args.evaluate(0, &parameters, &elements.rows_of)?;
    list_array(args.values.return_type, elements.offsets, values, elements.nulls)
}

fn build_filter(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (array, body) = array_and_lambda(context, arguments)?;
    let offered = [(array.element.clone(), array.contains_null), (DataType::Integer, false)];
    let (lambda, given) = body.resolve(&offered, 1)?;
    let sql = call_text(context, &[&array.expr.sql, &lambda_sql(&lambda)]);
    require_boolean(&sql, 1, &lambda)?;
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable);
    let call = LambdaCall::new("filter", filter, vec![array.expr]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

/// A predicate's results: true, false or NULL for each element.
fn verdicts(args: &LambdaArgs<'_>, elements: &Elements, parameters: &[ArrayRef]) -> Result<Vec<Option<bool>>> {
    let results = args.evaluate(0, parameters, &elements.rows_of)?;
    match results.as_boolean_opt() {
        Some(results) => Ok(results.iter().collect()),
        None => Ok(vec![None; results.len()]),
    }
}

fn filter(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let (_, elements, parameters) = element_and_index(args)?;
    let keep = verdicts(args, &elements, &parameters)?;
    let list = args.values.return_type;
    let mut out = Gather::new(vec![Arc::clone(&parameters[0])], &element_type(list)?, args.values.rows)?;
    for row in 0..args.values.rows {
        out.extend(0, elements.range(row).filter(|i| keep[*i] == Some(true)));
        if elements.is_null(row) { out.null_row()? } else { out.end_row()? }
    }
    out.finish(list)
}

fn build_exists(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    quantified(context, arguments, "exists", |args| quantify(args, true))
}
fn build_forall(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    quantified(context, arguments, "forall", |args| quantify(args, false))
}

fn quantified(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: super::lambda::LambdaKernel,
) -> Result<Built> {
    let (array, body) = array_and_lambda(context, arguments)?;
    let (lambda, given) = body.resolve(&[(array.element.clone(), array.contains_null)], 1)?;
    let sql = call_text(context, &[&array.expr.sql, &lambda_sql(&lambda)]);
    require_boolean(&sql, 1, &lambda)?;
    let nullable = array.expr.nullable || lambda.body.nullable;
    let call = LambdaCall::new(name, kernel, vec![array.expr]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, DataType::Boolean, nullable, sql)))
}

/// One element that is `decisive` decides; otherwise NULL if one is unknown.
fn quantify(args: &LambdaArgs<'_>, decisive: bool) -> Result<ArrayRef> {
    let lists = Lists::of(&args.values.array(0)?)?;
    let elements = Elements::of(&lists)?;
    let results = verdicts(args, &elements, &[elements.take(&lists.values)?])?;
    let mut out = BooleanBuilder::with_capacity(args.values.rows);
    for row in 0..args.values.rows {
        let results = &results[elements.range(row)];
        if elements.is_null(row) {
            out.append_null();
        } else if results.contains(&Some(decisive)) {
            out.append_value(decisive);
        } else if results.contains(&None) {
            out.append_null();
        } else {
            out.append_value(!decisive);
        }
    }
    Ok(Arc::new(out.finish()))
}

fn build_zip_with(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let mut parts = in_order(arguments).into_iter();
    let (Some(left), Some(right), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong_num_args(context.called_as, 3, 3, 0));
    };
    let (left, right) = (value_of(context, left, 0)?, value_of(context, right, 1)?);
    let sql = call_text(context, &[&left.sql, &right.sql, "lambdafunction"]);
    let (left, right) = (typed_array(&sql, 0, left)?, typed_array(&sql, 1, right)?);
    let (lambda, given) = body.resolve(&[(left.element.clone(), true), (right.element.clone(), true)], 2)?;
    let sql = call_text(context, &[&left.expr.sql, &right.expr.sql, &lambda_sql(&lambda)]);
    let data_type = DataType::array(lambda.body.data_type.clone(), lambda.body.nullable);
    let nullable = left.expr.nullable || right.expr.nullable;
    let call = LambdaCall::new("zip_with", zip_with, vec![left.expr, right.expr]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

fn zip_with(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let lists = [Lists::of(&args.values.array(0)?)?, Lists::of(&args.values.array(1)?)?];
    let rows = args.values.rows;
    let gather = |list: &Lists| Gather::new(vec![Arc::clone(&list.values)], list.values.data_type(), rows);
    let mut sides = [gather(&lists[0])?, gather(&lists[1])?];
    let (mut rows_of, mut ends) = (Vec::new(), RowEnds::with_capacity(rows));
    for row in 0..rows {
        let is_null = lists.iter().any(|l| l.is_null(row));
        let size = if is_null { 0 } else { lists[0].size(row).max(lists[1].size(row)) };
        if size > 0 {
            for (list, side) in lists.iter().zip(&mut sides) {
                side.extend(0, list.range(row));
                side.push_nulls(size - list.size(row));
            }
        }
        rows_of.extend(std::iter::repeat_n(row as u32, size));
        ends.end(rows_of.len(), !is_null)?;
    }
    let [left, right] = sides;
    let parameters = [left.finish_values()?, right.finish_values()?];
    let values = args.evaluate(0, &parameters, &UInt32Array::from(rows_of))?;
    let (offsets, nulls) = ends.finish();
    list_array(args.values.return_type, offsets, values, nulls)
}

/// What `array_sort` shows where no comparator is given: Spark's default one.
const DEFAULT_COMPARATOR: &str = "lambdafunction((IF(((namedlambdavariable() IS NULL) AND (namedlambdavariable() IS \
     NULL)), 0, (IF((namedlambdavariable() IS NULL), 1, (IF((namedlambdavariable() IS NULL), -1, \
     (IF((namedlambdavariable() < namedlambdavariable()), -1, (IF((namedlambdavariable() > namedlambdavariable()), 1, \
     0)))))))))), namedlambdavariable(), namedlambdavariable())";

fn build_sort(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_sort";
    arguments.expect(context.called_as, 1, 2)?;
    let mut parts = in_order(arguments).into_iter();
    let Some(array) = parts.next() else { return Err(wrong_num_args(context.called_as, 1, 2, 0)) };
    let array = value_of(context, array, 0)?;
    let sql = call_text(context, &[&array.sql, DEFAULT_COMPARATOR]);
    let array = typed_array(&sql, 0, array)?;
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable);
    let Some(body) = parts.next() else {
        if !array.element.is_orderable() {
            return Err(mismatch::not_orderable(name, &sql, &array.expr.data_type));
        }
        return kernel_call(context, name, sort_default, vec![array.expr], data_type, nullable, sql);
    };
    let element = (array.element.clone(), array.contains_null);
    let (lambda, given) = body.resolve(&[element.clone(), element], 2)?;
    let sql = call_text(context, &[&array.expr.sql, &lambda_sql(&lambda)]);
    if lambda.body.data_type != DataType::Integer {
        return Err(mismatch::mismatch(
            "UNEXPECTED_RETURN_TYPE",
            &sql,
            [
                ("functionName", "`lambdafunction`".to_string()),
                ("expectedType", mismatch::sql_type(&DataType::Integer)),
                ("actualType", mismatch::sql_type(&lambda.body.data_type)),
            ],
        ));
    }
    let call = LambdaCall::new(name, sort_by, vec![array.expr]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

fn sort_default(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    sort_rows(args, |_| Some(true), false)
}

/// Merge sort of all rows at once: each step compares one pair of every row that is not sorted yet, so that the
/// comparator runs on batches.
fn sort_by(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.values.array(0)?)?;
    let elements = Elements::of(&lists)?;
    let values = elements.take(&lists.values)?;
    let mut sorts: Vec<_> = (0..args.values.rows).map(|row| MergeSort::new(elements.range(row))).collect();
    loop {
        let active = sorts.iter().enumerate().filter_map(|(row, sort)| Some((row, sort.pair()?)));
        let active: Vec<_> = active.collect();
        if active.is_empty() {
            break;
        }
        let side = |pick: fn((usize, usize)) -> usize| {
            let indices: UInt32Array = active.iter().map(|(_, pair)| pick(*pair) as u32).collect();
            take(&values, &indices, None).map_err(from_arrow)
        };
        // As in Java's sort, the later element comes first; a comparator that contradicts itself shows it.
        let parameters = [side(|pair| pair.1)?, side(|pair| pair.0)?];
        let rows_of: UInt32Array = active.iter().map(|(row, _)| *row as u32).collect();
        let results = args.evaluate(0, &parameters, &rows_of)?;
        let results = results.as_primitive::<Int32Type>();
        for (i, (row, pair)) in active.iter().enumerate() {
            if results.is_null(i) {
                return Err(comparator_returned_null(&values, (pair.1, pair.0)));
            }
            sorts[*row].decide(0.cmp(&results.value(i)));
        }
    }
    let list = args.values.return_type;
    let mut out = Gather::new(vec![values], &element_type(list)?, args.values.rows)?;
    for (row, sort) in sorts.into_iter().enumerate() {
        out.extend(0, sort.sorted.into_iter());
        if elements.is_null(row) { out.null_row()? } else { out.end_row()? }
    }
    out.finish(list)
}

fn comparator_returned_null(values: &ArrayRef, pair: (usize, usize)) -> SparkError {
    let text = |index| {
        let value = datafusion::common::ScalarValue::try_from_array(values, index);
        value.map_or_else(|_| String::new(), |v| v.to_string())
    };
    SparkError::new("COMPARATOR_RETURNS_NULL", [("firstValue", text(pair.0)), ("secondValue", text(pair.1))])
}

/// A stable bottom-up merge sort that asks for one comparison at a time.
struct MergeSort {
    /// In the order reached so far; runs of `width` are sorted.
    sorted: Vec<usize>,
    merged: Vec<usize>,
    width: usize,
    left: usize,
    left_end: usize,
    right: usize,
    right_end: usize,
}

impl MergeSort {
    fn new(range: std::ops::Range<usize>) -> Self {
        let sorted: Vec<_> = range.collect();
        let mut sort = Self { sorted, merged: vec![], width: 1, left: 0, left_end: 0, right: 0, right_end: 0 };
        sort.start_merge(0);
        sort
    }

    fn is_done(&self) -> bool {
        self.width >= self.sorted.len()
    }

    /// The next two elements to compare.
    fn pair(&self) -> Option<(usize, usize)> {
        (!self.is_done()).then(|| (self.sorted[self.left], self.sorted[self.right]))
    }

    fn decide(&mut self, order: Ordering) {
        if order == Ordering::Greater {
            self.merged.push(self.sorted[self.right]);
            self.right += 1;
        } else {
            self.merged.push(self.sorted[self.left]);
            self.left += 1;
        }
        if self.left == self.left_end || self.right == self.right_end {
            self.merged.extend(&self.sorted[self.left..self.left_end]);
            self.merged.extend(&self.sorted[self.right..self.right_end]);
            self.start_merge(self.right_end);
        }
    }

    /// Starts merging the two runs at `start`, or the next pass where there are none left.
    fn start_merge(&mut self, start: usize) {
        let size = self.sorted.len();
        let middle = start + self.width;
        if middle < size {
            (self.left, self.left_end) = (start, middle);
            (self.right, self.right_end) = (middle, (middle + self.width).min(size));
            return;
        }
        self.merged.extend(&self.sorted[start.min(size)..]);
        self.sorted = std::mem::take(&mut self.merged);
        if start > 0 {
            self.width *= 2;
            if !self.is_done() {
                self.start_merge(0);
            }
        }
    }
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "transform",
        GROUP,
        "2.4.0",
        build_transform,
        "transform(array, func) - Applies func to each element, and to its index from 0 if func takes two parameters.",
        &[("transform(array(1, 2, 3), x -> x + 1)", "[2,3,4]")],
    ),
    Function::custom(
        "filter",
        GROUP,
        "2.4.0",
        build_filter,
        "filter(array, func) - Keeps the elements for which func is true.",
        &[("filter(array(1, 2, 3), x -> x % 2 == 1)", "[1,3]")],
    ),
    Function::custom(
        "exists",
        GROUP,
        "2.4.0",
        build_exists,
        "exists(array, pred) - Returns true if pred holds for an element.",
        &[("exists(array(1, 2, 3), x -> x % 2 == 0)", "true")],
    ),
    Function::custom(
        "forall",
        GROUP,
        "3.0.0",
        build_forall,
        "forall(array, pred) - Returns true if pred holds for all elements.",
        &[("forall(array(1, 2, 3), x -> x % 2 == 0)", "false")],
    ),
    Function::custom(
        "zip_with",
        GROUP,
        "2.4.0",
        build_zip_with,
        "zip_with(left, right, func) - Applies func to pairs of elements; the shorter array is filled up with NULLs.",
        &[("zip_with(array(1, 2), array(3, 4), (x, y) -> x + y)", "[4,6]")],
    ),
    Function::custom(
        "array_sort",
        GROUP,
        "2.4.0",
        build_sort,
        "array_sort(array[, comparator]) - Sorts the elements, NULLs last, or as the comparator says: negative, 0 or \
         positive.",
        &[("array_sort(array('b', 'd', null, 'c', 'a'))", "[\"a\",\"b\",\"c\",\"d\",null]")],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_sort_is_stable_for_any_length() {
        for length in 0..40usize {
            let keys: Vec<usize> = (0..length).map(|i| (i * 7) % 5).collect();
            let mut sort = MergeSort::new(0..length);
            while let Some((a, b)) = sort.pair() {
                sort.decide(keys[a].cmp(&keys[b]));
            }
            let mut expected: Vec<_> = (0..length).collect();
            expected.sort_by_key(|i| keys[*i]);
            assert_eq!(sort.sorted, expected);
        }
    }
}
