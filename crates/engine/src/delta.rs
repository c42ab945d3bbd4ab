//! Delta tables as the analyzer reads them: time travel, change feeds, files chosen by a statement.
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use firesteel_analyze::context::SourceColumns;
use firesteel_analyze::{Analyzer, TableSource};
use firesteel_catalog::Table;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_lake::delta::{Add, ChangeFeed, DeltaTable, DeltaVersion, is_delta, missing_table, scan_with_constants};
use firesteel_lake::{Conf, Scan};
use firesteel_plan::relation::{SetOpType, TimeTravel};
use firesteel_plan::{DataType, Expr, Relation, RelationKind, Result, SparkError, StructField, StructType};
use firesteel_storage::{Location, Storage};

use crate::context::StatementContext;

/// Whether a catalog table is one of Delta's.
pub fn is_delta_table(table: &Table) -> bool {
    table.provider.as_deref().is_some_and(is_delta)
}

/// The columns as readers see them: what concerns writers alone is left out.
pub fn read_schema(table: &DeltaTable) -> StructType {
    let is_kept = |key: &String| !key.starts_with("delta.");
    with_metadata(table.schema(), &is_kept)
}

/// Columns without their defaults: those are not taken over by what is made of their rows.
pub fn without_defaults(schema: &StructType) -> StructType {
    with_metadata(schema, &|key| key != "CURRENT_DEFAULT" && key != "EXISTS_DEFAULT")
}

/// A schema with the metadata that `is_kept`, at every level.
fn with_metadata(schema: &StructType, is_kept: &dyn Fn(&String) -> bool) -> StructType {
    fn below(data_type: &DataType, is_kept: &dyn Fn(&String) -> bool) -> DataType {
        match data_type {
            DataType::Struct(fields) => DataType::Struct(with_metadata(fields, is_kept)),
            DataType::Array(element, nulls) => DataType::array(below(element, is_kept), *nulls),
            DataType::Map(key, value, nulls) => DataType::map(below(key, is_kept), below(value, is_kept), *nulls),
            other => other.clone(),
        }
    }
    let field = |field: &StructField| {
        let mut field = field.clone();
        field.metadata.retain(|key, _| is_kept(key));
        field.data_type = below(&field.data_type, is_kept);
        field
    };
    StructType::new(schema.fields.iter().map(field).collect())
}

/// An option by name, whatever its case.
pub fn option<'a>(options: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    options.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The place of the table that a read of a table format names.
pub fn one_path<'a>(paths: &'a [String], options: &'a BTreeMap<String, String>, format: &str) -> Result<&'a str> {
    match paths {
        [] => option(options, "path").ok_or_else(|| {
            SparkError::new("_LEGACY_ERROR_TEMP_2046", Vec::<(String, String)>::new())
                .with_message("'path' is not specified.")
        }),
        [path] => Ok(path),
        _ => Err(SparkError::unsupported(format!("one read of several {format} tables"))),
    }
}

impl StatementContext {
    pub fn delta_conf(&self) -> Conf {
        Conf::new(Arc::clone(&self.eval.conf))
    }

    /// A table at its newest version; the table a path names otherwise.
    pub async fn delta_at(&self, location: &Location) -> Result<DeltaTable> {
        DeltaTable::open(location, &self.storage(), &DeltaVersion::Latest).await
    }

    /// `path@v5`, `path@20240131235959999`: the path and the version in its name.
    async fn delta_of_path(&self, path: &str, storage: &Storage) -> Result<(DeltaTable, bool)> {
        let location = Location::parse(path)?;
        let known = &self.session.delta_tables;
        if let Some(table) = known.find(&location, storage).await? {
            return Ok((table, false));
        }
        if let Some((place, version)) = path.rsplit_once('@')
            && let Some(version) = self.version_of_suffix(version)?
            && let Some(table) = known.find(&Location::parse(place)?, storage).await?
        {
            return Ok((table.at(&version).await?, true));
        }
        let is_there = storage.file_system(&location)?.status(&location).await?.is_some();
        match is_there {
            true => Err(SparkError::new("DELTA_TABLE_NOT_FOUND", [("tableName", format!("`{location}`"))])),
            false => Err(SparkError::new("DELTA_PATH_DOES_NOT_EXIST", [("path", location.to_string())])),
        }
    }

