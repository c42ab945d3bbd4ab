//! The session as the analyzer sees it.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use firesteel_analyze::context::{AnalyzedQuery, SourceColumns, ViewColumns, ViewTypes};
use firesteel_analyze::default_collation::DEFAULT_COLLATION;
use firesteel_analyze::{AnalyzerContext, FileScanRequest, RowsWithSchema, SqlFunction, TableSource};
use firesteel_catalog::{Partition, SESSION_CATALOG, SchemaBinding, Table, TableId, View};
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_lake::iceberg::is_iceberg;
use firesteel_lake::{Bucketing, Conf, ScanRequest, SourceOptions, TablePartition};
use firesteel_plan::relation::{CatalogCall, TimeTravel};
use firesteel_plan::{Relation, Result, SparkError, StructType};
use firesteel_storage::Storage;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::cache::Cached;
use crate::functions::TemporaryFunction;
use crate::iceberg::is_iceberg_table;
use crate::names::{quote_id, show_id};
use crate::session::Session;
use crate::temporary::{TemporaryKind, TemporaryUses};
use crate::variables::{Scopes, session_name};
use crate::views::{Namespace, TempView, ViewDefinition};

/// One statement's view of its session. Values that may change under it are frozen.
#[derive(Clone)]
pub struct StatementContext {
    pub session: Arc<Session>,
    pub eval: Arc<EvalContext>,
    pub namespace: Namespace,
    pub cancel: CancellationToken,
    /// Local variables of a running script.
    pub scopes: Scopes,
    /// Temporary views are out of sight in the text of a persistent view.
    sees_temporary: bool,
    /// The kept relation that is being analyzed anew, which is not to be read from what is kept.
    renewing: Option<Arc<Relation>>,
    /// What its analysis met of temporary objects.
    pub temporary_uses: TemporaryUses,
    /// Sources that relations of the statement's own making stand for.
    pub pinned: Arc<Mutex<HashMap<String, TableSource>>>,
    handle: Handle,
}

impl StatementContext {
    /// Must be called inside a Tokio runtime.
    pub fn new(session: &Arc<Session>, cancel: CancellationToken, scopes: Scopes) -> Self {
        let namespace = session.namespace();
        let eval = Arc::new(session.eval_context(&namespace));
        let handle = Handle::current();
        Self {
            session: Arc::clone(session),
            eval,
            namespace,
            cancel,
            scopes,
            sees_temporary: true,
            renewing: None,
            temporary_uses: TemporaryUses::default(),
            pinned: Arc::default(),
            handle,
        }
    }

    /// The same statement, inside the text of a view or function.
    pub fn nested(&self, namespace: Namespace, conf: &BTreeMap<String, String>, sees_temporary: bool) -> Self {
        let mut merged = (*self.eval.conf).clone();
        // Of the text itself, not of what uses it.
        merged.remove(DEFAULT_COLLATION);
        merged.extend(conf.iter().map(|(k, v)| (k.clone(), v.clone())));
        let mut eval = crate::session::eval_of_conf(Arc::new(merged), &namespace, &self.eval.current_user);
        eval.now_micros = self.eval.now_micros;
        Self { eval: Arc::new(eval), namespace, sees_temporary, scopes: Scopes::default(), ..self.clone() }
    }

    /// The same statement with its own notes of temporary objects.
    pub fn noting(&self) -> Self {
        Self { temporary_uses: TemporaryUses::default(), ..self.clone() }
    }

    /// The temporary function of that name, where it is in sight.
    pub fn temporary_function(&self, name: &[String]) -> Option<Arc<TemporaryFunction>> {
        let key = session_name(name).filter(|_| self.sees_temporary)?;
        let found = self.session.functions.get(&key)?;
        self.temporary_uses.note(TemporaryKind::Function, name);
        Some(found)
    }

