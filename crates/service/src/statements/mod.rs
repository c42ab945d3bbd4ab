//! SQL statements.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use firesteel_engine::Session;
use firesteel_plan::{Plan, Relation, RelationKind};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use crate::access::Scope;
use crate::app::run_options;
use crate::document::document;
use crate::jobs::Work;
use crate::jobs::handlers::Request;
use crate::problem::Problem;
use crate::rows::RowStyle;
use crate::rows::spool::RowLimits;
use crate::sessions::configure;

pub mod handlers;
mod parameters;
mod permission;
pub use permission::check_limited;

pub use parameters::{Parameter, number as typed_number};

/// The kind of their jobs.
pub const KIND: &str = "statement";
const PREPARE_TIME_MAX: Duration = Duration::from_secs(60);

document! {
    /// SQL to run
    pub struct StatementRequest {
        /// One statement
        statement: String => {"minLength": 1, "maxLength": 16777216},
        /// Values of :name
        parameters: Option<Vec<Parameter>> => {"maxItems": 1000},
        catalog: Option<String>,
        schema: Option<String>,
        /// Configuration of its session
        conf: Option<BTreeMap<String, String>>,
        row_limit: Option<u64>,
        byte_limit: Option<u64>,
    }
}

/// A statement that was read and may be run.
pub struct Ready {
    session: Arc<Session>,
    plan: Plan,
    text: String,
    pub limits: RowLimits,
}

impl Ready {
    /// Reads a request: its session, its syntax, its parameters, and whether the user may do this.
    pub async fn new(request: Request) -> Result<Self, Problem> {
        let session = request.app.sessions.fresh(&request.user, &request.credentials);
        let given: StatementRequest = request.fields.rest()?;
        let conf = given.conf.unwrap_or_default();
        configure(&session, given.catalog.as_deref(), given.schema.as_deref(), &conf).await?;
        let options = session.parse_options();
        let parsed = firesteel_sql::parse_statement(&given.statement, &options)
            .map_err(|error| Problem::from(error).at("statement"))?;
        if !permission::only_reads(&parsed) {
            request.user.require(Scope::Write)?;
        }
        if request.user.places.is_some() || request.user.scope < Scope::Write {
            permission::check_limited(&parsed)?;
        }
        let mut named_arguments: Vec<(String, _)> = vec![];
        for (index, parameter) in given.parameters.unwrap_or_default().into_iter().enumerate() {
            let argument = parameter.expression(index, &options)?;
            if named_arguments.iter().any(|(name, _)| *name == argument.0) {
                let detail = format!("There are two parameters {}.", argument.0);
                return Err(Problem::invalid(format!("parameters[{index}].name"), detail));
            }
            named_arguments.push(argument);
        }
        let kind = RelationKind::Sql { query: given.statement.clone(), named_arguments, positional_arguments: vec![] };
        let limits = RowLimits { rows: given.row_limit, bytes: given.byte_limit };
        Ok(Self { session, plan: Plan::Query(Relation::new(kind)), text: given.statement, limits })
    }

    pub async fn execute(
        self,
        id: &str,
        cancel: &CancellationToken,
    ) -> Result<(firesteel_engine::Execution, RowStyle), Problem> {
        let execution = self.session.execute(self.plan, run_options(id, &self.text, cancel)).await?;
        let style = RowStyle::new(&self.session, &execution.schema, &execution.arrow_schema)?;
        Ok((execution, style))
    }
}

/// Parses on the workers, whose threads have deep stacks.
pub async fn ready(request: Request) -> Result<Ready, Problem> {
    let app = Arc::clone(&request.app);
    let work = app.work(CancellationToken::new(), Ready::new(request));
    match tokio::time::timeout(PREPARE_TIME_MAX, work).await {
        Ok(ready) => ready,
        Err(_) => Err(Problem::new(408, "REQUEST_TIMEOUT", "The statement took too long to read.")),
    }
}

pub fn prepare(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    async move {
        let spool = Arc::clone(&request.app.spool);
        let ready = ready(request).await?;
        let work: Work = Box::new(move |entry| {
            async move {
                let limits = ready.limits;
                let (execution, style) = ready.execute(&entry.id, &entry.cancel).await?;
                let (rows, info) = spool.collect(execution, style, limits).await?;
                entry.keep_rows(Arc::new(rows));
                entry.update(|record| record.rows = Some(info));
                Ok(Map::new())
            }
            .boxed()
        });
        Ok(work)
    }
    .boxed()
}
