//! Statements: one file per family. Each answers rows (perhaps none) and has had its effect when it returns.
//!
//! | file | statements |
//! |---|---|
//! | [`write`] | `df.write`, `df.writeTo`, CTAS's rows |
//! | [`hive`] | `STORED AS` |
//! | [`insert`] | INSERT in all forms |
//! | [`load`] | LOAD DATA |
//! | [`table`] | CREATE, DROP, TRUNCATE TABLE, ANALYZE, COMMENT |
//! | [`alter`], [`partition`] | ALTER TABLE |
//! | [`delta`], [`iceberg`] | all of these on their tables, UPDATE, DELETE, MERGE |
//! | [`row_level`] | what UPDATE, DELETE and MERGE of both have in common |
//! | [`namespace`] | databases |
//! | [`view`] | temporary and persistent views |
//! | [`function`] | SQL functions |
//! | [`show`], [`describe`], [`create_text`] | SHOW, DESCRIBE |
//! | [`settings`], [`variable`] | SET, RESET, USE, session variables |
//! | [`cache`] | CACHE TABLE, checkpoints |
//! | [`script`] | BEGIN … END |
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use firesteel_analyze::AnalyzedPlan;
use firesteel_analyze::default_collation::{DEFAULT_COLLATION, checked};
use firesteel_catalog::{Catalog, Table, TableId};
use firesteel_plan::{
    Command, DataType, Expr, Plan, Relation, RelationKind, Result, SparkError, StructType, TableName,
};
use tokio_util::sync::DropGuard;

use crate::context::StatementContext;
use crate::execution::{ExecuteOptions, Execution};
use crate::jobs::JobDescription;
use crate::names::{Resolved, quote_id};
use crate::run::{self, Parameters};
use crate::session::Session;
use crate::views::Namespace;

mod alter;
mod cache;
mod create_text;
mod defaults;
mod delta;
mod describe;
pub mod function;
mod hive;
mod hudi;
mod iceberg;
mod insert;
mod load;
mod namespace;
mod partition;
mod row_level;
mod script;
mod settings;
mod show;
mod sql;
mod table;
mod variable;
mod view;
mod write;
mod write_v2;

pub(crate) use cache::{cache_table, is_cached, refresh_table, uncache};
pub(crate) use create_text::text_of as create_table_text;
pub(crate) use describe::{describe_table, metadata_text};
pub(crate) use iceberg::{namespaces as iceberg_namespaces, table_exists as iceberg_table_exists};
pub(crate) use namespace::existing as existing_database;
pub(crate) use partition::{directory as partition_directory, path_of as partition_path, repair};
pub(crate) use settings::{set_catalog, use_namespace};
pub(crate) use table::{create_external, table_relation};

/// A statement being run.
#[derive(Clone)]
pub struct Statement {
    pub context: StatementContext,
    pub options: ExecuteOptions,
    pub parameters: Arc<Parameters>,
    /// Stops what the statement started once nobody holds it.
    _guard: Arc<DropGuard>,
}

pub type Answer = Result<Execution>;

