//! CREATE, DROP and TRUNCATE TABLE, ANALYZE, COMMENT ON.
use std::collections::BTreeMap;

use firesteel_analyze::{declared_schema, default_collation};
use firesteel_catalog::{BucketSpec, Statistics, Table, TableId, TableKind};
use firesteel_lake::{ScanRequest, scan};
use firesteel_plan::command::ColumnDefinition;
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::relation::CatalogCall;
use firesteel_plan::statement::{
    AnalyzeColumns, CommentTarget, CreateMode, CreateTable, CreateTableLike, PartitionValues,
};
use firesteel_plan::{
    DataType, Relation, RelationKind, Result, SparkError, StructField, StructType, TableName,
    parse_multipart_identifier,
};
use firesteel_storage::Location;

use super::alter::collated;
use super::insert::DEFAULT_KEY;
use super::write::{check_format, create_with_rows, partitions_last};
use super::write_v2::partition_name;
use super::{Answer, Statement, hive, namespace};
use crate::execution::Execution;
use crate::hudi::is_hudi_table;
use crate::names::{Resolved, quote_id};

/// Fields of column definitions, with comments and defaults as metadata.
pub fn schema_of(columns: &[ColumnDefinition]) -> StructType {
    StructType::new(columns.iter().map(field_of).collect())
}

pub fn field_of(column: &ColumnDefinition) -> StructField {
    let mut field = StructField::new(&column.name, column.data_type.clone(), column.nullable);
    if let Some(comment) = &column.comment {
        field.metadata.insert("comment".into(), json_text(comment));
    }
    for (key, expr) in [(DEFAULT_KEY, &column.default), ("EXISTS_DEFAULT", &column.default)] {
        if let Some(expr) = expr {
            field.metadata.insert(key.into(), json_text(&expression_text(expr)));
        }
    }
    if let Some(expr) = &column.generated {
        field.metadata.insert("GENERATION_EXPRESSION".into(), json_text(&expression_text(expr)));
    }
    field
}

pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An expression as it was written.
pub fn expression_text(expr: &firesteel_plan::Expr) -> String {
    use firesteel_plan::ExprKind;
    match (&expr.origin, &*expr.kind) {
        (_, ExprKind::SqlText(text)) => text.clone(),
        (Some(origin), _) => origin.fragment(),
        (None, _) => String::new(),
    }
}

/// Where a managed table of that name goes.
pub async fn default_location(st: &Statement, id: &TableId) -> Result<String> {
    let database = namespace::existing(st, &id.database).await?;
    Ok(Location::parse(&database.location)?.join(&id.name.to_lowercase()).to_string())
}

pub async fn ensure_directory(st: &Statement, location: &str) -> Result<()> {
    let location = Location::parse(location)?;
    st.context.storage().file_system(&location)?.create_directory(&location).await
}

pub async fn remove_files(st: &Statement, location: &str) -> Result<()> {
    let location = Location::parse(location)?;
    st.context.storage().file_system(&location)?.delete(&location).await
}

/// Whether there is nothing, or an empty directory.
pub async fn is_empty_place(st: &Statement, location: &str) -> Result<bool> {
    let location = Location::parse(location)?;
    let files = st.context.storage().file_system(&location)?;
    match files.status(&location).await? {
        None => Ok(true),
        Some(status) if status.is_directory => Ok(files.list(&location).await?.is_empty()),
        Some(_) => Ok(false),
    }
}

fn default_provider(st: &Statement) -> String {
    st.context.eval.get("spark.sql.sources.default").unwrap_or("parquet").to_string()
}

fn check_columns(schema: &StructType) -> Result<()> {
    for (index, field) in schema.fields.iter().enumerate() {
        if schema.fields[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&field.name)) {
            return Err(SparkError::new(
                "COLUMN_ALREADY_EXISTS",
                [("columnName", quote_identifier(&field.name.to_lowercase()))],
            ));
        }
    }
    Ok(())
}

