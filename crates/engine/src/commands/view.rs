//! Views: temporary ones of the session, global temporary ones, persistent ones.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::default_collation::{DEFAULT_COLLATION, checked};
use firesteel_analyze::{AnalyzedPlan, FileScanRequest, declared_schema};
use firesteel_catalog::{SchemaBinding, Table, TableId, TableKind, View};
use firesteel_plan::command::ColumnDefinition;
use firesteel_plan::data_type::AUTO_GENERATED_ALIAS;
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{AlterTable, CreateView};
use firesteel_plan::{Relation, Result, SparkError, StructType, TableName};

use super::{Answer, Statement};
use crate::execution::Execution;
use crate::names::{Resolved, quote_id};
use crate::temporary::TemporaryUses;
use crate::views::{TempView, ViewDefinition, Views};

/// Configuration that a view's text is analyzed under, whatever the session says later.
const CAPTURED: &[&str] = &[
    "spark.sql.ansi.enabled",
    "spark.sql.caseSensitive",
    "spark.sql.session.timeZone",
    "spark.sql.timestampType",
    DEFAULT_COLLATION,
];

pub(super) fn captured(st: &Statement) -> BTreeMap<String, String> {
    CAPTURED.iter().filter_map(|key| Some((key.to_string(), st.context.eval.get(key)?.to_string()))).collect()
}

fn temp_exists(name: &[impl AsRef<str>]) -> SparkError {
    SparkError::new("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS", [("relationName", quoted_name(name))])
}

fn put(st: &Statement, view: TempView, is_global: bool, replace: bool) -> Result<()> {
    let (views, shown): (&Views, Vec<String>) = if is_global {
        (&st.session().engine.shared.global_views, vec![st.session().global_database(), view.name.clone()])
    } else {
        (&st.session().views, vec![view.name.clone()])
    };
    if views.put(view, replace) { Ok(()) } else { Err(temp_exists(&shown)) }
}

/// The name of a temporary view: one part, or two for a global one.
fn temp_name(st: &Statement, parts: &[String], is_global: bool) -> Result<String> {
    let global = st.session().global_database();
    match parts {
        [name] => Ok(name.clone()),
        [database, name] if is_global && database.to_lowercase() == global => Ok(name.clone()),
        _ => Err(SparkError::new("TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS", [("actualName", quoted_name(parts))])),
    }
}

pub async fn create_of_dataframe(
    st: &Statement,
    input: Relation,
    name: Vec<String>,
    is_global: bool,
    replace: bool,
) -> Answer {
    let analyzed = st.analyze(&input).await?;
    let view = TempView {
        name: temp_name(st, &name, is_global)?,
        schema: analyzed.schema.clone(),
        properties: BTreeMap::new(),
        definition: ViewDefinition::Plan { plan: analyzed.plan, output: analyzed.output },
    };
    put(st, view, is_global, replace)?;
    Ok(Execution::empty())
}

pub async fn create_using(
    st: &Statement,
    name: Vec<String>,
    is_global: bool,
    replace: bool,
    schema: Option<Vec<ColumnDefinition>>,
    provider: String,
    options: Options,
) -> Answer {
    let schema = schema.map(|columns| super::table::schema_of(&columns));
    let path = options.iter().find(|(key, _)| key.eq_ignore_ascii_case("path")).map(|(_, path)| path.clone());
    let request = FileScanRequest {
        format: Some(provider),
        schema,
        options,
        paths: path.into_iter().collect(),
        predicates: vec![],
    };
    let context = st.context.clone();
    let wanted = request.clone();
    let source = crate::run::with_analyzer(&st.context, &st.parameters, move |_| {
        use firesteel_analyze::AnalyzerContext as _;
        context.files(&wanted)
    })
    .await?;
    let firesteel_analyze::TableSource::Provider { schema, .. } = source else {
        return Err(SparkError::internal("files gave no table"));
    };
    let view = TempView {
        name: temp_name(st, &name, is_global)?,
        schema,
        properties: BTreeMap::new(),
        definition: ViewDefinition::Files { request },
    };
    put(st, view, is_global, replace)?;
    Ok(Execution::empty())
}

