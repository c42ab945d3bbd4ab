//! Frames of windows: what Spark accepts, and as DataFusion has them.
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{WindowFrame as DfFrame, WindowFrameBound, WindowFrameUnits};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::data_type::DayTimeField;
use firesteel_plan::{DataType, Expr, ExprKind, FrameBound, FrameUnits, Result, SparkError, WindowFrame};

use super::literal::evaluate;
use super::window::{Required, ResolvedWindow, window_sql};
use super::{Scope, quoted_sql};
use crate::analyzer::Analyzer;

/// What values of a `RANGE` frame may be, as errors name it.
const RANGE_TYPES: &str = "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")";

/// An end of a frame.
enum End {
    /// UNBOUNDED PRECEDING, CURRENT ROW, UNBOUNDED FOLLOWING
    Special(WindowFrameBound, &'static str),
    /// An offset, below zero before the current row; its text.
    Offset(TypedExpr, String),
}

impl End {
    fn sql(&self) -> &str {
        match self {
            Self::Special(_, sql) => sql,
            Self::Offset(_, sql) => sql,
        }
    }

    /// The end as an operand in an error's parameters.
    fn quoted(&self) -> String {
        match self {
            Self::Special(_, sql) => format!("\"{sql}\""),
            Self::Offset(value, _) => quoted_sql(value),
        }
    }

    fn offset(&self) -> Option<&TypedExpr> {
        match self {
            Self::Special(..) => None,
            Self::Offset(value, _) => Some(value),
        }
    }
}

impl Analyzer<'_> {
    /// The frame of `window`, and its text.
    pub(super) fn frame(
        &self,
        window: &ResolvedWindow,
        required: &Required,
        scope: &Scope,
    ) -> Result<(DfFrame, String)> {
        let ordered = !window.order_by.is_empty();
        if let Some(frame) = &window.frame {
            required.check(frame)?;
        }
        match (required, &window.frame) {
            (Required::Offset { shown, .. }, _) => {
                // The function itself looks at its offset: the frame is only shown.
                let frame = default_frame(ordered).0;
                Ok((frame, format!("ROWS BETWEEN {shown} FOLLOWING AND {shown} FOLLOWING")))
            }
            (Required::Before(FrameUnits::Rows), _) => {
                let rows =
                    DfFrame::new_bounds(WindowFrameUnits::Rows, unbounded_preceding(), WindowFrameBound::CurrentRow);
                Ok((rows, "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".into()))
            }
            (Required::Any | Required::Before(FrameUnits::Range), None) => Ok(default_frame(ordered)),
            (_, Some(frame)) => self.written_frame(window, frame, scope),
        }
    }

    fn written_frame(&self, window: &ResolvedWindow, frame: &WindowFrame, scope: &Scope) -> Result<(DfFrame, String)> {
        let is_range = frame.units == FrameUnits::Range;
        // What RANGE measures: dates and times take distances of other types.
        let key = match window.order_by.as_slice() {
            [only] if is_range => Some(only.typed.data_type.clone()),
            _ => None,
        };
        let lower = self.end(&frame.lower, key.as_ref(), scope)?;
        let upper = self.end(&frame.upper, key.as_ref(), scope)?;
        let word = if is_range { "RANGE" } else { "ROWS" };
        let sql = format!("{word} BETWEEN {} AND {}", lower.sql(), upper.sql());
        check_end_type(&lower, "lower", is_range, &sql)?;
        check_end_type(&upper, "upper", is_range, &sql)?;
        self.check_ends(&lower, &upper, frame, &sql)?;
        if is_range {
            check_order(window, &lower, &upper, &sql)?;
        }
        let units = if is_range { WindowFrameUnits::Range } else { WindowFrameUnits::Rows };
        let bounds = [lower, upper].map(|end| self.bound(end, key.as_ref(), is_range));
        let [lower, upper] = bounds;
        let (lower, upper) = (lower?, upper?);
        if side(&lower) > side(&upper) {
            return Err(SparkError::unsupported(format!("the window frame {sql}, which ends before it begins")));
        }
        Ok((DfFrame::new_bounds(units, lower, upper), sql))
    }

