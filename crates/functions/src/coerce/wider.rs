//! The type that two types have in common.
use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, StructField, StructType};

use crate::context::EvalContext;

/// Spark's largest decimal.
pub const MAX_PRECISION: u8 = 38;

const NUMERIC_ORDER: [DataType; 6] =
    [DataType::Byte, DataType::Short, DataType::Integer, DataType::Long, DataType::Float, DataType::Double];

/// The one type both sides can be cast to without losing values (`findTightestCommonType`).
pub fn tightest_common_type(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    use DataType as T;
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        (T::Null, other) | (other, T::Null) => Some(other.clone()),
        (T::Decimal(p, s), i) | (i, T::Decimal(p, s)) if i.is_integral() => {
            decimal_holds((*p, *s), decimal_for(i)?).then_some(T::Decimal(*p, *s))
        }
        (a, b) if a.is_numeric() && b.is_numeric() && !a.is_decimal() && !b.is_decimal() => {
            let wide = NUMERIC_ORDER.iter().rfind(|t| *t == a || *t == b)?;
            // An integer does not fit in a FLOAT exactly.
            if context.ansi && *wide == T::Float { Some(T::Double) } else { Some(wide.clone()) }
        }
        (a, b) if a.is_datetime() && b.is_datetime() => Some(wider_datetime(a, b)),
        (T::Time(a), T::Time(b)) => Some(T::Time(*a.max(b))),
        (T::DayTimeInterval(a, b), T::DayTimeInterval(c, d)) => Some(T::DayTimeInterval(*a.min(c), *b.max(d))),
        (T::YearMonthInterval(a, b), T::YearMonthInterval(c, d)) => Some(T::YearMonthInterval(*a.min(c), *b.max(d))),
        (a, b) if a.is_string() && b.is_string() => common_string(a, b),
        (T::Geometry(_), T::Geometry(_)) => Some(T::Geometry(T::MIXED_SRID)),
        (T::Geography(_), T::Geography(_)) => Some(T::Geography(T::MIXED_SRID)),
        _ => complex(left, right, context, &tightest_common_type),
    }
}

fn wider_datetime(left: &DataType, right: &DataType) -> DataType {
    let either = |t: DataType| *left == t || *right == t;
    if either(DataType::Timestamp) { DataType::Timestamp } else { DataType::TimestampNtz }
}

/// CHAR and VARCHAR become STRING; a collated side wins over the default collation.
fn common_string(left: &DataType, right: &DataType) -> Option<DataType> {
    let collation = |t: &DataType| match t {
        DataType::String(c) => c.clone(),
        _ => Collation(None),
    };
    let (a, b) = (collation(left), collation(right));
    match (a.is_default(), b.is_default()) {
        (true, _) => Some(DataType::String(b)),
        (_, true) => Some(DataType::String(a)),
        _ => (a == b).then_some(DataType::String(a)),
    }
}

/// The one type that fits all, with the wider rules of CASE, IN, UNION and array() (`findWiderTypeForTwo`).
pub fn wider_type(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    let simple = tightest_common_type(left, right, context).or_else(|| wider_type_for_decimal(left, right, context));
    if context.ansi {
        simple.or_else(|| complex(left, right, context, &wider_type)).or_else(|| wider_with_string_ansi(left, right))
    } else {
        simple.or_else(|| promote_to_string(left, right)).or_else(|| complex(left, right, context, &wider_type))
    }
}

/// As [`wider_type`], but a string and another type have nothing in common.
pub fn wider_type_without_strings(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    tightest_common_type(left, right, context)
        .or_else(|| wider_type_for_decimal(left, right, context))
        .or_else(|| complex(left, right, context, &wider_type_without_strings))
}

/// The one type that fits all of `types`.
pub fn wider_type_of(types: &[DataType], context: &EvalContext) -> Option<DataType> {
    let fold = |types: Vec<&DataType>| {
        types.into_iter().try_fold(DataType::Null, |so_far, next| wider_type(&so_far, next, context))
    };
    if context.ansi {
        return fold(types.iter().collect());
    }
    // Strings first, so that the order of the others does not matter.
    let (strings, others): (Vec<_>, Vec<_>) = types.iter().partition(|t| has_string(t));
    fold(strings.into_iter().chain(others).collect())
}

fn has_string(data_type: &DataType) -> bool {
    match data_type {
        DataType::Array(element, _) => has_string(element),
        other => other.is_string(),
    }
}

/// In ANSI mode a string takes the type of the other side.
pub fn wider_with_string_ansi(left: &DataType, right: &DataType) -> Option<DataType> {
    let (string, other) = match (left.is_string(), right.is_string()) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        _ => return None,
    };
    match other {
        DataType::Null => Some(string.clone()),
        t if t.is_integral() => Some(DataType::Long),
        t if t.is_fractional() => Some(DataType::Double),
        t if t.is_interval() => None,
        t if t.is_atomic() => Some(t.clone()),
        _ => None,
    }
}