/// Columns in Spark's order, and the names of the partition columns.
fn columns_of(create: &CreateTable) -> Result<(StructType, Vec<String>)> {
    let mut partitions: Vec<String> = create.partition_by.iter().map(partition_name).collect::<Result<_>>()?;
    let mut fields = schema_of(&create.columns).fields.to_vec();
    for column in &create.partition_columns {
        fields.push(field_of(column));
        partitions.push(column.name.clone());
    }
    Ok((StructType::new(fields), partitions))
}

fn statement_of(mode: CreateMode) -> &'static str {
    match mode {
        CreateMode::Create | CreateMode::CreateIfNotExists => "CREATE TABLE",
        CreateMode::Replace | CreateMode::CreateOrReplace => "REPLACE TABLE",
    }
}

pub async fn create(st: &Statement, create: CreateTable) -> Answer {
    if let [format, path] = st.name(&create.name).await?.as_slice()
        && firesteel_lake::delta::is_delta(format)
        && firesteel_storage::Location::is_absolute(path)
        && create.provider.as_deref().is_none_or(firesteel_lake::delta::is_delta)
    {
        return super::delta::create::at_path(st, path, create).await;
    }
    if let Some(done) = super::iceberg::create_at(st, &st.name(&create.name).await?, &create).await? {
        return Ok(done);
    }
    let columns = schema_of(&create.columns);
    super::defaults::check(st, statement_of(create.mode), &columns, &StructType::default()).await?;
    let id = st.table_id(&create.name).await?;
    let existing = st.catalog().get_table(&id).await?;
    match (create.mode, &existing) {
        (CreateMode::CreateIfNotExists, Some(_)) => return Ok(Execution::empty()),
        (CreateMode::Create, Some(_)) => return Err(firesteel_catalog::errors::table_already_exists(&id)),
        (CreateMode::Replace, None) => return Err(st.table_not_found(&[&id.database, &id.name])),
        _ => {}
    }
    let hive = create.hive.as_ref().filter(|_| create.provider.is_none());
    let provider = create.provider.clone().unwrap_or_else(|| default_provider(st));
    if firesteel_lake::hudi::is_hudi(&provider) {
        refuse_unkept(&create, &id)?;
        let table = definition(st, &create, id)?;
        check_columns(&table.schema)?;
        return super::hudi::create(st, create, table).await;
    }
    check_format(&provider)?;
    if firesteel_lake::delta::is_delta(&provider) {
        let mut table = definition(st, &create, id)?;
        table.provider = Some("delta".into());
        check_columns(&table.schema)?;
        return super::delta::create::create(st, create, table, existing).await;
    }
    if firesteel_lake::iceberg::is_iceberg(&provider) {
        let mut create = create;
        let partition_by = std::mem::take(&mut create.partition_by);
        refuse_unkept(&create, &id)?;
        let table = definition(st, &create, id)?;
        check_columns(&table.schema)?;
        return super::iceberg::create(st, create, table, &partition_by, existing).await;
    }
    if matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace) {
        return Err(super::insert::unsupported_operation(&id, "REPLACE TABLE"));
    }
    refuse_unkept(&create, &id)?;
    let mut table = definition(st, &create, id)?;
    table.provider = Some(provider);
    if let Some(query) = &create.query {
        let st = &st.with_default_collation(create.collation.as_deref())?;
        let analyzed = st.analyze(query).await?;
        let schema = declared_schema(&analyzed.schema);
        check_columns(&schema)?;
        table.schema = partitions_last(&table.id, &schema, &table.partition_columns)?;
        hive.map(|hive| hive::apply(&mut table, hive)).transpose()?;
        check_bucket(&table)?;
        create_with_rows(st, table, &analyzed, None, create.mode == CreateMode::CreateIfNotExists).await?;
        return Ok(Execution::empty());
    }
    check_columns(&table.schema)?;
    hive.map(|hive| hive::apply(&mut table, hive)).transpose()?;
    if table.schema.fields.is_empty() {
        infer_schema(st, &mut table).await?;
    }
    table.schema = partitions_last(&table.id, &table.schema, &table.partition_columns)?;
    check_bucket(&table)?;
    finish_create(st, table, create.mode == CreateMode::CreateIfNotExists).await
}