    fn end(&self, bound: &FrameBound, key: Option<&DataType>, scope: &Scope) -> Result<End> {
        let value = match bound {
            FrameBound::UnboundedPreceding => return Ok(End::Special(unbounded_preceding(), "UNBOUNDED PRECEDING")),
            FrameBound::UnboundedFollowing => {
                let end = WindowFrameBound::Following(ScalarValue::UInt64(None));
                return Ok(End::Special(end, "UNBOUNDED FOLLOWING"));
            }
            FrameBound::CurrentRow => return Ok(End::Special(WindowFrameBound::CurrentRow, "CURRENT ROW")),
            FrameBound::Value(value) => value,
        };
        let typed = self.expression(value, scope)?;
        let sql = match negated(value) {
            Some(operand) => format!("{} PRECEDING", self.expression(operand, scope)?.sql),
            None => format!("{} FOLLOWING", typed.sql),
        };
        if !typed.is_foldable() {
            let message = [("msg", "Frame bound value must be a literal.")];
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_0064", message).with_origin(value.origin.as_ref()));
        }
        let to = match key {
            None | Some(DataType::Date | DataType::Timestamp | DataType::TimestampNtz) => typed.data_type.clone(),
            Some(key) => key.clone(),
        };
        if typed.data_type == to {
            return Ok(End::Offset(typed, sql));
        }
        // Where no cast leads to the key's type, the value stays what it is, and is refused as such. One that is cast
        // is shown as it is.
        match cast(typed.clone(), &to, CastMode::of(&self.eval), &self.eval) {
            Ok(cast) => {
                let sql = format!("{} FOLLOWING", typed.sql);
                Ok(End::Offset(cast.with_sql(typed.sql), sql))
            }
            Err(_) => Ok(End::Offset(typed, sql)),
        }
    }

    /// Checks of both ends together.
    fn check_ends(&self, lower: &End, upper: &End, frame: &WindowFrame, sql: &str) -> Result<()> {
        if matches!(frame.lower, FrameBound::UnboundedFollowing)
            || matches!(frame.upper, FrameBound::UnboundedPreceding)
        {
            let parameters = [("lower", lower.quoted()), ("upper", upper.quoted()), ("sqlExpr", format!("\"{sql}\""))];
            return Err(SparkError::new("DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_INVALID_BOUND", parameters));
        }
        let (Some(first), Some(last)) = (lower.offset(), upper.offset()) else { return Ok(()) };
        if first.data_type != last.data_type {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_DIFF_TYPES",
                [
                    ("lower", lower.quoted()),
                    ("upper", upper.quoted()),
                    ("lowerType", format!("\"{}\"", first.data_type.sql())),
                    ("upperType", format!("\"{}\"", last.data_type.sql())),
                    ("sqlExpr", format!("\"{sql}\"")),
                ],
            ));
        }
        let is_later = first.data_type.is_orderable()
            && matches!(
                evaluate(&self.builtin(">", vec![first.clone(), last.clone()])?)?,
                Some(ScalarValue::Boolean(Some(true)))
            );
        if is_later {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON",
                [("comparison", "less than or equal".to_string()), ("sqlExpr", format!("\"{sql}\""))],
            ));
        }
        Ok(())
    }

    fn bound(&self, end: End, key: Option<&DataType>, is_range: bool) -> Result<WindowFrameBound> {
        let (value, sql) = match end {
            End::Special(bound, _) => return Ok(bound),
            End::Offset(value, sql) => (value, sql),
        };
        let value = match key {
            _ if !is_range => cast(value, &DataType::Long, CastMode::Ansi, &self.eval)?,
            Some(DataType::Date) if value.data_type.is_integral() => {
                let days = cast(value, &DataType::Integer, CastMode::Ansi, &self.eval)?;
                let zero = TypedExpr::int(0);
                self.builtin("make_dt_interval", vec![days, zero.clone(), zero])?
            }
            _ => value,
        };
        let unreadable = || SparkError::unsupported(format!("the window frame bound {sql}"));
        let (magnitude, negative) =
            evaluate(&value)?.and_then(|constant| magnitude(constant, !is_range)).ok_or_else(unreadable)?;
        Ok(match (negative, magnitude.to_string() == "0") {
            (_, true) => WindowFrameBound::CurrentRow,
            (true, _) => WindowFrameBound::Preceding(magnitude),
            (false, _) => WindowFrameBound::Following(magnitude),
        })
    }
}

/// On which side of the current row an end lies.
fn side(bound: &WindowFrameBound) -> i8 {
    match bound {
        WindowFrameBound::Preceding(_) => -1,
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Following(_) => 1,
    }
}

/// The operand of `n PRECEDING`.
fn negated(value: &Expr) -> Option<&Expr> {
    match value.kind.as_ref() {
        ExprKind::Function(call) if call.name == ["negative"] => call.arguments.first(),
        _ => None,
    }
}

/// Rows are counted in INT, and RANGE measures in numbers and intervals.
fn check_end_type(end: &End, place: &str, is_range: bool, sql: &str) -> Result<()> {
    let Some(value) = end.offset() else { return Ok(()) };
    let accepted = if is_range {
        value.data_type.is_numeric()
            || matches!(
                value.data_type,
                DataType::DayTimeInterval(..) | DataType::YearMonthInterval(..) | DataType::CalendarInterval
            )
    } else {
        value.data_type == DataType::Integer
    };
    if accepted {
        return Ok(());
    }
    Err(SparkError::new(
        "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE",
        [
            ("location", place.to_string()),
            ("exprType", format!("\"{}\"", value.data_type.sql())),
            ("expectedType", if is_range { RANGE_TYPES.to_string() } else { "\"INT\"".to_string() }),
            ("sqlExpr", format!("\"{sql}\"")),
        ],
    ))
}

