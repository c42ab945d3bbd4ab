//! What becomes of each row: its action, and its values before and after.
use std::collections::BTreeMap;

use datafusion::logical_expr::{case, lit};
use firesteel_analyze::{AnalyzedPlan, Attribute};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::store_assign;
use firesteel_plan::{DataType, Expr, Relation, Result, StructField, StructType};

use super::clauses::{Clause, coded};
use super::{ACTION, Clauses, FILE, Fate, Target, attribute, with_column};
use crate::commands::Statement;
use crate::error::from_datafusion;

/// A row that is not written and never was in the table.
const SKIPPED: i32 = -1_000_000;

/// Rows that change.
pub struct Change {
    /// The rows of the touched files with [`FILE`]; for MERGE joined with the source.
    pub rows: Relation,
    /// Names of the source's columns, and how they are reached
    pub source_columns: Vec<(String, Expr)>,
    /// The table's columns after the change
    pub schema: StructType,
    pub clauses: Clauses,
}

impl Change {
    /// UPDATE and DELETE have no source.
    pub(super) fn is_merge(&self) -> bool {
        !self.source_columns.is_empty()
    }
}

/// How many rows had which fate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub updated: u64,
    pub deleted: u64,
    pub inserted: u64,
    pub copied: u64,
}

impl Counts {
    pub fn changed(&self) -> u64 {
        self.updated + self.deleted + self.inserted
    }
}

/// Rows with their old values (`__old_i`), their new ones (`__row_i`) and their action.
pub struct Acted {
    pub analyzed: AnalyzedPlan,
    pub action: Attribute,
    schema: StructType,
    clauses: Vec<Clause>,
}

/// Puts the clauses to the rows.
pub async fn act(st: &Statement, target: &Target, change: Change) -> Result<Acted> {
    let is_merge = change.is_merge();
    let anti = is_merge && change.clauses.matched.is_empty() && change.clauses.not_matched_by_source.is_empty();
    let clauses = coded(st, target, &change, anti)?;
    // With the action of each row beside it, values are computed for the rows of their clause alone.
    let mut branches = vec![];
    for clause in &clauses {
        branches.extend([clause.guard.clone(), Expr::int(clause.code)]);
    }
    let in_target = || Expr::call("isnotnull", vec![Expr::name(FILE)]);
    branches.push(match (anti, is_merge) {
        (true, _) => Expr::int(SKIPPED),
        (false, true) => Expr::call("when", vec![in_target(), Expr::int(0), Expr::int(SKIPPED)]),
        (false, false) => Expr::int(0),
    });
    let rows = with_column(change.rows, Expr::call("when", branches).alias(ACTION));
    let own = target.schema.fields.len();
    let mut columns: Vec<Expr> = vec![Expr::name(ACTION)];
    for (index, field) in change.schema.fields.iter().enumerate() {
        let old = match index < own && !anti {
            true => target.column(&field.name),
            false => Expr::null().cast(field.data_type.as_nullable()),
        };
        columns.push(old.alias(format!("__old_{index}")));
    }
    for clause in &clauses {
        for (index, value) in &clause.assignments {
            let is_its = Expr::call("==", vec![Expr::name(ACTION), Expr::int(clause.code)]);
            let guarded = Expr::call("when", vec![is_its, value.clone()]);
            columns.push(guarded.alias(format!("__new_{}_{index}", clause.code)));
        }
    }
    let computed = st.analyze(&rows.project(columns)).await?;
    let analyzed = assigned(st, target, &change.schema, &computed, &clauses)?;
    let action = attribute(&analyzed, ACTION)?.clone();
    Ok(Acted { analyzed, action, schema: change.schema, clauses })
}

/// The condition of rows that a DELETE leaves.
pub fn stays(condition: &Expr) -> Expr {
    Expr::call("not", vec![Expr::call("coalesce", vec![condition.clone(), Expr::boolean(false)])])
}

