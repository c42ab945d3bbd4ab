//! SQL functions: CREATE, DROP, and how the analyzer finds them.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::{SqlFunction, context::SqlFunctionBody, context::SqlFunctionParameter};
use firesteel_catalog::{Function, FunctionParameter};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::{
    CreateFunction, FunctionBody, FunctionParameter as StoredParameter, FunctionReturnBody, FunctionReturns,
    SqlFunctionDefinition,
};
use firesteel_plan::{DataType, Plan, Result, SparkError, StructField, StructType, TableName};

use super::{Answer, Statement};
use crate::context::StatementContext;
use crate::execution::Execution;
use crate::functions::TemporaryFunction;
use crate::names::is_session_catalog;
use crate::variables::session_name;
use crate::views::Namespace;

/// The SQL function of that name: temporary ones first.
pub fn lookup(context: &StatementContext, name: &[String]) -> Result<Option<SqlFunction>> {
    if let Some(function) = context.temporary_function(name) {
        let inner = context.nested(function.namespace.clone(), &function.conf, true);
        return resolved(&function.definition, vec![function.name.clone()], inner).map(Some);
    }
    let (database, function) = match name {
        [function] => (context.namespace.database.clone(), function),
        [database, function] => (database.clone(), function),
        [catalog, database, function] if is_session_catalog(catalog) => (database.clone(), function),
        _ => return Ok(None),
    };
    let found = context.block_on(context.session.engine.shared.catalog.get_function(&database, function))?;
    let Some(found) = found else { return Ok(None) };
    let Some(mut definition) = definition_of(context, &found)? else { return Ok(None) };
    definition.data_access.clone_from(&found.data_access);
    let namespace = Namespace {
        catalog: found.current_catalog.clone(),
        database: found.current_namespace.last().cloned().unwrap_or_else(|| found.database.clone()),
    };
    let inner = context.nested(namespace, &found.conf, false);
    let full = vec![firesteel_catalog::SESSION_CATALOG.to_string(), found.database.clone(), found.name.clone()];
    resolved(&definition, full, inner).map(Some)
}

/// A stored function is kept as its CREATE text; the parser reads it again.
fn definition_of(context: &StatementContext, function: &Function) -> Result<Option<SqlFunctionDefinition>> {
    let Some(body) = &function.body else { return Ok(None) };
    let options = crate::session::parse_options(&context.eval.conf);
    let plan = firesteel_sql::parse_statement(body, &options)?;
    let Plan::Command(firesteel_plan::Command::Sql(statement)) = plan else { return Ok(None) };
    match *statement {
        firesteel_plan::statement::SqlStatement::CreateFunction(create) => match create.body {
            FunctionBody::Sql(definition) => Ok(Some(definition)),
            FunctionBody::Class { .. } => Ok(None),
        },
        _ => Ok(None),
    }
}

fn resolved(definition: &SqlFunctionDefinition, name: Vec<String>, context: StatementContext) -> Result<SqlFunction> {
    let parameter = |p: &firesteel_plan::statement::FunctionParameter| SqlFunctionParameter {
        name: p.name.clone(),
        data_type: p.data_type.clone(),
        default: p.default.as_ref().map(|d| d.expr.clone()),
    };
    let parameters = definition.parameters.iter().map(parameter).collect();
    let columns = |columns: &[firesteel_plan::statement::FunctionParameter]| {
        StructType::new(columns.iter().map(|c| StructField::new(&c.name, c.data_type.clone(), true)).collect())
    };
    let body = match (&definition.body, &definition.returns) {
        (FunctionReturnBody::Query(query), FunctionReturns::Table(returns)) => {
            SqlFunctionBody::Table { query: query.clone(), returns: Some(columns(returns)) }
        }
        (FunctionReturnBody::Query(query), FunctionReturns::InferredTable) => {
            SqlFunctionBody::Table { query: query.clone(), returns: None }
        }
        (FunctionReturnBody::Query(query), returns) => SqlFunctionBody::Scalar {
            expr: firesteel_plan::Expr::from(firesteel_plan::ExprKind::ScalarSubquery(query.clone())),
            returns: scalar_type(returns),
        },
        (FunctionReturnBody::Expression(expr), returns) => {
            SqlFunctionBody::Scalar { expr: expr.clone(), returns: scalar_type(returns) }
        }
    };
    let access = definition.data_access.as_deref().unwrap_or_default();
    let reads_data = access.to_uppercase().starts_with("READS");
    Ok(SqlFunction { name, parameters, body, reads_data, context: Arc::new(context) })
}