    fn version_of_suffix(&self, text: &str) -> Result<Option<DeltaVersion>> {
        if let Some(digits) = text.strip_prefix(['v', 'V']) {
            return Ok(digits.parse().ok().map(DeltaVersion::Version));
        }
        if text.len() != 17 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(None);
        }
        let part = |range: std::ops::Range<usize>| &text[range];
        let spelled = format!(
            "{}-{}-{} {}:{}:{}.{}",
            part(0..4),
            part(4..6),
            part(6..8),
            part(8..10),
            part(10..12),
            part(12..14),
            part(14..17)
        );
        self.timestamp(&Expr::string(spelled)).map(|micros| Some(DeltaVersion::Timestamp(micros)))
    }

    /// The version that a clause or option asks for.
    pub fn delta_version(&self, travel: &TimeTravel) -> Result<DeltaVersion> {
        match travel {
            TimeTravel::Timestamp(expr) => self.timestamp(expr).map(DeltaVersion::Timestamp),
            TimeTravel::Version(expr) => {
                let text = self.constant_text(expr)?;
                match text.trim().parse() {
                    Ok(version) => Ok(DeltaVersion::Version(version)),
                    Err(_) => Err(SparkError::new("DELTA_VERSION_INVALID", [("version", text)])),
                }
            }
        }
    }

    /// The value of a constant as text; empty for NULL.
    pub fn constant_text(&self, expr: &Expr) -> Result<String> {
        let analyzer = Analyzer::new(self);
        let typed = cast(analyzer.constant(expr)?, &DataType::STRING, CastMode::Ansi, &self.eval)?;
        let value = firesteel_functions::fold::fold(&typed)?;
        Ok(value.as_ref().and_then(|v| v.try_as_str().flatten()).unwrap_or_default().to_string())
    }

    /// The value of a constant as a moment, in microseconds.
    pub fn timestamp(&self, expr: &Expr) -> Result<i64> {
        let invalid = || {
            // An option's value stands in no statement.
            let text = expr.origin.as_ref().map(|origin| origin.fragment()).or_else(|| self.constant_text(expr).ok());
            let text = text.unwrap_or_default();
            SparkError::new("DELTA_TIMESTAMP_INVALID", [("expr", text)]).with_origin(expr.origin.as_ref())
        };
        let analyzer = Analyzer::new(self);
        let typed = cast(analyzer.constant(expr)?, &DataType::Timestamp, CastMode::Ansi, &self.eval)?;
        match firesteel_functions::fold::fold(&typed).map_err(|_| invalid())? {
            Some(ScalarValue::TimestampMicrosecond(Some(micros), _)) => Ok(micros),
            _ => Err(invalid()),
        }
    }

    /// The options versionAsOf and timestampAsOf.
    fn travel_of_options(&self, options: &BTreeMap<String, String>) -> Result<Option<TimeTravel>> {
        match (option(options, "versionAsOf"), option(options, "timestampAsOf")) {
            (Some(_), Some(_)) => Err(SparkError::of("DELTA_ONEOF_IN_TIMETRAVEL")),
            (Some(version), None) => Ok(Some(TimeTravel::Version(Expr::string(version)))),
            (None, Some(timestamp)) => Ok(Some(TimeTravel::Timestamp(Expr::string(timestamp)))),
            (None, None) => Ok(None),
        }
    }

    /// A read of `spark.read.format("delta")` or ``delta.`path` ``.
    pub fn delta_files(
        &self,
        paths: &[String],
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
    ) -> Result<TableSource> {
        let path = one_path(paths, options, "Delta")?;
        let storage = self.storage().with_options(options);
        let (table, is_fixed) = self.block_on(self.delta_of_path(path, &storage))?;
        let travel = travel.cloned().map_or_else(|| self.travel_of_options(options), |travel| Ok(Some(travel)))?;
        if is_fixed && travel.is_some() {
            return Err(SparkError::of("DELTA_ONEOF_IN_TIMETRAVEL"));
        }
        self.delta_read(table, options, travel.as_ref(), vec![])
    }

    /// A read of a catalog table.
    pub fn delta_table_source(
        &self,
        table: &Table,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
        let storage = self.storage().with_options(table.options.iter().chain(options));
        let found = self.block_on(self.session.delta_tables.find(&location, &storage))?;
        let delta = found.ok_or_else(|| missing_table(&location))?;
        let travel = travel.cloned().map_or_else(|| self.travel_of_options(options), |travel| Ok(Some(travel)))?;
        self.delta_read(delta, options, travel.as_ref(), qualifier)
    }

    fn delta_read(
        &self,
        table: DeltaTable,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let feed = option(options, "readChangeFeed").or_else(|| option(options, "readChangeData"));
        if feed.is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            return self.delta_changes(&table, options, qualifier);
        }
        let table = match travel {
            Some(travel) => {
                let version = self.delta_version(travel)?;
                self.block_on(table.at(&version))?
            }
            None => table,
        };
        if table.schema().fields.is_empty() {
            return Err(SparkError::of("DELTA_SCHEMA_NOT_SET"));
        }
        let scan = self.session.delta_tables.scan(&table, self.delta_conf())?;
        Ok(source_of(&scan, read_schema(&table), qualifier))
    }

    /// `readChangeFeed`: the rows that versions have added and removed.
    fn delta_changes(
        &self,
        table: &DeltaTable,
        options: &BTreeMap<String, String>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let bound = |kind: &str| -> Result<Option<u64>> {
            if let Some(text) = option(options, &format!("{kind}Version")) {
                let version = text.trim().parse();
                return match version {
                    Ok(version) => Ok(Some(version)),
                    Err(_) => Err(SparkError::new("DELTA_VERSION_INVALID", [("version", text)])),
                };
            }
            match option(options, &format!("{kind}Timestamp")) {
                None => Ok(None),
                Some(text) => {
                    let micros = self.timestamp(&Expr::string(text))?;
                    self.block_on(table.version_from(micros)).map(Some)
                }
            }
        };
        let start = bound("starting")?.ok_or_else(|| SparkError::of("DELTA_NO_START_FOR_CDC_READ"))?;
        let end = bound("ending")?.unwrap_or(table.version()).min(table.version());
        if start > table.version() {
            let parameters = [("start", start.to_string()), ("latest", table.version().to_string())];
            return Err(SparkError::new("DELTA_CDC_START_VERSION_AFTER_LATEST", parameters));
        }
        if end < start {
            let parameters = [("start", start.to_string()), ("end", end.to_string())];
            return Err(SparkError::new("DELTA_INVALID_CDC_RANGE", parameters));
        }
        let feed = self.block_on(ChangeFeed::of(table, start, end))?;
        let schema = feed.schema(&read_schema(table));
        let columns: Vec<Expr> = schema.fields.iter().map(|f| Expr::name(&f.name)).collect();
        let mut parts = vec![];
        for scan in feed.scans(self.delta_conf())? {
            parts.push(self.pin(source_of(&scan, scan.schema().clone(), vec![])).project(columns.clone()));
        }
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or_else(|| SparkError::internal("a change feed has no part"))?;
        let query = parts.fold(first, |left, right| {
            Relation::new(RelationKind::SetOperation {
                left: Box::new(left),
                right: Box::new(right),
                op: SetOpType::Union,
                all: true,
                by_name: false,
                allow_missing_columns: false,
            })
        });
        let columns = SourceColumns::Declared(schema);
        Ok(TableSource::View { context: Arc::new(self.clone()), query, columns, qualifier })
    }

    /// A relation over chosen files of a table: its columns, then the columns `constants`, which hold a value per file.
    pub fn pin_files(
        &self,
        table: &DeltaTable,
        files: &[Add],
        constants: &[(StructField, Vec<ScalarValue>)],
        qualifier: Vec<String>,
    ) -> Result<Relation> {
        let scan = scan_with_constants(table, files, &[], constants, self.delta_conf())?;
        // Rows to be changed are checked as they are written, whatever the table says of them.
        let mut fields = read_schema(table).as_nullable().fields.to_vec();
        fields.extend(constants.iter().map(|(field, _)| field.clone()));
        Ok(self.pin(source_of(&scan, StructType::new(fields), qualifier)))
    }

    /// A relation that stands for a source, within this statement.
    pub fn pin(&self, source: TableSource) -> Relation {
        let relation_id = format!("pinned-{}", uuid::Uuid::new_v4());
        self.pinned.lock().insert(relation_id.clone(), source);
        Relation::new(RelationKind::CachedRemote { relation_id })
    }
}

fn source_of(scan: &Scan, schema: StructType, qualifier: Vec<String>) -> TableSource {
    let metadata = StructType::new(vec![scan.metadata_column()]);
    TableSource::Provider { provider: scan.table(), schema, metadata, qualifier }
}