    /// Waits for asynchronous work. Analysis runs on a thread where that is allowed.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.handle.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(crate::execution::cancelled()),
                result = work => result,
            }
        })
    }

    fn lake_conf(&self) -> Conf {
        Conf::new(Arc::clone(&self.eval.conf))
    }

    fn view_source(&self, view: &TempView, qualifier: Vec<String>) -> Result<TableSource> {
        Ok(match &view.definition {
            ViewDefinition::Plan { plan, output } => {
                TableSource::Analyzed { plan: plan.clone(), output: output.clone(), qualifier }
            }
            ViewDefinition::Sql { query, conf, namespace } => TableSource::View {
                context: Arc::new(self.nested(namespace.clone(), conf, true)),
                query: (**query).clone(),
                columns: SourceColumns::Declared(view.schema.clone()),
                qualifier,
            },
            ViewDefinition::Files { request, .. } => match self.files(request)? {
                TableSource::Provider { provider, schema, metadata, .. } => {
                    TableSource::Provider { provider, schema, metadata, qualifier }
                }
                other => other,
            },
        })
    }

    fn table_source(&self, table: &Table, options: &BTreeMap<String, String>) -> Result<TableSource> {
        let id = &table.id;
        let qualifier = vec![SESSION_CATALOG.to_string(), id.database.clone(), id.name.clone()];
        if let Some(view) = &table.view {
            let namespace = Namespace {
                catalog: view.current_catalog.clone(),
                database: view.current_namespace.last().cloned().unwrap_or_else(|| "default".into()),
            };
            let context = self.nested(namespace, &view.conf, false);
            let query = context.session.parse_query(&view.text, &context.eval)?;
            return Ok(TableSource::View {
                context: Arc::new(context),
                query,
                columns: SourceColumns::View(view_columns(table, view)),
                qualifier,
            });
        }
        let relation = crate::commands::table_relation(id);
        if let Some(mut cached) = self.session.cache.table(id).filter(|_| !self.is_renewing(&relation)) {
            if cached.is_stale {
                cached = self.renewed(&cached, &relation)?;
                self.session.cache.put_table(id, Arc::clone(&cached));
            }
            return Ok(cached.source(qualifier));
        }
        if crate::delta::is_delta_table(table) {
            return self.delta_table_source(table, options, None, qualifier);
        }
        if is_iceberg_table(table) {
            return self.iceberg_table_source(table, options, None, None, qualifier);
        }
        if crate::hudi::is_hudi_table(table) {
            return self.hudi_table_source(table, options, None, qualifier);
        }
        let scan = self.block_on(async { self.session.scans.scan(self.scan_request(table, options).await?).await })?;
        let metadata = StructType::new(vec![scan.metadata_column()]);
        // Files may hold NULL wherever they like, whatever the table says.
        Ok(TableSource::Provider { provider: scan.table(), schema: table.schema.as_nullable(), metadata, qualifier })
    }

    /// A Delta table, at an earlier version where one is asked for. What is kept of a table is its newest version.
    fn delta_source(
        &self,
        table: &Table,
        options: &BTreeMap<String, String>,
        time_travel: Option<&TimeTravel>,
    ) -> Result<TableSource> {
        if time_travel.is_none() && options.is_empty() {
            return self.table_source(table, options);
        }
        let id = &table.id;
        let qualifier = vec![SESSION_CATALOG.to_string(), id.database.clone(), id.name.clone()];
        self.delta_table_source(table, options, time_travel, qualifier)
    }

    fn is_renewing(&self, relation: &Relation) -> bool {
        self.renewing.as_deref() == Some(relation)
    }

    /// What is kept of a relation, from a plan that knows what has changed below it.
    fn renewed(&self, cached: &Cached, relation: &Relation) -> Result<Arc<Cached>> {
        let context = Self { renewing: Some(Arc::new(relation.clone())), ..self.clone() };
        let analyzed = self.block_on(crate::run::analyze(&context, &Arc::default(), relation))?;
        Ok(Arc::new(Cached::new(self, analyzed, cached.level)))
    }

    /// How a catalog table's files are read.
    pub async fn scan_request(&self, table: &Table, options: &BTreeMap<String, String>) -> Result<ScanRequest> {
        let format = table.provider.clone().unwrap_or_else(|| "parquet".into());
        let location = table
            .location
            .clone()
            .ok_or_else(|| SparkError::internal(format!("the table {} has no location", quote_id(&table.id))))?;
        let mut all = table.options.clone();
        all.extend(options.clone());
        let partitions = if table.tracks_partitions {
            let known = self.session.engine.shared.catalog.list_partitions(&table.id, &vec![]).await?;
            let place = |partition: Partition| {
                let location = crate::commands::partition_directory(table, &partition)?;
                Ok(TablePartition { values: partition.spec, location })
            };
            Some(known.into_iter().map(place).collect::<Result<_>>()?)
        } else {
            None
        };
        Ok(ScanRequest {
            format,
            paths: vec![location],
            storage: self.storage().with_options(&all),
            options: SourceOptions::new(all),
            user_schema: Some(table.schema.as_nullable()),
            partition_columns: Some(table.partition_columns.clone()),
            partitions,
            bucketing: bucketing(table),
            conf: self.lake_conf(),
        })
    }

    pub fn storage(&self) -> Storage {
        Storage::new(Arc::clone(&self.eval.conf)).only_below(self.session.allowed_places())
    }
}