/// What the clauses say, without provider.
fn definition(st: &Statement, create: &CreateTable, id: TableId) -> Result<Table> {
    let (schema, partitions) = columns_of(create)?;
    let mut options = create.options.clone();
    let path_key = options.keys().find(|key| key.eq_ignore_ascii_case("path")).cloned();
    let path = path_key.and_then(|key| options.remove(&key));
    if create.location.is_some() && path.is_some() {
        return Err(SparkError::new(
            "_LEGACY_ERROR_TEMP_0032",
            [("pathOne", path.unwrap_or_default()), ("pathTwo", create.location.clone().unwrap_or_default())],
        )
        .with_message("A path was given both by LOCATION and in OPTIONS."));
    }
    let location = create.location.clone().or(path);
    let kind = if location.is_some() { TableKind::External } else { TableKind::Managed };
    let mut table = Table::new(id, kind, schema);
    table.location = location.map(|text| Location::parse(&text).map(|l| l.to_string())).transpose()?;
    table.options = options;
    table.partition_columns = partitions;
    table.bucket_spec = create.bucket_by.as_ref().map(|bucket| BucketSpec {
        num_buckets: u32::try_from(bucket.num_buckets).unwrap_or(0),
        columns: bucket.columns.clone(),
        sort_columns: bucket.sort_columns.iter().map(|(column, _)| column.clone()).collect(),
    });
    table.clustering_columns = create.cluster_by.iter().flatten().map(|parts| parts.join(".")).collect();
    table.comment = create.comment.clone();
    table.properties = create.properties.clone();
    table.collation = create.collation.as_deref().map(default_collation::checked).transpose()?;
    table.schema = StructType::new(table.schema.fields.iter().map(|field| collated(&table, field)).collect());
    table.owner = st.user();
    Ok(table)
}

/// What tables of plain files do not keep.
fn refuse_unkept(create: &CreateTable, id: &TableId) -> Result<()> {
    let columns = || create.columns.iter().chain(&create.partition_columns);
    let refused = [
        ("CONSTRAINT", !create.constraints.is_empty()),
        ("generated columns", columns().any(|c| c.generated.is_some())),
        ("identity columns", columns().any(|c| c.identity.is_some())),
    ];
    match refused.iter().find(|(_, found)| *found) {
        Some((operation, _)) => Err(super::insert::unsupported_operation(id, operation)),
        None => Ok(()),
    }
}

fn check_bucket(table: &Table) -> Result<()> {
    let Some(bucket) = &table.bucket_spec else { return Ok(()) };
    if bucket.num_buckets == 0 || bucket.num_buckets > 100_000 {
        return Err(SparkError::new(
            "INVALID_BUCKET_COUNT",
            [("bucketingMaxBuckets", "100000".to_string()), ("numBuckets", bucket.num_buckets.to_string())],
        )
        .with_message(format!("The number of buckets lies between 1 and 100000, not {}.", bucket.num_buckets)));
    }
    let names: Vec<_> = table.schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
    for column in bucket.columns.iter().chain(&bucket.sort_columns) {
        if !table.schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(column)) {
            return Err(SparkError::new(
                "COLUMN_NOT_DEFINED_IN_TABLE",
                [
                    ("colType", "bucket".to_string()),
                    ("colName", quote_identifier(column)),
                    ("tableName", quote_id(&table.id)),
                    ("tableCols", names.join(", ")),
                ],
            ));
        }
    }
    Ok(())
}

/// The schema of files that are there already.
async fn infer_schema(st: &Statement, table: &mut Table) -> Result<()> {
    let format = table.provider.clone().unwrap_or_else(|| default_provider(st));
    let unknown = || {
        let format = firesteel_lake::display_name(&format).to_string();
        SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", format)])
    };
    let Some(_) = &table.location else { return Err(unknown()) };
    let known = st.context.scan_request(table, &BTreeMap::new()).await?;
    let request = ScanRequest { user_schema: None, partition_columns: None, partitions: None, ..known };
    let scan = match scan(request).await {
        Err(error) if error.is("PATH_NOT_FOUND") => return Err(unknown()),
        found => found?,
    };
    table.schema = scan.schema().clone();
    table.partition_columns = scan.partition_schema().fields.iter().map(|f| f.name.clone()).collect();
    Ok(())
}

