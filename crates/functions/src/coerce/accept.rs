//! What a declared parameter accepts, and the type its argument is cast to.
use firesteel_plan::DataType;

use crate::cast::can_store_assign;
use crate::context::EvalContext;
use crate::signature::Accept;

use super::wider::decimal_for;

/// Whether a value of that type is taken as it is.
pub fn accepts(wanted: Accept, given: &DataType) -> bool {
    use DataType as T;
    match wanted {
        Accept::Any | Accept::Common => true,
        Accept::Boolean => *given == T::Boolean,
        Accept::Integer => *given == T::Integer,
        Accept::Long => *given == T::Long,
        Accept::Integral => given.is_integral(),
        Accept::Numeric => given.is_numeric(),
        Accept::Double => *given == T::Double,
        Accept::Decimal => given.is_decimal(),
        Accept::String | Accept::ExactString => given.is_string(),
        Accept::Binary => *given == T::Binary,
        Accept::StringOrBinary => given.is_string() || *given == T::Binary,
        Accept::StringOrStringArray => match given {
            T::Array(element, _) => element.is_string(),
            other => other.is_string(),
        },
        Accept::Date => *given == T::Date,
        Accept::Timestamp => *given == T::Timestamp,
        Accept::TimestampNtz => *given == T::TimestampNtz,
        Accept::AnyTimestamp => matches!(given, T::Timestamp | T::TimestampNtz),
        Accept::DateOrTimestamp => given.is_datetime(),
        Accept::Time => matches!(given, T::Time(_)),
        Accept::DayTimeInterval => matches!(given, T::DayTimeInterval(..)),
        Accept::YearMonthInterval => matches!(given, T::YearMonthInterval(..)),
        Accept::CalendarInterval => *given == T::CalendarInterval,
        Accept::NumericOrInterval => given.is_numeric() || given.is_interval(),
        Accept::NumericOrAnsiInterval => given.is_numeric() || given.is_ansi_interval(),
        Accept::Array => matches!(given, T::Array(..)),
        Accept::Map => matches!(given, T::Map(..)),
        Accept::ArrayOrMap => matches!(given, T::Array(..) | T::Map(..)),
        Accept::Struct => matches!(given, T::Struct(_)),
        Accept::Variant => *given == T::Variant,
        Accept::Orderable => given.is_orderable(),
    }
}

/// The types a parameter names, in Spark's order; the first that a cast reaches is taken.
fn targets(wanted: Accept) -> &'static [DataType] {
    use DataType as T;
    match wanted {
        Accept::Boolean => &[T::Boolean],
        Accept::Integer => &[T::Integer],
        Accept::Long => &[T::Long],
        Accept::Double => &[T::Double],
        Accept::Decimal => &[T::DECIMAL_DEFAULT],
        Accept::String | Accept::ExactString => &[T::STRING],
        Accept::Binary => &[T::Binary],
        Accept::StringOrBinary => &[T::STRING, T::Binary],
        Accept::StringOrStringArray => &[T::STRING],
        Accept::Date => &[T::Date],
        Accept::Timestamp | Accept::AnyTimestamp => &[T::Timestamp],
        Accept::TimestampNtz => &[T::TimestampNtz],
        Accept::DateOrTimestamp => &[T::Date, T::Timestamp],
        Accept::Time => &[T::Time(6)],
        Accept::DayTimeInterval => &[T::DAY_TIME],
        Accept::YearMonthInterval => &[T::YEAR_MONTH],
        Accept::CalendarInterval => &[T::CalendarInterval],
        Accept::Variant => &[T::Variant],
        _ => &[],
    }
}

