//! As-of and nearest-by joins: each left row is numbered, joined, and the best right rows of each number are kept.
use firesteel_functions::TypedExpr;
use firesteel_functions::registry::OrderBy;
use firesteel_plan::relation::{AsOfJoin, NearestByJoin};
use firesteel_plan::{DataType, JoinType, Relation, Result, SparkError};

use super::project::filter_plan;
use super::reshape::kept;
use crate::analyzer::Analyzer;
use crate::expr::{ResolvedSort, Scope, SelectValue};
use crate::nodes::partition_columns;
use crate::scope::{Attribute, Resolved, fresh_id};

impl Analyzer<'_> {
    pub(super) fn as_of_join(&self, join: &AsOfJoin) -> Result<Resolved> {
        let outer = match join.join_type.to_lowercase().as_str() {
            "inner" => false,
            "left" | "leftouter" | "left_outer" => true,
            other => return Err(unsupported_type(other)),
        };
        let (left, row) = self.numbered(&join.left)?;
        let right = self.relation(&join.right)?.sealed()?;
        let scope = Scope::of_both(&left, &right);
        let left_as_of = self.expression(&join.left_as_of, &scope)?;
        let right_as_of = self.expression(&join.right_as_of, &scope)?;
        let distance = match join.direction.to_lowercase().as_str() {
            "backward" => self.builtin("-", vec![left_as_of.clone(), right_as_of.clone()])?,
            "forward" => self.builtin("-", vec![right_as_of.clone(), left_as_of.clone()])?,
            "nearest" => {
                let greater = self.builtin(">", vec![left_as_of.clone(), right_as_of.clone()])?;
                let down = self.builtin("-", vec![left_as_of.clone(), right_as_of.clone()])?;
                let up = self.builtin("-", vec![right_as_of.clone(), left_as_of.clone()])?;
                self.builtin("if", vec![greater, down, up])?
            }
            other => {
                let supported = "'forward', 'backward', 'nearest'";
                return Err(SparkError::new(
                    "AS_OF_JOIN.UNSUPPORTED_DIRECTION",
                    [("direction", other), ("supported", supported)],
                ));
            }
        };
        let mut conditions = vec![];
        let compare = match (join.direction.to_lowercase().as_str(), join.allow_exact_matches) {
            ("backward", true) => Some(">="),
            ("backward", false) => Some(">"),
            ("forward", true) => Some("<="),
            ("forward", false) => Some("<"),
            (_, false) => Some("!="),
            _ => None,
        };
        if let Some(operator) = compare {
            conditions.push(self.comparison(operator, left_as_of.clone(), right_as_of.clone())?);
        }
        if let Some(tolerance) = &join.tolerance {
            let tolerance = self.expression(tolerance, &Scope::empty())?;
            conditions.push(self.builtin("<=", vec![distance.clone(), tolerance])?);
        }
        if let Some(condition) = &join.condition {
            conditions.push(self.condition(condition, &scope, "join")?);
        }
        for name in &join.using {
            let find = |side: &Resolved| side.output.iter().find(|a| self.same_name(&a.name, name)).cloned();
            let (Some(l), Some(r)) = (find(&left), find(&right)) else {
                return Err(self.unresolved_column(std::slice::from_ref(name), &scope));
            };
            conditions.push(self.builtin("==", vec![l.typed(), r.typed()])?);
        }
        let order = OrderBy { expr: distance, ascending: true, nulls_first: false };
        self.best_matches(left, right, row, conditions, vec![order], 1, outer)
    }

    pub(super) fn nearest_by_join(&self, join: &NearestByJoin) -> Result<Resolved> {
        let outer = match join.join_type.to_lowercase().as_str() {
            "inner" => false,
            "left" | "leftouter" | "left_outer" => true,
            other => return Err(unsupported_type(other)),
        };
        let (left, row) = self.numbered(&join.left)?;
        let right = self.relation(&join.right)?.sealed()?;
        let ranking = self.expression(&join.ranking, &Scope::of_both(&left, &right))?;
        let ascending = join.direction.eq_ignore_ascii_case("distance");
        let order = OrderBy { expr: ranking, ascending, nulls_first: false };
        self.best_matches(left, right, row, vec![], vec![order], i64::from(join.num_results), outer)
    }

    fn comparison(&self, operator: &str, left: TypedExpr, right: TypedExpr) -> Result<TypedExpr> {
        if operator == "!=" {
            let equal = self.builtin("==", vec![left, right])?;
            return self.builtin("not", vec![equal]);
        }
        self.builtin(operator, vec![left, right])
    }

    /// The relation with a hidden row number.
    fn numbered(&self, relation: &Relation) -> Result<(Resolved, Attribute)> {
        let mut left = self.relation(relation)?.sealed()?;
        let mut row = Attribute::new("_row", DataType::Long, false);
        row.qualifier = vec![];
        let columns = vec![(partition_columns::Function::RowId, row.id.clone())];
        left.plan = partition_columns::plan(left.plan, columns);
        Ok((left, row))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one join")]
    fn best_matches(
        &self,
        left: Resolved,
        right: Resolved,
        row: Attribute,
        conditions: Vec<TypedExpr>,
        order: Vec<OrderBy>,
        count: i64,
        outer: bool,
    ) -> Result<Resolved> {
        let mut condition: Option<TypedExpr> = None;
        for next in conditions {
            condition = Some(match condition {
                Some(all) => self.builtin("and", vec![all, next])?,
                None => next,
            });
        }
        let join_type = if outer { JoinType::LeftOuter } else { JoinType::Inner };
        let plan = super::join::join_plan(left.plan.clone(), right.plan.clone(), join_type, condition.map(|c| c.expr))?;
        let null = |a: &Attribute| Attribute { nullable: a.nullable || outer, ..a.clone() };
        let mut output = left.output.clone();
        output.extend(right.output.iter().map(null));
        let joined = Resolved { hidden: vec![row.clone()], ..Resolved::new(plan, output) };
        let sorts: Vec<_> = order
            .iter()
            .map(|o| ResolvedSort { typed: o.expr.clone(), ascending: o.ascending, nulls_first: o.nulls_first })
            .map(|s| s.to_datafusion(&self.eval))
            .collect();
        let rank = fresh_id("_rank");
        let plan = super::setop::row_number(joined.plan.clone(), &rank, vec![row.column()], sorts)?;
        let rank = datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(rank));
        let limit = datafusion::logical_expr::lit(count.max(0) as u64);
        let plan = filter_plan(plan, rank.lt_eq(limit))?;
        let values: Vec<SelectValue> = joined.output.iter().map(kept).collect();
        let resolved = self.project_values(joined.with_plan(plan), values)?;
        let resolved = Resolved { extend: None, ..resolved };
        Ok(resolved.with_plan_outputs_of(&[&left, &right]))
    }

    /// `df.zip(other)`: rows side by side, by their place.
    pub(super) fn zip(&self, left: &Relation, right: &Relation) -> Result<Resolved> {
        let (left, left_row) = self.ordered_rows(left)?;
        let (right, right_row) = self.ordered_rows(right)?;
        let equal = self.builtin("==", vec![left_row.typed(), right_row.typed()])?;
        let plan = super::join::join_plan(left.plan.clone(), right.plan.clone(), JoinType::Inner, Some(equal.expr))?;
        let output = left.output.iter().chain(&right.output).cloned().collect();
        Resolved::new(plan, output).with_plan_outputs_of(&[&left, &right]).sealed()
    }

    fn ordered_rows(&self, relation: &Relation) -> Result<(Resolved, Attribute)> {
        let (mut side, row_id) = self.numbered(relation)?;
        let number = Attribute::new("_number", DataType::Long, false);
        let order =
            vec![ResolvedSort { typed: row_id.typed(), ascending: true, nulls_first: true }.to_datafusion(&self.eval)];
        let raw = fresh_id("_number");
        let plan = super::setop::row_number(side.plan.clone(), &raw, vec![], order)?;
        let column = datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(raw));
        let mut columns: Vec<_> = side.output.iter().map(Attribute::column).collect();
        columns.push(datafusion::logical_expr::cast(column, arrow::datatypes::DataType::Int64).alias(&number.id));
        side.plan = crate::scope::project(plan, columns)?;
        Ok((side, number))
    }
}

fn unsupported_type(name: &str) -> SparkError {
    SparkError::new(
        "UNSUPPORTED_JOIN_TYPE",
        [("typ", name.to_string()), ("supported", "'inner', 'leftouter', 'left', 'left_outer'".to_string())],
    )
}
