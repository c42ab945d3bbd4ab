//! Data skipping: files whose statistics in the log cannot satisfy the filters are not read.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, SchemaRef, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use deltalake_core::kernel::Add;
use serde_json::Value;

use crate::scan::may_match;

/// The statistics of a version's files.
#[derive(Debug)]
pub(crate) struct Skipping {
    texts: Vec<Option<String>>,
    parsed: OnceLock<Vec<Value>>,
    /// Column → its name in the log, where that is another.
    names: HashMap<String, String>,
}

impl Skipping {
    pub(super) fn new(files: &[Add], names: HashMap<String, String>) -> Self {
        Self { texts: files.iter().map(|add| add.stats.clone()).collect(), parsed: OnceLock::new(), names }
    }

    fn parsed(&self) -> &[Value] {
        self.parsed.get_or_init(|| {
            let parse = |text: &Option<String>| {
                text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
            };
            self.texts.iter().map(parse).collect()
        })
    }

    /// The rows of a file, with those that a deletion vector takes away.
    pub(super) fn rows(&self, file: usize) -> Option<u64> {
        self.parsed().get(file)?.get("numRecords")?.as_u64()
    }

    /// The rows of all these files, where every file says so.
    pub(crate) fn total_rows(&self, kept: &[usize]) -> Option<usize> {
        let rows: Option<u64> = kept.iter().map(|file| self.rows(*file)).sum();
        rows.and_then(|rows| usize::try_from(rows).ok())
    }

    /// The files among `kept` that may have rows for the filters. `schema` is that of the file columns.
    pub(crate) fn prune(
        &self,
        kept: Vec<usize>,
        filters: &[Expr],
        schema: &SchemaRef,
        session: &dyn Session,
    ) -> Result<Vec<usize>> {
        let Some(predicate) = may_match(filters, schema, session)?.filter(|_| !kept.is_empty()) else {
            return Ok(kept);
        };
        let files: Vec<&Value> = kept.iter().map(|file| &self.parsed()[*file]).collect();
        let may_match = predicate.prune(&Statistics { files, schema: Arc::clone(schema), names: &self.names })?;
        Ok(kept.into_iter().zip(may_match).filter_map(|(file, may)| may.then_some(file)).collect())
    }
}

/// The statistics of the files in question, as DataFusion's pruning asks for them.
struct Statistics<'a> {
    files: Vec<&'a Value>,
    schema: SchemaRef,
    names: &'a HashMap<String, String>,
}

impl Statistics<'_> {
    fn stored<'b>(&'b self, name: &'b str) -> &'b str {
        self.names.get(name).map_or(name, String::as_str)
    }

    fn bounds(&self, column: &Column, kind: &str) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        let data_type = field.data_type();
        let null = ScalarValue::try_from(data_type).ok()?;
        let bound = |file: &&Value| {
            let value = file.get(kind).and_then(|all| member(all, self.stored(field.name())));
            value.and_then(|v| scalar(v, data_type, kind == "maxValues")).unwrap_or_else(|| null.clone())
        };
        ScalarValue::iter_to_array(self.files.iter().map(bound)).ok()
    }
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, "minValues")
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, "maxValues")
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let count = |file: &&Value| {
            file.get("nullCount").and_then(|all| member(all, self.stored(&column.name))).and_then(Value::as_u64)
        };
        Some(Arc::new(self.files.iter().map(count).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let count = |file: &&Value| file.get("numRecords").and_then(Value::as_u64);
        Some(Arc::new(self.files.iter().map(count).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A bound as the log spells it. Timestamps there have milliseconds only: an upper bound is the next one.
fn scalar(value: &Value, data_type: &ArrowType, is_max: bool) -> Option<ScalarValue> {
    let text = || value.as_str();
    let integer = || value.as_i64();
    Some(match data_type {
        ArrowType::Int8 => ScalarValue::Int8(Some(integer()?.try_into().ok()?)),
        ArrowType::Int16 => ScalarValue::Int16(Some(integer()?.try_into().ok()?)),
        ArrowType::Int32 => ScalarValue::Int32(Some(integer()?.try_into().ok()?)),
        ArrowType::Int64 => ScalarValue::Int64(Some(integer()?)),
        // NaN, which is greater than all, is in no statistics of other writers; bounds of floats cannot be trusted.
        ArrowType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(unscaled(&value.to_string(), *scale, is_max)?), *precision, *scale)
        }
        ArrowType::Utf8 => ScalarValue::Utf8(Some(text()?.to_string())),
        ArrowType::Date32 => {
            let date = chrono::NaiveDate::parse_from_str(text()?, "%Y-%m-%d").ok()?;
            let days = date.signed_duration_since(chrono::DateTime::UNIX_EPOCH.date_naive()).num_days();
            ScalarValue::Date32(Some(days.try_into().ok()?))
        }
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = micros(text()?)?;
            let micros = if is_max { micros.div_euclid(1000).checked_add(1)?.checked_mul(1000)? } else { micros };
            ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
        }
        _ => return None,
    })
}

fn micros(text: &str) -> Option<i64> {
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(moment) => Some(moment.timestamp_micros()),
        Err(_) => {
            let plain = text.trim_end_matches('Z').replace(' ', "T");
            let moment = chrono::NaiveDateTime::parse_from_str(&plain, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
            Some(moment.and_utc().timestamp_micros())
        }
    }
}

/// `12.5` at scale 2 is 1250. What other writers have rounded to a double is widened by the last digit.
fn unscaled(text: &str, scale: i8, is_max: bool) -> Option<i128> {
    let text = text.trim_matches('"');
    if text.contains(['e', 'E']) {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let cut = &fraction[..fraction.len().min(scale)];
    let digits = format!("{whole}{cut:0<scale$}");
    let value: i128 = digits.parse().ok()?;
    let is_cut = fraction.len() > scale;
    Some(match (is_cut, is_max) {
        (false, _) => value,
        (true, true) => value + 1,
        (true, false) => value - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_decimals() {
        assert_eq!(unscaled("12.5", 2, true), Some(1250));
        assert_eq!(unscaled("-0.05", 2, false), Some(-5));
        assert_eq!(unscaled("1.239", 2, true), Some(124));
        assert_eq!(unscaled("7", 0, true), Some(7));
        assert_eq!(unscaled("1e3", 2, true), None);
    }

    #[test]
    fn upper_bounds_of_timestamps_are_rounded_up() {
        let zone: ArrowType = ArrowType::Timestamp(TimeUnit::Microsecond, None);
        let text = Value::String("1970-01-01T00:00:00.001Z".into());
        assert_eq!(scalar(&text, &zone, true), Some(ScalarValue::TimestampMicrosecond(Some(2000), None)));
        assert_eq!(scalar(&text, &zone, false), Some(ScalarValue::TimestampMicrosecond(Some(1000), None)));
    }
}
