//! What every row that is written into a Delta table must obey.
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlanBuilder;
use firesteel_analyze::{AnalyzedPlan, Analyzer, Attribute};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_lake::SourceOptions;
use firesteel_lake::delta::{DeltaWrite, RowCheck, TableMetadata, WrittenFiles, write_data};
use firesteel_plan::relation::Options;
use firesteel_plan::{DataType, Expr, Result, SparkError, StructField, StructType};
use firesteel_storage::{Location, Storage};

use crate::commands::Statement;
use crate::commands::describe::metadata_text;
use crate::commands::write::Observed;
use crate::error::from_datafusion;

/// Metadata keys of columns.
pub const GENERATION_KEY: &str = "delta.generationExpression";

/// Where rows go.
pub struct RowTarget<'a> {
    pub location: &'a Location,
    pub storage: Storage,
    pub metadata: &'a TableMetadata,
    pub options: Options,
}

/// Rows in the order of the table's columns, with their checks behind them.
pub struct CheckedRows {
    pub analyzed: AnalyzedPlan,
    pub checks: Vec<RowCheck>,
    /// Whether an action follows the checks.
    pub has_actions: bool,
}

/// The expression that a generated column has.
pub fn generation_of(field: &StructField) -> Option<String> {
    metadata_text(field, GENERATION_KEY)
}

/// A condition that the rows must obey besides the table's own.
pub struct ExtraCheck {
    pub expr: Expr,
    pub error: SparkError,
}

/// The rows under the table's columns. `rows` has those it holds by name (an `action` column may follow); a generated
/// column that it lacks is computed, any other is NULL or has its default.
pub async fn checked(
    st: &Statement,
    metadata: &TableMetadata,
    rows: AnalyzedPlan,
    action: Option<Attribute>,
    extra: Vec<ExtraCheck>,
) -> Result<CheckedRows> {
    let (metadata, eval) = (metadata.clone(), Arc::clone(&st.context.eval));
    crate::run::with_analyzer(&st.context, &st.parameters, move |analyzer| {
        let (complete, generated) = complete(analyzer, &metadata, rows, action.as_ref(), &eval)?;
        with_checks(analyzer, &metadata, complete, generated, action, extra)
    })
    .await
}

fn parse(analyzer: &Analyzer<'_>, text: &str) -> Result<Expr> {
    firesteel_sql::parse_expression(text, &analyzer.parse_options())
}

/// The default of a column, as a constant of its type.
pub fn default_of(
    analyzer: &Analyzer<'_>,
    field: &StructField,
    text: &str,
    eval: &Arc<firesteel_functions::EvalContext>,
) -> Result<TypedExpr> {
    cast(analyzer.constant(&parse(analyzer, text)?)?, &field.data_type, CastMode::Ansi, eval)
}

/// Adds the columns that the rows lack. Answers which generated columns the rows did hold: those are checked.
fn complete(
    analyzer: &Analyzer<'_>,
    metadata: &TableMetadata,
    rows: AnalyzedPlan,
    action: Option<&Attribute>,
    eval: &Arc<firesteel_functions::EvalContext>,
) -> Result<(AnalyzedPlan, Vec<StructField>)> {
    let mut held_generated = vec![];
    let mut columns = vec![];
    for field in metadata.schema.fields.iter() {
        let found = rows.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name));
        let typed = match (found, generation_of(field)) {
            (Some(attribute), generation) => {
                if generation.is_some() {
                    held_generated.push(field.clone());
                }
                attribute.typed()
            }
            (None, Some(text)) => {
                let typed = analyzer.over(&parse(analyzer, &text)?, &rows.output)?;
                cast(typed, &field.data_type, CastMode::Ansi, eval)?
            }
            (None, None) => match metadata_text(field, crate::commands::insert::DEFAULT_KEY) {
                Some(text) => default_of(analyzer, field, &text, eval)?,
                None => TypedExpr::null(field.data_type.clone()),
            },
        };
        columns.push((typed, field.clone()));
    }
    if let Some(action) = action {
        columns.push((action.typed(), action.to_field()));
    }
    Ok((crate::commands::write::project(&rows, columns)?, held_generated))
}

