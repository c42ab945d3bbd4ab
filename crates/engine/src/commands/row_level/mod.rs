//! Rows that change, whatever the format of their table: UPDATE, DELETE and MERGE by writing files anew (copy on write).
//!
//! ```text
//!  rows of the files, with FILE ──▶ condition, or join with the source ──▶ touched files              (touched)
//!  rows of the touched files ──▶ what each clause assigns ──▶ ACTION and new values ──▶ new files     (clauses, act)
//! ```
//! A format says which rows its files have, writes the new ones and commits: see `delta::merge` and `iceberg::rows`.
use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use firesteel_analyze::{AnalyzedPlan, Attribute};
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::{DataType, Expr, ExprKind, Relation, RelationKind, Result, SparkError, StructType};

use super::Statement;
use crate::execution::Execution;
use crate::rows::{Cell, Rows};

mod act;
mod clauses;
mod touched;

pub use act::{Acted, Change, Counts, act, stays};
pub use clauses::{Clauses, Fate};
pub use touched::{Merge, join};

/// Which file a row comes from, by its place among the files in question.
pub const FILE: &str = "__file";
/// What becomes of a row.
pub const ACTION: &str = "__action";

/// A table whose rows change, as the statement names it.
#[derive(Debug, Clone)]
pub struct Target {
    /// How errors name it
    pub name: String,
    /// How columns of it are qualified where it has no alias
    pub qualifier: Vec<String>,
    pub alias: Option<String>,
    /// The ids of the DataFrames that the statement reaches the table by: the table itself, and its alias.
    pub plan_ids: (Option<i64>, Option<i64>),
    /// The columns before the change
    pub schema: StructType,
    pub dialect: Dialect,
}

/// Whose conditions errors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Delta,
    /// Spark's own, for formats that leave the statement to it
    Spark,
}

impl Target {
    /// Rows of the table under its name or alias.
    pub fn named(&self, rows: Relation) -> Relation {
        let rows = rows.with_plan_id(self.plan_ids.0);
        match &self.alias {
            Some(alias) => rows.alias(alias).with_plan_id(self.plan_ids.1),
            None => rows,
        }
    }

    /// A column of the table by its full name, which no other relation's column can be meant by.
    pub fn column(&self, name: &str) -> Expr {
        let mut parts = match &self.alias {
            Some(alias) => vec![alias.clone()],
            None => self.qualifier.clone(),
        };
        parts.push(name.to_string());
        Expr::parts(parts)
    }

    /// The table's columns, in order.
    pub fn columns(&self) -> Vec<Expr> {
        self.schema.fields.iter().map(|field| self.column(&field.name).alias(&field.name)).collect()
    }
}

/// How many rows of each file are in `rows`, which have [`FILE`].
pub async fn count_by_file(st: &Statement, rows: Relation) -> Result<BTreeMap<usize, u64>> {
    let count = Expr::call("count", vec![Expr::int(1)]).alias("rows");
    let counted = Relation::new(RelationKind::Aggregate {
        input: Box::new(rows),
        grouping: Grouping::By(vec![GroupingElement::Expression(Expr::name(FILE))]),
        aggregates: vec![Expr::name(FILE), count],
        pivot: None,
    });
    let (_, batches) = st.collect(&counted).await?;
    let mut counts = BTreeMap::new();
    for batch in batches {
        let files = batch.column(0).as_primitive::<Int32Type>();
        let rows = batch.column(1).as_primitive::<Int64Type>();
        for (file, rows) in files.iter().zip(rows.iter()) {
            let file = usize::try_from(file.unwrap_or_default()).unwrap_or_default();
            counts.insert(file, rows.unwrap_or_default().unsigned_abs());
        }
    }
    Ok(counts)
}

/// Checks the columns and types of an UPDATE that changes nothing: `rows` are those of the table.
pub async fn check_assignments(st: &Statement, rows: Relation, assignments: &[(Vec<String>, Expr)]) -> Result<()> {
    let given = assignments.iter().map(|(_, value)| value).filter(|value| !matches!(*value.kind, ExprKind::Default));
    let values: Vec<Expr> = given.map(|value| value.clone().alias("value")).collect();
    let columns = assignments.iter().map(|(name, _)| Expr::parts(name.clone()).alias("column"));
    st.analyze(&rows.project(columns.chain(values).collect())).await.map(|_| ())
}

/// One row of counts.
pub fn answer(counts: &[(&str, Option<u64>)]) -> Result<Execution> {
    let columns: Vec<_> = counts.iter().map(|(name, _)| (*name, DataType::Long, true)).collect();
    let cell = |count: Option<u64>| Cell::from(count.and_then(|count| i64::try_from(count).ok()));
    Rows::new(&columns).with([counts.iter().map(|(_, count)| cell(*count)).collect()]).into_execution()
}

/// The column of a plan with that name.
pub fn attribute<'a>(plan: &'a AnalyzedPlan, name: &str) -> Result<&'a Attribute> {
    let found = plan.output.iter().find(|a| a.name == name);
    found.ok_or_else(|| SparkError::internal(format!("the plan has no column {name}")))
}

fn with_column(relation: Relation, column: Expr) -> Relation {
    relation.project(vec![Expr::star(), column])
}
