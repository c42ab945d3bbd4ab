//! `array` and `array_repeat`.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use firesteel_plan::{DataType, Result, SparkError};

use super::{COLLECTION_GROUP, GROUP, cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, MAX_ARRAY_LENGTH, element_type};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::ScalarArgs;
use crate::signature::Accept;

fn build_array(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    let sql = sql_of(context, &values);
    let mut common = DataType::Null;
    for value in &values {
        let types = || values.iter().map(|v| &v.data_type);
        common = coerce::wider_type(&common, &value.data_type, context.eval)
            .ok_or_else(|| mismatch::diff_types("array", &sql, types()))?;
    }
    let contains_null = values.iter().any(|v| v.nullable);
    let values = values.into_iter().map(|v| cast_to(context, v, &common)).collect::<Result<Vec<_>>>()?;
    kernel_call(context, "array", array, values, DataType::array(common, contains_null), false, sql)
}

fn array(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let sources = (0..args.values.len()).map(|i| args.array(i)).collect::<Result<Vec<_>>>()?;
    let count = sources.len();
    let mut out = Gather::new(sources, &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        (0..count).for_each(|source| out.push(source, row));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_repeat(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let sql = sql_of(context, &arguments.values);
    let args = coerce::arguments(&sql, &[Accept::Any, Accept::Integer], arguments.values, context)?;
    let data_type = DataType::array(args[0].data_type.clone(), args[0].nullable);
    let nullable = args[1].nullable;
    kernel_call(context, "array_repeat", repeat, args, data_type, nullable, sql)
}

fn repeat(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (values, counts) = (args.array(0)?, args.array(1)?);
    let counts = counts.as_primitive::<Int32Type>();
    let mut out = Gather::new(vec![values], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if counts.is_null(row) {
            out.null_row()?;
            continue;
        }
        let count = counts.value(row);
        if i64::from(count) > MAX_ARRAY_LENGTH {
            return Err(too_long("array_repeat", "count", i64::from(count)));
        }
        out.extend(0, std::iter::repeat_n(row, usize::try_from(count).unwrap_or(0)));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

/// `COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER`
pub(super) fn too_long(function: &str, parameter: &str, count: i64) -> SparkError {
    SparkError::new(
        "COLLECTION_SIZE_LIMIT_EXCEEDED.PARAMETER",
        [
            ("numberOfElements", count.to_string()),
            ("functionName", format!("`{function}`")),
            ("maxRoundedArrayLength", MAX_ARRAY_LENGTH.to_string()),
            ("parameter", format!("`{parameter}`")),
        ],
    )
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "array",
        GROUP,
        "1.1.0",
        build_array,
        "array(expr, ...) - Makes an array of the given elements.",
        &[("array(1, 2, 3)", "[1,2,3]")],
    ),
    Function::custom(
        "array_repeat",
        COLLECTION_GROUP,
        "2.4.0",
        build_repeat,
        "array_repeat(element, count) - Makes an array that holds element count times.",
        &[("array_repeat('123', 2)", "[\"123\",\"123\"]")],
    ),
];
