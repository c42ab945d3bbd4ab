//! Window expressions: `f(x) OVER (PARTITION BY … ORDER BY … frame)`.
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr as DfExpr, WindowFrame as DfFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::{TypedExpr, registry};
use firesteel_plan::expression::WindowRef;
use firesteel_plan::{DataType, Expr, ExprKind, FrameBound, FrameUnits, Result, SparkError, WindowFrame, WindowSpec};

use super::literal::evaluate;
use super::{ResolvedSort, Scope, quoted_sql};
use crate::analyzer::Analyzer;
use crate::from_datafusion;
use crate::keys::partition_key;

/// A window specification over resolved expressions.
struct ResolvedWindow {
    partition_by: Vec<TypedExpr>,
    order_by: Vec<ResolvedSort>,
    frame: Option<WindowFrame>,
}

impl Analyzer<'_> {
    pub(super) fn window(&self, function: &Expr, spec: &WindowRef, scope: &Scope) -> Result<TypedExpr> {
        let spec = self.window_spec(spec)?;
        scope.lateral_used.take();
        self.has_over.set(true);
        let typed = self.expression(function, scope);
        self.has_over.set(false);
        let typed = typed?;
        let window = ResolvedWindow {
            partition_by: spec.partition_by.iter().map(|e| self.expression(e, scope)).collect::<Result<_>>()?,
            order_by: spec.order_by.iter().map(|o| self.sort_order(o, scope)).collect::<Result<_>>()?,
            frame: spec.frame.clone(),
        };
        if let Some(alias) = scope.lateral_used.take() {
            let text = format!("{} OVER ({})", typed.sql, window_sql(&window, "unspecifiedframe$()"));
            return Err(SparkError::new(
                "UNSUPPORTED_FEATURE.LATERAL_COLUMN_ALIAS_IN_WINDOW",
                [("lca", firesteel_plan::identifier::quoted_name(&[alias])), ("windowExpr", format!("\"{text}\""))],
            ));
        }
        let needs_order = window_only(function);
        let required = Required::of(&typed, needs_order);
        if !typed.has_window() && !typed.has_aggregate() {
            return Err(SparkError::new("UNSUPPORTED_EXPR_FOR_WINDOW", [("sqlExpr", quoted_sql(&typed))]));
        }
        if needs_order && window.order_by.is_empty() {
            let name = typed.sql.split('(').next().unwrap_or_default().to_lowercase();
            let parameters = [("wf_name", name), ("wf_expr", typed.sql.clone())];
            return Err(SparkError::new("WINDOW_FUNCTION_FRAME_NOT_ORDERED", parameters));
        }
        let (frame, frame_sql) = self.frame(&window, &required, scope)?;
        let sql = format!("{} OVER ({})", typed.sql, window_sql(&window, &frame_sql));
        let partition_by: Vec<_> = window.partition_by.iter().map(|p| partition_key(p, &self.eval)).collect();
        let order_by: Vec<_> = window.order_by.iter().map(|o| o.to_datafusion(&self.eval)).collect();
        // Only the outermost function gets the window: its arguments may hold aggregates and finished windows.
        let expr = typed.expr.clone().transform_down(|node| {
            let windowed = match node {
                DfExpr::WindowFunction(mut call) => {
                    call.params.partition_by = partition_by.clone();
                    call.params.order_by = order_by.clone();
                    call.params.window_frame = frame.clone();
                    DfExpr::WindowFunction(call)
                }
                DfExpr::AggregateFunction(call) => over(call, partition_by.clone(), order_by.clone(), frame.clone()),
                other => return Ok(Transformed::no(other)),
            };
            Ok(Transformed::new(windowed, true, TreeNodeRecursion::Jump))
        });
        let expr = expr.map_err(from_datafusion)?.data;
        if matches!(&typed.expr, DfExpr::AggregateFunction(call) if call.params.distinct) {
            let parameters = [("windowExpr", format!("\"{sql}\""))];
            return Err(SparkError::new("DISTINCT_WINDOW_FUNCTION_UNSUPPORTED", parameters));
        }
        Ok(TypedExpr { expr, sql, ..typed })
    }

    /// Looks up `OVER w` and fills in what `OVER (w …)` takes from it.
    fn window_spec(&self, spec: &WindowRef) -> Result<WindowSpec> {
        let find = |name: &str| {
            let windows = self.windows.borrow();
            let found = windows.iter().rev().find(|(n, _)| self.same_name(n, name)).map(|(_, spec)| spec.clone());
            found
                .ok_or_else(|| SparkError::new("MISSING_WINDOW_SPECIFICATION", [("windowName", name), ("docroot", "")]))
        };
        let mut spec = match spec {
            WindowRef::Named(name) => find(name)?,
            WindowRef::Spec(spec) => spec.clone(),
        };
        let mut guard = 0;
        while let Some(base) = spec.base.take() {
            let base = find(&base)?;
            if spec.partition_by.is_empty() {
                spec.partition_by = base.partition_by;
            }
            if spec.order_by.is_empty() {
                spec.order_by = base.order_by;
            }
            spec.frame = spec.frame.or(base.frame);
            spec.base = base.base;
            guard += 1;
            if guard > 100 {
                return Err(SparkError::internal("window definitions refer to each other"));
            }
        }
        Ok(spec)
    }

    fn frame(&self, window: &ResolvedWindow, required: &Required, scope: &Scope) -> Result<(DfFrame, String)> {
        let ordered = !window.order_by.is_empty();
        if let Some(frame) = &window.frame {
            required.check(frame)?;
        }
        let frame = match (required, &window.frame) {
            (Required::Offset { shown, .. }, _) => {
                // The function itself looks at its offset: the frame is only shown.
                let frame = default_frame(ordered).0;
                return Ok((frame, format!("ROWS BETWEEN {shown} FOLLOWING AND {shown} FOLLOWING")));
            }
            (Required::Before(FrameUnits::Rows), _) => {
                let rows =
                    DfFrame::new_bounds(WindowFrameUnits::Rows, unbounded_preceding(), WindowFrameBound::CurrentRow);
                return Ok((rows, "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".into()));
            }
            (Required::Any | Required::Before(FrameUnits::Range), None) => return Ok(default_frame(ordered)),
            (_, Some(frame)) => frame,
        };
        let units = match frame.units {
            FrameUnits::Rows => WindowFrameUnits::Rows,
            FrameUnits::Range => WindowFrameUnits::Range,
        };
        let key = match (frame.units, window.order_by.as_slice()) {
            (FrameUnits::Rows, _) => None,
            (FrameUnits::Range, [only]) => Some(only.typed.data_type.clone()),
            (FrameUnits::Range, _) => None,
        };
        let has_offset = [&frame.lower, &frame.upper].iter().any(|b| matches!(b, FrameBound::Value(_)));
        if frame.units == FrameUnits::Range && has_offset && window.order_by.len() != 1 {
            let condition = if ordered { "RANGE_FRAME_MULTI_ORDER" } else { "RANGE_FRAME_WITHOUT_ORDER" };
            return Err(SparkError::new(
                format!("DATATYPE_MISMATCH.{condition}"),
                [("sqlExpr", "\"windowspecdefinition\"".to_string()), ("orderSpec", order_sql(window))],
            ));
        }
        let (lower, lower_sql) = self.bound(&frame.lower, true, key.as_ref(), scope)?;
        let (upper, upper_sql) = self.bound(&frame.upper, false, key.as_ref(), scope)?;
        let word = if frame.units == FrameUnits::Rows { "ROWS" } else { "RANGE" };
        let sql = format!("{word} BETWEEN {lower_sql} AND {upper_sql}");
        if let (Some(first), Some(last)) = (row_offset(&lower), row_offset(&upper))
            && first > last
        {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_WRONG_COMPARISON",
                [("comparison", "less than or equal".to_string()), ("sqlExpr", format!("\"{sql}\""))],
            ));
        }
        Ok((DfFrame::new_bounds(units, lower, upper), sql))
    }

    fn bound(
        &self,
        bound: &FrameBound,
        is_lower: bool,
        key: Option<&DataType>,
        scope: &Scope,
    ) -> Result<(WindowFrameBound, String)> {
        let value = match bound {
            FrameBound::UnboundedPreceding => return Ok((unbounded_preceding(), "UNBOUNDED PRECEDING".into())),
            FrameBound::UnboundedFollowing => {
                return Ok((WindowFrameBound::Following(ScalarValue::UInt64(None)), "UNBOUNDED FOLLOWING".into()));
            }
            FrameBound::CurrentRow => return Ok((WindowFrameBound::CurrentRow, "CURRENT ROW".into())),
            FrameBound::Value(value) => self.expression(value, scope)?,
        };
        let place = if is_lower { "lower" } else { "upper" };
        let not_constant = || {
            SparkError::new(
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE",
                [("location", place.to_string()), ("sqlExpr", quoted_sql(&value))],
            )
        };
        if !value.is_foldable() {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_WITHOUT_FOLDABLE",
                [("location", place.to_string()), ("expression", quoted_sql(&value)), ("sqlExpr", quoted_sql(&value))],
            ));
        }
        let sql = value.sql.clone();
        let target = match key {
            None if value.data_type.is_integral() => DataType::Long,
            None => return Err(not_constant()),
            Some(DataType::Date) if value.data_type.is_integral() => DataType::DAY_TIME,
            Some(DataType::Date | DataType::Timestamp | DataType::TimestampNtz) => value.data_type.clone(),
            Some(other) => other.clone(),
        };
        let typed = if key == Some(&DataType::Date) && value.data_type.is_integral() {
            let days = cast(value.clone(), &DataType::Integer, CastMode::Ansi, &self.eval)?;
            let zero = TypedExpr::int(0);
            self.builtin("make_dt_interval", vec![days, zero.clone(), zero])?
        } else {
            cast(value.clone(), &target, CastMode::Ansi, &self.eval)?
        };
        let constant = evaluate(&typed)?.ok_or_else(not_constant)?;
        let (magnitude, negative) = magnitude(constant, key.is_none()).ok_or_else(not_constant)?;
        let is_zero = magnitude.to_string() == "0";
        let shown = match sql.strip_prefix('-') {
            Some(rest) => format!("{rest} PRECEDING"),
            None if negative => format!("{sql} PRECEDING"),
            None => format!("{sql} FOLLOWING"),
        };
        let bound = match (negative, is_zero) {
            (_, true) => WindowFrameBound::CurrentRow,
            (true, _) => WindowFrameBound::Preceding(magnitude),
            (false, _) => WindowFrameBound::Following(magnitude),
        };
        Ok((bound, shown))
    }
}

