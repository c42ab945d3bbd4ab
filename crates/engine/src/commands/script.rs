//! SQL scripting: the interpreter of `BEGIN … END`.
//!
//! A script runs statement by statement. What a block does to the flow is a [`Flow`]; an error looks for a handler in
//! the blocks around it, innermost first. The script answers the rows of its last query.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use firesteel_plan::statement::{CompoundBody, Handler, ScriptStatement as S};
use firesteel_plan::{Expr, Plan, Relation, Result, SparkError, StructType};
use parking_lot::Mutex;

use super::{Answer, Statement};
use crate::execution::Execution;
use crate::variables::Variable;

/// Nested blocks that a script may have.
const DEPTH_MAX: usize = 100;

enum Flow {
    Next,
    Leave(String),
    Iterate(String),
    /// An EXIT handler ran: the block of that depth ends.
    Exit(usize),
}

/// What runs.
#[derive(Clone)]
struct Script {
    statement: Statement,
    /// The rows of the last query.
    last: Arc<Mutex<Option<(StructType, Vec<RecordBatch>)>>>,
    depth: usize,
}

pub async fn run(st: &Statement, body: CompoundBody) -> Answer {
    let mut statement = st.clone();
    statement.context.scopes = Default::default();
    let script = Script { statement, last: Arc::default(), depth: 0 };
    match script.block(body).await? {
        Flow::Leave(label) | Flow::Iterate(label) => {
            return Err(SparkError::new(
                "INVALID_LABEL_USAGE.DOES_NOT_EXIST",
                [("labelName", label.to_uppercase()), ("statementType", "LEAVE".to_string())],
            ));
        }
        Flow::Next | Flow::Exit(_) => {}
    }
    let last = script.last.lock().take();
    Ok(match last {
        Some((schema, batches)) => {
            let arrow = Arc::new(firesteel_functions::types::to_arrow_schema(&schema));
            Execution::of_batches(schema, arrow, batches)
        }
        None => Execution::empty(),
    })
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Script {
    fn fresh(&self) -> Statement {
        let mut fresh = self.statement.refreshed();
        fresh.parameters = Arc::clone(&self.statement.parameters);
        fresh
    }

    /// A block with a scope of its own.
    fn block(&self, body: CompoundBody) -> Boxed<'_, Flow> {
        let inner = Script { depth: self.depth + 1, ..self.clone() };
        Box::pin(async move {
            if inner.depth > DEPTH_MAX {
                return Err(SparkError::unsupported(format!("scripts with more than {DEPTH_MAX} nested blocks")));
            }
            let scopes = &inner.statement.context.scopes;
            let outer_depth = scopes.depth();
            scopes.enter(body.label.as_deref().unwrap_or_default());
            let result = inner.statements(&body).await;
            scopes.truncate(outer_depth);
            match result? {
                Flow::Exit(depth) if depth == inner.depth => Ok(Flow::Next),
                Flow::Leave(label) if is_label(&body.label, &label) => Ok(Flow::Next),
                flow => Ok(flow),
            }
        })
    }

    async fn statements(&self, body: &CompoundBody) -> Result<Flow> {
        for statement in &body.statements {
            if self.statement.context.cancel.is_cancelled() {
                return Err(crate::execution::cancelled());
            }
            let flow = match self.one(statement.clone()).await {
                Ok(flow) => flow,
                Err(error) => self.handle(body, error).await?,
            };
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Runs the handler of this block that fits, if any.
    async fn handle(&self, body: &CompoundBody, error: SparkError) -> Result<Flow> {
        if error.is("OPERATION_CANCELED") {
            return Err(error);
        }
        let Some(handler) = find_handler(body, &error) else { return Err(error) };
        match self.block(handler.body.clone()).await? {
            Flow::Next if handler.is_exit => Ok(Flow::Exit(self.depth)),
            flow => Ok(flow),
        }
    }

    fn one(&self, statement: S) -> Boxed<'_, Flow> {
        Box::pin(async move {
            match statement {
                S::Plan(plan) => self.plan(plan).await,
                S::Compound(body) => self.block(body).await,
                S::If { branches, otherwise } => {
                    for (condition, body) in branches {
                        if self.condition(&condition).await? {
                            return self.block(body).await;
                        }
                    }
                    self.otherwise(otherwise).await
                }
                S::Case { operand, branches, otherwise } => {
                    for (value, body) in branches {
                        let condition = match &operand {
                            Some(operand) => Expr::call("==", vec![operand.clone(), value]),
                            None => value,
                        };
                        if self.condition(&condition).await? {
                            return self.block(body).await;
                        }
                    }
                    self.otherwise(otherwise).await
                }
                S::While { label, condition, body } => {
                    while self.condition(&condition).await? {
                        if let Some(flow) = after_round(self.block(body.clone()).await?, &label) {
                            return Ok(flow);
                        }
                    }
                    Ok(Flow::Next)
                }
                S::Repeat { label, until, body } => loop {
                    if let Some(flow) = after_round(self.block(body.clone()).await?, &label) {
                        return Ok(flow);
                    }
                    if self.condition(&until).await? {
                        return Ok(Flow::Next);
                    }
                },
                S::Loop { label, body } => loop {
                    if let Some(flow) = after_round(self.block(body.clone()).await?, &label) {
                        return Ok(flow);
                    }
                },
                S::For { label, variable, query, body } => self.each(label, variable, query, body).await,
                S::Leave(label) => Ok(Flow::Leave(label)),
                S::Iterate(label) => Ok(Flow::Iterate(label)),
            }
        })
    }

    async fn otherwise(&self, body: Option<CompoundBody>) -> Result<Flow> {
        match body {
            Some(body) => self.block(body).await,
            None => Ok(Flow::Next),
        }
    }

    async fn condition(&self, condition: &Expr) -> Result<bool> {
        if self.statement.context.cancel.is_cancelled() {
            return Err(crate::execution::cancelled());
        }
        self.fresh().is_true(condition).await
    }

    async fn plan(&self, plan: Plan) -> Result<Flow> {
        let is_query = matches!(plan, Plan::Query(_));
        let execution = self.fresh().run(plan).await?;
        let schema = execution.schema.clone();
        let batches = execution.collect().await?;
        if is_query || !schema.fields.is_empty() {
            *self.last.lock() = Some((schema, batches));
        }
        Ok(Flow::Next)
    }

    /// FOR: each row's columns are variables of the body, by name and as `variable.column`.
    async fn each(
        &self,
        label: Option<String>,
        variable: Option<String>,
        query: Relation,
        body: CompoundBody,
    ) -> Result<Flow> {
        let (schema, batches) = self.fresh().collect(&query).await?;
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let scopes = &self.statement.context.scopes;
                let depth = scopes.depth();
                scopes.enter(variable.as_deref().unwrap_or_default());
                for (column, field) in batch.columns().iter().zip(schema.fields.iter()) {
                    let value = datafusion::common::ScalarValue::try_from_array(column, row)
                        .map_err(crate::error::from_datafusion)?;
                    let variable = Variable {
                        name: field.name.clone(),
                        data_type: field.data_type.clone(),
                        default: value.clone(),
                        value,
                    };
                    scopes.declare(variable, true);
                }
                let flow = self.block(body.clone()).await;
                scopes.truncate(depth);
                if let Some(flow) = after_round(flow?, &label) {
                    return Ok(flow);
                }
            }
        }
        Ok(Flow::Next)
    }
}

