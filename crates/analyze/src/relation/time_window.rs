//! `window` and `session_window`: a column of the windows that rows fall into is added below the operator that asks for
//! it, and every call of the function means that column.
//!
//! ```text
//! input ─▶ project(…, window) ─▶ filter(window is not null) ─▶ the operator        windows that do not overlap, sessions
//! input ─▶ unnest(windows) ─▶ the operator                                         windows that do
//! input ─▶ … ─▶ window functions over the keys ─▶ project(…, session) ─▶ Aggregate   GROUP BY session_window(…)
//! ```
use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::{min_max, sum};
use datafusion::logical_expr::expr::{Case, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    AggregateUDF, Expr as DfExpr, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
    lit,
};
use std::sync::Arc;

use firesteel_functions::TypedExpr;
use firesteel_functions::datetime::windows;
use firesteel_functions::registry::{BuildContext, Generator};
use firesteel_plan::relation::GroupingElement;
use firesteel_plan::{DataType, Expr, ExprKind, FunctionCall, Result, SparkError};

use super::project::filter_plan;
use crate::analyzer::Analyzer;
use crate::expr::{Scope, plain_column};
use crate::scope::{Attribute, Resolved, TimeWindow, project};

/// Marks columns of windows, for `window_time`.
const OF_TIME: &str = "spark.timeWindow";
const OF_SESSION: &str = "spark.sessionWindow";

/// What a call of `window` or `session_window` asks for.
struct Wanted {
    /// The expression that makes the column; equal for equal calls
    typed: TypedExpr,
    window: DataType,
    name: &'static str,
    overlaps: bool,
}

/// Whether a column is a window of time that rows were grouped into.
pub(crate) fn is_time_window(attribute: &Attribute) -> bool {
    [OF_TIME, OF_SESSION].iter().any(|mark| attribute.metadata.contains_key(*mark))
}

impl Analyzer<'_> {
    /// The input with a column for the window that `expressions` call for, if any does.
    pub(crate) fn with_time_window(&self, input: Resolved, expressions: &[&Expr]) -> Result<Resolved> {
        let mut calls = vec![];
        for expression in expressions {
            self.window_calls(expression, &mut calls)?;
        }
        let mut input = input;
        let mut added = false;
        for expr in calls {
            let ExprKind::Function(call) = expr.kind.as_ref() else { continue };
            let wanted = self.wanted_window(call, &expr, &Scope::of(&input));
            let wanted = wanted.map_err(|error| error.with_origin(expr.origin.as_ref()))?;
            if find(&input.time_windows, &wanted.typed).is_some() {
                continue;
            }
            if added {
                return Err(SparkError::of("_LEGACY_ERROR_TEMP_1039"));
            }
            input = self.add_window(input, wanted)?;
            added = true;
        }
        Ok(input)
    }

    /// Calls of the two functions in `expr`, subqueries left out.
    fn window_calls(&self, expr: &Expr, calls: &mut Vec<Expr>) -> Result<()> {
        match expr.kind.as_ref() {
            ExprKind::SqlText(text) if text.to_ascii_lowercase().contains("window") => {
                for parsed in firesteel_sql::parse_named_expressions(text, &self.parse_options())? {
                    self.window_calls(&parsed, calls)?;
                }
            }
            ExprKind::Function(call) if window_name(call).is_some() => calls.push(expr.clone()),
            kind => {
                for child in kind.children() {
                    self.window_calls(child, calls)?;
                }
            }
        }
        Ok(())
    }

    fn wanted_window(&self, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<Wanted> {
        let name = window_name(call).unwrap_or(WINDOW);
        let context =
            BuildContext { called_as: name, eval: &self.eval, origin: expr.origin.clone(), is_operator: false };
        let values = call.arguments.iter().map(|a| self.expression(a, scope)).collect::<Result<Vec<_>>>()?;
        if name == WINDOW {
            let sliced = windows::window(&context, values)?;
            return Ok(Wanted { typed: sliced.typed, window: sliced.window, name, overlaps: sliced.overlaps });
        }
        let (time, gap) = windows::session_arguments(&context, values)?;
        let end = self.builtin("+", vec![time.clone(), gap])?;
        let (typed, window) = windows::between(&context, time, end);
        Ok(Wanted { typed, window, name, overlaps: false })
    }

    fn add_window(&self, input: Resolved, wanted: Wanted) -> Result<Resolved> {
        let key = wanted.typed.expr.clone();
        let mark = if wanted.name == WINDOW { OF_TIME } else { OF_SESSION };
        let (mut resolved, mut attribute) = if wanted.overlaps {
            let columns = vec![(wanted.name.to_string(), wanted.window, true)];
            let generator = Generator { name: wanted.name.to_string(), rows: wanted.typed, columns, outer: false };
            let (resolved, mut generated) = self.generate(input, &generator, &[])?;
            let attribute = generated.pop().ok_or_else(|| SparkError::internal("a window without a column"))?;
            (resolved, attribute)
        } else {
            let attribute = Attribute::new(wanted.name, wanted.window, false);
            let mut columns: Vec<DfExpr> = input.output.iter().chain(&input.hidden).map(Attribute::column).collect();
            columns.push(wanted.typed.expr.alias(&attribute.id));
            let (plan, columns) = self.windows_below(input.plan.clone(), columns)?;
            let plan = filter_plan(project(plan, columns)?, attribute.column().is_not_null())?;
            (input.with_plan(plan), attribute)
        };
        attribute.metadata.insert(mark.to_string(), "true".to_string());
        resolved.hidden.push(attribute.clone());
        resolved.time_windows.push(TimeWindow { key, attribute });
        resolved.extend = None;
        Ok(resolved)
    }

    /// The column that a call of `window` or `session_window` means.
    pub(crate) fn time_window(&self, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        let wanted = self.wanted_window(call, expr, scope)?;
        match find(&scope.time_windows, &wanted.typed) {
            Some(attribute) => Ok(attribute.typed()),
            None => {
                Err(SparkError::unsupported(format!("the function {} here", wanted.name))
                    .with_origin(expr.origin.as_ref()))
            }
        }
    }

    /// `window_time(window)`
    pub(crate) fn window_time(&self, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        let [argument] = call.arguments.as_slice() else {
            return Err(firesteel_functions::registry::wrong_num_args("window_time", 1, 1, call.arguments.len()));
        };
        let window = self.expression(argument, scope)?;
        let is_window = plain_column(&window.expr).is_some_and(|id| {
            let columns = scope.output.iter().chain(&scope.hidden);
            columns.filter(|a| a.id == id).any(is_time_window)
        });
        if matches!(window.data_type, DataType::Struct(_)) && !is_window {
            let shown = format!("window_time({})", window.sql);
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3101", [("windowTime", shown)]));
        }
        let context = BuildContext {
            called_as: "window_time",
            eval: &self.eval,
            origin: expr.origin.clone(),
            is_operator: false,
        };
        windows::window_time(&context, window)
    }

    /// The input with its session column changed to the whole sessions of each key, where it is grouped by.
    pub(crate) fn with_merged_sessions(&self, input: Resolved, groups: &[TypedExpr], sets: bool) -> Result<Resolved> {
        let is_session =
            |a: &&Attribute| a.metadata.contains_key(OF_SESSION) && groups.iter().any(|g| g.expr == a.column());
        let Some(session) = input.time_windows.iter().map(|w| &w.attribute).find(is_session).cloned() else {
            return Ok(input);
        };
        if sets {
            return Err(SparkError::unsupported("session_window with grouping sets"));
        }
        let Some(timestamp) = timestamp_of(&session.data_type) else {
            return Err(SparkError::internal("sessions are structs"));
        };
        let keys: Vec<DfExpr> = groups.iter().map(|g| g.expr.clone()).filter(|e| *e != session.column()).collect();
        let (start, end) = (get_field(session.column(), "start"), get_field(session.column(), "end"));
        let order = vec![SortExpr::new(start.clone(), true, true)];
        let before = WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1)));
        let latest_end = over(min_max::max_udaf(), end.clone(), keys.clone(), order.clone(), before);
        let opens = Case::new(
            None,
            vec![(Box::new(latest_end.clone().is_null().or(start.clone().gt(latest_end))), Box::new(lit(1_i64)))],
            Some(Box::new(lit(0_i64))),
        );
        let number = over(sum::sum_udaf(), DfExpr::Case(opens), keys.clone(), order, WindowFrameBound::CurrentRow);
        let of_session: Vec<DfExpr> = keys.into_iter().chain([number]).collect();
        let whole = || WindowFrameBound::Following(ScalarValue::UInt64(None));
        let first = over(min_max::min_udaf(), start, of_session.clone(), vec![], whole());
        let last = over(min_max::max_udaf(), end, of_session, vec![], whole());
        let typed = |expr| TypedExpr::new(expr, timestamp.clone(), true, "");
        let context = BuildContext { called_as: SESSION, eval: &self.eval, origin: None, is_operator: false };
        let (merged, _) = windows::between(&context, typed(first), typed(last));
        let all = input.output.iter().chain(&input.hidden);
        let columns = all.map(|a| if a.id == session.id { merged.expr.clone().alias(&a.id) } else { a.column() });
        let (plan, columns) = self.windows_below(input.plan.clone(), columns.collect())?;
        let plan = project(plan, columns)?;
        Ok(input.with_plan(plan))
    }
}