pub async fn create(st: &Statement, create: CreateView) -> Answer {
    let parts = st.name(&create.name).await?;
    if create.is_temporary && create.if_not_exists {
        return Err(SparkError::new(
            "INVALID_SQL_SYNTAX.CREATE_TEMP_VIEW_IF_NOT_EXISTS",
            Vec::<(String, String)>::new(),
        ));
    }
    if !create.is_temporary && !create.is_global && exists_already(st, &parts, &create).await? {
        return Ok(Execution::empty());
    }
    let st = &st.with_default_collation(create.collation.as_deref())?;
    let (analyzed, uses) = analyze_text(st, &create.query).await?;
    let schema = view_schema(&parts, &analyzed, &create.columns)?;
    if create.is_temporary || create.is_global {
        let view = TempView {
            name: temp_name(st, &parts, create.is_global)?,
            definition: sql_definition(st, &create.query, analyzed, &uses, &schema),
            schema,
            properties: create.properties,
        };
        put(st, view, create.is_global, create.replace)?;
        return Ok(Execution::empty());
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    if let Some(refused) = uses.refused_in("VIEW", &quote_id(&id)) {
        return Err(refused);
    }
    create_persistent(st, id, create, analyzed, schema).await
}

/// Text that uses parameters, or the view's own name, is kept as the plan it has now.
fn sql_definition(
    st: &Statement,
    query: &Relation,
    analyzed: AnalyzedPlan,
    uses: &TemporaryUses,
    schema: &StructType,
) -> ViewDefinition {
    let has_parameters = *st.parameters != crate::run::Parameters::default() || st.context.scopes.is_script();
    // The views that the text reads now stay what they are (Spark keeps the analyzed plan).
    if has_parameters || uses.views() {
        let mut output = analyzed.output;
        for (attribute, field) in output.iter_mut().zip(schema.fields.iter()) {
            attribute.name.clone_from(&field.name);
        }
        return ViewDefinition::Plan { plan: analyzed.plan, output };
    }
    ViewDefinition::Sql { query: Arc::new(query.clone()), conf: captured(st), namespace: st.context.namespace.clone() }
}

/// Analyzes a view's text; answers what it uses of temporary objects too.
async fn analyze_text(st: &Statement, query: &Relation) -> Result<(AnalyzedPlan, TemporaryUses)> {
    let context = st.context.noting();
    let analyzed = crate::run::analyze(&context, &st.parameters, query).await?;
    Ok((analyzed, context.temporary_uses))
}

async fn exists_already(st: &Statement, parts: &[String], create: &CreateView) -> Result<bool> {
    let id = st.session().table_id(parts, &st.context.namespace)?;
    match st.catalog().get_table(&id).await? {
        None => Ok(false),
        Some(_) if create.if_not_exists => Ok(true),
        Some(table) if !table.is_view() => Err(SparkError::new(
            "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
            [
                ("tableName", quote_id(&id)),
                ("operation", if create.replace { "CREATE OR REPLACE VIEW" } else { "CREATE VIEW" }.to_string()),
            ],
        )),
        Some(_) if create.replace => Ok(false),
        Some(_) => Err(firesteel_catalog::errors::table_already_exists(&id)),
    }
}

/// The view's columns: the query's, under the names given.
fn view_schema(name: &[String], analyzed: &AnalyzedPlan, columns: &[(String, Option<String>)]) -> Result<StructType> {
    if !columns.is_empty() && columns.len() != analyzed.schema.fields.len() {
        let reason = if columns.len() > analyzed.schema.fields.len() { "NOT_ENOUGH" } else { "TOO_MANY" };
        let given: Vec<_> = columns.iter().map(|(c, _)| quote_identifier(c)).collect();
        let data: Vec<_> = analyzed.schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
        return Err(SparkError::new(
            format!("CREATE_VIEW_COLUMN_ARITY_MISMATCH.{reason}_DATA_COLUMNS"),
            [("viewName", quoted_name(name)), ("viewColumns", given.join(", ")), ("dataColumns", data.join(", "))],
        ));
    }
    let mut fields = declared_schema(&analyzed.schema).fields.to_vec();
    for (field, (column, comment)) in fields.iter_mut().zip(columns) {
        field.name.clone_from(column);
        if let Some(comment) = comment {
            field.metadata.insert("comment".into(), serde_json::Value::from(comment.as_str()).to_string());
        }
    }
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&field.name)) {
            return Err(SparkError::new(
                "COLUMN_ALREADY_EXISTS",
                [("columnName", quote_identifier(&field.name.to_lowercase()))],
            ));
        }
    }
    Ok(StructType::new(fields))
}

