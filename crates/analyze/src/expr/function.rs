//! Calls: built-ins from the registry, SQL functions, and the few that need the plan.
use datafusion::logical_expr::Expr as DfExpr;
use firesteel_functions::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, OrderBy};
use firesteel_functions::{TypedExpr, registry};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, Expr, ExprKind, FunctionCall, Result, SparkError};

use super::Scope;
use crate::analyzer::Analyzer;
use crate::context::{SqlFunction, SqlFunctionBody};
use crate::relation::is_random;

/// Qualifies the alias of a SQL function's body that has subqueries, which read its arguments, not the query's columns, or
/// values that are others each time, which an aggregate function around it sees as one value.
const ROUTINE: &str = "routine";

/// Whether the node is the body of such a SQL function.
pub(crate) fn is_routine(node: &DfExpr) -> bool {
    matches!(node, DfExpr::Alias(alias) if alias.relation.as_ref().is_some_and(|r| r.table() == ROUTINE))
}

impl Analyzer<'_> {
    /// A call where one value is wanted: a generator is an error.
    pub(super) fn scalar_call(&self, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        match self.call(call, expr, scope)? {
            Built::Expr(typed) => Ok(typed),
            Built::Generator(generator) => Err(SparkError::new(
                "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS",
                [("expression", format!("\"{}\"", generator.rows.sql))],
            )),
        }
    }

    pub(crate) fn function_name(&self, call: &FunctionCall) -> Result<Vec<String>> {
        match &call.identifier {
            Some(identifier) => self.identifier(identifier),
            None => Ok(call.name.clone()),
        }
    }

    pub(crate) fn call(&self, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<Built> {
        let name = self.function_name(call)?;
        if let Some(special) = self.special_call(&name, call, scope)? {
            return Ok(Built::Expr(special));
        }
        if let Some(function) = self.builtin_by_name(&name) {
            return self.call_builtin(function, &name, call, expr, scope);
        }
        if let Some(function) = self.context.sql_function(&name)? {
            return self.call_sql_function(&function, call, scope).map(Built::Expr);
        }
        Err(SparkError::new(
            "UNRESOLVED_ROUTINE",
            [("routineName", quoted_name(&name)), ("searchPath", self.context.search_path())],
        ))
    }

    /// One part, or `builtin.f` and `system.builtin.f`.
    fn builtin_by_name(&self, name: &[String]) -> Option<&'static Function> {
        match name {
            [one] => registry::lookup(one),
            [schema, one] if schema.eq_ignore_ascii_case("builtin") => registry::lookup(one),
            [catalog, schema, one]
                if catalog.eq_ignore_ascii_case("system") && schema.eq_ignore_ascii_case("builtin") =>
            {
                registry::lookup(one)
            }
            _ => None,
        }
    }

    fn call_builtin(
        &self,
        function: &'static Function,
        name: &[String],
        call: &FunctionCall,
        expr: &Expr,
        scope: &Scope,
    ) -> Result<Built> {
        if function.kind == FunctionKind::Table {
            return Err(SparkError::new("NOT_A_SCALAR_FUNCTION", [("functionName", quoted_name(name))]));
        }
        self.check_modifiers(function, name, call)?;
        let has_over = self.has_over.replace(false);
        if matches!(function.build, Build::Analyzer) {
            return self.plan_function(function, call, expr, scope).map(Built::Expr);
        }
        let was_aggregate = scope.in_aggregate.get();
        if function.kind == FunctionKind::Aggregate {
            scope.lateral_used.take();
        }
        scope.in_aggregate.set(was_aggregate || function.kind == FunctionKind::Aggregate);
        let arguments = self.arguments(function, call, scope);
        scope.in_aggregate.set(was_aggregate);
        let called_as = name.last().map(|n| n.to_lowercase()).unwrap_or_default();
        let context = BuildContext {
            called_as: &called_as,
            eval: &self.eval,
            origin: expr.origin.clone(),
            is_operator: call.is_internal,
        };
        let mut arguments = arguments?;
        if function.kind == FunctionKind::Aggregate && arguments.values.iter().any(TypedExpr::has_window) && !has_over {
            return Err(SparkError::of("_LEGACY_ERROR_TEMP_1031"));
        }
        self.pad_char_operands(function.name, &mut arguments.values, scope);
        let built = function.call(&context, arguments)?;
        if let (FunctionKind::Aggregate, Built::Expr(typed)) = (function.kind, &built)
            && typed.has_outer_reference()
            && typed.any(|e| matches!(e, DfExpr::Column(_)))
        {
            return Err(SparkError::new(
                "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.AGGREGATE_FUNCTION_MIXED_OUTER_LOCAL_REFERENCES",
                [("function", typed.sql.clone())],
            ));
        }
        if let (FunctionKind::Aggregate, Built::Expr(typed)) = (function.kind, &built)
            && let Some(alias) = scope.lateral_used.take()
        {
            return Err(SparkError::new(
                "UNSUPPORTED_FEATURE.LATERAL_COLUMN_ALIAS_IN_AGGREGATE_FUNC",
                [("lca", quoted_name(&[alias])), ("aggFunc", super::quoted_sql(typed))],
            ));
        }
        match &built {
            Built::Expr(typed) if function.kind == FunctionKind::Window && !has_over => {
                let parameters = [("funcName", super::quoted_sql(typed))];
                Err(SparkError::new("WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE", parameters))
            }
            _ => Ok(built),
        }
    }

    /// DISTINCT, FILTER and IGNORE NULLS belong to aggregates and window functions.
    fn check_modifiers(&self, function: &Function, name: &[String], call: &FunctionCall) -> Result<()> {
        let aggregate = matches!(function.kind, FunctionKind::Aggregate);
        let refuse = |syntax: &str| {
            Err(SparkError::new(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
                [("prettyName", quoted_name(name)), ("syntax", syntax.to_string())],
            ))
        };
        if call.distinct && !aggregate {
            return refuse("DISTINCT");
        }
        if call.filter.is_some() && !aggregate {
            return refuse("FILTER CLAUSE");
        }
        if call.ignore_nulls == Some(true) && !MAY_IGNORE_NULLS.contains(&function.name) {
            return refuse("IGNORE NULLS");
        }
        if !call.within_group.is_empty() && !ORDERED.contains(&function.name) {
            return refuse("WITHIN GROUP (ORDER BY ...)");
        }
        Ok(())
    }

    fn arguments<'s>(&'s self, function: &Function, call: &'s FunctionCall, scope: &'s Scope) -> Result<Arguments<'s>> {
        let ordered = rearrange(function, &call.arguments)?;
        let mut arguments =
            Arguments { distinct: call.distinct, ignore_nulls: call.ignore_nulls, ..Default::default() };
        for (position, argument) in ordered.into_iter().enumerate() {
            match argument.kind.as_ref() {
                ExprKind::Lambda { parameters, body } => {
                    arguments.lambdas.push((position, self.lambda(parameters, body, scope)));
                }
                ExprKind::Star { .. } | ExprKind::Regex { .. } => {
                    let expanded = self.expand_star_argument(function, argument, call, scope)?;
                    arguments.values.extend(expanded);
                }
                ExprKind::SortOrder(order) => {
                    arguments.order_by.push(self.order_argument(order, scope)?);
                    arguments.values.push(self.expression(&order.child, scope)?);
                }
                ExprKind::Alias { child, names, .. } => {
                    // struct(a AS b) and named arguments by alias keep their names in the text.
                    let typed = self.expression(child, scope)?;
                    arguments.values.push(with_alias(typed, names));
                }
                // `F.expr("*")` stands for the columns as `*` does.
                ExprKind::SqlText(text) if text.trim().ends_with('*') => {
                    let parsed = firesteel_sql::parse_expression(text, &self.parse_options())?;
                    match parsed.kind.as_ref() {
                        ExprKind::Star { .. } => {
                            arguments.values.extend(self.expand_star_argument(function, &parsed, call, scope)?);
                        }
                        _ => arguments.values.push(self.expression(&parsed, scope)?),
                    }
                }
                ExprKind::Attribute { name, plan_id: None, .. } if function.name == "struct" => {
                    let typed = self.expression(argument, scope)?;
                    let is_parameter = self.is_routine_parameter(name, scope)?;
                    arguments.values.push(if is_parameter { named_as_written(typed, name) } else { typed });
                }
                _ => arguments.values.push(self.expression(argument, scope)?),
            }
        }
        if let Some(filter) = &call.filter {
            arguments.filter = Some(self.aggregate_filter(filter, scope)?);
        }
        for order in &call.within_group {
            arguments.order_by.push(self.order_argument(order, scope)?);
        }
        Ok(arguments)
    }

    /// FILTER (WHERE …) of an aggregate function.
    fn aggregate_filter(&self, filter: &Expr, scope: &Scope) -> Result<TypedExpr> {
        let typed = self.expression(filter, scope)?;
        let quoted = super::quoted_sql(&typed);
        let refuse = |kind: &str, more: Option<(&str, String)>| {
            let parameters = [("filterExpr", quoted.clone())].into_iter().chain(more);
            Err(SparkError::new(format!("INVALID_AGGREGATE_FILTER.{kind}"), parameters)
                .with_origin(typed.origin.as_ref()))
        };
        if typed.any(crate::relation::is_partition_dependent) {
            return refuse("NON_DETERMINISTIC", None);
        }
        if !matches!(typed.data_type, DataType::Boolean) {
            return refuse("NOT_BOOLEAN", None);
        }
        if typed.has_window() {
            return refuse("CONTAINS_WINDOW_FUNCTION", Some(("windowExpr", quoted.clone())));
        }
        if typed.has_aggregate() {
            return refuse("CONTAINS_AGGREGATE", Some(("aggExpr", quoted.clone())));
        }
        Ok(typed)
    }

    fn order_argument(&self, order: &firesteel_plan::SortOrder, scope: &Scope) -> Result<OrderBy> {
        let sort = self.sort_order(order, scope)?;
        Ok(OrderBy { expr: sort.typed, ascending: sort.ascending, nulls_first: sort.nulls_first })
    }

    /// `count(*)` is `count(1)`; elsewhere `*` stands for the columns.
    fn expand_star_argument(
        &self,
        function: &Function,
        argument: &Expr,
        call: &FunctionCall,
        scope: &Scope,
    ) -> Result<Vec<TypedExpr>> {
        if let ExprKind::Star { target, except, .. } = argument.kind.as_ref()
            && function.name == "count"
            && target.is_empty()
            && except.is_empty()
            && call.arguments.len() == 1
            && !call.distinct
        {
            return Ok(vec![TypedExpr::int(1)]);
        }
        if let ExprKind::Star { target, .. } = argument.kind.as_ref()
            && function.name == "count"
            && !target.is_empty()
            && call.arguments.len() == 1
            && !call.distinct
            && !self.eval.flag("spark.sql.legacy.allowStarWithSingleTableIdentifierInCount", false)
        {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1021", [("targetString", target.join("."))]));
        }
        let columns = self.expand_star(argument, scope)?;
        Ok(columns.into_iter().map(|item| item.typed).collect())
    }

    /// The body of a SQL function with its parameters replaced by the arguments.
    fn call_sql_function(&self, function: &SqlFunction, call: &FunctionCall, scope: &Scope) -> Result<TypedExpr> {
        let SqlFunctionBody::Scalar { expr, returns } = &function.body else {
            return Err(SparkError::new("NOT_A_SCALAR_FUNCTION", [("functionName", quoted_name(&function.name))]));
        };
        let values = self.sql_function_arguments(function, call, scope)?;
        if let Some(node) = scope.refuses_routines {
            return Err(SparkError::new(
                "UNSUPPORTED_SQL_UDF_USAGE",
                [("functionName", quoted_name(&function.name)), ("nodeName", node.to_string())],
            ));
        }
        let nested = self.body_of(function)?;
        let body_scope = Scope {
            carried: scope.all_columns().cloned().collect(),
            routine: function.name.last().cloned(),
            ..Scope::empty()
        };
        // Parameters are seen as columns of no table would be; a subquery in the body may use them too.
        body_scope.lambdas.borrow_mut().push(values.clone());
        let mut body = nested.expression(expr, &body_scope)?;
        if let Some(returns) = returns {
            body = firesteel_functions::cast::cast(
                body,
                returns,
                firesteel_functions::cast::CastMode::of(&self.eval),
                &self.eval,
            )?;
        }
        // As the call was written: defaults do not show.
        let shown: Vec<_> = values.iter().take(call.arguments.len()).map(|(_, v)| v.sql.clone()).collect();
        let sql = format!("{}({})", firesteel_plan::identifier::qualified_name(&function.name), shown.join(", "));
        // A body that is but a parameter is a value of its own, not the column that was passed.
        let is_kept = body.has_subquery() || is_random(&body.expr);
        let expr = match plain_column(&body.expr) {
            Some(_) => body.expr.alias(&sql),
            None if is_kept => body.expr.alias_qualified(Some(ROUTINE), &sql),
            None => body.expr,
        };
        Ok(TypedExpr { expr, ..body }.with_sql(sql))
    }

    pub(crate) fn sql_function_arguments(
        &self,
        function: &SqlFunction,
        call: &FunctionCall,
        scope: &Scope,
    ) -> Result<Vec<(String, TypedExpr)>> {
        let count = call.arguments.len();
        let required = function.parameters.iter().filter(|p| p.default.is_none()).count();
        if count > function.parameters.len() || (count < required && !call.arguments.iter().any(is_named)) {
            let name = function.name.last().cloned().unwrap_or_default();
            return Err(registry::wrong_num_args(&name, required, function.parameters.len(), count));
        }
        let mut values: Vec<Option<TypedExpr>> = vec![None; function.parameters.len()];
        for (position, argument) in call.arguments.iter().enumerate() {
            let (index, value) = match argument.kind.as_ref() {
                ExprKind::NamedArgument { name, value } => {
                    let index = function.parameters.iter().position(|p| self.same_name(&p.name, name));
                    let index = index.ok_or_else(|| unknown_parameter(&function.name, name))?;
                    (index, value)
                }
                _ => (position, argument),
            };
            values[index] = Some(self.expression(value, scope)?);
        }
        let mut bound = vec![];
        for (parameter, value) in function.parameters.iter().zip(values) {
            let value = match (value, &parameter.default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.constant(default)?,
                (None, None) => {
                    return Err(SparkError::new(
                        "REQUIRED_PARAMETER_NOT_FOUND",
                        [
                            ("routineName", quoted_name(&function.name)),
                            ("parameterName", quoted_name(&[&parameter.name])),
                            ("index", bound.len().to_string()),
                        ],
                    ));
                }
            };
            let sql = value.sql.clone();
            let mode = firesteel_functions::cast::CastMode::of(&self.eval);
            let cast = firesteel_functions::cast::cast(value, &parameter.data_type, mode, &self.eval)?;
            bound.push((parameter.name.clone(), cast.with_sql(sql)));
        }
        Ok(bound)
    }

    /// Functions whose arguments are not all values.
    fn special_call(&self, name: &[String], call: &FunctionCall, scope: &Scope) -> Result<Option<TypedExpr>> {
        let [only] = name else { return Ok(None) };
        match only.to_lowercase().as_str() {
            firesteel_functions::partition_dependent::SEQUENCE_ID if call.is_internal && call.arguments.is_empty() => {
                Ok(Some(firesteel_functions::partition_dependent::sequence_id(&self.eval)))
            }
            // NOT IN (subquery) is planned as one anti join.
            "not" if call.arguments.len() == 1 => match call.arguments[0].kind.as_ref() {
                ExprKind::InSubquery { values, query } => self.in_subquery_negated(values, query, scope).map(Some),
                ExprKind::Exists(query) => self.not_exists(query, scope).map(Some),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Functions of `Build::Analyzer`: those that look at the operator around them.
    fn plan_function(&self, function: &Function, call: &FunctionCall, expr: &Expr, scope: &Scope) -> Result<TypedExpr> {
        match function.name {
            "grouping" | "grouping_id" => self.grouping_function(function.name, call, scope),
            "window" | "session_window" => self.time_window(call, expr, scope),
            "window_time" => self.window_time(call, expr, scope),
            other => {
                Err(SparkError::unsupported(format!("the function {other} here")).with_origin(expr.origin.as_ref()))
            }
        }
    }

    /// A marker that the aggregate around it replaces; see `relation::aggregate`.
    fn grouping_function(&self, name: &str, call: &FunctionCall, scope: &Scope) -> Result<TypedExpr> {
        let was = scope.in_aggregate.replace(true);
        let values: Result<Vec<_>> = call.arguments.iter().map(|a| self.expression(a, scope)).collect();
        scope.in_aggregate.set(was);
        let values = values?;
        let sql = format!("{name}({})", values.iter().map(|v| v.sql.as_str()).collect::<Vec<_>>().join(", "));
        let data_type = if name == "grouping" { DataType::Byte } else { DataType::Long };
        let marker = crate::relation::aggregate::grouping_marker(name, values.into_iter().map(|v| v.expr).collect());
        Ok(TypedExpr::new(marker, data_type, false, sql))
    }
}

/// Functions that take IGNORE NULLS.
const MAY_IGNORE_NULLS: &[&str] = &[
    "any_value",
    "array_agg",
    "collect_list",
    "collect_set",
    "first",
    "first_value",
    "lag",
    "last",
    "last_value",
    "lead",
    "nth_value",
];
/// Functions that take WITHIN GROUP.
const ORDERED: &[&str] = &["listagg", "mode", "percentile_cont", "percentile_disc"];

/// `name => value` arguments in the order of the parameters.
fn rearrange<'e>(function: &Function, arguments: &'e [Expr]) -> Result<Vec<&'e Expr>> {
    if !arguments.iter().any(is_named) {
        return Ok(arguments.iter().collect());
    }
    let routine = format!("`{}`", function.name);
    if !firesteel_functions::counts::takes_names(function) {
        return Err(SparkError::new("NAMED_PARAMETERS_NOT_SUPPORTED", [("functionName", routine)]));
    }
    let mut slots: Vec<Option<&Expr>> = vec![];
    let mut named_seen = false;
    let positional = arguments.iter().take_while(|a| !is_named(a)).count();
    for argument in arguments {
        match argument.kind.as_ref() {
            ExprKind::NamedArgument { name, value } => {
                named_seen = true;
                let index = function.parameters.iter().position(|p| p.eq_ignore_ascii_case(name));
                let index = index.ok_or_else(|| unknown_parameter(&[function.name.to_string()], name))?;
                if slots.len() <= index {
                    slots.resize(index + 1, None);
                }
                if slots[index].is_some() {
                    let kind = if index < positional {
                        "BOTH_POSITIONAL_AND_NAMED"
                    } else {
                        "DOUBLE_NAMED_ARGUMENT_REFERENCE"
                    };
                    return Err(SparkError::new(
                        format!("DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.{kind}"),
                        [("routineName", routine), ("parameterName", format!("`{name}`"))],
                    ));
                }
                slots[index] = Some(value);
            }
            _ if named_seen => {
                return Err(SparkError::new(
                    "UNEXPECTED_POSITIONAL_ARGUMENT",
                    [("routineName", routine), ("parameterName", String::new())],
                ));
            }
            _ => slots.push(Some(argument)),
        }
    }
    let missing = |index: usize| {
        SparkError::new(
            "REQUIRED_PARAMETER_NOT_FOUND",
            [
                ("routineName", format!("`{}`", function.name)),
                ("parameterName", format!("`{}`", function.parameters.get(index).unwrap_or(&""))),
                ("index", index.to_string()),
            ],
        )
    };
    let default = |index: usize| if function.name == "mask" { MASK_DEFAULTS.get(index)?.as_ref() } else { None };
    let filled = slots.into_iter().enumerate();
    filled.map(|(index, slot)| slot.or_else(|| default(index)).ok_or_else(|| missing(index))).collect()
}

