//! Session variables and EXECUTE IMMEDIATE.
use datafusion::common::ScalarValue;
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::{SetVariableSource, SqlExpr};
use firesteel_plan::{DataType, Expr, ExprKind, Plan, Relation, RelationKind, Result, SparkError, TableName};

use super::{Answer, Statement};
use crate::execution::Execution;
use crate::run::Parameters;
use crate::variables::{Variable, not_found, session_name};

pub async fn declare(
    st: &Statement,
    names: Vec<TableName>,
    data_type: Option<DataType>,
    default: Option<SqlExpr>,
    replace: bool,
) -> Answer {
    if let Some(default) = &default {
        check_default(st, &names, default).await?;
    }
    let (value, data_type) = match (default, data_type) {
        (Some(default), Some(wanted)) => {
            let cast = Expr::from(ExprKind::Cast {
                child: default.expr,
                to: wanted.clone(),
                mode: firesteel_plan::expression::EvalMode::Session,
            });
            (st.evaluate(&cast).await?.0, wanted)
        }
        (Some(default), None) => st.evaluate(&default.expr).await?,
        (None, Some(wanted)) => (firesteel_functions::types::null_value(&wanted), wanted),
        (None, None) => return Err(SparkError::parse("DECLARE")),
    };
    let mut seen: Vec<String> = vec![];
    for name in &names {
        if let Some(declared) = session_name(&st.name(name).await?) {
            if seen.contains(&declared) {
                let shown = quoted_name(&["system", "session", &declared]);
                return Err(SparkError::new("DUPLICATE_VARIABLE_NAME_INSIDE_DECLARE", [("variableName", shown)]));
            }
            seen.push(declared);
        }
    }
    for name in names {
        let parts = st.name(&name).await?;
        let local = st.context.scopes.is_script();
        let declared = match (&parts[..], local) {
            ([one], true) => one.clone(),
            _ => session_name(&parts).ok_or_else(|| {
                SparkError::new(
                    "UNRESOLVED_VARIABLE",
                    [("variableName", quoted_name(&parts)), ("searchPath", "`SYSTEM`.`SESSION`".into())],
                )
            })?,
        };
        let variable = Variable {
            name: declared.clone(),
            data_type: data_type.clone(),
            value: value.clone(),
            default: value.clone(),
        };
        let added = if local {
            st.context.scopes.declare(variable, replace)
        } else {
            st.session().variables.declare(variable, replace)
        };
        if !added {
            let shown =
                if local { quote_identifier(&declared) } else { quoted_name(&["system", "session", &declared]) };
            return Err(SparkError::new("VARIABLE_ALREADY_EXISTS", [("variableName", shown)]));
        }
    }
    Ok(Execution::empty())
}

/// A default may use constants and functions, but no query and no aggregate.
async fn check_default(st: &Statement, names: &[TableName], default: &SqlExpr) -> Result<()> {
    let expr = default.expr.clone();
    let typed = crate::run::with_analyzer(&st.context, &st.parameters, move |a| a.constant(&expr)).await?;
    if typed.has_subquery() {
        let name = match names.first() {
            Some(name) => st.name(name).await?.last().cloned().unwrap_or_default(),
            None => String::new(),
        };
        return Err(SparkError::new(
            "INVALID_DEFAULT_VALUE.SUBQUERY_EXPRESSION",
            [
                ("statement", "DECLARE VARIABLE".to_string()),
                ("colName", quoted_name(&["system", "session", &name])),
                ("defaultValue", default.text.clone()),
            ],
        ));
    }
    if typed.has_aggregate() {
        return Err(SparkError::new(
            "UNSUPPORTED_EXPR_FOR_OPERATOR",
            [("invalidExprSqls", format!("\"{}\"", typed.sql))],
        ));
    }
    Ok(())
}

pub async fn drop(st: &Statement, name: TableName, if_exists: bool) -> Answer {
    if st.context.scopes.is_script() {
        return Err(SparkError::of("UNSUPPORTED_FEATURE.SQL_SCRIPTING_DROP_TEMPORARY_VARIABLE"));
    }
    let parts = st.name(&name).await?;
    if !st.session().variables.drop(&parts) && !if_exists {
        return Err(SparkError::new(
            "VARIABLE_NOT_FOUND",
            [("variableName", quoted_name(&["system", "session", parts.last().map_or("", String::as_str)]))],
        ));
    }
    Ok(Execution::empty())
}

fn lookup(st: &Statement, parts: &[String]) -> Result<Variable> {
    let found = st.context.scopes.get(parts).or_else(|| st.session().variables.get(parts));
    found.ok_or_else(|| not_found(parts))
}

fn assign(st: &Statement, parts: &[String], value: ScalarValue) -> Result<()> {
    if st.context.scopes.set(parts, value.clone()) || st.session().variables.set(parts, value) {
        return Ok(());
    }
    Err(not_found(parts))
}

/// Casts to the variable's type and sets it.
async fn store(st: &Statement, parts: &[String], expr: Expr) -> Result<()> {
    let variable = lookup(st, parts)?;
    if matches!(&*expr.kind, ExprKind::Default) {
        return assign(st, parts, variable.default);
    }
    let cast = Expr::from(ExprKind::Cast {
        child: expr,
        to: variable.data_type,
        mode: firesteel_plan::expression::EvalMode::Session,
    });
    let (value, _) = st.evaluate(&cast).await?;
    assign(st, parts, value)
}