/// Where a bound in rows lies, counted from the current row.
fn row_offset(bound: &WindowFrameBound) -> Option<i128> {
    match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) => Some(-i128::from(*rows)),
        WindowFrameBound::Following(ScalarValue::UInt64(Some(rows))) => Some(i128::from(*rows)),
        _ => None,
    }
}

/// The frame that a function has, whatever is written.
enum Required {
    Any,
    /// All rows up to the current one, or its peers
    Before(FrameUnits),
    /// The row at an offset, which is shown so
    Offset {
        name: &'static str,
        shown: String,
    },
}

impl Required {
    fn of(function: &TypedExpr, needs_order: bool) -> Self {
        let mut found = Self::Any;
        // The visitor itself cannot fail. Only the outermost function counts.
        let _ = function.expr.apply(|node| {
            let DfExpr::WindowFunction(call) = node else { return Ok(TreeNodeRecursion::Continue) };
            found = match call.fun.name() {
                "lag" => Self::Offset { name: "lag", shown: offset_of(&call.params.args, true) },
                "lead" => Self::Offset { name: "lead", shown: shown_offset(&function.sql) },
                "cume_dist" => Self::Before(FrameUnits::Range),
                _ if needs_order => Self::Before(FrameUnits::Rows),
                _ => Self::Any,
            };
            Ok(TreeNodeRecursion::Stop)
        });
        found
    }