/// A view's columns, and what its mode does with them.
fn view_columns(table: &Table, view: &View) -> ViewColumns {
    let own_names = table.schema.fields.iter().map(|f| &f.name).eq(view.query_columns.iter());
    let types = match view.schema_binding {
        SchemaBinding::Binding => ViewTypes::UpCast,
        SchemaBinding::Compensation => ViewTypes::Cast,
        SchemaBinding::Evolution if own_names => ViewTypes::Any,
        SchemaBinding::TypeEvolution | SchemaBinding::Evolution => ViewTypes::Query,
    };
    ViewColumns {
        schema: table.schema.clone(),
        query_columns: view.query_columns.clone(),
        types,
        suggestion: format!("CREATE OR REPLACE VIEW {} AS {}", show_id(&table.id), view.text),
    }
}

pub fn bucketing(table: &Table) -> Option<Bucketing> {
    table.bucket_spec.as_ref().map(|spec| Bucketing {
        num_buckets: spec.num_buckets,
        columns: spec.columns.clone(),
        sort_columns: spec.sort_columns.clone(),
    })
}

impl AnalyzerContext for StatementContext {
    fn eval(&self) -> Arc<EvalContext> {
        Arc::clone(&self.eval)
    }

    fn table(
        &self,
        name: &[String],
        options: &BTreeMap<String, String>,
        time_travel: Option<&TimeTravel>,
    ) -> Result<Option<TableSource>> {
        if self.cancel.is_cancelled() {
            return Err(crate::execution::cancelled());
        }
        if let [view] = name
            && self.sees_temporary
            && let Some(view) = self.session.views.get(view)
        {
            self.temporary_uses.note(TemporaryKind::View, name);
            return self.view_source(&view, vec![view.name.clone()]).map(Some);
        }
        if let Some(view) = self.session.global_view(name) {
            self.temporary_uses.note(TemporaryKind::View, name);
            return self.view_source(&view, name.to_vec()).map(Some);
        }
        // A path in place of a table (`parquet.`/tmp/x``), or a namespace that cannot be: no table.
        let Ok(id) = self.session.table_id(name, &self.namespace) else {
            return self.iceberg_by_name(name, options, time_travel);
        };
        let Some(table) = self.block_on(self.session.engine.shared.catalog.get_table(&id))? else {
            return self.iceberg_by_name(name, options, time_travel);
        };
        if is_iceberg_table(&table) && (time_travel.is_some() || !options.is_empty()) {
            let qualifier = vec![SESSION_CATALOG.to_string(), id.database, id.name];
            return self.iceberg_table_source(&table, options, time_travel, None, qualifier).map(Some);
        }
        if crate::delta::is_delta_table(&table) {
            return self.delta_source(&table, options, time_travel).map(Some);
        }
        if crate::hudi::is_hudi_table(&table) && (time_travel.is_some() || !options.is_empty()) {
            let qualifier = vec![SESSION_CATALOG.to_string(), table.id.database.clone(), table.id.name.clone()];
            return self.hudi_table_source(&table, options, time_travel, qualifier).map(Some);
        }
        if time_travel.is_some() {
            return Err(SparkError::new(
                "UNSUPPORTED_FEATURE.TIME_TRAVEL",
                [("relationId", quote_id(&TableId::new(&id.database, &id.name)))],
            ));
        }
        self.table_source(&table, options).map(Some)
    }