/// The type an argument is cast to for a parameter: its own where it is accepted, `None` where Spark refuses it.
pub fn implicit_type(given: &DataType, wanted: Accept, context: &EvalContext) -> Option<DataType> {
    use DataType as T;
    if accepts(wanted, given) {
        return Some(given.clone());
    }
    match (given, wanted) {
        (T::Udt { sql_type, .. }, _) if accepts(wanted, sql_type) => return Some(given.clone()),
        (T::Null, _) => return null_type(wanted),
        (_, Accept::ExactString) => return None,
        (g, Accept::Numeric | Accept::NumericOrInterval | Accept::NumericOrAnsiInterval) if g.is_string() => {
            return Some(T::Double);
        }
        (g, Accept::Integral) if g.is_string() && context.ansi => return Some(T::Long),
        (g, Accept::Decimal) if g.is_numeric() => return decimal_for(g).map(|(p, s)| T::Decimal(p, s)),
        _ => {}
    }
    let allowed = if context.ansi { implicit_ansi } else { implicit_legacy };
    targets(wanted).iter().find(|to| allowed(given, to)).cloned()
}

fn null_type(wanted: Accept) -> Option<DataType> {
    Some(match wanted {
        Accept::Integral => DataType::Integer,
        Accept::Numeric | Accept::NumericOrInterval | Accept::NumericOrAnsiInterval => DataType::Double,
        Accept::Array | Accept::ArrayOrMap => DataType::array(DataType::Null, true),
        Accept::Map => DataType::map(DataType::Null, DataType::Null, true),
        Accept::Struct => DataType::structure(vec![]),
        other => targets(other).first()?.clone(),
    })
}

fn implicit_ansi(given: &DataType, to: &DataType) -> bool {
    if given.is_string() {
        return to.is_atomic() && !to.is_interval();
    }
    can_store_assign(given, to)
}

fn implicit_legacy(given: &DataType, to: &DataType) -> bool {
    if given.is_numeric() {
        return to.is_numeric() || to.is_string();
    }
    if given.is_datetime() {
        return to.is_datetime() || to.is_string();
    }
    if given.is_string() {
        return to.is_numeric() || to.is_datetime() || *to == DataType::Binary || matches!(to, DataType::Time(_));
    }
    given.is_atomic() && to.is_string()
}

/// The quoted text of what a parameter requires, for `requiredType`.
pub fn required_type(wanted: Accept) -> String {
    let one = match wanted {
        Accept::Any | Accept::Common => "ANY",
        Accept::Boolean => "BOOLEAN",
        Accept::Integer => "INT",
        Accept::Long => "BIGINT",
        Accept::Integral => "INTEGRAL",
        Accept::Numeric => "NUMERIC",
        Accept::Double => "DOUBLE",
        Accept::Decimal => "DECIMAL",
        Accept::String | Accept::ExactString => "STRING",
        Accept::Binary => "BINARY",
        Accept::StringOrBinary => return "(\"STRING\" or \"BINARY\")".into(),
        Accept::StringOrStringArray => return "(\"STRING\" or \"ARRAY<STRING>\")".into(),
        Accept::Date => "DATE",
        Accept::Timestamp => "TIMESTAMP",
        Accept::TimestampNtz => "TIMESTAMP_NTZ",
        Accept::AnyTimestamp => "(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)",
        Accept::DateOrTimestamp => return "(\"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\")".into(),
        Accept::Time => "TIME",
        Accept::DayTimeInterval => "INTERVAL DAY TO SECOND",
        Accept::YearMonthInterval => "INTERVAL YEAR TO MONTH",
        Accept::CalendarInterval => "INTERVAL",
        Accept::NumericOrInterval => return NUMERIC_AND_INTERVAL.into(),
        Accept::NumericOrAnsiInterval => return "\"NUMERIC\" or \"ANSI INTERVAL\"".into(),
        Accept::Array => "ARRAY",
        Accept::Map => "MAP",
        Accept::ArrayOrMap => return "(\"ARRAY\" or \"MAP\")".into(),
        Accept::Struct => "STRUCT",
        Accept::Variant => "VARIANT",
        Accept::Orderable => "ORDERED",
    };
    format!("\"{one}\"")
}

/// What `+`, `-` and their like require.
pub const NUMERIC_AND_INTERVAL: &str =
    "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")";
