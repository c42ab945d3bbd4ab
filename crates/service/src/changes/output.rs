//! Where new files go, and how many rows went there.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_engine::{Execution, Session};
use firesteel_plan::command::{SaveMode, Write, WriteTarget};
use firesteel_plan::{Command, Expr, Literal, Plan, Relation, RelationKind};

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
    }
}

impl OutputFields {
    pub fn check(&self) -> Result<(), Problem> {
        check_path(&self.output_path, "output_path")?;
        refuse_settings(self.output_options.iter().flat_map(BTreeMap::keys), "output_options")
    }

    /// The plan that writes a relation.
    pub fn plan(&self, input: Relation) -> Plan {
        let mode = match self.mode.as_deref() {
            Some("append") => SaveMode::Append,
            Some("error") => SaveMode::ErrorIfExists,
            Some("ignore") => SaveMode::Ignore,
            _ => SaveMode::Overwrite,
        };
        Plan::Command(Command::Write(Box::new(Write {
            input,
            source: Some(self.output_format.clone().unwrap_or_else(|| "parquet".into())),
            target: WriteTarget::Path(self.output_path.clone()),
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
pub fn count_of(execution: &Execution, name: &str, metric: &str) -> u64 {
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
