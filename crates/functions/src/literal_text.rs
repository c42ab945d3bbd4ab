//! The text Spark shows for a literal: in output names and error parameters.
use firesteel_plan::{Literal, StructField};

use crate::context::EvalContext;
use crate::datetime::text::{format_date, format_time, format_timestamp, format_timestamp_ntz};
use crate::interval::text::{format_calendar, format_day_time, format_year_month};
use crate::interval::value::CalendarInterval;

/// `abc`, `1`, `DATE '2020-01-01'`, `INTERVAL '1' DAY`, `X'1F'`.
pub fn sql(literal: &Literal, context: &EvalContext) -> String {
    match literal {
        Literal::Null(_) => "NULL".into(),
        Literal::Boolean(v) => v.to_string(),
        Literal::Byte(v) => v.to_string(),
        Literal::Short(v) => v.to_string(),
        Literal::Integer(v) => v.to_string(),
        Literal::Long(v) => v.to_string(),
        Literal::Float(v) => crate::java_number::float(*v),
        Literal::Double(v) => crate::java_number::double(*v),
        Literal::Decimal(v, _, scale) => crate::decimal::java_text(*v, *scale),
        Literal::String(v) | Literal::TypedString(v, _) => v.clone(),
        Literal::Binary(v) => format!("X'{}'", v.iter().map(|b| format!("{b:02X}")).collect::<String>()),
        Literal::Date(v) => format!("DATE '{}'", format_date(*v)),
        Literal::Timestamp(v) => format!("TIMESTAMP '{}'", format_timestamp(*v, &context.time_zone)),
        Literal::TimestampNtz(v) => format!("TIMESTAMP_NTZ '{}'", format_timestamp_ntz(*v)),
        Literal::Time(v, _) => format!("TIME '{}'", format_time(*v)),
        Literal::CalendarInterval { months, days, microseconds } => {
            let interval = CalendarInterval { months: *months, days: *days, microseconds: *microseconds };
            format!("INTERVAL '{}'", format_calendar(interval))
        }
        Literal::YearMonthInterval(v, start, end) => format_year_month(*v, *start, *end),
        Literal::DayTimeInterval(v, start, end) => format_day_time(*v, *start, *end),
        Literal::Array(items, _) => {
            format!("ARRAY({})", items.iter().map(|i| nested(i, context)).collect::<Vec<_>>().join(", "))
        }
        Literal::Map(entries, ..) => {
            let entries = entries.iter().flat_map(|(k, v)| [nested(k, context), nested(v, context)]);
            format!("MAP({})", entries.collect::<Vec<_>>().join(", "))
        }
        Literal::Struct(values, fields) => named_struct(values, fields, context),
    }
}

fn named_struct(values: &[Literal], fields: &[StructField], context: &EvalContext) -> String {
    let parts = values.iter().zip(fields).flat_map(|(v, f)| [format!("'{}'", f.name), nested(v, context)]);
    format!("NAMED_STRUCT({})", parts.collect::<Vec<_>>().join(", "))
}

/// Inside a collection, text is SQL that reads back: strings are quoted, numbers carry their suffix.
fn nested(literal: &Literal, context: &EvalContext) -> String {
    match literal {
        Literal::String(v) | Literal::TypedString(v, _) => {
            format!("'{}'", v.replace('\\', "\\\\").replace('\'', "\\'"))
        }
        Literal::Byte(v) => format!("{v}Y"),
        Literal::Short(v) => format!("{v}S"),
        Literal::Long(v) => format!("{v}L"),
        Literal::Double(v) => format!("{}D", crate::java_number::double(*v)),
        Literal::Float(v) => format!("CAST({} AS FLOAT)", crate::java_number::float(*v)),
        Literal::Decimal(v, _, scale) => format!("{}BD", crate::decimal::plain(*v, *scale)),
        Literal::Null(t) => format!("CAST(NULL AS {})", t.sql()),
        other => sql(other, context),
    }
}
