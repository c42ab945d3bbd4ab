//! Hudi tables as the analyzer reads them: snapshots, time travel, incremental queries. The keys are Hudi's own.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::TableSource;
use firesteel_analyze::context::SourceColumns;
use firesteel_catalog::Table;
use firesteel_lake::Scan;
use firesteel_lake::hudi::{COMMIT_TIME, HudiTable, is_hudi};
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::{Expr, Result, SparkError, StructType};
use firesteel_storage::{Location, Storage};

use crate::context::StatementContext;
use crate::delta::{one_path, option};

const QUERY_TYPE: &str = "hoodie.datasource.query.type";
const AS_OF: &str = "as.of.instant";
const BEGIN: &str = "hoodie.datasource.read.begin.instanttime";
const END: &str = "hoodie.datasource.read.end.instanttime";

/// Whether a catalog table is one of Hudi's.
pub fn is_hudi_table(table: &Table) -> bool {
    table.provider.as_deref().is_some_and(is_hudi)
}

impl StatementContext {
    /// A read of `spark.read.format("hudi")`.
    pub fn hudi_files(&self, paths: &[String], options: &BTreeMap<String, String>) -> Result<TableSource> {
        let path = one_path(paths, options, "Hudi")?;
        self.hudi_read(&Location::parse(path)?, &self.storage().with_options(options), options, None, vec![])
    }

    /// A read of a catalog table.
    pub fn hudi_table_source(
        &self,
        table: &Table,
        options: &BTreeMap<String, String>,
        travel: Option<&TimeTravel>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
        let all: BTreeMap<String, String> = table.options.clone().into_iter().chain(options.clone()).collect();
        let storage = self.storage().with_options(&all);
        let instant = match travel {
            None => None,
            Some(TimeTravel::Timestamp(at)) => {
                let at = self.timestamp(at)?;
                let at = chrono::DateTime::from_timestamp_micros(at);
                Some(at.map(|at| at.format("%Y%m%d%H%M%S%3f").to_string()).unwrap_or_default())
            }
            Some(TimeTravel::Version(_)) => {
                return Err(SparkError::unsupported("a Hudi table by version: it has instants (TIMESTAMP AS OF)"));
            }
        };
        self.hudi_read(&location, &storage, &all, instant.as_deref(), qualifier)
    }

    /// The columns of the table at a place.
    pub async fn hudi_schema(&self, location: &Location, storage: &Storage) -> Result<StructType> {
        let table = HudiTable::open(location, storage).await?;
        let scan = table.snapshot(None, true, self.delta_conf()).await?;
        Ok(scan.schema().clone())
    }

    fn hudi_read(
        &self,
        location: &Location,
        storage: &Storage,
        options: &BTreeMap<String, String>,
        instant: Option<&str>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        let table = self.block_on(HudiTable::open(location, storage))?;
        let kind = option(options, QUERY_TYPE).unwrap_or("snapshot").to_lowercase();
        let as_of = instant.or_else(|| option(options, AS_OF));
        match kind.as_str() {
            "snapshot" | "read_optimized" => {
                let base_only = kind == "read_optimized";
                let scan = self.block_on(table.snapshot(as_of, base_only, self.delta_conf()))?;
                Ok(source_of(&scan, qualifier))
            }
            "incremental" => self.hudi_changes(&table, options, qualifier),
            _ => Err(SparkError::new(
                "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS",
                [
                    ("confName", QUERY_TYPE.to_string()),
                    ("confValue", kind),
                    ("confOptions", "snapshot, read_optimized, incremental".to_string()),
                ],
            )),
        }
    }

    fn hudi_changes(
        &self,
        table: &HudiTable,
        options: &BTreeMap<String, String>,
        qualifier: Vec<String>,
    ) -> Result<TableSource> {
        if let Some(format) = option(options, "hoodie.datasource.query.incremental.format")
            && !format.eq_ignore_ascii_case("latest_state")
        {
            return Err(SparkError::unsupported(format!("incremental queries of Hudi in the format {format}")));
        }
        let begin = option(options, BEGIN).ok_or_else(|| {
            SparkError::unsupported(format!("an incremental query of Hudi without the option {BEGIN}"))
        })?;
        let changes = self.block_on(table.changes(begin, option(options, END), self.delta_conf()))?;
        let schema = changes.scan.schema().clone();
        let condition = if changes.commits.is_empty() {
            Expr::boolean(false)
        } else {
            let commits = changes.commits.iter().map(Expr::string);
            Expr::call("in", std::iter::once(Expr::name(COMMIT_TIME)).chain(commits).collect())
        };
        let query = self.pin(source_of(&changes.scan, vec![])).filter(condition);
        let columns = SourceColumns::Declared(schema);
        Ok(TableSource::View { context: Arc::new(self.clone()), query, columns, qualifier })
    }
}

fn source_of(scan: &Scan, qualifier: Vec<String>) -> TableSource {
    let metadata = StructType::new(vec![scan.metadata_column()]);
    TableSource::Provider { provider: scan.table(), schema: scan.schema().clone(), metadata, qualifier }
}