fn assigned(
    st: &Statement,
    target: &Target,
    schema: &StructType,
    computed: &AnalyzedPlan,
    clauses: &[Clause],
) -> Result<AnalyzedPlan> {
    let action = attribute(computed, ACTION)?.clone();
    let mut columns: Vec<(TypedExpr, StructField)> = vec![];
    for (index, field) in schema.fields.iter().enumerate() {
        let data_type = field.data_type.as_nullable();
        let old = attribute(computed, &format!("__old_{index}"))?.clone();
        columns.push((old.typed(), StructField::new(&old.name, data_type.clone(), true)));
        let mut value = None;
        for clause in clauses.iter().filter(|clause| clause.fate != Fate::Delete) {
            let is_assigned = clause.assignments.iter().any(|(at, _)| *at == index);
            let typed = match (is_assigned, clause.fate) {
                (true, _) => {
                    let new = attribute(computed, &format!("__new_{}_{index}", clause.code))?;
                    stored(st, target, new, &data_type, &field.name)?.expr
                }
                // An insert leaves NULL where it says nothing.
                (false, Fate::Insert) => TypedExpr::null(data_type.clone()).expr,
                (false, _) => continue,
            };
            let mut builder = value.take().unwrap_or_else(|| case(action.column()));
            value = Some(builder.when(lit(clause.code), typed));
        }
        let expr = match value {
            None => old.column(),
            Some(mut builder) => builder.otherwise(old.column()).map_err(from_datafusion)?,
        };
        let typed = TypedExpr::new(expr, data_type.clone(), true, field.name.clone());
        columns.push((typed, StructField::new(format!("__row_{index}"), data_type, true)));
    }
    columns.push((action.typed(), action.to_field()));
    crate::commands::write::project(computed, columns)
}

/// A value as the column's type, by the rules of assignment.
fn stored(st: &Statement, target: &Target, new: &Attribute, to: &DataType, column: &str) -> Result<TypedExpr> {
    if new.data_type.as_nullable() == *to {
        return Ok(new.typed());
    }
    store_assign(new.typed(), to, &target.name, column, &st.context.eval)
}

impl Acted {
    /// Whether a clause assigns to the column at this place.
    pub fn is_set(&self, index: usize) -> bool {
        self.clauses.iter().any(|clause| clause.assignments.iter().any(|(at, _)| *at == index))
    }

    /// The table's columns with the values before (`__old_`) or after (`__row_`).
    pub fn columns(&self, rows: &AnalyzedPlan, prefix: &str) -> Result<Vec<(TypedExpr, StructField)>> {
        let column = |(index, field): (usize, &StructField)| {
            let found = attribute(rows, &format!("{prefix}{index}"))?;
            let field = StructField { data_type: field.data_type.as_nullable(), nullable: true, ..field.clone() };
            Ok((found.typed(), field))
        };
        self.schema.fields.iter().enumerate().map(column).collect()
    }

    /// The new values of the columns that `is_wanted`, then the action.
    pub fn new_rows(&self, is_wanted: impl Fn(usize) -> bool) -> Result<AnalyzedPlan> {
        let columns = self.columns(&self.analyzed, "__row_")?.into_iter().enumerate();
        let mut columns: Vec<_> = columns.filter(|(at, _)| is_wanted(*at)).map(|(_, column)| column).collect();
        columns.push((self.action.typed(), self.action.to_field()));
        crate::commands::write::project(&self.analyzed, columns)
    }

    /// The actions of rows with this fate.
    pub fn codes(&self, fate: Fate) -> Vec<i32> {
        self.clauses.iter().filter(|clause| clause.fate == fate).map(|clause| clause.code).collect()
    }

    /// The fates of rows that are counted by their actions.
    pub fn counts(&self, actions: &BTreeMap<i32, u64>) -> Counts {
        let mut counts = Counts::default();
        for (code, rows) in actions {
            match self.clauses.iter().find(|clause| clause.code == *code).map(|clause| clause.fate) {
                Some(Fate::Update) => counts.updated += rows,
                Some(Fate::Delete) => counts.deleted += rows,
                Some(Fate::Insert) => counts.inserted += rows,
                None if *code == 0 => counts.copied += rows,
                None => {}
            }
        }
        counts
    }
}
