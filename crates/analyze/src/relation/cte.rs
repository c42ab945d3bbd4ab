//! WITH: common table expressions, recursive ones too, and SQL text with parameters.
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, RecursiveQuery};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::relation::Cte;
use firesteel_plan::{Expr, Plan, Relation, RelationKind, Result, SetOpType, SparkError};

use crate::analyzer::{Analyzer, CteBinding, CteEntry};
use crate::from_datafusion;
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    pub(super) fn with_ctes(&self, input: &Relation, ctes: &[Cte], recursive: bool) -> Result<Resolved> {
        let before = self.ctes.borrow().len();
        for (index, cte) in ctes.iter().enumerate() {
            if ctes[..index].iter().any(|earlier| self.same_name(&earlier.name, &cte.name)) {
                self.ctes.borrow_mut().truncate(before);
                return Err(SparkError::new(
                    "DUPLICATED_CTE_NAMES",
                    [("duplicateNames", firesteel_plan::quote_identifier(&cte.name))],
                ));
            }
            let visible_ctes = self.ctes.borrow().len() + usize::from(recursive);
            let binding = CteBinding::Query(Arc::new(cte.clone()));
            self.ctes.borrow_mut().push(CteEntry { name: cte.name.clone(), binding, visible_ctes });
        }
        let resolved = self.relation(input);
        self.ctes.borrow_mut().truncate(before);
        resolved
    }

    /// The CTE of that name, analyzed afresh for this use.
    pub(crate) fn cte(&self, name: &str) -> Result<Option<Resolved>> {
        let found = {
            let ctes = self.ctes.borrow();
            ctes.iter().rposition(|entry| self.same_name(&entry.name, name)).map(|i| ctes[i].clone())
        };
        let Some(entry) = found else { return Ok(None) };
        let resolved = match &entry.binding {
            CteBinding::Recursive { plan, output } => Resolved::new(plan.clone(), output.clone()).renewed()?,
            CteBinding::Query(cte) => {
                // A CTE sees those before it (and itself, when recursive), not those after.
                let visible = entry.visible_ctes.min(self.ctes.borrow().len());
                let hidden = self.ctes.borrow_mut().split_off(visible);
                let windows = std::mem::take(&mut *self.windows.borrow_mut());
                let resolved = self.cte_query(cte);
                *self.windows.borrow_mut() = windows;
                self.ctes.borrow_mut().extend(hidden);
                resolved?
            }
        };
        let output = resolved.output.iter().map(|a| Attribute { qualifier: vec![entry.name.clone()], ..a.clone() });
        let output = output.collect();
        Ok(Some(Resolved {
            output,
            hidden: vec![],
            extend: None,
            plan_outputs: Default::default(),
            ..resolved.sealed()?
        }))
    }

    fn cte_query(&self, cte: &Cte) -> Result<Resolved> {
        if references(&cte.query, &cte.name)
            && let Some((anchor, recursion, all)) = recursive_parts(&cte.query)
        {
            return self.recursive_cte(cte, anchor, recursion, all);
        }
        let resolved = self.relation(&cte.query)?.sealed()?;
        rename(resolved, &cte.columns)
    }

    fn recursive_cte(&self, cte: &Cte, anchor: &Relation, recursion: &Relation, all: bool) -> Result<Resolved> {
        if !all {
            return Err(SparkError::of("UNION_NOT_SUPPORTED_IN_RECURSIVE_CTE"));
        }
        let anchor = rename(self.relation(anchor)?.sealed()?, &cte.columns)?;
        let id = work_table_id(cte);
        // The work table has the anchor's columns; every use of the name reads it.
        let output: Vec<Attribute> =
            anchor.output.iter().map(|a| Attribute { nullable: true, ..a.renewed() }).collect();
        let columns = anchor.output.iter().zip(&output).map(|(old, new)| old.column().alias(&new.id)).collect();
        let static_plan = project(anchor.plan.clone(), columns)?;
        let schema = Arc::new(nullable_schema(static_plan.schema().as_arrow()));
        let table = datafusion::datasource::cte_worktable::CteWorkTable::new(&id, schema);
        let source = datafusion::datasource::provider_as_source(Arc::new(table));
        let scan = LogicalPlanBuilder::scan(TableReference::bare(id.clone()), source, None)
            .and_then(|b| {
                b.project(output.iter().map(|a| {
                    datafusion::logical_expr::Expr::Column(datafusion::common::Column::new(Some(id.clone()), &a.id))
                        .alias(&a.id)
                }))
            })
            .and_then(|b| b.build())
            .map_err(from_datafusion)?;
        let entry = CteEntry {
            name: cte.name.clone(),
            binding: CteBinding::Recursive { plan: scan, output: output.clone() },
            visible_ctes: 0,
        };
        self.ctes.borrow_mut().push(entry);
        let recursive = self.relation(recursion).and_then(Resolved::sealed);
        self.ctes.borrow_mut().pop();
        let recursive = recursive?;
        if recursive.output.len() != output.len() {
            return Err(SparkError::new(
                "NUM_COLUMNS_MISMATCH",
                [
                    ("operator", "UNION".to_string()),
                    ("firstNumColumns", output.len().to_string()),
                    ("invalidOrdinalNum", "second".to_string()),
                    ("invalidNumColumns", recursive.output.len().to_string()),
                ],
            ));
        }
        let mode = CastMode::of(&self.eval);
        let columns = recursive
            .output
            .iter()
            .zip(&output)
            .map(|(from, to)| Ok(cast(from.typed(), &to.data_type, mode, &self.eval)?.expr.alias(&to.id)));
        let recursive_term = project(recursive.plan.clone(), columns.collect::<Result<_>>()?)?;
        let query = RecursiveQuery::try_new(id, Arc::new(static_plan), Arc::new(recursive_term), false)
            .map_err(from_datafusion)?;
        Resolved::new(LogicalPlan::RecursiveQuery(query), output).renewed()
    }

    /// `spark.sql(text, args)`
    pub(super) fn sql_text(&self, query: &str, named: &[(String, Expr)], positional: &[Expr]) -> Result<Resolved> {
        let plan = firesteel_sql::parse_statement(query, &self.parse_options())?;
        let Plan::Query(relation) = plan else {
            return Err(SparkError::internal("a statement with effects cannot be part of a query"));
        };
        self.with_parameters(named, positional, || self.relation(&relation))
    }
}

