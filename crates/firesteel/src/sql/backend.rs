//! Where statements run.
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use firesteel_conf::sources::Sources;
use firesteel_engine::{Engine, EngineOptions, ExecuteOptions, Job, Session};
use firesteel_plan::{Plan, Relation, RelationKind};
use firesteel_sql::ParseOptions;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::remote::Remote;

type BoxedError = Box<dyn Error + Send + Sync>;

/// Rows as they come.
pub struct Answer {
    /// Known once the first batch is there where the server does not tell it before.
    pub schema: Option<SchemaRef>,
    pub batches: BoxStream<'static, Result<RecordBatch, BoxedError>>,
}

pub enum Backend {
    Embedded(Arc<Session>),
    Remote(Remote),
}

/// A bar appears for statements that take longer.
const PROGRESS_AFTER: Duration = Duration::from_millis(800);

impl Backend {
    pub async fn embedded(sources: Sources, data_dir: Option<PathBuf>) -> Result<Self, Box<dyn Error>> {
        let engine = Engine::new(EngineOptions { conf: sources.into_values(), data_dir }).await?;
        let user = std::env::var("USER").unwrap_or_default();
        Ok(Self::Embedded(engine.new_session(&user, &uuid::Uuid::new_v4().to_string())))
    }

    pub async fn remote(address: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self::Remote(Remote::connect(address).await?))
    }

    fn parse_options(&self) -> ParseOptions {
        match self {
            Self::Embedded(session) => session.parse_options(),
            Self::Remote(_) => ParseOptions::default(),
        }
    }

    /// The statements of a text.
    pub fn split(&self, text: &str) -> Result<Vec<String>, Box<dyn Error>> {
        Ok(firesteel_sql::split_statements(text, &self.parse_options())?)
    }

    /// Runs one statement. Ctrl-C stops it.
    pub async fn execute(&self, statement: &str, progress: bool) -> Result<Answer, Box<dyn Error>> {
        match self {
            Self::Embedded(session) => embedded(session, statement, progress).await,
            Self::Remote(remote) => remote.execute(statement).await,
        }
    }

    /// Names that completion offers beside keywords.
    pub async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for statement in ["SHOW TABLES", "SHOW DATABASES", "SHOW SYSTEM FUNCTIONS"] {
            let Ok(mut answer) = self.execute(statement, false).await else { continue };
            while let Some(Ok(batch)) = answer.batches.next().await {
                let index = usize::from(statement == "SHOW TABLES");
                let Some(column) = batch.columns().get(index) else { continue };
                let Some(texts) = arrow::array::AsArray::as_string_opt::<i32>(column) else { continue };
                names.extend(texts.iter().flatten().map(str::to_string));
            }
        }
        names
    }
}

async fn embedded(session: &Arc<Session>, statement: &str, progress: bool) -> Result<Answer, Box<dyn Error>> {
    let cancel = CancellationToken::new();
    let on_interrupt = cancel.clone();
    let watcher = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    let relation = Relation::new(RelationKind::Sql {
        query: statement.to_string(),
        named_arguments: vec![],
        positional_arguments: vec![],
    });
    let options = ExecuteOptions { cancel: cancel.clone(), description: statement.to_string(), ..Default::default() };
    let execution = session.execute(Plan::Query(relation), options).await?;
    let bar = progress.then(|| execution.job.clone()).flatten().map(|job| tokio::spawn(show_progress(job)));
    let schema = Some(Arc::clone(&execution.arrow_schema));
    let batches = execution.batches.map_err(|e| Box::new(e) as BoxedError);
    let ended = futures::stream::once(async move {
        watcher.abort();
        if let Some(bar) = bar {
            bar.abort();
        }
    });
    let batches = batches.chain(ended.filter_map(|()| async { None })).boxed();
    Ok(Answer { schema, batches })
}

async fn show_progress(job: Arc<Job>) {
    tokio::time::sleep(PROGRESS_AFTER).await;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("[{elapsed_precise}] {bar:40} {pos}/{len} tasks {msg}") {
        bar.set_style(style);
    }
    let bar = Cleared(bar);
    let mut progress = job.progress();
    loop {
        let (done, all, active) = {
            let now = progress.borrow_and_update();
            let sum = |count: fn(&firesteel_engine::jobs::StageProgress) -> usize| now.stages.iter().map(count).sum();
            let (done, all): (usize, usize) = (sum(|s| s.num_completed_tasks), sum(|s| s.num_tasks));
            (done, all, now.in_flight_tasks)
        };
        bar.0.set_length(all as u64);
        bar.0.set_position(done as u64);
        bar.0.set_message(format!("({active} running)"));
        if job.ended().is_some() || progress.changed().await.is_err() {
            return;
        }
    }
}

/// Takes the bar off the screen, however its task ends.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
