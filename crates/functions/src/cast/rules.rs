//! Which casts Spark allows, and whether their result can be NULL.
use firesteel_plan::{DataType, SparkError};

use super::CastMode;
use crate::coerce::decimal_for;
use crate::quote::{mismatch, sql_config, sql_type};

/// Whether `CAST(from AS to)` may be written in that mode.
pub fn can_cast(from: &DataType, to: &DataType, mode: CastMode) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Array(a, n1), T::Array(b, n2)) => can_cast(a, b, mode) && nulls_fit(a, b, *n1, *n2, mode),
        (T::Map(k1, v1, n1), T::Map(k2, v2, n2)) => {
            can_cast(k1, k2, mode)
                && !cast_forces_null(k1, k2, mode)
                && can_cast(v1, v2, mode)
                && nulls_fit(v1, v2, *n1, *n2, mode)
        }
        (T::Struct(a), T::Struct(b)) => {
            a.fields.len() == b.fields.len()
                && a.fields.iter().zip(b.fields.iter()).all(|(x, y)| {
                    can_cast(&x.data_type, &y.data_type, mode)
                        && nulls_fit(&x.data_type, &y.data_type, x.nullable, y.nullable, mode)
                })
        }
        (T::Udt { sql_type, .. }, to) => can_cast(sql_type, to, mode),
        (T::Null, _) => true,
        (T::Variant, to) => can_cast_variant(to),
        (from, T::Variant) => can_become_variant(from),
        (T::Geometry(_) | T::Geography(_), to) if to.is_string() => false,
        (_, to) if to.is_string() => true,
        (from, to) if from.is_string() => string_reads(to),
        (from, to) => mode_allows(from, to, mode),
    }
}

fn nulls_fit(from: &DataType, to: &DataType, from_nullable: bool, to_nullable: bool, mode: CastMode) -> bool {
    to_nullable || !(from_nullable || cast_forces_null(from, to, mode))
}

fn string_reads(to: &DataType) -> bool {
    to.is_numeric()
        || to.is_datetime()
        || to.is_interval()
        || matches!(to, DataType::Boolean | DataType::Binary | DataType::Time(_))
}

fn can_cast_variant(to: &DataType) -> bool {
    match to {
        DataType::Array(element, _) => can_cast_variant(element),
        DataType::Map(key, value, _) => key.is_string() && can_cast_variant(value),
        DataType::Struct(fields) => fields.fields.iter().all(|f| can_cast_variant(&f.data_type)),
        to => to.is_atomic() && !to.is_interval() && !matches!(to, DataType::Time(_)) || *to == DataType::Variant,
    }
}

fn can_become_variant(from: &DataType) -> bool {
    match from {
        DataType::Array(element, _) => can_become_variant(element),
        DataType::Variant => true,
        from => from.is_atomic() && !from.is_interval(),
    }
}

/// Casts between types that are neither strings nor nested.
fn mode_allows(from: &DataType, to: &DataType, mode: CastMode) -> bool {
    use DataType as T;
    let legacy = mode == CastMode::Legacy;
    match (from, to) {
        (f, t) if f.is_numeric() && (t.is_numeric() || *t == T::Boolean || *t == T::Timestamp) => true,
        (f, T::Binary) if f.is_integral() => legacy,
        (f, t) if f.is_integral() && t.is_ansi_interval() => true,
        (T::Decimal(..), t) if t.is_ansi_interval() => true,
        (T::Boolean, t) if t.is_numeric() => true,
        (T::Boolean, T::Timestamp) => legacy,
        (T::Date, T::Timestamp | T::TimestampNtz) => true,
        (T::Date, t) if t.is_numeric() || *t == T::Boolean => legacy,
        (T::Timestamp, T::Date | T::TimestampNtz) => true,
        (T::Timestamp, t) if t.is_numeric() => true,
        (T::Timestamp, T::Boolean) => legacy,
        (T::TimestampNtz, T::Date | T::Timestamp) => true,
        (T::Time(_), t) => t.is_integral() || t.is_decimal() || matches!(t, T::Time(_)),
        (T::DayTimeInterval(..), T::DayTimeInterval(..)) => true,
        (T::YearMonthInterval(..), T::YearMonthInterval(..)) => true,
        (f, t) if f.is_ansi_interval() => t.is_integral() || t.is_decimal(),
        // An SRID may be forgotten, but not assumed.
        (T::Geometry(from), T::Geometry(to)) | (T::Geography(from), T::Geography(to)) => {
            *from != T::MIXED_SRID && *to == T::MIXED_SRID
        }
        (T::Geography(from), T::Geometry(to)) => from == to && *from != T::MIXED_SRID,
        _ => false,
    }
}

/// Whether a cast can turn a value into NULL (`Cast.forceNullable`).
pub fn force_nullable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return false;
    }
    match (from, to) {
        (T::Null, _) => false,
        (T::Variant, _) => true,
        (f, t) if f.is_string() => !(t.is_string() || *t == T::Binary),
        (_, t) if t.is_string() => false,
        (T::Timestamp, T::Byte | T::Short | T::Integer) => true,
        (T::Time(_), T::Byte | T::Short) => true,
        (T::Float | T::Double, T::Timestamp) => true,
        (T::Timestamp, T::Date) => false,
        (_, T::Date) => true,
        (T::Date, T::Timestamp) => false,
        (T::Date, _) => true,
        (_, T::CalendarInterval) => true,
        (f, T::Decimal(p, s)) => match decimal_for(f) {
            Some(given) if !matches!(f, T::Float | T::Double) => {
                let integral = |(p, s): (u8, i8)| i32::from(p) - i32::from(s);
                let is_wider = integral((*p, *s)) >= integral(given) && *s >= given.1;
                let truncates = f.is_decimal() && integral((*p, *s)) > integral(given);
                !is_wider && !truncates
            }
            _ => *f != T::Boolean || *p <= *s as u8,
        },
        (f, t) => f.is_fractional() && (t.is_integral() || t.is_ansi_interval()),
    }
}

