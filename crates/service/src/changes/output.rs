//! Where new files go, and how many rows went there.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_engine::{Execution, Session};
use firesteel_plan::command::{SaveMode, Write, WriteTarget};
use firesteel_plan::statement::DeltaTarget;
use firesteel_plan::{Command, Expr, Literal, Plan, Relation, RelationKind, SparkError};
use firesteel_storage::{Location, Storage, is_hidden};

use super::delta::USER_METADATA;
use crate::app::run_options;
use crate::credentials::refuse_settings;
use crate::datasets::source::check_path;
use crate::document::document;
use crate::jobs::Entry;
use crate::problem::Problem;

document! {
    /// Where and how files are written
    pub struct OutputFields {
        /// A folder, as Spark writes it
        output_path: String => {"minLength": 1},
        output_format: Option<String> => {"enum": ["parquet", "delta", "orc", "csv", "json", "avro", "text", null]},
        partition_by: Option<Vec<String>> => {"maxItems": 100},
        /// What happens when there is something: overwrite unless said otherwise
        mode: Option<String> => {"enum": ["overwrite", "append", "error", "ignore", null]},
        /// Options of the writer; settings of a store are credentials
        output_options: Option<BTreeMap<String, String>>,
        /// Makes output_path a file, not a folder
        single_file: Option<bool>,
    }
}

impl OutputFields {
    pub fn check(&self) -> Result<(), Problem> {
        check_path(&self.output_path, "output_path")?;
        refuse_settings(self.output_options.iter().flat_map(BTreeMap::keys), "output_options")?;
        if self.is_single() {
            let refused = [
                ("partition_by", self.partition_by.as_ref().is_some_and(|names| !names.is_empty())),
                ("mode", self.mode.as_deref() == Some("append")),
                ("output_format", self.output_format.as_deref() == Some("delta")),
            ];
            if let Some((field, _)) = refused.iter().find(|(_, is_given)| *is_given) {
                return Err(Problem::invalid(*field, format!("{field} needs a folder: leave single_file out.")));
            }
        }
        Ok(())
    }

    fn is_single(&self) -> bool {
        self.single_file.unwrap_or(false)
    }

    /// Writes a relation. `None`: there is something already, and that is left alone.
    pub async fn write(
        &self,
        session: &Arc<Session>,
        places: Option<Arc<[Location]>>,
        input: Relation,
        entry: &Entry,
    ) -> Result<Option<Execution>, Problem> {
        if self.is_single() {
            let storage = Storage::new(session.conf().all()).only_below(places);
            return self.write_file(session, &storage, input, entry).await;
        }
        // A Delta table's log says by this which job has written to it.
        session.conf().set(USER_METADATA, entry.id.as_str());
        execute(session, self.plan(&self.output_path, input), entry).await.map(Some)
    }

    /// The Delta table that is written to.
    pub fn delta_target(&self) -> Option<DeltaTarget> {
        let is_delta = self.output_format.as_deref().is_some_and(|format| format.eq_ignore_ascii_case("delta"));
        is_delta.then(|| DeltaTarget::Path(self.output_path.clone()))
    }

    /// One file: written beside its place, in a folder that no reader looks into, and moved there when it is whole.
    async fn write_file(
        &self,
        session: &Arc<Session>,
        storage: &Storage,
        input: Relation,
        entry: &Entry,
    ) -> Result<Option<Execution>, Problem> {
        let target = Location::parse(&self.output_path)?;
        let files = storage.file_system(&target)?;
        let before = files.status(&target).await?;
        match (self.mode.as_deref(), &before) {
            (Some("ignore"), Some(_)) => return Ok(None),
            (Some("error"), Some(_)) => {
                return Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", target.to_string())]).into());
            }
            _ => {}
        }
        let parent = target.parent().ok_or_else(|| Problem::invalid("output_path", "The root is no file."))?;
        let folder = parent.join(&format!("_{}-{}", target.name(), entry.id));
        let one =
            Relation::new(RelationKind::Repartition { input: Box::new(input), num_partitions: 1, shuffle: false });
        let written = async {
            let execution = execute(session, self.plan(&folder.to_string(), one), entry).await?;
            let parts = files.files_below(&folder).await?;
            let part = parts.iter().find(|file| !is_hidden(file.location.name()));
            let part = part.ok_or_else(|| Problem::internal("a write has left no file"))?;
            if before.is_some_and(|status| status.is_directory) {
                files.delete(&target).await?;
            }
            files.rename(&part.location, &target).await?;
            Ok(Some(execution))
        }
        .await;
        let removed = files.delete(&folder).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "a folder of a write was not removed");
        }
        written
    }

    /// The plan that writes a relation.
    fn plan(&self, path: &str, input: Relation) -> Plan {
        let mode = match self.mode.as_deref() {
            Some("append") => SaveMode::Append,
            Some("error") => SaveMode::ErrorIfExists,
            Some("ignore") => SaveMode::Ignore,
            _ => SaveMode::Overwrite,
        };
        Plan::Command(Command::Write(Box::new(Write {
            input,
            source: Some(self.output_format.clone().unwrap_or_else(|| "parquet".into())),
            target: WriteTarget::Path(path.to_string()),
            mode,
            sort_columns: vec![],
            partition_columns: self.partition_by.clone().unwrap_or_default(),
            bucket_by: None,
            clustering_columns: vec![],
            options: self.output_options.clone().unwrap_or_default(),
            with_schema_evolution: false,
        })))
    }
}

/// Counts the rows that go through a place of a plan, as `df.observe` does; `more` are counts of rows that meet a
/// condition.
pub fn counted(input: Relation, name: &str, more: &[(&str, Expr)]) -> Relation {
    let mut metrics = vec![Expr::call("count", vec![Expr::int(1)]).alias("rows")];
    metrics.extend(more.iter().map(|(name, condition)| Expr::call("count_if", vec![condition.clone()]).alias(*name)));
    Relation::new(RelationKind::CollectMetrics { input: Box::new(input), name: name.to_string(), metrics })
}

/// A count of [`counted`], once the plan has run.
pub fn count_of(execution: Option<&Execution>, name: &str, metric: &str) -> u64 {
    let Some(execution) = execution else { return 0 };
    let observed = execution.observed.lock();
    let values = observed.iter().filter(|metrics| metrics.name == name).flat_map(|metrics| &metrics.values);
    let value = values.filter(|(name, _)| name == metric).map(|(_, value)| value).next();
    match value {
        Some(Literal::Long(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Runs a plan of a job.
pub async fn execute(session: &Arc<Session>, plan: Plan, entry: &Entry) -> Result<Execution, Problem> {
    Ok(session.execute(plan, run_options(&entry.id, &entry.record().kind, &entry.cancel)).await?)
}
