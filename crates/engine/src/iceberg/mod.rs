//! Iceberg tables as the analyzer reads them: by path, from the session's catalog, from Iceberg's own catalogs; at
//! earlier states; and what they say of themselves (`table.snapshots`).
use std::collections::BTreeMap;

use firesteel_analyze::TableSource;
use firesteel_catalog::{SESSION_CATALOG, Table};
use firesteel_lake::iceberg::{
    IcebergScan, IcebergTable, IcebergVersion, MetadataTable, inspect, is_iceberg, metadata_table,
};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::{DataType, Expr, JavaException, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use crate::context::StatementContext;
use crate::delta::{one_path, option};

mod catalogs;

/// Whether a catalog table is one of Iceberg's.
pub fn is_iceberg_table(table: &Table) -> bool {
    table.provider.as_deref().is_some_and(is_iceberg)
}

/// The columns as readers see them: without numbers.
pub fn read_schema(schema: &StructType) -> StructType {
    fn below(data_type: &DataType) -> DataType {
        match data_type {
            DataType::Struct(fields) => DataType::Struct(read_schema(fields)),
            DataType::Array(element, nulls) => DataType::array(below(element), *nulls),
            DataType::Map(key, value, nulls) => DataType::map(below(key), below(value), *nulls),
            other => other.clone(),
        }
    }
    let field = |field: &StructField| {
        let mut field = field.clone();
        field.metadata.retain(|key, _| !key.starts_with("parquet.field."));
        field.data_type = below(&field.data_type);
        field
    };
    StructType::new(schema.fields.iter().map(field).collect())
}

fn number(options: &BTreeMap<String, String>, name: &str) -> Result<Option<i64>> {
    let Some(text) = option(options, name) else { return Ok(None) };
    let wrong = || SparkError::java(JavaException::IllegalArgument, format!("{name} must be a number, not {text}"));
    text.trim().parse().map(Some).map_err(|_| wrong())
}

impl StatementContext {
    /// The state that a clause or options ask for.
    fn iceberg_version(
        &self,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
    ) -> Result<IcebergVersion> {
        let mut wanted = vec![];
        match travel {
            Some(TimeTravel::Version(expr)) => wanted.push(self.iceberg_reference(expr)?),
            Some(TimeTravel::Timestamp(expr)) => wanted.push(self.iceberg_moment(expr)?),
            None => {}
        }
        wanted.extend(number(options, "snapshot-id")?.map(IcebergVersion::Snapshot));
        wanted.extend(number(options, "as-of-timestamp")?.map(IcebergVersion::Timestamp));
        wanted.extend(option(options, "branch").map(|name| IcebergVersion::Branch(name.to_string())));
        wanted.extend(option(options, "tag").map(|name| IcebergVersion::Tag(name.to_string())));
        if let Some(text) = option(options, "versionAsOf") {
            wanted.push(self.iceberg_reference(&Expr::string(text))?);
        }
        if let Some(text) = option(options, "timestampAsOf") {
            wanted.push(self.iceberg_moment(&Expr::string(text))?);
        }
        match wanted.len() {
            0 => Ok(IcebergVersion::Latest),
            1 => Ok(wanted.remove(0)),
            _ => Err(SparkError::java(
                JavaException::IllegalArgument,
                "Only one of snapshot-id, as-of-timestamp, branch, tag and a time travel clause can say which state is read",
            )),
        }
    }

    /// `VERSION AS OF 123`: a snapshot; `VERSION AS OF 'name'`: a branch or tag.
    fn iceberg_reference(&self, expr: &Expr) -> Result<IcebergVersion> {
        let text = self.constant_text(expr)?;
        Ok(text.trim().parse().map_or(IcebergVersion::Reference(text), IcebergVersion::Snapshot))
    }

    fn iceberg_moment(&self, expr: &Expr) -> Result<IcebergVersion> {
        Ok(IcebergVersion::Timestamp(self.timestamp(expr)?.div_euclid(1000)))
    }

    /// A read of `spark.read.format("iceberg")` or ``iceberg.`path` ``; `path#snapshots` is a metadata table.
    pub fn iceberg_files(
        &self,
        paths: &[String],
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
    ) -> Result<TableSource> {
        let path = one_path(paths, options, "Iceberg")?;
        if !path.contains('/') {
            let name = firesteel_plan::parse_multipart_identifier(path)?;
            let found = firesteel_analyze::AnalyzerContext::table(self, &name, options, travel)?;
            return found.ok_or_else(|| {
                SparkError::new(
                    "TABLE_OR_VIEW_NOT_FOUND",
                    [("relationName", quoted_name(&name)), ("searchPath", "[]".into())],
                )
            });
        }
        let (place, kind) = match path.rsplit_once('#').map(|(place, name)| (place, metadata_table(name))) {
            Some((place, Some(kind))) => (place, Some(kind)),
            _ => (path, None),
        };
        self.iceberg_at(&Location::parse(place)?, options, travel, kind, vec![])
    }

    fn iceberg_at(
        &self,
        location: &Location,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        kind: Option<MetadataTable>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let storage = self.storage().with_options(options);
        let table = self.block_on(IcebergTable::open(location, &storage))?;
        self.iceberg_state(table, options, travel, kind, qualifier)
    }

    /// A state of a table, or what it says of itself.
    fn iceberg_state(
        &self,
        table: IcebergTable,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        kind: Option<MetadataTable>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let version = self.iceberg_version(options, travel)?;
        if let Some(kind) = kind {
            let (schema, provider) = self.block_on(inspect(&table, kind, &version))?;
            return Ok(TableSource::Provider { provider, schema, metadata: StructType::default(), qualifier });
        }
        let start = number(options, "start-snapshot-id")?;
        let end = number(options, "end-snapshot-id")?;
        let added = start.map(|start| (start, end));
        if (end.is_some() && start.is_none()) || (start.is_some() && version != IcebergVersion::Latest) {
            let message = "start-snapshot-id and end-snapshot-id belong together, and to no other time travel";
            return Err(SparkError::java(JavaException::IllegalArgument, message));
        }
        let schema = read_schema(&table.at(&version)?.1);
        let scan = self.block_on(IcebergScan { table, version, added, conf: self.delta_conf() }.scan())?;
        let metadata = StructType::new(vec![scan.metadata_column()]);
        Ok(TableSource::Provider { provider: scan.table(), schema: schema.as_nullable(), metadata, qualifier })
    }

    /// A read of a catalog table.
    pub fn iceberg_table_source(
        &self,
        table: &Table,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        kind: Option<MetadataTable>,
        mut qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
        let mut all = table.options.clone();
        all.extend(options.clone());
        if kind.is_some() {
            qualifier.clear();
        }
        self.iceberg_at(&location, &all, travel, kind, qualifier)
    }

    /// `table.snapshots` and the like; the tables of folders that are catalogs.
    pub fn iceberg_by_name(
        &self,
        name: &[String],
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
    ) -> Result<Option<TableSource>> {
        let (parts, kind) = match name.split_last() {
            Some((last, parts)) if !parts.is_empty() && metadata_table(last).is_some() => (parts, metadata_table(last)),
            _ => (name, None),
        };
        for (parts, kind) in [(name, None), (parts, kind)] {
            if let Some(home) = self.iceberg_home(parts)? {
                let storage = self.storage().with_options(options);
                if let Some(table) = self.block_on(IcebergTable::find_home(&home, &storage))? {
                    return self.iceberg_state(table, options, travel, kind, parts.to_vec()).map(Some);
                }
            }
        }
        if self.iceberg_home(name)?.is_some() {
            let parameters = [("relationName", quoted_name(name)), ("searchPath", "[]".to_string())];
            return Err(SparkError::new("TABLE_OR_VIEW_NOT_FOUND", parameters));
        }
        let Some(kind) = kind else { return Ok(None) };
        let Ok(id) = self.session.table_id(parts, &self.namespace) else { return Ok(None) };
        match self.block_on(self.session.engine.shared.catalog.get_table(&id))? {
            Some(table) if is_iceberg_table(&table) => {
                let qualifier = vec![SESSION_CATALOG.to_string(), id.database, id.name];
                self.iceberg_table_source(&table, options, travel, Some(kind), qualifier).map(Some)
            }
            _ => Ok(None),
        }
    }
}