/// Whether the result of a cast can be NULL although its input is not.
pub fn cast_forces_null(from: &DataType, to: &DataType, mode: CastMode) -> bool {
    match mode {
        CastMode::Try => {
            let binary = from.is_string() && *to == DataType::Binary;
            *from != DataType::Null && !binary && !can_up_cast(from, to)
        }
        _ => force_nullable(from, to),
    }
}

/// Whether the cast neither fails nor loses anything (`Cast.canUpCast`).
pub fn can_up_cast(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Null, _) => true,
        (f, T::Decimal(p, s)) if f.is_integral() || f.is_decimal() => decimal_for(f).is_some_and(|given| {
            let integral = |(p, s): (u8, i8)| i32::from(p) - i32::from(s);
            integral((*p, *s)) >= integral(given) && *s >= given.1
        }),
        (T::Decimal(p, s), t) if t.is_integral() => *s == 0 && decimal_for(t).is_some_and(|(most, _)| *p < most),
        (f, t) if f.is_numeric() && t.is_numeric() && !t.is_decimal() && !f.is_decimal() => {
            numeric_rank(f) <= numeric_rank(t)
        }
        (f, t) if f.is_datetime() && t.is_datetime() => *t != T::Date,
        (T::Timestamp, T::Long) | (T::Long, T::Timestamp) => true,
        (T::Char(_) | T::Varchar(_), t) if t.is_string() => matches!(t, T::String(_)),
        (f, t) if t.is_string() => f.is_atomic(),
        (T::DayTimeInterval(..), T::DayTimeInterval(..)) => true,
        (T::YearMonthInterval(..), T::YearMonthInterval(..)) => true,
        (T::Time(a), T::Time(b)) => a <= b,
        (T::Array(a, n1), T::Array(b, n2)) => (!n1 || *n2) && can_up_cast(a, b),
        (T::Map(k1, v1, n1), T::Map(k2, v2, n2)) => (!n1 || *n2) && can_up_cast(k1, k2) && can_up_cast(v1, v2),
        (T::Struct(a), T::Struct(b)) => {
            a.fields.len() == b.fields.len()
                && a.fields
                    .iter()
                    .zip(b.fields.iter())
                    .all(|(x, y)| (!x.nullable || y.nullable) && can_up_cast(&x.data_type, &y.data_type))
        }
        _ => false,
    }
}

fn numeric_rank(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Byte => 0,
        DataType::Short => 1,
        DataType::Integer => 2,
        DataType::Long => 3,
        DataType::Float => 4,
        _ => 5,
    }
}

/// Whether a value may be stored in a column of that type under the ANSI policy (`Cast.canANSIStoreAssign`).
pub fn can_store_assign(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Null, _) => true,
        (f, t) if f.is_numeric() && t.is_numeric() => true,
        (f, t) if f.is_atomic() && t.is_string() => true,
        (T::CalendarInterval, t) if t.is_string() => true,
        (f, t) if f.is_datetime() && t.is_datetime() => true,
        (T::Time(_), T::Time(_)) => true,
        (T::DayTimeInterval(..), T::DayTimeInterval(..)) => true,
        (T::YearMonthInterval(..), T::YearMonthInterval(..)) => true,
        (T::Array(a, n1), T::Array(b, n2)) => (!n1 || *n2) && can_store_assign(a, b),
        (T::Map(k1, v1, n1), T::Map(k2, v2, n2)) => {
            (!n1 || *n2) && can_store_assign(k1, k2) && can_store_assign(v1, v2)
        }
        (T::Struct(a), T::Struct(b)) => {
            a.fields.len() == b.fields.len()
                && a.fields.iter().zip(b.fields.iter()).all(|(x, y)| {
                    (!x.nullable || y.nullable)
                        && x.name.eq_ignore_ascii_case(&y.name)
                        && can_store_assign(&x.data_type, &y.data_type)
                })
        }
        _ => false,
    }
}

/// The error for a cast that Spark refuses, with its advice.
pub fn refused(from: &DataType, to: &DataType, mode: CastMode, sql: &str) -> SparkError {
    let types = [("srcType", sql_type(from)), ("targetType", sql_type(to))];
    let [source, target] = types;
    let function = match (from, to) {
        (f, DataType::Date) if f.is_numeric() => Some("`DATE_FROM_UNIX_DATE`"),
        (DataType::Date, t) if t.is_numeric() => Some("`UNIX_DATE`"),
        (DataType::Array(..), DataType::Array(..)) if can_cast(from, to, CastMode::Legacy) => Some("`try_cast`"),
        _ => None,
    };
    match (mode, function) {
        (CastMode::Ansi | CastMode::Try, Some(name)) => {
            mismatch("CAST_WITH_FUNC_SUGGESTION", sql, [source, target, ("functionNames", name.into())])
        }
        (CastMode::Ansi, None) if can_cast(from, to, CastMode::Legacy) => mismatch(
            "CAST_WITH_CONF_SUGGESTION",
            sql,
            [source, target, ("config", sql_config("spark.sql.ansi.enabled")), ("configVal", "'false'".into())],
        ),
        _ => mismatch("CAST_WITHOUT_SUGGESTION", sql, [source, target]),
    }
}
