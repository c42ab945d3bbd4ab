//! Window expressions: `f(x) OVER (PARTITION BY … ORDER BY … frame)`.
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr as DfExpr, WindowFrame as DfFrame, WindowFunctionDefinition};
use firesteel_functions::{TypedExpr, registry};
use firesteel_plan::expression::WindowRef;
use firesteel_plan::{Expr, ExprKind, FrameBound, FrameUnits, Result, SparkError, WindowFrame, WindowSpec};

use super::{ResolvedSort, Scope, quoted_sql};
use crate::analyzer::Analyzer;
use crate::from_datafusion;
use crate::keys::partition_key;

/// A window specification over resolved expressions.
pub(super) struct ResolvedWindow {
    pub partition_by: Vec<TypedExpr>,
    pub order_by: Vec<ResolvedSort>,
    pub frame: Option<WindowFrame>,
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
        if takes_whole_partitions(&typed) && (!window.order_by.is_empty() || frame_sql != WHOLE_PARTITION) {
            let parameters = [("aggFunc", format!("\"{}\"", call_sql(&typed)))];
            return Err(SparkError::new("INVALID_WINDOW_SPEC_FOR_AGGREGATION_FUNC", parameters));
        }
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
}

/// The frame that a function has, whatever is written.
pub(super) enum Required {
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
    pub(super) fn check(&self, frame: &WindowFrame) -> Result<()> {
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

/// The frame that is a whole partition
const WHOLE_PARTITION: &str = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING";

/// Functions that have an order of their own, so that a window must not have one.
static ORDERED_WITHIN: &[&str] = &["median", "percentile_cont", "percentile_disc", "listagg", "string_agg"];

fn takes_whole_partitions(typed: &TypedExpr) -> bool {
    let is_aggregate = matches!(typed.expr, DfExpr::AggregateFunction(_)) || typed.has_aggregate();
    let name = typed.sql.split('(').next().unwrap_or_default();
    // `listagg` has an order only where it is written.
    let is_ordered = !name.ends_with("agg") || typed.sql.contains(" WITHIN GROUP ");
    is_aggregate && is_ordered && ORDERED_WITHIN.contains(&name)
}

/// A call with what it is ordered within among its arguments: `percentile_cont(x, 0.5)`.
fn call_sql(typed: &TypedExpr) -> String {
    let Some((call, order)) = typed.sql.split_once(" WITHIN GROUP (ORDER BY ") else { return typed.sql.clone() };
    let order = order.strip_suffix(')').unwrap_or(order);
    let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
    let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
    if name.starts_with("percentile") {
        return format!("{name}({}, {arguments})", order.trim_end_matches(" DESC"));
    }
    format!("{name}({arguments}, {order})")
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

pub(super) fn window_sql(window: &ResolvedWindow, frame: &str) -> String {
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