const WINDOW: &str = "window";
const SESSION: &str = "session_window";

fn window_name(call: &FunctionCall) -> Option<&'static str> {
    let [name] = call.name.as_slice() else { return None };
    [WINDOW, SESSION].into_iter().find(|known| name.eq_ignore_ascii_case(known))
}

fn find<'a>(windows: &'a [TimeWindow], wanted: &TypedExpr) -> Option<&'a Attribute> {
    windows.iter().find(|window| window.key == wanted.expr).map(|window| &window.attribute)
}

fn timestamp_of(session: &DataType) -> Option<DataType> {
    let DataType::Struct(fields) = session else { return None };
    fields.fields.first().map(|field| field.data_type.clone())
}

/// An aggregate function over the rows of a key from the first one to `end`.
fn over(
    function: Arc<AggregateUDF>,
    argument: DfExpr,
    partition_by: Vec<DfExpr>,
    order_by: Vec<SortExpr>,
    end: WindowFrameBound,
) -> DfExpr {
    let first = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    let params = WindowFunctionParams {
        args: vec![argument],
        partition_by,
        order_by,
        window_frame: WindowFrame::new_bounds(WindowFrameUnits::Rows, first, end),
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    DfExpr::from(WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(function), params })
}

/// All expressions of a grouping.
pub(crate) fn of_elements(elements: &[GroupingElement]) -> Vec<&Expr> {
    let mut all = vec![];
    for element in elements {
        match element {
            GroupingElement::Expression(expr) => all.push(expr),
            GroupingElement::Set(set) => all.extend(set),
            GroupingElement::Rollup(parts) | GroupingElement::Cube(parts) => all.extend(parts.iter().flatten()),
            GroupingElement::KeyedSets { keys, sets } => all.extend(keys.iter().chain(sets.iter().flatten())),
            GroupingElement::GroupingSets(elements) => all.extend(of_elements(elements)),
        }
    }
    all
}