    /// Errors where another frame is written.
    fn check(&self, frame: &WindowFrame) -> Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Offset { name, .. } => {
                Err(SparkError::new("_LEGACY_ERROR_TEMP_1035", [("prettyName", (*name).to_string())]))
            }
            Self::Before(units) => {
                let to_current =
                    matches!((&frame.lower, &frame.upper), (FrameBound::UnboundedPreceding, FrameBound::CurrentRow));
                if to_current && frame.units == *units {
                    return Ok(());
                }
                let required = class_text(*units, &FrameBound::UnboundedPreceding, &FrameBound::CurrentRow);
                let written = class_text(frame.units, &frame.lower, &frame.upper);
                Err(SparkError::new("_LEGACY_ERROR_TEMP_1036", [("wf", written), ("required", required)]))
            }
        }
    }
}

/// A frame as the text of Spark's classes.
fn class_text(units: FrameUnits, lower: &FrameBound, upper: &FrameBound) -> String {
    let bound = |bound: &FrameBound| match bound {
        FrameBound::UnboundedPreceding => "unboundedpreceding$()".to_string(),
        FrameBound::UnboundedFollowing => "unboundedfollowing$()".to_string(),
        FrameBound::CurrentRow => "currentrow$()".to_string(),
        FrameBound::Value(value) => match value.kind.as_ref() {
            ExprKind::Literal(firesteel_plan::Literal::Integer(value)) => value.to_string(),
            ExprKind::Function(call) => match call.arguments.first().map(|a| a.kind.as_ref()) {
                Some(ExprKind::Literal(firesteel_plan::Literal::Integer(value))) => format!("-{value}"),
                _ => "expression".to_string(),
            },
            _ => "expression".to_string(),
        },
    };
    let units = if units == FrameUnits::Rows { "RowFrame" } else { "RangeFrame" };
    format!("specifiedwindowframe({units}, {}, {})", bound(lower), bound(upper))
}