/// Appends a BOOLEAN column for each condition.
fn with_checks(
    analyzer: &Analyzer<'_>,
    metadata: &TableMetadata,
    rows: AnalyzedPlan,
    generated: Vec<StructField>,
    action: Option<Attribute>,
    extra: Vec<ExtraCheck>,
) -> Result<CheckedRows> {
    let width = metadata.schema.fields.len();
    let columns = &rows.output[..width];
    let mut conditions: Vec<(TypedExpr, RowCheck)> = vec![];
    let referenced = |typed: &TypedExpr| -> Vec<usize> {
        let used = typed.expr.column_refs();
        (0..width).filter(|index| used.iter().any(|c| c.name == columns[*index].id)).collect()
    };
    for (name, text) in metadata.constraints() {
        let typed = analyzer.over(&parse(analyzer, text)?, columns)?;
        let shown = referenced(&typed);
        conditions.push((typed, RowCheck::constraint(name, text, shown)));
    }
    for field in &generated {
        let text = generation_of(field).unwrap_or_default();
        let text = format!("{} <=> {text}", firesteel_plan::quote_identifier(&field.name));
        let typed = analyzer.over(&parse(analyzer, &text)?, columns)?;
        let shown = referenced(&typed);
        conditions.push((typed, RowCheck::constraint("Generated Column", &text, shown)));
    }
    for check in extra {
        let typed = analyzer.over(&check.expr, columns)?;
        conditions.push((typed, RowCheck::of(check.error)));
    }
    let mut all: Vec<(TypedExpr, StructField)> = columns.iter().map(|a| (a.typed(), a.to_field())).collect();
    let mut checks: Vec<RowCheck> = vec![];
    for (index, (typed, check)) in conditions.into_iter().enumerate() {
        if typed.data_type != DataType::Boolean {
            let parameters = [("name", check.name.clone()), ("expr", typed.sql.clone())];
            return Err(SparkError::new("DELTA_NON_BOOLEAN_CHECK_CONSTRAINT", parameters));
        }
        all.push((typed, StructField::new(format!("__check_{index}"), DataType::Boolean, true)));
        checks.push(check);
    }
    let has_actions = action.is_some();
    if has_actions && let Some(attribute) = rows.output.get(width) {
        all.push((attribute.typed(), attribute.to_field()));
    }
    let analyzed = crate::commands::write::project(&rows, all)?;
    Ok(CheckedRows { analyzed, checks, has_actions })
}

/// Writes checked rows as files of the table. The files are not part of it before they are committed.
pub async fn write_checked(
    st: &Statement,
    target: &RowTarget<'_>,
    rows: CheckedRows,
) -> Result<(WrittenFiles, Observed)> {
    let width = target.metadata.schema.fields.len();
    let fields = rows.analyzed.schema.fields[..width].iter().zip(target.metadata.schema.fields.iter());
    // The table's own names and types; NULL is checked as the rows are written.
    let schema = fields.map(|(_, field)| StructField { nullable: true, ..plain(field) });
    let write = DeltaWrite {
        location: target.location,
        storage: &target.storage,
        metadata: target.metadata,
        schema: StructType::new(schema.collect()),
        options: SourceOptions::new(target.options.clone()),
        conf: st.context.delta_conf(),
        is_changes: false,
        checks: rows.checks,
        has_actions: rows.has_actions,
    };
    run_write(st, &rows.analyzed, write).await
}

/// A field without what concerns the log alone.
fn plain(field: &StructField) -> StructField {
    StructField { metadata: Default::default(), ..field.clone() }
}

/// Writes rows of changes: the table's columns, then `_change_type`.
pub async fn write_changes(st: &Statement, target: &RowTarget<'_>, rows: &AnalyzedPlan) -> Result<WrittenFiles> {
    let fields = target.metadata.schema.fields.iter().map(|field| StructField { nullable: true, ..plain(field) });
    let change = StructField::new("_change_type", DataType::STRING, true);
    let write = DeltaWrite {
        location: target.location,
        storage: &target.storage,
        metadata: target.metadata,
        schema: StructType::new(fields.chain([change]).collect()),
        options: SourceOptions::new(target.options.clone()),
        conf: st.context.delta_conf(),
        is_changes: true,
        checks: vec![],
        has_actions: false,
    };
    Ok(run_write(st, rows, write).await?.0)
}

async fn run_write(st: &Statement, analyzed: &AnalyzedPlan, write: DeltaWrite<'_>) -> Result<(WrittenFiles, Observed)> {
    crate::run::run_job(&st.context, analyzed, st.job(), async |planned| {
        let plan = crate::exec::ungathered(&planned.plan);
        let cancel = st.context.cancel.clone().cancelled_owned();
        write_data(plan, Arc::clone(&planned.task), write, cancel).await
    })
    .await
}

/// Plans with the same columns, one after another.
pub fn union_of(plans: Vec<AnalyzedPlan>) -> Result<AnalyzedPlan> {
    let mut plans = plans.into_iter();
    let mut all = plans.next().ok_or_else(|| SparkError::internal("a union of nothing"))?;
    for next in plans {
        let union = LogicalPlanBuilder::from(all.plan.clone()).union(next.plan).and_then(|b| b.build());
        all.plan = union.map_err(from_datafusion)?;
    }
    Ok(all)
}