fn is_label(own: &Option<String>, wanted: &str) -> bool {
    own.as_ref().is_some_and(|label| label.eq_ignore_ascii_case(wanted))
}

/// What follows a round of a loop: `None` is another round.
fn after_round(flow: Flow, label: &Option<String>) -> Option<Flow> {
    match flow {
        Flow::Next => None,
        Flow::Iterate(wanted) if is_label(label, &wanted) => None,
        Flow::Leave(wanted) if is_label(label, &wanted) => Some(Flow::Next),
        other => Some(other),
    }
}

/// The most specific handler: by condition name, then SQLSTATE, then NOT FOUND, then SQLEXCEPTION.
fn find_handler<'b>(body: &'b CompoundBody, error: &SparkError) -> Option<&'b Handler> {
    let state = error.sql_state();
    let rank = |wanted: &String| -> Option<usize> {
        let upper = wanted.to_uppercase();
        match upper.strip_prefix("SQLSTATE ") {
            Some(code) => (code.trim_matches('\'') == state).then_some(1),
            None if upper == "SQLEXCEPTION" => (!state.starts_with("02")).then_some(3),
            None if upper == "NOT FOUND" => state.starts_with("02").then_some(2),
            None => (upper == error.condition().to_uppercase() || error.is(&upper)).then_some(0),
        }
    };
    let best = |handler: &'b Handler| handler.conditions.iter().filter_map(rank).min().map(|rank| (rank, handler));
    body.handlers.iter().filter_map(best).min_by_key(|(rank, _)| *rank).map(|(_, handler)| handler)
}
