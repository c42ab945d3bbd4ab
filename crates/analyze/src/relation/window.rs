//! Window functions are computed below the projection that uses them.
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, Window};
use firesteel_plan::{Relation, Result, WindowSpec};

use crate::analyzer::Analyzer;
use crate::from_datafusion;
use crate::scope::{Resolved, fresh_id};

impl Analyzer<'_> {
    /// WINDOW w AS (…)
    pub(super) fn with_windows(&self, input: &Relation, windows: &[(String, WindowSpec)]) -> Result<Resolved> {
        let before = self.windows.borrow().len();
        self.windows.borrow_mut().extend(windows.iter().cloned());
        let resolved = self.relation(input);
        self.windows.borrow_mut().truncate(before);
        resolved
    }

    /// Adds window operators for the window functions in `expressions`, which then read their columns.
    pub(crate) fn windows_below(
        &self,
        plan: LogicalPlan,
        expressions: Vec<DfExpr>,
    ) -> Result<(LogicalPlan, Vec<DfExpr>)> {
        let (mut plan, mut expressions) = super::partition::partition_below(plan, expressions)?;
        if expressions.iter().any(has_window) {
            self.refuse_recursion(&plan)?;
        }
        // Windows over windows need a pass for each level.
        while expressions.iter().any(has_window) {
            let mut found: Vec<(DfExpr, String)> = vec![];
            let mut rewritten = vec![];
            for expression in expressions {
                let done = expression.transform_down(|node| {
                    let DfExpr::WindowFunction(call) = &node else { return Ok(Transformed::no(node)) };
                    let inner = [&call.params.args, &call.params.partition_by];
                    let nested = inner.into_iter().flatten().any(has_window)
                        || call.params.order_by.iter().any(|o| has_window(&o.expr));
                    if nested {
                        return Ok(Transformed::no(node));
                    }
                    let id = match found.iter().find(|(known, _)| *known == node) {
                        Some((_, id)) => id.clone(),
                        None => {
                            let id = fresh_id("_w");
                            found.push((node.clone(), id.clone()));
                            id
                        }
                    };
                    Ok(Transformed::new(DfExpr::Column(Column::from_name(id)), true, TreeNodeRecursion::Jump))
                });
                rewritten.push(done.map_err(from_datafusion)?.data);
            }
            plan = window_plan(plan, found.into_iter().map(|(expr, id)| expr.alias(id)).collect())?;
            expressions = rewritten;
        }
        Ok((plan, expressions))
    }
}

fn has_window(expr: &DfExpr) -> bool {
    let mut found = false;
    // The visitor itself cannot fail.
    let _ = expr.apply(|node| {
        found |= matches!(node, DfExpr::WindowFunction(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// One window operator for each partitioning and order among `expressions` (aliased window functions).
pub(crate) fn window_plan(plan: LogicalPlan, expressions: Vec<DfExpr>) -> Result<LogicalPlan> {
    type Key = (Vec<DfExpr>, Vec<datafusion::logical_expr::SortExpr>);
    let mut groups: Vec<(Key, Vec<DfExpr>)> = vec![];
    for expression in expressions {
        let key = match expression.clone().unalias() {
            DfExpr::WindowFunction(call) => (call.params.partition_by, call.params.order_by),
            _ => continue,
        };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(expression),
            None => groups.push((key, vec![expression])),
        }
    }
    groups.into_iter().try_fold(plan, |plan, (_, members)| {
        Window::try_new(members, Arc::new(plan)).map(LogicalPlan::Window).map_err(from_datafusion)
    })
}