/// Makes the directory and the catalog entry.
pub async fn finish_create(st: &Statement, mut table: Table, if_not_exists: bool) -> Answer {
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    // Files that are there already belong to the table once MSCK REPAIR TABLE has found their partitions.
    table.tracks_partitions = !table.partition_columns.is_empty();
    if table.location.is_none() {
        let location = default_location(st, &table.id).await?;
        if !is_empty_place(st, &location).await? {
            return Err(SparkError::new(
                "LOCATION_ALREADY_EXISTS",
                [("location", location), ("identifier", quote_id(&table.id))],
            ));
        }
        table.location = Some(location);
    }
    ensure_directory(st, table.location.as_deref().unwrap_or_default()).await?;
    st.catalog().create_table(table, if_not_exists).await?;
    Ok(Execution::empty())
}

/// `spark.catalog.createTable`
pub(crate) async fn create_external(st: &Statement, call: CatalogCall) -> Result<TableId> {
    let CatalogCall::CreateTable { table, path, source, description, schema, options } = call else {
        return Err(SparkError::internal("not a table"));
    };
    let parts = parse_multipart_identifier(&table)?;
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    if st.catalog().get_table(&id).await?.is_some() {
        return Err(firesteel_catalog::errors::table_already_exists(&id));
    }
    let schema = match schema {
        Some(DataType::Struct(schema)) => schema,
        _ => StructType::default(),
    };
    let mut options = options;
    let path_key = options.keys().find(|key| key.eq_ignore_ascii_case("path")).cloned();
    let path = path.or_else(|| path_key.and_then(|key| options.remove(&key)));
    let kind = if path.is_some() { TableKind::External } else { TableKind::Managed };
    let mut table = Table::new(id.clone(), kind, schema);
    table.location = path.map(|text| Location::parse(&text).map(|l| l.to_string())).transpose()?;
    table.provider = Some(source.unwrap_or_else(|| default_provider(st)));
    check_format(table.provider.as_deref().unwrap_or_default())?;
    table.options = options;
    table.comment = description;
    table.owner = st.user();
    if crate::delta::is_delta_table(&table) {
        super::delta::create::external(st, table).await?;
        return Ok(id);
    }
    if table.schema.fields.is_empty() {
        infer_schema(st, &mut table).await?;
    }
    finish_create(st, table, false).await?;
    Ok(id)
}

pub async fn create_like(st: &Statement, create: CreateTableLike) -> Answer {
    let id = st.table_id(&create.name).await?;
    let (parts, source) = st.resolve(&create.source).await?;
    let mut table = match source {
        Resolved::Temp(view) | Resolved::Global(view) => {
            Table::new(id.clone(), TableKind::Managed, view.schema.clone())
        }
        Resolved::Table(source) => {
            let old = st.catalog().get_table(&source).await?.ok_or_else(|| st.table_not_found(&parts))?;
            let old = st.hydrated(old).await?;
            let mut table = Table::new(id.clone(), TableKind::Managed, old.schema.clone());
            table.provider = old.provider.clone();
            table.serde_library = old.serde_library.clone();
            table.partition_columns = old.partition_columns.clone();
            table.bucket_spec = old.bucket_spec.clone();
            if create.provider.is_none() {
                table.options = old.options.clone();
            }
            table
        }
    };
    if st.catalog().get_table(&id).await?.is_some() {
        if create.if_not_exists {
            return Ok(Execution::empty());
        }
        return Err(firesteel_catalog::errors::table_already_exists(&id));
    }
    if create.provider.is_some() {
        table.serde_library = None;
    }
    table.provider = Some(create.provider.or(table.provider).unwrap_or_else(|| default_provider(st)));
    create.hive.as_ref().map(|hive| hive::apply(&mut table, hive)).transpose()?;
    check_format(table.provider.as_deref().unwrap_or_default())?;
    if let Some(location) = create.location {
        table.location = Some(Location::parse(&location)?.to_string());
        table.kind = TableKind::External;
    }
    table.properties = create.properties;
    table.owner = st.user();
    if crate::delta::is_delta_table(&table) {
        super::delta::create::external(st, table).await?;
        return Ok(Execution::empty());
    }
    finish_create(st, table, create.if_not_exists).await
}