/// A RANGE frame needs one key, of a type that its offsets measure.
fn check_order(window: &ResolvedWindow, lower: &End, upper: &End, frame: &str) -> Result<()> {
    let is_unbounded = frame == "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING";
    let sql = format!("\"({})\"", window_sql(window, frame));
    let failed = |name: &str, parameters: Vec<(&'static str, String)>| {
        let parameters = parameters.into_iter().chain([("sqlExpr", sql.clone())]);
        Err(SparkError::new(format!("DATATYPE_MISMATCH.{name}"), parameters))
    };
    let offset = lower.offset().or_else(|| upper.offset());
    match (window.order_by.as_slice(), offset) {
        ([], _) if !is_unbounded => failed("RANGE_FRAME_WITHOUT_ORDER", vec![]),
        ([_, _, ..], Some(_)) => {
            let order: Vec<_> = window.order_by.iter().map(super::ResolvedSort::sql).collect();
            failed("RANGE_FRAME_MULTI_ORDER", vec![("orderSpec", order.join(","))])
        }
        ([only], Some(offset)) if !measures(&only.typed.data_type, &offset.data_type) => failed(
            "RANGE_FRAME_INVALID_TYPE",
            vec![
                ("orderSpecType", format!("\"{}\"", only.typed.data_type.sql())),
                ("valueBoundaryType", format!("\"{}\"", offset.data_type.sql())),
            ],
        ),
        _ => Ok(()),
    }
}

/// Whether a distance between keys of a type is of type `offset`.
fn measures(key: &DataType, offset: &DataType) -> bool {
    match (key, offset) {
        (DataType::Date, DataType::Integer | DataType::YearMonthInterval(..)) => true,
        (DataType::Date, DataType::DayTimeInterval(DayTimeField::Day, DayTimeField::Day)) => true,
        (DataType::Timestamp | DataType::TimestampNtz, offset) => matches!(
            offset,
            DataType::CalendarInterval | DataType::YearMonthInterval(..) | DataType::DayTimeInterval(..)
        ),
        _ => key == offset,
    }
}

fn unbounded_preceding() -> WindowFrameBound {
    WindowFrameBound::Preceding(ScalarValue::UInt64(None))
}

/// Spark's default: up to the current row's peers with ORDER BY, the whole partition without.
fn default_frame(ordered: bool) -> (DfFrame, String) {
    if ordered {
        let frame = DfFrame::new_bounds(WindowFrameUnits::Range, unbounded_preceding(), WindowFrameBound::CurrentRow);
        (frame, "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".into())
    } else {
        let end = WindowFrameBound::Following(ScalarValue::UInt64(None));
        let frame = DfFrame::new_bounds(WindowFrameUnits::Rows, unbounded_preceding(), end);
        (frame, "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING".into())
    }
}

/// The offset without its sign: a count of rows is UInt64, a distance has the type of its key (DataFusion takes a sum
/// of other types for an overflow, and the frame would reach the end of its partition).
fn magnitude(value: ScalarValue, counts_rows: bool) -> Option<(ScalarValue, bool)> {
    use ScalarValue as S;
    use arrow::datatypes::IntervalMonthDayNano;
    let out = match value {
        S::Int64(Some(v)) if counts_rows => (S::UInt64(Some(v.unsigned_abs())), v < 0),
        S::Int64(Some(v)) => (S::Int64(Some(v.checked_abs()?)), v < 0),
        S::Int32(Some(v)) => (S::Int32(Some(v.checked_abs()?)), v < 0),
        S::Int16(Some(v)) => (S::Int16(Some(v.checked_abs()?)), v < 0),
        S::Int8(Some(v)) => (S::Int8(Some(v.checked_abs()?)), v < 0),
        S::Float32(Some(v)) => (S::Float32(Some(v.abs())), v < 0.0),
        S::Float64(Some(v)) => (S::Float64(Some(v.abs())), v < 0.0),
        S::Decimal128(Some(v), p, s) => (S::Decimal128(Some(v.checked_abs()?), p, s), v < 0),
        S::DurationMicrosecond(Some(v)) => {
            let (days, micros) = (v.unsigned_abs() / 86_400_000_000, v.unsigned_abs() % 86_400_000_000);
            let nanos = i64::try_from(micros).ok()?.checked_mul(1000)?;
            let interval = IntervalMonthDayNano::new(0, i32::try_from(days).ok()?, nanos);
            (S::IntervalMonthDayNano(Some(interval)), v < 0)
        }
        S::IntervalYearMonth(Some(v)) => {
            (S::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(v.checked_abs()?, 0, 0))), v < 0)
        }
        S::IntervalMonthDayNano(Some(v)) => {
            let negative = v.months < 0 || v.days < 0 || v.nanoseconds < 0;
            let abs =
                IntervalMonthDayNano::new(v.months.checked_abs()?, v.days.checked_abs()?, v.nanoseconds.checked_abs()?);
            (S::IntervalMonthDayNano(Some(abs)), negative)
        }
        _ => return None,
    };
    Some(out)
}