/// The columns of a view that stays need names that the query gives, even where the view renames them.
fn check_names(st: &Statement, id: &TableId, schema: &StructType) -> Result<()> {
    if st.context.eval.flag("spark.sql.legacy.allowAutoGeneratedAliasForView", false) {
        return Ok(());
    }
    match schema.fields.iter().find(|f| f.metadata.contains_key(AUTO_GENERATED_ALIAS)) {
        Some(field) => Err(SparkError::new(
            "CREATE_PERMANENT_VIEW_WITHOUT_ALIAS",
            [("name", quote_id(id)), ("attr", format!("\"{}\"", field.name))],
        )),
        None => Ok(()),
    }
}

async fn create_persistent(
    st: &Statement,
    id: TableId,
    create: CreateView,
    analyzed: AnalyzedPlan,
    schema: StructType,
) -> Answer {
    check_names(st, &id, &analyzed.schema)?;
    let mut table = Table::new(id, TableKind::View, schema.storable());
    table.comment = create.comment;
    table.properties = create.properties;
    table.owner = st.user();
    table.collation = create.collation.as_deref().map(checked).transpose()?;
    table.view = Some(View {
        text: create.text,
        original_text: None,
        query_columns: analyzed.schema.fields.iter().map(|f| f.name.clone()).collect(),
        current_catalog: st.context.namespace.catalog.clone(),
        current_namespace: vec![st.context.namespace.database.clone()],
        conf: captured(st),
        schema_binding: binding(create.schema_binding.as_deref()),
        referred_temp_views: vec![],
        referred_temp_functions: vec![],
        referred_temp_variables: vec![],
    });
    if create.replace {
        st.catalog().create_or_replace_table(table).await?;
    } else {
        st.catalog().create_table(table, create.if_not_exists).await?;
    }
    Ok(Execution::empty())
}

fn binding(words: Option<&str>) -> SchemaBinding {
    match words.map(str::to_uppercase).as_deref() {
        Some("BINDING") => SchemaBinding::Binding,
        Some("TYPE EVOLUTION") => SchemaBinding::TypeEvolution,
        Some("EVOLUTION") => SchemaBinding::Evolution,
        _ => SchemaBinding::Compensation,
    }
}

pub async fn existing_view(st: &Statement, name: &TableName, operation: &str) -> Result<Table> {
    let parts = st.name(name).await?;
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    let table = st.catalog().get_table(&id).await?.ok_or_else(|| st.table_not_found(&parts))?;
    if table.is_view() { Ok(table) } else { Err(expect_view(&id, operation)) }
}

fn expect_view(id: &TableId, operation: &str) -> SparkError {
    SparkError::new(
        "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
        [("tableName", quote_id(id)), ("operation", operation.to_string())],
    )
}

/// The default collation that a view was made with.
async fn default_collation(st: &Statement, view: &Resolved) -> Result<Option<String>> {
    Ok(match view {
        Resolved::Temp(view) | Resolved::Global(view) => match &view.definition {
            ViewDefinition::Sql { conf, .. } => conf.get(DEFAULT_COLLATION).cloned(),
            _ => None,
        },
        Resolved::Table(id) => st.catalog().get_table(id).await?.and_then(|table| table.collation),
    })
}