/// What `mask` takes where an argument before a named one is left out.
static MASK_DEFAULTS: std::sync::LazyLock<[Option<Expr>; 5]> = std::sync::LazyLock::new(|| {
    let text = |value: &str| Some(Expr::literal(firesteel_plan::Literal::String(value.to_string())));
    [None, text("X"), text("x"), text("n"), Some(Expr::literal(firesteel_plan::Literal::Null(DataType::STRING)))]
});

fn is_named(expr: &Expr) -> bool {
    matches!(expr.kind.as_ref(), ExprKind::NamedArgument { .. })
}

fn unknown_parameter(routine: &[String], name: &str) -> SparkError {
    SparkError::new(
        "UNRECOGNIZED_PARAMETER_NAME",
        [("routineName", quoted_name(routine)), ("argumentName", format!("`{name}`")), ("proposal", String::new())],
    )
}

/// `struct(a AS b)` takes the alias as the field's name.
fn with_alias(typed: TypedExpr, names: &[String]) -> TypedExpr {
    match names {
        [name] => {
            let sql = format!("{} AS {name}", typed.sql);
            TypedExpr { expr: typed.expr.alias(name), sql, ..typed }
        }
        _ => typed,
    }
}

/// A parameter of a SQL function makes a field of its name, whatever its argument is.
fn named_as_written(typed: TypedExpr, name: &[String]) -> TypedExpr {
    match name.last() {
        Some(last) => TypedExpr { expr: typed.expr.alias(last), ..typed },
        None => typed,
    }
}

/// The attribute an expression is, if it is just one.
pub(crate) fn plain_column(expr: &DfExpr) -> Option<&str> {
    match expr {
        DfExpr::Column(column) => Some(&column.name),
        _ => None,
    }
}