fn promote_to_string(left: &DataType, right: &DataType) -> Option<DataType> {
    let fits = |t: &DataType| {
        t.is_atomic() && !matches!(t, DataType::Binary | DataType::Boolean) && *t != DataType::CalendarInterval
    };
    match (left.is_string(), right.is_string()) {
        (true, false) if fits(right) => Some(left.clone()),
        (false, true) if fits(left) => Some(right.clone()),
        _ => None,
    }
}

fn wider_type_for_decimal(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    match (left, right) {
        (DataType::Decimal(p1, s1), DataType::Decimal(p2, s2)) => Some(wider_decimal((*p1, *s1), (*p2, *s2), context)),
        (DataType::Decimal(p, s), other) | (other, DataType::Decimal(p, s)) => match other {
            DataType::Float | DataType::Double => Some(DataType::Double),
            t => Some(wider_decimal((*p, *s), decimal_for(t)?, context)),
        },
        _ => None,
    }
}

/// Precision and scale of the decimal that holds every value of an integer type (`DecimalType.forType`).
pub fn decimal_for(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Byte => (3, 0),
        DataType::Short => (5, 0),
        DataType::Integer => (10, 0),
        DataType::Long => (20, 0),
        DataType::Float => (14, 7),
        DataType::Double => (30, 15),
        DataType::Decimal(p, s) => (*p, *s),
        _ => return None,
    })
}

fn decimal_holds(outer: (u8, i8), inner: (u8, i8)) -> bool {
    let integral = |(p, s): (u8, i8)| i32::from(p) - i32::from(s);
    integral(outer) >= integral(inner) && outer.1 >= inner.1
}

/// The decimal that holds both; digits after the point are given up first where 38 digits do not suffice.
pub fn wider_decimal(a: (u8, i8), b: (u8, i8), context: &EvalContext) -> DataType {
    let scale = i32::from(a.1.max(b.1));
    let integral = (i32::from(a.0) - i32::from(a.1)).max(i32::from(b.0) - i32::from(b.1));
    let (precision, max) = (integral + scale, i32::from(MAX_PRECISION));
    if precision <= max {
        return decimal(precision, scale);
    }
    if context.flag("spark.sql.legacy.decimal.retainFractionDigitsOnTruncate", false) {
        return decimal(max, scale.min(max));
    }
    decimal(max, (scale - (precision - max)).max(0))
}

/// A decimal type of numbers that are in range already.
pub fn decimal(precision: i32, scale: i32) -> DataType {
    let precision = precision.clamp(0, i32::from(MAX_PRECISION));
    DataType::Decimal(precision as u8, scale.clamp(0, precision) as i8)
}

type FindType<'a> = &'a dyn Fn(&DataType, &DataType, &EvalContext) -> Option<DataType>;

fn complex(left: &DataType, right: &DataType, context: &EvalContext, find: FindType<'_>) -> Option<DataType> {
    use crate::cast::force_nullable;
    match (left, right) {
        (DataType::Array(a, n1), DataType::Array(b, n2)) => {
            let element = find(a, b, context)?;
            let nullable = *n1 || *n2 || force_nullable(a, &element) || force_nullable(b, &element);
            Some(DataType::array(element, nullable))
        }
        (DataType::Map(k1, v1, n1), DataType::Map(k2, v2, n2)) => {
            let key = find(k1, k2, context)?;
            if force_nullable(k1, &key) || force_nullable(k2, &key) {
                return None;
            }
            let value = find(v1, v2, context)?;
            let nullable = *n1 || *n2 || force_nullable(v1, &value) || force_nullable(v2, &value);
            Some(DataType::map(key, value, nullable))
        }
        (DataType::Struct(a), DataType::Struct(b)) => structs(a, b, context, find),
        _ => None,
    }
}

fn structs(a: &StructType, b: &StructType, context: &EvalContext, find: FindType<'_>) -> Option<DataType> {
    use crate::cast::force_nullable;
    let case_sensitive = context.flag("spark.sql.caseSensitive", false);
    let same_name = |x: &str, y: &str| if case_sensitive { x == y } else { x.to_lowercase() == y.to_lowercase() };
    if a.fields.len() != b.fields.len() {
        return None;
    }
    let field = |(x, y): (&StructField, &StructField)| {
        if !same_name(&x.name, &y.name) {
            return None;
        }
        let common = find(&x.data_type, &y.data_type, context)?;
        let nullable =
            x.nullable || y.nullable || force_nullable(&x.data_type, &common) || force_nullable(&y.data_type, &common);
        Some(StructField::new(&x.name, common, nullable))
    };
    let fields: Option<Vec<_>> = a.fields.iter().zip(b.fields.iter()).map(field).collect();
    Some(DataType::structure(fields?))
}