pub async fn drop_table(st: &Statement, name: TableName, if_exists: bool, purge: bool) -> Answer {
    if let Some(done) = super::iceberg::drop_outside(st, &st.name(&name).await?, if_exists, purge).await? {
        return Ok(done);
    }
    let (_, resolved) = st.resolve(&name).await?;
    let id = match resolved {
        // DROP TABLE drops a temporary view too.
        Resolved::Temp(view) => {
            st.session().views.remove(&view.name);
            return Ok(Execution::empty());
        }
        Resolved::Global(view) => {
            st.session().engine.shared.global_views.remove(&view.name);
            return Ok(Execution::empty());
        }
        Resolved::Table(id) => id,
    };
    match st.catalog().get_table(&id).await? {
        // And a view of the catalog.
        Some(table) => {
            st.catalog().drop_table(&id, true).await?;
            st.session().cache.remove_table(&id);
            st.session().cache.invalidate_relations();
            if let (TableKind::Managed, Some(location)) = (table.kind, &table.location) {
                remove_files(st, location).await?;
            }
            Ok(Execution::empty())
        }
        None if if_exists => Ok(Execution::empty()),
        None => Err(firesteel_catalog::errors::table_not_found(&id)),
    }
}

pub async fn truncate(st: &Statement, name: TableName, partition: Option<PartitionValues>) -> Answer {
    let parts = st.name(&name).await?;
    if let Some(named) = super::iceberg::rows::named(st, &parts).await? {
        return match partition {
            None => super::iceberg::rows::truncate(st, &named).await,
            Some(_) => Err(SparkError::unsupported("TRUNCATE TABLE … PARTITION on Iceberg tables")),
        };
    }
    if let Some(found) = super::delta::find(st, &parts).await? {
        return match partition {
            None => super::delta::truncate(st, &found).await,
            Some(_) => Err(SparkError::of("DELTA_TRUNCATE_TABLE_PARTITION_NOT_SUPPORTED")),
        };
    }
    let table = st.existing_non_view(&name, "TRUNCATE TABLE").await?;
    if table.kind == TableKind::External {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1264", [("tableIdentWithDB", quote_id(&table.id))])
            .with_message(format!(
                "Operation not allowed: TRUNCATE TABLE on external tables: {}.",
                quote_id(&table.id)
            )));
    }
    let root = table.location.clone().unwrap_or_default();
    match partition {
        None => {
            for partition in st.catalog().list_partitions(&table.id, &vec![]).await? {
                if let Some(elsewhere) = &partition.location {
                    remove_files(st, elsewhere).await?;
                    ensure_directory(st, elsewhere).await?;
                }
            }
            remove_files(st, &root).await?;
            ensure_directory(st, &root).await?;
        }
        Some(values) => {
            let spec = super::partition::spec(st, &table, &values, false).await?;
            let matching = st.catalog().list_partitions(&table.id, &spec).await?;
            if matching.is_empty() && spec.len() == table.partition_columns.len() {
                return Err(firesteel_catalog::errors::partitions_not_found(&table.id, &[spec]));
            }
            for found in matching {
                let place = super::partition::directory(&table, &found)?;
                remove_files(st, &place).await?;
                ensure_directory(st, &place).await?;
            }
        }
    }
    if table.partition_columns.is_empty() {
        let statistics = Some(Statistics { size_in_bytes: 0, row_count: Some(0), ..Default::default() });
        let had = table.statistics.is_some();
        st.catalog().alter_table(Table { statistics: statistics.filter(|_| had), ..table.clone() }).await?;
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(Execution::empty())
}

