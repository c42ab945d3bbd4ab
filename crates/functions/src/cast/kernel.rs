//! Converts one Arrow array from one Spark type to another.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, new_null_array};
use firesteel_plan::{DataType, Result, SparkError};

use super::{CastMode, nested, numeric, parse, temporal, text, variant};
use crate::context::EvalContext;
use crate::datetime::zone::Zone;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;
use crate::types;

/// How to cast.
pub struct Caster<'a> {
    pub mode: CastMode,
    pub context: &'a EvalContext,
    pub zone: Zone,
    /// The column that a row is being inserted into
    pub column: Option<&'a str>,
    /// Texts are for people to look at: NULL in capitals, bytes as hexadecimal numbers
    pub pretty: bool,
}

impl<'a> Caster<'a> {
    pub fn new(mode: CastMode, context: &'a EvalContext) -> Self {
        Self { mode, context, zone: Zone::new(&context.time_zone), column: None, pretty: false }
    }

    /// NULL, or the error in ANSI mode.
    #[inline]
    pub fn fail<T>(&self, error: impl FnOnce() -> SparkError) -> Result<Option<T>> {
        if self.mode == CastMode::Ansi { Err(error()) } else { Ok(None) }
    }
}

/// What `show` prints of each value that is not NULL.
fn pretty_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let caster = Caster { pretty: true, ..Caster::new(CastMode::Legacy, args.context) };
    let from = args.arg_types.first().ok_or_else(|| SparkError::internal("the text of nothing"))?;
    text::to_string(&args.array(0)?, from, &caster)
}

/// The text of a value as `show` prints it.
pub fn pretty(value: TypedExpr, context: &Arc<EvalContext>) -> Result<TypedExpr> {
    let looks_other =
        matches!(value.data_type, DataType::Binary | DataType::Array(..) | DataType::Map(..) | DataType::Struct(_));
    if !looks_other {
        return super::cast(value, &DataType::STRING, CastMode::Legacy, context);
    }
    let nullable = value.nullable;
    let call = SparkScalar::call("to_pretty_string", pretty_kernel, vec![value], DataType::STRING, nullable, context);
    Ok(call.build())
}

/// The kernel of the cast function.
pub fn cast_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let mut caster = Caster::new(CastMode::from_name(args.option(0)), args.context);
    caster.column = args.options.get(1).map(String::as_str);
    let from = args.arg_types.first().ok_or_else(|| SparkError::internal("a cast of nothing"))?;
    convert(&args.array(0)?, from, args.return_type, &caster)
}

/// The array as another Spark type.
pub fn convert(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    use DataType as T;
    match (from, to) {
        (T::Null, _) => Ok(new_null_array(&types::to_arrow(to), array.len())),
        (T::Udt { sql_type, .. }, _) => convert(array, sql_type, to, caster),
        (_, T::Udt { sql_type, .. }) => convert(array, from, sql_type, caster),
        (f, t) if f == t => Ok(Arc::clone(array)),
        (f, t) if f.is_string() && t.is_string() => Ok(Arc::clone(array)),
        (T::Array(..), T::Array(..)) | (T::Map(..), T::Map(..)) | (T::Struct(_), T::Struct(_)) => {
            nested::convert(array, from, to, caster)
        }
        (T::Variant, _) | (_, T::Variant) => variant::convert(array, from, to, caster),
        (_, t) if t.is_string() => text::to_string(array, from, caster),
        (f, _) if f.is_string() => parse::from_string(array, from, to, caster),
        (f, t) if f.is_numeric() && (t.is_numeric() || *t == T::Boolean || *t == T::Binary) => {
            numeric::convert(array, from, to, caster)
        }
        (T::Boolean, t) if t.is_numeric() => numeric::from_boolean(array, to, caster),
        _ => temporal::convert(array, from, to, caster),
    }
}

/// An array as the primitive array it must be.
pub fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>().ok_or_else(|| {
        SparkError::internal(format!("an array of {} was expected, not of {}", T::DATA_TYPE, array.data_type()))
    })
}

/// Maps every value; `None` makes NULL, or in ANSI mode the error.
pub fn map_values<F, T>(
    array: &ArrayRef,
    caster: &Caster<'_>,
    convert: impl Fn(F::Native) -> Option<T::Native>,
    error: impl Fn(F::Native) -> SparkError,
) -> Result<PrimitiveArray<T>>
where
    F: ArrowPrimitiveType,
    T: ArrowPrimitiveType,
{
    let input = primitive::<F>(array)?;
    if caster.mode == CastMode::Ansi {
        return input.try_unary(|v| convert(v).ok_or_else(|| error(v)));
    }
    Ok(input.unary_opt(convert))
}

/// Maps every value with a function that cannot fail.
pub fn map_all<F, T>(array: &ArrayRef, convert: impl Fn(F::Native) -> T::Native) -> Result<PrimitiveArray<T>>
where
    F: ArrowPrimitiveType,
    T: ArrowPrimitiveType,
{
    Ok(primitive::<F>(array)?.unary(convert))
}
