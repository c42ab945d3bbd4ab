//! Expressions: names are looked up, functions chosen, types computed, casts made explicit.
mod attribute;
mod frame;
mod function;
mod lambda;
pub(crate) mod literal;
mod routine;
mod select_list;
mod sort;
mod subquery;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::{TypedExpr, registry};
use firesteel_plan::expression::EvalMode;
use firesteel_plan::{DataType, Expr, ExprKind, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::default_collation::{of_cast, of_literal};
use crate::scope::{Attribute, Resolved, TimeWindow};

pub(crate) use attribute::unresolved_among;
pub(crate) use function::{is_routine, plain_column};
pub(crate) use select_list::{SelectItem, SelectValue};
pub(crate) use sort::ResolvedSort;
pub(crate) use subquery::{
    KnownSubquery, as_subquery, is_correlated, is_of_outer_row, refuse_outer_references, row_values,
};

/// The columns an expression may name.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub output: Vec<Attribute>,
    pub hidden: Vec<Attribute>,
    pub plan_outputs: HashMap<i64, Vec<Vec<Attribute>>>,
    /// Columns below the operator (dropped by a projection, or an aggregate's input); what is used of them is recorded.
    pub below: Option<Box<Scope>>,
    pub used_below: RefCell<Vec<Attribute>>,
    /// Aliases of the same select list, for lateral column references.
    pub lateral: RefCell<Vec<(String, TypedExpr)>>,
    /// The lateral alias that was used last.
    pub lateral_used: RefCell<Option<String>>,
    /// Lambda parameters in sight, innermost last.
    pub lambdas: RefCell<Vec<Vec<(String, TypedExpr)>>>,
    /// The SQL function whose parameters `lambdas` are.
    pub routine: Option<String>,
    /// Whether the operator stands over an aggregate, so that subqueries may use its functions over outer columns.
    pub over_aggregate: bool,
    /// The operator that has no place for SQL functions, if this is one.
    pub refuses_routines: Option<&'static str>,
    /// Columns that `lambdas` may read without being reachable by name: a SQL function's arguments stand for its
    /// parameters.
    pub carried: Vec<Attribute>,
    /// Inside an aggregate function's arguments, columns below come first.
    pub in_aggregate: Cell<bool>,
    pub precedence: Precedence,
    /// Columns below an aggregate that are neither grouped nor aggregated where they were used: a name that would mean
    /// one of them means something else.
    pub ungrouped: RefCell<HashSet<String>>,
    /// Columns that calls of `window` and `session_window` mean.
    pub time_windows: Vec<TimeWindow>,
}

/// Whose columns a name means where an operator sees those of its input and those below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// The input's; two of one name are an error.
    #[default]
    Input,
    /// The input's unless two have the name (ORDER BY).
    UniqueInput,
    /// Those below (HAVING).
    Below,
}

impl Scope {
    pub fn empty() -> Self {
        Self::default()
    }

    pub fn of_attributes(output: Vec<Attribute>) -> Self {
        Self { output, ..Self::default() }
    }

    pub fn of(resolved: &Resolved) -> Self {
        Self {
            output: resolved.output.clone(),
            hidden: resolved.hidden.clone(),
            plan_outputs: resolved.plan_outputs.clone(),
            time_windows: resolved.time_windows.clone(),
            ..Self::default()
        }
    }

    /// Every column that an expression over this scope may read.
    pub fn all_columns(&self) -> impl Iterator<Item = &Attribute> {
        let below = self.below.iter().flat_map(|b| b.output.iter().chain(&b.hidden).chain(&b.carried));
        self.output.iter().chain(&self.hidden).chain(&self.carried).chain(below)
    }

    /// Both sides of a join.
    pub fn of_both(left: &Resolved, right: &Resolved) -> Self {
        let mut scope = Self::of(left);
        scope.output.extend(right.output.iter().cloned());
        scope.hidden.extend(right.hidden.iter().cloned());
        for (id, outputs) in &right.plan_outputs {
            scope.plan_outputs.entry(*id).or_default().extend(outputs.iter().cloned());
        }
        scope
    }
}

