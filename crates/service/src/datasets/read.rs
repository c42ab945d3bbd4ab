//! Running small plans and collecting what they answer.
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use firesteel_engine::{ExecuteOptions, Job, Session};
use firesteel_plan::statement::{DeltaStatement, DeltaTarget, SqlStatement};
use firesteel_plan::{Command, Expr, Plan, Relation, RelationKind, TableName, parse_multipart_identifier};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::DatasetFields;
use crate::app::Call;
use crate::credentials::Credentials;
use crate::document::{Documented, document};
use crate::jobs::record::Progress;
use crate::problem::Problem;
use crate::rows::RowStyle;

/// Bytes of JSON that one answer may have.
const ANSWER_BYTES_MAX: usize = 256 << 20;

document! {
    /// What an answer took
    pub struct Stats {
        /// That match, whatever the limit; null where nobody has counted them
        total_rows: Option<u64>,
        returned_rows: u64,
        rows_scanned: u64,
        bytes_scanned: u64,
        /// Not read, since no row of theirs could match
        files_pruned: u64,
        elapsed_ms: f64,
        /// Of the Delta table that was read
        version: Option<i64>,
    }
}

/// Runs plans of one request in its session.
pub struct Reader {
    pub session: Arc<Session>,
    pub cancel: CancellationToken,
    started: Instant,
    jobs: Vec<Arc<Job>>,
    delta_version: Option<u64>,
}

/// Rows of a small answer.
pub struct Rows {
    pub style: RowStyle,
    pub batches: Vec<RecordBatch>,
}

impl Reader {
    pub fn new(session: Arc<Session>, cancel: CancellationToken) -> Self {
        Self { session, cancel, started: Instant::now(), jobs: vec![], delta_version: None }
    }

    /// The reader of a request, and what the request says: which data, and what about it.
    pub fn open<T: Documented + DeserializeOwned>(call: &Call) -> Result<(Self, DatasetFields, T), Problem> {
        let mut fields = call.fields()?;
        let credentials = Credentials::take(&mut fields, &call.app.options)?;
        let dataset = fields.take()?;
        let given = fields.rest()?;
        let session = call.app.sessions.shared(&call.user, &credentials);
        Ok((Self::new(session, CancellationToken::new()), dataset, given))
    }

    pub fn options(&self, description: &str) -> ExecuteOptions {
        crate::app::run_options("", description, &self.cancel)
    }

    /// All rows of a plan.
    pub async fn rows(&mut self, plan: Plan, description: &str) -> Result<Rows, Problem> {
        let mut execution = self.session.execute(plan, self.options(description)).await?;
        self.jobs.extend(execution.job.clone());
        self.delta_version = execution.delta_version.or(self.delta_version);
        let style = RowStyle::new(&self.session, &execution.schema, &execution.arrow_schema)?;
        let (mut batches, mut bytes) = (vec![], 0);
        while let Some(batch) = execution.batches.next().await {
            let batch = style.renamed(batch?)?;
            bytes += batch.get_array_memory_size();
            if bytes > ANSWER_BYTES_MAX {
                let detail =
                    format!("The answer has more than {ANSWER_BYTES_MAX} bytes: ask for fewer rows, or stream them.");
                return Err(Problem::invalid("limit", detail));
            }
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        Ok(Rows { style, batches })
    }

    pub async fn query(&mut self, relation: Relation, description: &str) -> Result<Rows, Problem> {
        self.rows(Plan::Query(relation), description).await
    }

    /// How many rows a relation has.
    pub async fn count(&mut self, relation: Relation) -> Result<u64, Problem> {
        let count = Expr::call("count", vec![Expr::int(1)]).alias("count");
        let relation = Relation::new(RelationKind::Aggregate {
            input: Box::new(relation),
            grouping: firesteel_plan::relation::Grouping::By(vec![]),
            aggregates: vec![count],
            pivot: None,
        });
        let rows = self.query(relation, "count").await?;
        Ok(rows.objects()?.first().and_then(|row| row["count"].as_u64()).unwrap_or(0))
    }

    /// The newest version of a Delta table; `None`: the data has no versions.
    pub async fn version(&mut self, dataset: &DatasetFields) -> Result<Option<i64>, Problem> {
        let Some(target) = self.delta_target(dataset).await? else { return Ok(None) };
        let statement = DeltaStatement::History { table: target, limit: Some(1) };
        let plan = Plan::Command(Command::Sql(Box::new(SqlStatement::Delta(statement))));
        let rows = self.rows(plan, "version").await?;
        Ok(rows.objects()?.first().and_then(|row| row["version"].as_i64()))
    }

    /// The Delta table that a dataset is, if it is one.
    pub async fn delta_target(&self, dataset: &DatasetFields) -> Result<Option<DeltaTarget>, Problem> {
        if let Some(name) = &dataset.table {
            let parts = parse_multipart_identifier(name).map_err(|error| Problem::from(error).at("table"))?;
            let id = firesteel_catalog::TableId::new(
                parts.iter().rev().nth(1).cloned().unwrap_or_else(|| firesteel_catalog::DEFAULT_DATABASE.into()),
                parts.last().cloned().unwrap_or_default(),
            );
            let table = self.session.engine().catalog().get_table(&id).await?;
            let is_delta = table.is_some_and(|table| table.provider.is_some_and(|p| p.eq_ignore_ascii_case("delta")));
            return Ok(is_delta.then_some(DeltaTarget::Name(TableName::Parts(parts))));
        }
        let path = dataset.path.clone().or_else(|| dataset.paths.as_ref()?.first().cloned());
        Ok(path.filter(|_| dataset.is_delta()).map(DeltaTarget::Path))
    }

    pub fn stats(&self, returned_rows: u64, total_rows: Option<u64>) -> Stats {
        let mut progress = Progress::default();
        let mut files_pruned = 0;
        for job in &self.jobs {
            let job = job.progress();
            let job = job.borrow();
            progress.add(&job);
            files_pruned += job.stages.iter().map(|stage| stage.files_pruned).sum::<u64>();
        }
        Stats {
            total_rows,
            returned_rows,
            rows_scanned: progress.rows_read,
            bytes_scanned: progress.bytes_read,
            files_pruned,
            elapsed_ms: (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            version: self.delta_version.and_then(|version| i64::try_from(version).ok()),
        }
    }
}

impl Rows {
    pub fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Keeps the first rows.
    pub fn truncate(&mut self, rows: usize) {
        let mut left = rows;
        for batch in &mut self.batches {
            let keep = batch.num_rows().min(left);
            *batch = batch.slice(0, keep);
            left -= keep;
        }
    }

    /// The rows as the text of a JSON array.
    pub fn json(&self) -> Result<String, Problem> {
        let mut text = String::from("[");
        for batch in self.batches.iter().filter(|batch| batch.num_rows() > 0) {
            if text.len() > 1 {
                text.push(',');
            }
            self.style.json_rows(batch, ",", &mut text)?;
        }
        text.push(']');
        Ok(text)
    }

    /// The rows as objects, for answers that are put together here.
    pub fn objects(&self) -> Result<Vec<Map<String, Value>>, Problem> {
        serde_json::from_str(&self.json()?).map_err(Problem::internal)
    }

    pub fn columns(&self) -> Value {
        json!(self.style.columns())
    }
}