    fn files(&self, request: &FileScanRequest) -> Result<TableSource> {
        let format = match &request.format {
            Some(format) => format.clone(),
            None => self.eval.get("spark.sql.sources.default").unwrap_or("parquet").to_string(),
        };
        if firesteel_lake::delta::is_delta(&format) {
            return self.delta_files(&request.paths, &request.options, None);
        }
        if is_iceberg(&format) {
            return self.iceberg_files(&request.paths, &request.options, None);
        }
        if firesteel_lake::hudi::is_hudi(&format) {
            return self.hudi_files(&request.paths, &request.options);
        }
        let request = ScanRequest {
            format,
            paths: request.paths.clone(),
            options: SourceOptions::new(request.options.clone()),
            user_schema: request.schema.clone(),
            partition_columns: None,
            partitions: None,
            bucketing: None,
            conf: self.lake_conf(),
            storage: self.storage().with_options(&request.options),
        };
        let scan = self.block_on(self.session.scans.scan(request))?;
        Ok(TableSource::Provider {
            provider: scan.table(),
            schema: scan.schema().clone(),
            metadata: StructType::new(vec![scan.metadata_column()]),
            qualifier: vec![],
        })
    }

    fn is_data_source(&self, name: &str) -> bool {
        firesteel_lake::is_file_format(name)
            || firesteel_lake::delta::is_delta(name)
            || firesteel_lake::hudi::is_hudi(name)
            || is_iceberg(name)
    }

    fn travelled(&self, name: &[String], time_travel: &TimeTravel) -> Result<Option<TableSource>> {
        match name {
            [format, path] if firesteel_lake::delta::is_delta(format) => {
                self.delta_files(std::slice::from_ref(path), &BTreeMap::new(), Some(time_travel)).map(Some)
            }
            [format, path] if is_iceberg(format) => {
                self.iceberg_files(std::slice::from_ref(path), &BTreeMap::new(), Some(time_travel)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn sql_function(&self, name: &[String]) -> Result<Option<SqlFunction>> {
        crate::commands::function::lookup(self, name)
    }

    fn variable(&self, name: &[String]) -> Result<Option<TypedExpr>> {
        if !self.sees_temporary {
            return Ok(None);
        }
        let local = self.scopes.get(name).map(|variable| variable.typed(name));
        let found = local.or_else(|| self.session.variables.get(name).map(|variable| variable.reference()));
        if found.is_some() {
            self.temporary_uses.note(TemporaryKind::Variable, name);
        }
        Ok(found)
    }

    fn cached_remote(&self, relation_id: &str) -> Result<TableSource> {
        if let Some(source) = self.pinned.lock().get(relation_id) {
            return Ok(source.clone());
        }
        self.session.cache.checkpoint(relation_id).map(|cached| cached.source(vec![])).ok_or_else(|| {
            SparkError::new("INVALID_HANDLE.OPERATION_NOT_FOUND", [("handle", relation_id)])
                .with_message(format!("The session keeps no relation of id {relation_id}."))
        })
    }

    fn persisted(&self, relation: &Relation) -> Option<TableSource> {
        let mut cached = self.session.cache.relation(relation).filter(|_| !self.is_renewing(relation))?;
        if cached.is_stale {
            // An error comes out where the relation itself is analyzed instead.
            cached = self.renewed(&cached, relation).ok()?;
            self.session.cache.replace_relation(relation, &cached);
        }
        Some(cached.source(vec![]))
    }

    fn catalog_call(&self, call: &CatalogCall) -> Result<RowsWithSchema> {
        self.block_on(crate::catalog_calls::run(self, call))
    }

    fn infer_schema(
        &self,
        format: &str,
        columns: &[arrow::array::ArrayRef],
        options: &BTreeMap<String, String>,
    ) -> Result<StructType> {
        firesteel_lake::infer_records(format, columns, &SourceOptions::new(options.clone()), &self.lake_conf())
    }

    fn collect(&self, query: &AnalyzedQuery) -> Result<Vec<RecordBatch>> {
        self.block_on(crate::run::collect_plan(self, &query.plan, &query.schema))
    }
}