fn scalar_type(returns: &FunctionReturns) -> Option<DataType> {
    match returns {
        FunctionReturns::Type(data_type) => Some(data_type.clone()),
        _ => None,
    }
}

pub async fn create(st: &Statement, create: CreateFunction) -> Answer {
    let parts = st.name(&create.name).await?;
    let definition = match create.body {
        FunctionBody::Sql(definition) => definition,
        FunctionBody::Class { class_name, resources } => {
            return create_class(st, &parts, create.is_temporary, create.if_not_exists, class_name, resources).await;
        }
    };
    check_definition(&parts, &definition)?;
    if create.is_temporary {
        let name = session_name(&parts).ok_or_else(|| {
            SparkError::new("INVALID_SQL_SYNTAX.CREATE_TEMP_FUNC_WITH_DATABASE", [("database", parts.join("."))])
        })?;
        if create.if_not_exists {
            return Err(SparkError::new(
                "INVALID_SQL_SYNTAX.CREATE_TEMP_FUNC_WITH_IF_NOT_EXISTS",
                Vec::<(String, String)>::new(),
            ));
        }
        check_body(st, vec![name.clone()], &definition, true).await?;
        let function = TemporaryFunction {
            name: name.clone(),
            definition,
            namespace: st.context.namespace.clone(),
            conf: super::view::captured(st),
        };
        if !st.session().functions.put(function, create.replace) {
            return Err(SparkError::new(
                "ROUTINE_ALREADY_EXISTS",
                [
                    ("existingRoutineType", "routine".to_string()),
                    ("newRoutineType", "routine".to_string()),
                    ("routineName", quote_identifier(&name)),
                ],
            ));
        }
        return Ok(Execution::empty());
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    let exists = st.catalog().get_function(&id.database, &id.name).await?.is_some();
    if !exists || create.replace {
        let full = vec![firesteel_catalog::SESSION_CATALOG.to_string(), id.database, id.name];
        check_body(st, full, &definition, false).await?;
    }
    let function = stored(st, &parts, definition)?;
    if create.replace {
        st.catalog().create_or_replace_function(function).await?;
    } else {
        st.catalog().create_function(function, create.if_not_exists).await?;
    }
    Ok(Execution::empty())
}

/// What can be told of a definition by itself.
fn check_definition(parts: &[String], definition: &SqlFunctionDefinition) -> Result<()> {
    let name = parts.last().cloned().unwrap_or_default();
    let parameters = &definition.parameters;
    let repeats =
        |all: &[StoredParameter], i: usize| all[..i].iter().any(|p| p.name.eq_ignore_ascii_case(&all[i].name));
    if let Some(index) = (0..parameters.len()).find(|i| repeats(parameters, *i)) {
        return Err(SparkError::new(
            "DUPLICATE_ROUTINE_PARAMETER_NAMES",
            [("routineName", name), ("names", quote_identifier(&parameters[index].name.to_lowercase()))],
        ));
    }
    if let Some(pair) = parameters.windows(2).find(|pair| pair[0].default.is_some() && pair[1].default.is_none()) {
        return Err(SparkError::new(
            "USER_DEFINED_FUNCTIONS.NOT_A_VALID_DEFAULT_PARAMETER_POSITION",
            [
                ("functionName", name),
                ("parameterName", pair[0].name.clone()),
                ("nextParameterName", pair[1].name.clone()),
            ],
        ));
    }
    let returned: &[StoredParameter] = match &definition.returns {
        FunctionReturns::Table(columns) => columns,
        _ => &[],
    };
    if let Some(index) = (0..returned.len()).find(|i| repeats(returned, *i)) {
        return Err(SparkError::new(
            "DUPLICATE_ROUTINE_RETURNS_COLUMNS",
            [("routineName", name), ("columns", quote_identifier(&returned[index].name.to_lowercase()))],
        ));
    }
    let returned_type = match &definition.returns {
        FunctionReturns::Type(data_type) => Some(data_type),
        _ => None,
    };
    if parameters.iter().chain(returned).map(|p| &p.data_type).chain(returned_type).any(firesteel_analyze::has_char) {
        return Err(SparkError::of("UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING"));
    }
    let is_table = matches!(definition.returns, FunctionReturns::Table(_) | FunctionReturns::InferredTable);
    if is_table && matches!(definition.body, FunctionReturnBody::Expression(_)) {
        return Err(SparkError::new("USER_DEFINED_FUNCTIONS.SQL_TABLE_UDF_BODY_MUST_BE_A_QUERY", [("name", name)]));
    }
    Ok(())
}

/// Analyzes the defaults and the body. What cannot be run yet is no reason to refuse the definition.
async fn check_body(
    st: &Statement,
    name: Vec<String>,
    definition: &SqlFunctionDefinition,
    is_temporary: bool,
) -> Result<()> {
    let context = st.context.noting();
    let inner = context.nested(context.namespace.clone(), &super::view::captured(st), true);
    // As Spark shows it: without the catalog.
    let shown = quoted_name(&name[name.len().saturating_sub(2)..]);
    let function = resolved(definition, name, inner)?;
    let text = definition.body_text.clone();
    let check = move |analyzer: &firesteel_analyze::Analyzer<'_>| analyzer.check_function(&function, &text);
    let reads_data = match crate::run::with_analyzer(&context, &st.parameters, check).await {
        Ok(reads_data) => reads_data,
        Err(error) if error.is("UNSUPPORTED_FEATURE") || error.is("INTERNAL_ERROR") => false,
        Err(error) => return Err(error),
    };
    let refused = context.temporary_uses.refused_in("FUNCTION", &shown).filter(|_| !is_temporary);
    if let Some(error) = refused {
        return Err(error);
    }
    let access = definition.data_access.as_deref().unwrap_or_default();
    if reads_data && access.to_uppercase().contains("CONTAINS") {
        return Err(SparkError::of("INVALID_SQL_FUNCTION_DATA_ACCESS"));
    }
    Ok(())
}

async fn create_class(
    st: &Statement,
    parts: &[String],
    is_temporary: bool,
    if_not_exists: bool,
    class_name: String,
    resources: Vec<(String, String)>,
) -> Answer {
    if is_temporary {
        return Err(SparkError::new(
            "CANNOT_LOAD_FUNCTION_CLASS",
            [("className", class_name), ("functionName", quoted_name(parts))],
        ));
    }
    let mut function = empty(st, parts)?;
    function.class_name = class_name;
    function.resources = resources;
    st.catalog().create_function(function, if_not_exists).await?;
    Ok(Execution::empty())
}

fn empty(st: &Statement, parts: &[String]) -> Result<Function> {
    let id = st.session().table_id(parts, &st.context.namespace)?;
    Ok(Function {
        database: id.database,
        name: id.name,
        class_name: String::new(),
        resources: vec![],
        parameters: None,
        returns: None,
        is_table: false,
        body: None,
        language: "SQL".into(),
        deterministic: None,
        data_access: None,
        comment: None,
        conf: BTreeMap::new(),
        current_catalog: st.context.namespace.catalog.clone(),
        current_namespace: vec![st.context.namespace.database.clone()],
        owner: st.user(),
        created_ms: st.context.eval.now_micros / 1000,
    })
}

fn stored(st: &Statement, parts: &[String], definition: SqlFunctionDefinition) -> Result<Function> {
    let mut function = empty(st, parts)?;
    let parameter = |p: &firesteel_plan::statement::FunctionParameter| FunctionParameter {
        name: p.name.clone(),
        data_type: p.type_text.clone(),
        default: p.default.as_ref().map(|d| d.text.clone()),
        comment: p.comment.clone(),
    };
    function.parameters = Some(definition.parameters.iter().map(parameter).collect());
    function.is_table = matches!(definition.returns, FunctionReturns::Table(_) | FunctionReturns::InferredTable);
    function.returns = match &definition.returns {
        FunctionReturns::Type(data_type) => Some(data_type.sql()),
        FunctionReturns::Table(columns) => {
            let show = |c: &firesteel_plan::statement::FunctionParameter| format!("{} {}", c.name, c.data_type.sql());
            Some(columns.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        FunctionReturns::Inferred | FunctionReturns::InferredTable => None,
    };
    function.deterministic = definition.deterministic;
    function.data_access.clone_from(&definition.data_access);
    function.comment.clone_from(&definition.comment);
    function.conf = super::view::captured(st);
    function.body = Some(create_text(&definition));
    Ok(function)
}

/// The definition as a statement that the parser reads back.
fn create_text(definition: &SqlFunctionDefinition) -> String {
    let parameter = |p: &firesteel_plan::statement::FunctionParameter| {
        let default = p.default.as_ref().map(|d| format!(" DEFAULT {}", d.text)).unwrap_or_default();
        format!("{} {}{default}", quote_identifier(&p.name), p.type_text)
    };
    let list =
        |all: &[firesteel_plan::statement::FunctionParameter]| all.iter().map(parameter).collect::<Vec<_>>().join(", ");
    let returns = match &definition.returns {
        FunctionReturns::Inferred => String::new(),
        FunctionReturns::Type(data_type) => format!(" RETURNS {}", data_type.sql()),
        FunctionReturns::Table(columns) => format!(" RETURNS TABLE ({})", list(columns)),
        FunctionReturns::InferredTable => " RETURNS TABLE".to_string(),
    };
    format!("CREATE FUNCTION f({}){returns} RETURN {}", list(&definition.parameters), definition.body_text)
}

pub async fn drop(st: &Statement, name: TableName, if_exists: bool, is_temporary: bool) -> Answer {
    let parts = st.name(&name).await?;
    if is_temporary {
        let name = session_name(&parts).unwrap_or_default();
        if firesteel_functions::registry::lookup(&name).is_some() && st.session().functions.get(&name).is_none() {
            return Err(SparkError::new(
                "FORBIDDEN_OPERATION",
                [
                    ("statement", "DROP".to_string()),
                    ("objectType", "TEMPORARY FUNCTION".to_string()),
                    ("objectName", quote_identifier(&name)),
                ],
            ));
        }
        if !st.session().functions.remove(&name) && !if_exists {
            return Err(routine_not_found(&[name]));
        }
        return Ok(Execution::empty());
    }
    if let [one] = parts.as_slice()
        && firesteel_functions::registry::lookup(one).is_some()
    {
        return Err(SparkError::new(
            "FORBIDDEN_OPERATION",
            [
                ("statement", "DROP".to_string()),
                ("objectType", "FUNCTION".to_string()),
                ("objectName", quote_identifier(one)),
            ],
        ));
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    st.catalog().drop_function(&id.database, &id.name, if_exists).await?;
    Ok(Execution::empty())
}

pub fn routine_not_found(parts: &[String]) -> SparkError {
    SparkError::new("ROUTINE_NOT_FOUND", [("routineName", quoted_name(parts))])
}

pub async fn refresh(st: &Statement, name: TableName) -> Answer {
    let parts = st.name(&name).await?;
    if let [one] = parts.as_slice()
        && firesteel_functions::registry::lookup(one).is_some()
    {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1256", [("functionName", one.as_str())])
            .with_message(format!("{one} is a built-in function: there is nothing to refresh.")));
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    match st.catalog().get_function(&id.database, &id.name).await? {
        Some(_) => Ok(Execution::empty()),
        None => Err(firesteel_catalog::errors::routine_not_found(&id.database, &id.name)),
    }
}
