//! Whole numbers: `factorial width_bucket`, bits and shifts.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, DurationMicrosecondType, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalYearMonthType,
};
use firesteel_plan::{DataType, Result, SparkError};
use num_traits::PrimInt;

use super::entry;
use crate::arithmetic::kernel::binary;
use crate::cast::kernel::{map_all, primitive};
use crate::coerce::{argument, binary as coercion, implicit};
use crate::quote::{sql_id, unexpected_input_type};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;

fn factorial(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let product = |n: i32| (0..=20).contains(&n).then(|| (1..=i64::from(n)).product());
    Ok(Arc::new(primitive::<Int32Type>(&array)?.unary_opt::<_, Int64Type>(product)))
}

fn never() -> SparkError {
    SparkError::internal("a function that cannot fail")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bits {
    And,
    Or,
    Xor,
}

fn combine(args: &ScalarArgs<'_>, bits: Bits) -> Result<ArrayRef> {
    fn typed<T>(args: &ScalarArgs<'_>, bits: Bits) -> Result<ArrayRef>
    where
        T: ArrowPrimitiveType,
        T::Native: PrimInt,
    {
        let apply = |a: T::Native, b: T::Native| match bits {
            Bits::And => (a & b, false),
            Bits::Or => (a | b, false),
            Bits::Xor => (a ^ b, false),
        };
        Ok(Arc::new(binary::<T, T, T>(args, false, apply, |_, _| never())?))
    }
    match args.return_type {
        DataType::Byte => typed::<Int8Type>(args, bits),
        DataType::Short => typed::<Int16Type>(args, bits),
        DataType::Integer => typed::<Int32Type>(args, bits),
        _ => typed::<Int64Type>(args, bits),
    }
}

fn bits_call(context: &BuildContext<'_>, arguments: Arguments<'_>, bits: Bits) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    let (name, kernel): (&'static str, crate::scalar::Kernel) = match bits {
        Bits::And => ("&", |args| combine(args, Bits::And)),
        Bits::Or => ("|", |args| combine(args, Bits::Or)),
        Bits::Xor => ("^", |args| combine(args, Bits::Xor)),
    };
    let sql = format!("({} {name} {})", left.sql, right.sql);
    let pair = coercion::arithmetic(left, right, context)?;
    let pair = if pair.0.data_type == DataType::Null && pair.1.data_type == DataType::Null {
        coercion::both(pair.0, pair.1, &DataType::Integer, context)?
    } else {
        pair
    };
    if pair.0.data_type != pair.1.data_type {
        // Unlike arithmetic, two decimals of different size have nothing in common here.
        let error = crate::quote::mismatch(
            "BINARY_OP_DIFF_TYPES",
            &sql,
            [("left", crate::quote::sql_type(&pair.0.data_type)), ("right", crate::quote::sql_type(&pair.1.data_type))],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    }
    coercion::check(&sql, &pair, DataType::is_integral, "\"INTEGRAL\"", context)?;
    let (left, right) = pair;
    let (to, nullable) = (left.data_type.clone(), left.nullable || right.nullable);
    Ok(Built::Expr(
        SparkScalar::call(name, kernel, vec![left, right], to, nullable, context.eval).build().with_sql(sql),
    ))
}

fn bitwise_not(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("~{}", value.sql);
    let value = argument(&sql, 0, Accept::Integral, value, context)?;
    let (to, nullable) = (value.data_type.clone(), value.nullable);
    let kernel: crate::scalar::Kernel = |args| {
        let array = args.array(0)?;
        Ok(match args.return_type {
            DataType::Byte => Arc::new(map_all::<Int8Type, Int8Type>(&array, |v| !v)?),
            DataType::Short => Arc::new(map_all::<Int16Type, Int16Type>(&array, |v| !v)?),
            DataType::Integer => Arc::new(map_all::<Int32Type, Int32Type>(&array, |v| !v)?),
            _ => Arc::new(map_all::<Int64Type, Int64Type>(&array, |v| !v)?),
        })
    };
    Ok(Built::Expr(SparkScalar::call("~", kernel, vec![value], to, nullable, context.eval).build().with_sql(sql)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shift {
    Left,
    Right,
    RightUnsigned,
}

fn shift(args: &ScalarArgs<'_>, shift: Shift) -> Result<ArrayRef> {
    // As in Java, only the low bits of the distance count.
    if *args.return_type == DataType::Integer {
        let apply = |v: i32, by: i32| {
            let by = by as u32;
            let result = match shift {
                Shift::Left => v.wrapping_shl(by),
                Shift::Right => v.wrapping_shr(by),
                Shift::RightUnsigned => (v as u32).wrapping_shr(by) as i32,
            };
            (result, false)
        };
        return Ok(Arc::new(binary::<Int32Type, Int32Type, Int32Type>(args, false, apply, |_, _| never())?));
    }
    let apply = |v: i64, by: i32| {
        let by = by as u32;
        let result = match shift {
            Shift::Left => v.wrapping_shl(by),
            Shift::Right => v.wrapping_shr(by),
            Shift::RightUnsigned => (v as u64).wrapping_shr(by) as i64,
        };
        (result, false)
    };
    Ok(Arc::new(binary::<Int64Type, Int32Type, Int64Type>(args, false, apply, |_, _| never())?))
}

fn shift_call(context: &BuildContext<'_>, arguments: Arguments<'_>, kind: Shift) -> Result<Built> {
    let (value, by) = arguments.two(context.called_as)?;
    let symbol = !context.called_as.starts_with('s');
    let sql = if symbol {
        format!("({} {} {})", value.sql, context.called_as, by.sql)
    } else {
        format!("{}({}, {})", context.called_as, value.sql, by.sql)
    };
    let value = match &value.data_type {
        DataType::Integer | DataType::Long => value,
        DataType::Byte | DataType::Short | DataType::Null => {
            implicit(value, &DataType::Integer, context.eval, &context.origin)?
        }
        t if t.is_numeric() || t.is_string() => implicit(value, &DataType::Integer, context.eval, &context.origin)?,
        t => {
            let required = "(\"INT\" or \"BIGINT\")".to_string();
            let error = unexpected_input_type(&sql, 0, required, &value.sql, t);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    };
    let by = argument(&sql, 1, Accept::Integer, by, context)?;
    let (name, kernel): (&'static str, crate::scalar::Kernel) = match kind {
        Shift::Left => ("shiftleft", |args| shift(args, Shift::Left)),
        Shift::Right => ("shiftright", |args| shift(args, Shift::Right)),
        Shift::RightUnsigned => ("shiftrightunsigned", |args| shift(args, Shift::RightUnsigned)),
    };
    let (to, nullable) = (value.data_type.clone(), value.nullable || by.nullable);
    Ok(Built::Expr(SparkScalar::call(name, kernel, vec![value, by], to, nullable, context.eval).build().with_sql(sql)))
}

fn integral(
    value: TypedExpr,
    index: usize,
    required: &str,
    boolean: bool,
    sql: &str,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    match &value.data_type {
        t if t.is_integral() || boolean && *t == DataType::Boolean => Ok(value),
        DataType::Null => implicit(value, &DataType::Integer, context.eval, &context.origin),
        t => {
            let error = unexpected_input_type(sql, index, required.to_string(), &value.sql, t);
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

fn longs(array: &ArrayRef) -> Result<ArrayRef> {
    cast(array, &ArrowType::Int64).map_err(from_arrow)
}

fn bit_count(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("bit_count({})", value.sql);
    let value = integral(value, 0, "(\"INTEGRAL\" or \"BOOLEAN\")", true, &sql, context)?;
    let nullable = value.nullable;
    let kernel: crate::scalar::Kernel = |args| {
        let wide = longs(&args.array(0)?)?;
        Ok(Arc::new(map_all::<Int64Type, Int32Type>(&wide, |v| v.count_ones() as i32)?))
    };
    let call = SparkScalar::call("bit_count", kernel, vec![value], DataType::Integer, nullable, context.eval);
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn bit_get(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (value, position) = arguments.two(context.called_as)?;
    let sql = format!("{}({}, {})", context.called_as, value.sql, position.sql);
    let value = integral(value, 0, "\"INTEGRAL\"", false, &sql, context)?;
    let position = argument(&sql, 1, Accept::Integer, position, context)?;
    let nullable = value.nullable || position.nullable;
    let call =
        SparkScalar::call("bit_get", bit_get_kernel, vec![value, position], DataType::Byte, nullable, context.eval);
    let call = call.options(vec![context.called_as.to_string()]).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn bit_get_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let width = match args.arg_types.first() {
        Some(DataType::Byte) => 8,
        Some(DataType::Short) => 16,
        Some(DataType::Integer) => 32,
        _ => 64,
    };
    let (wide, positions) = (longs(&args.array(0)?)?, args.array(1)?);
    let (values, positions) = (primitive::<Int64Type>(&wide)?, primitive::<Int32Type>(&positions)?);
    let bit = |row: usize| {
        if values.is_null(row) || positions.is_null(row) {
            return Ok(None);
        }
        let position = positions.value(row);
        if !(0..width).contains(&position) {
            return Err(SparkError::new(
                "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE",
                [
                    ("parameter", sql_id("pos")),
                    ("functionName", sql_id(args.option(0))),
                    ("upper", width.to_string()),
                    ("invalidValue", position.to_string()),
                ],
            ));
        }
        Ok(Some((values.value(row) >> position & 1) as i8))
    };
    let bits = (0..args.rows).map(bit).collect::<Result<arrow::array::Int8Array>>()?;
    Ok(Arc::new(bits))
}

/// Bits of a bitmap are numbered from the value 1 on.
const BITMAP_BITS: i64 = 8 * 4096;

fn bit_position(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let position = |v: i64| if v > 0 { (v - 1) % BITMAP_BITS } else { v.wrapping_neg() % BITMAP_BITS };
    Ok(Arc::new(map_all::<Int64Type, Int64Type>(&array, position)?))
}

fn bucket_number(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let bucket = |v: i64| if v > 0 { 1 + (v - 1) / BITMAP_BITS } else { v / BITMAP_BITS };
    Ok(Arc::new(map_all::<Int64Type, Int64Type>(&array, bucket)?))
}

/// `width_bucket(value, min, max, count)` of numbers, or of intervals of one kind.
fn width_bucket(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    if values.len() != 4 {
        return Err(wrong_num_args(context.called_as, 4, 4, values.len()));
    }
    let shown: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("width_bucket({})", shown.join(", "));
    let interval = values.iter().take(3).all(|v| v.data_type.is_ansi_interval());
    let cast = values.into_iter().enumerate().map(|(i, v)| match i {
        3 => argument(&sql, i, Accept::Long, v, context),
        _ if interval => Ok(v),
        _ => argument(&sql, i, Accept::Double, v, context),
    });
    let values = cast.collect::<Result<Vec<_>>>()?;
    let call = SparkScalar::call("width_bucket", width_bucket_kernel, values, DataType::Long, true, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn doubles(array: &ArrayRef) -> Result<Vec<Option<f64>>> {
    if let Some(values) = array.as_primitive_opt::<DurationMicrosecondType>() {
        return Ok(values.iter().map(|v| v.map(|v| v as f64)).collect());
    }
    if let Some(values) = array.as_primitive_opt::<IntervalYearMonthType>() {
        return Ok(values.iter().map(|v| v.map(f64::from)).collect());
    }
    Ok(primitive::<Float64Type>(array)?.iter().collect())
}

fn width_bucket_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let columns = (0..3).map(|i| doubles(&args.array(i)?)).collect::<Result<Vec<_>>>()?;
    let counts = args.array(3)?;
    let counts = primitive::<Int64Type>(&counts)?;
    let bucket = |row: usize| -> Option<i64> {
        let (value, low, high) = (columns[0][row]?, columns[1][row]?, columns[2][row]?);
        let count = counts.is_valid(row).then(|| counts.value(row))?;
        let usable =
            count > 0 && count != i64::MAX && !value.is_nan() && low != high && low.is_finite() && high.is_finite();
        usable.then_some(())?;
        let (below, above) = if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
        Some(if below {
            0
        } else if above {
            count + 1
        } else {
            (count as f64 * (value - low) / (high - low)) as i64 + 1
        })
    };
    Ok(Arc::new((0..args.rows).map(bucket).collect::<Int64Array>()))
}

macro_rules! bitwise {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "bitwise_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.4.0",
        }
    };
}

/// `bitmap_count(bitmap)`: how many bits are set; nothing is cast to BINARY.
fn bitmap_count(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let bitmap = arguments.one(context.called_as)?;
    let sql = format!("bitmap_count({})", bitmap.sql);
    if !matches!(bitmap.data_type, DataType::Binary | DataType::Null) {
        let error = unexpected_input_type(&sql, 0, "\"BINARY\"".to_string(), &bitmap.sql, &bitmap.data_type);
        return Err(error.with_origin(context.origin.as_ref()));
    }
    let nullable = bitmap.nullable;
    let call = SparkScalar::call("bitmap_count", set_bits, vec![bitmap], DataType::Long, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn set_bits(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let bitmaps = crate::view::binaries(args, 0)?;
    crate::rows::longs(args.rows, |row| Some(bitmaps.get(row)?.iter().map(|byte| i64::from(byte.count_ones())).sum()))
}

pub static FUNCTIONS: &[Function] = &[
    bitwise!("&", &[], |c, a| bits_call(c, a, Bits::And), "a & b - Bits that both have.", "SELECT 3 & 5", "1"),
    bitwise!("|", &[], |c, a| bits_call(c, a, Bits::Or), "a | b - Bits that one has.", "SELECT 3 | 5", "7"),
    bitwise!("^", &[], |c, a| bits_call(c, a, Bits::Xor), "a ^ b - Bits that only one has.", "SELECT 3 ^ 5", "6"),
    bitwise!("~", &[], bitwise_not, "~ a - Every bit turned.", "SELECT ~ 0", "-1"),
    bitwise!(
        "<<",
        &["shiftleft"],
        |c, a| shift_call(c, a, Shift::Left),
        "a << n - Bits moved to the left.",
        "SELECT shiftleft(2, 1)",
        "4"
    ),
    bitwise!(
        ">>",
        &["shiftright"],
        |c, a| shift_call(c, a, Shift::Right),
        "a >> n - Bits moved to the right; the sign stays.",
        "SELECT shiftright(4, 1)",
        "2"
    ),
    bitwise!(
        ">>>",
        &["shiftrightunsigned"],
        |c, a| shift_call(c, a, Shift::RightUnsigned),
        "a >>> n - Bits moved to the right; zeros come in.",
        "SELECT shiftrightunsigned(4, 1)",
        "2"
    ),
    bitwise!("bit_count", &[], bit_count, "bit_count(expr) - How many bits are set.", "SELECT bit_count(3)", "2"),
    bitwise!(
        "bit_get",
        &["getbit"],
        bit_get,
        "bit_get(expr, pos) - The bit at a position, counted from the right.",
        "SELECT bit_get(11, 0)",
        "1"
    ),
    bitwise!(
        "width_bucket",
        &[],
        width_bucket,
        "width_bucket(value, min, max, n) - The bucket of n equal ones that holds value.",
        "SELECT width_bucket(5.3, 0.2, 10.6, 5)",
        "3"
    ),
    entry(
        "factorial",
        &[],
        &["expr"],
        Signature::new(&[Accept::Integer], Returns::Is(SimpleType::Long), factorial).nulls(Nulls::Always),
        "factorial(expr) - The product of 1 to expr, for 0 to 20.",
        &[("SELECT factorial(5)", "120")],
        "1.5.0",
    ),
    entry(
        "bitmap_bit_position",
        &[],
        &["child"],
        Signature::new(&[Accept::Long], Returns::Is(SimpleType::Long), bit_position),
        "bitmap_bit_position(child) - The bit of a value in its bitmap.",
        &[("SELECT bitmap_bit_position(1)", "0")],
        "3.5.0",
    ),
    bitwise!(
        "bitmap_count",
        &[],
        bitmap_count,
        "bitmap_count(child) - How many bits of a bitmap are set.",
        "SELECT bitmap_count(X'FF01')",
        "9"
    ),
    entry(
        "bitmap_bucket_number",
        &[],
        &["child"],
        Signature::new(&[Accept::Long], Returns::Is(SimpleType::Long), bucket_number),
        "bitmap_bucket_number(child) - The number of the bitmap that holds a value.",
        &[("SELECT bitmap_bucket_number(123)", "1")],
        "3.5.0",
    ),
];