/// Stands before the query's own level limit in its work table's id, the one thing that reaches the physical plan.
const LEVEL_MARK: &str = "|max recursion level ";

fn work_table_id(cte: &Cte) -> String {
    let id = fresh_id(&cte.name);
    match cte.max_recursion {
        Some(levels) => format!("{id}{LEVEL_MARK}{levels}"),
        None => id,
    }
}

/// The `MAX RECURSION LEVEL` of the recursive query with that work table.
pub fn max_recursion(work_table_id: &str) -> Option<i64> {
    work_table_id.rsplit_once(LEVEL_MARK)?.1.parse().ok()
}

fn nullable_schema(schema: &arrow::datatypes::Schema) -> arrow::datatypes::Schema {
    let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    arrow::datatypes::Schema::new(fields)
}

/// New names for the columns, where given.
pub(crate) fn rename(resolved: Resolved, names: &[String]) -> Result<Resolved> {
    if names.is_empty() {
        return Ok(resolved);
    }
    if names.len() != resolved.output.len() {
        return Err(SparkError::new(
            "ASSIGNMENT_ARITY_MISMATCH",
            [("numExpr", names.len().to_string()), ("numTarget", resolved.output.len().to_string())],
        ));
    }
    let output = resolved.output.iter().zip(names).map(|(a, name)| Attribute { name: name.clone(), ..a.clone() });
    let output = output.collect();
    Ok(Resolved { output, ..resolved })
}

/// Anchor and recursion of `anchor UNION [ALL] recursion`.
fn recursive_parts(query: &Relation) -> Option<(&Relation, &Relation, bool)> {
    match query.kind.as_ref() {
        RelationKind::SetOperation { left, right, op: SetOpType::Union, all, .. } => Some((left, right, *all)),
        RelationKind::SubqueryAlias { input, .. } => recursive_parts(input),
        _ => None,
    }
}

/// Whether `name` may stand for a table somewhere in the query. A false alarm only costs a check.
fn references(query: &Relation, name: &str) -> bool {
    format!("{:?}", query.kind).to_lowercase().contains(&format!("parts([\"{}\"])", name.to_lowercase()))
}