/// The number of rows that a call goes by, turned round where it looks back.
fn offset_of(arguments: &[DfExpr], back: bool) -> String {
    match arguments.get(1) {
        Some(DfExpr::Literal(ScalarValue::Int64(Some(rows)), _)) => (if back { -rows } else { *rows }).to_string(),
        _ => "1".to_string(),
    }
}

/// The offset as written: the second argument of `lead(input, offset, default)`.
fn shown_offset(sql: &str) -> String {
    let inside = sql.split_once('(').map_or(sql, |(_, inside)| inside);
    let (mut depth, mut parts) = (0_i32, vec![String::new()]);
    for c in inside.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.get(1).map(|part| part.trim().to_string()).unwrap_or_default()
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

fn over(
    call: AggregateFunction,
    partition_by: Vec<DfExpr>,
    order_by: Vec<datafusion::logical_expr::SortExpr>,
    window_frame: DfFrame,
) -> DfExpr {
    let params = WindowFunctionParams {
        args: call.params.args,
        partition_by,
        order_by,
        window_frame,
        filter: call.params.filter,
        null_treatment: call.params.null_treatment,
        distinct: call.params.distinct,
    };
    DfExpr::from(WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(call.func), params })
}

/// Whether the call is of a function that only makes sense with an order (rank, lag …).
fn window_only(function: &Expr) -> bool {
    match function.kind.as_ref() {
        ExprKind::Function(call) => call
            .name
            .last()
            .and_then(|name| registry::lookup(name))
            .is_some_and(|f| f.kind == registry::FunctionKind::Window && f.name != "nth_value"),
        ExprKind::Alias { child, .. } => window_only(child),
        _ => false,
    }
}

fn order_sql(window: &ResolvedWindow) -> String {
    window.order_by.iter().map(ResolvedSort::sql).collect::<Vec<_>>().join(", ")
}

fn window_sql(window: &ResolvedWindow, frame: &str) -> String {
    let mut parts = vec![];
    if !window.partition_by.is_empty() {
        let list: Vec<_> = window.partition_by.iter().map(|p| p.sql.clone()).collect();
        parts.push(format!("PARTITION BY {}", list.join(", ")));
    }
    if !window.order_by.is_empty() {
        parts.push(format!("ORDER BY {}", order_sql(window)));
    }
    parts.push(frame.to_string());
    parts.join(" ")
}