impl Statement {
    pub fn new(context: StatementContext, options: ExecuteOptions, guard: Arc<DropGuard>) -> Self {
        Self { context, options, parameters: Arc::default(), _guard: guard }
    }

    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = Arc::new(parameters);
        self
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.context.session
    }

    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.context.session.engine.shared.catalog
    }

    /// The same statement seeing what the session has become (after SET, USE …), for the next one of a script.
    pub fn refreshed(&self) -> Self {
        let context = StatementContext::new(self.session(), self.context.cancel.clone(), self.context.scopes.clone());
        Self { context, ..self.clone() }
    }

    /// The same statement where plain strings have a collation of their own (`DEFAULT COLLATION`).
    pub fn with_default_collation(&self, collation: Option<&str>) -> Result<Self> {
        let Some(collation) = collation else { return Ok(self.clone()) };
        let conf = std::collections::BTreeMap::from([(DEFAULT_COLLATION.to_string(), checked(collation)?)]);
        let context = self.context.nested(self.context.namespace.clone(), &conf, true);
        Ok(Self { context, ..self.clone() })
    }

    /// Runs a plan. (Boxed: statements hold statements.)
    pub fn run(self, plan: Plan) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            match plan {
                Plan::Query(relation) => self.query(relation).await,
                Plan::Command(command) => self.command(command).await,
            }
        })
    }

    async fn query(&self, relation: Relation) -> Answer {
        // A catalog call that is a statement has its effect once, when it is run.
        if let RelationKind::Catalog(firesteel_plan::relation::CatalogCall::Statement(command)) = *relation.kind {
            return self.clone().run(Plan::Command(*command)).await;
        }
        let analyzed = self.analyze(&relation).await?;
        let mut execution = run::execute(&self.context, analyzed, self.job()).await?;
        execution.batches = Box::pin(Guarded { inner: execution.batches, _guard: Arc::clone(&self._guard) });
        Ok(execution)
    }

    async fn command(&self, command: Command) -> Answer {
        match command {
            Command::CreateDataFrameView { input, name, is_global, replace } => {
                view::create_of_dataframe(self, input, name, is_global, replace).await
            }
            Command::Write(write) => write::write(self, *write).await,
            Command::WriteV2(write) => write_v2::write_v2(self, *write).await,
            Command::MergeIntoTable(merge) => insert::merge(self, *merge).await,
            Command::Checkpoint { input, local, eager, storage_level } => {
                cache::checkpoint(self, input, local, eager, storage_level).await
            }
            Command::RemoveCachedRemote { relation_id } => {
                self.session().remove_cached_remote(&relation_id);
                Ok(Execution::empty())
            }
            Command::RegisterFunction { name, language } => {
                Err(SparkError::unsupported(format!("functions written in {language} ({name})")))
            }
            Command::Sql(statement) => sql::run(self, *statement).await,
        }
    }

    pub fn job(&self) -> JobDescription {
        JobDescription {
            operation_id: self.options.operation_id.clone(),
            tags: self.options.tags.clone(),
            description: self.options.description.clone(),
            ..Default::default()
        }
    }

    pub async fn analyze(&self, relation: &Relation) -> Result<AnalyzedPlan> {
        run::analyze(&self.context, &self.parameters, relation).await
    }

    /// A name with IDENTIFIER(…) evaluated.
    pub async fn name(&self, name: &TableName) -> Result<Vec<String>> {
        match name {
            TableName::Parts(parts) => Ok(parts.clone()),
            TableName::Identifier(expr) => {
                let (value, _) = self.evaluate(expr).await?;
                let text = value.try_as_str().flatten().ok_or_else(|| {
                    SparkError::new("NOT_A_CONSTANT_STRING.NULL", [("name", "IDENTIFIER"), ("expr", "IDENTIFIER")])
                        .with_origin(expr.origin.as_ref())
                })?;
                firesteel_sql::parse_multipart_identifier(text, &self.session().parse_options())
            }
        }
    }

    /// The table or view of that name, temporary ones first. It need not exist.
    pub async fn resolve(&self, name: &TableName) -> Result<(Vec<String>, Resolved)> {
        let parts = self.name(name).await?;
        let resolved = self.session().resolve(&parts, &self.context.namespace)?;
        Ok((parts, resolved))
    }

    /// The place of a table (temporary views are passed over).
    pub async fn table_id(&self, name: &TableName) -> Result<TableId> {
        let parts = self.name(name).await?;
        self.session().table_id(&parts, &self.context.namespace)
    }

    /// The current database, unless the current catalog is another one than the session's.
    pub fn current_database(&self) -> Result<String> {
        let Namespace { catalog, database } = &self.context.namespace;
        match crate::names::is_session_catalog(catalog) {
            true => Ok(database.clone()),
            false => Err(crate::names::in_other_catalog(catalog)),
        }
    }

    pub async fn database(&self, name: &TableName) -> Result<String> {
        let parts = self.name(name).await?;
        self.session().database_name(&parts)
    }

    /// A statement about tables and views found none of that name.
    pub fn table_not_found(&self, name: &[impl AsRef<str>]) -> SparkError {
        let Namespace { catalog, database } = &self.context.namespace;
        let place = firesteel_plan::identifier::quoted_name(&[catalog, database]);
        crate::names::table_not_found(name, format!("[`system`.`session`, {place}]"))
    }

    /// The same for a name that stands where a query's relations do.
    pub fn relation_not_found(&self, name: &[impl AsRef<str>]) -> SparkError {
        use firesteel_analyze::AnalyzerContext as _;
        crate::names::table_not_found(name, self.context.search_path())
    }

    /// The table, or TABLE_OR_VIEW_NOT_FOUND with the name as it was written.
    pub async fn existing_table(&self, name: &TableName) -> Result<Table> {
        let parts = self.name(name).await?;
        let id = self.session().table_id(&parts, &self.context.namespace)?;
        let table = self.catalog().get_table(&id).await?;
        let table = table.ok_or_else(|| self.table_not_found(&parts))?;
        self.hydrated(table).await
    }

    /// A table with what its own log or metadata says of it.
    pub async fn hydrated(&self, table: Table) -> Result<Table> {
        iceberg::hydrate(self, delta::hydrate(self, table).await?).await
    }

    /// The table, which must not be a view: `operation` names the statement in the error.
    pub async fn existing_non_view(&self, name: &TableName, operation: &str) -> Result<Table> {
        let (parts, resolved) = self.resolve(name).await?;
        let view_error = |name: String| {
            SparkError::new(
                "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
                [("viewName", name), ("operation", operation.into())],
            )
        };
        match resolved {
            Resolved::Temp(_) | Resolved::Global(_) => Err(view_error(firesteel_plan::identifier::quoted_name(&parts))),
            Resolved::Table(id) => {
                let table = self.catalog().get_table(&id).await?;
                // The target of an INSERT is looked up as a relation of a query is.
                let missing = || match operation {
                    "INSERT" => self.relation_not_found(&parts),
                    _ => self.table_not_found(&parts),
                };
                let table = table.ok_or_else(missing)?;
                if table.is_view() { Err(view_error(quote_id(&table.id))) } else { self.hydrated(table).await }
            }
        }
    }

    /// The value of a constant expression (subqueries included) and its type.
    pub async fn evaluate(&self, expr: &Expr) -> Result<(ScalarValue, DataType)> {
        let query = Relation::new(RelationKind::OneRow).project(vec![expr.clone().alias("value")]);
        let (schema, rows) = self.collect(&query).await?;
        let batch = rows.into_iter().find(|batch| batch.num_rows() > 0);
        let (Some(batch), Some(field)) = (batch, schema.fields.first()) else {
            return Err(SparkError::internal("a constant gave no row"));
        };
        let value = ScalarValue::try_from_array(batch.column(0), 0).map_err(crate::error::from_datafusion)?;
        Ok((value, field.data_type.clone()))
    }

    /// The value of a condition; NULL is false, but has to be a BOOLEAN.
    pub async fn is_true(&self, expr: &Expr) -> Result<bool> {
        match self.evaluate(expr).await?.0 {
            ScalarValue::Boolean(flag) => Ok(flag.unwrap_or(false)),
            _ => {
                let text = expr.origin.as_ref().map(|o| o.fragment().to_uppercase()).unwrap_or_default();
                Err(SparkError::new("INVALID_BOOLEAN_STATEMENT", [("invalidStatement", text)]))
            }
        }
    }

    /// All rows of a small query.
    pub async fn collect(&self, relation: &Relation) -> Result<(StructType, Vec<arrow::record_batch::RecordBatch>)> {
        let analyzed = self.analyze(relation).await?;
        let schema = analyzed.schema.clone();
        let execution = run::execute(&self.context, analyzed, self.job()).await?;
        Ok((schema, execution.collect().await?))
    }

    /// What `EXPLAIN` of a statement other than a query shows for it.
    pub fn user(&self) -> String {
        self.context.eval.current_user.clone()
    }
}

/// A stream that keeps its statement alive.
struct Guarded {
    inner: crate::execution::BatchStream,
    _guard: Arc<DropGuard>,
}

impl futures::Stream for Guarded {
    type Item = Result<arrow::record_batch::RecordBatch>;
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(context)
    }
}
