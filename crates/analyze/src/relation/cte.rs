//! WITH: common table expressions, recursive ones too, and SQL text with parameters.
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, RecursiveQuery};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::coerce::wider_type;
use firesteel_plan::relation::Cte;
use firesteel_plan::{Expr, JoinType, Plan, Relation, RelationKind, Result, SetOpType, SparkError};

use crate::analyzer::{Analyzer, CteBinding, CteEntry};
use crate::from_datafusion;
use crate::nodes::partition_columns;
use crate::nodes::work_table::WorkTable;
use crate::relation::is_random;
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    pub(super) fn with_ctes(&self, input: &Relation, ctes: &[Cte], recursive: bool) -> Result<Resolved> {
        self.with_scope(ctes, recursive, || {
            let resolved = self.relation(input)?;
            self.check_unused(ctes)?;
            Ok(resolved)
        })
    }

    /// A CTE that nothing reads has to be right all the same.
    fn check_unused(&self, ctes: &[Cte]) -> Result<()> {
        for cte in ctes {
            let found = self.ctes.borrow().iter().rev().find(|e| self.same_name(&e.name, &cte.name)).cloned();
            if found.is_some_and(|entry| !entry.used.get()) {
                self.cte(&cte.name)?;
            }
        }
        Ok(())
    }

    /// Runs `work` where these CTEs are in sight.
    fn with_scope<T>(&self, ctes: &[Cte], recursive: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
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
            self.ctes.borrow_mut().push(CteEntry {
                name: cte.name.clone(),
                binding,
                visible_ctes,
                visible_scopes: self.outer.borrow().len(),
                used: Default::default(),
            });
        }
        let result = work();
        self.ctes.borrow_mut().truncate(before);
        result
    }

    /// Takes the scopes out of sight that are around the use of a CTE, not around its definition.
    fn hide_scopes(&self, visible: usize) -> Vec<std::rc::Rc<crate::expr::Scope>> {
        let mut outer = self.outer.borrow_mut();
        let visible = visible.min(outer.len());
        outer.split_off(visible)
    }

    /// Gives a CTE in sight another meaning; answers the former one, if it is in sight.
    fn bind(&self, index: usize, binding: CteBinding) -> Option<CteBinding> {
        self.ctes.borrow_mut().get_mut(index).map(|entry| std::mem::replace(&mut entry.binding, binding))
    }

    fn rebind(&self, index: usize, former: Option<CteBinding>) {
        if let Some(binding) = former {
            self.bind(index, binding);
        }
    }

    /// The CTE of that name, analyzed afresh for this use.
    pub(crate) fn cte(&self, name: &str) -> Result<Option<Resolved>> {
        let found = {
            let ctes = self.ctes.borrow();
            ctes.iter().rposition(|entry| self.same_name(&entry.name, name)).map(|i| (i, ctes[i].clone()))
        };
        let Some((index, entry)) = found else { return Ok(None) };
        entry.used.set(true);
        let has_row_limit = !self.limit_all.replace(false);
        let resolved = match &entry.binding {
            CteBinding::Plan { plan, output } => Resolved::new(plan.clone(), output.clone()).renewed()?,
            CteBinding::Query(cte) => {
                // A CTE sees those before it (and itself, when recursive), not those after.
                let visible = entry.visible_ctes.min(self.ctes.borrow().len());
                let hidden = self.ctes.borrow_mut().split_off(visible);
                let inner_scopes = self.hide_scopes(entry.visible_scopes);
                let windows = std::mem::take(&mut *self.windows.borrow_mut());
                let own = self.bind(index, CteBinding::Open);
                // Its own name is itself only where it sees itself.
                let resolved = self.cte_query(cte, entry.visible_ctes > index, has_row_limit);
                self.rebind(index, own);
                *self.windows.borrow_mut() = windows;
                self.outer.borrow_mut().extend(inner_scopes);
                self.ctes.borrow_mut().extend(hidden);
                let resolved = resolved?;
                if plan_is_random(&resolved.plan)? {
                    let resolved = resolved.sealed()?;
                    self.bind(index, CteBinding::Plan { plan: resolved.plan.clone(), output: resolved.output.clone() });
                    resolved
                } else {
                    resolved
                }
            }
            // Its own name where no recursion is possible: before the union, or without one.
            CteBinding::Open => return Err(SparkError::of("INVALID_RECURSIVE_CTE")),
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

    fn cte_query(&self, cte: &Cte, recursive: bool, has_row_limit: bool) -> Result<Resolved> {
        if let (true, Some(union)) = (recursive, self.recursive_parts(&cte.query, &cte.name)) {
            let found = match union.scope {
                Some((ctes, recursive)) => {
                    self.with_scope(ctes, recursive, || self.recursive_cte(cte, &union, has_row_limit))
                }
                None => self.recursive_cte(cte, &union, has_row_limit),
            }?;
            if let Some(resolved) = found {
                return Ok(resolved);
            }
        }
        let resolved = self.relation(&cte.query)?.sealed()?;
        rename(resolved, &cte.columns)
    }

    /// The two parts of a recursive query. A WITH before them that has the same name again is meant by both.
    fn recursive_parts<'q>(&self, query: &'q Relation, name: &str) -> Option<RecursiveUnion<'q>> {
        match query.kind.as_ref() {
            RelationKind::SetOperation { left, right, op: SetOpType::Union, all, .. } => {
                Some(RecursiveUnion { scope: None, anchor: left, recursion: right, all: *all })
            }
            RelationKind::SubqueryAlias { input, .. } => self.recursive_parts(input, name),
            RelationKind::With { input, ctes, recursive } if !ctes.iter().any(|c| self.same_name(&c.name, name)) => {
                let union = self.recursive_parts(input, name)?;
                union.scope.is_none().then_some(RecursiveUnion { scope: Some((ctes, *recursive)), ..union })
            }
            _ => None,
        }
    }

    /// The recursive query; nothing where its second part does not read its own name.
    fn recursive_cte(&self, cte: &Cte, union: &RecursiveUnion, has_row_limit: bool) -> Result<Option<Resolved>> {
        let anchor = rename(self.relation(union.anchor)?.sealed()?, &cte.columns)?;
        let id = work_table_id(cte, has_row_limit);
        // The work table has the anchor's columns; every use of the name reads it.
        let output: Vec<Attribute> =
            anchor.output.iter().map(|a| Attribute { nullable: true, ..a.renewed() }).collect();
        let columns = anchor.output.iter().zip(&output).map(|(old, new)| old.column().alias(&new.id)).collect();
        let static_plan = project(anchor.plan.clone(), columns)?;
        let entry = CteEntry {
            name: cte.name.clone(),
            binding: CteBinding::Plan { plan: work_table(&id, &static_plan, &output)?, output: output.clone() },
            visible_ctes: 0,
            visible_scopes: 0,
            used: Default::default(),
        };
        self.ctes.borrow_mut().push(entry);
        self.recursions.borrow_mut().push(id.clone());
        let recursive = self.relation(union.recursion).and_then(Resolved::sealed);
        self.recursions.borrow_mut().pop();
        self.ctes.borrow_mut().pop();
        let recursive = recursive?;
        if !reads(&recursive.plan, &id).map_err(from_datafusion)? {
            return Ok(None);
        }
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
        if !union.all {
            return Err(SparkError::of("UNION_NOT_SUPPORTED_IN_RECURSIVE_CTE"));
        }
        let columns = recursive.output.iter().zip(&output).map(|(from, to)| self.recursive_column(from, to));
        let columns = columns.collect::<Result<_>>()?;
        let recursive_term = project(recursive.plan.clone(), columns)?;
        let query = RecursiveQuery::try_new(id, Arc::new(static_plan), Arc::new(recursive_term), false)
            .map_err(from_datafusion)?;
        let nullable = anchor.output.iter().zip(&recursive.output).map(|(a, r)| a.nullable || r.nullable);
        let output = output.into_iter().zip(nullable).map(|(a, nullable)| Attribute { nullable, ..a }).collect();
        Resolved::new(LogicalPlan::RecursiveQuery(query), output).renewed().map(Some)
    }

    /// A recursive reference cannot stand below an aggregate, a window or a sort.
    pub(super) fn refuse_recursion(&self, input: &LogicalPlan) -> Result<()> {
        for id in self.recursions.borrow().iter() {
            if reads(input, id).map_err(from_datafusion)? {
                return Err(SparkError::of("INVALID_RECURSIVE_REFERENCE.PLACE"));
            }
        }
        Ok(())
    }

    /// Nor on the side of a join that only decides, or that is filled with nulls.
    pub(super) fn refuse_recursion_in_join(&self, left: &Resolved, right: &Resolved, kind: JoinType) -> Result<()> {
        use JoinType::{Cross, FullOuter, Inner, LeftAnti, LeftOuter, LeftSemi, RightOuter};
        if matches!(kind, RightOuter | FullOuter) {
            self.refuse_recursion(&left.plan)?;
        }
        match kind {
            LeftOuter | LeftSemi | LeftAnti | FullOuter => self.refuse_recursion(&right.plan),
            Inner | Cross | RightOuter => Ok(()),
        }
    }

    /// The recursion's column in the anchor's type, which has to be the wider one.
    fn recursive_column(&self, from: &Attribute, to: &Attribute) -> Result<datafusion::logical_expr::Expr> {
        let wider = wider_type(&to.data_type, &from.data_type, &self.eval);
        if from.data_type != to.data_type && wider.is_some_and(|wider| wider != to.data_type) {
            let quoted = |data_type: &firesteel_plan::DataType| format!("\"{}\"", data_type.sql());
            return Err(SparkError::new(
                "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE",
                [("left", quoted(&to.data_type)), ("right", quoted(&from.data_type))],
            ));
        }
        let mode = CastMode::of(&self.eval);
        Ok(cast(from.typed(), &to.data_type, mode, &self.eval)?.expr.alias(&to.id))
    }

    /// `spark.sql(text, args)`
    pub(super) fn sql_text(&self, query: &str, named: &[(String, Expr)], positional: &[Expr]) -> Result<Resolved> {
        let query = firesteel_conf::substitute_variables(query, |key| self.eval.get(key))?;
        let plan = firesteel_sql::parse_statement(&query, &self.parse_options())?;
        let Plan::Query(relation) = plan else {
            return Err(SparkError::internal("a statement with effects cannot be part of a query"));
        };
        self.with_parameters(named, positional, || self.relation(&relation))
    }
}