impl Analyzer<'_> {
    /// Resolves an expression. Generators and `*` are refused here; select lists take them.
    pub(crate) fn expression(&self, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        self.deep(|| {
            let resolved = self.expression_kind(expr, scope).map_err(|e| e.with_origin(expr.origin.as_ref()))?;
            Ok(if resolved.origin.is_none() { resolved.with_origin(expr.origin.clone()) } else { resolved })
        })
    }

    fn expression_kind(&self, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        match expr.kind.as_ref() {
            ExprKind::Literal(value) => Ok(of_literal(literal::typed(value, &self.eval)?, &self.eval)),
            ExprKind::Attribute { name, plan_id, is_metadata_column } => {
                self.attribute(name, *plan_id, *is_metadata_column, scope)
            }
            ExprKind::Function(call) => self.scalar_call(call, expr, scope),
            ExprKind::Alias { child, .. } => self.expression(child, scope),
            ExprKind::WithText { child, text } => Ok(self.expression(child, scope)?.with_sql(text.clone())),
            ExprKind::Cast { child, to, mode } => self.cast_to(child, &of_cast(to, &self.eval)?, *mode, scope),
            ExprKind::CastToText { child, to, mode } => {
                let to = firesteel_sql::parse_data_type(to, &self.parse_options())?;
                self.cast_to(child, &to, *mode, scope)
            }
            ExprKind::ExtractValue { child, extraction } => self.extract_value(child, extraction, scope),
            ExprKind::UpdateFields { child, field, value } => self.update_fields(child, field, value.as_ref(), scope),
            ExprKind::Window { function, spec } => self.window(function, spec, scope),
            ExprKind::ScalarSubquery(query) => self.scalar_subquery(query, scope),
            ExprKind::Exists(query) => self.exists(query, scope),
            ExprKind::InSubquery { values, query } => self.in_subquery(values, query, scope),
            ExprKind::NamedParameter(name) => self.named_parameter(name),
            ExprKind::PositionalParameter(index) => self.positional_parameter(*index),
            ExprKind::IdentifierClause(inner) => {
                let name = self.identifier(inner)?;
                self.attribute(&name, None, false, scope)
            }
            ExprKind::SqlText(text) => {
                self.expression(&firesteel_sql::parse_expression(text, &self.parse_options())?, scope)
            }
            ExprKind::SortOrder(order) => self.expression(&order.child, scope),
            ExprKind::Star { .. } => {
                Err(SparkError::new("INVALID_USAGE_OF_STAR_OR_REGEX", [("elem", "'*'"), ("prettyName", "expression")]))
            }
            ExprKind::Regex { pattern, .. } => Err(SparkError::new(
                "INVALID_USAGE_OF_STAR_OR_REGEX",
                [("elem", format!("regular expression {pattern}")), ("prettyName", "expression".to_string())],
            )),
            ExprKind::NamedArgument { name, .. } => {
                Err(SparkError::new("NAMED_PARAMETERS_NOT_SUPPORTED", [("functionName", format!("`{name}`"))]))
            }
            ExprKind::Lambda { .. } => {
                Err(SparkError::new("UNSUPPORTED_EXPR_FOR_OPERATOR", [("invalidExprSqls", "\"lambda function\"")]))
            }
            ExprKind::TableArgument { .. } => {
                Err(SparkError::of("UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_TABLE_ARGUMENT"))
            }
            ExprKind::Default => Err(SparkError::of("DEFAULT_PLACEMENT_INVALID")),
            ExprKind::InlineUserDefinedFunction { name, language, .. } => {
                Err(SparkError::unsupported(format!("the {language} function {name}")))
            }
        }
    }

    fn cast_to(&self, child: &Expr, to: &DataType, mode: EvalMode, scope: &Scope) -> Result<TypedExpr> {
        let child = self.expression(child, scope)?;
        firesteel_functions::datetime::time_type::check(to, &self.eval)?;
        let word = if mode == EvalMode::Try { "TRY_CAST" } else { "CAST" };
        // Casts to nested types are not shown.
        let sql = match to {
            DataType::Array(..) | DataType::Map(..) | DataType::Struct(_) => child.sql.clone(),
            _ => format!("{word}({} AS {})", child.sql, crate::char_varchar::replaced(to).sql()),
        };
        let mode = match mode {
            EvalMode::Session => CastMode::of(&self.eval),
            EvalMode::Legacy => CastMode::Legacy,
            EvalMode::Ansi => CastMode::Ansi,
            EvalMode::Try => CastMode::Try,
        };
        Ok(cast(child, to, mode, &self.eval)?.with_sql(sql))
    }

    /// A boolean condition of a filter, join or CASE.
    pub(crate) fn condition(&self, expr: &Expr, scope: &Scope, operator: &str) -> Result<TypedExpr> {
        let condition = self.expression(expr, scope)?;
        match condition.data_type {
            DataType::Boolean => Ok(condition),
            DataType::Null => cast(condition, &DataType::Boolean, CastMode::of(&self.eval), &self.eval),
            ref other if operator == "join" => Err(SparkError::new(
                "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE",
                [("joinCondition", quoted_sql(&condition)), ("conditionType", format!("\"{}\"", other.sql()))],
            )
            .with_origin(condition.origin.as_ref())),
            ref other => Err(SparkError::new(
                "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN",
                [
                    ("sqlExpr", quoted_sql(&condition)),
                    ("filter", quoted_sql(&condition)),
                    ("type", format!("\"{}\"", other.sql())),
                ],
            )
            .with_origin(condition.origin.as_ref())),
        }
    }

    fn named_parameter(&self, name: &str) -> Result<TypedExpr> {
        let stack = self.parameters.borrow();
        let unbound = || SparkError::new("UNBOUND_SQL_PARAMETER", [("name", name.to_string())]);
        let parameters = stack.last().ok_or_else(unbound)?;
        let found = parameters.named.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        found.ok_or_else(unbound)
    }

    fn positional_parameter(&self, index: usize) -> Result<TypedExpr> {
        let stack = self.parameters.borrow();
        let found = stack.last().and_then(|p| p.positional.get(index).cloned());
        found.ok_or_else(|| SparkError::new("UNBOUND_SQL_PARAMETER", [("name", format!("_{index}"))]))
    }

    /// The name that `IDENTIFIER(expr)` stands for.
    pub(crate) fn identifier(&self, expr: &Expr) -> Result<Vec<String>> {
        let typed = self.constant(expr).map_err(|e| {
            if e.is("UNRESOLVED_COLUMN") {
                return SparkError::new("NOT_A_CONSTANT_STRING.NOT_CONSTANT", [("name", "IDENTIFIER"), ("expr", "")]);
            }
            e
        })?;
        let error = |kind: &str| {
            SparkError::new(
                format!("NOT_A_CONSTANT_STRING.{kind}"),
                [("name", "IDENTIFIER".to_string()), ("expr", quoted_sql(&typed))],
            )
        };
        if !typed.data_type.is_string() {
            return Err(SparkError::new(
                "NOT_A_CONSTANT_STRING.WRONG_TYPE",
                [
                    ("name", "IDENTIFIER".to_string()),
                    ("expr", quoted_sql(&typed)),
                    ("dataType", typed.data_type.simple_string()),
                ],
            ));
        }
        let value = literal::evaluate(&typed)?.ok_or_else(|| error("NOT_CONSTANT"))?;
        let text = value.try_as_str().flatten().ok_or_else(|| error("NULL"))?;
        firesteel_sql::parse_multipart_identifier(text, &self.parse_options())
    }

    /// Calls a built-in by name on resolved arguments.
    pub(crate) fn builtin(&self, name: &str, values: Vec<TypedExpr>) -> Result<TypedExpr> {
        let function =
            registry::lookup(name).ok_or_else(|| SparkError::internal(format!("the function {name} is missing")))?;
        let context = registry::BuildContext { called_as: name, eval: &self.eval, origin: None, is_operator: false };
        match function.call(&context, registry::Arguments { values, ..Default::default() })? {
            registry::Built::Expr(typed) => Ok(typed),
            registry::Built::Generator(_) => Err(SparkError::internal(format!("{name} is a generator"))),
        }
    }
}

/// The quoted form of an expression in error parameters.
pub(crate) fn quoted_sql(typed: &TypedExpr) -> String {
    format!("\"{}\"", typed.sql)
}