pub async fn alter_as(st: &Statement, name: TableName, query: Relation, text: String) -> Answer {
    let (parts, resolved) = st.resolve(&name).await?;
    let st = &st.with_default_collation(default_collation(st, &resolved).await?.as_deref())?;
    let (analyzed, uses) = analyze_text(st, &query).await?;
    let is_global = matches!(resolved, Resolved::Global(_));
    match resolved {
        Resolved::Temp(view) | Resolved::Global(view) => {
            let schema = view_schema(&parts, &analyzed, &[])?;
            let definition = sql_definition(st, &query, analyzed, &uses, &schema);
            put(st, TempView { schema, definition, ..(*view).clone() }, is_global, true)?;
        }
        Resolved::Table(id) => {
            let mut table = existing_view(st, &name, "ALTER VIEW ... AS").await?;
            if let Some(refused) = uses.refused_in("VIEW", &quote_id(&id)) {
                return Err(refused);
            }
            table.schema = view_schema(&parts, &analyzed, &[])?;
            if let Some(view) = &mut table.view {
                view.text = text;
                view.query_columns = analyzed.schema.fields.iter().map(|f| f.name.clone()).collect();
                view.conf = captured(st);
                view.current_namespace = vec![st.context.namespace.database.clone()];
            }
            st.catalog().alter_table(table).await?;
        }
    }
    Ok(Execution::empty())
}

pub async fn alter_binding(st: &Statement, name: TableName, words: String) -> Answer {
    let mut table = existing_view(st, &name, "ALTER VIEW ... WITH SCHEMA").await?;
    if let Some(view) = &mut table.view {
        view.schema_binding = binding(Some(&words));
    }
    st.catalog().alter_table(table).await?;
    Ok(Execution::empty())
}

pub async fn alter(st: &Statement, name: TableName, action: AlterTable) -> Answer {
    let (parts, resolved) = st.resolve(&name).await?;
    match (resolved, action) {
        (Resolved::Temp(view), AlterTable::Rename(to)) => {
            let to = st.name(&to).await?;
            let to = temp_name(st, &to, false)?;
            if st.session().views.rename(&view.name, &to) { Ok(Execution::empty()) } else { Err(temp_exists(&[to])) }
        }
        (Resolved::Temp(view) | Resolved::Global(view), _) => Err(SparkError::new(
            "EXPECT_PERMANENT_VIEW_NOT_TEMP",
            [("viewName", quote_identifier(&view.name)), ("operation", "ALTER VIEW".to_string())],
        )),
        (Resolved::Table(id), AlterTable::Rename(to)) => {
            existing_view(st, &TableName::Parts(parts), "ALTER VIEW ... RENAME TO").await?;
            let to = st.table_id(&to).await?;
            st.catalog().rename_table(&id, &to).await?;
            Ok(Execution::empty())
        }
        (Resolved::Table(_), AlterTable::SetProperties(properties)) => {
            let mut view = existing_view(st, &name, "ALTER VIEW ... SET TBLPROPERTIES").await?;
            view.properties.extend(properties);
            st.catalog().alter_table(view).await?;
            Ok(Execution::empty())
        }
        (Resolved::Table(_), AlterTable::UnsetProperties { keys, if_exists: _ }) => {
            let mut view = existing_view(st, &name, "ALTER VIEW ... UNSET TBLPROPERTIES").await?;
            view.properties.retain(|key, _| !keys.contains(key));
            st.catalog().alter_table(view).await?;
            Ok(Execution::empty())
        }
        (Resolved::Table(_), other) => Err(SparkError::unsupported(format!("ALTER VIEW: {other:?}"))),
    }
}

pub async fn drop(st: &Statement, name: TableName, if_exists: bool) -> Answer {
    let (_, resolved) = st.resolve(&name).await?;
    match resolved {
        Resolved::Temp(view) => {
            st.session().views.remove(&view.name);
        }
        Resolved::Global(view) => {
            st.session().engine.shared.global_views.remove(&view.name);
        }
        Resolved::Table(id) => match st.catalog().get_table(&id).await? {
            Some(table) if table.is_view() => {
                st.catalog().drop_table(&id, if_exists).await?;
            }
            Some(table) => {
                return Err(SparkError::new(
                    "WRONG_COMMAND_FOR_OBJECT_TYPE",
                    [
                        ("operation", "DROP VIEW".to_string()),
                        ("requiredType", "VIEW or METRIC_VIEW".to_string()),
                        ("objectName", crate::names::show_id(&id)),
                        ("foundType", table.kind.name().to_string()),
                        ("alternative", "DROP TABLE".to_string()),
                    ],
                ));
            }
            None if if_exists => {}
            None => return Err(firesteel_catalog::errors::table_not_found(&id)),
        },
    }
    Ok(Execution::empty())
}
