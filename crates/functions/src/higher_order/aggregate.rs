//! `aggregate` (`reduce`): folds each array from its beginning.
//!
//! The fold is sequential within a row but not between rows: step *n* merges the *n*-th elements of all rows that have
//! one. Rows are ordered by length, longest first, so the rows still active are always a prefix of the accumulators.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use firesteel_plan::{DataType, Result};

use super::lambda::{LambdaArgs, LambdaCall};
use super::{GROUP, call_text, in_order, lambda_sql, typed_array, value_of};
use crate::coerce;
use crate::mismatch;
use crate::nested::{Gather, Lists, conform};
use crate::registry::{Arguments, BuildContext, Built, Function, ResolvedLambda, wrong_num_args};
use crate::scalar::from_arrow;
use crate::types;

fn build_aggregate(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 4)?;
    let mut parts = in_order(arguments).into_iter();
    let (Some(array), Some(zero), Some(merge)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong_num_args(context.called_as, 3, 4, 0));
    };
    let (array, zero) = (value_of(context, array, 0)?, value_of(context, zero, 1)?);
    let sql = call_text(context, &[&array.sql, &zero.sql, "lambdafunction"]);
    let array = typed_array(&sql, 0, array)?;
    let state = (zero.data_type.clone(), true);
    let (mut merge, merge_given) = merge.resolve(&[state.clone(), (array.element.clone(), array.contains_null)], 2)?;
    if merge.body.data_type.same_shape(&zero.data_type) && !merge.body.data_type.same_type(&zero.data_type) {
        // The state's fields are called as in the first one.
        let sql = merge.body.sql.clone();
        merge.body =
            coerce::implicit(merge.body, &zero.data_type.as_nullable(), context.eval, &context.origin)?.with_sql(sql);
    }
    let state =
        if merge.body.data_type.same_type(&zero.data_type) { (merge.body.data_type.clone(), true) } else { state };
    let (finish, finish_given) = match parts.next() {
        Some(finish) => {
            let (lambda, given) = finish.resolve(&[state], 1)?;
            (Some(lambda), given)
        }
        None => (None, vec![]),
    };
    let finish_sql = finish.as_ref().map_or_else(|| IDENTITY.to_string(), lambda_sql);
    let sql = call_text(context, &[&array.expr.sql, &zero.sql, &lambda_sql(&merge), &finish_sql]);
    check_merge(&sql, &merge, &zero.data_type)?;
    let result = finish.as_ref().map_or_else(|| merge.body.data_type.clone(), |f| f.body.data_type.clone());
    let mut call = LambdaCall::new("aggregate", aggregate, vec![array.expr, zero]).lambda(&merge, &merge_given)?;
    if let Some(finish) = &finish {
        call = call.lambda(finish, &finish_given)?;
    }
    Ok(Built::Expr(call.build(context, result, true, sql)))
}

const IDENTITY: &str = "lambdafunction(namedlambdavariable(), namedlambdavariable())";

/// The merged state has the type of the first one.
fn check_merge(sql: &str, merge: &ResolvedLambda, zero: &DataType) -> Result<()> {
    if merge.body.data_type.as_nullable() == zero.as_nullable() {
        return Ok(());
    }
    let (text, found) = (lambda_sql(merge), &merge.body.data_type);
    Err(mismatch::unexpected_type(sql, 2, &text, found, &mismatch::sql_type(zero)))
}

fn aggregate(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.values.array(0)?)?;
    let state_type = types::to_arrow(&args.lambdas[0].result);
    let zero = conform(&args.values.array(1)?, &state_type)?;
    let mut order: Vec<u32> = (0..args.values.rows as u32).filter(|row| !lists.is_null(*row as usize)).collect();
    order.sort_by_key(|row| std::cmp::Reverse(lists.size(*row as usize)));
    let mut states = take(&zero, &UInt32Array::from(order.clone()), None).map_err(from_arrow)?;
    // States of rows that have ended, shortest rows last: put back in `order` when all are done.
    let mut ended: Vec<ArrayRef> = vec![];
    let longest = order.first().map_or(0, |row| lists.size(*row as usize));
    for step in 0..longest {
        let active = order.partition_point(|row| lists.size(*row as usize) > step);
        if active < states.len() {
            ended.push(states.slice(active, states.len() - active));
            states = states.slice(0, active);
        }
        let rows = &order[..active];
        let indices: UInt32Array = rows.iter().map(|row| (lists.range(*row as usize).start + step) as u32).collect();
        let elements = take(&lists.values, &indices, None).map_err(from_arrow)?;
        states = args.evaluate(0, &[states, elements], &UInt32Array::from(rows.to_vec()))?;
    }
    ended.push(states);
    let in_order: Vec<&dyn Array> = ended.iter().rev().map(|a| a.as_ref()).collect();
    let mut result = concat(&in_order).map_err(from_arrow)?;
    if args.lambdas.len() > 1 {
        result = args.evaluate(1, &[result], &UInt32Array::from(order.clone()))?;
    }
    put_back(args, &order, result)
}

/// Rows in the batch's order; NULL where the array is.
fn put_back(args: &LambdaArgs<'_>, order: &[u32], result: ArrayRef) -> Result<ArrayRef> {
    let mut position = vec![None; args.values.rows];
    for (index, row) in order.iter().enumerate() {
        position[*row as usize] = Some(index);
    }
    let mut out = Gather::new(vec![Arc::clone(&result)], &args.values.arrow_type(), args.values.rows)?;
    for index in position {
        match index {
            Some(index) => out.push(0, index),
            None => out.push_nulls(1),
        }
    }
    out.finish_values()
}

pub static FUNCTIONS: &[Function] = &[Function::custom(
    "aggregate",
    GROUP,
    "2.4.0",
    build_aggregate,
    "aggregate(array, start, merge[, finish]) - Merges the elements into a state, one after the other, and finishes it.",
    &[
        ("aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x)", "6"),
        ("aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x, acc -> acc * 10)", "60"),
    ],
)
.with_aliases(&["reduce"])];