pub async fn analyze(st: &Statement, name: TableName, no_scan: bool, columns: AnalyzeColumns) -> Answer {
    let (parts, resolved) = st.resolve(&name).await?;
    let Resolved::Table(id) = resolved else {
        return Ok(Execution::empty());
    };
    let table = st.catalog().get_table(&id).await?.ok_or_else(|| st.table_not_found(&parts))?;
    if table.is_view() {
        return Err(SparkError::new("UNSUPPORTED_FEATURE.ANALYZE_VIEW", Vec::<(String, String)>::new()));
    }
    analyze_one(st, table, no_scan, columns).await?;
    Ok(Execution::empty())
}

async fn analyze_one(st: &Statement, table: Table, no_scan: bool, columns: AnalyzeColumns) -> Result<()> {
    // A log describes every file: there is nothing to gather.
    if crate::delta::is_delta_table(&table) || crate::iceberg::is_iceberg_table(&table) || is_hudi_table(&table) {
        return Ok(());
    }
    let files = scan(st.context.scan_request(&table, &BTreeMap::new()).await?).await?;
    let mut statistics = table.statistics.clone().unwrap_or_default();
    statistics.size_in_bytes = files.size_in_bytes();
    if !no_scan {
        let relation = table_relation(&table.id);
        let wanted: Vec<StructField> = match &columns {
            AnalyzeColumns::None => vec![],
            AnalyzeColumns::All => table.schema.fields.to_vec(),
            AnalyzeColumns::Columns(names) => {
                let find = |name: &String| {
                    table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).cloned().ok_or_else(|| {
                        SparkError::new(
                            "COLUMN_NOT_FOUND",
                            [
                                ("colName", quote_identifier(name)),
                                ("caseSensitiveConfig", "\"spark.sql.caseSensitive\"".to_string()),
                            ],
                        )
                    })
                };
                names.iter().map(find).collect::<Result<_>>()?
            }
        };
        statistics.row_count = Some(super::describe::column_statistics(st, relation, &wanted, &mut statistics).await?);
    }
    st.catalog().alter_table(Table { statistics: Some(statistics), ..table }).await
}

pub async fn analyze_all(st: &Statement, database: Option<TableName>, no_scan: bool) -> Answer {
    let database = match database {
        Some(name) => st.database(&name).await?,
        None => st.current_database()?,
    };
    for table in st.catalog().list_tables(&database, None).await? {
        if !table.is_view() {
            analyze_one(st, table, no_scan, AnalyzeColumns::None).await?;
        }
    }
    Ok(Execution::empty())
}

pub async fn comment_on(st: &Statement, kind: CommentTarget, name: TableName, comment: Option<String>) -> Answer {
    match kind {
        CommentTarget::Namespace => {
            let parts = st.name(&name).await?;
            if let Some(done) = super::iceberg::namespaces::comment(st, &parts, comment.as_deref()).await? {
                return Ok(done);
            }
            let name = st.database(&name).await?;
            let mut database = namespace::existing(st, &name).await?;
            database.comment = comment;
            st.catalog().alter_database(database).await?;
        }
        CommentTarget::Table => {
            let parts = st.name(&name).await?;
            if let Some(found) = super::iceberg::find_outside(st, &parts).await? {
                return super::iceberg::alter::comment(st, found, comment).await;
            }
            if let Some(found) = super::delta::find(st, &parts).await? {
                return super::delta::alter::comment(st, &found, comment.filter(|text| !text.is_empty())).await;
            }
            let mut table = st.existing_table(&name).await?;
            table.comment = comment.filter(|text| !text.is_empty());
            st.catalog().alter_table(table).await?;
        }
    }
    Ok(Execution::empty())
}

/// `SELECT * FROM table` as a relation.
pub fn table_relation(id: &TableId) -> Relation {
    Relation::new(RelationKind::NamedTable {
        name: TableName::Parts(vec![firesteel_catalog::SESSION_CATALOG.into(), id.database.clone(), id.name.clone()]),
        options: Default::default(),
        time_travel: None,
        is_streaming: false,
    })
}