/// What the query says of its own limits stands at the end of its work table's id, the one thing that reaches the
/// physical plan.
const LEVEL_MARK: &str = "|max recursion level ";
const NO_ROW_LIMIT_MARK: &str = "|limit all";

fn work_table_id(cte: &Cte, has_row_limit: bool) -> String {
    let rows = if has_row_limit { "" } else { NO_ROW_LIMIT_MARK };
    let levels = cte.max_recursion.map(|levels| format!("{LEVEL_MARK}{levels}")).unwrap_or_default();
    format!("{}{rows}{levels}", fresh_id(&cte.name))
}

/// The `MAX RECURSION LEVEL` of the recursive query with that work table.
pub fn max_recursion(work_table_id: &str) -> Option<i64> {
    work_table_id.rsplit_once(LEVEL_MARK)?.1.parse().ok()
}

/// Whether the recursive query with that work table is read below a `LIMIT ALL`.
pub fn is_below_limit_all(work_table_id: &str) -> bool {
    work_table_id.split_once(LEVEL_MARK).map_or(work_table_id, |(id, _)| id).ends_with(NO_ROW_LIMIT_MARK)
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

/// `anchor UNION [ALL] recursion`, maybe after a WITH of its own.
struct RecursiveUnion<'a> {
    scope: Option<(&'a [Cte], bool)>,
    anchor: &'a Relation,
    recursion: &'a Relation,
    all: bool,
}

/// A scan of the rows that the level before made.
fn work_table(id: &str, anchor: &LogicalPlan, output: &[Attribute]) -> Result<LogicalPlan> {
    use datafusion::common::Column;
    use datafusion::logical_expr::Expr;
    let schema = Arc::new(nullable_schema(anchor.schema().as_arrow()));
    let source = datafusion::datasource::provider_as_source(Arc::new(WorkTable::new(id, schema)));
    let columns = output.iter().map(|a| Expr::Column(Column::new(Some(id), &a.id)).alias(&a.id));
    LogicalPlanBuilder::scan(TableReference::bare(id), source, None)
        .and_then(|builder| builder.project(columns))
        .and_then(|builder| builder.build())
        .map_err(from_datafusion)
}

/// Whether another run of the plan could give other rows.
pub(crate) fn plan_is_random(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        found |= partition_columns::is_random(node) || node.expressions().iter().any(is_random);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    visited.map(|_| found).map_err(from_datafusion)
}

/// Whether the work table is scanned in the plan or its subqueries.
fn reads(plan: &LogicalPlan, id: &str) -> datafusion::common::Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::TableScan(scan) if scan.table_name.table() == id);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
