//! Grouping by values whose equality is not that of their bits: `-0.0` and `0.0`, NaNs, strings of a collation.
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::{Distinct, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
use firesteel_functions::comparison::{comparable, sorted_entries};
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::{DataType, Result};

use crate::from_datafusion;
use crate::scope::{Attribute, fresh_id, project};

/// Whether equal values may have different texts, so that the key is no value to show.
pub(crate) fn is_collated(data_type: &DataType) -> bool {
    matches!(data_type, DataType::String(collation) if !collation.is_default())
}

fn needs_key(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float | DataType::Double) || is_collated(data_type)
}

/// What an aggregate takes to group by some values: of each group of texts that a collation holds equal, or of maps with
/// the same entries, the first one stands for all.
#[derive(Default)]
pub(crate) struct Keys {
    /// What to group by
    pub groups: Vec<DfExpr>,
    /// Aggregate functions that keep a value of each group
    pub functions: Vec<DfExpr>,
    /// The values, under their ids, above the aggregate
    pub columns: Vec<DfExpr>,
}

impl Keys {
    /// Adds a value, which the aggregate gives as column `id`.
    pub fn push(&mut self, value: TypedExpr, id: &str, eval: &Arc<EvalContext>) {
        let column = |id: &str| DfExpr::Column(Column::from_name(id));
        let (expr, data_type) = (value.expr.clone(), value.data_type.clone());
        if !is_collated(&data_type) && !matches!(data_type, DataType::Map(..)) {
            let key = if needs_key(&data_type) { comparable(value, eval) } else { expr };
            self.groups.push(named(key, id));
            self.columns.push(column(id));
            return;
        }
        let (key, first) = (fresh_id("_k"), fresh_id("_f"));
        let key_expr = match &data_type {
            DataType::Map(..) => sorted_entries(value, eval).map_or_else(|_| expr.clone(), |entries| entries.expr),
            _ => comparable(value, eval),
        };
        self.groups.push(key_expr.alias(&key));
        self.functions.push(first_value(expr, vec![]).alias(&first));
        // Where a grouping set leaves the key out, it is NULL.
        let kept = TypedExpr::new(column(&first), data_type.clone(), true, "");
        let is_null = DfExpr::IsNull(Box::new(column(&key)));
        let case = datafusion::logical_expr::when(is_null, TypedExpr::null(data_type).expr).otherwise(kept.expr);
        // The builder fails only on branches of different types.
        self.columns.push(case.unwrap_or_else(|_| column(&first)).alias(id));
    }
}

fn named(expr: DfExpr, id: &str) -> DfExpr {
    match &expr {
        DfExpr::Column(column) if column.name == id => expr,
        _ => expr.alias(id),
    }
}

/// One row of each group of equal rows. `columns` are all that the plan has.
pub(crate) fn distinct(plan: LogicalPlan, columns: &[Attribute], eval: &Arc<EvalContext>) -> Result<LogicalPlan> {
    if !columns.iter().any(|a| needs_key(&a.data_type)) {
        return Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(plan))));
    }
    let mut keys = Keys::default();
    for attribute in columns {
        keys.push(attribute.typed(), &attribute.id, eval);
    }
    let aggregate = LogicalPlanBuilder::from(plan).aggregate(keys.groups, keys.functions).and_then(|b| b.build());
    project(aggregate.map_err(from_datafusion)?, keys.columns)
}

/// The form of a value to partition or sort by.
pub(crate) fn partition_key(value: &TypedExpr, eval: &Arc<EvalContext>) -> DfExpr {
    if needs_key(&value.data_type) { comparable(value.clone(), eval) } else { value.expr.clone() }
}

pub(crate) fn sort_key(value: &TypedExpr, eval: &Arc<EvalContext>) -> DfExpr {
    if is_collated(&value.data_type) { comparable(value.clone(), eval) } else { value.expr.clone() }
}
