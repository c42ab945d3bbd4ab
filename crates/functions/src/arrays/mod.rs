//! Functions on arrays, by what they do to them.
//!
//! | file | functions |
//! |---|---|
//! | [`create`] | `array`, `array_repeat` |
//! | [`sequence`] | `sequence` |
//! | [`access`] | `element_at`, `try_element_at`, `get`, `size`, and `[]` for all types ([`extract`]) |
//! | [`search`] | `array_contains`, `array_position`, `arrays_overlap` |
//! | [`edit`] | `array_append`, `array_insert`, `array_prepend`, `slice`, `flatten` |
//! | [`sets`] | `array_distinct`, `array_union`, `array_except`, `array_intersect`, `array_remove`, `array_compact` |
//! | [`order`] | `sort_array`, `array_min`, `array_max`, `shuffle` |
//! | [`join`] | `array_join`, `arrays_zip` |
//!
//! `concat` and `reverse` take strings too: they are in `strings::concat`.
use firesteel_plan::{DataType, Result};

use crate::cast::{CastMode, cast};
use crate::coerce;
use crate::mismatch;
use crate::registry::{BuildContext, Built};
use crate::scalar::{Kernel, SparkScalar};
use crate::typed::TypedExpr;

pub mod access;
pub mod create;
pub mod edit;
pub mod extract;
pub mod join;
pub mod order;
pub mod search;
pub mod sequence;
pub mod sets;

/// Spark's group of these functions.
const GROUP: &str = "array_funcs";
/// Functions on more than one kind of collection.
const COLLECTION_GROUP: &str = "collection_funcs";

/// An argument that is an array.
pub(crate) struct ArrayArgument {
    pub expr: TypedExpr,
    pub element: DataType,
    pub contains_null: bool,
}

/// Errors with `UNEXPECTED_INPUT_TYPE` unless the argument is an array; an untyped NULL counts as one.
pub(crate) fn array_argument(sql: &str, index: usize, argument: TypedExpr) -> Result<ArrayArgument> {
    match argument.data_type.clone() {
        DataType::Array(element, contains_null) => {
            Ok(ArrayArgument { expr: argument, element: element.as_ref().clone(), contains_null })
        }
        DataType::Null => {
            let text = argument.sql;
            let expr = TypedExpr::null(DataType::array(DataType::Null, true)).with_sql(text);
            Ok(ArrayArgument { expr, element: DataType::Null, contains_null: true })
        }
        _ => Err(mismatch::unexpected_input(sql, index, &argument, "\"ARRAY\"")),
    }
}

/// The expression as `to`; the same values where only nested nullability differs.
pub(crate) fn cast_to(context: &BuildContext<'_>, value: TypedExpr, to: &DataType) -> Result<TypedExpr> {
    if value.data_type == *to || (value.data_type.same_type(to) && value.data_type != DataType::Null) {
        return Ok(value);
    }
    let sql = value.sql.clone();
    Ok(cast(value, to, CastMode::of(context.eval), context.eval)?.with_sql(sql))
}

impl ArrayArgument {
    /// The array with elements cast to `element`.
    pub(crate) fn with_elements(mut self, context: &BuildContext<'_>, element: &DataType) -> Result<Self> {
        let to = DataType::array(element.clone(), self.contains_null);
        self.expr = cast_to(context, self.expr, &to)?;
        self.element = element.clone();
        Ok(self)
    }
}

/// An array and a value brought to one element type, for functions such as `array_append`.
/// Errors with `ARRAY_FUNCTION_DIFF_TYPES` where there is none.
pub(crate) fn array_and_element(
    context: &BuildContext<'_>,
    name: &str,
    sql: &str,
    array: TypedExpr,
    value: TypedExpr,
) -> Result<(ArrayArgument, TypedExpr)> {
    let array = array_argument(sql, 0, array)?;
    let find = if name == "array_contains" { coerce::wider_type_without_strings } else { coerce::tightest_common_type };
    let Some(common) = find(&array.element, &value.data_type, context.eval) else {
        let (left, right) = (&array.expr.data_type, &value.data_type);
        return Err(mismatch::two_types(
            "ARRAY_FUNCTION_DIFF_TYPES",
            name,
            sql,
            Some(("dataType", "ARRAY")),
            left,
            right,
        ));
    };
    let value = cast_to(context, value, &common)?;
    Ok((array.with_elements(context, &common)?, value))
}

/// Two arrays brought to one element type.
/// Errors with `BINARY_ARRAY_DIFF_TYPES` where there is none.
pub(crate) fn two_arrays(
    context: &BuildContext<'_>,
    name: &str,
    sql: &str,
    left: TypedExpr,
    right: TypedExpr,
) -> Result<(ArrayArgument, ArrayArgument)> {
    let types = (left.data_type.clone(), right.data_type.clone());
    let fail =
        || mismatch::two_types("BINARY_ARRAY_DIFF_TYPES", name, sql, Some(("arrayType", "ARRAY")), &types.0, &types.1);
    let left = array_argument(sql, 0, left).map_err(|_| fail())?;
    let right = array_argument(sql, 1, right).map_err(|_| fail())?;
    let common = coerce::tightest_common_type(&left.element, &right.element, context.eval).ok_or_else(fail)?;
    Ok((left.with_elements(context, &common)?, right.with_elements(context, &common)?))
}

/// Errors with `INVALID_ORDERING_TYPE` unless values of the type can be compared.
pub(crate) fn require_orderable(name: &str, sql: &str, data_type: &DataType) -> Result<()> {
    if data_type.is_orderable() { Ok(()) } else { Err(mismatch::not_orderable(name, sql, data_type)) }
}

/// The finished call of a kernel.
pub(crate) fn kernel_call(
    context: &BuildContext<'_>,
    name: &'static str,
    kernel: Kernel,
    args: Vec<TypedExpr>,
    data_type: DataType,
    nullable: bool,
    sql: String,
) -> Result<Built> {
    let call = SparkScalar::call(name, kernel, args, data_type, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}
