//! `EXPLAIN`: the plans as text, and what a plan reads.
mod operators;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use firesteel_analyze::AnalyzedPlan;
use firesteel_lake::{FileTable, TableLog};
use firesteel_plan::command::ExplainMode;
use firesteel_plan::{Relation, Result};

use crate::context::StatementContext;
use crate::error::from_datafusion;
use crate::run::{self, Parameters};

use operators::Operators;

/// `EXPLAIN [mode]` of a query.
pub async fn query(
    context: &StatementContext,
    _parameters: &Arc<Parameters>,
    relation: &Relation,
    analyzed: &AnalyzedPlan,
    mode: ExplainMode,
) -> Result<String> {
    let planned = run::physical(context, &analyzed.plan).await?;
    let physical = Operators::of(&planned.plan).tree();
    let optimized = || {
        let state = crate::state::of_session(&context.session, &analyzed.plan, 0);
        state.optimize(&analyzed.plan).map(|plan| plan.display_indent().to_string()).map_err(from_datafusion)
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match mode {
        ExplainMode::Simple => write!(text, "== Physical Plan ==\n{physical}\n"),
        ExplainMode::Extended => write!(
            text,
            "== Parsed Logical Plan ==\n{}\n\n== Analyzed Logical Plan ==\n{}\n{}\n\n== Optimized Logical Plan ==\n{}\n\n== \
             Physical Plan ==\n{physical}",
            unresolved(relation),
            columns(analyzed),
            analyzed.plan.display_indent(),
            optimized()?
        ),
        ExplainMode::Cost => {
            write!(
                text,
                "== Optimized Logical Plan ==\n{}, {}\n\n== Physical Plan ==\n{}\n",
                optimized()?,
                operators::statistics(&planned.plan),
                Operators::of(&planned.plan).tree_with_statistics()
            )
        }
        ExplainMode::Codegen => write!(
            text,
            "Found 0 WholeStageCodegen subtrees: Firesteel runs compiled operators and generates no code.\n\n== Physical \
             Plan ==\n{physical}"
        ),
        ExplainMode::Formatted => write!(text, "== Physical Plan ==\n{}\n", Operators::of(&planned.plan).numbered()),
    };
    text.push_str(&log_files(context, analyzed)?);
    Ok(text)
}

/// How many files of each table with a log the plan reads: the statistics in the log leave out the others.
fn log_files(context: &StatementContext, analyzed: &AnalyzedPlan) -> Result<String> {
    let state = crate::state::of_session(&context.session, &analyzed.plan, 0);
    let optimized = state.optimize(&analyzed.plan).map_err(from_datafusion)?;
    let mut text = String::new();
    optimized
        .apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Ok(provider) = source_as_provider(&scan.source)
                && let Some(table) = provider.downcast_ref::<FileTable>()
                && let Some(log) = table.scan().log()
            {
                let kept = table.kept(&scan.filters, &state)?.len();
                let all = table.scan().files().len();
                let roots: Vec<_> = table.scan().roots().map(ToString::to_string).collect();
                let place = roots.join(", ");
                text.push_str(&match log {
                    TableLog::Delta(delta) => {
                        format!("DeltaFiles: {kept} of {all} ({place}, version {})\n", delta.version)
                    }
                    TableLog::Iceberg(iceberg) => match iceberg.snapshot {
                        Some(snapshot) => format!("IcebergFiles: {kept} of {all} ({place}, snapshot {snapshot})\n"),
                        None => format!("IcebergFiles: none ({place}, no snapshot)\n"),
                    },
                });
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_datafusion)?;
    Ok(if text.is_empty() { text } else { format!("\n{text}") })
}

fn columns(analyzed: &AnalyzedPlan) -> String {
    let fields = analyzed.schema.fields.iter();
    fields.map(|f| format!("{}: {}", f.name, f.data_type.simple_string())).collect::<Vec<_>>().join(", ")
}

/// What the plan's leaves read, which its text does not say.
fn leaves(plan: &LogicalPlan) -> String {
    let mut text = String::new();
    // The closure never fails.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            match source_as_provider(&scan.source) {
                Ok(provider) => text.push_str(&format!("{provider:?}\n")),
                Err(error) => text.push_str(&format!("{error}\n")),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    text
}

/// The operators before analysis, by the name they have in the plan.
fn unresolved(relation: &Relation) -> String {
    let text = format!("{:?}", relation.kind);
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    format!("'{name}")
}

/// URLs of the files below a plan.
pub fn input_files(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut files = BTreeSet::new();
    for_each_scan(plan, &mut |table| files.extend(table.scan().input_files()))?;
    Ok(files.into_iter().collect())
}

/// See [`crate::Analyzed::data_fingerprint`].
pub fn data_fingerprint(plan: &LogicalPlan) -> Result<u64> {
    let mut files = BTreeSet::new();
    for_each_scan(plan, &mut |table| {
        let sources = table.scan().sources();
        files.extend(sources.map(|file| (file.location.to_string(), file.size, file.modified_us)));
    })?;
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    Ok(hasher.finish())
}

/// The version of the Delta table that a plan reads; `None` where it reads none, or several versions.
pub fn delta_version(plan: &LogicalPlan) -> Result<Option<u64>> {
    let mut versions = BTreeSet::new();
    for_each_scan(plan, &mut |table| {
        if let Some(TableLog::Delta(delta)) = table.scan().log() {
            versions.insert(delta.version);
        }
    })?;
    Ok(versions.pop_first().filter(|_| versions.is_empty()))
}

fn for_each_scan(plan: &LogicalPlan, visit: &mut dyn FnMut(&FileTable)) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<FileTable>()
        {
            visit(table);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    Ok(())
}

/// The plan's text with columns numbered in order of appearance, whatever their names: equal for plans that mean the
/// same.
pub fn canonical(analyzed: &AnalyzedPlan) -> String {
    let types: Vec<_> = analyzed.schema.fields.iter().map(|f| f.data_type.simple_string()).collect();
    let text = format!("{}\n{}\n{}", analyzed.plan.display_indent(), types.join(", "), leaves(&analyzed.plan));
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut canonical = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('#') {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        canonical.push_str(rest[..at].trim_end_matches(is_name));
        canonical.push('#');
        rest = &rest[at + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let next = numbers.len();
            let number = *numbers.entry(rest[..digits].to_string()).or_insert(next);
            canonical.push_str(&number.to_string());
            rest = &rest[digits..];
        }
    }
    canonical.push_str(rest);
    canonical
}