pub async fn set(st: &Statement, targets: Vec<TableName>, source: SetVariableSource) -> Answer {
    let mut names = vec![];
    for target in &targets {
        let parts = st.name(target).await?;
        lookup(st, &parts)?;
        if names.contains(&parts) {
            return Err(SparkError::new("DUPLICATE_ASSIGNMENTS", [("nameList", quoted_name(&parts))]));
        }
        names.push(parts);
    }
    match source {
        SetVariableSource::Values(values) => {
            for (parts, value) in names.iter().zip(values) {
                store(st, parts, value).await?;
            }
        }
        SetVariableSource::Query(query) => assign_row(st, &names, &query).await?,
    }
    Ok(Execution::empty())
}

/// Sets variables to the one row of a query; NULLs where it has none.
pub async fn assign_row(st: &Statement, names: &[Vec<String>], query: &Relation) -> Result<()> {
    let limited = Relation::new(RelationKind::Limit { input: Box::new(query.clone()), limit: Expr::int(2) });
    let (schema, batches) = st.collect(&limited).await?;
    if schema.fields.len() != names.len() {
        return Err(SparkError::new(
            "ASSIGNMENT_ARITY_MISMATCH",
            [("numExpr", schema.fields.len().to_string()), ("numTarget", names.len().to_string())],
        ));
    }
    let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
    if rows > 1 {
        return Err(SparkError::of("ROW_SUBQUERY_TOO_MANY_ROWS"));
    }
    let batch = batches.iter().find(|b| b.num_rows() > 0);
    for (index, (parts, field)) in names.iter().zip(schema.fields.iter()).enumerate() {
        let literal = match batch {
            Some(batch) => crate::literal::cell(batch.column(index).as_ref(), 0, &field.data_type),
            None => firesteel_plan::Literal::Null(field.data_type.clone()),
        };
        store(st, parts, Expr::literal(literal)).await?;
    }
    Ok(())
}

/// The values of USING. A text with named parameters takes them by alias, or by the name of a variable.
async fn parameters(st: &Statement, text: &str, arguments: Vec<(Expr, Option<String>)>) -> Result<Parameters> {
    let markers = firesteel_sql::parameter_markers(text, &st.session().parse_options())?;
    if markers.positional && markers.named {
        return Err(SparkError::of("INVALID_QUERY_MIXED_QUERY_PARAMETERS"));
    }
    let mut found = Parameters::default();
    let mut unnamed = vec![];
    for (expr, alias) in arguments {
        let shown = expr.clone();
        let typed = crate::run::with_analyzer(&st.context, &st.parameters, move |a| a.constant(&shown)).await?;
        if typed.has_subquery() {
            return Err(SparkError::new(
                "UNSUPPORTED_EXPR_FOR_PARAMETER",
                [("invalidExprSql", format!("\"{}\"", typed.sql))],
            )
            .with_origin(expr.origin.as_ref()));
        }
        let (value, data_type) = st.evaluate(&expr).await?;
        let literal = Expr::literal(crate::literal::literal(&value, &data_type));
        let variable = match &*expr.kind {
            ExprKind::Attribute { name, .. } => name.last().cloned(),
            _ => None,
        };
        match alias.or(variable) {
            Some(name) if markers.named => {
                if found.named.iter().any(|(other, _)| *other == name) {
                    return Err(SparkError::new(
                        "EXEC_IMMEDIATE_DUPLICATE_ARGUMENT_ALIASES",
                        [("aliases", quote_identifier(&name))],
                    ));
                }
                found.named.push((name, literal));
            }
            None if markers.named => unnamed.push(format!("\"{}\"", typed.sql)),
            _ => found.positional.push(literal),
        }
    }
    if !unnamed.is_empty() {
        return Err(SparkError::new("ALL_PARAMETERS_MUST_BE_NAMED", [("exprs", unnamed.join(", "))]));
    }
    Ok(found)
}

pub async fn execute_immediate(
    st: &Statement,
    query: Expr,
    into: Vec<TableName>,
    arguments: Vec<(Expr, Option<String>)>,
) -> Answer {
    let (text, data_type) = st.evaluate(&query).await?;
    if !data_type.is_string() {
        return Err(SparkError::new(
            "INVALID_EXPR_TYPE_FOR_QUERY_EXECUTE_IMMEDIATE",
            [("exprType", format!("\"{}\"", data_type.sql()))],
        ));
    }
    let Some(text) = text.try_as_str().flatten().map(str::to_string) else {
        return Err(SparkError::new("NULL_QUERY_STRING_EXECUTE_IMMEDIATE", [("varName", "the query")]));
    };
    let parameters = parameters(st, &text, arguments).await?;
    let plan = st.session().parse_statement(&text)?;
    if let Plan::Command(firesteel_plan::Command::Sql(statement)) = &plan
        && matches!(statement.as_ref(), firesteel_plan::statement::SqlStatement::Script(_))
    {
        return Err(SparkError::new("SQL_SCRIPT_IN_EXECUTE_IMMEDIATE", [("sqlString", text)]));
    }
    let inner = st.clone().with_parameters(parameters);
    if into.is_empty() {
        return inner.run(plan).await;
    }
    let Plan::Query(relation) = plan else {
        return Err(SparkError::new("INVALID_STATEMENT_FOR_EXECUTE_INTO", [("sqlString", text)]));
    };
    let mut names = vec![];
    for name in &into {
        let parts = st.name(name).await?;
        lookup(st, &parts)?;
        if names.contains(&parts) {
            return Err(SparkError::new("DUPLICATE_ASSIGNMENTS", [("nameList", quoted_name(&parts))]));
        }
        names.push(parts);
    }
    assign_row(&inner, &names, &relation).await?;
    Ok(Execution::empty())
}
